//! Two facts and one answer: what the observer's policy decided, what became of the connection, and how it ended.

/// What the observer's own policy decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It let the traffic pass.
    Allowed,
    /// It stopped the traffic.
    Denied,
    /// It would have stopped the traffic, but only logs.
    Audited,
}

/// What became of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ConnectionResult {
    /// Both ends exchanged something.
    Established,
    /// The responder or a box before it refused.
    Refused,
    /// Nothing answered in time.
    Timeout,
    /// Reset before anything was established. A reset later leaves `Established`, with a reason.
    Reset,
    /// No route, no backend, TLS or protocol failure.
    Error,
}

/// The one answer a reader needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// A policy let it pass, or it was established.
    Allowed,
    /// A policy stopped it.
    Denied,
    /// It was tried and did not work.
    Failed,
    /// The log does not say.
    Unknown,
}

/// Makes the outcome of both facts; first match wins: denied, failed, allowed, unknown.
///
/// An audited verdict let the traffic pass, so it counts as allowed.
#[must_use]
pub fn outcome(verdict: Option<Verdict>, result: Option<ConnectionResult>) -> Outcome {
    use ConnectionResult::{Error, Established, Refused, Reset, Timeout};
    match (verdict, result) {
        (Some(Verdict::Denied), _) => Outcome::Denied,
        (_, Some(Refused | Timeout | Error | Reset)) => Outcome::Failed,
        (Some(Verdict::Allowed | Verdict::Audited), _) | (None, Some(Established)) => Outcome::Allowed,
        (None, None) => Outcome::Unknown,
    }
}

macro_rules! words {
    ($ty:ident { $($variant:ident => $word:literal),* $(,)? }) => {
        impl $ty {
            /// Every value, in declaration order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The word in the column.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }

            /// The value of a word, if it is one.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)* _ => None }
            }
        }
    };
}
pub(crate) use words;

words!(Verdict { Allowed => "allowed", Denied => "denied", Audited => "audited" });
words!(ConnectionResult {
    Established => "established", Refused => "refused", Timeout => "timeout", Reset => "reset", Error => "error",
});
words!(Outcome { Allowed => "allowed", Denied => "denied", Failed => "failed", Unknown => "unknown" });

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pair_has_its_answer() {
        let table: Vec<String> = [None, Some(Verdict::Allowed), Some(Verdict::Audited), Some(Verdict::Denied)]
            .into_iter()
            .map(|verdict| {
                std::iter::once(None)
                    .chain(ConnectionResult::ALL.iter().copied().map(Some))
                    .map(|result| outcome(verdict, result).as_str())
                    .collect::<Vec<_>>()
                    .join(" ")
            })
            .collect();
        assert_eq!(
            table,
            [
                "unknown allowed failed failed failed failed",
                "allowed allowed failed failed failed failed",
                "allowed allowed failed failed failed failed",
                "denied denied denied denied denied denied",
            ]
        );
    }
}
