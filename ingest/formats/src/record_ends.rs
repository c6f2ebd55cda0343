//! Where records end, for streams (`framing`) and decoders alike: both must cut the same way. Not what is in a record.

use crate::envelope::container::{self, Group};
use crate::framing::Records;
use crate::json_objects::Scanner;
use memchr::memchr;

/// Most digits of the length before a frame of syslog: no record may be longer than what eight of them say.
const LENGTH_DIGITS_MAX: usize = 8;

/// Looks for ends of records and reads on where it stopped.
#[derive(Clone, Debug)]
pub(crate) enum Ends {
    /// At line feeds.
    Lines,
    /// At the end of JSON objects.
    JsonObjects(Scanner),
    /// At line feeds behind which no line is unfinished.
    ContainerLines(Group),
    /// Where a length before the record says.
    OctetCounted(Frame),
}

impl Ends {
    /// Ends of records of that sort.
    pub(crate) fn new(records: Records) -> Self {
        match records {
            Records::Lines => Self::Lines,
            Records::JsonObjects => Self::JsonObjects(Scanner::default()),
            Records::ContainerLines => Self::ContainerLines(Group::default()),
            Records::OctetCounted => Self::OctetCounted(Frame::default()),
        }
    }

    /// The end of the record that begins at or runs through `from`.
    ///
    /// # Errors
    /// The place where the scan goes on when more bytes are there; what is before it need not be given again.
    pub(crate) fn next_end(&mut self, bytes: &[u8], from: usize) -> Result<usize, usize> {
        match self {
            Self::Lines => line_end(bytes, from).ok_or(bytes.len()),
            Self::JsonObjects(scanner) => scanner.next_end(bytes, from).ok_or(bytes.len()),
            Self::ContainerLines(group) => {
                let mut start = from;
                while let Some(end) = line_end(bytes, start) {
                    let line = &bytes[start..end];
                    if group.add(container::mark(line), line.len()) {
                        return Ok(end);
                    }
                    start = end;
                }
                Err(start)
            }
            Self::OctetCounted(frame) => frame.next_end(bytes, from),
        }
    }

    /// From here on only the end of the record at hand is wanted, which is too long to be held: says up to where its bytes
    /// need not be given again, of `length` of which those before `resume` were scanned.
    pub(crate) fn skip(&mut self, resume: usize, length: usize) -> usize {
        if !matches!(self, Self::ContainerLines(_)) {
            return resume;
        }
        // Which lines belong together cannot be told without holding them, so the record ends with the line at hand.
        *self = Self::Lines;
        length
    }
}

fn line_end(bytes: &[u8], from: usize) -> Option<usize> {
    memchr(b'\n', &bytes[from..]).map(|length| from + length + 1)
}

/// A frame of syslog with its length before it (RFC 6587, section 3.4.1), or a line where no length is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Frame {
    state: State,
}

#[derive(Clone, Copy, Debug, Default)]
enum State {
    #[default]
    Begin,
    /// So many bytes are left.
    Counted(usize),
    Line,
}

impl Frame {
    fn next_end(&mut self, bytes: &[u8], from: usize) -> Result<usize, usize> {
        let mut at = from;
        if matches!(self.state, State::Begin) {
            at += bytes[from..].iter().take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
            self.state = match frame_length(&bytes[at..]) {
                Length::Unknown => return Err(at),
                Length::None => State::Line,
                Length::Is { digits, message } => State::Counted(digits + 1 + message),
            };
        }
        let end = match self.state {
            State::Counted(left) => at.checked_add(left).filter(|&end| end <= bytes.len()),
            _ => line_end(bytes, at),
        };
        match (end, self.state) {
            (Some(end), _) => {
                self.state = State::Begin;
                Ok(end)
            }
            (None, State::Counted(left)) => {
                self.state = State::Counted(left - (bytes.len() - at));
                Err(bytes.len())
            }
            (None, _) => Err(bytes.len()),
        }
    }
}

/// The length before a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Length {
    /// There are too few bytes to tell.
    Unknown,
    /// There is none.
    None,
    /// It has so many digits, and a space behind them.
    Is {
        /// How many digits it has.
        digits: usize,
        /// Bytes of the message.
        message: usize,
    },
}

/// `MSG-LEN SP` at the start of `bytes`.
pub(crate) fn frame_length(bytes: &[u8]) -> Length {
    let digits = bytes.iter().take(LENGTH_DIGITS_MAX + 1).take_while(|byte| byte.is_ascii_digit()).count();
    match (digits, bytes.first(), bytes.get(digits)) {
        (_, Some(b'0'), _) => Length::None,
        (0..=LENGTH_DIGITS_MAX, _, None) => Length::Unknown,
        (1..=LENGTH_DIGITS_MAX, _, Some(b' ')) => {
            let add = |sum: usize, digit: &u8| sum * 10 + usize::from(digit - b'0');
            Length::Is { digits, message: bytes[..digits].iter().fold(0, add) }
        }
        _ => Length::None,
    }
}

