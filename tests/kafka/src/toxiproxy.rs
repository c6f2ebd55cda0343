//! toxiproxy: TCP proxies before a server that cut, slow, stall and reset connections. For faults inside HTTP see [`crate::FaultyHttp`].

use std::time::Duration;

use serde_json::{Value, json};

use crate::folder::RunFolder;
use crate::managed::{Managed, Ready};
use crate::ports::Port;
use crate::process::{Program, listens};
use crate::{ServerError, http, parts};

const START_LIMIT: Duration = Duration::from_secs(30);
const BOTH_WAYS: &[&str] = &["upstream", "downstream"];
const ANSWERS: &[&str] = &["downstream"];

/// A process with any number of named proxies.
///
/// ```no_run
/// # use tradewind_kafka_testkit::{Kafka, KafkaOptions, ServerError, Toxiproxy};
/// # fn main() -> Result<(), ServerError> {
/// let toxiproxy = Toxiproxy::start()?;
/// let kafka = Kafka::start(KafkaOptions { has_faulty_listener: true, ..KafkaOptions::default() })?;
/// let bootstrap = kafka.route_through(&toxiproxy, "kafka")?;
/// toxiproxy.cut("kafka")?;
/// toxiproxy.heal("kafka")?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Toxiproxy {
    server: Managed,
    port: Port,
    // Declared last: removed after the process has ended.
    _folder: RunFolder,
}

impl Toxiproxy {
    /// # Errors
    /// [`ServerError::Unavailable`] without Go.
    pub fn start() -> Result<Self, ServerError> {
        let path = parts::program("toxiproxy")?;
        let (port, folder) = (Port::reserve()?, RunFolder::create("toxiproxy")?);
        let arguments = ["-host", "127.0.0.1", "-port", &port.number().to_string()].map(str::to_owned).to_vec();
        let log = folder.path().join("server.log");
        let program = Program { name: "toxiproxy".to_owned(), path, arguments, log };
        let is_ready = |_: &_, port| listens(port);
        let server = Managed::new(program, Ready { limit: START_LIMIT, is_ready, port: port.number() });
        server.restart()?;
        Ok(Self { server, port, _folder: folder })
    }

    /// Makes a proxy and returns `host:port` on which it listens; with port 0 in `listen` one that is free.
    ///
    /// # Errors
    /// When the name or the address is taken.
    pub fn proxy(&self, name: &str, listen: &str, upstream: &str) -> Result<String, ServerError> {
        let body = json!({ "name": name, "listen": listen, "upstream": upstream, "enabled": true });
        let proxy = self.ask("POST", "/proxies", &body)?;
        proxy["listen"]
            .as_str()
            .map(str::to_owned)
            .ok_or_else(|| ServerError::request("POST /proxies", &format!("no address in {proxy}")))
    }

    /// Closes the proxy's connections and refuses new ones, until [`Toxiproxy::heal`].
    ///
    /// # Errors
    /// When there is no such proxy.
    pub fn cut(&self, name: &str) -> Result<(), ServerError> {
        self.ask("POST", &format!("/proxies/{name}"), &json!({ "enabled": false })).map(|_| ())
    }

    /// Takes back all that was done to the proxy.
    ///
    /// # Errors
    /// When there is no such proxy.
    pub fn heal(&self, name: &str) -> Result<(), ServerError> {
        let path = format!("/proxies/{name}/toxics");
        let toxics = self.ask("GET", &path, &Value::Null)?;
        for toxic in toxics.as_array().into_iter().flatten().filter_map(|toxic| toxic["name"].as_str()) {
            self.ask("DELETE", &format!("{path}/{toxic}"), &Value::Null)?;
        }
        self.ask("POST", &format!("/proxies/{name}"), &json!({ "enabled": true })).map(|_| ())
    }

    /// Delays what the server answers.
    ///
    /// # Errors
    /// When there is no such proxy, or it is delayed already.
    pub fn add_latency(&self, name: &str, latency_ms: u32) -> Result<(), ServerError> {
        self.add(name, "latency", ANSWERS, &json!({ "latency": latency_ms }))
    }

    /// Lets so many kilobytes a second pass, each way and connection.
    ///
    /// # Errors
    /// When there is no such proxy, or it is limited already.
    pub fn bandwidth(&self, name: &str, kilobytes_per_second: u32) -> Result<(), ServerError> {
        self.add(name, "bandwidth", BOTH_WAYS, &json!({ "rate": kilobytes_per_second }))
    }

    /// Lets nothing pass while connections stay open, as a network that loses every packet. [`Toxiproxy::heal`] closes them.
    ///
    /// # Errors
    /// When there is no such proxy, or it is stalled already.
    pub fn stall(&self, name: &str) -> Result<(), ServerError> {
        self.add(name, "timeout", BOTH_WAYS, &json!({ "timeout": 0 }))
    }

    /// Ends each connection as soon as anything is sent on it, until [`Toxiproxy::heal`]: those that are opened from now on with RST,
    /// those that are open already with FIN.
    ///
    /// # Errors
    /// When there is no such proxy, or it resets already.
    pub fn reset(&self, name: &str) -> Result<(), ServerError> {
        self.add(name, "reset_peer", BOTH_WAYS, &json!({ "timeout": 0 }))
    }

    fn add(&self, name: &str, kind: &str, streams: &[&str], attributes: &Value) -> Result<(), ServerError> {
        for stream in streams {
            let toxic = json!({ "type": kind, "stream": stream, "attributes": attributes });
            self.ask("POST", &format!("/proxies/{name}/toxics"), &toxic)?;
        }
        Ok(())
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Result<Value, ServerError> {
        let text = if body.is_null() { String::new() } else { body.to_string() };
        let (status, answer) = http::request(self.port.number(), method, path, &text)?;
        if !(200..300).contains(&status) {
            return Err(ServerError::request(
                format!("toxiproxy: {method} {path}"),
                &format!("{status}: {}", answer.trim()),
            ));
        }
        if answer.trim().is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&answer)
            .map_err(|error| ServerError::request(format!("toxiproxy: {method} {path}"), &error))
    }

    /// The last lines of its log.
    #[must_use]
    pub fn logs_tail(&self) -> String {
        self.server.logs_tail()
    }
}
