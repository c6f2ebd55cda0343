//! What must hold for any bytes, one function for each fuzz target: the targets in `fuzz/` and the replay of their corpora
//! in `corpus.rs` share it. Not examples with expected values; the other modules have those.

use std::sync::{Arc, LazyLock};
use tradewind_formats::aws_vpc::{AwsVpc, CloudWatch, DEFAULT, Layout, TRANSIT_GATEWAY, decode_parquet};
use tradewind_formats::detect::{HEAD_BYTES, segments};
use tradewind_formats::envoy::{ENVOY_TEXT, ISTIO_TEXT, from_layout, json, sniff};
use tradewind_formats::framing::{BOM, ChunkSizes, Chunks, Piece, Records};
use tradewind_formats::unpack::{Limits, Packing, UnpackError, Unpacked};
use tradewind_formats::zeek::Json;
use tradewind_formats::{Counts, Decoded, Format, FormatChoice, Framing, Reject, address, choose};
use tradewind_model::flow;

/// Panics when something does not hold for the input; tells what was decoded of it.
pub(crate) type Check = fn(&[u8]) -> Counts;

/// The fuzz targets by name, which is also the folder of their corpus.
pub(crate) const TARGETS: &[(&str, Check)] = &[
    ("aws_vpc", aws_vpc),
    ("cloudwatch", cloudwatch),
    ("envoy", envoy),
    ("zeek", zeek),
    ("nginx", |input| of_family("nginx", input)),
    ("haproxy", |input| of_family("haproxy", input)),
    ("traefik", |input| of_family("traefik", input)),
    ("caddy", |input| of_family("caddy", input)),
    ("ztunnel", |input| of_family("ztunnel", input)),
    ("gcp_vpc", |input| of_family("gcp_vpc", input)),
    ("gcp_firewall", |input| of_family("gcp_firewall", input)),
    ("azure_nsg", |input| of_family("azure_nsg", input)),
    ("azure_vnet", |input| of_family("azure_vnet", input)),
    ("azure_firewall", |input| of_family("azure_firewall", input)),
    ("aws_alb", |input| of_family("aws_alb", input)),
    ("aws_nlb", |input| of_family("aws_nlb", input)),
    ("aws_network_firewall", |input| of_family("aws_network_firewall", input)),
    ("ocsf", |input| of_family("ocsf", input)),
    ("ecs", |input| of_family("ecs", input)),
    ("otlp", |input| of_family("otlp", input)),
    ("mapping", |input| of_family("mapping", input)),
    ("linkerd", |input| of_family("linkerd", input)),
    ("envelope", envelope),
    ("unpack", unpack),
    ("parquet", parquet),
];

/// Runs the check of a target.
pub(crate) fn check(target: &str, input: &[u8]) -> Counts {
    let (_, check) = TARGETS.iter().find(|(name, _)| *name == target).expect("the target is in the table");
    check(input)
}

/// Lines; the first may say what they are, as `--input-format` does. Other lines are taken for the default layout.
fn aws_vpc(input: &[u8]) -> Counts {
    let (wanted, log) = wanted(input);
    let Ok(chosen) = choose(&log[..log.len().min(HEAD_BYTES)], &wanted) else {
        return whole_and_parts(&as_lines(DEFAULT), Records::Lines, true, log, 0);
    };
    match chosen.framing {
        Framing::Text(records) => {
            whole_and_parts(&chosen.format, records, chosen.has_headers, &log[chosen.skip..], chosen.skip as u64)
        }
        Framing::Parquet => Counts::default(),
    }
}

/// CloudWatch Logs envelopes, whatever the input begins with.
fn cloudwatch(input: &[u8]) -> Counts {
    static FORMATS: LazyLock<[Arc<dyn Format>; 2]> = LazyLock::new(|| {
        [DEFAULT, TRANSIT_GATEWAY].map(|layout| Arc::new(CloudWatch::new(parsed(layout))) as Arc<dyn Format>)
    });
    let mut counts = Counts::default();
    for format in FORMATS.iter() {
        counts.add(whole_and_parts(format, Records::JsonObjects, false, input, 0));
    }
    if let Ok(chosen) = choose(&input[..input.len().min(HEAD_BYTES)], &FormatChoice::Auto)
        && chosen.framing == Framing::Text(Records::JsonObjects)
    {
        let log = &input[chosen.skip..];
        counts.add(whole_and_parts(&chosen.format, Records::JsonObjects, false, log, chosen.skip as u64));
    }
    counts
}

