//! Out of the outbox: what became of deliveries.

use super::Outbox;
use super::file::{DEAD, Fault, QUEUE, SINKS, bytes, find};
use super::rows::{Content, DeadRow, EntryRow, SinkRow};
use crate::alert::Action;
use crate::error::NotifyError;
use redb::WriteTransaction;

/// The longest answer that is kept, in bytes.
const ANSWER_BYTES_MAX: usize = 4096;

/// What became of an entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is there.
    Delivered,
    /// It will never be taken; with what the other side said.
    Refused(String),
    /// The message that it was in with others is never taken: one of them is at fault, so each goes by itself from now on.
    Apart(String),
}

/// An entry that came back and is not to be tried again as it was.
#[derive(Clone, Debug)]
pub(crate) struct Settled {
    pub(crate) number: u64,
    pub(crate) content: Content,
    pub(crate) outcome: Outcome,
}

/// What an entry becomes.
enum Left {
    Nothing,
    /// While it was on its way, more was told of its incident; or it goes by itself now.
    Entry(EntryRow),
}

impl Outbox {
    /// Notes deliveries of one sink, and what went wrong with others.
    ///
    /// # Errors
    /// A file that cannot be written; the entries are delivered once more then.
    pub(crate) fn settle(
        &self,
        sink: &str,
        settled: &[Settled],
        error: Option<&str>,
        now: i64,
    ) -> Result<(), NotifyError> {
        let mut state = self.state();
        let left = self.file.write(|transaction| {
            let mut stored = sink_row(transaction, sink)?;
            let mut left = Vec::new();
            for settled in settled {
                match &settled.outcome {
                    Outcome::Delivered => {
                        stored.delivered += 1;
                        stored.last_delivered = Some(now);
                    }
                    Outcome::Refused(answer) => {
                        stored.refused += 1;
                        bury(transaction, sink, settled, answer, now)?;
                        (stored.last_error, stored.last_error_time) = (Some(shortened(answer)), Some(now));
                    }
                    Outcome::Apart(answer) => {
                        (stored.last_error, stored.last_error_time) = (Some(shortened(answer)), Some(now));
                        if let Some(entry) = set_apart(transaction, sink, settled.number, now)? {
                            left.push((settled.number, Left::Entry(entry)));
                        }
                        continue;
                    }
                }
                left.push((settled.number, remove(transaction, sink, settled)?));
            }
            if let Some(error) = error {
                (stored.last_error, stored.last_error_time) = (Some(shortened(error)), Some(now));
            }
            transaction.open_table(SINKS)?.insert(sink, bytes(&stored)?.as_slice())?;
            Ok(left)
        })?;
        for (number, left) in left {
            match left {
                Left::Nothing => state.queue(sink).remove(number),
                Left::Entry(entry) => state.queue(sink).insert(number, super::waiting(&entry)),
            }
        }
        let refused = settled.iter().filter(|settled| matches!(settled.outcome, Outcome::Refused(_))).count();
        state.dead += refused as u64;
        state.may_have_untold |= refused > 0;
        Ok(())
    }

    /// Dead letters are in the log now.
    ///
    /// # Errors
    /// A file that cannot be written; they are written once more then.
    pub(crate) fn told(&self, letters: &[(String, u64)]) -> Result<(), NotifyError> {
        self.file.write(|transaction| {
            let mut table = transaction.open_table(DEAD)?;
            for (sink, number) in letters {
                let dead = find::<_, DeadRow>(&table, (sink.as_str(), *number))?;
                if let Some(dead) = dead {
                    let dead = DeadRow { is_told: true, ..dead };
                    table.insert((sink.as_str(), *number), bytes(&dead)?.as_slice())?;
                }
            }
            Ok(())
        })
    }
}

pub(super) fn sink_row(transaction: &WriteTransaction, sink: &str) -> Result<SinkRow, Fault> {
    let table = transaction.open_table(SINKS)?;
    let stored = find(&table, sink)?;
    Ok(stored.unwrap_or_default())
}

fn bury(transaction: &WriteTransaction, sink: &str, settled: &Settled, answer: &str, now: i64) -> Result<(), Fault> {
    let dead = DeadRow { content: settled.content.clone(), answer: shortened(answer), time: now, is_told: false };
    transaction.open_table(DEAD)?.insert((sink, settled.number), bytes(&dead)?.as_slice())?;
    Ok(())
}

/// Leaves an entry in its queue, to be delivered by itself.
fn set_apart(transaction: &WriteTransaction, sink: &str, number: u64, now: i64) -> Result<Option<EntryRow>, Fault> {
    let mut queue = transaction.open_table(QUEUE)?;
    let Some(mut entry) = find::<_, EntryRow>(&queue, (sink, number))? else { return Ok(None) };
    (entry.is_bundled, entry.due) = (false, now);
    queue.insert((sink, number), bytes(&entry)?.as_slice())?;
    Ok(Some(entry))
}

/// Takes an entry out of its queue, unless something newer took its place while it was on its way.
fn remove(transaction: &WriteTransaction, sink: &str, settled: &Settled) -> Result<Left, Fault> {
    let mut queue = transaction.open_table(QUEUE)?;
    let place = (sink, settled.number);
    let entry = find::<_, EntryRow>(&queue, place)?;
    match entry {
        Some(mut entry) if entry.content != settled.content => {
            if let Content::Alert(alert) = &mut entry.content
                && alert.action == Action::Open
                && settled.outcome == Outcome::Delivered
            {
                alert.action = Action::Update;
            }
            queue.insert(place, bytes(&entry)?.as_slice())?;
            Ok(Left::Entry(entry))
        }
        _ => {
            queue.remove(place)?;
            Ok(Left::Nothing)
        }
    }
}

fn shortened(text: &str) -> String {
    let mut end = text.len().min(ANSWER_BYTES_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}
