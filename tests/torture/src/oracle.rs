//! Knows of each record that was sent whether it was acknowledged, and judges what is found afterwards. It reads nothing itself.

use crate::traffic::{Number, Traffic};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, PoisonError};

/// What became of a request, or of lines in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The service has said that it holds them, or they are whole lines of a file: exactly once.
    Acknowledged,
    /// Sent, and never acknowledged: once or not at all.
    Unknown,
}

/// Records `first..first + count` of one producer and epoch, which went together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent {
    pub(crate) first: Number,
    pub(crate) count: u64,
    pub(crate) fate: Fate,
}

/// All that was sent.
#[derive(Debug, Default)]
pub(crate) struct Oracle {
    sent: Mutex<Vec<Sent>>,
}

/// How many records are expected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) flows: u64,
    pub(crate) letters: u64,
    /// Records that may be there or not.
    pub(crate) unknown: u64,
}

/// A row of table `flows`, as far as it is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) account: String,
    pub(crate) src: String,
    pub(crate) dst: String,
    pub(crate) src_port: String,
    pub(crate) dst_port: String,
    pub(crate) bytes: String,
}

/// What is right and wrong with what was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Judgement {
    /// Acknowledged records, malformed ones among them.
    pub(crate) acknowledged: u64,
    /// Records of which nobody knows.
    pub(crate) unknown: u64,
    /// Rows of table `flows`.
    pub(crate) in_lake: u64,
    /// Acknowledged records that are nowhere.
    pub(crate) missing: u64,
    /// Rows and dead letters beyond the first of a record.
    pub(crate) doubled: u64,
    /// Rows and dead letters of no record that was sent, that say something else than their record, or lie in the wrong table.
    pub(crate) foreign: u64,
    pub(crate) letters_expected: u64,
    pub(crate) letters_found: u64,
    /// Some of what is wrong, for a person.
    pub(crate) examples: Vec<String>,
}

const EXAMPLES_MAX: usize = 20;

impl Judgement {
    pub(crate) fn is_right(&self) -> bool {
        self.missing == 0 && self.doubled == 0 && self.foreign == 0 && self.letters_expected == self.letters_found
    }

    fn note(&mut self, example: impl FnOnce() -> String) {
        if self.examples.len() < EXAMPLES_MAX {
            self.examples.push(example());
        }
    }
}

impl Oracle {
    pub(crate) fn add(&self, sent: Sent) {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner).push(sent);
    }

    /// How many rows and dead letters there have to be.
    pub(crate) fn expected(&self, traffic: &Traffic) -> Expected {
        let mut expected = Expected::default();
        self.each(|number, fate| match fate {
            Fate::Unknown => expected.unknown += 1,
            Fate::Acknowledged if traffic.is_malformed(number) => expected.letters += 1,
            Fate::Acknowledged => expected.flows += 1,
        });
        expected
    }

    fn each(&self, mut visit: impl FnMut(Number, Fate)) {
        for sent in self.sent.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            for step in 0..sent.count {
                visit(Number { index: sent.first.index + step, ..sent.first }, sent.fate);
            }
        }
    }

    /// Holds rows and dead letters, given by the text that was rejected, against what was sent.
    pub(crate) fn judge(&self, traffic: &Traffic, rows: &[Row], letters: &[String]) -> Judgement {
        let mut judged = Judgement::default();
        let mut fates: HashMap<Number, Fate> = HashMap::new();
        self.each(|number, fate| {
            fates.insert(number, fate);
        });
        let mut found: HashMap<Number, u64> = HashMap::new();
        for row in rows {
            judged.in_lake += 1;
            let number = Number::parse(&row.account).filter(|number| fates.contains_key(number));
            match number.filter(|&number| !traffic.is_malformed(number) && says(traffic, number, row)) {
                Some(number) => *found.entry(number).or_default() += 1,
                None => {
                    judged.foreign += 1;
                    judged.note(|| format!("foreign row {row:?}"));
                }
            }
        }
        for letter in letters {
            let number = letter.split(' ').nth(1).and_then(Number::parse).filter(|number| fates.contains_key(number));
            match number.filter(|&number| traffic.is_malformed(number) && traffic.line(number) == *letter) {
                Some(number) => {
                    judged.letters_found += 1;
                    *found.entry(number).or_default() += 1;
                }
                None => {
                    judged.foreign += 1;
                    judged.note(|| format!("foreign dead letter {letter:?}"));
                }
            }
        }
        let mut lost: BTreeMap<(u64, u64), u64> = BTreeMap::new();
        for (number, fate) in fates {
            let times = found.get(&number).copied().unwrap_or_default();
            if fate == Fate::Unknown {
                judged.unknown += 1;
                judged.letters_expected += u64::from(traffic.is_malformed(number) && times > 0);
            } else {
                judged.acknowledged += 1;
                judged.letters_expected += u64::from(traffic.is_malformed(number));
                if times == 0 {
                    judged.missing += 1;
                    *lost.entry((number.epoch, number.lane)).or_default() += 1;
                }
            }
            if times > 1 {
                judged.doubled += times - 1;
                judged.note(|| format!("{} is there {times} times", number.text()));
            }
        }
        for ((epoch, lane), count) in lost {
            judged.note(|| format!("{count} records of epoch {epoch}, producer {lane} are missing"));
        }
        judged
    }
}

