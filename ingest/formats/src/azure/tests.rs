//! Records of all three logs.

use super::*;
use crate::testing::{check_row, check_values, decode_line, decode_rows};
use serde_json::{Value as Json, json};

fn blob(log: Log) -> Blob {
    Blob { log, records: Records::JsonObjects }
}

fn nsg(tuples: &str) -> String {
    format!(
        r#"{{"time":"2018-11-13T12:00:35.389Z","systemId":"s","category":"NetworkSecurityGroupFlowEvent","resourceId":"/SUBSCRIPTIONS/0000/RESOURCEGROUPS/G/PROVIDERS/X/VM1-NSG","properties":{{"Version":2,"flows":[{{"rule":"DefaultRule_Allow","flows":[{{"mac":"000D3AF87856","flowTuples":[{tuples}]}}]}}]}}}}"#
    )
}

fn vnet(tuples: &str) -> String {
    format!(
        r#"{{"records":[{{"time":"2022-09-14T09:00:52.5625085Z","flowLogVersion":4,"macAddress":"0022487BC205","targetResourceID":"/subscriptions/0000/x/myVNet","flowRecords":{{"flows":[{{"aclID":"acl-1","flowGroups":[{{"rule":"UserRule_a","flowTuples":[{tuples}]}}]}}]}}}}]}}"#
    )
}

