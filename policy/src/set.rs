//! A compiled policy: all documents joined, and indexed so that the rules for two entities are found without a search.
//!
//! It is made by `compile`; how a rule answers is in `decision`, and the check of whole batches in `check`.

use crate::classes::{AddressClasses, PortClasses};
use crate::decision::{Decision, DeclaredVerdict, EndAnswer, EndDecision, Facts, FlowView, Reason, is_mtls, narrow};
use crate::diagnostic::Position;
use crate::document::{Action, CidrSelector, Direction, KINDS, kind_index};
use crate::labels::EntityLabels;
use crate::pattern::Pattern;
use crate::port::PortSelector;
use crate::selectors::{EntityParts, SelectorIndex};
use hashbrown::{HashMap, HashSet};
use std::net::IpAddr;
use std::sync::Arc;
use tradewind_model::entity::EntityKind;

/// A compiled policy. Cheap to clone; made by [`crate::compile()`].
#[derive(Clone, Debug)]
pub struct PolicySet {
    pub(crate) rules: Arc<Rules>,
}

/// The end of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Initiator,
    Responder,
}

impl End {
    pub(crate) const BOTH: [Self; 2] = [Self::Initiator, Self::Responder];

    /// What the subject does at this end.
    pub(crate) fn direction(self) -> Direction {
        match self {
            Self::Initiator => Direction::Initiate,
            Self::Responder => Direction::Receive,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Rules {
    pub(crate) version: i64,
    pub(crate) labels: EntityLabels,
    /// Texts of `declared_rule`.
    pub(crate) names: Vec<Box<str>>,
    /// By [`kind_index`].
    pub(crate) defaults: [Action; KINDS.len()],
    /// Names of the markers `default/KIND/END`, by [`kind_index`] and end.
    pub(crate) default_names: [[u32; 2]; KINDS.len()],
    /// Sorted by name.
    pub(crate) policies: Vec<CompiledPolicy>,
    /// By policy, and in it as written.
    pub(crate) list: Vec<CompiledRule>,
    /// Peers are numbered: first the selectors, then the groups.
    pub(crate) selectors: SelectorIndex,
    /// Groups that hold a peer, by the peer's number.
    pub(crate) groups_of: HashMap<u32, Vec<u32>>,
    /// Peer and policy whose subject it is, sorted.
    pub(crate) subjects: Vec<(u32, u32)>,
    /// Policy, peer, rule; sorted.
    pub(crate) by_peer: Vec<(u32, u32, u32)>,
    pub(crate) cidrs: Vec<CidrSelector>,
    /// Ranges of each group, those of its groups included; sorted.
    pub(crate) group_cidrs: Vec<Box<[u32]>>,
    pub(crate) port_classes: PortClasses,
    pub(crate) address_classes: AddressClasses,
}

#[derive(Debug)]
pub(crate) struct CompiledPolicy {
    pub(crate) direction: Direction,
    /// Names of the markers `POLICY/none/END`.
    pub(crate) none_names: [u32; 2],
    /// Rules with address ranges.
    pub(crate) cidr_rules: Box<[u32]>,
}

#[derive(Debug)]
pub(crate) struct CompiledRule {
    pub(crate) name: u32,
    pub(crate) direction: Direction,
    pub(crate) require_mtls: bool,
    pub(crate) ports: Box<[PortSelector]>,
    pub(crate) operations: Box<[Pattern]>,
    pub(crate) resources: Box<[Pattern]>,
    /// Own address ranges, and groups (counted from 0) with such.
    pub(crate) cidrs: Box<[u32]>,
    pub(crate) cidr_groups: Box<[u32]>,
    /// File and place, for reports.
    pub(crate) position: Position,
    pub(crate) source: Arc<str>,
}

impl CompiledRule {
    fn is_conditional(&self) -> bool {
        self.require_mtls || !(self.ports.is_empty() && self.operations.is_empty() && self.resources.is_empty())
    }
}

/// All that matters of an entity. Entities of one profile are treated alike.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Profile {
    pub(crate) kind: EntityKind,
    /// Policies that govern it as initiator and as responder, sorted.
    pub(crate) policies: [Box<[u32]>; 2],
    /// Peers that it is, sorted.
    peers: Box<[u32]>,
}

/// A rule that may decide.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    pub(crate) rule: u32,
    /// Whether the other end is surely a peer of the rule; else its address decides.
    pub(crate) is_peer: bool,
}

/// What decides at one end of flows between two entities.
#[derive(Debug)]
pub(crate) struct EndRules {
    pub(crate) candidates: Box<[Candidate]>,
    /// When no rule decides.
    pub(crate) otherwise: EndAnswer,
}

/// What decides on flows between two entities.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) ends: [EndRules; 2],
    pub(crate) needs: Needs,
}

