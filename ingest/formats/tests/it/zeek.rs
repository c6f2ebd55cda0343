//! Zeek's conn.log: what each field, header line and spelling becomes.

use crate::vpc::{check_counts, decode_with, rejects, rows};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use tradewind_formats::detect::segments;
use tradewind_formats::framing::Records;
use tradewind_formats::zeek::{Ascii, Json};
use tradewind_formats::{Chosen, Decoded, Format, FormatChoice, Framing, UnknownFormat, choose};

pub(crate) const HEADER: &str = "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\tconn\n\
    #open\t2024-04-19-07-00-05\n#fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tservice\tduration\t\
    orig_bytes\tresp_bytes\tconn_state\tlocal_orig\tlocal_resp\tmissed_bytes\thistory\torig_pkts\torig_ip_bytes\t\
    resp_pkts\tresp_ip_bytes\ttunnel_parents\n#types\ttime\tstring\taddr\tport\taddr\tport\tenum\tstring\tinterval\tcount\t\
    count\tstring\tbool\tbool\tcount\tstring\tcount\tcount\tcount\tcount\tset[string]\n";
pub(crate) const LINE: &str = "1672843056.913119\tCXHB1X22027MRWU6D\t10.136.0.18\t55548\t10.136.0.16\t3128\ttcp\thttp,ssl\t\
    0.084044\t1030\t20275\tSF\tT\tF\t0\tShADadFf\t18\t1974\t14\t21011\t-";
pub(crate) const OBJECT: &str = r#"{"ts":1672843056.913119,"uid":"CXHB1X22027MRWU6D","id.orig_h":"10.136.0.18","id.orig_p":55548,"id.resp_h":"10.136.0.16","id.resp_p":3128,"proto":"tcp","service":"http,ssl","duration":0.084044,"orig_bytes":1030,"resp_bytes":20275,"conn_state":"SF","local_orig":true,"local_resp":false,"missed_bytes":0,"history":"ShADadFf","orig_pkts":18,"orig_ip_bytes":1974,"resp_pkts":14,"resp_ip_bytes":21011}"#;

/// Decodes as an import does: by content, a later header changes the format from there on.
pub(crate) fn import(log: &str, wanted: &str) -> Decoded {
    let chosen = choose(log.as_bytes(), &wanted.parse().unwrap()).unwrap_or_else(|error| panic!("{log}: {error}"));
    assert_eq!(chosen.format.name(), "zeek");
    let log = &log.as_bytes()[chosen.skip..];
    let mut out = Decoded::default();
    if chosen.has_headers {
        for (range, format) in segments(log, &chosen.format) {
            format.decode(&log[range.clone()], (chosen.skip + range.start) as u64, &mut out);
        }
    } else {
        chosen.format.decode(log, chosen.skip as u64, &mut out);
    }
    check_counts(&out);
    out
}

fn only_row(out: &Decoded) -> Map<String, Value> {
    let mut rows = rows(out);
    assert_eq!(rows.len(), 1, "{:?}", out.rejects);
    rows.remove(0)
}

/// A row of a JSON object of conn.log with these members; `unmapped` is read.
fn row_of(members: Value) -> Map<String, Value> {
    let mut object = json!({"_path": "conn"});
    object.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    let mut row = only_row(&decode_with(&Json::new(Records::Lines), object.to_string().as_bytes()));
    if let Some(text) = row.get("unmapped").and_then(Value::as_str) {
        let read = serde_json::from_str(text).unwrap();
        row.insert("unmapped".to_owned(), read);
    }
    row
}

/// The columns of a record with these members.
fn check(members: Value, columns: Value) {
    let row = row_of(members.clone());
    for (name, value) in columns.as_object().unwrap() {
        assert_eq!(row.get(name).unwrap_or(&Value::Null), value, "{name} of {members}");
    }
}

/// Reason of the only record's reject and what its detail says.
fn check_reject(format: &dyn Format, line: &str, reason: &str, detail: &str) {
    let out = decode_with(format, line.as_bytes());
    assert_eq!(rejects(&out), [format!("{reason} at 0")], "{line}");
    assert!(out.rejects[0].detail.contains(detail), "{}", out.rejects[0].detail);
    assert_eq!(out.rejects[0].bytes, line.as_bytes());
}

