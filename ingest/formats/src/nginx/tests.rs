//! Lines of every format and every outcome.

use super::*;
use crate::testing::{check_row, decode_line as decode};
use serde_json::Value;

fn check(line: &str, expected: Value) {
    check_row(&Usual, line, expected);
}

const AGENT: &str = "\"-\" \"curl/8\"";

#[test]
fn combined_with_what_stands_around_it() {
    check(
        &format!("10.0.0.1 - alice [10/Oct/2000:13:55:36 -0700] \"GET /a?b=c HTTP/1.1\" 200 612 {AGENT}"),
        serde_json::json!({
            "src_ip": "10.0.0.1", "start_time": "2000-10-10T20:55:36Z", "operation": "GET", "resource": "/a", "operation_status": "200",
            "bytes_in": 612, "bytes_out": null, "outcome": "allowed", "result": "established", "record_kind": "request",
            "vantage": "proxy", "source": "nginx", "unmapped.http_user_agent": "curl/8", "unmapped.remote_user": null,
            "encryption": null
        }),
    );
    let prefixed = [
        ("10.0.0.2, 10.0.0.1, 127.0.0.1", "127.0.0.1", "10.0.0.2, 10.0.0.1"),
        ("\"10.5.102.222, 199.96.1.1\" 10.2.1.185", "10.2.1.185", "10.5.102.222, 199.96.1.1"),
        ("shop.example.com ::1", "::1", "shop.example.com"),
    ];
    for (head, peer, before) in prefixed {
        check(
            &format!("{head} - - [10/Oct/2000:13:55:36 -0700] \"GET / HTTP/1.1\" 304 0 {AGENT}"),
            serde_json::json!({"src_ip": peer, "unmapped.before_remote_addr": before}),
        );
    }
    for peer in ["unix:", "localhost"] {
        check(
            &format!("{peer} - - [10/Oct/2000:13:55:36 -0700] \"GET / HTTP/2.0\" 200 1 {AGENT} \"1.2.3.4\""),
            serde_json::json!({"src_ip": null, "unmapped.remote_addr": peer, "unmapped.http_x_forwarded_for": "1.2.3.4"}),
        );
    }
    check(
        "10.0.0.1 - - [10/Oct/2000:13:55:36 -0700] \"GET / HTTP/1.0\" 200 -",
        serde_json::json!({"bytes_in": null, "outcome": "allowed"}),
    );
}

#[test]
fn answers_without_upstreams() {
    for (status, request, outcome, result) in [
        (200, "GET / HTTP/1.1", "allowed", "established"),
        (403, "GET / HTTP/1.1", "allowed", "established"),
        (404, "GET / HTTP/1.1", "allowed", "established"),
        (400, "", "failed", "error"),
        (400, "\\x16\\x03\\x01", "failed", "error"),
        (400, "GET / HTTP/1.1", "allowed", "established"),
        (408, "-", "failed", "timeout"),
        (444, "GET / HTTP/1.1", "denied", ""),
        (496, "GET / HTTP/1.1", "denied", ""),
        (499, "GET / HTTP/1.1", "failed", "reset"),
        (502, "GET / HTTP/1.1", "failed", "error"),
        (503, "GET / HTTP/1.1", "failed", "error"),
        (504, "GET / HTTP/1.1", "failed", "timeout"),
        (0, "GET / HTTP/1.1", "unknown", ""),
    ] {
        let result = if result.is_empty() { Value::Null } else { Value::from(result) };
        check(
            &format!("10.0.0.1 - - [10/Oct/2000:13:55:36 -0700] \"{request}\" {status:03} 0 {AGENT}"),
            serde_json::json!({"outcome": outcome, "result": result}),
        );
    }
}