/// Whether a row says what its record said, whichever end was found to have opened the connection.
fn says(traffic: &Traffic, number: Number, row: &Row) -> bool {
    let flow = traffic.flow(number);
    let (src, dst) = ((flow.src, flow.src_port.to_string()), (flow.dst, flow.dst_port.to_string()));
    let found = ((row.src.clone(), row.src_port.clone()), (row.dst.clone(), row.dst_port.clone()));
    row.bytes == flow.bytes.to_string() && (found == (src.clone(), dst.clone()) || found == (dst, src))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const TRAFFIC: Traffic = Traffic { seed: 1, lanes: 1, epoch_records: 400 };

    fn number(index: u64) -> Number {
        Number { epoch: 0, lane: 0, index }
    }

    fn row(number: Number) -> Row {
        let flow = TRAFFIC.flow(number);
        Row {
            account: number.text(),
            src: flow.src,
            dst: flow.dst,
            src_port: flow.src_port.to_string(),
            dst_port: flow.dst_port.to_string(),
            bytes: flow.bytes.to_string(),
        }
    }

    /// Records 0..200 acknowledged and 200..220 unknown, all found as they should be, then changed; missing, doubled, foreign.
    fn check(change: impl FnOnce(&mut Vec<Row>, &mut Vec<String>), expected: [u64; 3]) -> Judgement {
        let oracle = Oracle::default();
        oracle.add(Sent { first: number(0), count: 200, fate: Fate::Acknowledged });
        oracle.add(Sent { first: number(200), count: 20, fate: Fate::Unknown });
        let (bad, good): (Vec<Number>, Vec<Number>) =
            (0..200).map(number).partition(|&number| TRAFFIC.is_malformed(number));
        let mut rows: Vec<Row> = good.into_iter().map(row).collect();
        let mut letters: Vec<String> = bad.into_iter().map(|number| TRAFFIC.line(number)).collect();
        change(&mut rows, &mut letters);
        let judged = oracle.judge(&TRAFFIC, &rows, &letters);
        assert_eq!([judged.missing, judged.doubled, judged.foreign], expected, "{judged:?}");
        judged
    }

    #[test]
    fn all_is_well() {
        let judged = check(|_, _| {}, [0, 0, 0]);
        assert!(judged.is_right());
        assert_eq!((judged.acknowledged, judged.unknown), (200, 20));
        assert!(judged.letters_expected > 0);
    }

    #[test]
    fn what_is_lost_doubled_or_changed_is_told() {
        check(|rows, _| drop(rows.pop()), [1, 0, 0]);
        check(|_, letters| drop(letters.pop()), [1, 0, 0]);
        check(|rows, _| rows.push(rows[0].clone()), [0, 1, 0]);
        check(|_, letters| letters.push(letters[0].clone()), [0, 1, 0]);
        check(|rows, _| rows[0].bytes = "1".to_owned(), [1, 0, 1]);
        check(|rows, _| rows.push(row(number(300))), [0, 0, 1]);
        check(|_, letters| letters.push("what".to_owned()), [0, 0, 1]);
    }

    #[test]
    fn who_opened_is_no_matter() {
        let swap = |rows: &mut Vec<Row>, _: &mut Vec<String>| {
            let row = &mut rows[0];
            std::mem::swap(&mut row.src, &mut row.dst);
            std::mem::swap(&mut row.src_port, &mut row.dst_port);
        };
        check(swap, [0, 0, 0]);
    }

    #[test]
    fn what_was_never_acknowledged_may_be_there_once() {
        let well_formed = (200..220).map(number).find(|&number| !TRAFFIC.is_malformed(number)).unwrap();
        check(|rows, _| rows.push(row(well_formed)), [0, 0, 0]);
        check(|rows, _| rows.extend([row(well_formed), row(well_formed)]), [0, 1, 0]);
    }
}
