//! States that were written by an earlier version: they load, detection goes on with them, and what cannot be read is refused.
//!
//! The stream is made here and not by what other tests share: stored states hang on every flow of it.

use crate::kept::written;
use crate::simulation::{Flow, Random, START, WINDOW};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use tradewind_detect::snapshot::{Snapshot, SnapshotError, decode};
use tradewind_detect::stream::{Correlator, Correlator4, Output, Partition, Partition4, Round, Signal};
use tradewind_detect::{Control, Settings, Suppression};
use tradewind_model::{Finding, Outcome};

/// Windows of the stream.
const WINDOWS: i64 = 36;
/// Place of the input before which states were stored: in the middle of a window, while others are open or held.
const CUT: usize = 2_105;
/// Flows come in so long before what they came in after is complete, microseconds.
const LAG: i64 = WINDOW + WINDOW / 2;

/// What comes in.
#[derive(Clone, Debug)]
enum Input {
    Flow(Flow),
    Watermark(i64),
}

/// Twelve services that call each other; a scan, refusals and a breach before the cut; a takeover after it.
fn inputs() -> Vec<Input> {
    let mut flows = Vec::new();
    for window in 0..WINDOWS {
        for call in 0..72_i64 {
            let (source, step) = (call % 12, 1 + call % 3);
            let names = [format!("service/s{source}"), format!("service/s{}", (source + step) % 12)];
            let mut flow = Flow::new(window, call * 4, &names[0], &names[1], 8080);
            flow.bytes = 1000 + (call * 131 + window * 77) % 500;
            if (call * 31 + window * 17) % 97 == 0 {
                flow.outcome = Outcome::Failed;
            }
            flows.push(flow);
        }
        let monitor = Flow::new(window, 33, "agent/monitor", &format!("service/s{}", window % 12), 9090);
        flows.push(monitor);
    }
    for port in 0..40 {
        let scan = Flow::new(20, 100 + port, "service/s5", "service/s6", 1000 + i32::try_from(port).unwrap());
        flows.push(Flow { outcome: Outcome::Failed, ..scan });
    }
    for second in [50, 60] {
        flows.push(Flow { is_breach: true, ..Flow::new(24, second, "service/s1", "service/s2", 8080) });
    }
    for call in 0..20 {
        flows.push(Flow::new(31, 20 + call * 5, "agent/monitor", "service/payments", 8443));
        flows.push(Flow::new(32, 40 + call, "service/payments", "service/vault", 22));
    }
    for port in 0..40 {
        let scan = Flow::new(31, 110 + port, "service/s7", "service/s8", 2000 + i32::try_from(port).unwrap());
        flows.push(Flow { outcome: Outcome::Failed, ..scan });
    }
    for second in [55, 65] {
        flows.push(Flow { is_breach: true, ..Flow::new(30, second, "service/s2", "service/s4", 8080) });
    }
    for call in 0..900 {
        flows.push(Flow::new(33, call % 300, "service/s3", "service/s4", 8080));
    }
    flows.sort_by(|one, other| (one.time, &one.src, one.port).cmp(&(other.time, &other.src, other.port)));
    let mut inputs = Vec::new();
    for (place, flow) in flows.into_iter().enumerate() {
        let time = flow.time;
        inputs.push(Input::Flow(flow));
        if place % 50 == 49 {
            inputs.push(Input::Watermark(time - LAG));
        }
    }
    inputs.push(Input::Watermark(i64::MAX));
    inputs
}

/// A partition and its correlator, with what they say.
struct Pair {
    partition: Partition,
    correlator: Correlator,
    rounds: Vec<Round>,
    findings: Vec<Finding>,
    withdrawn: Vec<String>,
}

impl Pair {
    fn of(partition: Partition, correlator: Correlator) -> Self {
        Self { partition, correlator, rounds: Vec::new(), findings: Vec::new(), withdrawn: Vec::new() }
    }

    fn new() -> Self {
        let settings = Settings::default();
        let mut correlator = Correlator::new(settings.clone(), 1, i64::MIN).unwrap();
        let suppression = Suppression {
            name: "patch day".to_owned(),
            entity: Some("service/s9".to_owned()),
            destination: None,
            port: None,
            behaviour: None,
            until: START + 30 * WINDOW,
        };
        assert!(correlator.control(Control::Suppress(suppression), START + 10 * WINDOW));
        Self::of(Partition::new(&settings, usize::MAX).unwrap(), correlator)
    }

    fn closed(&self) -> Vec<i64> {
        let closed = |round: &Round| if let Round::Closed { window, .. } = round { Some(*window) } else { None };
        self.rounds.iter().filter_map(closed).collect()
    }

