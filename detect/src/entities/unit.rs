//! The unit of decision: one entity in one window. Collects its signals, combines them, and says which edges speak.

use super::exfiltration::Moved;
use super::flood::{self, Flood};
use super::outlook::{Marked, Outlook};
use super::refusals::Refused;
use super::scan::Walk;
use super::slow_scan::Pace;
use super::states::EntityStates;
use super::{JudgedBirth, UnitScore, View, dark, destination, port, scan, slow_scan};
use crate::combine;
use crate::decision::Weighed;
use crate::explain::Explainer;
use crate::finding::{Line, Unusual};
use crate::network::{Edge, Network};
use crate::report::{DetectorName, EDGE_DETECTORS, EdgeCounts, Pools, SourceDigest, Tests};
use crate::settings::Settings;

/// Detectors that always run whose p-values decide together, whether or not each had something to test.
const DECIDING: usize = 10;
/// Place of the detector of volumes among those of the edge level.
const VOLUME: usize = 4;
/// A signal below this p-value speaks beside the leading one.
const SPEAKS_BELOW: f64 = 1e-3;

/// What units are judged by.
pub(super) struct UnitJudge<'a> {
    pub(super) states: &'a EntityStates,
    pub(super) outlook: &'a Outlook,
    pub(super) pools: &'a Pools,
    pub(super) settings: &'a Settings,
    pub(super) is_starting: bool,
    /// Number of the window.
    pub(super) index: i64,
    /// Number of its day.
    pub(super) day: i64,
    pub(super) network: &'a Network,
}

/// p-values of detectors.
pub(super) type Signals = Vec<(DetectorName, f64)>;

/// The signals of one entity in one window.
pub(super) struct Unit {
    source: u32,
    signals: Vec<(DetectorName, f64)>,
    /// Place of the birth on the most unusual port, among the source's births.
    port_place: usize,
    slow_scan: Option<slow_scan::Judged>,
    dark: Option<dark::Judged>,
    p_value: f64,
    risk_score: f64,
}

/// Combined p-value of a unit and its place in the order.
pub(super) fn combined(signals: &[(DetectorName, f64)], settings: &Settings) -> (f64, f64) {
    let p_value = combine::cauchy(signals.iter().map(|&(_, p)| p), deciding(settings) + occasional(signals));
    let ordering = signals.iter().filter(|(name, _)| orders(*name)).map(|&(_, p)| p);
    (p_value, combine::risk_score(ordering, settings.risk_cap))
}

/// Detectors whose p-values decide together.
fn deciding(settings: &Settings) -> usize {
    let more = [
        settings.exfiltration.is_enabled,
        settings.beacon.is_enabled,
        settings.drift.is_enabled,
        settings.slow_scan.is_enabled,
        settings.dark.is_enabled,
    ];
    DECIDING + more.into_iter().filter(|&is_enabled| is_enabled).count()
}

/// Signals of detectors that only speak where flows say what was asked: they count where they do.
pub(crate) fn occasional(signals: &[(DetectorName, f64)]) -> usize {
    signals.iter().filter(|(name, _)| matches!(name, DetectorName::Protocol)).count()
}

/// Whether a detector takes part in the order of units. Measured on labelled streams: volumes only add noise to it; a new
/// port is in the mark of its birth already, and a walk over first contacts in their number.
const fn orders(name: DetectorName) -> bool {
    !matches!(
        name,
        DetectorName::Volume
            | DetectorName::Flood
            | DetectorName::Scan
            | DetectorName::Port
            | DetectorName::Beacon
            | DetectorName::Drift
            | DetectorName::SlowScan
            | DetectorName::Dark
    )
}

