//! Makes the calls of the demo: two hours of ordinary ones and those of the takeover. Not the tables of services.

use super::services::{COMMON, EDGES, SERVICES};
use super::{Answer, Call, DURATION_S, Instance, Scenario, Service};

pub(super) const MINUTES: i64 = DURATION_S / 60;
pub(super) const DEPLOYMENT_MINUTE: i64 = 40;
pub(super) const TAKEOVER_MINUTE: i64 = 80;
pub(super) const LATERAL_MINUTE: i64 = 84;
pub(super) const SECRETS_MINUTE: i64 = 88;
const SECRETS_CALLS: i64 = 3;
pub(super) const TRANSFER_MINUTES: std::ops::Range<i64> = 89..103;
pub(super) const TRANSFER_CALLS: u32 = 847;
/// How often the agent tries in vain what a policy that is enforced denies it.
const PIVOT_ATTEMPTS: u32 = 3;
pub(super) const TARGET_ATTEMPTS: u32 = 20;
const TARGET_MINUTE: i64 = 91;
const CRON_EVERY_MINUTES: i64 = 10;
const CRON_CALLS: u32 = 40;

pub(super) const AGENT: &str = "ai/support-bot";
pub(super) const PIVOT: &str = "platform/ci-runner";
/// Gives the build runner what the payment service asks for.
pub(super) const SECRETS: &str = "platform/vault";
pub(super) const TARGET: &str = "payments/payment-api";
pub(super) const DEPLOYED: &str = "shop/catalog";
/// Whom the agent tries in a flat network once it is taken over, in turn and twice.
const PROBED: [&str; 7] = [
    "data/customer-db",
    "data/ledger-db",
    "platform/vault",
    TARGET,
    "data/orders-db",
    "payments/ledger",
    "data/warehouse",
];

pub(super) struct Maker {
    random: Random,
    pub(super) start: i64,
    pub(super) services: Vec<Service>,
    pub(super) instances: Vec<Instance>,
    pub(super) calls: Vec<Call>,
    /// Client, server, calls a minute at noon, and thousandths of calls that are owed from the minutes before.
    edges: Vec<(usize, usize, u32, i64)>,
}

impl Maker {
    pub(super) fn new(seed: u64, start: i64) -> Self {
        let split = |name: &'static str| name.split_once('/').expect("names have a namespace");
        let service = |&(name, port, _): &(&'static str, u16, u8)| {
            let (namespace, name) = split(name);
            Service { namespace, name, port }
        };
        let services: Vec<Service> = SERVICES.iter().map(service).collect();
        let mut maker =
            Self { random: Random(seed), start, services, instances: Vec::new(), calls: Vec::new(), edges: Vec::new() };
        for (index, &(_, _, count)) in SERVICES.iter().enumerate() {
            (0..count).for_each(|_| maker.add_instance(index, None));
        }
        maker.add_instance(maker.service(DEPLOYED), Some(start + DEPLOYMENT_MINUTE * 60));
        let mut edges: Vec<_> = EDGES
            .iter()
            .map(|&(client, server, rate)| (maker.service(client), maker.service(server), rate, 0))
            .collect();
        for (index, service) in maker.services.iter().enumerate() {
            let common = COMMON.iter().map(|&(server, rate)| (index, maker.service(server), rate, 0));
            edges.extend(common.filter(|&(client, server, ..)| client != server && service.namespace != "outside"));
        }
        maker.edges = edges;
        maker
    }

    pub(super) fn service(&self, wanted: &str) -> usize {
        let is_wanted = |service: &Service| wanted.split_once('/') == Some((service.namespace, service.name));
        self.services.iter().position(is_wanted).expect("edges name services of the table")
    }

    pub(super) fn instances_of(&self, service: &str) -> Vec<usize> {
        let service = self.service(service);
        (0..self.instances.len()).filter(|&index| self.instances[index].service == service).collect()
    }

