//! AWS Network Firewall: Suricata's events in an envelope. Not Suricata's own files.
//!
//! Source: AWS, "Contents of a Network Firewall log" (`firewall_name`, `availability_zone`, `event_timestamp`, `event`, `verdict`); Suricata, "EVE JSON
//! format". The log of flows has one record for each way (`netflow`), so that the other way stays null. The log of alerts has the verdict of a rule; in
//! an alert the ends are those of the packet, so that the opener is taken from `flow` or from the direction.

mod page;

use crate::contract::{Decoded, Fault, Format, Reason};
use crate::detect::{Chosen, Framing, first_line};
use crate::framing::Records;
use crate::json::Value;
use crate::redact;
use crate::registry::{Family, Recognised};
use crate::rows::{Nature, Rows, Side, Written};
use crate::text::time;
use std::sync::Arc;
use tradewind_model::flow::{
    APP_PROTOCOL, BYTES_IN, BYTES_OUT, ENCRYPTION, ICMP_CODE, ICMP_TYPE, LOGGED_TIME, OBSERVER, OUTCOME_REASON,
    PACKETS_IN, PACKETS_OUT, POLICY, REGION, SERVER_NAME, STATUS_CODE, TCP_FLAGS, TLS_VERSION,
};
use tradewind_model::outcome::{ConnectionResult, Verdict};
use tradewind_model::protocol;

/// The word in the column `source`.
const NAME: &str = "aws_network_firewall";

/// AWS Network Firewall.
pub(crate) static FAMILY: Family = Family {
    name: NAME,
    summary: "AWS Network Firewall: flow, alert and TLS logs",
    page: page::PAGE,
    decoders: || {
        let of = |records| (Arc::new(NetworkFirewall { records }) as Arc<dyn Format>, records);
        vec![of(Records::Lines), of(Records::JsonObjects)]
    },
    recognise: |head| by_content(head).map(Recognised::Connections),
    named: |head, _| Ok(named(head)),
    check_layout: None,
};

const NATURE: Nature = Nature { kind: "event", vantage: Some("network"), orientation: "log" };

/// Events in their envelopes.
#[derive(Clone, Copy, Debug)]
struct NetworkFirewall {
    records: Records,
}

impl Format for NetworkFirewall {
    fn name(&self) -> &'static str {
        NAME
    }

    fn decode(&self, input: &[u8], offset: u64, out: &mut Decoded) {
        let mut rows = Rows::new(out, NAME, NATURE);
        rows.each_json(input, offset, self.records, |rows, record| write(record, rows));
        rows.finish();
    }
}

fn by_content(head: &[u8]) -> Option<Chosen> {
    let head = head.trim_ascii_start();
    let has = |key: &str| memchr::memmem::find(head, key.as_bytes()).is_some();
    let is_of_log = matches!(head.first(), Some(b'{' | b'[')) && has("\"firewall_name\"") && has("\"event\"");
    is_of_log.then(|| named(head))
}

fn named(head: &[u8]) -> Chosen {
    let is_line = serde_json::from_slice::<serde::de::IgnoredAny>(first_line(head)).is_ok();
    let records = if is_line { Records::Lines } else { Records::JsonObjects };
    Chosen::new(
        Arc::new(NetworkFirewall { records }),
        Framing::Text(records),
        "JSON with AWS Network Firewall's keys firewall_name and event".to_owned(),
    )
}

fn write(record: Value<'_>, rows: &mut Rows<'_, '_>) -> Result<Written, Fault> {
    let event =
        record.get("event").ok_or_else(|| Fault::other_log("no record of AWS Network Firewall: `event` is missing"))?;
    rows.optional(OBSERVER, record.text("firewall_name"));
    if let Some(zone) = record.peek("availability_zone") {
        // A zone is its region and a letter.
        rows.text(REGION, zone.trim_end_matches(|last: char| last.is_ascii_lowercase()));
    }
    let seen = event.text("timestamp").map(|text| at("timestamp", text)).transpose()?;
    let logged = record.text("event_timestamp").and_then(time::epoch_seconds);
    rows.number(LOGGED_TIME, logged);
    let kind = event.text("event_type").unwrap_or_default();
    if !event.has("src_ip") {
        return Err(Fault::other_log(format!("an event `{}` without ends", kind.chars().take(40).collect::<String>())));
    }
    ends(event, is_reversed(kind, event), rows)?;
    transport(event, rows)?;
    match kind {
        "netflow" => one_way(event, seen, rows)?,
        "flow" => both_ways(event, seen, rows)?,
        "alert" | "drop" => alert(kind, event, seen, rows)?,
        "tls" | "http" | "dns" | "ssh" => {
            if let Some(seen) = seen {
                rows.times(seen, seen);
            }
            rows.judge(None, Some(ConnectionResult::Established));
        }
        other => {
            return Err(Fault::other_log(format!(
                "an event `{}` of AWS Network Firewall",
                other.chars().take(40).collect::<String>()
            )));
        }
    }
    application(event, rows);
    inspection(record, event, rows);
    record.leave(&mut rows.unmapped);
    Ok(Written::Row)
}

