//! Detector of floods and of crowds: far more connections reach a destination than before, or more clients that it never
//! had. Student-t on ln(1 + connections) as for an edge's volume, and the birth process as for a source's new edges, seen
//! from the other end.
//!
//! Its units are destinations. They are kept apart from those of sources: added to them they would only add noise.

use super::hazard::{Curve, Factor, Rates};
use super::{UnitScore, View};
use crate::combine;
use crate::distributions::{ln_negative_binomial_tail, p_of_ln};
use crate::edges::{Moments, Prediction, volume};
use crate::exact;
use crate::network::Network;
use crate::report::{Birth, Inflow};
use crate::settings::{DestinationSettings, Settings, VolumeSettings};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Squared residuals enter the pooled variance up to this.
const SQUARED_RESIDUAL_MAX: f64 = 9.0;
/// Fewer new clients are no crowd.
const CROWD_MIN: u64 = 5;
/// Tests that decide together.
const DECIDING: usize = 2;

/// What reached one destination so far.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(super) struct Baseline {
    level: Moments,
    held: u32,
    pub(super) windows: u64,
    clients: Factor,
}

/// What is known of all destinations together. The prior is one residual of variance 0.25.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Crowd {
    #[serde(with = "exact")]
    squares: f64,
    #[serde(with = "exact")]
    count: f64,
    /// New clients per window of a destination, by its age.
    new_clients: Curve,
}

impl Default for Crowd {
    fn default() -> Self {
        Self { squares: 0.25, count: 1.0, new_clients: Curve::default() }
    }
}

/// What was found of one destination.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Judged {
    pub(crate) inflow: Inflow,
    /// New edges that reached it.
    pub(crate) clients: u64,
    pub(crate) p_of_level: f64,
    pub(crate) p_of_clients: f64,
    pub(crate) p_of_flood: f64,
    /// Of so many at this hour of the week; 1 where that is not known.
    pub(crate) p_of_season: f64,
    /// What was expected at this hour of the week, where that decides.
    pub(crate) seasonal: Option<Prediction>,
    /// What its level was judged by.
    pub(crate) prediction: Option<Prediction>,
}

impl Judged {
    /// Whether no single source makes up half of it, nor a few new clients all that is unusual: else those sources' own
    /// units tell the story better.
    pub(super) fn is_of_many(&self, births: &[Birth]) -> bool {
        let is_crowd = self.clients >= CROWD_MIN || self.p_of_amount() < self.p_of_clients;
        if !is_crowd {
            return false;
        }
        let mut by_source: BTreeMap<u32, i64> = BTreeMap::new();
        for birth in births.iter().filter(|birth| birth.edge.destination == self.inflow.destination) {
            let opened = by_source.entry(birth.edge.source).or_default();
            *opened = opened.saturating_add(birth.counts.opened);
        }
        let foremost = self.inflow.foremost.counts.opened;
        let most = by_source.into_values().fold(foremost, i64::max);
        most < self.inflow.opened / 2
    }

    /// p-value of so many: at this hour of the week where that decides, else after the last hours.
    fn p_of_amount(&self) -> f64 {
        if self.seasonal.is_some() { self.p_of_season } else { self.p_of_level }
    }

    /// Combined p-value and the capped sum.
    pub(super) fn combined(&self, settings: &Settings) -> (f64, f64) {
        let p_values = [self.p_of_amount(), self.p_of_clients];
        // A level and a flood are two looks at one count: the level decides, the flood orders. Measured on labelled streams.
        let ordering = [self.p_of_flood, self.p_of_clients];
        (combine::cauchy(p_values, DECIDING), combine::risk_score(ordering, settings.risk_cap))
    }

    /// What spoke, by name.
    pub(super) fn signals(&self) -> impl Iterator<Item = (&'static str, f64)> {
        let all = [("level", self.p_of_level), ("clients", self.p_of_clients), ("flood", self.p_of_flood)];
        all.into_iter().filter(|&(_, p_value)| p_value < 1.0)
    }

    /// The score, for evaluation.
    pub(super) fn score(&self, network: &Network, view: &View, settings: &Settings) -> UnitScore {
        let (p_value, risk_score) = self.combined(settings);
        let season = (self.p_of_season < 1.0).then_some(("season", self.p_of_season));
        UnitScore {
            entity: network.name(self.inflow.destination).to_owned(),
            window_start: view.start,
            p_value,
            calibrated_p_value: p_value,
            risk_score,
            signals: self.signals().chain(season).collect(),
        }
    }
}

impl Crowd {
    pub(super) fn rates(&self, settings: &DestinationSettings) -> Rates {
        self.new_clients.rates(settings.rate_prior)
    }

    fn variance(&self) -> f64 {
        self.squares / self.count
    }

