//! What is done to a broker by Kafka's own tools, each a JVM of a second or two: formatting, topics, access control; and the JVM's
//! `keytool` for the certificate.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::options::STORE_PASSWORD;
use super::{Kafka, ServerError};

pub(super) const KEY_STORE: &str = "broker.p12";
const CERTIFICATE: &str = "broker.pem";
const CLUSTER_ID: &str = "TradewindTestCluster00";

impl Kafka {
    /// Makes a topic. Clients with an interface for this do it faster.
    ///
    /// # Errors
    /// With what the tool said.
    pub fn create_topic(&self, name: &str, partitions: u32, settings: &[(&str, &str)]) -> Result<(), ServerError> {
        let bootstrap = self.bootstrap();
        let partitions = partitions.to_string();
        let mut arguments = vec!["--bootstrap-server", &bootstrap, "--create", "--topic", name];
        arguments.extend(["--partitions", &partitions, "--replication-factor", "1"]);
        let settings: Vec<_> = settings.iter().map(|(key, value)| format!("{key}={value}")).collect();
        arguments.extend(settings.iter().flat_map(|setting| ["--config", setting]));
        self.tool("org.apache.kafka.tools.TopicCommand", &arguments).map(|_| ())
    }

    /// Adds to the access control lists: `allow("alice", "Read", &["--topic", "raw"])`, or what else `AclCommand` takes.
    ///
    /// # Errors
    /// With what the tool said.
    pub fn allow(&self, user: &str, operation: &str, resource: &[&str]) -> Result<(), ServerError> {
        let (bootstrap, principal) = (self.bootstrap(), format!("User:{user}"));
        let mut arguments = vec!["--bootstrap-server", bootstrap.as_str(), "--add", "--force"];
        arguments.extend(["--allow-principal", &principal, "--operation", operation]);
        arguments.extend(resource);
        self.tool("org.apache.kafka.tools.AclCommand", &arguments).map(|_| ())
    }

    /// Runs a class of Kafka's tools, such as `org.apache.kafka.tools.GetOffsetShell`, and returns what it printed.
    ///
    /// # Errors
    /// With what it said, when its exit code is not 0.
    pub fn tool(&self, class: &str, arguments: &[&str]) -> Result<String, ServerError> {
        let output = Command::new(self.server.program())
            .args(["-Xmx128m", "-XX:TieredStopAtLevel=1", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", class])
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| ServerError::Spawn { program: class.to_owned(), reason: error.to_string() })?;
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            return Ok(printed);
        }
        let said = format!("{printed}{}", String::from_utf8_lossy(&output.stderr));
        Err(ServerError::request(format!("{class} {}", arguments.join(" ")), &said.trim()))
    }

    /// The broker's certificate, which clients take as that of their authority.
    ///
    /// # Panics
    /// When the options ask for no TLS.
    #[must_use]
    pub fn certificate(&self) -> PathBuf {
        assert!(self.options.tls, "KafkaOptions::tls is set");
        self.folder.path().join(CERTIFICATE)
    }

    /// Makes the folder of an empty broker, unless one has run there.
    pub(super) fn format(&self) -> Result<(), ServerError> {
        if self.data.join("meta.properties").exists() {
            return Ok(());
        }
        if self.options.users.is_empty() {
            // Formatted once, when the libraries were fetched: a JVM less.
            return copy_files(&self.server.program().with_file_name("formatted"), &self.data);
        }
        let configuration = self.folder.path().join("server.properties").display().to_string();
        let mut arguments =
            vec!["format".to_owned(), "-t".to_owned(), CLUSTER_ID.to_owned(), "-c".to_owned(), configuration];
        for user in &self.options.users {
            arguments.push("--add-scram".to_owned());
            arguments.push(format!("SCRAM-SHA-256=[name={},password={}]", user.name, user.password));
        }
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        self.tool("kafka.tools.StorageTool", &arguments).map(|_| ())
    }

    /// A self-signed certificate for 127.0.0.1 and localhost.
    pub(super) fn make_certificate(&self) -> Result<(), ServerError> {
        let store = self.folder.path().join(KEY_STORE).display().to_string();
        let common = ["-alias", "broker", "-keystore", &store, "-storepass", STORE_PASSWORD];
        let made = ["-keyalg", "EC", "-groupname", "secp256r1", "-storetype", "PKCS12", "-validity", "3650"];
        let names = ["-dname", "CN=localhost", "-ext", "san=ip:127.0.0.1,dns:localhost", "-ext", "bc:c=ca:true"];
        keytool("-genkeypair", &[&common[..], &made, &names].concat())?;
        let certificate = self.certificate().display().to_string();
        keytool("-exportcert", &[&common[..], &["-rfc", "-file", &certificate]].concat())
    }
}

fn keytool(action: &str, arguments: &[&str]) -> Result<(), ServerError> {
    let output = Command::new("keytool")
        .arg(action)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| ServerError::Spawn { program: "keytool".to_owned(), reason: error.to_string() })?;
    let said = String::from_utf8_lossy(&output.stdout);
    if output.status.success() { Ok(()) } else { Err(ServerError::request(format!("keytool {action}"), &said.trim())) }
}

fn copy_files(from: &Path, to: &Path) -> Result<(), ServerError> {
    std::fs::create_dir_all(to).map_err(|error| ServerError::file("create", to, &error))?;
    let read_error = |error: std::io::Error| ServerError::file("read", from, &error);
    for entry in std::fs::read_dir(from).map_err(read_error)? {
        let file = entry.map_err(read_error)?;
        let copy = to.join(file.file_name());
        std::fs::copy(file.path(), &copy).map_err(|error| ServerError::file("write", &copy, &error))?;
    }
    Ok(())
}
