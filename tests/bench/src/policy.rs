//! Benchmark `policy`: what the check of the declared policy costs a flow, at 10, 1,000 and 10,000 rules.
//!
//! It has no peer: the budget is nanoseconds. Flows are built in memory; decoding and storing are not measured.

use crate::Arguments;
use crate::random::{Random, Zipf};
use anyhow::ensure;
use serde_json::{Map, Value, json};
use std::fmt::Write as _;
use std::time::Instant;
use tradewind_model::FlowBatch;
use tradewind_model::flow::{
    DECLARED_VERDICT, DST_ENTITY, DST_IP, DST_PORT, ENCRYPTION, IS_SRC_DST_ASSIGNMENT_KNOWN, OPERATION, PROTOCOL_NUM,
    RESOURCE, SRC_ENTITY, SRC_PORT,
};
use tradewind_policy::{EntityLabels, PolicyScratch, Syntax, load};

const SEED: u64 = 20_260_115;
/// As many rows as an import checks at once.
const ROWS: usize = 131_072;
const SERVICES: usize = 500;
const EDGES: usize = 1_500;
const PORTS: [i64; 16] = [22, 53, 80, 443, 3306, 5432, 5672, 6379, 8000, 8080, 8443, 9000, 9090, 9092, 9200, 27_017];
const RULES: [(usize, &str); 3] = [(10, "10"), (1_000, "1k"), (10_000, "10k")];

/// Makes the flows, checks them against each policy, prints nanoseconds a flow.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let batches = if arguments.quick { 4 } else { 16 };
    let repetitions = arguments.repetitions.unwrap_or(if arguments.quick { 3 } else { 9 });
    let mut random = Random::new(SEED);
    let edges: Vec<(usize, usize, i64)> = (0..EDGES)
        .map(|_| (random.index(SERVICES), random.index(SERVICES), PORTS[random.index(PORTS.len())]))
        .collect();
    let mut flows: Vec<FlowBatch> = (0..batches).map(|_| batch(&edges, &mut random)).collect();
    let mut object = Map::new();
    for (rules, label) in RULES {
        let text = document(rules);
        let start = Instant::now();
        let compiled = load(&[("policy.toml", &text, Syntax::Toml)], EntityLabels::default())?;
        let compile_ms = start.elapsed().as_secs_f64() * 1e3;
        ensure!(compiled.set.rules().len() == rules, "the document has {} rules", compiled.set.rules().len());
        let mut scratch = PolicyScratch::default();
        let mut runs = Vec::new();
        for _ in 0..repetitions {
            let start = Instant::now();
            flows.iter_mut().for_each(|flows| compiled.set.check(flows, &mut scratch));
            runs.push(start.elapsed().as_secs_f64() * 1e9 / (ROWS * flows.len()) as f64);
        }
        let first = runs[0];
        // Other work on the machine only adds, so the least is nearest to what the code costs.
        let least = runs.iter().copied().fold(f64::INFINITY, f64::min);
        let verdicts = flows[0].text(DECLARED_VERDICT);
        let share = |verdict: &str| {
            let found = (0..ROWS).filter(|row| verdicts.get(*row) == Some(verdict)).count();
            found as f64 / ROWS as f64
        };
        for (key, value) in [
            ("policy_ns_per_flow", least),
            ("policy_first_ns_per_flow", first),
            ("policy_compile_ms", compile_ms),
            ("policy_allowed_share", share("allowed")),
            ("policy_denied_share", share("denied")),
        ] {
            object.insert(format!("{key}_{label}"), json!((value * 1e3).round() / 1e3));
        }
    }
    if arguments.json {
        println!("{:#}", Value::Object(object));
    } else {
        println!("policy: seed {SEED}, {} flows, least of {repetitions} runs", ROWS * batches);
        object.iter().for_each(|(key, value)| println!("{key:<30} {value}"));
    }
    Ok(())
}

fn service(index: usize) -> String {
    format!("prod/ns{}/service/s{index}", index % 20)
}

/// Policies of ten rules each; every fifth rule speaks of requests, some of address ranges and mutual TLS.
pub(crate) fn document(rules: usize) -> String {
    let mut text = String::from("version = 1\ndefaults = { service = \"allow\" }\n");
    for policy in 0..rules / 10 {
        let (space, subject) = (policy % 20, policy % SERVICES);
        // Beyond one policy a service the subjects are those of other clusters.
        let cluster = if policy < SERVICES { "prod".to_owned() } else { format!("c{}", policy / SERVICES) };
        write!(text, "[[policy]]\nname = \"p{policy}\"\nsubject = \"{cluster}/ns{space}/service/s{subject}\"\n")
            .expect("a text takes all");
        for rule in 0..10 {
            let port = PORTS[(policy + rule) % PORTS.len()];
            let line = match rule {
                0 => "to = [\"ns1/*\", \"ns2/*\", \"ns3/s*\"]\noperations = [\"GET\"]\nresources = [\"/v1/**\"]"
                    .to_owned(),
                1 => format!("to = [{{ cidr = \"203.0.{}.0/24\" }}]\nports = [443]", policy % 256),
                2 => "from = [{ namespace = \"ns4\" }]\nrequire_mtls = true".to_owned(),
                3 => "from = [\"*\"]\nports = [\"1-1023/tcp\"]".to_owned(),
                _ => format!("peers = [\"ns{}/*\"]\nports = [\"{port}/tcp\"]", (space + rule) % 20),
            };
            writeln!(text, "[[policy.allow]]\n{line}").expect("a text takes all");
        }
    }
    text
}

/// Like VPC flow logs, with one row in five from a proxy that saw the request.
fn batch(edges: &[(usize, usize, i64)], random: &mut Random) -> FlowBatch {
    let popularity = Zipf::new(edges.len());
    let mut batch = FlowBatch::default();
    for _ in 0..ROWS {
        let (src, dst, port) = edges[popularity.draw(random)];
        batch.set_text(SRC_ENTITY, &service(src));
        if random.permille(30) {
            batch.set_text(DST_ENTITY, "-/-/external/internet");
            batch.set_text(DST_IP, &format!("203.0.{}.{}", random.below(4), random.below(250)));
        } else {
            batch.set_text(DST_ENTITY, &service(dst));
        }
        batch.set_num(SRC_PORT, 32_768 + i64::from(random.below(28_000)));
        batch.set_num(DST_PORT, port);
        batch.set_num(PROTOCOL_NUM, 6);
        batch.set_num(IS_SRC_DST_ASSIGNMENT_KNOWN, i64::from(!random.permille(20)));
        if random.permille(200) {
            batch.set_text(OPERATION, if random.permille(800) { "GET" } else { "POST" });
            batch.set_text(RESOURCE, &format!("/v1/orders/{}", random.below(50)));
            batch.set_text(ENCRYPTION, "mtls");
        }
        batch.end_row();
    }
    batch
}
