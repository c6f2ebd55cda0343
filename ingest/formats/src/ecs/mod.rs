//! Events in the Elastic Common Schema: from Packetbeat, Filebeat, Elastic's integrations, or documents of an index. Not logs of Elasticsearch itself.
//!
//! Source: Elastic, "ECS Field Reference": Network, Source, Destination, Event, HTTP, URL, TLS, Observer, Rule, Cloud, and "ECS Categorization
//! Field: event.type, event.outcome". Elastic writes the outcome `failure` for what a policy refused, so `event.type` is read first.

mod page;

use crate::contract::{Decoded, Fault, Format, Reason};
use crate::detect::{Chosen, Framing, first_line};
use crate::framing::Records;
use crate::json::{Doc, Kind, Value};
use crate::redact;
use crate::registry::{Family, Recognised};
use crate::rows::{Nature, Rows, Side, Written};
use crate::text::time;
use std::sync::Arc;
use tradewind_model::flow::{
    ACCOUNT, APP_PROTOCOL, BYTES_IN, BYTES_OUT, ICMP_CODE, ICMP_TYPE, LOGGED_TIME, OBSERVER, OUTCOME_REASON,
    PACKETS_IN, PACKETS_OUT, POLICY, POST_NAT_DST_IP, POST_NAT_DST_PORT, POST_NAT_SRC_IP, POST_NAT_SRC_PORT, REGION,
    SERVER_NAME, STATUS_CODE, TLS_VERSION, TRACE_ID,
};
use tradewind_model::outcome::{ConnectionResult, Verdict};
use tradewind_model::protocol;

/// The word in the column `source`.
const NAME: &str = "ecs";

/// Events in the Elastic Common Schema.
pub(crate) static FAMILY: Family = Family {
    name: NAME,
    summary: "Elastic Common Schema events in JSON: nested or dotted keys, documents of an index",
    page: page::PAGE,
    decoders: || {
        let of = |records| (Arc::new(Ecs { records }) as Arc<dyn Format>, records);
        vec![of(Records::Lines), of(Records::JsonObjects)]
    },
    recognise: |head| by_content(head).map(Recognised::Connections),
    named: |head, _| Ok(named(head)),
    check_layout: None,
};

const NATURE: Nature = Nature { kind: "event", vantage: None, orientation: "log" };

/// Events, one a line or one after the other.
#[derive(Clone, Copy, Debug)]
struct Ecs {
    records: Records,
}

impl Format for Ecs {
    fn name(&self) -> &'static str {
        NAME
    }

    fn decode(&self, input: &[u8], offset: u64, out: &mut Decoded) {
        let mut rows = Rows::new(out, NAME, NATURE);
        rows.each_json(input, offset, self.records, |rows, document| write(document, rows));
        rows.finish();
    }
}

fn by_content(head: &[u8]) -> Option<Chosen> {
    let line = first_line(head);
    let of = |text: &str| {
        let mut doc = Doc::new();
        doc.parse(text).is_ok() && is_event(source_of(doc.root()))
    };
    let is_line = line.starts_with(b"{") && std::str::from_utf8(line).is_ok_and(of);
    // Over several lines the keys that nothing else has together are enough.
    let has = |key: &str| memchr::memmem::find(head, key.as_bytes()).is_some();
    let is_spread = head.trim_ascii_start().starts_with(b"[") | head.trim_ascii_start().starts_with(b"{")
        && has("\"@timestamp\"")
        && has("\"ecs\"") | has("\"ecs.version\"")
        && has("\"source\"") | has("\"source.ip\"");
    (is_line || is_spread).then(|| named(head))
}

fn named(head: &[u8]) -> Chosen {
    let is_line = serde_json::from_slice::<serde::de::IgnoredAny>(first_line(head)).is_ok();
    let records = if is_line { Records::Lines } else { Records::JsonObjects };
    Chosen::new(Arc::new(Ecs { records }), Framing::Text(records), "JSON in the Elastic Common Schema".to_owned())
}

