//! Brings the file of suppressions into table `controls`: what is new or changed in it is recorded, and what is there no
//! more is lifted. Without a file nothing is done: another program may have one.

use super::standing::suppressions;
use super::{FileSuppression, Said};
use anyhow::Context as _;
use std::collections::BTreeSet;
use tradewind_model::{ControlAction, ControlOrigin, RecordedControl, Scope};
use tradewind_storage::Lake;

/// Who says what the file says.
const AUTHOR: &str = "file";

/// Records what changed in the file since it was last recorded. How much that was.
///
/// # Errors
/// The lake cannot be read or written.
pub(crate) async fn sync(lake: &Lake, file: &[FileSuppression], now: i64) -> anyhow::Result<usize> {
    let known = lake.controls().await.context("failed to read table controls")?;
    let changes = changes(&known.rows, file, now);
    lake.append_controls(&changes).await.context("failed to record the file of suppressions")?;
    if !changes.is_empty() {
        tracing::info!(changes = changes.len(), "the file of suppressions was recorded");
    }
    Ok(changes.len())
}

fn changes(rows: &[RecordedControl], file: &[FileSuppression], now: i64) -> Vec<RecordedControl> {
    let holding = suppressions(rows);
    let mut changes = Vec::new();
    for entry in file {
        let is_known = holding.get(entry.name.as_str()).is_some_and(|row| {
            let said = (&row.scope, row.until, &row.reason);
            row.origin == ControlOrigin::File && said == (&entry.scope, Some(entry.until), &entry.reason)
        });
        if !is_known {
            changes.push(said(entry).record(now));
        }
    }
    let names: BTreeSet<&str> = file.iter().map(|entry| entry.name.as_str()).collect();
    for (name, row) in holding {
        if row.origin == ControlOrigin::File && !names.contains(name) {
            let lift = Said {
                action: ControlAction::Lift,
                finding_id: None,
                name: Some(name.to_owned()),
                scope: Scope::default(),
                until: None,
                time: row.time,
                author: AUTHOR.to_owned(),
                reason: Some("it is no longer in the file".to_owned()),
                origin: ControlOrigin::File,
            };
            changes.push(lift.record(now));
        }
    }
    changes
}

/// A suppression of a file holds in every replay, of whatever time.
fn said(entry: &FileSuppression) -> Said {
    Said {
        action: ControlAction::Suppress,
        finding_id: None,
        name: Some(entry.name.clone()),
        scope: entry.scope.clone(),
        until: Some(entry.until),
        time: 0,
        author: AUTHOR.to_owned(),
        reason: entry.reason.clone(),
        origin: ControlOrigin::File,
    }
}

#[cfg(test)]
mod tests {
    use super::super::recorded::tests::suppress;
    use super::*;

    fn entry(name: &str, entity: &str) -> FileSuppression {
        let scope = Scope { entity: Some(entity.to_owned()), ..Scope::default() };
        FileSuppression { name: name.to_owned(), scope, until: 7, reason: None }
    }

    /// What a file changes after other files, as words with names.
    fn check(files: &[Vec<FileSuppression>], expected: &[&str]) {
        let mut rows = vec![suppress("by-hand", "x", 0)];
        let mut last = Vec::new();
        for (now, file) in files.iter().enumerate() {
            last = changes(&rows, file, i64::try_from(now).unwrap_or_default() + 1);
            rows.extend(last.iter().cloned());
        }
        let told: Vec<String> = last
            .iter()
            .map(|row| format!("{} {}", row.action.as_str(), row.name.as_deref().unwrap_or_default()))
            .collect();
        assert_eq!(told, expected, "{files:?}");
    }

    #[test]
    fn only_what_changed_is_recorded() {
        let (a, b, other_a) = (entry("a", "x"), entry("b", "x"), entry("a", "y"));
        check(&[vec![]], &[]);
        check(&[vec![a.clone(), b.clone()]], &["suppress a", "suppress b"]);
        check(&[vec![a.clone(), b.clone()], vec![b.clone(), a.clone()]], &[]);
        check(&[vec![a.clone(), b.clone()], vec![other_a, b.clone()]], &["suppress a"]);
        check(&[vec![a.clone(), b.clone()], vec![a.clone()]], &["lift b"]);
        check(&[vec![a.clone(), b.clone()], vec![a.clone()], vec![a.clone(), b]], &["suppress b"]);
        check(&[vec![a.clone()], vec![], vec![]], &[]);
        // The file has the last word on its names.
        check(&[vec![entry("by-hand", "x")]], &["suppress by-hand"]);
        check(&[vec![a]], &["suppress a"]);
    }
}
