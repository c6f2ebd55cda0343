//! The samples of Zeek's conn.log against the parse that their projects expect, and against the log itself.

use crate::vpc::rows;
use crate::zeek::import;
use serde_json::{Map, Value, json};
use std::fs;
use std::io::Read;
use tradewind_formats::Decoded;
use tradewind_model::time;

fn sample(name: &str) -> Option<String> {
    tradewind_testkit::shared(&format!("samples/zeek/{name}")).map(|path| fs::read_to_string(path).unwrap())
}

/// The records of a log as field and value, whichever way they are written; what is unset is left out.
fn records(log: &str) -> Vec<Map<String, Value>> {
    let mut fields: Vec<&str> = Vec::new();
    let mut records = Vec::new();
    for line in log.lines().filter(|line| !line.is_empty()) {
        if let Some(names) = line.strip_prefix("#fields\t") {
            fields = names.split('\t').collect();
        } else if line.starts_with('{') {
            records.push(serde_json::from_str(line).unwrap());
        } else if !line.starts_with('#') {
            let values = fields.iter().zip(line.split('\t')).filter(|(_, value)| !matches!(*value, "-" | "(empty)"));
            records.push(values.map(|(name, value)| ((*name).to_owned(), Value::from(value))).collect());
        }
    }
    records
}

