//! Envoy and Istio access logs from outside: samples against their expected parse, custom layouts, hostile input.

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use std::fs;
use tradewind_formats::envoy::{ENVOY_TEXT, ISTIO_TEXT, LayoutError, from_layout, json as json_format, sniff};
use tradewind_formats::{Decoded, Format, Reason};
use tradewind_testkit::shared;

fn decode(format: &dyn Format, input: &[u8]) -> Decoded {
    let mut out = Decoded::default();
    format.decode(input, 0, &mut out);
    let counts = out.counts;
    assert_eq!(counts.records, counts.flows + counts.rejected + counts.gaps);
    assert_eq!((counts.flows, counts.rejected), (out.flows.len() as u64, out.rejects.len() as u64));
    out
}

fn rows(out: &Decoded) -> Vec<Map<String, Value>> {
    (0..out.flows.len()).map(|row| out.flows.row_json(row)).collect()
}

/// Decodes one line and compares the columns that `expected` names; null means absent.
fn check(format: &dyn Format, line: &str, expected: Value) {
    let out = decode(format, line.as_bytes());
    assert_eq!(out.rejects, [], "{line}");
    compare(&rows(&out)[0], &expected, line);
}

fn compare(row: &Map<String, Value>, expected: &Value, line: &str) {
    for (column, expected) in expected.as_object().unwrap() {
        let found = row.get(column).unwrap_or(&Value::Null);
        assert_eq!(found, expected, "{column} of {line}\n{row:#?}");
    }
}

fn unmapped(row: &Map<String, Value>) -> Value {
    row.get("unmapped").map_or(Value::Null, |text| serde_json::from_str(text.as_str().unwrap()).unwrap())
}

/// Decodes a sample with the format that is recognised in it; nothing where the samples are absent.
fn sample(name: &str) -> Option<Vec<Map<String, Value>>> {
    let bytes = fs::read(shared(&format!("samples/envoy_istio/{name}"))?).unwrap();
    let (format, reason) = sniff(&bytes).expect(name);
    let out = decode(&*format, &bytes);
    assert_eq!(out.rejects, [], "{name}: {reason}");
    Some(rows(&out))
}

/// What Elastic expects of a sample, one object a record.
fn elastic(name: &str) -> Vec<Value> {
    let path = shared(&format!("samples/envoy_istio/{name}-expected.json")).unwrap();
    let value: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    value.get("expected").unwrap_or(&value).as_array().unwrap().clone()
}

/// Elastic calls the bytes sent `http.request.body.bytes` and those received `http.response.body.bytes`, and takes the
/// duration from `upstream_service_time`; ours comes from `DURATION`.
#[test]
fn istio_samples_agree_with_elastic() {
    for name in ["istio__test-access-logs.log", "istio__test-access-json-logs.log"] {
        let Some(rows) = sample(name) else { return };
        let expected = elastic(name);
        assert_eq!(rows.len(), expected.len());
        for (row, expected) in rows.iter().zip(&expected) {
            let at = |pointer: &str| expected.pointer(pointer).cloned().unwrap_or(Value::Null);
            let time = at("/@timestamp").as_str().unwrap().to_owned();
            let text = |value: Value| if value.is_null() { Value::Null } else { Value::from(value.to_string()) };
            let mut columns = json!({
                "start_time": tradewind_model_time(&time),
                "operation": at("/http/request/method"),
                "resource": at("/url/original"),
                "operation_status": text(at("/http/response/status_code")),
                "bytes_in": at("/http/request/body/bytes"),
                "bytes_out": at("/http/response/body/bytes"),
                "trace_id": at("/http/request/id"),
            });
            let message = at("/event/original").as_str().unwrap().to_owned();
            // Elastic takes an address with port 0, which comes from X-Forwarded-For, as a source without port; we do not.
            if at("/source/port").is_null() {
                columns["src_ip"] = Value::Null;
            } else {
                columns["src_ip"] = at("/source/ip");
                columns["src_port"] = at("/source/port");
            }
            // Elastic takes the upstream host of inbound records too, which for us is the hop from proxy to workload.
            if message.contains("\"[2a02:cf40::7]:3000\" inbound|") {
                assert_eq!(at("/destination/ip"), "2a02:cf40::7");
                columns["dst_ip"] = json!("10.124.0.11");
            } else if !at("/destination/ip").is_null() {
                columns["dst_ip"] = at("/destination/ip");
                columns["dst_port"] = at("/destination/port");
            }
            compare(row, &columns, &message);
        }
    }
}

