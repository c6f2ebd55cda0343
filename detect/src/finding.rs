//! From a unit that was judged unusual to a finding, and from its later windows to the same finding. Which unit is
//! unusual was decided before.

use crate::DETECTOR_VERSION;
use crate::contract::{Detector, Explanation};
use crate::destination::Destination;
use crate::evidence::{self, EvidenceEdge};
use crate::exact;
use crate::network::{Edge, Network, Port};
use crate::settings::Settings;
use crate::window::{EdgeWindow, SourceWindow, Window};
use crate::wording;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use tradewind_model::entity::EntityKind;
use tradewind_model::finding::{Finding, Observation, Severity};
use tradewind_model::time::SECOND;

/// A baseline of fewer windows than this is told to be young: one hour of windows of five minutes.
const YOUNG_WINDOWS: u64 = 12;
/// So many new destinations of one entity are a search, not a visit.
const SEARCH_EDGES_MIN: usize = 5;

/// One edge that speaks for a finding.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) detector: String,
    pub(crate) number: u32,
    pub(crate) edge: Edge,
    /// ` on port 443`.
    pub(crate) port_words: String,
    pub(crate) is_answered: bool,
    #[serde(with = "exact")]
    pub(crate) p_value: f64,
    pub(crate) explanation: Explanation,
}

/// A unit judged unusual.
pub(crate) struct Unusual {
    /// The detector with the lowest p-value.
    pub(crate) behaviour: &'static str,
    pub(crate) p_value: f64,
    pub(crate) risk_score: f64,
    /// Detectors that found something.
    pub(crate) signals: usize,
    /// Edges behind it, of which the strongest have a line.
    pub(crate) edges: Vec<usize>,
    /// Strongest first, those of the leading detector before others; at most as many as a finding carries.
    pub(crate) lines: Vec<Line>,
}

/// Findings that later windows still belong to.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct OpenFindings(BTreeMap<u32, Vec<Open>>);

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Open {
    behaviour: String,
    first_window: i64,
    decided: i64,
    until: i64,
    last_seen: i64,
    flow_count: i64,
    window_count: i64,
    edge_count: usize,
    signals: usize,
    is_partial: bool,
    bytes_out: i64,
    bytes_in: i64,
    #[serde(with = "exact")]
    p_value: f64,
    #[serde(with = "exact")]
    risk_score: f64,
    lines: Vec<Line>,
}

impl OpenFindings {
    /// Forgets those whose cool-down ended before this window.
    pub(crate) fn expire(&mut self, window: &Window<'_>) {
        for open in self.0.values_mut() {
            open.retain(|open| open.until >= window.start);
        }
        self.0.retain(|_, open| !open.is_empty());
    }

    /// Takes a source's window in: raises what is unusual, and goes on counting what an open finding is about. The
    /// findings that are new or changed.
    pub(crate) fn update(
        &mut self,
        window: &Window<'_>,
        source: &SourceWindow,
        unusual: Option<Unusual>,
        settings: &Settings,
    ) -> Vec<Finding> {
        if unusual.is_none() && !self.0.contains_key(&source.source) {
            return Vec::new();
        }
        let all = self.0.entry(source.source).or_default();
        let mut raised = None;
        if let Some(unusual) = unusual {
            raised = Some(unusual.behaviour);
            match all.iter_mut().find(|open| open.behaviour == unusual.behaviour) {
                Some(open) => open.raise(window, source, unusual, settings),
                None => {
                    let mut open = Open::new(window, unusual.behaviour);
                    open.raise(window, source, unusual, settings);
                    all.push(open);
                }
            }
        }
        let mut findings = Vec::new();
        for open in all {
            let is_changed = raised == Some(open.behaviour.as_str()) || open.go_on(window, source);
            if is_changed && open.severity(window.network) >= settings.severity_min {
                findings.push(open.finding(window.network, source.source));
            }
        }
        findings
    }
}

impl Open {
    fn new(window: &Window<'_>, behaviour: &str) -> Self {
        Self {
            behaviour: behaviour.to_owned(),
            first_window: window.start,
            decided: window.start.saturating_add(window.length),
            until: 0,
            last_seen: window.start,
            flow_count: 0,
            window_count: 0,
            edge_count: 0,
            signals: 0,
            is_partial: false,
            bytes_out: 0,
            bytes_in: 0,
            p_value: 1.0,
            risk_score: 0.0,
            lines: Vec::new(),
        }
    }

