//! A `log_format` compiled to the texts between its variables, and lines cut by it. Not what the variables mean.
//!
//! nginx escapes quotes, backslashes and control characters in values (`escape=default`, `escape=json`), so that a value in
//! quotes ends at the next quote. Values without quotes end at the next text of the layout; lists of upstreams and the local
//! time may have blanks in them.

use super::record::Record;
use super::variable::Variable;
use crate::contract::Fault;

/// Longest layout, in bytes.
const LAYOUT_BYTES_MAX: usize = 16 * 1024;
/// Most variables of a layout.
const VARIABLES_MAX: usize = 256;

/// One variable and the text behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Part {
    name: String,
    variable: Option<Variable>,
    behind: String,
}

/// A compiled `log_format`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    before: String,
    parts: Vec<Part>,
    /// Whether it is of the stream module.
    is_stream: bool,
}

impl Layout {
    /// Compiles a format as it stands in `log_format NAME '…'`: without quotes, several strings joined.
    ///
    /// # Errors
    /// Says which part cannot be used.
    pub(super) fn compile(format: &str) -> Result<Self, String> {
        let format = format.trim_end_matches(['\n', '\r']);
        if format.trim().is_empty() || format.len() > LAYOUT_BYTES_MAX {
            return Err(format!("a layout has between 1 and {LAYOUT_BYTES_MAX} bytes, this one has {}", format.len()));
        }
        let mut pieces = format.split('$');
        let before = pieces.next().unwrap_or_default().to_owned();
        let mut parts: Vec<Part> = Vec::new();
        for piece in pieces {
            let (name, behind) = name_of(piece)?;
            if let Some(last) = parts.last().filter(|last| last.behind.is_empty()) {
                return Err(format!(
                    "nothing stands between ${} and ${name}, so their values cannot be told apart",
                    last.name
                ));
            }
            let variable = Variable::of_name(name)
                .or_else(|| matches!(name, "req_id" | "http_host").then(|| Variable::of_key(name)).flatten());
            parts.push(Part { name: name.to_owned(), variable, behind: behind.to_owned() });
        }
        if parts.is_empty() {
            return Err("the layout has no variable such as $remote_addr".to_owned());
        }
        if parts.len() > VARIABLES_MAX {
            return Err(format!("a layout has at most {VARIABLES_MAX} variables"));
        }
        let has = |wanted: Variable| parts.iter().any(|part| part.variable == Some(wanted));
        let is_stream = has(Variable::SessionTime) || (has(Variable::Protocol) && !has(Variable::Request));
        Ok(Self { before, parts, is_stream })
    }

    /// Cuts a line into the record.
    ///
    /// # Errors
    /// When it does not fit.
    pub(super) fn read<'a>(&'a self, line: &'a str, record: &mut Record<'a>) -> Result<(), Fault> {
        let mut rest =
            line.strip_prefix(&*self.before).ok_or_else(|| Fault::syntax(&format!("`{}`", self.before), line))?;
        for (index, part) in self.parts.iter().enumerate() {
            let is_last = index + 1 == self.parts.len();
            let end = part
                .end(rest, is_last)
                .ok_or_else(|| Fault::syntax(&format!("`{}` behind ${}", part.behind, part.name), rest))?;
            let value = &rest[..end];
            rest = &rest[end + part.behind.len()..];
            match part.variable {
                Some(variable) => record.set(variable, value),
                None => record.extras.push((&part.name, value)),
            }
        }
        if !rest.trim_end().is_empty() {
            return Err(Fault::syntax("the end of the line", rest));
        }
        record.is_stream = self.is_stream;
        Ok(())
    }
}

/// The name that a piece behind a dollar sign begins with, and what follows it.
fn name_of(piece: &str) -> Result<(&str, &str), String> {
    let is_name = |text: &str| text.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count();
    let (name, behind) = match piece.strip_prefix('{') {
        Some(inner) => inner.split_once('}').ok_or_else(|| format!("`${piece}`: the closing brace is missing"))?,
        None => piece.split_at(is_name(piece)),
    };
    if name.is_empty() || is_name(name) != name.len() {
        return Err(format!("`${piece}` is no variable: they look like $remote_addr"));
    }
    Ok((name, behind))
}

