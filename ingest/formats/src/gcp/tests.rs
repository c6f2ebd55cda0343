//! Records of both logs, alone and in messages.

use super::*;
use crate::testing::{check_row, check_values, decode_line, decode_rows};
use serde_json::json;

const FLOW: &str = r#"{"insertId":"u","jsonPayload":{"bytes_sent":"1776","connection":{"dest_ip":"10.0.0.2","dest_port":5601,"protocol":6,"src_ip":"10.87.40.76","src_port":33478},"end_time":"2019-06-14T03:45:37.301953198Z","packets_sent":"7","reporter":"DEST","rtt_msec":"36","src_instance":{"project_id":"p","region":"us-east1","vm_name":"web","zone":"b"},"dest_instance":{"project_id":"p","region":"us-west1","vm_name":"kibana","zone":"b"},"dest_gke_details":{"pod":{"pod_name":"kibana-0","pod_namespace":"obs"}},"src_vpc":{"project_id":"p","subnetwork_name":"d","vpc_name":"default"},"start_time":"2019-06-14T03:45:37.186193305Z"},"logName":"projects/p/logs/compute.googleapis.com%2Fvpc_flows","receiveTimestamp":"2019-06-14T03:50:10.845445834Z","resource":{"labels":{"project_id":"p"},"type":"gce_subnetwork"},"timestamp":"2019-06-14T03:50:10.845445834Z"}"#;

const RULE: &str = r#"{"jsonPayload":{"connection":{"dest_ip":"10.128.0.16","dest_port":80,"protocol":6,"src_ip":"10.142.0.10","src_port":57794},"disposition":"DENIED","instance":{"region":"us-central1","vm_name":"db"},"remote_instance":{"vm_name":"web"},"remote_vpc":{"project_id":"r","vpc_name":"default"},"rule_details":{"direction":"INGRESS","reference":"network:default/firewall:deny","priority":1000},"vpc":{"project_id":"t","vpc_name":"default"}},"resource":{"labels":{"project_id":"t"}},"timestamp":"2019-11-06T16:41:38.394575419Z"}"#;

fn format(log: Log) -> Entries {
    Entries { log, records: Records::JsonObjects }
}

#[test]
fn flows() {
    check_row(
        &format(Log::Vpc),
        FLOW,
        json!({
            "src_ip": "10.87.40.76", "src_port": 33478, "dst_ip": "10.0.0.2", "dst_port": 5601, "bytes_out": 1776, "bytes_in": null,
            "packets_out": 7, "protocol": "tcp", "start_time": "2019-06-14T03:45:37.186193Z", "logged_time": "2019-06-14T03:50:10.845445Z",
            "outcome": "allowed", "result": "established", "vantage": "destination", "observer": "kibana", "region": "us-west1",
            "dst_instance": "kibana-0", "dst_namespace": "obs", "src_instance": "web", "src_network": "p/default", "account": "p",
            "is_src_dst_assignment_known": false, "record_kind": "interval", "status_code": "DEST", "unmapped.jsonPayload.rtt_msec": "36"
        }),
    );
    let source = FLOW.replace("DEST\"", "SRC\"");
    check_row(
        &format(Log::Vpc),
        &source,
        json!({"outcome": "unknown", "vantage": "source", "observer": "web", "region": "us-east1"}),
    );
}

#[test]
fn rules() {
    check_row(
        &format(Log::Firewall),
        RULE,
        json!({
            "outcome": "denied", "verdict": "denied", "policy": "network:default/firewall:deny", "vantage": "destination", "dst_instance": "db",
            "src_instance": "web", "src_network": "r/default", "dst_network": "t/default", "observer": "db", "bytes_out": null,
            "start_time": "2019-11-06T16:41:38.394575Z", "is_src_dst_assignment_known": true, "unmapped.jsonPayload.rule_details.priority": 1000
        }),
    );
    let egress = RULE.replace("INGRESS", "EGRESS").replace("DENIED", "ALLOWED");
    check_row(
        &format(Log::Firewall),
        &egress,
        json!({"outcome": "allowed", "src_instance": "db", "dst_instance": "web", "vantage": "source"}),
    );
}

#[test]
fn messages_and_arrays() {
    use base64::Engine as _;
    let data = base64::engine::general_purpose::STANDARD.encode(FLOW);
    let pull = format!(
        r#"{{"receivedMessages":[{{"ackId":"a","message":{{"data":"{data}"}}}},{{"message":{{"data":"{data}"}}}}]}}"#
    );
    let rows = decode_rows(&format(Log::Vpc), &pull);
    assert_eq!(rows.len(), 2);
    check_values(&rows[1], json!({"src_ip": "10.87.40.76", "position_index": 1, "position_offset": 0}));
    let push = format!(r#"{{"message":{{"data":"{data}","messageId":"1"}},"subscription":"s"}}"#);
    assert_eq!(decode_rows(&format(Log::Vpc), &push).len(), 1);
    assert!(Log::Vpc.by_content(push.as_bytes()).is_some_and(|chosen| chosen.framing == Framing::Text(Records::Lines)));
    let faulty = decode_line(&format(Log::Vpc), r#"{"message":{"data":"***"}}"#).err().unwrap_or_default();
    assert!(faulty.starts_with("bad_value: the data of the message is not base64"), "{faulty}");
}

#[test]
fn what_is_recognised() {
    let of = |text: &str| [Log::Vpc, Log::Firewall].map(|log| log.by_content(text.as_bytes()).is_some());
    assert_eq!(of(FLOW), [true, false]);
    assert_eq!(of(RULE), [false, true]);
    assert_eq!(of(r#"{"connection":{"src_ip":"::1"},"disposition":"allow"}"#), [false, false]);
    assert_eq!(of("{}"), [false, false]);
    assert_eq!(of("text"), [false, false]);
}

#[test]
fn what_cannot_be_read() {
    for (log, line, fault) in [
        (Log::Vpc, "{\"jsonPayload\":{}}".to_owned(), "other_log"),
        (Log::Vpc, RULE.to_owned(), "other_log"),
        (Log::Firewall, RULE.replace("DENIED", "MAYBE"), "bad_value"),
        (Log::Vpc, FLOW.replace("10.87.40.76", "10.87.40.761"), "bad_address"),
        (Log::Vpc, FLOW.replace("\"1776\"", "\"-1\""), "bad_number"),
        (Log::Vpc, FLOW.replace("2019-06-14T03:45:37.3", "x"), "bad_time"),
        (Log::Vpc, FLOW.replace("\"protocol\":6", "\"protocol\":600"), "bad_number"),
        (Log::Vpc, FLOW.replace("33478", "70000"), "bad_number"),
        (Log::Vpc, FLOW.replace('}', ""), "bad_json"),
    ] {
        let found = decode_line(&format(log), &line).err().unwrap_or_default();
        assert!(found.starts_with(fault), "{line}: {found}");
    }
}
