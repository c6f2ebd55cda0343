//! Detector of unusual destinations: an entity that opens edges it never had, more of them or rarer ones than entities of
//! its age do. Formulas: a Cox-like birth process with pooled age hazard λ, an entity's own Gamma factor θ and marks u;
//! the k most surprising births are judged together by a negative-binomial tail.
//!
//! It does not see whether a known edge changes, and a new source that does little is missed by design: it has no past.

use crate::births::Votes;
use crate::contract::{Detector, EdgeSignal, Explanation, Signal, WarmUp};
use crate::distributions::{ln_negative_binomial_tail, p_of_ln};
use crate::hazard::{Curve, Factor, Rates};
use crate::network::{Port, pair};
use crate::settings::DestinationSettings;
use crate::window::{EdgeWindow, SourceWindow, Window};
use crate::wording;
use serde::{Deserialize, Serialize};

/// State of the detector.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Destination {
    settings: DestinationSettings,
    warm_up_windows: u64,
    /// New edges per window of a source, by its age.
    new_edges: Curve,
    /// New sources per window of the network, by its age.
    new_sources: Curve,
    votes: Votes,
    /// Per entity number: what it did as a source.
    sources: Vec<Option<Source>>,
    /// Per edge number: whether it was ever seen.
    is_known: Vec<bool>,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Source {
    first_window: i64,
    active_windows: u64,
    destinations: u64,
    factor: Factor,
}

/// A new edge with its mark.
struct Birth {
    position: usize,
    mark: f64,
}

impl Destination {
    /// A detector that knows nothing yet.
    #[must_use]
    pub fn new(settings: DestinationSettings, warm_up_windows: u64) -> Self {
        Self {
            settings,
            warm_up_windows,
            new_edges: Curve::default(),
            new_sources: Curve::default(),
            votes: Votes::default(),
            sources: Vec::new(),
            is_known: Vec::new(),
        }
    }

    fn source(&self, source: u32) -> Option<&Source> {
        self.sources.get(source as usize).and_then(Option::as_ref)
    }

    fn is_birth(&self, edge: &EdgeWindow) -> bool {
        edge.edge.port != Port::Unoriented && !self.is_known.get(edge.number as usize).copied().unwrap_or(false)
    }

    fn births<'a>(&'a self, window: &'a Window<'_>, source: &SourceWindow) -> impl Iterator<Item = usize> + 'a {
        source.edges.clone().filter(move |&position| self.is_birth(&window.edges[position]))
    }

    /// Expected births of a source in this window and the shape of their negative binomial.
    fn expectation(&self, window: &Window<'_>, source: u32, rates: &Rates, rate_of_sources: f64) -> (f64, f64) {
        let prior = self.settings.entity_prior;
        let shape = |factor: &Factor| factor.shape(prior).min(self.settings.shape_max);
        match self.source(source) {
            Some(known) => {
                let rate = rates.at(Curve::bucket(window.index.abs_diff(known.first_window)));
                (rate * known.factor.mean(prior), shape(&known.factor))
            }
            None => (rates.at(0) * rate_of_sources.min(1.0), shape(&Factor::default())),
        }
    }
}

/// p-value of births sorted by mark: twice the least over k of P(at least k births as surprising as the k-th), k in
/// {1, powers of two, all}; no factor where there is but one.
fn p_of_births(births: &[Birth], expected: f64, shape: f64) -> f64 {
    let all = births.len();
    let powers = std::iter::successors(Some(1_usize), |k| k.checked_mul(2)).take_while(|&k| k < all);
    let least = powers
        .chain([all])
        .map(|k| ln_negative_binomial_tail(k as u64, shape, expected * births[k - 1].mark))
        .fold(f64::INFINITY, f64::min);
    let choices = if all == 1 { 1.0 } else { 2.0_f64 };
    p_of_ln(least + choices.ln())
}

impl Detector for Destination {
    const NAME: &'static str = "destination";

    fn warm_up(&self, window: &Window<'_>) -> WarmUp {
        match self.warm_up_windows.saturating_sub(window.age) {
            0 => WarmUp::Ready,
            windows_left => WarmUp::Learning { windows_left },
        }
    }

