//! When one entity is usually heard, and how likely a pause is as long as the one that goes on.
//!
//! **A pause is measured in the entity's own time.** A window in which it hardly ever is heard, at night or at the weekend,
//! counts next to nothing; one in which it always is counts one. So pauses are alike whenever they are (the time-rescaling
//! theorem: Brown, Barbieri, Ventura, Kass and Frank, "The time-rescaling theorem and its application to neural spike train
//! data analysis", Neural Computation 14, 2002). A window of expected count m is expected to be heard with 1 - (r/(r + m))^r,
//! the Gamma-Poisson model with the shape r of how much the entity's windows differ.
//!
//! **p-value of a pause** longer than all n before it: (1/(n + 1))·((b + longest)/(b + pause))^3, b being one window and
//! the mean pause. The rank holds for whatever distribution (Vovk, Gammerman and Shafer, "Algorithmic Learning in a Random
//! World", 2005, section 2.2); beyond the longest it falls as a Gamma-Poisson waiting time of shape 3, slower than any
//! exponential. It is never below the Gamma-Poisson's own lower tail of what was heard meanwhile, I_{r/(r+M)}(r, c + 1) of
//! count c against mean M.
//!
//! A window counts as heard from a tenth of its usual connections on, so that what falls far below is a pause, too. What
//! becomes of a pause is [`super`]'s to say.

use super::profile::Profile;
use crate::distributions::{ln_regularised_beta, p_of_ln};
use crate::edges::{Moments, Prediction, volume};
use crate::exact;
use crate::network::Edge;
use crate::numbered::Numbered;
use crate::settings::VolumeSettings;
use serde::{Deserialize, Serialize};

/// One window in a pause's own time.
pub(super) const WINDOW: u32 = 256;
/// A window with fewer than this share of its usual connections is one of a pause.
const HEARD_SHARE: f64 = 0.1;
/// Exponent of the tail beyond the longest pause.
const TAIL_SHAPE: i32 = 3;
/// A pause of fewer windows is none, whatever came before.
const PAUSE_MIN: u32 = 3 * WINDOW;
/// Pauses that are known before one can be unusual: a day of windows of five minutes.
const PAUSES_MIN: u32 = 288;
/// Weight of the past in the deviation from the profile after one window: two days.
const FORGETTING: f64 = 0.998;
/// Bounds of the shape of counts.
const SHAPE: (f64, f64) = (0.2, 20.0);
/// How far the level may be from the profile's, as a factor in logarithms.
const DRIFT_MAX: f64 = 1.6;
/// Hours after which pauses are counted anew; those of the time before still count: two weeks.
const ERA_HOURS: i64 = 336;
/// Weeks after which more than usual can be told from what is usual at the hour.
const SEASON_WEEKS: i64 = 2;

/// What an entity's pause was found to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Standing {
    /// Nothing out of the ordinary.
    #[default]
    Usual,
    /// A finding says so, since this window.
    Told(i64),
    /// Another's finding says so, or it is one of many, since this window.
    Explained(i64),
    /// Too much is not heard for one cause in the network, since this window: what reports it may be gone.
    Unheard(i64),
}

/// Pauses that ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Pauses {
    count: u32,
    longest: u32,
    total: u64,
}

/// The pause that goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Pause {
    /// The last window in which it was heard as usual.
    pub(super) heard: i64,
    /// Length in its own time.
    pub(super) length: u32,
    /// Connections meanwhile, and those that would have been usual.
    pub(super) opened: i64,
    #[serde(with = "exact")]
    pub(super) expected: f64,
}

/// What one window lets expect.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Expected {
    /// Connections.
    pub(super) mean: f64,
    /// Probability that it is heard, of [`WINDOW`].
    pub(super) heard: u32,
}

/// One entity as a source or as a destination.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Rhythm {
    pub(super) profile: Profile,
    /// ln(1 + connections) less that of the profile's mean.
    deviation: Moments,
    /// Pauses of this time and of the one before.
    pauses: [Pauses; 2],
    era: i64,
    pub(super) pause: Pause,
    pub(super) standing: Standing,
    /// The edge with the most connections when it was last heard.
    pub(super) edge: Edge,
    /// Windows in a row that were too many for their hour to be learnt.
    held: u32,
    /// Connections of the window that is being closed.
    #[serde(skip)]
    pub(super) opened: i64,
    /// What the hour of the week made of the window that was closed last: p-value of so many, and what was expected.
    #[serde(skip)]
    pub(super) season: Option<(f64, Prediction)>,
}

