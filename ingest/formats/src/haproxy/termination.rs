//! HAProxy's termination states to verdict and result.
//!
//! Source: HAProxy, configuration manual, section 8.5 "Session state at disconnection": the first letter says who ended the
//! session, the second in which phase.

use tradewind_model::outcome::{ConnectionResult, Verdict};

/// What a state says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Judgement {
    pub(super) verdict: Option<Verdict>,
    pub(super) result: Option<ConnectionResult>,
    /// Why, for a person; none where nothing went wrong.
    pub(super) reason: Option<&'static str>,
}

const fn of(verdict: Option<Verdict>, result: ConnectionResult, reason: &'static str) -> Judgement {
    Judgement { verdict, result: Some(result), reason: Some(reason) }
}

const fn denied(reason: &'static str) -> Judgement {
    Judgement { verdict: Some(Verdict::Denied), result: None, reason: Some(reason) }
}

/// The judgement of a state such as `--`, `SC`, `cD` or `PR--`; none in both for letters that are not known. `status` is the HTTP
/// status: HAProxy's own answers to a denied request are 401, 403, 407, 410 and 429.
pub(super) fn judge(state: &str, status: Option<i64>) -> Judgement {
    use ConnectionResult::{Error, Established, Refused, Reset, Timeout};
    let mut letters = state.chars();
    let (who, phase) = (letters.next().unwrap_or('-'), letters.next().unwrap_or('-'));
    match (who, phase) {
        ('-', _) => Judgement { verdict: None, result: Some(Established), reason: None },
        ('L', _) => of(None, Established, "answered by HAProxy itself"),
        // An invalid request is answered with 400, one that a rule refuses with another status.
        ('P', 'R') if status == Some(400) => of(None, Error, "an invalid request"),
        ('P', 'R') => denied("denied by a rule, or an invalid request"),
        ('P', 'T') => denied("tarpitted by a rule"),
        ('P', 'H') => denied("the answer was denied by a rule, or is invalid"),
        ('P', 'C') => of(None, Error, "no connection to the server: a limit of HAProxy"),
        ('P', _) => of(None, Error, "ended by HAProxy"),
        ('S', 'C') => of(None, Refused, "the server refused the connection, or there is none"),
        ('S', 'Q' | 'R') => of(None, Error, "the server did not take the request"),
        ('S', 'H') => of(None, Reset, "the server ended the connection before its answer"),
        ('s', 'C' | 'Q' | 'H' | 'R') => of(None, Timeout, "the server did not answer in time"),
        ('C', 'R' | 'Q' | 'C' | 'H' | 'T') => of(None, Reset, "the client went away before the answer"),
        ('c', 'R' | 'Q' | 'C' | 'H' | 'T') => of(None, Timeout, "the client did not go on in time"),
        ('C' | 'S', 'D' | 'L') => of(None, Established, "cut in the data"),
        ('c' | 's', 'D' | 'L') => of(None, Established, "cut in the data after a time-out"),
        ('R', _) => of(None, Error, "a resource of HAProxy is exhausted"),
        ('I', _) => of(None, Error, "an internal error of HAProxy"),
        ('D', _) => of(None, Error, "the server was found to be down"),
        ('U', _) => of(None, Error, "a backup server's session ended when the active one came up"),
        ('K', _) => of(None, Error, "killed by an administrator"),
        ('C' | 'S' | 'c' | 's', '-') => of(None, Established, "ended by the other side"),
        _ => Judgement { verdict: None, result: None, reason: None },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tradewind_model::outcome::outcome;

    #[test]
    fn states() {
        for (states, expected) in [
            ("-- ---- LR-- LH CD cD SD sD sDVN", "allowed"),
            ("PR PT PH", "denied"),
            ("SC sC sQ SQ CC cC CQ cQ CR cR SH sH PC RC IH DC UC KC CH cH PD", "failed"),
            ("XX ?? é", "unknown"),
        ] {
            for state in states.split(' ') {
                let judgement = judge(state, None);
                assert_eq!(outcome(judgement.verdict, judgement.result).as_str(), expected, "{state}");
            }
        }
        assert_eq!(judge("PR", Some(400)).result, Some(ConnectionResult::Error));
        assert_eq!(judge("PR", Some(403)).verdict, Some(Verdict::Denied));
    }
}
