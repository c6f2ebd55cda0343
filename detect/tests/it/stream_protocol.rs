//! The messages of the two stages one by one: what is told early, gaps, repetition, idle inputs, restored states.

use crate::kept::{kept_correlator, kept_partition};
use crate::simulation::{Flow, START, WINDOW, takeover};
use tradewind_detect::Settings;
use tradewind_detect::stream::{Correlator, Output, Partition, Round, Signal, StreamError};
use tradewind_model::Finding;

/// One partition and its correlator.
struct Pair {
    partition: Partition,
    correlator: Correlator,
    signals: Vec<Signal>,
    rounds: Vec<Round>,
    findings: Vec<Finding>,
    withdrawn: Vec<String>,
}

/// Microseconds at which a window begins.
const fn begin(window: i64) -> i64 {
    START + window * WINDOW
}

impl Pair {
    fn new() -> Self {
        let settings = Settings::default();
        Self {
            partition: Partition::new(&settings, usize::MAX).unwrap(),
            correlator: Correlator::new(settings, 1, i64::MIN).unwrap(),
            signals: Vec::new(),
            rounds: Vec::new(),
            findings: Vec::new(),
            withdrawn: Vec::new(),
        }
    }

    /// Lets messages go to and fro until there are none.
    fn settle(&mut self, mut signals: Vec<Signal>) {
        while !signals.is_empty() {
            let mut answers = Vec::new();
            for signal in signals {
                self.signals.push(signal.clone());
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

    fn flow(&mut self, flow: &Flow) {
        let mut signals = Vec::new();
        self.partition.event(&flow.event(), &mut signals);
        self.settle(signals);
    }

    fn watermark(&mut self, raw: &str, time: i64) {
        let mut signals = Vec::new();
        self.partition.watermark(raw, time, &mut signals);
        self.settle(signals);
    }

    fn idle(&mut self, raw: &str) {
        let mut signals = Vec::new();
        self.partition.idle(raw, &mut signals);
        self.settle(signals);
    }

    /// A network that is known, all of it closed; the next window is 40.
    fn trained() -> Self {
        let mut pair = Self::new();
        takeover(40, 100).iter().for_each(|flow| pair.flow(flow));
        pair.watermark("a", begin(40) - 1);
        assert_eq!(pair.findings, []);
        pair
    }

    fn closed(&self) -> Vec<i64> {
        let start = START / WINDOW;
        let closed = |round: &Round| if let Round::Closed { window, .. } = round { Some(window - start) } else { None };
        self.rounds.iter().filter_map(closed).collect()
    }
}

fn intruder(window: i64) -> Flow {
    Flow::new(window, 20, "agent/support-bot", "service/payments", 8443)
}

#[test]
fn what_cannot_wait_is_told_before_its_window_opens() {
    let mut pair = Pair::trained();
    // Far ahead of what is complete: a breach and a new destination.
    let breach = Flow { is_breach: true, ..Flow::new(45, 20, "service/s1", "service/s2", 8080) };
    pair.flow(&breach);
    assert_eq!(pair.findings.len(), 1);
    assert_eq!((pair.findings[0].behaviour.as_str(), pair.findings[0].time), ("policy", breach.time));
    pair.flow(&intruder(44));
    assert_eq!(pair.findings.len(), 2);
    assert_eq!((pair.findings[1].behaviour.as_str(), pair.findings[1].severity.as_str()), ("destination", "medium"));
    assert_eq!(pair.partition.statistics().held, 2);
    // Each is told once, whatever else comes of it.
    pair.flow(&breach);
    pair.flow(&intruder(44));
    pair.flow(&intruder(46));
    assert_eq!(pair.findings.len(), 2);
    pair.watermark("a", i64::MAX);
    let ids = |findings: &[Finding]| findings.iter().map(|finding| finding.finding_id.clone()).collect::<Vec<_>>();
    let (mut early, mut late) = (ids(&pair.findings[..2]), ids(&pair.findings[2..]));
    early.sort();
    late.sort();
    late.dedup();
    assert_eq!(early, late);
    assert_eq!((pair.withdrawn.len(), pair.partition.statistics().held), (0, 0));
    assert_eq!(pair.closed()[40..], [44, 45, 46]);
}

#[test]
fn what_an_earlier_flow_explains_is_withdrawn() {
    let mut pair = Pair::trained();
    pair.flow(&intruder(46));
    pair.flow(&intruder(44));
    let told: Vec<i64> = pair.findings.iter().map(|finding| finding.first_seen).collect();
    assert_eq!(told, [begin(46), begin(44)]);
    pair.watermark("a", i64::MAX);
    assert_eq!(pair.withdrawn, [pair.findings[0].finding_id.clone()]);
    let last = pair.findings.last().unwrap();
    assert_eq!((last.finding_id.as_str(), last.window_count), (pair.findings[1].finding_id.as_str(), 2));
}

#[test]
fn what_opens_is_observed_as_it_comes() {
    let mut pair = Pair::trained();
    pair.flow(&intruder(40));
    assert_eq!((pair.findings.len(), pair.partition.statistics().held), (1, 0));
    pair.flow(&intruder(40));
    pair.flow(&intruder(39));
    assert_eq!(pair.partition.statistics().late, 1);
    pair.watermark("a", begin(41) - 2);
    assert_eq!(pair.findings.len(), 1);
    pair.watermark("a", begin(41) - 1);
    assert_eq!((pair.findings.len(), pair.findings[1].flow_count), (2, 2));
}

#[test]
fn the_slowest_input_that_is_not_idle_decides() {
    let mut pair = Pair::new();
    pair.watermark("a", begin(0));
    pair.watermark("b", i64::MIN);
    pair.flow(&Flow::new(1, 0, "service/s1", "service/s2", 443));
    pair.flow(&Flow::new(3, 0, "service/s1", "service/s2", 443));
    pair.watermark("a", begin(9));
    assert!(pair.closed().is_empty());
    pair.watermark("b", begin(2));
    assert_eq!(pair.closed(), [1]);
    pair.idle("b");
    assert_eq!(pair.closed(), [1, 3]);
    // It comes back: what it has of windows that are complete is late.
    pair.watermark("b", begin(5));
    pair.flow(&Flow::new(6, 0, "service/s1", "service/s2", 443));
    assert_eq!(pair.partition.statistics().late, 1);
    pair.flow(&Flow::new(9, 0, "service/s1", "service/s2", 443));
    pair.idle("a");
    pair.watermark("b", begin(10));
    assert_eq!(pair.closed(), [1, 3, 9]);
    pair.idle("b");
    assert_eq!(pair.closed(), [1, 3, 9]);
}

#[test]
fn repetition_changes_nothing() {
    let mut pair = Pair::trained();
    pair.flow(&intruder(41));
    pair.watermark("a", begin(42));
    let (partition, correlator) = (pair.partition.clone(), pair.correlator.clone());
    let mut out = Vec::new();
    for round in pair.rounds.clone() {
        pair.partition.round(round, &mut out).unwrap();
    }
    assert_eq!(out, []);
    for signal in pair.signals.clone() {
        assert_eq!(pair.correlator.signal(0, signal).unwrap(), []);
    }
    assert_eq!(format!("{:?}", pair.partition.statistics()), format!("{:?}", partition.statistics()));
    assert_eq!(pair.correlator.statistics(), correlator.statistics());
}

fn is_gap<T>(result: Result<T, StreamError>) -> bool {
    matches!(result, Err(StreamError::Gap { .. }))
}

#[test]
fn a_gap_is_an_error_and_leaves_the_state_as_it_was() {
    let mut pair = Pair::trained();
    pair.flow(&intruder(41));
    let (partition, correlator) = (pair.partition.clone(), pair.correlator.clone());
    let (signals, rounds) = (pair.signals.len(), pair.rounds.len());
    pair.watermark("a", i64::MAX);
    // Each message is needed but for notices and the opening of a window.
    let mut gaps = 0;
    for missing in rounds..pair.rounds.len() {
        let mut partition = partition.clone();
        let mut out = Vec::new();
        partition.watermark("a", i64::MAX, &mut out);
        for (place, round) in pair.rounds.iter().enumerate().skip(rounds).filter(|(place, _)| *place != missing) {
            let before = kept_partition(&partition, &Settings::default(), usize::MAX);
            let result = partition.round(round.clone(), &mut out);
            if place == missing + 1 {
                assert!(is_gap(result.clone()), "without {:?} {result:?}", pair.rounds[missing]);
                partition = before;
                partition.round(pair.rounds[missing].clone(), &mut out).unwrap();
                partition.round(round.clone(), &mut out).unwrap();
                gaps += 1;
            }
        }
    }
    assert_eq!(gaps, 2);
    let mut correlator = correlator;
    let report = pair.signals.iter().rposition(|signal| matches!(signal, Signal::Report { .. })).unwrap();
    let progress = pair.signals.iter().rposition(|signal| matches!(signal, Signal::Progress { .. })).unwrap();
    assert!(progress >= signals);
    assert!(is_gap(correlator.signal(0, pair.signals[report].clone())));
    let mut fresh = Correlator::new(Settings::default(), 1, i64::MIN).unwrap();
    assert!(is_gap(fresh.signal(0, pair.signals[progress].clone())));
    let unknown = StreamError::Partition { partition: 1, partitions: 1 };
    assert_eq!(fresh.signal(1, pair.signals[progress].clone()), Err(unknown));
}

#[test]
fn a_restored_stage_goes_on_byte_for_byte() {
    let mut pair = Pair::new();
    let mut flows = takeover(12, 8);
    flows.sort_by_key(|flow| flow.time);
    // What each stage is fed with, and after each input all that it said.
    let mut fed: Vec<(Result<Flow, i64>, usize)> = Vec::new();
    for (place, flow) in flows.iter().enumerate() {
        fed.push((Ok(flow.clone()), 0));
        if place % 100 == 99 {
            fed.push((Err(flow.time - WINDOW / 3), 0));
        }
    }
    fed.push((Err(i64::MAX), 0));
    for (input, said) in &mut fed {
        match input {
            Ok(flow) => pair.flow(flow),
            Err(time) => pair.watermark("a", *time),
        }
        *said = pair.signals.len();
    }
    let mut correlator = Correlator::new(Settings::default(), 1, i64::MIN).unwrap();
    let mut expected: Vec<Vec<u8>> = Vec::new();
    let mut states = Vec::new();
    for signal in &pair.signals {
        states.push(kept_correlator(&correlator, &Settings::default(), 1, i64::MIN));
        expected.push(postcard::to_stdvec(&correlator.signal(0, signal.clone()).unwrap()).unwrap());
    }
    for cut in (0..states.len()).step_by(states.len() / 7) {
        let mut restored = states[cut].clone();
        for (signal, expected) in pair.signals[cut..].iter().zip(&expected[cut..]) {
            assert_eq!(&postcard::to_stdvec(&restored.signal(0, signal.clone()).unwrap()).unwrap(), expected);
        }
    }
    for cut in [1, 7, fed.len() / 2, fed.len() * 3 / 4] {
        let mut again = Pair::new();
        for (place, (input, said)) in fed.iter().enumerate() {
            if place == cut {
                again.partition = kept_partition(&again.partition, &Settings::default(), usize::MAX);
                again.correlator = kept_correlator(&again.correlator, &Settings::default(), 1, i64::MIN);
            }
            match input {
                Ok(flow) => again.flow(flow),
                Err(time) => again.watermark("a", *time),
            }
            assert_eq!(again.signals.len(), *said);
        }
        assert_eq!(postcard::to_stdvec(&again.signals).unwrap(), postcard::to_stdvec(&pair.signals).unwrap());
        assert_eq!(again.findings, pair.findings);
    }
}

#[test]
fn extreme_times_do_not_panic() {
    let mut pair = Pair::new();
    let flow = |time| Flow { time, is_breach: true, ..Flow::new(0, 0, "service/s1", "service/s2", 443) };
    for time in [i64::MAX, 0, i64::MIN, i64::MAX - 1] {
        pair.flow(&flow(time));
    }
    for time in [i64::MIN, i64::MIN + 1, 0, i64::MAX - 1, i64::MAX] {
        pair.watermark("a", time);
    }
    pair.flow(&flow(i64::MAX));
    let statistics = pair.partition.statistics();
    assert_eq!((statistics.events, statistics.late, statistics.held), (5, 1, 0));
    assert_eq!(pair.correlator.statistics().windows, 3);
}
