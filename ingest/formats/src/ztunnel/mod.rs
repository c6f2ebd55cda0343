//! ztunnel, the node proxy of Istio's ambient mode: its access log in text and JSON. Lines of `connection opened` (level debug) and of other
//! loggers are no connections yet.
//!
//! Source: istio/ztunnel, "proxy/metrics.rs" (fields of the access log), "telemetry.rs" (text and JSON layouts), "proxy.rs" (errors). Each
//! connection is logged by both ztunnels, the client's as outbound and the server's as inbound. Port 15008 is the HBONE tunnel; the real
//! target is `dst.hbone_addr`. Identities appear only with mutual TLS. `bytes_sent` and `bytes_recv` count from the initiator's ztunnel for
//! outbound and from the responder's for inbound connections.

mod page;

use crate::contract::{Decoded, Fault, Format, Reason};
use crate::detect::{Chosen, first_lines};
use crate::framing::Records;
use crate::json::Doc;
use crate::registry::{Family, Recognised};
use crate::rows::{Nature, Rows, Side, Written};
use crate::text::pairs::Pairs;
use crate::text::{duration, scan, time};
use crate::{endpoint, number, redact};
use std::borrow::Cow;
use std::sync::Arc;
use tradewind_model::flow::{
    BYTES_IN, BYTES_OUT, DST_INSTANCE, DST_NAMESPACE, DST_PRINCIPAL, DST_VERIFIED, ENCRYPTION, OUTCOME_REASON, POLICY,
    SERVER_NAME, SRC_INSTANCE, SRC_NAMESPACE, SRC_PRINCIPAL, SRC_VERIFIED,
};
use tradewind_model::outcome::{ConnectionResult, Verdict};
use tradewind_model::protocol;

/// The word in the column `source`.
const NAME: &str = "ztunnel";

/// ztunnel's access log.
pub(crate) static FAMILY: Family = Family {
    name: NAME,
    summary: "Istio ambient: access log of ztunnel, text and JSON",
    page: page::PAGE,
    decoders: || vec![(Arc::new(Ztunnel), Records::Lines)],
    recognise: |head| by_content(head).map(Recognised::Connections),
    named: |_, _| Ok(Chosen::text(Ztunnel, Records::Lines, "as asked for")),
    check_layout: None,
};

const NATURE: Nature = Nature { kind: "connection", vantage: None, orientation: "log" };
/// The port of the HBONE tunnel.
const HBONE_PORT: u16 = 15008;
/// Most bytes of an error that are kept.
const REASON_BYTES_MAX: usize = 256;

/// Lines of both layouts.
#[derive(Clone, Copy, Debug)]
struct Ztunnel;

impl Format for Ztunnel {
    fn name(&self) -> &'static str {
        NAME
    }

    fn decode(&self, input: &[u8], offset: u64, out: &mut Decoded) {
        let mut rows = Rows::new(out, NAME, NATURE);
        let mut doc = Doc::new();
        rows.each_line(input, offset, |rows, line| {
            let mut access = Access::default();
            if line.starts_with('{') {
                doc.parse(line)?;
                for (key, value) in doc.root().members() {
                    if let Some(text) = value.scalar() {
                        access.set(key, Cow::Borrowed(text), rows)?;
                    }
                }
            } else {
                text(line, &mut access, rows)?;
            }
            access.write(rows)
        });
        rows.finish();
    }
}

fn by_content(head: &[u8]) -> Option<Chosen> {
    let reason = first_lines(head).find_map(|line| {
        if line.starts_with('{') {
            let mut doc = Doc::new();
            doc.parse(line).ok()?;
            let root = doc.root();
            let has = |key: &str| root.get(key).is_some();
            return (has("src.addr") && has("dst.addr") && has("bytes_recv"))
                .then_some("JSON with ztunnel's keys src.addr and dst.addr");
        }
        let is_access = line.contains("\tconnection complete\t")
            || line.contains(" connection complete ")
            || line.contains("\tconnection complete ");
        (is_access && line.contains("src.addr=")).then_some("lines of ztunnel's access log")
    })?;
    Some(Chosen::text(Ztunnel, Records::Lines, reason))
}

