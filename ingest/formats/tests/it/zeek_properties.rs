//! No bytes make the decoders of Zeek's logs panic or lose a record, and where input is cut changes nothing.

use crate::vpc::{decode_with, rejects, rows};
use crate::zeek::{HEADER, LINE, OBJECT};
use proptest::prelude::*;
use std::sync::Arc;
use tradewind_formats::detect::segments;
use tradewind_formats::framing::Records;
use tradewind_formats::zeek::{Ascii, Json};
use tradewind_formats::{Decoded, Format, FormatChoice, choose};
use tradewind_model::flow::{DST_IP, SRC_IP, UNMAPPED};

/// Lines that once were, or look as if they could be, a problem.
const NASTY: &[&str] = &[
    "",
    "#",
    "#separator",
    "#separator ",
    "#separator \\x0a",
    "#separator \\xff",
    "#separator é",
    "#fields",
    "#fields\t",
    "#fields\tconn_state",
    "#fields\tts\tts\tconn_state",
    "#path",
    "#path\tdns",
    "#unset_field",
    "#set_separator\t\u{1}",
    "\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t\t",
    "-1e-999999999\t-",
    "ts\tuid\tid.orig_h",
    "{",
    "{}",
    "{\"ts\":1,\"ts\":2,\"_path\":\"conn\"}",
    "{\"conn\":{\"conn\":{\"id\":{\"id\":{}}}}}",
    "{\"conn\":[[[[{}]]]]}",
    "{\"_path\":\"conn\",\"\\ud800\":1}",
    "{\"_path\":\"conn\",\"a\":\"\\ud800\"}",
    "{\"_path\":\"conn\",\"a\":1e999,\"b\":[1e999]}",
    "{\"_path\":\"conn\",\"ts\":1e18}",
    "{\"_path\":\"conn\",\"ts\":1,\"duration\":-1e-300}",
    "{\"_path\":\"conn\",\"service\":[\"a\"],\"history\":{\"a\":1}}",
    "{\"result\":{\"_raw\":\"{\\\"result\\\":{\\\"_raw\\\":\\\"{}\\\"}}\"}}",
    "}}}}{{{{\"\\\"",
];

const WORDS: &[&str] = &[
    "-",
    "(empty)",
    "",
    "0",
    "1",
    "65536",
    "10.0.0.1",
    "::1",
    "::ffff:1.2.3.4",
    "fe80::1%1",
    "tcp",
    "udp",
    "icmp",
    "SF",
    "OTH",
    "^h",
    "1.5",
    "1e-7",
    "253402300799.999999",
    "9223372036854775808",
    "T",
    "\\x09",
    "\\xff",
    "\"\\",
    "é",
    "\u{1}",
    "a,b",
];

fn line() -> impl Strategy<Value = Vec<u8>> {
    let text = (proptest::sample::select(WORDS), 0usize..21).prop_map(|(word, at)| {
        let mut words: Vec<&str> = LINE.split('\t').collect();
        words[at] = word;
        words.join("\t").into_bytes()
    });
    let object = (proptest::sample::select(WORDS), 0usize..20, any::<bool>()).prop_map(|(word, at, quoted)| {
        let mut members: Vec<String> = OBJECT[1..OBJECT.len() - 1].split(",\"").map(str::to_owned).collect();
        let (key, _) = members[at].split_once(':').map(|(key, value)| (key.to_owned(), value.to_owned())).unwrap();
        members[at] = if quoted { format!("{key}:\"{word}\"") } else { format!("{key}:{word}") };
        format!("{{{}}}", members.join(",\"")).into_bytes()
    });
    prop_oneof![
        4 => text,
        3 => object,
        2 => proptest::sample::select(NASTY).prop_map(|line| line.as_bytes().to_vec()),
        1 => Just(HEADER.trim_end().as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..80),
    ]
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    (proptest::collection::vec(line(), 0..20), any::<bool>(), any::<bool>()).prop_map(|(lines, headed, ended)| {
        let mut text = if headed { HEADER.as_bytes().to_vec() } else { Vec::new() };
        text.extend(lines.join(&b'\n'));
        if ended {
            text.push(b'\n');
        }
        text
    })
}

fn formats() -> [Arc<dyn Format>; 4] {
    [
        choose(HEADER.as_bytes(), &FormatChoice::Auto).unwrap().format,
        Arc::new(Ascii::with_fields("conn_state").unwrap()),
        Arc::new(Json::new(Records::Lines)),
        Arc::new(Json::new(Records::JsonObjects)),
    ]
}

/// Decodes as an import does: header lines change the format from there on.
fn import(chunks: &[&[u8]], current: &Arc<dyn Format>) -> Decoded {
    let (mut current, mut offset, mut out) = (Arc::clone(current), 0, Decoded::default());
    for chunk in chunks {
        let mut next = 0;
        for (range, format) in segments(chunk, &current) {
            assert_eq!(range.start, next, "segments follow each other");
            next = range.end;
            format.decode(&chunk[range.clone()], offset + range.start as u64, &mut out);
            current = format;
        }
        assert_eq!(next, chunk.len(), "segments cover the chunk");
        offset += chunk.len() as u64;
    }
    out
}

fn contents(out: &Decoded) -> (Vec<String>, Vec<String>) {
    (rows(out).into_iter().map(|row| serde_json::to_string(&row).unwrap()).collect(), rejects(out))
}

#[test]
fn nasty_input_is_replayed() {
    for format in formats() {
        for line in NASTY {
            decode_with(&*format, line.as_bytes());
        }
        import(&[NASTY.join("\n").as_bytes()], &format);
    }
}

proptest! {
    #[test]
    fn no_bytes_panic_and_none_are_lost(text in text()) {
        for format in formats() {
            let out = decode_with(&*format, &text);
            for column in [SRC_IP, DST_IP] {
                for address in out.flows.text(column).dictionary().iter() {
                    let canonical = tradewind_formats::address::canonical(address);
                    prop_assert_eq!(canonical.as_deref(), Some(address));
                }
            }
            for object in out.flows.text(UNMAPPED).dictionary().iter() {
                let read = serde_json::from_str::<serde_json::Map<_, _>>(object);
                prop_assert!(read.is_ok_and(|object| !object.is_empty()), "{}", object);
            }
        }
        for wanted in [FormatChoice::Auto, FormatChoice::Named { name: "zeek", layout: None }] {
            if let Ok(chosen) = choose(&text, &wanted) {
                import(&[&text[chosen.skip..]], &chosen.format);
            }
        }
    }

    #[test]
    fn cuts_between_lines_change_nothing(text in text(), cut in any::<prop::sample::Index>(), which in 0usize..3) {
        let format = Arc::clone(&formats()[which]);
        let ends: Vec<usize> = (0..text.len()).filter(|&at| text[at] == b'\n').map(|at| at + 1).chain([0]).collect();
        let cut = ends[cut.index(ends.len())];
        let whole = import(&[&text], &format);
        let parts = import(&[&text[..cut], &text[cut..]], &format);
        prop_assert_eq!(contents(&parts), contents(&whole));
        prop_assert_eq!(parts.counts, whole.counts);
    }
}