    /// Judges a destination by its baseline; `age` in windows. One without a baseline has nothing to differ from.
    pub(super) fn judge(
        &self,
        inflow: Inflow,
        clients: u64,
        known: Option<(&Baseline, u64)>,
        rates: &Rates,
        change: f64,
        settings: &Settings,
    ) -> Judged {
        let mut judged = Judged {
            inflow,
            clients,
            p_of_level: 1.0,
            p_of_clients: 1.0,
            p_of_flood: 1.0,
            p_of_season: 1.0,
            seasonal: None,
            prediction: None,
        };
        let Some((baseline, age)) = known else { return judged };
        let VolumeSettings { windows_min, variance_prior, freedom_max, is_enabled, .. } = settings.volume;
        if is_enabled && f64::from(baseline.level.weight) >= windows_min && inflow.opened > 0 {
            let mean = f64::from(baseline.level.mean);
            let least = mean.exp_m1() * (-2.0 * mean).exp();
            let prediction = baseline.level.predict(self.variance(), variance_prior, least, freedom_max);
            judged.p_of_level = volume::p_value(prediction, volume::level(inflow.opened) - change).unwrap_or(1.0);
            judged.prediction = Some(prediction);
        }
        if settings.destination.is_enabled && clients > 0 {
            let prior = settings.destination.entity_prior;
            let expected = rates.at(Curve::bucket(age)) * baseline.clients.mean(prior);
            let shape = baseline.clients.shape(prior).min(settings.destination.shape_max);
            judged.p_of_clients = p_of_ln(ln_negative_binomial_tail(clients, shape, expected));
        }
        judged
    }

    /// Takes a destination's window in.
    pub(super) fn learn(
        &mut self,
        baseline: &mut Baseline,
        judged: &Judged,
        age: u64,
        rates: &Rates,
        view: &View,
        learning: Learning<'_>,
    ) {
        let Learning { is_starting, is_training, settings } = learning;
        let limit = u64::from(settings.destination.births_learnt_max);
        let bucket = Curve::bucket(age);
        self.new_clients.learn(bucket, if is_starting { judged.clients } else { judged.clients.min(limit) });
        if bucket > 0 {
            baseline.clients.learn(judged.clients.min(limit), rates.at(bucket));
        }
        if view.is_partial || judged.inflow.opened == 0 {
            return;
        }
        baseline.windows += 1;
        let is_unusual = judged.p_of_level < settings.volume.learn_p_min && !is_training;
        if is_unusual && baseline.held < settings.volume.held_windows_max {
            baseline.held += 1;
            return;
        }
        baseline.held = 0;
        let level = volume::level(judged.inflow.opened) - view.change;
        if baseline.level.weight >= 1.0 {
            let residual = level - f64::from(baseline.level.mean);
            self.squares += (residual * residual).min(SQUARED_RESIDUAL_MAX);
            self.count += 1.0;
        }
        baseline.level.learn(1, level, 0.0, settings.volume.forgetting);
    }
}

/// How a window is learnt.
#[derive(Clone, Copy)]
pub(super) struct Learning<'a> {
    pub(super) is_starting: bool,
    pub(super) is_training: bool,
    pub(super) settings: &'a Settings,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{Edge, Port};
    use crate::report::EdgeCounts;

    fn inflow(opened: i64) -> Inflow {
        let counts = EdgeCounts { flows: opened, opened, answered: opened, ..EdgeCounts::nothing(0) };
        let edge = Edge { source: 0, destination: 1, port: Port::Absent };
        Inflow { destination: 1, opened, foremost: Birth { edge, counts } }
    }

    /// After windows of these levels without new clients but for the first: p-values of the last.
    fn check(levels: &[i64], clients: u64, low: (f64, f64), high: (f64, f64)) {
        let settings = Settings::default();
        let (mut crowd, mut baseline) = (Crowd::default(), Baseline::default());
        let (last, past) = levels.split_last().expect("a level");
        for (age, &level) in (0..).zip(past) {
            let view = View::new(0, 1, age, false);
            let rates = crowd.rates(&settings.destination);
            let known = (age > 0).then_some((&baseline, age));
            let judged = crowd.judge(inflow(level), 0, known, &rates, 0.0, &settings);
            let learning = Learning { is_starting: age < 3, is_training: false, settings: &settings };
            crowd.learn(&mut baseline, &judged, age, &rates, &view, learning);
        }
        let rates = crowd.rates(&settings.destination);
        let judged = crowd.judge(inflow(*last), clients, Some((&baseline, past.len() as u64)), &rates, 0.0, &settings);
        assert!((low.0..=high.0).contains(&judged.p_of_level), "{levels:?}: {judged:?}");
        assert!((low.1..=high.1).contains(&judged.p_of_clients), "{levels:?}, {clients}: {judged:?}");
    }

    #[test]
    fn floods_and_crowds_are_unusual() {
        check(&[100; 20], 0, (1.0, 1.0), (1.0, 1.0));
        check(&[100, 100], 0, (1.0, 1.0), (1.0, 1.0));
        let mut flood = vec![100; 20];
        flood.push(20_000);
        check(&flood, 0, (0.0, 1.0), (1e-5, 1.0));
        check(&[100; 20], 1, (1.0, 0.0), (1.0, 0.2));
        check(&[100; 20], 30, (1.0, 0.0), (1.0, 1e-6));
    }
}
