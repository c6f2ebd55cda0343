//! What p-values are worth in this network: each is held against those of all units of its class so far (conformal: Vovk,
//! Gammerman, Shafer, "Algorithmic Learning in a Random World", 2005, section 2.2), and far out against the tail that was
//! fitted to the highest of them.
//!
//! It does not change the order within a class. It keeps counts in bins, not scores, so that it is bounded, and exact sums
//! make it independent of order.

use super::pareto::Tail;
use serde::{Deserialize, Serialize};

/// Bins per doubling of the score -ln p.
const BINS_PER_OCTAVE: f64 = 24.0;
/// Scores below are one bin: p-values above 0.6.
const SCORE_MIN: f64 = 0.5;
/// Scores above are the last bin: p below 1e-40 is certain, and how far below must not bend the tail.
const SCORE_MAX: f64 = 92.0;
const BINS: usize = 182;
/// What one unit counts, so that forgetting does not lose single ones.
const WEIGHT: u64 = 1 << 12;
/// The tail begins where so large a share of units is left, and no fewer than so many;
const TAIL_SHARE: f64 = 0.01;
const TAIL_UNITS_MIN: f64 = 100.0;
/// A class in which fewer units had anything to say has no ordinary course that others could be held against.
const SPEAKING_UNITS_MIN: f64 = 500.0;
/// Beyond the highest of too few units, evidence counts half.
const UNFITTED: Tail = Tail { shape: 0.0, scale: 2.0 };

/// Scores of some classes, numbered from 0.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Calibration {
    classes: Vec<Scores>,
    /// The day of the last close, and how many days ended before it.
    day: Option<i64>,
    days: u32,
    #[serde(skip)]
    judges: Vec<Option<Judge>>,
}

/// Scores of one class: weights of bins, the lowest first.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Scores {
    bins: Vec<u64>,
    /// Units that were ever learnt.
    units: u64,
}

/// What a class's scores say of a new one. Made of [`Scores`] alone.
#[derive(Clone, Debug)]
struct Judge {
    /// Units in each bin and all above it.
    above: Vec<f64>,
    /// Where the tail begins, and what is beyond it.
    begin: f64,
    left: f64,
    tail: Tail,
}

impl Calibration {
    pub(crate) fn new(classes: usize) -> Self {
        Self { classes: vec![Scores::default(); classes], day: None, days: 0, judges: Vec::new() }
    }

    /// After a state was read back: its classes are so many groups, which may have got more classes since, each at the end of its
    /// group, and now are `size` classes. What there is no class for any more is forgotten.
    pub(crate) fn regroup(&mut self, groups: usize, size: usize) {
        let before = self.classes.len() / groups;
        if self.classes.len() == groups * size {
            return;
        }
        let mut known = std::mem::take(&mut self.classes).into_iter();
        for _ in 0..groups {
            let mut group: Vec<Scores> = known.by_ref().take(before).collect();
            group.resize(size, Scores::default());
            self.classes.append(&mut group);
        }
        self.judges.clear();
    }

    /// What a p-value of a class is worth; none until the class is known well enough.
    pub(crate) fn recalibrate(&self, class: usize, p_value: f64) -> Option<f64> {
        self.judges.get(class)?.as_ref().map(|judge| judge.p_value(score(p_value)))
    }

    /// Learns a unit. One in which a class had nothing to say has p-value 1.
    pub(crate) fn learn(&mut self, class: usize, p_value: f64) {
        let scores = &mut self.classes[class];
        scores.bins.resize(BINS, 0);
        scores.bins[bin(score(p_value))] += WEIGHT;
        scores.units += 1;
    }

    /// After a window of this day: forgets a little when a day ends, and makes ready to judge the next window. A class is
    /// known from so many units on, once a day has ended since the first was learnt.
    pub(crate) fn close(&mut self, day: i64, units_min: u32, memory_days: u32) {
        if self.classes.iter().all(|scores| scores.units == 0) {
            return;
        }
        if self.day.is_some_and(|known| day > known) {
            self.days = self.days.saturating_add(1);
            for bin in self.classes.iter_mut().flat_map(|scores| &mut scores.bins) {
                *bin -= *bin / u64::from(memory_days);
            }
        }
        self.day = Some(self.day.map_or(day, |known| known.max(day)));
        self.prepare(units_min);
    }

    /// Makes ready to judge. After reading a state back it has to be called once.
    pub(crate) fn prepare(&mut self, units_min: u32) {
        let is_ready = self.days > 0;
        let judge = |scores: &Scores| {
            (is_ready && scores.units >= u64::from(units_min)).then(|| Judge::new(&scores.bins)).flatten()
        };
        self.judges = self.classes.iter().map(judge).collect();
    }

    /// Days that ended since the first unit was learnt.
    pub(crate) const fn days(&self) -> u32 {
        self.days
    }

    /// Whether [`Self::prepare`] is due.
    pub(crate) const fn is_unprepared(&self) -> bool {
        self.judges.is_empty()
    }
}

