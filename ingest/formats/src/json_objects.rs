//! Finds where JSON objects end that follow each other with or without anything between them, or that are elements of an
//! array. It does not check JSON.

use memchr::memchr3;

/// Reads on where it stopped. A string with a raw line feed in it is broken (RFC 8259, section 7), so the record ends
/// there: a lost quote costs one line, not the rest of the object.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Scanner {
    depth: u32,
    in_string: bool,
    /// The last byte seen was a backslash in a string.
    is_escaped: bool,
    /// Something other than space and the signs of an array was seen outside an object.
    junk: bool,
}

impl Scanner {
    /// The end of the next record that begins at or runs through `from`; none when it is not in `bytes`, and then the scan
    /// goes on with the bytes that follow.
    pub(crate) fn next_end(&mut self, bytes: &[u8], from: usize) -> Option<usize> {
        let mut at = from;
        if self.is_escaped && at < bytes.len() {
            self.is_escaped = false;
            at += usize::from(bytes[at] != b'\n');
        }
        while at < bytes.len() {
            if self.in_string {
                at += memchr3(b'"', b'\\', b'\n', &bytes[at..])?;
                match bytes[at] {
                    b'"' => self.in_string = false,
                    b'\n' => {
                        *self = Self::default();
                        return Some(at + 1);
                    }
                    _ => match bytes.get(at + 1) {
                        None => self.is_escaped = true,
                        Some(b'\n') => {}
                        Some(_) => at += 1,
                    },
                }
                at += 1;
                continue;
            }
            match bytes[at] {
                b'"' if self.depth > 0 => self.in_string = true,
                b'[' | b',' | b']' if self.depth == 0 => {}
                b'{' | b'[' => self.depth += 1,
                b'}' | b']' if self.depth > 0 => {
                    self.depth -= 1;
                    if self.depth == 0 {
                        *self = Self::default();
                        return Some(at + 1);
                    }
                }
                b'\n' if self.depth == 0 && self.junk => {
                    self.junk = false;
                    return Some(at + 1);
                }
                byte if self.depth == 0 && !byte.is_ascii_whitespace() => self.junk = true,
                _ => {}
            }
            at += 1;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let mut scanner = Scanner::default();
        let (mut found, mut start) = (Vec::new(), 0);
        while let Some(end) = scanner.next_end(text.as_bytes(), start) {
            found.push(&text[start..end]);
            start = end;
        }
        found.push(&text[start..]);
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn signs_of_an_array_are_between_records() {
        check(r#"[{"a":[1]},{"b":2}]"#, &[r#"[{"a":[1]}"#, r#",{"b":2}"#, "]"]);
        check("[1]\n[]\n{}", &["[1]\n", "[]\n{}", ""]);
        check("]]}\n{}", &["]]}\n", "{}", ""]);
    }

    #[test]
    fn records_of_concatenated_objects() {
        check(r#"{"a":1}{"b":[{}]} {"c":"}{"}"#, &[r#"{"a":1}"#, r#"{"b":[{}]}"#, r#" {"c":"}{"}"#, ""]);
        check("{\n  \"a\": \"\\\"}\"\n}\n{}", &["{\n  \"a\": \"\\\"}\"\n}", "\n{}", ""]);
        check(r#"{"a":"\\"}{}"#, &[r#"{"a":"\\"}"#, "{}", ""]);
        check("junk\n{}", &["junk\n", "{}", ""]);
        check("}}\n\n{}", &["}}\n", "\n{}", ""]);
        check(r#"{"a":{"#, &[r#"{"a":{"#]);
        check("{\"a\":\"lost quote}\n{\"b\":1}", &["{\"a\":\"lost quote}\n", "{\"b\":1}", ""]);
        check("{\"a\":\"x\\\n{\"b\":1}", &["{\"a\":\"x\\\n", "{\"b\":1}", ""]);
    }
}
