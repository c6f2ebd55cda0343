//! The short way through a plain JSON object: keys and texts without escapes, numbers without exponents, flat lists. What
//! is not plain is left to `serde_json`; a test holds both to the same answers.

use super::field::Field;
use super::record::Record;
use super::unmapped::Unmapped;

/// Most keys that are remembered: the logs that Zeek ships have some four hundred together.
const MEMO_MAX: usize = 512;
/// Longest number that is taken: every one of these is finite as a 64-bit float too.
const NUMBER_BYTES_MAX: usize = 32;

/// The keys of the lines before with their meaning, each as `"key":`. A producer writes them in one order but leaves out
/// what is unset, so the next key is searched from the last one on.
#[derive(Debug, Default)]
pub(super) struct Memo {
    keys: Vec<(Box<str>, Option<Field>)>,
}

impl Memo {
    /// The place of the key that `rest` begins with.
    #[inline]
    fn find(&self, from: usize, rest: &[u8]) -> Option<usize> {
        let is_here = |(key, _): &(Box<str>, Option<Field>)| rest.starts_with(key.as_bytes());
        let (before, after) = self.keys.split_at_checked(from)?;
        match after.iter().position(is_here) {
            Some(place) => Some(from + place),
            None => before.iter().position(is_here),
        }
    }
}

/// A value as it stands in the line.
#[derive(Clone, Copy, Debug)]
enum Token<'a> {
    /// Without its quotes.
    Text(&'a str),
    /// A number, `true` or `false`.
    Plain(&'a str),
    List(&'a str),
    Nothing,
}

/// Reads a plain object; none when it is not plain, and then record and `unmapped` hold a part of it.
pub(super) fn scan<'a>(line: &'a str, memo: &mut Memo, record: &mut Record<'a>, unmapped: &mut Unmapped) -> Option<()> {
    if !is_plain(line.as_bytes()) {
        return None;
    }
    let mut cursor = Cursor { line, at: 0 };
    cursor.blanks();
    cursor.take(b'{')?;
    let mut next = 0;
    loop {
        cursor.blanks();
        let place = match memo.find(next, cursor.rest()) {
            Some(place) => {
                cursor.at += memo.keys[place].0.len();
                place
            }
            None => learn(&mut cursor, next, memo)?,
        };
        next = place + 1;
        let (member, field) = &memo.keys[place];
        let start = cursor.value_start();
        let token = cursor.value()?;
        match (field, token) {
            (_, Token::Nothing) => {}
            (Some(field), Token::Text(text) | Token::Plain(text)) => record.set(*field, text),
            (Some(_), Token::List(_)) => return None,
            (None, _) => {}
        }
        let is_empty = matches!(token, Token::Nothing | Token::Text("") | Token::List("[]"));
        if field.is_none_or(Field::is_kept) && !is_empty {
            unmapped.push_json(member, &line[start..cursor.at]);
        }
        if cursor.is_last()? {
            return cursor.end();
        }
    }
}

/// Reads a key that is new and remembers it.
#[cold]
fn learn(cursor: &mut Cursor<'_>, at: usize, memo: &mut Memo) -> Option<usize> {
    let name = cursor.key()?;
    if memo.keys.len() == MEMO_MAX {
        return None;
    }
    memo.keys.insert(at, (format!("\"{name}\":").into_boxed_str(), Field::from_name(name)));
    Some(at)
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
            backslashes[lane] |= u8::from(block[lane] == b'\\');
        }
    }
    least.iter().all(|&byte| byte >= b' ') && backslashes == [0; LANES]
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

    #[inline(always)]
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
        self.take(b'"')?;
        let start = self.at;
        let length = memchr::memchr(b'"', self.rest())?;
        self.at += length + 1;
        self.blanks();
        self.take(b':')?;
        Some(&self.line[start..start + length])
    }

    /// Where the next value begins.
    #[inline(always)]
    fn value_start(&mut self) -> usize {
        self.blanks();
        self.at
    }

    /// A value that is no object and no list in a list.
    #[inline(always)]
    fn value(&mut self) -> Option<Token<'a>> {
        if self.rest().first() == Some(&b'[') {
            return self.list();
        }
        self.scalar()
    }

    #[inline(always)]
    fn scalar(&mut self) -> Option<Token<'a>> {
        let rest = self.rest();
        let start = self.at;
        match *rest.first()? {
            b'"' => {
                let length = rest[1..].iter().position(|&byte| byte == b'"')?;
                self.at = start + length + 2;
                Some(Token::Text(&self.line[start + 1..start + 1 + length]))
            }
            b'0'..=b'9' | b'-' => {
                self.at += number_length(rest)?;
                Some(Token::Plain(&self.line[start..self.at]))
            }
            b't' => self.literal("true").map(Token::Plain),
            b'f' => self.literal("false").map(Token::Plain),
            b'n' => self.literal("null").map(|_| Token::Nothing),
            _ => None,
        }
    }

    fn literal(&mut self, word: &'static str) -> Option<&'static str> {
        self.rest().starts_with(word.as_bytes()).then(|| self.at += word.len())?;
        Some(word)
    }

    fn list(&mut self) -> Option<Token<'a>> {
        let start = self.at;
        self.at += 1;
        self.blanks();
        if self.take(b']').is_none() {
            loop {
                self.blanks();
                self.scalar()?;
                self.blanks();
                if self.take(b',').is_none() {
                    self.take(b']')?;
                    break;
                }
            }
        }
        let list = &self.line[start..self.at];
        Some(if list[1..list.len() - 1].trim_ascii().is_empty() { Token::Nothing } else { Token::List(list) })
    }

    /// Whether the object ends here; else it goes on behind a comma.
    #[inline(always)]
    fn is_last(&mut self) -> Option<bool> {
        self.blanks();
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
}

