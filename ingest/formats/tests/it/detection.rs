//! Which format is chosen for which content, and what is said when none is.

use std::sync::Arc;
use tradewind_formats::aws_vpc::{AwsVpc, DEFAULT, Layout, TRANSIT_GATEWAY, headers};
use tradewind_formats::detect::{Framing, segments};
use tradewind_formats::framing::Records;
use tradewind_formats::{Chosen, Decoded, Format, FormatChoice, UnknownFormat, choose, names};

const LINE: &str = "2 123456789010 eni-1 10.0.0.1 10.0.0.2 40000 443 6 10 840 1418530010 1418530070 ACCEPT OK";

fn auto(head: &str) -> Result<Chosen, UnknownFormat> {
    choose(head.as_bytes(), &FormatChoice::Auto)
}

fn check(head: &str, wanted: &str, reason: &str, framing: Framing, skip: usize) -> Chosen {
    let chosen = choose(head.as_bytes(), &wanted.parse().unwrap()).unwrap_or_else(|error| panic!("{head}: {error}"));
    assert_eq!(chosen.format.name(), "aws_vpc");
    assert!(chosen.reason.contains(reason), "{}", chosen.reason);
    assert_eq!((chosen.framing, chosen.skip), (framing, skip), "{head}");
    chosen
}

#[test]
fn flow_logs_by_content() {
    let lines = Framing::Text(Records::Lines);
    let header = format!("{DEFAULT}\n{LINE}\n");
    check(&header, "auto", "header line with 14 fields", lines, DEFAULT.len() + 1);
    check(&format!("\u{feff}{header}"), "auto", "header line", lines, DEFAULT.len() + 4);
    check(DEFAULT, "auto", "header line", lines, DEFAULT.len());
    check(&header, "aws_vpc:version srcaddr", "replaces the given layout", lines, DEFAULT.len() + 1);
    let future = check("version srcaddr dstaddr shade\n9 ::1 ::2 x\n", "auto", "header line", lines, 30);
    assert!(future.notes[0].contains("shade"), "{:?}", future.notes);
    let guessed = check(&format!("{LINE}\n"), "auto", "default layout of 14 fields", lines, 0);
    assert!(guessed.notes.iter().any(|note| note.contains("guessed")), "{:?}", guessed.notes);
    check(&format!("broken first line\n{LINE}\n"), "aws_vpc", "default layout", lines, 0);
    check("2 a b c\n", "aws_vpc:version instance-id srcaddr dstaddr", "the given layout", lines, 0);
    check("PAR1\u{0}\u{0}", "auto", "Parquet", Framing::Parquet, 0);
    let tgw = "3 - 1 tgw-1 tgw-attach-1 - - vpc-1 vpc-2 - - eni-1 eni-2 - - - 1.1.1.1 2.2.2.2 1 2 6 4 8 1 2 OK - - - - - - - ingress - -";
    check(tgw, "auto", "default layout of 36 fields", lines, 0);
    assert_eq!(TRANSIT_GATEWAY.split_whitespace().count(), 36);
}

#[test]
fn envelopes_by_content() {
    let objects = Framing::Text(Records::JsonObjects);
    let envelope = format!(
        "{{\"messageType\":\"DATA_MESSAGE\",\"logEvents\":[{{\"id\":\"1\",\"timestamp\":1,\"message\":\"{LINE}\"}}]}}"
    );
    let chosen = check(&envelope.repeat(2), "auto", "CloudWatch", objects, 0);
    assert!(chosen.notes[0].contains("does not tell the layout"), "{:?}", chosen.notes);
    let mut out = Decoded::default();
    chosen.format.decode(envelope.repeat(2).as_bytes(), 0, &mut out);
    assert_eq!(out.counts.flows, 2, "{:?}", out.rejects);
    let chosen = check(&envelope, "aws_vpc:version srcaddr dstaddr start", "CloudWatch", objects, 0);
    assert!(chosen.notes.is_empty(), "{:?}", chosen.notes);
}