impl Numbered for Rhythm {
    fn visit(&mut self, number: &mut dyn FnMut(&mut u32)) {
        self.edge.visit(number);
    }
}

impl Rhythm {
    pub(super) fn new(index: i64, hour: i64, edge: Edge) -> Self {
        Self {
            profile: Profile::default(),
            deviation: Moments::default(),
            pauses: [Pauses::default(); 2],
            era: hour,
            pause: Pause { heard: index, ..Pause::default() },
            standing: Standing::Usual,
            edge,
            held: 0,
            opened: 0,
            season: None,
        }
    }

    /// Variance of the logarithm against the profile; prior of one window with 0.25.
    fn variance(&self) -> f64 {
        (f64::from(self.deviation.squares) + 0.25) / (f64::from(self.deviation.weight) + 1.0)
    }

    /// Shape of the Gamma-Poisson whose logarithm varies so.
    fn shape(&self) -> f64 {
        self.variance().exp_m1().recip().clamp(SHAPE.0, SHAPE.1)
    }

    /// What is expected in an hour; none before the rhythm is known.
    pub(super) fn expect(&self, hour: i64) -> Option<Expected> {
        let least = self.profile.least(hour).filter(|_| self.profile.weeks(hour) > 0)?;
        let mean = least * f64::from(self.deviation.mean).clamp(-DRIFT_MAX, DRIFT_MAX).exp();
        let shape = self.shape();
        let silent = (shape / (shape + mean)).powf(shape);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // A share.
        let heard = ((1.0 - silent) * f64::from(WINDOW)).round() as u32;
        Some(Expected { mean, heard })
    }

    /// 90 in 100 windows of an hour are between these.
    pub(super) fn band(&self, hour: i64) -> Option<(f64, f64)> {
        const NORMAL_95: f64 = 1.645;
        let mean = self.profile.mean(hour)?;
        let middle = mean.ln_1p() + f64::from(self.deviation.mean);
        let spread = NORMAL_95 * self.variance().sqrt();
        Some(((middle - spread).exp_m1().max(0.0), (middle + spread).exp_m1()))
    }

    /// How far the window's connections are from what its hour lets expect, in logarithms; none before it was seen in two weeks.
    pub(super) fn deviation_now(&self, hour: i64) -> Option<f64> {
        let mean = self.profile.mean(hour).filter(|_| self.profile.weeks(hour) >= SEASON_WEEKS && self.opened > 0)?;
        Some((self.opened as f64).ln_1p() - mean.ln_1p() - f64::from(self.deviation.mean))
    }

    /// Judges whether that is far more than the network's common deviation: Student's t, as for an edge's volume.
    pub(super) fn judge_season(&mut self, hour: i64, common: f64, settings: &VolumeSettings) {
        self.season = self.deviation_now(hour).map(|now| {
            let mean = self.profile.mean(hour).unwrap_or_default().ln_1p();
            // At least the variance of a Poisson count, as there.
            let least = mean.exp_m1().max(0.0) * (-2.0 * mean).exp();
            let spread = Moments { mean: 0.0, ..self.deviation };
            let prediction = spread.predict(0.25, settings.variance_prior, least, settings.freedom_max);
            let p_value = volume::p_value(prediction, now - common).unwrap_or(1.0);
            (p_value, Prediction { mean: mean + f64::from(self.deviation.mean) + common, ..prediction })
        });
    }

    /// Whether the window's connections are no pause.
    pub(super) fn is_heard(&self, expected: Option<Expected>) -> bool {
        self.opened > 0 && expected.is_none_or(|expected| self.opened as f64 >= HEARD_SHARE * expected.mean)
    }

    fn longest(&self) -> u32 {
        self.pauses.iter().map(|pauses| pauses.longest).max().unwrap_or(0)
    }

    /// Pauses that the one that goes on is held against.
    pub(super) fn known_pauses(&self) -> u32 {
        self.pauses.iter().map(|pauses| pauses.count).sum()
    }

