//! Envoy's `START_TIME`: its default text and the format strings a user may give it. Not a general clock.
//!
//! Envoy writes UTC unless the pattern itself prints a zone (`%z`).

use tradewind_model::time::{DAY, HOUR, MINUTE, SECOND};

/// How a start time is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum TimePattern {
    /// RFC 3339, as `%START_TIME%` prints it: `2016-04-15T20:17:00.310Z`.
    #[default]
    Rfc3339,
    /// A `strftime` pattern with Envoy's own `%s`, `%f`, `%3f` and Abseil's `%E3S`.
    Items(Vec<Item>),
}

/// One part of a `strftime` pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Item {
    Literal(char),
    Year,
    ShortYear,
    Month,
    MonthName,
    WeekdayName,
    Day,
    Hour,
    Minute,
    Second,
    /// Seconds with a fraction behind a dot.
    FractionalSecond,
    /// Seconds since 1970; the number of digits of a fraction that follow without a separator.
    Epoch(usize),
    /// So many digits of a fraction.
    Fraction(usize),
    Zone,
    ZoneName,
}

/// The specifier that is not supported, or what the pattern lacks.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct PatternFault(pub(super) String);

impl TimePattern {
    /// Compiles the argument of `START_TIME`; an empty one is the default.
    pub(super) fn compile(pattern: &str) -> Result<Self, PatternFault> {
        if pattern.is_empty() {
            return Ok(Self::Rfc3339);
        }
        let mut items = Vec::new();
        let mut chars = pattern.chars();
        while let Some(c) = chars.next() {
            if c != '%' {
                items.push(Item::Literal(c));
                continue;
            }
            specifier(&mut chars, &mut items)?;
        }
        for index in 0..items.len().saturating_sub(1) {
            if let (Item::Epoch(_), Item::Fraction(digits)) = (items[index], items[index + 1]) {
                items[index] = Item::Epoch(digits);
            }
        }
        let has = |item: Item| items.contains(&item);
        let has_date =
            (has(Item::Year) || has(Item::ShortYear)) && (has(Item::Month) || has(Item::MonthName)) && has(Item::Day);
        let has_epoch = items.iter().any(|item| matches!(item, Item::Epoch(_)));
        let has_moment = has_epoch || (has_date && has(Item::Hour));
        if !has_moment {
            return Err(PatternFault("it needs `%s`, or a year, month, day and hour".to_owned()));
        }
        Ok(Self::Items(items))
    }

    /// The time in microseconds since 1970-01-01 UTC.
    pub(super) fn parse(&self, text: &str) -> Option<i64> {
        match self {
            Self::Rfc3339 => rfc3339(text.as_bytes()),
            Self::Items(items) => by_items(items, text),
        }
    }
}

fn specifier(chars: &mut std::str::Chars<'_>, items: &mut Vec<Item>) -> Result<(), PatternFault> {
    let unsupported = |text: &str| PatternFault(format!("`%{text}` is not supported"));
    let c = chars.next().ok_or_else(|| unsupported(""))?;
    let colon_time = [Item::Hour, Item::Literal(':'), Item::Minute, Item::Literal(':'), Item::Second];
    match c {
        '%' => items.push(Item::Literal('%')),
        'Y' => items.push(Item::Year),
        'y' => items.push(Item::ShortYear),
        'm' => items.push(Item::Month),
        'b' | 'h' | 'B' => items.push(Item::MonthName),
        'a' | 'A' => items.push(Item::WeekdayName),
        'd' | 'e' => items.push(Item::Day),
        'H' => items.push(Item::Hour),
        'M' => items.push(Item::Minute),
        'S' => items.push(Item::Second),
        's' => items.push(Item::Epoch(0)),
        'f' => items.push(Item::Fraction(9)),
        'z' => items.push(Item::Zone),
        'Z' => items.push(Item::ZoneName),
        'T' => items.extend(colon_time),
        'R' => items.extend(&colon_time[..3]),
        'F' => items.extend([Item::Year, Item::Literal('-'), Item::Month, Item::Literal('-'), Item::Day]),
        'D' => items.extend([Item::Month, Item::Literal('/'), Item::Day, Item::Literal('/'), Item::ShortYear]),
        '1'..='9' => match (chars.next(), c.to_digit(10)) {
            (Some('f'), Some(digits)) => items.push(Item::Fraction(digits as usize)),
            (other, _) => return Err(unsupported(&format!("{c}{}", other.unwrap_or(' ')))),
        },
        'E' => match (chars.next(), chars.next()) {
            (Some('0'..='9' | '*'), Some('S')) => items.push(Item::FractionalSecond),
            (first, second) => {
                return Err(unsupported(&format!("E{}{}", first.unwrap_or(' '), second.unwrap_or(' '))));
            }
        },
        other => return Err(unsupported(&other.to_string())),
    }
    Ok(())
}

