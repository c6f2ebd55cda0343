//! OpenTelemetry log records in OTLP's JSON encoding: mapped by attributes, or, where the body is a line of a log that is known, by that log's format. Not
//! OTLP's binary encoding, and not traces or metrics.
//!
//! Source: opentelemetry-proto, `logs/v1/logs.proto`, "OTLP/HTTP JSON encoding"; OpenTelemetry, "Semantic conventions": source, destination, client, server,
//! network, HTTP, URL, RPC, database, TLS. One object holds many records.

mod attributes;
mod page;

use crate::contract::{Decoded, Fault, Format, Reason};
use crate::detect::{Chosen, Framing, first_line};
use crate::framing::Records;
use crate::json::Value;
use crate::registry::{self, Family, Recognised};
use crate::rows::{Nature, Rows, Side, Written};
use crate::text::time;
use attributes::Attributes;
use std::sync::Arc;
use tradewind_model::flow::{
    APP_PROTOCOL, LOGGED_TIME, OBSERVER, OPERATION, OPERATION_STATUS, OUTCOME_REASON, RESOURCE, SERVER_NAME,
    SRC_PROCESS, TLS_VERSION, TRACE_ID,
};
use tradewind_model::outcome::ConnectionResult;
use tradewind_model::protocol;

/// The word in the column `source`.
const NAME: &str = "otlp";

/// OTLP log records.
pub(crate) static FAMILY: Family = Family {
    name: NAME,
    summary: "OpenTelemetry log records (OTLP JSON): by attributes, or a body that is a line of another format",
    page: page::PAGE,
    decoders: || {
        let of = |records| (Arc::new(Otlp { records }) as Arc<dyn Format>, records);
        vec![of(Records::Lines), of(Records::JsonObjects)]
    },
    recognise: |head| by_content(head).map(Recognised::Connections),
    named: |head, _| Ok(named(head)),
    check_layout: None,
};

const NATURE: Nature = Nature { kind: "event", vantage: None, orientation: "log" };

/// Requests to export, one a line or one after the other.
#[derive(Clone, Copy, Debug)]
struct Otlp {
    records: Records,
}

impl Format for Otlp {
    fn name(&self) -> &'static str {
        NAME
    }

    fn decode(&self, input: &[u8], offset: u64, out: &mut Decoded) {
        let mut rows = Rows::new(out, NAME, NATURE);
        rows.each_json(input, offset, self.records, |rows, request| write(request, rows));
        rows.finish();
    }
}

fn by_content(head: &[u8]) -> Option<Chosen> {
    let head = head.trim_ascii_start();
    let has = |key: &str| memchr::memmem::find(head, key.as_bytes()).is_some();
    let is_request = matches!(head.first(), Some(b'{' | b'['))
        && (has("\"resourceLogs\"") || has("\"resource_logs\""))
        && (has("\"scopeLogs\"") || has("\"scope_logs\""));
    is_request.then(|| named(head))
}

fn named(head: &[u8]) -> Chosen {
    let is_line = serde_json::from_slice::<serde::de::IgnoredAny>(first_line(head)).is_ok();
    let records = if is_line { Records::Lines } else { Records::JsonObjects };
    Chosen::new(
        Arc::new(Otlp { records }),
        Framing::Text(records),
        "JSON with OTLP's keys resourceLogs and scopeLogs".to_owned(),
    )
}

/// A member in either spelling: JSON of the specification, or of the names of the protocol.
fn member<'d>(value: Value<'d>, names: [&str; 2]) -> Option<Value<'d>> {
    names.into_iter().find_map(|name| value.get(name))
}

fn write(request: Value<'_>, rows: &mut Rows<'_, '_>) -> Result<Written, Fault> {
    let resources = member(request, ["resourceLogs", "resource_logs"])
        .ok_or_else(|| Fault::other_log("no OTLP log records: `resourceLogs` is missing"))?;
    let mut index = 0;
    for resource in resources.items() {
        let of_resource = Attributes::of(resource.at("resource.attributes"));
        for scope in member(resource, ["scopeLogs", "scope_logs"]).iter().flat_map(Value::items) {
            let records = member(scope, ["logRecords", "log_records"]);
            write_scope(records.iter().flat_map(Value::items), &of_resource, &mut index, rows);
        }
    }
    if index == 0 {
        return Err(Fault::other_log("an export of no log record"));
    }
    Ok(Written::Done)
}