#[test]
fn what_no_format_fits() {
    let message = |head: &[u8], wanted: &str| choose(head, &wanted.parse().unwrap()).unwrap_err().to_string();
    assert_eq!(choose(b" \r\n", &FormatChoice::Auto).unwrap_err(), UnknownFormat::Empty);
    let error = message(b"- eni-1 10.0.1.5 10.0.0.220 10.0.1.5 203.0.113.5\n", "auto");
    assert!(error.contains("6 fields") && error.contains("--input-format 'aws_vpc:"), "{error}");
    assert!(message(b"\x7fELF\x01\x00\x00 \n", "auto").contains("is not text"));
    assert!(message(b"\xff\xfe\x00", "auto").contains("is not text"));
    assert!(message(b"what is this\n", "aws_vpc").contains("it is not `aws_vpc`: its first line has 3 fields"));
    assert!(message(b"what is this\n", "envoy").contains("it is not `envoy`"));
    assert!(matches!(auto("start the end of something else\n"), Err(UnknownFormat::Unrecognised { .. })));
}

#[test]
fn choices_that_cannot_be_read() {
    let message = |text: &str| text.parse::<FormatChoice>().unwrap_err().to_string();
    assert!(message("vpc").starts_with("`vpc` is no input format; known are: auto, aws_alb, "), "{}", message("vpc"));
    assert!(message("aws_vpc:").contains("names no field"));
    assert!(message("aws_vpc:srcaddr srcaddr").contains("twice"));
    assert!(message("auto:x").contains("name of its format"));
    for (name, _) in names() {
        assert!(name.parse::<FormatChoice>().is_ok(), "{name}");
    }
}

#[test]
fn headers_inside_an_object() {
    let other = "srcaddr dstaddr version";
    let chunk = format!("{LINE}\n{LINE}\n{other}\n::1 ::2 2\n{DEFAULT}\n{LINE}\n");
    assert_eq!(headers(chunk.as_bytes()), [2 * (LINE.len() + 1), 2 * (LINE.len() + 1) + other.len() + 11]);
    assert_eq!(headers(b"a line about srcaddr and srcaddr\nsrcaddr\n"), [0usize; 0]);
    let current: Arc<dyn Format> = Arc::new(AwsVpc::new(Layout::parse(DEFAULT).unwrap()));
    let mut out = Decoded::default();
    let segments = segments(chunk.as_bytes(), &current);
    assert_eq!(segments.len(), 3);
    for (range, format) in segments {
        format.decode(&chunk.as_bytes()[range.clone()], range.start as u64, &mut out);
    }
    assert_eq!((out.counts.flows, out.counts.records), (4, 4), "{:?}", out.rejects);
    assert_eq!(out.flows.text(tradewind_model::flow::SRC_IP).get(2), Some("::1"));
}

#[test]
fn arrays_by_content() {
    let zeek = r#"{"ts":1672843056.9,"uid":"C1","id.orig_h":"10.0.0.1","id.orig_p":5,"id.resp_h":"10.0.0.2","id.resp_p":4,"proto":"tcp","conn_state":"SF"}"#;
    let envelope =
        format!(r#"{{"messageType":"DATA_MESSAGE","logEvents":[{{"id":"1","timestamp":1,"message":"{LINE}"}}]}}"#);
    for (object, name) in [(zeek, "zeek"), (&envelope, "aws_vpc")] {
        for text in [
            format!("[{object},{object}]"),
            format!("[\n  {object},\n  {object}\n]\n"),
            format!("[{object}]\n[{object}]"),
        ] {
            let chosen = auto(&text).unwrap();
            assert_eq!((chosen.format.name(), chosen.framing), (name, Framing::Text(Records::JsonObjects)), "{text}");
            let mut out = Decoded::default();
            chosen.format.decode(text.as_bytes(), 0, &mut out);
            assert_eq!((out.counts.flows, out.rejects), (2, vec![]), "{text}");
        }
    }
}
