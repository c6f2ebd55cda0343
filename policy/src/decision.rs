//! What the policy says of one flow: a verdict, the rule behind it and the reason.
//!
//! Three-valued: what the observer did not see may leave the answer open, and then it is *unknown*, never a guess.

use crate::set::{Candidate, EndRules, Rules};
use serde::Serialize;
use std::net::IpAddr;

/// The word in `declared_verdict`. The order is the rank: of the two ends, the worse decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DeclaredVerdict {
    /// Both ends allow it.
    Allowed,
    /// What was not seen decides.
    Unknown,
    /// An end does not allow it.
    Denied,
}

impl DeclaredVerdict {
    /// Every verdict.
    pub const ALL: [Self; 3] = [Self::Allowed, Self::Unknown, Self::Denied];

    /// The word in the column.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Unknown => "unknown",
            Self::Denied => "denied",
        }
    }
}

/// Why a verdict is as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// A rule allows it.
    Rule,
    /// The end has no policy, and the default allows it.
    DefaultAllow,
    /// The end has no policy, and the default denies it.
    NoPolicy,
    /// No rule of the end's policies allows it.
    NoRule,
    /// A rule would allow it, were it mutually authenticated TLS.
    MtlsRequired,
    /// The port or protocol was not seen, and a rule depends on it.
    PortNotSeen,
    /// The address was not seen, and a rule depends on it.
    AddressNotSeen,
    /// The operation was not seen, and a rule depends on it.
    OperationNotSeen,
    /// The resource was not seen, and a rule depends on it.
    ResourceNotSeen,
    /// Whether it is mutual TLS was not seen, and a rule requires it.
    EncryptionNotSeen,
    /// Who opened the connection is not known, and the two ways round differ.
    OrientationUnknown,
}

/// What the check reads of a flow. Names are those of the columns.
#[derive(Clone, Copy, Debug, Default)]
#[allow(missing_docs, reason = "the field table of the flow record says what each is")]
pub struct FlowView<'f> {
    pub src_entity: &'f str,
    pub dst_entity: &'f str,
    pub src_ip: Option<&'f str>,
    pub dst_ip: Option<&'f str>,
    pub src_port: Option<i64>,
    pub dst_port: Option<i64>,
    pub protocol_num: Option<i64>,
    pub operation: Option<&'f str>,
    pub resource: Option<&'f str>,
    pub encryption: Option<&'f str>,
    /// True: `src` opened the connection. Only an explicit false makes the check try both ways.
    pub is_src_dst_assignment_known: bool,
}

impl FlowView<'_> {
    /// The same flow with its ends exchanged.
    #[must_use]
    pub fn swapped(self) -> Self {
        Self {
            src_entity: self.dst_entity,
            dst_entity: self.src_entity,
            src_ip: self.dst_ip,
            dst_ip: self.src_ip,
            src_port: self.dst_port,
            dst_port: self.src_port,
            ..self
        }
    }
}

/// What one end's policies say.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct EndDecision<'p> {
    /// The verdict.
    pub verdict: DeclaredVerdict,
    /// Why.
    pub reason: Reason,
    /// `policy/rule`, or a marker: `default/KIND/END` without a policy, `POLICY/none/END` where no rule allows.
    pub rule: &'p str,
    /// The number of the rule, where one decided. See [`crate::PolicySet::rules`].
    pub rule_number: Option<u32>,
    /// Whether a policy governs this end of the flow.
    pub has_policy: bool,
}

/// What the policy says of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Decision<'p> {
    /// The word in `declared_verdict`.
    pub verdict: DeclaredVerdict,
    /// Why.
    pub reason: Reason,
    /// The text in `declared_rule`: that of the end that decided; the initiator's where both agree.
    pub rule: &'p str,
    /// The initiator's side.
    pub initiator: EndDecision<'p>,
    /// The responder's side.
    pub responder: EndDecision<'p>,
}

/// One end's answer, by numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EndAnswer {
    pub(crate) verdict: DeclaredVerdict,
    pub(crate) reason: Reason,
    /// Number of the text in `declared_rule`.
    pub(crate) name: u32,
    pub(crate) rule: Option<u32>,
    pub(crate) has_policy: bool,
}

/// What is known of a flow beside its entities.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts<'f> {
    pub(crate) protocol: Option<u8>,
    pub(crate) port: Option<u16>,
    /// Lower case.
    pub(crate) operation: Option<&'f str>,
    pub(crate) resource: Option<&'f str>,
    pub(crate) is_mtls: Option<bool>,
}

/// A port or protocol of a column, as a rule knows it. What is out of range was not seen.
pub(crate) fn narrow<T: TryFrom<i64>>(value: Option<i64>) -> Option<T> {
    value.and_then(|value| T::try_from(value).ok())
}

