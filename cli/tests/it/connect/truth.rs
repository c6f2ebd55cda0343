//! True connections between services, from a seed: what happened, before anybody observed it. No records.

use std::collections::HashMap;

pub(super) const SECOND: i64 = 1_000_000;
/// 2025-12-31T22:40:00Z, so that what follows crosses hours and midnight. Microseconds.
const BEGIN: i64 = 1_767_220_800 * SECOND;
/// Over how many seconds connections begin.
const SPAN_S: i64 = 6_000;

const SERVICES: i64 = 60;
/// The first services listen; all open connections.
const SERVERS: i64 = 20;
const NAMESPACES: [&str; 3] = ["shop", "pay", "data"];
/// Silence after which connect takes a TCP tuple for a new connection, and Zeek and it a UDP one.
pub(super) const TCP_GAP: i64 = 300 * SECOND;
pub(super) const UDP_GAP: i64 = 60 * SECOND;

/// Numbers that look random and are the same each time (Vigna, "splitmix64").
#[derive(Clone, Debug)]
pub(super) struct Numbers(pub(super) u64);

impl Numbers {
    /// A number from 0 to below `limit`.
    pub(super) fn below(&mut self, limit: i64) -> i64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % limit.unsigned_abs()).cast_signed()
    }
}

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
    /// ICMP echo, between two addresses that send each other one only.
    Ping,
    /// TCP whose SYN a firewall rejects.
    Rejected,
    /// TCP on the tuple of one that ended beyond the idle gap before.
    ReusedLate,
    /// TCP on the tuple of one that ended within the idle gap before.
    ReusedSoon,
    /// UDP on the tuple of one that ended beyond the idle gap before.
    UdpReusedLate,
}

/// A service and one of its addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Host {
    pub(super) service: i64,
    pub(super) address: i64,
}

impl Host {
    /// Services have two to four addresses; the fourth is of IPv6.
    fn all() -> impl Iterator<Item = Self> {
        (0..SERVICES).flat_map(|service| (0..2 + service / 3 % 3).map(move |address| Self { service, address }))
    }

    pub(super) fn is_v6(self) -> bool {
        self.address == 3
    }

    pub(super) fn ip(self) -> String {
        let Self { service, address } = self;
        if self.is_v6() {
            format!("fd00:{service:x}::1")
        } else {
            format!("10.{}.{service}.{}", service % 3, 10 + address)
        }
    }

    pub(super) fn namespace(self) -> usize {
        usize::try_from(self.service % 3).unwrap()
    }
}

pub(super) fn namespace(number: usize) -> &'static str {
    NAMESPACES[number]
}

pub(super) fn service_name(service: i64) -> String {
    format!("service-{service}")
}

/// Client and its port, server and its port, protocol.
pub(super) type Tuple = (Host, i64, Host, i64, i64);

/// What listens where.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Listener {
    Http,
    /// TCP that goes through the sidecars.
    MeshTcp,
    /// TCP that does not.
    Tcp,
    Udp,
}

pub(super) fn listener(service: i64) -> (Listener, i64) {
    match service % 5 {
        0 => (Listener::Http, 8_080),
        1 => (Listener::Http, 9_080),
        2 => (Listener::MeshTcp, 5_432),
        3 => (Listener::Tcp, 6_379),
        _ => (Listener::Udp, 53),
    }
}

/// Packets of both directions at one moment: payload in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Burst {
    pub(super) time: i64,
    pub(super) bytes_out: i64,
    pub(super) bytes_in: i64,
}

/// One connection.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    pub(super) kind: Kind,
    pub(super) client: Host,
    pub(super) client_port: i64,
    pub(super) server: Host,
    pub(super) server_port: i64,
    /// IP protocol.
    pub(super) protocol: i64,
    pub(super) bursts: Vec<Burst>,
}

impl Connection {
    pub(super) fn start(&self) -> i64 {
        self.bursts[0].time
    }

    pub(super) fn end(&self) -> i64 {
        self.bursts[self.bursts.len() - 1].time
    }

    pub(super) fn is_in_mesh(&self) -> bool {
        let is_mesh = matches!(listener(self.server.service).0, Listener::Http | Listener::MeshTcp);
        is_mesh && self.protocol == 6 && self.kind != Kind::Rejected
    }

    pub(super) fn idle_gap(&self) -> i64 {
        if self.protocol == 6 { TCP_GAP } else { UDP_GAP }
    }

    pub(super) fn longest_silence(&self) -> i64 {
        self.bursts.windows(2).map(|pair| pair[1].time - pair[0].time).max().unwrap_or_default()
    }

    pub(super) fn tuple(&self) -> Tuple {
        (self.client, self.client_port, self.server, self.server_port, self.protocol)
    }
}

/// The inventory that names all addresses.
pub(super) fn inventory() -> String {
    let line = |host: Host| {
        format!("{},{},service,{},prod\n", host.ip(), service_name(host.service), namespace(host.namespace()))
    };
    "address,entity,kind,namespace,network\n".to_owned() + &Host::all().map(line).collect::<String>()
}

fn pick(numbers: &mut Numbers, hosts: &[Host]) -> Host {
    hosts[usize::try_from(numbers.below(i64::try_from(hosts.len()).unwrap())).unwrap()]
}