/// Which facts of a flow its decision depends on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Needs {
    pub(crate) transport: bool,
    pub(crate) application: bool,
    pub(crate) encryption: bool,
    /// Address of `src`, of `dst`.
    pub(crate) addresses: [bool; 2],
}

impl PolicySet {
    /// The value of `declared_policy_version`: a positive hash of what the documents mean. Descriptions, comments, the
    /// order of files and the syntax do not change it; labels of entities are no part of it.
    #[must_use]
    pub fn version(&self) -> i64 {
        self.rules.version
    }

    /// How many policies there are.
    #[must_use]
    pub fn policy_count(&self) -> usize {
        self.rules.policies.len()
    }

    /// Every rule in order of its number: name as in `declared_rule`, file, place.
    pub fn rules(&self) -> impl ExactSizeIterator<Item = (&str, &str, Position)> {
        let rules = &*self.rules;
        rules.list.iter().map(|rule| (rules.name(rule.name), &*rule.source, rule.position))
    }

    /// Decides on one flow, without memory of others. For many flows use [`PolicySet::check`] or [`crate::Report`].
    #[must_use]
    pub fn check_one(&self, flow: &FlowView<'_>) -> Decision<'_> {
        let rules = &*self.rules;
        let profiles = [rules.profile(flow.src_entity), rules.profile(flow.dst_entity)];
        rules.check_between(&rules.pair(&profiles[0], &profiles[1]), || rules.pair(&profiles[1], &profiles[0]), flow)
    }
}

impl Rules {
    pub(crate) fn rule(&self, number: u32) -> &CompiledRule {
        &self.list[number as usize]
    }

    pub(crate) fn name(&self, number: u32) -> &str {
        &self.names[number as usize]
    }

    /// Decides on a flow between two entities whose rules were found.
    pub(crate) fn check_between<P: std::borrow::Borrow<Pair>>(
        &self,
        pair: &Pair,
        swapped: impl FnOnce() -> P,
        flow: &FlowView<'_>,
    ) -> Decision<'_> {
        let found = self.decide_flow(pair, flow);
        if flow.is_src_dst_assignment_known
            || self.decide_flow(swapped().borrow(), &flow.swapped()).verdict == found.verdict
        {
            return found;
        }
        Decision { verdict: DeclaredVerdict::Unknown, reason: Reason::OrientationUnknown, ..found }
    }

    fn decide_flow(&self, pair: &Pair, flow: &FlowView<'_>) -> Decision<'_> {
        let operation = flow.operation.filter(|_| pair.needs.application).map(str::to_ascii_lowercase);
        let facts = Facts {
            protocol: narrow(flow.protocol_num),
            port: narrow(flow.dst_port),
            operation: operation.as_deref(),
            resource: flow.resource,
            is_mtls: is_mtls(flow.encryption),
        };
        let address = |needed: bool, text: Option<&str>| text.filter(|_| needed).and_then(|text| text.parse().ok());
        let [src, dst] = [address(pair.needs.addresses[0], flow.src_ip), address(pair.needs.addresses[1], flow.dst_ip)];
        let ends = self.decide_ends(pair, &facts, src, dst);
        let [initiator, responder] = ends.map(|end| EndDecision {
            verdict: end.verdict,
            reason: end.reason,
            rule: self.name(end.name),
            rule_number: end.rule,
            has_policy: end.has_policy,
        });
        let EndDecision { verdict, reason, rule, .. } = if is_second(ends) { responder } else { initiator };
        Decision { verdict, reason, rule, initiator, responder }
    }

    pub(crate) fn decide_ends(
        &self,
        pair: &Pair,
        facts: &Facts<'_>,
        src: Option<IpAddr>,
        dst: Option<IpAddr>,
    ) -> [EndAnswer; 2] {
        [self.decide_end(&pair.ends[0], facts, dst), self.decide_end(&pair.ends[1], facts, src)]
    }

    pub(crate) fn is_in_cidrs(&self, rule: &CompiledRule, address: IpAddr) -> bool {
        let groups = rule.cidr_groups.iter().flat_map(|group| &*self.group_cidrs[*group as usize]);
        rule.cidrs.iter().chain(groups).any(|cidr| self.cidrs[*cidr as usize].matches(address))
    }

    pub(crate) fn profile(&self, entity: &str) -> Profile {
        let parts = EntityParts::new(entity);
        let mut peers: Vec<u32> = self.selectors.matching(&parts, &self.labels).collect();
        // A group holds what its members hold, so the list grows while it is walked.
        let mut seen = HashSet::new();
        let mut next = 0;
        while let Some(peer) = peers.get(next) {
            let groups = self.groups_of.get(peer).map_or(&[][..], Vec::as_slice);
            peers.extend(groups.iter().copied().filter(|group| seen.insert(*group)));
            next += 1;
        }
        peers.sort_unstable();
        let mut own: Vec<u32> = peers.iter().flat_map(|peer| self.policies_of(*peer)).collect();
        own.sort_unstable();
        own.dedup();
        let policies = End::BOTH.map(|end| {
            let governs = |policy: &u32| self.policies[*policy as usize].direction.includes(end.direction());
            own.iter().copied().filter(governs).collect()
        });
        Profile { kind: parts.kind(), policies, peers: peers.into() }
    }

    fn policies_of(&self, peer: u32) -> impl Iterator<Item = u32> + '_ {
        let from = self.subjects.partition_point(|(subject, _)| *subject < peer);
        self.subjects[from..].iter().take_while(move |(subject, _)| *subject == peer).map(|(_, policy)| *policy)
    }

