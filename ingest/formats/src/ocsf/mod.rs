//! OCSF events: Network Activity (class 4001) and HTTP Activity (4002), of version 1.0.0-rc.2 to 1.8. Not other classes.
//!
//! Source: OCSF schema, classes `network_activity`, `http_activity`, objects `network_endpoint`, `network_connection_info`, `network_traffic`;
//! enumerations of `activity_id`, `disposition_id`, `action_id`, `status_id`. Where a name and a number disagree the name counts: numbers of
//! activities moved between versions.

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
    ACCOUNT, APP_PROTOCOL, BYTES_IN, BYTES_OUT, DST_INSTANCE, DST_NETWORK, LOGGED_TIME, OBSERVER, OUTCOME_REASON,
    PACKETS_IN, PACKETS_OUT, POLICY, REGION, SERVER_NAME, SRC_INSTANCE, SRC_NETWORK, SRC_PROCESS, STATUS_CODE,
    TCP_FLAGS, TLS_VERSION, TRACE_ID,
};
use tradewind_model::outcome::{ConnectionResult, Verdict};
use tradewind_model::protocol;

/// The word in the column `source`.
const NAME: &str = "ocsf";

/// OCSF events.
pub(crate) static FAMILY: Family = Family {
    name: NAME,
    summary: "OCSF Network Activity and HTTP Activity, 1.0 to 1.8",
    page: page::PAGE,
    decoders: || {
        let of = |records| (Arc::new(Ocsf { records }) as Arc<dyn Format>, records);
        vec![of(Records::Lines), of(Records::JsonObjects)]
    },
    recognise: |head| by_content(head).map(Recognised::Connections),
    named: |head, _| Ok(named(head)),
    check_layout: None,
};

const NATURE: Nature = Nature { kind: "event", vantage: None, orientation: "log" };

/// Events, one a line or one after the other.
#[derive(Clone, Copy, Debug)]
struct Ocsf {
    records: Records,
}

impl Format for Ocsf {
    fn name(&self) -> &'static str {
        NAME
    }

    fn decode(&self, input: &[u8], offset: u64, out: &mut Decoded) {
        let mut rows = Rows::new(out, NAME, NATURE);
        rows.each_json(input, offset, self.records, |rows, event| write(event, rows));
        rows.finish();
    }
}

fn by_content(head: &[u8]) -> Option<Chosen> {
    let head = head.trim_ascii_start();
    let has = |key: &str| memchr::memmem::find(head, key.as_bytes()).is_some();
    let is_event = matches!(head.first(), Some(b'{' | b'['))
        && has("\"class_uid\"")
        && has("\"src_endpoint\"") | has("\"dst_endpoint\"");
    is_event.then(|| named(head))
}

fn named(head: &[u8]) -> Chosen {
    let is_line = serde_json::from_slice::<serde::de::IgnoredAny>(first_line(head)).is_ok();
    let records = if is_line { Records::Lines } else { Records::JsonObjects };
    Chosen::new(
        Arc::new(Ocsf { records }),
        Framing::Text(records),
        "JSON with OCSF's keys class_uid and src_endpoint".to_owned(),
    )
}

fn write(event: Value<'_>, rows: &mut Rows<'_, '_>) -> Result<Written, Fault> {
    match event.integer("class_uid")? {
        Some(4001 | 4002) => {}
        Some(other) => return Err(Fault::other_log(format!("an OCSF event of class {other}"))),
        None => return Err(Fault::other_log("no OCSF event: `class_uid` is missing")),
    }
    times(event, rows)?;
    ends(event, rows)?;
    transport(event, rows)?;
    sizes(event, rows)?;
    application(event, rows);
    outcome(event, rows);
    rows.optional(ACCOUNT, event.text("cloud.account.uid").or_else(|| event.text("cloud.account_uid")));
    rows.optional(REGION, event.text("cloud.region"));
    let observer = ["device.name", "device.hostname", "device.uid", "metadata.log_provider"];
    rows.optional(OBSERVER, observer.into_iter().find_map(|path| event.text(path)));
    rows.optional(SRC_PROCESS, event.text("actor.process.name"));
    rows.unique(TRACE_ID, event.text("metadata.correlation_uid"));
    // Said by the class, or copies of numbers in words.
    for path in [
        "class_name",
        "category_name",
        "category_uid",
        "type_uid",
        "type_name",
        "severity_id",
        "raw_data",
        "message",
        "observables",
        "actor.user",
        "enrichments",
    ] {
        event.take_at(path);
    }
    event.leave(&mut rows.unmapped);
    Ok(Written::Row)
}

