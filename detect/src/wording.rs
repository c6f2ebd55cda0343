//! Names, numbers and times as a person reads them.

use crate::network::{Network, Port};
use tradewind_model::entity::{EntityKind, short_name};
use tradewind_model::{protocol, time as calendar};

/// `service payments`.
pub(crate) fn entity(network: &Network, number: u32) -> String {
    let name = short_name(network.name(number));
    match network.kind(number) {
        EntityKind::External => format!("external address {name}"),
        EntityKind::Unknown => format!("unknown address {name}"),
        kind => format!("{} {name}", kind.as_str()),
    }
}

/// ` on port 8443`, ` on udp port 53`, ` by icmp`, or nothing.
pub(crate) fn port(port: Port, protocol_num: Option<i16>) -> String {
    let number = protocol_num.map(i64::from);
    let protocol = number.and_then(protocol::name);
    match (port, protocol) {
        (Port::Number(port), Some(protocol)) if number != Some(protocol::TCP) => format!(" on {protocol} port {port}"),
        (Port::Number(port), _) => format!(" on port {port}"),
        (Port::Absent, Some(protocol)) => format!(" by {protocol}"),
        (Port::Absent, None) => String::new(),
        (Port::Unoriented, _) => String::from(" (who opened is not known)"),
    }
}

/// `12,345`.
pub(crate) fn count(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let mut text = String::from(if number < 0 { "-" } else { "" });
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 window`, `12 windows`.
pub(crate) fn plural(number: u64, word: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{} {word}{ending}", count(i64::try_from(number).unwrap_or(i64::MAX)))
}

/// `1 connection`, `12 connections`.
pub(crate) fn connections(number: i64) -> String {
    plural(number.unsigned_abs(), "connection")
}

/// A number that was estimated: whole, with separators.
pub(crate) fn rounded(number: f64) -> String {
    let whole = format!("{:.0}", number.max(0.0));
    whole.parse().map_or(whole, count)
}

/// `2e-5`, `0.03`.
pub(crate) fn probability(p: f64) -> String {
    if p < 0.001 {
        format!("{p:.0e}")
    } else {
        format!("{p:.3}").trim_end_matches('0').trim_end_matches('.').to_owned()
    }
}

/// `2.4 MB`.
pub(crate) fn bytes(number: i64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if number < 1000 {
        return format!("{number} B");
    }
    let mut value = number as f64 / 1000.0;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    let digits = usize::from(value < 9.95);
    format!("{value:.digits$} {}", UNITS[unit])
}

/// An amount that was estimated.
#[allow(clippy::cast_possible_truncation)] // Saturates.
pub(crate) fn bytes_of(number: f64) -> String {
    bytes(number.max(0.0).round() as i64)
}

/// `2026-01-01T00:00Z`: to the minute.
pub(crate) fn time(micros: i64) -> String {
    let text = calendar::rfc3339(micros.div_euclid(calendar::MINUTE).saturating_mul(calendar::MINUTE));
    match text.strip_suffix(":00Z") {
        Some(minute) => format!("{minute}Z"),
        None => text,
    }
}

/// `5 minutes`, `90 seconds`.
pub(crate) fn duration(micros: i64) -> String {
    let seconds = micros.unsigned_abs() / calendar::SECOND.unsigned_abs();
    if seconds >= 60 && seconds.is_multiple_of(60) { plural(seconds / 60, "minute") } else { plural(seconds, "second") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        let table = [
            (count(0), "0"),
            (count(999), "999"),
            (count(1_000), "1,000"),
            (count(-1_234_567), "-1,234,567"),
            (plural(1, "window"), "1 window"),
            (plural(2, "window"), "2 windows"),
            (rounded(1234.6), "1,235"),
            (probability(0.000_02), "2e-5"),
            (probability(0.03), "0.03"),
            (probability(1.0), "1"),
            (bytes(999), "999 B"),
            (bytes(1_234), "1.2 kB"),
            (bytes(999_999), "1.0 MB"),
            (bytes(31_000_000), "31 MB"),
            (time(1_767_225_600_000_001), "2026-01-01T00:00Z"),
            (duration(300_000_000), "5 minutes"),
            (duration(90_000_000), "90 seconds"),
        ];
        for (text, expected) in table {
            assert_eq!(text, expected);
        }
    }
}
