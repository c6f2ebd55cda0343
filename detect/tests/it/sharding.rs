//! Results do not depend on how edges are spread over shards: to the last bit.

use crate::evaluation::{TRAIN_UNTIL, event, read};
use crate::simulation::{Flow, Random, converse, takeover};
use tradewind_detect::{Engine, FlowEvent, ProtocolSettings, Settings};
use tradewind_model::Outcome;
use tradewind_testkit::shared;

/// Everything an engine says, as text: `Debug` of a number shows every bit of it.
fn said<'a>(shards: usize, train_until: i64, events: impl Iterator<Item = FlowEvent<'a>>) -> (usize, Vec<String>) {
    let settings = Settings { protocol: ProtocolSettings { is_enabled: true }, ..Settings::default() };
    let mut engine = Engine::with_shards(settings, shards).unwrap();
    engine.keep_edge_scores();
    engine.train_until(train_until);
    let mut findings: Vec<_> = events.flat_map(|event| engine.observe(&event)).collect();
    findings.extend(engine.finish());
    let mut lines: Vec<String> = findings.iter().map(|finding| format!("{finding:?}")).collect();
    lines.extend(engine.take_scores().iter().map(|score| format!("{score:?}")));
    lines.extend(engine.take_edge_scores().iter().map(|score| format!("{score:?}")));
    lines.push(format!("{:?}", engine.statistics()));
    (findings.len(), lines)
}

fn check<'a, I: Iterator<Item = FlowEvent<'a>>>(train_until: i64, events: impl Fn() -> I, findings_min: usize) {
    let (findings, expected) = said(1, train_until, events());
    assert!(findings >= findings_min, "{findings} findings");
    for shards in [4, 16] {
        let (_, lines) = said(shards, train_until, events());
        let differing = lines.iter().zip(&expected).find(|(one, other)| one != other);
        assert!(differing.is_none(), "{shards} shards: {differing:?}");
        assert_eq!(lines.len(), expected.len(), "{shards} shards");
    }
}

/// Floods, refusals, odd sizes, scans and breaches in a network that changes all the time.
fn busy() -> Vec<Flow> {
    let mut random = Random(5);
    let mut flows = takeover(40, 30);
    for flow in &mut flows {
        flow.bytes = 1000 + random.below(4000) as i64;
        flow.outcome = if random.below(50) == 0 { Outcome::Failed } else { flow.outcome };
    }
    for window in 10..40 {
        for call in 0..20 {
            let (source, destination) = (random.below(40), random.below(40));
            let mut flow =
                Flow::new(window, call * 10, &format!("service/s{source}"), &format!("service/s{destination}"), 443);
            flow.outcome = [Outcome::Allowed, Outcome::Denied, Outcome::Failed][random.below(3)];
            flow.bytes = random.below(1_000_000) as i64;
            flow.is_breach = random.below(20) == 0;
            flows.push(flow);
        }
    }
    flows.extend((0..3000).map(|call| Flow::new(33, call % 300, "service/s3", "service/s4", 8080)));
    flows.extend((0..60).map(|port| Flow::new(36, port, "service/s5", "service/s6", port as i32)));
    flows.sort_by_key(|flow| flow.time);
    converse(&mut flows, &mut random);
    flows
}

#[test]
fn a_made_up_stream() {
    let flows = busy();
    check(i64::MIN, || flows.iter().map(Flow::event), 10);
}

#[test]
fn labelled_flows() {
    let Some(path) = shared("eval/hybrid/flows.csv.gz") else { return };
    let rows = read(&path);
    check(TRAIN_UNTIL, || rows.iter().map(event), 13);
}