/// Draws connections.
struct Drawing {
    numbers: Numbers,
    clients: Vec<Host>,
    servers: Vec<Host>,
    next_port: HashMap<Host, i64>,
    made: Vec<Connection>,
    uses: HashMap<Tuple, u32>,
}

/// Connections in the order of their start. Without `reuses_soon`, no tuple is used again before its idle gap has passed.
pub(super) fn connections(count: usize, seed: u64, reuses_soon: bool) -> Vec<Connection> {
    let mut drawing = Drawing {
        numbers: Numbers(seed),
        clients: Host::all().collect(),
        servers: Host::all().filter(|host| host.service < SERVERS).collect(),
        next_port: HashMap::new(),
        made: Vec::with_capacity(count),
        uses: HashMap::new(),
    };
    while drawing.made.len() < count {
        if let Some(connection) = drawing.draw(reuses_soon) {
            *drawing.uses.entry(connection.tuple()).or_default() += 1;
            drawing.made.push(connection);
        }
    }
    drawing.made.sort_by_key(Connection::start);
    drawing.made
}

impl Drawing {
    /// None where the drawn kind does not fit the drawn ends.
    fn draw(&mut self, reuses_soon: bool) -> Option<Connection> {
        let kind = match self.numbers.below(1_000) {
            0..20 if reuses_soon => Kind::ReusedSoon,
            20..30 => Kind::ReusedLate,
            30..40 => Kind::UdpReusedLate,
            40..50 => Kind::Rejected,
            50..60 => Kind::Ping,
            60..63 => Kind::SilentTcp,
            63..120 => Kind::LongTcp,
            _ => Kind::Tcp,
        };
        match kind {
            Kind::ReusedSoon => return self.again(kind, Kind::Tcp, (90, 120)),
            Kind::ReusedLate => return self.again(kind, Kind::Tcp, (320, 600)),
            Kind::UdpReusedLate => return self.again(kind, Kind::Udp, (75, 120)),
            _ => {}
        }
        let client = pick(&mut self.numbers, &self.clients);
        let server = pick(&mut self.numbers, &self.servers);
        if client.service == server.service || client.is_v6() != server.is_v6() {
            return None;
        }
        let (listener, server_port) = listener(server.service);
        let kind = match (kind, listener) {
            (Kind::Ping, _) => Kind::Ping,
            (Kind::Tcp, Listener::Udp) => Kind::Udp,
            (_, Listener::Udp) => return None,
            (Kind::Tcp | Kind::LongTcp, Listener::Http) => Kind::Http,
            (Kind::SilentTcp | Kind::Rejected, Listener::Http | Listener::MeshTcp) => return None,
            (kind, _) => kind,
        };
        let (client_port, server_port, protocol) = match kind {
            Kind::Ping => (0, 0, if client.is_v6() { 58 } else { 1 }),
            Kind::Udp => (self.port(client), server_port, 17),
            _ => (self.port(client), server_port, 6),
        };
        let start = BEGIN + self.within(SPAN_S);
        let bursts = self.bursts(kind, start);
        let made = Connection { kind, client, client_port, server, server_port, protocol, bursts };
        let turned = (server, 0, client, 0, protocol);
        let is_known = self.uses.contains_key(&made.tuple()) || self.uses.contains_key(&turned);
        (!is_known).then_some(made)
    }

    /// A connection on the tuple of the last one of a kind, `after.0` to `after.0 + after.1` seconds behind its end.
    fn again(&mut self, kind: Kind, of: Kind, after: (i64, i64)) -> Option<Connection> {
        let before = self.made.iter().rev().find(|made| made.kind == of)?.clone();
        if self.uses[&before.tuple()] > 1 {
            return None;
        }
        let start = before.end() + after.0 * SECOND + self.within(after.1);
        Some(Connection { kind, bursts: self.bursts(of, start), ..before })
    }

    /// Each client goes through its ports in turn.
    fn port(&mut self, client: Host) -> i64 {
        let next = self.next_port.entry(client).or_default();
        *next += 1;
        32_768 + *next
    }

    fn within(&mut self, seconds: i64) -> i64 {
        self.numbers.below(seconds * SECOND)
    }

    fn bursts(&mut self, kind: Kind, start: i64) -> Vec<Burst> {
        let (count, gap_s) = match kind {
            Kind::Rejected | Kind::Ping => (1, 1),
            Kind::Udp => (1 + self.numbers.below(3), 2),
            Kind::LongTcp => (20 + self.numbers.below(30), 50),
            Kind::Http => (2 + self.numbers.below(12), 100),
            Kind::SilentTcp => (3, 10),
            _ => (1 + self.numbers.below(10), 4),
        };
        let mut time = start;
        let mut made = Vec::new();
        for number in 0..count {
            let (bytes_out, bytes_in) = match kind {
                Kind::Rejected => (0, 0),
                Kind::Ping => (56, 56),
                Kind::Udp => (40 + self.numbers.below(60), 60 + self.numbers.below(400)),
                _ => (self.numbers.below(8_000), 60 + self.numbers.below(20_000)),
            };
            made.push(Burst { time, bytes_out, bytes_in });
            time += self.within(gap_s) + 1;
            if kind == Kind::SilentTcp && number == 0 {
                time += TCP_GAP + 100 * SECOND + self.within(600);
            }
        }
        made
    }
}
