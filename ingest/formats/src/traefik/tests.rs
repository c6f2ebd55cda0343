//! Lines of both formats and every outcome.

use super::*;
use crate::testing::{check_row, decode_line};
use serde_json::json;

fn check(line: &str, expected: serde_json::Value) {
    check_row(&Traefik, line, expected);
}

#[test]
fn json_records() {
    check(
        r#"{"ClientAddr":"10.0.0.9:48658","ClientHost":"198.51.100.7","ClientPort":"48658","ClientUsername":"alice","DownstreamContentSize":19,"DownstreamStatus":200,"Duration":1500000,"OriginDuration":1200000,"OriginStatus":200,"RequestContentSize":-1,"RequestHost":"shop.example:8443","RequestLine":"GET /a?t=1 HTTP/1.1","RequestMethod":"GET","RequestPath":"/a?t=1","RouterName":"web@docker","ServiceAddr":"10.0.0.2:80","ServiceURL":{"Scheme":"http","Host":"10.0.0.2:80","RawQuery":"x=1"},"StartUTC":"2021-03-16T18:56:54.735539596Z","StartLocal":"x","TLSVersion":"1.3","TLSClientSubject":"CN=web","request_Authorization":"Basic abc","request_User-Agent":"curl","level":"info"}"#,
        json!({
            "src_ip": "10.0.0.9", "src_port": 48658, "dst_ip": "10.0.0.2", "dst_port": 80, "resource": "/a", "operation": "GET",
            "start_time": "2021-03-16T18:56:54.735539Z", "end_time": "2021-03-16T18:56:54.737039Z", "response_latency_us": 1200,
            "bytes_out": null, "bytes_in": 19, "server_name": "shop.example", "encryption": "mtls", "src_principal": "CN=web",
            "outcome": "allowed", "unmapped.ClientHost": "198.51.100.7", "unmapped.RouterName": "web@docker",
            "unmapped.request_Authorization": "[redacted]", "unmapped.request_User-Agent": "curl", "unmapped.RequestLine": null,
            "unmapped.ClientUsername": null, "unmapped.ServiceURL": null
        }),
    );
    check(
        r#"{"ClientHost":"::1","ClientPort":"80","DownstreamStatus":502,"ServiceURL":"http://10.0.0.3:8080/x?y","time":"2021-03-16T18:56:54Z","Duration":1000000000,"RouterName":"r"}"#,
        json!({"src_ip": "::1", "dst_ip": "10.0.0.3", "dst_port": 8080, "start_time": "2021-03-16T18:56:53Z", "outcome": "failed", "status_code": "502"}),
    );
    for (status, router, outcome) in [
        (404, "\"RouterName\":\"r\",", "allowed"),
        (404, "", "failed"),
        (401, "\"RouterName\":\"r\",", "denied"),
        (403, "\"RouterName\":\"r\",", "denied"),
        (429, "\"RouterName\":\"r\",", "denied"),
        (499, "\"RouterName\":\"r\",", "failed"),
        (503, "\"RouterName\":\"r\",", "failed"),
        (504, "\"RouterName\":\"r\",", "failed"),
        (301, "\"RouterName\":\"r\",", "allowed"),
        (0, "", "unknown"),
    ] {
        check(
            &format!("{{{router}\"ClientHost\":\"10.0.0.1\",\"DownstreamStatus\":{status}}}"),
            json!({"outcome": outcome}),
        );
        check(
            &format!(
                "{{{router}\"ClientHost\":\"10.0.0.1\",\"DownstreamStatus\":{status},\"OriginStatus\":{}}}",
                status.max(200)
            ),
            json!({"outcome": "allowed"}),
        );
    }
}

#[test]
fn common_lines() {
    let line = |status: &str, router: &str, url: &str| {
        format!(
            "192.168.33.1 - - [02/Oct/2017:20:22:07 +0000] \"GET /ui/a.png?x HTTP/1.1\" {status} 7 \"http://e/?q\" \"curl/8\" 262 \"{router}\" \"{url}\" 2ms"
        )
    };
    check(
        &line("304", "web", "http://172.19.0.3:5601"),
        json!({
            "src_ip": "192.168.33.1", "dst_ip": "172.19.0.3", "dst_port": 5601, "end_time": "2017-10-02T20:22:07.002Z", "resource": "/ui/a.png",
            "bytes_in": 7, "outcome": "allowed", "unmapped.router": "web", "unmapped.count": "262", "unmapped.user_agent": "curl/8"
        }),
    );
    for (status, router, url, outcome) in [
        ("404", "backend not found", "/", "failed"),
        ("403", "web", "-", "denied"),
        ("403", "web", "http://10.0.0.1:80", "allowed"),
        ("502", "web", "http://10.0.0.1:80", "failed"),
        ("-", "-", "-", "unknown"),
    ] {
        check(&line(status, router, url), json!({"outcome": outcome}));
    }
}

#[test]
fn what_cannot_be_read() {
    for (line, fault) in [
        ("what is this", "bad_syntax"),
        ("10.0.0.1 - - [02/Oct/2017:20:22:07 +0000] \"GET / HTTP/1.1\" 200 1 \"-\" \"-\"", "bad_syntax"),
        ("10.0.0.1 - - [never] \"GET /\"", "bad_time"),
        (r#"{"level":"info","msg":"start"}"#, "other_log"),
        (r#"{"ClientHost":"10.0.0.1","DownstreamStatus":200,"Duration":"soon"}"#, "bad_number"),
        (r#"{"ClientHost":"10.0.0.999","DownstreamStatus":200}"#, "bad_address"),
    ] {
        let found = decode_line(&Traefik, line).err().unwrap_or_default();
        assert!(found.starts_with(fault), "{line}: {found}");
    }
}
