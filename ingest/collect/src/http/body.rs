//! Bodies: read, unpacked and cut into records within limits of size, ratio and memory.

use crate::counters::RejectReason;
use crate::http::problem::Problem;
use crate::http::settings::HttpSettings;
use crate::lines::{CHUNK_BYTES_MAX, whole_lines};
use axum::body::Body;
use axum::http::StatusCode;
use bytes::Bytes;
use futures::StreamExt;
use std::io::Read;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tradewind_transport::envelope::{Encoding, Framing};

/// Bytes that one permit stands for.
const PERMIT_BYTES: usize = 4096;
/// A body that unpacks to less is let be, whatever its ratio.
const RATIO_FREE_BYTES: usize = 1024 * 1024;
/// Largest window of Zstandard, as a power of two: the 8 MiB that RFC 8878 section 3.1.1.1.2 asks decoders to support.
const WINDOW_LOG_MAX: u32 = 23;

/// Limits of one body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) body: usize,
    pub(crate) unpacked: usize,
    pub(crate) ratio: usize,
    pub(crate) record: usize,
}

impl Limits {
    pub(crate) const fn of(settings: &HttpSettings) -> Self {
        Self {
            body: settings.body_bytes_max,
            unpacked: settings.unpacked_bytes_max,
            ratio: settings.unpacked_ratio_max,
            record: settings.record_bytes_max,
        }
    }
}

/// The memory of all bodies.
#[derive(Clone, Debug)]
pub(crate) struct Memory {
    permits: Arc<Semaphore>,
}

impl Memory {
    pub(crate) fn new(bytes: usize) -> Self {
        Self { permits: Arc::new(Semaphore::new(bytes.div_ceil(PERMIT_BYTES))) }
    }

    pub(crate) fn hold(&self) -> Held {
        Held { memory: self.clone(), permit: None, bytes: 0 }
    }
}

/// Memory that one request holds until it is dropped.
#[derive(Debug)]
pub(crate) struct Held {
    memory: Memory,
    permit: Option<OwnedSemaphorePermit>,
    bytes: usize,
}

impl Held {
    /// Holds as many bytes in all. It never waits: requests that wait for one another's memory would wait for ever.
    fn grow(&mut self, bytes: usize) -> Result<(), Problem> {
        let has = self.bytes.div_ceil(PERMIT_BYTES);
        self.bytes = self.bytes.max(bytes);
        let more = self.bytes.div_ceil(PERMIT_BYTES) - has;
        if more == 0 {
            return Ok(());
        }
        let more = u32::try_from(more).map_err(|_| Problem::no_memory())?;
        let permit = Arc::clone(&self.memory.permits).try_acquire_many_owned(more).map_err(|_| Problem::no_memory())?;
        match &mut self.permit {
            Some(held) => held.merge(permit),
            held => *held = Some(permit),
        }
        Ok(())
    }
}

/// Reads a body as it is sent.
pub(crate) async fn read(
    body: Body,
    length: Option<usize>,
    limits: &Limits,
    held: &mut Held,
) -> Result<Vec<u8>, Problem> {
    let too_large = || {
        let max = limits.body;
        Problem::too_large(format!(
            "the body is longer than {max} bytes; send it in several requests, each ending with a whole record"
        ))
    };
    if length.is_some_and(|length| length > limits.body) {
        return Err(too_large());
    }
    held.grow(length.unwrap_or_default())?;
    let mut bytes = Vec::with_capacity(length.unwrap_or_default());
    let mut stream = body.into_data_stream();
    while let Some(data) = stream.next().await {
        let data = data.map_err(|_| {
            let detail = "the body did not come whole; send it again";
            Problem::new(StatusCode::BAD_REQUEST, RejectReason::Aborted, detail)
        })?;
        if bytes.len() + data.len() > limits.body {
            return Err(too_large());
        }
        held.grow(bytes.len() + data.len())?;
        bytes.extend_from_slice(&data);
    }
    Ok(bytes)
}

