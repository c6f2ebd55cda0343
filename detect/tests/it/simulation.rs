//! Seeded streams of flows whose truth is known, and a random generator that gives the same numbers everywhere.

use tradewind_detect::{Conversation, Engine, FlowEvent};
use tradewind_model::{Finding, Outcome};

pub(crate) const WINDOW: i64 = 300_000_000;
/// 2026-01-01T00:00:00Z.
pub(crate) const START: i64 = 1_767_225_600_000_000;

/// SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// Uniform in (0, 1).
    pub(crate) fn uniform(&mut self) -> f64 {
        ((self.bits() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.uniform() * limit as f64) as usize
    }

    pub(crate) fn normal(&mut self) -> f64 {
        (-2.0 * self.uniform().ln()).sqrt() * (std::f64::consts::TAU * self.uniform()).cos()
    }

    pub(crate) fn poisson(&mut self, mean: f64) -> u64 {
        let limit = (-mean).exp();
        let mut product = self.uniform();
        let mut count = 0;
        while product > limit {
            product *= self.uniform();
            count += 1;
        }
        count
    }

    pub(crate) fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

/// A flow that owns its names.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Flow {
    pub(crate) time: i64,
    pub(crate) src: String,
    pub(crate) dst: String,
    pub(crate) port: Option<i32>,
    pub(crate) outcome: Outcome,
    pub(crate) is_oriented: bool,
    pub(crate) count: i64,
    pub(crate) bytes: i64,
    /// Whether the declared policy denies it.
    pub(crate) is_breach: bool,
    pub(crate) protocol: i16,
    pub(crate) conversation: Conversation<'static>,
}

impl Flow {
    /// An allowed flow at a second of a window. Names are `kind/name`.
    pub(crate) fn new(window: i64, second: i64, src: &str, dst: &str, port: i32) -> Self {
        Self {
            time: START + window * WINDOW + second * 1_000_000,
            src: src.to_owned(),
            dst: dst.to_owned(),
            port: Some(port),
            outcome: Outcome::Allowed,
            is_oriented: true,
            count: 1,
            bytes: 1000,
            is_breach: false,
            protocol: 6,
            conversation: Conversation::default(),
        }
    }

    pub(crate) fn event(&self) -> FlowEvent<'_> {
        let kind = |entity: &'_ str| match entity.split_once('/') {
            Some(("agent", _)) => "agent",
            Some(("external", _)) => "external",
            Some(("unknown", _)) => "unknown",
            // Known better from a window on.
            Some(("changing", _)) if self.time < START + 20 * WINDOW => "unknown",
            Some(("changing", _)) => "agent",
            _ => "service",
        };
        FlowEvent {
            time: self.time,
            src_entity: &self.src,
            src_kind: kind(&self.src),
            dst_entity: &self.dst,
            dst_kind: kind(&self.dst),
            dst_port: self.port,
            protocol_num: Some(self.protocol),
            outcome: self.outcome,
            is_src_dst_assignment_known: self.is_oriented,
            opens: None,
            flow_count: self.count,
            bytes_out: Some(self.bytes),
            bytes_in: None,
            declared_verdict: Some(if self.is_breach { "denied" } else { "allowed" }),
            declared_rule: Some("shop/rule"),
            conversation: self.conversation,
        }
    }
}

/// Runs all flows through, the last window included.
pub(crate) fn run(engine: &mut Engine, flows: &[Flow]) -> Vec<Finding> {
    let mut findings: Vec<Finding> = flows.iter().flat_map(|flow| engine.observe(&flow.event())).collect();
    findings.extend(engine.finish());
    findings
}

/// A quiet network: twelve services and an agent, each calling its own three services every window.
pub(crate) fn quiet(windows: i64) -> Vec<Flow> {
    let mut flows = Vec::new();
    for window in 0..windows {
        for client in 0..13_i64 {
            let name = if client == 12 { "agent/support-bot".to_owned() } else { format!("service/s{client}") };
            for step in 1..4 {
                let server = format!("service/s{}", (client + step) % 12);
                // A little regular variation: seven to nine calls.
                for call in 0..7 + (window + client + step) % 3 {
                    flows.push(Flow::new(window, 10 + call * 30 + step, &name, &server, 8080));
                }
            }
        }
    }
    flows.sort_by_key(|flow| flow.time);
    flows
}

/// A quiet network in which the agent is taken over in a window and calls the payment service for three windows.
pub(crate) fn takeover(windows: i64, at: i64) -> Vec<Flow> {
    let mut flows = quiet(windows);
    for window in at..(at + 3).min(windows) {
        flows.extend(
            (0..20).map(|call| Flow::new(window, 20 + call * 10, "agent/support-bot", "service/payments", 8443)),
        );
        flows.push(Flow::new(window, 100, "service/s1", "service/payments", 8443));
    }
    // Two services have always used it.
    for window in 0..windows {
        flows.push(Flow::new(window, 50, "service/s1", "service/payments", 8443));
        flows.push(Flow::new(window, 60, "service/s2", "service/payments", 8443));
    }
    flows.sort_by_key(|flow| flow.time);
    flows
}

/// Gives flows something to say: requests over mutual TLS, now and then one that was never asked, later a client without
/// protection and one under another name.
pub(crate) fn converse(flows: &mut [Flow], random: &mut Random) {
    const NAMES: [&str; 4] = ["spiffe://shop/a", "spiffe://shop/b", "spiffe://shop/c", "spiffe://shop/d"];
    for flow in flows {
        let window = (flow.time - START).div_euclid(WINDOW);
        let (operation, resource) =
            [("GET", "/orders/1"), ("GET", "/items/22?all"), ("POST", "/orders")][random.below(3)];
        let is_odd = window == 29 && flow.src == "service/s1" && random.below(9) == 0;
        let name = NAMES[flow.src.len() % NAMES.len()];
        flow.conversation = Conversation {
            app_protocol: Some("http"),
            operation: Some(if is_odd { "DELETE" } else { operation }),
            resource: Some(resource),
            src_principal: Some(if window == 31 && flow.src == "service/s7" { "spiffe://shop/x" } else { name }),
            encryption: Some(if window == 33 && flow.src == "service/s8" { "none" } else { "mtls" }),
            ..Conversation::default()
        };
        if flow.dst == "service/s3" {
            let (operation, resource) =
                [("produce", "orders"), ("fetch", "orders"), ("fetch", "mail"), ("produce", "mail")][random.below(4)];
            let is_odd = window > 25 && random.below(40) == 0;
            flow.conversation.app_protocol = Some("kafka");
            flow.conversation.operation = Some(operation);
            flow.conversation.resource = Some(if is_odd { "payments" } else { resource });
        }
        flow.protocol = if window == 28 && flow.src == "service/s2" && random.below(9) == 0 { 17 } else { 6 };
    }
}
