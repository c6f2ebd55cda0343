//! Stage `correlate`: signals of all partitions in, findings, incidents and rounds out. One at a time in the whole system: the
//! topic of signals has one partition. What people say of findings is put among the signals, and taken in only from there, so
//! that it comes at the same place again after a restart.

use super::controls::{self, Applied, Mailbox};
use super::counters::CorrelateCounters;
use super::detect::{Signals, is_of, record};
use super::health::Working;
use super::messages::{FindingMessage, IncidentMessage};
use super::snapshots::{Found, Snapshots, generation, say_notes};
use super::{Runtime, Stop};
use crate::feedback;
use crate::findings::{WITHDRAWN, origin::of_service};
use anyhow::Context as _;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tradewind_detect::Settings;
use tradewind_detect::snapshot::{Snapshot, SnapshotError, SnapshotWriter, decode, decode_first};
use tradewind_detect::stream::{Correlator, Correlator4, Output};
use tradewind_model::{Finding, Incident, Provenance, RecordedControl, Severity};
use tradewind_storage::Lake;
use tradewind_transport::{
    Batch, Consumer, Event, Inputs, Outgoing, Producer, Record, Start, Subscription, TopicPartition,
};

const STAGE: &str = "correlate";
/// How long the end waits for a snapshot to be written.
const LAST_SNAPSHOT_MAX: Duration = Duration::from_secs(5);
/// How long a poll waits for signals.
const POLL: Duration = Duration::from_millis(100);
/// Findings that are remembered so that they can be withdrawn.
const REMEMBERED_MAX: usize = 1_000;

/// What a snapshot holds.
struct Restored {
    correlator: Correlator,
    /// Next offset to read.
    signals: i64,
    told: BTreeMap<String, Finding>,
    /// Of the last finding: where the clock goes back, what comes is still later.
    recorded_time: i64,
    applied: Applied,
}

impl Restored {
    fn of(found: &Found, settings: &Settings, partitions: u32) -> Result<Self, SnapshotError> {
        if !Snapshot::is_one(&found.bytes) {
            // As version 4 wrote it, in one piece. Without what is last it can be gone on from.
            let ((correlator, signals), rest): ((Correlator4, i64), _) = decode_first(&found.bytes)?;
            let (told, recorded_time, applied) = decode(rest).unwrap_or_default();
            let correlator = correlator.restore(settings, partitions, i64::MIN)?;
            return Ok(Self { correlator, signals, told, recorded_time, applied });
        }
        let mut snapshot = Snapshot::read(&found.bytes)?;
        let mut correlator = Correlator::restore(&mut snapshot, settings, partitions, i64::MIN)?;
        if !found.is_own {
            correlator.join_anew();
        }
        let (signals, recorded_time) = snapshot.need("offsets", &[(1, decode)])?;
        let told = snapshot.take("told", &[(1, decode)])?.unwrap_or_default();
        let applied = snapshot.take("applied", &[(1, decode)])?.unwrap_or_default();
        say_notes(STAGE, snapshot.notes());
        Ok(Self { correlator, signals, told, recorded_time, applied })
    }
}

/// Runs until it is told to stop.
///
/// # Errors
/// Of the log, or of snapshots that cannot be read; the state is made again from the last snapshot. One that cannot be written is
/// told, and tried again.
pub(super) fn run(runtime: &Runtime, member: &str, stop: &Stop, working: &mut Working<'_>) -> anyhow::Result<()> {
    let lake = runtime.handle.block_on(Lake::open_or_create(runtime.lake.clone()))?;
    let partitions = runtime.flow_partitions()?;
    let generation = generation(&runtime.settings.detect, partitions);
    let mut consumer = runtime.log.consumer(&Subscription::Group {
        group: runtime.group("correlate"),
        member: member.to_owned(),
        topics: vec![runtime.topics.signals.clone()],
    })?;
    if let Some(suppressions) = &runtime.suppressions {
        runtime.handle.block_on(feedback::sync(&lake, suppressions, runtime.clock.now()))?;
    }
    let mut stage = Stage {
        runtime,
        producer: runtime.log.producer(&runtime.producer("correlate", member))?,
        snapshots: Snapshots::open(&lake, &runtime.handle, generation.clone())?,
        generation,
        partitions: u32::try_from(partitions).unwrap_or(1),
        at: None,
        recorded_time: 0,
        provenance: of_service(&runtime.settings.detect)?,
        mailbox: Mailbox::new(&lake, &runtime.handle),
        lake: lake.clone(),
    };
    loop {
        if stop.is_set() {
            stage.snapshots.wait(LAST_SNAPSHOT_MAX, &runtime.health, STAGE);
            stage.snapshot(Duration::ZERO);
            stage.snapshots.wait(LAST_SNAPSHOT_MAX, &runtime.health, STAGE);
            return Ok(());
        }
        stage.step(&mut *consumer)?;
        working.step(false);
    }
}

