//! A compiled format string, and how a line is cut by it. Not what the values mean.
//!
//! Envoy escapes neither quotes nor backslashes nor tabs in text logs, so a path or a user agent may hold what looks like
//! the end of its field. Fields whose text is bounded by a rule (times, numbers, flags, addresses) are therefore matched
//! from the left up to the first unbounded one, then from the right down to the last unbounded one. What is left between
//! them is matched from the left with a bounded search: the first way of cutting it in which every bounded field fits.
//! So the user agent of the default formats may hold anything; a client that writes ` HTTP/1.1" 200 - 0 0 0 - "` into a
//! path moves only the end of its own path. A line that no cut fits is refused with the field at fault.

use super::LayoutError;
use super::operator::{self, Piece};
use super::slot::{Shape, Slot};
use super::start_time::{PatternFault, TimePattern};
use crate::redact::is_secret;

/// Most fields of one layout.
const FIELDS_MAX: usize = 256;
/// Most work of the search in one line: steps, and KiB looked at.
const WORK_MAX: usize = 40_000;
/// How many ends are tried for a field that is matched without a search.
const ENDS_MAX: usize = 8;

/// Where a value goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    Slot(Slot),
    /// To `unmapped` under this name.
    Extra(String),
    /// To `unmapped` under this name, without its value.
    Redacted(String),
}

/// A field and the literal behind it.
#[derive(Clone, Debug)]
pub(super) struct Field {
    pub(super) target: Target,
    /// The operator, for messages.
    pub(super) operator: String,
    shape: Shape,
    after: String,
}

/// A compiled format string.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    head: String,
    pub(super) fields: Vec<Field>,
    pub(super) time: TimePattern,
}

/// What a single operator is: its target, its shape and its pattern if it is a start time.
pub(super) fn target_of(
    name: &str,
    argument: Option<&str>,
    time: &mut Option<TimePattern>,
) -> Result<(Target, Shape), LayoutError> {
    let label = argument.map_or_else(|| name.to_ascii_lowercase(), |argument| label(name, argument));
    if is_secret(name) || argument.is_some_and(is_secret) {
        return Ok((Target::Redacted(label), Shape::Free));
    }
    match Slot::of_operator(name, argument) {
        Some(Slot::StartTime) => {
            let pattern = argument.unwrap_or("");
            let compiled = TimePattern::compile(pattern)
                .map_err(|PatternFault(fault)| LayoutError::TimePattern { pattern: pattern.to_owned(), fault })?;
            if time.as_ref().is_some_and(|known| *known != compiled) {
                return Err(LayoutError::TwoTimes);
            }
            *time = Some(compiled);
            Ok((Target::Slot(Slot::StartTime), Shape::Time))
        }
        Some(slot) => Ok((Target::Slot(slot), slot.shape())),
        None => Ok((Target::Extra(label), Shape::Free)),
    }
}

/// `REQ(X-TENANT?X-ORG)` is kept as `x-tenant`, any other operator with its argument.
fn label(name: &str, argument: &str) -> String {
    let main = argument.split('?').next().unwrap_or(argument).to_ascii_lowercase();
    match name {
        "REQ" | "REQUEST_HEADER" => main,
        _ => format!("{}({main})", name.to_ascii_lowercase()),
    }
}

impl Layout {
    /// Compiles a format string.
    pub(super) fn compile(text: &str) -> Result<Self, LayoutError> {
        let mut time = None;
        let layout = Self::compile_part(text, &mut time)?;
        Ok(Self { time: time.unwrap_or_default(), ..layout })
    }

    /// Compiles a format string that shares its time pattern with others.
    pub(super) fn compile_part(text: &str, time: &mut Option<TimePattern>) -> Result<Self, LayoutError> {
        let (mut head, mut fields) = (String::new(), Vec::<Field>::new());
        for piece in operator::pieces(text)? {
            match piece {
                Piece::Literal(text) => match fields.last_mut() {
                    Some(field) => field.after.push_str(&text),
                    None => head.push_str(&text),
                },
                Piece::Operator { name, argument } => {
                    if let Some(before) = fields.last().filter(|field| field.after.is_empty()) {
                        return Err(LayoutError::Adjacent { first: before.operator.clone(), second: name });
                    }
                    let (target, shape) = target_of(&name, argument.as_deref(), time)?;
                    let operator = argument.map_or_else(|| name.clone(), |argument| format!("{name}({argument})"));
                    fields.push(Field { target, operator, shape, after: String::new() });
                }
            }
        }
        if fields.is_empty() {
            return Err(LayoutError::NoOperator);
        }
        if fields.len() > FIELDS_MAX {
            return Err(LayoutError::TooMany { most: FIELDS_MAX });
        }
        Ok(Self { head, fields, time: time.clone().unwrap_or_default() })
    }

