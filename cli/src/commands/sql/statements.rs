//! Where one SQL statement ends and the next begins. Knows quotes and comments, nothing else of SQL.

/// The complete statements of a text, without their semicolons, and what is left after the last semicolon.
pub(super) fn split(text: &str) -> (Vec<String>, String) {
    let mut statements = Vec::new();
    let mut start = 0;
    let mut state = State::Plain;
    let mut characters = text.char_indices().peekable();
    while let Some((offset, character)) = characters.next() {
        let next = characters.peek().map(|&(_, next)| next);
        state = match (state, character, next) {
            (State::Plain, ';', _) => {
                let statement = &text[start..offset];
                if !is_blank(statement) {
                    statements.push(statement.trim().to_owned());
                }
                start = offset + 1;
                State::Plain
            }
            (State::Plain, '\'' | '"', _) => State::Quoted(character),
            (State::Plain, '-', Some('-')) => State::LineComment,
            (State::Plain, '/', Some('*')) => {
                characters.next();
                State::BlockComment
            }
            (State::Quoted(quote), _, _) if character == quote => State::Plain,
            (State::LineComment, '\n', _) => State::Plain,
            (State::BlockComment, '*', Some('/')) => {
                characters.next();
                State::Plain
            }
            (state, ..) => state,
        };
    }
    (statements, text[start..].to_owned())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Plain,
    Quoted(char),
    LineComment,
    BlockComment,
}

/// Whether there is nothing but white space and comments.
pub(super) fn is_blank(text: &str) -> bool {
    let text = text.trim_start();
    if text.is_empty() {
        return true;
    }
    if let Some(comment) = text.strip_prefix("--") {
        return comment.split_once('\n').is_none_or(|(_, rest)| is_blank(rest));
    }
    if let Some(comment) = text.strip_prefix("/*") {
        return comment.split_once("*/").is_none_or(|(_, rest)| is_blank(rest));
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, statements: &[&str], rest: &str) {
        let (found, left) = split(text);
        assert_eq!(
            (found.iter().map(String::as_str).collect::<Vec<_>>().as_slice(), left.as_str()),
            (statements, rest)
        );
    }

    #[test]
    fn semicolons_end_statements_outside_quotes_and_comments() {
        check("select 1; select 2;", &["select 1", "select 2"], "");
        check("select 1", &[], "select 1");
        check("select ';' ; select \";\"\"\";x", &["select ';'", "select \";\"\"\""], "x");
        check("select 'it''s;' ;", &["select 'it''s;'"], "");
        check("select 1 -- not; here\n;", &["select 1 -- not; here"], "");
        check("select /* ; */ 1;", &["select /* ; */ 1"], "");
        check(";;  ;", &[], "");
        check("select 'open;", &[], "select 'open;");
        check("select 'ü;ü';ü", &["select 'ü;ü'"], "ü");
    }

    #[test]
    fn comments_alone_are_nothing() {
        assert!(is_blank("  -- a\n /* b */ \n-- c"));
        assert!(!is_blank("-- a\nselect 1"));
    }
}