    fn add_instance(&mut self, service: usize, deployed_at: Option<i64>) {
        let Service { namespace, name, .. } = self.services[service];
        let peers = self.instances.iter().filter(|instance| self.services[instance.service].namespace == namespace);
        let host = 10 + peers.count();
        let number = self.instances.iter().filter(|instance| instance.service == service).count() + 1;
        let subnet = match namespace {
            "shop" => "10.10.1",
            "payments" => "10.20.1",
            "data" => "10.30.1",
            "platform" => "10.40.1",
            "ai" => "10.50.1",
            _ => "203.0.113",
        };
        self.instances.push(Instance {
            service,
            name: format!("{name}-{number}"),
            address: format!("{subnet}.{host}"),
            interface: format!("eni-0{:016x}", self.random.next()),
            deployed_at,
        });
    }

    /// An instance of the service that is there at the time (unix milliseconds).
    fn draw_instance(&mut self, service: usize, time_ms: i64) -> usize {
        let is_there = |instance: &Instance| instance.deployed_at.is_none_or(|at| at * 1000 <= time_ms);
        let indexes = 0..self.instances.len();
        let there: Vec<_> = indexes
            .filter(|&index| self.instances[index].service == service && is_there(&self.instances[index]))
            .collect();
        let drawn = self.random.below(u32::try_from(there.len()).expect("a service has few instances"));
        there[drawn as usize]
    }

    /// One minute of every edge, and the job that runs every ten minutes.
    pub(super) fn ordinary_minute(&mut self, minute: i64) {
        // A day in two hours: quiet at both ends, busiest in the middle.
        let daytime = 850 + 300 * (MINUTES / 2 - (minute - MINUTES / 2).abs()) / (MINUTES / 2);
        for index in 0..self.edges.len() {
            let (client, server, rate, owed) = self.edges[index];
            let owed = owed + i64::from(rate) * daytime * self.random.between(750, 1250) / 1000;
            self.edges[index].3 = owed.rem_euclid(1000);
            for _ in 0..owed.div_euclid(1000) {
                self.ordinary_call(minute, 60_000, client, server);
            }
        }
        if minute % CRON_EVERY_MINUTES == 2 {
            let (client, server) = (self.service("platform/scheduler"), self.service("data/warehouse"));
            (0..CRON_CALLS).for_each(|_| self.ordinary_call(minute, 30_000, client, server));
        }
    }

    fn ordinary_call(&mut self, minute: i64, spread_ms: u32, client: usize, server: usize) {
        const OPERATIONS: [(&str, &str); 5] = [
            ("GET", "/v1/items"),
            ("GET", "/v1/status"),
            ("GET", "/v1/items/search"),
            ("POST", "/v1/items"),
            ("PUT", "/v1/items"),
        ];
        let time_ms = (self.start + minute * 60) * 1000 + i64::from(self.random.below(spread_ms));
        let mut call = Call {
            time_ms,
            duration_ms: self.random.between(2, 900),
            client: self.draw_instance(client, time_ms),
            client_port: self.ephemeral_port(),
            server: self.draw_instance(server, time_ms),
            bytes_out: self.random.between(300, 2_400),
            bytes_in: self.random.between(500, 9_000),
            answer: Answer::Served,
            operation: OPERATIONS[self.random.below(5) as usize],
        };
        // A proxy tells of an upstream that is away for a moment, and of the second attempt.
        if self.services[server].is_meshed() && self.random.below(1000) < 3 {
            self.calls.push(Call { answer: Answer::Unavailable, bytes_in: 95, duration_ms: 3, ..call });
            call = Call { time_ms: time_ms + 120, client_port: self.ephemeral_port(), ..call };
        }
        self.calls.push(call);
    }

    fn ephemeral_port(&mut self) -> u16 {
        u16::try_from(self.random.between(32_768, 60_999)).expect("the range is one of ports")
    }

