//! The values of one record by variable, wherever they come from. Not yet columns.

use super::variable::Variable;
use crate::contract::{Fault, Reason};
use crate::number;
use crate::text::duration;

/// Values of one record; an absent one is not there, `-` and the empty text are absent too.
#[derive(Clone, Debug)]
pub(super) struct Record<'a> {
    values: [Option<&'a str>; Variable::COUNT],
    /// Values without a meaning of their own, by name.
    pub(super) extras: Vec<(&'a str, &'a str)>,
    /// Whether it is of the stream module: a connection, not a request.
    pub(super) is_stream: bool,
}

impl<'a> Record<'a> {
    pub(super) const fn new() -> Self {
        Self { values: [None; Variable::COUNT], extras: Vec::new(), is_stream: false }
    }

    pub(super) fn clear(&mut self) {
        self.values = [None; Variable::COUNT];
        self.extras.clear();
        self.is_stream = false;
    }

    #[inline]
    pub(super) fn set(&mut self, variable: Variable, value: &'a str) {
        self.values[variable as usize] = Some(value);
    }

    /// Whether the log has the variable, with or without a value.
    #[inline]
    pub(super) fn is_logged(&self, variable: Variable) -> bool {
        self.values[variable as usize].is_some()
    }

    #[inline]
    pub(super) fn get(&self, variable: Variable) -> Option<&'a str> {
        self.values[variable as usize].filter(|value| !matches!(*value, "" | "-"))
    }

    /// The last item of a list: the upstream that was tried last.
    #[inline]
    pub(super) fn last(&self, variable: Variable) -> Option<&'a str> {
        let list = self.get(variable)?;
        Some(last_of(list)).filter(|value| !matches!(*value, "" | "-"))
    }

    /// A whole number.
    ///
    /// # Errors
    /// When it is none.
    #[inline]
    pub(super) fn number(&self, variable: Variable) -> Result<Option<i64>, Fault> {
        let Some(text) = self.get(variable) else { return Ok(None) };
        match number::digits(text.as_bytes()) {
            Some(number) => Ok(Some(number)),
            None => Err(Fault::value(Reason::BadNumber, variable.name(), text, "a whole number")),
        }
    }

    /// Decimal seconds as microseconds.
    ///
    /// # Errors
    /// When they are none.
    #[inline]
    pub(super) fn seconds(&self, variable: Variable) -> Result<Option<i64>, Fault> {
        let Some(text) = self.get(variable) else { return Ok(None) };
        match duration::seconds(text) {
            Some(micros) => Ok(Some(micros)),
            None => Err(Fault::value(Reason::BadNumber, variable.name(), text, "a number of seconds")),
        }
    }
}

/// Items are separated by commas, groups of an internal redirect by colons between blanks.
pub(super) fn last_of(list: &str) -> &str {
    let group = list.rsplit_once(" : ").map_or(list, |(_, group)| group);
    group.rsplit_once(", ").map_or(group, |(_, item)| item)
}

/// How many items a list has.
pub(super) fn count_of(list: &str) -> usize {
    list.split(" : ").map(|group| group.split(", ").count()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_upstreams() {
        for (list, last, count) in
            [("10.0.0.1:80", "10.0.0.1:80", 1), ("a, b", "b", 2), ("a, b : c", "c", 3), ("", "", 1), ("-", "-", 1)]
        {
            assert_eq!((last_of(list), count_of(list)), (last, count), "{list}");
        }
    }
}
