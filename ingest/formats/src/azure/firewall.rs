//! Azure Firewall: structured logs (`AZFW…`), and legacy ones whose facts are in a message.

use super::firewall_message::{Message, read as read_message};
use super::{resource_name, subscription};
use crate::contract::{Fault, Reason};
use crate::json::Value;
use crate::number;
use crate::rows::{Rows, Side};
use crate::text::time;
use tradewind_model::flow::{
    ACCOUNT, APP_PROTOCOL, ENCRYPTION, OBSERVER, OUTCOME_REASON, POLICY, POST_NAT_DST_IP, POST_NAT_DST_PORT, RESOURCE,
    SERVER_NAME, STATUS_CODE, TCP_FLAGS,
};
use tradewind_model::outcome::{ConnectionResult, Verdict};
use tradewind_model::protocol;

/// Sets the columns of the row at hand.
pub(super) fn write(record: Value<'_>, rows: &mut Rows<'_, '_>) -> Result<(), Fault> {
    let category = record.text("category").or_else(|| record.text("Category")).unwrap_or_default();
    if let Some(text) = record.text("time").or_else(|| record.text("TimeGenerated")) {
        let at = time::rfc3339(text).ok_or_else(|| Fault::value(Reason::BadTime, "time", text, "RFC 3339"))?;
        rows.times(at, at);
    }
    let resource = record.text("resourceId").or_else(|| record.text("_ResourceId"));
    rows.optional(ACCOUNT, resource.and_then(subscription));
    rows.optional(OBSERVER, resource.and_then(resource_name));
    match category {
        "AZFWNetworkRule"
        | "AZFWApplicationRule"
        | "AZFWNatRule"
        | "AZFWFlowTrace"
        | "AZFWThreatIntel"
        | "AZFWIdpsSignature" => {
            structured(category, record, rows)?;
        }
        "AzureFirewallNetworkRule" | "AzureFirewallApplicationRule" => {
            let text = record
                .text("properties.msg")
                .ok_or_else(|| Fault::other_log("a record of Azure Firewall without a message"))?;
            legacy(&read_message(text)?, rows)?;
        }
        other => {
            return Err(Fault::other_log(format!(
                "category `{}` of Azure Firewall is about no connection",
                other.chars().take(80).collect::<String>()
            )));
        }
    }
    record.leave(&mut rows.unmapped);
    Ok(())
}

fn structured(category: &str, record: Value<'_>, rows: &mut Rows<'_, '_>) -> Result<(), Fault> {
    let facts = record.get("properties").unwrap_or(record);
    let text = |key: &str| facts.text(key).unwrap_or_default();
    end(Side::Src, text("SourceIp"), facts.integer("SourcePort")?, rows)?;
    end(Side::Dst, text("DestinationIp"), facts.integer("DestinationPort")?, rows)?;
    transport(text("Protocol"), rows);
    rows.text(SERVER_NAME, text("Fqdn"));
    if let Some(url) = facts.text("TargetUrl") {
        rows.text(RESOURCE, &crate::http::resource(url));
    }
    if let Some(is_inspected) = facts.boolean("IsTlsInspected") {
        rows.optional(ENCRYPTION, is_inspected.then_some("tls"));
    }
    let policy = match (facts.text("RuleCollection"), facts.text("Rule")) {
        (Some(collection), Some(rule)) => format!("{collection}/{rule}"),
        (one, other) => one.or(other).unwrap_or_default().to_owned(),
    };
    rows.text(POLICY, &policy);
    if category == "AZFWNatRule" {
        if let Some(address) = facts.text("TranslatedIp") {
            rows.address_of(POST_NAT_DST_IP, "TranslatedIp", address)?;
        }
        rows.number(POST_NAT_DST_PORT, facts.integer("TranslatedPort")?.filter(|port| *port <= i64::from(u16::MAX)));
    }
    let action = text("Action");
    rows.text(STATUS_CODE, action);
    rows.optional(OUTCOME_REASON, facts.text("ActionReason").map(|reason| &reason[..reason.floor_char_boundary(256)]));
    if category == "AZFWFlowTrace" {
        rows.nature.kind = "packet";
        return flow_trace(text("Flag"), rows);
    }
    let verdict = match verdict_of(action) {
        Some(verdict) => Some(verdict),
        // A translation has no action: it was done.
        None if category == "AZFWNatRule" => Some(Verdict::Allowed),
        None => None,
    };
    rows.judge(verdict, None);
    Ok(())
}

