//! Which faults there are, and which ones a seed draws. Doing them is not done here.

use crate::random::Random;
use crate::system::{LogKind, STAGES};

/// What can be wrong with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    Cut,
    Slow,
    Narrow,
    Stalled,
    Reset,
}

impl Trouble {
    const ALL: [Self; 5] = [Self::Cut, Self::Slow, Self::Narrow, Self::Stalled, Self::Reset];
}

/// Something that goes wrong on purpose. Each ends by itself, and what it did is taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// SIGKILL of a process.
    Kill {
        stage: &'static str,
    },
    /// SIGTERM of a process, which is then started again.
    Terminate {
        stage: &'static str,
    },
    /// SIGSTOP and SIGCONT: a process that may be taken for dead, and does not know it.
    Freeze {
        stage: &'static str,
        seconds: u64,
    },
    /// SIGKILL of the broker, and a start after a while.
    BrokerKill {
        down_ms: u64,
    },
    BrokerFreeze {
        seconds: u64,
    },
    /// For processes that reach it through the proxy.
    BrokerNetwork {
        trouble: Trouble,
        seconds: u64,
    },
    /// SIGKILL of the object store, and a start after a while.
    StoreKill {
        down_ms: u64,
    },
    /// Requests are refused with 500 and 503, not answered, torn, or done without an answer.
    StoreErrors {
        per_thousand: u32,
        seconds: u64,
    },
    StoreNetwork {
        trouble: Trouble,
        seconds: u64,
    },
    /// Compaction beside the writers, which may be killed itself.
    Compact {
        killed_after_ms: Option<u64>,
    },
    /// SIGKILL of the one process on the embedded log, and half a write at the end of its journal: what a loss of power leaves of a
    /// write that was under way and never acknowledged.
    TornWrite {
        bytes: u64,
    },
}

impl Fault {
    /// The word for reports.
    pub(crate) fn kind(&self) -> String {
        match self {
            Self::Kill { stage } => format!("kill_{stage}"),
            Self::Terminate { .. } => "terminate".to_owned(),
            Self::Freeze { .. } => "freeze".to_owned(),
            Self::BrokerKill { .. } => "kill_broker".to_owned(),
            Self::BrokerFreeze { .. } => "freeze_broker".to_owned(),
            Self::BrokerNetwork { .. } => "broker_network".to_owned(),
            Self::StoreKill { .. } => "kill_object_store".to_owned(),
            Self::StoreErrors { .. } => "object_store_errors".to_owned(),
            Self::StoreNetwork { .. } => "object_store_network".to_owned(),
            Self::Compact { .. } => "compact".to_owned(),
            Self::TornWrite { .. } => "torn_write".to_owned(),
        }
    }

    /// What only one fault at a time is done to.
    pub(crate) fn target(&self) -> Target {
        match self {
            Self::Kill { .. } | Self::Terminate { .. } | Self::Freeze { .. } => Target::Process,
            Self::TornWrite { .. } => Target::Journal,
            Self::BrokerKill { .. } | Self::BrokerFreeze { .. } => Target::Broker,
            Self::BrokerNetwork { .. } => Target::BrokerNetwork,
            Self::StoreKill { .. } => Target::Store,
            Self::StoreErrors { .. } => Target::StoreRequests,
            Self::StoreNetwork { .. } => Target::StoreNetwork,
            Self::Compact { .. } => Target::Compaction,
        }
    }
}

/// What faults are done to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Target {
    /// Any number of faults at a time: two kills in one moment are welcome.
    Process,
    Journal,
    Broker,
    BrokerNetwork,
    Store,
    StoreRequests,
    StoreNetwork,
    Compaction,
}

/// So many faults of a seed: decks of twenty, each with the same shares and in an order of its own.
pub(crate) fn draw(kind: LogKind, count: usize, seed: u64) -> Vec<Fault> {
    let mut random = Random::new(seed, "faults");
    let mut drawn = Vec::new();
    while drawn.len() < count {
        let mut deck = match kind {
            LogKind::Kafka => kafka_deck(&mut random),
            LogKind::Embedded => embedded_deck(&mut random),
        };
        random.shuffle(&mut deck);
        drawn.extend(deck);
    }
    drawn.truncate(count);
    drawn
}

/// Four broker kills in twenty: forty in two hundred.
fn kafka_deck(random: &mut Random) -> Vec<Fault> {
    let mut deck: Vec<Fault> = ["collect", "normalise", "normalise", "store", "store", "detect", "correlate"]
        .map(|stage| Fault::Kill { stage })
        .into();
    deck.push(Fault::Terminate { stage: random.choice(&STAGES) });
    // Beyond the session's six seconds, at times within them.
    deck.push(Fault::Freeze { stage: "store", seconds: random.between(7, 20) });
    deck.push(Fault::Freeze {
        stage: random.choice(&["normalise", "detect", "correlate", "collect"]),
        seconds: long(random),
    });
    deck.extend((0..4).map(|_| Fault::BrokerKill { down_ms: random.between(100, 6_000) }));
    deck.push(Fault::BrokerFreeze { seconds: random.between(2, 12) });
    deck.push(Fault::BrokerNetwork { trouble: random.choice(&Trouble::ALL), seconds: random.between(3, 15) });
    deck.push(Fault::StoreKill { down_ms: random.between(100, 6_000) });
    deck.push(Fault::StoreErrors { per_thousand: random.choice(&[100, 300, 600]), seconds: random.between(5, 12) });
    deck.push(Fault::StoreNetwork { trouble: random.choice(&Trouble::ALL), seconds: random.between(3, 12) });
    deck.push(Fault::Compact { killed_after_ms: random.percent(50).then(|| random.between(200, 3_000)) });
    deck
}

fn embedded_deck(random: &mut Random) -> Vec<Fault> {
    let all = STAGES[0];
    let mut deck = vec![Fault::Kill { stage: all }; 10];
    deck.extend((0..4).map(|_| Fault::TornWrite { bytes: random.between(1, 20_000) }));
    deck.extend([Fault::Terminate { stage: all }; 2]);
    deck.extend((0..2).map(|_| Fault::Freeze { stage: all, seconds: random.between(1, 10) }));
    deck.extend(
        (0..2).map(|_| Fault::Compact { killed_after_ms: random.percent(50).then(|| random.between(200, 3_000)) }),
    );
    deck
}

/// A few seconds mostly, and a minute at times.
fn long(random: &mut Random) -> u64 {
    if random.percent(10) { random.between(30, 60) } else { random.between(1, 15) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn counts(kind: LogKind, count: usize, seed: u64) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for fault in draw(kind, count, seed) {
            *counts.entry(fault.kind()).or_default() += 1;
        }
        counts
    }

    #[test]
    fn the_seed_decides() {
        let draw = |seed| draw(LogKind::Kafka, 40, seed);
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    #[test]
    fn every_kind_comes_and_brokers_often() {
        let counts = counts(LogKind::Kafka, 200, 3);
        assert_eq!(counts.values().sum::<usize>(), 200);
        assert_eq!(counts["kill_broker"], 40);
        assert_eq!(counts.len(), 14, "{counts:?}");
    }

    #[test]
    fn the_embedded_log_is_torn() {
        let counts = counts(LogKind::Embedded, 20, 3);
        assert_eq!((counts["torn_write"], counts["kill_collect"]), (4, 10));
    }
}
