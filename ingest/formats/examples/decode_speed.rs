//! How fast each format is decoded on this machine: lines that look real, recognised by their content, decoded in chunks of 1 MiB, the best of five.
//!
//! `cargo run --profile ci -p tradewind-formats --example decode_speed [NAME]`

#![allow(clippy::print_stdout, reason = "its output is what it is for")]

use std::time::Instant;
use tradewind_formats::framing::{ChunkSizes, Chunks, Piece};
use tradewind_formats::{Decoded, FormatChoice, Framing, choose};

/// Bytes of a log.
const LOG_BYTES: usize = 32 << 20;
const ROUNDS: usize = 5;

/// Name, format as `--input-format` has it, header, and a line in which marks stand for what varies: `{ip}`, `{port}`, `{n}`, `{s}` (seconds), `{id}`.
const LOGS: &[(&str, &str, &str, &str)] = &[
    (
        "aws_vpc",
        "auto",
        "",
        "2 123456789010 eni-1235b8ca123456789 {ip} {ip} {port} 443 6 {n} {n}00 17000000{s} 17000000{s} ACCEPT OK",
    ),
    (
        "envoy json",
        "auto",
        "",
        r#"{"start_time":"2024-05-01T10:00:{s}.123Z","method":"GET","path":"/api/v1/items/{n}","protocol":"HTTP/1.1","response_code":200,"response_flags":"-","response_code_details":"via_upstream","connection_termination_details":null,"upstream_transport_failure_reason":null,"bytes_received":0,"bytes_sent":{n},"duration":12,"upstream_service_time":"11","x_forwarded_for":null,"user_agent":"python-requests/2.31.0","request_id":"{id}","authority":"items.shop:8080","upstream_host":"{ip}:8080","upstream_cluster":"outbound|8080||items.shop.svc.cluster.local","upstream_local_address":"{ip}:{port}","downstream_local_address":"10.96.1.7:8080","downstream_remote_address":"{ip}:{port}","requested_server_name":null,"route_name":"default"}"#,
    ),
    (
        "envoy text",
        "auto",
        "",
        r#"[2024-05-01T10:00:{s}.123Z] "GET /api/v1/items/{n} HTTP/1.1" 200 - via_upstream - "-" 0 {n} 12 11 "-" "python-requests/2.31.0" "{id}" "items.shop:8080" "{ip}:8080" outbound|8080||items.shop.svc.cluster.local {ip}:{port} 10.96.1.7:8080 {ip}:{port} - default"#,
    ),
    (
        "zeek json",
        "auto",
        "",
        r#"{"ts":17000000{s}.123456,"uid":"C{id}","id.orig_h":"{ip}","id.orig_p":{port},"id.resp_h":"{ip}","id.resp_p":443,"proto":"tcp","service":"ssl","duration":1.25,"orig_bytes":{n},"resp_bytes":{n}0,"conn_state":"SF","local_orig":true,"local_resp":true,"missed_bytes":0,"history":"ShADadFf","orig_pkts":{n},"orig_ip_bytes":{n}0,"resp_pkts":{n},"resp_ip_bytes":{n}00}"#,
    ),
    (
        "nginx combined",
        "auto",
        "",
        r#"{ip} - - [01/May/2024:10:00:{s} +0000] "GET /api/v1/items/{n} HTTP/1.1" 200 {n} "-" "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Safari/537.36""#,
    ),
    (
        "nginx ingress",
        "auto",
        "",
        r#"{ip} - - [01/May/2024:10:00:{s} +0000] "POST /api/v1/items/{n} HTTP/2.0" 200 {n} "-" "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36" 2057 0.033 [shop-items-8080] [] {ip}:8080 {n} 0.032 200 {id}"#,
    ),
    (
        "nginx json",
        "auto",
        "",
        r#"{"time":"2024-05-01T10:00:{s}+00:00","remote_addr":"{ip}","remote_port":"{port}","request_method":"GET","request_uri":"/api/v1/items/{n}","status":"200","request_time":"0.012","request_length":"512","bytes_sent":"{n}","upstream_addr":"{ip}:8080","upstream_status":"200","upstream_response_time":"0.011","host":"items.shop","http_user_agent":"python-requests/2.31.0","request_id":"{id}"}"#,
    ),
    (
        "haproxy http",
        "auto",
        "",
        r#"{ip}:{port} [01/May/2024:10:00:{s}.655] http-in~ items/srv1 10/0/30/69/109 200 {n} - - ---- 1/1/1/1/0 0/0 {items.shop} {} "GET /api/v1/items/{n} HTTP/1.1""#,
    ),
    ("haproxy tcp", "auto", "", "{ip}:{port} [01/May/2024:10:00:{s}.655] fnt bck/srv1 0/0/5007 {n} -- 1/1/1/1/0 0/0"),
    (
        "traefik json",
        "auto",
        "",
        r#"{"ClientAddr":"{ip}:{port}","ClientHost":"{ip}","ClientPort":"{port}","ClientUsername":"-","DownstreamContentSize":{n},"DownstreamStatus":200,"Duration":1500000,"OriginContentSize":{n},"OriginDuration":1200000,"OriginStatus":200,"Overhead":300000,"RequestAddr":"items.shop","RequestContentSize":0,"RequestCount":{n},"RequestHost":"items.shop","RequestMethod":"GET","RequestPath":"/api/v1/items/{n}","RequestPort":"-","RequestProtocol":"HTTP/1.1","RequestScheme":"https","RetryAttempts":0,"RouterName":"items@docker","ServiceAddr":"{ip}:8080","ServiceName":"items@docker","ServiceURL":"http://{ip}:8080","StartLocal":"2024-05-01T10:00:{s}.7Z","StartUTC":"2024-05-01T10:00:{s}.735539596Z","TLSVersion":"1.3","entryPointName":"websecure","level":"info","msg":"","time":"2024-05-01T10:00:{s}Z"}"#,
    ),
    (
        "caddy",
        "auto",
        "",
        r#"{"level":"info","ts":17000000{s}.5241024,"logger":"http.log.access","msg":"handled request","request":{"remote_ip":"{ip}","remote_port":"{port}","client_ip":"{ip}","proto":"HTTP/2.0","method":"GET","host":"items.shop","uri":"/api/v1/items/{n}","headers":{"User-Agent":["python-requests/2.31.0"],"Accept":["*/*"]},"tls":{"resumed":false,"version":772,"cipher_suite":4865,"proto":"h2","server_name":"items.shop"}},"bytes_read":0,"user_id":"","duration":0.000929675,"size":{n},"status":200,"resp_headers":{"Server":["Caddy"],"Content-Type":["application/json"]}}"#,
    ),
    (
        "linkerd json",
        "auto",
        "",
        r#"{"client.addr":"{ip}:{port}","client.id":"web.shop.serviceaccount.identity.linkerd.cluster.local","host":"items.shop:7000","method":"GET","processing_ns":"39826","request_bytes":"","response_bytes":"{n}","status":200,"timestamp":"2024-05-01T10:00:{s}.321746212Z","total_ns":"14441135","trace_id":"","uri":"http://items.shop:7000/items/{n}","user_agent":"Go-http-client/1.1","version":"HTTP/2.0"}"#,
    ),
    (
        "ztunnel",
        "auto",
        "",
        "2024-05-01T10:00:{s}.754291Z\tinfo\taccess\tconnection complete\tsrc.addr={ip}:{port} src.workload=\"web-{n}\" src.namespace=\"shop\" src.identity=\"spiffe://cluster.local/ns/shop/sa/web\" dst.addr={ip}:15008 dst.hbone_addr={ip}:9080 dst.service=\"items.shop.svc.cluster.local\" dst.workload=\"items-v1\" dst.namespace=\"shop\" dst.identity=\"spiffe://cluster.local/ns/shop/sa/items\" direction=\"outbound\" bytes_sent={n} bytes_recv={n}0 duration=\"15ms\"",
    ),
    (
        "gcp_vpc",
        "auto",
        "",
        r#"{"insertId":"{id}","jsonPayload":{"bytes_sent":"{n}","connection":{"dest_ip":"{ip}","dest_port":443,"protocol":6,"src_ip":"{ip}","src_port":{port}},"dest_instance":{"project_id":"p","region":"us-east1","vm_name":"items","zone":"us-east1-b"},"dest_vpc":{"project_id":"p","subnetwork_name":"default","vpc_name":"default"},"end_time":"2024-05-01T10:00:{s}.301953198Z","packets_sent":"{n}","reporter":"DEST","rtt_msec":"1","src_instance":{"project_id":"p","region":"us-east1","vm_name":"web","zone":"us-east1-b"},"src_vpc":{"project_id":"p","subnetwork_name":"default","vpc_name":"default"},"start_time":"2024-05-01T10:00:{s}.186193305Z"},"logName":"projects/p/logs/compute.googleapis.com%2Fvpc_flows","receiveTimestamp":"2024-05-01T10:01:10.845445834Z","resource":{"labels":{"location":"us-east1-b","project_id":"p","subnetwork_id":"75801","subnetwork_name":"default"},"type":"gce_subnetwork"},"timestamp":"2024-05-01T10:01:10.845445834Z"}"#,
    ),
    (
        "gcp_firewall",
        "auto",
        "",
        r#"{"insertId":"{id}","jsonPayload":{"connection":{"dest_ip":"{ip}","dest_port":80,"protocol":6,"src_ip":"{ip}","src_port":{port}},"disposition":"DENIED","instance":{"project_id":"p","region":"us-central1","vm_name":"items","zone":"us-central1-a"},"remote_instance":{"project_id":"p","region":"us-east1","vm_name":"web","zone":"us-east1-b"},"rule_details":{"action":"DENY","direction":"INGRESS","ip_port_info":[{"ip_protocol":"TCP","port_range":["80"]}],"priority":1000,"reference":"network:default/firewall:deny"},"vpc":{"project_id":"p","subnetwork_name":"s","vpc_name":"default"}},"receiveTimestamp":"2024-05-01T10:00:{s}.009675991Z","resource":{"labels":{"project_id":"p"},"type":"gce_subnetwork"},"timestamp":"2024-05-01T10:00:{s}.394575419Z"}"#,
    ),
    (
        "azure_vnet",
        "auto",
        "",
        r#"{"time":"2024-05-01T10:00:{s}.5625085Z","flowLogVersion":4,"macAddress":"0022487BC205","category":"FlowLogFlowEvent","targetResourceID":"/subscriptions/0/x/myVNet","operationName":"FlowLogFlowEvent","flowRecords":{"flows":[{"aclID":"acl","flowGroups":[{"rule":"Allow","flowTuples":["17145576{s}599,{ip},{ip},{port},443,6,O,C,NX,{n},{n},{n},{n}","17145576{s}606,{ip},{ip},{port},443,6,O,E,NX,{n},{n},{n},{n}","17145576{s}606,{ip},{ip},{port},443,6,I,B,NX,0,0,0,0"]}]}]}}"#,
    ),
    (
        "azure_nsg",
        "auto",
        "",
        r#"{"time":"2024-05-01T10:00:{s}.389Z","category":"NetworkSecurityGroupFlowEvent","resourceId":"/SUBSCRIPTIONS/0/NSG","properties":{"Version":2,"flows":[{"rule":"Allow","flows":[{"mac":"000D3AF87856","flowTuples":["17145576{s},{ip},{ip},{port},443,T,O,A,C,{n},{n},{n},{n}","17145576{s},{ip},{ip},{port},443,T,O,A,E,{n},{n},{n},{n}","17145576{s},{ip},{ip},{port},443,T,I,D,B,,,,"]}]}]}}"#,
    ),
    (
        "azure_firewall",
        "auto",
        "",
        r#"{"category":"AZFWNetworkRule","properties":{"Action":"Allow","ActionReason":"","DestinationIp":"{ip}","DestinationPort":443,"Policy":"policy","Protocol":"TCP","Rule":"r","RuleCollection":"c","RuleCollectionGroup":"g","SourceIp":"{ip}","SourcePort":{port}},"resourceId":"/SUBSCRIPTIONS/0/RESOURCEGROUPS/G/PROVIDERS/MICROSOFT.NETWORK/AZUREFIREWALLS/FW01","time":"2024-05-01T10:00:{s}.8494370Z"}"#,
    ),
    (
        "aws_alb",
        "auto",
        "",
        r#"https 2024-05-01T10:00:{s}.186641Z app/my-loadbalancer/50dc6c495c0c9188 {ip}:{port} {ip}:8080 0.000 0.012 0.000 200 200 {n} {n} "GET https://items.shop:443/api/v1/items/{n} HTTP/1.1" "python-requests/2.31.0" ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 arn:aws:elasticloadbalancing:us-east-2:123456789012:targetgroup/my-targets/73e2d6bc24d8a067 "Root={id}" "items.shop" "arn:aws:acm:us-east-2:123456789012:certificate/12345678" 0 2024-05-01T10:00:{s}.100000Z "forward" "-" "-" "{ip}:8080" "200" "-" "-" TID_1"#,
    ),
    (
        "aws_nlb",
        "auto",
        "",
        r#"tls 2.0 2024-05-01T10:00:{s} net/my-network-loadbalancer/c6e77e28c25b2234 g3d4b5e8bb8464cd {ip}:{port} {ip}:443 5 2 {n} {n} - arn:aws:acm:us-east-2:671290407336:certificate/2a108f19 - ECDHE-RSA-AES128-SHA tlsv12 - items.elb.us-east-2.amazonaws.com h2 h2 "h2","http/1.1" 2024-05-01T10:00:{s}"#,
    ),
    (
        "aws_network_firewall",
        "auto",
        "",
        r#"{"firewall_name":"FW","availability_zone":"us-east-2a","event_timestamp":"17145576{s}","event":{"timestamp":"2024-05-01T10:00:{s}.324542+0000","flow_id":625409144331688,"event_type":"netflow","src_ip":"{ip}","src_port":{port},"dest_ip":"{ip}","dest_port":5060,"proto":"TCP","netflow":{"pkts":{n},"bytes":{n}0,"start":"2024-05-01T10:00:{s}.990632+0000","end":"2024-05-01T10:00:{s}.990632+0000","age":0,"min_ttl":221,"max_ttl":221},"tcp":{"tcp_flags":"02","syn":true}}}"#,
    ),
    (
        "ocsf",
        "auto",
        "",
        r#"{"metadata":{"product":{"name":"Amazon VPC","vendor_name":"AWS"},"version":"1.1.0"},"cloud":{"account":{"uid":"123456789012"},"region":"us-east-1","zone":"use1-az1","provider":"AWS"},"src_endpoint":{"port":{port},"ip":"{ip}"},"dst_endpoint":{"port":443,"ip":"{ip}","interface_uid":"eni-1","vpc_uid":"vpc-1"},"connection_info":{"protocol_num":6,"tcp_flags":2,"direction_id":1,"direction":"Inbound"},"traffic":{"packets":{n},"bytes":{n}},"time":17145576{s}000,"start_time":17145576{s}000,"end_time":17145576{s}000,"status_code":"OK","severity_id":1,"class_name":"Network Activity","class_uid":4001,"category_uid":4,"activity_name":"Traffic","activity_id":6,"disposition":"Allowed","disposition_id":1,"type_uid":400106}"#,
    ),
    (
        "ecs",
        "auto",
        "",
        r#"{"@timestamp":"2024-05-01T10:00:{s}Z","ecs":{"version":"8.11.0"},"source":{"ip":"{ip}","port":{port},"bytes":{n},"packets":{n}},"destination":{"ip":"{ip}","port":443,"bytes":{n},"packets":{n}},"network":{"transport":"tcp","bytes":{n},"direction":"internal","community_id":"1:{id}"},"event":{"start":"2024-05-01T10:00:{s}Z","end":"2024-05-01T10:00:{s}Z","type":["connection","allowed"],"action":"accept","category":["network"],"kind":"event"},"observer":{"name":"fw"},"rule":{"name":"r"}}"#,
    ),
    (
        "otlp",
        "auto",
        "",
        r#"{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"web"}}]},"scopeLogs":[{"scope":{"name":"s"},"logRecords":[{"timeUnixNano":"17145576{s}300000000","severityNumber":9,"traceId":"{id}","body":{"stringValue":"request"},"attributes":[{"key":"client.address","value":{"stringValue":"{ip}"}},{"key":"client.port","value":{"intValue":"{port}"}},{"key":"server.address","value":{"stringValue":"{ip}"}},{"key":"server.port","value":{"intValue":"443"}},{"key":"http.request.method","value":{"stringValue":"GET"}},{"key":"url.path","value":{"stringValue":"/items/{n}"}},{"key":"http.response.status_code","value":{"intValue":"200"}}]}]}]}]}"#,
    ),
];

