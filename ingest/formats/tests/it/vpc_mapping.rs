//! The mapping of AWS VPC fields to columns, where no sample shows it.

use crate::vpc::{decode, decode_with, gaps, rejects, row, rows};
use serde_json::{Value, json};
use tradewind_formats::aws_vpc::{AwsVpc, CloudWatch, DEFAULT, Layout, TRANSIT_GATEWAY};

const OK: &str = "2 123456789010 eni-1 10.0.0.1 10.0.0.2 40000 443 6 10 840 1418530010 1418530070 ACCEPT OK";

/// One row of `layout`, by the columns it names; a column that is absent is null.
fn check(layout: &str, line: &str, expected: Value) {
    let row = row(layout, line);
    for (column, value) in expected.as_object().unwrap() {
        assert_eq!(row.get(column).unwrap_or(&Value::Null), value, "{column} of {line}");
    }
}

#[test]
fn addresses_have_one_text() {
    let layout = "srcaddr dstaddr";
    check(layout, "::ffff:10.0.0.1 2001:DB8:0::1", json!({"src_ip": "10.0.0.1", "dst_ip": "2001:db8::1"}));
    let out = decode(layout, "2001:DB8::1 10.0.0.1\n2001:db8::1 10.0.0.1\n2001:DB8::1 ::ffff:10.0.0.1\n");
    assert_eq!(out.flows.text(tradewind_model::flow::SRC_IP).dictionary().len(), 1);
    assert_eq!(out.flows.text(tradewind_model::flow::DST_IP).dictionary().len(), 1);
    assert_eq!(out.counts.flows, 3);
    let bad = ["010.0.0.1 10.0.0.2", "10.0.0.1 fe80::1%eth0", "10.0.0 10.0.0.2", "a b", "0x0a000001 10.0.0.2"];
    let out = decode(layout, &bad.join("\n"));
    assert_eq!(out.counts.rejected, bad.len() as u64);
    assert!(out.rejects.iter().all(|reject| reject.reason.as_str() == "bad_address"), "{:?}", out.rejects);
    assert_eq!(out.flows.text(tradewind_model::flow::SRC_IP).dictionary().find("010.0.0.1"), None);
}

