//! What happens in a network where nothing is wrong: deployments, jobs, backups, failures, sessions of people. Decided
//! beforehand for the whole time, so that it is the same with and without attacks.

use super::flow::{BenignKind, Flow, Label};
use super::random::Random;
use super::topology::{Rhythm, Role, Topology, number};
use super::{WINDOW, WINDOWS_PER_DAY, is_weekend};
use tradewind_model::Outcome;
use tradewind_model::entity::EntityKind;

pub(super) const HOUR: i64 = WINDOWS_PER_DAY / 24;

/// What changes calls for a while. Windows since the start.
#[derive(Clone, Copy, Debug)]
pub(super) struct Event {
    pub(super) from: i64,
    pub(super) until: i64,
    pub(super) effect: Effect,
    pub(super) kind: BenignKind,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Effect {
    /// This share of calls to the entity fails, and callers make so many times the calls.
    Failing { entity: u16, share: f64, retries: f64 },
    /// Customers come so many times as often.
    Peak { factor: f64 },
    /// What this pair answers has so many times the size.
    Resized { source: u16, destination: u16, factor: f64 },
}

#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) events: Vec<Event>,
    /// Flows beside the calls, in the order of time.
    pub(super) flows: Vec<Flow>,
    /// The day on which nobody works.
    pub(super) holiday: i64,
}

struct Maker<'a> {
    topology: &'a mut Topology,
    random: Random,
    start: i64,
    plan: Plan,
}

impl Plan {
    pub(super) fn new(seed: u64, start: i64, days: i64, topology: &mut Topology) -> Self {
        let mut maker = Maker { topology, random: Random::of(seed, 2), start, plan: Self::default() };
        maker.plan.holiday = if days > 7 { 7 + maker.weekday(days.min(14) - 7) } else { -1 };
        for day in 0..days {
            maker.day(day);
        }
        maker.rare(days);
        maker.plan.flows.sort_by_key(|flow| flow.time);
        maker.plan
    }
}

