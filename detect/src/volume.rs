//! Detector of unusual volumes: an edge on which far more connections open in a window than it had before, the common
//! change of the whole network taken out.
//!
//! Upper tail only: silence is not judged, because it is evidence only while the coverage of the observers is known to be
//! healthy, and that is not wired here.

use crate::contract::{Detector, EdgeSignal, Explanation, Signal, WarmUp};
use crate::distributions::{student_t_quantile, student_t_tail};
use crate::exact;
use crate::settings::VolumeSettings;
use crate::window::{EdgeWindow, Window};
use crate::wording;
use serde::{Deserialize, Serialize};

/// Edges with a baseline that the network's common change needs at least: the median of fewer says little.
const EDGES_FOR_COMMON_MIN: usize = 8;
/// Squared residuals enter the pooled variance up to this, so that one flood does not blind every young edge.
const SQUARED_RESIDUAL_MAX: f64 = 9.0;
/// What the upper end of "usual" means in an explanation: one window in a hundred lies above.
const BAND_TAIL: f64 = 0.01;

/// State of the detector.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Volume {
    settings: VolumeSettings,
    /// Per edge number.
    baselines: Vec<Option<Baseline>>,
    pooled: Pooled,
    /// Common change of the window just scored: median residual, in logarithms.
    #[serde(skip)]
    common: f64,
    /// Per edge of the window just scored: its p-value, if it was tested.
    #[serde(skip)]
    tested: Vec<Option<f64>>,
}

/// Exponentially forgetting mean and squares of ln(1 + connections) of one edge.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Baseline {
    #[serde(with = "exact")]
    weight: f64,
    #[serde(with = "exact")]
    mean: f64,
    #[serde(with = "exact")]
    squares: f64,
    first_window: i64,
    windows: u64,
    /// Windows in a row that were too unusual to be learnt.
    held: u32,
}

/// Squared residuals of all edges: the variance of an edge that has no past. The prior is one residual of variance 0.25.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Pooled {
    #[serde(with = "exact")]
    squares: f64,
    #[serde(with = "exact")]
    count: f64,
}

/// Student-t prediction of an edge's next window.
#[derive(Clone, Copy, Debug)]
struct Prediction {
    mean: f64,
    scale: f64,
    freedom: f64,
}

impl Baseline {
    /// Normal model with unknown mean and variance, the pooled variance worth some windows (Gelman et al., "Bayesian Data
    /// Analysis", 3rd edition, section 3.3): t with n + prior degrees of freedom, scale² = v(1 + 1/n).
    ///
    /// The variance is at least that of a Poisson count in logarithms, c/(1 + c)² by the delta method: an edge that had
    /// one connection in every window so far may have two.
    fn predict(&self, pooled: f64, settings: &VolumeSettings) -> Prediction {
        let prior = settings.variance_prior;
        let learnt = (self.squares + prior * pooled) / (self.weight + prior);
        let variance = learnt.max(self.mean.exp_m1() * (-2.0 * self.mean).exp());
        let scale = (variance * (1.0 + 1.0 / self.weight) + 1e-9).sqrt();
        Prediction { mean: self.mean, scale, freedom: (self.weight + prior).min(settings.freedom_max) }
    }

    fn learn(&mut self, value: f64, forgetting: f64) {
        self.weight = self.weight * forgetting + 1.0;
        let difference = value - self.mean;
        self.mean += difference / self.weight;
        self.squares = self.squares * forgetting + difference * (value - self.mean);
        self.windows += 1;
    }
}

impl Prediction {
    fn tail(self, value: f64) -> f64 {
        student_t_tail((value - self.mean) / self.scale, self.freedom)
    }

    fn quantile(self, tail: f64) -> f64 {
        self.mean + self.scale * student_t_quantile(tail, self.freedom)
    }
}

impl Volume {
    /// A detector that knows nothing yet.
    #[must_use]
    pub const fn new(settings: VolumeSettings) -> Self {
        let pooled = Pooled { squares: 0.25, count: 1.0 };
        Self { settings, baselines: Vec::new(), pooled, common: 0.0, tested: Vec::new() }
    }

    fn baseline(&self, edge: &EdgeWindow) -> Option<&Baseline> {
        self.baselines.get(edge.number as usize).and_then(Option::as_ref)
    }

    /// The baseline of an edge that has enough of it.
    fn established(&self, edge: &EdgeWindow) -> Option<&Baseline> {
        self.baseline(edge).filter(|baseline| baseline.weight >= self.settings.windows_min && edge.opened > 0)
    }

    fn pooled_variance(&self) -> f64 {
        self.pooled.squares / self.pooled.count
    }

