//! Response flags and details to verdict, result and policy. Not the columns.
//!
//! Source: Envoy, "Access logging", `%RESPONSE_FLAGS%` (each flag with its meaning and response code) and
//! `%RESPONSE_CODE_DETAILS%`; Envoy, "RBAC filter" (`rbac_access_denied_matched_policy[NAME]`, in
//! `%CONNECTION_TERMINATION_DETAILS%` for TCP); "External Authorization" (`ext_authz_denied`, flag `UAEX`); "JWT
//! Authentication" (`jwt_authn_access_denied{…}`). Rate limits (`RL`) are the proxy's own refusal and so a denial.

use tradewind_model::Verdict;
use tradewind_model::outcome::ConnectionResult;

/// What a record says of its end.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Evidence<'r> {
    /// Short or long flags, without `-`.
    pub(super) flags: Option<&'r str>,
    /// Whether the log has a field for flags at all.
    pub(super) flags_logged: bool,
    pub(super) is_http: bool,
    pub(super) code: Option<i64>,
    pub(super) bytes_sent: Option<i64>,
    pub(super) bytes_received: Option<i64>,
    pub(super) code_details: Option<&'r str>,
    pub(super) termination_details: Option<&'r str>,
    pub(super) upstream_failure: Option<&'r str>,
    pub(super) downstream_failure: Option<&'r str>,
    /// The log has a field for the upstream host, and none was chosen.
    pub(super) is_without_upstream: bool,
    pub(super) is_black_hole: bool,
}

/// What follows from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Judgement<'r> {
    pub(super) verdict: Option<Verdict>,
    pub(super) result: Option<ConnectionResult>,
    pub(super) policy: Option<&'r str>,
}

/// What one flag says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    Denied,
    Failed(ConnectionResult),
    /// The connection to the upstream failed; the details say how.
    UpstreamFailed,
    /// The client went away: a failure only when it had got nothing.
    ClientGone,
    Nothing,
}

fn effect(flag: &str) -> Effect {
    use ConnectionResult::{Error, Reset, Timeout};
    match flag {
        "RL" | "RateLimited" | "UAEX" | "UnauthorizedExternalService" => Effect::Denied,
        "UF" | "UpstreamConnectionFailure" => Effect::UpstreamFailed,
        "UT"
        | "UpstreamRequestTimeout"
        | "SI"
        | "StreamIdleTimeout"
        | "DT"
        | "DurationTimeout"
        | "UMSDR"
        | "UpstreamMaxStreamDurationReached" => Effect::Failed(Timeout),
        "UC" | "UpstreamConnectionTermination" | "UR" | "UpstreamRemoteReset" => Effect::Failed(Reset),
        "UH"
        | "NoHealthyUpstream"
        | "UO"
        | "UpstreamOverflow"
        | "NR"
        | "NoRouteFound"
        | "URX"
        | "UpstreamRetryLimitExceeded"
        | "NC"
        | "NoClusterFound"
        | "LH"
        | "FailedLocalHealthCheck"
        | "LR"
        | "LocalReset"
        | "FI"
        | "FaultInjected"
        | "RLSE"
        | "RateLimitServiceError"
        | "IH"
        | "InvalidEnvoyRequestHeaders"
        | "DPE"
        | "DownstreamProtocolError"
        | "UPE"
        | "UpstreamProtocolError"
        | "NFCF"
        | "NoFilterConfigFound"
        | "OM"
        | "OverloadManagerTerminated"
        | "DF"
        | "DnsResolutionFailed"
        | "DO"
        | "DropOverload"
        | "UDO"
        | "UnconditionalDropOverload" => Effect::Failed(Error),
        "DC" | "DownstreamConnectionTermination" | "DR" | "DownstreamRemoteReset" => Effect::ClientGone,
        // DI (delayed) and RFCF (from cache) do not touch the outcome; a flag of an extension says nothing we know.
        _ => Effect::Nothing,
    }
}

/// Weighs all that a record says; the worst wins: denied, then failed, then established.
///
/// An upstream that answered with 403 or 503 leaves the connection established. The verdict is null unless the proxy
/// denied: a log line does not tell whether a policy was asked at all.
pub(super) fn judge<'r>(evidence: &Evidence<'r>) -> Judgement<'r> {
    let (mut denied, policy) = denial(evidence);
    let mut result = None;
    for flag in evidence.flags.into_iter().flat_map(|flags| flags.split(',')) {
        match effect(flag) {
            Effect::Denied => denied = true,
            Effect::Failed(failure) => result = worse(result, failure),
            Effect::UpstreamFailed => result = worse(result, upstream_failure(evidence)),
            Effect::ClientGone if got_nothing(evidence) => result = worse(result, ConnectionResult::Reset),
            Effect::ClientGone | Effect::Nothing => {}
        }
    }
    if evidence.downstream_failure.is_some() || evidence.is_black_hole {
        result = worse(result, ConnectionResult::Error);
    }
    if denied {
        return Judgement { verdict: Some(Verdict::Denied), result: None, policy };
    }
    let result = result.or_else(|| is_established(evidence).then_some(ConnectionResult::Established));
    Judgement { verdict: None, result, policy }
}