    pub(crate) fn pair(&self, src: &Profile, dst: &Profile) -> Pair {
        let ends = [self.end_rules(src, dst, End::Initiator), self.end_rules(dst, src, End::Responder)];
        let mut needs = Needs::default();
        for (end, address) in ends.iter().zip([1, 0]) {
            for candidate in &*end.candidates {
                let rule = self.rule(candidate.rule);
                needs.transport |= !rule.ports.is_empty();
                needs.application |= !(rule.operations.is_empty() && rule.resources.is_empty());
                needs.encryption |= rule.require_mtls;
                needs.addresses[address] |= !candidate.is_peer;
            }
        }
        Pair { ends, needs }
    }

    fn end_rules(&self, own: &Profile, peer: &Profile, end: End) -> EndRules {
        let policies = &own.policies[end as usize];
        let Some(first) = policies.first() else {
            let kind = kind_index(own.kind);
            let (verdict, reason) = match self.defaults[kind] {
                Action::Allow => (DeclaredVerdict::Allowed, Reason::DefaultAllow),
                Action::Deny => (DeclaredVerdict::Denied, Reason::NoPolicy),
            };
            let name = self.default_names[kind][end as usize];
            let otherwise = EndAnswer { verdict, reason, name, rule: None, has_policy: false };
            return EndRules { candidates: Box::default(), otherwise };
        };
        let mut candidates = Vec::new();
        for policy in policies {
            self.add_candidates(*policy, peer, end, &mut candidates);
        }
        // What stands behind a rule that takes everything is never asked.
        let is_last = |candidate: &Candidate| candidate.is_peer && !self.rule(candidate.rule).is_conditional();
        if let Some(last) = candidates.iter().position(is_last) {
            candidates.truncate(last + 1);
        }
        let otherwise = EndAnswer {
            verdict: DeclaredVerdict::Denied,
            reason: Reason::NoRule,
            name: self.policies[*first as usize].none_names[end as usize],
            rule: None,
            has_policy: true,
        };
        EndRules { candidates: candidates.into(), otherwise }
    }

    /// Adds the rules of a policy whose peer the other end is or may be, in the order written.
    fn add_candidates(&self, policy: u32, peer: &Profile, end: End, candidates: &mut Vec<Candidate>) {
        let from = candidates.len();
        let is_meant = |rule: u32| self.rule(rule).direction.includes(end.direction());
        for peer in &*peer.peers {
            let start = self.by_peer.partition_point(|(of, other, _)| (*of, *other) < (policy, *peer));
            let same = self.by_peer[start..].iter().take_while(|(of, other, _)| (*of, *other) == (policy, *peer));
            let rules = same.map(|(_, _, rule)| *rule).filter(|rule| is_meant(*rule));
            candidates.extend(rules.map(|rule| Candidate { rule, is_peer: true }));
        }
        if matches!(peer.kind, EntityKind::External | EntityKind::Unknown) {
            let rules = self.policies[policy as usize].cidr_rules.iter().copied().filter(|rule| is_meant(*rule));
            candidates.extend(rules.map(|rule| Candidate { rule, is_peer: false }));
        }
        let own = &mut candidates[from..];
        own.sort_unstable_by_key(|candidate| (candidate.rule, !candidate.is_peer));
        let mut last = None;
        let mut kept = from;
        for index in from..candidates.len() {
            let candidate = candidates[index];
            if last != Some(candidate.rule) {
                last = Some(candidate.rule);
                candidates[kept] = candidate;
                kept += 1;
            }
        }
        candidates.truncate(kept);
    }
}

/// Whether the responder's end decides: the worse verdict does, and of two that are equal a rule tells more than a
/// default that allows.
pub(crate) fn is_second(ends: [EndAnswer; 2]) -> bool {
    let [initiator, responder] = ends;
    match responder.verdict.cmp(&initiator.verdict) {
        std::cmp::Ordering::Greater => true,
        std::cmp::Ordering::Less => false,
        std::cmp::Ordering::Equal => initiator.reason == Reason::DefaultAllow && responder.reason == Reason::Rule,
    }
}
