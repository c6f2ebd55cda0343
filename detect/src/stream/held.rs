//! Flows of windows that are not open yet: kept as numbers, some 15 bytes each, until their window is; and what was told of
//! them early, so that it is told once.

use super::pages::Pages;
use crate::edges::{Spoken, Standing};
use crate::report::EdgeCounts;
use crate::sorted;
use foldhash::fast::RandomState;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::RangeBounds;
use tradewind_model::entity::EntityKind;

/// A held flow. Its edge has a number in the shard.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct HeldFlow {
    /// In a window's list the difference to the flow before.
    time: i64,
    flows: i64,
    bytes_out: i64,
    bytes_in: i64,
    pub(super) edge: u32,
    /// Number of the rule that it breaks plus one; zero for none.
    rule: u32,
    protocol_num: i16,
    flags: u8,
    pub(super) kinds: [EntityKind; 2],
    /// What it says of its conversation, as numbers in one; zero for nothing.
    spoken: u64,
}

const OPENED: u8 = 1;
const DENIED: u8 = 2;
const FAILED: u8 = 4;
const HAS_BYTES_OUT: u8 = 8;
const HAS_BYTES_IN: u8 = 16;
const HAS_PROTOCOL: u8 = 32;

impl HeldFlow {
    fn new(edge: u32, kinds: [EntityKind; 2], (counts, spoken): (&EdgeCounts, Spoken), rule: u32) -> Self {
        let flags = [
            (OPENED, counts.opened > 0),
            (DENIED, counts.denied > 0),
            (FAILED, counts.failed > 0),
            (HAS_BYTES_OUT, counts.bytes_out.is_some()),
            (HAS_BYTES_IN, counts.bytes_in.is_some()),
            (HAS_PROTOCOL, counts.protocol_num.is_some()),
        ];
        Self {
            time: counts.first,
            flows: counts.flows,
            bytes_out: counts.bytes_out.unwrap_or(0),
            bytes_in: counts.bytes_in.unwrap_or(0),
            edge,
            rule,
            protocol_num: counts.protocol_num.unwrap_or(0),
            flags: flags.into_iter().filter_map(|(flag, holds)| holds.then_some(flag)).sum(),
            kinds,
            spoken: spoken.packed(),
        }
    }

    /// What it says of its conversation.
    pub(super) const fn spoken(&self) -> Spoken {
        Spoken::of_packed(self.spoken)
    }

    /// What the flow counts for.
    pub(super) fn counts(&self) -> EdgeCounts {
        let has = |flag| self.flags & flag > 0;
        let only = |holds: bool| if holds { self.flows } else { 0 };
        EdgeCounts {
            flows: self.flows,
            opened: only(has(OPENED)),
            answered: only(!has(DENIED | FAILED)),
            denied: only(has(DENIED)),
            failed: only(has(FAILED)),
            bytes_out: has(HAS_BYTES_OUT).then_some(self.bytes_out),
            bytes_in: has(HAS_BYTES_IN).then_some(self.bytes_in),
            protocol_num: has(HAS_PROTOCOL).then_some(self.protocol_num),
            first: self.time,
            last: self.time,
        }
    }
}

/// The flows of a window.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Window {
    flows: Pages,
    /// Time of the last one.
    last: i64,
}

/// What was told early of an edge in one window.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Told {
    window: i64,
    is_birth: bool,
    is_answered: bool,
}

/// All held flows of a partition.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Held {
    windows: BTreeMap<i64, Window>,
    count: usize,
    /// Rules that were ever broken, by number.
    rules: Vec<String>,
    rule_numbers: BTreeMap<String, u32>,
    /// Per edge number, in the order of being told.
    #[serde(serialize_with = "sorted::map")]
    told: HashMap<u32, Vec<Told>, RandomState>,
    /// Window, edge and rule of breaches that were told.
    #[serde(serialize_with = "sorted::set")]
    breaches: HashSet<(i64, u32, u32), RandomState>,
}

impl Held {
    /// Flows held.
    pub(super) const fn count(&self) -> usize {
        self.count
    }

    /// Flows held of these windows.
    pub(super) fn count_of(&self, windows: impl RangeBounds<i64>) -> usize {
        self.windows.range(windows).map(|(_, window)| window.flows.len()).sum()
    }