    fn score(&mut self, window: &Window<'_>) -> Vec<Signal> {
        if self.warm_up(window) != WarmUp::Ready {
            return Vec::new();
        }
        let marks = self.votes.marks();
        let rates = self.new_edges.rates(self.settings.rate_prior);
        let rate_of_sources = self.new_sources.rates(self.settings.rate_prior).at(Curve::bucket(window.age));
        let mut signals = Vec::new();
        for (index, source) in window.sources.iter().enumerate() {
            let mut births = self.births(window, source).peekable();
            if births.peek().is_none() {
                continue;
            }
            let marks = marks.of_source(source.source);
            let mark = |position: usize| {
                let edge = &window.edges[position];
                Birth { position, mark: marks.mark(edge.edge, edge.answered > 0) }
            };
            let mut births: Vec<Birth> = births.map(mark).collect();
            births.sort_by(|one, other| one.mark.total_cmp(&other.mark));
            let (expected, shape) = self.expectation(window, source.source, &rates, rate_of_sources);
            let edge_signal = |birth: &Birth| EdgeSignal {
                position: birth.position,
                p_value: p_of_ln(ln_negative_binomial_tail(1, shape, expected * birth.mark)),
            };
            let p_value = p_of_births(&births, expected, shape);
            signals.push(Signal { source: index, p_value, edges: births.iter().map(edge_signal).collect() });
        }
        signals
    }

    fn explain(&self, window: &Window<'_>, signal: &EdgeSignal) -> Explanation {
        let seen = &window.edges[signal.position];
        let edge = seen.edge;
        let (network, kind) = (window.network, window.network.kind(edge.source));
        let is_peer = |entity: u32| {
            entity != edge.source
                && entity != edge.destination
                && self.source(entity).is_some()
                && network.kind(entity) == kind
        };
        let peers = (0..).zip(&self.sources).map(|(entity, _): (u32, _)| entity).filter(|&entity| is_peer(entity));
        let (mut peer_count, mut alike) = (0_i64, 0_i64);
        for peer in peers {
            peer_count += 1;
            alike += i64::from(self.votes.has_answered(pair(peer, edge.destination)));
        }
        let verb = if seen.answered > 0 {
            "contacted"
        } else if seen.denied > 0 {
            "tried to contact, and was denied,"
        } else {
            "tried in vain to contact"
        };
        let observed = format!(
            "{} {verb} {}{} for the first time",
            wording::entity(network, edge.source),
            wording::entity(network, edge.destination),
            wording::port(seen),
        );
        let remark = match peer_count {
            0 => String::from("; it has no peer to compare with"),
            _ => format!("; {} of {} peers ever did", wording::count(alike), wording::count(peer_count)),
        };
        let chance = wording::probability(signal.p_value);
        let (expected, since, baseline_windows) = match self.source(edge.source) {
            Some(source) => {
                let since = source.first_window.saturating_mul(window.length);
                let text = format!(
                    "no new destination: in {} since {} it used {}; chance of such a contact {chance}",
                    wording::plural(source.active_windows, "window"),
                    wording::time(since),
                    wording::plural(source.destinations, "destination"),
                );
                (text, since, source.active_windows)
            }
            None => {
                let text = format!("no new source here; chance of such a contact by one {chance}");
                (text, window.start, 0)
            }
        };
        Explanation {
            observed,
            remark,
            expected,
            baseline_since: since,
            baseline_windows,
            dst_kind: network.kind(edge.destination),
            is_alone: peer_count > 0 && alike == 0,
        }
    }

    fn learn(&mut self, window: &Window<'_>) {
        let is_starting = window.age < self.warm_up_windows;
        let rates = self.new_edges.rates(self.settings.rate_prior);
        let limit = self.settings.births_learnt_max as usize;
        self.sources.resize(window.network.entity_count().max(self.sources.len()), None);
        let mut new_sources = 0;
        for source in window.sources {
            if window.edges[source.edges.clone()].iter().all(|edge| edge.edge.port == Port::Unoriented) {
                continue;
            }
            let births: Vec<usize> = self.births(window, source).collect();
            let is_answered = |&position: &usize| window.edges[position].answered > 0;
            let answered = births.iter().filter(|position| is_answered(position)).count();
            let learnt_births = if is_starting { births.len() } else { limit };
            for position in births.iter().take(learnt_births) {
                self.votes.learn_birth(is_answered(position));
            }
            let state = self.sources[source.source as usize].get_or_insert_with(|| {
                new_sources += 1;
                Source { first_window: window.index, active_windows: 0, destinations: 0, factor: Factor::default() }
            });
            let bucket = Curve::bucket(window.index.abs_diff(state.first_window));
            state.active_windows += 1;
            state.destinations += answered as u64;
            if bucket > 0 {
                state.factor.learn(answered as u64, rates.at(bucket));
            }
            let is_first_of_all = bucket == 0 && is_starting;
            let learnt = if is_first_of_all { answered } else { answered.min(limit) };
            self.new_edges.learn(bucket, learnt as u64);
        }
        self.new_sources.learn(Curve::bucket(window.age), new_sources);
        self.is_known.resize(window.network.edge_count().max(self.is_known.len()), false);
        for edge in window.edges.iter().filter(|edge| edge.edge.port != Port::Unoriented) {
            self.is_known[edge.number as usize] = true;
            self.votes.learn(edge);
        }
    }
}