/// Whether the word of column `encryption` is mutual TLS. Protection of the link (wireguard, ipsec, vnet) is not: it
/// proves machines, not the two workloads.
pub(crate) fn is_mtls(encryption: Option<&str>) -> Option<bool> {
    encryption.map(|word| word == "mtls")
}

/// What a rule says.
enum Answer {
    Yes,
    No,
    /// All but mutual TLS is met.
    Plaintext,
    Open(Reason),
}

impl Rules {
    /// One end's answer. `peer_address` is that of the other end.
    ///
    /// The first rule that allows decides; else the first that may; else the first that would with mutual TLS.
    pub(crate) fn decide_end(&self, end: &EndRules, facts: &Facts<'_>, peer_address: Option<IpAddr>) -> EndAnswer {
        let mut open = None;
        let mut plaintext = None;
        for candidate in &*end.candidates {
            match self.answer(*candidate, facts, peer_address) {
                Answer::Yes => return self.by_rule(*candidate, DeclaredVerdict::Allowed, Reason::Rule),
                Answer::Open(reason) if open.is_none() => open = Some((*candidate, reason)),
                Answer::Plaintext if plaintext.is_none() => plaintext = Some(*candidate),
                _ => {}
            }
        }
        if let Some((candidate, reason)) = open {
            return self.by_rule(candidate, DeclaredVerdict::Unknown, reason);
        }
        plaintext
            .map_or(end.otherwise, |candidate| self.by_rule(candidate, DeclaredVerdict::Denied, Reason::MtlsRequired))
    }

    fn by_rule(&self, candidate: Candidate, verdict: DeclaredVerdict, reason: Reason) -> EndAnswer {
        let name = self.rule(candidate.rule).name;
        EndAnswer { verdict, reason, name, rule: Some(candidate.rule), has_policy: true }
    }

    fn answer(&self, candidate: Candidate, facts: &Facts<'_>, peer_address: Option<IpAddr>) -> Answer {
        let rule = self.rule(candidate.rule);
        let mut open = None;
        let mut check = |answer: Option<bool>, unseen: Reason| {
            if answer.is_none() && open.is_none() {
                open = Some(unseen);
            }
            answer != Some(false)
        };
        let is_possible = (candidate.is_peer
            || check(peer_address.map(|address| self.is_in_cidrs(rule, address)), Reason::AddressNotSeen))
            && check(any(&rule.ports, |ports| ports.matches(facts.protocol, facts.port)), Reason::PortNotSeen)
            && check(
                any(&rule.operations, |pattern| facts.operation.map(|text| pattern.matches(text))),
                Reason::OperationNotSeen,
            )
            && check(
                any(&rule.resources, |pattern| {
                    facts.resource.map(|text| pattern.is_any() || (pattern.matches(text) && !climbs(text)))
                }),
                Reason::ResourceNotSeen,
            );
        match (is_possible, rule.require_mtls.then_some(facts.is_mtls), open) {
            (false, _, _) => Answer::No,
            (true, Some(Some(false)), None) => Answer::Plaintext,
            // Whatever the rest is, it is not allowed by this rule.
            (true, Some(Some(false)), Some(_)) => Answer::No,
            (true, _, Some(reason)) => Answer::Open(reason),
            (true, Some(None), None) => Answer::Open(Reason::EncryptionNotSeen),
            (true, None | Some(Some(true)), None) => Answer::Yes,
        }
    }
}

/// Whether any selector takes the flow; an empty list takes all.
fn any<T>(selectors: &[T], matches: impl Fn(&T) -> Option<bool>) -> Option<bool> {
    let mut answer = Some(selectors.is_empty());
    for selector in selectors {
        match matches(selector) {
            Some(true) => return Some(true),
            None => answer = None,
            Some(false) => {}
        }
    }
    answer
}

/// Whether a path has a `..` segment, plain or percent-encoded: it may name something else than it seems to, so that a
/// pattern that bounds it proves nothing.
fn climbs(resource: &str) -> bool {
    if !resource.starts_with('/') || !(resource.contains("..") || resource.contains('%')) {
        return false;
    }
    let lower = resource.to_ascii_lowercase();
    let decoded = lower.replace("%2e", ".").replace("%2f", "/").replace("%5c", "/").replace('\\', "/");
    // `..;x` is `..` to servers that strip path parameters.
    decoded.split('/').any(|segment| segment.split(';').next() == Some(".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_climb_are_seen() {
        for (path, expected) in [
            ("/v1/../admin", true),
            ("/v1/..", true),
            ("/v1/%2E%2e/admin", true),
            ("/v1/..%2fadmin", true),
            ("/v1/..\\admin", true),
            ("/v1/..;a/admin", true),
            ("/v1/a..b", false),
            ("/v1/%41", false),
            ("orders..v2", false),
        ] {
            assert_eq!(climbs(path), expected, "{path}");
        }
    }
}
