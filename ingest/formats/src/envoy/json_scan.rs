//! The short way through a plain JSON object: keys and texts without escapes, whole numbers, nulls. It remembers the
//! order of keys, since one producer writes them in one order. Whatever is not plain is left to `serde_json`; a test
//! holds both to the same answers.

use super::eight_bytes::{self, Prefix};
use super::json::{store, store_slot};
use super::keys::{Keys, Kind};
use super::mapping::Fault;
use super::record::{Record, Value};
use std::borrow::Cow;

/// Most keys whose order is remembered.
const MEMO_MAX: usize = 64;

/// The keys of the line before, in order, each as `"key":` with its meaning.
#[derive(Debug, Default)]
pub(super) struct Memo<'k> {
    keys: Vec<(Prefix, Kind<'k>)>,
}

/// How the short way ended.
#[derive(Debug)]
pub(super) enum Scan {
    Done,
    /// Not a plain object: perhaps valid, perhaps not.
    NotPlain,
    Fault(Fault),
}

/// Reads a plain object into the record; after `NotPlain` the record holds a part of it.
pub(super) fn scan<'a, 'k: 'a>(line: &'a str, keys: &'k Keys, memo: &mut Memo<'k>, record: &mut Record<'a>) -> Scan {
    if !is_plain(line.as_bytes()) {
        return Scan::NotPlain;
    }
    match members(Cursor { line, at: 0 }, keys, memo, record) {
        Some(Ok(())) => {
            record.is_plain = true;
            Scan::Done
        }
        Some(Err(fault)) => Scan::Fault(fault),
        None => Scan::NotPlain,
    }
}

fn members<'a, 'k: 'a>(
    mut cursor: Cursor<'a>,
    keys: &'k Keys,
    memo: &mut Memo<'k>,
    record: &mut Record<'a>,
) -> Option<Result<(), Fault>> {
    cursor.blanks();
    cursor.take(b'{')?;
    let mut index = 0;
    loop {
        let start = cursor.at;
        let kind = match memo.keys.get(index) {
            Some((key, kind)) if key.begins(cursor.rest()) => {
                cursor.at += key.len();
                *kind
            }
            _ => {
                let name = cursor.key()?;
                let kind = keys.kind(name);
                if index < MEMO_MAX {
                    memo.keys.truncate(index);
                    memo.keys.push((Prefix::new(&format!("\"{name}\":")), kind));
                }
                kind
            }
        };
        let key = start..cursor.at;
        index += 1;
        let value = cursor.value()?.into_value();
        let stored = match kind {
            Kind::Slot(slot) => store_slot(keys, slot, value, record),
            kind => store(keys, kind, Cow::Borrowed(name_in(&cursor.line[key])?), value, record),
        };
        let is_last = cursor.is_last()?;
        if let Err(fault) = stored {
            // The rest of the line may still be no JSON at all, which is the fault to report then.
            return cursor.skip_rest(is_last).map(|()| Err(fault));
        }
        if is_last {
            return cursor.end().map(Ok);
        }
    }
}

/// Whether a line has neither escapes nor control characters; the latter are invalid in texts and rare between tokens.
fn is_plain(line: &[u8]) -> bool {
    const LANES: usize = 32;
    let (blocks, rest) = line.as_chunks::<LANES>();
    let mut last = [b' '; LANES];
    last[..rest.len()].copy_from_slice(rest);
    // Whole blocks without an early end are what the compiler turns into vector code.
    let (mut least, mut backslashes) = ([u8::MAX; LANES], [0_u8; LANES]);
    for block in blocks.iter().chain([&last]) {
        for lane in 0..LANES {
            least[lane] = least[lane].min(block[lane]);
            backslashes[lane] |= if block[lane] == b'\\' { u8::MAX } else { 0 };
        }
    }
    least.iter().all(|&byte| byte >= b' ') && backslashes == [0; LANES]
}

/// The name between the quotes of a key.
fn name_in(key: &str) -> Option<&str> {
    key.split('"').nth(1)
}

/// A place in a line.
struct Cursor<'a> {
    line: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    #[inline(always)]
    fn rest(&self) -> &'a [u8] {
        self.line.as_bytes().get(self.at..).unwrap_or_default()
    }

    fn blanks(&mut self) {
        while self.rest().first() == Some(&b' ') {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> Option<()> {
        (*self.rest().first()? == byte).then(|| self.at += 1)
    }

    /// A key, after which the colon was read too.
    fn key(&mut self) -> Option<&'a str> {
        self.blanks();
        self.take(b'"')?;
        let start = self.at;
        let length = eight_bytes::position(b'"', self.rest())?;
        self.at += length + 1;
        self.blanks();
        self.take(b':')?;
        Some(&self.line[start..start + length])
    }

    /// A text, a whole number or null.
    #[inline(always)]
    fn value(&mut self) -> Option<Token<'a>> {
        if self.rest().first() == Some(&b' ') {
            self.blanks();
        }
        let rest = self.rest();
        match *rest.first()? {
            b'"' => {
                let start = self.at + 1;
                let end = start + eight_bytes::position(b'"', &rest[1..])?;
                self.at = end + 1;
                Some(Token::Text(&self.line[start..end]))
            }
            b'0'..=b'9' => {
                let digits = rest.iter().position(|byte| !byte.is_ascii_digit())?;
                let is_whole = matches!(rest[digits], b',' | b'}' | b' ') && (digits == 1 || rest[0] != b'0');
                let start = self.at;
                self.at += digits;
                is_whole.then(|| Token::Number(&self.line[start..self.at]))
            }
            b'n' if rest.starts_with(b"null") => {
                self.at += 4;
                Some(Token::Null)
            }
            _ => None,
        }
    }

    /// Whether the object ends here; else it goes on behind a comma.
    #[inline(always)]
    fn is_last(&mut self) -> Option<bool> {
        if self.rest().first() == Some(&b' ') {
            self.blanks();
        }
        let byte = *self.rest().first()?;
        self.at += 1;
        match byte {
            b',' => Some(false),
            b'}' => Some(true),
            _ => None,
        }
    }

    /// Nothing may follow the object.
    fn end(&mut self) -> Option<()> {
        self.blanks();
        (self.at == self.line.len()).then_some(())
    }

    /// Whether the rest of the object is plain too.
    #[cold]
    fn skip_rest(&mut self, mut is_last: bool) -> Option<()> {
        while !is_last {
            self.key()?;
            self.value()?;
            is_last = self.is_last()?;
        }
        self.end()
    }
}

