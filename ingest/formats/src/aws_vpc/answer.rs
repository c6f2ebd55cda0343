//! What a record says happened, as verdict, result and outcome.
//!
//! ACCEPT and REJECT are the word of security groups and network ACLs, so they are a verdict; that packets passed does not
//! show that anything answered, so the result stays null. A Transit Gateway has no policy: what it forwarded is
//! `established`, what it lost in full is an error.

use super::field::Field;
use crate::contract::Decoded;
use crate::word::Word;
use tradewind_model::flow;
use tradewind_model::outcome::{ConnectionResult, Outcome, Verdict, outcome};

/// One way a record can end.
#[derive(Debug)]
pub(super) struct Answer {
    verdict: Option<Word>,
    result: Option<Word>,
    outcome: Word,
    status: Option<Word>,
}

impl Answer {
    fn new(verdict: Option<Verdict>, result: Option<ConnectionResult>, status: Option<&'static str>) -> Self {
        Self {
            verdict: verdict.map(|verdict| Word::new(flow::VERDICT, verdict.as_str())),
            result: result.map(|result| Word::new(flow::RESULT, result.as_str())),
            outcome: Word::new(flow::OUTCOME, Outcome::as_str(outcome(verdict, result))),
            status: status.map(|status| Word::new(flow::STATUS_CODE, status)),
        }
    }

    #[inline]
    pub(super) fn set(&mut self, out: &mut Decoded) {
        if let Some(word) = &mut self.verdict {
            word.set(out);
        }
        if let Some(word) = &mut self.result {
            word.set(out);
        }
        if let Some(word) = &mut self.status {
            word.set(out);
        }
        self.outcome.set(out);
    }
}

/// All ways a record can end.
#[derive(Debug)]
pub(super) struct Answers {
    pub(super) accept: Answer,
    pub(super) reject: Answer,
    pub(super) unstated: Answer,
    pub(super) forwarded: Answer,
    pub(super) lost: Answer,
}

impl Default for Answers {
    fn default() -> Self {
        Self {
            accept: Answer::new(Some(Verdict::Allowed), None, Some("ACCEPT")),
            reject: Answer::new(Some(Verdict::Denied), None, Some("REJECT")),
            unstated: Answer::new(None, None, None),
            forwarded: Answer::new(None, Some(ConnectionResult::Established), None),
            lost: Answer::new(None, Some(ConnectionResult::Error), None),
        }
    }
}

/// The counters of packets that a Transit Gateway lost.
pub(super) const LOST: [Field; 4] = [
    Field::PacketsLostNoRoute,
    Field::PacketsLostBlackhole,
    Field::PacketsLostMtuExceeded,
    Field::PacketsLostTtlExpired,
];

/// `encryption-status`: 0 not encrypted, 1 by the Nitro system between instances, 2 by the application (TLS to a service
/// endpoint), 3 by both. None for a word that is not one of these.
///
/// Source: AWS, "Flow log records", field `encryption-status`.
pub(super) fn encryption(status: &str) -> Option<&'static str> {
    match status {
        "0" => Some("none"),
        "1" => Some("vnet"),
        "2" | "3" => Some("tls"),
        _ => None,
    }
}