    /// Drops the line end that format strings write themselves, as such or as `\n`, and blanks before it.
    pub(super) fn without_line_end(mut self) -> Self {
        if let Some(last) = self.fields.last_mut() {
            let after = last.after.trim_end();
            let after = after.strip_suffix("\\n").unwrap_or(after);
            last.after.truncate(after.len());
        }
        self
    }

    /// Cuts a line into one text per field, or names the field at fault.
    pub(super) fn cut<'t>(&self, line: &'t str, values: &mut Vec<&'t str>) -> Result<(), usize> {
        values.clear();
        values.resize(self.fields.len(), "");
        let count = self.fields.len();
        let (mut low, mut high) = (0, count);
        let body = line.strip_prefix(self.head.as_str()).ok_or(0_usize)?;
        let ended = body.strip_suffix(self.fields[count - 1].after.as_str());
        let body = ended.unwrap_or(body);
        let mut rest = body;
        while low + 1 < high {
            let Some((value, after)) = self.cut_left(low, rest) else { break };
            values[low] = value;
            rest = after;
            low += 1;
        }
        if ended.is_none() {
            return Err(low);
        }
        while low + 1 < high {
            let Some((before, value)) = self.cut_right(high - 1, rest) else { break };
            values[high - 1] = value;
            rest = before;
            high -= 1;
        }
        let mut furthest = low;
        // The last try takes nothing for granted: a word matched from the left or right may have held a space.
        for (low, high, rest, habits) in [(low, high, rest, true), (low, high, rest, false), (0, count, body, false)] {
            let mut search = Search { layout: self, high, habits, work: WORK_MAX, furthest };
            if search.run(low, rest, values) {
                return Ok(());
            }
            furthest = search.furthest;
        }
        Err(furthest)
    }

    /// The value of a bounded field at the start of `rest`, and what follows.
    fn cut_left<'t>(&self, index: usize, rest: &'t str) -> Option<(&'t str, &'t str)> {
        let Field { shape, after, .. } = &self.fields[index];
        if *shape == Shape::Free {
            return None;
        }
        let mut from = 0;
        for _ in 0..ENDS_MAX {
            let end = find(rest, from, after)?;
            if shape.fits(&rest[..end], &self.time) {
                return Some((&rest[..end], &rest[end + after.len()..]));
            }
            if !shape.may_grow() {
                return None;
            }
            from = end + 1;
        }
        None
    }

    /// The value of a bounded field at the end of `rest`, and what stands before it.
    fn cut_right<'t>(&self, index: usize, rest: &'t str) -> Option<(&'t str, &'t str)> {
        let shape = self.fields[index].shape;
        let before = self.fields[index - 1].after.as_str();
        if shape == Shape::Free {
            return None;
        }
        let start = find_last(rest, before)?;
        let value = &rest[start + before.len()..];
        shape.fits(value, &self.time).then(|| (&rest[..start], value))
    }
}

/// The first place of `literal` in `text` at or behind byte `from`.
#[inline]
fn find(text: &str, from: usize, literal: &str) -> Option<usize> {
    let (bytes, literal) = (text.as_bytes(), literal.as_bytes());
    let first = *literal.first()?;
    let mut from = from;
    loop {
        let found = from + memchr::memchr(first, bytes.get(from..)?)?;
        if bytes[found..].starts_with(literal) {
            return Some(found);
        }
        from = found + 1;
    }
}

/// The last place of `literal` in `text`.
fn find_last(text: &str, literal: &str) -> Option<usize> {
    let literal = literal.as_bytes();
    let first = *literal.first()?;
    let mut bytes = text.as_bytes();
    loop {
        let found = memchr::memrchr(first, bytes)?;
        if text.as_bytes()[found..].starts_with(literal) {
            return Some(found);
        }
        bytes = &bytes[..found];
    }
}

/// The bounded search for the middle of a line.
struct Search<'l> {
    layout: &'l Layout,
    high: usize,
    /// Whether words must be without spaces and quotes, as they are by habit.
    habits: bool,
    work: usize,
    furthest: usize,
}

