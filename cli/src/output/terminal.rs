//! What a log says must not steer the terminal: text from outside is made harmless before a person sees it.
//!
//! Names of entities, files and fields come out of logs, which anybody may write. An escape sequence among them could clear
//! the screen, retitle the window or show one thing for another. SQL, which has to stay right, is in `query`.

use std::borrow::Cow;

/// Whether a terminal may act upon the character instead of showing it: the control characters C0, DEL and C1 (ECMA-48),
/// and those that turn the direction of the text after them (Unicode UAX #9, sections 2.1 to 2.3).
pub(crate) fn steers(character: char) -> bool {
    character.is_control() || turns_direction(character)
}

fn turns_direction(character: char) -> bool {
    matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// The text as one line without characters that steer: they are written as `\n`, `\u{1b}`.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    escaped(text, steers)
}

/// As [`printable`], for text of several lines: line ends and tabs stay.
pub(crate) fn printable_lines(text: &str) -> Cow<'_, str> {
    escaped(text, |character| steers(character) && !matches!(character, '\n' | '\t'))
}

fn escaped(text: &str, is_escaped: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_escaped) {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if is_escaped(character) {
            plain.extend(character.escape_default());
        } else {
            plain.push(character);
        }
    }
    Cow::Owned(plain)
}

/// JSON with the same meaning in which nothing steers. JSON escapes C0 by itself (RFC 8259, section 7); the rest it may have
/// as it is, but only inside of strings, where an escape stands for the same.
pub(crate) fn json(text: &str) -> Cow<'_, str> {
    let is_left = |character: char| matches!(character, '\u{7f}'..='\u{9f}') || turns_direction(character);
    if !text.contains(is_left) {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if is_left(character) {
            plain.push_str(&format!("\\u{:04x}", u32::from(character)));
        } else {
            plain.push(character);
        }
    }
    Cow::Owned(plain)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const HOSTILE: &str = "a\u{1b}[2J\u{7f}\u{9b}31m\u{202e}b";

    #[test]
    fn what_a_log_says_cannot_steer_the_terminal() {
        let check = |text: &str, line: &str, lines: &str| {
            assert_eq!((printable(text).as_ref(), printable_lines(text).as_ref()), (line, lines));
        };
        check("straße", "straße", "straße");
        check("a\u{1b}[31mb\n", "a\\u{1b}[31mb\\n", "a\\u{1b}[31mb\n");
        check("a\tb\r\n", "a\\tb\\r\\n", "a\tb\\r\n");
        check(HOSTILE, "a\\u{1b}[2J\\u{7f}\\u{9b}31m\\u{202e}b", "a\\u{1b}[2J\\u{7f}\\u{9b}31m\\u{202e}b");
    }

    #[test]
    fn json_means_the_same_and_cannot_steer_either() {
        let value = serde_json::json!({ HOSTILE: [HOSTILE, "straße \u{a0}"] });
        let text = serde_json::to_string(&value).unwrap();
        assert!(text.contains(steers), "the escape has nothing to do: {text}");
        let plain = json(&text);
        assert!(!plain.contains(steers), "{plain}");
        assert!(plain.contains("\\u007f\\u009b31m\\u202eb"), "{plain}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&plain).unwrap(), value);
        assert_eq!(json("{\n  \"a\": 1\n}\n"), "{\n  \"a\": 1\n}\n");
    }
}