    /// Whether the pause is longer than every one before.
    pub(super) fn is_record(&self) -> bool {
        self.known_pauses() >= PAUSES_MIN && self.pause.length >= PAUSE_MIN && self.pause.length > self.longest()
    }

    /// p-value of the pause, where it is longer than every one before.
    pub(super) fn p_value(&self) -> Option<f64> {
        self.is_record().then(|| {
            let count = f64::from(self.known_pauses());
            let total: u64 = self.pauses.iter().map(|pauses| pauses.total).sum();
            let unit = f64::from(WINDOW) + total as f64 / count;
            let ratio = (unit + f64::from(self.longest())) / (unit + f64::from(self.pause.length));
            let (shape, mean) = (self.shape(), self.pause.expected);
            let sum = shape + mean;
            let lower = ln_regularised_beta(shape, self.pause.opened as f64 + 1.0, shape / sum, mean / sum);
            (ratio.powi(TAIL_SHAPE) / (count + 1.0)).max(p_of_ln(lower))
        })
    }

    /// Takes the window in, `coverage` of [`WINDOW`] being heard of the rest of the network. Says how it was silent before,
    /// where it is heard again.
    pub(super) fn close(
        &mut self,
        (index, hour): (i64, i64),
        (expected, coverage): (Option<Expected>, u32),
        windows_per_hour: u32,
        volume: &VolumeSettings,
    ) -> Option<(Standing, Pause)> {
        if hour - self.era >= ERA_HOURS {
            self.era = hour;
            self.pauses = [Pauses::default(), self.pauses[0]];
        }
        let opened = self.opened;
        let mut before = None;
        let is_too_many =
            self.season.is_some_and(|(p, _)| p < volume.learn_p_min) && self.held < volume.held_windows_max;
        self.held = if is_too_many { self.held + 1 } else { 0 };
        if self.is_heard(expected) {
            if let Some(expected) = expected {
                self.end_pause();
                let profile = self.profile.mean(hour).unwrap_or(expected.mean);
                if !is_too_many {
                    self.deviation.learn(1, (opened as f64).ln_1p() - profile.ln_1p(), 0.0, FORGETTING);
                }
            }
            let standing = std::mem::take(&mut self.standing);
            before = (standing != Standing::Usual).then_some((standing, self.pause));
            self.pause = Pause { heard: index, ..Pause::default() };
        } else if let Some(Expected { mean, heard }) = expected {
            let heard = u64::from(heard) * u64::from(coverage) / u64::from(WINDOW);
            self.pause.length = self.pause.length.saturating_add(u32::try_from(heard).unwrap_or(u32::MAX));
            self.pause.expected += mean * f64::from(coverage) / f64::from(WINDOW);
            self.pause.opened = self.pause.opened.saturating_add(opened);
        }
        let is_odd = is_too_many || self.is_record() || (coverage == 0 && expected.is_some());
        self.profile.learn(hour, opened, windows_per_hour, is_odd);
        before
    }

