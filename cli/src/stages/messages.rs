//! What travels in topics as JSON: dead letters and coverage, an array of rows a message.

use super::raw::{Rejected, Took};
use bytes::Bytes;
use foldhash::fast::RandomState;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use tradewind_formats::contract::Decoded;
use tradewind_model::flow::{END_TIME, INGEST_TIME, OBSERVER, SOURCE};
use tradewind_model::time::MINUTE;
use tradewind_model::{Finding, Incident, NULL_CODE, Provenance};
use tradewind_storage::{Coverage, DeadLetter};

/// Bytes of a message at about.
const MESSAGE_BYTES: usize = 512 * 1024;

/// A row of table `dead_letters`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DeadLetterRow {
    pub(crate) ingest_time: i64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) source: Option<String>,
    pub(crate) reason: String,
    pub(crate) detail: String,
    pub(crate) position: String,
    pub(crate) position_offset: i64,
    pub(crate) position_index: i64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) path: Option<String>,
    pub(crate) raw_bytes: i64,
    pub(crate) raw: String,
}

impl DeadLetterRow {
    pub(super) fn of(rejected: Rejected, position: &str) -> Self {
        Self {
            ingest_time: rejected.received_time,
            source: rejected.source.map(str::to_owned),
            reason: rejected.reason.as_str().to_owned(),
            detail: rejected.detail,
            position: position.to_owned(),
            position_offset: rejected.offset,
            position_index: rejected.index,
            path: rejected.path,
            raw_bytes: i64::try_from(rejected.length).unwrap_or(i64::MAX),
            raw: crate::import::printable(&rejected.bytes),
        }
    }
}

impl DeadLetterRow {
    pub(super) fn into_letter(self) -> DeadLetter {
        DeadLetter {
            ingest_time: self.ingest_time,
            source: self.source,
            reason: self.reason.into(),
            detail: self.detail,
            position: self.position,
            position_offset: self.position_offset,
            position_index: Some(self.position_index),
            path: self.path.unwrap_or_default(),
            raw_bytes: self.raw_bytes,
            raw: self.raw,
        }
    }
}

/// A finding, or what is newer of one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct FindingMessage {
    /// When it was written, microseconds UTC; the newest row of a finding counts.
    pub(crate) recorded_time: i64,
    pub(crate) finding: Finding,
    /// What it was made of; nothing in messages of older versions.
    #[serde(default)]
    pub(crate) provenance: Provenance,
}

/// An incident, or what is newer of one.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct IncidentMessage {
    /// When it was written, microseconds UTC; the newest row of an incident counts.
    pub(crate) recorded_time: i64,
    pub(crate) incident: Incident,
}

/// A row of table `coverage`: a minute of one observer and format, as far as one transaction brought it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CoverageRow {
    pub(crate) minute: i64,
    pub(crate) source: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) observer: Option<String>,
    pub(crate) position: String,
    pub(crate) flows: i64,
    pub(crate) gaps: i64,
    pub(crate) rejected: i64,
    pub(crate) bytes_in: i64,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) gap_reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub(crate) lag_us: Option<i64>,
}

/// What tells rows of coverage apart: minute, format, observer, reason of a gap.
type Cell = (i64, String, Option<String>, Option<String>);

/// What is counted of a cell.
#[derive(Default)]
struct Counted {
    flows: i64,
    gaps: i64,
    rejected: i64,
    bytes_in: i64,
    lag_us: Option<i64>,
}

impl CoverageRow {
    pub(super) fn into_coverage(self) -> Coverage {
        Coverage {
            minute: self.minute,
            source: self.source,
            observer: self.observer,
            position: self.position,
            flows: self.flows,
            gaps: self.gaps,
            gap_reason: self.gap_reason,
            rejected: Some(self.rejected),
            bytes_in: Some(self.bytes_in),
            lag_us: self.lag_us,
        }
    }

    /// Flows and gaps by their own minute; rejects and bytes by the minute of receipt, for what has no time of its own.
    pub(super) fn of(decoded: &Decoded, took: &[Took], position: &str) -> Vec<Self> {
        let mut cells: BTreeMap<Cell, Counted> = BTreeMap::new();
        let minute = |time: i64| time.div_euclid(MINUTE) * MINUTE;
        let flows = &decoded.flows;
        let [sources, observers] = [SOURCE, OBSERVER].map(|column| flows.text(column));
        let [ends, received] = [END_TIME, INGEST_TIME].map(|column| flows.num(column));
        let mut rows: HashMap<_, (i64, Option<i64>), RandomState> = HashMap::default();
        for row in 0..flows.len() {
            let end = ends.get(row);
            let key = (minute(end.unwrap_or_default()), sources.code(row), observers.code(row));
            let (count, lag) = rows.entry(key).or_default();
            *count += 1;
            *lag = (*lag).max(end.zip(received.get(row)).map(|(end, received)| received.saturating_sub(end)));
        }
        for ((time, source, observer), (count, lag)) in rows {
            let source = sources.dictionary().get(source).unwrap_or_default().to_owned();
            let observer = (observer != NULL_CODE).then(|| observers.dictionary().get(observer)).flatten();
            let cell = cells.entry((time, source, observer.map(str::to_owned), None)).or_default();
            cell.flows += count;
            cell.lag_us = cell.lag_us.max(lag);
        }
        for (observer, time, reason, count) in decoded.gaps.iter() {
            let source = took.iter().find_map(|took| took.source).unwrap_or_default().to_owned();
            let cell = (minute(time), source, observer.map(str::to_owned), Some(reason.to_owned()));
            cells.entry(cell).or_default().gaps += i64::try_from(count).unwrap_or(i64::MAX);
        }
        for took in took {
            let source = took.source.unwrap_or("unknown").to_owned();
            let cell = cells.entry((minute(took.received_time), source, took.observer.clone(), None)).or_default();
            cell.rejected += i64::try_from(took.counts.rejected).unwrap_or(i64::MAX);
            cell.bytes_in += i64::try_from(took.bytes).unwrap_or(i64::MAX);
        }
        let row = |((minute, source, observer, gap_reason), counted): (Cell, Counted)| Self {
            minute,
            source,
            observer,
            position: position.to_owned(),
            flows: counted.flows,
            gaps: counted.gaps,
            rejected: counted.rejected,
            bytes_in: counted.bytes_in,
            gap_reason,
            lag_us: counted.lag_us,
        };
        cells.into_iter().map(row).collect()
    }
}

/// Rows as messages of bounded size.
///
/// # Errors
/// None but those of the JSON writer.
pub(super) fn chunks<T: Serialize>(rows: impl Iterator<Item = T>) -> serde_json::Result<Vec<Bytes>> {
    let mut messages = Vec::new();
    let mut open: Vec<u8> = Vec::new();
    for row in rows {
        open.push(if open.is_empty() { b'[' } else { b',' });
        serde_json::to_writer(&mut open, &row)?;
        if open.len() >= MESSAGE_BYTES {
            open.push(b']');
            messages.push(std::mem::take(&mut open).into());
        }
    }
    if !open.is_empty() {
        open.push(b']');
        messages.push(open.into());
    }
    Ok(messages)
}
