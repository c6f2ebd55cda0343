//! Patterns of names, resources and operations: `?`, `*` and `**`.
//!
//! Not regular expressions and not the globs of a shell: no classes and no braces, so that a pattern is read at a glance
//! and matching needs no compiler.

use std::fmt;

/// The longest pattern, in bytes.
pub const PATTERN_BYTES_MAX: usize = 1024;
/// The most wildcards in one pattern.
pub const WILDCARDS_MAX: usize = 16;

/// A pattern. `?` is one character and `*` any run of them, neither of them `/`; `**` is any run, `/` too; `\` takes the
/// next character as it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Pattern {
    text: Box<str>,
    form: Form,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Form {
    /// Every text.
    Any,
    /// One text.
    Exact(Box<str>),
    /// Every text that begins so: `prefix**`.
    Prefix(Box<str>),
    Wild(Box<[Token]>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum Token {
    Byte(u8),
    /// `?`: one character but `/`.
    One,
    /// `*`: any run without `/`.
    Run,
    /// `**`: any run.
    Deep,
}

impl Pattern {
    /// Reads a pattern. `has_parts` says whether `/` has a meaning in the texts; where it has none, `*` alone matches
    /// everything.
    ///
    /// # Errors
    /// What is wrong with it, for a person.
    pub fn new(text: &str, has_parts: bool) -> Result<Self, String> {
        if text.is_empty() {
            return Err("an empty pattern matches nothing; write \"*\" for anything".to_owned());
        }
        if text.len() > PATTERN_BYTES_MAX {
            return Err(format!("the pattern has {} bytes, more than {PATTERN_BYTES_MAX}", text.len()));
        }
        if text.chars().any(char::is_control) {
            return Err("the pattern has a control character".to_owned());
        }
        let tokens = tokens(text)?;
        let wildcards = tokens.iter().filter(|token| !matches!(token, Token::Byte(_))).count();
        if wildcards > WILDCARDS_MAX {
            return Err(format!("the pattern has {wildcards} wildcards, more than {WILDCARDS_MAX}"));
        }
        let literal = |tokens: &[Token]| -> Option<Box<str>> {
            let bytes = tokens.iter().map(|token| if let Token::Byte(byte) = token { Some(*byte) } else { None });
            String::from_utf8(bytes.collect::<Option<Vec<u8>>>()?).ok().map(String::into_boxed_str)
        };
        let is_deep = |token: &Token| *token == Token::Deep || (*token == Token::Run && !has_parts);
        let form = match tokens.split_last() {
            Some((last, [])) if is_deep(last) => Form::Any,
            Some((last, before)) if is_deep(last) && literal(before).is_some() => {
                Form::Prefix(literal(before).unwrap_or_default())
            }
            _ => literal(&tokens).map_or_else(|| Form::Wild(tokens.into()), Form::Exact),
        };
        Ok(Self { text: text.into(), form })
    }

    /// The pattern that every text matches.
    #[must_use]
    pub fn any() -> Self {
        Self { text: "*".into(), form: Form::Any }
    }

    /// The pattern that only `text` matches.
    #[must_use]
    pub fn exact(text: &str) -> Self {
        Self { text: text.into(), form: Form::Exact(text.into()) }
    }

    /// As it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether every text matches.
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.form == Form::Any
    }

    /// The one text that matches, where there is only one.
    #[must_use]
    pub fn literal(&self) -> Option<&str> {
        if let Form::Exact(text) = &self.form { Some(text) } else { None }
    }

    /// Whether `text` matches.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        match &self.form {
            Form::Any => true,
            Form::Exact(exact) => **exact == *text,
            Form::Prefix(prefix) => text.starts_with(&**prefix),
            Form::Wild(tokens) => matches_tokens(tokens, text.as_bytes()),
        }
    }

    /// Whether every text that matches `other` surely matches this one. False where that is not plain to see.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        match (&self.form, &other.form) {
            (Form::Any, _) => true,
            (own, other) if own == other => true,
            (_, Form::Exact(text)) => self.matches(text),
            (Form::Prefix(own), Form::Prefix(prefix)) => prefix.starts_with(&**own),
            (Form::Prefix(own), Form::Wild(tokens)) => {
                own.len() <= tokens.len() && own.bytes().zip(&**tokens).all(|(byte, token)| *token == Token::Byte(byte))
            }
            _ => false,
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        let token = match byte {
            b'\\' => Token::Byte(bytes.next().ok_or("the pattern ends in `\\`; write `\\\\` for a backslash")?),
            b'?' => Token::One,
            b'*' if matches!(tokens.last(), Some(Token::Run | Token::Deep)) => {
                tokens.pop();
                Token::Deep
            }
            b'*' => Token::Run,
            byte => Token::Byte(byte),
        };
        tokens.push(token);
    }
    Ok(tokens)
}

/// Where to go on after a mismatch: the token after a wildcard, and the text's byte it was last tried on.
type Retry = Option<(usize, usize)>;

