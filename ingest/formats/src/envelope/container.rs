//! Lines of container runtimes: CRI (containerd, CRI-O, Podman) and Docker's `json-file`. Not what a container wrote in them.
//!
//! Sources: Kubernetes, "CRI: Log Handling" (`TIME STREAM TAG[:TAG…] MESSAGE`, of which the first tag is `P` for a line that
//! goes on in the next one and `F` for a full one or its end); Docker, "JSON File logging driver", where a line goes on in
//! the next one unless its text ends with a line feed.

use crate::contract::{Fault, Reason};
use memchr::{memchr, memchr2};
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::borrow::Cow;

/// An unfinished line is waited for until so many bytes were seen: it may never be finished.
const GROUP_BYTES_MAX: usize = 1024 * 1024;
/// Longest time in a line.
const TIME_BYTES_MAX: usize = 48;
/// Longest list of tags.
const TAG_BYTES_MAX: usize = 64;

/// What a container wrote to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stream {
    /// Standard output.
    Output,
    /// Standard error.
    Error,
}

/// What a line says of those around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Where it was written.
    pub(crate) stream: Stream,
    /// It goes on in the next line of the stream.
    pub(crate) is_partial: bool,
}

/// Lines that belong together: those from an unfinished one on, until none is unfinished.
#[derive(Clone, Debug, Default)]
pub(crate) struct Group {
    is_open: [bool; 2],
    bytes: usize,
}

impl Group {
    /// Adds a line of so many bytes and says whether the group ends with it.
    pub(crate) fn add(&mut self, mark: Option<Mark>, bytes: usize) -> bool {
        if let Some(mark) = mark {
            self.is_open[mark.stream as usize] = mark.is_partial;
        }
        self.bytes += bytes;
        let ends = self.is_open == [false, false] || self.bytes >= GROUP_BYTES_MAX;
        if ends {
            *self = Self::default();
        }
        ends
    }
}

/// A line and what is around it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    pub(super) mark: Mark,
    pub(super) time: Cow<'a, str>,
    pub(super) message: Message<'a>,
}

/// What a container wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Message<'a> {
    /// As it stands, without a line feed behind it.
    Plain(&'a [u8]),
    /// With JSON's escapes, one of which may be a line feed at its end.
    Escaped(&'a [u8]),
    /// Read already.
    Text(Cow<'a, str>),
}

/// What a line says of those around it; none when it is no line of a runtime.
pub(crate) fn mark(line: &[u8]) -> Option<Mark> {
    read(line).map(|line| line.mark)
}

/// Reads a line, with or without its line feed. Neither its time nor the escapes of its message are checked.
pub(super) fn read(line: &[u8]) -> Option<Line<'_>> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    if line.first() == Some(&b'{') { docker(line).or_else(|| unusual_docker(line)) } else { cri(line) }
}

fn cri(line: &[u8]) -> Option<Line<'_>> {
    let end = memchr(b' ', &line[..line.len().min(TIME_BYTES_MAX)])?;
    let (time, rest) = (&line[..end], &line[end + 1..]);
    let is_time = time.len() >= "2016-10-06T00:17:09Z".len()
        && (time[4], time[7], time[10], time[13], time[16]) == (b'-', b'-', b'T', b':', b':');
    if !is_time {
        return None;
    }
    let (stream, rest) = match rest.split_at_checked("stdout ".len())? {
        (b"stdout ", rest) => (Stream::Output, rest),
        (b"stderr ", rest) => (Stream::Error, rest),
        _ => return None,
    };
    let (tags, message) = match memchr(b' ', &rest[..rest.len().min(TAG_BYTES_MAX)]) {
        Some(end) => (&rest[..end], &rest[end + 1..]),
        None => (rest, &rest[rest.len()..]),
    };
    let is_partial = match tags {
        [b'P'] | [b'P', b':', ..] => true,
        [b'F'] | [b'F', b':', ..] => false,
        _ => return None,
    };
    let time = Cow::Borrowed(std::str::from_utf8(time).ok()?);
    Some(Line { mark: Mark { stream, is_partial }, time, message: Message::Plain(message) })
}

/// A line as Docker writes it, without a blank and with nothing but these members.
fn docker(line: &[u8]) -> Option<Line<'_>> {
    let rest = line.strip_prefix(b"{\"log\":\"")?;
    let (mut end, mut newline, mut is_plain) = (0, None, true);
    loop {
        end += memchr2(b'"', b'\\', &rest[end..])?;
        if rest[end] == b'"' {
            break;
        }
        is_plain &= newline.is_none();
        if rest.get(end + 1)? == &b'n' {
            newline = newline.or(Some(end)).map(|_| end);
        } else {
            is_plain = false;
        }
        end += 2;
    }
    let is_partial = newline.is_none_or(|at| at + 2 != end);
    let log = &rest[..end];
    let rest = rest[end..].strip_prefix(b"\",\"stream\":\"std")?;
    let (stream, rest) = match rest.split_at_checked(3)? {
        (b"out", rest) => (Stream::Output, rest),
        (b"err", rest) => (Stream::Error, rest),
        _ => return None,
    };
    let rest = rest.strip_prefix(b"\",\"time\":\"")?.trim_ascii_end();
    let time = rest.strip_suffix(b"\"}").filter(|time| memchr2(b'"', b'\\', time).is_none())?;
    let message = match is_plain {
        true if is_partial && newline.is_none() => Message::Plain(log),
        true if !is_partial => Message::Plain(&log[..log.len() - 2]),
        _ => Message::Escaped(log),
    };
    let time = Cow::Borrowed(std::str::from_utf8(time).ok()?);
    Some(Line { mark: Mark { stream, is_partial }, time, message })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Docker<'a> {
    #[serde(borrow)]
    log: Cow<'a, str>,
    #[serde(borrow, default)]
    stream: Option<Cow<'a, str>>,
    #[serde(borrow)]
    time: Cow<'a, str>,
    /// Labels and variables of the container, where it was started so.
    #[serde(default, rename = "attrs")]
    _attributes: Option<IgnoredAny>,
}

