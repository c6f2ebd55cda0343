//! Formats inside envelopes: the same rows as without, rejects and places as in the input, whatever the bytes.

use super::*;
use crate::contract::Reason;
use crate::detect::{FormatChoice, choose};
use crate::envoy::{ENVOY_TEXT, from_layout};
use crate::framing::{ChunkSizes, Chunks, Piece};
use crate::zeek;
use proptest::prelude::*;
use serde_json::{Map, Value};

const ENVOY: &str = r#"[2016-04-15T20:17:00.310Z] "GET /a HTTP/1.1" 200 - 154 0 226 100 "10.0.35.28" "curl" "id-1" "web" "10.0.2.1:80""#;
const ZEEK: &str = r#"{"ts":1672843056.9,"uid":"C1","id.orig_h":"10.0.0.1","id.orig_p":5,"id.resp_h":"10.0.0.2","id.resp_p":4,"proto":"tcp","conn_state":"SF"}"#;
const TIME: &str = "2026-01-31T08:00:00.25Z";

/// One way to write messages as records.
type Wrap = fn(&str) -> Vec<u8>;

const WRAPS: [(Envelope, Records, Wrap); 8] = [
    (Envelope::Cri, Records::ContainerLines, |line| format!("{TIME} stdout F {line}\n").into_bytes()),
    (Envelope::Cri, Records::ContainerLines, |line| {
        let middle = (0..=line.len() / 2).rev().find(|&at| line.is_char_boundary(at)).unwrap_or(0);
        let (start, end) = line.split_at(middle);
        format!("{TIME} stdout P {start}\n{TIME} stderr F \n{TIME} stdout F {end}\n").into_bytes()
    }),
    (Envelope::Docker, Records::ContainerLines, |line| docker(&format!("{line}\n"))),
    (Envelope::Docker, Records::ContainerLines, |line| {
        let middle = (0..=line.len() / 2).rev().find(|&at| line.is_char_boundary(at)).unwrap_or(0);
        let (start, end) = line.split_at(middle);
        [docker(start), docker(&format!("{end}\n"))].concat()
    }),
    (Envelope::Syslog, Records::Lines, |line| format!("<134>Feb  6 12:14:14 web-1 p[1]: {line}\n").into_bytes()),
    (Envelope::Syslog, Records::Lines, |line| format!("Feb  6 12:14:14 web-1 p: {line}\n").into_bytes()),
    (Envelope::Syslog, Records::Lines, |line| format!("<134>1 {TIME} web-1 p 1 - [a b=\"\\]\"] {line}\n").into_bytes()),
    (Envelope::Syslog, Records::OctetCounted, |line| {
        let message = format!("<134>1 {TIME} web-1 p 1 - - {line}");
        format!("{} {message}", message.len()).into_bytes()
    }),
];

fn docker(log: &str) -> Vec<u8> {
    let log = Value::String(log.to_owned());
    format!("{{\"log\":{log},\"stream\":\"stdout\",\"time\":\"{TIME}\"}}\n").into_bytes()
}

fn envoy() -> Arc<dyn Format> {
    from_layout(ENVOY_TEXT).expect("the default layout is valid")
}

fn decode(format: &dyn Format, input: &[u8], offset: u64) -> Decoded {
    let mut out = Decoded::default();
    format.decode(input, offset, &mut out);
    let counts = out.counts;
    assert_eq!(counts.records, counts.flows + counts.rejected + counts.gaps);
    assert_eq!((counts.flows, counts.rejected), (out.flows.len() as u64, out.rejects.len() as u64));
    assert_eq!(
        out.reject_bytes,
        out.rejects.iter().map(|reject| reject.bytes.len() + reject.detail.len()).sum::<usize>()
    );
    out
}

fn rows(out: &Decoded) -> Vec<Map<String, Value>> {
    (0..out.flows.len()).map(|row| out.flows.row_json(row)).collect()
}

