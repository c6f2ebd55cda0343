//! Detector of unusual protocols, edge level: which transport protocols, application protocols, operations and resources a
//! known edge had, and how many new ones a window of it is expected to bring. How unusual a new one is depends on what others ask of the same
//! destination, and so is judged by the entity level (`entities::uses`).
//!
//! A use that was never asked is a birth, as a new edge is: a discovery curve λ of all edges by age, and the edge's own Gamma
//! factor θ. That is the predictive rule of the Indian buffet process for new dishes (Teh and Görür, "Indian buffet processes
//! with power-law behavior", NIPS 22 (2009), section 2.2), with the pool's rate by age in the place of its parameters. Windows count
//! and not flows, because a loop that asks one thing a thousand times is one piece of news. What an edge had before is no
//! news however seldom it was: its number is the detector of volumes' business.
//!
//! Only what flows say of the same kind is compared: a use with a resource with others that have one.

use super::digest::Digests;
use super::speech::Speech;
use crate::entities::{Curve, Factor};
use crate::numbered::new_number;
use crate::report::{Discovery, DiscoveryRates, EdgeCounts, NewUse};
use crate::sorted;
use crate::usage::{self, Shape, TRANSPORT};
use foldhash::fast::RandomState;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;

/// Windows of a kind that an edge needs before it is judged.
const WINDOWS_MIN: u32 = 3;
/// Uses of one kind that an edge remembers.
const USES_MAX: usize = 16;
/// Uses too unusual to be learnt that an edge remembers.
const HELD_MAX: usize = 16;
/// New uses of one edge and kind that a window tells of, and those that enter the rates once the edge is known.
const TOLD_MAX: usize = 64;
const LEARNT_MAX: u64 = 3;
/// An edge on which so many uses were new has no usual ones: its resources are words of their own, and it is asked no more.
const WILD_USES: u32 = 1024;
/// Weight of the pooled rate in an edge's own, new uses.
const EDGE_PRIOR: f64 = 0.25;
/// Upper bound of the shape: new uses come in bursts.
const SHAPE_MAX: f64 = 3.0;

/// What the edges of a shard ask.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Uses {
    /// Per edge number the transport protocol of its first window that had one; zero for none.
    transports: Vec<u8>,
    /// By edge and shape; only edges whose flows say something have one.
    #[serde(serialize_with = "sorted::map")]
    known: HashMap<u64, Known, RandomState>,
    /// By edge and use: the open window.
    #[serde(serialize_with = "sorted::map")]
    open: HashMap<u64, EdgeCounts, RandomState>,
}

/// What an edge asked so far, of one shape.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Known {
    /// Windows in which it asked something.
    windows: u32,
    /// How many uses were ever new.
    met: u32,
    factor: Factor,
    /// Number of each use and the windows that had it.
    uses: Vec<(u32, u32)>,
    /// Uses that were too unusual to be learnt, and in how many windows.
    held: Vec<(u32, u8)>,
}

/// The uses of a window, by edge and text.
#[derive(Debug, Default)]
pub(super) struct WindowUses(Vec<(u32, u32, EdgeCounts)>);

/// The edge whose window is closed.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClosingEdge {
    pub(super) number: u32,
    pub(super) edge: crate::network::Edge,
    /// Window it was born in.
    pub(super) born: i64,
    /// Windows in which it was active before.
    pub(super) windows: u32,
    pub(super) is_training: bool,
}

fn place(edge: u32, shape: Shape) -> u64 {
    u64::from(edge) << 8 | u64::from(shape)
}

fn flow_place(edge: u32, usage: u32) -> u64 {
    u64::from(edge) << 32 | u64::from(usage)
}

impl WindowUses {
    /// Those of an edge.
    fn of(&self, edge: u32) -> &[(u32, u32, EdgeCounts)] {
        let begin = self.0.partition_point(|&(known, ..)| known < edge);
        let rest = &self.0[begin..];
        &rest[..rest.partition_point(|&(known, ..)| known == edge)]
    }
}

