//! The entity level: puts the reports of all shards together, knows what is popular and how often each entity gets
//! something new, follows chains, combines all signals of an entity and decides what becomes a finding.

mod aging;
mod chain;
mod conclusion;
mod daily;
mod dark;
mod destination;
mod edge_scores;
mod exfiltration;
mod flood;
mod hazard;
mod identities;
mod inflow;
mod mediated;
mod notices;
mod outlook;
mod peers;
mod pending;
mod popularity;
mod port;
mod refusals;
mod rollouts;
mod scan;
mod silence;
mod slow_scan;
mod states;
mod stored;
mod unit;
mod uses;
mod view;
mod votes;
mod withheld;

pub(crate) use chain::{Chain, Hop};
pub(crate) use daily::Daily;
pub(crate) use dark::Judged as JudgedDark;
pub(crate) use hazard::{Curve, Factor};
pub(crate) use identities::{Downgrade, Mismatch};
pub(crate) use mediated::Mediated;
pub(crate) use slow_scan::Judged as JudgedPace;
pub(crate) use view::View;

use crate::breach;
use crate::decision::{Decision, Incident, Spender, Weighed};
use crate::explain::Explainer;
use crate::finding::{Deciding, OpenFindings, Touched};
use crate::network::{Edge, Network};
use crate::particulars::Particulars;
use crate::report::{Birth, Common, Exchange, Feedback, Inflow, Pools, Report};
use crate::settings::Settings;
use chain::Chains;
pub(crate) use inflow::Judged as JudgedInflow;
use inflow::{Judged, Learning};
pub use notices::Settled;
use outlook::{Marked, Outlook};
use pending::Pending;
use serde::{Deserialize, Serialize};
pub(crate) use states::EntityStates;
use std::collections::{BTreeMap, BTreeSet};
pub(crate) use stored::EntityLevel4;
use tradewind_model::Finding;
use tradewind_model::time::SECOND;
pub(crate) use unit::occasional;
use unit::{Signals, UnitJudge};
use withheld::Withheld;

/// The entity level of one network.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EntityLevel {
    settings: Settings,
    network: Network,
    states: EntityStates,
    chains: Chains,
    floor: scan::Floor,
    /// Windows that something was told of and that are not closed yet.
    pending: BTreeMap<i64, Pending>,
    pools: Pools,
    findings: OpenFindings,
    decision: Decision,
    withheld: Withheld,
    /// Edges that a person accepted since the last close.
    accepted: Vec<Edge>,
    /// What is asked of whom.
    uses: uses::Uses,
    /// Who proves what.
    identities: identities::Identities,
    /// Whose clients fail because it is being replaced.
    rollouts: rollouts::Rollouts,
    /// What peers do.
    peers: peers::Peers,
    /// Who writes what others read.
    mediated: Mediated,
    /// How much each entity moves on a usual day.
    daily: Daily,
    /// What open findings are about beyond their edges.
    particulars: Particulars,
    /// Who is heard when.
    rhythms: silence::Rhythms,
}

/// A birth with what it says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct JudgedBirth {
    pub(crate) birth: Birth,
    pub(crate) marked: Marked,
    pub(crate) chain: Option<Chain>,
}

impl JudgedBirth {
    pub(crate) fn is_answered(&self) -> bool {
        self.birth.counts.answered > 0
    }

    /// -ln p.
    pub(crate) fn evidence(&self) -> f64 {
        -self.marked.p_value.ln()
    }
}

/// The window that is open or being closed.
#[derive(Clone, Copy, Debug)]
pub struct WindowAt {
    /// Number of the window: its start divided by its length.
    pub index: i64,
    /// Windows since the network's first.
    pub age: u64,
    /// Whether it may be partial, because the stream ended in it.
    pub is_partial: bool,
    /// Whether everything in it is to be learnt and nothing of statistics raised.
    pub is_training: bool,
}