/// Records of a chunk, each with its place, without white space around it; JSON also without what stands between the
/// elements of an array. Blank ones are left out.
pub(crate) fn records(input: &[u8], records: Records) -> impl Iterator<Item = (usize, &[u8])> {
    let is_json = records == Records::JsonObjects;
    let is_between = move |byte: &u8| byte.is_ascii_whitespace() || (is_json && matches!(byte, b'[' | b',' | b']'));
    let mut ends = Ends::new(records);
    let mut start = 0;
    std::iter::from_fn(move || {
        while start < input.len() {
            let end = ends.next_end(input, start).unwrap_or(input.len());
            let leading = input[start..end].iter().take_while(|&byte| is_between(byte)).count();
            let (at, record) = (start + leading, input[start + leading..end].trim_ascii_end());
            start = end;
            if !record.is_empty() {
                return Some((at, record));
            }
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The records of `text` at once; given byte by byte they are the same.
    fn check(sort: Records, text: &str, expected: &[&str]) {
        let bytes = text.as_bytes();
        let mut ends = Ends::new(sort);
        let (mut found, mut start) = (Vec::new(), 0);
        while let Ok(end) = ends.next_end(bytes, start) {
            found.push(&text[start..end]);
            start = end;
        }
        found.push(&text[start..]);
        assert_eq!(found, expected, "{text}");

        let mut ends = Ends::new(sort);
        let (mut found, mut start, mut from) = (Vec::new(), 0, 0);
        for until in 1..=bytes.len() {
            match ends.next_end(&bytes[..until], from) {
                Ok(end) => {
                    found.push(&text[start..end]);
                    (start, from) = (end, end);
                }
                Err(resume) => from = resume,
            }
        }
        found.push(&text[start..]);
        assert_eq!(found, expected, "{text} byte by byte");
    }

    #[test]
    fn elements_of_arrays_are_records() {
        let check = |text: &str, expected: &[&str]| {
            let found: Vec<_> = records(text.as_bytes(), Records::JsonObjects).collect();
            let found: Vec<_> = found.iter().map(|(_, record)| String::from_utf8_lossy(record)).collect();
            assert_eq!(found, expected, "{text}");
        };
        check(r#"[{"a":1},{"b":[1,2]}]"#, &[r#"{"a":1}"#, r#"{"b":[1,2]}"#]);
        check("[\n  {\"a\":1},\n  {\"b\":2},\n]\n", &[r#"{"a":1}"#, r#"{"b":2}"#]);
        check("[{\"a\":1}]\n[{\"b\":2}]\n", &[r#"{"a":1}"#, r#"{"b":2}"#]);
        check("{\"a\":1},\n{\"b\":2},", &[r#"{"a":1}"#, r#"{"b":2}"#]);
        check("[1,\n{\"b\":2}]", &["1,", r#"{"b":2}"#]);
        check("[,]\n[]", &[]);
        check("[{\"a\":[", &["{\"a\":["]);
    }

    #[test]
    fn lines_of_containers_end_where_they_are_complete() {
        let (full, part) = ("2016-10-06T00:17:09Z stdout F x\n", "2016-10-06T00:17:09Z stdout P y\n");
        let (other, other_part) = ("2016-10-06T00:17:09Z stderr F z\n", "2016-10-06T00:17:09Z stderr P z\n");
        let all = |lines: &[&str]| lines.concat();
        let check = |lines: &[&str], groups: &[&str]| check(Records::ContainerLines, &all(lines), groups);
        check(&[full, full], &[full, full, ""]);
        check(&[part, part, full, full], &[&all(&[part, part, full]), full, ""]);
        check(&[part, other, full], &[&all(&[part, other, full]), ""]);
        check(&[part, other_part, full, other, full], &[&all(&[part, other_part, full, other]), full, ""]);
        check(&[part, "junk\n", full], &[&all(&[part, "junk\n", full]), ""]);
        check(&["junk\n", full, part], &["junk\n", full, part]);
        let (docker, half) =
            ("{\"log\":\"x\\n\",\"stream\":\"stdout\",\"time\":\"t\"}\n", "{\"log\":\"x\",\"time\":\"t\"}\n");
        check(&[docker, half, docker], &[docker, &all(&[half, docker]), ""]);
    }

    #[test]
    fn frames_have_their_length_before_them() {
        let check = |text: &str, expected: &[&str]| check(Records::OctetCounted, text, expected);
        check("5 <1>ab4 <2>c", &["5 <1>ab", "4 <2>c", ""]);
        check("5 <1>ab\n4 <\n>c\n", &["5 <1>ab", "\n4 <\n>c", "\n"]);
        check("<1>a\n4 <2>c5 <1>", &["<1>a\n", "4 <2>c", "5 <1>"]);
        check("123456789 x\n0 x\n12x\n1 xy\nz", &["123456789 x\n", "0 x\n", "12x\n", "1 x", "y\n", "z"]);
        check("12", &["12"]);
        check("99999999 x\n", &["99999999 x\n"]);
    }
}