/// Milliseconds, or ISO 8601 in the fields of the profile `datetime`.
fn time_at(event: Value<'_>, name: &str) -> Result<Option<i64>, Fault> {
    let bad = |text: &str| Fault::value(Reason::BadTime, name, text, "milliseconds since 1970 or ISO 8601");
    if let Some(text) = event.text(name) {
        return time::epoch_millis(text).or_else(|| time::iso(text)).map(Some).ok_or_else(|| bad(text));
    }
    match event.text(&format!("{name}_dt")) {
        Some(text) => time::iso(text).map(Some).ok_or_else(|| bad(text)),
        None => Ok(None),
    }
}

fn times(event: Value<'_>, rows: &mut Rows<'_, '_>) -> Result<(), Fault> {
    let at = time_at(event, "time")?;
    let start = time_at(event, "start_time")?.or(at);
    let end = time_at(event, "end_time")?.or(at).or(start);
    if let (Some(start), Some(end)) = (start.or(end), end) {
        rows.times(start, end);
    }
    rows.number(LOGGED_TIME, time_at(event, "metadata.logged_time")?);
    Ok(())
}

fn ends(event: Value<'_>, rows: &mut Rows<'_, '_>) -> Result<(), Fault> {
    for (side, name, instance, network) in
        [(Side::Src, "src_endpoint", SRC_INSTANCE, SRC_NETWORK), (Side::Dst, "dst_endpoint", DST_INSTANCE, DST_NETWORK)]
    {
        let Some(end) = event.get(name) else { continue };
        let known = |path: &str| end.text(path).filter(|text| *text != "-");
        if let Some(address) = known("ip") {
            rows.address(side, name, address)?;
        }
        rows.port(side, name, end.integer("port")?)?;
        rows.optional(instance, known("instance_uid").or_else(|| known("interface_uid")));
        rows.optional(network, known("vpc_uid"));
        if end.peek("svc_name") == Some("-") {
            end.take_at("svc_name");
        }
        if side == Side::Dst {
            rows.optional(SERVER_NAME, known("domain").or_else(|| known("hostname")));
        }
    }
    if event.boolean("is_src_dst_assignment_known") == Some(false) {
        rows.nature.orientation = "unknown";
    }
    Ok(())
}

fn transport(event: Value<'_>, rows: &mut Rows<'_, '_>) -> Result<(), Fault> {
    let number = event.text("connection_info.protocol_num");
    let name = event.text("connection_info.protocol_name").map(str::to_ascii_lowercase);
    let by_name = match name.as_deref() {
        Some("tcp") => Some(protocol::TCP),
        Some("udp") => Some(protocol::UDP),
        Some("icmp") => Some(protocol::ICMP),
        Some("icmpv6" | "ipv6-icmp") => Some(protocol::ICMP6),
        _ => None,
    };
    let number = number
        .and_then(|text| crate::number::digits(text.as_bytes()))
        .filter(|number| (1..=255).contains(number))
        .or(by_name);
    if let Some(number) = number {
        rows.protocol(number);
    }
    rows.number(TCP_FLAGS, event.integer("connection_info.tcp_flags")?.filter(|flags| *flags <= 0xffff));
    Ok(())
}

fn sizes(event: Value<'_>, rows: &mut Rows<'_, '_>) -> Result<(), Fault> {
    rows.number(BYTES_OUT, event.integer("traffic.bytes_out")?);
    rows.number(BYTES_IN, event.integer("traffic.bytes_in")?);
    rows.number(PACKETS_OUT, event.integer("traffic.packets_out")?);
    rows.number(PACKETS_IN, event.integer("traffic.packets_in")?);
    Ok(())
}

