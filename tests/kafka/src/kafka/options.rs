//! What a test asks of a broker, and the `server.properties` made of it. Nothing is started here.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::ServerError;
use crate::ports::Port;

/// A user of the SCRAM-SHA-256 listener.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    pub name: String,
    pub password: String,
}

impl User {
    #[must_use]
    pub fn new(name: &str, password: &str) -> Self {
        Self { name: name.to_owned(), password: password.to_owned() }
    }
}

/// How a broker is set up. The default is one plain listener without authorisation.
#[derive(Debug, Clone)]
pub struct KafkaOptions {
    /// With any, there is a listener with SASL SCRAM-SHA-256 ([`crate::Kafka::sasl_bootstrap`]), over TLS when `tls` is set.
    pub users: Vec<User>,
    /// A listener with TLS ([`crate::Kafka::tls_bootstrap`]); its certificate is [`crate::Kafka::certificate`].
    pub tls: bool,
    /// A listener with SASL OAUTHBEARER ([`crate::Kafka::oauth_bootstrap`]) that takes unsecured JSON web tokens.
    pub oauth: bool,
    /// Requests are authorised by access control lists, of which there are none at first. Who comes by the plain listener is
    /// `User:ANONYMOUS` and may do all.
    pub has_acl: bool,
    /// A listener that advertises the port on which a [`crate::Toxiproxy`] listens ([`crate::Kafka::route_through`]).
    pub has_faulty_listener: bool,
    /// The broker's largest record batch; `None` is Kafka's default of 1 MiB.
    pub message_bytes_max: Option<u32>,
    /// Where the data lies; used as it is when a broker has run there. `None` is a folder that goes with the broker.
    pub data: Option<PathBuf>,
    /// The largest heap.
    pub heap_mib: u32,
    /// For load: the JVM's optimising compiler, which starts slower and is three times as fast afterwards.
    pub is_optimised: bool,
    /// Further lines of `server.properties`, which win over those made here.
    pub settings: Vec<(String, String)>,
}

impl Default for KafkaOptions {
    fn default() -> Self {
        Self {
            users: Vec::new(),
            tls: false,
            oauth: false,
            has_acl: false,
            has_faulty_listener: false,
            message_bytes_max: None,
            data: None,
            heap_mib: 256,
            is_optimised: false,
            settings: Vec::new(),
        }
    }
}

/// The ports of one broker, which stay the same over restarts.
#[derive(Debug)]
pub(super) struct Ports {
    pub(super) plain: Port,
    pub(super) controller: Port,
    pub(super) sasl: Option<Port>,
    pub(super) tls: Option<Port>,
    pub(super) oauth: Option<Port>,
    pub(super) faulty: Option<FaultyPorts>,
}

/// The broker's listener behind a proxy, and the proxy's.
#[derive(Debug)]
pub(super) struct FaultyPorts {
    pub(super) listener: Port,
    pub(super) advertised: Port,
}

impl Ports {
    pub(super) fn reserve(options: &KafkaOptions) -> Result<Self, ServerError> {
        let reserve_if = |is_wanted: bool| is_wanted.then(Port::reserve).transpose();
        Ok(Self {
            plain: Port::reserve()?,
            controller: Port::reserve()?,
            sasl: reserve_if(!options.users.is_empty())?,
            tls: reserve_if(options.tls)?,
            oauth: reserve_if(options.oauth)?,
            faulty: match options.has_faulty_listener {
                true => Some(FaultyPorts { listener: Port::reserve()?, advertised: Port::reserve()? }),
                false => None,
            },
        })
    }
}

/// Of the key store that `keytool` makes; it guards nothing.
pub(super) const STORE_PASSWORD: &str = "tradewind";

/// A listener's name, address and, where clients are sent elsewhere, the address it advertises; and its security protocol.
struct Listener<'a> {
    name: &'static str,
    port: &'a Port,
    advertised: &'a Port,
    protocol: &'static str,
}

