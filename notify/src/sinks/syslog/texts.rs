//! What a syslog message says: CEF, LEEF or JSON of an alert. Not the header before it.
//!
//! Sources: ArcSight Common Event Format, "Implementing CEF", version 25 (keys, types and lengths of the extension dictionary, the
//! escapes), <https://www.microfocus.com/documentation/arcsight/arcsight-smartconnectors-8.4/cef-implementation-standard/>, and the
//! columns that its keys become: <https://learn.microsoft.com/azure/sentinel/cef-name-mapping>; IBM QRadar, "LEEF event components"
//! and "Predefined LEEF event attributes", version 2.0, <https://www.ibm.com/docs/en/dsm?topic=overview-leef-event-components>.

use crate::alert::{Alert, Heartbeat};
use crate::words::{self, shortened};
use std::net::IpAddr;
use tradewind_model::Severity;
use tradewind_model::entity::short_name;

const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Characters of most texts of CEF at most.
const TEXT_MAX: usize = 1023;
/// Characters of a custom string of CEF at most.
const CUSTOM_MAX: usize = 4000;
/// Characters of the name in the header at most.
const NAME_MAX: usize = 512;

type Pairs = Vec<(&'static str, String)>;

/// CEF of an alert.
pub(super) fn cef(alert: &Alert, link: &str) -> String {
    let class = alert.lead().map_or("incident", |finding| finding.behaviour.as_str());
    let head = cef_head(class, &words::headline(alert), cef_severity(alert.severity()));
    with_pairs(head, &pairs(alert, link), " ", cef_value)
}

/// CEF of a sign of life.
pub(super) fn cef_heartbeat(heartbeat: &Heartbeat) -> String {
    let head = cef_head("heartbeat", "Tradewind is alive", 0);
    let pairs =
        vec![("rt", millis(heartbeat.time)), ("cat", "heartbeat".to_owned()), ("msg", words::heartbeat(heartbeat))];
    with_pairs(head, &pairs, " ", cef_value)
}

/// LEEF of an alert, with the tab between attributes as its header says.
pub(super) fn leef(alert: &Alert, link: &str) -> String {
    let class = alert.lead().map_or("incident", |finding| finding.behaviour.as_str());
    let mut leef = vec![
        ("devTime", millis(alert.recorded_time)),
        ("sev", cef_severity(alert.severity()).max(1).to_string()),
        ("name", words::headline(alert)),
    ];
    leef.extend(pairs(alert, link).into_iter().filter_map(|(name, text)| Some((leef_name(name)?, text))));
    with_pairs(leef_head(class), &leef, "\t", leef_value)
}

/// LEEF of a sign of life.
pub(super) fn leef_heartbeat(heartbeat: &Heartbeat) -> String {
    let pairs =
        vec![("devTime", millis(heartbeat.time)), ("sev", "1".to_owned()), ("msg", words::heartbeat(heartbeat))];
    with_pairs(leef_head("heartbeat"), &pairs, "\t", leef_value)
}

fn cef_head(class: &str, name: &str, severity: u8) -> String {
    let name = shortened(name, NAME_MAX);
    format!("CEF:0|Tradewind|Tradewind|{VERSION}|{}|{}|{severity}|", head_value(class), head_value(&name))
}

fn leef_head(class: &str) -> String {
    let class: String = class.chars().filter(|char| !char.is_control() && *char != '|').collect();
    format!("LEEF:2.0|Tradewind|Tradewind|{VERSION}|{class}|x09|")
}

/// What there is to say, in the names of CEF; what matters most first.
fn pairs(alert: &Alert, link: &str) -> Pairs {
    let mut pairs: Pairs = vec![
        ("rt", millis(alert.recorded_time)),
        ("externalId", shortened(alert.key(), 40)),
        ("act", alert.action.as_str().to_owned()),
    ];
    if let Some(lead) = alert.lead() {
        pairs.push(("cat", lead.behaviour.clone()));
        pairs.push(("start", millis(lead.first_seen)));
        pairs.push(("end", millis(lead.last_seen)));
        let seen = lead.observations.first();
        let from = seen.map_or(lead.entity.as_str(), |seen| seen.src_entity.as_str());
        side(&mut pairs, from, ["src", "c6a2", "c6a2Label", "shost", "Source IPv6 Address"]);
        if let Some(seen) = seen {
            side(&mut pairs, &seen.dst_entity, ["dst", "c6a3", "c6a3Label", "dhost", "Destination IPv6 Address"]);
            if let Some(port) = seen.dst_port.filter(|port| (0..=65_535).contains(port)) {
                pairs.push(("dpt", port.to_string()));
            }
        }
    }
    if alert.incident.flow_count > 0 {
        pairs.push(("cnt", alert.incident.flow_count.min(i64::from(i32::MAX)).to_string()));
    }
    if let Some(link) = words::link(link, alert) {
        pairs.push(("request", shortened(&link, TEXT_MAX)));
    }
    let Some(lead) = alert.lead() else { return pairs };
    let mut custom = |name, label_name, label: &str, text: &str| {
        if !text.is_empty() {
            pairs.push((name, shortened(text, CUSTOM_MAX)));
            pairs.push((label_name, label.to_owned()));
        }
    };
    custom("cs1", "cs1Label", "entity", &lead.entity);
    custom("cs2", "cs2Label", "technique", &lead.technique);
    custom("cs3", "cs3Label", "observed", &lead.observed);
    custom("cs4", "cs4Label", "expected", &lead.expected);
    custom("cs5", "cs5Label", "uncertain", &lead.uncertain);
    custom("cn1", "cn1Label", "findings", &alert.incident.findings.len().to_string());
    custom("cfp1", "cfp1Label", "riskScore", &format!("{:.2}", lead.risk_score));
    custom("cs6", "cs6Label", "evidenceQuery", &lead.evidence_query);
    pairs.push(("msg", shortened(&format!("{}; expected: {}", lead.observed, lead.expected), TEXT_MAX)));
    pairs
}

/// An address as such, a name as a name.
fn side(pairs: &mut Pairs, entity: &str, [four, six, six_label, host, label]: [&'static str; 5]) {
    match short_name(entity).parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => pairs.push((four, address.to_string())),
        Ok(IpAddr::V6(address)) => pairs.extend([(six, address.to_string()), (six_label, label.to_owned())]),
        Err(_) => pairs.push((host, shortened(short_name(entity), TEXT_MAX))),
    }
}

/// LEEF has names of its own for some; `rt` is said already.
fn leef_name(name: &'static str) -> Option<&'static str> {
    Some(match name {
        "rt" | "start" | "end" => return None,
        label if label.ends_with("Label") => return None,
        "c6a2" => "src",
        "c6a3" => "dst",
        "shost" => "srcName",
        "dhost" => "dstName",
        "dpt" => "dstPort",
        "request" => "url",
        "externalId" => "incident",
        "act" => "action",
        "cnt" => "flows",
        "cs1" => "entity",
        "cs2" => "technique",
        "cs3" => "observed",
        "cs4" => "expected",
        "cs5" => "uncertain",
        "cs6" => "evidenceQuery",
        "cn1" => "findings",
        "cfp1" => "riskScore",
        other => other,
    })
}

fn with_pairs(head: String, pairs: &Pairs, between: &str, escape: impl Fn(&str) -> String) -> String {
    let pairs: Vec<String> = pairs
        .iter()
        .map(|(name, text)| (name, escape(text)))
        .filter(|(_, text)| !text.is_empty())
        .map(|(name, text)| format!("{name}={text}"))
        .collect();
    head + &pairs.join(between)
}

/// A field of the header: `|` and `\` are escaped, and it has one line.
fn head_value(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.chars() {
        if matches!(char, '\\' | '|') {
            escaped.push('\\');
        }
        escaped.push(if is_line_or_control(char) { ' ' } else { char });
    }
    escaped
}

/// A value of the extension: `\` and `=` are escaped, lines are `\n`, other control characters are blanks. White space at the ends
/// would be taken for that between pairs.
fn cef_value(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for char in text.trim().chars() {
        match char {
            '\\' => escaped.push_str("\\\\"),
            '=' => escaped.push_str("\\="),
            '\n' => escaped.push_str("\\n"),
            '\r' => escaped.push_str("\\r"),
            other if is_line_or_control(other) => escaped.push(' '),
            other => escaped.push(other),
        }
    }
    escaped
}

/// LEEF has no escapes: the tab and ends of lines become blanks.
fn leef_value(text: &str) -> String {
    text.trim().chars().map(|char| if is_line_or_control(char) { ' ' } else { char }).collect()
}

fn is_line_or_control(char: char) -> bool {
    char.is_control() || matches!(char, '\u{2028}' | '\u{2029}')
}

fn millis(micros: i64) -> String {
    micros.div_euclid(1_000).to_string()
}

/// 0-3 low, 4-6 medium, 7-8 high, 9-10 very high.
const fn cef_severity(severity: Severity) -> u8 {
    match severity {
        Severity::Informational => 1,
        Severity::Low => 3,
        Severity::Medium => 5,
        Severity::High => 8,
        Severity::Critical => 10,
    }
}
