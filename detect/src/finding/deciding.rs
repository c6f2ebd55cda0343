//! Which of the findings that are open a person is told: puts each before the decision, in the order that matters, and keeps
//! what was decided. What is strong enough is [`crate::decision`]'s to say.

use super::{Open, OpenFindings, Touched, Unusual, is_about_new_edges};
use crate::decision::{About, Case, Decision, Habit, Spender, Standing, Topic, Verdict, is_grave};
use crate::entities::{Daily, View};
use crate::network::{Edge, Network};
use crate::particulars::Particulars;
use crate::report::DetectorName;
use crate::settings::Settings;
use std::collections::BTreeSet;
use tradewind_model::finding::{Finding, Severity};
use tradewind_model::time::DAY;

/// What goes on for so long is usual, though nobody accepted it, microseconds.
const PERSISTS: i64 = 3 * DAY;

/// What is decided by, at the close of a window.
#[derive(Debug)]
pub(crate) struct Deciding<'a> {
    pub(crate) window: &'a View,
    pub(crate) network: &'a Network,
    pub(crate) daily: &'a Daily,
    pub(crate) settings: &'a Settings,
    pub(crate) decision: &'a mut Decision,
    pub(crate) particulars: &'a Particulars,
}

impl OpenFindings {
    /// The finding of what cannot wait for the window's close, where the decision would tell it after these others that
    /// were told since the last close. The close makes it again, with the same id. None where a finding about it is open
    /// already.
    pub(crate) fn raise_at_once(
        &self,
        window: &View,
        (network, daily): (&Network, &Daily),
        unusual: Unusual,
        settings: &Settings,
        (decision, others): (&Decision, &[Spender]),
    ) -> Option<Finding> {
        let is_open = |open: &&Open| open.is_about(&unusual) && open.until >= window.start;
        if self.open.get(&unusual.source).into_iter().flatten().find(is_open).is_some() {
            return None;
        }
        let source = unusual.source;
        let mut open = Open::new(window, &unusual);
        open.raise(window, unusual, &[], settings);
        let severity = open.severity(network, daily);
        if severity < settings.severity_min {
            return None;
        }
        let verdict =
            open.with_case(network, source, severity, |case| decision.consider(case, Some(others), &settings.decision));
        open.overruled = verdict.overruled;
        (verdict.standing == Standing::Told).then(|| open.told(network, daily, source, &Particulars::default()))
    }

    /// Decides which of the findings that a window touched are told: first those that were told at once, in the order of
    /// time, then the strongest. `is_told` knows which were. Those that are told, in the order in which they were touched.
    pub(crate) fn decide(
        &mut self,
        touched: &Touched,
        by: Deciding<'_>,
        is_told: impl Fn(u32, DetectorName, &str) -> bool,
    ) -> Vec<(Finding, Topic)> {
        let Deciding { window, network, daily, settings, decision, particulars } = by;
        let end = window.start.saturating_add(window.length);
        let mut cases = Vec::new();
        for &(source, place) in touched {
            let Some(open) = self.open.get(&source).and_then(|all| all.get(place)) else { continue };
            let severity = open.severity(network, daily);
            if !open.standing.is_settled() && severity >= settings.severity_min {
                let at_once = is_told(source, open.behaviour, &open.subject);
                cases.push((!at_once, if at_once { open.decided } else { end }, open.ratio, source, place, severity));
            }
        }
        cases.sort_by(|one, other| {
            // What many do to one is told before what each of them does.
            let is_inflow = |case: &(bool, i64, f64, u32, usize, Severity)| {
                let open = self.open.get(&case.3).and_then(|all| all.get(case.4));
                open.is_some_and(|open| open.behaviour == DetectorName::Inflow)
            };
            let strength = is_inflow(other).cmp(&is_inflow(one)).then(one.2.total_cmp(&other.2));
            let name = || network.name(one.3).cmp(network.name(other.3)).then(one.4.cmp(&other.4));
            (one.0, one.1).cmp(&(other.0, other.1)).then(strength).then_with(name)
        });
        cases.dedup_by_key(|case| (case.3, case.4));
        for (is_late, time, _, source, place, severity) in cases {
            let Some(open) = self.open.get_mut(&source).and_then(|all| all.get_mut(place)) else { continue };
            let before = open.standing.clone();
            let verdict: Verdict = open.with_case(network, source, severity, |case| {
                decision.decide(Case { time, ..case }, &before, &settings.decision)
            });
            if is_late && verdict.standing == Standing::Told && open.behaviour != DetectorName::Policy {
                // It is told now, whenever it was noticed.
                open.decided = time;
            }
            (open.standing, open.overruled) = (verdict.standing, verdict.overruled);
        }
        let mut findings = Vec::new();
        for &(source, place) in touched {
            let Some(open) = self.open.get_mut(&source).and_then(|all| all.get_mut(place)) else { continue };
            if is_grave(open.behaviour) {
                // It may have been said, or lifted, after it was decided.
                let severity = open.severity(network, daily);
                open.overruled = open.with_case(network, source, severity, |case| decision.overruled(case));
            }
            if open.standing == Standing::Told && open.severity(network, daily) >= settings.severity_min {
                findings.push((open.told(network, daily, source, particulars), open.topic(source)));
            }
        }
        findings
    }

