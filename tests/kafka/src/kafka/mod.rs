//! Apache Kafka as one process that is broker and controller. Started, killed, paused and restarted on the same ports and data.

mod feed;
mod options;
mod tools;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

pub use feed::Feed;
pub use options::{KafkaOptions, User};

use crate::folder::RunFolder;
use crate::managed::{Managed, Ready};
use crate::process::{Program, Server, listens};
use crate::{ServerError, Toxiproxy, parts};
use options::{Ports, properties};

/// A start takes two to ten seconds; a machine that is busy with a build takes longer.
const START_LIMIT: Duration = Duration::from_secs(90);
/// What the broker logs when it serves.
const READY: &str = "Kafka Server started";
/// Starts with other ports, should a foreign process have taken one in between.
const ATTEMPTS: u32 = 3;

/// A broker. It ends with this value, and with the process however that ends.
///
/// ```no_run
/// # use tradewind_kafka_testkit::{Kafka, KafkaOptions, ServerError, User};
/// # fn main() -> Result<(), ServerError> {
/// let options = KafkaOptions { users: vec![User::new("alice", "secret")], has_acl: true, ..KafkaOptions::default() };
/// let kafka = Kafka::start(options)?;
/// kafka.create_topic("raw", 2, &[("max.message.bytes", "65536")])?;
/// kafka.kill9();
/// kafka.restart()?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Kafka {
    options: KafkaOptions,
    ports: Ports,
    data: PathBuf,
    server: Managed,
    // Declared last: removed after the broker has ended.
    folder: RunFolder,
}

impl Kafka {
    /// The broker that all tests of a process share, with the default options. Topics keep their tests apart: each makes its own, and
    /// none kills or pauses this broker.
    ///
    /// # Errors
    /// As [`Kafka::start`]; the first failure is everybody's.
    pub fn shared() -> Result<&'static Self, ServerError> {
        static SHARED: OnceLock<Result<Kafka, ServerError>> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(KafkaOptions::default())).as_ref().map_err(Clone::clone)
    }

    /// Starts a broker and waits until it serves.
    ///
    /// # Errors
    /// [`ServerError::Unavailable`] without Java or Maven; otherwise with the end of the broker's log.
    pub fn start(options: KafkaOptions) -> Result<Self, ServerError> {
        let launcher = parts::program("kafka")?;
        let mut attempt = 1;
        loop {
            match Self::start_once(&launcher, options.clone()) {
                Err(error) if error.is_port_clash() && attempt < ATTEMPTS => attempt += 1,
                other => return other,
            }
        }
    }

    fn start_once(launcher: &Path, options: KafkaOptions) -> Result<Self, ServerError> {
        let ports = Ports::reserve(&options)?;
        let folder = RunFolder::create("kafka")?;
        let data = options.data.clone().unwrap_or_else(|| folder.path().join("data"));
        let configuration = folder.path().join("server.properties");
        let text = properties(&options, &ports, &data, &folder.path().join(tools::KEY_STORE));
        std::fs::write(&configuration, text).map_err(|error| ServerError::file("write", &configuration, &error))?;
        let mut arguments = vec!["-Xms64m".to_owned(), format!("-Xmx{}m", options.heap_mib)];
        if !options.is_optimised {
            arguments.push("-XX:TieredStopAtLevel=1".to_owned());
        }
        // Native libraries of the compressors are unpacked there, and go with the folder.
        arguments.push(format!("-Djava.io.tmpdir={}", folder.path().display()));
        arguments.extend(["kafka.Kafka".to_owned(), configuration.display().to_string()]);
        let log = folder.path().join("server.log");
        let program = Program { name: "Apache Kafka".to_owned(), path: launcher.to_owned(), arguments, log };
        let is_ready = |server: &Server, port| server.has_logged(READY) && listens(port);
        let server = Managed::new(program, Ready { limit: START_LIMIT, is_ready, port: ports.plain.number() });
        let kafka = Self { options, ports, data, server, folder };
        if kafka.options.tls {
            kafka.make_certificate()?;
        }
        kafka.format()?;
        kafka.restart()?;
        Ok(kafka)
    }

    /// `host:port` of the plain listener.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        self.ports.plain.address()
    }

    /// `host:port` of the listener with SCRAM-SHA-256.
    ///
    /// # Panics
    /// When the options name no user.
    #[must_use]
    pub fn sasl_bootstrap(&self) -> String {
        self.ports.sasl.as_ref().expect("KafkaOptions::users is not empty").address()
    }

    /// `host:port` of the listener with TLS.
    ///
    /// # Panics
    /// When the options ask for none.
    #[must_use]
    pub fn tls_bootstrap(&self) -> String {
        self.ports.tls.as_ref().expect("KafkaOptions::tls is set").address()
    }

    /// `host:port` of the listener with OAUTHBEARER.
    ///
    /// # Panics
    /// When the options ask for none.
    #[must_use]
    pub fn oauth_bootstrap(&self) -> String {
        self.ports.oauth.as_ref().expect("KafkaOptions::oauth is set").address()
    }

    /// Puts a proxy of this name before the broker and returns `host:port` of it. Clients that come this way are kept on it, since
    /// the broker advertises the proxy's address to them.
    ///
    /// # Errors
    /// When the proxy refuses.
    ///
    /// # Panics
    /// When the options ask for no faulty listener.
    pub fn route_through(&self, toxiproxy: &Toxiproxy, name: &str) -> Result<String, ServerError> {
        let ports = self.ports.faulty.as_ref().expect("KafkaOptions::has_faulty_listener is set");
        toxiproxy.proxy(name, &ports.advertised.address(), &ports.listener.address())
    }

    /// SIGKILL, as a lost machine. Returns when the process is gone. It may be paused, or killed already.
    pub fn kill9(&self) {
        self.server.kill9();
    }

    /// SIGTERM, and the wait for an orderly end. Nothing to do when it does not run.
    ///
    /// # Errors
    /// When it takes longer than a minute; it is killed then.
    pub fn stop(&self) -> Result<(), ServerError> {
        self.server.stop()
    }

    /// Starts the broker again with the same ports and data, and waits until it serves. One that runs is killed first.
    ///
    /// # Errors
    /// With the end of the log; also when another thread kills it while it starts.
    pub fn restart(&self) -> Result<(), ServerError> {
        self.server.restart()
    }

    /// SIGSTOP: connections stay open and nothing is answered.
    ///
    /// # Errors
    /// When it does not run.
    pub fn pause(&self) -> Result<(), ServerError> {
        self.server.signal("STOP")
    }

    /// SIGCONT after [`Kafka::pause`].
    ///
    /// # Errors
    /// When it does not run.
    pub fn resume(&self) -> Result<(), ServerError> {
        self.server.signal("CONT")
    }

    /// Whether it was started and not stopped or killed since; a paused one runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.server.is_running()
    }

    /// The process, for measurements; `None` while it does not run.
    #[must_use]
    pub fn process_id(&self) -> Option<u32> {
        self.server.process_id()
    }

    /// The last lines that the broker logged since its start; empty while it does not run.
    #[must_use]
    pub fn logs_tail(&self) -> String {
        self.server.logs_tail()
    }

    /// The file with all that the broker logged over its restarts.
    #[must_use]
    pub fn log_file(&self) -> &Path {
        self.server.log_file()
    }

    /// Where the data lies.
    #[must_use]
    pub fn data(&self) -> &Path {
        &self.data
    }
}