fn tradewind_model_time(text: &str) -> String {
    text.parse::<jiff::Timestamp>().unwrap().to_string()
}

#[test]
fn envoy_sample() {
    let Some(rows) = sample("beats_envoyproxy__envoy.log") else { return };
    // Elastic has the source's address from X-Forwarded-For; we have none: the default text does not tell it.
    let expected = [
        json!({"record_kind": "connection", "app_protocol": null, "operation": null, "operation_status": null,
            "bytes_out": 87, "bytes_in": 254, "dst_ip": "172.27.0.2", "dst_port": 80, "src_ip": null,
            "start_time": "2019-04-08T16:50:12.533Z", "end_time": "2019-04-08T16:50:12.537Z", "outcome": "allowed",
            "position_offset": 0, "source": "envoy", "vantage": "proxy", "protocol_num": 6, "status_code": null}),
        json!({"record_kind": "request", "operation": "GET", "resource": "/service/1", "operation_status": "200",
            "bytes_out": 0, "bytes_in": 89, "server_name": "localhost", "dst_ip": "172.27.0.3",
            "trace_id": "c219f6da-2b7f-483e-9ced-ec323d9330a9", "position_offset": 82, "app_protocol": "http"}),
        json!({"operation_status": "404", "status_code": "NR", "result": "error", "outcome": "failed", "dst_ip": null,
            "src_ip": null, "server_name": "192.168.99.107", "position_offset": 240}),
        json!({"operation_status": "301", "outcome": "allowed", "dst_ip": "151.101.66.217", "src_ip": null}),
    ];
    assert_eq!(rows.len(), expected.len());
    rows.iter().zip(&expected).for_each(|(row, expected)| compare(row, expected, "envoy sample"));
    assert_eq!(unmapped(&rows[2])["x_forwarded_for"], "172.17.0.3");
}

#[test]
fn denials_by_rbac() {
    let Some(rows) = sample("istio__rbac_denied.log") else { return };
    assert_eq!(rows.len(), 2);
    let expected = json!({"verdict": "denied", "outcome": "denied", "result": null, "policy": "none",
        "outcome_reason": "rbac_access_denied_matched_policy[none]", "dst_ip": "10.244.1.9", "dst_port": 80,
        "src_ip": null, "vantage": "destination", "operation_status": "403", "resource": "/",
        "server_name": "outbound_.80_._.nginx-svc.default.svc.cluster.local", "bytes_in": 19});
    compare(&rows[1], &expected, "rbac");
    assert_eq!(unmapped(&rows[1])["downstream_remote_address"], "10.244.1.1:0");
}

#[test]
fn the_client_side_of_istio() {
    let Some(rows) = sample("istio__json_http.json") else { return };
    let expected = json!({"src_ip": "100.99.85.45", "src_port": 45540, "dst_ip": "100.99.85.44", "dst_port": 9080,
        "post_nat_src_ip": "100.99.85.45", "post_nat_src_port": 38544, "vantage": "source", "server_name": "details",
        "operation": "GET", "resource": "/details/0", "bytes_in": 178, "bytes_out": 0, "result": "established",
        "response_latency_us": 2000, "end_time": "2021-06-13T21:03:03.409Z", "is_src_dst_assignment_known": true, "orientation": "log"});
    compare(&rows[0], &expected, "json sample");
    let left = json!({"downstream_local_address": "10.107.109.209:9080", "protocol": "HTTP/1.1", "route_name": "default",
        "upstream_cluster": "outbound|9080||details.default.svc.cluster.local"});
    assert_eq!(unmapped(&rows[0]), left);
}