/// Unpacks a body. It takes time: not for the threads of the event loop.
pub(crate) fn unpack(packed: Vec<u8>, encoding: Encoding, limits: &Limits, held: &mut Held) -> Result<Bytes, Problem> {
    let unpacked = match encoding {
        Encoding::Identity => return Ok(Bytes::from(packed)),
        Encoding::Gzip => drain(flate2::bufread::MultiGzDecoder::new(packed.as_slice()), packed.len(), limits, held),
        Encoding::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::new(packed.as_slice()).map_err(|error| corrupt(&error))?;
            decoder.window_log_max(WINDOW_LOG_MAX).map_err(|error| corrupt(&error))?;
            drain(decoder, packed.len(), limits, held)
        }
    };
    unpacked.map(Bytes::from)
}

fn drain(mut decoder: impl Read, packed: usize, limits: &Limits, held: &mut Held) -> Result<Vec<u8>, Problem> {
    let mut unpacked = Vec::new();
    let mut block = vec![0; 128 * 1024];
    loop {
        let count = decoder.read(&mut block).map_err(|error| corrupt(&error))?;
        if count == 0 {
            return Ok(unpacked);
        }
        let length = unpacked.len() + count;
        if length > limits.unpacked {
            let max = limits.unpacked;
            return Err(Problem::too_large(format!(
                "the body unpacks to more than {max} bytes; send less in a request"
            )));
        }
        if length > RATIO_FREE_BYTES && length / limits.ratio > packed {
            let max = limits.ratio;
            return Err(Problem::too_large(format!(
                "the body unpacks to more than {max} times its size; send it unpacked"
            )));
        }
        held.grow(packed + length)?;
        unpacked.extend_from_slice(&block[..count]);
    }
}

fn corrupt(error: &std::io::Error) -> Problem {
    let detail = format!("the body is damaged, or is not packed as Content-Encoding says: {error}");
    Problem::new(StatusCode::BAD_REQUEST, RejectReason::Corrupt, detail)
}

/// How a request says that records lie in its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// As it says.
    Framing(Framing),
    /// It is JSON; its bytes tell.
    Json,
}

/// A body cut into values of raw records.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Records {
    pub(crate) framing: Framing,
    /// Values, each with the place where it begins in the body.
    pub(crate) values: Vec<(usize, Bytes)>,
    /// Lines, or 1 for another framing.
    pub(crate) count: u64,
}

/// Cuts a body into raw records.
pub(crate) fn cut(body: &Bytes, asked: Asked, limits: &Limits) -> Result<Records, Problem> {
    let trimmed = body.trim_ascii();
    if trimmed.is_empty() {
        return Err(Problem::malformed("the body is empty; send at least one record"));
    }
    let framing = match asked {
        Asked::Framing(framing) => framing,
        Asked::Json => json_framing(trimmed),
    };
    let max = limits.record;
    let too_long = || Problem::too_large(format!("a record is longer than {max} bytes"));
    if framing == Framing::Lines {
        let lines = body.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
        let (mut count, mut longest) = (0, 0);
        for line in lines {
            count += 1;
            longest = longest.max(line.len());
        }
        return if longest > max { Err(too_long()) } else { Ok(Records { framing, values: chunks(body), count }) };
    }
    if framing == Framing::JsonArray && !(trimmed.starts_with(b"[") && trimmed.ends_with(b"]")) {
        return Err(Problem::malformed("the body is no JSON array: it does not begin with `[` and end with `]`"));
    }
    if body.len() > max {
        let detail =
            format!("the body is longer than {max} bytes, which only lines may be; send them as application/x-ndjson");
        return Err(Problem::too_large(detail));
    }
    Ok(Records { framing, values: vec![(0, body.clone())], count: 1 })
}

/// An array, a single value, or, where each line begins as an object does, lines.
fn json_framing(trimmed: &[u8]) -> Framing {
    if trimmed.starts_with(b"[") {
        return Framing::JsonArray;
    }
    let mut lines = trimmed.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
    let is_lines = lines.clone().nth(1).is_some() && lines.all(|line| line.starts_with(b"{") && line.ends_with(b"}"));
    if is_lines { Framing::Lines } else { Framing::One }
}

