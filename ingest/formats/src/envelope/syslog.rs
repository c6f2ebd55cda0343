//! Syslog as it comes over a network and as daemons write it to files: RFC 5424, RFC 3164 and what is made of it. Not what a
//! program wrote in it.
//!
//! RFC 3164 describes what was seen, not what must be: the priority is missing in files, the host in what HAProxy and nginx
//! may send, the tag in what appliances send, and the time may be RFC 3339 (rsyslog, `RSYSLOG_FileFormat`).

use crate::framing::BOM;
use crate::text::time;
use memchr::memchr;
use tradewind_model::NULL_NUM;

/// The highest priority: facility 23, severity 7.
const PRIORITY_MAX: u16 = 191;
/// Longest host, the longest of all words in a header (RFC 5424, section 6).
const WORD_BYTES_MAX: usize = 255;
/// Longest tag with what is in brackets behind it.
const TAG_BYTES_MAX: usize = 96;
const MONTHS: [&[u8]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];
/// How messages begin that stand where a tag would.
const WITHOUT_TAG: [&[u8]; 3] = [b"%", b"CEF:", b"LEEF:"];

/// What is around a message, and it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// Microseconds UTC; [`NULL_NUM`] where there is no year or no zone.
    pub(super) time: i64,
    pub(super) host: Option<&'a str>,
    pub(super) message: &'a [u8],
}

/// Reads a line or frame without its length; none when it is not syslog.
pub(super) fn read(line: &[u8]) -> Option<Line<'_>> {
    let unmarked = priority(line);
    match unmarked {
        Some([b'1', b' ', rest @ ..]) => rfc5424(rest),
        Some(rest) => rfc3164(rest, true),
        None => rfc3164(line, false),
    }
}

/// What follows `<PRI>`.
fn priority(line: &[u8]) -> Option<&[u8]> {
    let rest = line.strip_prefix(b"<")?;
    let digits = rest.iter().take(4).take_while(|byte| byte.is_ascii_digit()).count();
    if !(1..=3).contains(&digits) || rest.get(digits) != Some(&b'>') {
        return None;
    }
    let value = rest[..digits].iter().fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'));
    (value <= PRIORITY_MAX).then(|| &rest[digits + 1..])
}

/// A word and what follows the space behind it.
fn word(line: &[u8]) -> Option<(&str, &[u8])> {
    let end = memchr(b' ', &line[..line.len().min(WORD_BYTES_MAX + 1)])?;
    let word = &line[..end];
    let is_word = !word.is_empty() && word.iter().all(u8::is_ascii_graphic);
    let word = std::str::from_utf8(word).ok().filter(|_| is_word)?;
    Some((word, &line[end + 1..]))
}

fn present(word: &str) -> Option<&str> {
    (word != "-").then_some(word)
}

/// `TIME HOST APP PROCID MSGID SD [MSG]`, behind `<PRI>1 `.
fn rfc5424(line: &[u8]) -> Option<Line<'_>> {
    let (moment, rest) = word(line)?;
    let time = match present(moment) {
        Some(moment) => with_zone(moment)?,
        None => NULL_NUM,
    };
    let (host, rest) = word(rest)?;
    let (_application, rest) = word(rest)?;
    let (_process, rest) = word(rest)?;
    let (_message_id, rest) = word(rest)?;
    let rest = behind_data(rest)?;
    let message = match rest {
        [] => rest,
        [b' ', message @ ..] => message.strip_prefix(BOM).unwrap_or(message),
        _ => return None,
    };
    Some(Line { time, host: present(host), message })
}