/// Records of one scope, which come from one program: those that are lines of a log are decoded together.
fn write_scope<'d>(
    records: impl Iterator<Item = Value<'d>>,
    resource: &Attributes<'d>,
    index: &mut u32,
    rows: &mut Rows<'_, '_>,
) {
    let mut lines = String::new();
    let mut starts = Vec::new();
    for record in records {
        let attributes = Attributes::of(record.get("attributes"));
        match write_record(record, &attributes, resource, rows) {
            Ok(()) => rows.accept(Some(*index)),
            Err(fault) => match body_of(record) {
                Some(body) if !attributes.has_ends() => {
                    starts.push((lines.len(), *index));
                    lines.extend(body.chars().map(|character| if character == '\n' { ' ' } else { character }));
                    lines.push('\n');
                    rows.forget();
                }
                _ => rows.reject(fault, Some(*index)),
            },
        }
        *index = index.saturating_add(1);
    }
    if starts.is_empty() {
        return;
    }
    let format = registry::FAMILIES.iter().filter(|family| family.name != NAME).find_map(|family| {
        match (family.recognise)(lines.as_bytes())? {
            Recognised::Connections(chosen) if chosen.framing == Framing::Text(Records::Lines) && chosen.skip == 0 => {
                Some(chosen.format)
            }
            _ => None,
        }
    });
    match format {
        Some(format) => rows.embed(&*format, lines.as_bytes(), &starts),
        None => {
            for (place, (start, index)) in starts.iter().enumerate() {
                let end = starts.get(place + 1).map_or(lines.len(), |(next, _)| *next);
                let fault = Fault::other_log("a log record without ends whose body is a line of no known format");
                rows.reject_part(fault, Some(*index), lines[*start..end].trim_end().as_bytes());
            }
        }
    }
}

/// The text of the body.
fn body_of(record: Value<'_>) -> Option<&str> {
    let body = record.get("body")?;
    member(body, ["stringValue", "string_value"])?.scalar().filter(|text| !text.trim().is_empty())
}

fn write_record(
    record: Value<'_>,
    attributes: &Attributes<'_>,
    resource: &Attributes<'_>,
    rows: &mut Rows<'_, '_>,
) -> Result<(), Fault> {
    if !attributes.has_ends() {
        return Err(Fault::other_log("a log record without attributes of source, destination, client or server"));
    }
    times(record, rows)?;
    let first = |names: &[&str]| names.iter().find_map(|name| attributes.get(name));
    for (side, addresses, ports) in [
        (Side::Src, ["source.address", "client.address"], ["source.port", "client.port"]),
        (Side::Dst, ["destination.address", "server.address"], ["destination.port", "server.port"]),
    ] {
        if let Some(address) = first(&addresses)
            && !rows.endpoint(side, addresses[0], address)?
        {
            match side {
                Side::Dst => rows.text(SERVER_NAME, address),
                Side::Src => rows.unmapped.text(addresses[0], address),
            }
        }
        rows.port_text(side, ports[0], first(&ports).unwrap_or_default())?;
    }
    match first(&["network.transport"]).map(str::to_ascii_lowercase).as_deref() {
        Some("tcp") => rows.protocol(protocol::TCP),
        Some("udp" | "quic") => rows.protocol(protocol::UDP),
        _ => {}
    }
    let has_answer = application(attributes, rows);
    rows.optional(TLS_VERSION, first(&["tls.protocol.version"]));
    rows.optional(SRC_PROCESS, first(&["process.executable.name"]));
    rows.optional(TRACE_ID, member(record, ["traceId", "trace_id"]).and_then(|id| id.scalar()));
    let observers = ["service.instance.id", "host.name", "service.name"];
    rows.optional(OBSERVER, observers.into_iter().find_map(|name| resource.get(name)));
    let error = first(&["error.type"]);
    let result = if has_answer {
        Some(ConnectionResult::Established)
    } else {
        error.map(|error| {
            if error.to_ascii_lowercase().contains("timeout") {
                ConnectionResult::Timeout
            } else {
                ConnectionResult::Error
            }
        })
    };
    rows.judge(None, result);
    rows.optional(OUTCOME_REASON, error);
    attributes.leave("", &mut rows.unmapped);
    resource.leave("resource.", &mut rows.unmapped);
    Ok(())
}

