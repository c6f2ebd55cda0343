//! The kinds of attack, each in a few steps. Knows nothing of how flows are written down.

use super::{Attack, Contacts};
use crate::scenario::topology::Role;
use tradewind_model::Outcome;
use tradewind_model::entity::EntityKind;

macro_rules! kinds {
    ($($kind:ident $word:literal $technique:literal $doc:literal),* $(,)?) => {
        /// A kind of attack.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum AttackKind {
            $(#[doc = $doc] $kind),*
        }

        impl AttackKind {
            /// Every kind.
            pub const ALL: &'static [Self] = &[$(Self::$kind),*];

            /// The word in reports.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$kind => $word),* }
            }

            /// What happens, in a sentence.
            #[must_use]
            pub const fn description(self) -> &'static str {
                match self { $(Self::$kind => $doc),* }
            }

            /// The ATT&CK technique it is after.
            #[must_use]
            pub const fn technique(self) -> &'static str {
                match self { $(Self::$kind => $technique),* }
            }
        }
    };
}

kinds! {
    HostScan "host-scan" "T1046" "One port of everybody, in minutes.",
    PortScan "port-scan" "T1046" "Many ports of one, in minutes.",
    SlowScan "slow-scan" "T1046" "One port of everybody, over hours.",
    AgentScan "agent-scan" "T1046" "An agent tries what there is, all answered.",
    NameDiscovery "name-discovery" "T1018" "Thousands of names asked for.",
    DirectoryDiscovery "directory-discovery" "T1087.002" "A service reads the directory it never used.",
    ShareDiscovery "share-discovery" "T1135" "Shares of several machines are listed.",
    ClusterDiscovery "cluster-discovery" "T1613" "A service asks the cluster's interface what runs.",
    RemoteShell "remote-shell" "T1021.004" "A shell on a machine that nobody used from there.",
    RemoteDesktop "remote-desktop" "T1021.001" "A desktop session to a machine.",
    RemoteManagement "remote-management" "T1021.006" "Management commands to two machines.",
    ToolTransfer "tool-transfer" "T1570" "A tool is copied to a share and started.",
    QuickChain "quick-chain" "T1021" "Three machines in a row within minutes.",
    SlowChain "slow-chain" "T1021" "Four machines in a row within an hour and a half.",
    RogueHost "rogue-host" "T1200" "A machine nobody knows talks to several services.",
    BruteForce "brute-force" "T1110" "Hundreds of vain logins at a database that is used.",
    DeniedProbe "denied-probe" "T1595" "Policy stops a burst of attempts.",
    SecretsAccess "secrets-access" "T1552" "A service fetches secrets it never needed.",
    DatabaseAccess "database-access" "T1213" "A service reads another's database.",
    AgentPayment "agent-payment" "T1565" "An agent reaches the payment service.",
    AgentData "agent-data" "T1213" "An agent reads a database directly.",
    AgentQueue "agent-queue" "T1080" "An agent's messages through the shared queue make another one reach out.",
    QueueTap "queue-tap" "T1040" "A service reads from a broker it never used.",
    NewSinkExfiltration "new-sink-exfiltration" "T1041" "Data goes to a place outside that nobody knew.",
    KnownSinkExfiltration "known-sink-exfiltration" "T1567" "Data goes to a service outside that is used.",
    NameExfiltration "name-exfiltration" "T1048" "Data goes out in questions for names.",
    Hoarding "hoarding" "T1074" "Data is gathered from several databases, then leaves.",
    Beacon "beacon" "T1071" "A call outside every minute for two hours.",
    Tunnel "tunnel" "T1572" "A port that a known destination never served.",
    Flood "flood" "T1499" "Far more calls to one service than it ever had.",
}