/// Length of the number at the beginning (RFC 8259, section 6); none for one with an exponent, which is rare.
#[inline(always)]
fn number_length(bytes: &[u8]) -> Option<usize> {
    let digits = |from: usize| bytes[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let sign = usize::from(bytes[0] == b'-');
    let whole = digits(sign);
    if whole == 0 || (whole > 1 && bytes[sign] == b'0') {
        return None;
    }
    let mut length = sign + whole;
    if bytes.get(length) == Some(&b'.') {
        let fraction = digits(length + 1);
        if fraction == 0 {
            return None;
        }
        length += 1 + fraction;
    }
    (length <= NUMBER_BYTES_MAX && !matches!(bytes.get(length), Some(b'e' | b'E'))).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Decoded;
    use crate::zeek::json::read_any;
    use proptest::prelude::*;
    use tradewind_model::flow::UNMAPPED;

    /// Values and `unmapped`, or that the way was not taken.
    fn shown(record: &Record<'_>, mut unmapped: Unmapped) -> String {
        let mut out = Decoded::default();
        unmapped.set(&mut out);
        out.accept();
        format!("{record:?} {:?}", out.flows.text(UNMAPPED).get(0))
    }

    fn short_way(line: &str, memo: &mut Memo) -> Option<String> {
        let (mut record, mut unmapped) = (Record::new(), Unmapped::default());
        scan(line, memo, &mut record, &mut unmapped)?;
        Some(shown(&record, unmapped))
    }

    fn long_way(line: &str) -> Option<String> {
        let mut unmapped = Unmapped::default();
        let values = read_any(line, &mut unmapped).ok()?;
        Some(shown(&values.record(), unmapped))
    }

    #[test]
    fn plain_objects_take_the_short_way() {
        let mut memo = Memo::default();
        for line in [
            r#"{"ts":1.5,"uid":"C1","local_orig":true,"x":null,"tunnel_parents":[]}"#,
            r#" { "ts" : 15 , "new" : -0.5, "list": [ "a", 1 , false ] } "#,
            r#"{"uid":"C1","ts":1.5}"#,
            r#"{"ts":1.5,"history":"Sh","tunnel_parents":["C2"]}"#,
        ] {
            let short = short_way(line, &mut memo);
            assert!(short.is_some(), "{line}");
            assert_eq!(short, long_way(line), "{line}");
        }
        for line in [
            "{}",
            r#"{"a":"\/a"}"#,
            r#"{"a":1e5}"#,
            r#"{"a":01}"#,
            r#"{"a":-}"#,
            r#"{"a":1.}"#,
            r#"{"a":{}}"#,
            r#"{"a":1}x"#,
            r#"{"a":[[]]}"#,
            r#"{"ts":[1]}"#,
            r#"{"a":tru}"#,
            r#"{"a":1,}"#,
            "{\"a\":\t1}",
            r#"{"a":[1,]}"#,
            r#"["a"]"#,
        ] {
            assert_eq!(short_way(line, &mut memo), None, "{line}");
        }
    }

    fn line() -> impl Strategy<Value = String> {
        let key = prop_oneof![
            Just("ts".to_owned()),
            Just("id.orig_h".to_owned()),
            Just("conn_state".to_owned()),
            Just("history".to_owned()),
            "[a-z\\\\\"u0é]{0,6}",
        ];
        let value = prop_oneof![
            Just("null".to_owned()),
            Just("true".to_owned()),
            Just("\"\"".to_owned()),
            Just("[ ]".to_owned()),
            Just("{\"a\":[1,{}]}".to_owned()),
            "-?[0-9]{1,3}(\\.[0-9])?(e[0-9]{1,3})?",
            "[0-9]{300,320}",
            "\"[a-z\\\\\"/ué{}, ]{0,8}\"",
            "\\[\"a\",[0-9]{1,2} ?,\"[a-c]\" ?\\]",
            "[\\[\\]{}\",:a1]{0,4}",
        ];
        let blank = prop_oneof![8 => Just(""), 1 => Just(" "), 1 => Just("\t")];
        let member =
            (key, value, blank.clone(), blank).prop_map(|(key, value, a, b)| format!("{a}\"{key}\"{b}:{a}{value}{b}"));
        (proptest::collection::vec(member, 0..6), prop_oneof![9 => Just("}"), 1 => Just("")])
            .prop_map(|(members, end)| format!("{{{}{end}", members.join(",")))
    }

    proptest! {
        #[test]
        fn both_ways_agree(lines in proptest::collection::vec(line(), 1..8)) {
            // The keys of one line are remembered for the next.
            let mut memo = Memo::default();
            for line in &lines {
                if let Some(short) = short_way(line, &mut memo) {
                    prop_assert_eq!(Some(short), long_way(line), "{}", line);
                }
            }
        }
    }
}
