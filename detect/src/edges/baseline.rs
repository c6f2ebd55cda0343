//! What is kept of one edge: 96 bytes. Forgetting means and squares, refusals, and what its birth was worth.

use crate::distributions::{student_t_quantile, student_t_tail, student_t_two_sided};
use crate::exact;
use crate::network::Edge;
use serde::{Deserialize, Serialize};

/// Exponentially forgetting count, mean and sum of squared differences.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Moments {
    #[serde(with = "exact")]
    pub(crate) weight: f32,
    #[serde(with = "exact")]
    pub(crate) mean: f32,
    #[serde(with = "exact")]
    pub(crate) squares: f32,
}

/// Flows by how they ended, forgetting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Refusals {
    #[serde(with = "exact")]
    pub(super) denied: f32,
    #[serde(with = "exact")]
    pub(super) failed: f32,
    #[serde(with = "exact")]
    pub(super) flows: f32,
}

/// The state of an edge. Windows are counted from the shard's first.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct EdgeState {
    pub(super) edge: Edge,
    /// Window of its first flow.
    pub(super) born: u32,
    /// Windows in which it was active.
    pub(super) windows: u32,
    /// The last window in which it was active.
    pub(super) last: u32,
    /// The last window in which an open finding asks for it; 0 for none.
    pub(super) watched_until: u32,
    /// -ln p of its birth.
    #[serde(with = "exact")]
    pub(super) evidence: f32,
    pub(super) volume: Moments,
    pub(super) size_out: Moments,
    pub(super) size_in: Moments,
    pub(super) refusals: Refusals,
    /// Bytes from source to destination since birth, while it is young.
    #[serde(with = "exact")]
    pub(super) moved_out: f32,
    /// Bytes from destination to source, as above.
    #[serde(with = "exact")]
    pub(super) moved_in: f32,
    /// -ln p of the amount that was told last.
    #[serde(with = "exact")]
    pub(super) moved_told: f32,
    /// Windows in a row whose volume was too unusual to be learnt.
    pub(super) volumes_held: u8,
    /// Windows with flows whose size was too unusual to be learnt.
    pub(super) sizes_held: u8,
    pub(super) is_answered: bool,
    /// Whether a window took a flow of it in. An edge may have its number earlier, from flows that are held.
    pub(super) is_met: bool,
}

impl EdgeState {
    /// What it does is usual: its birth is no evidence any more, and what was held back from learning is learnt anew.
    pub(super) fn accept(&mut self) {
        self.evidence = 0.0;
        if self.volumes_held > 0 {
            (self.volume, self.volumes_held) = (Moments::default(), 0);
        }
        if self.sizes_held > 0 {
            (self.size_out, self.size_in, self.sizes_held) = (Moments::default(), Moments::default(), 0);
        }
    }

    pub(super) fn new(edge: Edge, born: u32) -> Self {
        Self {
            edge,
            born,
            windows: 0,
            last: born,
            watched_until: 0,
            evidence: 0.0,
            volume: Moments::default(),
            size_out: Moments::default(),
            size_in: Moments::default(),
            refusals: Refusals::default(),
            moved_out: 0.0,
            moved_in: 0.0,
            moved_told: 0.0,
            volumes_held: 0,
            sizes_held: 0,
            is_answered: false,
            is_met: false,
        }
    }
}

/// Student-t prediction of the next value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Prediction {
    pub(crate) mean: f64,
    pub(crate) scale: f64,
    pub(crate) freedom: f64,
}

impl Prediction {
    /// How many scales a value lies above the mean.
    pub(crate) fn deviation(self, value: f64) -> f64 {
        (value - self.mean) / self.scale
    }

    /// P(at least this value).
    pub(crate) fn tail(self, value: f64) -> f64 {
        student_t_tail(self.deviation(value), self.freedom)
    }

    /// P(at least as far from the mean, on either side).
    pub(crate) fn two_sided(self, value: f64) -> f64 {
        student_t_two_sided(self.deviation(value), self.freedom)
    }

