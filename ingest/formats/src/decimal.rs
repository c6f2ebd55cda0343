//! Decimal seconds to microseconds, by whole numbers only: a 64-bit float holds today's times to a quarter of a
//! microsecond at best. Not calendars.

use crate::number;
use tradewind_model::time::SECOND;

/// Digits of a fraction that make a microsecond.
const MICRO_DIGITS: usize = 6;
/// The largest power of ten that a second may be multiplied by: more is no time.
const EXPONENT_MAX: i64 = 18;

/// Microseconds of decimal seconds, such as `1547188415.857497`, `0.5`, `3` or `9.5367431640625e-07`.
///
/// Further digits are rounded: Zeek prints the difference of two floats in full, and the nearest microsecond is the
/// difference that was measured. None when the text is no such number or the number passes the type.
#[inline]
pub(crate) fn micros(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    if let Some((whole, fraction)) = bytes.split_last_chunk::<7>()
        && fraction[0] == b'.'
        && let (Some(whole), Some(fraction)) = (number::digits(whole), number::digits(&fraction[1..]))
    {
        return whole.checked_mul(SECOND)?.checked_add(fraction);
    }
    general(bytes)
}

fn general(bytes: &[u8]) -> Option<i64> {
    if let Some(magnitude) = bytes.strip_prefix(b"-") {
        return unsigned(magnitude).map(|micros| -micros);
    }
    unsigned(bytes)
}

fn unsigned(bytes: &[u8]) -> Option<i64> {
    let (mantissa, exponent) = match bytes.iter().position(|byte| matches!(byte, b'e' | b'E')) {
        Some(at) => (&bytes[..at], exponent(&bytes[at + 1..])?),
        None => (bytes, 0),
    };
    let (whole, fraction) = match mantissa.iter().position(|&byte| byte == b'.') {
        Some(at) => (&mantissa[..at], &mantissa[at + 1..]),
        None => (mantissa, &[][..]),
    };
    let has_point = whole.len() != mantissa.len();
    let all_digits = whole.iter().chain(fraction).all(u8::is_ascii_digit);
    if whole.is_empty() || !all_digits || (has_point && fraction.is_empty()) {
        return None;
    }
    // The decimal point moves behind the sixth digit, and further by the exponent.
    let kept = i64::try_from(whole.len()).ok()? + i64::try_from(MICRO_DIGITS).ok()? + exponent;
    let mut micros = 0_i64;
    let mut digits = whole.iter().chain(fraction).map(|byte| i64::from(byte - b'0'));
    for _ in 0..kept {
        match digits.next() {
            Some(digit) => micros = micros.checked_mul(10)?.checked_add(digit)?,
            None if micros == 0 => break,
            None => micros = micros.checked_mul(10)?,
        }
    }
    // With a negative count of kept digits the first one stands below a tenth of a microsecond.
    let rounds_up = kept >= 0 && digits.next().is_some_and(|digit| digit >= 5);
    micros.checked_add(i64::from(rounds_up))
}

/// The number behind an `e`.
fn exponent(bytes: &[u8]) -> Option<i64> {
    let (sign, digits) = match bytes {
        [b'-', digits @ ..] => (-1, digits),
        [b'+', digits @ ..] | digits => (1, digits),
    };
    let exponent = number::digits(digits)?;
    if sign > 0 && exponent > EXPONENT_MAX {
        return None;
    }
    Some(sign * exponent.min(1_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, expected: Option<i64>) {
        assert_eq!(micros(text), expected, "{text}");
    }

    #[test]
    fn seconds_are_exact() {
        check("1547188415.857497", Some(1_547_188_415_857_497));
        check("1588205199.82437", Some(1_588_205_199_824_370));
        check("1551399000.5", Some(1_551_399_000_500_000));
        check("0", Some(0));
        check("3", Some(3_000_000));
        check("0.076967", Some(76_967));
        check("0.10370898246765137", Some(103_709));
        check("0.0000005", Some(1));
        check("0.00000049999", Some(0));
        check("0.9999999", Some(1_000_000));
        check("9.5367431640625e-07", Some(1));
        check("1.5e-3", Some(1_500));
        check("1e+2", Some(100_000_000));
        check("2E1", Some(20_000_000));
        check("4e-7", Some(0));
        check("6e-7", Some(1));
        check("9e-8", Some(0));
        check("-0.000123", Some(-123));
        check("000000000000000000000000001.000001", Some(1_000_001));
        check("9223372036854.775807", Some(i64::MAX));
    }

    #[test]
    fn what_is_no_number_of_seconds() {
        for text in [
            "",
            "-",
            ".",
            ".5",
            "5.",
            "1,5",
            "1.5s",
            "1e",
            "1e-",
            "1e19",
            "e5",
            "--1",
            "+1",
            " 1",
            "nan",
            "inf",
            "0x10",
            "1.2.3",
            "1.12345x",
            "x.123456",
            "9223372036854.775808",
            "9223372036855",
            "XXXXXXXXXX.XXXXXX",
        ] {
            check(text, None);
        }
    }

    proptest! {
        #[test]
        fn every_number_of_microseconds_is_read_back(number in -4_000_000_000_000_000_i64..4_000_000_000_000_000) {
            let sign = if number < 0 { "-" } else { "" };
            let (seconds, fraction) = (number.abs() / SECOND, number.abs() % SECOND);
            let text = format!("{sign}{seconds}.{fraction:06}");
            prop_assert_eq!(micros(&text), Some(number));
            prop_assert_eq!(general(text.as_bytes()), Some(number));
            let short = text.trim_end_matches('0').trim_end_matches('.');
            prop_assert_eq!(micros(short), Some(number));
            prop_assert_eq!(micros(&format!("{text}499999")), Some(number));
        }

        #[test]
        fn exponents_agree_with_floats(mantissa in 0_i64..1_000_000_000, exponent in -12_i32..4) {
            let text = format!("{}.{:06}e{exponent}", mantissa / 1_000_000, mantissa % 1_000_000);
            let expected: f64 = text.parse::<f64>().expect("a number") * 1e6;
            let found = micros(&text).expect("a number");
            prop_assert!((found as f64 - expected).abs() <= 0.5 + expected * 1e-9, "{} {} {}", text, found, expected);
        }
    }
}
