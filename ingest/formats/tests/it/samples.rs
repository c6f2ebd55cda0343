//! Samples without an expected parse, or with one of another form: which format they are, how many rows they have and how these end. And what no row may hold.

use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use tradewind_formats::framing::{ChunkSizes, Chunks, Piece};
use tradewind_formats::{Decoded, FormatChoice, Framing, choose};

fn decode(log: &[u8]) -> Option<Decoded> {
    let chosen = choose(&log[..log.len().min(tradewind_formats::detect::HEAD_BYTES)], &FormatChoice::Auto).ok()?;
    let Framing::Text(records) = chosen.framing else { return None };
    let mut out = Decoded::default();
    let mut chunks = Chunks::new(log, records, ChunkSizes::default());
    chunks.head(tradewind_formats::detect::HEAD_BYTES);
    chunks.skip(chosen.skip);
    let mut buffer = Vec::new();
    while let Some(piece) = chunks.next(&mut buffer).unwrap() {
        if let Piece::Records { offset } = piece {
            chosen.format.decode(&buffer, offset, &mut out);
        }
    }
    Some(out)
}

fn rows(out: &Decoded) -> Vec<Map<String, Value>> {
    (0..out.flows.len()).map(|row| out.flows.row_json(row)).collect()
}

/// Sample, format, rows by outcome, rejects.
type Sample = (&'static str, &'static str, &'static [(&'static str, usize)], usize);

const SAMPLES: &[Sample] = &[
    ("linkerd/linkerd_docs__access-log-apache.log", "linkerd", &[("allowed", 4)], 0),
    ("linkerd/linkerd_docs__access-log-json.ndjson", "linkerd", &[("allowed", 2)], 0),
    ("ztunnel/istio_docs__connection_complete.log", "ztunnel", &[("allowed", 2)], 0),
    ("ztunnel/openshift_notes__policy_rejection.log", "ztunnel", &[("denied", 2)], 0),
    ("nginx/nginx_stream__tcp.log", "nginx", &[("allowed", 2)], 0),
    ("azure_flow/azure_docs__nsg_v1.json", "azure_nsg", &[("allowed", 1)], 0),
    ("azure_flow/azure_docs__vnet_v4_security_admin_rules.json", "azure_vnet", &[("allowed", 4), ("denied", 4)], 0),
    ("azure_flow/azure_network_watcher_nsg__test-nsg.log", "azure_nsg", &[("allowed", 1)], 0),
    ("azure_flow/azure_network_watcher_vnet__test-vnet.log", "azure_vnet", &[("allowed", 2)], 0),
    ("aws_elb/otel__nlb_al_valid_logs.log", "aws_nlb", &[("allowed", 1)], 0),
    ("ocsf_ecs/ocsf__1_1_0_vpcflow.ocsf", "ocsf", &[("denied", 1)], 0),
    ("ocsf_ecs/ocsf__cisco_asa_106023.ocsf", "ocsf", &[("failed", 1)], 0),
    ("otlp_logs/otlp__logs.json", "otlp", &[], 1),
    ("otlp_logs/otlp__events.json", "otlp", &[], 1),
];

