//! Mail by SMTP: a message of plain text and HTML for each alert, those of one incident in one thread.
//!
//! Source: RFC 5321 (SMTP, answers in section 4.2.1), RFC 8314 (ports and TLS), RFC 5322 section 3.6.4 (threads), RFC 3834
//! section 5 (`Auto-Submitted`).

mod letter;

use super::{Abilities, Answer, Making, Sink, SinkConfig};
use crate::alert::Message;
use crate::error::NotifyError;
use crate::http::TlsSettings;
use crate::secret::{SecretSource, Secrets};
use crate::{trouble, words};
use async_trait::async_trait;
use letter::Letter;
use lettre::address::Envelope;
use lettre::message::Mailbox;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tradewind_model::Clock;

/// Recipients at most: more are a mailing list.
const RECIPIENTS_MAX: usize = 50;
/// Characters of an answer that are told.
const SAID_MAX: usize = 500;
/// The server closes the connection, or does not know us (RFC 4954 section 6): not about this mail.
const GENERAL: [u16; 6] = [421, 454, 530, 534, 535, 538];

/// How the way to a mail server is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EmailSecurity {
    /// TLS after the command STARTTLS; without it nothing is sent. Port 587.
    #[default]
    StartTls,
    /// TLS from the beginning. Port 465.
    Tls,
    /// Readable: only to a server on the same machine. Port 25.
    None,
}

/// A sink of `type = "email"`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EmailSettings {
    /// Name of the mail server; its certificate has to be for this name.
    pub server: String,
    /// Its port. Left out: that of `security`.
    #[serde(default)]
    pub port: Option<u16>,
    /// `starttls`, `tls` or `none`. Default: `starttls`.
    #[serde(default)]
    pub security: EmailSecurity,
    /// Who logs in. Left out: nobody does.
    #[serde(default)]
    pub user: Option<String>,
    /// The password of `user`.
    #[serde(default)]
    pub password: Option<SecretSource>,
    /// The name that the server is greeted with. Default: the address 127.0.0.1 as a literal.
    #[serde(default)]
    pub hello: Option<String>,
    /// Sender, such as `Tradewind <tradewind@example.org>`.
    pub from: String,
    /// Recipients.
    pub to: Vec<String>,
    /// How the server's certificate is checked.
    #[serde(default)]
    pub tls: TlsSettings,
}

const ABILITIES: Abilities = Abilities {
    batch_max: 1,
    concurrency: 2,
    can_digest: true,
    can_heartbeat: true,
    carries_all: false,
    is_paging: false,
    repeat: None,
};

impl SinkConfig for EmailSettings {
    fn abilities(&self) -> Abilities {
        ABILITIES
    }

    fn check(&self, faults: &mut Vec<String>) {
        let is_name = |name: &str| {
            !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:_".contains(&byte))
        };
        if !is_name(&self.server) {
            faults.push(format!("`server` is `{}`: use the name of a mail server", self.server));
        }
        if self.hello.as_ref().is_some_and(|hello| !is_name(hello)) {
            faults.push("`hello`: use the name of this machine".to_owned());
        }
        if let Err(error) = self.from.parse::<Mailbox>() {
            faults.push(format!("`from` is `{}`: {error}", self.from));
        }
        for address in &self.to {
            if let Err(error) = address.parse::<Mailbox>() {
                faults.push(format!("`to` has `{address}`: {error}"));
            }
        }
        if self.to.is_empty() || self.to.len() > RECIPIENTS_MAX {
            faults.push(format!("`to` has {} recipients: use 1 to {RECIPIENTS_MAX}", self.to.len()));
        }
        if self.user.is_some() != self.password.is_some() {
            faults.push("`user` and `password` belong together".to_owned());
        }
        if self.security == EmailSecurity::None && !self.is_near() {
            let server = &self.server;
            faults.push(format!("`security` is `none`, and `{server}` is not this machine: use `starttls` or `tls`"));
        }
    }

    fn make(&self, making: &Making<'_>) -> Result<Arc<dyn Sink>, NotifyError> {
        let mailbox = |text: &String| {
            text.parse::<Mailbox>().map_err(|error| NotifyError::Settings { message: format!("`{text}`: {error}") })
        };
        Ok(Arc::new(Email {
            transport: self.transport(making.secrets, making.timeout)?,
            letter: Letter {
                from: mailbox(&self.from)?,
                to: self.to.iter().map(mailbox).collect::<Result<_, _>>()?,
                link: making.link.to_owned(),
            },
            timeout: making.timeout,
            clock: Arc::clone(making.clock),
        }))
    }
}