/// A number that looks random, for a row and a place in it.
fn number(row: u64, place: u64) -> u64 {
    let mixed = (row.wrapping_mul(31) + place + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ (mixed >> 29)
}

fn line(template: &str, row: u64, log: &mut String) {
    let mut rest = template;
    let mut place = 0;
    while let Some(at) = rest.find('{') {
        log.push_str(&rest[..at]);
        place += 1;
        let value = number(row, place);
        let (length, text) = match &rest[at..] {
            mark if mark.starts_with("{ip}") => (4, format!("10.{}.{}.{}", value % 4, value / 4 % 8, value / 32 % 250)),
            mark if mark.starts_with("{port}") => (6, (1024 + value % 60_000).to_string()),
            mark if mark.starts_with("{n}") => (3, (1 + value % 100_000).to_string()),
            mark if mark.starts_with("{s}") => (3, format!("{:02}", row / 10_000 % 60)),
            mark if mark.starts_with("{id}") => (4, format!("{value:016x}{:016x}", number(row, place + 99))),
            _ => (1, "{".to_owned()),
        };
        log.push_str(&text);
        rest = &rest[at + length..];
    }
    log.push_str(rest);
    log.push('\n');
}

fn main() {
    let wanted = std::env::args().nth(1);
    println!("{:<22} {:>8} {:>10} {:>8}", "format", "MB/s", "M rows/s", "B/row");
    for (name, format, header, template) in
        LOGS.iter().filter(|(name, ..)| wanted.as_deref().is_none_or(|wanted| name.starts_with(wanted)))
    {
        let mut log = String::from(*header);
        let mut row = 0;
        while log.len() < LOG_BYTES {
            line(template, row, &mut log);
            row += 1;
        }
        let choice: FormatChoice = format.parse().expect("the format is one");
        let chosen = choose(&log.as_bytes()[..64 * 1024], &choice).expect("the log is recognised");
        let Framing::Text(records) = chosen.framing else { continue };
        let (mut best, mut rows) = (f64::MAX, 0);
        for _ in 0..ROUNDS {
            let mut chunks = Chunks::new(log.as_bytes(), records, ChunkSizes::default());
            let (mut buffer, mut out) = (Vec::new(), Decoded::default());
            rows = 0;
            let mut seconds = 0.0;
            while let Ok(Some(piece)) = chunks.next(&mut buffer) {
                let Piece::Records { offset } = piece else { panic!("no record is too long") };
                let begun = Instant::now();
                chosen.format.decode(&buffer, offset, &mut out);
                seconds += begun.elapsed().as_secs_f64();
                assert!(out.rejects.is_empty(), "{name}: {:?}", out.rejects.first());
                rows += out.flows.len();
                out.clear();
            }
            best = f64::min(best, seconds);
        }
        let (bytes, rows) = (log.len() as f64, rows as f64);
        println!("{name:<22} {:>8.0} {:>10.2} {:>8.0}", bytes / best / 1e6, rows / best / 1e6, bytes / rows);
    }
}
