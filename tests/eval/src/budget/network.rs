//! One network over its weeks: what was told, and what of it was about attacks. Knows no label before all is told.

use super::Asked;
use crate::changed;
use anyhow::Context as _;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use tradewind_detect::{Conversation, DecisionMode, Engine, FlowEvent};
use tradewind_model::Finding;
use tradewind_model::time::{DAY, SECOND};
use tradewind_testkit::scenario::{self, BenignKind, Episode, Flow, Label, Scenario, WINDOW};

/// Levels at which p-values are held against their name.
pub(crate) const LEVELS: [f64; 4] = [0.1, 0.01, 1e-3, 1e-4];

/// What became of one network.
#[derive(Debug, Default)]
pub(crate) struct Weeks {
    pub(crate) flows: usize,
    /// The first telling of each finding.
    pub(crate) told: Vec<Told>,
    /// Findings first told in any 24 hours, at most.
    pub(crate) most_in_a_day: usize,
    /// In any seven days, at most.
    pub(crate) most_in_a_week: usize,
    pub(crate) days: i64,
    /// Findings first told in the second half, and those of them that are about no attack.
    pub(crate) later: usize,
    pub(crate) later_false: usize,
    /// Findings that the budget held back.
    pub(crate) held_back: u64,
    /// Units of the time after the first week, and how many of them were at or below each level.
    pub(crate) units: u64,
    pub(crate) below: [u64; LEVELS.len()],
    /// Kinds of attack, and what became of each.
    pub(crate) attacks: BTreeMap<&'static str, Fate>,
    /// Pairs of entities that did something harmless out of the ordinary, by its kind.
    pub(crate) odd_pairs: BTreeMap<&'static str, usize>,
    /// The day on which nobody worked.
    pub(crate) holiday: Option<i64>,
}

impl Weeks {
    /// How many of the attacks were found.
    pub(crate) fn found(&self) -> usize {
        self.attacks.values().filter(|fate| fate.seconds.is_some()).count()
    }
}

/// What became of an attack.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fate {
    /// The day on which it began, from 0.
    pub(crate) day: i64,
    /// Seconds from its first flow to the first word about it, where there was one.
    pub(crate) seconds: Option<f64>,
}

/// A finding as it was first told.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) time: i64,
    /// The same as a day of the network, from 0.
    pub(crate) day: i64,
    pub(crate) behaviour: String,
    pub(crate) p_value: f64,
    pub(crate) risk_score: f64,
    pub(crate) title: String,
    /// The attack it is about.
    pub(crate) attack: Option<&'static str>,
    /// What else was out of the ordinary.
    pub(crate) benign: Option<&'static str>,
}

/// Who talked to whom in which window out of the ordinary.
type Odd = HashMap<(i64, u16, u16), BenignKind>;
/// Findings as they were last told, and every time that they were told.
type Words = BTreeMap<String, (Vec<i64>, Finding)>;

fn event<'a>(scenario: &'a Scenario, flow: &Flow, has_requests: bool) -> FlowEvent<'a> {
    let [source, destination] = [flow.source, flow.destination].map(|entity| &scenario.entities()[usize::from(entity)]);
    let request = if has_requests { scenario.request(flow) } else { None };
    let conversation = request.map_or_else(Conversation::default, |request| Conversation {
        app_protocol: Some(request.app_protocol),
        operation: Some(request.operation),
        resource: Some(request.resource),
        ..Conversation::default()
    });
    FlowEvent {
        time: flow.time,
        src_entity: &source.name,
        src_kind: source.kind.as_str(),
        dst_entity: &destination.name,
        dst_kind: destination.kind.as_str(),
        dst_port: Some(i32::from(flow.port)),
        protocol_num: Some(flow.protocol),
        outcome: flow.outcome,
        is_src_dst_assignment_known: true,
        opens: None,
        flow_count: flow.connections,
        bytes_out: Some(flow.bytes_out),
        bytes_in: Some(flow.bytes_in),
        declared_verdict: None,
        declared_rule: None,
        conversation,
    }
}

