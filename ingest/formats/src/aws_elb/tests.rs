//! Lines of both load balancers.

use super::*;
use crate::testing::{check_row, decode_line};
use serde_json::json;

fn alb(ends: &str, statuses: &str, actions: &str) -> String {
    format!(
        "https 2018-07-02T22:23:00.186641Z app/my-lb/50dc 192.168.131.39:2817 {ends} {statuses} 34 366 \"GET https://www.example.com:443/a?b=c HTTP/1.1\" \"curl/7.46.0\" ECDHE-RSA TLSv1.2 arn:aws:tg/x \"Root=1-58\" \"www.example.com\" \"arn:cert\" 0 2018-07-02T22:22:48.364000Z \"{actions}\" \"https://x/?q\" \"-\" \"10.0.0.1:80\" \"200\" \"-\" \"-\" TID_1 more"
    )
}

#[test]
fn requests() {
    check_row(
        &Log::Alb,
        &alb("10.0.0.1:80 0.000 0.001 0.000", "200 200", "forward"),
        json!({
            "src_ip": "192.168.131.39", "src_port": 2817, "dst_ip": "10.0.0.1", "dst_port": 80, "bytes_out": 34, "bytes_in": 366, "operation": "GET",
            "resource": "/a", "operation_status": "200", "server_name": "www.example.com", "response_latency_us": 1000, "trace_id": "Root=1-58",
            "encryption": "tls", "tls_version": "TLSv1.2", "observer": "app/my-lb/50dc", "outcome": "allowed", "start_time": "2018-07-02T22:22:48.364Z",
            "end_time": "2018-07-02T22:23:00.186641Z", "unmapped.conn_trace_id": "TID_1", "unmapped.user_agent": "curl/7.46.0"
        }),
    );
    for (statuses, actions, outcome) in [
        ("403 403", "forward", "allowed"),
        ("403 -", "waf", "denied"),
        ("401 -", "authenticate", "denied"),
        ("561 -", "authenticate", "denied"),
        ("460 -", "forward", "failed"),
        ("400 -", "-", "failed"),
        ("408 -", "-", "failed"),
        ("502 -", "forward", "failed"),
        ("503 -", "forward", "failed"),
        ("504 -", "forward", "failed"),
        ("404 -", "fixed-response", "allowed"),
        ("301 -", "redirect", "allowed"),
        ("414 -", "-", "failed"),
        ("- -", "forward", "unknown"),
    ] {
        check_row(&Log::Alb, &alb("- -1 -1 -1", statuses, actions), json!({"outcome": outcome, "dst_ip": null}));
    }
    let short = "http 2018-07-02T22:23:00.186641Z app/l/5 [::1]:2817 - -1 -1 -1 400 - 0 0 \"- http://x:80- -\" \"-\" - - - \"-\" \"-\" \"-\" - 2018-07-02T22:22:48.364000Z";
    check_row(
        &Log::Alb,
        short,
        json!({"src_ip": "::1", "operation": null, "outcome": "failed", "encryption": null, "server_name": null}),
    );
}

const NLB: &str = "tls 2.0 2020-04-01T08:51:42 net/my-nlb/c6e7 g3d4 72.21.218.154:51341 172.100.100.185:443 5 2 98 246 - arn:cert - ECDHE tlsv12 - x.elb.amazonaws.com h2 h2 \"h2\",\"http/1.1\" 2020-04-01T08:51:20";

#[test]
fn tls_connections() {
    check_row(
        &Log::Nlb,
        NLB,
        json!({
            "src_ip": "72.21.218.154", "dst_ip": "172.100.100.185", "dst_port": 443, "bytes_out": 98, "bytes_in": 246, "tls_version": "tlsv12",
            "server_name": "x.elb.amazonaws.com", "encryption": "tls", "outcome": "allowed", "start_time": "2020-04-01T08:51:20Z",
            "end_time": "2020-04-01T08:51:42Z", "unmapped.alpn_client_preference_list": "\"h2\",\"http/1.1\"", "record_kind": "connection"
        }),
    );
    check_row(
        &Log::Nlb,
        &NLB.replace(" 5 2 98", " 5 - 98"),
        json!({"outcome": "failed", "result": "error", "encryption": null}),
    );
    check_row(&Log::Nlb, &NLB.replace("246 - arn", "246 48 arn"), json!({"outcome": "failed", "status_code": "48"}));
    check_row(&Log::Nlb, &NLB.replace(" 2020-04-01T08:51:20", ""), json!({"start_time": "2020-04-01T08:51:41.995Z"}));
}

#[test]
fn what_cannot_be_read() {
    for (log, line, fault) in [
        (Log::Alb, "http".to_owned(), "too_few_fields"),
        (Log::Alb, alb("10.0.0.1:80 0 0 0", "200 200", "x").replace("T22:23", "x"), "bad_time"),
        (Log::Alb, alb("host:80 0 0 0", "200 200", "x"), "bad_address"),
        (Log::Alb, alb("10.0.0.1:80 0 0 0", "200 200", "x").replace(" 34 ", " many "), "bad_number"),
        (Log::Nlb, NLB.replacen("tls", "tcp", 1), "bad_value"),
        (Log::Nlb, NLB.replace("2020-04-01T08:51:42", "now"), "bad_time"),
        (Log::Nlb, "tls 2.0".to_owned(), "too_few_fields"),
    ] {
        let found = decode_line(&log, &line).err().unwrap_or_default();
        assert!(found.starts_with(fault), "{line}: {found}");
    }
    let of = |text: &str| [Log::Alb, Log::Nlb].map(|log| log.by_content(text.as_bytes()).is_some());
    assert_eq!(of(&alb("- -1 -1 -1", "200 -", "x")), [true, false]);
    assert_eq!(of(NLB), [false, true]);
    assert_eq!(of("http x"), [false, false]);
}
