//! The conformance of a period: violations by edge, unused rules, agents without a policy, plaintext.
//!
//! An accumulator: the caller reads rows from wherever they are, one flow or a group of like flows a row.

use crate::decision::{Decision, DeclaredVerdict, FlowView, Reason};
use crate::memo::Memo;
use crate::set::{PolicySet, Profile};
use hashbrown::{HashMap, HashSet};
use serde::Serialize;
use std::collections::BTreeMap;
use tradewind_model::entity::EntityKind;
use tradewind_model::{Dictionary, Outcome};

/// The most edges that are told apart in one list; flows of further ones are only counted.
pub const EDGES_MAX: usize = 1_000_000;
/// How many different requests an edge shows.
const REQUESTS_MAX: usize = 5;

/// Flows that are alike in all that the check reads.
#[derive(Clone, Copy, Debug)]
pub struct Observation<'f> {
    /// One of them.
    pub flow: FlowView<'f>,
    /// How many.
    pub count: u64,
    /// Start of the first, in microseconds UTC.
    pub first_seen: i64,
    /// End of the last, in microseconds UTC.
    pub last_seen: i64,
    /// The word of column `outcome`.
    pub outcome: Option<&'f str>,
}

/// Flows of one edge that are treated alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Edge {
    /// Initiator.
    pub src_entity: String,
    /// Responder.
    pub dst_entity: String,
    /// IANA number of the IP protocol.
    pub protocol_num: Option<i64>,
    /// Port of the responder.
    pub dst_port: Option<i64>,
    /// What `declared_rule` says.
    pub rule: String,
    /// Why.
    pub reason: Reason,
    /// How many, when, and what became of them.
    #[serde(flatten)]
    pub tally: Tally,
}

/// How many flows, when, and what became of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Flows.
    pub count: u64,
    /// Start of the first, in microseconds UTC.
    pub first_seen: i64,
    /// End of the last, in microseconds UTC.
    pub last_seen: i64,
    /// Flows by the word of column `outcome`: those that were allowed in fact are the ones that went through.
    pub outcomes: BTreeMap<&'static str, u64>,
    /// The first few different requests, `OPERATION RESOURCE`.
    pub requests: Vec<String>,
    /// Flows by the word of column `encryption`; `null` where it was not seen.
    pub encryption: BTreeMap<String, u64>,
}

/// A rule that decided on no flow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnusedRule {
    /// `policy/rule`.
    pub rule: String,
    /// File.
    pub source: String,
    /// Line in it.
    pub line: u32,
}

/// An agent that no policy is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AgentWithoutPolicy {
    /// The agent.
    pub entity: String,
    /// How many edges it has, with either end.
    pub edges: u64,
    /// Its flows.
    #[serde(flatten)]
    pub tally: Tally,
}

/// The report of a period.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Version of the policy.
    pub declared_policy_version: i64,
    /// Flows by verdict.
    pub flows: BTreeMap<&'static str, u64>,
    /// Denied flows by edge and rule, the most flows first. Those whose denying end is an agent without a policy are in
    /// `agents_without_policy` alone, and those that only lack mutual TLS in `plaintext` alone.
    pub violations: Vec<Edge>,
    /// Flows that a rule would allow, were they mutual TLS.
    pub plaintext: Vec<Edge>,
    /// Flows whose verdict hangs on what was not seen, by edge and reason.
    pub unknown: Vec<Edge>,
    /// Agents without a policy.
    pub agents_without_policy: Vec<AgentWithoutPolicy>,
    /// Rules that decided on no flow.
    pub unused_rules: Vec<UnusedRule>,
    /// Flows of edges beyond [`EDGES_MAX`]: in `flows`, and in no list.
    pub flows_omitted: u64,
}

/// Collects observations.
#[derive(Debug)]
pub struct Report {
    set: PolicySet,
    memo: Memo,
    entities: Dictionary,
    used: Vec<bool>,
    flows: [u64; DeclaredVerdict::ALL.len()],
    edges: HashMap<EdgeKey, Tally>,
    agents: HashMap<u32, (HashSet<AgentEdge>, Tally)>,
    flows_omitted: u64,
}