impl Uses {
    /// Takes a flow of the open window in.
    pub(super) fn observe(&mut self, edge: u32, usage: u32, counts: &EdgeCounts, speech: &mut Speech) {
        let usual = self.transports.get(edge as usize).copied().filter(|&usual| usual > 0);
        let protocol = counts.protocol_num.and_then(|protocol| u8::try_from(protocol).ok());
        if let (Some(usual), Some(protocol)) = (usual, protocol)
            && usual != protocol
        {
            let usage = speech.transport(protocol);
            self.add(edge, usage, counts);
        }
        if usage > 0 && (self.open.contains_key(&flow_place(edge, usage)) || !self.is_wild(edge, usage, speech)) {
            self.add(edge, usage, counts);
        }
    }

    /// Gives edges other numbers, or forgets them. To be called while no window is open.
    pub(super) fn keep(&mut self, numbers: &[Option<u32>]) {
        let number = |edge: u32| new_number(numbers, edge);
        let mut transports = vec![0; numbers.iter().flatten().max().map_or(0, |&most| most as usize + 1)];
        for (&usual, number) in self.transports.iter().zip(numbers) {
            if let Some(number) = number {
                transports[*number as usize] = usual;
            }
        }
        self.transports = transports;
        self.known = std::mem::take(&mut self.known)
            .into_iter()
            .filter_map(|(place, known)| {
                let edge = u32::try_from(place >> 8).ok().and_then(number)?;
                Some((u64::from(edge) << 8 | place & 0xff, known))
            })
            .collect();
    }

    fn add(&mut self, edge: u32, usage: u32, counts: &EdgeCounts) {
        self.open.entry(flow_place(edge, usage)).and_modify(|known| known.merge(counts)).or_insert(*counts);
    }

    fn is_wild(&self, edge: u32, usage: u32, speech: &Speech) -> bool {
        let shape = usage::shape(speech.use_text(usage));
        self.known.get(&place(edge, shape)).is_some_and(|known| known.met >= WILD_USES)
    }

    /// Ends the open window.
    #[allow(clippy::cast_possible_truncation)] // The halves are numbers of 32 bits.
    pub(super) fn end_window(&mut self, speech: &Speech) -> WindowUses {
        let parts = |(place, counts): (u64, EdgeCounts)| ((place >> 32) as u32, place as u32, counts);
        let mut all: Vec<(u32, u32, EdgeCounts)> = self.open.drain().map(parts).collect();
        all.sort_unstable_by(|one, other| {
            one.0.cmp(&other.0).then_with(|| speech.use_text(one.1).cmp(speech.use_text(other.1)))
        });
        WindowUses(all)
    }

    /// Tells what is new on an edge and learns its window.
    pub(super) fn close_edge(
        &mut self,
        closing: ClosingEdge,
        protocol: Option<i16>,
        window: &WindowUses,
        (rates, speech): (&DiscoveryRates, &Speech),
        digests: &mut Digests<'_>,
    ) {
        let place = closing.number as usize;
        if let Some(protocol) = protocol.and_then(|protocol| u8::try_from(protocol).ok()) {
            if self.transports.len() <= place {
                self.transports.resize(place + 1, 0);
            }
            if self.transports[place] == 0 {
                self.transports[place] = protocol;
            }
            digests.discoveries().transports.learn(Curve::bucket(closing.windows.into()), 0);
        }
        if window.0.is_empty() {
            return;
        }
        let mut by_shape: [Vec<(u32, EdgeCounts)>; usage::SHAPES as usize] = Default::default();
        for &(_, usage, counts) in window.of(closing.number) {
            by_shape[usize::from(usage::shape(speech.use_text(usage)))].push((usage, counts));
        }
        for (shape, asked) in (0..).zip(by_shape) {
            if !asked.is_empty() {
                self.close_shape(closing, shape, &asked, (rates, speech), digests);
            }
        }
    }

