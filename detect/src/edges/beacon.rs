//! Detector of periodic contact on young edges: contacts that come too regularly to be chance. Two tests of the last contacts,
//! twice the lower of both p-values.
//!
//! - **Dispersion of gaps.** Of contacts at random times gaps x are exponential. For n of them Bartlett's statistic
//!   B = 2n (ln mean(x) - mean(ln x)) / (1 + (n + 1)/(6n)) is then chi-squared with n - 1 degrees of freedom (Bartlett,
//!   "Properties of sufficiency and statistical tests", Proc. R. Soc. A 160, 1937; Epstein, Technometrics 2, 1960, section 4);
//!   gaps that are alike make it small. Pauses do not count: gaps of many medians.
//! - **Fisher's g-test** ("Tests of significance in harmonic analysis", Proc. R. Soc. A 125, 1929) on the periodogram of the
//!   contacts' times, I(k) = |Σ exp(2πi k t/T)|² over their span T (Bartlett, "The spectral analysis of point processes",
//!   J. R. Stat. Soc. B 25, 1963): finds a schedule whose single contacts are irregular.
//!
//! Only edges whose birth was unusual are watched, for some days: health checks and scrapers are old, or go where many go. How
//! unusual the birth was does not count again: it would with every contact.
//! The watch is bounded per part of the network, so that it does not depend on the number of shards.

use crate::distributions::{fisher_g_tail, ln_gamma_lower, p_of_ln};
use crate::numbered::{keep_keys, new_number};
use crate::report::Facts;
use crate::settings::BeaconSettings;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use tradewind_model::time::SECOND;

/// Contacts that are remembered.
const CONTACTS_MAX: usize = 33;
/// Gaps that are judged at least.
const GAPS_MIN: usize = 10;
/// Contacts within so much of the one before are one with it, microseconds.
const SAME: i64 = SECOND;
/// Shorter periods are traffic, seconds.
const PERIOD_MIN_S: f64 = 5.0;
/// Longer gaps are pauses, in medians.
const PAUSE: f64 = 8.0;
/// Contacts of a window that make an edge no beacon.
pub(super) const WINDOW_CONTACTS_MAX: i64 = 240;
/// Births with less evidence, -ln p, are not watched.
const EVIDENCE_MIN: f64 = 2.3;
/// Ordinates of the periodogram.
const ORDINATES: u32 = 60;

/// The last contacts of one edge.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Contacts {
    /// Microseconds, oldest first.
    times: VecDeque<i64>,
    /// It is no beacon, or its log does not say when contacts were.
    is_over: bool,
}

/// The edges of a shard that are watched.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Watch {
    settings: BeaconSettings,
    windows_max: u32,
    edges: BTreeMap<u32, Contacts>,
    /// Numbers of the watched edges of each part of the network.
    parts: BTreeMap<u16, Vec<u32>>,
    /// Contacts in the open window: number of the edge, time.
    open: Vec<(u32, i64)>,
}

/// What is stored of [`Watch`]: edges, parts, and contacts of the open window.
pub(super) type StoredWatch = (BTreeMap<u32, Contacts>, BTreeMap<u16, Vec<u32>>, Vec<(u32, i64)>);

impl Watch {
    /// What is to be stored: all but the settings.
    pub(super) const fn stored(&self) -> impl Serialize {
        (&self.edges, &self.parts, &self.open)
    }

    /// What was stored, gone on with under these settings.
    pub(super) fn of_stored((edges, parts, open): StoredWatch, settings: &BeaconSettings, window_s: i64) -> Self {
        let new = Self::new(settings, window_s);
        if settings.is_enabled { Self { edges, parts, open, ..new } } else { new }
    }

    /// Nothing is watched yet. Windows have this length, seconds.
    pub(super) fn new(settings: &BeaconSettings, window_s: i64) -> Self {
        let windows = i64::from(settings.days) * 86_400 / window_s.max(1);
        let windows_max = u32::try_from(windows.max(1)).unwrap_or(u32::MAX);
        Self { settings: settings.clone(), windows_max, ..Self::default() }
    }

    /// Gives edges other numbers, or forgets them. To be called while no window is open.
    pub(super) fn keep(&mut self, numbers: &[Option<u32>]) {
        keep_keys(&mut self.edges, numbers);
        for part in self.parts.values_mut() {
            *part = part.iter().filter_map(|&edge| new_number(numbers, edge)).collect();
        }
        self.parts.retain(|_, part| !part.is_empty());
    }

    pub(super) fn has(&self, number: u32) -> bool {
        self.edges.get(&number).is_some_and(|contacts| !contacts.is_over)
    }

    /// Takes a contact of a watched edge in the open window in.
    pub(super) fn add(&mut self, number: u32, time: i64) {
        self.open.push((number, time));
    }

