//! Credentials of an AWS role that is assumed with other credentials, as the provider role of a Security Lake custom source is. Not
//! the finding of those others.
//!
//! Source: <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>.

use super::place::OptionSource;
use crate::error::NotifyError;
use crate::http;
use crate::secret::Secrets;
use crate::sinks::Answer;
use async_trait::async_trait;
use object_store::CredentialProvider;
use object_store::aws::{AwsAuthorizer, AwsCredential, AwsCredentialProvider};
use object_store::client::{HttpRequest, HttpRequestBody};
use reqwest::{Client, Url};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// How long a session lasts: what a role allows unless it is set otherwise.
const SESSION: Duration = Duration::from_secs(3600);
/// A session is got anew so long before it ends.
const EARLY: Duration = Duration::from_secs(300);
/// Names the session in the trail of the account.
const SESSION_NAME: &str = "tradewind";

/// A role to write as.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AssumeRoleSettings {
    /// The role, such as `arn:aws:iam::123456789012:role/AmazonSecurityLake-Provider-tradewind-eu-west-1`.
    pub role_arn: String,
    /// What the role's trust policy asks for. Default: none.
    #[serde(default)]
    pub external_id: Option<OptionSource>,
}

impl AssumeRoleSettings {
    pub(super) fn check(&self, faults: &mut Vec<String>) {
        let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b":/+=,.@_-".contains(&byte);
        if !self.role_arn.starts_with("arn:")
            || !self.role_arn.contains(":role/")
            || !self.role_arn.bytes().all(is_good)
        {
            faults.push(format!("`assume_role.role_arn` is `{}`: use `arn:aws:iam::…:role/…`", self.role_arn));
        }
    }
}

/// Asks for sessions of a role.
pub(super) struct AssumedRole {
    client: Client,
    endpoint: Url,
    region: String,
    role_arn: String,
    external_id: Option<SecretString>,
    base: AwsCredentialProvider,
    session: Mutex<Option<(Instant, Arc<AwsCredential>)>>,
}

impl std::fmt::Debug for AssumedRole {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("AssumedRole").field("role_arn", &self.role_arn).finish_non_exhaustive()
    }
}

/// A service with an address and a region.
#[derive(Clone, Debug)]
pub(super) struct Sts {
    pub(super) endpoint: Option<String>,
    pub(super) region: String,
}

impl AssumedRole {
    /// # Errors
    /// Settings that cannot work, secrets that cannot be read.
    pub(super) fn new(
        settings: &AssumeRoleSettings,
        base: AwsCredentialProvider,
        sts: Sts,
        client: Client,
        secrets: &Secrets<'_>,
    ) -> Result<Self, NotifyError> {
        let fault = |message: String| NotifyError::Settings { message };
        let endpoint = sts.endpoint.unwrap_or_else(|| format!("https://sts.{}.amazonaws.com", sts.region));
        let mut faults = Vec::new();
        http::check_url("aws_endpoint_url_sts", &endpoint, &mut faults);
        if let Some(message) = faults.pop() {
            return Err(fault(message));
        }
        let external_id = match &settings.external_id {
            Some(OptionSource::Plain(text)) => Some(SecretString::from(text.clone())),
            Some(OptionSource::Secret(source)) => Some(secrets.read("assume_role.external_id", source)?),
            None => None,
        };
        Ok(Self {
            client,
            endpoint: Url::parse(&endpoint).map_err(|error| fault(format!("`aws_endpoint_url_sts`: {error}")))?,
            region: sts.region,
            role_arn: settings.role_arn.clone(),
            external_id,
            base,
            session: Mutex::new(None),
        })
    }

    async fn ask(&self) -> Result<AwsCredential, String> {
        let mut url = self.endpoint.clone();
        url.query_pairs_mut()
            .append_pair("Action", "AssumeRole")
            .append_pair("DurationSeconds", &SESSION.as_secs().to_string())
            .append_pair("RoleArn", &self.role_arn)
            .append_pair("RoleSessionName", SESSION_NAME)
            .append_pair("Version", "2011-06-15");
        if let Some(id) = &self.external_id {
            url.query_pairs_mut().append_pair("ExternalId", id.expose_secret());
        }
        let base = self.base.get_credential().await.map_err(|error| error.to_string())?;
        let mut request = HttpRequest::new(HttpRequestBody::empty());
        *request.uri_mut() =
            url.as_str().parse().map_err(|_| "the address of the service cannot be used".to_owned())?;
        AwsAuthorizer::new(&base, "sts", &self.region).authorize(&mut request, None);
        let said = http::send(self.client.get(url).headers(request.headers().clone())).await;
        let said = said.map_err(|answer| match answer {
            Answer::Later { reason, .. } | Answer::Refused(reason) | Answer::Delivered(reason) => reason,
        })?;
        let body = String::from_utf8_lossy(&said.body);
        let part = |name: &str| super::part(&body, name).filter(|_| said.status.is_success());
        match (part("AccessKeyId"), part("SecretAccessKey"), part("SessionToken")) {
            (Some(key_id), Some(secret_key), Some(token)) => {
                Ok(AwsCredential { key_id, secret_key, token: Some(token) })
            }
            // An answer that succeeded may hold a secret in a form that is not known here.
            _ if said.status.is_success() => Err("the answer names no credentials".to_owned()),
            _ => Err(super::in_words(&body).unwrap_or_else(|| said.words())),
        }
    }
}

#[async_trait]
impl CredentialProvider for AssumedRole {
    type Credential = AwsCredential;

    /// Credentials that are good for some time; one request for them at a time.
    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let mut session = self.session.lock().await;
        if let Some((until, credential)) = session.as_ref().filter(|(until, _)| *until > Instant::now()) {
            tracing::trace!(?until, "session of the role goes on");
            return Ok(Arc::clone(credential));
        }
        let until = Instant::now() + SESSION - EARLY;
        let credential = self.ask().await.map_err(|said| object_store::Error::Generic {
            store: "STS",
            source: format!("the role `{}` was not given: {said}", self.role_arn).into(),
        })?;
        let credential = Arc::new(credential);
        *session = Some((until, Arc::clone(&credential)));
        Ok(credential)
    }
}
