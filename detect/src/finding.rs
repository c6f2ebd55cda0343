//! From a unit that was judged unusual to a finding, and from its later windows to the same finding. Which unit is
//! unusual was decided before; what a finding says is put together in [`crate::message`].

mod deciding;
mod room;

pub(crate) use deciding::Deciding;

use crate::decision::Standing;
use crate::entities::View;
use crate::exact;
use crate::explain::Explanation;
use crate::network::{Edge, Network};
use crate::numbered::{Numbered, visit_keys};
use crate::report::{Birth, DetectorName, EdgeCounts};
use crate::settings::Settings;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use tradewind_model::time::SECOND;

/// Edges of a finding that its query can name.
const EDGES_KEPT: usize = 64;
/// Rules that are findings of their own when one entity breaks them; more are one finding.
const SUBJECTS_MAX: usize = 20;
/// The subject of that one.
pub(crate) const OTHER_SUBJECTS: &str = "others";

/// One edge that speaks for a finding.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Line {
    pub(crate) detector: DetectorName,
    pub(crate) edge: Edge,
    /// What it did in the window that made it speak.
    pub(crate) counts: EdgeCounts,
    /// ` on port 443`.
    pub(crate) port_words: String,
    pub(crate) is_answered: bool,
    #[serde(with = "exact")]
    pub(crate) p_value: f64,
    pub(crate) explanation: Explanation,
}

/// A unit judged unusual.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Unusual {
    /// The entity.
    pub(crate) source: u32,
    /// The detector with the lowest p-value.
    pub(crate) behaviour: DetectorName,
    /// What tells this finding from others of the same entity and behaviour; empty for all but rules.
    pub(crate) subject: String,
    #[serde(with = "exact")]
    pub(crate) p_value: f64,
    /// The p-value over the bar of the decision; 0 for what is unusual by rule.
    #[serde(with = "exact")]
    pub(crate) ratio: f64,
    #[serde(with = "exact")]
    pub(crate) risk_score: f64,
    /// Detectors that found something.
    pub(crate) signals: usize,
    /// Edges behind it with what they did, of which the strongest have a line.
    pub(crate) edges: Vec<(Edge, EdgeCounts)>,
    /// Strongest first, those of the leading detector before others; at most as many as a finding carries.
    pub(crate) lines: Vec<Line>,
    /// When it was decided, microseconds UTC.
    pub(crate) decided: i64,
}

impl Numbered for Line {
    fn visit(&mut self, number: &mut dyn FnMut(&mut u32)) {
        self.edge.visit(number);
    }
}

impl Numbered for Unusual {
    fn visit(&mut self, number: &mut dyn FnMut(&mut u32)) {
        number(&mut self.source);
        self.edges.iter_mut().for_each(|(edge, _)| edge.visit(number));
        self.lines.visit(number);
    }
}

impl Numbered for Open {
    fn visit(&mut self, number: &mut dyn FnMut(&mut u32)) {
        self.edges.visit(number);
        self.lines.visit(number);
    }
}

impl Numbered for OpenFindings {
    fn visit(&mut self, number: &mut dyn FnMut(&mut u32)) {
        self.open.visit(number);
        visit_keys(&mut self.subjects, number);
    }
}

impl Unusual {
    /// Takes in what is also known of the same unit. The behaviour stays.
    pub(crate) fn absorb(&mut self, other: Self) {
        self.p_value = self.p_value.min(other.p_value);
        self.ratio = self.ratio.min(other.ratio);
        self.risk_score = self.risk_score.max(other.risk_score);
        self.signals = self.signals.max(other.signals);
        self.decided = self.decided.min(other.decided);
        // Not by looking through the list: a scan has thousands of edges.
        let places: HashMap<u128, usize> =
            self.edges.iter().enumerate().map(|(place, (edge, _))| (edge.key(), place)).collect();
        for (edge, counts) in other.edges {
            match places.get(&edge.key()) {
                Some(&place) => self.edges[place].1 = counts,
                None => self.edges.push((edge, counts)),
            }
        }
        add_lines(&mut self.lines, other.lines);
    }
}

impl Unusual {
    /// Takes in another edge that breaks the same rule. The edge is not there yet.
    pub(crate) fn add_breach(&mut self, other: Self, lines_max: usize) {
        self.decided = self.decided.min(other.decided);
        self.edges.extend(other.edges);
        self.lines.extend(other.lines);
        self.lines.truncate(lines_max);
    }
}

/// Of two lines of one edge and detector the stronger one stays; of a silence the latest, whichever edge stands for it.
fn add_lines(lines: &mut Vec<Line>, more: Vec<Line>) {
    for line in more {
        let is_silence = line.detector == DetectorName::Silence;
        let is_same = |known: &&mut Line| known.detector == line.detector && (is_silence || known.edge == line.edge);
        match lines.iter_mut().find(is_same) {
            Some(known) if known.p_value <= line.p_value && !is_silence => (),
            Some(known) => *known = line,
            None => lines.push(line),
        }
    }
}

