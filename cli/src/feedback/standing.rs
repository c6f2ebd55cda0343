//! What holds of all that was said: the last word on each finding, and the suppressions that nobody lifted.

use std::collections::BTreeMap;
use tradewind_model::{ControlAction, RecordedControl};

/// The last word on each finding that was accepted or dismissed.
pub(crate) fn words_on_findings(rows: &[RecordedControl]) -> BTreeMap<&str, &RecordedControl> {
    let is_word = |row: &&RecordedControl| matches!(row.action, ControlAction::Accept | ControlAction::Dismiss);
    rows.iter().filter(is_word).filter_map(|row| Some((row.finding_id.as_deref()?, row))).collect()
}

/// Suppressions that were not lifted, by name. Some may have ended by themselves.
pub(crate) fn suppressions(rows: &[RecordedControl]) -> BTreeMap<&str, &RecordedControl> {
    let mut holding = BTreeMap::new();
    for row in rows {
        let Some(name) = row.name.as_deref() else { continue };
        match row.action {
            ControlAction::Suppress => {
                holding.insert(name, row);
            }
            ControlAction::Lift => {
                holding.remove(name);
            }
            ControlAction::Accept | ControlAction::Dismiss => {}
        }
    }
    holding
}

/// The suppression of this name, where nobody lifted it.
pub(crate) fn suppression_of<'a>(rows: &'a [RecordedControl], name: &str) -> Option<&'a RecordedControl> {
    suppressions(rows).get(name).copied()
}

#[cfg(test)]
mod tests {
    use super::super::recorded::tests::{said, suppress};
    use super::*;

    #[test]
    fn the_last_word_holds() {
        let lift = |name| said(ControlAction::Lift, Some(name), None).record(5);
        let rows = [suppress("a", "x", 1), suppress("b", "x", 2), suppress("a", "y", 3), lift("b"), lift("c")];
        let holding = suppressions(&rows);
        assert_eq!(holding.keys().copied().collect::<Vec<_>>(), ["a"]);
        assert_eq!(holding["a"].scope.entity.as_deref(), Some("y"));
        assert!(suppression_of(&rows, "b").is_none());
    }

    #[test]
    fn only_findings_have_words() {
        let mut accept = said(ControlAction::Accept, None, None);
        accept.finding_id = Some("f".to_owned());
        let dismiss = super::super::Said { action: ControlAction::Dismiss, ..accept.clone() };
        let rows = [accept.record(1), dismiss.record(2), suppress("a", "x", 3)];
        let words = words_on_findings(&rows);
        assert_eq!(words.len(), 1);
        assert_eq!(words["f"].action, ControlAction::Dismiss);
    }
}
