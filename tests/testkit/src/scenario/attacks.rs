//! Thirty kinds of attack after MITRE ATT&CK (attack.mitre.org): discovery, lateral movement, collection, command and
//! control, exfiltration, impact. Each is what the technique leaves in connection logs, with no regard to any detector.

mod kinds;

use super::events::HOUR;
use super::flow::{Flow, Label};
use super::random::Random;
use super::topology::{Role, number};
use super::{Scenario, WINDOW, WINDOWS_PER_DAY};
pub use kinds::AttackKind;
use tradewind_model::Outcome;
use tradewind_model::entity::EntityKind;
use tradewind_model::time::SECOND;

/// One attack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Episode {
    /// What kind.
    pub kind: AttackKind,
    /// Time of its first flow, microseconds UTC.
    pub start: i64,
    /// Time of its last flow.
    pub end: i64,
    /// Who acts, indices of entities: the first begins.
    pub actors: Vec<u16>,
    /// How many flows it has.
    pub flows: usize,
}

/// Several contacts of one pair.
#[derive(Clone, Copy, Debug)]
struct Contacts {
    port: u16,
    count: usize,
    /// Seconds between them, on average.
    every_s: f64,
    bytes_out: f64,
    bytes_in: f64,
    outcome: Outcome,
}

impl Contacts {
    const fn few(port: u16) -> Self {
        Self { port, count: 6, every_s: 20.0, bytes_out: 4_000.0, bytes_in: 9_000.0, outcome: Outcome::Allowed }
    }

    const fn times(self, count: usize, every_s: f64) -> Self {
        Self { count, every_s, ..self }
    }

    const fn bytes(self, bytes_out: f64, bytes_in: f64) -> Self {
        Self { bytes_out, bytes_in, ..self }
    }

    const fn ending(self, outcome: Outcome) -> Self {
        let bytes_in = if matches!(outcome, Outcome::Allowed) { self.bytes_in } else { 0.0 };
        Self { outcome, bytes_in, ..self }
    }
}

/// Makes the flows of one episode.
struct Attack<'a> {
    scenario: &'a mut Scenario,
    random: Random,
    kind: AttackKind,
    episode: u16,
    start: i64,
    flows: Vec<Flow>,
}

/// Attacks of a day at most: who is attacked more often has other worries than a budget.
const ATTACKS_A_DAY: usize = 2;

/// Plans attacks over the days from this one on: kinds drawn by lot, each once, two a day.
pub(super) fn plan(scenario: &mut Scenario, from_day: i64) {
    let mut random = Random::of(scenario.seed, 5);
    let mut kinds = AttackKind::ALL.to_vec();
    for last in (1..kinds.len()).rev() {
        kinds.swap(last, random.below(last + 1));
    }
    kinds.truncate(usize::try_from(scenario.days - from_day).unwrap_or(0).saturating_mul(ATTACKS_A_DAY));
    let windows = (scenario.days - from_day) * WINDOWS_PER_DAY;
    // The last of them has six hours to end.
    let step = (windows - 6 * HOUR).max(1) as f64 / kinds.len().max(1) as f64;
    let mut flows = Vec::new();
    for (episode, kind) in (0_u16..).zip(kinds) {
        #[allow(clippy::cast_possible_truncation)] // Windows of some weeks.
        let window = from_day * WINDOWS_PER_DAY + ((f64::from(episode) + random.between(0.1, 0.9)) * step) as i64;
        let start = scenario.start + window * WINDOW + i64::from(number(random.below(299))) * SECOND;
        let random = Random::of(scenario.seed, 100 + u64::from(episode));
        let mut attack = Attack { scenario: &mut *scenario, random, kind, episode, start, flows: Vec::new() };
        attack.make();
        let mut made = attack.flows;
        made.sort_by_key(|flow| flow.time);
        let mut actors = Vec::new();
        for flow in &made {
            if !actors.contains(&flow.source) {
                actors.push(flow.source);
            }
        }
        scenario.episodes.push(Episode {
            kind,
            start: made.first().map_or(start, |flow| flow.time),
            end: made.last().map_or(start, |flow| flow.time),
            actors,
            flows: made.len(),
        });
        flows.extend(made);
    }
    flows.sort_by_key(|flow| flow.time);
    scenario.attacks = flows;
}

impl Attack<'_> {
    /// One of those with a role.
    fn any(&mut self, role: Role) -> u16 {
        let all = self.scenario.topology.of(role);
        self.random.pick(&all)
    }

    /// Somebody on whom an attacker got hold.
    fn foothold(&mut self) -> u16 {
        let role = self.random.pick(&[Role::Backend, Role::Backend, Role::Frontend, Role::Agent]);
        self.any(role)
    }

    fn named(&self, name: &str) -> u16 {
        self.scenario.topology.named(name)
    }

    fn port(&self, entity: u16) -> u16 {
        self.scenario.topology.port(entity)
    }

    /// One of these roles that the source never calls.
    fn stranger_to(&mut self, source: u16, roles: &[Role]) -> u16 {
        let topology = &self.scenario.topology;
        let all: Vec<u16> = roles.iter().flat_map(|&role| topology.of(role)).collect();
        let is_new = |entity: &u16| *entity != source && !topology.has(source, *entity);
        let fresh: Vec<u16> = all.iter().copied().filter(is_new).collect();
        self.random.pick(if fresh.is_empty() { &all } else { &fresh })
    }

    /// All inside, in an order drawn by lot.
    fn everybody(&mut self, except: u16) -> Vec<u16> {
        let topology = &self.scenario.topology;
        let is_inside = |entity: &u16| {
            let role = topology.roles[usize::from(*entity)];
            *entity != except && !matches!(role, Role::Internet | Role::External | Role::Stranger)
        };
        let mut all: Vec<u16> = (0..number(topology.entities.len())).filter(is_inside).collect();
        for last in (1..all.len()).rev() {
            all.swap(last, self.random.below(last + 1));
        }
        all
    }

    /// Somebody nobody met.
    fn newcomer(&mut self, kind: EntityKind, name: &str) -> u16 {
        let name = format!("{name}-{}", self.episode);
        let namespace = if kind == EntityKind::External { "outside" } else { "office" };
        self.scenario.topology.add(kind, namespace, &name, Role::Stranger);
        number(self.scenario.topology.entities.len() - 1)
    }

    /// Contacts from so many seconds after the start on. When the last one was, seconds.
    #[allow(clippy::cast_possible_truncation)] // Some days of microseconds.
    fn contact(&mut self, after_s: f64, source: u16, destination: u16, contacts: Contacts) -> f64 {
        let mut at = after_s;
        for place in 0..contacts.count {
            if place > 0 {
                at += contacts.every_s * self.random.between(0.7, 1.3);
            }
            let bytes_in = if contacts.bytes_in > 0.0 { self.random.log_normal(contacts.bytes_in, 0.4) } else { 0 };
            let bytes_out = self.random.log_normal(contacts.bytes_out, 0.4);
            self.flows.push(Flow {
                time: self.start + (at * SECOND as f64) as i64,
                source,
                destination,
                port: contacts.port,
                protocol: if contacts.port == 53 { 17 } else { 6 },
                outcome: contacts.outcome,
                connections: 1,
                bytes_out,
                bytes_in,
                label: Label::Attack { kind: self.kind, episode: self.episode },
            });
        }
        at
    }
}
