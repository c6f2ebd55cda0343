//! Where objects go: the store behind a URL, reached as the settings and the environment say. Not what is in them.

use super::assume::{AssumeRoleSettings, AssumedRole, Sts};
use crate::error::NotifyError;
use crate::http::{self, TlsSettings};
use crate::secret::{SecretSource, Secrets};
use crate::sinks::Making;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::local::LocalFileSystem;
use object_store::path::Path as ObjectPath;
use object_store::{Certificate, ClientOptions, ObjectStore, ObjectStoreScheme, RetryConfig};
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use url::Url;

/// Attempts within one delivery beside the first: what goes on for longer is the courier's.
const RETRIES_MAX: usize = 1;

/// What is read of the environment: the names that each cloud's own tools have.
const AWS: &[&str] = &[
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_DEFAULT_REGION",
    "AWS_REGION",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_S3",
    "AWS_ENDPOINT_URL_STS",
    "AWS_ALLOW_HTTP",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_ROLE_ARN",
    "AWS_ROLE_SESSION_NAME",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "AWS_METADATA_ENDPOINT",
];
const GOOGLE: &[&str] = &[
    "GOOGLE_SERVICE_ACCOUNT",
    "GOOGLE_SERVICE_ACCOUNT_PATH",
    "GOOGLE_SERVICE_ACCOUNT_KEY",
    "GOOGLE_APPLICATION_CREDENTIALS",
];
const AZURE: &[&str] = &[
    "AZURE_STORAGE_ACCOUNT_NAME",
    "AZURE_STORAGE_ACCOUNT_KEY",
    "AZURE_STORAGE_SAS_KEY",
    "AZURE_STORAGE_ENDPOINT",
    "AZURE_CLIENT_ID",
    "AZURE_CLIENT_SECRET",
    "AZURE_TENANT_ID",
    "AZURE_AUTHORITY_HOST",
    "AZURE_FEDERATED_TOKEN_FILE",
    "AZURE_MSI_ENDPOINT",
];

/// A setting of a store: as it is, or a secret that is elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum OptionSource {
    /// In the settings.
    Plain(String),
    /// Elsewhere.
    Secret(SecretSource),
}

/// A URL of the settings, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Folder(PathBuf),
    Aws(Url, ObjectPath),
    Google(Url, ObjectPath),
    Azure(Url, ObjectPath),
}

/// An opened place.
#[derive(Clone)]
pub(super) struct Opened {
    pub(super) store: Arc<dyn ObjectStore>,
    /// What all objects are under.
    pub(super) prefix: ObjectPath,
    /// The folder, where it is one of this machine.
    pub(super) folder: Option<PathBuf>,
}

/// Without the store, of which not all keys are hidden by itself.
impl std::fmt::Debug for Opened {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Opened").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

impl Place {
    /// # Errors
    /// What is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let fault = |what: &str| format!("`url` is `{text}`: {what}");
        if text.is_empty() {
            return Err(fault("name a folder or a bucket"));
        }
        if !text.contains("://") {
            return Ok(Self::Folder(PathBuf::from(text)));
        }
        let url = Url::parse(text).map_err(|error| fault(&error.to_string()))?;
        if url.query().is_some() || url.fragment().is_some() || url.password().is_some() {
            return Err(
                "`url` has a query or a password in it: secrets belong into a file or the environment".to_owned()
            );
        }
        if url.scheme() == "file" {
            return url.to_file_path().map(Self::Folder).map_err(|()| fault("it is no absolute path of this machine"));
        }
        let (scheme, path) = ObjectStoreScheme::parse(&url).map_err(|error| fault(&error.to_string()))?;
        if url.host_str().is_none_or(str::is_empty) {
            return Err(fault("it names no bucket"));
        }
        match scheme {
            ObjectStoreScheme::AmazonS3 => Ok(Self::Aws(url, path)),
            ObjectStoreScheme::GoogleCloudStorage => Ok(Self::Google(url, path)),
            ObjectStoreScheme::MicrosoftAzure => Ok(Self::Azure(url, path)),
            _ => Err(fault("use a folder, s3://, gs://, az:// or abfss://")),
        }
    }

