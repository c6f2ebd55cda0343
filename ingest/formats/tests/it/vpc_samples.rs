//! The samples of AWS VPC flow logs against the parse that their projects expect.

use crate::vpc::{decode, decode_with, gaps, rejects, row, rows};
use serde_json::{Map, Value, json};
use std::fs;
use tradewind_formats::aws_vpc::{DEFAULT, TRANSIT_GATEWAY};
use tradewind_formats::{Decoded, FormatChoice, choose};
use tradewind_model::time;

const TCP_FLAGS: &str = "version vpc-id subnet-id instance-id interface-id account-id type srcaddr dstaddr srcport \
    dstport pkt-srcaddr pkt-dstaddr protocol bytes packets start end action tcp-flags log-status";
const V8: &str = "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end action \
    log-status vpc-id subnet-id instance-id tcp-flags type pkt-srcaddr pkt-dstaddr region az-id sublocation-type \
    sublocation-id pkt-src-aws-service pkt-dst-aws-service flow-direction traffic-path ecs-cluster-arn ecs-cluster-name \
    ecs-container-instance-arn ecs-container-instance-id ecs-container-id ecs-second-container-id ecs-service-name \
    ecs-task-definition-arn ecs-task-arn ecs-task-id reject-reason";

fn sample(name: &str) -> Option<String> {
    tradewind_testkit::shared(&format!("samples/aws_vpc_flow/{name}")).map(|path| fs::read_to_string(path).unwrap())
}

/// The columns that an ECS event of the sample fixes.
fn columns_of(event: &Value) -> Map<String, Value> {
    let mut columns = Map::new();
    let mut set = |name: &str, value: &Value| {
        if !value.is_null() {
            columns.insert(name.to_owned(), value.clone());
        }
    };
    let icmp = event["network"]["iana_number"] == "1";
    for (end, prefix) in [("source", "src"), ("destination", "dst")] {
        set(&format!("{prefix}_ip"), &event[end]["ip"]);
        if !icmp {
            set(&format!("{prefix}_port"), &event[end]["port"]);
        }
    }
    set("bytes_out", &event["source"]["bytes"]);
    set("packets_out", &event["source"]["packets"]);
    set("protocol", &event["network"]["transport"]);
    let number = event["network"]["iana_number"].as_str().map(|number| number.parse::<i64>().unwrap());
    set("protocol_num", &json!(number));
    for (name, at) in [("start_time", "start"), ("end_time", "end")] {
        set(name, &json!(time::rfc3339(time::parse(event["event"][at].as_str().unwrap()).unwrap())));
    }
    let log = &event["aws"]["vpcflow"];
    set("account", &log["account_id"]);
    set("observer", if log["tgw_attachment_id"].is_null() { &log["interface_id"] } else { &log["tgw_attachment_id"] });
    set("status_code", &log["action"]);
    let flags = log["tcp_flags"].as_str().map(|flags| flags.parse::<i64>().unwrap());
    set("tcp_flags", &json!(flags));
    set("outcome_reason", &event["event"]["reason"]);
    let outcome = match event["event"]["outcome"].as_str() {
        Some("success") => Some("allowed"),
        Some(_) => Some("denied"),
        None => log["tgw_id"].is_string().then_some("allowed"),
    };
    set("outcome", &json!(outcome));
    columns
}

fn check_row(row: &Map<String, Value>, event: &Value) {
    let expected = columns_of(event);
    let compared = [
        "src_ip",
        "src_port",
        "dst_ip",
        "dst_port",
        "bytes_out",
        "packets_out",
        "protocol",
        "protocol_num",
        "start_time",
        "end_time",
        "account",
        "observer",
        "status_code",
        "tcp_flags",
        "outcome_reason",
        "outcome",
    ];
    for name in compared {
        assert_eq!(row.get(name), expected.get(name), "{name} of {event}");
    }
    assert_eq!(row["record_kind"], "interval");
    assert_eq!(row["source"], "aws_vpc");
    assert_eq!(row["is_src_dst_assignment_known"], false);
    assert!(!row.contains_key("bytes_in") && !row.contains_key("packets_in"), "a record counts one way only");
}

