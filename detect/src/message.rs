//! What a finding says: technique, title and sentences. Knows nothing of how it was found; how severe it is says
//! [`crate::severity`].

use crate::DETECTOR_VERSION;
use crate::breach::{NO_POLICY, RULE_SUBJECT};
use crate::entities::Daily;
use crate::evidence::{self, EvidenceEdge};
use crate::explain::Explanation;
use crate::explain::silence::COMMON;
use crate::finding::{Line, OTHER_SUBJECTS, Open, is_about_new_edges};
use crate::identity;
use crate::network::{Edge, Network, Port};
use crate::particulars::{Particular, principals, uses_of};
use crate::report::DetectorName;
use crate::wording;
use tradewind_model::entity::EntityKind;
use tradewind_model::finding::{Finding, Observation};

/// A baseline of fewer windows than this is told to be young: one hour of windows of five minutes.
const YOUNG_WINDOWS: u64 = 12;
/// So many new destinations of one entity are a search, not a visit.
pub(crate) const SEARCH_EDGES_MIN: usize = 5;

impl Open {
    /// The MITRE ATT&CK technique (attack.mitre.org/techniques) that the flows look most like.
    fn technique(&self) -> &'static str {
        let Some(lead) = self.lines.first() else { return "" };
        let is_external = lead.explanation.dst_kind == EntityKind::External;
        match self.behaviour {
            // Network Service Discovery.
            DetectorName::Scan => return "T1046",
            // Exfiltration Over C2 Channel; Exfiltration Over Alternative Protocol.
            DetectorName::Transfer | DetectorName::Drift => return if is_external { "T1041" } else { "T1048" },
            // Exfiltration Over C2 Channel; Data from Information Repositories; Exfiltration Over Alternative Protocol.
            DetectorName::Exfiltration => {
                return match (lead.explanation.is_inbound, is_external) {
                    (true, false) => "T1213",
                    (_, true) => "T1041",
                    (false, false) => "T1048",
                };
            }
            // A collector, a node or a holiday is no technique.
            DetectorName::Silence if self.subject == COMMON => return "",
            // Service Stop.
            DetectorName::Silence => return "T1489",
            // Application Layer Protocol.
            DetectorName::Beacon => return "T1071",
            // Network Service Discovery; a service that stopped answering looks the same.
            DetectorName::Denied | DetectorName::Failed => return "T1046",
            // Application Layer Protocol; Endpoint Denial of Service.
            DetectorName::Inflow => return "T1499",
            DetectorName::Volume | DetectorName::Flood => return if is_external { "T1071" } else { "T1499" },
            // Application Layer Protocol.
            DetectorName::Protocol => return "T1071",
            // Use Alternate Authentication Material; Adversary-in-the-Middle.
            DetectorName::Identity => return if self.subject == identity::PRINCIPAL { "T1550" } else { "T1557" },
            _ if self.edge_count >= SEARCH_EDGES_MIN && self.behaviour != DetectorName::Policy => return "T1046",
            _ => (),
        }
        match lead.edge.port {
            _ if is_external => "T1071",
            // Remote Services: SSH, RDP, SMB, DCOM, WinRM, VNC, and any other.
            Port::Number(22) => "T1021.004",
            Port::Number(3389) => "T1021.001",
            Port::Number(139 | 445) => "T1021.002",
            Port::Number(135) => "T1021.003",
            Port::Number(5985 | 5986) => "T1021.006",
            Port::Number(5900) => "T1021.005",
            _ => "T1021",
        }
    }

    fn uncertain(&self, network: &Network) -> String {
        let Some(lead) = self.lines.first() else { return String::new() };
        let windows = lead.explanation.baseline_windows;
        let is_rule = self.behaviour == DetectorName::Policy;
        let notes = [
            (
                windows < YOUNG_WINDOWS && !is_rule,
                format!("the baseline is young: {}", wording::plural(windows, "window")),
            ),
            (
                network.kind(lead.edge.source) == EntityKind::Unknown,
                String::from("the source is an address that no inventory explains"),
            ),
            (!lead.is_oriented(), String::from("which end opened the connections is not known")),
            (self.is_partial, String::from("its last window may be partial")),
            (
                self.behaviour == DetectorName::Silence && self.subject != COMMON,
                String::from("a service that was removed, scaled down or moved looks the same"),
            ),
            (
                self.subject == COMMON,
                String::from("a collector that stopped, a node, a holiday or an outage that they share look the same"),
            ),
        ];
        let said: Vec<String> = notes.into_iter().filter_map(|(holds, note)| holds.then_some(note)).collect();
        said.join("; ")
    }

    fn title(&self, lead: &Line, network: &Network, entity: u32) -> String {
        let source = wording::entity(network, lead.edge.source);
        let destination = wording::entity(network, lead.edge.destination);
        let port = &lead.port_words;
        match self.behaviour {
            DetectorName::Volume | DetectorName::Flood => {
                format!("{source} opens far more connections to {destination}{port} than usual")
            }
            DetectorName::Inflow => {
                format!("far more reaches {} than usual, foremost from {source}", wording::entity(network, entity))
            }
            DetectorName::Transfer => format!("{source} moves unusual amounts to or from {destination}{port}"),
            DetectorName::Denied => format!("{source} is denied unusually often, foremost at {destination}{port}"),
            DetectorName::Failed => format!("{source} fails unusually often, foremost at {destination}{port}"),
            DetectorName::Scan => {
                let several = wording::plural(self.edge_count as u64, "new destination");
                format!("{source} scans: {several}, foremost {destination}{port}")
            }
            DetectorName::Chain if self.cause().is_some() => {
                let cause = self.cause().map_or("", |line| line.explanation.observed.as_str());
                format!("{source} contacts {destination}{port} for the first time after {cause}")
            }
            DetectorName::Chain => {
                format!("{source}, itself contacted for the first time before, goes on to {destination}{port}")
            }
            DetectorName::Policy if self.subject == OTHER_SUBJECTS => {
                let several = wording::plural(self.edge_count as u64, "more edge");
                format!("{source} uses {several} against the declared policy, foremost {destination}{port}")
            }
            DetectorName::Policy if self.subject == NO_POLICY => {
                format!("{} has no declared policy", wording::entity(network, entity))
            }
            DetectorName::Policy => {
                let more = match self.edge_count.saturating_sub(1) {
                    0 => String::new(),
                    more => format!(" and {}", wording::plural(more as u64, "more destination")),
                };
                format!("{source} contacts {destination}{port}{more} against the declared policy")
            }
            DetectorName::Port => format!("{source} contacts {destination}{port}, which is not usually served"),
            DetectorName::Protocol => format!("{source} uses {destination}{port} in a way it never did"),
            DetectorName::Identity => {
                let entity = wording::entity(network, entity);
                match self.subject.as_str() {
                    identity::PLAIN => format!("{source} talks to {destination}{port} without encryption"),
                    identity::ONE_SIDED => format!("{source} talks to {destination}{port} without proving who it is"),
                    identity::CLIENTS_PLAIN => format!("most clients of {entity}{port} talk to it without encryption"),
                    identity::CLIENTS_ONE_SIDED => {
                        format!("most clients of {entity}{port} talk to it without proving who they are")
                    }
                    _ => format!("{entity} proves another identity than it always did"),
                }
            }
            DetectorName::Destination | DetectorName::Carry if self.edge_count > 1 => {
                let several = self.edge_count;
                format!("{source} contacts {several} new destinations, foremost {destination}{port}")
            }
            DetectorName::Exfiltration if lead.explanation.is_inbound => {
                format!("{source} takes far more data from {destination}{port} than new contacts do")
            }
            DetectorName::Exfiltration => {
                format!("{source} sends far more data to {destination}{port} than new contacts do")
            }
            DetectorName::Silence if self.subject == COMMON => {
                format!(
                    "several services have gone quiet at once, among them {}: what reports them may have stopped",
                    wording::entity(network, entity)
                )
            }
            DetectorName::Silence if lead.explanation.is_inbound => {
                format!("{} has gone quiet: hardly anything reaches it any more", wording::entity(network, entity))
            }
            DetectorName::Silence => {
                format!("{} has gone quiet: it hardly calls anybody any more", wording::entity(network, entity))
            }
            DetectorName::Beacon => format!("{source} calls {destination}{port} at regular times"),
            DetectorName::Drift => {
                format!("amounts between {source} and {destination}{port} change a little every day")
            }
            DetectorName::SlowScan | DetectorName::Dark => {
                format!("{source} slowly searches the network, last {destination}{port}")
            }
            DetectorName::Destination | DetectorName::Carry => {
                format!("{source} contacts {destination}{port} for the first time")
            }
        }
    }

    fn observed(&self, lead: &Line) -> String {
        let mut amount = format!(
            "{} in {}",
            wording::plural(self.flow_count.unsigned_abs(), "flow"),
            wording::plural(self.window_count.unsigned_abs(), "window")
        );
        for (bytes, way) in [(self.bytes_out, "sent"), (self.bytes_in, "received")] {
            if bytes > 0 {
                amount.push_str(&format!(", {} {way}", wording::bytes(bytes)));
            }
        }
        let Explanation { observed, remark, .. } = &lead.explanation;
        if self.behaviour == DetectorName::Silence {
            return format!("{observed}{remark}");
        }
        match self.edge_count.saturating_sub(1) as u64 {
            0 => format!("{observed} ({amount}){remark}"),
            more => {
                let word = if is_about_new_edges(self.behaviour) { "more new destination" } else { "more edge" };
                format!("{observed}{remark}; and {} ({amount} in all)", wording::plural(more, word))
            }
        }
    }

    /// Edges that led to a chain without being its own: what was written and read before.
    fn accesses(&self) -> impl Iterator<Item = &Line> {
        let is_about_others = is_about_new_edges(self.behaviour);
        self.lines.iter().filter(move |line| is_about_others && line.detector == DetectorName::Protocol)
    }

    /// What set a chain off: another's writing if there is one, else what its own source read.
    fn cause(&self) -> Option<&Line> {
        let lead = self.lines.first()?;
        self.accesses().find(|line| line.edge.source != lead.edge.source).or_else(|| self.accesses().next())
    }

    /// Whether it is about what most clients of a destination do.
    fn is_about_clients(&self) -> bool {
        matches!(self.subject.as_str(), identity::CLIENTS_PLAIN | identity::CLIENTS_ONE_SIDED)
    }

    /// The id of the finding about this entity.
    pub(crate) fn finding_id(&self, network: &Network, source: u32) -> String {
        finding_id(network.name(source), self.behaviour.as_str(), &self.subject, self.first_window)
    }

    /// The SQL that shows its flows.
    fn evidence_query(&self, lead: &Line, network: &Network, entity: &str, particulars: &[Particular]) -> String {
        let evidence = |edge: &Edge| EvidenceEdge {
            dst_entity: network.name(edge.destination),
            port: edge.port,
            uses: uses_of(particulars, *edge),
        };
        let listed: Vec<EvidenceEdge<'_>> =
            if self.edge_count > self.edges.len() { Vec::new() } else { self.edges.iter().map(evidence).collect() };
        let (from, to) = (self.first_window, self.last_seen);
        let of_edges = || {
            let path: Vec<(&str, EvidenceEdge<'_>)> =
                self.accesses().map(|line| (network.name(line.edge.source), evidence(&line.edge))).collect();
            let first = self.accesses().map(|line| line.counts.first).min();
            let from = first.map_or(from, |first| first.min(from));
            evidence::query(network.name(lead.edge.source), from, to, &listed, &path)
        };
        match self.behaviour {
            DetectorName::Inflow => evidence::query_to(entity, from, to),
            DetectorName::Silence if lead.explanation.is_inbound => evidence::query_to(entity, lead.counts.first, to),
            DetectorName::Silence => evidence::query(entity, lead.counts.first, to, &[], &[]),
            DetectorName::Policy if self.subject != NO_POLICY => {
                evidence::query_of_breaches(entity, self.subject.strip_prefix(RULE_SUBJECT), from, to)
            }
            DetectorName::Identity if self.subject == identity::PRINCIPAL => match principals(particulars).as_slice() {
                [] => of_edges(),
                principals => evidence::query_of_principals(entity, principals, from, to),
            },
            DetectorName::Identity if self.is_about_clients() => {
                evidence::unprotected(&evidence::query_to(entity, from, to))
            }
            DetectorName::Identity => evidence::unprotected(&of_edges()),
            _ => of_edges(),
        }
    }

    /// The finding as it stands, with what is known of it beyond its edges.
    pub(crate) fn finding(&self, network: &Network, daily: &Daily, source: u32, particulars: &[Particular]) -> Finding {
        let entity = network.name(source);
        let lead = self.lines.first().expect("a finding is made of at least one edge");
        let observation = |line: &Line| Observation {
            detector: line.detector.as_str().to_owned(),
            src_entity: network.name(line.edge.source).to_owned(),
            dst_entity: network.name(line.edge.destination).to_owned(),
            dst_port: line.edge.port.number().map(i32::from),
            observed: format!("{}{}", line.explanation.observed, line.explanation.remark),
            expected: line.explanation.expected.clone(),
            p_value: line.p_value,
        };
        Finding {
            finding_id: self.finding_id(network, source),
            time: self.decided,
            first_seen: self.first_window,
            last_seen: self.last_seen,
            entity: entity.to_owned(),
            entity_kind: network.kind(source).as_str().to_owned(),
            behaviour: self.behaviour.as_str().to_owned(),
            severity: self.severity(network, daily),
            title: self.title(lead, network, source),
            observed: self.observed(lead),
            expected: lead.explanation.expected.clone(),
            baseline_since: lead.explanation.baseline_since,
            flow_count: self.flow_count,
            window_count: self.window_count,
            p_value: self.p_value,
            risk_score: self.risk_score,
            technique: self.technique().to_owned(),
            uncertain: self.uncertain(network),
            evidence_query: self.evidence_query(lead, network, entity, particulars),
            observations: self.lines.iter().map(observation).collect(),
            detector_version: DETECTOR_VERSION,
        }
    }
}

/// Hash of what the finding means: a replay makes the same id. Parts carry their length, so that none can pose as another.
fn finding_id(entity: &str, behaviour: &str, subject: &str, first_window: i64) -> String {
    let mut hasher = blake3::Hasher::new();
    for part in [entity.as_bytes(), behaviour.as_bytes(), subject.as_bytes(), &first_window.to_le_bytes()] {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part);
    }
    let hash = hasher.finalize();
    hash.to_hex().as_str()[..32].to_owned()
}
