//! The check of batches: the same answers as flow by flow, whatever is remembered.

use crate::flow_text::compile;
use crate::oracle::Oracle;
use proptest::prelude::*;
use tradewind_model::FlowBatch;
use tradewind_model::flow::{
    DECLARED_POLICY_VERSION, DECLARED_RULE, DECLARED_VERDICT, DST_ENTITY, DST_IP, DST_PORT, ENCRYPTION,
    IS_SRC_DST_ASSIGNMENT_KNOWN, OPERATION, PROTOCOL_NUM, RESOURCE, SRC_ENTITY, SRC_IP, SRC_PORT,
};
use tradewind_policy::{Compiled, FlowView, PolicyScratch, Syntax, parse};

const ENTITIES: [&str; 8] = [
    "p/ai/agent/bot",
    "p/ai/agent/stray",
    "p/shop/service/a",
    "p/shop/service/b",
    "p/pay/service/a",
    "p/pay/host/h",
    "-/-/external/x",
    "-/-/unknown/y",
];
const PEERS: [&str; 9] = [
    "\"*\"",
    "\"shop/*\"",
    "\"a\"",
    "\"ai/bot\"",
    "{ kind = \"host\" }",
    "{ namespace = \"pay\" }",
    "{ cidr = \"10.0.0.0/9\", except = [\"10.0.0.0/31\"] }",
    "{ group = \"g\" }",
    "{ group = \"h\" }",
];
const ADDRESSES: [&str; 5] = ["10.0.0.1", "10.0.0.2", "10.200.0.1", "::1", "no address"];

/// A policy document from small choices.
fn policy() -> impl Strategy<Value = String> {
    let rule = (
        prop::sample::select(vec!["to", "from", "peers"]),
        prop::collection::vec(prop::sample::select(PEERS.to_vec()), 1..3),
        prop::sample::select(vec![
            "",
            "ports = [443]",
            "ports = [\"80-443/tcp\"]",
            "ports = [\"icmp\"]",
            "protocols = [\"udp\"]",
        ]),
        prop::sample::select(vec!["", "operations = [\"GET\"]", "resources = [\"/a/*\", \"/b/**\"]"]),
        prop::sample::select(vec!["", "require_mtls = true"]),
    );
    let rule = rule.prop_map(|(key, peers, ports, application, mtls)| {
        format!("[[policy.allow]]\n{key} = [{}]\n{ports}\n{application}\n{mtls}\n", peers.join(", "))
    });
    let subject = prop::sample::subsequence(PEERS[..6].to_vec(), 0..4);
    let directions = prop::collection::vec(prop::sample::select(vec!["initiate", "receive", "both", "both"]), 4);
    let action = || prop::sample::select(vec!["allow", "deny"]);
    (subject, directions, prop::collection::vec(prop::collection::vec(rule, 0..4), 4), action(), action()).prop_map(
        |(subjects, directions, rules, service, unknown)| {
            let mut text = format!(
                "version = 1\ndefaults = {{ service = \"{service}\", unknown = \"{unknown}\" }}\n[[group]]\nname = \
                 \"g\"\nmembers = [\"shop/b\", {{ cidr = \"10.0.0.2\" }}, {{ group = \"h\" }}]\n[[group]]\nname = \
                 \"h\"\nmembers = [{{ kind = \"agent\" }}]\n"
            );
            for (index, ((subject, direction), rules)) in subjects.iter().zip(directions).zip(rules).enumerate() {
                text += &format!("[[policy]]\nname = \"p{index}\"\nsubject = {subject}\ndirection = \"{direction}\"\n");
                text += &rules.concat();
            }
            text
        },
    )
}

