//! What a window brings to the rhythms of entities: who was heard, and how much of what was expected is heard of the rest of
//! the network. Judges no pause.

use super::rhythm::{Expected, Rhythm, Standing, WINDOW};
use super::{At, COVERAGE_MIN, IN, KEPT_MAX, OTHERS_MIN, OUT, Rhythms, itself};
use crate::decision::Spender;
use crate::entities::View;
use crate::network::Edge;
use foldhash::fast::FixedState;
use hashbrown::HashMap;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// Windows in which an entity must have been active before its rhythm is kept.
const ACTIVE_MIN: u64 = 36;

impl Rhythms {
    /// Puts the window's connections where they belong, and begins rhythms.
    pub(super) fn hear(&mut self, at: At<'_>) {
        let View { index, sources, destinations, .. } = at.view;
        self.ways.iter_mut().flat_map(BTreeMap::values_mut).for_each(|rhythm| rhythm.opened = 0);
        let into = destinations.iter().map(|inflow| (inflow.destination, IN, inflow.opened, inflow.foremost.edge));
        let out = sources.iter().map(|digest| (digest.source, OUT, digest.opened, itself(digest.source)));
        let mut heard: Vec<(u32, usize, i64, Edge)> = into.chain(out).collect();
        heard.retain(|&(entity, way, ..)| self.ways[way].contains_key(&entity) || is_known(at, entity, way));
        if heard.is_empty() {
            return;
        }
        let mut foremost: HashMap<u32, (i64, Edge), FixedState> = HashMap::with_hasher(FixedState::with_seed(0));
        for inflow in destinations {
            let (edge, opened) = (inflow.foremost.edge, inflow.foremost.counts.opened);
            let known = foremost.entry(edge.source).or_insert((opened, edge));
            if opened > known.0 {
                *known = (opened, edge);
            }
        }
        for (entity, way, opened, edge) in heard {
            let edge = foremost.get(&entity).filter(|_| way == OUT).map_or(edge, |&(_, edge)| edge);
            let known = &mut self.ways[way];
            let has_room = known.len() < KEPT_MAX;
            let rhythm = match known.entry(entity) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(place) if has_room => place.insert(Rhythm::new(*index, at.hour, edge)),
                Entry::Vacant(_) => continue,
            };
            rhythm.opened = opened;
            rhythm.edge = edge;
        }
    }

    /// What is expected of each entity, and which share of the others that were expected is heard, of [`WINDOW`]. Sums are of
    /// whole numbers, so that they depend on no order. In the order of the rhythms.
    pub(super) fn coverage(&self, at: At<'_>) -> [Vec<(Option<Expected>, u32)>; 2] {
        let (mut all, mut heard) = (0_u64, 0_u64);
        let mut own: HashMap<u32, (u64, u64), FixedState> = HashMap::with_hasher(FixedState::with_seed(0));
        let expected: [Vec<(u32, Option<Expected>)>; 2] = [OUT, IN].map(|way| {
            let expect = |(&entity, rhythm): (&u32, &Rhythm)| {
                let expected = rhythm.expect(at.hour);
                if let (Some(wanted), Standing::Usual) = (expected, rhythm.standing) {
                    let weight = u64::from(wanted.heard);
                    let is_heard = u64::from(rhythm.is_heard(expected));
                    all += weight;
                    heard += weight * is_heard;
                    let own = own.entry(entity).or_default();
                    (own.0, own.1) = (own.0 + weight, own.1 + weight * is_heard);
                }
                (entity, expected)
            };
            self.ways[way].iter().map(expect).collect()
        });
        expected.map(|way| {
            let share = |(entity, expected)| {
                let (mine, mine_heard) = own.get(&entity).copied().unwrap_or_default();
                let (others, others_heard) = (all - mine, heard - mine_heard);
                let share = others_heard * u64::from(WINDOW) / others.max(1);
                let counts = others >= OTHERS_MIN && share >= COVERAGE_MIN;
                (expected, if counts { u32::try_from(share).unwrap_or(WINDOW) } else { 0 })
            };
            way.into_iter().map(share).collect()
        })
    }
}

/// Whether an entity is active often enough for its rhythm to be kept, and is nobody whom no inventory explains.
fn is_known(at: At<'_>, entity: u32, way: usize) -> bool {
    let active = match way {
        OUT => at.states.source(entity).map_or(0, |source| source.active_windows),
        _ => at.states.destination(entity).map_or(0, |known| known.active_windows()),
    };
    active >= ACTIVE_MIN && !Spender::new(entity, at.network.kind(entity)).is_stranger
}
