//! Flows in one line, for tables of tests: `SRC > DST 443/tcp GET /path enc=mtls dst_ip=1.2.3.4`.

use tradewind_model::protocol;
use tradewind_policy::{Compiled, Decision, EntityLabels, FlowView, Syntax, load};

/// Reads a flow. Entities may be short: `ai/agent/bot` is `prod/ai/agent/bot`. `?` means not seen.
pub(crate) fn flow(text: &str) -> FlowView<'_> {
    let mut flow = FlowView { is_src_dst_assignment_known: true, ..FlowView::default() };
    for (index, word) in text.split_whitespace().enumerate() {
        let seen = |text: &'_ str| (text != "?").then(|| text.to_owned());
        match (index, word.split_once('=')) {
            (0, _) => flow.src_entity = word,
            (1, _) => assert_eq!(word, ">", "{text}"),
            (2, _) => flow.dst_entity = word,
            (3, _) => {
                let (port, name) = word.split_once('/').unwrap();
                flow.dst_port = seen(port).map(|port| port.parse().unwrap());
                flow.protocol_num =
                    seen(name).map(|name| (0..=255).find(|number| protocol::name(*number) == Some(&*name)).unwrap());
            }
            (_, Some(("enc", value))) => flow.encryption = Some(value),
            (_, Some(("src_ip", value))) => flow.src_ip = Some(value),
            (_, Some(("dst_ip", value))) => flow.dst_ip = Some(value),
            (_, Some(("src_port", value))) => flow.src_port = Some(value.parse().unwrap()),
            (_, None) if word == "unoriented" => flow.is_src_dst_assignment_known = false,
            (_, None) if word.starts_with('/') => flow.resource = Some(word),
            (_, None) => flow.operation = Some(word),
            _ => panic!("{text}"),
        }
    }
    flow
}

pub(crate) fn compile(toml: &str) -> Compiled {
    load(&[("policy.toml", toml, Syntax::Toml)], EntityLabels::default()).unwrap_or_else(|error| panic!("{error}"))
}

/// Verdict, rule and reason in one line.
pub(crate) fn told(decision: &Decision<'_>) -> String {
    let reason = serde_json::to_value(decision.reason).unwrap();
    format!("{} {} {}", decision.verdict.as_str(), decision.rule, reason.as_str().unwrap())
}
