//! The short way through a plain JSON object: keys and texts without escapes, whole numbers, nulls. It remembers the
//! order of keys, since one producer writes them in one order. Whatever is not plain is left to `serde_json`; a test
//! holds both to the same answers.

use super::json::store;
use super::keys::{Keys, Kind};
use super::mapping::Fault;
use super::record::{Record, Value};
use std::borrow::Cow;

/// Most keys whose order is remembered.
const MEMO_MAX: usize = 64;

/// The keys of the line before, in order, each as `key":` with its meaning.
#[derive(Debug, Default)]
pub(super) struct Memo<'k> {
    keys: Vec<(Box<str>, Kind<'k>)>,
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
    // Control characters are invalid in texts and rare between tokens. No early end: that makes vector code.
    if line.bytes().fold(false, |found, byte| found | (byte < b' ')) {
        return Scan::NotPlain;
    }
    let mut cursor = Cursor { line, at: 0 };
    match members(&mut cursor, keys, memo, record) {
        Some(Ok(())) => Scan::Done,
        Some(Err(fault)) => Scan::Fault(fault),
        None => Scan::NotPlain,
    }
}

fn members<'a, 'k: 'a>(
    cursor: &mut Cursor<'a>,
    keys: &'k Keys,
    memo: &mut Memo<'k>,
    record: &mut Record<'a>,
) -> Option<Result<(), Fault>> {
    cursor.blanks();
    cursor.take(b'{')?;
    let mut index = 0;
    loop {
        cursor.blanks();
        cursor.take(b'"')?;
        let (name, kind) = match memo.keys.get(index) {
            Some((key, kind)) if cursor.starts_with(key) => {
                let name = &cursor.line[cursor.at..cursor.at + key.len() - 2];
                cursor.at += key.len();
                (name, *kind)
            }
            _ => {
                let name = cursor.plain_text()?;
                cursor.blanks();
                cursor.take(b':')?;
                let kind = keys.kind(name);
                if index < MEMO_MAX {
                    memo.keys.truncate(index);
                    memo.keys.push((format!("{name}\":").into_boxed_str(), kind));
                }
                (name, kind)
            }
        };
        index += 1;
        cursor.blanks();
        let value = cursor.value()?;
        if let Err(fault) = store(keys, kind, Cow::Borrowed(name), value, record) {
            // The rest of the line may still be no JSON at all, which is the fault to report then.
            return cursor.skip_rest().map(|()| Err(fault));
        }
        cursor.blanks();
        match cursor.next()? {
            b',' => {}
            b'}' => break,
            _ => return None,
        }
    }
    cursor.blanks();
    (cursor.at == cursor.line.len()).then_some(Ok(()))
}

/// A place in a line.
struct Cursor<'a> {
    line: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    #[inline]
    fn rest(&self) -> &'a [u8] {
        &self.line.as_bytes()[self.at..]
    }

    #[inline]
    fn starts_with(&self, text: &str) -> bool {
        self.rest().starts_with(text.as_bytes())
    }

    #[inline]
    fn blanks(&mut self) {
        while self.rest().first() == Some(&b' ') {
            self.at += 1;
        }
    }

    #[inline]
    fn next(&mut self) -> Option<u8> {
        let byte = *self.rest().first()?;
        self.at += 1;
        Some(byte)
    }

    #[inline]
    fn take(&mut self, byte: u8) -> Option<()> {
        (self.next()? == byte).then_some(())
    }

    /// A text after its opening quote, when it has no escapes.
    #[inline]
    fn plain_text(&mut self) -> Option<&'a str> {
        let length = memchr::memchr2(b'"', b'\\', self.rest())?;
        let text = &self.line[self.at..self.at + length];
        self.at += length;
        self.take(b'"')?;
        Some(text)
    }

    /// A text, a whole number or null.
    #[inline]
    fn value(&mut self) -> Option<Option<Value<'a>>> {
        match *self.rest().first()? {
            b'"' => {
                self.at += 1;
                Some(Some(Value::Text(Cow::Borrowed(self.plain_text()?))))
            }
            b'0'..=b'9' => {
                let start = self.at;
                let digits = self.rest().iter().take_while(|byte| byte.is_ascii_digit()).count();
                self.at += digits;
                let text = &self.line[start..self.at];
                let is_whole =
                    matches!(self.rest().first(), Some(b',' | b'}' | b' ')) && (digits == 1 || !text.starts_with('0'));
                is_whole.then_some(Some(Value::Number(text)))
            }
            b'n' if self.starts_with("null") => {
                self.at += 4;
                Some(None)
            }
            _ => None,
        }
    }

    /// Whether the rest of the object is plain too.
    fn skip_rest(&mut self) -> Option<()> {
        loop {
            self.blanks();
            match self.next()? {
                b',' => {}
                b'}' => break,
                _ => return None,
            }
            self.blanks();
            self.take(b'"')?;
            self.plain_text()?;
            self.blanks();
            self.take(b':')?;
            self.blanks();
            self.value()?;
        }
        self.blanks();
        (self.at == self.line.len()).then_some(())
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
        let mut memo_of_line =
            Memo { keys: memo.keys.iter().map(|(key, _)| (key.clone(), keys.kind(&key[..key.len() - 2]))).collect() };
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