    /// Whether something is open about an entity since before this window: what it does is not what is usual.
    pub(crate) fn is_about(&self, entity: u32, window: &View) -> bool {
        let is_older = |open: &Open| open.first_window < window.start || open.standing == Standing::Habit;
        self.open.get(&entity).is_some_and(|all| all.iter().any(is_older))
    }

    /// Entities whose new edges are not to be learnt after this window, because a finding about them was told and is open. What goes on
    /// for longer than [`PERSISTS`], or that was accepted, is usual by then.
    pub(crate) fn withheld(&self, window: &View) -> BTreeSet<u32> {
        let since = window.start.saturating_sub(PERSISTS);
        let is_withheld = |open: &Open| {
            is_about_new_edges(open.behaviour)
                && open.first_window >= since
                && matches!(open.standing, Standing::Told | Standing::Dismissed)
        };
        let entities = self.open.iter().filter(|(_, all)| all.iter().any(is_withheld));
        entities.map(|(&entity, _)| entity).collect()
    }

    /// A finding that a window touched.
    pub(crate) fn at(&self, entity: u32, place: usize) -> Option<&Open> {
        self.open.get(&entity)?.get(place)
    }

    /// Ids of findings of some behaviours that are open.
    pub(crate) fn ids_of(
        &self,
        is_wanted: impl Fn(DetectorName) -> bool,
        network: &Network,
    ) -> impl Iterator<Item = String> {
        let all = self.open.iter().flat_map(|(&entity, all)| all.iter().map(move |open| (entity, open)));
        let wanted = all.filter(move |(_, open)| is_wanted(open.behaviour));
        wanted.map(|(entity, open)| open.finding_id(network, entity))
    }

    /// The edges of a finding that is open.
    pub(crate) fn edges_of(&self, topic: &Topic) -> Vec<Edge> {
        let all = self.open.get(&topic.entity).into_iter().flatten();
        let wanted = all.filter(|open| open.behaviour == topic.behaviour && open.subject == topic.subject);
        wanted.flat_map(|open| &open.edges).copied().collect()
    }

    /// A person accepted it: it is usual, and told no more.
    pub(crate) fn accept(&mut self, topic: &Topic) {
        self.settle(topic, if is_grave(topic.behaviour) { &Standing::Accepted } else { &Standing::Habit });
    }

    /// A person looked at it: it is told no more.
    pub(crate) fn dismiss(&mut self, topic: &Topic) {
        self.settle(topic, &Standing::Dismissed);
    }

    /// A person takes back what was said of this finding: while it goes on it is told again, and what is open of its kind by
    /// now is decided about anew.
    pub(crate) fn revoke(&mut self, topic: &Topic, finding_id: &str, network: &Network) {
        let all = self.open.get_mut(&topic.entity).into_iter().flatten();
        let settled = all.filter(|open| {
            open.behaviour == topic.behaviour
                && open.subject == topic.subject
                && matches!(open.standing, Standing::Habit | Standing::Dismissed | Standing::Accepted)
        });
        for open in settled {
            let is_itself = open.finding_id(network, topic.entity) == finding_id;
            open.standing = if is_itself { Standing::Told } else { Standing::Candidate };
        }
    }

    fn settle(&mut self, topic: &Topic, standing: &Standing) {
        let all = self.open.get_mut(&topic.entity).into_iter().flatten();
        let wanted = all.filter(|open| open.behaviour == topic.behaviour && open.subject == topic.subject);
        wanted.for_each(|open| open.standing = standing.clone());
    }
}

impl Open {
    /// What it would be the habit of: rules have none.
    fn habit(&self, source: u32) -> Option<Habit> {
        let lead = self.lines.first().filter(|_| self.behaviour != DetectorName::Policy)?;
        Some(Habit::new(source, self.behaviour, lead.edge, is_about_new_edges(self.behaviour)))
    }

    fn topic(&self, source: u32) -> Topic {
        Topic {
            entity: source,
            behaviour: self.behaviour,
            subject: self.subject.clone(),
            habit: self.habit(source),
            risk_score: self.risk_score,
        }
    }

    /// What is to be decided about it.
    fn with_case<T>(
        &self,
        network: &Network,
        source: u32,
        severity: Severity,
        decide: impl FnOnce(Case<'_>) -> T,
    ) -> T {
        let reached: Vec<(&str, Option<u16>)> =
            self.edges.iter().map(|edge| (network.name(edge.destination), edge.port.number())).collect();
        let mut spender = Spender::new(source, network.kind(source));
        // Whoever wants to can send from everywhere to anybody.
        spender.is_stranger |= self.behaviour == DetectorName::Inflow;
        decide(Case {
            about: About { entity: network.name(source), behaviour: self.behaviour.as_str(), reached: &reached },
            spender,
            behaviour: self.behaviour,
            habit: self.habit(source),
            ratio: self.ratio,
            risk_score: self.risk_score,
            is_severe: severity >= Severity::High,
            time: self.decided,
        })
    }

    /// The finding as a person is told it.
    fn told(&self, network: &Network, daily: &Daily, source: u32, particulars: &Particulars) -> Finding {
        let known = particulars.of(&self.finding_id(network, source));
        let mut finding = self.finding(network, daily, source, known);
        if let Some(name) = &self.overruled {
            let note =
                format!("suppression {name} covers it, but chains and breaches of the policy are told nevertheless");
            if !finding.uncertain.is_empty() {
                finding.uncertain.push_str("; ");
            }
            finding.uncertain.push_str(&note);
        }
        finding
    }
}
