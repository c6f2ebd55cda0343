//! Flows on their way from `normalise` to `store` and `detect`: batches in Arrow's IPC stream format, with raw positions.
//!
//! A message holds rows of one raw partition for one partition of the topic `flows`; columns without a value are left out,
//! and those with one value in all rows are run-end encoded. Any Arrow reader opens it. Beside rows, messages carry how far the raw partition is: [`FlowsHeader`].

mod decode;
mod encode;

pub use decode::decode;
pub use encode::FlowEncoder;

use crate::record::{Record, TopicPartition};
use arrow_schema::{ArrowError, DataType};
use bytes::Bytes;
use thiserror::Error;

/// Header: the raw partition that the rows are from, `topic/partition`.
pub const HEADER_RAW: &str = "tw-raw";
/// Header: the first offset of the raw records, and the one after the last: `from-next`.
pub const HEADER_OFFSETS: &str = "tw-offsets";
/// Header: all flows of the raw partition up to this event time are in, microseconds UTC.
pub const HEADER_WATERMARK: &str = "tw-watermark";
/// Header: nothing came from the raw partition for a while; nobody should wait for it.
pub const HEADER_IDLE: &str = "tw-idle";

/// A message of the topic `flows` cannot be read: it was damaged, or written by another program.
#[derive(Debug, Error)]
pub enum FlowsError {
    /// A header is missing or is not what it should be.
    #[error("a batch of flows lacks header `{0}`, or it cannot be read")]
    Header(&'static str),
    /// The value is not what it should be.
    #[error("a batch of flows cannot be read")]
    Value(#[source] ArrowError),
    /// A column of another type than the flow record has.
    #[error("column `{column}` of a batch of flows has type {found}")]
    Column {
        /// Its name.
        column: String,
        /// Its type.
        found: DataType,
    },
}

/// What a message of the topic `flows` says beside its rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowsHeader {
    /// The raw partition.
    pub raw: TopicPartition,
    /// First offset of the raw records, and the one after the last. Equal: no rows, only a watermark.
    pub offsets: (i64, i64),
    /// All flows of the raw partition up to this event time are in. None: nothing is known.
    pub watermark: Option<i64>,
    /// Nothing came from it for a while.
    pub is_idle: bool,
}

impl FlowsHeader {
    /// The message with these rows; empty: none.
    #[must_use]
    pub fn record(&self, rows: Bytes, timestamp: i64) -> Record {
        let mut record = Record { key: None, headers: Vec::with_capacity(4), value: rows, timestamp };
        record.add_header(HEADER_RAW, self.raw.to_string());
        record.add_header(HEADER_OFFSETS, format!("{}-{}", self.offsets.0, self.offsets.1));
        if let Some(watermark) = self.watermark {
            record.add_header(HEADER_WATERMARK, watermark.to_string());
        }
        if self.is_idle {
            record.add_header(HEADER_IDLE, Bytes::from_static(b"1"));
        }
        record
    }

    /// What a message says.
    ///
    /// # Errors
    /// Headers that are missing or cannot be read.
    pub fn of(record: &Record) -> Result<Self, FlowsError> {
        let text = |name: &'static str| {
            record
                .header(name)
                .map(|value| std::str::from_utf8(value).map_err(|_| FlowsError::Header(name)))
                .transpose()
        };
        let raw = text(HEADER_RAW)?.and_then(|raw| raw.rsplit_once('/'));
        let (topic, partition) = raw.ok_or(FlowsError::Header(HEADER_RAW))?;
        let partition = partition.parse().map_err(|_| FlowsError::Header(HEADER_RAW))?;
        let offsets = text(HEADER_OFFSETS)?.and_then(|offsets| {
            let (from, next) = offsets.split_once('-')?;
            Some((from.parse().ok()?, next.parse().ok()?))
        });
        let watermark = text(HEADER_WATERMARK)?.map(str::parse).transpose();
        Ok(Self {
            raw: TopicPartition::new(topic, partition),
            offsets: offsets.ok_or(FlowsError::Header(HEADER_OFFSETS))?,
            watermark: watermark.map_err(|_| FlowsError::Header(HEADER_WATERMARK))?,
            is_idle: record.header(HEADER_IDLE).is_some(),
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use tradewind_model::FlowBatch;
    use tradewind_model::flow::{
        BYTES_OUT, DATE, DST_PORT, OPENS, PROTOCOL_NUM, SOURCE, SRC_ENTITY, SRC_IP, START_TIME,
    };

    fn sample() -> FlowBatch {
        let mut flows = FlowBatch::default();
        for row in 0..5 {
            flows.set_text(SOURCE, "aws_vpc");
            flows.set_text(SRC_IP, ["10.0.0.1", "10.0.0.2"][usize::from(row % 2 == 1)]);
            if row > 2 {
                flows.set_text(SRC_ENTITY, "a/b/service/c");
                flows.set_num(BYTES_OUT, i64::MAX - row);
            }
            flows.set_num(START_TIME, 1_700_000_000_000_000 + row);
            flows.set_num(DATE, 19_000);
            flows.set_num(DST_PORT, 65_535);
            flows.set_num(PROTOCOL_NUM, 6);
            flows.set_num(OPENS, row % 2);
            flows.end_row();
        }
        flows
    }

    #[test]
    fn rows_come_back_in_order() {
        let flows = sample();
        let mut encoder = FlowEncoder::default();
        let check = |encoder: &mut FlowEncoder, rows: &[u32]| {
            let message = encoder.encode(&flows, rows).unwrap();
            let mut back = sample();
            assert_eq!(decode(&message, &mut back).unwrap(), rows.len());
            let wanted = (0..5).chain(rows.iter().map(|&row| row as usize)).map(|row| flows.row_json(row));
            assert_eq!((0..back.len()).map(|row| back.row_json(row)).collect::<Vec<_>>(), wanted.collect::<Vec<_>>());
        };
        for rows in [&[0, 1, 2, 3, 4][..], &[4, 0], &[3], &[0, 1], &[]] {
            check(&mut encoder, rows);
        }
    }

    #[test]
    fn rows_are_appended_to_a_batch_with_other_columns() {
        let mut flows = FlowBatch::default();
        flows.set_num(BYTES_OUT, 7);
        flows.end_row();
        let message = FlowEncoder::default().encode(&sample(), &[0, 4]).unwrap();
        decode(&message, &mut flows).unwrap();
        assert_eq!(flows.num(BYTES_OUT).get(0), Some(7));
        assert_eq!(flows.num(BYTES_OUT).get(1), None);
        assert_eq!(flows.text(SOURCE).get(0), None);
        assert_eq!(flows.text(SOURCE).get(1), Some("aws_vpc"));
    }

    #[test]
    fn damage_is_told() {
        let message = FlowEncoder::default().encode(&sample(), &[0, 1, 2]).unwrap();
        for end in [1, 8, message.len() / 2] {
            assert!(decode(&message.slice(..end), &mut FlowBatch::default()).is_err(), "{end}");
        }
        assert_eq!(decode(&Bytes::new(), &mut FlowBatch::default()).unwrap(), 0);
    }

    #[test]
    fn headers_come_back() {
        for (watermark, is_idle) in [(None, true), (Some(-5), false)] {
            let header = FlowsHeader { raw: TopicPartition::new("a/b.c", 3), offsets: (7, 9), watermark, is_idle };
            assert_eq!(FlowsHeader::of(&header.record(Bytes::new(), 1)).unwrap(), header);
        }
        assert!(FlowsHeader::of(&Record::default()).is_err());
    }
}