/// Backtracks to the nearest `*`, and when that may not grow, to the nearest `**`: an earlier wildcard of either kind
/// need not be tried again, because the later one of the same kind reaches at least as far.
fn matches_tokens(tokens: &[Token], text: &[u8]) -> bool {
    let (mut token, mut at) = (0, 0);
    let (mut run, mut deep): (Retry, Retry) = (None, None);
    loop {
        let is_match = match tokens.get(token) {
            None => at == text.len(),
            Some(Token::Run) => {
                run = Some((token + 1, at));
                token += 1;
                continue;
            }
            Some(Token::Deep) => {
                (run, deep) = (None, Some((token + 1, at)));
                token += 1;
                continue;
            }
            Some(Token::Byte(byte)) => text.get(at) == Some(byte),
            Some(Token::One) => text.get(at).is_some_and(|byte| *byte != b'/'),
        };
        if is_match {
            if token == tokens.len() {
                return true;
            }
            at += if tokens[token] == Token::One { character_length(text, at) } else { 1 };
            token += 1;
        } else if let Some((next, from)) = run.filter(|(_, from)| text.get(*from).is_some_and(|byte| *byte != b'/')) {
            run = Some((next, from + 1));
            (token, at) = (next, from + 1);
        } else if let Some((next, from)) = deep.filter(|(_, from)| *from < text.len()) {
            (run, deep) = (None, Some((next, from + 1)));
            (token, at) = (next, from + 1);
        } else {
            return false;
        }
    }
}

/// Bytes of the UTF-8 character that starts at `at`.
fn character_length(text: &[u8], at: usize) -> usize {
    1 + text[at + 1..].iter().take_while(|byte| **byte & 0xC0 == 0x80).count()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(pattern: &str, text: &str, expected: bool) {
        assert_eq!(Pattern::new(pattern, true).unwrap().matches(text), expected, "{pattern} on {text}");
    }

    #[test]
    fn wildcards_stop_at_slashes_but_double_ones_do_not() {
        for (pattern, text, expected) in [
            ("/v1/*", "/v1/a", true),
            ("/v1/*", "/v1/", true),
            ("/v1/*", "/v1/a/b", false),
            ("/v1/*", "/v2/a", false),
            ("/v1/**", "/v1/a/b", true),
            ("/v1/**", "/v1", false),
            ("/*/b", "/a/b", true),
            ("/*/b", "/a/c/b", false),
            ("/**/b", "/a/c/b", true),
            ("**/b/*", "a/b/c/b/d", true),
            ("**/b/*", "a/b/c/d", false),
            ("a?c", "abc", true),
            ("a?c", "aüc", true),
            ("a?c", "a/c", false),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXcYb", false),
            ("*", "", true),
            ("*", "a/b", false),
            ("**", "a/b", true),
            ("a\\*", "a*", true),
            ("a\\*", "ab", false),
            ("***", "a/b", true),
        ] {
            check(pattern, text, expected);
        }
    }

    #[test]
    fn cover_is_told_only_where_it_is_sure() {
        for (wide, narrow, expected) in [
            ("**", "a", true),
            ("/v1/**", "/v1/a/*", true),
            ("/v1/**", "/v1/a/**", true),
            ("/v1/*", "/v1/a", true),
            ("/v1/*", "/v1/a/b", false),
            ("/v1/*", "/v1/**", false),
            ("a", "b", false),
            ("a", "a", true),
        ] {
            let [wide, narrow] = [wide, narrow].map(|text| Pattern::new(text, true).unwrap());
            assert_eq!(wide.covers(&narrow), expected, "{wide} over {narrow}");
        }
    }

    #[test]
    fn bad_patterns_say_why() {
        for (pattern, expected) in [
            ("", "an empty pattern matches nothing; write \"*\" for anything"),
            ("a\\", "the pattern ends in `\\`; write `\\\\` for a backslash"),
            ("a\nb", "the pattern has a control character"),
            ("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*", "the pattern has 17 wildcards, more than 16"),
        ] {
            assert_eq!(Pattern::new(pattern, true).unwrap_err(), expected);
        }
        assert_eq!(Pattern::new(&"a".repeat(1025), true).unwrap_err(), "the pattern has 1025 bytes, more than 1024");
    }

    /// The definition itself, in exponential time.
    fn matches_slowly(tokens: &[Token], text: &[u8]) -> bool {
        let Some((first, rest)) = tokens.split_first() else { return text.is_empty() };
        match first {
            Token::Byte(byte) => text.first() == Some(byte) && matches_slowly(rest, &text[1..]),
            Token::One => text.first().is_some_and(|byte| *byte != b'/') && matches_slowly(rest, &text[1..]),
            Token::Run | Token::Deep => (0..=text.len()).any(|length| {
                (*first == Token::Deep || !text[..length].contains(&b'/')) && matches_slowly(rest, &text[length..])
            }),
        }
    }

    proptest! {
        #[test]
        fn matching_follows_its_definition(pattern in "[ab/*?]{1,9}", text in "[ab/]{0,9}", wide in "[ab/*]{1,6}") {
            let compiled = Pattern::new(&pattern, true).unwrap();
            prop_assert_eq!(compiled.matches(&text), matches_slowly(&tokens(&pattern).unwrap(), text.as_bytes()));
            let wide = Pattern::new(&wide, true).unwrap();
            if wide.covers(&compiled) && compiled.matches(&text) {
                prop_assert!(wide.matches(&text));
            }
        }
    }
}