#[test]
fn ingress_and_its_retries() {
    let line = |status: u16, upstreams: &str| {
        format!(
            "10.0.0.1 - - [24/Aug/2022:21:04:17 +0000] \"POST /_bulk HTTP/2.0\" {status} 470 {AGENT} 2057 0.033 [shop-web-80] [] {upstreams} 3db73c6c"
        )
    };
    check(
        &line(200, "[2a02:cf40::]:9200 470 0.036 200"),
        serde_json::json!({
            "dst_ip": "2a02:cf40::", "dst_port": 9200, "bytes_out": 2057, "bytes_in": 470, "response_latency_us": 36000,
            "start_time": "2022-08-24T21:04:16.967Z", "end_time": "2022-08-24T21:04:17Z", "trace_id": "3db73c6c",
            "outcome": "allowed", "unmapped.proxy_upstream_name": "shop-web-80"
        }),
    );
    check(
        &line(502, "10.0.0.7:5000, 10.0.0.8:5000 : 10.0.0.9:80 0, 0 : 0 1.000, 2.000 : 0.5 502, 502 : 502"),
        serde_json::json!({
            "dst_ip": "10.0.0.9", "dst_port": 80, "outcome": "failed", "result": "error", "response_latency_us": 500_000,
            "unmapped.upstream_addr": "10.0.0.7:5000, 10.0.0.8:5000 : 10.0.0.9:80", "unmapped.upstream_status": "502, 502 : 502"
        }),
    );
    for (status, upstreams, outcome) in [
        (403, "- - - -", "denied"),
        (401, "- - - -", "denied"),
        (429, "- - - -", "denied"),
        (404, "- - - -", "allowed"),
        (403, "10.0.0.7:80 1 0.1 403", "allowed"),
        (200, "10.0.0.7:80 1 0.1 -", "failed"),
    ] {
        check(&line(status, upstreams), serde_json::json!({"outcome": outcome}));
    }
}

#[test]
fn sessions_of_the_stream_module() {
    check(
        "172.17.0.13 [07/Dec/2018:19:47:58 +0000] TCP 200 10 20 1.500 \"192.168.1.16:31092\"",
        serde_json::json!({
            "src_ip": "172.17.0.13", "dst_ip": "192.168.1.16", "dst_port": 31092, "bytes_in": 10, "bytes_out": 20,
            "start_time": "2018-12-07T19:47:56.5Z", "end_time": "2018-12-07T19:47:58Z", "record_kind": "connection",
            "protocol": "tcp", "outcome": "allowed", "app_protocol": null, "status_code": "200"
        }),
    );
    for (status, outcome) in
        [(400, "failed"), (403, "denied"), (500, "failed"), (502, "failed"), (503, "failed"), (299, "unknown")]
    {
        check(
            &format!("10.0.0.1 - - [08/Feb/2019:14:47:21 +0000] UDP {status} 0 0 0.004"),
            serde_json::json!({"outcome": outcome, "protocol": "udp"}),
        );
    }
}

#[test]
fn json_with_names_of_variables() {
    check(
        r#"{"time":"2024-01-02T03:04:05+00:00","remote_addr":"10.0.0.1","remote_port":"5123","request_method":"GET","request_uri":"/a/jane@example.org?x=1",
            "status":"200","request_time":"0.5","upstream_addr":"10.0.0.2:80","upstream_status":"200","upstream_response_time":"0.4","request_length":"80",
            "bytes_sent":"900","ssl_protocol":"TLSv1.3","ssl_client_verify":"SUCCESS","ssl_client_s_dn":"CN=web","host":"shop:8443","remote_user":"alice",
            "args":"x=1","http_user_agent":"curl","nested":{"token":"t","a":1}}"#
            .replace('\n', "")
            .as_str(),
        serde_json::json!({
            "src_ip": "10.0.0.1", "src_port": 5123, "dst_ip": "10.0.0.2", "dst_port": 80, "resource": "/a/[redacted]@example.org",
            "start_time": "2024-01-02T03:04:04.5Z", "encryption": "mtls", "src_principal": "CN=web", "src_verified": true,
            "tls_version": "TLSv1.3", "server_name": "shop", "unmapped.http_user_agent": "curl", "unmapped.nested.a": 1,
            "unmapped.nested.token": "[redacted]", "unmapped.remote_user": null, "unmapped.args": null, "unmapped.remote_addr": null
        }),
    );
    check(
        r#"{"msec":"1700000000.250","remote_addr":"10.0.0.1","status":403,"body_bytes_sent":1,"ssl_client_verify":"FAILED:expired","scheme":"https","server_addr":"10.0.0.9","server_port":"443"}"#,
        serde_json::json!({
            "outcome": "denied", "end_time": "2023-11-14T22:13:20.25Z", "encryption": "tls", "dst_ip": "10.0.0.9", "dst_port": 443,
            "unmapped.ssl_client_verify": "FAILED:expired"
        }),
    );
}

