//! What documents mean: one flow against one policy.

use crate::flow_text::{compile, flow, told};
use tradewind_policy::{EntityLabels, Syntax, load};

fn check(policy: &str, cases: &[(&str, &str)]) {
    let compiled = compile(policy);
    for (text, expected) in cases {
        assert_eq!(told(&compiled.set.check_one(&flow(text))), *expected, "{text}");
    }
}

/// An agent that may read tickets; everybody else is governed by defaults that allow.
const AGENT: &str = r#"
version = 1
defaults = { service = "allow", host = "allow", unknown = "allow" }
[[policy]]
name = "bot"
subject = { kind = "agent", name = "ai/bot" }
[[policy.allow]]
name = "tickets"
to = ["shop/tickets"]
ports = ["443/tcp", "8000-8010"]
operations = ["GET", "Post"]
resources = ["/v1/tickets/*"]
[[policy.allow]]
name = "payments"
to = ["pay/*"]
protocols = ["tcp"]
require_mtls = true
[[policy.allow]]
name = "model"
to = [{ cidr = "203.0.113.0/24", except = ["203.0.113.7"] }]
"#;

#[test]
fn rules_allow_and_the_rest_is_denied() {
    let bot = "p/ai/agent/bot >";
    let case = |rest: &str| format!("{bot} {rest}");
    let cases = [
        ("p/shop/service/tickets 443/tcp GET /v1/tickets/7", "allowed bot/tickets rule"),
        ("p/shop/service/tickets 8005/udp post /v1/tickets/7", "allowed bot/tickets rule"),
        ("p/shop/service/tickets 443/udp GET /v1/tickets/7", "denied bot/none/initiate no_rule"),
        ("p/shop/service/tickets 8011/tcp GET /v1/tickets/7", "denied bot/none/initiate no_rule"),
        ("p/shop/service/tickets 443/tcp DELETE /v1/tickets/7", "denied bot/none/initiate no_rule"),
        ("p/shop/service/tickets 443/tcp GET /v1/tickets/7/notes", "denied bot/none/initiate no_rule"),
        ("p/shop/service/tickets 443/tcp GET /v1/tickets/..", "denied bot/none/initiate no_rule"),
        ("p/shop/service/orders 443/tcp GET /v1/tickets/7", "denied bot/none/initiate no_rule"),
        ("p/x/service/tickets 443/tcp GET /v1/tickets/7", "denied bot/none/initiate no_rule"),
    ]
    .map(|(text, expected)| (case(text), expected));
    let cases: Vec<_> = cases.iter().map(|(text, expected)| (text.as_str(), *expected)).collect();
    check(AGENT, &cases);
}

#[test]
fn what_was_not_seen_leaves_the_verdict_open() {
    check(
        AGENT,
        &[
            ("p/ai/agent/bot > p/shop/service/tickets 443/tcp", "unknown bot/tickets operation_not_seen"),
            ("p/ai/agent/bot > p/shop/service/tickets 443/tcp GET", "unknown bot/tickets resource_not_seen"),
            ("p/ai/agent/bot > p/shop/service/tickets ?/tcp GET /v1/tickets/7", "unknown bot/tickets port_not_seen"),
            ("p/ai/agent/bot > p/shop/service/tickets 22/tcp", "denied bot/none/initiate no_rule"),
            ("p/ai/agent/bot > p/shop/service/tickets ?/icmp GET /v1/tickets/7", "denied bot/none/initiate no_rule"),
        ],
    );
}

#[test]
fn mutual_tls_is_required_where_it_says_so() {
    check(
        AGENT,
        &[
            ("p/ai/agent/bot > p/pay/service/api 443/tcp enc=mtls", "allowed bot/payments rule"),
            ("p/ai/agent/bot > p/pay/service/api 443/tcp enc=tls", "denied bot/payments mtls_required"),
            ("p/ai/agent/bot > p/pay/service/api 443/tcp enc=wireguard", "denied bot/payments mtls_required"),
            ("p/ai/agent/bot > p/pay/service/api 443/tcp", "unknown bot/payments encryption_not_seen"),
            ("p/ai/agent/bot > p/pay/service/api 443/udp enc=tls", "denied bot/none/initiate no_rule"),
        ],
    );
}

#[test]
fn address_ranges_take_only_what_has_no_better_name() {
    check(
        AGENT,
        &[
            ("p/ai/agent/bot > -/-/external/model 443/tcp dst_ip=203.0.113.9", "allowed bot/model rule"),
            ("p/ai/agent/bot > -/-/external/model 443/tcp dst_ip=203.0.113.7", "denied bot/none/initiate no_rule"),
            ("p/ai/agent/bot > -/-/external/model 443/tcp dst_ip=198.51.100.1", "denied bot/none/initiate no_rule"),
            ("p/ai/agent/bot > -/-/external/model 443/tcp", "unknown bot/model address_not_seen"),
            ("p/ai/agent/bot > -/-/unknown/x 443/tcp dst_ip=203.0.113.9", "allowed bot/model rule"),
            ("p/ai/agent/bot > p/a/service/x 443/tcp dst_ip=203.0.113.9", "denied bot/none/initiate no_rule"),
        ],
    );
}