    fn raise(&mut self, window: &Window<'_>, source: &SourceWindow, unusual: Unusual, settings: &Settings) {
        let is_about = |position: &usize| unusual.edges.contains(position) || self.has_edge(&window.edges[*position]);
        let seen: Vec<usize> = source.edges.clone().filter(is_about).collect();
        self.count(window, &seen);
        let is_first = self.lines.is_empty();
        let is_destination = self.behaviour == Destination::NAME;
        self.edge_count = match (is_destination, is_first) {
            (true, false) => self.edge_count + unusual.edges.len(),
            _ => self.edge_count.max(unusual.edges.len()),
        };
        self.until =
            window.start.saturating_add(window.length).saturating_add(settings.cool_down_s.saturating_mul(SECOND));
        self.signals = self.signals.max(unusual.signals);
        self.is_partial |= window.is_partial;
        self.risk_score = self.risk_score.max(unusual.risk_score);
        self.p_value = self.p_value.min(unusual.p_value);
        for line in unusual.lines {
            match self.lines.iter_mut().find(|known| known.number == line.number && known.detector == line.detector) {
                Some(known) if known.p_value <= line.p_value => (),
                Some(known) => *known = line,
                None => self.lines.push(line),
            }
        }
        self.lines.sort_by(|one, other| {
            let is_other = |line: &Line| line.detector != self.behaviour;
            is_other(one).cmp(&is_other(other)).then(one.p_value.total_cmp(&other.p_value))
        });
        self.lines.truncate(settings.observations_max);
    }

    /// A new destination stays one while it is used: later windows count as the same behaviour. An unusual volume goes on
    /// only while it is unusual.
    fn go_on(&mut self, window: &Window<'_>, source: &SourceWindow) -> bool {
        if self.behaviour != Destination::NAME {
            return false;
        }
        let seen: Vec<usize> =
            source.edges.clone().filter(|&position| self.has_edge(&window.edges[position])).collect();
        if !seen.is_empty() {
            self.count(window, &seen);
        }
        !seen.is_empty()
    }

    fn has_edge(&self, edge: &EdgeWindow) -> bool {
        self.lines.iter().any(|line| line.number == edge.number)
    }

    fn count(&mut self, window: &Window<'_>, positions: &[usize]) {
        self.window_count += 1;
        for edge in positions.iter().map(|&position| &window.edges[position]) {
            self.flow_count = self.flow_count.saturating_add(edge.flows);
            self.bytes_out = self.bytes_out.saturating_add(edge.bytes_out.unwrap_or(0));
            self.bytes_in = self.bytes_in.saturating_add(edge.bytes_in.unwrap_or(0));
            self.last_seen = self.last_seen.max(edge.last);
        }
    }

    /// New destination: medium; low if it is one and nothing answered. An agent at one that none of its peers uses is high.
    /// Many at once, or a second detector that agrees, is one more. Volume alone: low; medium with an agent at either end.
    fn severity(&self, network: &Network) -> Severity {
        const STEPS: [Severity; 4] = [Severity::Low, Severity::Medium, Severity::High, Severity::Critical];
        let Some(lead) = self.lines.first() else { return Severity::Informational };
        let is_agent = network.kind(lead.edge.source) == EntityKind::Agent;
        let mut step = if self.behaviour == Destination::NAME {
            let is_alone = self.lines.iter().any(|line| line.explanation.is_alone);
            match (is_agent && is_alone, self.edge_count > 1 || lead.is_answered) {
                (true, _) => 2,
                (false, true) => 1,
                (false, false) => 0,
            }
        } else {
            usize::from(is_agent || lead.explanation.dst_kind == EntityKind::Agent)
        };
        step += usize::from(self.behaviour == Destination::NAME && self.edge_count >= SEARCH_EDGES_MIN);
        step += usize::from(self.signals > 1);
        STEPS[step.min(STEPS.len() - 1)]
    }

