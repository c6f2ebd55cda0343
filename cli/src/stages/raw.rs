//! Raw records to decoded flows: unpacks, chooses the format, decodes, and marks each row with where it is from. It knows
//! no log but the records that it is given.

use super::framing::{as_lines, unpack};
use std::io::Cursor;
use std::sync::Arc;
use tradewind_formats::aws_vpc::decode_parquet;
use tradewind_formats::contract::{Counts, Decoded, Reason, Reject};
use tradewind_formats::detect::{Chosen, FormatChoice, Framing as Cut, HEAD_BYTES, UnknownFormat, choose, segments};
use tradewind_formats::framing::{ChunkSizes, Piece, Records};
use tradewind_formats::unpack::Packing;
use tradewind_model::field::TextCol;
use tradewind_model::flow::{DST_NETWORK, OBSERVER, POSITION, POSITION_INDEX, POSITION_OFFSET, SRC_NETWORK};
use tradewind_model::{FlowBatch, NULL_CODE};
use tradewind_transport::envelope::{Framing, RawEnvelope};
use tradewind_transport::{Received, Record};

/// Rows of a Parquet value that are decoded at once.
const PARQUET_ROWS: usize = 64 * 1024;
/// The longest value that is decoded without being cut into chunks.
const PLAIN_BYTES_MAX: usize = 8 << 20;

/// A rejected record with what is known of its origin.
#[derive(Debug)]
pub(super) struct Rejected {
    /// Format it was read as.
    pub(super) source: Option<&'static str>,
    pub(super) reason: Reason,
    pub(super) detail: String,
    /// Offset of the raw record.
    pub(super) offset: i64,
    /// Its place in the unpacked value.
    pub(super) index: i64,
    pub(super) bytes: Vec<u8>,
    pub(super) length: u64,
    pub(super) received_time: i64,
    /// What the collector says of where it is from.
    pub(super) path: Option<String>,
}

/// What was made of one raw record.
#[derive(Clone, Debug)]
pub(super) struct Took {
    /// Format it was read as.
    pub(super) source: Option<&'static str>,
    pub(super) observer: Option<String>,
    pub(super) received_time: i64,
    pub(super) counts: Counts,
    pub(super) bytes: u64,
    /// Rows of the batch that are its.
    pub(super) rows: std::ops::Range<usize>,
}

/// Decodes raw records of one partition.
#[derive(Debug)]
pub(super) struct RawDecoder {
    /// `topic/partition`.
    position: String,
    defaults: RawEnvelope,
    /// The format that was parsed last, by its text.
    format: (String, FormatChoice),
    pub(super) decoded: Decoded,
    pub(super) rejected: Vec<Rejected>,
    pub(super) took: Vec<Took>,
}

impl RawDecoder {
    /// Decodes records of this partition, whose producers may leave out what `defaults` says.
    pub(super) fn new(position: String, defaults: RawEnvelope) -> Self {
        Self {
            position,
            defaults,
            format: (String::new(), FormatChoice::Auto),
            decoded: Decoded::default(),
            rejected: Vec::new(),
            took: Vec::new(),
        }
    }

    /// Forgets what was taken.
    pub(super) fn clear(&mut self) {
        self.decoded.clear();
        self.rejected.clear();
        self.took.clear();
    }

    /// Takes one raw record in: all of its rows, or its rejects.
    pub(super) fn take(&mut self, received: &Received) {
        let from = self.decoded.flows.len();
        let at = At { offset: received.offset, received_time: received.record.timestamp, path: None };
        let took = match RawEnvelope::of(&received.record, &self.defaults) {
            Ok(envelope) => {
                let at = At {
                    received_time: envelope.received_time.unwrap_or(at.received_time),
                    path: envelope.source.clone(),
                    ..at
                };
                let source = self.decode(&received.record, &envelope);
                self.settle(source, from, &at, &envelope)
            }
            Err(error) => {
                let value = &received.record.value;
                self.decoded.reject(Reason::BadSyntax, error.to_string(), 0, value);
                self.settle(None, from, &at, &RawEnvelope::default())
            }
        };
        self.took.push(Took { bytes: received.record.value.len() as u64, ..took });
    }

