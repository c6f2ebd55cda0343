//! Who is there and who calls whom, before anything happens. Not when, nor what goes wrong.

use super::flow::{BenignKind, Entity, Label};
use super::random::Random;
use tradewind_model::entity::{EntityKind, entity_id};

/// What an entity does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Customers, outside.
    Internet,
    /// Takes calls from outside.
    Frontend,
    /// Takes calls from others.
    Backend,
    /// Keeps data.
    Database,
    /// Keeps copies of data.
    Cache,
    /// A message broker that several services and all agents share.
    Queue,
    /// An AI agent.
    Agent,
    /// Gives agents their model.
    ModelGateway,
    /// Moves money.
    Payment,
    /// Something of the platform, by its name.
    Platform,
    /// A service of others, outside.
    External,
    /// Where people log in.
    Bastion,
    /// Somebody from outside, or inside without a name: only attacks and fresh instances use it.
    Stranger,
}

/// How load goes over the day and week.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rhythm {
    /// With customers.
    Customers,
    /// With office hours.
    Office,
    /// Always the same.
    Steady,
}

/// A pair that talks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub(super) source: u16,
    pub(super) destination: u16,
    pub(super) port: u16,
    /// Connections in five minutes at ordinary load.
    pub(super) mean: f64,
    pub(super) rhythm: Rhythm,
    /// Medians.
    pub(super) bytes_out: f64,
    pub(super) bytes_in: f64,
    /// Spread of the logarithms of both.
    pub(super) spread: f64,
    /// Share that fails.
    pub(super) failing: f64,
    /// From when on it exists, windows since the start.
    pub(super) since: i64,
    /// What its first day is.
    pub(super) label: Label,
}

#[derive(Debug, Default)]
pub(super) struct Topology {
    pub(super) entities: Vec<Entity>,
    pub(super) roles: Vec<Role>,
    pub(super) calls: Vec<Call>,
}

/// Names of the platform's services, in this order after the others.
const PLATFORM: [(&str, u16); 10] = [
    ("dns", 53),
    ("log-collector", 4317),
    ("metrics", 9090),
    ("vault", 8200),
    ("scheduler", 8080),
    ("ci-runner", 9000),
    ("backup", 8443),
    ("scanner", 8834),
    ("directory", 389),
    ("kube-api", 6443),
];

impl Topology {
    /// So many entities, at least 40 and at most 100.
    pub(super) fn new(seed: u64, services: usize) -> Self {
        let services = services.clamp(40, 100);
        let mut random = Random::of(seed, 1);
        let mut made = Self::default();
        made.add(EntityKind::External, "outside", "customers", Role::Internet);
        ["saas-crm", "card-network", "package-mirror"]
            .iter()
            .for_each(|name| made.add(EntityKind::External, "outside", name, Role::External));
        PLATFORM.iter().for_each(|(name, _)| made.add(EntityKind::Service, "platform", name, Role::Platform));
        made.add(EntityKind::Host, "platform", "bastion", Role::Bastion);
        ["queue", "stream"].iter().for_each(|name| made.add(EntityKind::Service, "data", name, Role::Queue));
        made.add(EntityKind::Service, "payments", "payment-api", Role::Payment);
        made.add(EntityKind::Service, "ai", "model-gateway", Role::ModelGateway);
        let rest = services - made.entities.len();
        for (share, kind, namespace, name, role) in [
            (0.15, EntityKind::Service, "web", "frontend", Role::Frontend),
            (0.20, EntityKind::Service, "data", "db", Role::Database),
            (0.08, EntityKind::Service, "data", "cache", Role::Cache),
            (0.15, EntityKind::Agent, "ai", "agent", Role::Agent),
        ] {
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // A share of at most 100.
            let count = ((rest as f64 * share).round() as usize).max(3);
            (0..count).for_each(|number| made.add(kind, namespace, &format!("{name}-{number}"), role));
        }
        let teams = ["shop", "billing", "search", "logistics"];
        for number in 0..services.saturating_sub(made.entities.len()) {
            let name = format!("svc-{number}");
            made.add(EntityKind::Service, teams[number % teams.len()], &name, Role::Backend);
        }
        made.connect(&mut random);
        made
    }

    /// A new entity.
    pub(super) fn add(&mut self, kind: EntityKind, namespace: &str, name: &str, role: Role) {
        self.entities.push(Entity { name: entity_id(Some("prod"), Some(namespace), kind, name), kind });
        self.roles.push(role);
    }

    /// Index of an entity by its last name.
    pub(super) fn named(&self, name: &str) -> u16 {
        let place = self.entities.iter().position(|entity| entity.name.rsplit('/').next() == Some(name));
        number(place.expect("the name is one of the tables here"))
    }

    pub(super) fn of(&self, role: Role) -> Vec<u16> {
        (0..self.roles.len()).filter(|&place| self.roles[place] == role).map(number).collect()
    }

    /// The port that an entity serves.
    pub(super) fn port(&self, entity: u16) -> u16 {
        let name = self.entities[usize::from(entity)].name.rsplit('/').next().unwrap_or_default();
        match self.roles[usize::from(entity)] {
            Role::Database => 5432,
            Role::Cache => 6379,
            Role::Queue => 9092,
            Role::Backend => 8080,
            Role::Bastion => 22,
            Role::Platform => PLATFORM.iter().find(|(known, _)| *known == name).map_or(443, |&(_, port)| port),
            _ => 443,
        }
    }

    pub(super) fn has(&self, source: u16, destination: u16) -> bool {
        self.calls.iter().any(|call| call.source == source && call.destination == destination)
    }