/// The text of `server.properties`.
pub(super) fn properties(options: &KafkaOptions, ports: &Ports, data: &Path, key_store: &Path) -> String {
    let listeners = listeners(options, ports);
    let join = |part: &dyn Fn(&Listener<'_>) -> String| listeners.iter().map(part).collect::<Vec<_>>().join(",");
    let bound = join(&|listener| format!("{}://{}", listener.name, listener.port.address()));
    let advertised = join(&|listener| format!("{}://{}", listener.name, listener.advertised.address()));
    let protocols = join(&|listener| format!("{}:{}", listener.name, listener.protocol));
    let controller = ports.controller.address();
    let mut lines = vec![
        ("process.roles", "broker,controller".to_owned()),
        ("node.id", "1".to_owned()),
        ("controller.quorum.voters", format!("1@{controller}")),
        ("controller.listener.names", "CONTROLLER".to_owned()),
        ("inter.broker.listener.name", "PLAINTEXT".to_owned()),
        ("listeners", format!("{bound},CONTROLLER://{controller}")),
        ("advertised.listeners", advertised),
        ("listener.security.protocol.map", format!("{protocols},CONTROLLER:PLAINTEXT")),
        ("log.dirs", data.display().to_string()),
    ];
    lines.extend(SINGLE_BROKER.iter().map(|(key, value)| (*key, (*value).to_owned())));
    if let Some(bytes) = options.message_bytes_max {
        lines.push(("message.max.bytes", bytes.to_string()));
    }
    if options.tls {
        lines.push(("ssl.keystore.location", key_store.display().to_string()));
        lines.push(("ssl.keystore.password", STORE_PASSWORD.to_owned()));
        lines.push(("ssl.keystore.type", "PKCS12".to_owned()));
    }
    if options.has_acl {
        lines.push(("authorizer.class.name", "org.apache.kafka.metadata.authorizer.StandardAuthorizer".to_owned()));
        lines.push(("super.users", "User:ANONYMOUS".to_owned()));
    }
    lines.extend(sasl(options));
    let mut text = String::new();
    for (key, value) in lines.iter().filter(|(key, _)| !options.settings.iter().any(|(own, _)| own == key)) {
        writeln!(text, "{key}={value}").expect("a string takes all");
    }
    for (key, value) in &options.settings {
        writeln!(text, "{key}={value}").expect("a string takes all");
    }
    text
}

fn listeners<'a>(options: &KafkaOptions, ports: &'a Ports) -> Vec<Listener<'a>> {
    let plain = |name, port| Listener { name, port, advertised: port, protocol: "PLAINTEXT" };
    let mut listeners = vec![plain("PLAINTEXT", &ports.plain)];
    if let Some(FaultyPorts { listener, advertised }) = &ports.faulty {
        listeners.push(Listener { name: "FAULTY", port: listener, advertised, protocol: "PLAINTEXT" });
    }
    if let Some(port) = &ports.sasl {
        let protocol = if options.tls { "SASL_SSL" } else { "SASL_PLAINTEXT" };
        listeners.push(Listener { name: "SCRAM", port, advertised: port, protocol });
    }
    if let Some(port) = &ports.tls {
        listeners.push(Listener { name: "TLS", port, advertised: port, protocol: "SSL" });
    }
    if let Some(port) = &ports.oauth {
        listeners.push(Listener { name: "OAUTH", port, advertised: port, protocol: "SASL_PLAINTEXT" });
    }
    listeners
}

fn sasl(options: &KafkaOptions) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    if !options.users.is_empty() {
        lines.push(("listener.name.scram.sasl.enabled.mechanisms", "SCRAM-SHA-256".to_owned()));
        lines.push((
            "listener.name.scram.scram-sha-256.sasl.jaas.config",
            "org.apache.kafka.common.security.scram.ScramLoginModule required;".to_owned(),
        ));
    }
    if options.oauth {
        let module = "org.apache.kafka.common.security.oauthbearer.OAuthBearer";
        lines.push(("listener.name.oauth.sasl.enabled.mechanisms", "OAUTHBEARER".to_owned()));
        lines.push((
            "listener.name.oauth.oauthbearer.sasl.jaas.config",
            format!("{module}LoginModule required unsecuredLoginStringClaim_sub=\"broker\";"),
        ));
        lines.push((
            "listener.name.oauth.oauthbearer.sasl.server.callback.handler.class",
            "org.apache.kafka.common.security.oauthbearer.internals.unsecured.OAuthBearerUnsecuredValidatorCallbackHandler"
                .to_owned(),
        ));
    }
    lines
}

