//! States that were written by an earlier version: they load, detection goes on with them, and what cannot be read is refused.
//!
//! The stream is made here and not by what other tests share: stored states hang on every flow of it.

use crate::simulation::{Flow, START, WINDOW};
use std::path::PathBuf;
use tradewind_detect::stream::{Correlator, Output, Partition, Round, Signal};
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
    said: Vec<Signal>,
    rounds: Vec<Round>,
    findings: Vec<Finding>,
    withdrawn: Vec<String>,
}

impl Pair {
    fn of(partition: Partition, correlator: Correlator) -> Self {
        Self {
            partition,
            correlator,
            said: Vec::new(),
            rounds: Vec::new(),
            findings: Vec::new(),
            withdrawn: Vec::new(),
        }
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
                self.said.push(signal.clone());
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

fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

#[test]
#[ignore = "writes the states that other versions must be able to read"]
fn write_states() {
    let inputs = inputs();
    let mut pair = Pair::new();
    pair.feed(&inputs[..CUT]);
    eprintln!("{} inputs, {:?} {:?}", inputs.len(), pair.partition.statistics(), pair.correlator.statistics());
    let mut rest = Pair::new();
    rest.feed(&inputs);
    for finding in &rest.findings {
        eprintln!("{} {} {} {}", finding.entity, finding.behaviour, finding.title, finding.time);
    }
    eprintln!("{}", pair.findings.len());
    std::fs::write(fixture("partition-4.bin"), postcard::to_stdvec(&pair.partition).unwrap()).unwrap();
    std::fs::write(fixture("correlator-4.bin"), postcard::to_stdvec(&pair.correlator).unwrap()).unwrap();
}