/// Access logs by the usual formats, by what is recognised, and by a first line that is a layout.
fn envoy(input: &[u8]) -> Counts {
    static FORMATS: LazyLock<[Arc<dyn Format>; 3]> = LazyLock::new(|| {
        let text = |layout| from_layout(layout).expect("the default layout is valid");
        [text(ENVOY_TEXT), text(ISTIO_TEXT), json()]
    });
    let mut counts = Counts::default();
    for format in FORMATS.iter() {
        counts.add(whole_and_parts(format, Records::Lines, false, input, 0));
    }
    if let Some((format, _)) = sniff(&input[..input.len().min(HEAD_BYTES)]) {
        counts.add(whole_and_parts(&format, Records::Lines, false, input, 0));
    }
    let (layout, log) = first_line(input);
    if let Ok(layout) = std::str::from_utf8(layout)
        && let Ok(format) = from_layout(layout)
    {
        counts.add(whole_and_parts(&format, Records::Lines, false, log, 0));
    }
    counts
}

/// Zeek's logs by what is recognised, and as JSON whatever the input begins with.
fn zeek(input: &[u8]) -> Counts {
    static FORMATS: LazyLock<[(Arc<dyn Format>, Records); 2]> = LazyLock::new(|| {
        [Records::Lines, Records::JsonObjects].map(|records| (Arc::new(Json::new(records)) as Arc<dyn Format>, records))
    });
    let mut counts = Counts::default();
    for (format, records) in FORMATS.iter() {
        counts.add(whole_and_parts(format, *records, false, input, 0));
    }
    let (wanted, log) = wanted(input);
    let wanted = if wanted == FormatChoice::Auto { FormatChoice::Named { name: "zeek", layout: None } } else { wanted };
    if let Ok(chosen) = choose(&log[..log.len().min(HEAD_BYTES)], &wanted)
        && let Framing::Text(records) = chosen.framing
    {
        let rest = &log[chosen.skip..];
        counts.add(whole_and_parts(&chosen.format, records, chosen.has_headers, rest, chosen.skip as u64));
    }
    counts
}

/// A format by all of its decoders, whatever the input begins with, and by what is recognised or what the first line says, as
/// `--input-format` does.
fn of_family(name: &str, input: &[u8]) -> Counts {
    let family = tradewind_formats::family(name).expect("the format is registered");
    let mut counts = Counts::default();
    for (format, records) in family.decoders() {
        counts.add(whole_and_parts(&format, records, false, input, 0));
    }
    let (wanted, log) = wanted(input);
    let wanted =
        if wanted == FormatChoice::Auto { FormatChoice::Named { name: family.name, layout: None } } else { wanted };
    if let Ok(chosen) = choose(&log[..log.len().min(HEAD_BYTES)], &wanted)
        && let Framing::Text(records) = chosen.framing
    {
        let rest = &log[chosen.skip..];
        counts.add(whole_and_parts(&chosen.format, records, chosen.has_headers, rest, chosen.skip as u64));
    }
    counts
}