/// Every line against the event at its place: gaps by log-status, flows by their columns.
fn check(layout: &str, name: &str) {
    let (Some(log), Some(expected)) = (sample(name), sample(&format!("{name}-expected.json"))) else { return };
    let expected: Value = serde_json::from_str(&expected).unwrap();
    let events = expected["expected"].as_array().unwrap();
    let lines: Vec<&str> = log.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(lines.len(), events.len());
    for (line, event) in lines.iter().zip(events) {
        let out = decode(layout, line);
        let log = &event["aws"]["vpcflow"];
        if log["log_status"] == "OK" {
            assert_eq!(out.counts.flows, 1, "{line}: {:?}", out.rejects);
            check_row(&rows(&out)[0], event);
        } else {
            assert_eq!(out.counts.gaps, 1, "{line}: {:?}", out.rejects);
            let (observer, minute, reason, _) = out.gaps.iter().next().unwrap();
            let end = time::parse(event["event"]["end"].as_str().unwrap()).unwrap();
            assert_eq!(minute, end - end % time::MINUTE);
            assert_eq!(reason, log["log_status"].as_str().unwrap());
            let id = if log["tgw_id"].is_null() { &log["interface_id"] } else { &log["tgw_attachment_id"] };
            assert_eq!(observer, id.as_str());
            // The same row as a flow shows that its fields are understood where the sample gives it any.
            if !event["source"].is_null() {
                let status = log["log_status"].as_str().unwrap();
                let out = decode(layout, &line.replace(status, "OK"));
                check_row(&rows(&out)[0], event);
            }
        }
    }
    let whole = decode(layout, &log);
    assert_eq!(whole.counts.records, events.len() as u64);
    assert_eq!(whole.counts.rejected, 0);
}

#[test]
fn default_layout() {
    check(DEFAULT, "aws__test-extra-samples.log");
}

#[test]
fn tcp_flags() {
    check(TCP_FLAGS, "aws__test-tcp-flag-sequence.log");
}

#[test]
fn transit_gateway() {
    check(TRANSIT_GATEWAY, "elastic__test-tgw-samples.log");
}

#[test]
fn version_8_with_ecs() {
    check(V8, "elastic__test-v8-samples.log");
    let Some(log) = sample("elastic__test-v8-samples.log") else { return };
    let row = row(V8, log.trim_end().replace("NODATA", "OK").as_str());
    let unmapped: Value = serde_json::from_str(row["unmapped"].as_str().unwrap()).unwrap();
    assert_eq!(unmapped["ecs-service-name"], "payments-service");
    assert_eq!(unmapped["ecs-cluster-name"], "backend-cluster");
    assert_eq!(unmapped["ecs-task-arn"], "arn:aws:ecs:us-east-1:000000000000:task/backend-cluster/e504f037-35c");
    assert_eq!(unmapped.as_object().unwrap().len(), 10, "{unmapped}");
    assert_eq!(row["outcome"], "denied");
    assert_eq!(row["vantage"], "destination");
}

fn auto(name: &str) -> Option<Decoded> {
    let log = sample(name)?;
    let chosen = choose(log.as_bytes(), &FormatChoice::Auto).unwrap();
    Some(decode_with(&*chosen.format, &log.as_bytes()[chosen.skip..]))
}

#[test]
fn object_with_a_header() {
    let Some(out) = auto("otel__valid_vpc_flow_log.log") else { return };
    assert_eq!(gaps(&out), ["eni-0eb1e4178af74336c 2025-03-21T15:15:00Z NODATA 1"]);
    assert_eq!(out.counts.records, 1);
}

#[test]
fn a_row_that_is_shorter_than_the_header() {
    let Some(out) = auto("otel__vpc_flow_log_too_few_fields.log") else { return };
    assert_eq!(rejects(&out), ["too_few_fields at 0"]);
    assert_eq!(out.counts.records, 1);
    assert!(out.rejects[0].detail.contains("13 fields"), "{}", out.rejects[0].detail);
}

