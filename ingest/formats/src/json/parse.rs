//! Reads the text of one JSON record. Not what its values mean.

use super::{DEPTH_MAX, Doc, Kind, Node, VALUES_MAX};
use crate::contract::{Fault, Reason};
use std::borrow::Cow;
use std::cell::Cell;

impl<'a> Doc<'a> {
    /// Reads one value with nothing but white space around it; what was read before is forgotten.
    ///
    /// # Errors
    /// When it is not JSON, or over the limits of depth and count.
    pub(crate) fn parse(&mut self, text: &'a str) -> Result<(), Fault> {
        self.nodes.clear();
        let mut parser = Parser { text, at: 0, nodes: &mut self.nodes };
        parser.blanks();
        parser.value(Cow::Borrowed(""), 0)?;
        parser.blanks();
        if parser.at < text.len() { Err(parser.expected("nothing behind the record")) } else { Ok(()) }
    }
}

struct Parser<'a, 'n> {
    text: &'a str,
    at: usize,
    nodes: &'n mut Vec<Node<'a>>,
}

impl<'a> Parser<'a, '_> {
    #[inline]
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    #[inline]
    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    #[cold]
    fn expected(&self, what: &str) -> Fault {
        Fault { reason: Reason::BadJson, detail: format!("byte {} of the record: expected {what}", self.at) }
    }

    fn value(&mut self, key: Cow<'a, str>, depth: usize) -> Result<(), Fault> {
        if self.nodes.len() >= VALUES_MAX {
            return Err(too_complex(format!("more than {VALUES_MAX} values in one record")));
        }
        let place = self.nodes.len();
        let (kind, text) = match self.peek() {
            Some(b'"') => (Kind::Text, self.string()?),
            Some(b'-' | b'0'..=b'9') => (Kind::Number, Cow::Borrowed(self.number()?)),
            Some(b't') => (Kind::Bool, Cow::Borrowed(self.word("true")?)),
            Some(b'f') => (Kind::Bool, Cow::Borrowed(self.word("false")?)),
            Some(b'n') => (Kind::Null, Cow::Borrowed(self.word("null")?)),
            Some(b'{') => (Kind::Object, Cow::Borrowed("")),
            Some(b'[') => (Kind::Array, Cow::Borrowed("")),
            _ => return Err(self.expected("a value")),
        };
        self.nodes.push(Node { key, kind, text, end: place + 1, is_taken: Cell::new(false) });
        match kind {
            Kind::Object => self.object(depth + 1)?,
            Kind::Array => self.array(depth + 1)?,
            _ => return Ok(()),
        }
        self.nodes[place].end = self.nodes.len();
        Ok(())
    }

    fn object(&mut self, depth: usize) -> Result<(), Fault> {
        check_depth(depth)?;
        self.at += 1;
        self.blanks();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(());
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.expected("a key in quotes"));
            }
            let key = self.string()?;
            self.blanks();
            if self.peek() != Some(b':') {
                return Err(self.expected("a colon"));
            }
            self.at += 1;
            self.blanks();
            self.value(key, depth)?;
            self.blanks();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(self.expected("a comma or a brace")),
            }
            self.blanks();
        }
    }

    fn array(&mut self, depth: usize) -> Result<(), Fault> {
        check_depth(depth)?;
        self.at += 1;
        self.blanks();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.value(Cow::Borrowed(""), depth)?;
            self.blanks();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(());
                }
                _ => return Err(self.expected("a comma or a bracket")),
            }
            self.blanks();
        }
    }

    /// A string, without its escapes.
    #[inline]
    fn string(&mut self) -> Result<Cow<'a, str>, Fault> {
        let start = self.at + 1;
        let bytes = self.text.as_bytes();
        let mut at = start;
        let mut is_escaped = false;
        let end = loop {
            let Some(found) = bytes.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) else {
                return Err(self.expected("the end of a text"));
            };
            at += found;
            if bytes[at] == b'"' {
                break at;
            }
            is_escaped = true;
            at += 2;
        };
        let inner = &self.text[start..end];
        let text = if is_escaped {
            // With its quotes; escapes are rare, and the library knows all of their rules.
            let read = serde_json::from_str::<String>(&self.text[self.at..=end]);
            Cow::Owned(read.map_err(|_| self.expected("a text with valid escapes"))?)
        } else if inner.bytes().any(|byte| byte < b' ') {
            return Err(self.expected("a text without control characters"));
        } else {
            Cow::Borrowed(inner)
        };
        self.at = end + 1;
        Ok(text)
    }

    fn number(&mut self) -> Result<&'a str, Fault> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        let whole = self.digits();
        let first = self.text.as_bytes().get(self.at - whole);
        if whole == 0 || (whole > 1 && first == Some(&b'0')) {
            return Err(self.expected("a number"));
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            if self.digits() == 0 {
                return Err(self.expected("a digit"));
            }
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            if self.digits() == 0 {
                return Err(self.expected("a digit"));
            }
        }
        Ok(&self.text[start..self.at])
    }

    /// Passes over digits and tells how many they were.
    #[inline]
    fn digits(&mut self) -> usize {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        self.at - start
    }

    fn word(&mut self, word: &'static str) -> Result<&'static str, Fault> {
        if !self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return Err(self.expected("a value"));
        }
        self.at += word.len();
        Ok(word)
    }
}

fn check_depth(depth: usize) -> Result<(), Fault> {
    if depth > DEPTH_MAX { Err(too_complex(format!("nested deeper than {DEPTH_MAX}"))) } else { Ok(()) }
}

#[cold]
fn too_complex(detail: String) -> Fault {
    Fault { reason: Reason::TooComplex, detail }
}
