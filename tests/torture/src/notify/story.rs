//! What the service is told: findings and incidents as stage `correlate` writes them into the log, made from a seed, each line with
//! its time. An incident has one to six findings that come one after the other, some grow, and it ends; now and then a state comes
//! late. Who writes the lines is not known here.

use crate::random::Random;
use serde_json::{Value, json};
use std::time::Duration;

/// Findings of an incident at most.
const FINDINGS_MAX: u64 = 6;
const SEVERITIES: [&str; 4] = ["low", "medium", "high", "critical"];
/// Text that a log may hold.
const HOSTILE: &str =
    "\"quoted\" <script>alert(1)</script> {{ 7*7 }}\r\nx: y\t\u{0}\u{7}\u{202e} \u{2028} \\ 東京 😀 <!channel>";

/// Topics that are told to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Topic {
    Findings,
    Incidents,
}

/// A line of a topic, at its time.
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// Since the beginning.
    pub(super) at: Duration,
    pub(super) topic: Topic,
    incident: usize,
    step: usize,
}

/// What an incident says at one time.
#[derive(Clone, Debug)]
struct Step {
    /// Findings that it has.
    findings: usize,
    state: &'static str,
    /// Flows of it, which grow from step to step.
    flows: i64,
}

#[derive(Clone, Debug)]
struct Incident {
    id: String,
    severity: &'static str,
    title: String,
    findings: Vec<String>,
    steps: Vec<Step>,
}

/// All that is told.
#[derive(Clone, Debug)]
pub(super) struct Story {
    incidents: Vec<Incident>,
    /// In the order of their times.
    pub(super) lines: Vec<Line>,
}

impl Story {
    /// So many findings within this time.
    pub(super) fn new(findings: u64, seed: u64, time: Duration) -> Self {
        let mut random = Random::new(seed, "story");
        let mut story = Self { incidents: Vec::new(), lines: Vec::new() };
        let mut left = findings;
        while left > 0 {
            let count = random.between(1, FINDINGS_MAX).min(left);
            left -= count;
            story.add(count, seed, time, &mut random);
        }
        story.lines.sort_by_key(|line| line.at);
        story
    }

    fn add(&mut self, count: u64, seed: u64, time: Duration, random: &mut Random) {
        let number = self.incidents.len();
        let id = format!("{:032x}", (u128::from(seed) << 64) | number as u128);
        let title = match random.percent(10) {
            true => format!("agent {HOSTILE} contacts payments:443"),
            false => format!("agent planner-{number} contacts payments:443 for the first time"),
        };
        let findings: Vec<String> = (0..count).map(|place| format!("{id}-{place:02}")).collect();
        let mut steps = Vec::new();
        let mut flows = 0;
        let mut step = |findings: usize, state: &'static str, random: &mut Random| {
            flows += i64::try_from(random.between(1, 50)).unwrap_or(1);
            steps.push(Step { findings, state, flows });
        };
        for place in 0..findings.len() {
            step(place + 1, "open", random);
            if random.percent(20) {
                step(place + 1, "open", random);
            }
        }
        step(findings.len(), if random.percent(10) { "dismissed" } else { "resolved" }, random);
        if random.percent(3) {
            step(findings.len(), "open", random);
        }
        // One after the other, from a random beginning on, so that all are told within the time.
        let span = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let gap = (span / 2 / steps.len() as u64).max(10);
        let mut at = random.below(span / 2 + 1);
        for place in 0..steps.len() {
            at += random.between(gap / 10, gap);
            let (findings_at, incident_at) = if random.percent(5) { (at + 300, at) } else { (at, at + 40) };
            let line = |topic, at| Line { at: Duration::from_millis(at), topic, incident: number, step: place };
            self.lines.push(line(Topic::Findings, findings_at));
            self.lines.push(line(Topic::Incidents, incident_at));
        }
        let severity = random.choice(&SEVERITIES);
        self.incidents.push(Incident { id, severity, title, findings, steps });
    }

    pub(super) fn incidents(&self) -> usize {
        self.incidents.len()
    }

    /// Ids of all findings.
    pub(super) fn findings(&self) -> impl Iterator<Item = &String> {
        self.incidents.iter().flat_map(|incident| &incident.findings)
    }

    /// What a line says at this time, microseconds since 1970.
    pub(super) fn text(&self, line: &Line, now: i64) -> String {
        let incident = &self.incidents[line.incident];
        let step = &incident.steps[line.step];
        match line.topic {
            Topic::Findings => incident.finding(step, now),
            Topic::Incidents => incident.state(step, now),
        }
        .to_string()
    }
}

