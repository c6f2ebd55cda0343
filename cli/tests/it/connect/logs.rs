//! The log files of one observer each or of a few, from its records: lost, out of order, and with the place of each line.

use super::truth::Numbers;
use std::collections::HashMap;

/// Records lost, in ten thousand.
const LOST: i64 = 30;

/// A record in its format.
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// Index of the true connection.
    pub(super) of: usize,
    /// When it is written. Microseconds.
    pub(super) logged: i64,
    pub(super) text: String,
}

/// A file.
#[derive(Clone, Debug)]
pub(super) struct Log {
    pub(super) name: String,
    pub(super) text: String,
    /// The true connection of the line that begins at an offset.
    pub(super) of: HashMap<u64, usize>,
}

/// A file of records in the order in which they are written, without those that are `lost`: counted by connection.
pub(super) fn log(name: &str, head: &str, mut lines: Vec<Line>, numbers: &mut Numbers, lost: &mut [u32]) -> Log {
    lines.sort_by_key(|line| line.logged);
    let mut log = Log { name: name.to_owned(), text: head.to_owned(), of: HashMap::new() };
    for line in lines {
        if numbers.below(10_000) < LOST {
            lost[line.of] += 1;
            continue;
        }
        log.of.insert(log.text.len() as u64, line.of);
        log.text += &line.text;
        log.text.push('\n');
    }
    log
}
