//! JSON by HTTP to whatever takes it, signed as Standard Webhooks has it, in a form that a template may change.
//!
//! Source: <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>.

mod body;
mod template;

use super::{Abilities, Answer, Making, Sink, SinkConfig};
use crate::alert::Message;
use crate::error::NotifyError;
use crate::http::{self, TlsSettings, UrlSource};
use crate::secret::SecretSource;
use crate::settings::check_range;
use crate::words;
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use reqwest::Client;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName};
use secrecy::{ExposeSecret as _, SecretSlice, SecretString};
use serde::Deserialize;
use sha2::Sha256;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use template::Template;
use tradewind_model::Clock;
use tradewind_model::time::SECOND;

/// What a serialised signing secret begins with.
const SECRET_PREFIX: &str = "whsec_";
/// Bytes of a signing secret.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=512;
/// Characters of a `webhook-id`.
const ID_MAX: usize = 200;

/// A sink of `type = "webhook"`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookSettings {
    /// Where it is sent by POST: an address, or where one is that is a secret itself.
    pub url: UrlSource,
    /// Key of the signature in the header `webhook-signature`: `whsec_` and 24 to 512 bytes in base 64. Left out: not signed.
    #[serde(default)]
    pub signing_secret: Option<SecretSource>,
    /// Sent as `Authorization: Bearer …`.
    #[serde(default)]
    pub bearer_token: Option<SecretSource>,
    /// Further headers, each with where its value is.
    #[serde(default)]
    pub headers: BTreeMap<String, SecretSource>,
    /// A file with a template of the body. Left out: the body as it is documented.
    #[serde(default)]
    pub template: Option<PathBuf>,
    /// Bytes of a body at most: findings are left out until it fits. Default: 262144.
    #[serde(default = "body_bytes_max")]
    pub body_bytes_max: usize,
    /// How its certificate is checked.
    #[serde(default)]
    pub tls: TlsSettings,
}

const fn body_bytes_max() -> usize {
    256 * 1024
}

const ABILITIES: Abilities = Abilities {
    batch_max: 1,
    concurrency: 4,
    can_digest: true,
    can_heartbeat: true,
    carries_all: true,
    is_paging: false,
    repeat: None,
};

impl SinkConfig for WebhookSettings {
    fn abilities(&self) -> Abilities {
        ABILITIES
    }

    fn check(&self, faults: &mut Vec<String>) {
        self.url.check("url", faults);
        check_range("body_bytes_max", self.body_bytes_max, (1024, 16 << 20), faults);
        for name in self.headers.keys() {
            if HeaderName::from_bytes(name.as_bytes()).is_err() {
                faults.push(format!("`headers`: `{name}` is no name of a header"));
            } else if is_own(name) || (self.bearer_token.is_some() && name.eq_ignore_ascii_case("authorization")) {
                faults.push(format!("`headers`: `{name}` is set already"));
            }
        }
    }

    fn make(&self, making: &Making<'_>) -> Result<Arc<dyn Sink>, NotifyError> {
        let secrets = making.secrets;
        let mut headers = HeaderMap::new();
        for (name, source) in &self.headers {
            let value = secrets.read(name, source)?;
            let name = HeaderName::from_bytes(name.as_bytes())
                .map_err(|error| NotifyError::Settings { message: format!("`headers`: {error}") })?;
            headers.insert(name.clone(), http::secret_header(name.as_str(), "", &value)?);
        }
        if let Some(source) = &self.bearer_token {
            let token = secrets.read("bearer_token", source)?;
            let value = http::secret_header("bearer_token", "Bearer ", &token)?;
            headers.insert(AUTHORIZATION, value);
        }
        let key = match &self.signing_secret {
            Some(source) => Some(key(&secrets.read("signing_secret", source)?)?),
            None => None,
        };
        let template = match &self.template {
            Some(file) => Some(Template::read(&secrets.path(file), making.link, self.body_bytes_max)?),
            None => None,
        };
        Ok(Arc::new(Webhook {
            client: http::client(&self.tls, secrets, making.timeout)?,
            url: self.url.read("url", secrets)?,
            headers,
            key,
            template,
            body_bytes_max: self.body_bytes_max,
            link: making.link.to_owned(),
            clock: Arc::clone(making.clock),
        }))
    }
}