fn chunks(body: &Bytes) -> Vec<(usize, Bytes)> {
    let (mut values, mut begin) = (Vec::new(), 0);
    while begin < body.len() {
        let left = body.len() - begin;
        let whole = if left <= CHUNK_BYTES_MAX { None } else { whole_lines(&body[begin..], CHUNK_BYTES_MAX) };
        let length = whole.unwrap_or(left);
        values.push((begin, body.slice(begin..begin + length)));
        begin += length;
    }
    values
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { body: 1 << 20, unpacked: 4 << 20, ratio: 100, record: 1000 };

    #[test]
    fn bodies_are_cut_by_their_framing() {
        let check = |body: &[u8], asked: Asked, expected: Result<(Framing, usize, u64), StatusCode>| {
            let answer = cut(&Bytes::copy_from_slice(body), asked, &LIMITS)
                .map(|records| (records.framing, records.values.len(), records.count))
                .map_err(|problem| problem.status);
            assert_eq!(answer, expected, "{}", String::from_utf8_lossy(&body[..body.len().min(60)]));
        };
        let lines = Asked::Framing(Framing::Lines);
        check(b"a\nb\n", lines, Ok((Framing::Lines, 1, 2)));
        check(b"a\n\nb", lines, Ok((Framing::Lines, 1, 2)));
        check(&b"a\n".repeat(600_000), lines, Ok((Framing::Lines, 2, 600_000)));
        check(b" \n ", lines, Err(StatusCode::BAD_REQUEST));
        check(b"", Asked::Json, Err(StatusCode::BAD_REQUEST));
        check(&[b'a'; 1001], lines, Err(StatusCode::PAYLOAD_TOO_LARGE));
        check(b" [{}, {}] ", Asked::Json, Ok((Framing::JsonArray, 1, 1)));
        check(b"[{}", Asked::Json, Err(StatusCode::BAD_REQUEST));
        check(b"{}", Asked::Framing(Framing::JsonArray), Err(StatusCode::BAD_REQUEST));
        check(b"{\n  \"a\": {\n  }\n}", Asked::Json, Ok((Framing::One, 1, 1)));
        check(b"{\"a\":1}\n{\"a\":2}\n", Asked::Json, Ok((Framing::Lines, 1, 2)));
        check(&[b'['; 1001], Asked::Framing(Framing::One), Err(StatusCode::PAYLOAD_TOO_LARGE));
    }

    #[test]
    fn bombs_are_stopped() {
        let memory = Memory::new(64 << 20);
        let check = |plain: &[u8], encoding: Encoding, expected: Result<usize, StatusCode>| {
            let packed = match encoding {
                Encoding::Identity => plain.to_vec(),
                Encoding::Zstd => zstd::encode_all(plain, 3).unwrap(),
                Encoding::Gzip => {
                    let mut packer = flate2::read::GzEncoder::new(plain, flate2::Compression::new(6));
                    let mut packed = Vec::new();
                    packer.read_to_end(&mut packed).unwrap();
                    packed
                }
            };
            let answer = unpack(packed, encoding, &LIMITS, &mut memory.hold());
            assert_eq!(answer.map(|bytes| bytes.len()).map_err(|problem| problem.status), expected);
        };
        let varied: Vec<u8> =
            (0..1_300_000_u32).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
        for encoding in [Encoding::Gzip, Encoding::Zstd] {
            check(&varied[..2 << 20], encoding, Ok(2 << 20));
            check(&vec![0; 1 << 20], encoding, Ok(1 << 20));
            check(&vec![0; 3 << 20], encoding, Err(StatusCode::PAYLOAD_TOO_LARGE));
            check(&varied, encoding, Err(StatusCode::PAYLOAD_TOO_LARGE));
            let damaged = unpack(b"not packed at all".to_vec(), encoding, &LIMITS, &mut memory.hold());
            assert_eq!(damaged.unwrap_err().reason, RejectReason::Corrupt);
        }
    }

    #[test]
    fn memory_is_given_back() {
        let memory = Memory::new(8192);
        let mut one = memory.hold();
        one.grow(5000).unwrap();
        one.grow(100).unwrap();
        assert_eq!(memory.hold().grow(1).unwrap_err().status, StatusCode::SERVICE_UNAVAILABLE);
        drop(one);
        memory.hold().grow(8192).unwrap();
    }
}