/// Lines in syslog and in what container runtimes write: each envelope whatever the input is, and what is recognised.
fn envelope(input: &[u8]) -> Counts {
    static FORMATS: LazyLock<Vec<(Arc<dyn Format>, Records)>> = LazyLock::new(|| {
        const LINE: &str = r#"[2026-01-01T00:00:00Z] "GET / HTTP/1.1" 200 - 0 5 7 6 "-" "-" "-" "shop" "10.0.0.1:80""#;
        let chosen = [
            format!("2026-01-01T00:00:00Z stdout F {LINE}\n"),
            format!("{{\"log\":{:?},\"stream\":\"stdout\",\"time\":\"2026-01-01T00:00:00Z\"}}\n", format!("{LINE}\n")),
            format!("<134>Jan  1 00:00:00 web-1 envoy[1]: {LINE}\n"),
            format!("{} <134>1 - - - - - - {LINE}", LINE.len() + 19),
        ]
        .map(|head| {
            choose(head.as_bytes(), &FormatChoice::Auto).expect("Envoy's lines are recognised in every envelope")
        });
        let records = |chosen: &tradewind_formats::Chosen| match chosen.framing {
            Framing::Text(records) => records,
            Framing::Parquet => unreachable!("no line is Parquet"),
        };
        chosen.into_iter().map(|chosen| (Arc::clone(&chosen.format), records(&chosen))).collect()
    });
    let mut counts = Counts::default();
    for (format, records) in FORMATS.iter() {
        counts.add(whole_and_parts(format, *records, false, input, 0));
    }
    let (wanted, log) = wanted(input);
    if let Ok(chosen) = choose(&log[..log.len().min(HEAD_BYTES)], &wanted)
        && let Framing::Text(records) = chosen.framing
    {
        let rest = &log[chosen.skip..];
        counts.add(whole_and_parts(&chosen.format, records, chosen.has_headers, rest, chosen.skip as u64));
    }
    counts
}

/// A stream, packed or not, behind one byte that says how it is cut.
fn unpack(input: &[u8]) -> Counts {
    const LIMITS: Limits = Limits { ratio_max: 4, unpacked_bytes_max: 16 * 1024 };
    let Some((&how, packed)) = input.split_first() else { return Counts::default() };
    let (text, failure) = read_all(packed, LIMITS);
    if Packing::of(packed) == Packing::None {
        assert!(failure.is_none() && text == packed, "what is not packed passes as it is");
    }
    let bytes_max = LIMITS.unpacked_bytes_max.max(LIMITS.ratio_max * (packed.len() as u64 + 1));
    assert!(text.len() as u64 <= bytes_max || Packing::of(packed) == Packing::None, "{} bytes", text.len());

    let records =
        [Records::Lines, Records::JsonObjects, Records::ContainerLines, Records::OctetCounted][usize::from(how & 3)];
    let sizes = ChunkSizes { chunk_bytes: 1 + usize::from(how >> 3), record_bytes_max: 64 };
    let mut chunks =
        Chunks::new(Unpacked::new(packed, LIMITS).expect("a slice does not fail to be read"), records, sizes);
    let (mut next, mut buffer) = (0, Vec::new());
    let (mut whole, mut rejects) = (0, 0);
    // Where a stream is broken, how much of it comes before the failure depends on how much is asked for at once.
    let same = |offset: u64, bytes: &[u8]| {
        let start = usize::try_from(offset).expect("a small offset").min(text.len());
        let end = (start + bytes.len()).min(text.len());
        assert!(bytes.starts_with(&text[start..end]), "at {offset}");
        assert!(failure.is_some() || start + bytes.len() <= text.len(), "at {offset}");
    };
    while let Some(piece) = chunks.next(&mut buffer).expect("a slice does not fail to be read") {
        let (offset, length) = match piece {
            Piece::Records { offset } => {
                assert!(!buffer.is_empty(), "a chunk holds something");
                same(offset, &buffer);
                whole += 1;
                (offset, buffer.len() as u64)
            }
            Piece::Reject(Reject { offset, length, bytes, .. }) => {
                same(offset, &bytes);
                rejects += 1;
                (offset, length)
            }
        };
        let is_mark = next == 0 && offset == BOM.len() as u64 && text.starts_with(BOM);
        assert!(offset == next || is_mark, "{offset} after {next}");
        next = offset + length;
    }
    assert!(failure.is_none() || rejects > 0, "a failure is told: {failure:?}");
    assert!(failure.is_some() || next == text.len() as u64 || text == BOM, "{next} of {}", text.len());
    Counts { records: whole + rejects, flows: whole, rejected: rejects, gaps: 0 }
}

