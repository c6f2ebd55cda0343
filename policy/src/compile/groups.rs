//! Groups of peers: their names, whom they include, and circles among them.

use super::{Placed, number, place};
use crate::diagnostic::{Diagnostic, Diagnostics, Position};
use crate::document::{CidrSelector, Document, Group, Peer};
use hashbrown::HashMap;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The most address ranges in all groups together, each counted in every group that includes it.
const CIDRS_MAX: usize = 1_000_000;

/// A group, and where it stands in its document.
#[derive(Clone, Copy, Debug)]
pub(super) struct PlacedGroup<'d> {
    document: &'d Document,
    index: usize,
    pub(super) group: &'d Group,
}

/// All groups, by name.
#[derive(Debug)]
pub(super) struct Groups<'d> {
    pub(super) list: Vec<PlacedGroup<'d>>,
    numbers: HashMap<&'d str, u32>,
    /// The address ranges of each group, those of its groups included.
    pub(super) cidrs: Vec<BTreeSet<&'d CidrSelector>>,
}

impl<'d> Groups<'d> {
    pub(super) fn new(documents: &'d [Document], faults: &mut Diagnostics) -> Self {
        let mut list: Vec<PlacedGroup<'d>> = documents
            .iter()
            .flat_map(|document| {
                let placed = move |(index, group)| PlacedGroup { document, index, group };
                document.groups.iter().enumerate().map(placed)
            })
            .collect();
        list.sort_by(|a, b| a.group.name.cmp(&b.group.name));
        for pair in list.windows(2) {
            if pair[0].group.name == pair[1].group.name {
                let other = place(pair[0].document, pair[0].group.position);
                let message = format!("{other} has a group \"{}\" already", pair[0].group.name);
                faults.push(pair[1].diagnostic(pair[1].group.position, ".name", message));
            }
        }
        let numbers = (0..).zip(&list).map(|(number, placed)| (placed.group.name.as_str(), number)).collect();
        let mut groups = Self { list, numbers, cidrs: Vec::new() };
        for placed in &groups.list {
            for (index, member) in placed.group.members.iter().enumerate() {
                if let Some((position, message)) = groups.missing(member, faults) {
                    faults.push(placed.diagnostic(position, &format!(".members[{index}].group"), message));
                }
            }
        }
        let order = groups.order(faults);
        groups.collect_cidrs(&order, faults);
        groups
    }

    /// The number of a group's name.
    pub(super) fn number(&self, name: &str) -> Option<u32> {
        self.numbers.get(name).copied()
    }

    /// Complains of groups that policies name and that are not there, and of subjects with address ranges.
    pub(super) fn check_references(&self, policies: &[Placed<'_>], faults: &mut Diagnostics) {
        for placed in policies {
            let subject = &placed.policy.subject;
            if let Some((position, message)) = self.missing(subject, faults) {
                faults.push(placed.diagnostic(position, ".subject.group", message));
            } else if let Peer::Group(name, position) = subject
                && self
                    .number(name)
                    .is_some_and(|group| self.cidrs.get(group as usize).is_some_and(|own| !own.is_empty()))
            {
                let message = format!("group \"{name}\" holds address ranges; a subject is an entity");
                faults.push(placed.diagnostic(*position, ".subject.group", message));
            }
            for (index, rule) in placed.policy.rules.iter().enumerate() {
                for (peer_index, peer) in rule.peers.iter().enumerate() {
                    if let Some((position, message)) = self.missing(peer, faults) {
                        let path = format!(".allow[{index}].{}[{peer_index}].group", rule.peers_key());
                        faults.push(placed.diagnostic(position, &path, message));
                    }
                }
            }
        }
    }

    /// What is wrong with a peer that is a group without definition.
    fn missing(&self, peer: &Peer, faults: &Diagnostics) -> Option<(Position, String)> {
        let Peer::Group(name, position) = peer else { return None };
        if self.numbers.contains_key(name.as_str()) {
            return None;
        }
        if faults.is_full() {
            // It will only be counted, and there may be millions.
            return Some((*position, String::new()));
        }
        let names: Vec<&str> = self.list.iter().map(|placed| placed.group.name.as_str()).take(10_000).collect();
        let hint =
            crate::reader::nearest(name, &names).map_or_else(String::new, |near| format!("; did you mean \"{near}\"?"));
        Some((*position, format!("there is no group \"{name}\"{hint}")))
    }

    fn children(&self, group: u32) -> impl Iterator<Item = (u32, Position)> + '_ {
        self.list[group as usize].group.members.iter().filter_map(|member| match member {
            Peer::Group(name, position) => Some((self.number(name)?, *position)),
            _ => None,
        })
    }