    /// What was out of the ordinary is not learnt.
    fn end_pause(&mut self) {
        if self.standing == Standing::Usual {
            let [now, _] = &mut self.pauses;
            now.count = now.count.saturating_add(1);
            now.longest = now.longest.max(self.pause.length);
            now.total = now.total.saturating_add(self.pause.length.into());
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::network::Port;

    /// A linear congruential generator (Knuth, MMIX).
    struct Uniform(u64);

    impl Uniform {
        fn next(&mut self) -> f64 {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((self.0 >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
        }

        /// Gamma-Poisson of whole shape: arrivals until a rate that is a sum of exponentials is used up.
        fn count(&mut self, mean: f64, shape: u32) -> i64 {
            let rate = -(0..shape).map(|_| self.next().ln()).sum::<f64>() * mean / f64::from(shape);
            let mut used = -self.next().ln();
            let mut count = 0;
            while used < rate {
                used -= self.next().ln();
                count += 1;
            }
            count
        }
    }

    const WEEKS: i64 = 6;

    /// How often pauses of several entities end with a p-value at or below a level, for all pauses that were judged.
    fn check(name: &str, mean: impl Fn(i64, &mut Uniform) -> f64, shape: u32) {
        let mut p_values = Vec::new();
        let mut pauses = 0;
        for seed in 0..12 {
            let mut uniform = Uniform(seed * 7919 + 13);
            let mut rhythm = Rhythm::new(0, 0, Edge { source: 0, destination: 1, port: Port::Absent });
            for index in 0..WEEKS * 2016 {
                let hour = index / 12;
                let rate = mean(index, &mut uniform);
                rhythm.opened = uniform.count(rate, shape);
                let expected = rhythm.expect(hour);
                if rhythm.is_heard(expected) && rhythm.known_pauses() >= PAUSES_MIN {
                    pauses += 1;
                    p_values.extend(rhythm.p_value());
                }
                rhythm.close((index, hour), (expected, WINDOW), 12, &VolumeSettings::default());
            }
        }
        assert!(pauses > 5_000, "{name}: {pauses} pauses");
        for level in [1e-2, 1e-3, 1e-4, 1e-5] {
            let share = p_values.iter().filter(|&&p| p <= level).count() as f64 / f64::from(pauses);
            let spread = 2.0 * (level / f64::from(pauses)).sqrt();
            assert!(share <= level + spread, "{name}: P(p <= {level}) = {share} of {pauses} pauses");
        }
    }

    fn is_office(index: i64) -> bool {
        let (hour, day) = (index / 12 % 24, index / 288 % 7);
        (8..18).contains(&hour) && day < 5
    }

    #[test]
    fn p_values_under_the_null_are_cautious() {
        check("steady", |_, _| 30.0, 5);
        check("sparse", |_, _| 0.7, 3);
        check("bursty", |_, _| 3.0, 1);
        check("nights and weekends", |index, _| if is_office(index) { 20.0 } else { 0.05 }, 4);
        check("waves", |index, _| 8.0 * (1.0 + (index as f64 / 288.0 * std::f64::consts::TAU).sin()), 3);
        check("hourly jobs", |index, _| if index % 12 == 0 { 8.0 } else { 0.02 }, 4);
        // A tenth of all hours is far quieter, whichever they are.
        check("moods", |index, _| if (index / 12 * 7919) % 101 < 10 { 0.6 } else { 9.0 }, 3);
    }

    /// Windows of silence until the pause is below one in a million, after so many weeks of a mean.
    fn check_delay(weeks: i64, mean: impl Fn(i64) -> f64, expected: std::ops::RangeInclusive<i64>) {
        let mut uniform = Uniform(5);
        let mut rhythm = Rhythm::new(0, 0, Edge { source: 0, destination: 1, port: Port::Absent });
        let stop = weeks * 2016 + 120;
        let first = (0..stop + 4032).find(|&index| {
            rhythm.opened = if index < stop { uniform.count(mean(index), 5) } else { 0 };
            let expected = rhythm.expect(index / 12);
            rhythm.close((index, index / 12), (expected, WINDOW), 12, &VolumeSettings::default());
            index >= stop && rhythm.p_value().is_some_and(|p| p < 1e-6)
        });
        let delay = first.map_or(-1, |first| first - stop);
        assert!(expected.contains(&delay), "{delay} after {weeks} weeks, not {expected:?}");
    }

    #[test]
    fn the_better_it_is_known_the_sooner_silence_shows() {
        check_delay(1, |_| 30.0, -1..=30);
        check_delay(2, |_| 30.0, 4..=20);
        check_delay(4, |_| 30.0, 4..=20);
        check_delay(4, |index| if is_office(index) { 30.0 } else { 0.01 }, 5..=40);
        check_delay(4, |_| 0.7, 20..=200);
        // Who is hardly ever heard is never silent.
        check_delay(4, |_| 0.001, -1..=-1);
    }

    /// A pause in which nothing else is heard either does not go on.
    #[test]
    fn without_coverage_time_stands_still() {
        let mut rhythm = Rhythm::new(0, 0, Edge { source: 0, destination: 1, port: Port::Absent });
        for index in 0..3 * 2016 {
            rhythm.opened = if index < 2 * 2016 { 30 } else { 0 };
            let expected = rhythm.expect(index / 12);
            let coverage = if index < 2 * 2016 { WINDOW } else { 0 };
            rhythm.close((index, index / 12), (expected, coverage), 12, &VolumeSettings::default());
        }
        assert_eq!((rhythm.pause.length, rhythm.p_value()), (0, None));
        assert!(rhythm.profile.mean(0).is_some_and(|mean| mean > 25.0), "it is not unlearnt");
    }
}
