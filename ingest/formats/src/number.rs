//! Whole numbers of text logs: digits only, no sign, no spaces.

/// The number that `digits` writes. None when it is empty, has anything but ASCII digits, or passes `i64::MAX`.
#[must_use]
#[inline]
pub fn digits(digits: &[u8]) -> Option<i64> {
    match atoi_simd::parse_pos::<i64, false>(digits) {
        Ok(number) => Some(number),
        Err(_) => many_zeros(digits),
    }
}

/// The fast parser gives up on more leading zeros than the type has digits; the number may still be small.
#[cold]
fn many_zeros(digits: &[u8]) -> Option<i64> {
    let zeros = digits.iter().take_while(|&&byte| byte == b'0').count();
    match &digits[zeros..] {
        [] if zeros > 0 => Some(0),
        _ if zeros == 0 => None,
        significant => atoi_simd::parse_pos::<i64, false>(significant).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reference(text: &str) -> Option<i64> {
        let all_digits = text.bytes().all(|byte| byte.is_ascii_digit());
        if all_digits { text.parse().ok() } else { None }
    }

    #[test]
    fn edges() {
        let zeros = "0".repeat(64);
        let padded = format!("{zeros}9223372036854775807");
        let past = format!("{zeros}9223372036854775808");
        for text in [
            "",
            "0",
            "00",
            "-",
            "-1",
            "+1",
            "+",
            " 1",
            "1 ",
            "1_0",
            "0x1",
            "1e3",
            "9223372036854775807",
            "9223372036854775808",
            "18446744073709551615",
            "18446744073709551616",
            "99999999999999999999999",
            "000000000000000000001",
            "12345678",
            "123456789",
            "1234567a",
            "12345678\n",
            "１",
            &zeros,
            &padded,
            &past,
        ] {
            assert_eq!(digits(text.as_bytes()), reference(text), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_standard_library(text in "[0-9]{0,24}|0{0,40}[0-9]{1,20}|[-+ ]?[0-9]{1,19}|[0-9]{1,19}[^0-9]|\\PC{0,20}") {
            prop_assert_eq!(digits(text.as_bytes()), reference(&text));
        }

        #[test]
        fn reads_every_number(number in 0..=i64::MAX) {
            prop_assert_eq!(digits(number.to_string().as_bytes()), Some(number));
        }
    }
}