/// Lines as Envoy 1.40 wrote them: quotes in path and agent, a refused and a closed upstream, RBAC, a client that left.
#[test]
fn real_lines() {
    let format = from_layout(ISTIO_TEXT).unwrap();
    let line = |middle: &str| format!("[2026-11-23T08:46:37.258Z] \"{middle} - default\r\n");
    let quotes = r#"GET /a"b?t=1 HTTP/1.1" 200 - via_upstream - "-" 0 5 0 0 "-" "x" "q" "auth" "9.9.9.9:9" "0ed2ed47" "127.0.0.1:18080" "127.0.0.1:18081" up 127.0.0.1:32830 127.0.0.1:18080 127.0.0.1:37008"#;
    check(
        &*format,
        &line(quotes),
        json!({"resource": "/a\"b", "dst_port": 18081, "trace_id": "0ed2ed47", "src_port": 37008,
        "server_name": "127.0.0.1"}),
    );
    let refused = r#"GET /refused HTTP/1.1" 503 UF upstream_reset_before_response_started{remote_connection_failure|delayed_connect_error:_Connection_refused} - "delayed_connect_error:_Connection_refused" 0 98 0 - "-" "curl/7.88.1" "badc6880" "127.0.0.1:18080" "127.0.0.1:1" refused - 127.0.0.1:18080 127.0.0.1:37026"#;
    check(
        &*format,
        &line(refused),
        json!({"result": "refused", "outcome": "failed", "status_code": "UF", "dst_port": 1}),
    );
    let rbac = r#"GET /rbac HTTP/1.1" 403 - rbac_access_denied_matched_policy[ns[a]-policy[deny_it]-rule[0]] - "-" 0 19 0 - "-" "tab	and\back" "6281ce1c" "127.0.0.1:18080" "-" - - 127.0.0.1:18080 127.0.0.1:37070"#;
    check(
        &*format,
        &line(rbac),
        json!({"verdict": "denied", "policy": "ns[a]-policy[deny_it]-rule[0]", "dst_port": 18080}),
    );
    let tcp = r#"- - -" 0 - - rbac_access_denied_matched_policy[ns[a]-policy[p]-rule[0]] "-" 82 0 1 - "-" "-" "-" "-" "127.0.0.1:18081" up 127.0.0.1:32886 127.0.0.1:18083 127.0.0.1:47478"#;
    check(
        &*format,
        &line(tcp),
        json!({"verdict": "denied", "policy": "ns[a]-policy[p]-rule[0]", "record_kind": "connection",
        "operation": null, "operation_status": null, "bytes_out": 82}),
    );
    let left = r#"GET /slow HTTP/2" 0 DC downstream_remote_disconnect - "-" 0 0 294 - "-" "curl/7.88.1" "92f0c3ef" "127.0.0.1:18080" "127.0.0.1:18081" up 127.0.0.1:32850 127.0.0.1:18080 127.0.0.1:37084"#;
    check(
        &*format,
        &line(left),
        json!({"result": "reset", "outcome": "failed", "operation_status": null,
        "outcome_reason": "downstream_remote_disconnect", "end_time": "2026-11-23T08:46:37.552Z"}),
    );
}