/// What follows the structured data: `-` or elements `[id name="value"…]`, in whose values `\"`, `\\` and `\]` are escapes.
fn behind_data(mut line: &[u8]) -> Option<&[u8]> {
    if let Some(rest) = line.strip_prefix(b"-") {
        return Some(rest);
    }
    let mut elements = 0;
    while let Some(element) = line.strip_prefix(b"[") {
        let (mut is_quoted, mut at) = (false, 0);
        loop {
            match element.get(at)? {
                b'\\' if is_quoted => at += 1,
                b'"' => is_quoted = !is_quoted,
                b']' if !is_quoted => break,
                b'[' | b'\n' if !is_quoted => return None,
                _ => {}
            }
            at += 1;
        }
        line = &element[at + 1..];
        elements += 1;
    }
    (elements > 0).then_some(line)
}

/// An RFC 3339 time, with `T` and a zone.
fn with_zone(word: &str) -> Option<i64> {
    (word.as_bytes().get(10) == Some(&b'T')).then(|| time::rfc3339(word))?
}

/// `TIME [HOST] TAG: MSG`, with or without a priority before it.
fn rfc3164(line: &[u8], has_priority: bool) -> Option<Line<'_>> {
    let (time, rest) = match behind_short_time(line) {
        Some(rest) => (NULL_NUM, rest),
        None => {
            let (moment, rest) = word(line)?;
            (with_zone(moment)?, rest)
        }
    };
    if let Some(message) = behind_tag(rest) {
        return Some(Line { time, host: None, message });
    }
    let (host, rest) = word(rest)?;
    let host = present(host);
    if let Some(message) = behind_tag(rest) {
        return Some(Line { time, host, message });
    }
    let is_message = has_priority || WITHOUT_TAG.iter().any(|begin| rest.starts_with(begin));
    is_message.then_some(Line { time, host, message: rest })
}

/// What follows `Mmm dd hh:mm:ss ` or `Mmm dd yyyy hh:mm:ss `.
fn behind_short_time(line: &[u8]) -> Option<&[u8]> {
    let digits = |bytes: &[u8]| bytes.iter().all(u8::is_ascii_digit);
    let (day, rest) = line.split_at_checked("Mmm dd ".len())?;
    let is_day = MONTHS.contains(&&day[..3])
        && (day[3], day[6]) == (b' ', b' ')
        && (day[4] == b' ' || day[4].is_ascii_digit())
        && day[5].is_ascii_digit();
    if !is_day {
        return None;
    }
    let rest = match rest.split_at_checked(5) {
        Some((year @ [_, _, _, _, b' '], rest)) if digits(&year[..4]) => rest,
        _ => rest,
    };
    let (clock, rest) = rest.split_at_checked("hh:mm:ss".len())?;
    let is_clock =
        (clock[2], clock[5]) == (b':', b':') && digits(&clock[..2]) && digits(&clock[3..5]) && digits(&clock[6..]);
    rest.strip_prefix(b" ").filter(|_| is_clock)
}