    /// Groups, each after those that it includes. A circle is a fault that names its groups. Not recursive: chains of
    /// groups may be long.
    fn order(&self, faults: &mut Diagnostics) -> Vec<u32> {
        #[derive(Clone, Copy, PartialEq)]
        enum State {
            New,
            Open,
            Done,
        }
        let mut states = vec![State::New; self.list.len()];
        let mut order = Vec::with_capacity(self.list.len());
        for root in 0..number(self.list.len()) {
            if states[root as usize] != State::New {
                continue;
            }
            states[root as usize] = State::Open;
            let mut way = vec![(root, self.children(root))];
            while let Some((group, children)) = way.last_mut() {
                let group = *group;
                match children.next() {
                    None => {
                        states[group as usize] = State::Done;
                        order.push(group);
                        way.pop();
                    }
                    Some((child, position)) if states[child as usize] == State::Open => {
                        let from = way.iter().position(|(group, _)| *group == child).unwrap_or(0);
                        let circle: Vec<u32> = way[from..].iter().map(|(group, _)| *group).collect();
                        self.complain_of_circle(&circle, position, faults);
                    }
                    Some((child, _)) if states[child as usize] == State::New => {
                        states[child as usize] = State::Open;
                        way.push((child, self.children(child)));
                    }
                    Some(_) => {}
                }
            }
        }
        order
    }

    fn complain_of_circle(&self, circle: &[u32], position: Position, faults: &mut Diagnostics) {
        const NAMES_MAX: usize = 10;
        let name = |group: &u32| self.list[*group as usize].group.name.as_str();
        let mut names: Vec<&str> = circle.iter().take(NAMES_MAX).map(name).collect();
        if circle.len() > NAMES_MAX {
            names.push("...");
        }
        names.extend(circle.first().map(name));
        let Some(last) = circle.last() else { return };
        let message = format!("groups include one another in a circle: {}", names.join(" -> "));
        faults.push(self.list[*last as usize].diagnostic(position, ".members", message));
    }

    fn collect_cidrs(&mut self, order: &[u32], faults: &mut Diagnostics) {
        self.cidrs = vec![BTreeSet::new(); self.list.len()];
        let mut total = 0;
        for &group in order {
            let placed = self.list[group as usize];
            let mut own: BTreeSet<&'d CidrSelector> = placed
                .group
                .members
                .iter()
                .filter_map(|member| if let Peer::Cidr(cidr) = member { Some(cidr) } else { None })
                .collect();
            let children: Vec<u32> = self.children(group).map(|(child, _)| child).collect();
            for child in children {
                own.extend(&self.cidrs[child as usize]);
                if total + own.len() > CIDRS_MAX {
                    let message = format!("groups hold more than {CIDRS_MAX} address ranges");
                    faults.push(placed.diagnostic(placed.group.position, "", message));
                    return;
                }
            }
            total += own.len();
            self.cidrs[group as usize] = own;
        }
    }
}

impl PlacedGroup<'_> {
    fn diagnostic(&self, position: Position, path: &str, message: String) -> Diagnostic {
        let path = format!("group[{}]{path}", self.index);
        Diagnostic { source: Arc::clone(&self.document.source), position: Some(position), path, message }
    }
}
