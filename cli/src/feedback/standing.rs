//! What holds of all that was said: the last word on each finding, and the suppressions that nobody lifted.

use crate::output::{counted, note};
use anyhow::Context as _;
use std::collections::BTreeMap;
use tradewind_model::{ControlAction, RecordedControl};
use tradewind_storage::Lake;

/// All that was said of findings, for a command: rows that cannot be read are left out, and it is said how many.
///
/// # Errors
/// A lake that cannot be read.
pub(crate) async fn all(lake: &Lake) -> anyhow::Result<Vec<RecordedControl>> {
    let controls = lake.controls().await.context("failed to read what was said of findings")?;
    if controls.unreadable > 0 {
        let rows = counted(controls.unreadable, "row of table controls", "rows of table controls");
        note(&format!("{rows} cannot be read, and are left out"));
    }
    Ok(controls.rows)
}

/// The last word on each finding that was accepted or dismissed, where it was not taken back.
pub(crate) fn words_on_findings(rows: &[RecordedControl]) -> BTreeMap<&str, &RecordedControl> {
    let mut words = BTreeMap::new();
    for row in rows {
        let Some(finding) = row.finding_id.as_deref() else { continue };
        match row.action {
            ControlAction::Accept | ControlAction::Dismiss => {
                words.insert(finding, row);
            }
            ControlAction::Revoke => {
                words.remove(finding);
            }
            ControlAction::Suppress | ControlAction::Lift | ControlAction::Acknowledge => {}
        }
    }
    words
}

/// Whether somebody said that they look after the finding.
pub(crate) fn acknowledged<'a>(rows: &'a [RecordedControl], finding_id: &str) -> Option<&'a RecordedControl> {
    let is_so = |row: &&RecordedControl| {
        row.action == ControlAction::Acknowledge && row.finding_id.as_deref() == Some(finding_id)
    };
    rows.iter().rfind(is_so)
}

/// The query for the findings that [`words_on_findings`] has.
pub(crate) const SETTLED: &str = "SELECT finding_id FROM (SELECT finding_id, action, row_number() OVER (PARTITION BY \
     finding_id ORDER BY recorded_time DESC, control_id DESC) AS age FROM controls WHERE finding_id IS NOT NULL AND action IN \
     ('accept', 'dismiss', 'revoke')) WHERE age = 1 AND action <> 'revoke'";

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
            ControlAction::Accept | ControlAction::Dismiss | ControlAction::Revoke | ControlAction::Acknowledge => {}
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
        let rows = [accept.clone().record(1), dismiss.record(2), suppress("a", "x", 3)];
        let words = words_on_findings(&rows);
        assert_eq!(words.len(), 1);
        assert_eq!(words["f"].action, ControlAction::Dismiss);
        let revoke = super::super::Said { action: ControlAction::Revoke, ..accept.clone() };
        let [first, second, _] = rows;
        let rows = [first, second, revoke.record(4)];
        assert!(words_on_findings(&rows).is_empty());
        let again = [&rows[..], &[accept.record(5)]].concat();
        assert_eq!(words_on_findings(&again)["f"].recorded_time, 5);
    }
}
