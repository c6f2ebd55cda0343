//! The words of each detector: what was seen on an edge, and what would have been usual. Knows no threshold.

mod long_view;
mod mediated;
mod scan;
pub(crate) mod silence;

use crate::decision::Weighed;
use crate::edges::Prediction;
use crate::entities::{Chain, EntityStates, JudgedBirth, JudgedInflow, Mediated, View};
use crate::finding::{Line, Unusual};
use crate::network::{Network, Port};
use crate::report::{Birth, DetectorName, EdgeCounts, EdgeSignal, Facts, SourceDigest};
use crate::wording;
use serde::{Deserialize, Serialize};
use tradewind_model::entity::EntityKind;

mod uses;

/// What the upper end of "usual" means: one window, or flow, in a hundred lies above.
const BAND_TAIL: f64 = 0.01;
/// With more clients than this all count as peers: among thousands one more makes no difference to a reader.
const PEERS_ASKED_MAX: usize = 4096;

/// What was seen on one edge and what would have been usual, in words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Explanation {
    /// What was seen, up to the number of flows.
    pub(crate) observed: String,
    /// What is to be said after the number of flows; may be empty.
    pub(crate) remark: String,
    /// What would have been usual.
    pub(crate) expected: String,
    /// Start of the baseline it was judged by, microseconds UTC.
    pub(crate) baseline_since: i64,
    /// Windows in that baseline.
    pub(crate) baseline_windows: u64,
    /// Kind of the destination.
    pub(crate) dst_kind: EntityKind,
    /// Whether not one peer ever did the same. False where there is no peer to compare with.
    pub(crate) is_alone: bool,
    /// Whether it is about data that came from the destination.
    pub(crate) is_inbound: bool,
}

/// Puts what was measured into words.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Explainer<'a> {
    pub(crate) network: &'a Network,
    pub(crate) states: &'a EntityStates,
    pub(crate) mediated: &'a Mediated,
    pub(crate) window: &'a View,
}

