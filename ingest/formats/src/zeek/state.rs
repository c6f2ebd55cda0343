//! `conn_state` to what became of the connection, and `history` to who opened it. Zeek sees packets, not policies, so there
//! is no verdict: what a firewall drops silently looks like a host that does not answer.
//!
//! Source: Zeek, "base/protocols/conn/main.zeek", fields `conn_state` and `history`; "Connection Handling", "Flipping
//! Connections".

use tradewind_model::outcome::ConnectionResult;
use tradewind_model::protocol::TCP;

macro_rules! states {
    ($($(#[doc = $doc:literal])* $variant:ident $word:literal,)*) => {
        /// The states that Zeek defines.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(super) enum State { $($(#[doc = $doc])* $variant,)* }

        impl State {
            pub(super) const ALL: [Self; 13] = [$(Self::$variant),*];

            /// The word in the log.
            pub(super) const fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }

            /// The state of a word; none for one that Zeek does not define.
            #[inline]
            pub(super) fn of(word: &str) -> Option<Self> {
                Some(match word { $($word => Self::$variant,)* _ => return None })
            }
        }
    };
}

states! {
    /// Connection attempt seen, no reply.
    S0 "S0",
    /// Established, not terminated.
    S1 "S1",
    /// Established, the originator tried to close it.
    S2 "S2",
    /// Established, the responder tried to close it.
    S3 "S3",
    /// Normal establishment and termination.
    Sf "SF",
    /// Connection attempt rejected.
    Rejected "REJ",
    /// Established, the originator aborted it.
    ResetByOriginator "RSTO",
    /// The responder sent a reset.
    ResetByResponder "RSTR",
    /// SYN and then a reset by the originator, no SYN-ACK seen.
    ResetBeforeReply "RSTOS0",
    /// SYN-ACK and then a reset by the responder, no SYN seen.
    ResetUnseenOriginator "RSTRH",
    /// SYN and then FIN by the originator, no SYN-ACK seen.
    HalfOpen "SH",
    /// SYN-ACK and then FIN by the responder, no SYN seen.
    HalfOpenUnseenOriginator "SHR",
    /// No SYN seen: midstream traffic.
    Other "OTH",
}

/// What a record tells beside its state; none where it does not say.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Evidence<'a> {
    pub(super) protocol: Option<i64>,
    pub(super) history: &'a str,
    pub(super) responder_bytes: Option<i64>,
    pub(super) originator_packets: Option<i64>,
    pub(super) responder_packets: Option<i64>,
}

/// What became of the connection; none where that was not seen.
///
/// One-sided captures (`SHR`, `RSTRH`) show nothing. Without TCP, `S0` shows only that no reply came, which is normal for
/// one-way traffic.
#[inline]
pub(super) fn result(state: State, evidence: &Evidence<'_>) -> Option<ConnectionResult> {
    use ConnectionResult::{Established, Refused, Reset, Timeout};
    match state {
        State::Sf | State::S1 | State::S2 | State::S3 | State::ResetByOriginator => Some(Established),
        State::ResetByResponder => {
            let sent_data = evidence.history.contains(['d', 'D']);
            Some(if evidence.responder_bytes == Some(0) && !sent_data { Reset } else { Established })
        }
        State::S0 => (evidence.protocol == Some(TCP)).then_some(Timeout),
        // The originator closed what the responder never answered.
        State::HalfOpen => Some(Timeout),
        State::Rejected => Some(Refused),
        State::ResetBeforeReply => Some(Reset),
        State::HalfOpenUnseenOriginator | State::ResetUnseenOriginator => None,
        State::Other => {
            let sent = |packets: Option<i64>| packets.is_some_and(|packets| packets > 0);
            (sent(evidence.originator_packets) && sent(evidence.responder_packets)).then_some(Established)
        }
    }
}

/// How it is known that the originator opened the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opener {
    /// Zeek saw it open.
    Log,
    /// Zeek exchanged the ends, since the first packet it saw was a SYN-ACK.
    TcpFlags,
    /// Zeek exchanged the ends, since the first packet it saw came from the port of a service.
    Port,
    /// Zeek took the sender of the first packet it saw in the middle of a connection.
    Unknown,
}

