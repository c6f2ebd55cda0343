//! A test without its server skips and says so; where servers are required it fails.

use std::io::Write as _;

use crate::ServerError;

/// Set to `1` where everything is installed, so that a server that cannot be had is a failure and no test passes by not running.
const REQUIRE: &str = "TRADEWIND_REQUIRE_SERVERS";

/// The server; `None`, after a line `SKIPPED: …` on standard error, where it cannot be had on this machine.
///
/// # Panics
/// When the server can be had but failed, and when `TRADEWIND_REQUIRE_SERVERS` is `1`.
#[allow(clippy::panic)]
pub fn available<T>(server: Result<T, ServerError>) -> Option<T> {
    let is_required = std::env::var_os(REQUIRE).is_some_and(|value| value == "1");
    match server {
        Ok(server) => Some(server),
        Err(error) if may_skip(&error, is_required) => {
            // Not by `eprintln!`, which the test harness keeps to itself when a test passes. A test that cannot even say so
            // still must not fail for it.
            writeln!(std::io::stderr(), "SKIPPED: {error}").ok();
            None
        }
        Err(error) => panic!("{error}"),
    }
}

fn may_skip(error: &ServerError, is_required: bool) -> bool {
    !is_required && matches!(error, ServerError::Unavailable { .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_cannot_be_had_and_is_not_required_is_skipped() {
        let unavailable = ServerError::Unavailable { part: "kafka", reason: "no java".to_owned() };
        let failed = ServerError::NoPort { from: 1, to: 2 };
        assert_eq!([may_skip(&unavailable, false), may_skip(&unavailable, true)], [true, false]);
        assert_eq!([may_skip(&failed, false), may_skip(&failed, true)], [false, false]);
    }

    #[test]
    #[should_panic(expected = "no free port")]
    fn what_fails_is_a_failure() {
        available::<u8>(Err(ServerError::NoPort { from: 1, to: 2 }));
    }
}
