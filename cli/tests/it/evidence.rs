//! The SQL that findings bring along, run over the lake they were found in: it shows at least the flows that were told, and
//! of findings about uses and identities no others.

use crate::program::Program;
use serde_json::Value;
use std::collections::BTreeSet;
use tradewind_model::{FlowBatch, flow, time};
use tradewind_storage::{Import, ImportedObject, Lake};

const WINDOWS: i64 = 64;
/// The window in which the first things happen.
const THEN: i64 = 50;
const WINDOW: i64 = 300 * time::SECOND;
/// 2026-01-01T00:00:00Z.
const START: i64 = 1_767_225_600 * time::SECOND;

/// A row of the lake.
#[derive(Clone, Debug)]
struct Row {
    window: i64,
    second: i64,
    src: String,
    dst: String,
    port: i64,
    outcome: &'static str,
    protocol: i64,
    bytes: i64,
    operation: &'static str,
    resource: &'static str,
    encryption: &'static str,
    src_principal: String,
    dst_principal: String,
    is_breach: bool,
}

impl Row {
    fn new(window: i64, second: i64, src: &str, dst: &str) -> Self {
        Self {
            window,
            second,
            src: src.to_owned(),
            dst: dst.to_owned(),
            port: 8080,
            outcome: "allowed",
            protocol: 6,
            bytes: 1000,
            operation: "GET",
            resource: "/items?page=2",
            encryption: "mtls",
            src_principal: format!("spiffe://shop/{src}"),
            dst_principal: format!("spiffe://shop/{dst}"),
            is_breach: false,
        }
    }

    /// Something else than what is usual: on a port, and without anything said of the conversation.
    fn plain(window: i64, second: i64, src: &str, dst: &str, port: i64) -> Self {
        let row = Self::new(window, second, src, dst);
        Self {
            port,
            operation: "",
            resource: "",
            encryption: "",
            src_principal: String::new(),
            dst_principal: String::new(),
            ..row
        }
    }

    fn add_to(&self, batch: &mut FlowBatch) {
        let end = START + self.window * WINDOW + self.second * time::SECOND;
        batch.set_num(flow::START_TIME, end);
        batch.set_num(flow::END_TIME, end);
        batch.set_num(flow::DATE, time::day_of(end));
        batch.set_num(flow::INGEST_TIME, end);
        batch.set_num(flow::DST_PORT, self.port);
        batch.set_num(flow::PROTOCOL_NUM, self.protocol);
        batch.set_num(flow::BYTES_OUT, self.bytes);
        batch.set_num(flow::FLOW_COUNT, 1);
        batch.set_num(flow::IS_SRC_DST_ASSIGNMENT_KNOWN, 1);
        batch.set_num(flow::POSITION_OFFSET, batch.len() as i64);
        batch.set_num(flow::NORMALISER_VERSION, 1);
        let kind = |entity: &str| if entity.starts_with("bot") { "agent" } else { "service" };
        let id = |entity: &str| format!("-/shop/{}/{entity}", kind(entity));
        for (column, text) in [
            (flow::SRC_ENTITY, id(&self.src).as_str()),
            (flow::SRC_KIND, kind(&self.src)),
            (flow::SRC_ENTITY_SOURCE, "inventory"),
            (flow::DST_ENTITY, &id(&self.dst)),
            (flow::DST_KIND, kind(&self.dst)),
            (flow::DST_ENTITY_SOURCE, "inventory"),
            (flow::OUTCOME, self.outcome),
            (flow::RECORD_KIND, "interval"),
            (flow::SOURCE, "envoy"),
            (flow::POSITION, "a"),
            (flow::APP_PROTOCOL, if self.operation.is_empty() { "" } else { "http" }),
            (flow::OPERATION, self.operation),
            (flow::RESOURCE, self.resource),
            (flow::ENCRYPTION, self.encryption),
            (flow::SRC_PRINCIPAL, &self.src_principal),
            (flow::DST_PRINCIPAL, &self.dst_principal),
            (flow::DECLARED_VERDICT, if self.is_breach { "denied" } else { "" }),
            (flow::DECLARED_RULE, if self.is_breach { "shop/none/initiate" } else { "" }),
        ] {
            if !text.is_empty() {
                batch.set_text(column, text);
            }
        }
        batch.end_row();
    }
}

/// Twenty-four services and an agent, each of which asks five of them for the same, all of it mutual.
fn quiet() -> Vec<Row> {
    let mut rows = Vec::new();
    for window in 0..WINDOWS {
        for client in 0..25 {
            let source = if client == 24 { "bot".to_owned() } else { format!("s{client}") };
            for step in 1..6 {
                let server = format!("s{}", (client + step) % 24);
                for call in 0..4 {
                    let mut row = Row::new(window, 10 + call * 60 + step, &source, &server);
                    if call % 2 == 0 {
                        (row.operation, row.resource) = ("POST", "/orders/17");
                    }
                    rows.push(row);
                }
            }
        }
    }
    rows
}