/// Who opened the connection, by `history`: `^` says that Zeek exchanged the ends, an upper-case letter is the
/// originator's, a lower-case one the responder's, `s` is SYN and `h` SYN-ACK. Where the log has no history, the state
/// tells whether the opening was seen.
#[inline]
pub(super) fn opener(state: Option<State>, protocol: Option<i64>, history: &str) -> Opener {
    match history.as_bytes() {
        [b'^', b'h', ..] => Opener::TcpFlags,
        [b'^', ..] => Opener::Port,
        _ if protocol != Some(TCP) => Opener::Log,
        [b'S', ..] => Opener::Log,
        [] if state.is_some_and(|state| state != State::Other) => Opener::Log,
        letters if letters.iter().any(|letter| matches!(letter, b'S' | b'h')) => Opener::Log,
        _ => Opener::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ConnectionResult::{Established, Refused, Reset, Timeout};
    use tradewind_model::protocol::{ICMP, UDP};

    #[test]
    fn words_lead_back() {
        for (place, state) in State::ALL.into_iter().enumerate() {
            assert_eq!(State::of(state.word()), Some(state));
            assert_eq!(state as usize, place);
        }
        assert_eq!(State::of("s0"), None);
    }

    #[test]
    fn states_of_tcp() {
        fn check(word: &str, history: &str, counts: [i64; 3], expected: Option<ConnectionResult>) {
            let evidence = Evidence {
                protocol: Some(TCP),
                history,
                responder_bytes: Some(counts[0]),
                originator_packets: Some(counts[1]),
                responder_packets: Some(counts[2]),
            };
            assert_eq!(result(State::of(word).expect(word), &evidence), expected, "{word} {history} {counts:?}");
        }
        for word in ["SF", "S1", "S2", "S3", "RSTO"] {
            check(word, "ShA", [0, 2, 1], Some(Established));
        }
        check("RSTR", "ShADdr", [10, 3, 3], Some(Established));
        check("RSTR", "ShADr", [0, 3, 2], Some(Established));
        check("RSTR", "ShAr", [0, 2, 2], Some(Reset));
        check("RSTR", "", [0, 2, 2], Some(Reset));
        check("S0", "S", [0, 1, 0], Some(Timeout));
        check("SH", "SF", [0, 2, 0], Some(Timeout));
        check("REJ", "Sr", [0, 1, 1], Some(Refused));
        check("RSTOS0", "SR", [0, 2, 0], Some(Reset));
        check("SHR", "^hf", [0, 0, 2], None);
        check("RSTRH", "^hr", [0, 0, 2], None);
        check("OTH", "DdA", [1, 1, 1], Some(Established));
        check("OTH", "D", [0, 1, 0], None);
        check("OTH", "d", [0, 0, 1], None);
    }

    #[test]
    fn states_without_tcp() {
        fn check(protocol: Option<i64>, word: &str, packets: Option<i64>, expected: Option<ConnectionResult>) {
            let evidence =
                Evidence { protocol, originator_packets: Some(1), responder_packets: packets, ..Evidence::default() };
            assert_eq!(result(State::of(word).expect(word), &evidence), expected, "{protocol:?} {word}");
        }
        check(Some(UDP), "SF", Some(1), Some(Established));
        check(Some(UDP), "S0", Some(0), None);
        check(Some(UDP), "SHR", Some(1), None);
        check(Some(ICMP), "OTH", Some(1), Some(Established));
        check(Some(ICMP), "OTH", Some(0), None);
        check(None, "OTH", None, None);
        check(None, "S0", Some(0), None);
    }

    #[test]
    fn who_opened_it() {
        fn check(protocol: i64, word: &str, history: &str, expected: Opener) {
            assert_eq!(opener(State::of(word), Some(protocol), history), expected, "{protocol} {word} {history}");
        }
        check(TCP, "SF", "ShADadfF", Opener::Log);
        check(TCP, "SF", "CShA", Opener::Log);
        check(TCP, "SHR", "hCcdafA", Opener::Log);
        check(TCP, "SHR", "^hCcdafA", Opener::TcpFlags);
        check(TCP, "OTH", "^dA", Opener::Port);
        check(TCP, "OTH", "DdA", Opener::Unknown);
        check(TCP, "OTH", "H", Opener::Unknown);
        check(TCP, "OTH", "C", Opener::Unknown);
        check(TCP, "OTH", "", Opener::Unknown);
        check(TCP, "", "", Opener::Unknown);
        check(TCP, "SF", "", Opener::Log);
        check(UDP, "SF", "Dd", Opener::Log);
        check(UDP, "SF", "^Dd", Opener::Port);
        check(ICMP, "OTH", "", Opener::Log);
    }
}