impl Incident {
    /// The newest finding of a step, as it stands.
    fn finding(&self, step: &Step, now: i64) -> Value {
        let id = &self.findings[step.findings - 1];
        let entity = format!("prod/shop/agent/{id}");
        let observation = json!({
            "detector": "destination", "src_entity": entity, "dst_entity": "prod/shop/service/payments", "dst_port": 443,
            "observed": "first contact", "expected": "none", "p_value": 1e-7,
        });
        let finding = json!({
            "finding_id": id, "time": now, "first_seen": now - 300_000_000, "last_seen": now - 1_000_000, "entity": entity,
            "entity_kind": "agent", "behaviour": "destination", "severity": self.severity, "title": self.title,
            "observed": format!("{} flows in 1 window", step.flows), "expected": "never before",
            "baseline_since": now - 86_400_000_000_i64, "flow_count": step.flows, "window_count": 1, "p_value": 1e-7,
            "risk_score": 6.0, "technique": "T1021", "uncertain": "", "evidence_query": "SELECT 1",
            "observations": [observation], "detector_version": 4,
        });
        json!({ "recorded_time": now, "finding": finding })
    }

    fn state(&self, step: &Step, now: i64) -> Value {
        let incident = json!({
            "incident_id": self.id, "state": step.state, "opened": now - 1_000_000, "updated": now,
            "resolved": (step.state != "open").then_some(now), "severity": self.severity, "title": self.title,
            "findings": self.findings[..step.findings], "entities": ["prod/shop/agent/planner"], "flow_count": step.flows,
        });
        json!({ "recorded_time": now, "incident": incident })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{HashMap, HashSet};

    #[test]
    fn each_finding_is_told_before_the_end_of_its_incident() {
        let story = Story::new(1_000, 7, Duration::from_secs(20));
        let all: HashSet<&String> = story.findings().collect();
        assert_eq!(all.len(), 1_000);
        let mut last: HashMap<String, i64> = HashMap::new();
        let mut over = HashSet::new();
        for line in story.lines.iter().filter(|line| line.topic == Topic::Incidents) {
            let said: Value = serde_json::from_str(&story.text(line, 1)).unwrap_or_default();
            let incident = &said["incident"];
            let id = incident["incident_id"].as_str().unwrap_or_default().to_owned();
            let flows = incident["flow_count"].as_i64().unwrap_or_default();
            assert!(last.insert(id.clone(), flows).is_none_or(|before| before < flows));
            if incident["state"] != "open" {
                let of = &story.incidents[line.incident];
                assert_eq!(incident["findings"].as_array().map(Vec::len), Some(of.findings.len()));
                over.insert(id);
            }
        }
        assert_eq!(over.len(), story.incidents());
        assert!(story.lines.windows(2).all(|pair| pair[0].at <= pair[1].at));
        assert!(story.lines.last().is_some_and(|line| line.at < Duration::from_secs(22)));
    }

    #[test]
    fn the_seed_decides() {
        let text = |seed| {
            let story = Story::new(50, seed, Duration::from_secs(1));
            story.lines.iter().map(|line| story.text(line, 1)).collect::<String>()
        };
        assert_eq!(text(1), text(1));
        assert_ne!(text(1), text(2));
    }
}