impl UnitJudge<'_> {
    /// Judges a unit.
    pub(super) fn unit(&self, digest: &SourceDigest, births: &[JudgedBirth]) -> Unit {
        let [transfer, denied, failed, carry, volume, _, beacon, drift, protocol] = &digest.tests;
        let mut signals = Vec::new();
        let mut tested = |name, p_value: Option<f64>| signals.extend(p_value.map(|p| (name, p)));
        let least = |tests: &Tests| (tests.sum.tests > 0).then(|| tests.sum.p_value());
        let refusals = self.states.source(digest.source).map(|source| source.refusals).unwrap_or_default();
        tested(DetectorName::Transfer, least(transfer));
        tested(DetectorName::Denied, refusals.judge(digest, denied, Refused::Denied, self.pools));
        tested(DetectorName::Failed, refusals.judge(digest, failed, Refused::Failed, self.pools));
        // No test but a memory: the strongest stands for all.
        tested(DetectorName::Carry, carry.top.first().map(|edge| edge.p_value));
        tested(DetectorName::Volume, least(volume));
        tested(DetectorName::Protocol, least(protocol));
        if !self.is_starting && self.settings.volume.is_enabled {
            let known = self.states.source(digest.source).map(|source| &source.flood);
            let deviance = Flood::deviance(known, self.index, digest.opened);
            tested(DetectorName::Flood, Some(flood::p_value(deviance)));
        }
        tested(DetectorName::Beacon, least(beacon));
        tested(DetectorName::Drift, least(drift));
        let source = self.states.source(digest.source);
        if !self.is_starting && self.settings.exfiltration.is_enabled {
            let hoard = source.map(|source| &source.hoard);
            let moved = Moved::of(digest, births, self.network);
            tested(DetectorName::Exfiltration, moved.map(|moved| moved.p_value(hoard, self.index)));
        }
        let (mut slow_scan, mut dark) = (None, None);
        let mut port_place = 0;
        if !births.is_empty() && !self.is_starting && self.settings.destination.is_enabled {
            let settings = &self.settings.destination;
            let expected = self.outlook.expectation(self.states, digest.source, settings);
            let mut marks: Vec<Marked> = births.iter().map(|birth| birth.marked).collect();
            marks.sort_by(|one, other| one.mark.total_cmp(&other.mark));
            tested(DetectorName::Destination, Some(destination::p_of_births(&marks, expected)));
            let edges: Vec<Edge> = births.iter().map(|birth| birth.birth.edge).collect();
            if let Some((place, p_value)) = port::judge(&edges, self.states, self.outlook, settings) {
                port_place = place;
                tested(DetectorName::Port, Some(p_value));
            }
            let chains = births.iter().filter_map(|birth| birth.chain.as_ref());
            tested(DetectorName::Chain, chains.map(|chain| chain.p_value).min_by(f64::total_cmp));
            let walk = self.states.source(digest.source).map(|source| source.walk).unwrap_or_default();
            let p_of_walk = p_of_walk(walk, births);
            tested(DetectorName::Scan, Some(p_of_walk));
            if let Some(source) = source.filter(|_| self.settings.slow_scan.is_enabled) {
                let window_s = self.settings.window_s;
                slow_scan = Pace::judge(Some(&source.pace), self.index, window_s, births.len(), expected, p_of_walk);
                tested(DetectorName::SlowScan, slow_scan.map(|judged| judged.p_value));
            }
            if self.settings.dark.is_enabled {
                let met = self.states.dark_of(births, self.network);
                dark = self.states.dark.judge(self.day, digest.source, &met);
                tested(DetectorName::Dark, dark.map(|judged| judged.p_value));
            }
        }
        let (p_value, risk_score) = combined(&signals, self.settings);
        Unit { source: digest.source, signals, port_place, slow_scan, dark, p_value, risk_score }
    }
}

/// The least p-value of a walk over first contacts in the order of time.
fn p_of_walk(mut walk: Walk, births: &[JudgedBirth]) -> f64 {
    let mut by_time: Vec<&JudgedBirth> = births.iter().collect();
    by_time.sort_by_key(|birth| birth.birth.counts.first);
    let steps = by_time.iter().map(|birth| {
        walk.step(birth.is_answered());
        walk.p_value()
    });
    steps.fold(1.0, f64::min)
}

