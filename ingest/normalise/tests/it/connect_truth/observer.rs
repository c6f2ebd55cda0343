//! What observers write of true connections: the columns that the decoders of their formats leave, with clocks that are
//! off, records that are lost, and the time at which they arrive.

use super::connection::{Burst, Connection, Kind};
use crate::traffic::Numbers;
use tradewind_model::FlowBatch;
use tradewind_model::flow::*;
use tradewind_model::protocol::tcp::{ACK, FIN, SYN};
use tradewind_model::time::{MINUTE, SECOND};

/// Clocks are off by at most this, so that two differ by less than the default tolerance.
const SKEW_US: u64 = 2_400_000;
/// Records lost, in ten thousand.
const LOST: u64 = 30;
/// Share of headers in bytes on the wire, beside the payload that others count.
const HEADER_BYTES: i64 = 40;

/// Who observes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// VPC flow logs of both interfaces in the default layout: no flags, no direction.
    Vpc,
    /// The same with `tcp-flags` and `flow-direction`.
    VpcFlags,
    /// Envoy beside both ends, for HTTP.
    Envoy,
    /// Zeek in between.
    Zeek,
}

/// One record.
#[derive(Clone, Debug)]
pub(super) struct Record {
    /// Index of the true connection.
    pub(super) of: usize,
    pub(super) source: Source,
    pub(super) arrival: i64,
    observer: String,
    vantage: Option<&'static str>,
    ends: [(String, i64); 2],
    post_nat_src: Option<(String, i64)>,
    protocol: i64,
    times: (i64, i64),
    pub(super) bytes: [Option<i64>; 2],
    flags: Option<i64>,
}

impl Source {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Vpc | Self::VpcFlags => "aws_vpc",
            Self::Envoy => "envoy",
            Self::Zeek => "zeek",
        }
    }

    /// What it counts of a connection that it observes without loss.
    pub(super) fn bytes(self, connection: &Connection) -> i64 {
        let header = if matches!(self, Self::Vpc | Self::VpcFlags) { HEADER_BYTES } else { 0 };
        let both = |burst: &Burst| {
            [burst.bytes_out, burst.bytes_in]
                .iter()
                .filter(|&&bytes| bytes > 0)
                .map(|bytes| bytes + header)
                .sum::<i64>()
        };
        connection.bursts.iter().map(both).sum()
    }
}

pub(super) fn client_address(client: usize) -> String {
    format!("10.0.0.{}", client + 1)
}

pub(super) fn server_address(server: usize) -> String {
    format!("10.0.1.{}", server + 1)
}

/// All records of a source, in the order of their observers and times.
pub(super) fn observe(source: Source, connections: &[Connection], seed: u64) -> Vec<Record> {
    let mut numbers = Numbers(seed);
    let skews: Vec<i64> =
        (0..256).map(|_| i64::try_from(numbers.below(2 * SKEW_US + 1)).unwrap() - SKEW_US as i64).collect();
    let mut records = Vec::new();
    for (of, connection) in connections.iter().enumerate() {
        let ends = [
            (client_address(connection.client), connection.client_port),
            (server_address(connection.server), connection.server_port()),
        ];
        let record = Record {
            of,
            source,
            arrival: 0,
            observer: String::new(),
            vantage: None,
            ends,
            post_nat_src: None,
            protocol: if connection.is_udp() { 17 } else { 6 },
            times: (0, 0),
            bytes: [None; 2],
            flags: None,
        };
        match source {
            Source::Vpc | Source::VpcFlags => {
                for is_server in [false, true] {
                    let place = if is_server { 100 + connection.server } else { connection.client };
                    interface(&record, connection, is_server, skews[place], &mut records);
                }
            }
            Source::Envoy if connection.kind == Kind::Http => {
                for is_server in [false, true] {
                    let place = if is_server { 100 + connection.server } else { connection.client };
                    proxy(&record, connection, is_server, skews[place], &mut records);
                }
            }
            Source::Envoy => {}
            Source::Zeek => {
                let sum = |part: fn(&Burst) -> i64| Some(connection.bursts.iter().map(part).sum());
                records.push(Record {
                    observer: "sensor".to_owned(),
                    vantage: Some("network"),
                    times: (connection.start() + skews[200], connection.end() + skews[200]),
                    bytes: [sum(|burst| burst.bytes_out), sum(|burst| burst.bytes_in)],
                    ..record
                });
            }
        }
    }
    records.retain(|_| numbers.below(10_000) >= LOST);
    for record in &mut records {
        let delay_s = match source {
            Source::Vpc | Source::VpcFlags => 60 + numbers.below(120),
            Source::Envoy => numbers.below(5),
            Source::Zeek => 5 + numbers.below(5),
        };
        record.arrival = record.times.1 + i64::try_from(delay_s).unwrap() * SECOND;
    }
    records.sort_by_key(|record| (record.observer.clone(), record.arrival));
    records
}