#[test]
fn every_column_in_both_spellings() {
    let expected = json!({
        "start_time": "2023-01-04T14:37:36.913119Z", "end_time": "2023-01-04T14:37:36.997163Z",
        "src_ip": "10.136.0.18", "src_port": 55548, "dst_ip": "10.136.0.16", "dst_port": 3128,
        "protocol_num": 6, "protocol": "tcp", "app_protocol": "http,ssl",
        "bytes_out": 1030, "bytes_in": 20275, "packets_out": 18, "packets_in": 14,
        "result": "established", "outcome": "allowed", "status_code": "SF",
        "record_kind": "connection", "source": "zeek", "vantage": "network", "is_src_dst_assignment_known": true,
        "unmapped": "{\"uid\":\"CXHB1X22027MRWU6D\",\"local_orig\":true,\"local_resp\":false,\"missed_bytes\":0,\"history\":\"ShADadFf\",\"orig_ip_bytes\":1974,\"resp_ip_bytes\":21011}",
    });
    let underscored = OBJECT.replace("id.", "id_");
    let nested =
        format!("{{\"conn\":{}}}", OBJECT.replace("\"id.orig_h\"", "\"id\":{\"orig_h\"").replace("3128,", "3128},"))
            .replace("id.orig_p", "orig_p")
            .replace("id.resp_h", "resp_h")
            .replace("id.resp_p", "resp_p");
    let enveloped = json!({"preview": false, "result": {"_raw": OBJECT, "host": "a"}}).to_string();
    let pretty = serde_json::to_string_pretty(&serde_json::from_str::<Value>(OBJECT).unwrap()).unwrap();
    let spaced = OBJECT.replace("\":", "\": ").replace(",\"", ", \"");
    let reordered = {
        let rest = HEADER.replace("\tuid\t", "\t").replace("\tstring\taddr\tport\taddr", "\taddr\tport\taddr");
        let line = LINE.replace("CXHB1X22027MRWU6D\t", "");
        let (header, last) = (rest.replace("tunnel_parents\n", "tunnel_parents\tuid\n"), "\tCXHB1X22027MRWU6D");
        format!("{}{line}{last}\n", header.replace("set[string]\n", "set[string]\tstring\n"))
    };
    let text = format!("{HEADER}{LINE}\n");
    let logs =
        [&text, &text.replace('\n', "\r\n"), &reordered, OBJECT, &underscored, &nested, &enveloped, &pretty, &spaced];
    for log in logs {
        let mut row = only_row(&import(log, "auto"));
        row.remove("position_offset").unwrap();
        let unmapped: Value = serde_json::from_str(row["unmapped"].as_str().unwrap()).unwrap();
        let wanted: Value = serde_json::from_str(expected["unmapped"].as_str().unwrap()).unwrap();
        assert_eq!(unmapped, wanted, "{log}");
        row.insert("unmapped".to_owned(), expected["unmapped"].clone());
        assert_eq!(Value::from(row), expected, "{log}");
    }
    let rest = text.replace("#separator \\x09", "#separator \\x7c").replace('\t', "|");
    assert_eq!(rows(&import(&rest, "auto")).len(), 1);
}

#[test]
fn times_in_every_spelling() {
    let time = "2021-06-09T20:55:13.160328Z";
    for ts in [json!(time), json!("2021-06-09T22:55:13.160328+02:00"), json!("1623272113.160328")] {
        check(json!({"ts": ts}), json!({"start_time": time, "end_time": time}));
    }
    check(json!({"ts": 1_623_272_113}), json!({"start_time": "2021-06-09T20:55:13Z"}));
    check(json!({"ts": 1_623_272_113_160_i64}), json!({"start_time": "2021-06-09T20:55:13.16Z"}));
    check(json!({"ts": 1, "_write_ts": time}), json!({"logged_time": time, "start_time": "1970-01-01T00:00:01Z"}));
    check(json!({"_write_ts": time}), json!({"start_time": null, "end_time": null}));
    let raw = r#"{"_path":"conn","ts":1617062100.419397,"duration":0.10370898246765137}"#;
    let row = only_row(&import(raw, "auto"));
    assert_eq!(row["end_time"], "2021-03-29T23:55:00.523106Z");
    check(json!({"ts": 10, "duration": -0.5}), json!({"end_time": "1970-01-01T00:00:09.5Z"}));
    let format = Json::new(Records::Lines);
    for ts in ["\"XXXXXXXXXX.XXXXXX\"", "-1", "253402300800.5", "\"now\"", "99999999999999999999", "true"] {
        check_reject(&format, &format!("{{\"_path\":\"conn\",\"ts\":{ts}}}"), "bad_time", "ts: `");
    }
    for duration in ["\"x\"", "1e18", "-20"] {
        let line = format!("{{\"_path\":\"conn\",\"ts\":10,\"duration\":{duration}}}");
        check_reject(&format, &line, "bad_number", "duration: `");
    }
}