impl Unit {
    /// p-value of the source's flood, where it was tested.
    pub(super) fn flood(&self) -> Option<f64> {
        self.signals.iter().find(|(name, _)| *name == DetectorName::Flood).map(|&(_, p_value)| p_value)
    }

    /// p-value of each detector that tested it.
    pub(super) fn signals(&self) -> &[(DetectorName, f64)] {
        &self.signals
    }

    /// As [`Self::signals`], when nothing else is needed of it.
    pub(super) fn into_signals(self) -> Signals {
        self.signals
    }

    /// The combined p-value.
    pub(super) const fn p_value(&self) -> f64 {
        self.p_value
    }

    /// The score, for evaluation.
    pub(super) fn score(&self, network: &Network, view: &View) -> UnitScore {
        UnitScore {
            entity: network.name(self.source).to_owned(),
            window_start: view.start,
            p_value: self.p_value,
            calibrated_p_value: self.p_value,
            risk_score: self.risk_score,
            signals: self.signals.iter().map(|(name, p)| (name.as_str(), *p)).collect(),
        }
    }

    /// What a finding is made of, where the combined p-value is low enough.
    pub(super) fn unusual(
        &self,
        digest: &SourceDigest,
        births: &[JudgedBirth],
        explainer: &Explainer<'_>,
        weighed: Weighed,
        settings: &Settings,
    ) -> Option<Unusual> {
        if weighed.ratio >= 1.0 {
            return None;
        }
        let mut speaking = self.signals.clone();
        speaking.sort_by(|(_, one), (_, other)| one.total_cmp(other));
        let &(leading, _) = speaking.first()?;
        speaking.retain(|&(name, p_value)| name == leading || p_value < SPEAKS_BELOW);
        let behaviour =
            if is_search(births) && is_about_contacts(leading) { DetectorName::Scan } else { behaviour(leading) };
        if behaviour == DetectorName::Scan {
            // The first contacts are the story, whichever of their detectors said it best.
            speaking.retain(|&(name, _)| !is_about_contacts(name) || name == leading);
            speaking[0].0 = DetectorName::Scan;
        } else {
            speaking.retain(|&(name, _)| name != DetectorName::Scan);
        }
        let leading = speaking[0].0;
        let mut lines: Vec<Line> = Vec::new();
        let mut edges: Vec<(Edge, EdgeCounts)> = Vec::new();
        for &(name, p_value) in &speaking {
            let said = self.lines(name, p_value, digest, births, explainer, settings.observations_max);
            if name == leading {
                edges = match EDGE_DETECTORS.contains(&name) {
                    true => said.iter().map(|line| (line.edge, line.counts)).collect(),
                    false => births.iter().map(|birth| (birth.birth.edge, birth.birth.counts)).collect(),
                };
            }
            lines.extend(said);
        }
        // A burst over new edges alone has no edge of its own that was tested: its new edges are its evidence.
        let is_refusal = matches!(leading, DetectorName::Denied | DetectorName::Failed);
        if is_refusal && lines.iter().all(|line| line.detector != behaviour) {
            lines.extend(explainer.refused(leading, digest, births, self.p_value, settings.observations_max));
        }
        if edges.is_empty() {
            edges = lines.iter().map(|line| (line.edge, line.counts)).collect();
        }
        lines.truncate(settings.observations_max);
        if lines.is_empty() {
            return None;
        }
        Some(Unusual {
            behaviour,
            p_value: weighed.p_value,
            ratio: weighed.ratio,
            risk_score: self.risk_score,
            signals: families(&self.signals),
            edges,
            lines,
            decided: explainer.window.start.saturating_add(explainer.window.length),
            subject: String::new(),
            source: self.source,
        })
    }