    /// Watches an edge of a part of the network that was born with this evidence. Where the part has too many, the one of which
    /// least is known goes; `rank` orders those of which as much is known.
    pub(super) fn begin<K: Ord>(&mut self, number: u32, part: u16, evidence: f64, rank: impl Fn(u32) -> K) {
        if !self.settings.is_enabled || evidence < EVIDENCE_MIN || self.edges.contains_key(&number) {
            return;
        }
        let part = self.parts.entry(part).or_default();
        if part.len() >= self.settings.edges_max {
            let known = |number: &u32| self.edges.get(number).map_or(0, |contacts| contacts.times.len());
            let least = (0..part.len()).min_by_key(|&place| (known(&part[place]), rank(part[place])));
            let Some(place) = least.filter(|&place| known(&part[place]) < GAPS_MIN) else { return };
            self.edges.remove(&part.swap_remove(place));
        }
        part.push(number);
        self.edges.insert(number, Contacts::default());
    }

    /// Makes ready to judge the window's edges.
    pub(super) fn sort(&mut self) {
        self.open.sort_unstable();
    }

    /// Takes in what a watched edge of this age, in windows, did in the window, and judges it. None where nothing is tested.
    pub(super) fn close(&mut self, number: u32, age: u64, contacts: i64) -> Option<(f64, Facts)> {
        let known = self.edges.get_mut(&number)?;
        let first = self.open.partition_point(|&(other, _)| other < number);
        let count = self.open[first..].iter().take_while(|&&(other, _)| other == number).count();
        // A row that stands for several contacts does not say when they were: it comes when the log was written.
        let has_times = i64::try_from(count).is_ok_and(|count| count == contacts);
        if contacts > WINDOW_CONTACTS_MAX || age > u64::from(self.windows_max) || !has_times {
            *known = Contacts { times: VecDeque::new(), is_over: true };
            return None;
        }
        let mut is_new = false;
        for &(_, time) in &self.open[first..first + count] {
            is_new |= known.add(time);
        }
        if !is_new {
            return None;
        }
        known.judge()
    }

    /// Ends the window. `is_young` says of an edge whether it is still to be watched; asked now and then.
    pub(super) fn end(&mut self, index: i64, is_young: impl Fn(u32, u32) -> bool) {
        self.open.clear();
        if index.rem_euclid(12) != 0 {
            return;
        }
        let windows_max = self.windows_max;
        let edges = &mut self.edges;
        for part in self.parts.values_mut() {
            part.retain(|&number| {
                let stays = is_young(number, windows_max);
                if !stays {
                    edges.remove(&number);
                }
                stays
            });
        }
        self.parts.retain(|_, part| !part.is_empty());
    }
}

impl Contacts {
    /// Takes a contact in; whether it is one of its own.
    fn add(&mut self, time: i64) -> bool {
        if self.times.back().is_some_and(|&last| time.saturating_sub(last) <= SAME) {
            return false;
        }
        if self.times.len() == CONTACTS_MAX {
            self.times.pop_front();
        }
        self.times.push_back(time);
        true
    }

    fn judge(&self) -> Option<(f64, Facts)> {
        let seconds = |micros: i64| micros as f64 / SECOND as f64;
        let mut gaps: Vec<f64> =
            self.times.iter().zip(self.times.iter().skip(1)).map(|(&one, &next)| seconds(next - one)).collect();
        if gaps.len() < GAPS_MIN {
            return None;
        }
        gaps.sort_by(f64::total_cmp);
        let period_s = gaps[gaps.len() / 2];
        if period_s < PERIOD_MIN_S {
            return None;
        }
        let mut deviations: Vec<f64> = gaps.iter().map(|gap| (gap - period_s).abs()).collect();
        deviations.sort_by(f64::total_cmp);
        let dispersion = deviations[deviations.len() / 2] / period_s;
        let kept = gaps.partition_point(|&gap| gap <= PAUSE * period_s).max(gaps.len() - gaps.len() / 8);
        let p_value = (2.0 * p_of_gaps(&gaps[..kept]).min(self.p_of_period())).min(1.0);
        let facts = Facts::Beacon { contacts: self.times.len() as u64, period_s, dispersion };
        Some((p_value, facts))
    }

    /// Fisher's g-test.
    fn p_of_period(&self) -> f64 {
        let (Some(&first), Some(&last)) = (self.times.front(), self.times.back()) else { return 1.0 };
        let span = (last - first) as f64;
        // The last contact closes the span: it would count the first one's phase twice.
        let angles: Vec<f64> = self
            .times
            .iter()
            .take(self.times.len() - 1)
            .map(|&time| std::f64::consts::TAU * (time - first) as f64 / span)
            .collect();
        let ordinates = (1..=ORDINATES).map(|k| {
            let (sine, cosine) = angles.iter().fold((0.0, 0.0), |(sine, cosine), angle| {
                let (one, other) = (f64::from(k) * angle).sin_cos();
                (sine + one, cosine + other)
            });
            sine * sine + cosine * cosine
        });
        let (greatest, sum) = ordinates.fold((0.0_f64, 0.0), |(greatest, sum), one| (greatest.max(one), sum + one));
        if sum > 0.0 { fisher_g_tail(ORDINATES, greatest / sum) } else { 1.0 }
    }
}