#[test]
fn refusals_of_the_error_log() {
    let line = |message: &str, upstream: &str| {
        format!(
            "2021/04/01 13:02:31 [error] 31#31: *1 {message}, client: 172.17.0.1, server: localhost, request: \"POST /a?b HTTP/1.1\"{upstream}, host: \"shop:8081\""
        )
    };
    let upstream = ", upstream: \"http://10.0.0.2:80/a?b\"";
    for (message, outcome, result) in [
        ("access forbidden by rule", "denied", Value::Null),
        ("limiting requests, excess: 1.2 by zone \"one\"", "denied", Value::Null),
        ("user \"x\": password mismatch", "denied", Value::Null),
        ("connect() failed (111: Connection refused) while connecting to upstream", "failed", Value::from("refused")),
        ("upstream timed out (110: Connection timed out) while reading", "failed", Value::from("timeout")),
        ("connect() failed (113: No route to host)", "failed", Value::from("error")),
        ("recv() failed (104: Connection reset by peer)", "failed", Value::from("reset")),
    ] {
        check(
            &line(message, upstream),
            serde_json::json!({
                "outcome": outcome, "result": result, "src_ip": "172.17.0.1", "dst_ip": "10.0.0.2", "dst_port": 80, "operation": "POST",
                "resource": "/a", "server_name": "shop", "record_kind": "event", "start_time": "2021-04-01T13:02:31Z", "status_code": "error"
            }),
        );
    }
    let other = decode(&Usual, &line("open() \"/x\" failed (2: No such file or directory)", ""));
    assert_eq!(other, Err("other_log: a line of nginx's error log that is about no refusal".to_owned()));
    let other = decode(&Usual, "2021/04/01 13:02:31 [notice] 31#31: signal process started");
    assert_eq!(other, Err("other_log: a line of nginx's error log that is about no client".to_owned()));
}

#[test]
fn lines_that_cannot_be_read() {
    let fault = |line: &str| decode(&Usual, line).err().unwrap_or_default();
    for line in [
        "what is this",
        "10.0.0.1 - - [10/Oct/2000:13:55:36 -0700",
        "10.0.0.1 [10/Oct/2000:13:55:36 -0700] \"GET / HTTP/1.1\" 200 1",
        "10.0.0.1 - - [10/Oct/2000:13:55:36 -0700] \"GET / HTTP/1.1\" 2000 1",
        "10.0.0.1 - - [10/Oct/2000:13:55:36 -0700] \"GET / HTTP/1.1\" 200 many",
        "10.0.0.1 - - [10/Oct/2000:13:55:36 -0700] ICMP 200 1 1 1",
        "10.0.0.1 - - [10/Oct/2000:13:55:36 -0700] \"GET / HTTP/1.1\" 200 1 \"-\" \"-\" 1 1 [x] [] 10.0.0.1:80,",
    ] {
        assert!(fault(line).starts_with("bad_syntax"), "{line}: {}", fault(line));
    }
    assert!(fault("10.0.0.1 - - [never] \"GET / HTTP/1.1\" 200 1").starts_with("bad_time"));
    assert!(fault("10.0.0.999 - - [10/Oct/2000:13:55:36 -0700] \"GET / HTTP/1.1\" 200 1").starts_with("bad_address"));
    assert!(fault("{\"level\":\"info\"}").starts_with("other_log"));
}

#[test]
fn a_users_own_format() {
    let format = named(
        b"",
        Some("$remote_addr:$remote_port|$time_iso8601|$request|$status|$upstream_addr|$upstream_status|$geoip_country"),
    );
    let Ok(chosen) = format else { panic!("{format:?}") };
    let line = "10.0.0.1:80|2024-01-02T03:04:05+01:00|GET /x y HTTP/1.1|403|-|-|DE";
    let row = decode(&*chosen.format, line).unwrap_or_default();
    assert_eq!(row["outcome"], "denied");
    assert_eq!(row["src_port"], 80);
    assert_eq!(row["resource"], "/x y");
    assert_eq!(row["start_time"], "2024-01-02T02:04:05Z");
    assert_eq!(row["unmapped"], "{\"geoip_country\":\"DE\"}");
}

#[test]
fn what_is_recognised() {
    let reason = |head: &str| by_content(head.as_bytes()).map(|chosen| chosen.reason).unwrap_or_default();
    assert!(
        reason(&format!("\n10.0.0.1 - - [10/Oct/2000:13:55:36 -0700] \"GET / HTTP/1.1\" 200 1 {AGENT}\n"))
            .contains("combined")
    );
    assert!(reason("10.0.0.1 [10/Oct/2000:13:55:36 -0700] TCP 200 1 1 1\n").contains("stream"));
    assert!(reason("{\"remote_addr\":\"::1\",\"status\":200,\"request_time\":1}\n").contains("JSON"));
    assert!(reason("2021/04/01 13:02:31 [notice] 31#31: start\n").contains("error log"));
    for head in [
        "[2022-09-08T12:51:05.656Z] \"GET / HTTP/1.1\" 200 - 0 1 2 3",
        "a - b [10/Oct/2000] \"GET /\" 200 1",
        "{\"status\":200}",
    ] {
        assert_eq!(reason(head), "", "{head}");
    }
}