fn at(name: &str, text: &str) -> Result<i64, Fault> {
    time::rfc3339(text).ok_or_else(|| Fault::value(Reason::BadTime, name, text, "ISO 8601 with a zone"))
}

/// Whether the packet that raised an alert came from the server.
fn is_reversed(kind: &str, event: Value<'_>) -> bool {
    let opener = event.peek("flow.src_ip");
    kind == "alert"
        && (opener.is_some() && opener == event.peek("dest_ip") || event.peek("direction") == Some("to_client"))
}

fn ends(event: Value<'_>, is_reversed: bool, rows: &mut Rows<'_, '_>) -> Result<(), Fault> {
    let (first, second) = if is_reversed { (Side::Dst, Side::Src) } else { (Side::Src, Side::Dst) };
    for (side, ip, port) in [(first, "src_ip", "src_port"), (second, "dest_ip", "dest_port")] {
        if let Some(address) = event.text(ip) {
            rows.address(side, ip, address)?;
        }
        rows.port(side, port, event.integer(port)?)?;
    }
    for key in ["flow.src_ip", "flow.dest_ip", "flow.src_port", "flow.dest_port"] {
        event.take_at(key);
    }
    Ok(())
}

fn transport(event: Value<'_>, rows: &mut Rows<'_, '_>) -> Result<(), Fault> {
    match event.text("proto").unwrap_or_default() {
        "TCP" => rows.protocol(protocol::TCP),
        "UDP" => rows.protocol(protocol::UDP),
        "ICMP" => rows.protocol(protocol::ICMP),
        "IPv6-ICMP" => rows.protocol(protocol::ICMP6),
        "SCTP" => rows.protocol(132),
        "" => {}
        other => match crate::number::digits(other.as_bytes()).filter(|number| *number <= 255) {
            Some(number) => rows.protocol(number),
            None => rows.unmapped.text("proto", other),
        },
    }
    rows.number(ICMP_TYPE, event.integer("icmp_type")?);
    rows.number(ICMP_CODE, event.integer("icmp_code")?);
    // Suricata writes the flags in hexadecimal.
    let flags = event.text("tcp.tcp_flags").and_then(|text| i64::from_str_radix(text, 16).ok());
    rows.number(TCP_FLAGS, flags.filter(|flags| (0..=0xffff).contains(flags)));
    Ok(())
}

fn span(event: Value<'_>, key: &str, seen: Option<i64>, rows: &mut Rows<'_, '_>) -> Result<(), Fault> {
    let read = |name: String| event.text(&name).map(|text| at(&name, text)).transpose();
    let start = read(format!("{key}.start"))?;
    let end = read(format!("{key}.end"))?;
    if let Some(start) = start.or(seen) {
        rows.times(start, end.or(seen).unwrap_or(start));
    }
    Ok(())
}

/// One way of a flow: whether anything came back is in another record.
fn one_way(event: Value<'_>, seen: Option<i64>, rows: &mut Rows<'_, '_>) -> Result<(), Fault> {
    rows.nature.kind = "interval";
    // The record of the way back has the ends the other way round.
    rows.nature.orientation = "unknown";
    span(event, "netflow", seen, rows)?;
    rows.number(PACKETS_OUT, event.integer("netflow.pkts")?);
    rows.number(BYTES_OUT, event.integer("netflow.bytes")?);
    rows.judge(None, None);
    Ok(())
}

