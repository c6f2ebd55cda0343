//! Writes Istio JSON access log lines, one object a request: the 24 keys of Istio's default and the peer's identity.
//!
//! Keys are in the order in which Envoy writes them, by name. Half of the lines are from the client's proxy
//! (`outbound|…`), half from the server's (`inbound|…`).

use crate::estate::{Edge, Estate, Service, ephemeral_port};
use crate::random::Random;
use crate::tally::{Counts, Tally};
use std::io::{self, Write};

/// 2026-01-15 08:00:00 UTC, and its text up to the hour.
const DAY: &str = "2026-01-15T";
const FIRST_HOUR: u64 = 8;
/// 2 million lines cover 100 minutes.
const LINES_PER_SECOND: u64 = 333;
const METHODS: [&str; 6] = ["GET", "GET", "GET", "POST", "PUT", "DELETE"];
const AGENTS: [&str; 6] = [
    "Go-http-client/2.0",
    "python-requests/2.32.3",
    "Apache-HttpClient/5.3.1 (Java/21.0.4)",
    "okhttp/4.12.0",
    "grpc-java-netty/1.68.1",
    "node-fetch/1.0 (+https://github.com/bitinn/node-fetch)",
];
const RESOURCES: [&str; 12] = [
    "items",
    "orders",
    "customers",
    "prices",
    "reservations",
    "sessions",
    "events",
    "reports",
    "coupons",
    "addresses",
    "shipments",
    "documents",
];

/// What became of a request.
#[derive(Clone, Copy, Debug)]
struct Answer {
    status: &'static str,
    details: &'static str,
    flags: &'static str,
    failure: &'static str,
}

const SERVED: Answer = Answer { status: "200", details: "via_upstream", flags: "-", failure: "null" };
const NOT_FOUND: Answer = Answer { status: "404", ..SERVED };
const FORBIDDEN: Answer =
    Answer { status: "403", details: "rbac_access_denied_matched_policy[none]", flags: "-", failure: "null" };
const UNREACHABLE: Answer = Answer {
    status: "503",
    details: "upstream_reset_before_response_started{connection_failure}",
    flags: "UF,URX",
    failure: "\"delayed connect error: 111\"",
};

/// Writes `lines` lines. The same seed gives the same bytes.
pub(crate) fn write(out: &mut impl Write, lines: u64, seed: u64) -> io::Result<Counts> {
    let mut random = Random::new(seed);
    let estate = Estate::new(&mut random);
    let mut tally = Tally::new(estate.instances.len());
    let mut text = Vec::new();
    while tally.lines < lines {
        let edge = estate.draw_edge(&mut random);
        let Some(server) = edge.server else { continue };
        text.clear();
        let millis = tally.lines * 1000 / LINES_PER_SECOND;
        push_request(&mut text, &estate, edge, &estate.services[server], millis, &mut tally, &mut random)?;
        tally.lines += 1;
        tally.bytes += text.len() as u64;
        out.write_all(&text)?;
    }
    out.flush()?;
    Ok(tally.counts())
}

