//! Detector of changed identities, entity level: which principals each entity proves, and what of a window is not as it
//! always was. A rule without statistics: an entity that for an hour proved one of few principals proves another; an edge that
//! was always mutual is so no more (`edges::credentials` says which). Where most clients of a service lose their protection at once
//! it is the service's change, and one finding.
//!
//! It says nothing of entities that prove many principals, such as proxies, nor of edges that never were mutual.

use super::{EntityLevel, View};
use crate::finding::Unusual;
use crate::identity::{self, Terms};
use crate::numbered::keep_keys;
use crate::particulars::Particular;
use crate::report::{DetectorName, Lapse, Proof};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Windows in which an entity proved something since its last new principal, before another one is news.
const WINDOWS_MIN: u32 = 12;
/// An entity with more principals is one whose principals change.
const PRINCIPALS_MAX: usize = 3;
/// Principals of one entity that are remembered.
const REMEMBERED_MAX: usize = 8;
/// After so many windows a new principal is one of its own.
const HELD_WINDOWS_MAX: u8 = 6;

/// The principals of all entities, by number.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Identities(BTreeMap<u32, Known>);

impl Identities {
    /// Forgets the principals of entities that are forgotten; `numbers` has the new number of each.
    pub(super) fn keep(&mut self, numbers: &[Option<u32>]) {
        keep_keys(&mut self.0, numbers);
    }
}

/// The principals of one entity.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Known {
    principals: Vec<Box<str>>,
    /// Windows in which it proved something, all and since it proved the last new one.
    windows: u64,
    settled_windows: u32,
    /// The window of its first proof.
    since: i64,
    /// New ones, and in how many windows.
    held: Vec<(Box<str>, u8)>,
}

/// A principal that its entity never proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mismatch {
    pub(crate) proof: Proof,
    /// What it proved so far.
    pub(crate) usual: Vec<String>,
    /// Window of the first proof, and windows with any.
    pub(crate) since: i64,
    pub(crate) windows: u64,
}

/// Edges of one service that lost their protection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Downgrade {
    pub(crate) lapses: Vec<Lapse>,
    /// Edges that kept it.
    pub(crate) kept: u64,
}

impl Downgrade {
    /// Whether most of several clients lost it.
    pub(crate) fn is_of_most(&self) -> bool {
        self.lapses.len() > 1 && self.lapses.len() as u64 > self.kept
    }
}

impl Known {
    fn is_settled(&self) -> bool {
        self.settled_windows >= WINDOWS_MIN && self.principals.len() <= PRINCIPALS_MAX
    }

    fn adopt(&mut self, principal: &str) {
        self.held.retain(|(held, _)| **held != *principal);
        if self.principals.len() < REMEMBERED_MAX {
            self.principals.push(principal.into());
        }
        self.settled_windows = 0;
    }

    /// Takes a new principal in; whether it is news.
    fn meet(&mut self, principal: &str, was_settled: bool) -> bool {
        if !was_settled {
            self.adopt(principal);
            return false;
        }
        let windows = match self.held.iter_mut().find(|(held, _)| **held == *principal) {
            Some((_, windows)) => {
                *windows += 1;
                *windows
            }
            None => {
                if self.held.len() < REMEMBERED_MAX {
                    self.held.push((principal.into(), 1));
                }
                1
            }
        };
        if windows >= HELD_WINDOWS_MAX {
            self.adopt(principal);
        }
        true
    }
}

