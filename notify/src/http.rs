//! HTTP as sinks use it: one client each, with its certificates and limits, and what an answer means.

use crate::error::NotifyError;
use crate::secret::{SecretSource, Secrets};
use crate::sinks::Answer;
use crate::trouble;
use reqwest::header::{DATE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Certificate, Client, RequestBuilder, Response, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use std::error::Error as _;
use std::path::PathBuf;
use std::time::Duration;

/// Bytes of an answer that are read: more says nothing.
const ANSWER_BYTES_MAX: usize = 1 << 20;
/// Bytes of a secret at least: what is shorter is in many words.
const SECRET_LENGTH_MIN: usize = 6;
/// Characters of an answer that are told.
const SAID_MAX: usize = 500;

/// What all sinks over HTTP have in common: `tls = { ca_file = "private-ca.pem" }`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsSettings {
    /// Certificates of the authorities that the other side's certificate is checked against, PEM. Left out: those of the system.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
}

/// A client of one sink. Proxies of the environment (`HTTPS_PROXY`, `NO_PROXY`) are honoured, redirects are not followed: they
/// would take secrets elsewhere.
pub(crate) fn client(tls: &TlsSettings, secrets: &Secrets<'_>, timeout: Duration) -> Result<Client, NotifyError> {
    let mut builder = Client::builder()
        .user_agent(concat!("tradewind/", env!("CARGO_PKG_VERSION")))
        .redirect(reqwest::redirect::Policy::none())
        // Shorter than the whole, so that one that cannot be reached is known as such.
        .connect_timeout((timeout / 2).min(Duration::from_secs(10)))
        .timeout(timeout);
    if let Some(file) = &tls.ca_file {
        let path = secrets.path(file);
        let fault =
            |message: String| NotifyError::Settings { message: format!("`ca_file` {}: {message}", path.display()) };
        let pem = std::fs::read(&path).map_err(|error| fault(error.to_string()))?;
        let authorities = Certificate::from_pem_bundle(&pem).map_err(|error| fault(chain(&error)))?;
        if authorities.is_empty() {
            return Err(fault("it has no certificate".to_owned()));
        }
        builder = builder.tls_certs_only(authorities);
    }
    builder.build().map_err(|error| NotifyError::Settings { message: format!("no HTTP client: {}", chain(&error)) })
}

/// A checked address of the settings.
pub(crate) fn check_url(what: &str, text: &str, faults: &mut Vec<String>) {
    match Url::parse(text) {
        Ok(url) if !["http", "https"].contains(&url.scheme()) => {
            faults.push(format!("`{what}` is `{text}`: use http or https"));
        }
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            faults
                .push(format!("`{what}` has a user or password in it: secrets belong into a file or the environment"));
        }
        Ok(url) if url.scheme() == "http" && !is_loopback(&url) => {
            faults.push(format!("`{what}` is `{text}`: secrets and findings would travel readable, use https"));
        }
        Ok(_) => {}
        Err(error) => faults.push(format!("`{what}` is `{text}`: {error}")),
    }
}

/// An address that is a secret itself, as those of chat services are. What is wrong with it is told without it.
///
/// # Errors
/// It cannot be read, or cannot work.
pub(crate) fn secret_url(
    what: &str,
    source: &SecretSource,
    secrets: &Secrets<'_>,
) -> Result<SecretString, NotifyError> {
    let secret = secrets.read(what, source)?;
    let fault = |message: &str| NotifyError::Settings { message: format!("`{what}`: {message}") };
    let url = Url::parse(secret.expose_secret()).map_err(|error| fault(&format!("it is no address: {error}")))?;
    match url.scheme() {
        "https" => Ok(secret),
        "http" if is_loopback(&url) => Ok(secret),
        _ => Err(fault("it does not begin with https")),
    }
}

/// An address, written in the settings or kept as a secret.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum UrlSource {
    /// In the settings.
    Plain(String),
    /// Elsewhere, because who knows it may send there.
    Secret(SecretSource),
}

impl UrlSource {
    pub(crate) fn check(&self, what: &str, faults: &mut Vec<String>) {
        if let Self::Plain(text) = self {
            check_url(what, text, faults);
        }
    }

    /// The address.
    ///
    /// # Errors
    /// It cannot be read, or cannot work.
    pub(crate) fn read(&self, what: &str, secrets: &Secrets<'_>) -> Result<SecretString, NotifyError> {
        match self {
            Self::Plain(text) => Ok(SecretString::from(text.clone())),
            Self::Secret(source) => secret_url(what, source, secrets),
        }
    }
}

fn is_loopback(url: &Url) -> bool {
    url.host().is_some_and(|host| match host {
        url::Host::Domain(name) => name == "localhost",
        url::Host::Ipv4(address) => address.is_loopback(),
        url::Host::Ipv6(address) => address.is_loopback(),
    })
}

/// The value of a header that holds a secret: it is not shown by `Debug`.
///
/// # Errors
/// What cannot be in a header, without saying what is there.
pub(crate) fn secret_header(what: &str, prefix: &str, secret: &SecretString) -> Result<HeaderValue, NotifyError> {
    let mut value = HeaderValue::from_str(&format!("{prefix}{}", secret.expose_secret())).map_err(|_| {
        NotifyError::Settings { message: format!("`{what}` has characters that cannot be sent: use one line of ASCII") }
    })?;
    value.set_sensitive(true);
    Ok(value)
}