fn application(event: Value<'_>, rows: &mut Rows<'_, '_>) {
    let name = event
        .text("app_name")
        .or_else(|| event.text("app_protocol_name"))
        .or_else(|| event.text("connection_info.app_protocol_name"));
    if event.has("http_request") || event.has("http_response") {
        let text = |path: &str| event.text(path).unwrap_or_default();
        let target = event.text("http_request.url.path").or_else(|| event.text("http_request.url.url_string"));
        rows.http("http", text("http_request.http_method"), target.unwrap_or_default(), text("http_response.code"));
        rows.optional(SERVER_NAME, event.text("http_request.url.hostname"));
        for path in [
            "http_request.args",
            "http_request.url",
            "http_request.referrer",
            "http_request.http_headers",
            "http_cookies",
        ] {
            event.take_at(path);
        }
    } else {
        rows.optional(APP_PROTOCOL, name);
    }
    rows.optional(SERVER_NAME, event.text("tls.sni"));
    rows.optional(TLS_VERSION, event.text("tls.version"));
}

/// Disposition and action are the policy's word and come first; then what became of the connection.
fn outcome(event: Value<'_>, rows: &mut Rows<'_, '_>) {
    let word = |name: &str, number: &str| -> String {
        match event.text(name) {
            Some(text) if !matches!(text, "Unknown" | "Other") => {
                event.take_at(number);
                text.to_ascii_lowercase()
            }
            _ => event.text(number).unwrap_or_default().to_owned(),
        }
    };
    let disposition = word("disposition", "disposition_id");
    let action = word("action", "action_id");
    let activity = word("activity_name", "activity_id");
    let status = word("status", "status_id");
    let verdict = match disposition.as_str() {
        "allowed" | "1" | "exonerated" | "9" => Some(Verdict::Allowed),
        "blocked" | "2" | "quarantined" | "3" | "dropped" | "6" | "rejected" | "25" | "access revoked" | "22"
        | "unauthorized" | "24" => Some(Verdict::Denied),
        "logged" | "17" | "alert" | "19" | "detected" | "15" => Some(Verdict::Audited),
        _ => match action.as_str() {
            "allowed" | "1" | "allow" | "accept" => Some(Verdict::Allowed),
            "denied" | "2" | "deny" | "reject" | "drop" => Some(Verdict::Denied),
            "observed" | "3" => Some(Verdict::Audited),
            _ => None,
        },
    };
    let result = match activity.as_str() {
        "reset" | "3" => Some(ConnectionResult::Reset),
        "fail" | "4" => Some(ConnectionResult::Error),
        "refuse" | "5" => Some(ConnectionResult::Refused),
        _ if matches!(status.as_str(), "failure" | "2") => Some(ConnectionResult::Error),
        "open" | "1" | "close" | "2" | "traffic" | "6" => Some(ConnectionResult::Established),
        _ if matches!(status.as_str(), "success" | "1") => Some(ConnectionResult::Established),
        _ => None,
    };
    rows.nature.kind = match activity.as_str() {
        "traffic" | "6" => "interval",
        "open" | "1" | "close" | "2" => "connection",
        _ => "event",
    };
    // A policy's no says all; that something was let pass does not show that anybody answered.
    let result = match verdict {
        Some(Verdict::Denied) => None,
        Some(_) if result == Some(ConnectionResult::Established) && activity != "open" && activity != "1" => result,
        _ => result,
    };
    rows.judge(verdict, result);
    rows.optional(STATUS_CODE, event.text("status_code"));
    rows.optional(
        OUTCOME_REASON,
        event.text("status_detail").map(|text| redact::text(&text[..text.floor_char_boundary(256)])).as_deref(),
    );
    rows.optional(POLICY, event.text("firewall_rule.name").or_else(|| event.text("policy.name")));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check_row, decode_line};
    use serde_json::{Value as Json, json};

    const OCSF: Ocsf = Ocsf { records: Records::Lines };

    fn event(extra: Json) -> String {
        let mut event = json!({
            "class_uid": 4001, "class_name": "Network Activity", "category_uid": 4, "time": 1_649_721_732_000_i64, "start_time": 1_649_721_732_000_i64,
            "end_time": 1_649_721_788_000_i64, "metadata": {"version": "1.1.0"}, "cloud": {"account": {"uid": "123"}, "region": "us-east-1"},
            "src_endpoint": {"ip": "10.0.0.1", "port": 56858, "svc_name": "-"},
            "dst_endpoint": {"ip": "10.0.0.2", "port": 443, "vpc_uid": "vpc-1", "interface_uid": "eni-1"},
            "connection_info": {"protocol_num": 6, "tcp_flags": 2, "direction": "Inbound"}, "traffic": {"bytes": 40, "bytes_out": 40, "packets_in": 2}
        });
        if let (Some(event), Json::Object(extra)) = (event.as_object_mut(), extra) {
            event.extend(extra);
        }
        event.to_string()
    }

    #[test]
    fn events() {
        check_row(
            &OCSF,
            &event(
                json!({"activity_name": "Traffic", "activity_id": 5, "status_code": "OK", "firewall_rule": {"name": "r"}, "tls": {"version": "1.3", "sni": "shop"}}),
            ),
            json!({
                "src_ip": "10.0.0.1", "src_port": 56858, "dst_port": 443, "start_time": "2022-04-12T00:02:12Z", "end_time": "2022-04-12T00:03:08Z",
                "bytes_out": 40, "bytes_in": null, "packets_in": 2, "tcp_flags": 2, "protocol": "tcp", "dst_network": "vpc-1", "dst_instance": "eni-1",
                "account": "123", "region": "us-east-1", "record_kind": "interval", "outcome": "allowed", "policy": "r", "status_code": "OK",
                "server_name": "shop", "tls_version": "1.3", "unmapped.traffic.bytes": 40, "unmapped.class_name": null
            }),
        );
        check_row(
            &OCSF,
            &event(
                json!({"class_uid": 4002, "http_request": {"http_method": "GET", "url": {"path": "/a", "query_string": "t=1", "hostname": "h"}}, "http_response": {"code": 200}, "status": "Success", "is_src_dst_assignment_known": false}),
            ),
            json!({"operation": "GET", "resource": "/a", "operation_status": "200", "server_name": "h", "outcome": "allowed", "is_src_dst_assignment_known": false}),
        );
    }

    #[test]
    fn outcomes() {
        for (extra, outcome) in [
            (json!({"disposition": "Blocked", "activity_name": "Refuse"}), "denied"),
            (json!({"disposition_id": 6}), "denied"),
            (json!({"disposition": "Rejected"}), "denied"),
            (json!({"disposition": "Allowed", "activity_name": "Open"}), "allowed"),
            (json!({"disposition": "Alert"}), "allowed"),
            (json!({"action": "REJECT"}), "denied"),
            (json!({"action_id": 2}), "denied"),
            (json!({"action_id": 1}), "allowed"),
            (json!({"activity_id": 1}), "allowed"),
            (json!({"activity_name": "Close"}), "allowed"),
            (json!({"activity_id": 3}), "failed"),
            (json!({"activity_id": 4}), "failed"),
            (json!({"activity_name": "Refuse", "activity_id": 6}), "failed"),
            (json!({"status_id": 2}), "failed"),
            (json!({"status": "Failure"}), "failed"),
            (json!({}), "unknown"),
        ] {
            check_row(&OCSF, &event(extra.clone()), json!({"outcome": outcome}));
        }
    }

    #[test]
    fn what_cannot_be_read() {
        for (line, fault) in [
            ("{}".to_owned(), "other_log"),
            ("{\"class_uid\":1007}".to_owned(), "other_log"),
            (event(json!({"time": "never"})), "bad_time"),
            (event(json!({"src_endpoint": {"ip": "x"}})), "bad_address"),
            (event(json!({"src_endpoint": {"port": 99999}})), "bad_number"),
            (event(json!({"traffic": {"bytes_out": "x"}})), "bad_number"),
        ] {
            let found = decode_line(&OCSF, &line).err().unwrap_or_default();
            assert!(found.starts_with(fault), "{line}: {found}");
        }
        assert!(by_content(event(json!({})).as_bytes()).is_some());
        assert!(by_content(b"{\"class_uid\":1007}").is_none());
    }
}