/// Findings that later windows still belong to, per entity.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct OpenFindings {
    open: BTreeMap<u32, Vec<Open>>,
    /// Subjects of rules that are open, per entity.
    subjects: BTreeMap<u32, BTreeSet<String>>,
}

/// A finding that goes on.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Open {
    pub(crate) behaviour: DetectorName,
    pub(crate) subject: String,
    pub(crate) first_window: i64,
    pub(crate) decided: i64,
    until: i64,
    pub(crate) last_seen: i64,
    pub(crate) flow_count: i64,
    pub(crate) window_count: i64,
    pub(crate) edge_count: usize,
    /// Edges it is about, the first of them.
    pub(crate) edges: Vec<Edge>,
    pub(crate) signals: usize,
    pub(crate) is_partial: bool,
    pub(crate) bytes_out: i64,
    pub(crate) bytes_in: i64,
    #[serde(with = "exact")]
    pub(crate) p_value: f64,
    #[serde(with = "exact")]
    ratio: f64,
    #[serde(with = "exact")]
    pub(crate) risk_score: f64,
    pub(crate) lines: Vec<Line>,
    standing: Standing,
    /// The suppression that would hide it, were it not what must not be hidden.
    overruled: Option<String>,
}

/// Findings that a window touched: entity and place among those that are open.
pub(crate) type Touched = Vec<(u32, usize)>;

/// Whether a finding of this behaviour is about edges that are new: it then goes on while they are used.
pub(crate) const fn is_about_new_edges(behaviour: DetectorName) -> bool {
    matches!(behaviour, DetectorName::Destination | DetectorName::Port | DetectorName::Chain | DetectorName::Scan)
}

impl OpenFindings {
    /// Forgets those whose cool-down ended before this window.
    pub(crate) fn expire(&mut self, window: &View) {
        for open in self.open.values_mut() {
            open.retain(|open| open.until >= window.start);
        }
        self.open.retain(|_, open| !open.is_empty());
    }

    /// Whether a finding of this behaviour and subject is open about an entity.
    pub(crate) fn is_open(&self, entity: u32, behaviour: DetectorName, subject: &str) -> bool {
        let all = self.open.get(&entity).into_iter().flatten();
        all.into_iter().any(|open| open.behaviour == behaviour && open.subject == subject)
    }

    /// Gives what breaks a rule the common subject where its entity has too many subjects already: who scans against a
    /// policy is one finding and not thousands.
    pub(crate) fn limit_subjects(&mut self, unusual: &mut Unusual) {
        self.limit_subject(unusual, &BTreeSet::new());
        self.subjects.entry(unusual.source).or_default().insert(unusual.subject.clone());
    }

    /// As [`Self::limit_subjects`] in a window that is not closed yet, where these subjects of the entity were told. What
    /// is told leaves no trace here, because it comes in any order.
    pub(crate) fn limit_subject(&self, unusual: &mut Unusual, told: &BTreeSet<String>) {
        let open = self.subjects.get(&unusual.source);
        let is_open = |subject: &String| open.is_some_and(|open| open.contains(subject));
        if is_open(&unusual.subject) || told.contains(&unusual.subject) {
            return;
        }
        let count = open.map_or(0, BTreeSet::len) + told.iter().filter(|told| !is_open(told)).count();
        if count >= SUBJECTS_MAX {
            OTHER_SUBJECTS.clone_into(&mut unusual.subject);
        }
    }

    /// Forgets subjects that no finding is open about.
    pub(crate) fn forget_subjects(&mut self) {
        let Self { open, subjects } = self;
        subjects.retain(|entity, subjects| {
            let open = open.get(entity).map(Vec::as_slice).unwrap_or_default();
            let open: BTreeSet<&str> = open.iter().map(|open| open.subject.as_str()).collect();
            subjects.retain(|subject| open.contains(subject.as_str()));
            !subjects.is_empty()
        });
    }

    /// Takes a source's window in: what is unusual, and what an open finding is about. Those that are new or changed.
    pub(crate) fn update(
        &mut self,
        window: &View,
        network: &Network,
        source: u32,
        unusual: Vec<Unusual>,
        settings: &Settings,
    ) -> Touched {
        if unusual.is_empty() && !self.open.contains_key(&source) {
            return Vec::new();
        }
        let first = window.watched.partition_point(|seen| network.name(seen.edge.source) < network.name(source));
        let watched = &window.watched[first..];
        let count = watched.iter().take_while(|seen| seen.edge.source == source).count();
        let watched = &watched[..count];
        let all = self.open.entry(source).or_default();
        let mut changed = vec![false; all.len()];
        for unusual in unusual {
            let place = all.iter().position(|open| open.is_about(&unusual)).unwrap_or_else(|| {
                all.push(Open::new(window, &unusual));
                changed.push(false);
                all.len() - 1
            });
            all[place].raise(window, unusual, watched, settings);
            changed[place] = true;
        }
        let mut touched = Touched::new();
        for (place, (open, is_raised)) in all.iter_mut().zip(changed).enumerate() {
            if is_raised || open.go_on(watched) {
                touched.push((source, place));
            }
        }
        touched
    }