/// A failure whose cause is known tells more than one that is only an error.
fn worse(known: Option<ConnectionResult>, new: ConnectionResult) -> Option<ConnectionResult> {
    match known {
        Some(known) if known != ConnectionResult::Error => Some(known),
        _ => Some(new),
    }
}

/// Whether the proxy itself denied, and by which policy.
fn denial<'r>(evidence: &Evidence<'r>) -> (bool, Option<&'r str>) {
    const WORDS: [&str; 4] =
        ["ext_authz_denied", "jwt_authn_access_denied", "request_rate_limited", "local_rate_limited"];
    // A 401 or 403 of the proxy's own making is its denial; one from the upstream is the application's answer. Envoy's
    // default text has no details, so there a request that never got an upstream tells it.
    let is_local = evidence.code_details.map_or(evidence.is_without_upstream, |details| details == "direct_response");
    let mut denied = is_local && matches!(evidence.code, Some(401 | 403));
    for details in [evidence.code_details, evidence.termination_details].into_iter().flatten() {
        // So nearly every request ends; the words of denials need not be tried on it.
        if details == "via_upstream" {
            continue;
        }
        if let Some(rest) = details.strip_prefix("rbac_access_denied_matched_policy[") {
            return (true, Some(rest.strip_suffix(']').unwrap_or(rest)).filter(|policy| !policy.is_empty()));
        }
        denied |= details.starts_with("rbac_access_denied") || WORDS.iter().any(|word| details.starts_with(word));
    }
    (denied, None)
}

/// For HTTP: no response was begun. For TCP, which has no code: no byte went back.
fn got_nothing(evidence: &Evidence<'_>) -> bool {
    if evidence.is_http {
        evidence.code.is_none_or(|code| code == 0)
    } else {
        evidence.bytes_sent.is_none_or(|bytes| bytes == 0)
    }
}

/// Without flags in the log, only a response or bytes in both directions prove a connection.
fn is_established(evidence: &Evidence<'_>) -> bool {
    if evidence.is_http {
        return evidence.code.is_some_and(|code| code > 0);
    }
    let both =
        evidence.bytes_sent.is_some_and(|bytes| bytes > 0) && evidence.bytes_received.is_some_and(|bytes| bytes > 0);
    both || (evidence.flags_logged
        && evidence.flags.is_none_or(|flags| flags.split(',').all(|flag| effect(flag) == Effect::Nothing)))
}

