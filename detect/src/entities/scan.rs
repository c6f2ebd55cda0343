//! Detector of searches for hosts or ports. A threshold random walk over first contacts (Jung, Paxson, Berger and
//! Balakrishnan, "Fast portscan detection using sequential hypothesis testing", IEEE S&P 2004, section 4) and a hard floor
//! that needs no statistics: so many hosts, or so many ports of one host, within five minutes.

use crate::exact;
use crate::network::Port;
use crate::numbered::{Numbered, new_number, visit_keys};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use tradewind_model::time::SECOND;

/// Share of first contacts that succeed of one who does not scan, and of one who does.
const SUCCESS: (f64, f64) = (0.8, 0.2);
/// The floor counts over this time, microseconds.
const SPAN: i64 = 300 * SECOND;
/// Hosts within the span that make a scan.
const HOSTS_MIN: usize = 25;
/// Ports of one host within the span that make a scan.
const PORTS_MIN: usize = 15;

/// So many first contacts, most of them in vain, are a search and not visits.
const SEARCH_CONTACTS_MIN: usize = 5;
/// Share of them that is in vain.
const SEARCH_VAIN_MIN: f64 = 0.8;

/// Whether first contacts look like a search.
pub(super) fn is_search(contacts: usize, answered: usize) -> bool {
    let in_vain = contacts.saturating_sub(answered) as f64;
    contacts >= SEARCH_CONTACTS_MIN && in_vain >= SEARCH_VAIN_MIN * contacts as f64
}

/// The walk of one source: logarithm of the likelihood that it scans against that it does not, never below zero.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Walk(#[serde(with = "exact")] f64);

impl Walk {
    /// Takes a first contact in.
    pub(super) fn step(&mut self, is_answered: bool) {
        let (benign, scanner) = SUCCESS;
        let ratio = if is_answered { scanner / benign } else { (1.0 - scanner) / (1.0 - benign) };
        self.0 = (self.0 + ratio.ln()).max(0.0);
    }

    /// Bound of the probability that one who does not scan gets so far (Wald): the inverse likelihood ratio.
    pub(super) fn p_value(self) -> f64 {
        (-self.0).exp()
    }
}

/// First contacts and vain attempts of the last five minutes, per source.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Floor(BTreeMap<u32, Recent>);

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Recent {
    contacts: VecDeque<(i64, u32, Port)>,
    /// No scan is told again before.
    quiet_until: i64,
}

/// What a search touched within the span.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Reached {
    pub(super) hosts: usize,
    /// Of the host with the most.
    pub(super) ports: usize,
}

impl Numbered for Floor {
    fn visit(&mut self, number: &mut dyn FnMut(&mut u32)) {
        visit_keys(&mut self.0, number);
        let contacts = self.0.values_mut().flat_map(|recent| &mut recent.contacts);
        contacts.for_each(|(_, destination, _)| number(destination));
    }
}

impl Floor {
    /// Forgets the contacts of entities that are forgotten; `numbers` has the new number of each.
    pub(super) fn keep(&mut self, numbers: &[Option<u32>]) {
        let number = |entity: u32| new_number(numbers, entity);
        self.0 = std::mem::take(&mut self.0)
            .into_iter()
            .filter_map(|(source, mut recent)| {
                recent.contacts = recent
                    .contacts
                    .into_iter()
                    .filter_map(|(time, destination, port)| Some((time, number(destination)?, port)))
                    .collect();
                Some((number(source)?, recent))
            })
            .collect();
    }

    /// Takes a contact in. Says what was touched when the floor is reached; then not again for a while.
    pub(super) fn contact(
        &mut self,
        source: u32,
        time: i64,
        destination: u32,
        port: Port,
        cool_down: i64,
    ) -> Option<Reached> {
        let recent = self.0.entry(source).or_default();
        if time < recent.quiet_until {
            return None;
        }
        // Contacts of several inputs may come out of order: they count by their times.
        let place = recent.contacts.partition_point(|&(seen, ..)| seen <= time);
        recent.contacts.insert(place, (time, destination, port));
        let newest = recent.contacts.back().map_or(time, |&(seen, ..)| seen);
        while recent.contacts.front().is_some_and(|&(seen, ..)| newest.saturating_sub(seen) > SPAN) {
            recent.contacts.pop_front();
        }
        if recent.contacts.len() < PORTS_MIN {
            return None;
        }
        let mut ports: BTreeMap<u32, BTreeSet<Port>> = BTreeMap::new();
        for &(_, destination, port) in &recent.contacts {
            ports.entry(destination).or_default().insert(port);
        }
        let reached =
            Reached { hosts: ports.len(), ports: ports.values().map(BTreeSet::len).max().unwrap_or_default() };
        if reached.hosts < HOSTS_MIN && reached.ports < PORTS_MIN {
            return None;
        }
        recent.quiet_until = newest.saturating_add(cool_down);
        recent.contacts.clear();
        Some(reached)
    }

    /// Forgets what no contact from this time on can use.
    pub(super) fn expire(&mut self, from: i64) {
        self.0.retain(|_, recent| {
            let is_recent = recent.contacts.back().is_some_and(|&(seen, ..)| from.saturating_sub(seen) <= SPAN);
            is_recent || recent.quiet_until > from
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Contacts (second, host, port); the number of the one that reaches the floor.
    fn check(contacts: impl Iterator<Item = (i64, u32, u16)>, expected: Option<usize>) {
        let mut floor = Floor::default();
        let reached = contacts
            .enumerate()
            .find(|&(_, (second, host, port))| {
                floor.contact(0, second * SECOND, host, Port::Number(port), 3600 * SECOND).is_some()
            })
            .map(|(number, _)| number + 1);
        assert_eq!(reached, expected);
    }

    #[test]
    fn the_floor_counts_hosts_or_ports_of_one_host_within_five_minutes() {
        check((0..100).map(|n| (n.into(), n, 22)), Some(25));
        check((0..100).map(|n: u16| (n.into(), 7, n)), Some(15));
        // As many hosts more slowly than 25 in five minutes, and the same host again and again.
        check((0..100).map(|n| (i64::from(n) * 13, n, 22)), None);
        check((0..100).map(|n| (n, 7, 22)), None);
        // Each host on two ports: twelve hosts are few.
        check((0..24).map(|n: u16| (n.into(), u32::from(n / 2), n % 2)), None);
    }

    #[test]
    fn a_search_is_several_contacts_mostly_in_vain() {
        for (contacts, answered, expected) in
            [(4, 0, false), (5, 0, true), (5, 1, true), (5, 2, false), (100, 21, false)]
        {
            assert_eq!(is_search(contacts, answered), expected, "{answered} of {contacts}");
        }
    }

    #[test]
    fn the_walk_ends_when_most_first_contacts_fail() {
        let mut walk = Walk::default();
        (0..10).for_each(|_| walk.step(true));
        assert!((walk.p_value() - 1.0).abs() < 1e-12);
        (0..10).for_each(|_| walk.step(false));
        assert!((walk.p_value() / 0.25_f64.powi(10) - 1.0).abs() < 1e-9);
    }
}