/// What the detectors said of one entity in one window.
#[derive(Clone, Debug, PartialEq)]
pub struct UnitScore {
    /// The entity.
    pub entity: String,
    /// Start of the window, microseconds UTC.
    pub window_start: i64,
    /// Combined p-value.
    pub p_value: f64,
    /// The same, recalibrated by what is usual for units of its class, once that is known.
    pub calibrated_p_value: f64,
    /// Sum of -log10 p, capped per signal: orders units.
    pub risk_score: f64,
    /// p-value of each detector that tested it.
    pub signals: Vec<(&'static str, f64)>,
}

/// What the detectors said of one edge in one window.
#[derive(Clone, Debug, PartialEq)]
pub struct EdgeScore {
    /// Source entity.
    pub source: String,
    /// Destination entity.
    pub destination: String,
    /// Destination port, where there is one and the orientation is known.
    pub port: Option<u16>,
    /// Start of the window, microseconds UTC.
    pub window_start: i64,
    /// Combined p-value of the edge's own signals and of those of its ends that it takes part in.
    pub p_value: f64,
    /// Sum of -log10 p, capped per signal.
    pub risk_score: f64,
    /// p-value of each detector that had something to say.
    pub signals: Vec<(&'static str, f64)>,
    /// The size that the signal `transfer` is about; it says nothing of the edge's other flows.
    pub size: Option<UnusualSize>,
}

/// The most unusual size of an edge's flows in a window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UnusualSize {
    /// Whether these are the bytes from source to destination.
    pub is_out: bool,
    /// Bytes of the flow, to six in a hundred thousand.
    pub bytes: f64,
}

/// What came of a window.
#[derive(Debug, Default)]
pub struct Closed {
    /// Findings that are new or changed.
    pub findings: Vec<Finding>,
    /// Incidents that are new, changed or over.
    pub incidents: Vec<Incident>,
    /// What the edge level has to know.
    pub feedback: Vec<Feedback>,
    /// Scores of its units, by name.
    pub units: Vec<UnitScore>,
    /// Scores of what reached its destinations, by name.
    pub destinations: Vec<UnitScore>,
    /// Scores of its edges, by names and port, where the edge level keeps them.
    pub edges: Vec<EdgeScore>,
}

impl EntityLevel {
    /// A level that knows nothing yet.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let decision = Decision::new(&settings.decision);
        Self {
            settings,
            network: Network::default(),
            states: EntityStates::default(),
            chains: Chains::default(),
            floor: scan::Floor::default(),
            pending: BTreeMap::new(),
            pools: Pools::default(),
            findings: OpenFindings::default(),
            decision,
            withheld: Withheld::default(),
            accepted: Vec::new(),
            uses: uses::Uses::default(),
            identities: identities::Identities::default(),
            rollouts: rollouts::Rollouts::default(),
            peers: peers::Peers::default(),
            mediated: Mediated::default(),
            daily: Daily::default(),
            particulars: Particulars::default(),
            rhythms: silence::Rhythms::default(),
        }
    }

    /// What the edge level judges a window by.
    #[must_use]
    pub fn common(&self, exchange: &Exchange, is_training: bool) -> Common {
        let change = crate::edges::volume::common_change(exchange);
        Common { pools: self.pools, change, is_training, discoveries: self.uses.rates() }
    }

    fn length(&self) -> i64 {
        self.settings.window_s * SECOND
    }

    fn is_starting(&self, at: &WindowAt) -> bool {
        at.age < self.settings.warm_up_windows
    }

    fn outlook(&self, at: &WindowAt) -> Outlook {
        Outlook::new(&self.states, at.index, at.age, &self.settings.destination)
    }

