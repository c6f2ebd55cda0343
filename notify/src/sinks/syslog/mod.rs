//! Syslog, RFC 5424, over UDP, TCP or TLS, with CEF, LEEF or JSON in it. No receiver of syslog answers: delivered means sent.

mod frame;
mod texts;
mod wire;

use super::{Abilities, Answer, Making, Sink, SinkConfig};
use crate::alert::Message;
use crate::error::NotifyError;
use crate::fit::fitting;
use crate::secret::Secrets;
use crate::settings::check_range;
use async_trait::async_trait;
use frame::Header;
use rustls::ClientConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls_platform_verifier::BuilderVerifierExt as _;
use serde::Deserialize;
use serde_json::json;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use wire::Stream;

/// How messages travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SyslogTransport {
    /// RFC 5426: one datagram each, nothing is ever known of it.
    Udp,
    /// RFC 6587 with octet counting, readable on the way.
    Tcp,
    /// RFC 5425.
    Tls,
}

/// What a message says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SyslogFormat {
    /// ArcSight Common Event Format.
    #[default]
    Cef,
    /// IBM Log Event Extended Format 2.0.
    Leef,
    /// The alert as Tradewind writes it.
    Json,
}

/// How TLS is made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SyslogTls {
    /// Certificates of the authorities that the other side's certificate is checked against, PEM. Left out: those of the system.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// Certificate of this client with its chain, PEM.
    #[serde(default)]
    pub certificate_file: Option<PathBuf>,
    /// Private key of this client, PEM.
    #[serde(default)]
    pub key_file: Option<PathBuf>,
}

/// A sink of `type = "syslog"`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SyslogSettings {
    /// `host:port`. Usual ports: 514 for UDP, 601 for TCP, 6514 for TLS.
    pub address: String,
    /// `udp`, `tcp` or `tls`.
    pub transport: SyslogTransport,
    /// `cef`, `leef` or `json`. Default: `cef`.
    #[serde(default)]
    pub format: SyslogFormat,
    /// Code of the facility, 0 to 23. Default: 16, `local0`.
    #[serde(default = "facility")]
    pub facility: u8,
    /// `HOSTNAME` of the header. Default: `-`, none.
    #[serde(default = "hostname")]
    pub hostname: String,
    /// Id of the structured data, `name@number` with the enterprise number of who defines it. Default: `tradewind@32473`, where the
    /// number is the one that RFC 5612 sets aside for examples.
    #[serde(default = "structured_data_id")]
    pub structured_data_id: String,
    /// Bytes of a message at most; what is longer is made shorter. Default: 2,048 over UDP, else 8,192.
    #[serde(default)]
    pub message_bytes_max: Option<usize>,
    /// With `transport = "tls"`.
    #[serde(default)]
    pub tls: SyslogTls,
}

const fn facility() -> u8 {
    16
}

fn hostname() -> String {
    "-".to_owned()
}

fn structured_data_id() -> String {
    "tradewind@32473".to_owned()
}

impl SinkConfig for SyslogSettings {
    fn abilities(&self) -> Abilities {
        Abilities { batch_max: 50, ..Abilities::default() }
    }

    fn check(&self, faults: &mut Vec<String>) {
        let host = self.host();
        if host.is_none() {
            faults.push(format!("`address` is `{}`: give `host:port`", self.address));
        }
        check_range("facility", self.facility, (0, 23), faults);
        let is_printed = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
        if !(1..=255).contains(&self.hostname.len()) || !is_printed(&self.hostname) {
            faults.push("`hostname` has 1 to 255 printable ASCII characters without blanks, or is `-`".to_owned());
        }
        let id = &self.structured_data_id;
        let is_id = id.split_once('@').is_some_and(|(name, number)| {
            !name.is_empty() && !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.')
        });
        if !is_id || id.len() > 32 || !is_printed(id) || id.contains(['=', ']', '"']) {
            faults.push(format!("`structured_data_id` is `{id}`: give `name@number`, 32 characters at most"));
        }
        // The longest datagram of IPv4 has 65,507.
        let most = if self.transport == SyslogTransport::Udp { 65_507 } else { 1 << 20 };
        check_range("message_bytes_max", self.bytes_max(), (480, most), faults);
        if self.transport != SyslogTransport::Tls && self.tls != SyslogTls::default() {
            faults.push("`tls` is for `transport = \"tls\"`".to_owned());
        }
        if self.tls.certificate_file.is_some() != self.tls.key_file.is_some() {
            faults.push("`tls`: give both of `certificate_file` and `key_file`, or neither".to_owned());
        }
    }

    fn make(&self, making: &Making<'_>) -> Result<Arc<dyn Sink>, NotifyError> {
        let tls = match self.transport {
            SyslogTransport::Tls => Some((self.tls.client(making.secrets)?, self.server_name()?)),
            SyslogTransport::Udp | SyslogTransport::Tcp => None,
        };
        Ok(Arc::new(Syslog {
            header: Header {
                facility: self.facility,
                hostname: self.hostname.clone(),
                data_id: self.structured_data_id.clone(),
            },
            connection: Connection { address: self.address.clone(), tls, timeout: making.timeout },
            stream: Mutex::default(),
            settings: self.clone(),
            link: making.link.to_owned(),
        }))
    }
}

