//! The messages of Azure Firewall's legacy logs.
//!
//! Source: Microsoft, "Legacy Azure Diagnostics logs": `TCP request from 10.1.0.5:55640 to 10.2.0.7:443. Action: Deny. …`,
//! `HTTPS request from 10.1.0.5:55640 to example.org:443. Action: Allow. Rule Collection: c. Rule: r`, `TCP request from 1.2.3.4:50 to
//! 5.6.7.8:3389 was DNAT'ed to 10.0.2.4:3389`, `ICMP Type=8 request from 10.0.0.4 to 10.0.0.5. Action: Allow`.

use crate::contract::Fault;

/// The facts in a message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Message<'a> {
    pub(super) protocol: &'a str,
    pub(super) source: &'a str,
    pub(super) destination: &'a str,
    pub(super) translated: Option<&'a str>,
    pub(super) action: &'a str,
    pub(super) rule: Option<&'a str>,
    pub(super) reason: Option<&'a str>,
    pub(super) url: Option<&'a str>,
}

/// Reads a message.
///
/// # Errors
/// When it has another form.
pub(super) fn read(text: &str) -> Result<Message<'_>, Fault> {
    let expected = || Fault::syntax("`PROTOCOL request from SOURCE to DESTINATION. Action: …`", text);
    let (protocol, rest) = text.split_once(" request from ").ok_or_else(expected)?;
    let protocol = protocol.split(' ').next().unwrap_or_default();
    let (source, rest) = rest.split_once(" to ").ok_or_else(expected)?;
    let (destination, rest) = match rest.split_once(' ') {
        Some((destination, rest)) => (destination, rest),
        None => (rest, ""),
    };
    let translated =
        rest.strip_prefix("was DNAT'ed to ").map(|rest| trimmed(rest.split(' ').next().unwrap_or_default()));
    let mut message = Message { protocol, source, destination: trimmed(destination), translated, ..Message::default() };
    // Each fact ends with a full stop and a blank, or with the message.
    for fact in rest.split(". ") {
        let Some((name, value)) = fact.split_once(':') else { continue };
        let value = trimmed(value.trim());
        match name.trim() {
            "Action" => message.action = value,
            "Rule" => message.rule = Some(value).filter(|value| !value.is_empty()),
            "Reason" | "Action Reason" | "ThreatIntel" => {
                message.reason = Some(value).filter(|value| !value.is_empty())
            }
            "Url" => message.url = Some(value).filter(|value| !value.is_empty()),
            _ => {}
        }
    }
    if message.action.is_empty() && translated.is_none() {
        return Err(expected());
    }
    Ok(message)
}

/// Without the mark at its end.
fn trimmed(text: &str) -> &str {
    text.trim_end_matches(['.', ','])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages() {
        let read = |text| read(text).ok();
        assert_eq!(
            read(
                "TCP request from 10.1.0.5:55640 to 10.2.0.7:443. Action: Deny. No rule matched. Proceeding with default action"
            ),
            Some(Message {
                protocol: "TCP",
                source: "10.1.0.5:55640",
                destination: "10.2.0.7:443",
                action: "Deny",
                ..Message::default()
            })
        );
        assert_eq!(
            read(
                "HTTPS request from 10.1.0.5:55640 to example.org:443. Url: example.org/a. Action: Allow. Rule Collection: c. Rule: r"
            ),
            Some(Message {
                protocol: "HTTPS",
                source: "10.1.0.5:55640",
                destination: "example.org:443",
                action: "Allow",
                rule: Some("r"),
                url: Some("example.org/a"),
                ..Message::default()
            })
        );
        assert_eq!(
            read("TCP request from 1.2.3.4:50 to 5.6.7.8:3389 was DNAT'ed to 10.0.2.4:3389"),
            Some(Message {
                protocol: "TCP",
                source: "1.2.3.4:50",
                destination: "5.6.7.8:3389",
                translated: Some("10.0.2.4:3389"),
                ..Message::default()
            })
        );
        assert_eq!(
            read("ICMP Type=8 request from 10.0.0.4 to 10.0.0.5. Action: Allow.").map(|message| message.action),
            Some("Allow")
        );
        for text in ["", "what", "TCP request from a", "TCP request from a to b", "TCP request from a to b. No rule"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
