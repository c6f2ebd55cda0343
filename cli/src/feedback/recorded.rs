//! One word of feedback as a row of table `controls`, and such a row as what detection takes in.

use tradewind_detect::report::DetectorName;
use tradewind_detect::{Control, Suppression};
use tradewind_model::{ControlAction, ControlOrigin, RecordedControl, Scope};

/// What somebody says, before it is recorded.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    pub(crate) action: ControlAction,
    pub(crate) finding_id: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) scope: Scope,
    pub(crate) until: Option<i64>,
    /// Event time from which it holds.
    pub(crate) time: i64,
    pub(crate) author: String,
    pub(crate) reason: Option<String>,
    pub(crate) origin: ControlOrigin,
}

impl Said {
    /// As it is recorded at this time.
    pub(crate) fn record(self, now: i64) -> RecordedControl {
        let mut recorded = RecordedControl {
            control_id: String::new(),
            recorded_time: now,
            time: self.time,
            action: self.action,
            finding_id: self.finding_id,
            name: self.name,
            scope: self.scope,
            until: self.until,
            author: self.author,
            reason: self.reason,
            origin: self.origin,
        };
        let text = serde_json::to_vec(&recorded).expect("texts and numbers are JSON");
        blake3::hash(&text).to_hex().as_str()[..32].clone_into(&mut recorded.control_id);
        recorded
    }
}

/// That a word is no behaviour, with those that there are.
pub(crate) fn no_behaviour(word: &str) -> String {
    let mut words: Vec<&str> = DetectorName::ALL.into_iter().map(DetectorName::as_str).collect();
    words.sort_unstable();
    format!("`{word}` is no behaviour: there are {}", words.join(", "))
}

/// The longest row that is taken in, in bytes of its texts: more is nothing that a person would say, and a log has a limit too.
const TEXTS_MAX: usize = 16 << 10;

/// What detection takes in; none of a row that does not say what it is about, or says too much.
pub(crate) fn control_of(recorded: &RecordedControl) -> Option<Control> {
    let Scope { entity, destination, behaviour, .. } = &recorded.scope;
    let optional = [&recorded.finding_id, &recorded.name, &recorded.reason, entity, destination, behaviour];
    let texts = optional.into_iter().flatten().chain([&recorded.author, &recorded.control_id]);
    if texts.map(String::len).sum::<usize>() > TEXTS_MAX {
        return None;
    }
    let finding_id = || recorded.finding_id.clone();
    Some(match recorded.action {
        ControlAction::Accept => Control::Accept { finding_id: finding_id()? },
        ControlAction::Dismiss => Control::Dismiss { finding_id: finding_id()? },
        ControlAction::Revoke => Control::Revoke { finding_id: finding_id()? },
        ControlAction::Acknowledge => Control::Acknowledge { finding_id: finding_id()? },
        ControlAction::Lift => Control::Lift { name: recorded.name.clone()? },
        ControlAction::Suppress => {
            let Scope { entity, destination, port, behaviour } = recorded.scope.clone();
            // Never of everything, whatever a table was made to say.
            let until = recorded.until.filter(|_| !recorded.scope.is_everything())?;
            Control::Suppress(Suppression { name: recorded.name.clone()?, entity, destination, port, behaviour, until })
        }
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A suppression of what this entity does, by a person, recorded at its time.
    pub(in crate::feedback) fn suppress(name: &str, entity: &str, now: i64) -> RecordedControl {
        said(ControlAction::Suppress, Some(name), Some(entity)).record(now)
    }

    pub(in crate::feedback) fn said(action: ControlAction, name: Option<&str>, entity: Option<&str>) -> Said {
        Said {
            action,
            finding_id: None,
            name: name.map(str::to_owned),
            scope: Scope { entity: entity.map(str::to_owned), ..Scope::default() },
            until: Some(9),
            time: 3,
            author: "ann".to_owned(),
            reason: None,
            origin: ControlOrigin::Command,
        }
    }

    fn check(said: Said, is_taken_in: bool) {
        assert_eq!(control_of(&said.clone().record(1)).is_some(), is_taken_in, "{said:?}");
    }

    #[test]
    fn what_says_nothing_is_not_taken_in() {
        use ControlAction::{Accept, Acknowledge, Dismiss, Lift, Revoke, Suppress};
        let of_finding = |action| Said { finding_id: Some("f".to_owned()), ..said(action, None, None) };
        check(said(Suppress, Some("a"), Some("b")), true);
        check(said(Suppress, None, Some("b")), false);
        check(said(Suppress, Some("a"), None), false);
        check(Said { until: None, ..said(Suppress, Some("a"), Some("b")) }, false);
        check(said(Lift, Some("a"), None), true);
        check(said(Lift, None, None), false);
        check(of_finding(Accept), true);
        check(of_finding(Dismiss), true);
        check(said(Accept, None, None), false);
        check(of_finding(Revoke), true);
        check(of_finding(Acknowledge), true);
        check(said(Acknowledge, None, None), false);
        check(said(Revoke, Some("a"), Some("b")), false);
        check(Said { reason: Some("x".repeat(TEXTS_MAX - 200)), ..of_finding(Accept) }, true);
        check(Said { reason: Some("x".repeat(TEXTS_MAX)), ..of_finding(Accept) }, false);
    }

    #[test]
    fn an_id_is_of_content_and_time() {
        let first = suppress("a", "b", 1);
        assert_eq!(first, suppress("a", "b", 1));
        assert_ne!(first.control_id, suppress("a", "b", 2).control_id);
        assert_ne!(first.control_id, suppress("a", "c", 1).control_id);
    }
}