    /// The MITRE ATT&CK technique (attack.mitre.org/techniques) that the flows look most like.
    fn technique(&self) -> &'static str {
        let Some(lead) = self.lines.first() else { return "" };
        let is_external = lead.explanation.dst_kind == EntityKind::External;
        if self.behaviour != Destination::NAME {
            // T1071 Application Layer Protocol; T1499 Endpoint Denial of Service.
            return if is_external { "T1071" } else { "T1499" };
        }
        if self.edge_count >= SEARCH_EDGES_MIN {
            // Network Service Discovery.
            return "T1046";
        }
        match lead.edge.port {
            _ if is_external => "T1071",
            // Remote Services: SSH, RDP, SMB, DCOM, WinRM, VNC, and any other.
            Port::Number(22) => "T1021.004",
            Port::Number(3389) => "T1021.001",
            Port::Number(139 | 445) => "T1021.002",
            Port::Number(135) => "T1021.003",
            Port::Number(5985 | 5986) => "T1021.006",
            Port::Number(5900) => "T1021.005",
            _ => "T1021",
        }
    }

    fn uncertain(&self, network: &Network) -> String {
        let Some(lead) = self.lines.first() else { return String::new() };
        let windows = lead.explanation.baseline_windows;
        let notes = [
            (windows < YOUNG_WINDOWS, format!("the baseline is young: {}", wording::plural(windows, "window"))),
            (
                network.kind(lead.edge.source) == EntityKind::Unknown,
                String::from("the source is an address that no inventory explains"),
            ),
            (lead.edge.port == Port::Unoriented, String::from("which end opened the connections is not known")),
            (self.is_partial, String::from("its last window may be partial")),
        ];
        let said: Vec<String> = notes.into_iter().filter_map(|(holds, note)| holds.then_some(note)).collect();
        said.join("; ")
    }

    fn title(&self, lead: &Line, network: &Network) -> String {
        let source = wording::entity(network, lead.edge.source);
        let destination = wording::entity(network, lead.edge.destination);
        let port = &lead.port_words;
        match (self.behaviour == Destination::NAME, self.edge_count) {
            (false, _) => format!("{source} opens far more connections to {destination}{port} than usual"),
            (true, 0 | 1) => format!("{source} contacts {destination}{port} for the first time"),
            (true, several) => format!("{source} contacts {several} new destinations, foremost {destination}{port}"),
        }
    }

    fn observed(&self, lead: &Line) -> String {
        let mut amount = format!(
            "{} in {}",
            wording::plural(self.flow_count.unsigned_abs(), "flow"),
            wording::plural(self.window_count.unsigned_abs(), "window")
        );
        for (bytes, way) in [(self.bytes_out, "sent"), (self.bytes_in, "received")] {
            if bytes > 0 {
                amount.push_str(&format!(", {} {way}", wording::bytes(bytes)));
            }
        }
        let Explanation { observed, remark, .. } = &lead.explanation;
        match self.edge_count.saturating_sub(1) as u64 {
            0 => format!("{observed} ({amount}){remark}"),
            more => {
                let word = if self.behaviour == Destination::NAME { "more new destination" } else { "more edge" };
                format!("{observed}{remark}; and {} ({amount} in all)", wording::plural(more, word))
            }
        }
    }

    fn finding(&self, network: &Network, source: u32) -> Finding {
        let entity = network.name(source);
        let lead = self.lines.first().expect("a finding is made of at least one edge");
        let observation = |line: &Line| Observation {
            detector: line.detector.clone(),
            src_entity: entity.to_owned(),
            dst_entity: network.name(line.edge.destination).to_owned(),
            dst_port: match line.edge.port {
                Port::Number(port) => Some(i32::from(port)),
                Port::Absent | Port::Unoriented => None,
            },
            observed: format!("{}{}", line.explanation.observed, line.explanation.remark),
            expected: line.explanation.expected.clone(),
            p_value: line.p_value,
        };
        let edge = |line: &Line| EvidenceEdge { dst_entity: network.name(line.edge.destination), port: line.edge.port };
        let listed: Vec<EvidenceEdge<'_>> =
            if self.edge_count > self.lines.len() { Vec::new() } else { self.lines.iter().map(edge).collect() };
        Finding {
            finding_id: finding_id(entity, &self.behaviour, self.first_window),
            time: self.decided,
            first_seen: self.first_window,
            last_seen: self.last_seen,
            entity: entity.to_owned(),
            entity_kind: network.kind(source).as_str().to_owned(),
            behaviour: self.behaviour.clone(),
            severity: self.severity(network),
            title: self.title(lead, network),
            observed: self.observed(lead),
            expected: lead.explanation.expected.clone(),
            baseline_since: lead.explanation.baseline_since,
            flow_count: self.flow_count,
            window_count: self.window_count,
            p_value: self.p_value,
            risk_score: self.risk_score,
            technique: self.technique().to_owned(),
            uncertain: self.uncertain(network),
            evidence_query: evidence::query(entity, self.first_window, self.last_seen, &listed),
            observations: self.lines.iter().map(observation).collect(),
            detector_version: DETECTOR_VERSION,
        }
    }
}

/// Hash of what the finding means: a replay makes the same id. Parts carry their length, so that none can pose as another.
fn finding_id(entity: &str, behaviour: &str, first_window: i64) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in [entity.as_bytes(), behaviour.as_bytes(), &first_window.to_le_bytes()] {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    let hash = hasher.finalize();
    hash.to_hex().as_str()[..32].to_owned()
}