    fn close_shape(
        &mut self,
        closing: ClosingEdge,
        shape: Shape,
        asked: &[(u32, EdgeCounts)],
        (rates, speech): (&DiscoveryRates, &Speech),
        digests: &mut Digests<'_>,
    ) {
        let known = self.known.entry(place(closing.number, shape)).or_default();
        let is_transport = shape == TRANSPORT;
        if is_transport {
            // Its usual one is not told window by window.
            known.windows = closing.windows;
        }
        let bucket = Curve::bucket(known.windows.into());
        let rate = rates.at(known.windows.into(), is_transport);
        let is_judged = known.windows >= WINDOWS_MIN && !closing.is_training;
        let discovery = is_judged.then(|| Discovery {
            births: rate * known.factor.mean(EDGE_PRIOR),
            shape: known.factor.shape(EDGE_PRIOR).min(SHAPE_MAX),
        });
        let fresh: Vec<(u32, EdgeCounts)> =
            asked.iter().copied().filter(|&(usage, _)| known.uses.iter().all(|&(had, _)| had != usage)).collect();
        let had = match (is_judged && !fresh.is_empty(), shape) {
            (false, _) => Vec::new(),
            (true, TRANSPORT) => {
                self.transports.get(closing.number as usize).map(|&usual| usage::transport(usual)).into_iter().collect()
            }
            (true, _) => known.by_frequency(speech),
        };
        for &(usage, counts) in fresh.iter().take(TOLD_MAX) {
            digests.new_use(NewUse {
                edge: closing.edge,
                text: speech.use_text(usage).to_owned(),
                counts,
                expected: discovery,
                held: known.held.iter().find(|&&(held, _)| held == usage).map_or(0, |&(_, windows)| windows),
                born: closing.born,
                windows: known.windows.into(),
                had: had.clone(),
            });
        }
        known.learn(asked, fresh.len(), rate, speech);
        let events = (fresh.len() as u64).min(if is_judged { LEARNT_MAX } else { u64::MAX });
        if is_transport {
            digests.discoveries().transports.add(bucket, events);
        } else {
            digests.discoveries().uses.learn(bucket, events);
        }
    }

    /// Takes back what was learnt of a use in the window that was closed last, because it is too unusual.
    pub(super) fn doubt(&mut self, edge: u32, text: &str, speech: &Speech) {
        let Some(usage) = speech.find_use(text) else { return };
        let Some(known) = self.known.get_mut(&place(edge, usage::shape(text))) else { return };
        known.uses.retain(|&(had, _)| had != usage);
        known.factor.take_back(1);
        match known.held.iter_mut().find(|(held, _)| *held == usage) {
            Some((_, windows)) => *windows = windows.saturating_add(1),
            None => {
                if known.held.len() >= HELD_MAX {
                    known.held.remove(0);
                }
                known.held.push((usage, 1));
            }
        }
    }
}

impl Known {
    /// What was asked, that of most windows first.
    fn by_frequency(&self, speech: &Speech) -> Vec<String> {
        let mut uses = self.uses.clone();
        uses.sort_by(|one, other| {
            other.1.cmp(&one.1).then_with(|| speech.use_text(one.0).cmp(speech.use_text(other.0)))
        });
        uses.iter().map(|&(usage, _)| speech.use_text(usage).to_owned()).collect()
    }

    /// Takes a window in, what is unusual in it too: that is taken back once it is known.
    fn learn(&mut self, asked: &[(u32, EdgeCounts)], fresh: usize, rate: f64, speech: &Speech) {
        if self.windows > 0 {
            self.factor.learn((fresh as u64).min(LEARNT_MAX), rate);
        }
        self.windows = self.windows.saturating_add(1);
        self.met = self.met.saturating_add(u32::try_from(fresh).unwrap_or(u32::MAX));
        for &(usage, _) in asked {
            match self.uses.iter_mut().find(|(had, _)| *had == usage) {
                Some((_, windows)) => *windows = windows.saturating_add(1),
                None => self.uses.push((usage, 1)),
            }
        }
        if self.met >= WILD_USES {
            self.uses = Vec::new();
            self.held = Vec::new();
        } else if self.uses.len() > USES_MAX {
            // The seldomest go, of equals the last by name.
            self.uses.sort_by(|one, other| {
                other.1.cmp(&one.1).then_with(|| speech.use_text(one.0).cmp(speech.use_text(other.0)))
            });
            self.uses.truncate(USES_MAX);
        }
    }
}