#[test]
fn packet_addresses_name_the_peers() {
    let layout = "srcaddr dstaddr pkt-srcaddr pkt-dstaddr";
    check(
        layout,
        "10.0.1.5 10.0.0.220 10.0.1.5 203.0.113.5",
        json!({"src_ip": "10.0.1.5", "dst_ip": "203.0.113.5", "unmapped": r#"{"dstaddr":"10.0.0.220"}"#}),
    );
    check(layout, "10.0.1.5 10.0.0.220 - -", json!({"src_ip": "10.0.1.5", "dst_ip": "10.0.0.220", "unmapped": null}));
    check(layout, "- - 10.0.1.5 10.0.0.220", json!({"src_ip": "10.0.1.5", "dst_ip": "10.0.0.220", "unmapped": null}));
    check(layout, "2001:DB8::1 ::1 2001:db8::1 ::1", json!({"src_ip": "2001:db8::1", "unmapped": null}));
    assert_eq!(rejects(&decode(layout, "x 10.0.0.1 10.0.1.5 10.0.0.1")), ["bad_address at 0"]);
}

#[test]
fn ports_of_protocols_without_ports_are_absent() {
    let layout = "srcaddr dstaddr srcport dstport protocol";
    let ports = |line: &str, src: Value, dst: Value| check(layout, line, json!({"src_port": src, "dst_port": dst}));
    ports("::1 ::2 0 0 1", Value::Null, Value::Null);
    ports("::1 ::2 0 0 58", Value::Null, Value::Null);
    ports("::1 ::2 0 0 6", json!(0), json!(0));
    ports("::1 ::2 65535 1 17", json!(65535), json!(1));
    ports("::1 ::2 - - -", Value::Null, Value::Null);
    for line in ["::1 ::2 65536 1 6", "::1 ::2 -1 1 6", "::1 ::2 +1 1 6", "::1 ::2 1 1 256", "::1 ::2 1 x 6"] {
        assert_eq!(rejects(&decode(layout, line)), ["bad_number at 0"], "{line}");
    }
}

#[test]
fn times_up_to_the_year_9999() {
    let layout = "srcaddr dstaddr start end";
    check(layout, "::1 ::2 1418530010 -", json!({"start_time": "2014-12-14T04:06:50Z", "end_time": null}));
    check(
        layout,
        "::1 ::2 0 253402207199",
        json!({"start_time": "1970-01-01T00:00:00Z", "end_time": "9999-12-30T21:59:59Z"}),
    );
    assert_eq!(decode(layout, "::1 ::2 0 253402300799").counts.flows, 1);
    for line in [
        "::1 ::2 0 253402300800",
        "::1 ::2 -5 0",
        "::1 ::2 1418530010.5 0",
        "::1 ::2 0 2014-12-14",
        "::1 ::2 0 99999999999999999999999",
    ] {
        assert_eq!(rejects(&decode(layout, line)), ["bad_time at 0"], "{line}");
    }
    // Of two faults the one found first is told, and nothing of the row stays.
    let out = decode(DEFAULT, &format!("{OK}\n{}\n{OK}\n", OK.replace("1418530070", "x")));
    assert_eq!((out.counts.flows, out.counts.rejected), (2, 1));
    assert_eq!(rows(&out)[1]["position_offset"], json!(2 * OK.len() + 2 - 9));
}

#[test]
fn words_outside_the_set_are_rejected() {
    assert_eq!(rejects(&decode(DEFAULT, &OK.replace("ACCEPT", "accept"))), ["bad_value at 0"]);
    let out = decode(DEFAULT, &OK.replace("OK", "FAIL"));
    assert_eq!(rejects(&out), ["bad_value at 0"]);
    assert_eq!(out.rejects[0].detail, "log-status: `FAIL` is not OK, NODATA or SKIPDATA");
    check(
        DEFAULT,
        &OK.replace("ACCEPT", "-"),
        json!({"verdict": null, "result": null, "outcome": "unknown", "status_code": null}),
    );
    check(
        DEFAULT,
        OK,
        json!({"verdict": "allowed", "result": null, "outcome": "allowed", "unmapped": null, "vantage": null}),
    );
    check(
        DEFAULT,
        &OK.replace("ACCEPT", "REJECT"),
        json!({"verdict": "denied", "outcome": "denied", "status_code": "REJECT"}),
    );
    check(DEFAULT, &OK.replace("123456789010", "unknown"), json!({"account": null}));
}

#[test]
fn flow_direction_tells_vantage_and_instance() {
    let layout = "srcaddr dstaddr instance-id flow-direction";
    check(
        layout,
        "::1 ::2 i-1 egress",
        json!({"vantage": "source", "src_instance": "i-1", "dst_instance": null, "unmapped": null}),
    );
    check(
        layout,
        "::1 ::2 i-1 ingress",
        json!({"vantage": "destination", "dst_instance": "i-1", "src_instance": null}),
    );
    check(
        layout,
        "::1 ::2 i-1 -",
        json!({"vantage": null, "dst_instance": null, "unmapped": r#"{"instance-id":"i-1"}"#}),
    );
}

#[test]
fn encryption_status() {
    let layout = "srcaddr dstaddr encryption-status";
    for (word, how, unmapped) in [
        ("0", json!("none"), Value::Null),
        ("1", json!("vnet"), Value::Null),
        ("2", json!("tls"), Value::Null),
        ("3", json!("tls"), json!(r#"{"encryption-status":"3"}"#)),
        ("9", Value::Null, json!(r#"{"encryption-status":"9"}"#)),
        ("-", Value::Null, Value::Null),
    ] {
        check(layout, &format!("::1 ::2 {word}"), json!({"encryption": how, "unmapped": unmapped}));
    }
}

#[test]
fn fields_of_a_later_version_are_kept() {
    let layout = "${version} ${srcaddr} ${dstaddr} ${colour_of_packet}";
    check(layout, "12 ::1 ::2 \"red\\", json!({"unmapped": r#"{"colour-of-packet":"\"red\\"}"#}));
    let notes = Layout::parse(layout).unwrap().notes();
    assert!(notes.iter().any(|note| note.contains("colour-of-packet")), "{notes:?}");
}

/// A Transit Gateway record with these packets and lost counters.
fn gateway(packets: &str, lost: &str) -> String {
    format!(
        "6 TransitGateway 1 tgw-1 tgw-attach-1 2 3 vpc-a vpc-b subnet-a subnet-b eni-a eni-b az-1 az-2 tgw-attach-2 10.0.0.1 \
         10.1.0.1 40000 443 6 {packets} 800 1418530010 1418530070 OK IPv4 {lost} 2 eu-west-1 ingress - -"
    )
}

#[test]
fn transit_gateway_losses() {
    let answer = |packets: &str, lost: &str, result: &str, outcome: &str, reason: Value| {
        check(
            TRANSIT_GATEWAY,
            &gateway(packets, lost),
            json!({"result": result, "outcome": outcome, "outcome_reason": reason, "verdict": null}),
        );
    };
    answer("10", "0 0 0 0", "established", "allowed", Value::Null);
    answer("10", "- - - -", "established", "allowed", Value::Null);
    answer("10", "9 0 0 0", "established", "allowed", Value::Null);
    answer("10", "10 0 0 0", "error", "failed", json!("packets-lost-no-route"));
    answer("10", "0 6 0 4", "error", "failed", json!("packets-lost-blackhole,packets-lost-ttl-expired"));
    answer(
        "10",
        "9223372036854775807 9223372036854775807 - -",
        "error",
        "failed",
        json!("packets-lost-no-route,packets-lost-blackhole"),
    );
    answer("0", "0 0 0 0", "established", "allowed", Value::Null);
    answer("-", "5 0 0 0", "established", "allowed", Value::Null);
}

#[test]
fn transit_gateway_ends() {
    let row = row(TRANSIT_GATEWAY, &gateway("10", "9 0 0 0"));
    for (column, value) in [
        ("observer", "tgw-attach-1"),
        ("src_network", "vpc-a"),
        ("dst_network", "vpc-b"),
        ("account", "1"),
        ("region", "eu-west-1"),
        ("vantage", "network"),
    ] {
        assert_eq!(row[column], value, "{column}");
    }
    let unmapped: Value = serde_json::from_str(row["unmapped"].as_str().unwrap()).unwrap();
    assert_eq!(
        unmapped,
        json!({
            "tgw-id": "tgw-1", "resource-type": "TransitGateway", "flow-direction": "ingress", "tgw-src-vpc-account-id": "2",
            "tgw-dst-vpc-account-id": "3", "tgw-src-subnet-id": "subnet-a", "tgw-dst-subnet-id": "subnet-b",
            "tgw-src-eni": "eni-a", "tgw-dst-eni": "eni-b", "tgw-src-az-id": "az-1", "tgw-dst-az-id": "az-2",
            "tgw-pair-attachment-id": "tgw-attach-2", "packets-lost-no-route": "9",
        })
    );
}

#[test]
fn lines_in_unusual_clothes() {
    let crlf = format!("{OK}\r\n\r\n\n{OK} \r\n  {OK}\n{OK}");
    let out = decode(DEFAULT, &crlf);
    assert_eq!((out.counts.flows, out.counts.records), (4, 4), "{:?}", out.rejects);
    let row = &rows(&out)[3];
    assert_eq!(row["position_offset"], json!(crlf.len() - OK.len()));
    assert_eq!(row["status_code"], "ACCEPT");
    assert_eq!(
        rejects(&decode(DEFAULT, &format!("{OK} extra\n2 1\n"))),
        ["too_many_fields at 0".to_owned(), format!("too_few_fields at {}", OK.len() + 7)]
    );
    let format = AwsVpc::new(Layout::parse(DEFAULT).unwrap());
    let out = decode_with(&format, &[OK.as_bytes(), b"\n2 \xff\xfe x\n", OK.as_bytes()].concat());
    assert_eq!((out.counts.flows, rejects(&out)), (2, vec![format!("invalid_utf8 at {}", OK.len() + 1)]));
}

#[test]
fn headers_among_the_rows() {
    let out = decode(DEFAULT, &format!("{DEFAULT}\n{OK}\n{DEFAULT}\r\n{}\n{OK}\n", DEFAULT.replace('-', "_")));
    assert_eq!((out.counts.flows, out.counts.records), (2, 2), "{:?}", out.rejects);
    let out = decode(DEFAULT, &format!("{OK}\nversion srcaddr dstaddr\n"));
    assert_eq!(rejects(&out), [format!("unexpected_header at {}", OK.len() + 1)]);
    // As many fields as the layout, in another order.
    let other = DEFAULT.replace("srcaddr dstaddr", "dstaddr srcaddr");
    assert_eq!(rejects(&decode(DEFAULT, &other)), ["unexpected_header at 0"]);
    // A layout in which nothing is checked must not take its header for a row.
    let out = decode("instance-id interface-id", "instance-id interface-id\ni-1 eni-1\n");
    assert_eq!((out.counts.flows, out.counts.records), (1, 1));
}

#[test]
fn gaps_without_a_time_of_their_own() {
    let out = decode("version interface-id log-status", "2 eni-1 SKIPDATA\n2 - NODATA");
    assert_eq!(gaps(&out), ["- 1970-01-01T00:00:00Z NODATA 1", "eni-1 1970-01-01T00:00:00Z SKIPDATA 1"]);
    assert_eq!(rejects(&decode("end log-status", "x NODATA")), ["bad_time at 0"]);
}

#[test]
fn envelopes() {
    let envelope = |messages: &[&str]| {
        let events: Vec<Value> = messages
            .iter()
            .map(|message| json!({"id": "1", "timestamp": 1_418_530_071_000_i64, "message": message}))
            .collect();
        json!({"messageType": "DATA_MESSAGE", "owner": "1", "logStream": "eni-9-all", "logEvents": events}).to_string()
    };
    let control = json!({"messageType": "CONTROL_MESSAGE", "logEvents": [{"id": "", "timestamp": 0, "message": "CWL CONTROL MESSAGE"}]});
    let first = envelope(&[OK, "2 short", &OK.replace("OK", "NODATA")]);
    let input =
        format!("{first}{control}{}\n\n{{\"x\":1}}{{\"broken\": \n}}garbage\n{}", envelope(&[OK]), envelope(&[OK]));
    let format = CloudWatch::new(Layout::parse(DEFAULT).unwrap());
    let out = decode_with(&format, input.as_bytes());
    assert_eq!((out.counts.flows, out.counts.gaps, out.counts.rejected), (3, 1, 4), "{:?}", out.rejects);
    let reasons: Vec<_> = out.rejects.iter().map(|reject| (reject.reason.as_str(), reject.index)).collect();
    assert_eq!(reasons, [("too_few_fields", Some(1)), ("bad_json", None), ("bad_json", None), ("bad_json", None)]);
    assert_eq!(out.rejects[0].bytes, b"2 short");
    let rows = rows(&out);
    assert_eq!(rows[1]["position_offset"], json!(first.len() + control.to_string().len()));
    assert_eq!(rows[1]["logged_time"], "2014-12-14T04:07:51Z");
    // What the lines lack comes from the envelope.
    let format = CloudWatch::new(Layout::parse("srcaddr dstaddr").unwrap());
    let row = &crate::vpc::rows(&decode_with(&format, envelope(&["::1 ::2"]).as_bytes()))[0];
    assert_eq!((&row["account"], &row["observer"]), (&json!("1"), &json!("eni-9")));
}

/// AWS checks with one event whether the destination can be reached; nothing else may vanish under that name.
#[test]
fn control_messages_lose_no_event() {
    let check = |messages: &[&str], expected: (u64, u64, u64)| {
        let events: Vec<Value> =
            messages.iter().map(|message| json!({"id": "", "timestamp": 1, "message": message})).collect();
        let control = json!({"messageType": "CONTROL_MESSAGE", "owner": "CloudwatchLogs", "logEvents": events});
        let format = CloudWatch::new(Layout::parse(DEFAULT).unwrap());
        let out = decode_with(&format, control.to_string().as_bytes());
        assert_eq!(
            (out.counts.flows, out.counts.gaps, out.counts.rejected),
            expected,
            "{messages:?}: {:?}",
            out.rejects
        );
        assert_eq!(out.counts.records, expected.0 + expected.1 + expected.2);
    };
    let health = "CWL CONTROL MESSAGE: Checking health of destination Firehose.";
    check(&[], (0, 0, 0));
    check(&[health], (0, 0, 0));
    check(&["something else"], (0, 0, 1));
    check(&[health, OK, "x", &OK.replace("OK", "NODATA")], (1, 1, 1));
}