    /// Which of these windows have flows, ascending.
    pub(super) fn windows(&self, windows: impl RangeBounds<i64>) -> impl Iterator<Item = i64> {
        self.windows.range(windows).map(|(&window, _)| window)
    }

    /// Holds a flow. Whether it is the first that breaks its rule on its edge in the window.
    pub(super) fn hold(
        &mut self,
        window: i64,
        (edge, kinds): (u32, [EntityKind; 2]),
        (counts, spoken): (&EdgeCounts, Spoken),
        broken_rule: Option<&str>,
    ) -> bool {
        let rule = broken_rule.map_or(0, |rule| self.rule_number(rule));
        let mut flow = HeldFlow::new(edge, kinds, (counts, spoken), rule);
        let held = self.windows.entry(window).or_default();
        flow.time = flow.time.wrapping_sub(std::mem::replace(&mut held.last, flow.time));
        held.flows.push(&flow);
        self.count += 1;
        rule > 0 && self.breaches.insert((window, edge, rule))
    }

    fn rule_number(&mut self, rule: &str) -> u32 {
        if let Some(&number) = self.rule_numbers.get(rule) {
            return number;
        }
        self.rules.push(rule.to_owned());
        let number = u32::try_from(self.rules.len()).expect("a policy has fewer rules than four thousand million");
        self.rule_numbers.insert(rule.to_owned(), number);
        number
    }

    /// The rule that a held flow breaks.
    pub(super) fn rule(&self, flow: &HeldFlow) -> Option<&str> {
        let place = flow.rule.checked_sub(1)?;
        self.rules.get(place as usize).map(String::as_str)
    }

    /// Whether a contact is worth telling now: as that of a new edge, or as a vain attempt at an old one.
    pub(super) fn foresee(&mut self, edge: u32, standing: Standing, window: i64, is_refused: bool) -> Option<bool> {
        if standing == Standing::Settled {
            return None;
        }
        let told = self.told.get(&edge).map(Vec::as_slice).unwrap_or_default();
        let mut earlier = told.iter().filter(|told| told.window < window);
        let is_known = standing == Standing::Unanswered || earlier.clone().any(|told| told.is_birth);
        let is_answered = earlier.any(|told| told.is_answered);
        let place = told.iter().position(|told| told.window == window);
        let is_birth = match place {
            Some(place) if told[place].is_birth && !told[place].is_answered && !is_refused => true,
            Some(_) => return None,
            None if !is_known => true,
            None if is_refused && !is_answered => false,
            None => return None,
        };
        let told = self.told.entry(edge).or_default();
        match place {
            Some(place) => told[place].is_answered = true,
            None => told.push(Told { window, is_birth, is_answered: !is_refused }),
        }
        Some(is_birth)
    }

    /// The flows of a window, in the order they came.
    pub(super) fn take(&mut self, window: i64) -> HeldFlows {
        let window = self.windows.remove(&window).unwrap_or_default();
        self.count -= window.flows.len();
        HeldFlows(window.flows)
    }

    /// Numbers of the edges that are held or were told of.
    pub(super) fn edges(&self) -> Vec<u32> {
        let held = self.windows.values().flat_map(|window| window.flows.iter().map(|flow: HeldFlow| flow.edge));
        let told = self.told.keys().copied().chain(self.breaches.iter().map(|&(_, edge, _)| edge));
        let mut edges: Vec<u32> = held.chain(told).collect();
        edges.sort_unstable();
        edges.dedup();
        edges
    }

    /// Numbers of what the held flows access.
    pub(super) fn accesses(&self) -> BTreeSet<u32> {
        let flows = self.windows.values().flat_map(|window| window.flows.iter());
        flows.map(|flow: HeldFlow| flow.spoken().access).collect()
    }

    /// Gives every edge another number.
    pub(super) fn renumber(&mut self, number: impl Fn(u32) -> u32) {
        for window in self.windows.values_mut() {
            let mut flows = Pages::default();
            let renumbered = window.flows.iter().map(|flow: HeldFlow| HeldFlow { edge: number(flow.edge), ..flow });
            renumbered.for_each(|flow| flows.push(&flow));
            window.flows = flows;
        }
        self.told = std::mem::take(&mut self.told).into_iter().map(|(edge, told)| (number(edge), told)).collect();
        let breaches = std::mem::take(&mut self.breaches);
        self.breaches = breaches.into_iter().map(|(window, edge, rule)| (window, number(edge), rule)).collect();
    }