#[test]
fn protocols_and_ports() {
    let ends = |proto: &str, source: &str, ports: [i64; 2]| json!({"proto": proto, "id.orig_h": source, "id.orig_p": ports[0], "id.resp_p": ports[1]});
    let none = Value::Null;
    check(
        ends("udp", "10.0.0.1", [0, 53]),
        json!({"protocol_num": 17, "src_port": 0, "dst_port": 53, "icmp_type": none}),
    );
    let icmp = json!({"protocol_num": 1, "protocol": "icmp", "icmp_type": 3, "icmp_code": 10, "src_port": none, "dst_port": none});
    check(ends("icmp", "10.0.0.1", [3, 10]), icmp);
    let icmp6 = json!({"protocol_num": 58, "protocol": "ipv6-icmp", "icmp_type": 128, "icmp_code": 129});
    check(ends("icmp", "fe80::1", [128, 129]), icmp6);
    check(
        ends("unknown_transport", "10.0.0.1", [0, 0]),
        json!({"protocol_num": none, "protocol": none, "unmapped": none}),
    );
    check(
        json!({"proto": "unknown_transport", "ip_proto": 47, "id.orig_p": 0}),
        json!({"protocol": "gre", "src_port": none}),
    );
    check(json!({"proto": "tcp", "ip_proto": 6}), json!({"protocol_num": 6, "unmapped": none}));
    check(json!({"proto": "shim"}), json!({"protocol": none, "unmapped": {"proto": "shim"}}));
    check(
        json!({"id.resp_h": "::FFFF:10.0.0.1", "id.orig_h": "FE80:0::1"}),
        json!({"dst_ip": "10.0.0.1", "src_ip": "fe80::1"}),
    );
    let format = Json::new(Records::Lines);
    for (member, reason) in [
        ("\"id.orig_h\":\"fe80::1%eth0\"", "bad_address"),
        ("\"id.resp_h\":\"host\"", "bad_address"),
        ("\"id.orig_p\":65536", "bad_number"),
        ("\"id.orig_p\":-1", "bad_number"),
        ("\"proto\":\"icmp\",\"id.orig_p\":256", "bad_number"),
        ("\"orig_bytes\":1.5", "bad_number"),
        ("\"orig_bytes\":18446744073709551615", "bad_number"),
        ("\"ip_proto\":256", "bad_number"),
    ] {
        check_reject(&format, &format!("{{\"_path\":\"conn\",{member}}}"), reason, "is not");
    }
}

#[test]
fn states_orientation_and_observer() {
    let tcp = |state: &str, history: &str| json!({"proto": "tcp", "conn_state": state, "history": history});
    check(tcp("S0", "S"), json!({"result": "timeout", "outcome": "failed", "status_code": "S0", "verdict": null}));
    check(tcp("REJ", "Sr"), json!({"result": "refused", "outcome": "failed"}));
    check(
        tcp("SHR", "^hf"),
        json!({"result": null, "outcome": "unknown", "orientation": "tcp_flags", "is_src_dst_assignment_known": true}),
    );
    check(tcp("OTH", "^dA"), json!({"orientation": "port", "is_src_dst_assignment_known": true, "outcome": "unknown"}));
    check(tcp("OTH", "DdA"), json!({"orientation": null, "is_src_dst_assignment_known": false}));
    check(tcp("SX", "S"), json!({"status_code": "SX", "outcome": "unknown", "result": null}));
    check(
        json!({"proto": "udp", "conn_state": "S0"}),
        json!({"outcome": "unknown", "is_src_dst_assignment_known": true}),
    );
    check(json!({"ts": 1}), json!({"outcome": "unknown", "status_code": null, "bytes_in": null, "packets_out": null}));
    let reset = json!({"proto": "tcp", "conn_state": "RSTR", "history": "ShAr", "resp_bytes": 0});
    check(reset, json!({"result": "reset", "outcome": "failed"}));
    check(
        json!({"_system_name": "sensor", "_node_name": "w-1"}),
        json!({"observer": "sensor", "unmapped": {"_node_name": "w-1"}}),
    );
    check(json!({"_node_name": "w-1"}), json!({"observer": "w-1", "unmapped": null}));
    check(json!({"@system": "s"}), json!({"observer": "s"}));
}