fn both_ways(event: Value<'_>, seen: Option<i64>, rows: &mut Rows<'_, '_>) -> Result<(), Fault> {
    rows.nature.kind = "connection";
    span(event, "flow", seen, rows)?;
    rows.number(PACKETS_OUT, event.integer("flow.pkts_toserver")?);
    let back = event.integer("flow.pkts_toclient")?;
    rows.number(PACKETS_IN, back);
    rows.number(BYTES_OUT, event.integer("flow.bytes_toserver")?);
    rows.number(BYTES_IN, event.integer("flow.bytes_toclient")?);
    let state = event.text("flow.state").unwrap_or_default();
    rows.text(STATUS_CODE, state);
    rows.optional(OUTCOME_REASON, event.text("flow.reason"));
    let verdict = (event.text("flow.action") == Some("drop")).then_some(Verdict::Denied);
    let is_tcp = event.peek("proto") == Some("TCP");
    let result = match (state, back) {
        ("established" | "closed", Some(back)) if back > 0 => Some(ConnectionResult::Established),
        _ if is_tcp && (state == "new" || back == Some(0)) => Some(ConnectionResult::Timeout),
        _ => None,
    };
    rows.judge(verdict, if verdict.is_some() { None } else { result });
    Ok(())
}

/// A rule that matched. "Allowed" says that this rule did not stop it, nothing more.
fn alert(kind: &str, event: Value<'_>, seen: Option<i64>, rows: &mut Rows<'_, '_>) -> Result<(), Fault> {
    if let Some(seen) = seen {
        rows.times(seen, seen);
    }
    let action = event.text("alert.action").unwrap_or_default();
    let decided = event.text("verdict.action").unwrap_or_default();
    let is_stopped = kind == "drop"
        || action == "blocked"
        || matches!(decided, "drop" | "reject")
        || event.peek("flow.action") == Some("drop");
    let verdict = match decided {
        _ if is_stopped => Some(Verdict::Denied),
        "pass" => Some(Verdict::Allowed),
        "alert" => Some(Verdict::Audited),
        _ => None,
    };
    rows.judge(verdict, None);
    rows.text(STATUS_CODE, if decided.is_empty() { action } else { decided });
    let signature = event.text("alert.signature").or_else(|| event.text("drop.reason"));
    rows.optional(
        OUTCOME_REASON,
        signature.map(|text| redact::text(&text[..text.floor_char_boundary(256)])).as_deref(),
    );
    rows.optional(POLICY, event.text("alert.signature_id"));
    Ok(())
}

/// What the application layer tells, where the event has it.
fn application(event: Value<'_>, rows: &mut Rows<'_, '_>) {
    let name = event.text("app_proto").filter(|name| !matches!(*name, "unknown" | "failed"));
    if event.has("http") {
        let text = |key: &str| event.text(key).unwrap_or_default();
        let (method, url, status) = (text("http.http_method"), text("http.url"), text("http.status"));
        rows.http(name.unwrap_or("http"), method, url, status);
        rows.optional(SERVER_NAME, event.text("http.hostname").map(crate::endpoint::host_of_authority));
        event.take_at("http.http_refer");
    } else {
        rows.optional(APP_PROTOCOL, name);
    }
    if event.has("tls") {
        rows.optional(SERVER_NAME, event.text("tls.sni"));
        rows.optional(TLS_VERSION, event.text("tls.version").filter(|version| *version != "UNDETERMINED"));
        rows.text(ENCRYPTION, "tls");
    }
    event.take_at("payload");
    event.take_at("payload_printable");
    event.take_at("packet");
}