/// A flag of TCP that the firewall saw: `INVALID`, `SYN-ACK`, `FIN`, `RST` …
fn flow_trace(flag: &str, rows: &mut Rows<'_, '_>) -> Result<(), Fault> {
    use protocol::tcp::{ACK, FIN, RST, SYN};
    let (bits, result) = match flag {
        "SYN-ACK" => (SYN | ACK, Some(ConnectionResult::Established)),
        "FIN" => (FIN, None),
        "FIN-ACK" => (FIN | ACK, None),
        "RST" => (RST, Some(ConnectionResult::Reset)),
        _ => (0, None),
    };
    rows.number(TCP_FLAGS, Some(bits).filter(|bits| *bits > 0));
    rows.text(STATUS_CODE, flag);
    rows.judge(None, result);
    Ok(())
}

fn verdict_of(action: &str) -> Option<Verdict> {
    match action.to_ascii_lowercase().as_str() {
        "allow" => Some(Verdict::Allowed),
        "deny" | "drop" | "block" => Some(Verdict::Denied),
        // Intrusion detection and threat intelligence that only tell.
        "alert" => Some(Verdict::Audited),
        _ => None,
    }
}

/// Transport, or the application protocol where the log has that in its place.
fn transport(name: &str, rows: &mut Rows<'_, '_>) {
    let lower = name.to_ascii_lowercase();
    match lower.as_str() {
        "" | "any" => {}
        "tcp" => rows.protocol(protocol::TCP),
        "udp" => rows.protocol(protocol::UDP),
        "http" | "https" | "mssql" => {
            rows.protocol(protocol::TCP);
            rows.text(APP_PROTOCOL, if lower == "mssql" { "mssql" } else { "http" });
            rows.optional(ENCRYPTION, (lower == "https").then_some("tls"));
        }
        lower if lower.starts_with("icmp") => rows.protocol(protocol::ICMP),
        other => match number::digits(other.as_bytes()).filter(|number| *number <= 255) {
            Some(number) => rows.protocol(number),
            None => rows.unmapped.text("Protocol", name),
        },
    }
}

/// An address; application rules may name a host in its place.
fn end(side: Side, address: &str, port: Option<i64>, rows: &mut Rows<'_, '_>) -> Result<(), Fault> {
    if !address.is_empty() {
        rows.address(side, if side == Side::Src { "SourceIp" } else { "DestinationIp" }, address)?;
    }
    rows.port(side, "port", port)
}

fn legacy(message: &Message<'_>, rows: &mut Rows<'_, '_>) -> Result<(), Fault> {
    transport(message.protocol, rows);
    if !rows.endpoint(Side::Src, "source", message.source)? {
        rows.unmapped.text("source", message.source);
    }
    if !rows.endpoint(Side::Dst, "destination", message.destination)? {
        let (name, port) = message.destination.rsplit_once(':').unwrap_or((message.destination, ""));
        rows.text(SERVER_NAME, name);
        rows.port_text(Side::Dst, "destination port", port)?;
    }
    if let Some(translated) = message.translated {
        let address = crate::endpoint::parse(translated).ok().flatten();
        if let Some(address) = address {
            rows.address_of(POST_NAT_DST_IP, "translated", &address.ip)?;
            rows.number(POST_NAT_DST_PORT, address.port.map(i64::from));
        }
    }
    rows.text(STATUS_CODE, message.action);
    rows.optional(POLICY, message.rule);
    rows.optional(OUTCOME_REASON, message.reason.map(|reason| &reason[..reason.floor_char_boundary(256)]));
    let verdict = verdict_of(message.action).or_else(|| message.translated.is_some().then_some(Verdict::Allowed));
    rows.judge(verdict, None);
    if let Some(url) = message.url {
        rows.text(RESOURCE, &crate::http::resource(url));
    }
    Ok(())
}