    /// What is wrong with the options for it.
    pub(super) fn check(&self, options: &BTreeMap<String, OptionSource>, faults: &mut Vec<String>) {
        for (name, value) in options {
            let is_known = match self {
                Self::Folder(_) => false,
                Self::Aws(..) => name.parse::<AmazonS3ConfigKey>().is_ok(),
                Self::Google(..) => name.parse::<GoogleConfigKey>().is_ok(),
                Self::Azure(..) => name.parse::<AzureConfigKey>().is_ok(),
            };
            if !is_known {
                faults.push(format!("`options`: this store knows no `{name}`"));
            }
            if ["invalid_certificates", "skip_signature"].iter().any(|check| name.ends_with(check)) {
                faults.push(format!("`options`: `{name}` would turn a check off"));
            }
            if is_secret(name) && matches!(value, OptionSource::Plain(_)) {
                faults.push(format!("`options`: `{name}` is a secret, use {{ file = \"…\" }} or {{ env = \"…\" }}"));
            }
        }
    }

    /// Opens it; nothing is asked of the store yet.
    ///
    /// # Errors
    /// Settings that cannot work, secrets that cannot be read.
    pub(super) fn open(
        &self,
        options: &BTreeMap<String, OptionSource>,
        role: Option<&AssumeRoleSettings>,
        tls: &TlsSettings,
        making: &Making<'_>,
    ) -> Result<Opened, NotifyError> {
        let (secrets, timeout) = (making.secrets, making.timeout);
        let fault = |error: object_store::Error| settings(format!("`url`: the store cannot be used: {error}"));
        let client = client(tls.ca_file.as_deref(), secrets, timeout)?;
        let retry = RetryConfig { max_retries: RETRIES_MAX, retry_timeout: timeout, ..RetryConfig::default() };
        let opened =
            |store: Arc<dyn ObjectStore>, prefix: &ObjectPath| Opened { store, prefix: prefix.clone(), folder: None };
        match self {
            Self::Folder(path) => {
                let folder = secrets.path(path);
                let told = |error: String| settings(format!("`url` {}: {error}", folder.display()));
                std::fs::create_dir_all(&folder).map_err(|error| told(error.to_string()))?;
                let store = LocalFileSystem::new_with_prefix(&folder).map_err(|error| told(error.to_string()))?;
                Ok(Opened { store: Arc::new(store), prefix: ObjectPath::default(), folder: Some(folder) })
            }
            Self::Aws(url, prefix) => {
                let mut builder = AmazonS3Builder::new().with_client_options(client).with_retry(retry);
                for (name, value) in values(AWS, options, secrets)? {
                    if let Ok(key) = name.parse() {
                        builder = builder.with_config(key, value);
                    }
                }
                builder = builder.with_url(url.as_str());
                if let Some(role) = role {
                    let value = |key: AmazonS3ConfigKey| builder.get_config_value(&key);
                    let sts = Sts {
                        endpoint: value(AmazonS3ConfigKey::StsEndpoint),
                        region: value(AmazonS3ConfigKey::Region).unwrap_or_else(|| "us-east-1".to_owned()),
                    };
                    let base = Arc::clone(builder.clone().build().map_err(fault)?.credentials());
                    let client = http::client(tls, secrets, timeout)?;
                    let assumed = AssumedRole::new(role, base, sts, client, secrets)?;
                    builder = builder.with_credentials(Arc::new(assumed));
                }
                Ok(opened(Arc::new(builder.build().map_err(fault)?), prefix))
            }
            Self::Google(url, prefix) => {
                let mut builder = GoogleCloudStorageBuilder::new().with_client_options(client).with_retry(retry);
                for (name, value) in values(GOOGLE, options, secrets)? {
                    if let Ok(key) = name.parse() {
                        builder = builder.with_config(key, value);
                    }
                }
                Ok(opened(Arc::new(builder.with_url(url.as_str()).build().map_err(fault)?), prefix))
            }
            Self::Azure(url, prefix) => {
                let mut builder = MicrosoftAzureBuilder::new().with_client_options(client).with_retry(retry);
                for (name, value) in values(AZURE, options, secrets)? {
                    if let Ok(key) = name.parse() {
                        builder = builder.with_config(key, value);
                    }
                }
                Ok(opened(Arc::new(builder.with_url(url.as_str()).build().map_err(fault)?), prefix))
            }
        }
    }
}