/// `2016-04-15T20:17:00.310Z`, with `Z` or a numeric zone.
fn rfc3339(text: &[u8]) -> Option<i64> {
    let (moment, mut rest) = text.split_first_chunk::<19>()?;
    let separators = [moment[4], moment[7], moment[13], moment[16]];
    if separators != *b"--::" || !matches!(moment[10], b'T' | b't' | b' ') {
        return None;
    }
    let days = days_from_civil(two(moment, 0)? * 100 + two(moment, 2)?, two(moment, 5)?, two(moment, 8)?)?;
    let clock = clock(two(moment, 11)?, two(moment, 14)?, two(moment, 17)?)?;
    if let [b'.', millis @ .., b'Z'] = rest
        && millis.len() == 3
    {
        // So Envoy itself writes it.
        return Some(days * DAY + clock + digits(millis)? * 1000);
    }
    let mut micros = 0;
    if let Some(fraction) = rest.strip_prefix(b".") {
        let count = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
        micros = fraction_micros(&fraction[..count])?;
        rest = &fraction[count..];
    }
    let zone = match rest {
        b"Z" | b"z" => 0,
        zone => zone_offset(zone)?,
    };
    Some(days * DAY + clock + micros - zone)
}

/// The number of the two digits at a place.
#[inline]
fn two(moment: &[u8; 19], at: usize) -> Option<i64> {
    let (tens, ones) = (moment[at].wrapping_sub(b'0'), moment[at + 1].wrapping_sub(b'0'));
    (tens < 10 && ones < 10).then(|| i64::from(tens * 10 + ones))
}

fn by_items(items: &[Item], text: &str) -> Option<i64> {
    let mut rest = text.as_bytes();
    let (mut year, mut month, mut day) = (1970, 1, 1);
    let (mut hour, mut minute, mut second, mut micros, mut zone) = (0, 0, 0, 0, 0);
    let mut epoch = None;
    for item in items {
        match *item {
            Item::Literal(c) => {
                let mut buffer = [0; 4];
                rest = rest.strip_prefix(c.encode_utf8(&mut buffer).as_bytes())?;
            }
            Item::Year => year = number(&mut rest, 4, 4)?,
            Item::ShortYear => year = 2000 + number(&mut rest, 2, 2)?,
            Item::Month => month = number(&mut rest, 1, 2)?,
            Item::MonthName => month = month_name(&mut rest)?,
            Item::WeekdayName => {
                let letters = rest.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
                rest = &rest[letters..];
            }
            Item::Day => {
                rest = rest.strip_prefix(b" ").unwrap_or(rest);
                day = number(&mut rest, 1, 2)?;
            }
            Item::Hour => hour = number(&mut rest, 1, 2)?,
            Item::Minute => minute = number(&mut rest, 2, 2)?,
            Item::Second => second = number(&mut rest, 2, 2)?,
            Item::FractionalSecond => {
                second = number(&mut rest, 2, 2)?;
                if let Some(fraction) = rest.strip_prefix(b".") {
                    let count = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
                    micros = fraction_micros(&fraction[..count])?;
                    rest = &fraction[count..];
                }
            }
            Item::Epoch(after) => {
                let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count().checked_sub(after)?;
                epoch = Some(number(&mut rest, count, count)?);
            }
            Item::Fraction(count) => {
                micros = fraction_micros(rest.get(..count)?)?;
                rest = &rest[count..];
            }
            Item::Zone => {
                let length = if rest.first() == Some(&b'Z') { 1 } else { 5 + usize::from(rest.get(3) == Some(&b':')) };
                let text = rest.get(..length)?;
                zone = if length == 1 { 0 } else { zone_offset(text)? };
                rest = &rest[length..];
            }
            Item::ZoneName => rest = rest.strip_prefix(b"UTC").or_else(|| rest.strip_prefix(b"GMT"))?,
        }
    }
    if !rest.is_empty() {
        return None;
    }
    match epoch {
        Some(seconds) => seconds.checked_mul(SECOND)?.checked_add(micros),
        None => Some(days_from_civil(year, month, day)? * DAY + clock(hour, minute, second)? + micros - zone),
    }
}

/// Takes as many digits as there are, between `least` and `most`; at most 11, so that seconds fit in microseconds.
fn number(rest: &mut &[u8], least: usize, most: usize) -> Option<i64> {
    let count = rest.iter().take(most).take_while(|byte| byte.is_ascii_digit()).count();
    if count < least || count == 0 || count > 11 {
        return None;
    }
    let value = digits(&rest[..count])?;
    *rest = &rest[count..];
    Some(value)
}