/// The log of TLS inspection: a certificate that was refused ends the connection.
fn inspection(record: Value<'_>, event: Value<'_>, rows: &mut Rows<'_, '_>) {
    let fault = event.text("tls_error.error_message").or_else(|| record.text("verdict.reason"));
    if let Some(fault) = fault {
        rows.text(OUTCOME_REASON, &redact::text(&fault[..fault.floor_char_boundary(256)]));
        rows.judge(None, Some(ConnectionResult::Error));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check_row, decode_line};
    use serde_json::json;

    const FIREWALL: NetworkFirewall = NetworkFirewall { records: Records::Lines };

    fn event(event: &str) -> String {
        format!(
            r#"{{"firewall_name":"FW","availability_zone":"us-east-2a","event_timestamp":"1636381332","event":{{"timestamp":"2021-11-08T14:22:12.637611+0000","flow_id":1,"src_ip":"10.0.0.1","src_port":51254,"dest_ip":"10.0.0.2","dest_port":80,"proto":"TCP",{event}}}}}"#
        )
    }

    #[test]
    fn flows_of_one_way_and_of_both() {
        check_row(
            &FIREWALL,
            &event(
                r#""event_type":"netflow","netflow":{"pkts":1,"bytes":40,"start":"2021-11-08T14:18:11.990632+0000","end":"2021-11-08T14:18:12.990632+0000","age":1},"tcp":{"tcp_flags":"1b","syn":true}"#,
            ),
            json!({
                "src_ip": "10.0.0.1", "dst_port": 80, "packets_out": 1, "bytes_out": 40, "bytes_in": null, "tcp_flags": 27, "outcome": "unknown",
                "record_kind": "interval", "is_src_dst_assignment_known": false, "start_time": "2021-11-08T14:18:11.990632Z", "observer": "FW",
                "end_time": "2021-11-08T14:18:12.990632Z", "region": "us-east-2", "logged_time": "2021-11-08T14:22:12Z"
            }),
        );
        for (state, back, action, outcome) in [
            ("closed", 5, "pass", "allowed"),
            ("new", 0, "pass", "failed"),
            ("closed", 5, "drop", "denied"),
            ("bypassed", 1, "pass", "unknown"),
        ] {
            check_row(
                &FIREWALL,
                &event(&format!(
                    r#""event_type":"flow","flow":{{"pkts_toserver":2,"pkts_toclient":{back},"bytes_toserver":9,"bytes_toclient":8,"state":"{state}","action":"{action}"}}"#
                )),
                json!({"outcome": outcome, "packets_in": back, "bytes_in": 8, "status_code": state, "record_kind": "connection"}),
            );
        }
    }

    #[test]
    fn alerts() {
        for (verdict, action, outcome) in [
            ("", "blocked", "denied"),
            ("", "allowed", "unknown"),
            (r#","verdict":{"action":"drop"}"#, "allowed", "denied"),
            (r#","verdict":{"action":"pass"}"#, "allowed", "allowed"),
            (r#","verdict":{"action":"alert"}"#, "allowed", "allowed"),
        ] {
            check_row(
                &FIREWALL,
                &event(&format!(
                    r#""event_type":"alert","alert":{{"action":"{action}","signature_id":1000003,"signature":"Deny all other TCP traffic"}},"http":{{"hostname":"shop:80","url":"/a?b=c","http_method":"GET","http_refer":"http://x/?q"}},"app_proto":"http"{verdict}"#
                )),
                json!({
                    "outcome": outcome, "policy": "1000003", "outcome_reason": "Deny all other TCP traffic", "resource": "/a", "server_name": "shop",
                    "record_kind": "event", "app_protocol": "http", "unmapped.event.http.http_refer": null
                }),
            );
        }
        check_row(
            &FIREWALL,
            &event(
                r#""event_type":"alert","direction":"to_client","alert":{"action":"blocked"},"tls":{"sni":"shop","version":"TLS 1.3"}"#,
            ),
            json!({"src_ip": "10.0.0.2", "src_port": 80, "dst_ip": "10.0.0.1", "server_name": "shop", "encryption": "tls", "tls_version": "TLS 1.3"}),
        );
    }

    #[test]
    fn what_cannot_be_read() {
        for (line, fault) in [
            ("{}".to_owned(), "other_log"),
            ("{\"event\":{\"event_type\":\"stats\"}}".to_owned(), "other_log"),
            (event("\"event_type\":\"fileinfo\""), "other_log"),
            (event("\"event_type\":\"netflow\",\"netflow\":{\"pkts\":-1}"), "bad_number"),
            (event("\"event_type\":\"netflow\"").replace("10.0.0.1", "x"), "bad_address"),
            (event("\"event_type\":\"netflow\"").replace("2021-11-08T", "x"), "bad_time"),
        ] {
            let found = decode_line(&FIREWALL, &line).err().unwrap_or_default();
            assert!(found.starts_with(fault), "{line}: {found}");
        }
        assert!(by_content(event("\"event_type\":\"netflow\"").as_bytes()).is_some());
        assert!(by_content(b"{\"event_type\":\"netflow\"}").is_none());
    }
}