/// Whether a header is one that this sink or HTTP itself sets.
fn is_own(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let own = ["content-type", "content-length", "host", "connection", "transfer-encoding", "idempotency-key"];
    name.starts_with("webhook-") || own.contains(&name.as_str())
}

/// The bytes of a signing secret.
fn key(secret: &SecretString) -> Result<SecretSlice<u8>, NotifyError> {
    let fault = |message: String| NotifyError::Settings { message: format!("`signing_secret`: {message}") };
    let text = secret.expose_secret().strip_prefix(SECRET_PREFIX);
    let text = text.ok_or_else(|| fault(format!("it does not begin with `{SECRET_PREFIX}`")))?;
    let key = STANDARD.decode(text).map_err(|_| fault(format!("what follows `{SECRET_PREFIX}` is not base 64")))?;
    if SECRET_BYTES.contains(&key.len()) {
        return Ok(SecretSlice::from(key));
    }
    Err(fault(format!("it has {} bytes: use {} to {}", key.len(), SECRET_BYTES.start(), SECRET_BYTES.end())))
}

#[derive(Debug)]
struct Webhook {
    client: Client,
    url: SecretString,
    headers: HeaderMap,
    key: Option<SecretSlice<u8>>,
    template: Option<Template>,
    body_bytes_max: usize,
    link: String,
    clock: Arc<dyn Clock>,
}

#[async_trait]
impl Sink for Webhook {
    fn abilities(&self) -> Abilities {
        ABILITIES
    }

    async fn deliver(&self, messages: &[Message]) -> Vec<Answer> {
        let mut answers = Vec::with_capacity(messages.len());
        for message in messages {
            answers.push(match self.body(message) {
                Ok(body) => self.post(message, body).await,
                Err(reason) => Answer::Refused(reason),
            });
        }
        answers
    }
}

impl Webhook {
    fn body(&self, message: &Message) -> Result<String, String> {
        body::fitting(message, &self.link, self.body_bytes_max, |body| match &self.template {
            Some(template) => template.render(body),
            None => serde_json::to_string(body).map_err(|error| error.to_string()),
        })
    }

    async fn post(&self, message: &Message, body: String) -> Answer {
        let id = id(message);
        let time = self.clock.now().div_euclid(SECOND);
        let mut request = self
            .client
            .post(self.url.expose_secret())
            .headers(self.headers.clone())
            .header(CONTENT_TYPE, "application/json")
            .header("webhook-id", &id)
            .header("idempotency-key", &id)
            .header("webhook-timestamp", time);
        if let Some(key) = &self.key {
            match signature(key.expose_secret(), &id, time, &body) {
                Some(signature) => request = request.header("webhook-signature", signature),
                None => return Answer::Refused("it could not be signed".to_owned()),
            }
        }
        match http::send(request.body(body)).await {
            Ok(said) => said.hide_path(&self.url).answer(),
            Err(answer) => answer,
        }
    }
}

/// The same when the message is sent again. It has no full stop, which the signed text is joined with, and fits into a header.
fn id(message: &Message) -> String {
    words::token(&message.event_key(), ID_MAX)
}

/// `v1,` and the HMAC-SHA256 of id, time and body.
fn signature(key: &[u8], id: &str, time: i64, body: &str) -> Option<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(format!("{id}.{time}.{body}").as_bytes());
    Some(format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes())))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::testing::alert;

    /// The test of the reference libraries: `libraries/javascript/src/index.test.ts` of standard-webhooks/standard-webhooks.
    #[test]
    fn the_signature_is_that_of_the_reference() {
        let key = key(&SecretString::from("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")).unwrap();
        let said =
            signature(key.expose_secret(), "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, "{\"test\": 2432232314}");
        assert_eq!(said.unwrap(), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_secret_that_is_none_is_told_without_it() {
        for text in ["MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_short", "whsec_c2hvcnQ=", "whsec_ü"] {
            let error = key(&SecretString::from(text)).unwrap_err().to_string();
            assert!(error.contains("signing_secret") && !error.contains("short") && !error.contains("MfKQ"), "{error}");
        }
    }

    #[test]
    fn an_id_has_nothing_that_the_signed_text_is_joined_with() {
        assert_eq!(id(&Message::Alert(Box::new(alert("one")))), format!("one-{}-open", crate::testing::NOON));
        let odd = id(&Message::Alert(Box::new(alert("a.b\r\nc: d"))));
        assert!(odd.starts_with("x-") && !odd.contains(['.', '\r', ' ']), "{odd}");
    }
}