    fn connect(&mut self, random: &mut Random) {
        let [frontends, backends, databases, caches, queues, agents] =
            [Role::Frontend, Role::Backend, Role::Database, Role::Cache, Role::Queue, Role::Agent]
                .map(|role| self.of(role));
        let customers = self.named("customers");
        for &frontend in &frontends {
            self.call(random, (customers, frontend), Rhythm::Customers, 20.0);
            for _ in 0..2 + random.below(3) {
                let backend = random.pick(&backends);
                self.call(random, (frontend, backend), Rhythm::Customers, 8.0);
            }
            let cache = random.pick(&caches);
            self.call(random, (frontend, cache), Rhythm::Customers, 10.0);
        }
        for (place, &backend) in backends.iter().enumerate() {
            let database = databases[place % databases.len()];
            self.call(random, (backend, database), Rhythm::Customers, 6.0);
            for _ in 0..random.below(3) {
                // Calls go one way only, so that there are no loops.
                if place + 1 < backends.len() {
                    let other = backends[place + 1 + random.below(backends.len() - place - 1)];
                    self.call(random, (backend, other), Rhythm::Customers, 3.0);
                }
            }
            if random.happens(0.5) {
                let queue = random.pick(&queues);
                self.call(random, (backend, queue), Rhythm::Customers, 4.0);
            }
            if random.happens(0.12) {
                let outside = self.named(random.pick(&["saas-crm", "package-mirror"]));
                self.call(random, (backend, outside), Rhythm::Office, 1.0);
            }
        }
        let payment = self.named("payment-api");
        for _ in 0..2 {
            let backend = random.pick(&backends);
            self.call(random, (backend, payment), Rhythm::Customers, 3.0);
        }
        self.call(random, (payment, self.named("card-network")), Rhythm::Customers, 3.0);
        self.call(random, (payment, databases[0]), Rhythm::Customers, 3.0);
        self.call(random, (payment, self.named("vault")), Rhythm::Steady, 0.3);
        for &agent in &agents {
            self.call(random, (agent, self.named("model-gateway")), Rhythm::Office, 6.0);
            self.call(random, (agent, self.named("queue")), Rhythm::Office, 3.0);
            for _ in 0..1 + random.below(2) {
                let backend = random.pick(&backends);
                self.call(random, (agent, backend), Rhythm::Office, 2.0);
            }
        }
        self.platform(random);
    }

    fn platform(&mut self, random: &mut Random) {
        let everybody: Vec<u16> = (0..number(self.entities.len())).filter(|&entity| !self.is_outside(entity)).collect();
        let [dns, logs, metrics, vault, kube] =
            ["dns", "log-collector", "metrics", "vault", "kube-api"].map(|name| self.named(name));
        for &entity in &everybody {
            self.call(random, (entity, dns), Rhythm::Steady, 2.0);
            self.call(random, (entity, logs), Rhythm::Steady, 1.5);
            self.call(random, (metrics, entity), Rhythm::Steady, 2.5);
            if random.happens(0.15) {
                self.call(random, (entity, vault), Rhythm::Steady, 0.2);
            }
        }
        for name in ["ci-runner", "scheduler", "metrics"] {
            self.call(random, (self.named(name), kube), Rhythm::Office, 1.5);
        }
        self.call(random, (self.named("ci-runner"), self.named("package-mirror")), Rhythm::Office, 2.0);
        self.call(random, (self.named("bastion"), self.named("directory")), Rhythm::Office, 0.4);
        self.call(random, (self.named("model-gateway"), self.named("saas-crm")), Rhythm::Office, 4.0);
    }

    fn is_outside(&self, entity: u16) -> bool {
        self.entities[usize::from(entity)].kind == EntityKind::External
    }

    /// Adds a pair, unless it is there already or is no pair.
    pub(super) fn call(&mut self, random: &mut Random, ends: (u16, u16), rhythm: Rhythm, mean: f64) {
        let mean = mean * (0.5 * random.normal()).exp();
        self.call_since(random, ends, rhythm, mean, 0, Label::Ordinary);
    }

    /// As [`Self::call`], from a window on.
    pub(super) fn call_since(
        &mut self,
        random: &mut Random,
        (source, destination): (u16, u16),
        rhythm: Rhythm,
        mean: f64,
        since: i64,
        label: Label,
    ) {
        if source == destination || self.has(source, destination) {
            return;
        }
        let is_scrape = self.named("metrics") == source;
        let port = if is_scrape { 9102 } else { self.port(destination) };
        self.calls.push(Call {
            source,
            destination,
            port,
            mean,
            rhythm,
            bytes_out: random.between(400.0, 3_000.0),
            bytes_in: random.between(600.0, 20_000.0),
            spread: random.between(0.25, 0.7),
            failing: if random.happens(0.2) { random.between(0.002, 0.02) } else { 0.0005 },
            since,
            label,
        });
    }

    /// A service that starts to exist: two call it and it calls three.
    pub(super) fn new_service(&mut self, random: &mut Random, name: &str, since: i64) {
        self.add(EntityKind::Service, "shop", name, Role::Backend);
        let fresh = number(self.entities.len() - 1);
        let label = Label::Benign(BenignKind::NewService);
        let (backends, databases) = (self.of(Role::Backend), self.of(Role::Database));
        let targets = [self.named("dns"), self.named("log-collector"), random.pick(&databases)];
        for target in targets {
            self.call_since(random, (fresh, target), Rhythm::Customers, 2.0, since, label);
        }
        self.call_since(random, (self.named("metrics"), fresh), Rhythm::Steady, 2.5, since, label);
        for _ in 0..2 {
            let caller = random.pick(&backends);
            self.call_since(random, (caller, fresh), Rhythm::Customers, 3.0, since + 6, label);
        }
    }
}

/// An index of an entity.
pub(super) fn number(place: usize) -> u16 {
    u16::try_from(place).expect("a scenario has far fewer than 65,536 entities")
}