/// The event in a document of an index.
fn source_of(document: Value<'_>) -> Value<'_> {
    document.get("_source").filter(|source| source.kind() == Kind::Object).unwrap_or(document)
}

fn is_event(event: Value<'_>) -> bool {
    let has_end = ["source.ip", "destination.ip", "client.ip", "server.ip", "source.address", "destination.address"]
        .into_iter()
        .any(|path| event.has(path));
    has_end
        && event.has("@timestamp")
        && [
            "ecs.version",
            "event.kind",
            "event.category",
            "event.type",
            "event.outcome",
            "event.dataset",
            "network.transport",
        ]
        .into_iter()
        .any(|path| event.has(path))
}

fn write(document: Value<'_>, rows: &mut Rows<'_, '_>) -> Result<Written, Fault> {
    let event = source_of(document);
    if !is_event(event) {
        return Err(Fault::other_log("no event of a connection in the Elastic Common Schema"));
    }
    times(event, rows)?;
    ends(event, rows)?;
    transport(event, rows)?;
    application(event, rows);
    outcome(event, rows);
    rows.optional(ACCOUNT, event.text("cloud.account.id"));
    rows.optional(REGION, event.text("cloud.region"));
    let observer = ["observer.name", "observer.hostname", "observer.serial_number", "agent.name", "host.name"];
    rows.optional(OBSERVER, observer.into_iter().find_map(|path| event.text(path)));
    rows.unique(TRACE_ID, event.text("trace.id"));
    for path in [
        "message",
        "event.original",
        "error.message",
        "user",
        "source.user",
        "destination.user",
        "client.user",
        "related",
        "ecs.version",
        "url",
        "http.request.referrer",
        "http.request.body",
        "http.response.body",
        "tags",
        "_tmp",
    ] {
        event.take_at(path);
    }
    event.leave(&mut rows.unmapped);
    Ok(Written::Row)
}

fn time_at(event: Value<'_>, path: &str) -> Result<Option<i64>, Fault> {
    match event.text(path) {
        Some(text) => time::iso(text)
            .or_else(|| time::epoch_millis(text))
            .map(Some)
            .ok_or_else(|| Fault::value(Reason::BadTime, path, text, "ISO 8601")),
        None => Ok(None),
    }
}

fn times(event: Value<'_>, rows: &mut Rows<'_, '_>) -> Result<(), Fault> {
    let at = time_at(event, "@timestamp")?;
    let start = time_at(event, "event.start")?;
    let end = time_at(event, "event.end")?;
    let length = event.integer("event.duration")?.map(|nanos| nanos / 1_000);
    let (start, end) = match (start, end, length) {
        (Some(start), Some(end), _) => (start, end),
        (Some(start), None, Some(length)) => (start, start.saturating_add(length).min(time::MICROS_MAX)),
        (None, Some(end), Some(length)) => (end.saturating_sub(length).max(0), end),
        (start, end, _) => match start.or(end).or(at) {
            Some(one) => (start.unwrap_or(one), end.unwrap_or(one)),
            None => return Ok(()),
        },
    };
    rows.times(start, end);
    rows.number(LOGGED_TIME, time_at(event, "event.created")?);
    Ok(())
}

fn ends(event: Value<'_>, rows: &mut Rows<'_, '_>) -> Result<(), Fault> {
    for (side, names) in [(Side::Src, ["source", "client"]), (Side::Dst, ["destination", "server"])] {
        let text = |field: &str| names.iter().find_map(|name| event.text(&format!("{name}.{field}")));
        match text("ip") {
            Some(address) => rows.address(side, names[0], address)?,
            // An address may be a name.
            None => {
                if let Some(address) = text("address")
                    && !rows.endpoint(side, names[0], address)?
                {
                    rows.unmapped.text(&format!("{}.address", names[0]), address);
                }
            }
        }
        if let Some(port) = text("port") {
            rows.port_text(side, names[0], port)?;
        }
        for name in names {
            // A copy of what is in a column now.
            for field in ["ip", "address", "port"] {
                event.take_at(&format!("{name}.{field}"));
            }
        }
        let (nat_ip, nat_port) = match side {
            Side::Src => (POST_NAT_SRC_IP, POST_NAT_SRC_PORT),
            Side::Dst => (POST_NAT_DST_IP, POST_NAT_DST_PORT),
        };
        if let Some(address) = text("nat.ip") {
            rows.address_of(nat_ip, "nat.ip", address)?;
        }
        rows.number(
            nat_port,
            event.integer(&format!("{}.nat.port", names[0]))?.filter(|port| *port <= i64::from(u16::MAX)),
        );
    }
    for (path, other, column) in [
        ("source.bytes", "client.bytes", BYTES_OUT),
        ("destination.bytes", "server.bytes", BYTES_IN),
        ("source.packets", "client.packets", PACKETS_OUT),
        ("destination.packets", "server.packets", PACKETS_IN),
    ] {
        let count = event.integer(path)?;
        let count = if count.is_some() { count } else { event.integer(other)? };
        rows.number(column, count);
    }
    Ok(())
}

fn transport(event: Value<'_>, rows: &mut Rows<'_, '_>) -> Result<(), Fault> {
    let by_name = match event.text("network.transport").map(str::to_ascii_lowercase).as_deref() {
        Some("tcp") => Some(protocol::TCP),
        Some("udp") => Some(protocol::UDP),
        Some("icmp") => Some(protocol::ICMP),
        Some("ipv6-icmp" | "icmpv6") => Some(protocol::ICMP6),
        Some("sctp") => Some(132),
        _ => None,
    };
    let number = event
        .text("network.iana_number")
        .and_then(|text| crate::number::digits(text.as_bytes()))
        .filter(|number| *number <= 255);
    if let Some(number) = number.or(by_name) {
        rows.protocol(number);
    }
    rows.number(ICMP_TYPE, event.integer("icmp.type")?);
    rows.number(ICMP_CODE, event.integer("icmp.code")?);
    Ok(())
}

fn application(event: Value<'_>, rows: &mut Rows<'_, '_>) {
    let name = event.text("network.protocol").or_else(|| event.text("network.application"));
    if event.has("http.request") || event.has("http.response") || event.has("url.path") {
        let text = |path: &str| event.text(path).unwrap_or_default();
        let target = event.text("url.path").or_else(|| event.text("url.original")).unwrap_or_default();
        rows.http("http", text("http.request.method"), target, text("http.response.status_code"));
    } else {
        rows.optional(APP_PROTOCOL, name);
    }
    let server = ["tls.client.server_name", "url.domain", "destination.domain", "server.domain"];
    rows.optional(SERVER_NAME, server.into_iter().find_map(|path| event.text(path)));
    rows.optional(TLS_VERSION, event.text("tls.version"));
}

fn outcome(event: Value<'_>, rows: &mut Rows<'_, '_>) {
    let kinds = event.at("event.type");
    let has = |wanted: &str| {
        kinds.is_some_and(|kinds| kinds.scalar() == Some(wanted) || kinds.items().any(|kind| kind.raw() == wanted))
    };
    let outcome = event.text("event.outcome").unwrap_or_default();
    let is_network = event.has("network.transport") || event.has("network.iana_number") || event.has("source.packets");
    let (verdict, result) = if has("denied") {
        (Some(Verdict::Denied), None)
    } else if has("allowed") {
        (Some(Verdict::Allowed), None)
    } else {
        let result = match outcome {
            // An application's failure (HTTP 404) is an answer all the same.
            "failure" if event.has("http.response.status_code") => Some(ConnectionResult::Established),
            "failure" => Some(ConnectionResult::Error),
            "success" => Some(ConnectionResult::Established),
            _ => None,
        };
        (None, result)
    };
    rows.judge(verdict, result);
    rows.nature.kind =
        if has("start") || has("end") || has("connection") && is_network { "connection" } else { "event" };
    if let Some(kinds) = kinds {
        kinds.take();
    }
    rows.optional(STATUS_CODE, event.text("event.action"));
    rows.optional(
        OUTCOME_REASON,
        event.text("event.reason").map(|text| redact::text(&text[..text.floor_char_boundary(256)])).as_deref(),
    );
    rows.optional(POLICY, event.text("rule.name").or_else(|| event.text("rule.id")));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check_row, decode_line};
    use serde_json::{Value as Json, json};

    const ECS: Ecs = Ecs { records: Records::Lines };

    fn event(extra: Json) -> String {
        let mut event = json!({
            "@timestamp": "2024-01-02T03:04:05Z", "ecs": {"version": "8.11.0"}, "source": {"ip": "10.0.0.1", "port": 5000, "bytes": 10, "address": "10.0.0.1"},
            "destination": {"ip": "10.0.0.2", "port": 443, "bytes": 20, "packets": 3}, "network": {"transport": "tcp", "bytes": 30}, "message": "secret"
        });
        if let (Some(event), Json::Object(extra)) = (event.as_object_mut(), extra) {
            event.extend(extra);
        }
        event.to_string()
    }

    #[test]
    fn events() {
        check_row(
            &ECS,
            &event(
                json!({"event": {"start": "2024-01-02T03:04:00Z", "duration": 2_000_000_000, "type": ["connection", "allowed"], "action": "accept", "created": "2024-01-02T03:05:00Z"}, "rule": {"name": "r"}, "observer": {"name": "fw"}, "user": {"name": "jane"}}),
            ),
            json!({
                "src_ip": "10.0.0.1", "src_port": 5000, "dst_port": 443, "bytes_out": 10, "bytes_in": 20, "packets_in": 3, "packets_out": null,
                "start_time": "2024-01-02T03:04:00Z", "end_time": "2024-01-02T03:04:02Z", "logged_time": "2024-01-02T03:05:00Z", "verdict": "allowed",
                "status_code": "accept", "policy": "r", "observer": "fw", "record_kind": "connection", "unmapped.network.bytes": 30, "unmapped.message": null,
                "unmapped.user.name": null
            }),
        );
        check_row(
            &ECS,
            r#"{"_index":"i","_source":{"@timestamp":"2024-01-02T03:04:05Z","event.outcome":"failure","source.ip":"::1","destination.address":"shop","destination.port":80,"network.iana_number":"17","http.request.method":"GET","url.path":"/a","url.query":"t=1","http.response.status_code":404,"url.domain":"shop"}}"#,
            json!({
                "src_ip": "::1", "dst_ip": null, "dst_port": 80, "protocol": "udp", "operation": "GET", "resource": "/a", "operation_status": "404",
                "outcome": "allowed", "server_name": "shop", "unmapped.destination.address": "shop", "unmapped.url.query": null
            }),
        );
    }

    #[test]
    fn outcomes() {
        for (event_, outcome) in [
            (json!({"type": ["denied"], "outcome": "success"}), "denied"),
            (json!({"type": "allowed", "outcome": "failure"}), "allowed"),
            (json!({"outcome": "failure"}), "failed"),
            (json!({"outcome": "success"}), "allowed"),
            (json!({"outcome": "unknown"}), "unknown"),
            (json!({}), "unknown"),
        ] {
            check_row(&ECS, &event(json!({"event": event_})), json!({"outcome": outcome}));
        }
    }

    #[test]
    fn what_cannot_be_read() {
        for (line, fault) in [
            ("{}".to_owned(), "other_log"),
            ("{\"@timestamp\":\"x\",\"message\":\"y\"}".to_owned(), "other_log"),
            (event(json!({"@timestamp": "never"})), "bad_time"),
            (event(json!({"source": {"ip": "x"}})), "bad_address"),
            (event(json!({"source": {"ip": "::1", "port": "x"}})), "bad_number"),
        ] {
            let found = decode_line(&ECS, &line).err().unwrap_or_default();
            assert!(found.starts_with(fault), "{line}: {found}");
        }
        assert!(by_content(event(json!({})).as_bytes()).is_some());
        assert!(by_content(b"{\"@timestamp\":\"2024-01-02T03:04:05Z\",\"message\":\"x\"}").is_none());
    }
}