impl Attack<'_> {
    /// Makes the flows of the episode.
    pub(super) fn make(&mut self) {
        use AttackKind as Kind;
        match self.kind {
            Kind::HostScan | Kind::PortScan | Kind::SlowScan | Kind::AgentScan => self.scan(),
            Kind::NameDiscovery
            | Kind::DirectoryDiscovery
            | Kind::ShareDiscovery
            | Kind::ClusterDiscovery
            | Kind::BruteForce
            | Kind::DeniedProbe => self.discover(),
            Kind::RemoteShell
            | Kind::RemoteDesktop
            | Kind::RemoteManagement
            | Kind::ToolTransfer
            | Kind::QuickChain
            | Kind::SlowChain
            | Kind::RogueHost => self.move_on(),
            Kind::SecretsAccess
            | Kind::DatabaseAccess
            | Kind::AgentPayment
            | Kind::AgentData
            | Kind::AgentQueue
            | Kind::QueueTap => self.collect(),
            Kind::NewSinkExfiltration
            | Kind::KnownSinkExfiltration
            | Kind::NameExfiltration
            | Kind::Hoarding
            | Kind::Beacon
            | Kind::Tunnel
            | Kind::Flood => self.leave(),
        }
    }

    fn scan(&mut self) {
        let source = if self.kind == AttackKind::AgentScan { self.any(Role::Agent) } else { self.foothold() };
        let once = Contacts::few(445).times(1, 1.0).bytes(120.0, 90.0);
        let mut at = 0.0;
        match self.kind {
            AttackKind::PortScan => {
                let target = self.stranger_to(source, &[Role::Backend, Role::Database]);
                for port in (20..140).step_by(2) {
                    let is_open = port == 22;
                    let outcome = if is_open { Outcome::Allowed } else { Outcome::Failed };
                    at = self.contact(at + 0.4, source, target, Contacts { port, ..once }.ending(outcome));
                }
            }
            AttackKind::AgentScan => {
                for target in self.everybody(source).into_iter().take(12) {
                    let port = self.port(target);
                    at = self.contact(at + 15.0, source, target, Contacts { port, ..once }.times(2, 2.0));
                }
            }
            _ => {
                let pause = if self.kind == AttackKind::SlowScan { 360.0 } else { 2.0 };
                for target in self.everybody(source).into_iter().take(40) {
                    let outcome = if self.random.happens(0.1) { Outcome::Allowed } else { Outcome::Failed };
                    at = self.contact(at + pause, source, target, once.ending(outcome));
                }
            }
        }
    }

    fn discover(&mut self) {
        let source = self.foothold();
        match self.kind {
            AttackKind::NameDiscovery => {
                let dns = self.named("dns");
                self.contact(0.0, source, dns, Contacts::few(53).times(1_500, 0.5).bytes(70.0, 120.0));
            }
            AttackKind::DirectoryDiscovery => {
                let directory = self.named("directory");
                self.contact(0.0, source, directory, Contacts::few(389).times(8, 7.0).bytes(900.0, 60_000.0));
            }
            AttackKind::ShareDiscovery => {
                for target in self.everybody(source).into_iter().take(5) {
                    let outcome = if self.random.happens(0.5) { Outcome::Allowed } else { Outcome::Failed };
                    self.contact(0.0, source, target, Contacts::few(445).times(2, 5.0).ending(outcome));
                }
            }
            AttackKind::ClusterDiscovery => {
                let cluster = self.named("kube-api");
                self.contact(0.0, source, cluster, Contacts::few(6443).times(10, 12.0).bytes(1_200.0, 90_000.0));
            }
            AttackKind::BruteForce => {
                let calls = &self.scenario.topology.calls;
                let is_login = |role| matches!(role, Role::Database);
                let used: Vec<(u16, u16)> = calls
                    .iter()
                    .filter(|call| is_login(self.scenario.topology.roles[usize::from(call.destination)]))
                    .map(|call| (call.source, call.destination))
                    .collect();
                let (source, target) = self.random.pick(&used);
                let tried = Contacts::few(5432).times(300, 1.0).bytes(300.0, 0.0);
                self.contact(0.0, source, target, tried.ending(Outcome::Failed));
            }
            _ => {
                let target = self.stranger_to(source, &[Role::Payment, Role::Database]);
                let port = self.port(target);
                self.contact(0.0, source, target, Contacts::few(port).times(80, 1.5).ending(Outcome::Denied));
            }
        }
    }

    fn move_on(&mut self) {
        let first = self.foothold();
        let machines = [Role::Backend, Role::Database, Role::Frontend];
        match self.kind {
            AttackKind::RemoteShell => {
                let target = self.stranger_to(first, &machines);
                self.contact(0.0, first, target, Contacts::few(22).times(3, 40.0).bytes(30_000.0, 200_000.0));
            }
            AttackKind::RemoteDesktop => {
                let target = self.stranger_to(first, &machines);
                self.contact(0.0, first, target, Contacts::few(3389).times(4, 60.0).bytes(400_000.0, 3_000_000.0));
            }
            AttackKind::RemoteManagement => {
                for after_s in [0.0, 100.0] {
                    let target = self.stranger_to(first, &machines);
                    self.contact(after_s, first, target, Contacts::few(5985).times(5, 6.0));
                }
            }
            AttackKind::ToolTransfer => {
                let target = self.stranger_to(first, &machines);
                let at = self.contact(0.0, first, target, Contacts::few(445).times(3, 4.0).bytes(6_000_000.0, 2_000.0));
                self.contact(at + 30.0, first, target, Contacts::few(135).times(3, 4.0));
            }
            AttackKind::QuickChain | AttackKind::SlowChain => {
                let (hops, pause) = if self.kind == AttackKind::QuickChain { (3, 90.0) } else { (4, 1_200.0) };
                let (mut from, mut at) = (first, 0.0);
                for _ in 0..hops {
                    let target = self.stranger_to(from, &machines);
                    let port = self.port(target);
                    at = pause + self.contact(at, from, target, Contacts::few(port));
                    from = target;
                }
            }
            _ => {
                let rogue = self.newcomer(EntityKind::Unknown, "10.9.9.9");
                let mut at = 0.0;
                for _ in 0..6 {
                    let target = self.stranger_to(rogue, &machines);
                    let port = self.port(target);
                    at = 40.0 + self.contact(at, rogue, target, Contacts::few(port).times(3, 5.0));
                }
            }
        }
    }

    fn collect(&mut self) {
        let source = match self.kind {
            AttackKind::AgentPayment | AttackKind::AgentData | AttackKind::AgentQueue => self.any(Role::Agent),
            _ => self.foothold(),
        };
        match self.kind {
            AttackKind::SecretsAccess => {
                let vault = self.named("vault");
                self.contact(0.0, source, vault, Contacts::few(8200).times(5, 10.0));
            }
            AttackKind::DatabaseAccess | AttackKind::AgentData => {
                let target = self.stranger_to(source, &[Role::Database]);
                self.contact(0.0, source, target, Contacts::few(5432).times(20, 8.0).bytes(2_000.0, 300_000.0));
            }
            AttackKind::AgentPayment => {
                let payment = self.named("payment-api");
                self.contact(0.0, source, payment, Contacts::few(443).times(60, 5.0).bytes(1_500.0, 900.0));
            }
            AttackKind::AgentQueue => {
                let queue = self.named("queue");
                let at = self.contact(0.0, source, queue, Contacts::few(9092).times(40, 2.0).bytes(8_000.0, 400.0));
                let other = self.stranger_to(source, &[Role::Agent]);
                let at = self.contact(at, other, queue, Contacts::few(9092).times(4, 3.0).bytes(500.0, 40_000.0));
                let target = self.stranger_to(other, &[Role::Payment, Role::Database]);
                let port = self.port(target);
                self.contact(at + 20.0, other, target, Contacts::few(port).times(12, 6.0));
            }
            _ => {
                let queue = self.stranger_to(source, &[Role::Queue]);
                self.contact(0.0, source, queue, Contacts::few(9092).times(30, 20.0).bytes(600.0, 500_000.0));
            }
        }
    }

    fn leave(&mut self) {
        let source = self.foothold();
        match self.kind {
            AttackKind::NewSinkExfiltration => {
                let sink = self.newcomer(EntityKind::External, "198.51.100.7");
                self.contact(0.0, source, sink, Contacts::few(443).times(15, 30.0).bytes(8_000_000.0, 4_000.0));
            }
            AttackKind::KnownSinkExfiltration => {
                let calls = &self.scenario.topology.calls;
                let roles = &self.scenario.topology.roles;
                let is_sink = |role| matches!(role, Role::External);
                let used: Vec<(u16, u16)> = calls
                    .iter()
                    .filter(|call| is_sink(roles[usize::from(call.destination)]))
                    .map(|call| (call.source, call.destination))
                    .collect();
                let (source, sink) = self.random.pick(&used);
                self.contact(0.0, source, sink, Contacts::few(443).times(20, 30.0).bytes(20_000_000.0, 4_000.0));
            }
            AttackKind::NameExfiltration => {
                let dns = self.named("dns");
                self.contact(0.0, source, dns, Contacts::few(53).times(900, 2.0).bytes(9_000.0, 200.0));
            }
            AttackKind::Hoarding => {
                let mut at = 0.0;
                for _ in 0..3 {
                    let database = self.stranger_to(source, &[Role::Database]);
                    let much = Contacts::few(5432).times(6, 20.0).bytes(2_000.0, 30_000_000.0);
                    at = 200.0 + self.contact(at, source, database, much);
                }
                let sink = self.newcomer(EntityKind::External, "198.51.100.9");
                self.contact(at + 900.0, source, sink, Contacts::few(443).times(6, 20.0).bytes(90_000_000.0, 4_000.0));
            }
            AttackKind::Beacon => {
                let outside = self.newcomer(EntityKind::External, "203.0.113.5");
                self.contact(0.0, source, outside, Contacts::few(443).times(120, 60.0).bytes(700.0, 500.0));
            }
            AttackKind::Tunnel => {
                let calls = self.scenario.topology.calls.iter();
                let used: Vec<u16> = calls.filter(|call| call.source == source).map(|call| call.destination).collect();
                let target = self.random.pick(&used);
                self.contact(0.0, source, target, Contacts::few(4444).times(40, 20.0).bytes(20_000.0, 20_000.0));
            }
            _ => {
                let target = self.any(Role::Backend);
                let port = self.port(target);
                self.contact(0.0, source, target, Contacts::few(port).times(6_000, 0.1).bytes(500.0, 900.0));
            }
        }
    }
}