/// A value as text, so that a number in text and one in JSON compare.
fn text(value: Option<&Value>) -> Option<String> {
    match value? {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// What FORMATS.md, section 11, says of a state; written apart from the decoder.
fn expected_outcome(record: &Map<String, Value>) -> &'static str {
    let field = |name: &str| text(record.get(name)).unwrap_or_default();
    let (is_tcp, history) = (field("proto") == "tcp", field("history"));
    match field("conn_state").as_str() {
        "RSTR" if field("resp_bytes") == "0" && !history.to_lowercase().contains('d') => "failed",
        "SF" | "S1" | "S2" | "S3" | "RSTO" | "RSTR" => "allowed",
        "S0" if !is_tcp => "unknown",
        "S0" | "REJ" | "RSTOS0" | "SH" => "failed",
        "OTH" if field("orig_pkts") != "0" && field("resp_pkts") != "0" => "allowed",
        _ => "unknown",
    }
}

/// Every row against its record; ports of ICMP are type and code.
fn check_rows(out: &Decoded, records: &[Map<String, Value>]) {
    let rows = rows(out);
    assert_eq!(rows.len(), records.len(), "{:?}", out.rejects);
    for (row, record) in rows.iter().zip(records) {
        let is_icmp = text(record.get("proto")).as_deref() == Some("icmp");
        let [first, second] = if is_icmp { ["icmp_type", "icmp_code"] } else { ["src_port", "dst_port"] };
        for (column, field) in [
            ("src_ip", "id.orig_h"),
            (first, "id.orig_p"),
            ("dst_ip", "id.resp_h"),
            (second, "id.resp_p"),
            ("app_protocol", "service"),
            ("bytes_out", "orig_bytes"),
            ("bytes_in", "resp_bytes"),
            ("packets_out", "orig_pkts"),
            ("packets_in", "resp_pkts"),
            ("status_code", "conn_state"),
        ] {
            let underscored = field.replace('.', "_");
            let logged = text(record.get(field)).or_else(|| text(record.get(&underscored)));
            assert_eq!(text(row.get(column)), logged, "{column} of {record:?}");
        }
        assert_eq!(row["outcome"], expected_outcome(record), "{record:?}");
        let unmapped: Value = serde_json::from_str(row["unmapped"].as_str().unwrap()).unwrap();
        for field in ["uid", "history", "missed_bytes", "orig_ip_bytes"] {
            assert_eq!(text(unmapped.get(field)), text(record.get(field)), "{field} of {record:?}");
        }
        let start = time::parse(row["start_time"].as_str().unwrap()).unwrap();
        let end = time::parse(row["end_time"].as_str().unwrap()).unwrap();
        let duration = text(record.get("duration")).map_or(0.0, |text| text.parse::<f64>().unwrap());
        assert_eq!(end - start, (duration * 1e6).round() as i64, "{record:?}");
        if let Ok(ts) = text(record.get("ts")).unwrap().parse::<f64>() {
            assert_eq!(start, (ts * 1e6).round() as i64, "{record:?}");
        }
    }
}

#[test]
fn logs_of_rita() {
    for (name, count) in [
        ("rita__json_conn.log", 29),
        ("rita__missing_host_conn.07h.log", 877),
        ("rita__open_conn.log", 59),
        ("rita__proxy_conn.log", 463),
    ] {
        let Some(log) = sample(name) else { continue };
        let out = import(&log, "auto");
        let records = records(&log);
        assert_eq!(records.len(), count, "{name}");
        assert!(out.rejects.is_empty(), "{name}: {:?}", out.rejects);
        check_rows(&out, &records);
        if name.contains("missing_host") {
            assert!(rows(&out).iter().all(|row| row["observer"] == "worker-eth0-1"));
        }
    }
}

#[test]
fn events_that_elastic_expects() {
    let (Some(log), Some(expected)) = (sample("zeek__test-conn.log"), sample("zeek__test-conn.log-expected.json"))
    else {
        return;
    };
    let out = import(&log, "auto");
    let expected: Value = serde_json::from_str(&expected).unwrap();
    let events = expected["expected"].as_array().unwrap();
    let rows = rows(&out);
    assert_eq!(rows.len(), events.len(), "{:?}", out.rejects);
    for (row, event) in rows.iter().zip(events) {
        let unmapped: Value = serde_json::from_str(row["unmapped"].as_str().unwrap()).unwrap();
        for (column, value) in [
            ("src_ip", &event["source"]["ip"]),
            ("src_port", &event["source"]["port"]),
            ("packets_out", &event["source"]["packets"]),
            ("dst_ip", &event["destination"]["ip"]),
            ("dst_port", &event["destination"]["port"]),
            ("protocol", &event["network"]["transport"]),
            ("app_protocol", &event["network"]["protocol"]),
            ("status_code", &event["zeek"]["connection"]["state"]),
            ("icmp_type", &event["zeek"]["connection"]["icmp"]["type"]),
            ("icmp_code", &event["zeek"]["connection"]["icmp"]["code"]),
        ] {
            assert_eq!(row.get(column).unwrap_or(&Value::Null), value, "{column} of {event}");
        }
        // Elastic takes the bytes with headers; ours are payload.
        assert_eq!(unmapped["orig_ip_bytes"], event["source"]["bytes"], "{event}");
        assert_eq!(unmapped["uid"], event["zeek"]["session_id"]);
        assert_eq!(unmapped["missed_bytes"], event["zeek"]["connection"]["missed_bytes"]);
        assert_eq!(unmapped["local_orig"], event["zeek"]["connection"]["local_orig"]);
        // Elastic cuts to milliseconds and prints the float's nanoseconds.
        let start = time::parse(row["start_time"].as_str().unwrap()).unwrap();
        let logged = time::parse(event["@timestamp"].as_str().unwrap()).unwrap();
        assert_eq!(start / 1000, logged / 1000, "{event}");
        let nanos = event["event"]["duration"].as_f64().unwrap_or(0.0);
        let end = time::parse(row["end_time"].as_str().unwrap()).unwrap();
        assert_eq!(end - start, (nanos / 1000.0).round() as i64, "{event}");
    }
}

#[test]
fn event_that_ocsf_expects() {
    let (Some(log), Some(expected)) =
        (sample("ocsf__zeek_v1.3.0_conn_log.raw"), sample("ocsf__zeek_v1.3.0_conn_log.ocsf"))
    else {
        return;
    };
    let out = import(&log, "auto");
    let rows = rows(&out);
    assert_eq!(rows.len(), 1, "{:?}", out.rejects);
    let (row, event) = (&rows[0], serde_json::from_str::<Value>(&expected).unwrap());
    for (column, value) in [
        ("src_ip", &event["src_endpoint"]["ip"]),
        ("src_port", &event["src_endpoint"]["port"]),
        ("dst_ip", &event["dst_endpoint"]["ip"]),
        ("dst_port", &event["dst_endpoint"]["port"]),
        ("protocol", &event["connection_info"]["protocol_name"]),
        ("app_protocol", &event["app_name"]),
        ("status_code", &event["status_code"]),
        ("bytes_in", &event["traffic"]["bytes_in"]),
        ("bytes_out", &event["traffic"]["bytes_out"]),
        ("packets_in", &event["traffic"]["packets_in"]),
        ("packets_out", &event["traffic"]["packets_out"]),
        ("observer", &event["metadata"]["loggers"][0]["name"]),
    ] {
        assert_eq!(&row[column], value, "{column}");
    }
    assert_eq!(row["start_time"], "2024-10-16T04:07:01.489619Z");
    assert_eq!(row["end_time"], "2024-10-16T04:08:06.827772Z");
    assert_eq!(row["logged_time"], "2024-10-16T04:08:11.828325Z");
    let unmapped: Value = serde_json::from_str(row["unmapped"].as_str().unwrap()).unwrap();
    for name in
        ["missed_bytes", "history", "vlan", "community_id", "app", "pcr", "suri_ids", "tunnel_parents", "resp_ip_bytes"]
    {
        assert_eq!(unmapped[name], event["unmapped"][name], "{name}");
    }
}

#[test]
fn baselines_of_zeek_without_their_times() {
    for (name, count) in [("conn-failed", 2), ("core.vlan-mpls_conn", 3), ("field-name-map_conn", 34)] {
        let Some(log) = sample(&format!("zeek_baseline__{name}.log")) else { continue };
        let masked = import(&log, "auto");
        assert_eq!(masked.counts.rejected, count, "{name}");
        assert!(masked.rejects.iter().all(|reject| reject.reason.as_str() == "bad_time"), "{:?}", masked.rejects);
        let log = log.replace("XXXXXXXXXX.XXXXXX", "1300475167.096535");
        let plain = ["src\tsrc_port\tdst\tdst_port", "id.orig_h\tid.orig_p\tid.resp_h\tid.resp_p"];
        check_rows(&import(&log, "auto"), &records(&log.replace(plain[0], plain[1])));
    }
}

#[test]
fn another_log_is_none_of_ours() {
    let Some(log) = sample("zeek__test-ssl.log") else { return };
    let error = tradewind_formats::choose(log.as_bytes(), &"auto".parse().unwrap()).unwrap_err().to_string();
    assert!(error.contains("not a record of Zeek's conn.log"), "{error}");
    let out = import(&log, "zeek");
    assert_eq!((out.counts.flows, out.counts.rejected), (0, 12));
}

#[test]
fn a_stream_of_all_logs() {
    let Some(path) = tradewind_testkit::shared("eval/apt29-day1/zeek.log.gz") else { return };
    let mut log = String::new();
    flate2::read::MultiGzDecoder::new(fs::File::open(path).unwrap()).read_to_string(&mut log).unwrap();
    let out = import(&log, "auto");
    let (connections, others): (Vec<_>, Vec<_>) =
        records(&log).into_iter().partition(|record| record["@stream"] == json!("conn"));
    check_rows(&out, &connections);
    assert_eq!(out.counts.rejected, others.len() as u64);
    for (reject, record) in out.rejects.iter().zip(&others) {
        assert_eq!(reject.reason.as_str(), "other_log");
        assert!(reject.detail.contains(record["@stream"].as_str().unwrap()), "{}", reject.detail);
    }
    let Some(path) = tradewind_testkit::shared("eval/apt29-day1/flows.csv") else { return };
    let labelled = fs::read_to_string(path).unwrap();
    let outcomes: std::collections::HashMap<String, String> = rows(&out)
        .iter()
        .map(|row| {
            let key = format!("{} {} {}", row["src_ip"], row["src_port"], row["dst_ip"]);
            (key.replace('"', ""), row["status_code"].as_str().unwrap().to_owned())
        })
        .collect();
    let mut found = 0;
    for line in labelled.lines().skip(1) {
        let words: Vec<&str> = line.split(',').collect();
        found += usize::from(outcomes.contains_key(&format!("{} {} {}", words[1], words[3], words[2])));
    }
    assert_eq!(found, labelled.lines().count() - 1, "every labelled flow is a row");
}