#[test]
fn network_security_groups() {
    let rows = decode_rows(
        &blob(Log::Nsg),
        &nsg(
            r#""1542110379,10.0.0.4,13.67.143.118,44931,443,T,O,A,B,,,,","1542110379,10.0.0.4,13.67.143.118,44931,443,T,O,A,C,1,66,2,132","1542110379,::1,10.0.0.4,1,22,U,I,D,E,,,,""#,
        ),
    );
    check_values(
        &rows[0],
        json!({
            "src_ip": "10.0.0.4", "dst_ip": "13.67.143.118", "dst_port": 443, "protocol": "tcp", "vantage": "source", "outcome": "allowed",
            "result": null, "bytes_out": null, "policy": "DefaultRule_Allow", "observer": "000D3AF87856", "account": "0000",
            "start_time": "2018-11-13T11:59:39Z", "logged_time": "2018-11-13T12:00:35.389Z", "position_index": 0, "status_code": "A",
            "unmapped.flow_state": "B", "unmapped.resource": "VM1-NSG", "record_kind": "interval"
        }),
    );
    check_values(
        &rows[1],
        json!({"packets_out": 1, "bytes_out": 66, "packets_in": 2, "bytes_in": 132, "result": "established", "position_index": 1}),
    );
    check_values(&rows[2], json!({"outcome": "denied", "vantage": "destination", "protocol": "udp", "bytes_in": null}));
    let first = decode_rows(&blob(Log::Nsg), &nsg(r#""1525186745,192.168.1.4,10.0.0.4,55960,3389,T,I,A""#));
    check_values(&first[0], json!({"record_kind": "connection", "outcome": "allowed", "bytes_out": null}));
    let stack = r#"{"records":[{"category":"NetworkSecurityGroupFlowEvent","time":"20180719:L012620622","properties":{"Version":"1.0","flows":[{"rule":"r","flows":[{"portId":"id","portName":"nic-1","flowTuples":["1525186745,192.168.1.4,10.0.0.4,55960,3389,T,I,D"]}]}]}}]}"#;
    check_values(
        &decode_rows(&blob(Log::Nsg), stack)[0],
        json!({"observer": "nic-1", "logged_time": null, "outcome": "denied"}),
    );
}

#[test]
fn virtual_networks() {
    let tuple = |state: &str, encryption: &str, counters: &str| {
        format!("\"1663146003599,10.0.0.6,192.0.2.180,23956,443,6,O,{state},{encryption},{counters}\"")
    };
    for (state, encryption, counters, expected) in [
        (
            "B",
            "NX",
            "0,0,0,0",
            json!({"outcome": "allowed", "result": null, "bytes_out": null, "encryption": "none", "status_code": "B"}),
        ),
        (
            "C",
            "X",
            "22,2217,33,10",
            json!({"outcome": "allowed", "result": "established", "packets_out": 22, "bytes_out": 2217, "packets_in": 33, "bytes_in": 10, "encryption": "vnet"}),
        ),
        (
            "E",
            "NX_LOCAL_DST",
            "1,2,0,0",
            json!({"outcome": "allowed", "result": null, "bytes_in": 0, "encryption": "none"}),
        ),
        ("D", "NX", "0,0,0,0", json!({"outcome": "denied", "encryption": null, "outcome_reason": null})),
        ("C", "NX_NOT_ACCEPTED", "1,2,0,0", json!({"outcome": "denied", "outcome_reason": "NX_NOT_ACCEPTED"})),
        (
            "C",
            "NX_SW_NOT_READY",
            "1,2,0,0",
            json!({"outcome": "failed", "result": "error", "outcome_reason": "NX_SW_NOT_READY"}),
        ),
    ] {
        let rows = decode_rows(&blob(Log::Vnet), &vnet(&tuple(state, encryption, counters)));
        check_values(&rows[0], expected);
    }
    let rows = decode_rows(&blob(Log::Vnet), &vnet(&tuple("B", "X", ",,,")));
    check_values(
        &rows[0],
        json!({"policy": "UserRule_a", "unmapped.acl": "acl-1", "observer": "0022487BC205", "start_time": "2022-09-14T09:00:03.599Z", "account": "0000"}),
    );
}

#[test]
fn tuples_that_cannot_be_read() {
    for (tuple, fault) in [
        ("x", "too_few_fields"),
        ("1542110379,10.0.0.4,10.0.0.5,1,2,T,O,A,B", "too_many_fields"),
        ("never,10.0.0.4,10.0.0.5,1,2,T,O,A", "bad_time"),
        ("1,10.0.0.4,host,1,2,T,O,A", "bad_address"),
        ("1,10.0.0.4,10.0.0.5,1,99999,T,O,A", "bad_number"),
        ("1,10.0.0.4,10.0.0.5,1,2,X,O,A", "bad_value"),
        ("1,10.0.0.4,10.0.0.5,1,2,T,Q,A", "bad_value"),
        ("1,10.0.0.4,10.0.0.5,1,2,T,O,Q", "bad_value"),
        ("1,10.0.0.4,10.0.0.5,1,2,T,O,A,C,1,2,3,x", "bad_number"),
    ] {
        let found = decode_line(&blob(Log::Nsg), &nsg(&format!("\"{tuple}\""))).err().unwrap_or_default();
        assert!(found.starts_with(fault), "{tuple}: {found}");
    }
    // A faulty tuple costs itself alone, and keeps its bytes.
    let mut out = Decoded::default();
    let text = nsg("\"bad\",\"1,10.0.0.4,10.0.0.5,1,2,T,O,A\"");
    blob(Log::Nsg).decode(text.as_bytes(), 0, &mut out);
    assert_eq!((out.counts.flows, out.counts.rejected), (1, 1));
    assert_eq!((out.rejects[0].bytes.as_slice(), out.rejects[0].index), (b"bad".as_slice(), Some(0)));
    for text in ["{}", "{\"records\":[]}", "{\"records\":[{}]}", "1"] {
        let found = decode_line(&blob(Log::Vnet), text).err().unwrap_or_default();
        assert!(found.starts_with("other_log"), "{text}: {found}");
    }
}

fn rule(category: &str, properties: Json) -> String {
    json!({"category": category, "time": "2024-03-20T23:39:59.8494370Z", "resourceId": "/SUBSCRIPTIONS/0000/RESOURCEGROUPS/G/PROVIDERS/X/AZUREFIREWALLS/FW01", "properties": properties}).to_string()
}

#[test]
fn rules_of_the_firewall() {
    check_row(
        &blob(Log::Firewall),
        &rule(
            "AZFWNetworkRule",
            json!({"Action": "Allow", "ActionReason": "why", "SourceIp": "10.0.0.1", "SourcePort": 1234, "DestinationIp": "10.0.0.2", "DestinationPort": 443, "Protocol": "TCP", "Rule": "r", "RuleCollection": "c", "Policy": "p"}),
        ),
        json!({
            "src_ip": "10.0.0.1", "dst_port": 443, "outcome": "allowed", "policy": "c/r", "observer": "FW01", "account": "0000",
            "outcome_reason": "why", "status_code": "Allow", "vantage": "network", "unmapped.properties.Policy": "p"
        }),
    );
    check_row(
        &blob(Log::Firewall),
        &rule(
            "AZFWApplicationRule",
            json!({"Action": "Deny", "SourceIp": "10.0.0.1", "SourcePort": 1, "DestinationPort": 443, "Fqdn": "example.org", "TargetUrl": "example.org/a?b", "Protocol": "HTTPS", "IsTlsInspected": false}),
        ),
        json!({"outcome": "denied", "server_name": "example.org", "app_protocol": "http", "encryption": "tls", "dst_ip": null, "dst_port": 443}),
    );
    check_row(
        &blob(Log::Firewall),
        &rule(
            "AZFWNatRule",
            json!({"SourceIp": "10.0.0.1", "DestinationIp": "10.0.0.2", "TranslatedIp": "10.0.0.3", "TranslatedPort": 22, "Protocol": "TCP"}),
        ),
        json!({"outcome": "allowed", "post_nat_dst_ip": "10.0.0.3", "post_nat_dst_port": 22}),
    );
    check_row(
        &blob(Log::Firewall),
        &rule("AZFWIdpsSignature", json!({"Action": "alert", "SourceIp": "10.0.0.1", "Protocol": "ICMPv4"})),
        json!({"verdict": "audited", "protocol": "icmp"}),
    );
    for (flag, outcome) in [("SYN-ACK", "allowed"), ("RST", "failed"), ("FIN", "unknown"), ("INVALID", "unknown")] {
        check_row(
            &blob(Log::Firewall),
            &rule("AZFWFlowTrace", json!({"Flag": flag, "SourceIp": "10.0.0.1"})),
            json!({"outcome": outcome, "record_kind": "packet"}),
        );
    }
    check_row(
        &blob(Log::Firewall),
        &rule(
            "AzureFirewallNetworkRule",
            json!({"msg": "TCP request from 10.1.0.5:55640 to 10.2.0.7:443. Action: Deny. Reason: because"}),
        ),
        json!({"outcome": "denied", "src_ip": "10.1.0.5", "dst_port": 443, "outcome_reason": "because", "protocol": "tcp"}),
    );
    check_row(
        &blob(Log::Firewall),
        &rule(
            "AzureFirewallApplicationRule",
            json!({"msg": "HTTPS request from 10.1.0.5:55640 to example.org:443. Action: Allow. Rule Collection: c. Rule: r"}),
        ),
        json!({"outcome": "allowed", "server_name": "example.org", "dst_port": 443, "policy": "r", "dst_ip": null}),
    );
    for (text, fault) in [
        (rule("AZFWDnsQuery", json!({})), "other_log"),
        (rule("AzureFirewallNetworkRule", json!({})), "other_log"),
        (rule("AzureFirewallNetworkRule", json!({"msg": "hello"})), "bad_syntax"),
        (rule("AZFWNetworkRule", json!({"SourceIp": "x"})), "bad_address"),
        (rule("AZFWNetworkRule", json!({"SourcePort": "x"})), "bad_number"),
    ] {
        let found = decode_line(&blob(Log::Firewall), &text).err().unwrap_or_default();
        assert!(found.starts_with(fault), "{text}: {found}");
    }
}

#[test]
fn what_is_recognised() {
    let of = |text: &str| [Log::Nsg, Log::Vnet, Log::Firewall].map(|log| log.by_content(text.as_bytes()).is_some());
    assert_eq!(of(&nsg("\"\"")), [true, false, false]);
    assert_eq!(of(&vnet("\"\"")), [false, true, false]);
    assert_eq!(of(&rule("AZFWNetworkRule", json!({}))), [false, false, true]);
    assert_eq!(of("{}"), [false; 3]);
    let pretty = "{\n \"records\": [\n";
    assert_eq!(Log::Vnet.named(pretty.as_bytes()).framing, Framing::Text(Records::JsonObjects));
}
