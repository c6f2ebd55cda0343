//! JSON records as a flat list of values that are asked for by path; what nobody asked for goes to `unmapped`. Not the
//! cutting of a stream into records, and not the hot path: Envoy and Zeek have scanners of their own.
//!
//! Accepts what `serde_json` accepts (RFC 8259), within limits on depth and count.

mod parse;
mod value;

pub(crate) use value::Value;

use std::borrow::Cow;
use std::cell::Cell;

/// Deepest nesting of objects and arrays.
const DEPTH_MAX: usize = 64;
/// Most values of one record: an Azure blob of 16 MiB has a quarter of it.
const VALUES_MAX: usize = 1 << 20;

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Object,
    Array,
    Text,
    Number,
    Bool,
    Null,
}

#[derive(Debug)]
struct Node<'a> {
    /// Its key in the object around it; empty for items of arrays and for the record itself.
    key: Cow<'a, str>,
    kind: Kind,
    /// A text without its escapes; any other scalar as it stands there; empty for objects and arrays.
    text: Cow<'a, str>,
    /// The place behind its last descendant.
    end: usize,
    /// Whether somebody asked for it, so that it is mapped.
    is_taken: Cell<bool>,
}

/// One record. Its memory is used again for the next one.
#[derive(Debug, Default)]
pub(crate) struct Doc<'a> {
    nodes: Vec<Node<'a>>,
}

impl Doc<'_> {
    pub(crate) const fn new() -> Self {
        Self { nodes: Vec::new() }
    }

    /// The record itself.
    ///
    /// # Panics
    /// When nothing was parsed.
    pub(crate) fn root(&self) -> Value<'_> {
        Value::new(&self.nodes, 0)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::unmapped::Unmapped;
    use proptest::prelude::*;

    /// The value as `serde_json` would have it.
    fn standard(value: Value<'_>) -> serde_json::Value {
        match value.kind() {
            Kind::Object => value.members().map(|(key, value)| (key.to_owned(), standard(value))).collect(),
            Kind::Array => value.items().map(standard).collect(),
            Kind::Text => serde_json::Value::from(value.raw()),
            _ => serde_json::from_str(value.raw()).unwrap(),
        }
    }

    fn agrees(text: &str) {
        let mut doc = Doc::new();
        let parsed = doc.parse(text);
        match serde_json::from_str::<serde_json::Value>(text) {
            Ok(expected) => {
                parsed.unwrap_or_else(|fault| panic!("{text}: {}", fault.detail));
                assert_eq!(standard(doc.root()), expected, "{text}");
            }
            // A number beyond the range of floats is read here, since it is never made a float.
            Err(error) if error.to_string().starts_with("number out of range") => {}
            Err(error) => assert!(parsed.is_err(), "{text}: {error}"),
        }
    }

    #[test]
    fn what_json_is() {
        for text in [
            "{}",
            "[]",
            "null",
            "true",
            "false",
            "0",
            "-0",
            "-1.5e+3",
            "\"\"",
            "{\"a\":{\"b\":[1,{\"c\":null}]},\"d\":\"e\"}",
            " { \"a\" : [ ] , \"b\\u0041\" : \"\\ud83d\\ude00\\n\" } ",
            "{\"a\":1,\"a\":2}",
            "\"\u{7f}é\"",
            "",
            " ",
            "{",
            "}",
            "[",
            "[1",
            "[1,",
            "[1,]",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{a:1}",
            "01",
            "1.",
            ".5",
            "-",
            "1e",
            "+1",
            "tru",
            "nul",
            "truex",
            "\"",
            "\"\\\"",
            "\"\\q\"",
            "\"\\ud800\"",
            "\"\\u12\"",
            "\"\n\"",
            "\"\t\"",
            "{}{}",
            "{} x",
            "1 2",
            "\u{feff}{}",
        ] {
            agrees(text);
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_library(
            text in "[\\[\\]{}:,\"\\\\u0-9a-f.eE+ntrl -]{0,24}|\\{\"[a-c]\":(\"[a-z\\\\nué/]{0,6}\"|-?[0-9]{1,3}(\\.[0-9])?|\\[[0-9, ]{0,5}\\]|null)(,\"[a-c]\":(true|\\{\\}|\"x\")){0,2}\\}"
        ) {
            agrees(&text);
        }
    }

    #[test]
    fn limits() {
        let mut doc = Doc::new();
        let deep = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
        assert!(doc.parse(&deep(DEPTH_MAX)).is_ok());
        let deep = deep(DEPTH_MAX + 1);
        let mut doc = Doc::new();
        assert_eq!(doc.parse(&deep).unwrap_err().reason, crate::Reason::TooComplex);
        let many = format!("[{}0]", "0,".repeat(VALUES_MAX));
        let mut doc = Doc::new();
        assert_eq!(doc.parse(&many).unwrap_err().reason, crate::Reason::TooComplex);
    }

    #[test]
    fn what_is_asked_for_is_not_left_over() {
        let text = r#"{"a":{"b":"x","c":2,"token":"t"},"list":[1,{"password":"p","u":"http://h/a?b=c"}],"n":"17","e":"","f":null,"g":[],
            "big":1e999,"k":{"l.m":7},"bool":true,"bad":"1x"}"#;
        let mut doc = Doc::new();
        doc.parse(text).unwrap();
        let root = doc.root();
        assert_eq!(root.text("a.b"), Some("x"));
        assert_eq!(root.integer("n"), Ok(Some(17)));
        assert_eq!(root.integer("missing.deeper"), Ok(None));
        assert_eq!(root.integer("f"), Ok(None));
        assert!(root.integer("bad").unwrap_err().detail.contains("bad"));
        assert_eq!(root.text("e"), None);
        assert_eq!(root.integer("k.l.m"), Ok(Some(7)));
        let mut unmapped = Unmapped::default();
        root.leave(&mut unmapped);
        let left: serde_json::Value = serde_json::from_str(unmapped.object().unwrap()).unwrap();
        let expected = serde_json::json!({
            "a.c": 2, "a.token": "[redacted]", "list": [1, {"password": "[redacted]", "u": "http://h/a?[redacted]"}],
            "big": "1e999", "bool": true
        });
        assert_eq!(left, expected);
    }
}
