//! SQL as it may be shown: what it means stays, what steers a terminal is gone.

use super::terminal::{printable_lines, steers};

/// The query without characters that steer the terminal, to be copied and run as it is. A literal that holds some becomes a
/// concatenation with `chr(…)`: plain SQL literals have no escapes, and every engine that reads the lake knows `chr`.
pub(crate) fn printable_query(query: &str) -> String {
    let mut plain = String::with_capacity(query.len());
    let mut rest = query;
    while let Some(start) = rest.find('\'') {
        let literal = &rest[start + 1..];
        let Some(end) = literal_end(literal) else { break };
        plain.push_str(&printable_lines(&rest[..start]));
        plain.push_str(&printable_literal(&literal[..end]));
        rest = &literal[end + 1..];
    }
    plain.push_str(&printable_lines(rest));
    plain
}

/// Where the quote is that ends a literal; two of them stand for one within it.
fn literal_end(text: &str) -> Option<usize> {
    let mut from = 0;
    loop {
        let quote = from + text[from..].find('\'')?;
        if !text[quote + 1..].starts_with('\'') {
            return Some(quote);
        }
        from = quote + 2;
    }
}

/// A literal, given without its quotes.
fn printable_literal(inside: &str) -> String {
    if !inside.contains(steers) {
        return format!("'{inside}'");
    }
    let mut parts = Vec::new();
    let mut rest = inside;
    while let Some((at, character)) = rest.char_indices().find(|&(_, character)| steers(character)) {
        if at > 0 {
            parts.push(format!("'{}'", &rest[..at]));
        }
        parts.push(format!("chr({})", u32::from(character)));
        rest = &rest[at + character.len_utf8()..];
    }
    if !rest.is_empty() {
        parts.push(format!("'{rest}'"));
    }
    format!("({})", parts.join(" || "))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use futures::TryStreamExt as _;
    use tradewind_storage::Lake;

    fn check(query: &str, expected: &str) {
        assert_eq!(printable_query(query), expected);
    }

    #[test]
    fn literals_are_spelled_and_the_rest_stays() {
        check("SELECT 'it''s', a\nFROM \"b c\"", "SELECT 'it''s', a\nFROM \"b c\"");
        check("a = '' AND b = 'x\u{1b}[2Jy'", "a = '' AND b = ('x' || chr(27) || '[2Jy')");
        check("a = '\u{9b}'", "a = (chr(155))");
        check("a = '''\u{1b}''' OR b = 'c'", "a = ('''' || chr(27) || '''') OR b = 'c'");
        check("a = 'line\nend'", "a = ('line' || chr(10) || 'end')");
        check("a\u{1b} = 'never \u{1b} closed", "a\\u{1b} = 'never \\u{1b} closed");
    }

    #[test]
    fn the_lake_understands_it_as_the_same() {
        const HOSTILE: &str = "it''s\u{0}\u{1b}[2J\u{7f}\u{9b}31m\u{202e} \n\t\\u001b";
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let plain = printable_query(&format!("'{HOSTILE}'"));
        assert!(!plain.contains(steers), "{plain}");
        let answer = runtime.block_on(async {
            let lake = Lake::open_or_create(folder.path()).await.unwrap();
            let rows = lake.query(&format!("SELECT 1 WHERE '{HOSTILE}' = {plain}")).await.unwrap();
            rows.try_collect::<Vec<_>>().await.unwrap()
        });
        assert_eq!(answer.iter().map(arrow::array::RecordBatch::num_rows).sum::<usize>(), 1, "{plain}");
    }
}