impl SyslogSettings {
    fn host(&self) -> Option<&str> {
        let (host, port) = self.address.rsplit_once(':')?;
        let host = host.trim_start_matches('[').trim_end_matches(']');
        (!host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0)).then_some(host)
    }

    fn server_name(&self) -> Result<ServerName<'static>, NotifyError> {
        let fault =
            || NotifyError::Settings { message: format!("`address` is `{}`: no name of a server", self.address) };
        ServerName::try_from(self.host().ok_or_else(fault)?.to_owned()).map_err(|_| fault())
    }

    fn bytes_max(&self) -> usize {
        let usual = if self.transport == SyslogTransport::Udp { 2_048 } else { 8_192 };
        self.message_bytes_max.unwrap_or(usual)
    }
}

impl SyslogTls {
    fn client(&self, secrets: &Secrets<'_>) -> Result<Arc<ClientConfig>, NotifyError> {
        let fault = |what: &str, error: String| NotifyError::Settings { message: format!("`tls.{what}`: {error}") };
        let certificates = |what: &str, file: &PathBuf| -> Result<Vec<CertificateDer<'static>>, NotifyError> {
            let read =
                CertificateDer::pem_file_iter(secrets.path(file)).and_then(Iterator::collect::<Result<Vec<_>, _>>);
            let read = read.map_err(|error| fault(what, format!("{}: {error}", file.display())))?;
            if read.is_empty() {
                return Err(fault(what, format!("{} has no certificate", file.display())));
            }
            Ok(read)
        };
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| fault("ca_file", error.to_string()))?;
        let builder = match &self.ca_file {
            None => builder.with_platform_verifier().map_err(|error| fault("ca_file", error.to_string()))?,
            Some(file) => {
                let mut roots = rustls::RootCertStore::empty();
                for certificate in certificates("ca_file", file)? {
                    roots.add(certificate).map_err(|error| fault("ca_file", error.to_string()))?;
                }
                builder.with_root_certificates(roots)
            }
        };
        let config = match (&self.certificate_file, &self.key_file) {
            (Some(certificate), Some(key)) => {
                let chain = certificates("certificate_file", certificate)?;
                let key = PrivateKeyDer::from_pem_file(secrets.path(key))
                    .map_err(|error| fault("key_file", format!("{}: {error}", key.display())))?;
                builder.with_client_auth_cert(chain, key).map_err(|error| fault("key_file", error.to_string()))?
            }
            _ => builder.with_no_client_auth(),
        };
        Ok(Arc::new(config))
    }
}

/// Where to, and how.
#[derive(Debug)]
struct Connection {
    address: String,
    tls: Option<(Arc<ClientConfig>, ServerName<'static>)>,
    timeout: Duration,
}

#[derive(Debug)]
struct Syslog {
    settings: SyslogSettings,
    header: Header,
    connection: Connection,
    stream: Mutex<Stream>,
    link: String,
}

#[async_trait]
impl Sink for Syslog {
    fn abilities(&self) -> Abilities {
        self.settings.abilities()
    }

    async fn deliver(&self, messages: &[Message]) -> Vec<Answer> {
        let made: Vec<Result<String, String>> = messages.iter().map(|message| self.message(message)).collect();
        let texts: Vec<String> = made.iter().flatten().cloned().collect();
        let sent = tokio::time::timeout(self.connection.timeout, self.send(&texts)).await;
        let sent = sent.unwrap_or_else(|_| Err(Answer::unreachable("not written in time")));
        let answer = match sent {
            Ok(()) => Answer::Delivered("sent; syslog does not answer".to_owned()),
            Err(answer) => answer,
        };
        made.into_iter().map(|made| made.map_or_else(Answer::Refused, |_| answer.clone())).collect()
    }
}

impl Syslog {
    async fn send(&self, texts: &[String]) -> Result<(), Answer> {
        if texts.is_empty() {
            return Ok(());
        }
        if self.settings.transport == SyslogTransport::Udp {
            return wire::datagrams(&self.connection.address, texts).await;
        }
        let frames: String = texts.iter().map(|text| format!("{} {text}", text.len())).collect();
        self.stream.lock().await.write(&self.connection, frames.into_bytes()).await
    }

    /// The whole message.
    fn message(&self, message: &Message) -> Result<String, String> {
        let most = self.settings.bytes_max();
        let made = match message {
            Message::Digest(_) => return Err("syslog has one alert in a message".to_owned()),
            Message::Heartbeat(heartbeat) => {
                let text = match self.settings.format {
                    SyslogFormat::Cef => texts::cef_heartbeat(heartbeat),
                    SyslogFormat::Leef => texts::leef_heartbeat(heartbeat),
                    SyslogFormat::Json => json!({ "heartbeat": heartbeat }).to_string(),
                };
                Some(self.header.message(message, &text)).filter(|text| text.len() <= most)
            }
            Message::Alert(alert) => {
                let make = |alert: &crate::alert::Alert| {
                    let text = match self.settings.format {
                        SyslogFormat::Cef => texts::cef(alert, &self.link),
                        SyslogFormat::Leef => texts::leef(alert, &self.link),
                        SyslogFormat::Json => json!({ "alert": alert }).to_string(),
                    };
                    self.header.message(message, &text)
                };
                fitting(alert, make, |text| text.len() <= most)
            }
        };
        made.ok_or_else(|| format!("it is longer than {most} bytes, however much is left out"))
    }
}
