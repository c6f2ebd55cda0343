//! What people, or files that were reviewed, say of findings, as it is recorded. What follows from it is in `detect`.

use crate::outcome::words;
use serde::{Deserialize, Serialize};

/// What is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ControlAction {
    /// What a finding tells of is as it should be.
    Accept,
    /// A finding is not worth attention.
    Dismiss,
    /// Tell nothing of a scope for some time.
    Suppress,
    /// A suppression ends.
    Lift,
    /// What was said of a finding is taken back: it is neither accepted nor dismissed.
    Revoke,
    /// Somebody looks after a finding, and so after its incident. It says nothing of what is to be made of it.
    Acknowledge,
}

words!(ControlAction {
    Accept => "accept", Dismiss => "dismiss", Suppress => "suppress", Lift => "lift", Revoke => "revoke",
    Acknowledge => "acknowledge",
});

/// Where it was said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ControlOrigin {
    /// A person gave a command.
    Command,
    /// It is in the file of suppressions, or is there no more.
    File,
}

words!(ControlOrigin { Command => "command", File => "file" });

/// What a suppression is about. What is not given is any.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    /// The entity that acts.
    pub entity: Option<String>,
    /// The entity that is reached.
    pub destination: Option<String>,
    /// The port that is reached.
    pub port: Option<u16>,
    /// The behaviour, by its word.
    pub behaviour: Option<String>,
}

impl Scope {
    /// Whether it would be about everything.
    #[must_use]
    pub const fn is_everything(&self) -> bool {
        self.entity.is_none() && self.destination.is_none() && self.port.is_none() && self.behaviour.is_none()
    }
}

/// One word of a person or of a file, with who, when and why: a row of table `controls`. Rows are never changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordedControl {
    /// Hash of all the rest: what is delivered twice is known by it.
    pub control_id: String,
    /// When it was said, microseconds UTC.
    pub recorded_time: i64,
    /// Event time from which it holds, microseconds UTC.
    pub time: i64,
    /// What is said.
    pub action: ControlAction,
    /// The finding it is about; of a suppression the one that it was made from.
    pub finding_id: Option<String>,
    /// Name of the suppression.
    pub name: Option<String>,
    /// What a suppression is about.
    pub scope: Scope,
    /// When a suppression ends by itself, event time, microseconds UTC.
    pub until: Option<i64>,
    /// Who says it.
    pub author: String,
    /// Why.
    pub reason: Option<String>,
    /// Where it was said.
    pub origin: ControlOrigin,
}