/// One network, with attacks from this day on.
pub(crate) fn run(asked: &Asked, seed: u64, attacks_from_day: Option<i64>) -> anyhow::Result<Weeks> {
    let half = asked.days / 2;
    let scenario = Scenario::new(scenario::Settings {
        seed,
        days: asked.days,
        services: usize::try_from(asked.services)?,
        attacks_from_day,
    });
    let mut settings = changed::settings(&asked.changes)?;
    if let Some(rate) = asked.fdr {
        settings.decision.mode = DecisionMode::FalseDiscoveryRate;
        settings.decision.false_discovery_rate = rate;
    }
    let mut engine = Engine::new(settings).context("the shipped defaults are wrong")?;
    engine.keep_scores();
    let judged_from = scenario.start() + half * DAY;
    let mut weeks = Weeks { days: asked.days, holiday: scenario.holiday(), ..Weeks::default() };
    let mut findings = Words::new();
    let mut take = |time: i64, more: Vec<Finding>| {
        for finding in more {
            let told = finding.time.min(time);
            let known = findings.entry(finding.finding_id.clone()).or_insert_with(|| (Vec::new(), finding.clone()));
            known.0.push(told);
            known.1 = finding;
        }
    };
    let mut odd = Odd::new();
    let mut attacked: Vec<BTreeSet<(u16, u16)>> = vec![BTreeSet::new(); scenario.episodes().len()];
    for flows in scenario.windows() {
        for flow in &flows {
            let pair = (flow.source, flow.destination);
            match flow.label {
                Label::Ordinary => (),
                Label::Benign(kind) => {
                    odd.insert((flow.time.div_euclid(WINDOW), pair.0, pair.1), kind);
                }
                Label::Attack { episode, .. } => {
                    attacked[usize::from(episode)].insert(pair);
                }
            }
            take(flow.time, engine.observe(&event(&scenario, flow, asked.has_requests)));
        }
        weeks.flows += flows.len();
        for unit in engine.take_scores().iter().filter(|unit| unit.window_start >= judged_from) {
            weeks.units += 1;
            for (count, level) in weeks.below.iter_mut().zip(LEVELS) {
                *count += u64::from(unit.calibrated_p_value <= level);
            }
        }
    }
    take(scenario.start() + asked.days * DAY, engine.finish());
    weeks.held_back = engine.decided().held_back;
    judge(&mut weeks, &scenario, &findings, &attacked, &odd);
    let later = weeks.told.iter().filter(|told| told.time >= judged_from);
    weeks.later = later.clone().count();
    weeks.later_false = later.filter(|told| told.attack.is_none()).count();
    Ok(weeks)
}

fn judge(weeks: &mut Weeks, scenario: &Scenario, findings: &Words, attacked: &[BTreeSet<(u16, u16)>], odd: &Odd) {
    let numbers: HashMap<&str, u16> =
        scenario.entities().iter().zip(0..).map(|(entity, number)| (entity.name.as_str(), number)).collect();
    let day = |time: i64| (time - scenario.start()).div_euclid(DAY);
    let fate = |episode: &Episode| (episode.kind.as_str(), Fate { day: day(episode.start), seconds: None });
    weeks.attacks = scenario.episodes().iter().map(fate).collect();
    let pairs: BTreeSet<(&str, u16, u16)> =
        odd.iter().map(|(&(_, source, destination), kind)| (kind.as_str(), source, destination)).collect();
    pairs.iter().for_each(|(kind, ..)| *weeks.odd_pairs.entry(kind).or_default() += 1);
    for (times, finding) in findings.values() {
        let pairs: Vec<(u16, u16)> = finding
            .observations
            .iter()
            .map(|seen| (numbers[seen.src_entity.as_str()], numbers[seen.dst_entity.as_str()]))
            .collect();
        let mut told = Told {
            time: times[0],
            day: day(times[0]),
            behaviour: finding.behaviour.clone(),
            p_value: finding.p_value,
            risk_score: finding.risk_score,
            title: finding.title.clone(),
            attack: None,
            benign: None,
        };
        for (episode, known) in scenario.episodes().iter().zip(attacked) {
            let is_then = finding.first_seen <= episode.end && finding.last_seen >= episode.start;
            // What was said before the attack began was not about it.
            let heard = times.iter().find(|&&time| time >= episode.start);
            if let Some(time) = heard.filter(|_| is_then && pairs.iter().any(|pair| known.contains(pair))) {
                told.attack.get_or_insert(episode.kind.as_str());
                let seconds = (time - episode.start) as f64 / SECOND as f64;
                if let Some(fate) = weeks.attacks.get_mut(episode.kind.as_str()) {
                    fate.seconds = Some(fate.seconds.map_or(seconds, |known| known.min(seconds)));
                }
            }
        }
        if told.attack.is_none() {
            let window = finding.first_seen.div_euclid(WINDOW);
            let kinds = pairs.iter().find_map(|&(source, destination)| odd.get(&(window, source, destination)));
            told.benign = kinds.map(|kind| kind.as_str());
        }
        weeks.told.push(told);
    }
    weeks.told.sort_by_key(|told| told.time);
    let most = |span: i64| {
        let times = weeks.told.iter().map(|told| told.time);
        times.clone().map(|from| times.clone().filter(|time| (from..from + span).contains(time)).count()).max()
    };
    (weeks.most_in_a_day, weeks.most_in_a_week) = (most(DAY).unwrap_or(0), most(7 * DAY).unwrap_or(0));
}
