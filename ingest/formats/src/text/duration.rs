//! Durations as logs print them, to microseconds: `15ms`, `1.5s`, `1h2m3.5s`, decimal seconds. Not points in time.

use crate::decimal;

/// Microseconds of a duration with units, as Go's `time.Duration` and Rust's `Debug` print it: `1h2m3.5s`, `15ms`, `1.5µs`,
/// `7ns`. None when it is none, negative or does not fit.
#[must_use]
pub(crate) fn with_unit(text: &str) -> Option<i64> {
    let (mut rest, mut micros) = (text, 0_i64);
    if rest == "0" {
        return Some(0);
    }
    loop {
        let digits = rest.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b'.').count();
        let (number, after) = rest.split_at(digits);
        let letters = after.find(|character: char| character.is_ascii_digit()).unwrap_or(after.len());
        let (unit, next) = after.split_at(letters);
        // Microseconds of that many seconds, so that every unit is a factor or a divisor of them.
        let seconds = decimal::micros(number).filter(|_| !number.is_empty())?;
        let part = match unit {
            "h" => seconds.checked_mul(3600)?,
            "m" => seconds.checked_mul(60)?,
            "s" => seconds,
            "ms" => seconds / 1_000,
            "us" | "µs" | "μs" => seconds / 1_000_000,
            "ns" => seconds / 1_000_000_000,
            _ => return None,
        };
        micros = micros.checked_add(part)?;
        if next.is_empty() {
            return Some(micros);
        }
        rest = next;
    }
}

/// Microseconds of decimal seconds, such as nginx's `0.005`; none when they are none or negative.
#[must_use]
#[inline]
pub(crate) fn seconds(text: &str) -> Option<i64> {
    decimal::micros(text).filter(|micros| *micros >= 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        fn check(text: &str, expected: Option<i64>) {
            assert_eq!(with_unit(text), expected, "{text}");
        }
        check("15ms", Some(15_000));
        check("1.5s", Some(1_500_000));
        check("1h2m3.5s", Some(3_723_500_000));
        check("1.5µs", Some(1));
        check("2500ns", Some(2));
        check("0s", Some(0));
        check("0", Some(0));
        for text in ["", "s", "15", "-1s", "1x", "1.s.", "9999999999999999999s", "1s2"] {
            check(text, None);
        }
        assert_eq!(seconds("0.005"), Some(5_000));
        assert_eq!(seconds("-1"), None);
        assert_eq!(seconds("-"), None);
    }
}
