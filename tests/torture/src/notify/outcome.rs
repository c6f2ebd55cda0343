//! What a run found, as it is told.

use super::NotifyArguments;
use super::ledger::Ledger;
use super::sinks::{PAGER, Sinks};
use super::story::Story;
use super::web::{Counts, lock};
use crate::process::{Program, tail};
use anyhow::{Context as _, bail};
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;

/// One receiver.
#[derive(Clone, Debug, Default, Serialize)]
struct Told {
    requests: u64,
    /// Requests that failed, by kind.
    faults: BTreeMap<String, u64>,
    /// Alerts that were taken in.
    taken: u64,
    /// Of those, how many said nothing new.
    repeated: u64,
    heartbeats: u64,
    /// Findings that are there.
    findings: usize,
    /// Incidents that were opened again after their end.
    opened_twice: u64,
    /// Incidents that were not opened, or did not end.
    unfinished: u64,
    disordered: u64,
    violations: u64,
    /// Messages that still wait, or were refused for good, as the outbox says.
    waiting: u64,
    refused: u64,
    examples: Vec<String>,
}

/// All of it.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Outcome {
    seed: u64,
    findings: u64,
    incidents: usize,
    /// Findings that are at every receiver; those that came after the end of their incident need not be at the pager, which would
    /// be woken again.
    delivered: usize,
    /// How many of these there are.
    late: usize,
    /// Incidents that the pager opened again after their end.
    opened_twice: u64,
    /// Incidents that the pager opened once and ended once.
    opened_and_resolved_once: u64,
    /// Alerts out of order, of all receivers.
    disordered: u64,
    requests: u64,
    /// Requests that failed.
    faults: u64,
    pub(super) kills: u64,
    pub(super) starts: u64,
    /// How long it took until all was there, once all was told, seconds.
    pub(super) drain_s: u64,
    pub(super) seconds: u64,
    sinks: BTreeMap<String, Told>,
    pub(super) troubles: Vec<String>,
}

impl Outcome {
    pub(super) fn new(arguments: &NotifyArguments, story: &Story, sinks: &Sinks) -> Self {
        let mut outcome = Self {
            seed: arguments.seed,
            findings: arguments.findings,
            incidents: story.incidents(),
            ..Self::default()
        };
        let file = sinks.file();
        outcome.late = story.findings().filter(|id| file.is_late(id)).count();
        let mut delivered: BTreeSet<String> = story.findings().cloned().collect();
        let mut note = |name: &str, ledger: &Ledger, counts: Option<&Counts>| {
            let arrived = ledger.arrived(story.findings());
            delivered.retain(|id| arrived.contains(id.as_str()) || (name == PAGER && file.is_late(id)));
            let of = |is_so: fn(u64, u64) -> bool| -> u64 {
                ledger
                    .states()
                    .iter()
                    .filter(|((opened, ended), _)| is_so(*opened, *ended))
                    .map(|(_, count)| count)
                    .sum()
            };
            let finished = of(|opened, ended| opened > 0 && ended > 0);
            if name == PAGER {
                outcome.opened_and_resolved_once = of(|opened, ended| opened == 1 && ended == 1);
                outcome.opened_twice = of(|opened, _| opened > 1);
            }
            let told = Told {
                requests: counts.map_or(0, |counts| counts.requests.load(Ordering::Relaxed)),
                faults: counts
                    .map(|counts| {
                        lock(&counts.faults).iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
                    })
                    .unwrap_or_default(),
                taken: ledger.taken,
                repeated: ledger.repeated,
                heartbeats: ledger.heartbeats,
                findings: arrived.len(),
                opened_twice: of(|opened, _| opened > 1),
                unfinished: (story.incidents() as u64).saturating_sub(finished),
                disordered: ledger.disordered,
                violations: ledger.violations,
                examples: ledger.examples.clone(),
                ..Told::default()
            };
            outcome.requests += told.requests;
            outcome.faults += told.faults.values().sum::<u64>();
            outcome.disordered += told.disordered;
            outcome.sinks.insert(name.to_owned(), told);
        };
        for (name, receiver) in &sinks.receivers {
            note(name, &lock(&receiver.ledger), Some(&receiver.counts));
        }
        note("file", &file, None);
        outcome.delivered = delivered.len();
        outcome
    }

    /// What the outbox says, where no process uses it.
    pub(super) fn look_into_outbox(&mut self, program: &Program) -> anyhow::Result<()> {
        let mut command = Command::new(&program.path);
        command.args(&program.arguments).envs(program.environment.iter().map(|(key, value)| (key, value)));
        let output = command.stdin(Stdio::null()).output().context("failed to start tradewind")?;
        let Ok(status) = serde_json::from_slice::<Value>(&output.stdout) else {
            bail!("`tradewind notify status` fails: {}", String::from_utf8_lossy(&output.stderr));
        };
        for (name, told) in &mut self.sinks {
            let count = |what: &str| status["sinks"][name][what].as_u64();
            match (count("waiting"), count("refused")) {
                (Some(waiting), Some(refused)) => (told.waiting, told.refused) = (waiting, refused),
                _ => self.troubles.push(format!("the outbox does not know {name}")),
            }
        }
        let log = tail(&program.log.with_file_name("notify.log"), usize::MAX);
        let panicked = log.lines().filter(|line| line.contains("panicked"));
        self.troubles.extend(panicked.map(str::to_owned));
        Ok(())
    }

    pub(super) fn is_right(&self) -> bool {
        let is_right = |told: &Told| {
            let wrong =
                [told.opened_twice, told.unfinished, told.disordered, told.violations, told.waiting, told.refused];
            wrong.iter().all(|&count| count == 0)
        };
        self.delivered as u64 == self.findings
            && self.opened_twice == 0
            && self.opened_and_resolved_once == self.incidents as u64
            && self.sinks.values().all(is_right)
            && self.troubles.is_empty()
    }

    /// # Errors
    /// When nobody reads it.
    pub(super) fn tell(&self, is_json: bool) -> anyhow::Result<()> {
        let text = if is_json { serde_json::to_string_pretty(self).context("failed to encode")? } else { self.text() };
        writeln!(std::io::stdout(), "{text}").context("failed to write the report")
    }

    fn text(&self) -> String {
        let mut lines = vec![
            format!(
                "seed {}: {} of {} findings are at every sink ({} came after the end of their incident); of {} incidents the pager opened {} twice, and {} once and to the \
                 end; {} alerts out of order",
                self.seed,
                self.delivered,
                self.findings,
                self.late,
                self.incidents,
                self.opened_twice,
                self.opened_and_resolved_once,
                self.disordered
            ),
            format!(
                "{} requests, {} failed; {} kills, {} starts; {} s, of which {} to the end of what waited",
                self.requests, self.faults, self.kills, self.starts, self.seconds, self.drain_s
            ),
        ];
        for (name, told) in &self.sinks {
            lines.push(format!(
                "  {name}: {} findings, {} alerts, {} of them again, {} unfinished, {} out of order, {} against the contract, {} \
                 wait, {} refused",
                told.findings,
                told.taken,
                told.repeated,
                told.unfinished,
                told.disordered,
                told.violations,
                told.waiting,
                told.refused
            ));
            lines.extend(told.examples.iter().map(|example| format!("    {example}")));
        }
        lines.extend(self.troubles.iter().map(|trouble| format!("  {trouble}")));
        lines.join("\n")
    }
}