/// `TIME LEVEL SCOPE MESSAGE key=value …`, separated by tabs or blanks.
fn text<'a>(line: &'a str, access: &mut Access<'a>, rows: &mut Rows<'_, '_>) -> Result<(), Fault> {
    let mut words = line.splitn(4, ['\t', ' ']);
    let mut next = || words.next().unwrap_or_default();
    let (at, _level, scope, rest) = (next(), next(), next(), next());
    access.time = Some(time::rfc3339(at).ok_or_else(|| Fault::value(Reason::BadTime, "time", at, "RFC 3339"))?);
    // The message is what stands before the first pair.
    let first =
        rest.find('=').map_or(rest.len(), |equals| rest[..equals].rfind(['\t', ' ']).map_or(0, |blank| blank + 1));
    let (message, pairs) = rest.split_at(first);
    access.is_access = scope.starts_with("access");
    access.message = message.trim();
    for pair in Pairs::new(pairs) {
        let value = if pair.is_quoted { scan::unescape(pair.value) } else { Cow::Borrowed(pair.value) };
        access.set(pair.key, value, rows)?;
    }
    Ok(())
}

/// One end, as it is logged.
#[derive(Clone, Debug, Default)]
struct End<'a> {
    address: Cow<'a, str>,
    workload: Cow<'a, str>,
    namespace: Cow<'a, str>,
    identity: Cow<'a, str>,
}

/// One record.
#[derive(Clone, Debug, Default)]
struct Access<'a> {
    time: Option<i64>,
    is_access: bool,
    message: &'a str,
    src: End<'a>,
    dst: End<'a>,
    hbone: Cow<'a, str>,
    service: Cow<'a, str>,
    direction: Cow<'a, str>,
    sent: Option<i64>,
    received: Option<i64>,
    micros: i64,
    error: Cow<'a, str>,
}

impl<'a> Access<'a> {
    /// Takes a field; what has no meaning goes to `unmapped`.
    fn set(&mut self, key: &str, value: Cow<'a, str>, rows: &mut Rows<'_, '_>) -> Result<(), Fault> {
        let count = |value: &str| {
            number::digits(value.as_bytes())
                .ok_or_else(|| Fault::value(Reason::BadNumber, key, value, "a whole number"))
        };
        let text = match key {
            "src.addr" => &mut self.src.address,
            "src.workload" => &mut self.src.workload,
            "src.namespace" => &mut self.src.namespace,
            "src.identity" => &mut self.src.identity,
            "dst.addr" => &mut self.dst.address,
            "dst.hbone_addr" => &mut self.hbone,
            "dst.service" => &mut self.service,
            "dst.workload" => &mut self.dst.workload,
            "dst.namespace" => &mut self.dst.namespace,
            "dst.identity" => &mut self.dst.identity,
            "direction" => &mut self.direction,
            "error" => &mut self.error,
            "bytes_sent" => return count(&value).map(|count| self.sent = Some(count)),
            "bytes_recv" => return count(&value).map(|count| self.received = Some(count)),
            "duration" => {
                self.micros = duration::with_unit(&value)
                    .ok_or_else(|| Fault::value(Reason::BadNumber, key, &value, "a duration such as 15ms"))?;
                return Ok(());
            }
            "time" | "timestamp" => {
                self.time =
                    Some(time::rfc3339(&value).ok_or_else(|| Fault::value(Reason::BadTime, key, &value, "RFC 3339"))?);
                return Ok(());
            }
            "scope" | "target" => {
                self.is_access = value.starts_with("access");
                return Ok(());
            }
            "message" | "level" => return Ok(()),
            _ => {
                rows.unmapped.text(key, &value);
                return Ok(());
            }
        };
        *text = value;
        Ok(())
    }