/// An edge of an agent: the other end, whether the agent initiates, protocol, port.
type AgentEdge = (u32, bool, Option<i64>, Option<i64>);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct EdgeKey {
    list: List,
    src: u32,
    dst: u32,
    protocol_num: Option<i64>,
    dst_port: Option<i64>,
    rule: Box<str>,
    reason: Reason,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum List {
    Violations,
    Plaintext,
    Unknown,
}

impl Report {
    /// Begins a report.
    #[must_use]
    pub fn new(set: &PolicySet) -> Self {
        Self {
            set: set.clone(),
            memo: Memo::default(),
            entities: Dictionary::default(),
            used: vec![false; set.rules().len()],
            flows: [0; DeclaredVerdict::ALL.len()],
            edges: HashMap::new(),
            agents: HashMap::new(),
            flows_omitted: 0,
        }
    }

    /// Takes a row.
    pub fn add(&mut self, row: &Observation<'_>) {
        // Cloned so that the decision does not keep the report borrowed; it is one reference count.
        let set = self.set.clone();
        let rules = &*set.rules;
        self.memo.prepare(&set);
        let flow = &row.flow;
        let [src, dst] = [flow.src_entity, flow.dst_entity].map(|entity| self.memo.profile(rules, entity));
        let lacks_policy = [src, dst].map(|profile| is_agent_without_policy(self.memo.entity(profile)));
        let [pair, swapped] = [self.memo.pair(rules, src, dst), self.memo.pair(rules, dst, src)];
        let decision = rules.check_between(self.memo.rules_of(pair), || self.memo.rules_of(swapped), flow);

        self.flows[decision.verdict as usize] += row.count;
        for rule in [decision.initiator.rule_number, decision.responder.rule_number].into_iter().flatten() {
            self.used[rule as usize] = true;
        }
        let [src, dst] = [flow.src_entity, flow.dst_entity].map(|entity| self.entities.intern(entity).0);
        for (is_lacking, agent, other, initiates) in
            [(lacks_policy[0], src, dst, true), (lacks_policy[1], dst, src, false)]
        {
            if is_lacking {
                let (edges, tally) = self.agents.entry(agent).or_default();
                edges.insert((other, initiates, flow.protocol_num, flow.dst_port));
                tally.add(row);
            }
        }
        if let Some(list) = list_of(&decision, lacks_policy) {
            self.add_edge(list, src, dst, &decision, row);
        }
    }

    fn add_edge(&mut self, list: List, src: u32, dst: u32, decision: &Decision<'_>, row: &Observation<'_>) {
        let FlowView { protocol_num, dst_port, .. } = row.flow;
        let key =
            EdgeKey { list, src, dst, protocol_num, dst_port, rule: decision.rule.into(), reason: decision.reason };
        if self.edges.len() >= EDGES_MAX && !self.edges.contains_key(&key) {
            self.flows_omitted += row.count;
            return;
        }
        self.edges.entry(key).or_default().add(row);
    }

    /// The report of all rows so far.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let mut lists = [Vec::new(), Vec::new(), Vec::new()];
        for (key, tally) in &self.edges {
            lists[key.list as usize].push(Edge {
                src_entity: self.entity(key.src),
                dst_entity: self.entity(key.dst),
                protocol_num: key.protocol_num,
                dst_port: key.dst_port,
                rule: key.rule.to_string(),
                reason: key.reason,
                tally: tally.clone(),
            });
        }
        let order = |edge: &Edge| {
            let Edge { src_entity, dst_entity, protocol_num, dst_port, rule, reason, tally } = edge.clone();
            (std::cmp::Reverse(tally.count), src_entity, dst_entity, protocol_num, dst_port, rule, reason)
        };
        lists.iter_mut().for_each(|list| list.sort_by_cached_key(order));
        let [violations, plaintext, unknown] = lists;
        let agents = self.agents.iter().map(|(agent, (edges, tally))| AgentWithoutPolicy {
            entity: self.entity(*agent),
            edges: edges.len() as u64,
            tally: tally.clone(),
        });
        let mut agents_without_policy: Vec<_> = agents.collect();
        agents_without_policy.sort_by(|a, b| a.entity.cmp(&b.entity));
        let unused = self.set.rules().zip(&self.used).filter(|(_, is_used)| !**is_used);
        let unused_rules = unused.map(|((rule, source, position), _)| UnusedRule {
            rule: rule.to_owned(),
            source: source.to_owned(),
            line: position.line,
        });
        Summary {
            declared_policy_version: self.set.version(),
            flows: DeclaredVerdict::ALL.map(DeclaredVerdict::as_str).into_iter().zip(self.flows).collect(),
            violations,
            plaintext,
            unknown,
            agents_without_policy,
            unused_rules: unused_rules.collect(),
            flows_omitted: self.flows_omitted,
        }
    }

    fn entity(&self, code: u32) -> String {
        self.entities.get(code).unwrap_or_default().to_owned()
    }
}

impl Tally {
    fn add(&mut self, row: &Observation<'_>) {
        if self.count == 0 {
            (self.first_seen, self.last_seen) = (row.first_seen, row.last_seen);
        }
        self.count += row.count;
        self.first_seen = self.first_seen.min(row.first_seen);
        self.last_seen = self.last_seen.max(row.last_seen);
        let outcome = row.outcome.and_then(Outcome::from_word).unwrap_or(Outcome::Unknown);
        *self.outcomes.entry(outcome.as_str()).or_default() += row.count;
        let encryption = row.flow.encryption.unwrap_or("null");
        match self.encryption.get_mut(encryption) {
            Some(count) => *count += row.count,
            None => {
                self.encryption.insert(encryption.to_owned(), row.count);
            }
        }
        let words = [row.flow.operation, row.flow.resource].map(Option::unwrap_or_default);
        if words != ["", ""] && self.requests.len() < REQUESTS_MAX {
            let request = words.join(" ").trim().to_owned();
            if !self.requests.contains(&request) {
                self.requests.push(request);
            }
        }
    }
}

fn is_agent_without_policy(profile: &Profile) -> bool {
    profile.kind == EntityKind::Agent && profile.policies.iter().all(|policies| policies.is_empty())
}

/// In which list a flow belongs; none when it is allowed, or when it is one of many of an agent without a policy.
fn list_of(decision: &Decision<'_>, lacks_policy: [bool; 2]) -> Option<List> {
    match (decision.verdict, decision.reason) {
        (DeclaredVerdict::Allowed, _) => None,
        (DeclaredVerdict::Unknown, _) => Some(List::Unknown),
        (DeclaredVerdict::Denied, Reason::MtlsRequired) => Some(List::Plaintext),
        (DeclaredVerdict::Denied, _) => {
            let ends = [(lacks_policy[0], decision.initiator), (lacks_policy[1], decision.responder)];
            // An end that has a policy and denies is a violation, whatever the other end lacks.
            let is_violation =
                ends.iter().any(|(lacks, end)| end.verdict == DeclaredVerdict::Denied && !lacks && end.has_policy);
            let is_of_agent = ends.iter().any(|(lacks, end)| *lacks && end.verdict == DeclaredVerdict::Denied);
            (is_violation || !is_of_agent).then_some(List::Violations)
        }
    }
}