/// A value as it stands in the line.
#[derive(Clone, Copy, Debug)]
enum Token<'a> {
    Text(&'a str),
    Number(&'a str),
    Null,
}

impl<'a> Token<'a> {
    #[inline(always)]
    fn into_value(self) -> Option<Value<'a>> {
        match self {
            Self::Text(text) => Some(Value::Text(Cow::Borrowed(text))),
            Self::Number(text) => Some(Value::Number(text)),
            Self::Null => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::envoy::json::{read, read_any};
    use proptest::prelude::*;

    /// What a line gives on both ways: the record and the fault's reason.
    fn both_ways(line: &str, keys: &Keys, memo: &mut Memo<'_>) -> [String; 2] {
        let mut short = Record::new();
        let mut memo_of_line = Memo {
            keys: memo.keys.iter().map(|(key, _)| (key.clone(), keys.kind(&key.text()[1..key.len() - 2]))).collect(),
        };
        let first = read(line, keys, &mut memo_of_line, &mut short).map_err(|fault| fault.reason);
        let mut long = Record::new();
        let second = read_any(line, keys, &mut long).map_err(|fault| fault.reason);
        let show = |result: Result<(), _>, record: &Record<'_>| {
            if result.is_err() {
                return format!("{result:?}");
            }
            let mut object = String::new();
            super::super::unmapped::write(record, u64::MAX, &mut object);
            format!("{object} {:?}", record.start_time)
        };
        [show(first, &short), show(second, &long)]
    }

    #[test]
    fn plain_objects_take_the_short_way() {
        let keys = Keys::default();
        let mut memo = Memo::default();
        let mut record = Record::new();
        for line in [r#"{"path":"/a","bytes_sent":12,"x":null}"#, r#" { "path" : "/a" , "new" : "b" } "#] {
            record.clear();
            assert!(matches!(scan(line, &keys, &mut memo, &mut record), Scan::Done), "{line}");
        }
        for line in
            [r#"{"path":"\/a"}"#, r#"{"a":1.5}"#, r#"{"a":01}"#, r#"{"a":true}"#, "{}", r#"{"a":1}x"#, r#"{"a":{}}"#]
        {
            record.clear();
            assert!(matches!(scan(line, &keys, &mut memo, &mut record), Scan::NotPlain), "{line}");
        }
    }

    fn line() -> impl Strategy<Value = String> {
        let key = prop_oneof![
            Just("start_time".to_owned()),
            Just("path".to_owned()),
            Just("bytes_sent".to_owned()),
            Just("cookie".to_owned()),
            "[a-z\\\\\"u0é]{0,6}",
        ];
        let value = prop_oneof![
            Just("null".to_owned()),
            Just("true".to_owned()),
            Just("\"-\"".to_owned()),
            Just("\"2022-09-08T12:51:05.656Z\"".to_owned()),
            Just("{\"a\":[1,{}]}".to_owned()),
            "-?[0-9]{1,3}(\\.[0-9])?(e[0-9])?",
            "\"[a-z\\\\\"/ué{}, ]{0,8}\"",
            "[\\[\\]{}\",:a1]{0,4}",
        ];
        let blank = prop_oneof![8 => Just(""), 1 => Just(" "), 1 => Just("\t")];
        let member =
            (key, value, blank.clone(), blank).prop_map(|(key, value, a, b)| format!("{a}\"{key}\"{b}:{a}{value}{b}"));
        (proptest::collection::vec(member, 0..5), prop_oneof![9 => Just("}"), 1 => Just("")])
            .prop_map(|(members, end)| format!("{{{}{end}", members.join(",")))
    }

    proptest! {
        #[test]
        fn both_ways_agree(lines in proptest::collection::vec(line(), 1..6)) {
            let keys = Keys::default();
            let mut memo = Memo::default();
            for line in &lines {
                let [short, long] = both_ways(line, &keys, &mut memo);
                prop_assert_eq!(short, long, "{}", line);
                // The order of keys of this line is remembered for the next.
                let mut record = Record::new();
                scan(line, &keys, &mut memo, &mut record);
            }
        }
    }
}