    fn write(&self, rows: &mut Rows<'_, '_>) -> Result<Written, Fault> {
        if self.message.starts_with("connection opened") {
            return Err(Fault::other_log("a connection of ztunnel that was opened: it is logged again when it ends"));
        }
        if !self.is_access && self.message != "connection complete" || self.src.address.is_empty() {
            return Err(Fault::other_log("no access log of ztunnel"));
        }
        // It is written when the connection ends.
        if let Some(end) = self.time {
            rows.times(end.saturating_sub(self.micros).max(0), end);
        }
        rows.protocol(protocol::TCP);
        self.ends(rows)?;
        let is_inbound = self.direction == "inbound";
        rows.nature.vantage = match &*self.direction {
            "inbound" => Some("destination"),
            "outbound" => Some("source"),
            _ => None,
        };
        // What the responder's side received is what the initiator sent.
        let (out, back) = if is_inbound { (self.received, self.sent) } else { (self.sent, self.received) };
        rows.number(BYTES_OUT, out);
        rows.number(BYTES_IN, back);
        self.identities(rows);
        let (verdict, result) = judge(&self.error);
        rows.judge(verdict, result);
        let reason = redact::text(&self.error);
        rows.text(OUTCOME_REASON, &reason[..reason.floor_char_boundary(REASON_BYTES_MAX)]);
        if verdict == Some(Verdict::Denied) {
            rows.optional(POLICY, policy(&self.error));
        }
        Ok(Written::Row)
    }

    fn ends(&self, rows: &mut Rows<'_, '_>) -> Result<(), Fault> {
        if !rows.endpoint(Side::Src, "src.addr", &self.src.address)? {
            rows.unmapped.text("src.addr", &self.src.address);
        }
        let is_tunnel =
            endpoint::parse(&self.dst.address).ok().flatten().is_some_and(|address| address.port == Some(HBONE_PORT));
        let target = if is_tunnel && !self.hbone.is_empty() { &self.hbone } else { &self.dst.address };
        if !rows.endpoint(Side::Dst, "dst.addr", target)? {
            // The tunnel may be asked for a name.
            let (name, port) = target.rsplit_once(':').unwrap_or((target, ""));
            rows.text(SERVER_NAME, name);
            rows.port_text(Side::Dst, "dst.hbone_addr", port)?;
        }
        if is_tunnel {
            rows.unmapped.text("dst.addr", &self.dst.address);
        } else {
            rows.unmapped.text("dst.hbone_addr", &self.hbone);
        }
        rows.unmapped.text("dst.service", &self.service);
        Ok(())
    }

    fn identities(&self, rows: &mut Rows<'_, '_>) {
        rows.text(SRC_INSTANCE, &self.src.workload);
        rows.text(SRC_NAMESPACE, &self.src.namespace);
        rows.text(DST_INSTANCE, &self.dst.workload);
        rows.text(DST_NAMESPACE, &self.dst.namespace);
        let (has_src, has_dst) = (!self.src.identity.is_empty(), !self.dst.identity.is_empty());
        rows.text(SRC_PRINCIPAL, &self.src.identity);
        rows.text(DST_PRINCIPAL, &self.dst.identity);
        rows.number(SRC_VERIFIED, has_src.then_some(1));
        rows.number(DST_VERIFIED, has_dst.then_some(1));
        if has_src || has_dst {
            rows.text(ENCRYPTION, "mtls");
        }
    }
}

/// Verdict and result of the error of a connection; none stands for success.
fn judge(error: &str) -> (Option<Verdict>, Option<ConnectionResult>) {
    use ConnectionResult::{Error, Established, Refused, Reset, Timeout};
    const DENIALS: [&str; 4] =
        ["policy rejection", "explicitly denied by", "allow policies exist, but none allowed", "policy change"];
    if error.is_empty() {
        return (None, Some(Established));
    }
    if DENIALS.iter().any(|denial| error.contains(denial)) {
        return (Some(Verdict::Denied), None);
    }
    let result = if error.contains("refused") {
        Refused
    } else if error.contains("deadline has elapsed") || error.contains("timed out") {
        Timeout
    } else if error.contains("reset") {
        Reset
    } else {
        Error
    };
    (None, Some(result))
}

