//! What observers write of true connections, as text: AWS VPC flow logs of both interfaces, Istio's access logs of both
//! sidecars, Zeek in between. Clocks are off.

use super::logs::{Line, Log, log};
use super::truth::{Burst, Connection, Host, Kind, Listener, Numbers, SECOND, listener, namespace, service_name};
use jiff::Timestamp;
use std::collections::{BTreeMap, HashMap};

/// Clocks are off by at most this.
const SKEW: i64 = 2 * SECOND;
/// The interval over which a flow log adds up.
const INTERVAL: i64 = 60 * SECOND;
const FIVE_MINUTES: i64 = 300 * SECOND;
/// Payload of a packet, and headers of IP with TCP, UDP or ICMP.
const SEGMENT: i64 = 1_448;
/// Bytes of the header of a request, and of an answer.
const HTTP_HEADERS: [i64; 2] = [420, 260];

const SYN: i64 = 2;
const SYN_ACK: i64 = 18;
const FIN: i64 = 1;

const AWS_DEFAULT: &str = "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start end \
                           action log-status";
const ZEEK_HEAD: &str = "#separator \\x09\n#set_separator\t,\n#empty_field\t(empty)\n#unset_field\t-\n#path\tconn\n\
    #open\t2025-12-31-22-40-00\n\
    #fields\tts\tuid\tid.orig_h\tid.orig_p\tid.resp_h\tid.resp_p\tproto\tservice\tduration\torig_bytes\tresp_bytes\t\
    conn_state\tlocal_orig\tlocal_resp\tmissed_bytes\thistory\torig_pkts\torig_ip_bytes\tresp_pkts\tresp_ip_bytes\t\
    tunnel_parents\n\
    #types\ttime\tstring\taddr\tport\taddr\tport\tenum\tstring\tinterval\tcount\tcount\tstring\tbool\tbool\tcount\tstring\
    \tcount\tcount\tcount\tcount\tset[string]\n";

/// The fields of VPC flow logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Layout {
    /// The default of version 2: no flags, no direction, no address space.
    Default,
    /// With `vpc-id`, `tcp-flags` and `flow-direction`, of version 5.
    Flags,
}

/// What all observers wrote.
#[derive(Clone, Debug)]
pub(super) struct Observed {
    /// Files of VPC flow logs, then of sidecars, then of Zeek.
    pub(super) logs: Vec<Log>,
    /// Lost records of each connection.
    pub(super) lost: Vec<u32>,
}

/// How flow logs are cut into files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    /// All of a flow log in one file.
    Whole,
    /// A file every five minutes, as AWS delivers to S3.
    FiveMinutes,
}

pub(super) fn observe(connections: &[Connection], layout: Layout, delivery: Delivery, seed: u64) -> Observed {
    let mut numbers = Numbers(seed);
    let mut clocks = Clocks { numbers: Numbers(seed ^ 0x5eed), skews: HashMap::new() };
    let (mut aws, mut envoy) = (vec![Vec::new(); 6], vec![Vec::new(); 3]);
    let mut zeek = vec![Vec::new(); 2];
    for (of, connection) in connections.iter().enumerate() {
        for host in [connection.client, connection.server] {
            let delay = (60 + numbers.below(120)) * SECOND;
            let file = &mut aws[host.namespace() * 2 + usize::from(host.address % 2 == 1)];
            interface(connection, host, layout, clocks.of(host), |end, text| {
                file.push(Line { of, logged: end + delay, text });
            });
            if connection.is_in_mesh() {
                let file = &mut envoy[host.namespace()];
                sidecar(connection, host, clocks.of(host), |logged, text| file.push(Line { of, logged, text }));
            }
        }
        sensor(connection, of, clocks.zeek(), |logged, text| {
            let hour = usize::from(logged > connections[connections.len() / 2].start());
            zeek[hour].push(Line { of, logged, text });
        });
    }
    let mut lost = vec![0; connections.len()];
    let mut logs = Vec::new();
    let more = if layout == Layout::Flags { " vpc-id tcp-flags flow-direction" } else { "" };
    let aws_head = format!("{AWS_DEFAULT}{more}\n");
    for (number, lines) in aws.into_iter().enumerate() {
        let mut files: BTreeMap<i64, Vec<Line>> = BTreeMap::new();
        for line in lines {
            let file = if delivery == Delivery::Whole { 0 } else { line.logged / FIVE_MINUTES };
            files.entry(file).or_default().push(line);
        }
        for (file, lines) in files {
            let name = format!("aws-{}-{}-{file}.log", namespace(number / 2), number % 2);
            logs.push(log(&name, &aws_head, lines, &mut numbers, &mut lost));
        }
    }
    for (number, lines) in envoy.into_iter().enumerate() {
        logs.push(log(&format!("envoy-{}.log", namespace(number)), "", lines, &mut numbers, &mut lost));
    }
    for (number, lines) in zeek.into_iter().enumerate() {
        logs.push(log(&format!("conn.{number}.log"), ZEEK_HEAD, lines, &mut numbers, &mut lost));
    }
    Observed { logs, lost }
}