/// Rows without what an envelope changes.
fn bare(out: &Decoded) -> Vec<Map<String, Value>> {
    let mut rows = rows(out);
    for row in &mut rows {
        for column in ["position_offset", "logged_time", "observer"] {
            row.remove(column);
        }
    }
    rows
}

/// Decodes in chunks as a stream is.
fn in_parts(format: &dyn Format, records: Records, input: &[u8]) -> Decoded {
    let sizes = ChunkSizes { chunk_bytes: 1 + input.len() % 61, record_bytes_max: usize::MAX };
    let mut chunks = Chunks::new(input, records, sizes);
    let (mut out, mut buffer) = (Decoded::default(), Vec::new());
    while let Some(piece) = chunks.next(&mut buffer).expect("a slice does not fail to be read") {
        let Piece::Records { offset } = piece else { panic!("no record is too long: {piece:?}") };
        format.decode(&buffer, offset, &mut out);
    }
    out
}

fn text_of(value: Option<&Value>) -> &str {
    value.and_then(Value::as_str).unwrap_or("-")
}

#[test]
fn every_envelope_is_recognised_around_every_format() {
    for (envelope, records, wrap) in WRAPS {
        for (line, name, inside) in [(ENVOY, "envoy", "Envoy's default text format"), (ZEEK, "zeek", "Zeek's conn.log")]
        {
            let input = [wrap(line), wrap(""), wrap(line)].concat();
            for wanted in [FormatChoice::Auto, FormatChoice::Named { name, layout: None }] {
                let chosen = choose(&input, &wanted).unwrap_or_else(|error| panic!("{envelope:?}: {error}"));
                assert_eq!((chosen.format.name(), chosen.framing), (name, Framing::Text(records)), "{envelope:?}");
                let reason = format!("{}; inside: ", envelope.describe(records));
                assert!(chosen.reason.starts_with(&reason) && chosen.reason.contains(inside), "{}", chosen.reason);
                let out = decode(&*chosen.format, &input, 0);
                assert_eq!((out.counts.flows, &out.rejects), (2, &vec![]), "{envelope:?}");
            }
        }
    }
    // One inside the other.
    let input = format!("{TIME} stdout F <134>Feb  6 12:14:14 web-1 p[1]: {ENVOY}\n");
    let chosen = choose(input.as_bytes(), &FormatChoice::Auto).expect("an envelope inside an envelope is read");
    let out = decode(&*chosen.format, input.as_bytes(), 5);
    let row = &rows(&out)[0];
    assert_eq!((text_of(row.get("observer")), text_of(row.get("logged_time"))), ("web-1", TIME));
    assert_eq!(row["position_offset"], 5);
}

#[test]
fn a_layout_may_be_of_whole_lines() {
    let check = |layout: &str, reason: &str| {
        let line = "2026-01-31T08:00:00Z web-1 envoy: 2026-01-31T08:00:00Z 200 5\n";
        let layout = Some(layout.to_owned());
        let chosen =
            choose(line.as_bytes(), &FormatChoice::Named { name: "envoy", layout }).expect("the layout is valid");
        assert_eq!(chosen.reason, reason);
        assert_eq!(decode(&*chosen.format, line.as_bytes(), 0).counts.flows, 1);
    };
    check("%START_TIME% %RESPONSE_CODE% %DURATION%", "syslog lines; inside: the given format string");
    check("2026-01-31T08:00:00Z web-1 envoy: %START_TIME% %RESPONSE_CODE% %DURATION%", "the given format string");
}

#[test]
fn what_is_around_no_line_is_not_looked_for() {
    for head in [
        ENVOY,
        ZEEK,
        "2016-10-06T00:17:09Z stdout F a\nb\nc\n",
        "a\n2016-10-06T00:17:09Z stdout F a\n2016-10-06T00:17:09Z stdout F a\n",
        "2016-10-06T00:17:09Z stdout F \n",
        "12 <134>1 - - -",
        "12 apples\n",
        "10.0.0.1 - - [10/Oct/2000:13:55:36 -0700] \"GET / HTTP/1.1\" 200 1\n",
        "",
    ] {
        assert!(recognise(head.as_bytes()).is_none(), "{head}");
    }
    let seen = recognise(b"2016-10-06T00:17:09Z stdout F whole\n2016-10-06T00:17:09Z stdout F cut o");
    assert_eq!(seen.map(|seen| seen.head), Some(b"whole\n".to_vec()));
}