impl Identities {
    /// Takes the proofs of a window in, in the order of entities and principals; those that are news.
    fn take(&mut self, view: &View, is_learnt: bool) -> Vec<Mismatch> {
        let mut news = Vec::new();
        for proofs in view.proofs.chunk_by(|one, other| one.entity() == other.entity()) {
            let Some(entity) = proofs.first().map(Proof::entity) else { continue };
            let known = self.0.entry(entity).or_insert_with(|| Known { since: view.index, ..Known::default() });
            let was_settled = known.is_settled() && !is_learnt;
            let usual: Vec<String> = known.principals.iter().map(|principal| String::from(&**principal)).collect();
            let (since, windows) = (known.since, known.windows);
            for proof in proofs {
                let is_usual = known.principals.iter().any(|principal| **principal == *proof.principal);
                if !is_usual && known.meet(&proof.principal, was_settled) {
                    news.push(Mismatch { proof: proof.clone(), usual: usual.clone(), since, windows });
                }
            }
            known.windows += 1;
            known.settled_windows = known.settled_windows.saturating_add(1);
        }
        news
    }
}

impl EntityLevel {
    /// Takes in who proved what and which edges lost their protection: what of it is news, and the principals that are, by
    /// entity.
    pub(super) fn changed_identities(
        &mut self,
        view: &View,
        is_silent: bool,
    ) -> (Vec<Unusual>, Vec<(u32, Particular)>) {
        let mismatches = self.identities.take(view, is_silent);
        if is_silent {
            return (Vec::new(), Vec::new());
        }
        let terms = Terms {
            window_length: view.length,
            window_end: view.start.saturating_add(view.length),
            lines_max: self.settings.observations_max,
        };
        let is_open = |entity, subject: &str| self.findings.is_open(entity, DetectorName::Identity, subject);
        let changed = identity::of_window(&self.network, &mismatches, &downgrades(view), terms, is_open);
        let principal = |Proof { principal, .. }: &Proof| Particular::principal(principal.clone());
        let proved = mismatches.iter().map(|news| (news.proof.entity(), principal(&news.proof)));
        (changed, proved.collect())
    }
}

/// The window's lapses by service, in the order of names.
fn downgrades(view: &View) -> Vec<Downgrade> {
    let service = |lapse: &Lapse| (lapse.edge.destination, lapse.edge.port);
    let of_service = |lapses: &[Lapse]| {
        let kept = view.guarded.iter().filter(|guarded| {
            lapses.first().is_some_and(|lapse| service(lapse) == (guarded.destination, guarded.port))
        });
        Downgrade { lapses: lapses.to_vec(), kept: kept.map(|guarded| guarded.edges).sum() }
    };
    view.lapses.chunk_by(|one, other| service(one) == service(other)).map(of_service).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{Edge, Port};
    use crate::report::EdgeCounts;

    fn proof(principal: &str) -> Proof {
        let counts = EdgeCounts { flows: 1, opened: 1, answered: 1, ..EdgeCounts::nothing(0) };
        let edge = Edge { source: 0, destination: 1, port: Port::Absent };
        Proof { edge, is_destination: false, principal: principal.to_owned(), counts }
    }

    /// Principals of one entity, window by window with spaces between them; windows with news.
    fn check(windows: &[&str], expected: &[i64]) {
        let mut identities = Identities::default();
        let mut found = Vec::new();
        for (index, principals) in (0..).zip(windows) {
            let mut view = View::new(index, 1, 9, false);
            view.proofs = principals.split_whitespace().map(proof).collect();
            if !identities.take(&view, false).is_empty() {
                found.push(index);
            }
        }
        assert_eq!(found, expected, "{windows:?}");
    }

    #[test]
    fn another_principal_is_news_until_it_stays() {
        let steady = ["a"; 12];
        check(&steady, &[]);
        check(&[&steady[..], &["b"]].concat(), &[12]);
        check(&[&steady[..11], &["b"]].concat(), &[]);
        check(&[&steady[..], &["a b", "a", "a b"]].concat(), &[12, 14]);
        check(&[&steady[..], &["b"; 9]].concat(), &[12, 13, 14, 15, 16, 17]);
        // Not of those who always had several, nor while the last one is young.
        check(&[&["a b c d"; 20][..], &["e"]].concat(), &[]);
        check(&[&["a b c"; 20][..], &["d"]].concat(), &[20]);
        check(&[&steady[..6], &["b"; 6], &["c"]].concat(), &[]);
    }
}