#[inline]
fn digits(text: &[u8]) -> Option<i64> {
    text.iter().try_fold(0_i64, |sum, byte| byte.is_ascii_digit().then(|| sum * 10 + i64::from(byte - b'0')))
}

/// Microseconds of a decimal fraction's digits; digits below a microsecond are dropped.
fn fraction_micros(text: &[u8]) -> Option<i64> {
    if text.is_empty() || text.len() > 9 {
        return None;
    }
    let value = digits(&text[..text.len().min(6)])?;
    digits(text)?;
    Some((text.len()..6).fold(value, |value, _| value * 10))
}

/// `+hh:mm` or `+hhmm` in microseconds.
fn zone_offset(text: &[u8]) -> Option<i64> {
    let sign = match text.first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, minutes) = match text.len() {
        5 => (&text[1..3], &text[3..5]),
        6 if text[3] == b':' => (&text[1..3], &text[4..6]),
        _ => return None,
    };
    let (hours, minutes) = (digits(hours)?, digits(minutes)?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * HOUR + minutes * MINUTE))
}

fn month_name(rest: &mut &[u8]) -> Option<i64> {
    const NAMES: [&[u8]; 12] =
        [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];
    let month = NAMES.iter().position(|name| rest.starts_with(name))?;
    let letters = rest.iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    *rest = &rest[letters..];
    i64::try_from(month + 1).ok()
}

/// A leap second (60) counts as the first of the next minute.
fn clock(hour: i64, minute: i64, second: i64) -> Option<i64> {
    (hour < 24 && minute < 60 && second <= 60).then_some(hour * HOUR + minute * MINUTE + second * SECOND)
}

/// Days since 1970-01-01 of a date in the Gregorian calendar.
///
/// Source: H. Hinnant, "chrono-Compatible Low-Level Date Algorithms", `days_from_civil`.
fn days_from_civil(year: i64, month: i64, day: i64) -> Option<i64> {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let last = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i64::from(is_leap),
        _ => return None,
    };
    if day < 1 || day > last {
        return None;
    }
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use tradewind_model::time;

    #[test]
    fn the_default_agrees_with_the_calendar() {
        for text in [
            "2016-04-15T20:17:00.310Z",
            "2024-02-29T23:59:59.999999Z",
            "1999-12-31T00:00:00+02:30",
            "9998-12-31T23:59:59Z",
        ] {
            assert_eq!(rfc3339(text.as_bytes()), time::parse(text).ok(), "{text}");
        }
        for text in
            ["2023-02-29T00:00:00Z", "2016-04-15T24:00:00Z", "2016-04-15T20:17:00.Z", "2016-04-15T20:17:00", "-", ""]
        {
            assert_eq!(rfc3339(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn patterns_read_what_envoy_writes() {
        fn check(pattern: &str, text: &str, expected: &str) {
            let found = TimePattern::compile(pattern).unwrap().parse(text);
            assert_eq!(found, Some(time::parse(expected).unwrap()), "{pattern} {text}");
        }
        check("%s.%3f", "1527590590.528", "2018-05-29T10:43:10.528Z");
        check("%s.%9f", "1527590590.528123456", "2018-05-29T10:43:10.528123Z");
        check("%s%3f", "1527590590528", "2018-05-29T10:43:10.528Z");
        check("%s", "1527590590", "2018-05-29T10:43:10Z");
        check("%Y/%m/%dT%H:%M:%S%z %s", "2018/05/29T10:43:10+0000 1527590590", "2018-05-29T10:43:10Z");
        check("%d/%b/%Y:%H:%M:%S %z", "29/May/2018:12:43:10 +0200", "2018-05-29T10:43:10Z");
        check("%FT%T.%6fZ", "2018-05-29T10:43:10.528000Z", "2018-05-29T10:43:10.528Z");
        check("%Y-%m-%dT%H:%M:%E3SZ", "2018-05-29T10:43:10.528Z", "2018-05-29T10:43:10.528Z");
        check("%a %b %e %T %Y", "Tue May 29 10:43:10 2018", "2018-05-29T10:43:10Z");
        assert_eq!(TimePattern::compile("%s").unwrap().parse("99999999999999"), None);
    }

    #[test]
    fn patterns_that_name_no_moment_are_refused() {
        for pattern in ["%H:%M:%S", "%Y-%m-%d", "%q", "%3", "%"] {
            assert!(TimePattern::compile(pattern).is_err(), "{pattern}");
        }
    }
}