/// What follows `tag: `, `tag[pid]: ` or a lone `: `.
fn behind_tag(line: &[u8]) -> Option<&[u8]> {
    let end = memchr(b':', &line[..line.len().min(TAG_BYTES_MAX)])?;
    let tag = match line[..end].strip_suffix(b"]") {
        Some(tag) => &tag[..memchr(b'[', tag)?],
        None => &line[..end],
    };
    let is_first = |byte: &u8| byte.is_ascii_alphabetic() || matches!(byte, b'_' | b'/');
    let is_tag = match tag {
        [] => end == 0,
        [first, rest @ ..] => {
            is_first(first) && rest.iter().all(|byte| byte.is_ascii_alphanumeric() || b"_./@-".contains(byte))
        }
    };
    match &line[end + 1..] {
        _ if !is_tag => None,
        [] => Some(&[]),
        [b' ', message @ ..] => Some(message),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tradewind_model::time::rfc3339;

    /// Time, host and message; `-` for what is absent, and alone for what is not syslog.
    fn check(line: &str, expected: &str) {
        let found = read(line.as_bytes()).map_or_else(
            || "-".to_owned(),
            |line| {
                let time = if line.time == NULL_NUM { "-".to_owned() } else { rfc3339(line.time) };
                format!("{time} {} {:?}", line.host.unwrap_or("-"), String::from_utf8_lossy(line.message))
            },
        );
        assert_eq!(found, expected, "{line}");
    }

    #[test]
    fn bsd_lines() {
        check("<134>Feb  6 12:14:14 web-1 haproxy[14389]: 10.0.1.2:33317", r#"- web-1 "10.0.1.2:33317""#);
        check("Feb 26 12:14:14 web-1 haproxy[14389]: a: b", r#"- web-1 "a: b""#);
        check("Feb  6 12:14:14 haproxy[14389]: a", r#"- - "a""#);
        check("<190>Oct 10 12:00:00 - nginx: ", r#"- - """#);
        check("<190>Oct 10 12:00:00 h nginx:", r#"- h """#);
        check("2026-01-31T08:00:00.25+01:00 10.0.0.1 /usr/bin/x: a", r#"2026-01-31T07:00:00.25Z 10.0.0.1 "a""#);
        check("<166>Oct 10 2018 12:34:56 fw : %ASA-6-302013: Built", r#"- fw "%ASA-6-302013: Built""#);
        check("Oct 10 2018 12:34:56 fw %ASA-6-302013: Built", r#"- fw "%ASA-6-302013: Built""#);
        check("<14>Oct 10 12:34:56 fw some words", r#"- fw "some words""#);
        check("Oct 10 12:34:56 fw CEF:0|a|b", r#"- fw "CEF:0|a|b""#);
    }

    #[test]
    fn structured_lines() {
        let check = |rest: &str, expected: &str| check(&format!("<34>1 {rest}"), expected);
        let time = "2003-10-11T22:14:15.003Z";
        check(
            &format!("{time} host su - ID47 - \u{feff}'su root' failed"),
            &format!(r#"{time} host "'su root' failed""#),
        );
        check(
            r#"2003-08-24T05:14:15.000003-07:00 192.0.2.1 p 8710 - [a b="]\"\\"][c] - x"#,
            r#"2003-08-24T12:14:15.000003Z 192.0.2.1 "- x""#,
        );
        check("- - - - - -", r#"- - """#);
        check("- - - - - - ", r#"- - """#);
        for rest in [
            "- h a p m [x x",
            "- h a p m [x y=\"]",
            "- h a p m -x",
            "- h a p m",
            "- h a p m x",
            "2003-10-11 h a p m - x",
            "2003-10-11T22:14:15 h a p m - x",
            "-  a p m - x",
        ] {
            check(rest, "-");
        }
    }

    #[test]
    fn what_is_no_syslog() {
        for line in [
            "",
            "<",
            "<1>",
            "<192>Oct 10 12:34:56 h a: b",
            "<x>Oct 10 12:34:56 h a: b",
            "Oct 10 12:34:56 fw some words",
            "Oct 10 12:34 h a: b",
            "Okt 10 12:34:56 h a: b",
            "10.0.0.1 - - [10/Oct/2000:13:55:36 -0700] \"GET / HTTP/1.1\" 200 1",
            "2015-05-13T23:39:43.945958Z my-loadbalancer 192.168.131.39:2817 10.0.0.1:80 0.000073 0.001048",
            "2016-10-06T00:17:09.669794202Z stdout F a: b",
            "2023/10/06 00:17:09 [error] 1#1: x",
            "[2016-04-15T20:17:00.310Z] \"POST /api/v1/locations HTTP/2\" 204 - 154 0 226 100",
            "2 123456789010 eni-1 10.0.0.1 10.0.0.2 1 2 6 1 1 1 2 ACCEPT OK",
            "haproxy[14389]: 10.0.1.2:33317 [06/Feb/2009:12:14:14.655] http-in static/srv1 10/0",
            "10.0.1.2:33317 [06/Feb/2009:12:14:14.655] http-in static/srv1 10/0",
        ] {
            check(line, "-");
        }
    }
}