/// A Parquet file.
fn parquet(input: &[u8]) -> Counts {
    let (few, many) = (Batches::read(input, 3), Batches::read(input, 1000));
    if !few.is_partial && !many.is_partial {
        assert_eq!(few.contents, many.contents, "the size of batches changes nothing");
    }
    let mut counts = few.contents.counts;
    counts.add(many.contents.counts);
    counts
}

/// What was read of a Parquet file.
struct Batches {
    contents: Contents,
    /// It is damaged, or longer than anybody waits for.
    is_partial: bool,
}

impl Batches {
    fn read(input: &[u8], batch_rows: usize) -> Self {
        const ROWS_MAX: u64 = 5_000;
        let (mut contents, mut is_damaged) = (Contents::default(), false);
        let read = decode_parquet(bytes::Bytes::copy_from_slice(input), batch_rows, &mut |out| {
            assert!(out.flows.len() <= batch_rows);
            is_damaged |= out.rejects.iter().any(|reject| reject.reason == tradewind_formats::Reason::CorruptInput);
            contents.add(out);
            if contents.counts.records > ROWS_MAX { Err(()) } else { Ok(()) }
        });
        Self { is_partial: is_damaged || read.is_err(), contents }
    }
}

/// What was decoded, in a form that can be compared.
#[derive(Debug, Default, PartialEq)]
struct Contents {
    rows: Vec<serde_json::Map<String, serde_json::Value>>,
    rejects: Vec<Reject>,
    /// Observer, minute, reason and count, sorted.
    gaps: Vec<(Option<String>, i64, &'static str, u64)>,
    counts: Counts,
}

impl Contents {
    fn of(out: &Decoded) -> Self {
        let mut contents = Self::default();
        contents.add(out);
        contents
    }

