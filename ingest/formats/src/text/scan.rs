//! Reads a line from left to right: words, quoted and bracketed texts, fixed parts. Not what they mean.

use std::borrow::Cow;

/// A place in a line. A method that does not find what it looks for leaves the place where it was.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scan<'a> {
    rest: &'a str,
}

impl<'a> Scan<'a> {
    pub(crate) const fn new(line: &'a str) -> Self {
        Self { rest: line }
    }

    /// What was not read yet.
    #[inline]
    pub(crate) const fn rest(&self) -> &'a str {
        self.rest
    }

    #[inline]
    pub(crate) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Passes over spaces and tabs.
    #[inline]
    pub(crate) fn blanks(&mut self) {
        let blanks = self.rest.bytes().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        self.rest = &self.rest[blanks..];
    }

    /// Reads exactly this text.
    #[inline]
    pub(crate) fn literal(&mut self, text: &str) -> Option<()> {
        self.rest = self.rest.strip_prefix(text)?;
        Some(())
    }

    /// Reads up to the next space, which is read too; the rest where there is none. An empty word is none.
    #[inline]
    pub(crate) fn word(&mut self) -> Option<&'a str> {
        let (word, rest) = match memchr::memchr(b' ', self.rest.as_bytes()) {
            Some(at) => (&self.rest[..at], &self.rest[at + 1..]),
            None => (self.rest, ""),
        };
        if word.is_empty() {
            return None;
        }
        self.rest = rest;
        Some(word)
    }

    /// Reads `"…"`, in which a backslash hides the next character, and one space behind it. The text is as it stands
    /// there: see [`unescape`].
    #[inline]
    pub(crate) fn quoted(&mut self) -> Option<&'a str> {
        let inner = self.rest.strip_prefix('"')?;
        let end = end_of_quoted(inner.as_bytes())?;
        self.rest = &inner[end + 1..];
        self.rest = self.rest.strip_prefix(' ').unwrap_or(self.rest);
        Some(&inner[..end])
    }

    /// Reads `[…]` without nesting, and one space behind it.
    #[inline]
    pub(crate) fn bracketed(&mut self) -> Option<&'a str> {
        self.enclosed('[', b']')
    }

    /// Reads `{…}` without nesting, and one space behind it.
    pub(crate) fn braced(&mut self) -> Option<&'a str> {
        self.enclosed('{', b'}')
    }

    fn enclosed(&mut self, open: char, close: u8) -> Option<&'a str> {
        let inner = self.rest.strip_prefix(open)?;
        let end = memchr::memchr(close, inner.as_bytes())?;
        self.rest = &inner[end + 1..];
        self.rest = self.rest.strip_prefix(' ').unwrap_or(self.rest);
        Some(&inner[..end])
    }
}

/// Where the closing quote stands.
#[inline]
fn end_of_quoted(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += memchr::memchr2(b'"', b'\\', text.get(at..)?)?;
        if text[at] == b'"' {
            return Some(at);
        }
        at += 2;
    }
}

/// A quoted text without its escapes: `\"`, `\\`, `\n`, `\r`, `\t` and `\xNN`. Bytes that make no UTF-8 stay escaped.
#[must_use]
pub(crate) fn unescape(text: &str) -> Cow<'_, str> {
    if memchr::memchr(b'\\', text.as_bytes()).is_none() {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let hex = |at: usize| after.get(at).and_then(|&digit| char::from(digit).to_digit(16));
        let found = match (byte, after.first()) {
            (b'\\', Some(&escaped @ (b'"' | b'\\' | b'/' | b'\''))) => Some((escaped, 1)),
            (b'\\', Some(b'n')) => Some((b'\n', 1)),
            (b'\\', Some(b'r')) => Some((b'\r', 1)),
            (b'\\', Some(b't')) => Some((b'\t', 1)),
            (b'\\', Some(b'x')) => match (hex(1), hex(2)) {
                (Some(high), Some(low)) => u8::try_from(high * 16 + low).ok().map(|byte| (byte, 3)),
                _ => None,
            },
            _ => None,
        };
        let (byte, length) = found.unwrap_or((byte, 0));
        bytes.push(byte);
        rest = &after[length..];
    }
    String::from_utf8(bytes).map_or(Cow::Borrowed(text), Cow::Owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_from_left_to_right() {
        let mut scan = Scan::new("10.0.0.1 - [10/Oct/2000:13:55:36 -0700] \"GET /a\\\"b HTTP/1.0\" {x|y} 200 \"-\"");
        assert_eq!(scan.word(), Some("10.0.0.1"));
        assert_eq!(scan.literal("- "), Some(()));
        assert_eq!(scan.quoted(), None);
        assert_eq!(scan.bracketed(), Some("10/Oct/2000:13:55:36 -0700"));
        assert_eq!(scan.quoted(), Some("GET /a\\\"b HTTP/1.0"));
        assert_eq!(scan.braced(), Some("x|y"));
        assert_eq!(scan.word(), Some("200"));
        assert_eq!(scan.quoted(), Some("-"));
        assert_eq!(scan.word(), None);
        assert!(scan.is_empty());
        let mut scan = Scan::new("  b \"open");
        scan.blanks();
        assert_eq!(scan.word(), Some("b"));
        assert_eq!(scan.quoted(), None);
        assert_eq!(scan.rest(), "\"open");
        assert_eq!(Scan::new("\"\\").quoted(), None);
    }

    #[test]
    fn escapes() {
        fn check(text: &str, expected: &str) {
            assert_eq!(unescape(text), expected, "{text}");
        }
        check("plain é", "plain é");
        check("a\\\"b\\\\c\\/", "a\"b\\c/");
        check("\\x09\\n\\q\\", "\t\n\\q\\");
        check("\\xc3\\xa9", "é");
        check("\\xff", "\\xff");
    }
}
