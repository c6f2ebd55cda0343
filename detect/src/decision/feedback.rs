//! What people say of findings: accepted, dismissed, suppressed. Each holds from a
//! time of events on, which [`super::schedule`] waits for.

use crate::report::DetectorName;
use serde::{Deserialize, Serialize};
use tradewind_model::Finding;

/// One word of a person, or of a file that was reviewed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Control {
    /// It is as it should be: from now on it is this entity's habit, and what was held back from learning is learnt.
    Accept {
        /// The finding.
        finding_id: String,
    },
    /// It is not worth attention: the finding is told no more while it goes on.
    Dismiss {
        /// The finding.
        finding_id: String,
    },
    /// Tell nothing of this scope for some time. A suppression of the same name is replaced.
    Suppress(Suppression),
    /// Ends a suppression.
    Lift {
        /// Its name.
        name: String,
    },
    /// Takes back what was accepted or dismissed: it is decided about again as though nobody had said anything. What was
    /// learnt meanwhile stays learnt: a contact that is known by now is not new again.
    Revoke {
        /// The finding.
        finding_id: String,
    },
    /// Somebody looks after the finding: its incident says so from now on. Nothing else follows. Last, since snapshots know
    /// controls by their place.
    Acknowledge {
        /// The finding.
        finding_id: String,
    },
}

impl Control {
    /// The finding whose acceptance or dismissal it takes back.
    pub(crate) fn revoked(&self) -> Option<&str> {
        if let Self::Revoke { finding_id } = self { Some(finding_id) } else { None }
    }

    /// Whether it accepts or dismisses this finding.
    pub(crate) fn settles(&self, finding: &str) -> bool {
        matches!(self, Self::Accept { finding_id } | Self::Dismiss { finding_id } if finding_id == finding)
    }
}

/// Tell nothing of a scope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suppression {
    /// What it is called, in logs and in findings.
    pub name: String,
    /// Entity that acts; none: any.
    #[serde(default)]
    pub entity: Option<String>,
    /// Entity that is reached; none: any.
    #[serde(default)]
    pub destination: Option<String>,
    /// Port that is reached; none: any.
    #[serde(default)]
    pub port: Option<u16>,
    /// Behaviour, by its word; none: any.
    #[serde(default)]
    pub behaviour: Option<String>,
    /// Until when, event time, microseconds UTC.
    pub until: i64,
}

/// Whether it is neither to be hidden nor ever a habit: whoever moves through the network or breaks a rule is not to be hidden
/// by what was said of something else.
pub(crate) const fn is_grave(behaviour: DetectorName) -> bool {
    matches!(behaviour, DetectorName::Chain | DetectorName::Policy)
}

/// What a finding is about, for suppressions.
#[derive(Clone, Copy, Debug)]
pub(crate) struct About<'a> {
    pub(crate) entity: &'a str,
    pub(crate) behaviour: &'a str,
    /// Whom it reached, with ports.
    pub(crate) reached: &'a [(&'a str, Option<u16>)],
}

impl Suppression {
    /// Whether it is about all that the finding shows. Whether the finding is told nevertheless is another question: chains and
    /// breaches of the policy are.
    #[must_use]
    pub fn covers_finding(&self, finding: &Finding) -> bool {
        let port = |port: Option<i32>| port.and_then(|port| u16::try_from(port).ok());
        let reached: Vec<(&str, Option<u16>)> =
            finding.observations.iter().map(|seen| (seen.dst_entity.as_str(), port(seen.dst_port))).collect();
        let about = About { entity: &finding.entity, behaviour: &finding.behaviour, reached: &reached };
        self.covers(about, finding.time)
    }

    /// Whether it is about all of this: a finding of which only a part lies in the scope is told.
    pub(crate) fn covers(&self, about: About<'_>, time: i64) -> bool {
        let is_any_or = |wanted: &Option<String>, word: &str| wanted.as_deref().is_none_or(|wanted| wanted == word);
        let is_within = |&(destination, port): &(&str, Option<u16>)| {
            is_any_or(&self.destination, destination) && self.port.is_none_or(|wanted| port == Some(wanted))
        };
        time < self.until
            && is_any_or(&self.entity, about.entity)
            && is_any_or(&self.behaviour, about.behaviour)
            && about.reached.iter().all(is_within)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(edit: impl FnOnce(&mut Suppression), expected: bool) {
        let mut suppression = Suppression {
            name: String::from("known"),
            entity: None,
            destination: None,
            port: None,
            behaviour: None,
            until: 100,
        };
        edit(&mut suppression);
        let about = About { entity: "a", behaviour: "transfer", reached: &[("b", Some(443)), ("c", Some(443))] };
        assert_eq!(suppression.covers(about, 50), expected, "{suppression:?}");
    }

    #[test]
    fn scopes_cover_what_lies_wholly_in_them() {
        check(|_| (), true);
        check(|s| s.until = 50, false);
        check(|s| s.entity = Some("a".into()), true);
        check(|s| s.entity = Some("b".into()), false);
        check(|s| s.destination = Some("b".into()), false);
        check(|s| s.port = Some(443), true);
        check(|s| s.port = Some(22), false);
        check(|s| s.behaviour = Some("transfer".into()), true);
        check(|s| s.behaviour = Some("scan".into()), false);
    }
}
