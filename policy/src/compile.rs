//! Joins documents into one [`PolicySet`]: names, groups and defaults are resolved across files, rules are indexed.

mod groups;
mod review;
mod version;

use crate::classes::{AddressClasses, PortClasses};
use crate::diagnostic::{Diagnostic, Diagnostics, PolicyError, Position};
use crate::document::{Action, CidrSelector, Document, EntitySelector, KINDS, Peer, Policy};
use crate::labels::EntityLabels;
use crate::parse::{Syntax, parse};
use crate::selectors::SelectorIndex;
use crate::set::{CompiledPolicy, CompiledRule, End, PolicySet, Rules};
use groups::Groups;
use hashbrown::HashMap;
use std::sync::Arc;
use tradewind_model::entity::EntityKind;

/// The most rules in all documents together.
pub const RULES_MAX: usize = 200_000;
/// The most peers in all rules, and members in all groups, together.
pub const PEERS_MAX: usize = 2_000_000;

/// A compiled policy and what is doubtful in it.
#[derive(Clone, Debug)]
pub struct Compiled {
    /// The policy.
    pub set: PolicySet,
    /// What is doubtful, by file and place.
    pub warnings: Diagnostics,
}

/// Reads and compiles several files: name, text, syntax.
///
/// # Errors
/// Every fault found in any of them.
pub fn load(files: &[(&str, &str, Syntax)], labels: EntityLabels) -> Result<Compiled, PolicyError> {
    let mut documents = Vec::with_capacity(files.len());
    let mut faults = Diagnostics::default();
    for (source, text, syntax) in files {
        match parse(source, text, *syntax) {
            Ok(document) => documents.push(document),
            Err(PolicyError(found)) => faults.append(found),
        }
    }
    if !faults.is_empty() {
        return Err(PolicyError(faults));
    }
    compile(&documents, labels)
}

/// Joins documents. Their order does not matter.
///
/// # Errors
/// Every fault found.
pub fn compile(documents: &[Document], labels: EntityLabels) -> Result<Compiled, PolicyError> {
    let mut faults = Diagnostics::default();
    let mut warnings = Diagnostics::default();
    documents.iter().for_each(|document| warnings.append(document.warnings.clone()));
    check_size(documents, &mut faults);
    if !faults.is_empty() {
        return Err(PolicyError(faults));
    }
    let defaults = defaults(documents, &mut faults);
    let groups = Groups::new(documents, &mut faults);
    let policies = policies(documents, &mut faults);
    groups.check_references(&policies, &mut faults);
    if !faults.is_empty() {
        faults.sort();
        return Err(PolicyError(faults));
    }
    review::review(&policies, &groups, &labels, &mut warnings);
    warnings.sort();
    let version = version::version(&defaults, &policies, &groups);
    let rules = Builder::new(&groups).build(&policies, defaults, labels, version);
    Ok(Compiled { set: PolicySet { rules: Arc::new(rules) }, warnings })
}

/// A policy, and where it stands in its document.
#[derive(Clone, Copy, Debug)]
struct Placed<'d> {
    document: &'d Document,
    index: usize,
    policy: &'d Policy,
}

impl Placed<'_> {
    fn diagnostic(&self, position: Position, path: &str, message: String) -> Diagnostic {
        let path = format!("policy[{}]{path}", self.index);
        Diagnostic { source: Arc::clone(&self.document.source), position: Some(position), path, message }
    }

    fn place(&self) -> String {
        place(self.document, self.policy.position)
    }
}

fn place(document: &Document, position: Position) -> String {
    format!("{}:{}", document.source, position.line)
}

fn check_size(documents: &[Document], faults: &mut Diagnostics) {
    let (mut rules, mut peers) = (0, 0);
    for document in documents {
        rules += document.policies.iter().map(|policy| policy.rules.len().max(1)).sum::<usize>();
        peers += document.policies.iter().flat_map(|policy| &policy.rules).map(|rule| rule.peers.len()).sum::<usize>();
        peers += document.groups.iter().map(|group| group.members.len()).sum::<usize>();
        let message = if peers > PEERS_MAX {
            format!("more than {PEERS_MAX} peers up to this file; use patterns")
        } else if rules > RULES_MAX {
            format!("more than {RULES_MAX} rules up to this file; use groups and patterns instead of one rule a pair")
        } else {
            continue;
        };
        faults.push(Diagnostic { source: Arc::clone(&document.source), position: None, path: String::new(), message });
        return;
    }
}

/// What is denied and allowed without a policy where no document says it: see `docs/specs/policy.md`.
fn default_action(kind: EntityKind) -> Action {
    if kind == EntityKind::External { Action::Allow } else { Action::Deny }
}