    /// Whom the agent tries once it is taken over. Where all doors are shut it tries every door.
    pub(super) fn probed(&self, scenario: Scenario) -> Vec<&'static str> {
        if scenario == Scenario::A {
            return PROBED.to_vec();
        }
        let is_used = |name: &str| {
            COMMON.iter().any(|(server, _)| *server == name)
                || EDGES.iter().any(|(client, server, _)| *client == AGENT && *server == name)
        };
        let is_other = |name: &str| !name.starts_with("outside/") && name != PIVOT && name != TARGET;
        let served = SERVICES.iter().filter(|(_, port, _)| *port > 0).map(|&(name, ..)| name);
        served.filter(|name| !is_used(name) && is_other(name)).collect()
    }

    /// What happens once the agent is taken over.
    pub(super) fn takeover(&mut self, scenario: Scenario) {
        let agent = self.instances_of(AGENT)[0];
        let probed = self.probed(scenario);
        let (answer, pause) = match scenario {
            Scenario::A => (Answer::Served, 16),
            Scenario::C => (Answer::Denied, 4),
        };
        for (number, name) in (0..).zip(probed.iter().chain(&probed)) {
            let time_ms = (self.start + TAKEOVER_MINUTE * 60 + number * pause) * 1000 + self.random.between(0, 3_000);
            let server = self.instances_of(name)[0];
            self.unusual_call(time_ms, 900, (agent, server), answer, ("GET", "/"));
        }
        match scenario {
            Scenario::A => self.move_on(agent),
            Scenario::C => self.try_in_vain(agent),
        }
    }

    /// Nothing but denials: of the session on the build runner, and of the payments.
    fn try_in_vain(&mut self, agent: usize) {
        for (name, from, attempts) in
            [(PIVOT, LATERAL_MINUTE, PIVOT_ATTEMPTS), (TARGET, TARGET_MINUTE, TARGET_ATTEMPTS)]
        {
            let server = self.instances_of(name)[0];
            for number in 0..i64::from(attempts) {
                let time_ms = (self.start + from * 60 + number * 11) * 1000 + self.random.between(0, 5_000);
                self.unusual_call(time_ms, 900, (agent, server), Answer::Denied, ("POST", "/v1/payouts"));
            }
        }
    }

    /// The agent moves to the build runner, fetches secrets there, and calls the payment service with them.
    fn move_on(&mut self, agent: usize) {
        let pivot = self.instances_of(PIVOT)[0];
        let lateral_ms = (self.start + LATERAL_MINUTE * 60) * 1000;
        let session_ms = (TRANSFER_MINUTES.end + 2 - LATERAL_MINUTE) * 60_000;
        self.unusual_call(lateral_ms, session_ms, (agent, pivot), Answer::Served, ("", ""));
        let secrets = self.instances_of(SECRETS)[0];
        for number in 0..SECRETS_CALLS {
            let time_ms = (self.start + SECRETS_MINUTE * 60 + number * 9) * 1000;
            self.unusual_call(time_ms, 40, (pivot, secrets), Answer::Served, ("", ""));
        }
        let targets = self.instances_of(TARGET);
        let span_ms = (TRANSFER_MINUTES.end - TRANSFER_MINUTES.start) * 60_000;
        for number in 0..i64::from(TRANSFER_CALLS) {
            let step_ms = span_ms / i64::from(TRANSFER_CALLS);
            let time_ms =
                (self.start + TRANSFER_MINUTES.start * 60) * 1000 + number * step_ms + self.random.between(0, 500);
            let server = targets[self.random.below(3) as usize];
            let duration_ms = self.random.between(8, 60);
            self.unusual_call(time_ms, duration_ms, (pivot, server), Answer::Served, ("POST", "/v1/payouts"));
        }
    }

    fn unusual_call(
        &mut self,
        time_ms: i64,
        duration_ms: i64,
        (client, server): (usize, usize),
        answer: Answer,
        operation: (&'static str, &'static str),
    ) {
        let client_port = self.ephemeral_port();
        let (bytes_out, bytes_in) = (self.random.between(700, 1_400), self.random.between(300, 900));
        // A session that goes on carries as much each second.
        let scale = 1 + duration_ms / 1000;
        let (bytes_out, bytes_in) = (bytes_out * scale, bytes_in * scale);
        self.calls.push(Call {
            time_ms,
            duration_ms,
            client,
            client_port,
            server,
            bytes_out,
            bytes_in,
            answer,
            operation,
        });
    }
}

/// `SplitMix64` (Steele, Lea, Flood, OOPSLA 2014): the same numbers for the same seed, on every machine.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Evenly from `0..bound`.
    fn below(&mut self, bound: u32) -> u32 {
        u32::try_from(self.next() % u64::from(bound)).expect("a remainder is below its divisor")
    }

    /// Evenly from `low..=high`.
    fn between(&mut self, low: u32, high: u32) -> i64 {
        i64::from(low + self.below(high - low + 1))
    }
}
