//! What the reference tells of a format: where each column comes from, what is not mapped, which record has which outcome.
//! Written beside the mapping it describes; `docs/reference/formats.md` and `tradewind formats NAME` are made of it.

use std::fmt::Write as _;
use tradewind_model::outcome::{ConnectionResult, Verdict, outcome};

/// The description of one format.
#[derive(Debug)]
pub struct Page {
    /// Its name in prose.
    pub title: &'static str,
    /// How it is recognised, what one record is, which layouts it takes.
    pub about: &'static str,
    /// Where the meaning of its fields is written down.
    pub sources: &'static [&'static str],
    /// Columns of table `flows` and what each is made of.
    pub columns: &'static [(&'static str, &'static str)],
    /// Fields that go to `unmapped`, and fields that are never kept, with the reason.
    pub not_mapped: &'static [(&'static str, &'static str)],
    /// Which record has which outcome, first match first.
    pub outcomes: &'static [Answer],
}

/// One line of the table of outcomes.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    /// What the record says.
    pub when: &'static str,
    /// What the observer's policy decided.
    pub verdict: Option<Verdict>,
    /// What became of the connection.
    pub result: Option<ConnectionResult>,
}

/// A line of the table of outcomes.
pub(crate) const fn answer(when: &'static str, verdict: Option<Verdict>, result: Option<ConnectionResult>) -> Answer {
    Answer { when, verdict, result }
}

impl Page {
    /// The page as Markdown, below a heading of the given level.
    #[must_use]
    pub fn markdown(&self, name: &str, level: usize) -> String {
        let mut text = String::new();
        self.write(name, level, &mut text).expect("writing to a string does not fail");
        text
    }

    fn write(&self, name: &str, level: usize, text: &mut String) -> std::fmt::Result {
        let marks = "#".repeat(level);
        writeln!(text, "{marks} {name}\n\n**{}.** {}\n", self.title, self.about)?;
        writeln!(text, "Fields after: {}.\n", self.sources.join("; "))?;
        writeln!(text, "| column | from |\n|---|---|")?;
        for (column, from) in self.columns {
            writeln!(text, "| `{column}` | {} |", cell(from))?;
        }
        writeln!(text, "\n| not mapped | why |\n|---|---|")?;
        for (field, why) in self.not_mapped {
            writeln!(text, "| {} | {} |", cell(field), cell(why))?;
        }
        writeln!(text, "\n| record | `verdict` | `result` | `outcome` |\n|---|---|---|---|")?;
        for answer in self.outcomes {
            let verdict = answer.verdict.map_or("", Verdict::as_str);
            let result = answer.result.map_or("", ConnectionResult::as_str);
            let outcome = outcome(answer.verdict, answer.result).as_str();
            writeln!(text, "| {} | {verdict} | {result} | {outcome} |", cell(answer.when))?;
        }
        Ok(())
    }
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
