//! The fixed words of the columns and the commonest texts of logs, each looked up once in a decode call. Not their meaning.

use tradewind_model::outcome::{ConnectionResult, Outcome, Verdict};
use tradewind_model::{FlowBatch, NULL_CODE, TextCol};

/// A word of one column and its code, once it has one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Word {
    text: &'static str,
    code: u32,
}

impl Word {
    const fn new(text: &'static str) -> Self {
        Self { text, code: NULL_CODE }
    }

    /// Sets the column of the row being built to this word; it is always the same column.
    #[inline]
    pub(super) fn set(&mut self, column: TextCol, flows: &mut FlowBatch) {
        if self.code == NULL_CODE {
            self.code = flows.text_mut(column).intern(self.text);
        }
        flows.set_code(column, self.code);
    }
}

macro_rules! words {
    ($($(#[doc = $doc:literal])* $field:ident = $word:literal;)*) => {
        /// The words without a type of their own. Invariant: the batch is not cleared while they are in use.
        #[derive(Debug)]
        pub(super) struct Words {
            $($(#[doc = $doc])* pub(super) $field: Word,)*
            verdicts: [Word; Verdict::ALL.len()],
            results: [Word; ConnectionResult::ALL.len()],
            outcomes: [Word; Outcome::ALL.len()],
        }

        impl Default for Words {
            fn default() -> Self {
                Self {
                    $($field: Word::new($word),)*
                    verdicts: std::array::from_fn(|index| Word::new(Verdict::ALL[index].as_str())),
                    results: std::array::from_fn(|index| Word::new(ConnectionResult::ALL[index].as_str())),
                    outcomes: std::array::from_fn(|index| Word::new(Outcome::ALL[index].as_str())),
                }
            }
        }
    };
}

words! {
    /// Of the column `vantage`.
    source = "source";
    /// Of the column `vantage`.
    destination = "destination";
    /// Of the column `vantage`.
    proxy = "proxy";
    /// Of the column `record_kind`.
    request = "request";
    /// Of the column `record_kind`.
    connection = "connection";
    /// Of the column `protocol`.
    tcp = "tcp";
    /// Of the column `protocol`.
    udp = "udp";
    /// Of the column `app_protocol`.
    http = "http";
    /// Of the column `app_protocol`.
    grpc = "grpc";
    /// Of the column `encryption`.
    tls = "tls";
    /// Of the column `encryption`.
    mtls = "mtls";
    /// Of the column `time_quality`.
    missing = "missing";
    /// Of the column `operation`.
    get = "GET";
    /// Of the column `operation`.
    post = "POST";
    /// Of the column `operation`.
    put = "PUT";
    /// Of the column `operation`.
    delete = "DELETE";
    /// Of the column `operation_status`.
    ok = "200";
    /// Of the column `outcome_reason`.
    via_upstream = "via_upstream";
}

impl Words {
    // The lists `ALL` are in declaration order, so a value's number is its place.

    pub(super) fn verdict(&mut self, verdict: Verdict) -> &mut Word {
        &mut self.verdicts[verdict as usize]
    }

    pub(super) fn result(&mut self, result: ConnectionResult) -> &mut Word {
        &mut self.results[result as usize]
    }

    pub(super) fn outcome(&mut self, outcome: Outcome) -> &mut Word {
        &mut self.outcomes[outcome as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tradewind_model::flow::{OUTCOME, RESULT, VERDICT};

    #[test]
    fn each_value_has_its_own_word() {
        let (mut words, mut flows) = (Words::default(), FlowBatch::default());
        for _ in 0..2 {
            for (index, &result) in ConnectionResult::ALL.iter().enumerate() {
                let verdict = Verdict::ALL[index % Verdict::ALL.len()];
                let outcome = Outcome::ALL[index % Outcome::ALL.len()];
                words.result(result).set(RESULT, &mut flows);
                words.verdict(verdict).set(VERDICT, &mut flows);
                words.outcome(outcome).set(OUTCOME, &mut flows);
                flows.end_row();
                let row = flows.len() - 1;
                let found = [VERDICT, RESULT, OUTCOME].map(|column| flows.text(column).get(row));
                assert_eq!(found, [verdict.as_str(), result.as_str(), outcome.as_str()].map(Some));
            }
        }
    }
}