fn defaults(documents: &[Document], faults: &mut Diagnostics) -> [Action; KINDS.len()] {
    let mut defaults = KINDS.map(default_action);
    let mut said: [Option<(&Document, Position)>; KINDS.len()] = [None; KINDS.len()];
    for document in documents {
        for (&kind, &(action, position)) in &document.defaults {
            if let Some((other, other_position)) = said[kind].filter(|_| defaults[kind] != action) {
                faults.push(Diagnostic {
                    source: Arc::clone(&document.source),
                    position: Some(position),
                    path: format!("defaults.{}", KINDS[kind].as_str()),
                    message: format!("{} says otherwise", place(other, other_position)),
                });
            }
            said[kind] = Some((document, position));
            defaults[kind] = action;
        }
    }
    defaults
}

/// All policies by name, after complaining of names and subjects that two have.
fn policies<'d>(documents: &'d [Document], faults: &mut Diagnostics) -> Vec<Placed<'d>> {
    let mut policies: Vec<Placed<'d>> = documents
        .iter()
        .flat_map(|document| {
            let placed = move |(index, policy)| Placed { document, index, policy };
            document.policies.iter().enumerate().map(placed)
        })
        .collect();
    // Stable, so that of two with one name the later is complained of.
    policies.sort_by(|a, b| a.policy.name.cmp(&b.policy.name));
    for pair in policies.windows(2) {
        if pair[0].policy.name == pair[1].policy.name {
            let message = format!("{} has a policy \"{}\" already", pair[0].place(), pair[0].policy.name);
            faults.push(pair[1].diagnostic(pair[1].policy.position, ".name", message));
        }
    }
    let mut subjects: HashMap<String, Placed<'_>> = HashMap::new();
    let mut in_order: Vec<&Placed<'_>> = policies.iter().collect();
    in_order.sort_by_key(|placed| (&placed.document.source, placed.index));
    for placed in in_order {
        check_rule_names(placed, faults);
        // The debug text is a complete account of a selector.
        let subject = match &placed.policy.subject {
            Peer::Group(name, _) => format!("group {name}"),
            other => format!("{other:?}"),
        };
        if let Some(other) = subjects.get(&subject).filter(|other| other.policy.name != placed.policy.name) {
            let message = format!(
                "policy \"{}\" ({}) has the same subject; write their rules in one policy",
                other.policy.name,
                other.place()
            );
            faults.push(placed.diagnostic(placed.policy.position, ".subject", message));
        } else {
            subjects.insert(subject, *placed);
        }
    }
    policies
}

fn check_rule_names(placed: &Placed<'_>, faults: &mut Diagnostics) {
    let mut names: HashMap<&str, Position> = HashMap::new();
    for (index, rule) in placed.policy.rules.iter().enumerate() {
        if let Some(other) = names.insert(&rule.name, rule.position) {
            let message = format!("{} has a rule \"{}\" already", place(placed.document, other), rule.name);
            faults.push(placed.diagnostic(rule.position, &format!(".allow[{index}].name"), message));
        }
    }
}

/// Numbers peers, names and ranges, and lays the rules out.
struct Builder<'d> {
    groups: &'d Groups<'d>,
    names: Vec<Box<str>>,
    selectors: HashMap<&'d EntitySelector, u32>,
    cidrs: HashMap<&'d CidrSelector, u32>,
    group_cidrs: Vec<Box<[u32]>>,
}

impl<'d> Builder<'d> {
    fn new(groups: &'d Groups<'d>) -> Self {
        let mut builder = Self {
            groups,
            names: Vec::new(),
            selectors: HashMap::new(),
            cidrs: HashMap::new(),
            group_cidrs: Vec::new(),
        };
        let members = groups.list.iter().flat_map(|group| &group.group.members);
        members.for_each(|peer| builder.number(peer));
        let ranges = groups.cidrs.iter();
        builder.group_cidrs = ranges.map(|own| own.iter().map(|cidr| builder.cidrs[*cidr]).collect()).collect();
        builder
    }

    fn number(&mut self, peer: &'d Peer) {
        match peer {
            Peer::Entity(selector) => {
                let next = number(self.selectors.len());
                self.selectors.entry(selector).or_insert(next);
            }
            Peer::Cidr(cidr) => {
                let next = number(self.cidrs.len());
                self.cidrs.entry(cidr).or_insert(next);
            }
            Peer::Group(..) => {}
        }
    }

    fn name(&mut self, name: String) -> u32 {
        self.names.push(name.into());
        number(self.names.len() - 1)
    }