    /// Takes in what a window adds to a finding that is of no source's unit: breaches, inflows.
    pub(crate) fn raise(&mut self, window: &View, unusual: Unusual, settings: &Settings) -> (u32, usize) {
        let source = unusual.source;
        let all = self.open.entry(source).or_default();
        let place = all.iter().position(|open| open.is_about(&unusual)).unwrap_or_else(|| {
            all.push(Open::new(window, &unusual));
            all.len() - 1
        });
        all[place].raise(window, unusual, &[], settings);
        (source, place)
    }

    /// Edges that findings changed in this window want to hear of, until which window.
    pub(crate) fn watched(&self, window: &View) -> Vec<(Edge, i64)> {
        let is_fresh = |open: &&Open| is_about_new_edges(open.behaviour) && open.last_seen >= window.start;
        let open = self.open.values().flatten().filter(is_fresh);
        open.flat_map(|open| open.own_lines().map(|line| (line.edge, open.until.div_euclid(window.length)))).collect()
    }
}

impl Open {
    fn new(window: &View, unusual: &Unusual) -> Self {
        Self {
            behaviour: unusual.behaviour,
            subject: unusual.subject.clone(),
            first_window: window.start,
            decided: unusual.decided,
            until: 0,
            last_seen: window.start,
            flow_count: 0,
            window_count: 0,
            edge_count: 0,
            edges: Vec::new(),
            signals: 0,
            is_partial: false,
            bytes_out: 0,
            bytes_in: 0,
            p_value: 1.0,
            ratio: f64::MAX,
            risk_score: 0.0,
            lines: Vec::new(),
            standing: Standing::Candidate,
            overruled: None,
        }
    }

    /// The same behaviour of the same subject.
    fn is_about(&self, unusual: &Unusual) -> bool {
        self.behaviour == unusual.behaviour && self.subject == unusual.subject
    }

    fn raise(&mut self, window: &View, unusual: Unusual, watched: &[Birth], settings: &Settings) {
        let is_known =
            |seen: &&Birth| self.has_edge(seen.edge) && unusual.edges.iter().all(|(edge, _)| *edge != seen.edge);
        let also: Vec<EdgeCounts> = watched.iter().filter(is_known).map(|seen| seen.counts).collect();
        let counts: Vec<EdgeCounts> = unusual.edges.iter().map(|(_, counts)| *counts).chain(also).collect();
        self.count(&counts);
        let is_first = self.lines.is_empty();
        let fresh = unusual.edges.iter().filter(|(edge, _)| !self.has_edge(*edge)).count();
        let adds_up = is_about_new_edges(self.behaviour) || self.behaviour == DetectorName::Policy;
        self.edge_count = match (adds_up, is_first) {
            (true, false) => self.edge_count + fresh,
            _ => self.edge_count.max(unusual.edges.len()),
        };
        for (edge, _) in &unusual.edges {
            if self.edges.len() == EDGES_KEPT {
                break;
            }
            if !self.edges.contains(edge) {
                self.edges.push(*edge);
            }
        }
        self.until =
            window.start.saturating_add(window.length).saturating_add(settings.cool_down_s.saturating_mul(SECOND));
        self.signals = self.signals.max(unusual.signals);
        self.is_partial |= window.is_partial;
        self.risk_score = self.risk_score.max(unusual.risk_score);
        self.p_value = self.p_value.min(unusual.p_value);
        self.ratio = self.ratio.min(unusual.ratio);
        add_lines(&mut self.lines, unusual.lines);
        self.lines.sort_by(|one, other| {
            let is_other = |line: &Line| line.detector != self.behaviour;
            is_other(one).cmp(&is_other(other)).then(one.p_value.total_cmp(&other.p_value))
        });
        self.lines.truncate(settings.observations_max);
    }

    /// A new edge stays one while it is used: later windows count as the same behaviour. What else is unusual goes on only
    /// while it is unusual.
    fn go_on(&mut self, watched: &[Birth]) -> bool {
        if !is_about_new_edges(self.behaviour) {
            return false;
        }
        let seen: Vec<EdgeCounts> =
            watched.iter().filter(|seen| self.has_edge(seen.edge)).map(|seen| seen.counts).collect();
        if !seen.is_empty() {
            self.count(&seen);
        }
        !seen.is_empty()
    }

    /// Whether it is about this edge: one that is new, where it is about new edges.
    fn has_edge(&self, edge: Edge) -> bool {
        self.own_lines().any(|line| line.edge == edge)
    }

    fn own_lines(&self) -> impl Iterator<Item = &Line> {
        let is_new_only = is_about_new_edges(self.behaviour);
        self.lines.iter().filter(move |line| !is_new_only || is_about_new_edges(line.detector))
    }

    fn count(&mut self, edges: &[EdgeCounts]) {
        self.window_count += 1;
        for counts in edges {
            self.flow_count = self.flow_count.saturating_add(counts.flows);
            self.bytes_out = self.bytes_out.saturating_add(counts.bytes_out.unwrap_or(0));
            self.bytes_in = self.bytes_in.saturating_add(counts.bytes_in.unwrap_or(0));
            self.last_seen = self.last_seen.max(counts.last);
        }
    }
}
