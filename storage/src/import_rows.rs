//! Rows of `dead_letters`, `coverage` and `imports` as cells, in the order of their field tables. Not the committing.

use crate::import::{Coverage, DeadLetter, ImportedObject, key};
use crate::rows::Cell;
use tradewind_model::time::day_of;

pub(crate) fn dead_letter_rows(letters: &[DeadLetter]) -> Vec<(String, Vec<Cell>)> {
    letters
        .iter()
        .map(|letter| {
            let row = vec![
                letter.ingest_time.into(),
                day_of(letter.ingest_time).into(),
                letter.source.clone().into(),
                letter.reason.as_ref().into(),
                letter.detail.as_str().into(),
                letter.position.as_str().into(),
                letter.position_offset.into(),
                letter.position_index.into(),
                letter.path.as_str().into(),
                letter.raw_bytes.into(),
                letter.raw.as_str().into(),
            ];
            (letter.key(), row)
        })
        .collect()
}

pub(crate) fn coverage_rows(coverage: &[Coverage]) -> Vec<(String, Vec<Cell>)> {
    coverage
        .iter()
        .map(|minute| {
            let row = vec![
                minute.minute.into(),
                day_of(minute.minute).into(),
                minute.source.as_str().into(),
                minute.observer.clone().into(),
                minute.position.as_str().into(),
                (minute.flows + minute.gaps + minute.rejected.unwrap_or_default()).into(),
                minute.flows.into(),
                minute.gaps.into(),
                minute.gap_reason.clone().into(),
                minute.rejected.into(),
                minute.bytes_in.into(),
                minute.lag_us.into(),
            ];
            (key(&minute.position, Some(&minute.source)), row)
        })
        .collect()
}

pub(crate) fn import_row(version: i64, object: &ImportedObject) -> Vec<Cell> {
    vec![
        object.content_hash.as_str().into(),
        object.import_time.into(),
        version.into(),
        object.path.as_str().into(),
        object.source.clone().into(),
        object.format_reason.clone().into(),
        object.bytes_in.into(),
        object.records.into(),
        object.flows.into(),
        object.rejected.into(),
        object.gaps.into(),
    ]
}