    /// Judges a window by the reports of all shards, then learns it.
    pub fn close(&mut self, at: &WindowAt, common: &Common, reports: Vec<Report>) -> Closed {
        let is_silent = at.is_training || self.is_starting(at);
        let mut view = View::new(at.index, self.length(), at.age, at.is_partial);
        view.change = common.change;
        view.merge(reports, &mut self.network, self.settings.observations_max);
        if self.settings.rollout.is_enabled && !at.is_training {
            self.rollouts.excuse(&mut view, &self.states, self.settings.window_s);
        }
        let doubted = self.uses.judge(&mut view, &self.network);
        let mut pending = self.pending.remove(&at.index).unwrap_or_default();
        let outlook = pending.take_outlook().unwrap_or_else(|| self.outlook(at));
        self.floor = pending.take_floor().unwrap_or_else(|| std::mem::take(&mut self.floor));
        let is_starting = self.is_starting(at);
        let accessed = self.mediated.judge(&view, &self.settings.destination, is_silent);
        let births = self.judge_births(&view, &outlook, &accessed, is_starting);
        self.findings.expire(&view);
        let mut room = self.findings.make_room(&self.network);
        let (changed, proved) = self.changed_identities(&view, is_silent);
        let silences = self.silences(&view, is_silent);
        let mut closed = Closed::default();
        let judge = UnitJudge {
            states: &self.states,
            outlook: &outlook,
            pools: &self.pools,
            settings: &self.settings,
            is_starting,
            index: at.index,
            day: view.day(),
            network: &self.network,
        };
        let explainer =
            Explainer { network: &self.network, states: &self.states, mediated: &self.mediated, window: &view };
        let mut floods: BTreeMap<u32, f64> = BTreeMap::new();
        let mut touched = Touched::new();
        let mut tested: Vec<(u32, Signals, Weighed)> = Vec::new();
        let mut reached: Vec<(u32, Weighed)> = Vec::new();
        self.decision.prepare(&self.settings.decision);
        if at.is_training {
            self.decision.trained();
        }
        for digest in &view.sources {
            let range = view.births_of(digest.source);
            let unit = judge.unit(digest, &births[range.clone()]);
            let kind = self.network.kind(digest.source);
            let weighed = self.decision.weigh(kind, unit.signals(), unit.p_value(), &self.settings);
            self.decision.count(&weighed);
            let score = unit.score(&self.network, &view);
            closed.units.push(UnitScore { calibrated_p_value: weighed.p_value, ..score });
            floods.extend(unit.flood().map(|p_value| (digest.source, p_value)));
            let is_new = weighed.ratio < 1.0 && !is_silent && !self.findings.has(digest.source);
            let has_room = !is_new || room.take(Spender::new(digest.source, kind).is_stranger);
            if !has_room {
                self.decision.hold_back();
            }
            let unusual = if is_silent || !has_room {
                None
            } else {
                unit.unusual(digest, &births[range], &explainer, weighed, &self.settings)
            };
            tested.push((digest.source, unit.into_signals(), weighed));
            let unusual = pending.merge(digest.source, unusual, &view, &self.network);
            touched.extend(self.findings.update(&view, &self.network, digest.source, unusual, &self.settings));
        }
        if self.settings.policy.is_enabled {
            let most = self.settings.observations_max;
            let limit = |unusual: &mut _| self.findings.limit_subjects(unusual);
            for breached in breach::of_window(&self.network, &view, most, limit) {
                touched.push(self.findings.raise(&view, breached, &self.settings));
            }
        }
        self.findings.forget_subjects();
        for unusual in changed.into_iter().chain(silences) {
            touched.push(self.findings.raise(&view, unusual, &self.settings));
        }
        let inflows = self.judge_inflows(&view, is_starting);
        closed.destinations = inflows.iter().map(|judged| judged.score(&self.network, &view, &self.settings)).collect();
        for judged in inflows.iter().filter(|_| !is_silent) {
            let (p_value, risk_score) = judged.combined(&self.settings);
            let weighed = self.decision.weigh_inflow(p_value, &self.settings);
            self.decision.count(&weighed);
            reached.push((judged.inflow.destination, weighed));
            if weighed.ratio < 1.0 && judged.is_of_many(&view.births) {
                let unusual = explainer.inflow(judged, weighed, risk_score);
                touched.push(self.findings.raise(&view, unusual, &self.settings));
            }
        }
        let is_told = |source, behaviour, subject: &str| pending.has_told(&(source, behaviour, subject.to_owned()));
        self.particulars.take(&view, (&self.findings, &touched), &proved, &self.network);
        let by = Deciding {
            window: &view,
            network: &self.network,
            daily: &self.daily,
            settings: &self.settings,
            decision: &mut self.decision,
            particulars: &self.particulars,
        };
        let told = self.findings.decide(&touched, by, is_told);
        if is_silent {
            tested.clear();
        }
        closed.incidents = self.conclude(&view, &told, &tested, &reached);
        closed.findings = told.into_iter().map(|(finding, _)| finding).collect();
        closed.feedback = self.feedback(&view, &births, &doubted, is_starting);
        closed.edges = edge_scores::of(&view, &births, &floods, &inflows, &self.network, &self.settings);
        self.uses.learn(&view, &doubted);
        self.mediated.learn(&view, &accessed, &self.settings.destination, is_starting, &self.network);
        self.learn(&view, &births, &outlook, is_starting, at.is_training);
        let learning = Learning { is_starting, is_training: at.is_training, settings: &self.settings };
        self.states.learn_inflows(&view, &inflows, learning);
        self.daily.learn(&view, self.network.entity_count());
        drop((view, outlook));
        self.age_out(at.index);
        closed
    }