    /// Adds one batch, for which everything must hold that holds for every batch.
    fn add(&mut self, out: &Decoded) {
        let counts = out.counts;
        assert_eq!(counts.records, counts.flows + counts.rejected + counts.gaps, "{counts:?}");
        assert_eq!(counts.flows, out.flows.len() as u64);
        assert_eq!(counts.rejected, out.rejects.len() as u64);
        assert_eq!(counts.gaps, out.gaps.iter().map(|(_, _, _, count)| count).sum::<u64>());
        for row in 0..out.flows.len() {
            for column in [flow::SRC_IP, flow::DST_IP] {
                if let Some(text) = out.flows.text(column).get(row) {
                    assert_eq!(address::canonical(text).as_deref(), Some(text), "addresses are canonical");
                }
            }
            for column in [flow::SRC_PORT, flow::DST_PORT] {
                let port = out.flows.num(column).get(row);
                assert!(port.is_none_or(|port| (0..=i64::from(u16::MAX)).contains(&port)), "port {port:?}");
            }
            if let Some(text) = out.flows.text(flow::UNMAPPED).get(row) {
                let read: Result<serde_json::Map<_, _>, _> = serde_json::from_str(text);
                assert!(read.is_ok_and(|object| !object.is_empty()), "unmapped is an object: {text}");
            }
            self.rows.push(out.flows.row_json(row));
        }
        self.rejects.extend(out.rejects.iter().cloned());
        let gaps = out.gaps.iter();
        for (observer, minute, reason, count) in gaps {
            let observer = observer.map(str::to_owned);
            let same = |gap: &&mut (Option<String>, i64, &'static str, u64)| {
                (&gap.0, gap.1, gap.2) == (&observer, minute, reason)
            };
            match self.gaps.iter_mut().find(same) {
                Some(gap) => gap.3 += count,
                None => self.gaps.push((observer, minute, reason, count)),
            }
        }
        self.gaps.sort();
        self.counts.add(counts);
    }
}

/// Decodes the log at once and cut into small chunks, and compares. `offset` is where the log begins in its object.
fn whole_and_parts(format: &Arc<dyn Format>, records: Records, has_headers: bool, log: &[u8], offset: u64) -> Counts {
    let pieces = pieces(log, records);
    let start = pieces.first().map_or(log.len(), |(start, _)| *start);
    let mut whole = Decoded::default();
    let mut current = Arc::clone(format);
    decode(&mut current, has_headers, &log[start..], offset + start as u64, &mut whole);
    let mut parts = Decoded::default();
    let mut current = Arc::clone(format);
    for (start, piece) in &pieces {
        decode(&mut current, has_headers, piece, offset + *start as u64, &mut parts);
    }
    for reject in &whole.rejects {
        let at = usize::try_from(reject.offset - offset).expect("a small offset");
        assert!(at < log.len(), "{reject:?}");
        assert!(reject.index.is_some() || log[at..].starts_with(&reject.bytes), "{reject:?}");
    }
    let whole = Contents::of(&whole);
    assert_eq!(Contents::of(&parts), whole, "where the input is cut changes nothing");
    whole.counts
}

/// Decodes a chunk as an import does: a header line changes the format from there on.
fn decode(current: &mut Arc<dyn Format>, has_headers: bool, chunk: &[u8], offset: u64, out: &mut Decoded) {
    if !has_headers {
        return current.decode(chunk, offset, out);
    }
    let mut next = 0;
    for (range, format) in segments(chunk, current) {
        assert_eq!(range.start, next, "segments follow each other");
        next = range.end;
        format.decode(&chunk[range.clone()], offset + range.start as u64, out);
        *current = format;
    }
    assert_eq!(next, chunk.len(), "segments cover the chunk");
}

/// Chunks of whole records with their offsets; all of the log but a byte order mark.
fn pieces(log: &[u8], records: Records) -> Vec<(usize, Vec<u8>)> {
    let sizes = ChunkSizes { chunk_bytes: 1 + log.len() % 97, record_bytes_max: usize::MAX };
    let mut chunks = Chunks::new(log, records, sizes);
    let (mut pieces, mut buffer) = (Vec::new(), Vec::new());
    while let Some(piece) = chunks.next(&mut buffer).expect("a slice does not fail to be read") {
        let Piece::Records { offset } = piece else { panic!("no record is too long: {piece:?}") };
        pieces.push((usize::try_from(offset).expect("a small offset"), buffer.clone()));
    }
    let all: Vec<u8> = pieces.iter().flat_map(|(_, piece)| piece.iter().copied()).collect();
    assert_eq!(all, log.strip_prefix(BOM).unwrap_or(log), "chunks are the whole log");
    pieces
}

/// All that can be read of a stream, in small steps, and why it ended early.
fn read_all(packed: &[u8], limits: Limits) -> (Vec<u8>, Option<UnpackError>) {
    use std::io::Read;
    let mut unpacked = Unpacked::new(packed, limits).expect("a slice does not fail to be read");
    let (mut text, mut buffer) = (Vec::new(), [0; 512]);
    loop {
        match unpacked.read(&mut buffer) {
            Ok(0) => return (text, None),
            Ok(count) => text.extend_from_slice(&buffer[..count]),
            Err(error) => {
                let why = UnpackError::of(&error).expect("a slice does not fail to be read").clone();
                return (text, Some(why));
            }
        }
    }
}

/// A choice in the first line and what follows it; else all, by content.
fn wanted(input: &[u8]) -> (FormatChoice, &[u8]) {
    let (line, rest) = first_line(input);
    let wanted = std::str::from_utf8(line).ok().and_then(|line| line.parse().ok());
    wanted.map_or((FormatChoice::Auto, input), |wanted| (wanted, rest))
}

fn first_line(input: &[u8]) -> (&[u8], &[u8]) {
    let end = input.iter().position(|&byte| byte == b'\n').unwrap_or(input.len());
    (&input[..end], &input[(end + 1).min(input.len())..])
}

fn as_lines(layout: &str) -> Arc<dyn Format> {
    Arc::new(AwsVpc::new(parsed(layout)))
}

fn parsed(layout: &str) -> Layout {
    Layout::parse(layout).expect("the default layout is valid")
}