#[test]
fn samples_without_an_expectation() {
    let mut faults = Vec::new();
    for (sample, format, outcomes, rejected) in SAMPLES {
        let Some(path) = tradewind_testkit::shared(&format!("samples/{sample}")) else { return };
        let Some(out) = decode(&fs::read(path).unwrap()) else {
            faults.push(format!("{sample}: not recognised"));
            continue;
        };
        let rows = rows(&out);
        let mut found: BTreeMap<&str, usize> = BTreeMap::new();
        for row in &rows {
            *found.entry(row["outcome"].as_str().unwrap()).or_default() += 1;
        }
        let wanted: BTreeMap<&str, usize> = outcomes.iter().copied().collect();
        let is_of_format = rows.iter().all(|row| row["source"] == *format);
        if found != wanted || out.rejects.len() != *rejected || !is_of_format {
            faults.push(format!(
                "{sample}: {found:?}, {:?}",
                out.rejects.iter().map(|reject| &reject.detail).collect::<Vec<_>>()
            ));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// OpenTelemetry's expected parse of the line of AWS's documentation.
#[test]
fn a_network_load_balancer_as_opentelemetry_reads_it() {
    let read = |name: &str| {
        tradewind_testkit::shared(&format!("samples/aws_elb/{name}")).map(|path| fs::read_to_string(path).unwrap())
    };
    let (Some(log), Some(expected)) =
        (read("otel__nlb_al_valid_logs.log"), read("otel__nlb_al_valid_logs-expected.yaml"))
    else {
        return;
    };
    let expected: BTreeMap<&str, &str> = expected
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name, value.trim_matches('"')))
        .collect();
    let rows = rows(&decode(log.as_bytes()).unwrap());
    let text =
        |column: &str| rows[0].get(column).map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    for (column, field) in [
        ("src_ip", "client.address"),
        ("src_port", "client.port"),
        ("dst_ip", "destination.address"),
        ("dst_port", "destination.port"),
        ("bytes_out", "http.request.size"),
        ("bytes_in", "http.response.size"),
        ("tls_version", "tls.protocol.version"),
        ("server_name", "url.domain"),
    ] {
        assert_eq!(text(column).as_deref(), Some(expected[field]), "{column}");
    }
    assert_eq!(
        tradewind_model::time::parse(&text("end_time").unwrap()).unwrap() * 1_000,
        expected["timeUnixNano"].parse::<i64>().unwrap()
    );
    println!("compared 1 records, 9 values of aws_nlb");
}

/// Elastic's expected parse of Azure's flow logs has one list of distinct values a field for all tuples.
#[test]
fn azure_flow_logs_as_elastic_reads_them() {
    for (sample, tuples) in
        [("azure_network_watcher_nsg__test-nsg.log", 1), ("azure_network_watcher_vnet__test-vnet.log", 2)]
    {
        let read = |name: &str| {
            tradewind_testkit::shared(&format!("samples/azure_flow/{name}"))
                .map(|path| fs::read_to_string(path).unwrap())
        };
        let (Some(log), Some(expected)) = (read(sample), read(&format!("{sample}-expected.json"))) else { return };
        let expected: Value = serde_json::from_str(&expected).unwrap();
        let rows = rows(&decode(log.as_bytes()).unwrap());
        assert_eq!(rows.len(), tuples);
        // Theirs has zeros for the tuple that opens a flow, ours nothing.
        for (column, path, has_zeros) in [
            ("src_ip", "/source/ip", false),
            ("dst_ip", "/destination/ip", false),
            ("src_port", "/source/port", false),
            ("dst_port", "/destination/port", false),
            ("bytes_out", "/source/bytes", true),
            ("packets_out", "/source/packets", true),
            ("packets_in", "/destination/packets", true),
            ("policy", "/rule/name", false),
        ] {
            let theirs = expected["expected"][0].pointer(path).and_then(Value::as_array).cloned().unwrap_or_default();
            let theirs: Vec<_> = theirs.into_iter().filter(|value| !has_zeros || *value != 0).collect();
            let mut ours: Vec<_> = rows.iter().filter_map(|row| row.get(column).cloned()).collect();
            ours.dedup();
            assert_eq!(ours, theirs, "{column} of {sample}");
        }
        println!("compared {tuples} records of {sample}");
    }
}

/// What a text may not have anywhere: the start of it, and what must follow.
fn private_part(text: &str) -> Option<&'static str> {
    let lower = text.to_ascii_lowercase();
    let follows = |mark: &str, is_value: fn(char) -> bool| {
        lower.match_indices(mark).any(|(at, _)| lower[at + mark.len()..].starts_with(is_value))
    };
    let is_email = lower.split([' ', '"', '\'', '<', '>', '(', ')', ',', '/', '=', ':', ';']).any(|word| {
        word.split_once('@').is_some_and(|(user, host)| {
            !user.is_empty()
                && !user.ends_with(']')
                && host.contains('.')
                && host.chars().all(|character| character.is_ascii_alphanumeric() || ".-".contains(character))
        })
    });
    let is_word = |character: char| character.is_ascii_alphanumeric();
    let has_query = (lower.contains("://") || lower.starts_with('/'))
        && lower.split_once('?').is_some_and(|(_, query)| !query.is_empty() && !query.starts_with("[redacted]"));
    match () {
        () if has_query => Some("a query"),
        () if is_email => Some("an address of a person"),
        () if follows("bearer ", is_word) || follows("basic ey", is_word) => Some("an authorization"),
        () if follows("password=", is_word) || follows("token=", is_word) || follows("secret=", is_word) => {
            Some("a secret")
        }
        () if text.contains("eyJ") && text.matches('.').count() >= 2 => Some("a token"),
        () => None,
    }
}

/// Samples whose rows hold such a part for a reason.
const HARMLESS: &[(&str, &str)] = &[];

#[test]
fn no_row_holds_what_is_private() {
    let folders = [
        "aws_elb",
        "aws_vpc_flow",
        "azure_flow",
        "envoy_istio",
        "gcp_vpc_flow",
        "haproxy",
        "linkerd",
        "nginx",
        "ocsf_ecs",
        "otlp_logs",
        "suricata",
        "traefik",
        "zeek",
        "ztunnel",
    ];
    let (mut hits, mut files, mut values) = (Vec::new(), 0, 0);
    for folder in folders {
        let Some(folder) = tradewind_testkit::shared(&format!("samples/{folder}")) else { return };
        let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        for path in paths {
            let name = Path::new(&path).file_name().unwrap().to_string_lossy().into_owned();
            let Some(out) = decode(&fs::read(&path).unwrap()) else { continue };
            files += 1;
            for row in rows(&out) {
                for (column, value) in &row {
                    let texts: Vec<String> = match (column.as_str(), value) {
                        ("unmapped", Value::String(object)) => match serde_json::from_str(object) {
                            Ok(Value::Object(members)) => members
                                .values()
                                .map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
                                .collect(),
                            _ => vec![object.clone()],
                        },
                        (_, Value::String(text)) => vec![text.clone()],
                        _ => continue,
                    };
                    values += texts.len();
                    for text in texts {
                        let is_harmless = HARMLESS.iter().any(|(sample, at)| *sample == name && at == column);
                        if let Some(part) = private_part(&text).filter(|_| !is_harmless) {
                            hits.push(format!(
                                "{name}: {column} has {part}: {}…",
                                text.chars().take(60).collect::<String>()
                            ));
                        }
                    }
                }
            }
        }
    }
    hits.dedup();
    println!("looked at {values} values of {files} samples");
    assert!(files > 40 && hits.is_empty(), "{files} samples\n{}", hits.join("\n"));
}
