//! True connections, from a seed: what happened, before anybody observed it.

use crate::traffic::{BEGIN, Numbers};
use tradewind_model::time::SECOND;

/// Clients and servers; each server has one port.
const CLIENTS: usize = 40;
const SERVERS: usize = 12;
/// Over how many seconds connections begin.
const SPAN_S: u64 = 7_200;

/// Why a connection may be hard to count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// TCP, from its SYN to its FIN.
    Tcp,
    /// TCP that is alive for many intervals.
    LongTcp,
    /// TCP that is silent for longer than the idle gap.
    SilentTcp,
    /// HTTP requests on a connection that proxies keep open.
    Http,
    /// UDP question and answer.
    Udp,
    /// TCP that a firewall rejects.
    Rejected,
    /// TCP on the tuple of one that ended beyond the idle gap before.
    ReusedLate,
    /// TCP on the tuple of one that ended within the idle gap before.
    ReusedSoon,
    /// UDP on the tuple of one that ended beyond the idle gap before.
    UdpReusedLate,
}

/// Packets of both directions at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Burst {
    /// Microseconds.
    pub(super) time: i64,
    pub(super) bytes_out: i64,
    pub(super) bytes_in: i64,
}

/// One connection.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    pub(super) kind: Kind,
    pub(super) client: usize,
    pub(super) client_port: i64,
    pub(super) server: usize,
    pub(super) bursts: Vec<Burst>,
}

impl Connection {
    pub(super) fn start(&self) -> i64 {
        self.bursts[0].time
    }

    pub(super) fn end(&self) -> i64 {
        self.bursts[self.bursts.len() - 1].time
    }

    pub(super) fn is_udp(&self) -> bool {
        matches!(self.kind, Kind::Udp | Kind::UdpReusedLate)
    }

    pub(super) fn server_port(&self) -> i64 {
        if self.is_udp() { 53 } else { [443, 5_432, 6_379, 8_080][self.server % 4] }
    }

    /// The pair of services, as the inventory names them, and the port.
    pub(super) fn edge(&self) -> (usize, usize, i64) {
        (self.client % 5, self.server % 4, self.server_port())
    }
}

/// The number of microseconds below `seconds`, drawn.
fn within(numbers: &mut Numbers, seconds: u64) -> i64 {
    i64::try_from(numbers.below(seconds * 1_000_000)).unwrap()
}

fn index(numbers: &mut Numbers, limit: usize) -> usize {
    usize::try_from(numbers.below(limit as u64)).unwrap()
}

/// Connections in the order of their start. Without `reuses_soon`, no tuple is used again before its idle gap has passed.
pub(super) fn connections(count: usize, seed: u64, reuses_soon: bool) -> Vec<Connection> {
    let mut numbers = Numbers(seed);
    let mut made: Vec<Connection> = Vec::with_capacity(count);
    let mut next_port = [0_i64; CLIENTS];
    while made.len() < count {
        let kind = match numbers.below(1_000) {
            0..2 => Kind::SilentTcp,
            2..40 => Kind::LongTcp,
            40..240 => Kind::Http,
            240..440 => Kind::Udp,
            440..450 => Kind::Rejected,
            450..460 => Kind::ReusedLate,
            460..480 if reuses_soon => Kind::ReusedSoon,
            480..490 => Kind::UdpReusedLate,
            _ => Kind::Tcp,
        };
        let before = match kind {
            Kind::ReusedLate | Kind::ReusedSoon => last(&made, &[Kind::Tcp]),
            Kind::UdpReusedLate => last(&made, &[Kind::Udp]),
            _ => None,
        };
        let mut connection = match before {
            Some(before) => Connection { kind, bursts: Vec::new(), ..made[before].clone() },
            None => {
                let kind = match kind {
                    Kind::ReusedLate | Kind::ReusedSoon => Kind::Tcp,
                    Kind::UdpReusedLate => Kind::Udp,
                    kind => kind,
                };
                let client = index(&mut numbers, CLIENTS);
                let port = &mut next_port[client];
                // Each client goes through its ports in turn, so that one comes again only after hours.
                *port = (*port + 1) % 28_000;
                let server = index(&mut numbers, SERVERS);
                Connection { kind, client, client_port: 32_768 + *port, server, bursts: Vec::new() }
            }
        };
        let start = match before.map(|before| made[before].end()) {
            None => BEGIN + within(&mut numbers, SPAN_S),
            Some(end) if kind == Kind::ReusedSoon => end + 90 * SECOND + within(&mut numbers, 120),
            Some(end) if kind == Kind::UdpReusedLate => end + 75 * SECOND + within(&mut numbers, 120),
            Some(end) => end + 320 * SECOND + within(&mut numbers, 600),
        };
        connection.bursts = bursts(connection.kind, start, &mut numbers);
        made.push(connection);
    }
    made.sort_by_key(Connection::start);
    made
}

/// The last connection of some kinds whose tuple no other has.
fn last(made: &[Connection], kinds: &[Kind]) -> Option<usize> {
    let tuple = |connection: &Connection| (connection.client, connection.client_port, connection.server);
    let latest = made.iter().rposition(|connection| kinds.contains(&connection.kind))?;
    let is_single = made.iter().filter(|other| tuple(other) == tuple(&made[latest])).count() == 1;
    is_single.then_some(latest)
}

fn bursts(kind: Kind, start: i64, numbers: &mut Numbers) -> Vec<Burst> {
    let (count, gap_s) = match kind {
        Kind::Rejected => (1, 1),
        Kind::Udp | Kind::UdpReusedLate => (1 + numbers.below(3), 2),
        Kind::LongTcp => (20 + numbers.below(60), 50),
        Kind::Http => (2 + numbers.below(20), 100),
        _ => (1 + numbers.below(10), 4),
    };
    let mut time = start;
    let mut made = Vec::new();
    for number in 0..count {
        let bytes = |numbers: &mut Numbers| 60 + i64::try_from(numbers.below(20_000)).unwrap();
        let bytes_in = if kind == Kind::Rejected { 0 } else { bytes(numbers) };
        made.push(Burst { time, bytes_out: bytes(numbers), bytes_in });
        time += within(numbers, gap_s) + 1;
        if kind == Kind::SilentTcp && number == 0 {
            time += 400 * SECOND + within(numbers, 600);
        }
    }
    if kind == Kind::SilentTcp && made.len() == 1 {
        made.push(Burst { time, ..made[0] });
    }
    made
}
