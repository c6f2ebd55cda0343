//! Times as logs print them, to microseconds UTC. Which one a format uses is its own business: digits are never counted to
//! guess a unit.

use crate::{decimal, number};
use tradewind_model::time::{self, DAY, HOUR, MINUTE, SECOND};

/// The last microsecond of the year 9999.
pub(crate) const MICROS_MAX: i64 = 253_402_300_799 * SECOND + 999_999;

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Days from 1970-01-01 of a date in the Gregorian calendar; none when the date does not exist.
///
/// Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", `days_from_civil`.
#[must_use]
#[inline]
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = match month {
        2 if is_leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    if !(1970..=9999).contains(&year) || !(1..=length).contains(&day) {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let shifted = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * shifted + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

/// The number of exactly two digits.
#[inline]
fn two(bytes: &[u8]) -> Option<i64> {
    match *bytes {
        [a @ b'0'..=b'9', b @ b'0'..=b'9'] => Some(i64::from(a - b'0') * 10 + i64::from(b - b'0')),
        _ => None,
    }
}

/// The number of exactly four digits.
#[inline]
fn four(bytes: &[u8]) -> Option<i64> {
    let (high, low) = bytes.split_at_checked(2)?;
    Some(two(high)? * 100 + two(low)?)
}

/// Microseconds into the day of `HH:MM:SS`; a leap second counts as the second before it.
#[inline]
fn clock(bytes: &[u8]) -> Option<i64> {
    let [_, _, b':', _, _, b':', _, _] = bytes else { return None };
    let (hour, minute, second) = (two(&bytes[..2])?, two(&bytes[3..5])?, two(&bytes[6..])?);
    (hour < 24 && minute < 60 && second < 61).then(|| hour * HOUR + minute * MINUTE + second.min(59) * SECOND)
}

/// Microseconds of the digits of a fraction; further digits are cut.
#[inline]
fn fraction(digits: &[u8]) -> Option<i64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let kept = &digits[..digits.len().min(6)];
    let scale = [100_000, 10_000, 1_000, 100, 10, 1][kept.len() - 1];
    Some(number::digits(kept)? * scale)
}

/// Microseconds of `+HHMM`, `+HH:MM` or `Z`.
#[inline]
fn zone(bytes: &[u8]) -> Option<i64> {
    let (sign, hour, minute) = match bytes {
        b"Z" | b"z" => return Some(0),
        [sign, hour @ .., b':', a, b] if hour.len() == 2 => (sign, two(hour)?, two(&[*a, *b])?),
        [sign, rest @ ..] if rest.len() == 4 => (sign, two(&rest[..2])?, two(&rest[2..])?),
        _ => return None,
    };
    let offset = (hour < 24 && minute < 60).then_some(hour * HOUR + minute * MINUTE)?;
    match sign {
        b'+' => Some(offset),
        b'-' => Some(-offset),
        _ => None,
    }
}

#[inline]
fn in_range(micros: i64) -> Option<i64> {
    (0..=MICROS_MAX).contains(&micros).then_some(micros)
}

/// The Common Log Format's time: `10/Oct/2000:13:55:36 -0700`, also with a fraction behind the seconds.
#[must_use]
#[inline]
pub(crate) fn common_log(text: &str) -> Option<i64> {
    let (local, rest) = date_of_common_log(text)?;
    let (micros, zone_text) = match rest.strip_prefix(b".") {
        Some(rest) => {
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            (fraction(&rest[..digits])?, &rest[digits..])
        }
        None => (0, rest),
    };
    let offset = zone(zone_text.strip_prefix(b" ")?)?;
    in_range(local + micros - offset)
}

/// As [`common_log`] without a zone, taken as UTC, as HAProxy prints it: `06/Feb/2009:12:14:14.655`.
#[must_use]
pub(crate) fn common_log_local(text: &str) -> Option<i64> {
    let (local, rest) = date_of_common_log(text)?;
    let micros = match rest {
        [] => 0,
        [b'.', digits @ ..] => fraction(digits)?,
        _ => return None,
    };
    in_range(local + micros)
}

#[inline]
fn date_of_common_log(text: &str) -> Option<(i64, &[u8])> {
    let bytes = text.as_bytes();
    let (date, rest) = bytes.split_at_checked(20)?;
    if date[2] != b'/' || date[6] != b'/' || date[11] != b':' {
        return None;
    }
    let month = MONTHS.iter().position(|month| month.as_bytes() == &date[3..6])?;
    let month = i64::try_from(month).ok()? + 1;
    let day = days(four(&date[7..11])?, month, two(&date[..2])?)?;
    Some((day * DAY + clock(&date[12..])?, rest))
}

/// RFC 3339 with a zone: `2026-01-31T08:00:00.123Z`; `T` may be a space, the zone `+0100`.
#[must_use]
#[inline]
pub(crate) fn rfc3339(text: &str) -> Option<i64> {
    let (local, rest) = date_and_clock(text.as_bytes(), b'-')?;
    let (micros, rest) = fraction_before(rest)?;
    let rest = rest.strip_prefix(b" ").unwrap_or(rest);
    in_range(local + micros - zone(rest)?)
}

/// A date and time without a zone, taken as UTC: `2026-01-31 08:00:00.123`, also with slashes as nginx's error log has it.
#[must_use]
pub(crate) fn local(text: &str) -> Option<i64> {
    let separator = *text.as_bytes().get(4)?;
    if !matches!(separator, b'-' | b'/') {
        return None;
    }
    let (local, rest) = date_and_clock(text.as_bytes(), separator)?;
    let (micros, rest) = fraction_before(rest)?;
    if rest.is_empty() { in_range(local + micros) } else { None }
}

#[inline]
fn date_and_clock(bytes: &[u8], separator: u8) -> Option<(i64, &[u8])> {
    let (date, rest) = bytes.split_at_checked(19)?;
    if date[4] != separator || date[7] != separator || !matches!(date[10], b'T' | b't' | b' ') {
        return None;
    }
    let day = days(four(&date[..4])?, two(&date[5..7])?, two(&date[8..10])?)?;
    Some((day * DAY + clock(&date[11..])?, rest))
}

#[inline]
fn fraction_before(rest: &[u8]) -> Option<(i64, &[u8])> {
    match rest {
        [b'.' | b',', after @ ..] => {
            let digits = after.iter().take_while(|byte| byte.is_ascii_digit()).count();
            Some((fraction(&after[..digits])?, &after[digits..]))
        }
        rest => Some((0, rest)),
    }
}

/// Seconds since 1970, whole or decimal.
#[must_use]
#[inline]
pub(crate) fn epoch_seconds(text: &str) -> Option<i64> {
    in_range(decimal::micros(text)?)
}

/// Whole milliseconds since 1970.
#[must_use]
#[inline]
pub(crate) fn epoch_millis(text: &str) -> Option<i64> {
    in_range(number::digits(text.as_bytes())?.checked_mul(1_000)?)
}

/// Whole nanoseconds since 1970; the rest of a microsecond is cut.
#[must_use]
#[inline]
pub(crate) fn epoch_nanos(text: &str) -> Option<i64> {
    in_range(number::digits(text.as_bytes())? / 1_000)
}

/// Any ISO 8601 time; without a zone it is taken as UTC. Slower than the others.
#[must_use]
pub(crate) fn iso(text: &str) -> Option<i64> {
    rfc3339(text).or_else(|| local(text)).or_else(|| time::parse(text).ok().and_then(in_range))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(read: fn(&str) -> Option<i64>, text: &str, expected: &str) {
        let expected = (!expected.is_empty()).then(|| time::parse(expected).ok()).flatten();
        assert_eq!(read(text), expected, "{text}");
    }

    #[test]
    fn times_of_access_logs() {
        check(common_log, "10/Oct/2000:13:55:36 -0700", "2000-10-10T20:55:36Z");
        check(common_log, "29/Feb/2024:23:59:60.25 +0000", "2024-02-29T23:59:59.25Z");
        check(common_log_local, "06/Feb/2009:12:14:14.655", "2009-02-06T12:14:14.655Z");
        check(common_log_local, "06/Feb/2009:12:14:14", "2009-02-06T12:14:14Z");
        for text in [
            "29/Feb/2023:00:00:00 +0000",
            "10/Okt/2000:13:55:36 -0700",
            "10/Oct/2000:24:00:00 +0000",
            "10/Oct/2000:13:55:36",
            "",
        ] {
            check(common_log, text, "");
        }
    }

    #[test]
    fn iso_times() {
        check(rfc3339, "2026-01-31T08:00:00.1239999Z", "2026-01-31T08:00:00.123999Z");
        check(rfc3339, "2026-01-31 08:00:00+0130", "2026-01-31T06:30:00Z");
        check(rfc3339, "2026-01-31T08:00:00-01:30", "2026-01-31T09:30:00Z");
        check(rfc3339, "2026-01-31T08:00:00", "");
        check(local, "2026/01/31 08:00:00", "2026-01-31T08:00:00Z");
        check(local, "2026-01-31 08:00:00,5", "2026-01-31T08:00:00.5Z");
        check(local, "2026-01/31 08:00:00", "");
        check(local, "2026-01-31 08:00:00Z", "");
        check(iso, "2026-01-31", "2026-01-31T00:00:00Z");
        check(iso, "1969-12-31T23:59:59Z", "");
    }

    #[test]
    fn numbers_since_1970() {
        check(epoch_seconds, "1700000000.25", "2023-11-14T22:13:20.25Z");
        check(epoch_millis, "1700000000250", "2023-11-14T22:13:20.25Z");
        check(epoch_nanos, "1700000000250000999", "2023-11-14T22:13:20.25Z");
        check(epoch_seconds, "-1", "");
        check(epoch_millis, "99999999999999999", "");
    }

    proptest! {
        #[test]
        fn agrees_with_the_calendar_library(seconds in 0..253_402_300_799_i64, micros in 0..1_000_000_i64) {
            let expected = seconds * SECOND + micros;
            prop_assert_eq!(rfc3339(&time::rfc3339(expected)), Some(expected));
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,40}|[0-9/:TZ.+ -]{15,32}") {
            for read in [common_log, common_log_local, rfc3339, local, iso, epoch_seconds, epoch_millis, epoch_nanos] {
                prop_assert!(read(&text).is_none_or(|micros| (0..=MICROS_MAX).contains(&micros)));
            }
        }
    }
}
