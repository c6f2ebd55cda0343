//! Detector of changed identities, edge level: which edges were always mutual, so that one that loses its protection is
//! told, and which principals entities proved in a window. A rule without statistics; what is a finding is the entity
//! level's to say (`entities::identities`).

use super::digest::Digests;
use super::speech::{Protection, Speech};
use super::uses::ClosingEdge;
use crate::numbered::keep_keys;
use crate::report::{EdgeCounts, Lapse};
use crate::sorted;
use foldhash::fast::RandomState;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// Windows and flows in which an edge was mutual and never anything else, before it is one that always was.
const WINDOWS_MIN: u32 = 3;
const FLOWS_MIN: u64 = 20;
/// After so many windows without protection that is how the edge is.
const LAPSED_WINDOWS_MAX: u8 = 6;
/// Doublings of the windows that an edge needs again each time it has lost its protection.
const LAPSES_MAX: u32 = 10;

/// How the edges of a shard were protected.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Credentials {
    /// By edge; only those that ever were mutual have one.
    #[serde(serialize_with = "sorted::map")]
    guards: HashMap<u32, Guard, RandomState>,
    /// By edge and credential: the open window.
    #[serde(serialize_with = "sorted::map")]
    open: HashMap<u64, EdgeCounts, RandomState>,
}

/// How an edge was protected since it was last without.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Guard {
    windows: u32,
    flows: u64,
    /// How often it became an edge without.
    lapses: u32,
    /// Windows without that were told.
    lapsed_windows: u8,
}

/// The credentials of a window, by edge and text.
#[derive(Debug, Default)]
pub(super) struct WindowCredentials(Vec<(u32, u32, EdgeCounts)>);

impl Guard {
    fn is_settled(&self) -> bool {
        self.windows >= WINDOWS_MIN << self.lapses.min(LAPSES_MAX) && self.flows >= FLOWS_MIN
    }

    fn lapse(&mut self) {
        *self = Self { lapses: self.lapses.saturating_add(1), ..Self::default() };
    }
}

impl Credentials {
    /// Takes a flow of the open window in.
    pub(super) fn observe(&mut self, edge: u32, credential: u32, counts: &EdgeCounts) {
        // What was not answered proved nothing, and nothing was sent without protection.
        if credential > 0 && counts.answered > 0 {
            let place = u64::from(edge) << 32 | u64::from(credential);
            self.open.entry(place).and_modify(|known| known.merge(counts)).or_insert(*counts);
        }
    }

    /// Gives edges other numbers, or forgets them. To be called while no window is open.
    pub(super) fn keep(&mut self, numbers: &[Option<u32>]) {
        keep_keys(&mut self.guards, numbers);
    }

    /// Ends the open window.
    #[allow(clippy::cast_possible_truncation)] // The halves are numbers of 32 bits.
    pub(super) fn end_window(&mut self, speech: &Speech) -> WindowCredentials {
        let parts = |(place, counts): (u64, EdgeCounts)| ((place >> 32) as u32, place as u32, counts);
        let mut all: Vec<(u32, u32, EdgeCounts)> = self.open.drain().map(parts).collect();
        all.sort_unstable_by(|one, other| {
            let text = |credential| speech.credential_text(credential);
            one.0.cmp(&other.0).then_with(|| text(one.1).cmp(text(other.1)))
        });
        WindowCredentials(all)
    }

    /// Tells who was proved on an edge and whether it lost its protection, and learns its window.
    pub(super) fn close_edge(
        &mut self,
        closing: ClosingEdge,
        window: &WindowCredentials,
        speech: &Speech,
        digests: &mut Digests<'_>,
    ) {
        if window.0.is_empty() {
            return;
        }
        let begin = window.0.partition_point(|&(edge, ..)| edge < closing.number);
        let of_edge = window.0[begin..].iter().take_while(|&&(edge, ..)| edge == closing.number);
        let (mut mutual_flows, mut is_plain, mut lapsed) = (0_u64, false, None::<EdgeCounts>);
        for &(_, credential, counts) in of_edge {
            let credential = speech.credential_of(credential);
            for (principal, is_destination) in credential.principals.into_iter().zip([false, true]) {
                if let Some(principal) = principal {
                    digests.proof(closing.edge, is_destination, principal, &counts);
                }
            }
            match credential.protection {
                Protection::Unknown => (),
                Protection::Mutual => mutual_flows = mutual_flows.saturating_add(counts.answered.unsigned_abs()),
                Protection::OneSided | Protection::Plain => {
                    is_plain |= credential.protection == Protection::Plain;
                    match &mut lapsed {
                        Some(lapsed) => lapsed.merge(&counts),
                        None => lapsed = Some(counts),
                    }
                }
            }
        }
        let known = self.guards.get(&closing.number).copied();
        let mut guard = known.unwrap_or_default();
        let was_settled = guard.is_settled();
        match lapsed {
            Some(counts) if was_settled && !closing.is_training => {
                digests.lapse(Lapse {
                    edge: closing.edge,
                    is_plain,
                    counts,
                    born: closing.born,
                    windows: guard.windows.into(),
                    flows: guard.flows,
                });
                guard.lapsed_windows += 1;
                if guard.lapsed_windows >= LAPSED_WINDOWS_MAX {
                    guard.lapse();
                }
            }
            Some(_) if known.is_some() || mutual_flows > 0 => guard.lapse(),
            Some(_) => return,
            None if mutual_flows > 0 => {
                guard.windows = guard.windows.saturating_add(1);
                guard.flows = guard.flows.saturating_add(mutual_flows);
                guard.lapsed_windows = 0;
                if was_settled {
                    digests.guarded(closing.edge);
                }
            }
            None => return,
        }
        self.guards.insert(closing.number, guard);
    }
}
