//! What an import did, for a person and for a program.

use super::group::Attempt;
use crate::output::{self, OutputFormat, json, json_pretty, printable};
use anyhow::Context as _;
use indicatif::{HumanBytes, HumanCount};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::Path;

/// Why a file has no format, when there is nothing in it.
const EMPTY: &str = "empty";

/// An input that could not be imported.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Failed {
    /// Where it is.
    pub(crate) path: String,
    /// Why.
    pub(crate) error: String,
}

/// Files of one format.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct FormatUse {
    /// Format; none where it was not recognised.
    pub(crate) source: Option<&'static str>,
    /// How it was chosen.
    pub(crate) reason: String,
    /// How many files.
    pub(crate) files: usize,
}

/// What an import did. Invariant: `records = flows + rejected + gaps`.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Summary {
    /// Folder of the lake.
    pub(crate) lake: String,
    /// Inputs that were found.
    pub(crate) files: usize,
    /// Inputs whose bytes the lake had already, or that came twice.
    pub(crate) files_skipped: usize,
    /// Records read.
    pub(crate) records: u64,
    /// Rows added to `flows`.
    pub(crate) flows: u64,
    /// Records added to `dead_letters`.
    pub(crate) rejected: u64,
    /// Records that state missing data; see `coverage`.
    pub(crate) gaps: u64,
    /// Bytes of the imported inputs as found.
    pub(crate) bytes_in: u64,
    /// Bytes of the data files of `flows`.
    pub(crate) bytes_out: u64,
    /// Wall time.
    pub(crate) seconds: f64,
    /// Rejected records by reason.
    pub(crate) reject_reasons: BTreeMap<&'static str, u64>,
    /// Formats and how they were chosen.
    pub(crate) formats: Vec<FormatUse>,
    /// What a person should know: guessed layouts, unknown fields.
    pub(crate) notes: BTreeSet<String>,
    /// Inputs that could not be imported.
    pub(crate) failures: Vec<Failed>,
    /// Whether it was ended by a signal.
    pub(crate) interrupted: bool,
    /// Inputs that were committed.
    #[serde(skip)]
    imported: usize,
}

impl Summary {
    pub(super) fn new(lake: &Path) -> Self {
        Self { lake: lake.display().to_string(), ..Self::default() }
    }

    /// Adds a group that was committed.
    pub(super) fn add(&mut self, attempt: Attempt) {
        self.files_skipped += attempt.skipped;
        self.failures.extend(attempt.failures.iter().map(super::object::Failure::told));
        self.bytes_out +=
            attempt.import.files.iter().map(|file| u64::try_from(file.bytes).unwrap_or_default()).sum::<u64>();
        for (reason, count) in attempt.reasons {
            *self.reject_reasons.entry(reason).or_default() += count;
        }
        self.imported += attempt.objects.len();
        for object in attempt.objects {
            let counts = object.counts();
            self.records += counts.records;
            self.flows += counts.flows;
            self.rejected += counts.rejected;
            self.gaps += counts.gaps;
            self.bytes_in += object.bytes;
            self.notes.extend(object.notes.iter().cloned());
            let (source, reason) = match &object.format {
                Some((source, reason)) => (Some(*source), reason.clone()),
                None if counts.records == 0 => (None, EMPTY.to_owned()),
                None => (None, "not recognised".to_owned()),
            };
            match self
                .formats
                .iter_mut()
                .find(|format| (format.source, format.reason.as_str()) == (source, reason.as_str()))
            {
                Some(format) => format.files += 1,
                None => self.formats.push(FormatUse { source, reason, files: 1 }),
            }
        }
        self.formats.sort_by(|left, right| (left.source, &left.reason).cmp(&(right.source, &right.reason)));
    }

