//! Times as microseconds since 1970-01-01 UTC, and their text.

use jiff::Timestamp;
use jiff::civil::{Date, date};

/// Microseconds of one second.
pub const SECOND: i64 = 1_000_000;
/// Microseconds of one minute.
pub const MINUTE: i64 = 60 * SECOND;
/// Microseconds of one hour.
pub const HOUR: i64 = 60 * MINUTE;
/// Microseconds of one day.
pub const DAY: i64 = 24 * HOUR;

/// RFC 3339 in UTC, with as many fractional digits as are needed. A time that no calendar holds is printed as its number.
#[must_use]
pub fn rfc3339(micros: i64) -> String {
    Timestamp::from_microsecond(micros).map_or_else(|_| micros.to_string(), |time| time.to_string())
}

/// Reads RFC 3339, a date (`2026-01-31`, midnight UTC) or a date and time without a zone (taken as UTC).
///
/// # Errors
/// Says what was expected.
pub fn parse(text: &str) -> Result<i64, TimeError> {
    let text = text.trim();
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time.as_microsecond());
    }
    let civil = text.parse::<jiff::civil::DateTime>().map_err(|_| TimeError { text: text.to_owned() })?;
    let zoned = civil.to_zoned(jiff::tz::TimeZone::UTC).map_err(|_| TimeError { text: text.to_owned() })?;
    Ok(zoned.timestamp().as_microsecond())
}

/// A time that could not be read.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{text}` is not a time: expected RFC 3339 such as 2026-01-31T08:00:00Z, or a date such as 2026-01-31")]
pub struct TimeError {
    text: String,
}

/// Days since 1970-01-01 of a time.
#[must_use]
pub fn day_of(micros: i64) -> i64 {
    micros.div_euclid(DAY)
}

/// `2026-01-31` of a number of days since 1970-01-01.
#[must_use]
pub fn date_text(days: i64) -> String {
    civil_of(days).map_or_else(|| days.to_string(), |date| date.to_string())
}

fn civil_of(days: i64) -> Option<Date> {
    let span = jiff::Span::new().try_days(days).ok()?;
    date(1970, 1, 1).checked_add(span).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_back() {
        assert_eq!(rfc3339(1_477_913_708_000_000), "2016-10-31T11:35:08Z");
        assert_eq!(parse("2016-10-31T11:35:08Z"), Ok(1_477_913_708_000_000));
        assert_eq!(parse("2016-10-31T11:35:08"), Ok(1_477_913_708_000_000));
        assert_eq!(parse("2016-10-31"), Ok(day_of(1_477_913_708_000_000) * DAY));
        assert!(parse("yesterday").is_err());
        assert_eq!(date_text(0), "1970-01-01");
        assert_eq!(date_text(day_of(-1)), "1969-12-31");
        assert_eq!(rfc3339(i64::MAX), i64::MAX.to_string());
    }
}