/// The state while the partition of signals is this process's.
struct At {
    correlator: Correlator,
    signals: i64,
    told: BTreeMap<String, Finding>,
    applied: Applied,
    /// What was made of signals before this one is in the log already.
    committed: i64,
    snapshot: Instant,
    has_changed: bool,
}

impl At {
    /// Takes in what was said of findings, once. What cannot be read is left out, here as after every restart: it must not
    /// stop detection.
    fn control(&mut self, record: &Record, counters: &CorrelateCounters) {
        let said: RecordedControl = match serde_json::from_slice(&record.value) {
            Ok(said) => said,
            Err(error) => {
                counters.controls_rejected.add(1);
                tracing::warn!(%error, "a control among the signals cannot be read, and is left out");
                return;
            }
        };
        if !self.applied.insert(&said) {
            return;
        }
        let (action, id) = (said.action.as_str(), &said.control_id);
        let is_taken = feedback::control_of(&said).is_some_and(|control| self.correlator.control(control, said.time));
        if is_taken {
            counters.controls.add(1);
            tracing::info!(action, control = %id, "taken in");
        } else {
            counters.controls_rejected.add(1);
            tracing::warn!(action, control = %id, "not taken in: it says too little, or too many wait for their time");
        }
    }

    /// Keeps a finding that was told, for the case that it is withdrawn.
    fn remember(&mut self, finding: &Finding) {
        self.told.insert(finding.finding_id.clone(), finding.clone());
        if self.told.len() > REMEMBERED_MAX {
            let oldest = self.told.values().min_by_key(|finding| finding.last_seen);
            let oldest = oldest.map(|finding| finding.finding_id.clone()).unwrap_or_default();
            self.told.remove(&oldest);
        }
    }
}

struct Stage<'a> {
    runtime: &'a Runtime,
    producer: Box<dyn Producer>,
    snapshots: Snapshots,
    generation: String,
    partitions: u32,
    at: Option<At>,
    recorded_time: i64,
    /// What findings are made of, but for the time since when flows were judged.
    provenance: Provenance,
    mailbox: Mailbox,
    lake: Lake,
}