    /// Prints it to standard output.
    pub(super) fn print(&self, output: Option<OutputFormat>) -> anyhow::Result<()> {
        let text = match output {
            Some(OutputFormat::Json) => json_pretty(self)? + "\n",
            Some(OutputFormat::Ndjson) => json(self)? + "\n",
            _ => self.text(),
        };
        std::io::stdout().lock().write_all(text.as_bytes()).context("failed to write the summary")
    }

    /// The summary for a person: names of files and what their first lines say are made harmless for a terminal.
    pub(crate) fn text(&self) -> String {
        let mut text = format!(
            "imported {} of {} into {}\n",
            HumanCount(self.imported as u64),
            files(self.files),
            printable(&self.lake)
        );
        if self.files_skipped > 0 {
            let again = if self.files_skipped == self.files { "; nothing was added" } else { "" };
            text += &format!(
                "  {} skipped: their bytes were imported before{again}\n",
                HumanCount(self.files_skipped as u64)
            );
        }
        for format in &self.formats {
            text += &match format.source {
                Some(source) => format!("  {} as {source}: {}\n", files(format.files), printable(&format.reason)),
                None if format.reason == EMPTY => format!("  {} without a record\n", files(format.files)),
                None => format!(
                    "  {} not recognised: see dead_letters; `tradewind parse FILE` says why, `--input-format` says what \
                     it is\n",
                    files(format.files)
                ),
            };
        }
        for note in &self.notes {
            text += &format!("  note: {}\n", printable(note));
        }
        text += &format!(
            "  {} = {} + {} rejected + {}\n",
            counted(self.records, "record"),
            counted(self.flows, "flow"),
            HumanCount(self.rejected),
            counted(self.gaps, "gap")
        );
        if self.rejected > 0 {
            let reasons: Vec<String> =
                self.reject_reasons.iter().map(|(reason, count)| format!("{reason} {}", HumanCount(*count))).collect();
            text += &format!("  rejected: {} (tradewind sql \"select * from dead_letters\")\n", reasons.join(", "));
        }
        if self.gaps > 0 {
            text +=
                "  gaps: records that state missing data (tradewind sql \"select * from coverage where gaps > 0\")\n";
        }
        text += &format!(
            "  {} read, {} written, {:.1} s\n",
            HumanBytes(self.bytes_in),
            HumanBytes(self.bytes_out),
            self.seconds
        );
        for failed in &self.failures {
            text += &format!("  failed: {}: {}\n", printable(&failed.path), printable(&failed.error));
        }
        text
    }
}

fn files(count: usize) -> String {
    counted(count as u64, "file")
}

/// A number and what it counts.
fn counted(count: u64, what: &str) -> String {
    output::counted(usize::try_from(count).unwrap_or(usize::MAX), what, &format!("{what}s"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::steers;

    #[test]
    fn names_of_files_cannot_steer_the_terminal() {
        let hostile = "a\u{1b}[2J\u{9b}31m\nb";
        let summary = Summary {
            lake: hostile.to_owned(),
            formats: vec![FormatUse { source: Some("envoy"), reason: hostile.to_owned(), files: 1 }],
            notes: BTreeSet::from([hostile.to_owned()]),
            failures: vec![Failed { path: hostile.to_owned(), error: hostile.to_owned() }],
            ..Summary::default()
        };
        let text = summary.text();
        assert!(!text.contains(|character| steers(character) && character != '\n'), "{text:?}");
        assert_eq!(text.matches("a\\u{1b}[2J\\u{9b}31m\\nb").count(), 5, "{text}");
    }

    #[test]
    fn one_is_told_as_one() {
        let summary = Summary { files: 1, records: 1, flows: 1, gaps: 1, ..Summary::default() };
        assert!(summary.text().contains("0 of 1 file into"), "{}", summary.text());
        assert!(summary.text().contains("  1 record = 1 flow + 0 rejected + 1 gap\n"), "{}", summary.text());
        let summary = Summary { files: 2, records: 1_000, ..Summary::default() };
        assert!(summary.text().contains("  1,000 records = 0 flows + 0 rejected + 0 gaps\n"), "{}", summary.text());
    }
}