/// The quiet network with something of each kind.
fn eventful() -> Vec<Row> {
    let mut rows = quiet();
    for row in &mut rows {
        let is_edge = |src: &str, dst: &str| row.src == src && row.dst == dst;
        match row.window - THEN {
            0 if is_edge("bot", "s2") && row.operation == "GET" => {
                (row.operation, row.resource) = ("delete", "/accounts/77/keys");
            }
            0 if is_edge("s1", "s2") && row.operation == "GET" => row.protocol = 17,
            1 if row.src == "s3" && row.operation == "GET" => row.src_principal = "spiffe://shop/it's me".to_owned(),
            1 if row.dst == "s20" && row.operation == "GET" => row.dst_principal = "spiffe://shop/other".to_owned(),
            2 if is_edge("s5", "s6") && row.operation == "GET" => {
                (row.encryption, row.src_principal) = ("none", String::new());
            }
            2 if is_edge("s7", "s8") && row.operation == "GET" => {
                (row.encryption, row.src_principal) = ("tls", String::new());
            }
            3 if row.dst == "s10" && row.operation == "GET" => {
                (row.encryption, row.src_principal) = ("none", String::new());
            }
            4 if row.src == "s17" => row.outcome = "denied",
            5 if row.src == "s19" => row.outcome = "failed",
            6 if is_edge("s15", "s16") && row.operation == "GET" => row.bytes = 1 << 40,
            7 if is_edge("s0", "s1") => row.is_breach = true,
            _ => (),
        }
    }
    let at = |window: i64| THEN + window;
    rows.extend(
        (0..40)
            .map(|host| Row { outcome: "failed", ..Row::plain(at(8), 20 + host, "s12", &format!("dark{host}"), 2222) }),
    );
    rows.extend((0..4000).map(|call| Row::new(at(9), 20 + call % 250, "s13", "s14")));
    rows.extend((0..300).map(|client| Row::plain(at(10), 20 + client % 200, &format!("new{client}"), "s11", 8080)));
    rows.push(Row { bytes: 1 << 40, ..Row::plain(at(11), 30, "s21", "s4", 9999) });
    for (second, (src, dst)) in (60..).zip([("s22", "s0"), ("s0", "s9"), ("s9", "s18"), ("s18", "s3")]) {
        rows.push(Row::plain(at(12), second, src, dst, 22));
    }
    rows
}

fn store(program: &Program, rows: &[Row]) {
    let mut batch = FlowBatch::default();
    rows.iter().for_each(|row| row.add_to(&mut batch));
    let count = rows.len() as i64;
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let lake = Lake::open_or_create(program.folder().join("lake")).await.unwrap();
        let stager = lake.stager(tokio::runtime::Handle::current()).await.unwrap();
        let order: Vec<u32> = (0..u32::try_from(batch.len()).unwrap()).collect();
        let files = tokio::task::spawn_blocking(move || stager.stage(&batch, &order).unwrap()).await.unwrap();
        let object = ImportedObject {
            content_hash: "a".to_owned(),
            import_time: START,
            path: "a".to_owned(),
            source: Some("envoy".to_owned()),
            format_reason: None,
            bytes_in: 1,
            records: count,
            flows: count,
            rejected: 0,
            gaps: 0,
        };
        lake.commit_import(&Import { objects: vec![object], files, ..Import::default() }).await.unwrap();
    });
}

#[test]
fn the_sql_of_every_finding_shows_the_flows_that_it_tells_of() {
    let program = Program::new();
    store(&program, &eventful());
    program.file(
        "tradewind.toml",
        "[detect]\np_value_max = 1e-3\n[detect.protocol]\nis_enabled = true\n[detect.decision]\nfindings_per_day = 500\n",
    );
    let found = program.run(&["detect", "-o", "json"]);
    assert_eq!(found.code, 0, "{}", found.err);
    let findings: Vec<Value> = serde_json::from_str(&found.out).unwrap();
    let (mut behaviours, mut wrong) = (BTreeSet::new(), Vec::new());
    for finding in &findings {
        let text = |name: &str| finding[name].as_str().unwrap();
        let query = format!("SELECT coalesce(sum(flow_count), 0) AS flows FROM ({})", text("evidence_query"));
        let answer = program.run(&["sql", "-o", "json", &query]);
        assert_eq!(answer.code, 0, "{answer:?}");
        let answer: Value = serde_json::from_str(&answer.out).unwrap();
        let (shown, told) = (answer[0]["flows"].as_i64().unwrap(), finding["flow_count"].as_i64().unwrap());
        let is_exact = matches!(text("behaviour"), "protocol" | "identity");
        if told <= 0 || shown < told || is_exact && shown > told {
            wrong.push(format!("{shown} of {told}: {finding:#}"));
        }
        behaviours.insert(text("behaviour").to_owned());
    }
    let about =
        |part: &str| findings.iter().filter(|finding| finding["title"].as_str().unwrap().contains(part)).count();
    for title in ["in a way it never did", "proves another identity", "without encryption", "without proving who it is"]
    {
        assert!(about(title) > 0, "{title}: {behaviours:?}");
    }
    let expected =
        ["chain", "denied", "failed", "identity", "inflow", "policy", "protocol", "scan", "transfer", "volume"];
    let missing: Vec<&str> = expected.into_iter().filter(|word| !behaviours.contains(*word)).collect();
    assert!(missing.is_empty(), "{missing:?} of {behaviours:?}");
}