fn settings(message: String) -> NotifyError {
    NotifyError::Settings { message }
}

fn is_secret(name: &str) -> bool {
    let words = ["secret", "token", "password", "sas_key", "account_key", "master_key", "customer_key", "bearer"];
    let is_elsewhere = ["_file", "_uri", "_path", "_endpoint"].iter().any(|end| name.ends_with(end));
    !is_elsewhere && (words.iter().any(|word| name.contains(word)) || name.ends_with("access_key"))
}

/// Of the environment first, then of the settings, which come before it.
fn values(
    names: &[&str],
    options: &BTreeMap<String, OptionSource>,
    secrets: &Secrets<'_>,
) -> Result<Vec<(String, String)>, NotifyError> {
    let of_environment = |name: &&str| Some((name.to_ascii_lowercase(), (secrets.environment)(name)?));
    let mut values: Vec<(String, String)> =
        names.iter().filter_map(of_environment).filter(|(_, value)| !value.is_empty()).collect();
    for (name, value) in options {
        let value = match value {
            OptionSource::Plain(text) => text.clone(),
            OptionSource::Secret(source) => {
                secrets.read(&format!("options.{name}"), source)?.expose_secret().to_owned()
            }
        };
        values.push((name.clone(), value));
    }
    Ok(values)
}

fn client(ca_file: Option<&Path>, secrets: &Secrets<'_>, timeout: Duration) -> Result<ClientOptions, NotifyError> {
    let mut client = ClientOptions::new()
        .with_timeout(timeout)
        .with_connect_timeout(timeout.min(Duration::from_secs(10)))
        .with_allow_http(false);
    if let Some(file) = ca_file {
        let path = secrets.path(file);
        let told = |error: String| settings(format!("`ca_file` {}: {error}", path.display()));
        let pem = std::fs::read(&path).map_err(|error| told(error.to_string()))?;
        for certificate in Certificate::from_pem_bundle(&pem).map_err(|error| told(error.to_string()))? {
            client = client.with_root_certificate(certificate);
        }
    }
    Ok(client)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn urls_name_places() {
        let path = |text: &str| match Place::parse(text).unwrap() {
            Place::Folder(path) => path.display().to_string(),
            Place::Aws(_, path) | Place::Google(_, path) | Place::Azure(_, path) => path.to_string(),
        };
        assert_eq!(path("out/lake"), "out/lake");
        assert_eq!(path("file:///data/lake"), "/data/lake");
        assert_eq!(path("s3://aws-security-data-lake-eu-west-1-x/ext/tradewind/1.0/"), "ext/tradewind/1.0");
        assert_eq!(path("gs://bucket/a"), "a");
        assert_eq!(path("abfss://box@name.dfs.core.windows.net/a/b"), "a/b");
        let said = |text: &str| Place::parse(text).unwrap_err();
        assert!(said("").contains("name a folder"));
        assert!(said("s3:///a").contains("bucket") || said("s3:///a").contains("recognise"));
        assert!(said("https://example.com/a").contains("use a folder"));
        assert!(!said("s3://key:hidden@bucket/a").contains("hidden"));
        assert!(!said("az://box/a?sig=hidden").contains("hidden"));
    }

    #[test]
    fn options_are_checked() {
        let check = |name: &str, expected: &str| {
            let mut faults = Vec::new();
            let options = [(name.to_owned(), OptionSource::Plain("x".to_owned()))].into();
            Place::parse("s3://bucket/a").unwrap().check(&options, &mut faults);
            let said = faults.join("; ");
            assert_eq!(said.is_empty(), expected.is_empty(), "{name}: {said}");
            assert!(said.contains(expected), "{name}: {said}");
        };
        check("aws_region", "");
        check("aws_access_key_id", "");
        check("aws_web_identity_token_file", "");
        check("aws_server_side_encryption", "");
        check("aws_secret_access_key", "is a secret");
        check("aws_session_token", "is a secret");
        check("azure_storage_account_key", "knows no");
        check("allow_invalid_certificates", "turn a check off");
        check("aws_skip_signature", "turn a check off");
    }
}