#[test]
fn headers_and_other_framings_inside() {
    let header = "version srcaddr dstaddr srcport dstport";
    let wrap = |line: &str| format!("{TIME} stdout F {line}\n");
    let input = [wrap(header), wrap("2 10.0.0.1 10.0.0.2 1 2"), wrap(header)].concat();
    let chosen = choose(input.as_bytes(), &FormatChoice::Auto).expect("flow logs are recognised");
    assert_eq!((chosen.format.name(), chosen.skip, chosen.has_headers), ("aws_vpc", 0, false));
    assert!(chosen.notes.iter().any(|note| note.contains("header lines inside CRI lines")), "{:?}", chosen.notes);
    let out = decode(&*chosen.format, input.as_bytes(), 0);
    assert_eq!(out.counts.records, out.counts.flows + out.counts.rejected);
    assert_eq!(out.counts.flows, 1);
    // Objects over several lines are not put together.
    let pretty = ZEEK.replace(',', ",\n");
    let input: String = pretty.lines().map(wrap).collect();
    assert!(choose(input.as_bytes(), &FormatChoice::Auto).is_err());
}

#[test]
fn places_rejects_and_what_the_envelope_knows() {
    let wrapped = |envelope, records| Wrapped { envelope, records, inner: envoy() };
    let cri = wrapped(Envelope::Cri, Records::ContainerLines);
    let (start, end) = ENVOY.split_at(40);
    let lines = [
        format!("{TIME} stdout F bad\n"),
        "no line\n".to_owned(),
        format!("{TIME} stdout P {start}\n"),
        format!("{TIME} stderr F {ENVOY}\n"),
        format!("2026-01-31T09:00:00Z stdout F {end}\n"),
        "\n".to_owned(),
        "2026-02-31T09:00:00Z stdout F x\n".to_owned(),
        format!("{TIME} stderr P bad"),
    ];
    let at = |line: usize| 100 + lines[..line].iter().map(|line| line.len() as u64).sum::<u64>();
    let input = lines.concat();
    let out = decode(&cri, input.as_bytes(), 100);
    let places: Vec<_> = rows(&out).iter().map(|row| row["position_offset"].as_u64()).collect();
    assert_eq!(places, [Some(at(3)), Some(at(2))]);
    assert!(rows(&out).iter().all(|row| text_of(row.get("logged_time")) == TIME && row.get("observer").is_none()));
    let rejects: Vec<_> = out.rejects.iter().map(|reject| (reject.reason, reject.offset, &reject.bytes[..])).collect();
    let trimmed = |line: usize| lines[line].trim_end().as_bytes();
    let first = out.rejects[0].reason;
    assert_eq!(
        rejects,
        [
            (first, at(0), trimmed(0)),
            (Reason::BadSyntax, at(1), trimmed(1)),
            (Reason::BadTime, at(6), trimmed(6)),
            (first, at(7), trimmed(7)),
        ]
    );

    let syslog = wrapped(Envelope::Syslog, Records::Lines);
    let input = format!(
        "<134>1 {TIME} web-1 p - - - {ENVOY}\n<134>Feb  6 12:14:14 p: {ENVOY}\nFeb  6 12:14:14 h p: {ENVOY}\nx\n"
    );
    let out = decode(&syslog, input.as_bytes(), 0);
    let known: Vec<_> = rows(&out)
        .iter()
        .map(|row| [text_of(row.get("logged_time")), text_of(row.get("observer"))].join(" "))
        .collect();
    assert_eq!(known, [&format!("{TIME} web-1"), "- -", "- h"]);
    assert_eq!((out.rejects.len(), out.rejects[0].reason), (1, Reason::BadSyntax));

    let octets = wrapped(Envelope::Syslog, Records::OctetCounted);
    let message = format!("<134>1 - h p - - - {}\n", ENVOY.replacen(' ', "\n", 1));
    let input = format!("{} {message}\n{} {message}", message.len(), message.len() + 1);
    let out = decode(&octets, input.as_bytes(), 0);
    assert_eq!((out.counts.flows, out.rejects.len()), (1, 1), "{:?}", out.rejects);
    assert!(out.rejects[0].detail.contains("the frame ends"), "{}", out.rejects[0].detail);

    let docker_lines = wrapped(Envelope::Docker, Records::ContainerLines);
    for (line, reason) in [
        (&b"{\"log\":1}\n"[..], Reason::BadJson),
        (b"{\"log\":\"\xff\n", Reason::InvalidUtf8),
        (b"{\"log\":\"\\q\\n\",\"stream\":\"stdout\",\"time\":\"2016-10-06T00:17:09Z\"}", Reason::BadJson),
        (b"{\"log\":\"x\\n\",\"stream\":\"stdout\",\"time\":\"\"}", Reason::BadTime),
        (b"{\"log\":\"\xff\xff\\n\",\"stream\":\"stdout\",\"time\":\"2016-10-06T00:17:09Z\"}", Reason::InvalidUtf8),
    ] {
        let out = decode(&docker_lines, line, 0);
        assert_eq!((out.counts.records, out.rejects[0].reason), (1, reason), "{}", String::from_utf8_lossy(line));
        assert_eq!(out.rejects[0].bytes, line.trim_ascii_end());
    }
}