#[test]
fn ends_and_identities() {
    let format = json_format();
    let cases = [
        (json!({"downstream_remote_address": "1.2.3.4:0", "x_forwarded_for": "1.2.3.4"}), json!({"src_ip": null})),
        (json!({"downstream_remote_address_without_port": "1.2.3.4"}), json!({"src_ip": null})),
        (
            json!({"downstream_remote_address": "1.2.3.4:0", "downstream_direct_remote_address": "[::ffff:10.0.0.7]:999"}),
            json!({"src_ip": "10.0.0.7", "src_port": 999}),
        ),
        (
            json!({"upstream_cluster": "inbound|80||", "upstream_host": "127.0.0.1:80", "downstream_local_address": "[2001:db8:0::9]:80"}),
            json!({"dst_ip": "2001:db8::9", "dst_port": 80, "vantage": "destination", "post_nat_src_ip": null}),
        ),
        (
            json!({"upstream_host": "envoy://internal/10.0.0.1:80", "downstream_local_address": "10.0.0.2:81"}),
            json!({"dst_ip": "10.0.0.2", "dst_port": 81}),
        ),
        (
            json!({"downstream_peer_uri_san": "dns:x,spiffe://td/ns/a/sa/b", "downstream_local_uri_san": "spiffe://td/ns/c/sa/d",
            "downstream_tls_version": "TLSv1.3"}),
            json!({"src_principal": "spiffe://td/ns/a/sa/b", "dst_principal": "spiffe://td/ns/c/sa/d", "src_verified": true,
                "encryption": "mtls", "tls_version": "TLSv1.3"}),
        ),
        (
            json!({"downstream_tls_version": "TLSv1.2"}),
            json!({"encryption": "tls", "src_principal": null, "src_verified": null}),
        ),
        (json!({"protocol": "HTTP/3"}), json!({"protocol_num": 17, "protocol": "udp"})),
        (
            json!({"method": "POST", "path": "/pkg.Service/Do", "content-type": "application/grpc+proto"}),
            json!({"app_protocol": "grpc", "resource": "/pkg.Service/Do"}),
        ),
        (
            json!({":authority": "user:pw@shop:80", "x-envoy-origin-path": "/a?secret=1", "x-request-id": "r"}),
            json!({"server_name": "shop", "resource": "/a", "trace_id": "r"}),
        ),
        (
            json!({"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "request_id": "r"}),
            json!({"trace_id": "0af7651916cd43dd8448eb211c80319c"}),
        ),
        (
            json!({"pod_name": "web-1", "duration": "15", "response_code": "200"}),
            json!({"observer": "web-1", "end_time": "2026-01-01T00:00:00.015Z", "operation_status": "200"}),
        ),
    ];
    for (mut record, expected) in cases {
        record["start_time"] = json!("2026-01-01T00:00:00Z");
        check(&*format, &record.to_string(), expected);
    }
    check(&*format, r#"{"response_flags":"-","method":"GET"}"#, json!({"time_quality": "missing", "start_time": null}));
}

#[test]
fn unknown_keys_are_kept() {
    let line = r#"{"start_time":"2026-01-01T00:00:00Z","a":{"b":[1,"\u00e9"]},"n":1.5,"t":true,"cookie":"x","esc":"a\"b","d":1,"d":2}"#;
    let out = decode(&*json_format(), line.as_bytes());
    let expected = json!({"a": {"b": [1, "é"]}, "n": 1.5, "t": true, "cookie": "[redacted]", "esc": "a\"b", "d": 2});
    assert_eq!(unmapped(&rows(&out)[0]), expected);
}

#[test]
fn rejects_name_reason_and_field() {
    fn check(line: &[u8], reason: Reason, detail: &str) {
        let format = if line.starts_with(b"[") { from_layout(ENVOY_TEXT).unwrap() } else { json_format() };
        let out = decode(&*format, line);
        assert_eq!(out.rejects.len(), 1, "{}", String::from_utf8_lossy(line));
        assert_eq!(out.rejects[0].reason, reason, "{}", out.rejects[0].detail);
        assert!(out.rejects[0].detail.contains(detail), "{}", out.rejects[0].detail);
    }
    check(br#"{"start_time":"yesterday"}"#, Reason::BadTime, "yesterday");
    check(br#"{"bytes_sent":-1}"#, Reason::BadNumber, "bytes_sent");
    check(br#"{"response_code":1000}"#, Reason::BadNumber, "response_code");
    check(br#"{"upstream_host":"10.0.0.300:80"}"#, Reason::BadAddress, "10.0.0.300");
    check(br#"{"bytes_sent":1"#, Reason::BadJson, "EOF");
    check(b"[1]", Reason::BadSyntax, "START_TIME");
    check(b"nothing", Reason::BadJson, "expected");
    check(b"{\"path\":\"\xff\"}", Reason::InvalidUtf8, "byte 9");
    check(format!("{{\"a\":{}{}}}", "[".repeat(33), "]".repeat(33)).as_bytes(), Reason::TooComplex, "nested");
    let keys: Vec<String> = (0..300).map(|key| format!("\"k{key}\":1")).collect();
    check(format!("{{{}}}", keys.join(",")).as_bytes(), Reason::TooComplex, "keys");
    let line = r#"[2026-01-01T00:00:00Z] "GET / HTTP/1.1" abc - 0 0 0 - "-" "-" "-" "-" "-""#;
    check(line.as_bytes(), Reason::BadSyntax, "%RESPONSE_CODE%");
}

#[test]
fn custom_layouts() {
    let text = "%START_TIME(%s.%3f)%|%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%|%REQ(:METHOD)% %REQ(:PATH):99%|%RESPONSE_FLAGS_LONG%|%RESPONSE_CODE%|%HOSTNAME%|%REQ(X-TENANT)%|%REQ(AUTHORIZATION)%|%UPSTREAM_HOST%|%CONNECTION_ID%\\n";
    let line = "1795423597.369|127.0.0.1:37026|GET /refused|UpstreamConnectionFailure|503|vm|t1|Bearer x|127.0.0.1:1|4";
    // The line end may be written as Envoy's configuration has it, as a backslash and an n.
    let expected = json!({"start_time": "2026-11-23T08:46:37.369Z", "src_port": 37026, "result": "error", "observer": "vm",
        "status_code": "UpstreamConnectionFailure", "dst_port": 1, "resource": "/refused",
        "unmapped": r#"{"x-tenant":"t1","authorization":"[redacted]","connection_id":"4"}"#});
    check(&*from_layout(text).unwrap(), line, expected);

    let layout = json!({"ts": "%START_TIME(%s)%", "client": "%DOWNSTREAM_REMOTE_ADDRESS%", "who": "%REQ(:AUTHORITY)%",
        "request": "%REQ(:METHOD)% %REQ(:PATH)% %PROTOCOL%", "env": "prod", "size": {"in": "%BYTES_RECEIVED%", "x": "%REQ(X)%"}});
    let line = r#"{"ts":"1795423597","client":"10.0.0.1:5","who":"shop","request":"GET /a\"b HTTP/1.1","env":"prod","size":{"in":"7","x":"y"}}"#;
    check(
        &*from_layout(&layout.to_string()).unwrap(),
        line,
        json!({"start_time": "2026-11-23T08:46:37Z", "src_ip": "10.0.0.1",
        "server_name": "shop", "operation": "GET", "resource": "/a\"b", "bytes_out": 7,
        "unmapped": r#"{"protocol":"HTTP/1.1","env":"prod","size.x":"y"}"#}),
    );
}

#[test]
fn layouts_that_cannot_be_used() {
    fn check(layout: &str, expected: fn(&LayoutError) -> bool) {
        let error = from_layout(layout).err().unwrap();
        assert!(expected(&error), "{layout}: {error}");
    }
    check(" ", |error| matches!(error, LayoutError::Length { .. }));
    check("abc", |error| matches!(error, LayoutError::NoOperator));
    check("%START_TIME% %REQ(", |error| matches!(error, LayoutError::Operator { position: 13, .. }));
    check("%BYTES_SENT%%DURATION%", |error| matches!(error, LayoutError::Adjacent { .. }));
    check("%START_TIME(%H:%M)% x", |error| matches!(error, LayoutError::TimePattern { .. }));
    check("%START_TIME% %START_TIME(%s)%", |error| matches!(error, LayoutError::TwoTimes));
    check("{\"a\": ", |error| matches!(error, LayoutError::Json { .. }));
    check("{\"a\": [\"%START_TIME%\"]}", |error| matches!(error, LayoutError::JsonValue { .. }));
    check("{\"a\": \"b\"}", |error| matches!(error, LayoutError::NoOperator));
}

#[test]
fn other_logs_are_not_claimed() {
    for head in [
        r#"{"messageType":"DATA_MESSAGE","logEvents":[{"id":"1","timestamp":1,"message":"x"}]}"#,
        r#"{"ts":1.5,"uid":"C","id.orig_h":"10.0.0.1","id.resp_h":"10.0.0.2","proto":"tcp","duration":1}"#,
        r#"{"StartUTC":"2026-01-01T00:00:00Z","ClientAddr":"10.0.0.1:1","RequestMethod":"GET","Duration":1}"#,
        r#"{"client.addr":"10.0.0.1:1","method":"GET","request_bytes":"","status":200,"timestamp":"x"}"#,
        "2 123456789010 eni-1 172.31.16.139 172.31.16.21 20641 22 6 20 4249 1418530010 1418530070 ACCEPT OK",
        "10.0.0.1 - - [29/May/2018:12:43:10 +0200] \"GET / HTTP/1.1\" 200 5 \"-\" \"curl\"",
        "",
    ] {
        assert!(sniff(head.as_bytes()).is_none(), "{head}");
    }
    let mixed = "\n2026-01-01 info envoy starting\n[2019-04-08T16:50:12.533Z] \"- - -\" 0 - 87 254 4 - \"-\" \"-\" \"-\" \"-\" \"172.27.0.2:80\"\n";
    let (format, reason) = sniff(mixed.as_bytes()).unwrap();
    assert_eq!(reason, "1 of the first 2 lines fit Envoy's default text format");
    assert_eq!(decode(&*format, mixed.as_bytes()).counts.rejected, 1);
}

fn line() -> impl Strategy<Value = String> {
    let text = r#"[2026-01-01T00:00:00Z] "GET /a HTTP/1.1" 200 - 0 5 7 6 "-" "UA" "id" "host" "10.0.0.1:80""#;
    let json = r#"{"start_time":"2026-01-01T00:00:00Z","path":"/a","upstream_host":"10.0.0.1:80","x":UA}"#;
    let filling = prop_oneof!["[ -~é]{0,12}", "[\" \\[\\]{}0-9]{0,12}", Just("\"u\"".to_owned())];
    (prop_oneof![Just(text), Just(json), Just("UA")], filling).prop_map(|(line, filling)| line.replace("UA", &filling))
}

proptest! {
    #[test]
    fn no_bytes_panic(input in proptest::collection::vec(any::<u8>(), 0..300)) {
        for format in [from_layout(ENVOY_TEXT).unwrap(), from_layout(ISTIO_TEXT).unwrap(), json_format()] {
            decode(&*format, &input);
        }
        let claimed = sniff(&input).is_some();
        prop_assert!(!claimed || input.len() > 60);
        if let Ok(format) = from_layout(&String::from_utf8_lossy(&input)) {
            decode(&*format, &input);
        }
    }

    #[test]
    fn parts_give_what_the_whole_gives(lines in proptest::collection::vec(line(), 0..8), at in 0..8_usize) {
        for format in [from_layout(ENVOY_TEXT).unwrap(), json_format()] {
            let whole = lines.join("\n");
            let part: String = lines.iter().take(at).map(|line| format!("{line}\n")).collect();
            let split = part.len().min(whole.len());
            let mut parts = Decoded::default();
            format.decode(&whole.as_bytes()[..split], 0, &mut parts);
            format.decode(&whole.as_bytes()[split..], split as u64, &mut parts);
            let once = decode(&*format, whole.as_bytes());
            prop_assert_eq!(rows(&once), rows(&parts));
            prop_assert_eq!(&once.rejects, &parts.rejects);
            prop_assert_eq!(once.counts, parts.counts);
        }
    }
}