/// The records of one interface: a record for each minute of its clock and direction in which there were packets.
fn interface(record: &Record, connection: &Connection, is_server: bool, skew: i64, records: &mut Vec<Record>) {
    let minute = |burst: &Burst| (burst.time + skew).div_euclid(MINUTE);
    let is_tcp = !connection.is_udp();
    for bursts in connection.bursts.chunk_by(|left, right| minute(left) == minute(right)) {
        let (first, last) = (bursts[0].time, bursts[bursts.len() - 1].time);
        let second = |time: i64| (time + skew).div_euclid(SECOND) * SECOND;
        for is_answer in [false, true] {
            let bytes: Vec<i64> = bursts
                .iter()
                .map(|burst| if is_answer { burst.bytes_in } else { burst.bytes_out })
                .filter(|&bytes| bytes > 0)
                .collect();
            if bytes.is_empty() {
                continue;
            }
            let mut made = Record {
                observer: format!("eni-{}", record.ends[usize::from(is_server)].0),
                times: (second(first), second(last)),
                bytes: [Some(bytes.iter().map(|bytes| bytes + HEADER_BYTES).sum()), None],
                ..record.clone()
            };
            if is_answer {
                made.ends.swap(0, 1);
            }
            if record.source == Source::VpcFlags {
                // The interface of the sender sees its packets leave.
                made.vantage = Some(if is_answer == is_server { "source" } else { "destination" });
                let syn = if is_answer { SYN | ACK } else { SYN };
                let opening = if first == connection.start() { syn } else { 0 };
                let is_rejected = connection.kind == Kind::Rejected;
                let closing = if last == connection.end() && !is_rejected { FIN } else { 0 };
                made.flags = is_tcp.then_some(opening | closing);
            }
            records.push(made);
        }
    }
}

/// The records of one proxy: one for each request.
fn proxy(record: &Record, connection: &Connection, is_server: bool, skew: i64, records: &mut Vec<Record>) {
    for (number, burst) in (0..).zip(&connection.bursts) {
        let mut made = Record {
            observer: format!("pod-{}", record.ends[usize::from(is_server)].0),
            vantage: Some(if is_server { "destination" } else { "source" }),
            times: (burst.time + skew, burst.time + skew + 20_000),
            bytes: [Some(burst.bytes_out), Some(burst.bytes_in)],
            ..record.clone()
        };
        // The client's application has connections of its own to its proxy; the server's proxy hands on by loopback.
        made.post_nat_src = Some(if is_server {
            ("127.0.0.6".to_owned(), 40_000 + number)
        } else {
            let [src, _] = &mut made.ends;
            std::mem::replace(src, (src.0.clone(), 61_000 + number % 3))
        });
        records.push(made);
    }
}

/// Adds a record as its decoder leaves it.
pub(super) fn push(record: &Record, batch: &mut FlowBatch) {
    batch.set_text(SOURCE, record.source.name());
    batch.set_text(OBSERVER, &record.observer);
    let kind = match record.source {
        Source::Vpc | Source::VpcFlags => "interval",
        Source::Envoy => "request",
        Source::Zeek => "connection",
    };
    batch.set_text(RECORD_KIND, kind);
    if let Some(vantage) = record.vantage {
        batch.set_text(VANTAGE, vantage);
    }
    for ((ip, port), (ip_column, port_column)) in record.ends.iter().zip([(SRC_IP, SRC_PORT), (DST_IP, DST_PORT)]) {
        batch.set_text(ip_column, ip);
        batch.set_num(port_column, *port);
    }
    if let Some((ip, port)) = &record.post_nat_src {
        batch.set_text(POST_NAT_SRC_IP, ip);
        batch.set_num(POST_NAT_SRC_PORT, *port);
    }
    batch.set_num(PROTOCOL_NUM, record.protocol);
    batch.set_num(START_TIME, record.times.0);
    batch.set_num(END_TIME, record.times.1);
    for (bytes, column) in record.bytes.iter().zip([BYTES_OUT, BYTES_IN]) {
        bytes.iter().for_each(|&bytes| batch.set_num(column, bytes));
    }
    if let Some(flags) = record.flags {
        batch.set_num(TCP_FLAGS, flags);
    }
    let is_known = matches!(record.source, Source::Envoy | Source::Zeek);
    batch.set_num(IS_SRC_DST_ASSIGNMENT_KNOWN, i64::from(is_known));
    if is_known {
        batch.set_text(ORIENTATION, "log");
    }
    batch.end_row();
}
