//! The network whose logs the benchmarks make: services, their instances and who calls whom. Not the logs themselves.

use crate::random::{Random, Zipf};
use std::fmt::Write;

/// First port of Linux' default ephemeral range (`net.ipv4.ip_local_port_range`: 32768 to 60999).
const EPHEMERAL_FIRST: u16 = 32_768;
const EPHEMERAL_COUNT: u32 = 60_999 - 32_768 + 1;
const SERVICES: usize = 200;
const EDGES: usize = 1_500;
const EXTERNALS: u8 = 100;
const NAMESPACES: [&str; 10] =
    ["shop", "payments", "identity", "search", "data", "platform", "logistics", "support", "media", "risk"];
const WORDS: [&str; 20] = [
    "orders", "catalog", "cart", "ledger", "session", "profile", "pricing", "stock", "quote", "invoice", "router",
    "index", "feature", "report", "audit", "coupon", "review", "export", "queue", "token",
];
/// Server port and IP protocol of what services offer, commonest first.
const OFFERS: [(u16, u8); 16] = [
    (8080, 6),
    (8443, 6),
    (443, 6),
    (50051, 6),
    (5432, 6),
    (6379, 6),
    (9092, 6),
    (3306, 6),
    (9200, 6),
    (53, 17),
    (27017, 6),
    (9090, 6),
    (8125, 17),
    (5672, 6),
    (2379, 6),
    (22, 6),
];

/// A service and where it runs.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) name: &'static str,
    pub(crate) namespace: &'static str,
    pub(crate) port: u16,
    pub(crate) protocol: u8,
    /// Whether flow logs are on in its subnets.
    pub(crate) logged: bool,
    /// Indexes into [`Estate::instances`].
    pub(crate) instances: Vec<usize>,
}

/// An address, with its text made once.
#[derive(Debug)]
pub(crate) struct Instance {
    pub(crate) address: String,
    pub(crate) interface: String,
}

/// One service, or the outside where it is `None`, that another calls.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Edge {
    pub(crate) client: usize,
    pub(crate) server: Option<usize>,
    /// Median of packets a request takes, as 1024 × log2.
    pub(crate) packets_log2: u32,
    /// Median of bytes in a packet of the request and of the answer.
    pub(crate) packet_bytes: (u32, u32),
}

/// The whole network.
#[derive(Debug)]
pub(crate) struct Estate {
    pub(crate) services: Vec<Service>,
    /// Instances of the services first, then the outside.
    pub(crate) instances: Vec<Instance>,
    /// How many of the instances are inside.
    pub(crate) inside: usize,
    /// Most popular first.
    edges: Vec<Edge>,
    popularity: Zipf,
}

impl Estate {
    pub(crate) fn new(random: &mut Random) -> Self {
        let mut instances = Vec::new();
        let services: Vec<_> = (0..SERVICES).map(|index| service(index, &mut instances, random)).collect();
        let inside = instances.len();
        instances.extend(
            (1..=EXTERNALS).map(|host| Instance { address: format!("203.0.113.{host}"), interface: String::new() }),
        );
        let popular_servers = Zipf::new(SERVICES);
        let mut edges = Vec::with_capacity(EDGES);
        while edges.len() < EDGES {
            let client = random.index(SERVICES);
            // The outside is not among the most popular.
            let is_external = edges.len() >= 20 && random.permille(15);
            let server = (!is_external).then(|| popular_servers.draw(random));
            // A conversation that no interface logs would leave no line.
            let is_logged = services[client].logged || server.is_some_and(|server| services[server].logged);
            if server == Some(client) || !is_logged {
                continue;
            }
            let packets_log2 = 1024 * 2 + random.below(1024 * 3);
            edges.push(Edge {
                client,
                server,
                packets_log2,
                packet_bytes: (60 + random.below(500), 100 + random.below(1300)),
            });
        }
        Self { services, instances, inside, edges, popularity: Zipf::new(EDGES) }
    }

    /// Which service an address stands for: an inventory in CSV notation.
    pub(crate) fn inventory(&self) -> String {
        let mut text = "address,entity,kind,namespace,network,valid_from,valid_to,instance\n".to_owned();
        for Service { name, namespace, instances, .. } in &self.services {
            for &instance in instances {
                let address = &self.instances[instance].address;
                writeln!(text, "{address},{name},service,{namespace},,,,{name}-{instance}")
                    .expect("a string takes all");
            }
        }
        text
    }

    pub(crate) fn draw_edge(&self, random: &mut Random) -> Edge {
        self.edges[self.popularity.draw(random)]
    }

    /// An instance of the service, or an address outside.
    pub(crate) fn draw_instance(&self, service: Option<usize>, random: &mut Random) -> usize {
        match service {
            Some(service) => self.services[service].instances[random.index(self.services[service].instances.len())],
            None => self.inside + random.index(self.instances.len() - self.inside),
        }
    }
}

/// A port that a client's kernel may have chosen.
pub(crate) fn ephemeral_port(random: &mut Random) -> u16 {
    let offset = u16::try_from(random.below(EPHEMERAL_COUNT)).expect("the range has fewer than 2^16 ports");
    EPHEMERAL_FIRST + offset
}

fn service(index: usize, instances: &mut Vec<Instance>, random: &mut Random) -> Service {
    let (port, protocol) = OFFERS[Zipf::new(OFFERS.len()).draw(random)];
    // Popular services (low indexes) run more often: 40 down to 5 or so, about 2,000 in all.
    let count = 3 + 500 / (index + 14) + random.index(3);
    let first = instances.len();
    for number in first..first + count {
        let mut interface = "eni-0".to_owned();
        write!(interface, "{:016x}", random.next()).expect("writing to a string cannot fail");
        // A /16 with one subnet of 250 hosts after the other.
        instances.push(Instance { address: format!("10.20.{}.{}", number / 250, number % 250 + 4), interface });
    }
    let namespace = NAMESPACES[index % NAMESPACES.len()];
    let name = WORDS[index / NAMESPACES.len()];
    Service {
        name,
        namespace,
        port,
        protocol,
        logged: random.permille(500),
        instances: (first..first + count).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn has_the_promised_size() {
        let estate = Estate::new(&mut Random::new(7));
        assert_eq!(estate.services.len(), 200);
        assert!((1_900..2_100).contains(&estate.inside), "{}", estate.inside);
        let addresses: HashSet<_> = estate.instances.iter().map(|instance| &instance.address).collect();
        assert_eq!(addresses.len(), estate.instances.len(), "addresses are distinct");
        let names: HashSet<_> = estate.services.iter().map(|service| (service.namespace, service.name)).collect();
        assert_eq!(names.len(), 200, "names are distinct");
    }

    #[test]
    fn some_interface_logs_every_edge() {
        let estate = Estate::new(&mut Random::new(7));
        let is_logged = |service: usize| estate.services[service].logged;
        assert!(estate.edges.iter().all(|edge| is_logged(edge.client) || edge.server.is_some_and(is_logged)));
    }
}