fn line() -> impl Strategy<Value = String> {
    let own =
        prop_oneof![Just(ENVOY.to_owned()), Just(ZEEK.to_owned()), Just(ENVOY.replace("curl", "\u{fc}\\\\ \\\"x"))];
    prop_oneof![4 => own, 1 => "[ -~]{0,60}", 1 => "[a\"\\\\{}\\[\\]: \\t\u{e9}]{0,30}"]
}

/// Bytes that are nearly what the envelopes are.
fn text() -> impl Strategy<Value = Vec<u8>> {
    let words: Vec<&[u8]> = vec![
        b"\n",
        b"\r\n",
        b" ",
        TIME.as_bytes(),
        b" stdout F ",
        b" stdout P ",
        b" stderr P ",
        b" stderr F ",
        b"<134>",
        b"1 ",
        b"Feb  6 12:14:14 ",
        b"web-1 ",
        b"p[1]: ",
        b"- - - - ",
        b"[a b=\"",
        b"\"]",
        b"{\"log\":\"",
        b"\\n",
        b"\\",
        b"\",\"stream\":\"stdout\",\"time\":\"",
        b"\"}",
        b"\xff",
        b"12 ",
        b"145 ",
        b"a",
        ENVOY.as_bytes(),
        ZEEK.as_bytes(),
    ];
    let part = prop_oneof![6 => prop::sample::select(words).prop_map(<[u8]>::to_vec), 1 => prop::collection::vec(any::<u8>(), 0..4)];
    let whole = (0..WRAPS.len(), line()).prop_map(|(index, line)| WRAPS[index].2(&line));
    prop::collection::vec(prop_oneof![4 => part, 1 => whole], 0..40).prop_map(|parts| parts.concat())
}