fn times(record: Value<'_>, rows: &mut Rows<'_, '_>) -> Result<(), Fault> {
    let read = |names: [&str; 2]| -> Result<Option<i64>, Fault> {
        let Some(text) = member(record, names).and_then(|time| time.scalar()) else { return Ok(None) };
        let bad = || Fault::value(Reason::BadTime, names[0], text, "nanoseconds since 1970");
        // Zero says that the time is not known.
        time::epoch_nanos(text).map(|time| Some(time).filter(|time| *time > 0)).ok_or_else(bad)
    };
    let observed = read(["observedTimeUnixNano", "observed_time_unix_nano"])?;
    if let Some(time) = read(["timeUnixNano", "time_unix_nano"])?.or(observed) {
        rows.times(time, time);
    }
    rows.number(LOGGED_TIME, observed);
    Ok(())
}

/// HTTP, RPC or database; whether the other side answered.
fn application(attributes: &Attributes<'_>, rows: &mut Rows<'_, '_>) -> bool {
    let text = |name: &str| attributes.get(name).unwrap_or_default();
    rows.text(SERVER_NAME, text("tls.client.server_name"));
    if let Some(method) = attributes.get("http.request.method") {
        let status = text("http.response.status_code");
        let target = attributes.get("url.path").or_else(|| attributes.get("url.full")).unwrap_or_default();
        rows.http("http", method, target, status);
        return !status.is_empty();
    }
    if let Some(system) = attributes.get("rpc.system").or_else(|| attributes.get("rpc.system.name")) {
        rows.text(APP_PROTOCOL, system);
        rows.text(OPERATION, text("rpc.method"));
        rows.text(RESOURCE, text("rpc.service"));
        let status = attributes.get("rpc.grpc.status_code").or_else(|| attributes.get("rpc.response.status_code"));
        rows.optional(OPERATION_STATUS, status);
        return status.is_some();
    }
    if let Some(system) = attributes.get("db.system.name").or_else(|| attributes.get("db.system")) {
        rows.text(APP_PROTOCOL, system);
        rows.text(OPERATION, text("db.operation.name"));
        rows.text(RESOURCE, text("db.collection.name"));
        let status = attributes.get("db.response.status_code");
        rows.optional(OPERATION_STATUS, status);
        return status.is_some();
    }
    rows.text(APP_PROTOCOL, text("network.protocol.name"));
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check_values, decode_line};
    use serde_json::{Value as Json, json};

    const OTLP: Otlp = Otlp { records: Records::Lines };

    fn export(records: &Json) -> String {
        json!({"resourceLogs": [{"resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "web"}}, {"key": "k8s.pod.name", "value": {"stringValue": "web-0"}}]},
            "scopeLogs": [{"scope": {"name": "s"}, "logRecords": records}]}]})
        .to_string()
    }

    fn attributes(pairs: Json) -> Json {
        let Json::Object(pairs) = pairs else { return json!([]) };
        let value = |value: Json| {
            if value.is_number() { json!({"intValue": value.to_string()}) } else { json!({"stringValue": value}) }
        };
        pairs.into_iter().map(|(key, of)| json!({"key": key, "value": value(of)})).collect()
    }

    fn decode(text: &str) -> (Vec<Json>, Vec<String>) {
        let mut out = Decoded::default();
        OTLP.decode(text.as_bytes(), 0, &mut out);
        assert_eq!(out.counts.records, out.counts.flows + out.counts.rejected);
        let rows = (0..out.flows.len()).map(|row| Json::Object(out.flows.row_json(row))).collect();
        (rows, out.rejects.iter().map(|reject| format!("{} {:?}", reject.reason.as_str(), reject.index)).collect())
    }

    #[test]
    fn by_attributes() {
        let pairs = json!({"client.address": "10.0.0.1", "client.port": 5000, "server.address": "shop", "server.port": 443, "network.transport": "tcp",
            "http.request.method": "GET", "url.path": "/a", "url.query": "t=1", "http.response.status_code": 200, "user_agent.original": "curl", "enduser.id": "jane", "x.token": "t"});
        let record = json!({"timeUnixNano": "1544712660300000000", "observedTimeUnixNano": "1544712661300000000", "traceId": "5B8E", "body": {"stringValue": "b"}, "attributes": attributes(pairs)});
        let (rows, rejects) = decode(&export(&json!([record])));
        assert!(rejects.is_empty());
        check_values(
            &rows[0],
            json!({
                "src_ip": "10.0.0.1", "src_port": 5000, "server_name": "shop", "dst_port": 443, "protocol": "tcp", "operation": "GET", "resource": "/a",
                "operation_status": "200", "outcome": "allowed", "start_time": "2018-12-13T14:51:00.3Z", "logged_time": "2018-12-13T14:51:01.3Z",
                "trace_id": "5B8E", "observer": "web", "position_index": 0, "source": "otlp", "unmapped.user_agent.original": "curl",
                "unmapped.url.query": null, "unmapped.enduser.id": null, "unmapped.x.token": "[redacted]", "unmapped.resource.k8s.pod.name": "web-0"
            }),
        );
        for (pairs, outcome) in [
            (json!({"source.address": "10.0.0.1", "error.type": "timeout"}), "failed"),
            (
                json!({"destination.address": "::1", "rpc.system": "grpc", "rpc.method": "Get", "rpc.grpc.status_code": 0}),
                "allowed",
            ),
            (
                json!({"destination.address": "::1", "db.system.name": "postgresql", "db.operation.name": "SELECT"}),
                "unknown",
            ),
        ] {
            let (rows, _) = decode(&export(&json!([{"attributes": attributes(pairs)}])));
            check_values(&rows[0], json!({"outcome": outcome}));
        }
    }

    #[test]
    fn by_the_line_in_the_body() {
        let line = |status: u16| json!({"body": {"stringValue": format!("10.0.0.1 - - [10/Oct/2000:13:55:36 -0700] \"GET /a HTTP/1.1\" {status} 612 \"-\" \"curl/8\"\n")}});
        let with_ends = json!({"attributes": attributes(json!({"source.address": "10.9.9.9"}))});
        let (rows, rejects) = decode(&export(
            &json!([line(200), with_ends, {"body": {"stringValue": "noise"}}, line(502), {"body": {"intValue": "1"}}]),
        ));
        let found: Vec<_> = rows
            .iter()
            .map(|row| (row["source"].clone(), row["position_index"].clone(), row["outcome"].clone()))
            .collect();
        assert_eq!(
            found,
            [
                (json!("otlp"), json!(1), json!("unknown")),
                (json!("nginx"), json!(0), json!("allowed")),
                (json!("nginx"), json!(3), json!("failed"))
            ]
        );
        assert_eq!(rejects, ["other_log Some(4)", "bad_syntax Some(2)"]);
        let (rows, rejects) = decode(&export(&json!([{"body": {"stringValue": "noise"}}])));
        assert!(rows.is_empty());
        assert_eq!(rejects, ["other_log Some(0)"]);
    }

    #[test]
    fn other_spellings_and_faults() {
        let snake = r#"{"resource_logs":[{"scope_logs":[{"log_records":[{"time_unix_nano":"1650917400000000000","attributes":[{"key":"source.address","value":{"string_value":"10.0.0.1"}}]}]}]}]}"#;
        check_values(&decode(snake).0[0], json!({"src_ip": "10.0.0.1", "start_time": "2022-04-25T20:10:00Z"}));
        for (text, fault) in [
            ("{}".to_owned(), "other_log"),
            ("{\"resourceLogs\":[]}".to_owned(), "other_log"),
            (export(&json!([{"attributes": attributes(json!({"source.address": "10.0.0.999"}))}])), "bad_address"),
            (
                export(
                    &json!([{"timeUnixNano": "x", "attributes": attributes(json!({"source.address": "10.0.0.9"}))}]),
                ),
                "bad_time",
            ),
            (
                export(&json!([{"attributes": attributes(json!({"source.address": "10.0.0.9", "source.port": "x"}))}])),
                "bad_number",
            ),
        ] {
            let found = decode_line(&OTLP, &text).err().unwrap_or_default();
            assert!(found.starts_with(fault), "{text}: {found}");
        }
        assert!(by_content(snake.as_bytes()).is_some());
    }
}
