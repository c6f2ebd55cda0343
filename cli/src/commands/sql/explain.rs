//! Shows where in the query an error is, as far as the error says so.

use tradewind_storage::QueryError;

/// More names than fit in so many bytes are not listed in an error.
const NAMES_BYTES_MAX: usize = 200;

/// The error in words for whoever wrote the query: with the line of the query and a mark below the place where the
/// message names one.
pub(super) fn with_position(query: &str, error: QueryError) -> anyhow::Error {
    let original = error.to_string();
    let mut message = readable(&original);
    if let Some(marked) = position(&original).and_then(|(line, column)| mark(query, line, column)) {
        message.push('\n');
        message.push_str(&marked);
    }
    match error {
        QueryError::Plan(_) => anyhow::Error::msg(message),
        other => other.into(),
    }
}

/// The message without the names of all columns, and with what a refused statement means.
fn readable(message: &str) -> String {
    let mut text = message.replace("'datafusion.public.", "'");
    if text.contains("table '") && text.contains("' not found") {
        text.push_str(" (`SHOW TABLES` lists them)");
    }
    if let Some((start, names)) = message.split_once("\nValid fields are ")
        && names.len() > NAMES_BYTES_MAX
    {
        text = format!("{start} `DESCRIBE flows` lists the columns of a table.");
    }
    if ["DDL not supported", "DML not supported", "Statement not supported", "COPY"]
        .iter()
        .any(|what| message.contains(what))
    {
        text.push_str(" (the lake is read only: SELECT, WITH, EXPLAIN, SHOW and DESCRIBE are understood)");
    }
    text
}

/// Line and column, both from 1, of messages such as `Expected: ), found: FROM at Line: 2, Column: 7`.
fn position(message: &str) -> Option<(usize, usize)> {
    let number = |text: &str| text.split(|character: char| !character.is_ascii_digit()).next()?.parse().ok();
    let (_, after) = message.rsplit_once("Line: ")?;
    let (_, column) = after.split_once("Column: ")?;
    Some((number(after)?, number(column)?))
}

fn mark(query: &str, line: usize, column: usize) -> Option<String> {
    let text = query.lines().nth(line.checked_sub(1)?)?;
    let before: String =
        text.chars().take(column.checked_sub(1)?).map(|character| if character == '\t' { '\t' } else { ' ' }).collect();
    Some(format!("  {text}\n  {before}^"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_for_people() {
        let names = "flows.some_column, ".repeat(50);
        assert_eq!(
            readable(&format!("Schema error: No field named x.\nValid fields are {names}.")),
            "Schema error: No field named x. `DESCRIBE flows` lists the columns of a table."
        );
        let short = "Schema error: No field named x.\nValid fields are a, b.";
        assert_eq!(readable(short), short);
        assert_eq!(
            readable("Error during planning: table 'datafusion.public.nope' not found"),
            "Error during planning: table 'nope' not found (`SHOW TABLES` lists them)"
        );
        assert!(readable("Error during planning: DDL not supported: DropTable").contains("the lake is read only"));
    }

    #[test]
    fn the_place_is_marked() {
        let message = "SQL error: ParserError(\"Expected: an expression, found: FROM at Line: 2, Column: 8\")";
        assert_eq!(position(message), Some((2, 8)));
        assert_eq!(mark("-- all\nSELECT FROM flows", 2, 8).as_deref(), Some("  SELECT FROM flows\n         ^"));
        assert_eq!(position("no such table"), None);
        assert_eq!(mark("SELECT", 2, 1), None);
        assert_eq!(mark("SELECT", 1, 0), None);
    }
}