/// How the connection to the upstream failed, by the words and the Linux error numbers in the details.
///
/// Envoy prints `upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_111}` and
/// `delayed connect error: 111` or `immediate connect error: …` as the transport's reason.
fn upstream_failure(evidence: &Evidence<'_>) -> ConnectionResult {
    // The detail's own name says "reset" of every failure, so only the text in braces counts.
    let in_braces = evidence.code_details.and_then(|details| details.find('{').map(|start| &details[start..]));
    let texts = [evidence.upstream_failure, in_braces, evidence.termination_details];
    let text = texts.map(Option::unwrap_or_default).join(" ").to_ascii_lowercase().replace('_', " ");
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if says(&["refused", "error: 111"]) {
        ConnectionResult::Refused
    } else if says(&["timeout", "timed out", "error: 110"]) {
        ConnectionResult::Timeout
    } else if says(&["reset by peer", "connection reset", "error: 104", "remote reset"]) {
        ConnectionResult::Reset
    } else {
        ConnectionResult::Error
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(evidence: &Evidence<'_>) -> String {
        let judgement = judge(evidence);
        let verdict = judgement.verdict.map_or("-", Verdict::as_str);
        format!("{verdict} {}", judgement.result.map_or("-", ConnectionResult::as_str))
    }

    fn check(flags: &str, code: i64, expected: &str) {
        let flags = (flags != "-").then_some(flags);
        let evidence = Evidence { flags, flags_logged: true, is_http: true, code: Some(code), ..Evidence::default() };
        assert_eq!(show(&evidence), expected, "{flags:?} {code}");
    }

    #[test]
    fn flags_tell_the_end() {
        for flag in ["-", "DI", "RFCF", "DelayInjected", "DI,RFCF", "EXTENSION"] {
            check(flag, 200, "- established");
        }
        for flag in ["RL", "UAEX", "RateLimited", "UnauthorizedExternalService", "UF,UAEX", "UAEX,UF"] {
            check(flag, 403, "denied -");
        }
        for flag in [
            "UH",
            "UF",
            "UO",
            "URX",
            "LR",
            "LH",
            "NR",
            "NC",
            "DF",
            "OM",
            "DO",
            "UDO",
            "IH",
            "DPE",
            "UPE",
            "NFCF",
            "RLSE",
            "FI",
            "UF,URX",
            "NoRouteFound",
            "DI,NR",
        ] {
            check(flag, 503, "- error");
        }
        for flag in ["UT", "SI", "DT", "UMSDR", "UT,URX", "URX,UT", "UpstreamRequestTimeout"] {
            check(flag, 504, "- timeout");
        }
        for flag in ["UC", "UR", "UC,URX"] {
            check(flag, 503, "- reset");
        }
        check("DC", 0, "- reset");
        check("DC", 200, "- established");
        check("DR", 200, "- established");
        check("-", 0, "- -");
        check("-", 503, "- established");
    }

    #[test]
    fn details_tell_how_the_upstream_failed() {
        fn check(details: Option<&str>, failure: Option<&str>, expected: &str) {
            let evidence = Evidence {
                flags: Some("URX,UF"),
                flags_logged: true,
                is_http: true,
                code: Some(503),
                code_details: details,
                upstream_failure: failure,
                ..Evidence::default()
            };
            assert_eq!(show(&evidence), expected, "{details:?} {failure:?}");
        }
        let prefix = "upstream_reset_before_response_started";
        check(Some(&format!("{prefix}{{remote_connection_failure|delayed_connect_error:_111}}")), None, "- refused");
        check(None, Some("delayed_connect_error:_Connection_refused"), "- refused");
        check(None, Some("delayed connect error: 111"), "- refused");
        check(Some(&format!("{prefix}{{connection_timeout}}")), None, "- timeout");
        check(Some(&format!("{prefix}{{remote_connection_failure|Connection_reset_by_peer}}")), None, "- reset");
        check(Some(&format!("{prefix}{{connection_failure}}")), None, "- error");
        check(None, Some("TLS_error:|268435581:SSL routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED"), "- error");
    }

    #[test]
    fn details_tell_a_denial_and_its_policy() {
        fn check(code_details: Option<&str>, termination_details: Option<&str>, expected: (bool, Option<&str>)) {
            let evidence = Evidence { code_details, termination_details, code: Some(403), ..Evidence::default() };
            let judgement = judge(&evidence);
            let found = (judgement.verdict == Some(Verdict::Denied), judgement.policy);
            assert_eq!(found, expected, "{code_details:?} {termination_details:?}");
        }
        let nested = "rbac_access_denied_matched_policy[ns[a]-policy[b c]-rule[0]]";
        check(Some(nested), None, (true, Some("ns[a]-policy[b c]-rule[0]")));
        check(None, Some(nested), (true, Some("ns[a]-policy[b c]-rule[0]")));
        check(Some("rbac_access_denied_matched_policy[none]"), None, (true, Some("none")));
        check(Some("ext_authz_denied"), None, (true, None));
        check(Some("jwt_authn_access_denied{Jwt_is_missing}"), None, (true, None));
        check(Some("direct_response"), None, (true, None));
        check(Some("via_upstream"), None, (false, None));
        check(None, None, (false, None));
        let local = Evidence { is_without_upstream: true, is_http: true, code: Some(403), ..Evidence::default() };
        assert_eq!(show(&local), "denied -");
        assert_eq!(show(&Evidence { code: Some(404), ..local }), "- established");
    }

    #[test]
    fn a_connection_without_flags_must_show_bytes() {
        fn check(received: i64, sent: i64, flags_logged: bool, expected: &str) {
            let (bytes_received, bytes_sent) = (Some(received), Some(sent));
            assert_eq!(show(&Evidence { bytes_received, bytes_sent, flags_logged, ..Evidence::default() }), expected);
        }
        check(87, 254, false, "- established");
        check(87, 0, false, "- -");
        check(87, 0, true, "- established");
        let gone = Evidence { flags: Some("DC"), flags_logged: true, bytes_sent: Some(0), ..Evidence::default() };
        assert_eq!(show(&gone), "- reset");
    }
}