#[test]
fn other_fields_are_kept_with_their_types() {
    let members = json!({"uid": "C1", "vlan": 12, "community_id": "1:x=", "app": ["a", "b"], "pcr": -0.129973,
        "spcap": {"rule": 1}, "tunnel_parents": [], "empty": "", "nothing": null, "text": "a\"\n\u{1}é"});
    let kept = json!({"uid": "C1", "vlan": 12, "community_id": "1:x=", "app": ["a", "b"], "pcr": -0.129973,
        "spcap": {"rule": 1}, "text": "a\"\n\u{1}é"});
    check(members, json!({"unmapped": kept}));
    let format = Json::new(Records::Lines);
    let deep =
        format!("{{\"_path\":\"conn\",\"a\":{}{},\"b\":1e999,\"c\":\"\\ud800\"}}", "[".repeat(200), "]".repeat(200));
    let row = only_row(&decode_with(&format, deep.as_bytes()));
    let kept: Value = serde_json::from_str(row["unmapped"].as_str().unwrap()).unwrap();
    assert_eq!((kept["b"].as_str(), kept["c"].as_str()), (Some("1e999"), Some("\"\\ud800\"")));
    assert!(kept["a"].as_str().is_some_and(|text| text.starts_with("[[[")), "what no reader takes is a text: {kept}");

    let header = HEADER.replace("tunnel_parents\n", "tunnel_parents\tapp\tvlan\tnote\n");
    let header = header.replace("set[string]\n", "set[string]\tvector[string]\tint\tstring\n");
    let line = LINE.trim_end_matches('-');
    let log = format!("{header}{line}C1,C2\ta\\x2cb,c\t7\tx\\\\y\n{line}(empty)\t-\t-\t(empty)\n");
    let out = import(&log, "auto");
    let kept: Vec<Value> =
        rows(&out).iter().map(|row| serde_json::from_str(row["unmapped"].as_str().unwrap()).unwrap()).collect();
    let names = ["tunnel_parents", "app", "vlan", "note"];
    assert_eq!(
        names.map(|name| kept[0][name].clone()),
        [json!(["C1", "C2"]), json!(["a,b", "c"]), json!(7), json!("x\\y")]
    );
    assert!(names.iter().all(|name| kept[1].get(name).is_none()), "{}", kept[1]);
}

#[test]
fn headers_change_what_follows() {
    let renamed =
        "#separator \\x7c\n#unset_field|?\n#path|conn\n#fields|ts|src|src_port|dst|dst_port|proto|conn_state\n";
    let second = "1.5|10.0.0.1|?|10.0.0.2|53|udp|SF\n";
    let dns = "#separator \\x09\n#path\tdns\n#fields\tts\tuid\tquery\n";
    let log = format!(
        "{HEADER}{LINE}\n#close\tx\n{HEADER}{LINE}\n{renamed}{second}{dns}1.5\tC1\texample.org\n{HEADER}{LINE}\n"
    );
    let out = import(&log, "auto");
    let ports: Vec<_> = rows(&out).iter().map(|row| row["dst_port"].as_i64().unwrap()).collect();
    assert_eq!(ports, [3128, 3128, 53, 3128]);
    assert_eq!(rejects(&out), [format!("other_log at {}", log.find("1.5\tC1").unwrap())]);
    assert!(out.rejects[0].detail.contains("Zeek log `dns`"), "{}", out.rejects[0].detail);

    // A chunk may end anywhere between header lines; what they said so far is carried on.
    let whole: Vec<_> = rows(&out);
    let ends: Vec<usize> = log.match_indices('\n').map(|(at, _)| at + 1).collect();
    for &cut in &ends {
        let chosen = choose(log.as_bytes(), &FormatChoice::Auto).unwrap();
        let (mut current, mut parts) = (chosen.format, Decoded::default());
        for (start, chunk) in [(0, &log[..cut]), (cut, &log[cut..])] {
            for (range, format) in segments(chunk.as_bytes(), &current) {
                format.decode(&chunk.as_bytes()[range.clone()], (start + range.start) as u64, &mut parts);
                current = format;
            }
        }
        assert_eq!(rows(&parts), whole, "cut at {cut}");
    }

    let current: Arc<dyn Format> = Arc::clone(&choose(HEADER.as_bytes(), &FormatChoice::Auto).unwrap().format);
    assert_eq!(segments(format!("{HEADER}{LINE}\n{HEADER}").as_bytes(), &current).len(), 1, "the same header");
}

