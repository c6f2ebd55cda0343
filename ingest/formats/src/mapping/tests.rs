//! Mappings of every encoding, and what is wrong with others.

use super::*;
use crate::testing::{check_values, decode_rows};
use serde_json::json;

fn rows(text: &str, log: &str) -> Vec<serde_json::Value> {
    let chosen = named(log.as_bytes(), Some(text)).unwrap_or_else(|fault| panic!("{fault}"));
    decode_rows(&*chosen.format, &log[chosen.skip..])
}

fn rejects(text: &str, log: &str) -> Vec<String> {
    let chosen = named(log.as_bytes(), Some(text)).unwrap_or_else(|fault| panic!("{fault}"));
    let mut out = Decoded::default();
    chosen.format.decode(&log.as_bytes()[chosen.skip..], 0, &mut out);
    out.rejects.iter().map(|reject| format!("{}: {}", reject.reason.as_str(), reject.detail)).collect()
}

#[test]
fn json_by_paths() {
    let found = rows(
        page::EXAMPLES[0],
        r#"{"client":{"addr":"10.0.0.1:80"},"to":"::1","t":1700000000250,"line":"GET /a?b=c HTTP/1.1","action":"NO","user":{"token":"t","n":1},"url":"http://h/?q=1"}"#,
    );
    check_values(
        &found[0],
        json!({
            "src_ip": "10.0.0.1", "src_port": 80, "dst_ip": "::1", "start_time": "2023-11-14T22:13:20.25Z", "operation": "GET", "resource": "/a", "outcome": "denied",
            "source": "example_json", "record_kind": "event", "unmapped.user.token": "[redacted]", "unmapped.user.n": 1, "unmapped.url": "http://h/?[redacted]"
        }),
    );
}

#[test]
fn csv_with_and_without_a_header() {
    let found = rows(page::EXAMPLES[1], "2024-01-02 03:04:05;10.0.0.1;5000;12;\"a;b\"\n");
    check_values(
        &found[0],
        json!({"src_ip": "10.0.0.1", "src_port": 5000, "bytes_out": 12, "start_time": "2024-01-02T03:04:05Z", "unmapped.x": "a;b"}),
    );
    let header = "name = 'fw'\nkind = 'connection'\nvantage = 'network'\nis_src_dst_assignment_known = false\n[read]\nencoding = 'csv'\n[fields]\nsrc_ip = 'Source'\ndst_ip = 'Target'\n[constants]\nobserver = 'fw-1'\n[verdict]\nfield = 'Action'\nvalues = { ALLOW = 'allowed', DROP = 'denied' }\n";
    let found = rows(header, "Target,Action,Source\n10.0.0.2,drop,10.0.0.1\n10.0.0.2,other,10.0.0.1\n");
    check_values(
        &found[0],
        json!({"src_ip": "10.0.0.1", "dst_ip": "10.0.0.2", "outcome": "denied", "observer": "fw-1", "record_kind": "connection", "vantage": "network", "is_src_dst_assignment_known": false, "time_quality": "missing"}),
    );
    check_values(&found[1], json!({"outcome": "unknown"}));
    assert!(named(b"a,b\n", Some(header)).is_err_and(|fault| fault.contains("does not name the fields")));
    assert_eq!(
        rejects(header, "Target,Action,Source\n10.0.0.2,drop\n\"x\n"),
        [
            "too_few_fields: 2 values where 3 are expected",
            "bad_syntax: expected values with separators between, found `\"x`"
        ]
    );
}