    fn common_change(&self, window: &Window<'_>) -> f64 {
        let residual = |edge: &EdgeWindow| self.established(edge).map(|baseline| level(edge) - baseline.mean);
        let mut residuals: Vec<f64> = window.edges.iter().filter_map(residual).collect();
        if residuals.len() < EDGES_FOR_COMMON_MIN {
            return 0.0;
        }
        residuals.sort_by(f64::total_cmp);
        let middle = residuals.len() / 2;
        if residuals.len() % 2 == 1 { residuals[middle] } else { 0.5 * (residuals[middle - 1] + residuals[middle]) }
    }
}

/// ln(1 + connections opened).
fn level(edge: &EdgeWindow) -> f64 {
    (edge.opened as f64).ln_1p()
}

impl Detector for Volume {
    const NAME: &'static str = "volume";

    fn warm_up(&self, window: &Window<'_>) -> WarmUp {
        let mut windows_left = 0_u64;
        let mut weight = 0.0;
        while weight < self.settings.windows_min && windows_left < 1_000 {
            weight = weight * self.settings.forgetting + 1.0;
            windows_left += 1;
        }
        match windows_left.saturating_sub(window.age) {
            0 => WarmUp::Ready,
            windows_left => WarmUp::Learning { windows_left },
        }
    }

    fn score(&mut self, window: &Window<'_>) -> Vec<Signal> {
        self.common = self.common_change(window);
        let pooled = self.pooled_variance();
        let test = |edge: &EdgeWindow| {
            let baseline = self.established(edge)?;
            Some(baseline.predict(pooled, &self.settings).tail(level(edge) - self.common))
        };
        self.tested = window.edges.iter().map(test).collect();
        let mut signals = Vec::new();
        for (index, source) in window.sources.iter().enumerate() {
            let tested = source
                .edges
                .clone()
                .filter_map(|position| self.tested[position].map(|p_value| EdgeSignal { position, p_value }));
            let mut edges: Vec<EdgeSignal> = tested.collect();
            edges.sort_by(|one, other| one.p_value.total_cmp(&other.p_value));
            let Some(least) = edges.first().map(|edge| edge.p_value) else { continue };
            // Bonferroni: edges of one source rise together, so nothing sharper holds.
            let p_value = (least * edges.len() as f64).min(1.0);
            edges.retain(|edge| edge.p_value < self.settings.learn_p_min || edge.p_value <= least);
            signals.push(Signal { source: index, p_value, edges });
        }
        signals
    }

    fn explain(&self, window: &Window<'_>, signal: &EdgeSignal) -> Explanation {
        let seen = &window.edges[signal.position];
        let network = window.network;
        let observed = format!(
            "{} opened {} to {}{} within {}",
            wording::entity(network, seen.edge.source),
            wording::connections(seen.opened),
            wording::entity(network, seen.edge.destination),
            wording::port(seen),
            wording::duration(window.length),
        );
        let (expected, since, windows) = match self.baseline(seen) {
            Some(baseline) => {
                let prediction = baseline.predict(self.pooled_variance(), &self.settings);
                let since = baseline.first_window.saturating_mul(window.length);
                let text = format!(
                    "about {}, 99 in 100 windows below {} (from {} since {}); chance of as many {}",
                    wording::rounded((prediction.mean + self.common).exp_m1()),
                    wording::rounded((prediction.quantile(BAND_TAIL) + self.common).exp_m1().ceil()),
                    wording::plural(baseline.windows, "window"),
                    wording::time(since),
                    wording::probability(signal.p_value),
                );
                (text, since, baseline.windows)
            }
            None => (String::from("not known yet"), window.start, 0),
        };
        Explanation {
            observed,
            remark: String::new(),
            expected,
            baseline_since: since,
            baseline_windows: windows,
            dst_kind: network.kind(seen.edge.destination),
            is_alone: false,
        }
    }

    fn learn(&mut self, window: &Window<'_>) {
        if window.is_partial {
            return;
        }
        self.baselines.resize(window.network.edge_count().max(self.baselines.len()), None);
        let settings = &self.settings;
        for (edge, tested) in window.edges.iter().zip(&self.tested) {
            // A window in which only old connections went on says nothing of how many open.
            if edge.opened == 0 {
                continue;
            }
            let value = level(edge) - self.common;
            let fresh =
                Baseline { weight: 0.0, mean: 0.0, squares: 0.0, first_window: window.index, windows: 0, held: 0 };
            let baseline = self.baselines[edge.number as usize].get_or_insert(fresh);
            let is_unusual = tested.is_some_and(|p_value| p_value < settings.learn_p_min);
            if is_unusual && !window.is_training && baseline.held < settings.held_windows_max {
                baseline.held += 1;
                continue;
            }
            baseline.held = 0;
            if baseline.weight >= 1.0 {
                let residual = value - baseline.mean;
                let squared = residual * residual * baseline.weight / (baseline.weight + 1.0);
                self.pooled.squares += squared.min(SQUARED_RESIDUAL_MAX);
                self.pooled.count += 1.0;
            }
            baseline.learn(value, settings.forgetting);
        }
    }
}