/// What one broker needs that is a whole cluster, on a machine that runs other tests beside it.
const SINGLE_BROKER: &[(&str, &str)] = &[
    ("offsets.topic.replication.factor", "1"),
    ("transaction.state.log.replication.factor", "1"),
    ("transaction.state.log.min.isr", "1"),
    ("share.coordinator.state.topic.replication.factor", "1"),
    ("share.coordinator.state.topic.min.isr", "1"),
    ("offsets.topic.num.partitions", "4"),
    ("transaction.state.log.num.partitions", "4"),
    // A group's first member does not wait for others.
    ("group.initial.rebalance.delay.ms", "0"),
    // Topics are made on purpose: a stage that writes to a missing one has to say so.
    ("auto.create.topics.enable", "false"),
    ("num.network.threads", "2"),
    ("num.io.threads", "4"),
    // The default of 128 MiB would take half the heap.
    ("log.cleaner.dedupe.buffer.size", "4194304"),
    // A killed broker's session ends sooner, and its restart waits less.
    ("broker.heartbeat.interval.ms", "500"),
    ("broker.session.timeout.ms", "3000"),
];

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// The properties of which the key begins so, with ports by the names of their listeners.
    fn check(options: &KafkaOptions, key: &str, expected: &[&str]) {
        let ports = Ports::reserve(options).unwrap();
        let mut text = properties(options, &ports, Path::new("data"), Path::new("store"));
        let faulty = ports.faulty.as_ref();
        for (name, port) in [
            ("plain", Some(&ports.plain)),
            ("controller", Some(&ports.controller)),
            ("scram", ports.sasl.as_ref()),
            ("tls", ports.tls.as_ref()),
            ("faulty", faulty.map(|ports| &ports.listener)),
            ("proxy", faulty.map(|ports| &ports.advertised)),
        ] {
            text = port.map_or(text.clone(), |port| text.replace(&port.address(), name));
        }
        let found: Vec<_> = text.lines().filter(|line| line.starts_with(key)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn listeners_follow_the_options() {
        check(&KafkaOptions::default(), "listeners", &["listeners=PLAINTEXT://plain,CONTROLLER://controller"]);
        let faulty = KafkaOptions { has_faulty_listener: true, ..KafkaOptions::default() };
        check(&faulty, "listeners", &["listeners=PLAINTEXT://plain,FAULTY://faulty,CONTROLLER://controller"]);
        check(&faulty, "advertised", &["advertised.listeners=PLAINTEXT://plain,FAULTY://proxy"]);
        let users = vec![User::new("alice", "secret")];
        let scram = KafkaOptions { users: users.clone(), ..KafkaOptions::default() };
        let protocols = "listener.security.protocol.map";
        check(
            &scram,
            protocols,
            &["listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SCRAM:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT"],
        );
        let scram_over_tls = KafkaOptions { users, tls: true, ..KafkaOptions::default() };
        check(
            &scram_over_tls,
            protocols,
            &["listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SCRAM:SASL_SSL,TLS:SSL,CONTROLLER:PLAINTEXT"],
        );
    }

    #[test]
    fn own_settings_win() {
        let settings = vec![("num.io.threads".to_owned(), "1".to_owned())];
        check(&KafkaOptions { settings, ..KafkaOptions::default() }, "num.io", &["num.io.threads=1"]);
        let options = KafkaOptions { message_bytes_max: Some(2_000), ..KafkaOptions::default() };
        check(&options, "message.max", &["message.max.bytes=2000"]);
        check(&KafkaOptions::default(), "message.max", &[]);
    }
}
