//! The `#` lines of Zeek's ASCII logs: how values are separated, which fields there are, which log it is. Not the rows.
//!
//! `#separator \x09`, then, separated by it, `#set_separator`, `#empty_field`, `#unset_field`, `#path`, `#open`, `#fields`,
//! `#types`; `#close` at the end (Zeek, "Log Formats and Inspection"; "base/frameworks/logging/writers/ascii.zeek"). They
//! come again where files are joined, and a chunk may end between two of them.

/// What header lines have said so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) separator: u8,
    pub(super) set_separator: u8,
    pub(super) empty: String,
    pub(super) unset: String,
    pub(super) path: String,
    pub(super) fields: Vec<String>,
    pub(super) types: Vec<String>,
    /// A separator that cannot be used.
    pub(super) fault: Option<String>,
}

impl Default for Header {
    fn default() -> Self {
        Self {
            separator: b'\t',
            set_separator: b',',
            empty: "(empty)".to_owned(),
            unset: "-".to_owned(),
            path: String::new(),
            fields: Vec::new(),
            types: Vec::new(),
            fault: None,
        }
    }
}

impl Header {
    /// The header of lines without one.
    pub(super) fn of_fields<'a>(fields: impl Iterator<Item = &'a str>) -> Self {
        Self { fields: fields.map(str::to_owned).collect(), ..Self::default() }
    }

    /// Takes in a line that begins with `#`. Comments and what is not known change nothing.
    pub(super) fn apply(&mut self, line: &str) {
        let line = line.trim_end_matches(['\n', '\r']);
        if let Some(separator) = line.strip_prefix("#separator ") {
            *self = Self::default();
            match one_byte(separator) {
                Some(byte) => self.separator = byte,
                None => self.fault = Some(format!("the separator `{}` is not one character", shown(separator))),
            }
            return;
        }
        let mut words = line.split(char::from(self.separator));
        let name = words.next().unwrap_or_default();
        let value = line.get(name.len() + 1..).unwrap_or_default();
        match name {
            "#set_separator" => {
                if let Some(byte) = one_byte(value) {
                    self.set_separator = byte;
                }
            }
            "#empty_field" => self.empty = value.to_owned(),
            "#unset_field" => self.unset = value.to_owned(),
            "#path" => self.path = value.to_owned(),
            "#fields" => {
                self.fields = words.map(str::to_owned).collect();
                self.types.clear();
            }
            "#types" => self.types = words.map(str::to_owned).collect(),
            _ => {}
        }
    }

    /// Takes in the header lines that follow each other from `at` on; the offset behind them. Lines that are not UTF-8
    /// are passed over.
    pub(super) fn apply_lines(&mut self, lines: &[u8], mut at: usize) -> usize {
        while lines.get(at) == Some(&b'#') {
            let end = memchr::memchr(b'\n', &lines[at..]).map_or(lines.len(), |end| at + end + 1);
            if let Ok(line) = std::str::from_utf8(&lines[at..end]) {
                self.apply(line);
            }
            at = end;
        }
        at
    }
}

/// Offset of the next line from `at` on that begins with `#`; `at` is the start of a line.
pub(super) fn next_header(lines: &[u8], at: usize) -> Option<usize> {
    if lines.get(at) == Some(&b'#') {
        return Some(at);
    }
    let rest = lines.get(at..)?;
    memchr::memmem::find(rest, b"\n#").map(|found| at + found + 1)
}

/// A character as it is or as `\x09`. Control characters that end lines and letters cannot separate values.
fn one_byte(text: &str) -> Option<u8> {
    let byte = match text.strip_prefix("\\x") {
        Some(hex) if hex.len() == 2 => u8::from_str_radix(hex, 16).ok()?,
        _ => *text.as_bytes().first().filter(|_| text.len() == 1)?,
    };
    (byte.is_ascii() && !byte.is_ascii_alphanumeric() && !matches!(byte, b'\n' | b'\r' | 0)).then_some(byte)
}

fn shown(text: &str) -> String {
    text.chars().take(20).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(lines: &str) -> Header {
        let mut header = Header::default();
        assert_eq!(header.apply_lines(lines.as_bytes(), 0), lines.len(), "{lines}");
        header
    }

    #[test]
    fn lines_are_taken_in() {
        let found = header(
            "### a comment\n#separator \\x7c\n#set_separator|;\n#empty_field|EMPTY\n#unset_field|\r\n#path|conn\n\
             #open|2014-05-23-18-02-04\n#fields|ts|uid\n#types|time|string\n#close|x",
        );
        let expected = Header {
            separator: b'|',
            set_separator: b';',
            empty: "EMPTY".to_owned(),
            unset: String::new(),
            path: "conn".to_owned(),
            fields: vec!["ts".to_owned(), "uid".to_owned()],
            types: vec!["time".to_owned(), "string".to_owned()],
            fault: None,
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn a_new_header_forgets_the_old_one() {
        let found =
            header("#separator \\x7c\n#path|dns\n#fields|ts\n#separator \\x09\n#unset_field\t?\n#fields\tuid\n");
        let expected = Header { unset: "?".to_owned(), fields: vec!["uid".to_owned()], ..Header::default() };
        assert_eq!(found, expected);
        let found = header("#fields\tts\n#types\ttime\n#fields\tuid\n");
        assert_eq!((found.fields.len(), found.types.len()), (1, 0));
    }

    #[test]
    fn separators_that_cannot_be_used() {
        for separator in ["", "ab", "\\x0a", "\\x41", "\\xff", "\\x0", "\\x00", "é", "0"] {
            let mut header = Header::default();
            header.apply(&format!("#separator {separator}"));
            assert!(header.fault.is_some(), "{separator}");
        }
        assert_eq!(header("#separator \\x20\n#fields ts uid\n").fields, ["ts", "uid"]);
    }

    #[test]
    fn header_lines_are_found() {
        fn check(lines: &str, at: usize, expected: Option<usize>) {
            assert_eq!(next_header(lines.as_bytes(), at), expected, "{lines}");
        }
        check("#a\nb\n#c\n", 0, Some(0));
        check("#a\nb\n#c\n", 3, Some(5));
        check("b#\n", 0, None);
        check("", 0, None);
        check("b\n", 2, None);
    }
}