    fn feed(&mut self, inputs: &[Input]) {
        for input in inputs {
            let mut signals = Vec::new();
            match input {
                Input::Flow(flow) => self.partition.event(&flow.event(), &mut signals),
                Input::Watermark(time) => self.partition.watermark("raw/0", *time, &mut signals),
            }
            self.settle(signals);
        }
    }

    fn settle(&mut self, mut signals: Vec<Signal>) {
        while !signals.is_empty() {
            let mut answers = Vec::new();
            for signal in signals {
                for output in self.correlator.signal(0, signal).unwrap() {
                    match output {
                        Output::Round(round) => {
                            self.rounds.push(round.clone());
                            self.partition.round(round, &mut answers).unwrap();
                        }
                        Output::Finding(finding) => self.findings.push(*finding),
                        Output::Withdrawn { finding_id } => self.withdrawn.push(finding_id),
                    }
                }
            }
            signals = answers;
        }
    }
}

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(place(name)).unwrap()
}

fn place(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// Findings by id, the last word on each, of those that were not withdrawn.
fn last(pairs: &[&Pair]) -> BTreeMap<String, Finding> {
    let mut last = BTreeMap::new();
    for pair in pairs {
        last.extend(pair.findings.iter().map(|finding| (finding.finding_id.clone(), finding.clone())));
        pair.withdrawn.iter().for_each(|finding_id| drop(last.remove(finding_id)));
    }
    last
}

/// A run of the whole stream that never stopped, and one up to the cut.
fn unstopped() -> (Pair, Pair) {
    let inputs = inputs();
    let (mut whole, mut begun) = (Pair::new(), Pair::new());
    whole.feed(&inputs);
    begun.feed(&inputs[..CUT]);
    (whole, begun)
}

/// What goes on after the cut finds what a run finds that never stopped.
fn check(mut again: Pair) {
    let (whole, begun) = unstopped();
    again.feed(&inputs()[CUT..]);
    let behaviours = |pair: &Pair| pair.findings.iter().map(|finding| finding.behaviour.clone()).collect::<Vec<_>>();
    assert_eq!(behaviours(&begun), ["scan", "scan", "policy", "policy"]);
    assert!(again.findings.len() >= 4, "{:?}", behaviours(&again));
    assert_eq!(last(&[&begun, &again]), last(&[&whole]));
    assert_eq!(again.partition.statistics(), whole.partition.statistics());
    assert_eq!(again.correlator.statistics(), whole.correlator.statistics());
    // The states are the same, too, but for what is counted in the protocol.
    let windows = |pair: &Pair| pair.correlator.statistics().windows;
    assert_eq!(windows(&again), windows(&whole));
}

fn of_version_4(settings: &Settings) -> Pair {
    let partition: Partition4 = decode(&fixture("partition-4.bin")).unwrap();
    let correlator: Correlator4 = decode(&fixture("correlator-4.bin")).unwrap();
    Pair::of(partition.restore(settings, usize::MAX).unwrap(), correlator.restore(settings, 1, i64::MIN).unwrap())
}

/// As a snapshot is read, and what is said of it.
fn read(partition: &[u8], correlator: &[u8], settings: &Settings) -> Result<(Pair, Vec<String>), SnapshotError> {
    let (mut edges, mut entities) = (Snapshot::read(partition)?, Snapshot::read(correlator)?);
    let partition = Partition::restore(&mut edges, settings, usize::MAX)?;
    let correlator = Correlator::restore(&mut entities, settings, 1, i64::MIN)?;
    let mut notes = edges.notes();
    notes.extend(entities.notes());
    Ok((Pair::of(partition, correlator), notes))
}

#[test]
fn a_state_of_version_4_is_gone_on_with() {
    check(of_version_4(&Settings::default()));
}

#[test]
fn a_state_of_version_5_is_gone_on_with() {
    let (partition, correlator) = (fixture("partition-5.bin"), fixture("correlator-5.bin"));
    let (pair, _) = read(&partition, &correlator, &Settings::default()).unwrap();
    check(pair);
}

#[test]
fn both_sides_may_join_anew() {
    let (_, mut begun) = unstopped();
    begun.partition.join_anew();
    begun.correlator.join_anew();
    check(Pair::of(begun.partition, begun.correlator));
}

/// The states are of different times: one side is so many inputs behind the other.
#[test]
fn one_side_may_be_behind_the_other() {
    let inputs = inputs();
    let (whole, _) = unstopped();
    for behind in [1_usize, 60, 150, 400] {
        for is_partition in [true, false] {
            let (mut early, mut late) = (Pair::new(), Pair::new());
            early.feed(&inputs[..CUT - behind]);
            late.feed(&inputs[..CUT]);
            let (partition, correlator) = match is_partition {
                true => (early.partition, late.correlator),
                false => (late.partition, early.correlator),
            };
            let from = if is_partition { CUT - behind } else { CUT };
            let mut again = Pair::of(partition, correlator);
            again.partition.join_anew();
            again.correlator.join_anew();
            again.feed(&inputs[from..]);
            // Windows that one side closed and the other did not are judged once or not at all, and those after them are.
            let closed: Vec<i64> = again.closed();
            assert!(closed.is_sorted_by(|one, other| one < other), "{closed:?}");
            assert_eq!(closed.last(), whole.closed().last(), "{behind} behind");
            let found = |pair: &Pair| {
                let of = |finding: &Finding| (finding.entity.clone(), finding.behaviour.clone());
                let late = pair.findings.iter().filter(|finding| finding.time >= START + 30 * WINDOW);
                late.map(of).collect::<BTreeSet<_>>()
            };
            assert_eq!(found(&again), found(&whole), "{behind} behind");
        }
    }
}

#[test]
fn thresholds_and_detectors_may_change_in_between() {
    let (_, begun) = unstopped();
    let partition = written(|writer| begun.partition.save(writer));
    let correlator = written(|writer| begun.correlator.save(writer));
    let mut settings = Settings { p_value_max: 1e-7, ..Settings::default() };
    settings.volume.is_enabled = false;
    settings.protocol.is_enabled = true;
    settings.decision.findings_per_day = 1;
    let (mut again, notes) = read(&partition, &correlator, &settings).unwrap();
    assert_eq!(notes, ["edges.uses is not in the snapshot, and begins empty"]);
    again.feed(&inputs()[CUT..]);
    let behaviours: BTreeSet<&str> = again.findings.iter().map(|finding| finding.behaviour.as_str()).collect();
    assert_eq!(behaviours, ["policy"].into(), "one scan was told already, and floods are not looked for");
}

#[test]
fn what_makes_states_differ_in_meaning_is_refused() {
    let (_, begun) = unstopped();
    let partition = written(|writer| begun.partition.save(writer));
    let correlator = written(|writer| begun.correlator.save(writer));
    let is_other = |result: Result<(), SnapshotError>| matches!(result, Err(SnapshotError::Other { .. }));
    let minute = Settings { window_s: 60, ..Settings::default() };
    assert!(is_other(read(&partition, &correlator, &minute).map(drop)));
    let restore = |partitions, train_until| {
        let mut snapshot = Snapshot::read(&correlator).unwrap();
        Correlator::restore(&mut snapshot, &Settings::default(), partitions, train_until).map(drop)
    };
    assert!(restore(1, i64::MIN).is_ok());
    assert!(is_other(restore(2, i64::MIN)));
    assert!(is_other(restore(1, 0)));
    let old: Correlator4 = decode(&fixture("correlator-4.bin")).unwrap();
    assert!(is_other(old.restore(&minute, 1, i64::MIN).map(drop)));
}

/// States of version 4 have no checksum of their own: where they lie has one.
#[test]
fn a_damaged_state_of_version_4_does_no_harm() {
    let (partition, correlator) = (fixture("partition-4.bin"), fixture("correlator-4.bin"));
    let mut random = Random(5);
    let settings = Settings::default();
    let mut refused = 0;
    for turn in 0..2_000 {
        let mut bytes = [partition.clone(), correlator.clone()];
        for bytes in &mut bytes {
            let place = random.below(bytes.len());
            match turn % 3 {
                0 => bytes.truncate(place),
                1 => bytes[place] ^= 1 << random.below(8),
                _ => bytes[place] = 0xff,
            }
        }
        let edges = decode::<Partition4>(&bytes[0]).and_then(|old| old.restore(&settings, usize::MAX));
        let entities = decode::<Correlator4>(&bytes[1]).and_then(|old| old.restore(&settings, 1, i64::MIN));
        refused += usize::from(edges.is_err()) + usize::from(entities.is_err());
    }
    assert!(refused > 1_400, "{refused}");
}

#[test]
#[ignore = "writes the states that later versions must be able to read"]
fn write_states() {
    let (_, begun) = unstopped();
    std::fs::write(place("partition-5.bin"), written(|writer| begun.partition.save(writer))).unwrap();
    std::fs::write(place("correlator-5.bin"), written(|writer| begun.correlator.save(writer))).unwrap();
}