#[cold]
fn unusual_docker(line: &[u8]) -> Option<Line<'_>> {
    // Other JSON is told by its beginning more cheaply than by reading it.
    memchr::memmem::find(line, b"\"log\"")?;
    let Docker { log, stream, time, .. } = serde_json::from_slice(line).ok()?;
    let stream = match stream.as_deref() {
        None | Some("stdout") => Stream::Output,
        Some("stderr") => Stream::Error,
        Some(_) => return None,
    };
    let mark = Mark { stream, is_partial: !log.ends_with('\n') };
    Some(Line { mark, time, message: Message::Text(log) })
}

impl Message<'_> {
    /// Adds the message to `text`, without a line feed at its end.
    pub(super) fn append(&self, text: &mut Vec<u8>) -> Result<(), Fault> {
        let from = text.len();
        match self {
            Self::Plain(message) => {
                text.extend_from_slice(message);
                return Ok(());
            }
            Self::Text(message) => text.extend_from_slice(message.as_bytes()),
            Self::Escaped(message) => unescape(message, text).inspect_err(|_| text.truncate(from))?,
        }
        if text.len() > from && text.last() == Some(&b'\n') {
            text.pop();
        }
        Ok(())
    }
}

/// Adds what stands between the quotes of a JSON string.
fn unescape(mut rest: &[u8], text: &mut Vec<u8>) -> Result<(), Fault> {
    let fault = |detail: String| Fault { reason: Reason::BadJson, detail };
    while let Some(at) = memchr(b'\\', rest) {
        text.extend_from_slice(&rest[..at]);
        let byte = match rest.get(at + 1) {
            Some(byte @ (b'"' | b'\\' | b'/')) => *byte,
            Some(b'n') => b'\n',
            Some(b't') => b'\t',
            Some(b'r') => b'\r',
            Some(b'b') => 0x08,
            Some(b'f') => 0x0c,
            Some(b'u') => {
                // Two escapes may be one character, so what reads JSON reads them.
                let pair = rest.len().min(at + 12);
                let length = match &rest[at..pair] {
                    [_, _, b'd' | b'D', b'8'..=b'9' | b'a' | b'b' | b'A' | b'B', ..] => 12,
                    _ => 6,
                };
                let escape = rest.get(at..at + length).ok_or_else(|| fault("an escape is cut off".to_owned()))?;
                let quoted = [b"\"", escape, b"\""].concat();
                let character: String = serde_json::from_slice(&quoted).map_err(|error| fault(error.to_string()))?;
                text.extend_from_slice(character.as_bytes());
                rest = &rest[at + length..];
                continue;
            }
            _ => return Err(fault("no escape of JSON follows a backslash".to_owned())),
        };
        text.push(byte);
        rest = &rest[at + 2..];
    }
    text.extend_from_slice(rest);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stream, whether it goes on, time and message; `-` for no such line, and the fault for a message that cannot be read.
    fn check(line: &str, expected: &str) {
        let found = read(line.as_bytes()).map_or_else(
            || "-".to_owned(),
            |line| {
                let mut text = Vec::new();
                let message = match line.message.append(&mut text) {
                    Ok(()) => format!("{:?}", String::from_utf8_lossy(&text)),
                    Err(fault) => fault.reason.as_str().to_owned(),
                };
                let end = if line.mark.is_partial { "P" } else { "F" };
                format!("{:?} {end} {} {message}", line.mark.stream, line.time)
            },
        );
        assert_eq!(found, expected, "{line}");
    }

    #[test]
    fn cri_lines() {
        let time = "2016-10-06T00:17:09.669794202Z";
        check(&format!("{time} stdout F a line \n"), &format!(r#"Output F {time} "a line ""#));
        check(&format!("{time} stderr P part"), &format!(r#"Error P {time} "part""#));
        check(&format!("{time} stdout P:x:y part"), &format!(r#"Output P {time} "part""#));
        check(&format!("{time} stdout F"), &format!(r#"Output F {time} """#));
        check("2016-10-06T00:17:09+02:00 stdout F {}", r#"Output F 2016-10-06T00:17:09+02:00 "{}""#);
        for line in [
            &format!("{time} stdout X a")[..],
            &format!("{time} stdin F a"),
            &format!("{time} stdout"),
            &format!(" {time} stdout F a"),
            "2016-10-06 stdout F a",
            "2016-10-06T00:17 stdout F a",
            "",
        ] {
            check(line, "-");
        }
    }

    #[test]
    fn docker_lines() {
        let check = |log: &str, expected: &str| {
            check(&format!(r#"{{"log":"{log}","stream":"stdout","time":"T"}}"#), &format!("Output {expected}"));
            // The other way to the same.
            let spaced = format!(r#"{{ "time":"T", "stream":"stdout", "log":"{log}", "attrs":{{"a":"b"}} }}"#);
            if expected.contains('"') {
                super::tests::check(&spaced, &format!("Output {expected}"));
            }
        };
        check(r"a line\n", r#"F T "a line""#);
        check(r"a part", r#"P T "a part""#);
        check(r"", r#"P T """#);
        check(r"\n", r#"F T """#);
        check(r"a\\n", r#"P T "a\\n""#);
        check(r"a\nb\n", r#"F T "a\nb""#);
        check(r"a\nb", r#"P T "a\nb""#);
        check(r#"{\"a\":\"\\u0041\\\"\"}\n"#, r#"F T "{\"a\":\"\\u0041\\\"\"}""#);
        check(r"\t\r\b\f\/\u003c\ud83d\ude00\n", "F T \"\\t\\r\\u{8}\\u{c}/<😀\"");
        check(r"\x\n", "F T bad_json");
        check(r"\ud83d\n", "F T bad_json");
        check(r"\u00\n", "F T bad_json");
        for line in [
            r#"{"log":"x"}"#,
            r#"{"log":"x","stream":"other","time":"T"}"#,
            r#"{"log":"x","time":"T","level":"info"}"#,
            r#"{"log":"x","stream":"stdout","time":"T"#,
            r#"{"log":"x\"#,
            r#"{"log":1,"time":"T"}"#,
            "{}",
        ] {
            super::tests::check(line, "-");
        }
    }
}