    /// The value above which a share of `tail` lies.
    pub(crate) fn quantile(self, tail: f64) -> f64 {
        self.mean + self.scale * student_t_quantile(tail, self.freedom)
    }
}

impl Moments {
    /// Normal model with unknown mean and variance, the pooled variance worth `prior` observations (Gelman et al.,
    /// "Bayesian Data Analysis", 3rd edition, section 3.3): t with n + prior degrees of freedom, scale² = v(1 + 1/n). The
    /// variance is at least `variance_min`; the degrees of freedom are bounded, because tails are heavier than a normal's.
    pub(crate) fn predict(&self, pooled: f64, prior: f64, variance_min: f64, freedom_max: f64) -> Prediction {
        let weight = f64::from(self.weight);
        let learnt = (f64::from(self.squares) + prior * pooled) / (weight + prior);
        let scale = (learnt.max(variance_min) * (1.0 + 1.0 / weight.max(1e-9)) + 1e-9).sqrt();
        Prediction { mean: f64::from(self.mean), scale, freedom: (weight + prior).min(freedom_max) }
    }

    /// Takes `count` values in at once, given their mean and their squared differences from it; `forgetting` is the weight
    /// of the past after one of them. For one value this is the usual recursion; several are as if they had come at once,
    /// so that their order does not matter (Chan, Golub and LeVeque, "Updating formulae", 1979, equation 2.1).
    pub(crate) fn learn(&mut self, count: u64, mean: f64, squares: f64, forgetting: f64) {
        if count == 0 {
            return;
        }
        let kept = forgetting.powf(count as f64);
        let arriving = if forgetting < 1.0 { (1.0 - kept) / (1.0 - forgetting) } else { count as f64 };
        let past = f64::from(self.weight) * kept;
        let weight = past + arriving;
        let difference = mean - f64::from(self.mean);
        let squares = f64::from(self.squares) * kept
            + squares * arriving / count as f64
            + difference * difference * past * arriving / weight;
        #[allow(clippy::cast_possible_truncation)] // Single precision is what is kept.
        let narrow = |value: f64| value as f32;
        self.weight = narrow(weight);
        self.mean = narrow(f64::from(self.mean) + difference * arriving / weight);
        self.squares = narrow(squares);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values at once against the plain mean and squares.
    fn check(values: &[f64], batch: usize, mean: f64, squares: f64) {
        let mut moments = Moments::default();
        for values in values.chunks(batch) {
            let count = values.len() as f64;
            let middle = values.iter().sum::<f64>() / count;
            let spread = values.iter().map(|value| (value - middle).powi(2)).sum();
            moments.learn(values.len() as u64, middle, spread, 1.0);
        }
        assert!((f64::from(moments.mean) - mean).abs() < 1e-5, "{values:?}: {moments:?}");
        assert!((f64::from(moments.squares) - squares).abs() < 1e-4, "{values:?}: {moments:?}");
    }

    #[test]
    fn batches_do_not_matter_without_forgetting() {
        for batch in 1..6 {
            check(&[1.0, 2.0, 4.0, 4.0, 9.0], batch, 4.0, 38.0);
            check(&[7.0; 5], batch, 7.0, 0.0);
        }
    }

    #[test]
    fn the_past_fades() {
        let mut moments = Moments::default();
        (0..400).for_each(|_| moments.learn(1, 3.0, 0.0, 0.95));
        assert!((moments.weight - 20.0).abs() < 1e-3);
        (0..400).for_each(|_| moments.learn(1, 5.0, 0.0, 0.95));
        assert!((moments.mean - 5.0).abs() < 1e-4 && moments.squares < 1e-4, "{moments:?}");
    }

    #[test]
    fn an_edge_is_small() {
        assert!(size_of::<EdgeState>() <= 96, "{}", size_of::<EdgeState>());
    }
}
