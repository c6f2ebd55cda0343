//! What flows of a scenario ask, as a proxy that reads the application's protocol logs it. Made of the flow itself, so that
//! who does not look at it sees the same scenario.

use super::attacks::AttackKind;
use super::topology::Role;
use super::{BenignKind, Flow, Label, Scenario};

/// What a flow asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Request {
    /// Application protocol.
    pub app_protocol: &'static str,
    /// What is done.
    pub operation: &'static str,
    /// To what.
    pub resource: &'static str,
}

/// Operation and resource.
type Asked = (&'static str, &'static str);

/// What services offer, the commonest first; every client uses a few of them.
const HTTP: [Asked; 10] = [
    ("GET", "/items/41"),
    ("GET", "/orders/17"),
    ("POST", "/orders"),
    ("GET", "/stock"),
    ("GET", "/customers/9001"),
    ("PUT", "/customers/9001"),
    ("POST", "/search"),
    ("GET", "/prices/3"),
    ("PATCH", "/orders/17/lines/2"),
    ("GET", "/health"),
];
const DATABASE: [Asked; 6] = [
    ("SELECT", "orders"),
    ("INSERT", "orders"),
    ("UPDATE", "orders"),
    ("SELECT", "customers"),
    ("SELECT", "items"),
    ("DELETE", "carts"),
];
const QUEUE: [Asked; 6] = [
    ("Produce", "orders"),
    ("Fetch", "orders"),
    ("Produce", "mail"),
    ("Fetch", "mail"),
    ("Produce", "tasks"),
    ("Fetch", "tasks"),
];
/// Topics that agents take their work from, each shared by several of them and written by several services.
const INBOXES: [&str; 3] = ["tasks.research", "tasks.support", "tasks.finance"];
/// What agents write to the queue.
const ANSWERS: [Asked; 2] = [("Produce", "results"), ("Produce", "audit")];
/// Uses of one client of a service, at most.
const USES_MAX: u64 = 4;
/// One flow in so many is something its client hardly ever asks.
const RARE: u64 = 4_000;

fn mix(mut bits: u64) -> u64 {
    bits = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

fn pick(table: &[Asked], number: u64) -> Asked {
    table[usize::try_from(number % table.len() as u64).unwrap_or_default()]
}

impl Scenario {
    /// What a flow asks; nothing where no proxy would understand it.
    #[must_use]
    pub fn request(&self, flow: &Flow) -> Option<Request> {
        let (app_protocol, table): (&'static str, &[Asked]) = match self.role(flow.destination) {
            Role::Frontend | Role::Backend | Role::Payment | Role::ModelGateway => ("http", &HTTP),
            Role::Database => ("postgresql", &DATABASE),
            Role::Queue => ("kafka", &QUEUE),
            _ => return None,
        };
        let pair = mix(self.seed ^ u64::from(flow.source) << 32 ^ u64::from(flow.destination));
        let draw = mix(pair ^ flow.time.unsigned_abs() ^ flow.bytes_out.unsigned_abs() << 20);
        // The first of a client's uses is half of its requests, the second a quarter, ...
        let place = u64::from(draw.trailing_zeros()) % (1 + pair % USES_MAX);
        let usual = pick(table, mix(pair ^ place));
        let usual = match (self.role(flow.source), self.role(flow.destination)) {
            (Role::Agent, Role::Queue) if draw >> 16 & 1 == 0 => ("Fetch", self.inbox(flow.source)),
            (Role::Agent, Role::Queue) => pick(&ANSWERS, mix(pair ^ place)),
            // Several services give agents their work.
            (Role::Backend | Role::Frontend, Role::Queue) if place <= 1 => {
                ("Produce", INBOXES[usize::try_from(((pair >> 8) + place) % 3).unwrap_or_default()])
            }
            _ => usual,
        };
        let (operation, resource) = match flow.label {
            Label::Attack { kind: AttackKind::AgentQueue, episode } => self.agent_queue(flow, episode).unwrap_or(usual),
            Label::Attack { kind, .. } => attack(kind).unwrap_or(usual),
            Label::Benign(BenignKind::Feature) => ("POST", "/feature"),
            _ if draw >> 32 & 0xffff_ffff < u64::from(u32::MAX) / RARE => pick(table, draw >> 8),
            _ => usual,
        };
        Some(Request { app_protocol, operation, resource })
    }
}

impl Scenario {
    /// The topic that an agent takes its work from.
    fn inbox(&self, agent: u16) -> &'static str {
        INBOXES[usize::try_from(mix(self.seed ^ u64::from(agent)) % 3).unwrap_or_default()]
    }

    /// What the agents of an episode ask: the first writes what the other one reads as it always does, and this one then asks
    /// for what it was told; none where it asks what is usual.
    fn agent_queue(&self, flow: &Flow, episode: u16) -> Option<Asked> {
        let actors = &self.episodes.get(usize::from(episode))?.actors;
        let inbox = self.inbox(*actors.get(1)?);
        match (self.role(flow.destination), actors.first() == Some(&flow.source)) {
            (Role::Queue, true) => Some(("Produce", inbox)),
            (Role::Queue, false) => Some(("Fetch", inbox)),
            (Role::Payment, _) => Some(("POST", "/transfers")),
            _ => None,
        }
    }
}

/// What an attacker asks; none where it poses as what it took over.
const fn attack(kind: AttackKind) -> Option<Asked> {
    match kind {
        AttackKind::AgentPayment => Some(("POST", "/transfers")),
        AttackKind::AgentData | AttackKind::DatabaseAccess | AttackKind::Hoarding => Some(("COPY", "customers")),
        AttackKind::QueueTap => Some(("Fetch", "payments.commands")),
        AttackKind::BruteForce => Some(("LOGIN", "postgres")),
        _ => None,
    }
}