fn push_request(
    text: &mut Vec<u8>,
    estate: &Estate,
    edge: Edge,
    server: &Service,
    millis: u64,
    tally: &mut Tally,
    random: &mut Random,
) -> io::Result<()> {
    let client = &estate.services[edge.client];
    let client_end = (estate.draw_instance(Some(edge.client), random), ephemeral_port(random));
    let server_end = (estate.draw_instance(edge.server, random), server.port);
    tally.note(client_end, server_end);
    let (is_inbound, port) = (random.permille(500), server.port);
    let answer = match random.below(1000) {
        0..4 => UNREACHABLE,
        4..8 if is_inbound => FORBIDDEN,
        8..40 => NOT_FOUND,
        _ => SERVED,
    };
    let (client_ip, server_ip) = (&estate.instances[client_end.0].address, &estate.instances[server_end.0].address);
    let host = format!("{}.{}.svc.cluster.local", server.name, server.namespace);
    let took = random.log_normal(3 * 1024, 1300);
    let method = METHODS[random.index(METHODS.len())];
    let received = if method == "GET" { 0 } else { random.log_normal(9 * 1024, 1500) };
    write!(
        text,
        r#"{{"authority":"{}.{}:{port}","bytes_received":{received},"bytes_sent":{}"#,
        server.name,
        server.namespace,
        random.log_normal(11 * 1024, 1800)
    )?;
    write!(text, r#","connection_termination_details":null,"downstream_local_address":"{server_ip}:{port}""#)?;
    let spiffe = format!("spiffe://cluster.local/ns/{}/sa/{}", client.namespace, client.name);
    if is_inbound {
        write!(text, r#","downstream_peer_uri_san":"{spiffe}""#)?;
    } else {
        text.extend_from_slice(br#","downstream_peer_uri_san":null"#);
    }
    write!(
        text,
        r#","downstream_remote_address":"{client_ip}:{}","duration":{took},"method":"{method}""#,
        client_end.1
    )?;
    let (resource, id) = (RESOURCES[random.index(RESOURCES.len())], random.below(5_000));
    let query = if random.permille(250) { "?expand=lines" } else { "" };
    write!(text, r#","path":"/api/v2/{resource}/{id}{query}","protocol":"HTTP/2","request_id":""#)?;
    push_uuid(text, random)?;
    match is_inbound {
        true => write!(text, r#"","requested_server_name":"outbound_.{port}_._.{host}""#)?,
        false => text.extend_from_slice(br#"","requested_server_name":null"#),
    }
    let Answer { status, details, flags, failure } = answer;
    write!(text, r#","response_code":{status},"response_code_details":"{details}","response_flags":"{flags}""#)?;
    let (hours, minutes) = (FIRST_HOUR + millis / 3_600_000, millis / 60_000 % 60);
    let (seconds, fraction) = (millis / 1000 % 60, millis % 1000);
    write!(text, r#","route_name":"default","start_time":"{DAY}{hours:02}:{minutes:02}:{seconds:02}.{fraction:03}Z""#)?;
    if is_inbound {
        write!(text, r#","upstream_cluster":"inbound|{port}||","upstream_host":"{server_ip}:{port}""#)?;
        write!(text, r#","upstream_local_address":"127.0.0.6:{}""#, ephemeral_port(random))?;
    } else {
        write!(text, r#","upstream_cluster":"outbound|{port}||{host}","upstream_host":"{server_ip}:{port}""#)?;
        write!(text, r#","upstream_local_address":"{client_ip}:{}""#, ephemeral_port(random))?;
    }
    write!(text, r#","upstream_service_time":"{took}","upstream_transport_failure_reason":{failure}"#)?;
    writeln!(text, r#","user_agent":"{}","x_forwarded_for":null}}"#, AGENTS[edge.client % AGENTS.len()])
}

/// A random UUID (RFC 9562, version 4).
fn push_uuid(text: &mut Vec<u8>, random: &mut Random) -> io::Result<()> {
    let (high, low) = (random.next(), random.next());
    let version_and_rest = (high & 0xfff) | 0x4000;
    let variant_and_rest = (low >> 48 & 0x3fff) | 0x8000;
    write!(
        text,
        "{:08x}-{:04x}-{version_and_rest:04x}-{variant_and_rest:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        low & 0xffff_ffff_ffff
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::collections::HashSet;

    fn made(lines: u64, seed: u64) -> (String, Counts) {
        let mut out = Vec::new();
        let counts = write(&mut out, lines, seed).unwrap();
        (String::from_utf8(out).unwrap(), counts)
    }

    #[test]
    fn same_seed_same_bytes() {
        assert_eq!(made(2_000, 1), made(2_000, 1));
        assert_ne!(made(2_000, 1).0, made(2_000, 2).0);
    }

    #[test]
    fn counts_are_those_of_the_text() {
        let (text, counts) = made(5_000, 1);
        let rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!((rows.len(), counts.lines, counts.gaps), (5_000, 5_000, 0));
        assert_eq!(counts.bytes, text.len() as u64);
        assert!(rows.iter().all(|row| row.as_object().unwrap().len() == 25));
        let end = |row: &Value, key: &str| {
            row[key].as_str().unwrap().rsplit_once(':').map(|(ip, port)| (ip.to_owned(), port.to_owned())).unwrap()
        };
        let ends = rows.iter().map(|row| (end(row, "downstream_remote_address"), end(row, "downstream_local_address")));
        let pairs: HashSet<_> = ends.map(|(client, server)| (client.0, server.0)).collect();
        assert_eq!(pairs.len(), counts.pairs as usize);
    }

    #[test]
    fn lines_are_about_as_long_as_real_ones() {
        let (_, counts) = made(5_000, 1);
        let mean = counts.bytes / counts.lines;
        assert!((780..880).contains(&mean), "{mean} bytes a line");
    }

    #[test]
    fn time_goes_on() {
        let (text, _) = made(5_000, 1);
        let times: Vec<String> = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap()["start_time"].as_str().unwrap().to_owned())
            .collect();
        assert!(times.is_sorted());
        assert_eq!(times.last().unwrap(), "2026-01-15T08:00:15.012Z");
    }
}