/// The policy that an error names: `… explicitly denied by: NAMESPACE/NAME`.
fn policy(error: &str) -> Option<&str> {
    let name = error.split_once("denied by: ")?.1;
    Some(name[..name.find([' ', ',', ')']).unwrap_or(name.len())].trim()).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check_row, decode_line};
    use serde_json::json;

    #[test]
    fn both_layouts() {
        check_row(
            &Ztunnel,
            "2024-08-21T15:32:05.754291Z\tinfo\taccess\tconnection complete\tsrc.addr=10.42.0.9:33772 src.workload=\"sleep-7\" src.namespace=\"default\" \
             src.identity=\"spiffe://cluster.local/ns/default/sa/sleep\" dst.addr=10.42.0.5:15008 dst.hbone_addr=10.42.0.5:9080 \
             dst.service=\"details.default.svc.cluster.local\" dst.workload=\"details-v1\" dst.namespace=\"default\" \
             dst.identity=\"spiffe://cluster.local/ns/default/sa/details\" direction=\"outbound\" bytes_sent=84 bytes_recv=358 duration=\"15ms\"",
            json!({
                "src_ip": "10.42.0.9", "src_port": 33772, "dst_ip": "10.42.0.5", "dst_port": 9080, "src_instance": "sleep-7",
                "src_principal": "spiffe://cluster.local/ns/default/sa/sleep", "dst_principal": "spiffe://cluster.local/ns/default/sa/details",
                "src_verified": true, "dst_verified": true, "encryption": "mtls", "bytes_out": 84, "bytes_in": 358, "vantage": "source",
                "start_time": "2024-08-21T15:32:05.739291Z", "end_time": "2024-08-21T15:32:05.754291Z", "outcome": "allowed",
                "unmapped.dst.service": "details.default.svc.cluster.local", "unmapped.dst.addr": "10.42.0.5:15008"
            }),
        );
        check_row(
            &Ztunnel,
            r#"{"level":"info","time":"2024-08-21T15:32:05.754291Z","scope":"access","message":"connection complete","src.addr":"10.0.0.1:1","dst.addr":"10.0.0.2:15008","dst.hbone_addr":"web.shop.svc:80","direction":"inbound","bytes_sent":"9","bytes_recv":3,"duration":"1.5s","pool":"x"}"#,
            json!({
                "server_name": "web.shop.svc", "dst_ip": null, "dst_port": 80, "bytes_out": 3, "bytes_in": 9, "vantage": "destination",
                "encryption": null, "outcome": "allowed", "unmapped.pool": "x"
            }),
        );
    }

    #[test]
    fn errors() {
        for (error, outcome, result, policy) in [
            (
                "connection closed due to policy rejection: explicitly denied by: istio-system/strict",
                "denied",
                json!(null),
                json!("istio-system/strict"),
            ),
            (
                "connection closed due to policy rejection: allow policies exist, but none allowed",
                "denied",
                json!(null),
                json!(null),
            ),
            ("connection closed due to policy change", "denied", json!(null), json!(null)),
            ("connection failed: Connection refused (os error 111)", "failed", json!("refused"), json!(null)),
            ("connection failed: deadline has elapsed", "failed", json!("timeout"), json!(null)),
            ("http status: 503 Service Unavailable", "failed", json!("error"), json!(null)),
            ("io error: Connection reset by peer", "failed", json!("reset"), json!(null)),
            ("connection closed due to connection drain", "failed", json!("error"), json!(null)),
        ] {
            check_row(
                &Ztunnel,
                &format!(
                    "2025-10-30T22:23:01.119792Z error access connection complete src.addr=10.217.0.2:44480 dst.addr=10.217.0.248:8080 direction=\"inbound\" bytes_sent=0 bytes_recv=0 duration=\"0ms\" error=\"{error}\""
                ),
                json!({"outcome": outcome, "result": result, "policy": policy, "outcome_reason": error, "dst_port": 8080}),
            );
        }
    }

    #[test]
    fn what_cannot_be_read() {
        for (line, fault) in [
            (
                "2025-10-30T22:23:01Z debug access connection opened src.addr=10.0.0.1:1 dst.addr=10.0.0.2:80",
                "other_log",
            ),
            ("2025-10-30T22:23:01Z info xds::client received response count=3", "other_log"),
            ("never info access connection complete src.addr=10.0.0.1:1", "bad_time"),
            ("2025-10-30T22:23:01Z info access connection complete src.addr=10.0.0.1:1 bytes_sent=x", "bad_number"),
            ("2025-10-30T22:23:01Z info access connection complete src.addr=10.0.0.999:1", "bad_address"),
            ("2025-10-30T22:23:01Z info access connection complete src.addr=::1 duration=\"x\"", "bad_number"),
            ("x", "bad_time"),
            ("{\"level\":\"info\"}", "other_log"),
        ] {
            let found = decode_line(&Ztunnel, line).err().unwrap_or_default();
            assert!(found.starts_with(fault), "{line}: {found}");
        }
    }
}