    /// Forgets everything of this window and of those before; the number of flows that were left.
    pub(super) fn forget(&mut self, window: i64) -> usize {
        let left: Vec<i64> = self.windows(..=window).collect();
        let lost = left.into_iter().map(|window| self.take(window).len()).sum();
        self.told.retain(|_, told| {
            told.retain(|told| told.window > window);
            !told.is_empty()
        });
        self.breaches.retain(|&(told, ..)| told > window);
        lost
    }
}

/// The flows of a window that is held no more.
#[derive(Debug)]
pub(super) struct HeldFlows(Pages);

impl HeldFlows {
    pub(super) const fn len(&self) -> usize {
        self.0.len()
    }

    /// One after another, in the order they came.
    pub(super) fn iter(&self) -> impl Iterator<Item = HeldFlow> {
        let mut time: i64 = 0;
        self.0.iter().map(move |flow: HeldFlow| {
            time = time.wrapping_add(flow.time);
            HeldFlow { time, ..flow }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Standing::{Settled, Unanswered, Unknown};

    #[test]
    fn a_flow_comes_back_as_it_was() {
        let kinds = [EntityKind::Agent, EntityKind::External];
        for (place, bytes) in [(0, None), (1, Some(0)), (2, Some(i64::MAX))] {
            let only = |outcome: i64| if outcome == place { 7 } else { 0 };
            let counts = EdgeCounts {
                flows: 7,
                opened: only(0),
                answered: only(0),
                denied: only(1),
                failed: only(2),
                bytes_out: bytes,
                bytes_in: bytes.map(|bytes| bytes / 2),
                protocol_num: bytes.map(|_| 17),
                first: -5,
                last: -5,
            };
            let mut held = Held::default();
            let rule = ["", "shop/rule"].get(usize::try_from(place).unwrap_or_default()).copied();
            let spoken = Spoken { usage: 3, credential: u32::try_from(place).unwrap_or_default(), access: 5 };
            assert_eq!(held.hold(3, (9, kinds), (&counts, spoken), rule), rule.is_some());
            assert!(!held.hold(3, (9, kinds), (&counts, spoken), rule));
            let flows = held.take(3);
            assert_eq!((flows.len(), flows.iter().count(), held.count()), (2, 2, 0));
            for flow in flows.iter() {
                assert_eq!((flow.counts(), flow.spoken(), flow.edge, flow.kinds), (counts, spoken, 9, kinds));
                assert_eq!(held.rule(&flow), rule);
            }
        }
    }

    /// Flows of one edge as (standing, window, whether in vain), and what is told of each: as new, as old, or nothing.
    fn check(flows: &[(Standing, i64, bool, Option<bool>)]) {
        let mut held = Held::default();
        for &(standing, window, is_vain, expected) in flows {
            assert_eq!(held.foresee(4, standing, window, is_vain), expected, "{window} of {flows:?}");
        }
        held.forget(i64::MAX);
        assert!(held.told.is_empty());
    }

    #[test]
    fn each_contact_is_told_once() {
        let (new, old) = (Some(true), Some(false));
        check(&[(Settled, 1, true, None), (Settled, 1, false, None)]);
        check(&[(Unknown, 1, false, new), (Unknown, 1, true, None), (Unknown, 1, false, None)]);
        check(&[
            (Unknown, 1, true, new),
            (Unknown, 1, true, None),
            (Unknown, 1, false, new),
            (Unknown, 1, false, None),
        ]);
        check(&[(Unanswered, 1, false, None), (Unanswered, 1, true, old), (Unanswered, 1, true, None)]);
        // New in the first window, and so old in the second: told of again only while nothing answered.
        check(&[(Unknown, 1, true, new), (Unknown, 2, false, None), (Unknown, 2, true, old), (Unknown, 2, true, None)]);
        check(&[(Unknown, 1, false, new), (Unknown, 2, true, None)]);
        // The later window is heard of first.
        check(&[(Unknown, 2, false, new), (Unknown, 1, false, new), (Unknown, 2, false, None)]);
    }
}