    /// The number of a peer; none for an address range. All selectors have been numbered.
    fn peer(&self, peer: &Peer) -> Option<u32> {
        match peer {
            Peer::Entity(selector) => self.selectors.get(&**selector).copied(),
            Peer::Group(name, _) => Some(number(self.selectors.len()) + self.groups.number(name)?),
            Peer::Cidr(_) => None,
        }
    }

    fn build(
        mut self,
        policies: &[Placed<'d>],
        defaults: [Action; KINDS.len()],
        labels: EntityLabels,
        version: i64,
    ) -> Rules {
        for placed in policies {
            self.number(&placed.policy.subject);
            placed.policy.rules.iter().flat_map(|rule| &rule.peers).for_each(|peer| self.number(peer));
        }
        let default_names = KINDS.map(|kind| {
            End::BOTH.map(|end| self.name(format!("default/{}/{}", kind.as_str(), end.direction().as_str())))
        });
        let mut compiled = Vec::with_capacity(policies.len());
        let (mut list, mut subjects, mut by_peer) = (Vec::new(), Vec::new(), Vec::new());
        for (policy, placed) in (0..).zip(policies) {
            subjects.extend(self.peer(&placed.policy.subject).map(|peer| (peer, policy)));
            let first = list.len();
            for rule in &placed.policy.rules {
                let place = number(list.len());
                by_peer.extend(rule.peers.iter().filter_map(|peer| self.peer(peer)).map(|peer| (policy, peer, place)));
                let rule = self.rule(placed, rule);
                list.push(rule);
            }
            let cidr_rules = (first..list.len()).filter(|rule| {
                let rule: &CompiledRule = &list[*rule];
                !(rule.cidrs.is_empty() && rule.cidr_groups.is_empty())
            });
            let cidr_rules = cidr_rules.map(number).collect();
            let name = &placed.policy.name;
            let none_names = End::BOTH.map(|end| self.name(format!("{name}/none/{}", end.direction().as_str())));
            compiled.push(CompiledPolicy { direction: placed.policy.direction, none_names, cidr_rules });
        }
        subjects.sort_unstable();
        by_peer.sort_unstable();
        by_peer.dedup();
        let groups_of = self.groups_of();
        let port_classes =
            PortClasses::new(list.iter().flat_map(|rule| rule.ports.iter().filter_map(|port| port.ports)));
        let cidrs = by_number(self.cidrs);
        Rules {
            version,
            labels,
            names: self.names,
            defaults,
            default_names,
            policies: compiled,
            list,
            selectors: SelectorIndex::new(by_number(self.selectors)),
            groups_of,
            subjects,
            by_peer,
            address_classes: AddressClasses::new(&cidrs),
            cidrs,
            group_cidrs: self.group_cidrs,
            port_classes,
        }
    }

    fn rule(&mut self, placed: &Placed<'d>, rule: &'d crate::document::Rule) -> CompiledRule {
        let name = self.name(format!("{}/{}", placed.policy.name, rule.name));
        let cidrs = rule.peers.iter().filter_map(|peer| match peer {
            Peer::Cidr(cidr) => self.cidrs.get(cidr).copied(),
            _ => None,
        });
        let groups = rule.peers.iter().filter_map(|peer| match peer {
            Peer::Group(name, _) => self.groups.number(name),
            _ => None,
        });
        CompiledRule {
            name,
            direction: rule.direction,
            require_mtls: rule.require_mtls,
            ports: rule.ports.clone().into(),
            operations: rule.operations.clone().into(),
            resources: rule.resources.clone().into(),
            cidrs: cidrs.collect(),
            cidr_groups: groups.filter(|group| !self.group_cidrs[*group as usize].is_empty()).collect(),
            position: rule.position,
            source: Arc::clone(&placed.document.source),
        }
    }

    fn groups_of(&self) -> HashMap<u32, Vec<u32>> {
        let mut groups_of: HashMap<u32, Vec<u32>> = HashMap::new();
        for (group, placed) in (number(self.selectors.len())..).zip(&self.groups.list) {
            for peer in placed.group.members.iter().filter_map(|peer| self.peer(peer)) {
                groups_of.entry(peer).or_default().push(group);
            }
        }
        groups_of
    }
}

fn number(value: usize) -> u32 {
    u32::try_from(value).expect("the limits of size keep all numbers below 2^30")
}

fn by_number<T: Clone>(numbers: HashMap<&T, u32>) -> Vec<T> {
    let mut pairs: Vec<(u32, &T)> = numbers.into_iter().map(|(value, number)| (number, value)).collect();
    pairs.sort_unstable_by_key(|(number, _)| *number);
    pairs.into_iter().map(|(_, value)| value.clone()).collect()
}