impl EmailSettings {
    fn is_near(&self) -> bool {
        self.server == "localhost" || self.server.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    fn transport(
        &self,
        secrets: &Secrets<'_>,
        timeout: Duration,
    ) -> Result<AsyncSmtpTransport<Tokio1Executor>, NotifyError> {
        let (tls, port) = match self.security {
            EmailSecurity::StartTls => (Tls::Required(self.tls(secrets)?), 587),
            EmailSecurity::Tls => (Tls::Wrapper(self.tls(secrets)?), 465),
            EmailSecurity::None => (Tls::None, 25),
        };
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(self.server.clone())
            .port(self.port.unwrap_or(port))
            .tls(tls)
            .timeout(Some(timeout));
        if let Some(hello) = &self.hello {
            builder = builder.hello_name(ClientId::Domain(hello.clone()));
        }
        if let (Some(user), Some(password)) = (&self.user, &self.password) {
            let password = secrets.read("password", password)?;
            builder = builder.credentials(Credentials::new(user.clone(), password.expose_secret().to_owned()));
        }
        Ok(builder.build())
    }

    fn tls(&self, secrets: &Secrets<'_>) -> Result<TlsParameters, NotifyError> {
        let mut builder = TlsParameters::builder(self.server.clone());
        if let Some(file) = &self.tls.ca_file {
            let path = secrets.path(file);
            let fault =
                |message: String| NotifyError::Settings { message: format!("`ca_file` {}: {message}", path.display()) };
            let pem = std::fs::read(&path).map_err(|error| fault(error.to_string()))?;
            if !pem.windows(11).any(|part| part == b"CERTIFICATE") {
                return Err(fault("it has no certificate".to_owned()));
            }
            let authorities = Certificate::from_pem(&pem).map_err(|error| fault(error.to_string()))?;
            builder = builder.certificate_store(CertificateStore::None).add_root_certificate(authorities);
        }
        builder.build().map_err(|error| NotifyError::Settings { message: format!("no TLS: {error}") })
    }
}

struct Email {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    letter: Letter,
    timeout: Duration,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Email {
    // The transport holds the password.
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Email").field("letter", &self.letter).finish_non_exhaustive()
    }
}

#[async_trait]
impl Sink for Email {
    fn abilities(&self) -> Abilities {
        ABILITIES
    }

    async fn deliver(&self, messages: &[Message]) -> Vec<Answer> {
        let mut answers = Vec::with_capacity(messages.len());
        for message in messages {
            let sent = tokio::time::timeout(self.timeout, self.post(message));
            answers.push(sent.await.unwrap_or_else(|_| Answer::unreachable("no answer in time")));
        }
        answers
    }
}

impl Email {
    async fn post(&self, message: &Message) -> Answer {
        let written = match self.letter.write(message, self.clock.now()) {
            Ok(written) => written,
            Err(error) => return Answer::Refused(error.to_string()),
        };
        let (envelope, mail) = (written.envelope(), written.formatted());
        match self.transport.send_raw(envelope, &mail).await {
            Ok(said) => Answer::Delivered(told(&said.message().collect::<Vec<_>>().join(" "))),
            Err(error) if error.is_permanent() && !is_general(&error) => {
                // A server that lets us in and then refuses does not want this mail, or one of its recipients. One that does not
                // let us in has to be mended by a person.
                if let Err(error) = self.transport.test_connection().await {
                    return Answer::unreachable(reason(&error));
                }
                if envelope.to().len() > 1 {
                    return self.post_to_each(envelope, &mail).await;
                }
                Answer::Refused(told(&error.to_string()))
            }
            Err(error) => later(&error),
        }
    }

    /// One recipient that is refused must not keep a mail from the others.
    async fn post_to_each(&self, envelope: &Envelope, mail: &[u8]) -> Answer {
        let (mut refused, mut delivered) = (Vec::new(), 0);
        let mut postponed = None;
        for address in envelope.to() {
            let Ok(single) = Envelope::new(envelope.from().cloned(), vec![address.clone()]) else { continue };
            match self.transport.send_raw(&single, mail).await {
                Ok(_) => delivered += 1,
                Err(error) if error.is_permanent() && !is_general(&error) => {
                    refused.push(format!("{address}: {error}"))
                }
                Err(error) => postponed = Some(later(&error)),
            }
        }
        match (postponed, delivered) {
            (Some(later), _) => later,
            (None, 0) => Answer::Refused(told(&refused.join("; "))),
            (None, _) => Answer::Delivered(told(&format!("to {delivered}, but not to {}", refused.join("; ")))),
        }
    }
}

fn later(error: &Error) -> Answer {
    Answer::Later { reason: reason(error), after: None, is_general: is_general(error) }
}

fn reason(error: &Error) -> String {
    told(&trouble::words(error).unwrap_or_else(|| error.to_string()))
}

/// Whether it concerns the server as a whole: whatever is no answer to a command does.
fn is_general(error: &Error) -> bool {
    error.status().is_none_or(|code| GENERAL.contains(&u16::from(code)))
}

fn told(text: &str) -> String {
    words::shortened(&words::plain(text), SAID_MAX)
}
