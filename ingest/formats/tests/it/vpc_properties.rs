//! No bytes make the decoders of AWS VPC flow logs panic or lose a record, and where input is cut changes nothing.

use crate::vpc::{decode_with, gaps, rejects, rows};
use proptest::prelude::*;
use std::sync::Arc;
use tradewind_formats::aws_vpc::{AwsVpc, CloudWatch, DEFAULT, Layout, TRANSIT_GATEWAY};
use tradewind_formats::detect::segments;
use tradewind_formats::{Decoded, Format, FormatChoice, choose};

/// Lines that once were, or look as if they could be, a problem.
const NASTY: &[&str] = &[
    "",
    "\n\n\r\n \t\n",
    "-",
    "2 1 eni-1 10.0.0.1 10.0.0.2 40000 443 6 10 840 1418530010 1418530070 ACCEPT OK\r",
    "2 1 eni-1 10.0.0.1 10.0.0.2 40000 443 6 10 840 253402300800 1418530070 ACCEPT OK",
    "2 1 eni-1 10.0.0.1 10.0.0.2 40000 443 6 10 99999999999999999999 1418530010 1418530070 ACCEPT OK",
    "2 1 eni-1 10.0.0.1 10.0.0.2 0000000000000000000000000040000 443 6 10 840 1418530010 1418530070 ACCEPT OK",
    "2 1 eni-1 ::ffff:10.0.0.1 fe80::1%1 40000 443 6 10 840 1418530010 1418530070 ACCEPT OK",
    "2 1 eni-1 - - - - - - - 18446744073709551615 -1 - NODATA",
    "2 1 \u{0} \u{feff} \u{202e} - - - - - 1 1 - SKIPDATA",
    "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action log-status",
    "version srcaddr dstaddr",
    "srcaddr srcaddr",
    "- - - - - - - - - - - - - -",
    "{\"messageType\":\"DATA_MESSAGE\",\"logEvents\":[{\"timestamp\":9223372036854775807,\"message\":\"2 1\"}]}",
    "{\"messageType\":\"DATA_MESSAGE\",\"logEvents\":[{\"timestamp\":-1,\"message\":\"\\ud800\"}]}",
    "{\"logEvents\":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[",
    "}}}}{{{{\"\\\"",
    "PAR1",
];

const WORDS: &[&str] = &[
    "-",
    "2",
    "0",
    "6",
    "17",
    "1",
    "255",
    "256",
    "65535",
    "65536",
    "eni-1",
    "10.0.0.1",
    "::1",
    "2001:DB8::1",
    "::ffff:1.2.3.4",
    "01.2.3.4",
    "ACCEPT",
    "REJECT",
    "OK",
    "NODATA",
    "SKIPDATA",
    "1418530010",
    "253402300799",
    "9223372036854775808",
    "egress",
    "ingress",
    "srcaddr",
    "version",
    "\"\\",
    "é",
    "",
    "\u{1}",
    "tgw-1",
    "i-1",
];

fn layouts() -> Vec<&'static str> {
    vec![
        DEFAULT,
        TRANSIT_GATEWAY,
        "srcaddr dstaddr",
        "instance-id interface-id",
        "pkt-srcaddr pkt-dstaddr srcaddr dstaddr flow-direction instance-id tcp-flags encryption-status vpc-id unheard-of end log-status",
    ]
}

fn line() -> impl Strategy<Value = Vec<u8>> {
    let words = proptest::collection::vec(proptest::sample::select(WORDS), 0..40);
    let valid =
        (proptest::sample::select(WORDS), proptest::sample::select(WORDS), 0usize..14).prop_map(|(word, other, at)| {
            let line = "2 1 eni-1 10.0.0.1 10.0.0.2 40000 443 6 10 840 1418530010 1418530070 ACCEPT OK";
            let mut words: Vec<&str> = line.split(' ').collect();
            words[at] = word;
            words[(at + 5) % 14] = if other.is_empty() { words[(at + 5) % 14] } else { other };
            words.join(" ").into_bytes()
        });
    prop_oneof![
        3 => valid,
        2 => words.prop_map(|words| words.join(" ").into_bytes()),
        2 => proptest::sample::select(NASTY).prop_map(|line| line.as_bytes().to_vec()),
        1 => proptest::collection::vec(any::<u8>(), 0..80),
    ]
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    (proptest::collection::vec(line(), 0..30), any::<bool>()).prop_map(|(lines, ended)| {
        let mut text = lines.join(&b'\n');
        if ended {
            text.push(b'\n');
        }
        text
    })
}

fn formats() -> Vec<Arc<dyn Format>> {
    let layouts = layouts().into_iter().map(|layout| Layout::parse(layout).unwrap());
    layouts
        .flat_map(|layout| {
            [Arc::new(AwsVpc::new(layout.clone())) as Arc<dyn Format>, Arc::new(CloudWatch::new(layout))]
        })
        .collect()
}

fn contents(out: &Decoded) -> (Vec<String>, Vec<String>, Vec<String>) {
    (rows(out).into_iter().map(|row| serde_json::to_string(&row).unwrap()).collect(), rejects(out), gaps(out))
}

#[test]
fn nasty_input_is_replayed() {
    for format in formats() {
        for line in NASTY {
            decode_with(&*format, line.as_bytes());
        }
        decode_with(&*format, NASTY.join("\n").as_bytes());
    }
}

proptest! {
    #[test]
    fn no_bytes_panic_and_none_are_lost(text in text()) {
        for format in formats() {
            decode_with(&*format, &text);
        }
        if let Ok(chosen) = choose(&text, &FormatChoice::Auto) {
            decode_with(&*chosen.format, &text[chosen.skip..]);
        }
    }

    #[test]
    fn cuts_between_lines_change_nothing(text in text(), cut in any::<prop::sample::Index>(), layout in 0usize..5) {
        let format = AwsVpc::new(Layout::parse(layouts()[layout]).unwrap());
        let ends: Vec<usize> = (0..text.len()).filter(|&at| text[at] == b'\n').map(|at| at + 1).chain([0]).collect();
        let cut = ends[cut.index(ends.len())];
        let whole = decode_with(&format, &text);
        let mut parts = Decoded::default();
        format.decode(&text[..cut], 0, &mut parts);
        format.decode(&text[cut..], cut as u64, &mut parts);
        prop_assert_eq!(contents(&parts), contents(&whole));
        prop_assert_eq!(parts.counts, whole.counts);
    }

    #[test]
    fn segments_cover_the_chunk(text in text()) {
        let current: Arc<dyn Format> = Arc::new(AwsVpc::new(Layout::parse(DEFAULT).unwrap()));
        let mut next = 0;
        for (range, _) in segments(&text, &current) {
            prop_assert_eq!(range.start, next);
            next = range.end;
        }
        prop_assert_eq!(next, text.len());
    }

    #[test]
    fn addresses_in_the_columns_are_canonical(text in text()) {
        for format in formats() {
            let out = decode_with(&*format, &text);
            for column in [tradewind_model::flow::SRC_IP, tradewind_model::flow::DST_IP] {
                for address in out.flows.text(column).dictionary().iter() {
                    let canonical = tradewind_formats::address::canonical(address);
                    prop_assert_eq!(canonical.as_deref(), Some(address));
                }
            }
        }
    }
}