impl Explainer<'_> {
    fn entity(&self, entity: u32) -> String {
        wording::entity(self.network, entity)
    }

    /// A new edge.
    pub(crate) fn birth(&self, judged: &JudgedBirth) -> Line {
        let Birth { edge, counts } = judged.birth;
        let (peers, alike) = self.peers(edge.source, edge.destination);
        let verb = verb(&judged.birth);
        let observed = format!(
            "{} {verb} {}{} for the first time",
            self.entity(edge.source),
            self.entity(edge.destination),
            wording::port(edge.port, counts.protocol_num),
        );
        let remark = match peers {
            0 => String::from("; it has no peer to compare with"),
            _ => format!("; {} of {} peers ever did", wording::count(alike), wording::count(peers)),
        };
        let chance = wording::probability(judged.marked.p_value);
        let (known, since, windows) = self.source_baseline(edge.source);
        let expected = match known {
            Some(known) => format!("no new destination: {known}; chance of such a contact {chance}"),
            None => format!("no new source here; chance of such a contact by one {chance}"),
        };
        self.line(DetectorName::Destination, &judged.birth, judged.marked.p_value, observed, remark, expected)
            .since(since, windows)
            .alone(peers > 0 && alike == 0)
    }

    /// `in 30 windows since 2026-01-01T00:00Z it used 3 destinations`, with the start and the windows of the baseline.
    fn source_baseline(&self, entity: u32) -> (Option<String>, i64, u64) {
        let Some(source) = self.states.source(entity) else { return (None, self.window.start, 0) };
        let since = source.first_window.saturating_mul(self.window.length);
        let text = format!(
            "in {} since {} it used {}",
            wording::plural(source.active_windows, "window"),
            wording::time(since),
            wording::plural(source.destinations, "destination"),
        );
        (Some(text), since, source.active_windows)
    }

    /// Entities of the same kind that were ever a source, and those of them that the destination ever answered.
    fn peers(&self, source: u32, destination: u32) -> (i64, i64) {
        let kind = self.network.kind(source);
        let is_counted = |entity: u32| self.states.source(entity).is_some_and(|source| source.kind == kind);
        let own = [source, destination].into_iter().filter(|&entity| is_counted(entity)).count();
        let peers = self.states.sources_of(kind).saturating_sub(own);
        let clients = self.states.votes.clients(destination);
        let is_alike = |entity: u32| entity != source && entity != destination && is_counted(entity);
        let alike = match clients.len() {
            0..=PEERS_ASKED_MAX => clients.iter().filter(|&&entity| is_alike(entity)).count(),
            many => many,
        };
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        (number(peers), number(alike.min(peers)))
    }

    /// A port that its destination never served, or a destination nobody saw before.
    pub(crate) fn port(&self, judged: &JudgedBirth, p_value: f64) -> Line {
        let Birth { edge, counts } = judged.birth;
        let destination = self.entity(edge.destination);
        let observed = format!(
            "{} {} {destination}{}",
            self.entity(edge.source),
            verb(&judged.birth),
            wording::port(edge.port, counts.protocol_num),
        );
        let (remark, known) = match self.states.destination(edge.destination) {
            Some(known) => (
                ", which it never served",
                format!("the ports that {destination} serves",).to_owned() + &self.since(known.first_window),
            ),
            None => (", which nobody had seen before", String::from("destinations that are known")),
        };
        let expected = format!("{known}; chance of such a contact {}", wording::probability(p_value));
        let (_, since, windows) = self.source_baseline(edge.source);
        self.line(DetectorName::Port, &judged.birth, p_value, observed, remark.to_owned(), expected)
            .since(since, windows)
    }

    fn since(&self, first_window: i64) -> String {
        format!(", known since {}", wording::time(first_window.saturating_mul(self.window.length)))
    }

    /// The end of a chain, with the way there.
    pub(crate) fn chain(&self, judged: &JudgedBirth, chain: &Chain) -> Line {
        let Birth { edge, counts } = judged.birth;
        let observed = format!(
            "{} {} {}{} for the first time",
            self.entity(edge.source),
            verb(&judged.birth),
            self.entity(edge.destination),
            wording::port(edge.port, counts.protocol_num),
        );
        let hops: Vec<String> = chain.path.iter().map(|hop| self.hop(hop)).collect();
        let before = if self.is_mediated(chain) {
            "; before that"
        } else {
            " after it had been contacted for the first time itself:"
        };
        let remark = format!("{before} {}", hops.join(", then "));
        let expected = format!(
            "no path of first contacts{} within half an hour; chance of such a one {}",
            if self.is_mediated(chain) { ", nor one through what others write," } else { "" },
            wording::probability(chain.p_value),
        );
        let (_, since, windows) = self.source_baseline(edge.source);
        self.line(DetectorName::Chain, &judged.birth, chain.p_value, observed, remark, expected).since(since, windows)
    }

    /// A burst of refusals that is spread over new edges.
    pub(crate) fn refused(
        &self,
        name: DetectorName,
        digest: &SourceDigest,
        births: &[JudgedBirth],
        p_value: f64,
        most: usize,
    ) -> Vec<Line> {
        let (count, word) = match name {
            DetectorName::Denied => (digest.denied, "were denied"),
            _ => (digest.failed, "failed"),
        };
        let line = |judged: &JudgedBirth| {
            let observed = format!(
                "{} of {} of {} {word}",
                wording::count(count),
                wording::plural(digest.flows.unsigned_abs(), "flow"),
                self.entity(digest.source),
            );
            let (_, since, windows) = self.source_baseline(digest.source);
            let expected = format!("hardly any; chance of as many {}", wording::probability(p_value));
            self.line(name, &judged.birth, p_value, observed, String::new(), expected).since(since, windows)
        };
        let is_refused = |judged: &&JudgedBirth| judged.birth.counts.denied + judged.birth.counts.failed > 0;
        births.iter().filter(is_refused).take(most).map(line).collect()
    }

    /// A known edge that changed.
    pub(crate) fn edge(&self, name: DetectorName, signal: &EdgeSignal) -> Line {
        let EdgeSignal { edge, counts, p_value, .. } = *signal;
        let (source, destination) = (self.entity(edge.source), self.entity(edge.destination));
        let port = wording::port(edge.port, counts.protocol_num);
        let since = signal.born.saturating_mul(self.window.length);
        let baseline = format!("(from {} since {})", wording::plural(signal.windows, "window"), wording::time(since));
        let chance = wording::probability(p_value);
        let span = wording::duration(self.window.length);
        let (observed, expected) = match signal.facts {
            Facts::Volume { mean, scale, freedom } => {
                let prediction = Prediction { mean, scale, freedom };
                (
                    format!(
                        "{source} opened {} to {destination}{port} within {span}",
                        wording::connections(counts.opened)
                    ),
                    format!(
                        "about {}, 99 in 100 windows below {} {baseline}; chance of as many {chance}",
                        wording::rounded(mean.exp_m1()),
                        wording::rounded(prediction.quantile(BAND_TAIL).exp_m1().ceil()),
                    ),
                )
            }
            Facts::Transfer { is_out, bytes, mean, scale, freedom } => {
                let prediction = Prediction { mean, scale, freedom };
                let (verb, preposition) = if is_out { ("sent", "to") } else { ("received", "from") };
                let size = |logarithm: f64| wording::bytes_of(logarithm.exp_m1());
                (
                    format!(
                        "{source} {verb} {} in one flow {preposition} {destination}{port}",
                        wording::bytes_of(bytes)
                    ),
                    format!(
                        "about {} a flow, 98 in 100 between {} and {} {baseline}; chance of such a size {chance}",
                        size(mean),
                        size(2.0 * mean - prediction.quantile(BAND_TAIL)),
                        size(prediction.quantile(BAND_TAIL)),
                    ),
                )
            }
            Facts::Refusal { usual_share } => {
                let (refused, word) = match name {
                    DetectorName::Denied => (counts.denied, "were denied"),
                    _ => (counts.failed, "failed"),
                };
                (
                    format!(
                        "{} of {} of {source} to {destination}{port} {word} within {span}",
                        wording::count(refused),
                        wording::plural(counts.flows.unsigned_abs(), "flow"),
                    ),
                    format!(
                        "about {} in 100 {baseline}; chance of as many {chance}",
                        wording::probability((usual_share * 100.0).min(100.0)),
                    ),
                )
            }
            Facts::Amount { .. } | Facts::Beacon { .. } | Facts::Drift { .. } => self.long_view(signal),
            Facts::Carry { age } => (
                format!("{source} used {destination}{port} again, its new destination since {}", wording::time(since)),
                format!("no such destination; its first contact was unusual {} ago", wording::plural(age, "window")),
            ),
            Facts::Protocol { place, uses, votes } => return self.new_use(signal, place, (uses, votes)),
        };
        let birth = Birth { edge, counts };
        let mut line = self.line(name, &birth, p_value, observed, String::new(), expected).since(since, signal.windows);
        line.explanation.is_inbound = matches!(signal.facts, Facts::Amount { is_out: false, .. });
        line
    }

    /// A destination that far more reached than before.
    pub(crate) fn inflow(&self, judged: &JudgedInflow, weighed: Weighed, risk_score: f64) -> Unusual {
        let Weighed { p_value, ratio, .. } = weighed;
        let Birth { edge, counts } = judged.inflow.foremost;
        let destination = self.entity(edge.destination);
        let span = wording::duration(self.window.length);
        let observed = format!(
            "{} to {destination} opened within {span}, {} of them from {}{}",
            wording::connections(judged.inflow.opened),
            wording::count(counts.opened),
            self.entity(edge.source),
            wording::port(edge.port, counts.protocol_num),
        );
        let remark = match judged.clients {
            0 => String::new(),
            clients => format!("; {} had never reached it before", wording::plural(clients, "source")),
        };
        let chance = wording::probability(p_value);
        let change = self.window.change;
        let expected = match judged.seasonal.or(judged.prediction) {
            Some(prediction) if judged.seasonal.is_some() => format!(
                "about {} at this hour of the week, 99 in 100 windows below {}; chance of as much {chance}",
                wording::rounded(prediction.mean.exp_m1()),
                wording::rounded(prediction.quantile(BAND_TAIL).exp_m1().ceil()),
            ),
            Some(prediction) => format!(
                "about {}, 99 in 100 windows below {}; chance of as much {chance}",
                wording::rounded((prediction.mean + change).exp_m1()),
                wording::rounded((prediction.quantile(BAND_TAIL) + change).exp_m1().ceil()),
            ),
            None => format!("hardly a new source; chance of as many {chance}"),
        };
        let (since, windows) = match self.states.destination(edge.destination) {
            Some(known) => (known.first_window.saturating_mul(self.window.length), known.inflow_windows()),
            None => (self.window.start, 0),
        };
        let line = self
            .line(DetectorName::Inflow, &judged.inflow.foremost, p_value, observed, remark, expected)
            .since(since, windows);
        Unusual {
            behaviour: DetectorName::Inflow,
            p_value,
            ratio,
            risk_score,
            signals: 1,
            edges: vec![(edge, EdgeCounts { flows: judged.inflow.opened, ..counts })],
            lines: vec![line],
            decided: self.window.start.saturating_add(self.window.length),
            subject: String::new(),
            source: edge.destination,
        }
    }

    fn line(
        &self,
        detector: DetectorName,
        birth: &Birth,
        p_value: f64,
        observed: String,
        remark: String,
        expected: String,
    ) -> Line {
        let Birth { edge, counts } = *birth;
        Line {
            detector,
            edge,
            counts,
            port_words: wording::port(edge.port, counts.protocol_num),
            is_answered: counts.answered > 0,
            p_value,
            explanation: Explanation {
                observed,
                remark,
                expected,
                baseline_since: self.window.start,
                baseline_windows: 0,
                dst_kind: self.network.kind(edge.destination),
                is_alone: false,
                is_inbound: false,
            },
        }
    }
}

impl Line {
    fn since(mut self, since: i64, windows: u64) -> Self {
        self.explanation.baseline_since = since;
        self.explanation.baseline_windows = windows;
        self
    }

    fn alone(mut self, is_alone: bool) -> Self {
        self.explanation.is_alone = is_alone;
        self
    }

    /// Whether the log told which end opened the connections.
    pub(crate) fn is_oriented(&self) -> bool {
        self.edge.port != Port::Unoriented
    }
}

fn verb(birth: &Birth) -> &'static str {
    match (birth.counts.answered > 0, birth.counts.denied > 0) {
        (true, _) => "contacted",
        (false, true) => "tried to contact, and was denied,",
        (false, false) => "tried in vain to contact",
    }
}