impl Stage<'_> {
    fn step(&mut self, consumer: &mut dyn Consumer) -> anyhow::Result<()> {
        match consumer.poll(POLL)? {
            Event::Batch(batch) => self.take(consumer, &batch)?,
            Event::Assigned(partitions) => {
                for partition in partitions {
                    let at = self.restore(&partition)?;
                    consumer.seek(&partition, Start::At(at.signals))?;
                    self.at = Some(at);
                    // What was brought to another one may not have come so far.
                    self.mailbox = Mailbox::new(&self.lake, &self.runtime.handle);
                }
            }
            Event::Revoked(_) => self.at = None,
            Event::Idle => {}
        }
        self.bring_controls()?;
        self.snapshot(Duration::from_secs(self.runtime.settings.detection.snapshot_s));
        let failed = self.snapshots.ended(&self.runtime.health, STAGE).iter().any(|ended| ended.written.is_none());
        if let Some(at) = self.at.as_mut().filter(|_| failed) {
            at.has_changed = true;
        }
        Ok(())
    }

    fn restore(&mut self, partition: &TopicPartition) -> anyhow::Result<At> {
        let log = &self.runtime.log;
        let (first, _) = log.range(partition)?;
        let committed = log.committed(&self.runtime.group("correlate"), std::slice::from_ref(partition))?;
        let committed = committed.first().copied().flatten().unwrap_or(first);
        let settings = &self.runtime.settings.detect;
        let found = self.snapshots.get(STAGE)?;
        let restored = found.map(|found| Restored::of(&found, settings, self.partitions)).transpose();
        let restored = restored.unwrap_or_else(|error| {
            tracing::warn!(of = STAGE, %error, "a snapshot cannot be used; everything is learnt anew from the log");
            None
        });
        let (correlator, signals, told, applied) = match restored {
            Some(state) => {
                tracing::info!(signals = state.signals, committed, "detection goes on from a snapshot");
                self.recorded_time = self.recorded_time.max(state.recorded_time);
                (state.correlator, state.signals.max(first), state.told, state.applied)
            }
            None => {
                let correlator = Correlator::new(settings.clone(), self.partitions, i64::MIN)?;
                (correlator, first, BTreeMap::new(), Applied::default())
            }
        };
        Ok(At { correlator, signals, told, applied, committed, snapshot: Instant::now(), has_changed: false })
    }

    /// Puts what was said of findings among the signals. What is there twice, because this was killed in between, counts once.
    fn bring_controls(&mut self) -> anyhow::Result<()> {
        let Some(at) = &self.at else { return Ok(()) };
        let now = self.runtime.clock.now();
        let mut outgoing = Vec::new();
        for control in self.mailbox.take(&at.applied) {
            let to = TopicPartition::new(self.runtime.topics.signals.as_str(), 0);
            outgoing.push(Outgoing { to, record: controls::record(&control, now)? });
        }
        if !outgoing.is_empty() {
            self.producer.write(outgoing, None)?;
        }
        let rejected = self.mailbox.take_rejected();
        if rejected > 0 {
            self.runtime.counters.correlate.controls_rejected.add(rejected);
            tracing::warn!(rejected, "rows of table controls cannot be taken in, and are left out");
        }
        Ok(())
    }

    fn take(&mut self, consumer: &dyn Consumer, batch: &Batch) -> anyhow::Result<()> {
        let Some(at) = &mut self.at else { return Ok(()) };
        let now = self.runtime.clock.now();
        let mut outgoing = Vec::new();
        let counters = &self.runtime.counters.correlate;
        let next = at.signals;
        for received in batch.records.iter().filter(|received| received.offset >= next) {
            let mut made = Vec::new();
            if controls::is_control(&received.record) {
                at.control(&received.record, counters);
            } else if is_of(&received.record, &self.generation) {
                let message: Signals =
                    postcard::from_bytes(&received.record.value).context("a message of signals cannot be read")?;
                counters.signals.add(message.signals.len() as u64);
                for signal in message.signals {
                    let outputs = at.correlator.signal(message.partition, signal)?;
                    self.provenance.replay_from = at.correlator.since();
                    for output in outputs {
                        match output {
                            Output::Round(round) => {
                                let value = postcard::to_stdvec(&round).context("failed to encode a round")?;
                                let to = TopicPartition::new(self.runtime.topics.rounds.as_str(), 0);
                                made.push(Outgoing { to, record: record(value, &self.generation, now) });
                            }
                            Output::Finding(finding) => {
                                at.remember(&finding);
                                let last = &mut self.recorded_time;
                                made.push(Self::finding(self.runtime, last, *finding, &self.provenance, now)?);
                            }
                            Output::Withdrawn { finding_id } => {
                                if let Some(finding) = at.told.remove(&finding_id) {
                                    let (last, finding) = (&mut self.recorded_time, withdrawn(finding));
                                    made.push(Self::finding(self.runtime, last, finding, &self.provenance, now)?);
                                }
                            }
                        }
                    }
                }
            }
            for incident in at.correlator.take_incidents() {
                made.push(Self::incident(self.runtime, &mut self.recorded_time, incident, now)?);
            }
            // What was committed before is there already, exactly so.
            if received.offset >= at.committed {
                outgoing.extend(made);
            }
        }
        at.signals = batch.next;
        at.has_changed = true;
        if batch.next > at.committed {
            let findings = outgoing.iter().filter(|made| *made.to.topic == *self.runtime.topics.findings).count();
            let _span = tracing::info_span!("correlate.write", messages = outgoing.len(), findings).entered();
            let inputs = Inputs { next: vec![(batch.from.clone(), batch.next)] };
            self.producer.write(outgoing, Some((&inputs, &consumer.membership())))?;
            counters.findings.add(findings as u64);
            at.committed = batch.next;
        }
        Ok(())
    }

    fn finding(
        runtime: &Runtime,
        last: &mut i64,
        finding: Finding,
        provenance: &Provenance,
        now: i64,
    ) -> anyhow::Result<Outgoing> {
        // Two updates of one finding must be told apart by their time.
        *last = now.max(*last + 1);
        let key = Bytes::copy_from_slice(finding.finding_id.as_bytes());
        let message = FindingMessage { recorded_time: *last, finding, provenance: provenance.clone() };
        let value = serde_json::to_vec(&message).context("failed to encode a finding")?;
        let record = Record { key: Some(key), headers: Vec::new(), value: value.into(), timestamp: now };
        Ok(Outgoing { to: TopicPartition::new(runtime.topics.findings.as_str(), 0), record })
    }

    fn incident(runtime: &Runtime, last: &mut i64, incident: Incident, now: i64) -> anyhow::Result<Outgoing> {
        *last = now.max(*last + 1);
        let key = Bytes::copy_from_slice(incident.incident_id.as_bytes());
        let message = IncidentMessage { recorded_time: *last, incident };
        let value = serde_json::to_vec(&message).context("failed to encode an incident")?;
        let record = Record { key: Some(key), headers: Vec::new(), value: value.into(), timestamp: now };
        Ok(Outgoing { to: TopicPartition::new(runtime.topics.incidents.as_str(), 0), record })
    }

    /// Begins to write a snapshot where one is due.
    fn snapshot(&mut self, every: Duration) {
        let is_writing = self.snapshots.is_writing();
        let is_due = |at: &&mut At| at.has_changed && at.snapshot.elapsed() >= every && !is_writing;
        let Some(at) = self.at.as_mut().filter(is_due) else { return };
        let mut writer = SnapshotWriter::default();
        at.correlator.save(&mut writer);
        writer.add("offsets", 1, &(at.signals, self.recorded_time));
        writer.add("told", 1, &at.told);
        writer.add("applied", 1, &at.applied);
        self.snapshots.begin(STAGE, at.signals, writer.finish(), tracing::Span::none());
        at.snapshot = Instant::now();
        at.has_changed = false;
    }
}

