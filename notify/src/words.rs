//! What people read of an alert, in words that all sinks for people share. Knows no markup.

use crate::alert::{Action, Alert, Heartbeat, Origin};
use tradewind_model::entity::short_name;
use tradewind_model::time::{SECOND, rfc3339};
use tradewind_model::{Finding, Severity};

/// Where an incident can be looked at; empty: nowhere.
#[must_use]
pub(crate) fn link(template: &str, alert: &Alert) -> Option<String> {
    (!template.is_empty()).then(|| template.replace("{incident}", &encoded(alert.key())))
}

/// What is not unreserved (RFC 3986 section 2.3) as `%` and its bytes.
fn encoded(text: &str) -> String {
    let is_unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let encode = |byte: u8| if is_unreserved(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    text.bytes().map(encode).collect()
}

/// One line: what happened, or that it is over.
#[must_use]
pub(crate) fn headline(alert: &Alert) -> String {
    let title = &alert.incident.title;
    match (alert.action, alert.is_dismissed(), alert.origin) {
        (Action::Resolve, true, _) => format!("Dismissed: {title}"),
        (Action::Resolve, false, _) => format!("Over: {title}"),
        (_, _, Origin::Retrospective) => format!("Found in retrospect: {title}"),
        (Action::Acknowledge, ..) => format!("Acknowledged: {title}"),
        (Action::Update, ..) => format!("More of: {title}"),
        _ => title.clone(),
    }
}

/// The name of a severity as people read it.
#[must_use]
pub(crate) const fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Informational => "Informational",
        Severity::Low => "Low",
        Severity::Medium => "Medium",
        Severity::High => "High",
        Severity::Critical => "Critical",
    }
}

/// A time for people: RFC 3339 to the second.
#[must_use]
pub(crate) fn moment(micros: i64) -> String {
    rfc3339(micros.div_euclid(SECOND).saturating_mul(SECOND))
}

/// What there is to say of a finding: each a name and a text. What is not known is left out.
#[must_use]
pub(crate) fn facts(finding: &Finding) -> Vec<(&'static str, String)> {
    let port = |port: Option<i32>| port.map(|port| format!(":{port}")).unwrap_or_default();
    let seen = finding.observations.first();
    let to = seen.map(|seen| format!("{}{}", short_name(&seen.dst_entity), port(seen.dst_port))).unwrap_or_default();
    let facts = [
        ("Entity", finding.entity.clone()),
        ("Destination", to),
        ("Observed", finding.observed.clone()),
        ("Expected", finding.expected.clone()),
        ("First seen", moment(finding.first_seen)),
        ("Last seen", moment(finding.last_seen)),
        ("Technique", finding.technique.clone()),
        ("Uncertain", finding.uncertain.clone()),
        ("Evidence", finding.evidence_query.clone()),
    ];
    facts.into_iter().filter(|(_, text)| !text.is_empty()).collect()
}

/// What a sign of life says.
#[must_use]
pub(crate) fn heartbeat(heartbeat: &Heartbeat) -> String {
    let open = match heartbeat.open_incidents {
        0 => "no incident is open".to_owned(),
        1 => "1 incident is open".to_owned(),
        more => format!("{more} incidents are open"),
    };
    if heartbeat.causes.is_empty() {
        format!("Tradewind is alive; {open}.")
    } else {
        format!("Tradewind is alive, but not all of it works; {open}. {}", heartbeat.causes.join("; "))
    }
}

/// The same on one line, without characters that are not seen but change how others are shown: controls, and marks of direction
/// (Unicode Technical Report 36, section 3.6). What comes from logs may hold them.
#[must_use]
pub(crate) fn plain(text: &str) -> String {
    let is_mark = |char: char| matches!(char, '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
    let is_space = |char: char| char.is_control() || matches!(char, '\u{2028}' | '\u{2029}');
    text.chars().filter(|&char| !is_mark(char)).map(|char| if is_space(char) { ' ' } else { char }).collect()
}

/// Findings by their titles, but for the first: a line each, at most so many, and how many more there are.
#[must_use]
pub(crate) fn other_findings(alert: &Alert, most: usize) -> Vec<String> {
    let others = alert.findings.iter().skip(1);
    let mut lines: Vec<String> = others
        .take(most)
        .map(|finding| format!("{}: {}", severity(finding.severity), shortened(&plain(&finding.title), 300)))
        .collect();
    let more = alert.incident.findings.len().saturating_sub(1 + lines.len());
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    lines
}

/// What a message of several alerts is called.
#[must_use]
pub(crate) fn digest(alerts: &[Alert]) -> String {
    let gravest = alerts.iter().map(Alert::severity).max().map_or("", severity);
    format!("{} alerts, the gravest of them {}", alerts.len(), gravest.to_lowercase())
}

/// One line that stands alone: how bad it is, unless it is over or a test, and what happened.
#[must_use]
pub(crate) fn line(alert: &Alert) -> String {
    match (alert.origin, alert.action) {
        (Origin::Test, _) | (_, Action::Resolve | Action::Acknowledge) => plain(&headline(alert)),
        _ => format!("{}: {}", severity(alert.severity()), plain(&headline(alert))),
    }
}

/// A key as letters, digits, `-` and `_`: itself where it has no others and is short enough, else its hash.
#[must_use]
pub(crate) fn token(key: &str, most: usize) -> String {
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
    if !key.is_empty() && key.len() <= most && key.bytes().all(is_good) {
        return key.to_owned();
    }
    format!("x-{}", blake3::hash(key.as_bytes()).to_hex())
}

/// A text of at most so many characters; where some are left out, it ends in `…`.
#[must_use]
pub(crate) fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(most.saturating_sub(1)).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_does_not_change_the_address_around_it() {
        let mut alert = Alert::test(0);
        "a/b?c\r\n\"ü|".clone_into(&mut alert.incident.incident_id);
        let made = link("https://tradewind.example/{incident}/", &alert).unwrap_or_default();
        assert_eq!(made, "https://tradewind.example/a%2Fb%3Fc%0D%0A%22%C3%BC%7C/");
    }

    #[test]
    fn a_plain_text_is_one_line_as_it_is_read() {
        let check = |text: &str, expected: &str| assert_eq!(plain(text), expected, "{text:?}");
        check("one\r\ntwo\tthree", "one  two three");
        check("exe.\u{202e}fdp", "exe.fdp");
        check("a\u{2028}b\u{0}c\u{feff}", "a b c");
        check("Zürich 東京 <b> & \"quotes\"", "Zürich 東京 <b> & \"quotes\"");
    }
}
