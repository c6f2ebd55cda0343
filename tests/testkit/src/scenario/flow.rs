//! One flow of a scenario with its truth. Not the flow record: only what detection sees, and what a test must know.

use super::attacks::AttackKind;
use tradewind_model::Outcome;
use tradewind_model::entity::EntityKind;

/// One row, in the order of `end_time`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Microseconds UTC.
    pub time: i64,
    /// Index of the initiator in [`Scenario::entities`](super::Scenario::entities).
    pub source: u16,
    /// Index of the responder.
    pub destination: u16,
    /// Port of the responder.
    pub port: u16,
    /// IANA protocol number.
    pub protocol: i16,
    /// How it ended.
    pub outcome: Outcome,
    /// Connections that the row stands for.
    pub connections: i64,
    /// Bytes from initiator to responder.
    pub bytes_out: i64,
    /// Bytes from responder to initiator.
    pub bytes_in: i64,
    /// What is true of it.
    pub label: Label,
}

/// What is true of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Label {
    /// Everyday traffic.
    Ordinary,
    /// Harmless, but not everyday.
    Benign(BenignKind),
    /// Part of an attack.
    Attack {
        /// What kind.
        kind: AttackKind,
        /// Index in [`Scenario::episodes`](super::Scenario::episodes).
        episode: u16,
    },
}

macro_rules! kinds {
    ($($kind:ident $word:literal $doc:literal),* $(,)?) => {
        /// Kinds of harmless traffic that is out of the ordinary.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum BenignKind {
            $(#[doc = $doc] $kind),*
        }

        impl BenignKind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$kind),*];

            /// The word in reports.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$kind => $word),* }
            }

            /// What happens, in a sentence.
            #[must_use]
            pub const fn description(self) -> &'static str {
                match self { $(Self::$kind => $doc),* }
            }
        }
    };
}

kinds! {
    Deployment "deployment" "A rolling restart: some calls fail, clients connect again.",
    Feature "feature" "A release that calls a service its predecessor did not.",
    Rare "rare" "A call that is made once a day or less: a report, a repair, a menu nobody opens.",
    Failover "failover" "Callers that turn to another service while theirs fails.",
    NewInstance "new-instance" "A fresh instance that the inventory does not know yet.",
    NewService "new-service" "A service that did not exist before.",
    Cron "cron" "A job of the schedule.",
    Backup "backup" "The nightly copy of all databases.",
    Incident "incident" "A service that fails for a while, and its callers' retries.",
    Admin "admin" "A person's session from the bastion host.",
    Peak "peak" "An hour of far more customers.",
    Resized "resized" "Answers that became larger for good.",
    Scanner "scanner" "The nightly scan for vulnerabilities.",
}

/// Who takes part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entity {
    /// `network/namespace/kind/name`.
    pub name: String,
    /// What it is.
    pub kind: EntityKind,
}