/// A finding that was told early, and that what came later explains.
fn withdrawn(finding: Finding) -> Finding {
    let title = format!("{WITHDRAWN}{}", finding.title);
    let uncertain = "it was told before all flows of its time were in, and these explain it".to_owned();
    Finding { severity: Severity::Informational, title, uncertain, ..finding }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::feedback::Said;
    use tradewind_detect::Settings;
    use tradewind_model::{ControlAction, ControlOrigin, Scope};

    #[test]
    fn a_control_that_cannot_be_read_is_counted_and_stops_nothing() {
        let correlator = Correlator::new(Settings::default(), 1, i64::MIN).unwrap();
        let (told, applied) = (BTreeMap::new(), Applied::default());
        let mut at =
            At { correlator, signals: 0, told, applied, committed: 0, snapshot: Instant::now(), has_changed: false };
        let said = |action, name: Option<&str>, now| {
            Said {
                action,
                finding_id: None,
                name: name.map(str::to_owned),
                scope: Scope::default(),
                until: None,
                time: 0,
                author: String::new(),
                reason: None,
                origin: ControlOrigin::Command,
            }
            .record(now)
        };
        let lift = controls::record(&said(ControlAction::Lift, Some("a"), 1), 1).unwrap();
        let too_little = controls::record(&said(ControlAction::Accept, None, 2), 1).unwrap();
        let torn = Record { value: lift.value.slice(..9), ..lift.clone() };
        let counters = CorrelateCounters::default();
        for (record, taken, rejected) in [(&lift, 1, 0), (&torn, 1, 1), (&too_little, 1, 2), (&lift, 1, 2)] {
            at.control(record, &counters);
            assert_eq!((counters.controls.get(), counters.controls_rejected.get()), (taken, rejected));
        }
    }
}