/// Bartlett's test; of gaps that are too alike.
fn p_of_gaps(gaps: &[f64]) -> f64 {
    let count = gaps.len() as f64;
    let mean = gaps.iter().sum::<f64>() / count;
    let of_logarithms = gaps.iter().map(|gap| gap.ln()).sum::<f64>() / count;
    let statistic = 2.0 * count * (mean.ln() - of_logarithms).max(0.0) / (1.0 + (count + 1.0) / (6.0 * count));
    let shape = 0.5 * (count - 1.0);
    // Gaps that differ by more than chance are no evidence, and the series is meant for small values.
    if statistic > count { 1.0 } else { p_of_ln(ln_gamma_lower(shape, 0.5 * statistic)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uniforms(mut state: u64) -> impl FnMut() -> f64 {
        move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
        }
    }

    /// Contacts with these gaps in seconds.
    fn contacts(gaps: impl IntoIterator<Item = f64>) -> Contacts {
        let mut contacts = Contacts::default();
        let mut time = 0.0;
        contacts.add(0);
        for gap in gaps {
            time += gap * SECOND as f64;
            #[allow(clippy::cast_possible_truncation)] // Hours in microseconds.
            contacts.add(time as i64);
        }
        contacts
    }

    fn check(gaps: impl IntoIterator<Item = f64>, low: f64, high: f64) {
        let contacts = contacts(gaps);
        let p_value = contacts.judge().map_or(1.0, |(p_value, _)| p_value);
        assert!((low..=high).contains(&p_value), "{contacts:?}: {p_value}");
    }

    #[test]
    fn what_comes_regularly_is_periodic() {
        let mut uniform = uniforms(5);
        check([60.0; 9], 1.0, 1.0);
        check([60.0; 10], 0.0, 1e-9);
        // A jitter of three tenths, and a pause.
        check((0..20).map(|_| 60.0 * (0.7 + 0.6 * uniform())), 0.0, 1e-6);
        check((0..20).map(|place| if place == 9 { 3600.0 } else { 60.0 }), 0.0, 1e-6);
        // Three contacts each beat: gaps differ, the period shows.
        check((0..30).map(|place| if place % 3 == 2 { 50.0 + 5.0 * uniform() } else { 3.0 + uniform() }), 1.0, 1.0);
        check((0..30).map(|place| if place % 2 == 1 { 50.0 } else { 10.0 }), 0.0, 1e-3);
        // Traffic.
        check([2.0; 30], 1.0, 1.0);
    }

    #[test]
    fn a_full_part_watches_those_of_which_most_is_known() {
        let settings = BeaconSettings { is_enabled: true, days: 7, edges_max: 2 };
        let mut watch = Watch::new(&settings, 300);
        watch.begin(1, 7, 1.0, |number| number);
        assert!(!watch.has(1), "too little evidence");
        (1..=2).for_each(|number| watch.begin(number, 7, 5.0, |number| number));
        (0..20).for_each(|minute| watch.add(1, minute * 60 * SECOND));
        watch.sort();
        assert!(watch.close(1, 1, 20).is_some_and(|(p_value, _)| p_value < 1e-6));
        watch.begin(3, 7, 5.0, |number| number);
        watch.begin(4, 8, 5.0, |number| number);
        assert_eq!([1, 2, 3, 4].map(|number| watch.has(number)), [true, false, true, true]);
        watch.end(12, |number, _| number != 1);
        assert_eq!([1, 3, 4].map(|number| watch.has(number)), [false, true, true]);
    }

    /// Under the null, contacts at random times.
    #[test]
    fn p_values_under_the_null_are_not_overstated() {
        let mut uniform = uniforms(17);
        for gaps in [10, 16, 32] {
            let mut p_values = Vec::new();
            for _ in 0..20_000 {
                let contacts = contacts((0..gaps).map(|_| -200.0 * uniform().ln()));
                p_values.extend(contacts.judge().map(|(p_value, _)| p_value));
            }
            for level in [0.1, 0.01, 0.001] {
                let share = p_values.iter().filter(|&&p| p <= level).count() as f64 / p_values.len() as f64;
                assert!(share <= level * 1.3 + 1e-4, "{gaps} gaps: P(p <= {level}) = {share}");
            }
        }
    }
}