/// By how much the clock of each observer is off.
struct Clocks {
    numbers: Numbers,
    skews: HashMap<Option<Host>, i64>,
}

impl Clocks {
    fn of(&mut self, host: Host) -> i64 {
        *self.skews.entry(Some(host)).or_insert_with(|| self.numbers.below(2 * SKEW + 1) - SKEW)
    }

    fn zeek(&mut self) -> i64 {
        *self.skews.entry(None).or_insert_with(|| self.numbers.below(2 * SKEW + 1) - SKEW)
    }
}

/// What each source counts of a connection without loss: bytes out and in.
pub(super) fn bytes(source: &str, connection: &Connection) -> [i64; 2] {
    let sum = |of: &dyn Fn(&Burst) -> [i64; 2]| {
        connection.bursts.iter().map(of).fold([0, 0], |sum, bytes| [sum[0] + bytes[0], sum[1] + bytes[1]])
    };
    match source {
        "aws_vpc" => sum(&|burst| wire(connection, burst).map(|(_, bytes)| bytes)),
        "envoy" => sum(&|burst| [burst.bytes_out, burst.bytes_in]),
        "zeek" => sum(&|burst| payload(connection, burst)),
        other => panic!("no observer writes {other}"),
    }
}

fn is_http(connection: &Connection) -> bool {
    connection.kind == Kind::Http
}

/// Bytes that TCP, UDP or ICMP carry.
fn payload(connection: &Connection, burst: &Burst) -> [i64; 2] {
    let headers = if is_http(connection) { HTTP_HEADERS } else { [0, 0] };
    [burst.bytes_out + headers[0], burst.bytes_in + headers[1]]
}

/// Packets and their bytes, with headers.
fn wire(connection: &Connection, burst: &Burst) -> [(i64, i64); 2] {
    let header = if connection.protocol == 6 { 52 } else { 28 };
    if connection.kind == Kind::Rejected {
        return [(1, 60), (0, 0)];
    }
    payload(connection, burst).map(|bytes| {
        let packets = 1 + bytes / SEGMENT;
        (packets, bytes + packets * header)
    })
}

/// The records of one interface: one for each interval and direction in which there were packets.
fn interface(connection: &Connection, host: Host, layout: Layout, skew: i64, mut push: impl FnMut(i64, String)) {
    let is_server = host == connection.server;
    // The intervals of each interface begin at another second.
    let phase = (host.service * 7 + host.address * 13) % 60 * SECOND;
    let interval = |burst: &Burst| (burst.time + skew - phase).div_euclid(INTERVAL);
    let vpc = format!("vpc-0{}", host.namespace());
    for bursts in connection.bursts.chunk_by(|left, right| interval(left) == interval(right)) {
        let (first, last) = (bursts[0].time, bursts[bursts.len() - 1].time);
        let [start, end] = [first, last].map(|time| (time + skew).div_euclid(SECOND));
        for is_answer in [false, true] {
            let way = usize::from(is_answer);
            let sums = bursts.iter().map(|burst| wire(connection, burst)[way]);
            let (packets, bytes) = sums.fold((0, 0), |sum, burst| (sum.0 + burst.0, sum.1 + burst.1));
            if packets == 0 {
                continue;
            }
            let client = (connection.client.ip(), connection.client_port);
            let server = (connection.server.ip(), connection.server_port);
            let (src, dst) = if is_answer { (server, client) } else { (client, server) };
            let is_rejected = connection.kind == Kind::Rejected && is_server;
            let mut text = format!(
                "{} 123456789012 eni-{:04}{} {} {} {} {} {} {packets} {bytes} {start} {end} {} OK",
                if layout == Layout::Flags { 5 } else { 2 },
                host.service,
                host.address,
                src.0,
                dst.0,
                src.1,
                dst.1,
                connection.protocol,
                if is_rejected { "REJECT" } else { "ACCEPT" },
            );
            if layout == Layout::Flags {
                let opening = if is_answer { SYN_ACK } else { SYN };
                let opening = if first == connection.start() { opening } else { 0 };
                let closing = if last == connection.end() && connection.kind != Kind::Rejected { FIN } else { 0 };
                let flags = if connection.protocol == 6 { opening | closing } else { 0 };
                let direction = if is_answer == is_server { "egress" } else { "ingress" };
                text += &format!(" {vpc} {flags} {direction}");
            }
            push((interval(&bursts[0]) + 1) * INTERVAL + phase, text);
        }
    }
}

/// The records of one sidecar: one for each request, or one for a TCP connection.
fn sidecar(connection: &Connection, host: Host, skew: i64, mut push: impl FnMut(i64, String)) {
    let is_server = host == connection.server;
    if listener(connection.server.service).0 == Listener::Http {
        for burst in &connection.bursts {
            let start = burst.time + skew + if is_server { 1_500 } else { 0 };
            push(start + 20_000, access(connection, is_server, start, 20, [burst.bytes_out, burst.bytes_in]));
        }
        return;
    }
    let start = connection.start() + skew;
    let length = connection.end() - connection.start();
    let text = access(connection, is_server, start, length / 1_000, bytes("envoy", connection));
    push(start + length, text);
}