impl Maker<'_> {
    /// One of the first days of a week that is no weekend.
    fn weekday(&mut self, days: i64) -> i64 {
        let working: Vec<i64> = (0..days).filter(|&day| !is_weekend(day)).collect();
        if working.is_empty() { 0 } else { self.random.pick(&working) }
    }

    fn day(&mut self, day: i64) {
        let is_working = !is_weekend(day) && day != self.plan.holiday;
        self.jobs(day);
        if is_working {
            for _ in 0..1 + self.random.below(3) {
                self.deployment(day);
            }
            for _ in 0..self.random.below(3) {
                self.session(day);
            }
            if self.random.happens(0.15) {
                self.new_service(day);
            }
        }
        if self.random.happens(0.3) {
            self.incident(day);
        }
        if self.random.happens(0.08) {
            let from = self.at(day, 10.0, 20.0);
            let effect = Effect::Peak { factor: self.random.between(1.8, 3.0) };
            self.plan.events.push(Event { from, until: from + HOUR, effect, kind: BenignKind::Peak });
        }
    }

    /// A window of the day between two hours.
    #[allow(clippy::cast_possible_truncation)] // Windows of one day.
    fn at(&mut self, day: i64, low: f64, high: f64) -> i64 {
        day * WINDOWS_PER_DAY + (self.random.between(low, high) * HOUR as f64) as i64
    }

    #[allow(clippy::cast_possible_truncation)] // Within one window.
    fn flow(&mut self, window: i64, ends: (u16, u16), port: u16, sizes: (f64, f64), kind: BenignKind) {
        let time = self.start + window * WINDOW + (self.random.uniform() * WINDOW as f64) as i64;
        let (bytes_out, bytes_in) = (self.random.log_normal(sizes.0, 0.3), self.random.log_normal(sizes.1, 0.3));
        self.plan.flows.push(Flow {
            time,
            source: ends.0,
            destination: ends.1,
            port,
            protocol: 6,
            outcome: Outcome::Allowed,
            connections: 1,
            bytes_out,
            bytes_in,
            label: Label::Benign(kind),
        });
    }

    /// What the schedule and the platform do every day.
    fn jobs(&mut self, day: i64) {
        let [scheduler, backup, scanner] = ["scheduler", "backup", "scanner"].map(|name| self.topology.named(name));
        let databases = self.topology.of(Role::Database);
        for hour in 0..24 {
            let window = day * WINDOWS_PER_DAY + hour * HOUR;
            for _ in 0..8 {
                self.flow(window, (scheduler, databases[0]), 5432, (2_000.0, 40_000.0), BenignKind::Cron);
            }
        }
        let backends = self.topology.of(Role::Backend);
        let night = day * WINDOWS_PER_DAY + 2 * HOUR;
        for _ in 0..25 {
            self.flow(night, (backends[0], databases[1]), 5432, (3_000.0, 400_000.0), BenignKind::Cron);
        }
        for (place, &database) in databases.iter().enumerate() {
            let window = day * WINDOWS_PER_DAY + HOUR + i64::from(number(place / 4));
            for _ in 0..4 {
                self.flow(window, (backup, database), 5432, (9_000.0, 80_000_000.0), BenignKind::Backup);
            }
        }
        let first = day * WINDOWS_PER_DAY + 3 * HOUR;
        for entity in 0..number(self.topology.entities.len()) {
            let role = self.topology.roles[usize::from(entity)];
            if matches!(role, Role::Internet | Role::External | Role::Stranger) || entity == scanner {
                continue;
            }
            for port in [22, 443, self.topology.port(entity)] {
                let window = first + i64::from(entity) / 6;
                self.flow(window, (scanner, entity), port, (200.0, 300.0), BenignKind::Scanner);
                if port != self.topology.port(entity) {
                    let last = self.plan.flows.last_mut().expect("it was just added");
                    (last.outcome, last.bytes_in) = (Outcome::Failed, 0);
                }
            }
        }
    }

    /// A new version of a service: restarts; at times a call it never made, an answer of another size, or an instance that
    /// the inventory learns of late.
    fn deployment(&mut self, day: i64) {
        let from = self.at(day, 9.0, 17.0);
        let backends = self.topology.of(Role::Backend);
        let entity = self.random.pick(&backends);
        let share = self.random.between(0.02, 0.15);
        let effect = Effect::Failing { entity, share, retries: 1.0 + share };
        self.plan.events.push(Event { from, until: from + 2, effect, kind: BenignKind::Deployment });
        if self.random.happens(0.3) {
            let others: Vec<u16> = backends.iter().copied().chain(self.topology.of(Role::Database)).collect();
            let other = self.random.pick(&others);
            let label = Label::Benign(BenignKind::Feature);
            let random = &mut self.random;
            self.topology.call_since(random, (entity, other), Rhythm::Customers, 2.0, from + 1, label);
        }
        if self.random.happens(0.15) {
            let called: Vec<(u16, u16)> = self
                .topology
                .calls
                .iter()
                .filter(|call| call.destination == entity)
                .map(|call| (call.source, call.destination))
                .collect();
            if !called.is_empty() {
                let (source, destination) = self.random.pick(&called);
                let factor = self.random.between(1.5, 3.0);
                let effect = Effect::Resized { source, destination, factor };
                self.plan.events.push(Event { from, until: i64::MAX, effect, kind: BenignKind::Resized });
            }
        }
        if self.random.happens(0.25) {
            let name = format!("10.4.{}.{}", self.random.below(250), self.random.below(250));
            self.topology.add(EntityKind::Unknown, "shop", &name, Role::Stranger);
            let fresh = number(self.topology.entities.len() - 1);
            for name in ["dns", "log-collector"] {
                let target = self.topology.named(name);
                let port = self.topology.port(target);
                self.flow(from, (fresh, target), port, (800.0, 1_500.0), BenignKind::NewInstance);
            }
        }
    }

    /// Calls that are made once a day or less. Which, nobody could say beforehand.
    fn rare(&mut self, days: i64) {
        let mut sources = self.topology.of(Role::Backend);
        sources.extend(self.topology.of(Role::Frontend));
        sources.extend(self.topology.of(Role::Agent));
        let mut targets = self.topology.of(Role::Backend);
        targets.extend(self.topology.of(Role::Database));
        targets.extend(self.topology.of(Role::Queue));
        targets.extend(["vault", "kube-api", "directory"].map(|name| self.topology.named(name)));
        for source in sources {
            if self.random.happens(0.4) {
                continue;
            }
            let target = self.random.pick(&targets);
            let since = i64::from(number(self.random.below(usize::try_from(days).unwrap_or(1)))) * WINDOWS_PER_DAY;
            let mean = self.random.between(0.002, 0.015);
            let label = Label::Benign(BenignKind::Rare);
            self.topology.call_since(&mut self.random, (source, target), Rhythm::Office, mean, since, label);
        }
    }

    /// A person logs in on some machine.
    fn session(&mut self, day: i64) {
        let window = self.at(day, 9.0, 18.0);
        let mut targets = self.topology.of(Role::Backend);
        targets.extend(self.topology.of(Role::Database));
        let target = self.random.pick(&targets);
        let bastion = self.topology.named("bastion");
        self.flow(window, (bastion, target), 22, (30_000.0, 200_000.0), BenignKind::Admin);
    }

    fn new_service(&mut self, day: i64) {
        let since = self.at(day, 9.0, 16.0);
        let name = format!("new-{day}");
        self.topology.new_service(&mut self.random, &name, since);
    }

    /// A service that fails for ten minutes to an hour.
    fn incident(&mut self, day: i64) {
        let from = self.at(day, 0.0, 23.0);
        let mut victims = self.topology.of(Role::Backend);
        victims.extend(self.topology.of(Role::Database));
        let entity = self.random.pick(&victims);
        let length = 2 + i64::from(number(self.random.below(10)));
        let share = self.random.between(0.3, 1.0);
        let effect = Effect::Failing { entity, share, retries: 1.0 + share };
        self.plan.events.push(Event { from, until: from + length, effect, kind: BenignKind::Incident });
        if self.random.happens(0.5) {
            let calls = self.topology.calls.iter().filter(|call| call.destination == entity && call.since <= from);
            let callers: Vec<u16> = calls.map(|call| call.source).filter(|&caller| caller != entity).collect();
            let role = self.topology.roles[usize::from(entity)];
            let others = self.topology.of(role);
            let other = self.random.pick(&others);
            let port = self.topology.port(other);
            for caller in callers.into_iter().filter(|&caller| caller != other).take(4) {
                for window in from + 1..from + length {
                    self.flow(window, (caller, other), port, (1_500.0, 6_000.0), BenignKind::Failover);
                }
            }
        }
    }
}