proptest! {
    #[test]
    fn wrapped_lines_give_the_rows_of_bare_ones(lines in prop::collection::vec(line(), 0..12), json in any::<bool>()) {
        let inner: Arc<dyn Format> = if json { Arc::new(zeek::Json::new(Records::Lines)) } else { envoy() };
        let plain: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let expected = decode(&*inner, plain.as_bytes(), 0);
        for (envelope, records, wrap) in WRAPS {
            let records_of: Vec<Vec<u8>> = lines.iter().map(|line| wrap(line)).collect();
            let input = records_of.concat();
            let wrapped = Wrapped { envelope, records, inner: Arc::clone(&inner) };
            let out = decode(&wrapped, &input, 0);
            prop_assert_eq!(bare(&out), bare(&expected), "{:?}", envelope);
            prop_assert_eq!(out.counts, expected.counts, "{:?}", envelope);
            let reasons = |out: &Decoded| out.rejects.iter().map(|reject| (reject.reason, reject.detail.clone())).collect::<Vec<_>>();
            prop_assert_eq!(reasons(&out), reasons(&expected), "{:?}", envelope);
            for reject in &out.rejects {
                let at = usize::try_from(reject.offset).expect("a small offset");
                prop_assert!(input[at..].starts_with(&reject.bytes) && reject.length == reject.bytes.len() as u64);
            }
            let parts = in_parts(&wrapped, records, &input);
            prop_assert_eq!(rows(&parts), rows(&out), "{:?}", envelope);
            prop_assert_eq!(&parts.rejects, &out.rejects, "{:?}", envelope);
        }
    }

    #[test]
    fn no_bytes_panic_and_cuts_change_nothing(text in text()) {
        for (envelope, records, _) in WRAPS {
            let wrapped = Wrapped { envelope, records, inner: envoy() };
            let out = decode(&wrapped, &text, 0);
            for reject in &out.rejects {
                let at = usize::try_from(reject.offset).expect("a small offset");
                prop_assert!(text[at..].starts_with(&reject.bytes));
            }
            let parts = in_parts(&wrapped, records, &text);
            prop_assert_eq!(rows(&parts), rows(&out), "{:?} {:?}", envelope, records);
            prop_assert_eq!(&parts.rejects, &out.rejects, "{:?} {:?}", envelope, records);
        }
        if let Ok(chosen) = choose(&text, &FormatChoice::Auto) {
            decode(&*chosen.format, &text[chosen.skip..], 0);
        }
    }
}

/// What an envelope costs: `cargo test --profile ci -p tradewind-formats -- --ignored --nocapture speed`.
#[test]
#[ignore = "it measures, and a busy machine says little"]
#[expect(clippy::print_stdout, reason = "its output is what it is for")]
fn speed_of_envelopes() {
    let lines: Vec<String> = (0..200_000_u32)
        .map(|index| {
            let (second, host, port) = (index % 60, index % 251, 1024 + index % 50_000);
            format!(
                "[2026-01-31T08:00:{second:02}.310Z] \"GET /api/v1/items/{index}?page=2 HTTP/1.1\" 200 - 154 {port} 226 100 \
                 \"10.0.35.{host}\" \"curl/8.5.0\" \"8c2f0b1a-{index:04x}-4e0a-9f5b-0123456789ab\" \"items.shop.svc:8080\" \
                 \"10.0.2.{host}:{port}\""
            )
        })
        .collect();
    let measure = |format: &dyn Format, records, input: &[u8]| {
        let best = (0..7).map(|_| {
            let start = std::time::Instant::now();
            let mut chunks = Chunks::new(input, records, ChunkSizes::default());
            let (mut buffer, mut out, mut flows) = (Vec::new(), Decoded::default(), 0);
            while let Some(Piece::Records { offset }) =
                chunks.next(&mut buffer).expect("a slice does not fail to be read")
            {
                format.decode(&buffer, offset, &mut out);
                flows += out.counts.flows;
                out.clear();
            }
            assert_eq!(flows, lines.len() as u64);
            start.elapsed()
        });
        best.min().expect("it was measured").as_secs_f64()
    };
    let plain: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let bare = measure(&*envoy(), Records::Lines, plain.as_bytes());
    println!("bare {:.0} MB/s", plain.len() as f64 / bare / 1e6);
    for (envelope, records, wrap) in WRAPS {
        let input: Vec<u8> = lines.iter().flat_map(|line| wrap(line)).collect();
        let wrapped = Wrapped { envelope, records, inner: envoy() };
        let time = measure(&wrapped, records, &input);
        let (rate, more) = (input.len() as f64 / time / 1e6, (time / bare - 1.0) * 100.0);
        println!("{envelope:?} {records:?} {rate:.0} MB/s, {more:+.0} % of time");
    }
}