    /// Judges births in the order of time, so that chains do.
    fn judge_births(
        &mut self,
        view: &View,
        outlook: &Outlook,
        accessed: &mediated::Judged,
        is_starting: bool,
    ) -> Vec<JudgedBirth> {
        let shares: Vec<f64> = view.births.iter().map(|birth| self.share_of_peers(birth.edge)).collect();
        let settings = &self.settings.destination;
        let mut judged: Vec<JudgedBirth> = view
            .births
            .iter()
            .zip(shares)
            .map(|(&birth, share)| {
                let expected = outlook.expectation(&self.states, birth.edge.source, settings);
                let marked = outlook.mark(&self.states, birth.edge, birth.counts.answered > 0, share, expected);
                JudgedBirth { birth, marked, chain: None }
            })
            .collect();
        if is_starting || !settings.is_enabled {
            self.chains.clear();
            self.mediated.clear();
            return judged;
        }
        let mut order: Vec<usize> = (0..judged.len()).collect();
        order.sort_by_key(|&place| judged[place].birth.counts.first);
        let mut steps = accessed.steps.iter().peekable();
        for place in order {
            let (edge, time) = (judged[place].birth.edge, judged[place].birth.counts.first);
            while let Some(step) = steps.next_if(|step| step.time <= time) {
                self.mediated.follow(step, accessed, &view.accesses[step.place], &self.chains);
            }
            let (evidence, is_answered) = (judged[place].evidence(), judged[place].is_answered());
            let mediated = self.mediated.way_into(edge.source, time);
            judged[place].chain = self.chains.follow(edge, time, evidence, is_answered, mediated);
        }
        for step in steps {
            self.mediated.follow(step, accessed, &view.accesses[step.place], &self.chains);
        }
        judged
    }

    /// Judges what reached each destination.
    fn judge_inflows(&self, view: &View, is_starting: bool) -> Vec<Judged> {
        let crowd = &self.states.crowd;
        let rates = crowd.rates(&self.settings.destination);
        let mut clients: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
        for birth in &view.births {
            clients.entry(birth.edge.destination).or_default().insert(birth.edge.source);
        }
        let judge = |&inflow: &Inflow| {
            let state = self.states.destination(inflow.destination);
            let known = state.map(|known| (&known.inflow, view.index.abs_diff(known.first_window)));
            let clients = clients.get(&inflow.destination).map_or(0, BTreeSet::len) as u64;
            let mut judged = crowd.judge(inflow, clients, known, &rates, view.change, &self.settings);
            if !is_starting && self.settings.volume.is_enabled {
                let deviance = flood::Flood::deviance(state.map(|state| &state.flood), view.index, inflow.opened);
                judged.p_of_flood = flood::p_value(deviance);
                if let Some((p_value, prediction)) = self.rhythms.season(inflow.destination) {
                    judged.p_of_season = p_value;
                    judged.seasonal = self.settings.volume.is_seasonal.then_some(prediction);
                }
            }
            judged
        };
        view.destinations.iter().map(judge).collect()
    }

    fn feedback(
        &mut self,
        view: &View,
        births: &[JudgedBirth],
        doubted: &uses::Doubted,
        is_starting: bool,
    ) -> Vec<Feedback> {
        let accepted = std::mem::take(&mut self.accepted);
        let name = |entity| self.network.name(entity).to_owned();
        let feedback = |edge: Edge, evidence, watch_until| Feedback {
            is_accepted: false,
            source: name(edge.source),
            destination: name(edge.destination),
            port: edge.port,
            evidence,
            watch_until,
            doubted: Vec::new(),
        };
        let mut all = Vec::new();
        if !is_starting && self.settings.destination.is_enabled {
            all.extend(births.iter().map(|birth| feedback(birth.birth.edge, Some(birth.evidence()), None)));
        }
        let accept = |edge| Feedback { is_accepted: true, ..feedback(edge, None, None) };
        all.extend(accepted.into_iter().map(accept));
        let watched = self.findings.watched(view);
        all.extend(watched.into_iter().map(|(edge, until)| feedback(edge, None, Some(until))));
        let doubted = doubted.all();
        all.extend(doubted.map(|(edge, texts)| Feedback { doubted: texts.clone(), ..feedback(*edge, None, None) }));
        all
    }

    fn learn(&mut self, view: &View, births: &[JudgedBirth], outlook: &Outlook, is_starting: bool, is_training: bool) {
        let learning = Learning { is_starting, is_training, settings: &self.settings };
        let now = if is_training { BTreeSet::new() } else { self.findings.withheld(view) };
        let persistent = self.withheld.set(now, |entity| self.findings.has(entity));
        if self.settings.destination.has_peers {
            self.peers.learn(&view.answers, &self.states, view.index, self.settings.window_s);
        }
        self.states.learn_votes(&persistent);
        self.states.learn(view, births, outlook, learning, (&self.network, &mut self.withheld));
        self.pools.merge(&view.pools);
        self.pools.fade();
        let next = view.start.saturating_add(view.length);
        self.chains.expire(next);
        self.mediated.expire(next);
        self.floor.expire(next);
        // What is expected in windows to come is another thing from now on.
        self.pending.values_mut().for_each(|pending| drop(pending.take_outlook()));
    }

    /// Entities met.
    #[must_use]
    pub fn entity_count(&self) -> usize {
        self.network.entity_count()
    }
}