#[test]
fn ends_without_a_policy_fall_to_their_default() {
    check(
        AGENT,
        &[
            ("p/ai/agent/other > p/shop/service/tickets 443/tcp", "denied default/agent/initiate no_policy"),
            ("p/shop/service/a > p/ai/agent/other 443/tcp", "denied default/agent/receive no_policy"),
            ("p/shop/service/a > p/shop/service/b 443/tcp", "allowed default/service/initiate default_allow"),
            ("p/shop/service/a > p/ai/agent/bot 443/tcp", "denied bot/none/receive no_rule"),
            ("odd > p/shop/service/b 443/tcp", "allowed default/unknown/initiate default_allow"),
        ],
    );
    check(
        "version = 1",
        &[
            ("p/shop/service/a > p/shop/service/b 443/tcp", "denied default/service/initiate no_policy"),
            ("-/-/external/a > p/shop/service/b 443/tcp", "denied default/service/receive no_policy"),
            ("-/-/external/a > -/-/external/b 443/tcp", "allowed default/external/initiate default_allow"),
            ("-/-/unknown/a > -/-/external/b 443/tcp", "denied default/unknown/initiate no_policy"),
            ("-/-/gadget/a > -/-/external/b 443/tcp", "denied default/unknown/initiate no_policy"),
        ],
    );
}

/// Both ends have policies; a third governs one direction only.
const BOTH: &str = r#"
version = 1
[[policy]]
name = "cart"
subject = "shop/cart"
[[policy.allow]]
name = "all"
to = ["*"]
[[policy.allow]]
name = "web"
from = ["shop/web"]
[[policy]]
name = "orders"
subject = "shop/orders"
[[policy.allow]]
name = "cart"
from = ["shop/cart"]
ports = [443]
[[policy]]
name = "web"
subject = "shop/web"
direction = "initiate"
[[policy.allow]]
to = [{ namespace = "shop" }]
"#;

#[test]
fn both_ends_must_allow() {
    check(
        BOTH,
        &[
            ("p/shop/service/cart > p/shop/service/orders 443/tcp", "allowed cart/all rule"),
            ("p/shop/service/cart > p/shop/service/orders 80/tcp", "denied orders/none/receive no_rule"),
            ("p/shop/service/cart > p/shop/service/orders ?/tcp", "unknown orders/cart port_not_seen"),
            ("p/shop/service/orders > p/shop/service/cart 443/tcp", "denied orders/none/initiate no_rule"),
            ("p/shop/service/web > p/shop/service/cart 443/tcp", "allowed web/allow-1 rule"),
            // The policy of web governs only what it initiates.
            ("p/shop/service/cart > p/shop/service/web 443/tcp", "denied default/service/receive no_policy"),
        ],
    );
}

#[test]
fn unknown_orientation_is_tried_both_ways() {
    let unoriented = |text: &str| format!("{text} unoriented");
    let cart = "p/shop/service/cart > p/shop/service/orders 443/tcp src_port=40000";
    let web = "p/shop/service/web > p/shop/service/orders 443/tcp src_port=40000";
    check(
        BOTH,
        &[
            (&unoriented(cart), "unknown cart/all orientation_unknown"),
            (&unoriented(web), "denied orders/none/receive no_rule"),
        ],
    );
}

#[test]
fn groups_include_groups_and_peers_say_both_directions() {
    check(
        r#"
version = 1
[[group]]
name = "clients"
members = [{ group = "shops" }, { cidr = "10.0.0.0/8" }]
[[group]]
name = "shops"
members = ["shop/*", { kind = "host", namespace = "branch" }]
[[policy]]
name = "shops"
subject = { group = "shops" }
[[policy.allow]]
name = "bus"
peers = ["data/bus"]
[[policy]]
name = "bus"
subject = { glob = "*/data/**" }
direction = "receive"
[[policy.allow]]
name = "clients"
peers = [{ group = "clients" }]
direction = "both"
"#,
        &[
            ("p/shop/service/a > p/data/service/bus 9092/tcp", "allowed shops/bus rule"),
            ("p/branch/host/a > p/data/service/bus 9092/tcp", "allowed shops/bus rule"),
            ("p/branch/service/a > p/data/service/bus 9092/tcp", "denied default/service/initiate no_policy"),
            ("-/-/external/a > p/data/service/bus 9092/tcp src_ip=10.1.1.1", "allowed bus/clients rule"),
            ("-/-/external/a > p/data/service/bus 9092/tcp src_ip=11.1.1.1", "denied bus/none/receive no_rule"),
            ("p/data/service/bus > p/shop/service/a 9092/tcp", "denied default/service/initiate no_policy"),
        ],
    );
}

#[test]
fn labels_come_from_outside() {
    let text = r#"
version: 1
defaults: { service: allow }
policy:
  - name: payments
    subject: { labels: { team: payments, tier: "*" } }
    allow:
      - from: [{ kind: service, labels: { role: "front*" } }]
        ports: [443/tcp]
"#;
    let mut labels = EntityLabels::default();
    for (entity, label, value) in [
        ("p/a/service/pay", "team", "payments"),
        ("p/a/service/pay", "tier", "1"),
        ("p/a/service/half", "team", "payments"),
        ("p/a/service/web", "role", "frontend"),
    ] {
        labels.insert(entity, label, value);
    }
    let compiled = load(&[("policy.yaml", text, Syntax::Yaml)], labels).unwrap();
    assert!(compiled.warnings.is_empty(), "{}", compiled.warnings);
    for (text, expected) in [
        ("p/a/service/web > p/a/service/pay 443/tcp", "allowed payments/allow-1 rule"),
        ("p/a/service/half > p/a/service/pay 443/tcp", "denied payments/none/receive no_rule"),
        ("p/a/service/x > p/a/service/half 443/tcp", "allowed default/service/initiate default_allow"),
    ] {
        assert_eq!(told(&compiled.set.check_one(&flow(text))), expected, "{text}");
    }
}
