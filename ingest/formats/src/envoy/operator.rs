//! Envoy's format string, cut into literals and command operators. Not their meaning: that is `slot`.
//!
//! Grammar: `%NAME%`, `%NAME(ARGUMENT)%`, `%NAME(ARGUMENT):LENGTH%`, and `%%` for a percent sign. The argument may hold
//! percent signs (`%START_TIME(%s.%3f)%`), so it ends at the first `)` that `%` or `:LENGTH%` follows.

use super::LayoutError;

/// A piece of a format string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Piece {
    Literal(String),
    Operator { name: String, argument: Option<String> },
}

/// Cuts a format string.
pub(super) fn pieces(layout: &str) -> Result<Vec<Piece>, LayoutError> {
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut rest = layout;
    while let Some(position) = rest.find('%') {
        literal.push_str(&rest[..position]);
        rest = &rest[position + 1..];
        if let Some(after) = rest.strip_prefix('%') {
            literal.push('%');
            rest = after;
            continue;
        }
        let (operator, after) = operator(rest).ok_or_else(|| LayoutError::Operator {
            position: layout.len() - rest.len() - 1,
            text: rest.chars().take(40).collect(),
        })?;
        if !literal.is_empty() {
            pieces.push(Piece::Literal(std::mem::take(&mut literal)));
        }
        pieces.push(operator);
        rest = after;
    }
    literal.push_str(rest);
    if !literal.is_empty() {
        pieces.push(Piece::Literal(literal));
    }
    Ok(pieces)
}

/// Reads an operator after its opening percent sign; the rest follows its closing one.
fn operator(text: &str) -> Option<(Piece, &str)> {
    let end = text.find(|c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'))?;
    let (name, rest) = text.split_at(end);
    if name.is_empty() {
        return None;
    }
    let Some(inner) = rest.strip_prefix('(') else {
        let rest = closing(rest)?;
        return Some((Piece::Operator { name: name.to_owned(), argument: None }, rest));
    };
    inner.match_indices(')').find_map(|(position, _)| {
        let rest = closing(&inner[position + 1..])?;
        let argument = Some(inner[..position].to_owned());
        Some((Piece::Operator { name: name.to_owned(), argument }, rest))
    })
}

/// What follows `%` or `:LENGTH%`.
fn closing(text: &str) -> Option<&str> {
    let text = match text.strip_prefix(':') {
        Some(length) => length.trim_start_matches(|c: char| c.is_ascii_digit()),
        None => text,
    };
    text.strip_prefix('%')
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn show(layout: &str) -> String {
        pieces(layout)
            .unwrap()
            .into_iter()
            .map(|piece| match piece {
                Piece::Literal(text) => format!("'{text}'"),
                Piece::Operator { name, argument: None } => name,
                Piece::Operator { name, argument: Some(argument) } => format!("{name}<{argument}>"),
            })
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn format_strings_are_cut() {
        assert_eq!(show("[%START_TIME%] 100%% %PROTOCOL%"), "'[' START_TIME '] 100% ' PROTOCOL");
        assert_eq!(show("%START_TIME(%s.%3f)%x"), "START_TIME<%s.%3f> 'x'");
        assert_eq!(show("%REQ(X?Y):20%"), "REQ<X?Y>");
        assert_eq!(show("%CEL(f(a) % 2)%"), "CEL<f(a) % 2>");
        assert_eq!(show("%RESPONSE_CODE:3%"), "RESPONSE_CODE");
    }

    #[test]
    fn faults_are_placed() {
        for (layout, position) in [("abc %REQ(X", 4), ("%", 0), ("a % b", 2), ("%req(x)%", 0)] {
            let Err(LayoutError::Operator { position: found, .. }) = pieces(layout) else { panic!("{layout}") };
            assert_eq!(found, position, "{layout}");
        }
    }
}