/// A line of Istio's default JSON access log.
fn access(connection: &Connection, is_server: bool, start: i64, duration_ms: i64, bytes: [i64; 2]) -> String {
    let endpoint = |host: Host, port: i64| {
        if host.is_v6() { format!("[{}]:{port}", host.ip()) } else { format!("{}:{port}", host.ip()) }
    };
    let (client, server) = (connection.client, connection.server);
    let port = connection.server_port;
    let name = format!("{}.{}.svc.cluster.local", service_name(server.service), namespace(server.namespace()));
    // The client's application has a connection of its own to its sidecar; the server's sidecar hands on by loopback.
    let (local, remote, upstream_local, cluster) = if is_server {
        let remote = endpoint(client, connection.client_port);
        (
            endpoint(server, port),
            remote,
            format!("127.0.0.6:{}", 40_000 + start.rem_euclid(10_000)),
            format!("inbound|{port}||"),
        )
    } else {
        let remote = endpoint(client, 61_000 + connection.client_port % 3);
        let local = format!("172.20.{}.1:{port}", server.service);
        (local, remote, endpoint(client, connection.client_port), format!("outbound|{port}||{name}"))
    };
    let is_request = is_http(connection);
    let request = if is_request {
        format!(
            "\"authority\":\"{name}:{port}\",\"method\":\"GET\",\"path\":\"/items/{}\",\"protocol\":\"HTTP/1.1\",\
             \"response_code\":200,\"response_code_details\":\"via_upstream\",\"upstream_service_time\":\"{duration_ms}\"",
            start % 1_000
        )
    } else {
        "\"authority\":null,\"method\":null,\"path\":null,\"protocol\":null,\"response_code\":0,\
         \"response_code_details\":null,\"upstream_service_time\":null"
            .to_owned()
    };
    format!(
        "{{{request},\"bytes_received\":{},\"bytes_sent\":{},\"connection_termination_details\":null,\
         \"downstream_local_address\":\"{local}\",\"downstream_remote_address\":\"{remote}\",\"duration\":{duration_ms},\
         \"request_id\":null,\"requested_server_name\":null,\"response_flags\":\"-\",\"route_name\":\"default\",\
         \"start_time\":\"{:.3}\",\"upstream_cluster\":\"{cluster}\",\"upstream_host\":\"{}\",\
         \"upstream_local_address\":\"{upstream_local}\",\"upstream_transport_failure_reason\":null,\
         \"user_agent\":null,\"x_forwarded_for\":null}}",
        bytes[0],
        bytes[1],
        Timestamp::from_microsecond(start).unwrap(),
        endpoint(server, port),
    )
}

/// Zeek's records: one a connection, and another one where it was silent for so long that Zeek took it for ended.
fn sensor(connection: &Connection, of: usize, skew: i64, mut push: impl FnMut(i64, String)) {
    let gap = connection.idle_gap();
    let parts = connection.bursts.chunk_by(|left, right| right.time - left.time <= gap);
    for (number, bursts) in parts.enumerate() {
        let (first, last) = (bursts[0].time + skew, bursts[bursts.len() - 1].time + skew);
        let sum = |of: &dyn Fn(&Burst) -> i64| bursts.iter().map(of).sum::<i64>();
        let payloads = [0, 1].map(|way| sum(&|burst| payload(connection, burst)[way]));
        let packets = [0, 1].map(|way| sum(&|burst| wire(connection, burst)[way].0));
        let with_headers = [0, 1].map(|way| sum(&|burst| wire(connection, burst)[way].1));
        let (protocol, state, history) = match connection.protocol {
            6 if connection.kind == Kind::Rejected => ("tcp", "S0", "S"),
            6 if number > 0 => ("tcp", "OTH", "DadA"),
            6 if last < connection.end() + skew => ("tcp", "S1", "ShADad"),
            6 => ("tcp", "SF", "ShADadfF"),
            17 => ("udp", "SF", "Dd"),
            _ => ("icmp", "OTH", "-"),
        };
        // A connection that was closed is written at once, any other when its idle time is over.
        let logged = if state == "SF" && protocol == "tcp" { last + 5 * SECOND } else { last + gap };
        let (client_port, server_port) = match connection.protocol {
            1 => (8, 0),
            58 => (128, 129),
            _ => (connection.client_port, connection.server_port),
        };
        let sizes = if connection.kind == Kind::Rejected {
            "-\t-\t-".to_owned()
        } else {
            format!("{}\t{}\t{}", seconds(last - first), payloads[0], payloads[1])
        };
        let text = format!(
            "{}\tC{of:06}{number}\t{}\t{client_port}\t{}\t{server_port}\t{protocol}\t-\t{sizes}\t{state}\tT\tT\t0\t\
             {history}\t{}\t{}\t{}\t{}\t-",
            seconds(first),
            connection.client.ip(),
            connection.server.ip(),
            packets[0],
            with_headers[0],
            packets[1],
            with_headers[1],
        );
        push(logged, text);
    }
}

fn seconds(micros: i64) -> String {
    format!("{}.{:06}", micros / SECOND, micros % SECOND)
}