#[test]
fn pairs_and_patterns() {
    let found = rows(
        page::EXAMPLES[2],
        "at=2024-01-02T03:04:05Z took=1.5s src=10.0.0.1 proto=udp note=\"mail jane@example.org\"\n",
    );
    check_values(
        &found[0],
        json!({"start_time": "2024-01-02T03:04:03.5Z", "end_time": "2024-01-02T03:04:05Z", "protocol_num": 17, "unmapped.note": "mail [redacted]@example.org"}),
    );
    assert_eq!(
        rejects(page::EXAMPLES[2], "type=DHCP src=10.0.0.1\nnothing\nsrc=10.0.0.999\n"),
        [
            "other_log: `type` is `DHCP`",
            "bad_syntax: expected key=value, found `nothing`",
            "bad_address: src: `10.0.0.999` is not an IPv4 or IPv6 address without zone"
        ]
    );
    let found = rows(
        page::EXAMPLES[3],
        "2024-01-02T03:04:05.5Z OPEN 10.0.0.1:80 -> [::1]:443 rest of it\n2024-01-02T03:04:05Z FAIL 10.0.0.1:80 -> shop:443 x\n",
    );
    check_values(
        &found[0],
        json!({"src_ip": "10.0.0.1", "dst_ip": "::1", "dst_port": 443, "outcome": "allowed", "unmapped.rest": "rest of it"}),
    );
    check_values(&found[1], json!({"dst_ip": null, "outcome": "failed", "unmapped.to": "shop:443"}));
}

#[test]
fn mappings_that_cannot_be_used() {
    let message = |text: &str| Plan::parse(text).err().map(|error| error.to_string()).unwrap_or_default();
    for (text, expected) in [
        ("", "missing field `name`"),
        ("name = 'Bad Name'\n[read]\nencoding = 'json'\n[fields]\nsrc_ip = 'a'\n", "name: `Bad Name`"),
        ("name = 'nginx'\n[read]\nencoding = 'json'\n[fields]\nsrc_ip = 'a'\n", "is a format already"),
        ("name = 'x'\n[read]\nencoding = 'json'\n[fields]\n", "fields: there is none"),
        ("name = 'x'\n[read]\nencoding = 'json'\n[fields]\nnope = 'a'\n", "fields.nope: `nope` is no column"),
        (
            "name = 'x'\n[read]\nencoding = 'json'\n[fields]\nsrc_ip = { field = 'a', as = 'ms' }\n",
            "`src_ip` has no `as`",
        ),
        ("name = 'x'\n[read]\nencoding = 'json'\n[fields]\nduration = 'a'\n", "`duration` is a duration"),
        (
            "name = 'x'\n[read]\nencoding = 'json'\n[fields]\nstart_time = { field = 'a', as = 'ms' }\n",
            "`start_time` is a time",
        ),
        (
            "name = 'x'\n[read]\nencoding = 'json'\n[fields]\nsrc_ip = 'a'\n[constants]\nsrc_ip = '::1'\n",
            "constants.src_ip",
        ),
        (
            "name = 'x'\n[read]\nencoding = 'csv'\nseparator = '\"'\n[fields]\nsrc_ip = 'a'\n",
            "`separator` is one ASCII",
        ),
        (
            "name = 'x'\n[read]\nencoding = 'csv'\ncolumns = ['b']\n[fields]\nsrc_ip = 'a'\n",
            "`a` is no field of a record; those are b",
        ),
        ("name = 'x'\n[read]\nencoding = 'regex'\nregex = '('\n[fields]\nsrc_ip = 'a'\n", "read: regex parse error"),
        ("name = 'x'\n[read]\nencoding = 'regex'\nregex = 'a'\n[fields]\nsrc_ip = 'a'\n", "no named group"),
        (
            "name = 'x'\n[read]\nencoding = 'pattern'\npattern = '%{NOPE:a}'\n[fields]\nsrc_ip = 'a'\n",
            "there is no `NOPE`",
        ),
        ("name = 'x'\nmore = 1\n[read]\nencoding = 'json'\n[fields]\nsrc_ip = 'a'\n", "unknown field `more`"),
        (
            "name = 'x'\n[read]\nencoding = 'json'\n[fields]\nsrc_ip = 'a'\n[verdict]\nfield = 'v'\nvalues = { a = 'maybe' }\n",
            "maybe",
        ),
    ] {
        assert!(message(text).contains(expected), "{text}: {}", message(text));
    }
    for text in page::EXAMPLES {
        assert_eq!(message(text), "", "{text}");
    }
}