impl Part {
    /// Where the value at the start of `rest` ends.
    fn end(&self, rest: &str, is_last: bool) -> Option<usize> {
        if self.behind.is_empty() {
            return Some(rest.trim_end().len());
        }
        if is_last && rest.ends_with(&*self.behind) {
            return Some(rest.len() - self.behind.len());
        }
        let mut end = self.find_behind(rest)?;
        let is_word = self.behind.starts_with(' ');
        if is_word && Variable::is_list(&self.name) {
            while let Some(further) = self.goes_on(rest, end) {
                end = further;
            }
        } else if is_word && self.variable == Some(Variable::TimeLocal) {
            // The zone stands behind a blank.
            let zone = end + 1;
            if rest[zone..].starts_with(['+', '-']) {
                end = zone + memchr::memmem::find(&rest.as_bytes()[zone..], self.behind.as_bytes())?;
            }
        }
        Some(end)
    }

    /// The next place of the text behind the value; a quote that a backslash hides (`escape=json`) ends no value.
    fn find_behind(&self, rest: &str) -> Option<usize> {
        let ends = memchr::memmem::find_iter(rest.as_bytes(), self.behind.as_bytes());
        if !self.behind.starts_with('"') {
            return ends.into_iter().next();
        }
        let is_hidden =
            |end: usize| rest.as_bytes()[..end].iter().rev().take_while(|&&byte| byte == b'\\').count() % 2 == 1;
        ends.into_iter().find(|&end| !is_hidden(end))
    }

    /// Where a list ends that has a further item behind `end`: behind a comma, or as another group behind a colon.
    fn goes_on(&self, rest: &str, end: usize) -> Option<usize> {
        let from = if rest[..end].ends_with(',') {
            end + 1
        } else if rest[end..].starts_with(" : ") {
            end + 3
        } else {
            return None;
        };
        let further = memchr::memmem::find(rest.as_bytes().get(from..)?, self.behind.as_bytes())?;
        Some(from + further)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn check(format: &str, line: &str, expected: &[(&str, &str)]) {
        let layout = Layout::compile(format).unwrap();
        let mut record = Record::new();
        layout.read(line, &mut record).unwrap();
        for (name, value) in expected {
            let found = match Variable::of_key(name) {
                Some(variable) => record.get(variable),
                None => record.extras.iter().find(|(known, _)| known == name).map(|(_, value)| *value),
            };
            assert_eq!(found, Some(*value), "{name} of {line}");
        }
    }

    #[test]
    fn lines_are_cut_at_the_texts_between() {
        check(
            "$remote_addr [$time_local] \"$request\" $status $upstream_addr $upstream_status $request_time $req_id",
            "10.0.0.1 [10/Oct/2000:13:55:36 -0700] \"GET / HTTP/1.1\" 502 10.0.0.2:80, 10.0.0.3:80 : 10.0.0.4:81 502, 502 : 200 0.1 abc",
            &[
                ("time_local", "10/Oct/2000:13:55:36 -0700"),
                ("upstream_addr", "10.0.0.2:80, 10.0.0.3:80 : 10.0.0.4:81"),
                ("upstream_status", "502, 502 : 200"),
                ("request_time", "0.1"),
                ("req_id", "abc"),
            ],
        );
        check(
            "$time_local $status",
            "10/Oct/2000:13:55:36 -0700 200",
            &[("time_local", "10/Oct/2000:13:55:36 -0700"), ("status", "200")],
        );
        check(
            "{\"a\":\"$remote_addr\",\"s\":$status}",
            "{\"a\":\"::1\",\"s\":404}",
            &[("remote_addr", "::1"), ("status", "404")],
        );
        check(
            "\"$http_user_agent\" $status",
            "\"a\\\" 999 \\\\\" 200",
            &[("status", "200"), ("http_user_agent", "a\\\" 999 \\\\")],
        );
        check("x=${remote_addr}y $geo", "x=::1y de", &[("remote_addr", "::1"), ("geo", "de")]);
    }

    #[test]
    fn layouts_that_cannot_be_used() {
        let message = |format: &str| Layout::compile(format).unwrap_err();
        assert!(message("").contains("between 1"));
        assert!(message("no variable").contains("no variable"));
        assert!(message("$a$b").contains("nothing stands between $a and $b"));
        assert!(message("$ x").contains("is no variable"));
        assert!(message("${a x").contains("closing brace"));
        assert!(message(&"$a ".repeat(300)).contains("at most 256"));
    }

    #[test]
    fn lines_that_do_not_fit() {
        let layout = Layout::compile("<$remote_addr> $status\n").unwrap();
        for line in ["", "10.0.0.1 200", "<10.0.0.1", "<10.0.0.1>200", "é"] {
            assert!(layout.read(line, &mut Record::new()).is_err(), "{line}");
        }
        let mut record = Record::new();
        layout.read("<10.0.0.1> 200 ", &mut record).unwrap();
        assert_eq!(record.get(Variable::Status), Some("200"));
    }
}
