//! Warnings: rules that can never match, and rules that an earlier, wider one hides.
//!
//! Only what is sure is said; a rule without a warning may still be useless.

use super::groups::Groups;
use super::{Placed, place};
use crate::diagnostic::Diagnostics;
use crate::document::{Direction, EntitySelector, KINDS, Peer, Rule};
use crate::labels::EntityLabels;
use crate::pattern::Pattern;
use hashbrown::HashMap;
use std::cell::Cell;
use std::collections::BTreeMap;

/// How many pairs of rules, peers, ports or patterns are compared; the search for hidden rules ends there.
const COMPARISONS_MAX: u64 = 10_000_000;

/// Counts comparisons, so that documents of any shape are reviewed in bounded time.
#[derive(Debug)]
struct Budget(Cell<u64>);

impl Budget {
    /// Takes one comparison; false when none is left, and then nothing is said to be covered.
    fn take(&self) -> bool {
        let left = self.0.get();
        self.0.set(left.saturating_sub(1));
        left > 0
    }

    fn is_spent(&self) -> bool {
        self.0.get() == 0
    }
}

pub(super) fn review(policies: &[Placed<'_>], groups: &Groups<'_>, labels: &EntityLabels, warnings: &mut Diagnostics) {
    let is_dead = |peer: &Peer| match peer {
        Peer::Entity(selector) => dead_reason(selector, labels),
        _ => None,
    };
    let budget = Budget(Cell::new(COMPARISONS_MAX));
    for placed in policies {
        let policy = placed.policy;
        if let Some(reason) = is_dead(&policy.subject) {
            let message = format!("the policy is about nobody: {reason}");
            warnings.push(placed.diagnostic(policy.position, ".subject", message));
        }
        if policy.rules.is_empty() {
            let message = "the policy has no rules: all is denied to its subject".to_owned();
            warnings.push(placed.diagnostic(policy.position, "", message));
        }
        for (index, rule) in policy.rules.iter().enumerate() {
            let reasons: Option<Vec<String>> = rule.peers.iter().map(is_dead).collect();
            let message = if policy.direction != Direction::Both
                && rule.direction != Direction::Both
                && policy.direction != rule.direction
            {
                let governed = policy.direction.as_str();
                format!(
                    "the rule can never match: the policy governs `{governed}` only, the rule `{}`",
                    rule.direction.as_str()
                )
            } else if let Some(reasons) = reasons.filter(|reasons| !reasons.is_empty()) {
                format!("the rule can never match: {}", reasons.join("; "))
            } else {
                continue;
            };
            warnings.push(placed.diagnostic(rule.position, &format!(".allow[{index}]"), message));
        }
        find_hidden(placed, groups, &budget, warnings);
    }
    if budget.is_spent()
        && let Some(placed) = policies.first()
    {
        let message = "there are too many alike rules to look for all that are hidden by others".to_owned();
        warnings.push(placed.diagnostic(placed.policy.position, "", message));
    }
}

/// Why no entity can have these parts.
fn dead_reason(selector: &EntitySelector, labels: &EntityLabels) -> Option<String> {
    if !KINDS.iter().any(|kind| selector.kind.matches(kind.as_str())) {
        return Some(format!("no entity has the kind \"{}\"", selector.kind));
    }
    if [&selector.network, &selector.namespace, &selector.name]
        .iter()
        .any(|part| part.literal().is_some_and(|text| text.contains('/')))
    {
        return Some("a part of an entity id has no `/`".to_owned());
    }
    // Four parts make three slashes; a pattern without wildcards that has fewer is a short name in the wrong key.
    if selector.glob.literal().is_some_and(|text| text.matches('/').count() < 3) {
        return Some(format!(
            "`glob` speaks of whole ids such as */shop/service/cart; for \"{}\" write `name`",
            selector.glob
        ));
    }
    // Without any labels nothing is known of them, and nothing can be said.
    let missing = selector.labels.iter().find(|(label, value)| {
        let is_found = |(_, own): (&str, &BTreeMap<String, String>)| {
            own.get(label.as_str()).is_some_and(|found| value.matches(found))
        };
        !labels.is_empty() && !labels.iter().any(is_found)
    });
    missing.map(|(label, value)| format!("no known entity has the label {label} = \"{value}\""))
}

/// Looks within one policy: of two policies neither hides the other, for each may change alone.
fn find_hidden(placed: &Placed<'_>, groups: &Groups<'_>, budget: &Budget, warnings: &mut Diagnostics) {
    let rules = &placed.policy.rules;
    // A rule that covers another has each of its peers, or a pattern that is wider.
    let mut by_peer: HashMap<String, Vec<usize>> = HashMap::new();
    let mut wide: Vec<usize> = Vec::new();
    for (index, rule) in rules.iter().enumerate() {
        let same = rule.peers.first().and_then(|peer| by_peer.get(&key(peer))).map_or(&[][..], Vec::as_slice);
        let mut hides = None;
        for earlier in same.iter().chain(&wide) {
            if !budget.take() {
                return;
            }
            if covers(&rules[*earlier], rule, groups, budget) {
                hides = Some(*earlier);
                break;
            }
        }
        if let Some(earlier) = hides {
            let earlier = &rules[earlier];
            let at = place(placed.document, earlier.position);
            let message = format!("the rule is hidden: rule \"{}\" ({at}) allows all that it allows", earlier.name);
            warnings.push(placed.diagnostic(rule.position, &format!(".allow[{index}]"), message));
            continue;
        }
        for peer in &rule.peers {
            by_peer.entry(key(peer)).or_default().push(index);
        }
        if rule.peers.iter().any(is_wide) {
            wide.push(index);
        }
    }
}

/// Alike peers have alike keys. The debug text tells all of a peer but the place of a group's name.
fn key(peer: &Peer) -> String {
    match peer {
        Peer::Group(name, _) => format!("group {name}"),
        other => format!("{other:?}"),
    }
}

/// Whether a peer may cover one that is written otherwise.
fn is_wide(peer: &Peer) -> bool {
    match peer {
        Peer::Entity(selector) => [&selector.network, &selector.namespace, &selector.kind, &selector.name]
            .iter()
            .any(|part| part.literal().is_none() && !(part.is_any() && selector.name.literal().is_some())),
        Peer::Cidr(_) | Peer::Group(..) => true,
    }
}

fn covers(wide: &Rule, narrow: &Rule, groups: &Groups<'_>, budget: &Budget) -> bool {
    let patterns = |wide: &Pattern, narrow: &Pattern| wide.covers(narrow);
    wide.direction.includes(narrow.direction)
        && (!wide.require_mtls || narrow.require_mtls)
        && all_covered(&wide.ports, &narrow.ports, budget, |wide, narrow| wide.covers(narrow))
        && all_covered(&wide.operations, &narrow.operations, budget, patterns)
        && all_covered(&wide.resources, &narrow.resources, budget, patterns)
        && narrow.peers.iter().all(|narrow| wide.peers.iter().any(|wide| peer_covers(wide, narrow, groups, budget)))
}

/// Whether each of the narrow is covered by one of the wide. An empty list takes all.
fn all_covered<T>(wide: &[T], narrow: &[T], budget: &Budget, covers: impl Fn(&T, &T) -> bool) -> bool {
    let is_covered = |narrow| wide.iter().any(|wide| budget.take() && covers(wide, narrow));
    wide.is_empty() || (!narrow.is_empty() && narrow.iter().all(is_covered))
}

fn peer_covers(wide: &Peer, narrow: &Peer, groups: &Groups<'_>, budget: &Budget) -> bool {
    if !budget.take() {
        return false;
    }
    match (wide, narrow) {
        (Peer::Entity(wide), Peer::Entity(narrow)) => wide.covers(narrow),
        (Peer::Cidr(wide), Peer::Cidr(narrow)) => wide.covers(narrow),
        (Peer::Group(wide, _), Peer::Group(narrow, _)) if wide == narrow => true,
        // Everyone, whatever the address.
        (Peer::Entity(wide), Peer::Cidr(_) | Peer::Group(..)) => wide.covers(&EntitySelector::default()),
        // A group covers what one of its own members covers.
        (Peer::Group(wide, _), narrow) => groups.number(wide).is_some_and(|group| {
            let members = &groups.list[group as usize].group.members;
            let mut own = members.iter().filter(|member| !matches!(member, Peer::Group(..)));
            own.any(|member| peer_covers(member, narrow, groups, budget))
        }),
        (Peer::Cidr(_), Peer::Entity(_) | Peer::Group(..)) => false,
    }
}