    /// Adds rows and rejects of a value; the name of the format it was read as.
    fn decode(&mut self, record: &Record, envelope: &RawEnvelope) -> Option<&'static str> {
        let wanted = match self.choice(envelope.format.as_deref().unwrap_or("auto")) {
            Ok(wanted) => wanted,
            Err(detail) => {
                self.decoded.reject(Reason::UnknownFormat, detail, 0, &record.value);
                return None;
            }
        };
        let value = &record.value[..];
        let is_plain = Packing::of(value) == Packing::None && value.len() <= PLAIN_BYTES_MAX;
        if is_plain {
            return self.decode_plain(value, envelope, &wanted);
        }
        match unpack(record.value.clone()) {
            Ok(unpacked) => self.decode_plain(&unpacked, envelope, &wanted),
            Err((reason, detail)) => {
                self.decoded.reject(reason, detail, 0, value);
                None
            }
        }
    }

    fn choice(&mut self, text: &str) -> Result<FormatChoice, String> {
        if self.format.0 != text {
            let parsed = text.parse().map_err(|error| format!("header or setting `format`: {error}"))?;
            self.format = (text.to_owned(), parsed);
        }
        Ok(self.format.1.clone())
    }

    fn decode_plain(&mut self, value: &[u8], envelope: &RawEnvelope, wanted: &FormatChoice) -> Option<&'static str> {
        let framed;
        let value = match envelope.framing {
            Framing::Lines => value,
            Framing::One | Framing::JsonArray => match as_lines(value, envelope.framing) {
                Ok(lines) => {
                    framed = lines;
                    &framed[..]
                }
                Err(detail) => {
                    self.decoded.reject(Reason::BadJson, detail, 0, value);
                    return None;
                }
            },
        };
        let preamble = envelope.preamble.as_deref().unwrap_or_default();
        let chosen = if preamble.is_empty() {
            choose(&value[..value.len().min(HEAD_BYTES)], wanted)
        } else {
            let head = [preamble, &value[..value.len().min(HEAD_BYTES)]].concat();
            choose(&head, wanted)
        };
        let chosen = match chosen {
            Ok(chosen) => chosen,
            Err(UnknownFormat::Empty) => return None,
            Err(unknown) => {
                self.decoded.reject(Reason::UnknownFormat, unknown.to_string(), 0, value);
                return None;
            }
        };
        let name = chosen.format.name();
        match chosen.framing {
            Cut::Parquet => self.decode_parquet(value),
            Cut::Text(records) => self.decode_text(value, preamble, chosen, records),
        }
        Some(name)
    }

    fn decode_text(&mut self, value: &[u8], preamble: &[u8], chosen: Chosen, records: Records) {
        let skip = chosen.skip.saturating_sub(preamble.len()).min(value.len());
        // What the preamble says holds from the first line on.
        let mut format = match segments(preamble, &chosen.format).pop() {
            Some((_, format)) if !preamble.is_empty() => format,
            _ => Arc::clone(&chosen.format),
        };
        let sizes = ChunkSizes::default();
        let is_whole = records == Records::Lines && value.len() <= sizes.chunk_bytes.min(sizes.record_bytes_max);
        if is_whole {
            self.decode_lines(&value[skip..], skip as u64, chosen.has_headers, &mut format);
            return;
        }
        let mut chunks = tradewind_formats::framing::Chunks::new(Cursor::new(&value[skip..]), records, sizes);
        let mut chunk = Vec::new();
        while let Ok(Some(piece)) = chunks.next(&mut chunk) {
            match piece {
                Piece::Records { offset } => {
                    self.decode_lines(&chunk, offset + skip as u64, chosen.has_headers, &mut format);
                }
                Piece::Reject(mut reject) => {
                    reject.offset += skip as u64;
                    self.decoded.counts.rejected += 1;
                    self.decoded.counts.records += 1;
                    self.decoded.rejects.push(reject);
                }
            }
        }
    }

    fn decode_lines(
        &mut self,
        lines: &[u8],
        offset: u64,
        has_headers: bool,
        format: &mut Arc<dyn tradewind_formats::Format>,
    ) {
        if !has_headers {
            format.decode(lines, offset, &mut self.decoded);
            return;
        }
        for (range, layout) in segments(lines, format) {
            layout.decode(&lines[range.clone()], offset + range.start as u64, &mut self.decoded);
            *format = layout;
        }
    }

    /// A Parquet file as a message is whole or nothing.
    fn decode_parquet(&mut self, value: &[u8]) {
        let rejected = |decoded: &mut Decoded, reason, detail: String| decoded.reject(reason, detail, 0, value);
        let file = tempfile::tempfile().and_then(|mut file| {
            std::io::Write::write_all(&mut file, value)?;
            std::io::Seek::rewind(&mut file)?;
            Ok(file)
        });
        let file = match file {
            Ok(file) => file,
            Err(error) => return rejected(&mut self.decoded, Reason::CorruptInput, error.to_string()),
        };
        let mut parts = Vec::new();
        let read = decode_parquet(file, PARQUET_ROWS, &mut |part: &mut Decoded| {
            parts.push(std::mem::take(part));
            Ok::<(), std::io::Error>(())
        });
        let damage = parts.iter().flat_map(|part| &part.rejects).find(|reject| reject.reason.is_of_object());
        if let Some(damage) = damage {
            return rejected(&mut self.decoded, damage.reason, damage.detail.clone());
        }
        if let Err(error) = read {
            return rejected(&mut self.decoded, Reason::CorruptInput, error.to_string());
        }
        for part in parts {
            self.decoded.append(part);
        }
    }

    /// Marks the rows since `from` and gathers the rejects.
    fn settle(&mut self, source: Option<&'static str>, from: usize, at: &At, envelope: &RawEnvelope) -> Took {
        let counts = std::mem::take(&mut self.decoded.counts);
        for reject in std::mem::take(&mut self.decoded.rejects) {
            self.rejected.push(at.rejected(source, reject));
        }
        self.decoded.reject_bytes = 0;
        let flows = &mut self.decoded.flows;
        let to = flows.len();
        if from < to {
            flows.fill_text(POSITION, from, &self.position);
            for row in from..to {
                // An envelope holds each of its events in its bytes, so that place and number are one number for each.
                let place = flows.num(POSITION_OFFSET).get(row).unwrap_or_default()
                    + flows.num(POSITION_INDEX).get(row).unwrap_or_default();
                flows.num_mut(POSITION_INDEX).set(row, place);
            }
            flows.fill_num(POSITION_OFFSET, from, at.offset);
            if let Some(observer) = &envelope.observer {
                fill_absent(flows, OBSERVER, from, observer);
            }
            if let Some(network) = &envelope.network {
                fill_absent(flows, SRC_NETWORK, from, network);
                fill_absent(flows, DST_NETWORK, from, network);
            }
        }
        Took {
            source,
            observer: envelope.observer.clone().or_else(|| envelope.collector.clone()),
            received_time: at.received_time,
            counts,
            bytes: 0,
            rows: from..to,
        }
    }
}

