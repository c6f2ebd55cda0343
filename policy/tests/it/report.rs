//! The report of a period.

use crate::flow_text::{compile, flow};
use tradewind_policy::{Observation, Report};

#[test]
fn the_report_counts_each_thing_once() {
    let compiled = compile(
        r#"
version = 1
defaults = { service = "allow" }
[[policy]]
name = "bot"
subject = "ai/bot"
[[policy.allow]]
name = "tickets"
to = ["shop/tickets"]
require_mtls = true
[[policy.allow]]
name = "never"
to = ["shop/never"]
"#,
    );
    let mut report = Report::new(&compiled.set);
    for (text, count, first_seen, outcome) in [
        ("p/ai/agent/bot > p/shop/service/tickets 443/tcp enc=mtls", 5, 10, "allowed"),
        ("p/ai/agent/bot > p/shop/service/tickets 443/tcp enc=none", 2, 30, "allowed"),
        ("p/ai/agent/bot > p/shop/service/tickets 443/tcp", 1, 40, "allowed"),
        ("p/ai/agent/bot > p/pay/service/api 443/tcp GET /cards", 3, 20, "allowed"),
        ("p/ai/agent/bot > p/pay/service/api 443/tcp GET /keys", 4, 5, "denied"),
        ("p/ai/agent/stray > p/pay/service/api 443/tcp", 100, 7, "allowed"),
        ("p/ai/agent/stray > p/pay/service/api 80/tcp", 100, 8, "failed"),
        ("p/ai/agent/stray > p/ai/agent/bot 80/tcp", 1, 9, "failed"),
        ("p/shop/service/a > p/shop/service/b 80/tcp", 1000, 8, "allowed"),
    ] {
        let flow = flow(text);
        report.add(&Observation { flow, count, first_seen, last_seen: first_seen + 1, outcome: Some(outcome) });
    }
    let summary = report.summary();
    let flows: Vec<_> = summary.flows.iter().map(|(verdict, count)| (*verdict, *count)).collect();
    assert_eq!(flows, [("allowed", 1005), ("denied", 210), ("unknown", 1)]);
    let lines = |edges: &[tradewind_policy::report::Edge]| -> Vec<String> {
        let line = |edge: &tradewind_policy::report::Edge| {
            let tally = &edge.tally;
            format!(
                "{} > {} {} {}x {}..{} {:?} {:?}",
                edge.src_entity,
                edge.dst_entity,
                edge.rule,
                tally.count,
                tally.first_seen,
                tally.last_seen,
                tally.outcomes,
                tally.requests
            )
        };
        edges.iter().map(line).collect()
    };
    assert_eq!(
        lines(&summary.violations),
        [
            "p/ai/agent/bot > p/pay/service/api bot/none/initiate 7x 5..21 {\"allowed\": 3, \"denied\": 4} [\"GET /cards\", \
             \"GET /keys\"]",
            // Bot has a policy, which does not let stray in.
            "p/ai/agent/stray > p/ai/agent/bot default/agent/initiate 1x 9..10 {\"failed\": 1} []",
        ]
    );
    assert_eq!(
        lines(&summary.plaintext),
        ["p/ai/agent/bot > p/shop/service/tickets bot/tickets 2x 30..31 {\"allowed\": 2} []"]
    );
    assert_eq!(
        lines(&summary.unknown),
        ["p/ai/agent/bot > p/shop/service/tickets bot/tickets 1x 40..41 {\"allowed\": 1} []"]
    );
    let agents: Vec<_> =
        summary.agents_without_policy.iter().map(|agent| (&*agent.entity, agent.edges, agent.tally.count)).collect();
    assert_eq!(agents, [("p/ai/agent/stray", 3, 201)]);
    let unused: Vec<_> = summary.unused_rules.iter().map(|rule| (&*rule.rule, rule.line)).collect();
    assert_eq!(unused, [("bot/never", 11)]);
    let json = serde_json::to_value(&summary).unwrap();
    assert_eq!(json["violations"][0]["count"], 7);
    assert_eq!(json["violations"][0]["reason"], "no_rule");
}