/// What the other side said.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) status: StatusCode,
    pub(crate) body: Vec<u8>,
    after: Option<Duration>,
    /// Secrets of the request: some other sides repeat what they were sent.
    hidden: Vec<SecretString>,
}

impl Said {
    /// This was sent, and is not to be told.
    pub(crate) fn hide(mut self, secret: &SecretString) -> Self {
        self.hidden.push(secret.clone());
        self
    }

    /// The path of this address is not to be told.
    pub(crate) fn hide_path(mut self, url: &SecretString) -> Self {
        if let Ok(url) = Url::parse(url.expose_secret()) {
            self.hidden.push(SecretString::from(url.path().to_owned()));
            self.hidden.extend(url.query().map(|query| SecretString::from(query.to_owned())));
        }
        self
    }

    /// For people: the status and the beginning of the body, on one line, without secrets.
    pub(crate) fn words(&self) -> String {
        let mut body = String::from_utf8_lossy(&self.body).into_owned();
        let secrets = self.hidden.iter().map(ExposeSecret::expose_secret);
        for secret in secrets.filter(|secret| secret.len() >= SECRET_LENGTH_MIN) {
            body = body.replace(secret, "(hidden)");
        }
        let body: String = body.chars().map(|char| if char.is_control() { ' ' } else { char }).take(SAID_MAX).collect();
        let said = match body.trim() {
            _ if self.status.is_redirection() => {
                "it points elsewhere, which is not followed since secrets would go there: use the address where it is now"
            }
            "" => self.status.canonical_reason().unwrap_or("without a word"),
            body => body,
        };
        format!("{} {said}", self.status.as_u16())
    }

    /// The body as JSON, where it is.
    pub(crate) fn json(&self) -> Option<serde_json::Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// The other side may take it later.
    pub(crate) fn later(&self, is_general: bool) -> Answer {
        Answer::Later { reason: self.words(), after: self.after, is_general }
    }

    /// What a status means where nothing else is agreed: what succeeds is delivered, what asks for patience or may pass comes later,
    /// what is refused for who we are comes later too (a person has to mend the key), and everything else is refused for good.
    pub(crate) fn answer(&self) -> Answer {
        let status = self.status;
        if status.is_success() {
            return Answer::Delivered(self.words());
        }
        let later = |is_general| self.later(is_general);
        match status {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => later(true),
            StatusCode::UNAUTHORIZED
            | StatusCode::FORBIDDEN
            | StatusCode::NOT_FOUND
            | StatusCode::GONE
            | StatusCode::PROXY_AUTHENTICATION_REQUIRED => later(true),
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY => later(false),
            _ if status.is_server_error() => later(false),
            _ if status.is_redirection() || status.is_informational() => later(true),
            _ => Answer::Refused(self.words()),
        }
    }
}

/// Sends a request and reads what comes back.
///
/// # Errors
/// The answer to give where nothing came back.
pub(crate) async fn send(request: RequestBuilder) -> Result<Said, Answer> {
    let (client, request) = request.build_split();
    let request = request.map_err(|error| failed(&error))?;
    // `Bearer x` may be repeated as `x`.
    let secret = |value: &HeaderValue| {
        let text = value.to_str().unwrap_or_default();
        SecretString::from(text.split_once(' ').map_or(text, |(_, secret)| secret).to_owned())
    };
    let hidden = request.headers().values().filter(|value| value.is_sensitive()).map(secret).collect();
    let response = client.execute(request).await.map_err(|error| failed(&error))?;
    let (status, after) = (response.status(), retry_after(response.headers()));
    let body = body(response).await?;
    Ok(Said { status, body, after, hidden })
}

async fn body(mut response: Response) -> Result<Vec<u8>, Answer> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| failed(&error))? {
        body.extend_from_slice(&chunk[..chunk.len().min(ANSWER_BYTES_MAX - body.len())]);
        if body.len() >= ANSWER_BYTES_MAX {
            break;
        }
    }
    Ok(body)
}

/// What a request that had no answer means. Where it cannot even be made, no later attempt can.
fn failed(error: &reqwest::Error) -> Answer {
    if error.is_builder() {
        return Answer::Refused(chain(error));
    }
    // The address may hold a secret (as those of chat services do).
    let is_general = error.is_connect();
    Answer::Later { reason: chain(error), after: None, is_general }
}

/// What went wrong, without its address.
fn chain(error: &reqwest::Error) -> String {
    let kind = match (error.is_timeout(), error.is_connect()) {
        (true, true) => return "failed to connect in time".to_owned(),
        (true, false) => return "no answer in time".to_owned(),
        (false, true) => "failed to connect",
        (false, false) => "the exchange failed",
    };
    // The address is in the error itself, not in what caused it.
    error.source().map_or_else(|| kind.to_owned(), |cause| format!("{kind}: {}", trouble::told(cause)))
}

/// `Retry-After` (RFC 9110 section 10.2.3): seconds, or a date, which counts from the date of the answer (section 6.6.1): the
/// clocks of the two sides need not agree. A date without that one is left to the usual waits.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: HeaderName| headers.get(name)?.to_str().ok().map(str::trim);
    let after = text(RETRY_AFTER)?;
    if let Ok(seconds) = after.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let moment = |text: &str| jiff::fmt::rfc2822::parse(text).ok().map(|zoned| zoned.timestamp().as_second());
    let seconds = moment(after)?.saturating_sub(moment(text(DATE)?)?);
    Some(Duration::from_secs(seconds.max(0).unsigned_abs()))
}