fn score(p_value: f64) -> f64 {
    -p_value.max(f64::MIN_POSITIVE).ln()
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Bounded on both sides before.
fn bin(score: f64) -> usize {
    if score < SCORE_MIN {
        return 0;
    }
    let place = 1.0 + ((score.min(SCORE_MAX) / SCORE_MIN).log2() * BINS_PER_OCTAVE).floor();
    (place as usize).min(BINS - 1)
}

/// Lowest score of a bin.
fn edge(bin: usize) -> f64 {
    if bin == 0 { 0.0 } else { SCORE_MIN * ((bin - 1) as f64 / BINS_PER_OCTAVE).exp2() }
}

impl Judge {
    /// None where too few units had anything to say.
    fn new(bins: &[u64]) -> Option<Self> {
        let mut above = vec![0.0; bins.len() + 1];
        for (place, &weight) in bins.iter().enumerate().rev() {
            above[place] = above[place + 1] + weight as f64 / WEIGHT as f64;
        }
        if above[1] < SPEAKING_UNITS_MIN {
            return None;
        }
        let least = (above[0] * TAIL_SHARE).max(TAIL_UNITS_MIN);
        let fitted = above.iter().rposition(|&units| units >= least).filter(|&begin| begin > 0).and_then(|begin| {
            let threshold = edge(begin);
            let filled = bins.iter().enumerate().skip(begin).filter(|(_, weight)| **weight > 0);
            let middle = |place: usize| 0.5 * (edge(place) + edge(place + 1)) - threshold;
            Tail::fit(filled.map(|(place, &weight)| (middle(place), weight as f64))).map(|tail| (begin, tail))
        });
        let highest = above.iter().rposition(|&units| units > 0.0).map_or(0, |highest| highest + 1).max(1);
        let (begin, tail) = fitted.unwrap_or((highest, UNFITTED));
        Some(Self { begin: edge(begin), left: above[begin.min(bins.len())], tail, above })
    }

    /// Share of units that score as high, this one counted in.
    fn p_value(&self, score: f64) -> f64 {
        let all = self.above[0] + 1.0;
        let share = |units: f64| (units + 1.0) / all;
        if score >= self.begin {
            return share(self.left) * self.tail.beyond(score - self.begin);
        }
        let place = bin(score);
        let (low, high) = (edge(place), edge(place + 1));
        let more = share(self.above[place]).ln();
        // Units of one bin may all be one value: then at least half of them count as high.
        let fewer = share(self.above[place + 1]).ln().max(more - std::f64::consts::LN_2);
        let part = ((score - low) / (high - low)).clamp(0.0, 1.0);
        (more + (fewer - more) * part).exp().min(1.0)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const CLASS: usize = 1;

    /// Units whose p-values are `power` of uniform ones, spread evenly.
    fn learnt(units: u32, power: f64) -> Calibration {
        let mut calibration = Calibration::new(3);
        for place in 0..units {
            let uniform = (f64::from(place) + 0.5) / f64::from(units);
            calibration.learn(CLASS, uniform.powf(power));
        }
        calibration.close(0, 2000, 14);
        calibration.close(1, 2000, 14);
        calibration
    }

    fn check(power: f64, p_value: f64, tolerance: f64) {
        let calibration = learnt(50_000, power);
        let told = calibration.recalibrate(CLASS, p_value.powf(power)).unwrap();
        assert!((told / p_value).ln().abs() < tolerance, "{power}, {p_value}: {told}");
    }

    #[test]
    fn what_is_too_bold_or_too_cautious_is_set_right() {
        for power in [0.5, 1.0, 1.7] {
            check(power, 0.1, 0.02);
            check(power, 0.01, 0.03);
            check(power, 1e-3, 0.2);
            check(power, 1e-5, 0.8);
        }
    }

    #[test]
    fn a_detector_that_is_new_changes_no_other() {
        let mut calibration = Calibration::new(4);
        (0..3).for_each(|class| (0..=class).for_each(|_| calibration.learn(class, 0.5)));
        let units =
            |calibration: &Calibration| calibration.classes.iter().map(|scores| scores.units).collect::<Vec<_>>();
        calibration.regroup(2, 2);
        assert_eq!(units(&calibration), [1, 2, 3, 0]);
        calibration.regroup(2, 3);
        assert_eq!(units(&calibration), [1, 2, 0, 3, 0, 0]);
        calibration.regroup(2, 1);
        assert_eq!(units(&calibration), [1, 3]);
    }

    #[test]
    fn order_stays() {
        let calibration = learnt(30_000, 1.3);
        let told: Vec<f64> =
            (0..3000).map(|step| calibration.recalibrate(CLASS, (-0.01 * f64::from(step)).exp()).unwrap()).collect();
        assert!(told.is_sorted_by(|one, other| one >= other));
        assert!(told.iter().all(|p| (0.0..=1.0).contains(p)));
    }

    #[test]
    fn a_class_is_known_after_a_day_and_enough_units() {
        assert_eq!(learnt(1999, 1.0).recalibrate(CLASS, 1e-7), None);
        assert_eq!(learnt(5000, 0.5).recalibrate(0, 1e-7), None);
        assert_eq!(Calibration::new(3).recalibrate(CLASS, 0.3), None);
        let mut early = Calibration::new(3);
        (0..5000).for_each(|_| early.learn(CLASS, 0.7));
        early.close(0, 2000, 14);
        assert_eq!(early.recalibrate(CLASS, 0.3), None);
    }

    #[test]
    fn what_speaks_seldom_has_no_ordinary_course() {
        let told = |speaking: u32| {
            let mut calibration = Calibration::new(3);
            (0..9_000).for_each(|_| calibration.learn(CLASS, 1.0));
            (0..speaking).for_each(|_| calibration.learn(CLASS, 1e-3));
            calibration.close(0, 2000, 14);
            calibration.close(1, 2000, 14);
            calibration.recalibrate(CLASS, 1e-3)
        };
        assert_eq!(told(499), None);
        assert!((told(1000).unwrap() / 0.1).ln().abs() < 0.7, "{:?}", told(1000));
    }

    #[test]
    fn bins_hold_their_scores() {
        for step in 0..5000 {
            let score = 0.01 * f64::from(step);
            let place = bin(score);
            assert!(edge(place) <= score * (1.0 + 1e-12), "{score}");
            assert!(place == BINS - 1 || score < edge(place + 1) * (1.0 + 1e-12), "{score}");
        }
        assert_eq!(bin(f64::MAX), BINS - 1);
    }
}