    /// The strongest edges of one detector, in words.
    fn lines(
        &self,
        name: DetectorName,
        p_value: f64,
        digest: &SourceDigest,
        births: &[JudgedBirth],
        explainer: &Explainer<'_>,
        most: usize,
    ) -> Vec<Line> {
        if let Some(place) = EDGE_DETECTORS.iter().position(|&known| known == name) {
            let tests = &digest.tests[place];
            return tests.top.iter().take(most).map(|signal| explainer.edge(behaviour(name), signal)).collect();
        }
        let mut by_mark: Vec<&JudgedBirth> = births.iter().collect();
        by_mark.sort_by(|one, other| one.marked.mark.total_cmp(&other.marked.mark));
        match name {
            DetectorName::Port => {
                births.get(self.port_place).map(|birth| explainer.port(birth, p_value)).into_iter().collect()
            }
            DetectorName::Chain => {
                let chained = births.iter().filter_map(|birth| Some((birth, birth.chain.as_ref()?)));
                let strongest = chained.min_by(|(_, one), (_, other)| one.p_value.total_cmp(&other.p_value));
                let Some((birth, chain)) = strongest else { return Vec::new() };
                let accesses = explainer.accesses(birth, chain);
                std::iter::once(explainer.chain(birth, chain)).chain(accesses).collect()
            }
            // A flood has no edge of its own: those that grew most are its evidence, else its new ones.
            DetectorName::Flood if !digest.tests[VOLUME].top.is_empty() => {
                let tests = &digest.tests[VOLUME];
                tests.top.iter().take(most).map(|signal| explainer.edge(DetectorName::Volume, signal)).collect()
            }
            DetectorName::SlowScan => {
                let judged = self.slow_scan.zip(by_mark.first());
                judged.map(|(judged, birth)| explainer.slow_scan(birth, judged)).into_iter().collect()
            }
            DetectorName::Dark => {
                let dark = by_mark.iter().find(|birth| !birth.is_answered());
                self.dark.zip(dark).map(|(judged, birth)| explainer.dark(birth, judged)).into_iter().collect()
            }
            DetectorName::Scan => by_mark.iter().take(most).map(|birth| explainer.searched(birth, births)).collect(),
            _ => by_mark.iter().take(most).map(|birth| explainer.birth(birth)).collect(),
        }
    }
}

/// Whether most of the first contacts were in vain.
fn is_search(births: &[JudgedBirth]) -> bool {
    scan::is_search(births.len(), births.iter().filter(|birth| birth.is_answered()).count())
}

/// Whether a detector judges first contacts by themselves, or what became of them.
const fn is_about_contacts(name: DetectorName) -> bool {
    matches!(
        name,
        DetectorName::Destination
            | DetectorName::Port
            | DetectorName::Scan
            | DetectorName::SlowScan
            | DetectorName::Dark
    )
}

/// Kinds of evidence that speak: those that come of the same new edges, or of the same refusals, are one.
pub(super) fn families(signals: &[(DetectorName, f64)]) -> usize {
    let speaks =
        |names: &[DetectorName]| signals.iter().any(|(name, p_value)| names.contains(name) && *p_value < SPEAKS_BELOW);
    let families: [&[DetectorName]; 5] = [
        &[
            DetectorName::Destination,
            DetectorName::Port,
            DetectorName::Chain,
            DetectorName::Scan,
            DetectorName::SlowScan,
            DetectorName::Dark,
            DetectorName::Beacon,
            DetectorName::Exfiltration,
        ],
        &[DetectorName::Denied, DetectorName::Failed],
        &[DetectorName::Transfer, DetectorName::Drift],
        &[DetectorName::Volume, DetectorName::Flood],
        &[DetectorName::Protocol],
    ];
    families.into_iter().filter(|names| speaks(names)).count()
}

/// What a finding led by a detector is about: an edge that was born suspiciously and is used again is still the new
/// destination.
const fn behaviour(name: DetectorName) -> DetectorName {
    match name {
        DetectorName::Carry => DetectorName::Destination,
        DetectorName::Flood => DetectorName::Volume,
        DetectorName::SlowScan | DetectorName::Dark => DetectorName::Scan,
        other => other,
    }
}