fn flow() -> impl Strategy<Value = FlowView<'static>> {
    let maybe = |values: &[&'static str]| prop::option::of(prop::sample::select(values.to_vec()));
    let entity = || prop::sample::select(ENTITIES.to_vec());
    let port = || prop::option::of(prop::sample::select(vec![53_i64, 80, 443, 40_000, 70_000, -1]));
    (
        (entity(), entity(), maybe(&ADDRESSES), maybe(&ADDRESSES), port(), port()),
        prop::option::of(prop::sample::select(vec![1_i64, 6, 17, 300])),
        maybe(&["GET", "get", "PUT"]),
        maybe(&["/a/1", "/a/1/2", "/b/1/2", "/b/../c"]),
        maybe(&["mtls", "tls", "none"]),
        any::<bool>(),
    )
        .prop_map(
            |(
                (src_entity, dst_entity, src_ip, dst_ip, src_port, dst_port),
                protocol_num,
                operation,
                resource,
                encryption,
                is_known,
            )| {
                FlowView {
                    src_entity,
                    dst_entity,
                    src_ip,
                    dst_ip,
                    src_port,
                    dst_port,
                    protocol_num,
                    operation,
                    resource,
                    encryption,
                    is_src_dst_assignment_known: is_known,
                }
            },
        )
}

fn batch(flows: &[FlowView<'_>]) -> FlowBatch {
    let mut batch = FlowBatch::default();
    for flow in flows {
        for (column, text) in [
            (SRC_ENTITY, Some(flow.src_entity)),
            (DST_ENTITY, Some(flow.dst_entity)),
            (SRC_IP, flow.src_ip),
            (DST_IP, flow.dst_ip),
            (OPERATION, flow.operation),
            (RESOURCE, flow.resource),
            (ENCRYPTION, flow.encryption),
        ] {
            text.into_iter().for_each(|text| batch.set_text(column, text));
        }
        let is_known = Some(i64::from(flow.is_src_dst_assignment_known));
        for (column, number) in [
            (SRC_PORT, flow.src_port),
            (DST_PORT, flow.dst_port),
            (PROTOCOL_NUM, flow.protocol_num),
            (IS_SRC_DST_ASSIGNMENT_KNOWN, is_known),
        ] {
            number.into_iter().for_each(|number| batch.set_num(column, number));
        }
        batch.end_row();
    }
    batch
}

fn check_batch(compiled: &Compiled, flows: &[FlowView<'_>], scratch: &mut PolicyScratch) {
    let mut batch = batch(flows);
    compiled.set.check(&mut batch, scratch);
    for (row, flow) in flows.iter().enumerate() {
        let decision = compiled.set.check_one(flow);
        let found = (batch.text(DECLARED_VERDICT).get(row), batch.text(DECLARED_RULE).get(row));
        assert_eq!(found, (Some(decision.verdict.as_str()), Some(decision.rule)), "{flow:?}");
        assert_eq!(batch.num(DECLARED_POLICY_VERSION).get(row), Some(compiled.set.version()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn batches_are_checked_as_single_flows_are_and_these_as_specified(
        documents in (policy(), policy()),
        batches in prop::collection::vec(prop::collection::vec(flow(), 0..40), 3),
    ) {
        let mut scratch = PolicyScratch::default();
        // One memory through several batches and a change of policy.
        let compiled = [compile(&documents.0), compile(&documents.1)];
        let oracle = Oracle::new(parse("policy.toml", &documents.0, Syntax::Toml).unwrap());
        for flow in batches.iter().flatten() {
            let expected = oracle.check(flow);
            let decision = compiled[0].set.check_one(flow);
            prop_assert_eq!((decision.verdict, decision.rule.to_owned()), expected, "{:?} under {}", flow, documents.0);
        }
        for (index, flows) in batches.iter().enumerate() {
            check_batch(&compiled[usize::from(index == 2)], flows, &mut scratch);
        }
    }
}

#[test]
fn columns_that_were_filled_before_are_replaced() {
    let flows = [FlowView { src_entity: ENTITIES[0], dst_entity: ENTITIES[2], ..FlowView::default() }];
    let mut batch = batch(&flows);
    let mut scratch = PolicyScratch::default();
    let first = compile("version = 1\n[[policy]]\nname = \"a\"\nsubject = \"x\"\nallow = [{ to = [\"*\"] }]\n");
    let second = compile("version = 1");
    for compiled in [first, second] {
        compiled.set.check(&mut batch, &mut scratch);
        assert_eq!(batch.text(DECLARED_RULE).get(0), Some("default/agent/initiate"));
        assert_eq!(batch.num(DECLARED_POLICY_VERSION).get(0), Some(compiled.set.version()));
    }
}