#[test]
fn lines_that_do_not_fit() {
    let format = choose(HEADER.as_bytes(), &FormatChoice::Auto).unwrap().format;
    check_reject(&*format, &format!("{LINE}\tx"), "too_many_fields", "22 fields, but the header has 21");
    check_reject(&*format, "1672843056.9\tC1", "too_few_fields", "2 fields, but the header has 21");
    check_reject(&*format, &LINE.replace("1672843056.913119", "XXXXXXXXXX.XXXXXX"), "bad_time", "ts: `XXX");
    assert_eq!(decode_with(&*format, b"\n#close\t1\r\n \r\n#\xff\n").counts.records, 0);
    let out = decode_with(&*format, b"\xff\t1\n");
    assert_eq!(rejects(&out), ["invalid_utf8 at 0"]);
    let names = HEADER.lines().find_map(|line| line.strip_prefix("#fields\t")).unwrap();
    assert_eq!(decode_with(&*format, names.as_bytes()).counts.records, 0, "its own field names");
    check_reject(&*format, "ts\tid.orig_h\tid.resp_h", "unexpected_header", "3 fields, not 21");

    let json = Json::new(Records::Lines);
    check_reject(&json, "{\"ts\":1", "bad_json", "EOF");
    check_reject(&json, "[]", "bad_json", "a JSON object");
    check_reject(&json, "#close", "bad_json", "expected value");
    check_reject(&json, r#"{"_path":"dns","ts":1}"#, "other_log", "Zeek log `dns`");
    check_reject(&json, r#"{"dns":{"ts":1}}"#, "other_log", "no `_path`");
    check_reject(&json, r#"{"_path":"conn_long","conn_state":"S1"}"#, "other_log", "running count");
    let out = decode_with(&json, format!("{OBJECT}\n\n {OBJECT}").as_bytes());
    assert_eq!(out.counts.flows, 2);
    let offsets: Vec<_> = rows(&out).iter().map(|row| row["position_offset"].as_u64().unwrap()).collect();
    assert_eq!(offsets, [0, OBJECT.len() as u64 + 3]);
}

fn chosen(head: &str, wanted: &str) -> Result<Chosen, UnknownFormat> {
    choose(head.as_bytes(), &wanted.parse().unwrap())
}

#[test]
fn recognised_by_content() {
    fn check(head: &str, wanted: &str, reason: &str, records: Records) -> Chosen {
        let found = chosen(head, wanted).unwrap_or_else(|error| panic!("{head}: {error}"));
        assert_eq!((found.format.name(), found.framing), ("zeek", Framing::Text(records)), "{head}");
        assert!(found.reason.contains(reason), "{}", found.reason);
        found
    }
    let dns = r#"{"_path":"dns","ts":1,"uid":"C1","id.orig_h":"10.0.0.1","id.resp_h":"10.0.0.2","query":"a"}"#;
    let names = HEADER.lines().find_map(|line| line.strip_prefix("#fields\t")).unwrap();
    check(HEADER, "auto", "a Zeek header with 21 fields", Records::Lines);
    check(&format!("\u{feff}### BTest\n{HEADER}{LINE}"), "auto", "a Zeek header", Records::Lines);
    check(&format!("{names}\n{LINE}\n"), "auto", "a line with 21 field names", Records::Lines);
    check(OBJECT, "auto", "a JSON object", Records::Lines);
    check(&format!("{dns}\n{dns}\n{OBJECT}\n"), "auto", "object 3 is of conn.log", Records::Lines);
    check(&format!("{OBJECT}{OBJECT}"), "auto", "a JSON object", Records::JsonObjects);
    let other = check(dns, "zeek", "1 JSON objects", Records::Lines);
    assert!(other.notes[0].contains("Zeek log `dns`"), "{:?}", other.notes);
    let given = check(
        "1.5\t10.0.0.1\t10.0.0.2\tSF\n",
        "zeek:ts id.orig_h id.resp_h conn_state",
        "the given fields",
        Records::Lines,
    );
    assert_eq!(decode_with(&*given.format, b"1.5\t10.0.0.1\t10.0.0.2\tSF\n").counts.flows, 1);
    assert!(Ascii::with_fields("ts uid").is_err());

    let message = |head: &str, wanted: &str| chosen(head, wanted).unwrap_err().to_string();
    assert!(message("#separator \\x09\n#path\tdns\n#fields\tts\tquery\n", "auto").contains("Zeek log `dns`"));
    assert!(message(dns, "auto").contains("Zeek log `dns`"));
    assert!(message("what is this\n", "zeek").contains("it is not `zeek`"));
    assert!("zeek:ts ts conn_state".parse::<FormatChoice>().unwrap_err().to_string().contains("twice"));
    for head in ["# a comment\n# another\n", "{\"a\":1}\n", "#Fields: date time\n", "ts\tuid\n"] {
        let error = message(head, "auto");
        assert!(!error.contains("Zeek") && error.contains("no known format"), "{head}: {error}");
    }
}