impl Search<'_> {
    fn run<'t>(&mut self, index: usize, rest: &'t str, values: &mut [&'t str]) -> bool {
        self.furthest = self.furthest.max(index);
        let Field { shape, after, .. } = &self.layout.fields[index];
        let fits = |value: &str, habits: bool| (shape.is_habit() && !habits) || shape.fits(value, &self.layout.time);
        if index + 1 == self.high {
            values[index] = rest;
            return fits(rest, self.habits);
        }
        let mut from = 0;
        loop {
            let found = find(rest, from, after);
            // A shape that may grow is looked at from its start each time.
            let looked_at = found.map_or(rest.len(), |end| if shape.may_grow() { end } else { end - from });
            self.work = self.work.saturating_sub(1 + looked_at / 1024);
            let Some(end) = found.filter(|_| self.work > 0) else { return false };
            let value = &rest[..end];
            if fits(value, self.habits) {
                values[index] = value;
                if self.run(index + 1, &rest[end + after.len()..], values) {
                    return true;
                }
            } else if !shape.may_grow() && (self.habits || !shape.is_habit()) {
                return false;
            }
            from = end + 1;
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::envoy::{ENVOY_TEXT, ISTIO_TEXT};

    fn cut(layout: &str, line: &str) -> Result<String, usize> {
        let layout = Layout::compile(layout).unwrap().without_line_end();
        let mut values = Vec::new();
        layout.cut(line, &mut values).map(|()| values.join("¦"))
    }

    fn check(layout: &str, line: &str, expected: &str) {
        assert_eq!(cut(layout, line).as_deref(), Ok(expected), "{line}");
    }

    #[test]
    fn quotes_and_spaces_shift_nothing() {
        let tail = r#"200 - 0 5 7 6 "-" "UA" "id" "host" "10.0.0.1:80""#;
        let ended = "200¦-¦0¦5¦7¦6¦-¦UA¦id¦host¦10.0.0.1:80";
        let start = "[2026-01-01T00:00:00.000Z]";
        for path in ["/a", "/a\"b", "/a b", "/a\" \"b", "/\\\t", "/a HTTP/1.1 b", "/a HTTP/1.1\" b"] {
            let line = format!("{start} \"GET {path} HTTP/1.1\" {tail}");
            check(ENVOY_TEXT, &line, &format!("2026-01-01T00:00:00.000Z¦GET¦{path}¦HTTP/1.1¦{ended}"));
        }
        for agent in ["x\" \"q\" \"auth\" \"9.9.9.9:9", "\"", " ", "a \"b\" c", "/x HTTP/1.1\" 200 - 1 1 1 1 \"-\" \"y"]
        {
            let line = format!("{start} \"GET /a HTTP/1.1\" {tail}").replace("UA", agent);
            check(
                ENVOY_TEXT,
                &line,
                &format!("2026-01-01T00:00:00.000Z¦GET¦/a¦HTTP/1.1¦{}", ended.replace("UA", agent)),
            );
        }
    }

    #[test]
    fn details_may_hold_spaces_in_brackets_and_quotes() {
        let line = concat!(
            "[2026-01-01T00:00:00.000Z] \"GET / HTTP/1.1\" 403 - policy[ns[a b]-x[c]] - \"TLS error: \"x\" 1\" 0 19 0 - ",
            "\"-\" \"curl\" \"id\" \"a\" \"-\" inbound|80|| - 10.0.0.9:80 10.0.0.1:0 - default"
        );
        let expected = concat!(
            "2026-01-01T00:00:00.000Z¦GET¦/¦HTTP/1.1¦403¦-¦policy[ns[a b]-x[c]]¦-¦TLS error: \"x\" 1¦0¦19¦0¦-¦",
            "-¦curl¦id¦a¦-¦inbound|80||¦-¦10.0.0.9:80¦10.0.0.1:0¦-¦default"
        );
        check(ISTIO_TEXT, line, expected);
    }

    #[test]
    fn words_may_hold_spaces_when_nothing_else_fits() {
        check("%DURATION%|%ROUTE_NAME%|%BYTES_SENT%", "1|my \"route\"|2", "1¦my \"route\"¦2");
        check("%DURATION% %ROUTE_NAME% %BYTES_SENT%", "1 my route 2", "1¦my route¦2");
        check(
            "a %START_TIME(%d/%b/%Y:%H:%M:%S %z)% %DURATION%",
            "a 29/May/2018:12:43:10 +0200 5",
            "29/May/2018:12:43:10 +0200¦5",
        );
    }

    #[test]
    fn the_field_at_fault_is_named() {
        let line = r#"[2026-01-01T00:00:00.000Z] "GET /a HTTP/1.1" abc - 0 5 7 6 "-" "UA" "id" "host" "10.0.0.1:80""#;
        assert_eq!(cut(ENVOY_TEXT, line), Err(4));
        assert_eq!(cut(ENVOY_TEXT, "[info] starting"), Err(0));
        assert_eq!(cut(ENVOY_TEXT, ""), Err(0));
    }

    #[test]
    fn a_hostile_line_ends_soon() {
        let layout = "%REQ(A)% %REQ(B)% %REQ(C)% %REQ(D)% %REQ(E)% %DURATION% %REQ(F)%";
        let line = "a ".repeat(1_000_000);
        assert!(cut(layout, &line).is_err());
        let brackets = format!("[2026-01-01T00:00:00.000Z] \"GET / HTTP/1.1\" 403 - [{}", " ".repeat(4_000_000));
        assert!(cut(ISTIO_TEXT, &brackets).is_err());
    }
}