#[test]
fn cloudwatch_envelope_with_a_custom_layout() {
    let Some(log) = sample("otel__valid_vpc_flow_cw_custom.json") else { return };
    let wanted: FormatChoice = "aws_vpc:version interface-id srcaddr dstaddr".parse().unwrap();
    let chosen = choose(log.as_bytes(), &wanted).unwrap();
    let out = decode_with(&*chosen.format, log.as_bytes());
    let rows = rows(&out);
    assert_eq!(rows.len(), 2, "{:?}", out.rejects);
    for (row, (src, dst, index, logged)) in rows.iter().zip([
        ("172.31.16.139", "172.31.16.21", 0, "2024-12-05T20:20:00Z"),
        ("172.31.9.69", "172.31.9.12", 1, "2024-12-05T20:20:01Z"),
    ]) {
        assert_eq!(row["src_ip"], src);
        assert_eq!(row["dst_ip"], dst);
        assert_eq!(row["position_offset"], 0);
        assert_eq!(row["position_index"], index);
        assert_eq!(row["logged_time"], logged);
        assert_eq!(row["account"], "123456789012");
        assert_eq!(row["observer"], "eni-1235b8ca123456789");
        assert!(!row.contains_key("start_time"));
    }
}

/// Line and format string of a VRL example.
fn call(source: &str) -> (String, Option<String>) {
    let mut texts = source.split('"').skip(1).step_by(2).map(str::to_owned);
    (texts.next().unwrap(), texts.next())
}

#[test]
fn vrl_examples() {
    let Some(document) = sample("vrl__parse_aws_vpc_flow_log.json") else { return };
    let document: Value = serde_json::from_str(&document).unwrap();
    let examples = document["examples"].as_array().unwrap();
    assert_eq!(examples.len(), 4);
    for example in examples {
        let (line, layout) = call(example["source"].as_str().unwrap());
        let returned = &example["return"];
        let layout = layout.as_deref().unwrap_or(DEFAULT);
        if returned["log_status"] == "NODATA" {
            assert_eq!(gaps(&decode(layout, &line)), ["eni-1235b8ca123456789 2015-05-10T18:02:00Z NODATA 1"]);
            continue;
        }
        let row = row(layout, &line);
        let unmapped: Value =
            row.get("unmapped").map_or(json!({}), |text| serde_json::from_str(text.as_str().unwrap()).unwrap());
        let seconds = |value: &Value| value.as_i64().map(|seconds| json!(time::rfc3339(seconds * time::SECOND)));
        let some = |value: &Value| (!value.is_null()).then(|| value.clone());
        let peer = |end: &str| some(&returned[format!("pkt_{end}")]).or_else(|| some(&returned[end]));
        for (column, expected) in [
            ("src_ip", peer("srcaddr")),
            ("dst_ip", peer("dstaddr")),
            ("src_port", some(&returned["srcport"])),
            ("dst_port", some(&returned["dstport"])),
            ("protocol_num", some(&returned["protocol"])),
            ("packets_out", some(&returned["packets"])),
            ("bytes_out", some(&returned["bytes"])),
            ("start_time", seconds(&returned["start"])),
            ("end_time", seconds(&returned["end"])),
            ("status_code", some(&returned["action"])),
            ("tcp_flags", some(&returned["tcp_flags"])),
            ("account", some(&returned["account_id"])),
            ("region", some(&returned["region"])),
            ("src_network", some(&returned["vpc_id"])),
            ("dst_network", some(&returned["vpc_id"])),
            ("outcome_reason", some(&returned["reject_reason"])),
            ("observer", some(&returned["interface_id"]).or_else(|| some(&returned["resource_id"]))),
        ] {
            assert_eq!(row.get(column), expected.as_ref(), "{column} of {line}");
        }
        for name in ["subnet_id", "az_id", "pkt_src_aws_service", "interface_type"] {
            assert_eq!(unmapped.get(name.replace('_', "-")), some(&returned[name]).as_ref(), "{name} of {line}");
        }
    }
}