/// The place of a raw record.
#[derive(Clone, Debug)]
struct At {
    offset: i64,
    received_time: i64,
    path: Option<String>,
}

impl At {
    fn rejected(&self, source: Option<&'static str>, reject: Reject) -> Rejected {
        let place = reject.offset.saturating_add(reject.index.unwrap_or_default().into());
        Rejected {
            source,
            reason: reject.reason,
            detail: reject.detail,
            offset: self.offset,
            index: i64::try_from(place).unwrap_or(i64::MAX),
            bytes: reject.bytes,
            length: reject.length,
            received_time: self.received_time,
            path: self.path.clone(),
        }
    }
}

/// What the collector says stands where the log says nothing.
fn fill_absent(flows: &mut FlowBatch, target: TextCol, from: usize, text: &str) {
    let to = flows.len();
    let column = flows.text_mut(target);
    if (from..to).all(|row| column.code(row) == NULL_CODE) {
        flows.fill_text(target, from, text);
        return;
    }
    let code = column.intern(text);
    for row in from..to {
        if column.code(row) == NULL_CODE {
            column.set(row, code);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use tradewind_model::flow::SRC_PORT;

    const LINE: &str = "2 123456789010 eni-1 10.0.0.1 10.0.0.2 40000 443 6 10 840 1700000000 1700000060 ACCEPT OK\n";

    fn take(value: impl Into<Bytes>, envelope: &RawEnvelope) -> RawDecoder {
        let mut decoder = RawDecoder::new("raw/3".to_owned(), RawEnvelope::default());
        let record = envelope.record(value.into(), 17);
        decoder.take(&Received { offset: 5, record });
        decoder
    }

    #[test]
    fn rows_know_their_raw_record() {
        let decoder = take(LINE.repeat(2), &RawEnvelope { observer: Some("vantage".into()), ..RawEnvelope::default() });
        let flows = &decoder.decoded.flows;
        assert_eq!(flows.len(), 2);
        assert_eq!(flows.text(POSITION).get(1), Some("raw/3"));
        assert_eq!(flows.num(POSITION_OFFSET).get(1), Some(5));
        assert_eq!(flows.num(POSITION_INDEX).get(0), Some(0));
        assert_eq!(flows.num(POSITION_INDEX).get(1), i64::try_from(LINE.len()).ok());
        assert_eq!(decoder.took[0].counts.flows, 2);
    }

    #[test]
    fn addresses_are_in_the_space_that_the_envelope_names() {
        let decoder = take(LINE, &RawEnvelope { network: Some("vpc-1".into()), ..RawEnvelope::default() });
        let flows = &decoder.decoded.flows;
        assert_eq!(flows.text(SRC_NETWORK).get(0), Some("vpc-1"));
        assert_eq!(flows.text(DST_NETWORK).get(0), Some("vpc-1"));
        assert_eq!(take(LINE, &RawEnvelope::default()).decoded.flows.text(SRC_NETWORK).get(0), None);
    }

    #[test]
    fn a_preamble_tells_the_layout_and_is_no_record() {
        let header = "srcaddr dstaddr srcport dstport protocol start end action log-status version\n";
        let line = "10.0.0.1 10.0.0.2 40000 443 6 1700000000 1700000060 ACCEPT OK 5\n";
        let envelope = RawEnvelope { preamble: Some(Bytes::from_static(header.as_bytes())), ..RawEnvelope::default() };
        let decoder = take(line, &envelope);
        assert_eq!(decoder.took[0].counts, Counts { records: 1, flows: 1, ..Counts::default() });
        // The first line of a format without headers is no header.
        let envelope = RawEnvelope { preamble: Some(Bytes::from_static(LINE.as_bytes())), ..RawEnvelope::default() };
        assert_eq!(take(LINE, &envelope).took[0].counts.flows, 1);
    }

    #[test]
    fn packed_values_are_whole_or_nothing() {
        let packed = zstd::encode_all(LINE.repeat(1000).as_bytes(), 1).unwrap();
        assert_eq!(take(packed.clone(), &RawEnvelope::default()).took[0].counts.flows, 1000);
        let cut = take(packed[..packed.len() - 20].to_vec(), &RawEnvelope::default());
        assert_eq!(cut.decoded.flows.len(), 0);
        assert_eq!(cut.rejected.len(), 1);
        assert_eq!(cut.took[0].counts, Counts { records: 1, rejected: 1, ..Counts::default() });
    }

    #[test]
    fn what_is_no_record_is_kept() {
        let decoder = take("what is this\n", &RawEnvelope::default());
        assert_eq!(decoder.rejected[0].reason, Reason::UnknownFormat);
        assert_eq!(decoder.rejected[0].bytes, b"what is this\n");
        let envelope = RawEnvelope { format: Some("nonsense".to_owned()), ..RawEnvelope::default() };
        assert_eq!(take(LINE, &envelope).rejected.len(), 1);
        let bad = LINE.replace("443", "x443");
        let decoder = take(format!("{LINE}{bad}{LINE}"), &RawEnvelope::default());
        assert_eq!(decoder.took[0].counts, Counts { records: 3, flows: 2, rejected: 1, ..Counts::default() });
        assert_eq!(decoder.rejected[0].index, i64::try_from(LINE.len()).unwrap());
        assert_eq!(decoder.decoded.flows.num(SRC_PORT).get(1), Some(40_000));
    }
}
