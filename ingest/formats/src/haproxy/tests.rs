//! Lines of every format.

use super::*;
use crate::testing::{check_row, decode_line};
use serde_json::{Value, json};

fn decode(line: &str) -> Result<Value, String> {
    decode_line(&HaProxy, line)
}

fn check(line: &str, expected: Value) {
    check_row(&HaProxy, line, expected);
}

#[test]
fn http_formats() {
    check(
        "Feb  6 12:14:14 localhost haproxy[14389]: 10.0.1.2:33317 [06/Feb/2009:12:14:14.655] http-in static/srv1 10/0/30/69/109 200 2750 - - ---- \
         1/1/1/1/0 0/0 {1wt.eu} {} \"GET /index.html?x=1 HTTP/1.1\"",
        json!({
            "src_ip": "10.0.1.2", "src_port": 33317, "start_time": "2009-02-06T12:14:14.655Z", "end_time": "2009-02-06T12:14:14.764Z",
            "operation": "GET", "resource": "/index.html", "operation_status": "200", "bytes_in": 2750, "bytes_out": null,
            "response_latency_us": 69000, "status_code": "----", "outcome": "allowed", "record_kind": "request", "dst_ip": null,
            "unmapped.frontend": "http-in", "unmapped.backend": "static", "unmapped.server": "srv1", "unmapped.request_headers": "1wt.eu",
            "unmapped.response_headers": null, "encryption": null
        }),
    );
    check(
        "67.43.156.13:38862 [30/Jul/2018:09:03:52.726] incoming~ docs/docs site.example.com 0/0/1/-1/+2 304 +168 - - sH-- 6/6/0/0/0 0/0 {|||} \
         \"GET https://docs.example/a HTTP/2.0\" 0/0/0/0/0 docs.example/TLSv1.3/TLS_AES_128_GCM_SHA256",
        json!({
            "encryption": "tls", "tls_version": "TLSv1.3", "server_name": "docs.example", "outcome": "failed", "result": "timeout",
            "bytes_in": 168, "response_latency_us": null, "unmapped.logged_before_end": true, "resource": "/a",
            "unmapped.tls_cipher": "TLS_AES_128_GCM_SHA256", "unmapped.tls_errors": null
        }),
    );
    for (state, status, outcome) in [
        ("PR--", "403", "denied"),
        ("PR--", "400", "failed"),
        ("SC--", "503", "failed"),
        ("cR--", "408", "failed"),
        ("LR--", "302", "allowed"),
    ] {
        check(
            &format!(
                "-:22222 [22/May/2021:02:22:22.222] www b/<NOSRV> 0/-1/-1/-1/18 {status} 200 - - {state} 2/2/2/0/0 0/0 \"<BADREQ>\""
            ),
            json!({"outcome": outcome, "operation": null, "src_ip": null, "operation_status": status}),
        );
    }
    check(
        "10.0.0.1:1 [22/May/2021:02:22:22.222] www b/s 0/0/0/0/0 200 1 - - ---- 2/2/2/0/0 0/0 \"GET /cut-off-by-sys",
        json!({"operation": "GET", "resource": "/cut-off-by-sys"}),
    );
}

#[test]
fn tcp_default_and_errors() {
    check(
        "10.0.1.1:63569 [14/Jun/2023:13:33:29.574] ssl be:eck/pod:es-0:https:10.142.10.10:9200 199/1/205 2635 -- 29/29/5/3/0 0/0",
        json!({"dst_ip": "10.142.10.10", "dst_port": 9200, "bytes_in": 2635, "record_kind": "connection", "outcome": "allowed", "app_protocol": null}),
    );
    check(
        "haproxy[1]: 127.0.0.1:40962 [20/Sep/2018:15:44:23.285] main app/<NOSRV> -1/-1/1 212 SC 1/1/0/0/0 0/0",
        json!({"outcome": "failed", "result": "refused", "status_code": "SC", "end_time": "2018-09-20T15:44:23.286Z"}),
    );
    check(
        "::1:52214 [12/Oct/2023:21:11:56.796] f w/s2 1/0/18391 11462 cD 1/1/0/0/0 0/0",
        json!({"src_ip": "::1", "src_port": 52214, "outcome": "allowed", "outcome_reason": "cut in the data after a time-out"}),
    );
    check(
        "Connect from 10.0.0.1:3000 to 10.0.0.2:80 (web/HTTP)",
        json!({"src_ip": "10.0.0.1", "dst_ip": "10.0.0.2", "dst_port": 80, "outcome": "allowed", "time_quality": "missing", "unmapped.mode": "HTTP"}),
    );
    for (text, result) in [
        ("Connection error during SSL handshake", "error"),
        ("Timeout during SSL handshake", "timeout"),
        ("Connection closed during SSL handshake", "reset"),
    ] {
        check(
            &format!("127.0.0.1:56059 [03/Dec/2012:17:35:10.380] frt/f1: {text}"),
            json!({"outcome": "failed", "result": result, "outcome_reason": text, "record_kind": "event"}),
        );
    }
}

#[test]
fn lines_that_cannot_be_read() {
    for line in [
        "what is this",
        "Connect from 10.0.0.1:3000",
        "10.0.0.1:1 [22/May/2021:02:22:22.222] www",
        "10.0.0.1:1 [22/May/2021:02:22:22.222] www b/s",
        "10.0.0.1:1 [22/May/2021:02:22:22.222] www b/s 1/2 3",
        "10.0.0.1:1 [22/May/2021:02:22:22.222] www b/s 1/2/3 4 long! 1 1",
        "10.0.0.1:1 [22/May/2021:02:22:22.222] www b/s 0/0/0/0/0 OK 1 - - ---- 1 1",
    ] {
        assert!(decode(line).is_err_and(|fault| fault.starts_with("bad_syntax")), "{line}");
    }
    assert!(decode("10.0.0.1:1 [never] www").is_err_and(|fault| fault.starts_with("bad_time")));
    assert!(
        decode("10.0.0.1:99999 [22/May/2021:02:22:22.222] f b/s 1/2/3 4 -- 1 1")
            .is_err_and(|fault| fault.starts_with("bad_number"))
    );
    assert!(
        decode("10.0.0.1:1 [22/May/2021:02:22:22.222] f b/s 1/2/3 many -- 1 1")
            .is_err_and(|fault| fault.starts_with("bad_number"))
    );
    assert!(by_content(b"10.0.0.1 - - [10/Oct/2000:13:55:36 -0700] \"GET / HTTP/1.1\" 200 1\n").is_none());
}
