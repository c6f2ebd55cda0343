//! Secrets of sinks: where they are written, and what holds them. They never are in arguments, logs or the settings themselves.

use crate::error::NotifyError;
use secrecy::SecretString;
use serde::Deserialize;
use std::fs;
use std::path::{Path, PathBuf};

/// The longest secret, in bytes.
const SECRET_BYTES_MAX: u64 = 64 * 1024;

/// Where a secret is: `{ file = "/run/secrets/pagerduty" }` or `{ env = "PAGERDUTY_KEY" }`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum SecretSource {
    /// A file that holds it and nothing else; white space at its ends does not count.
    File(PathBuf),
    /// A variable of the environment.
    Env(String),
}

/// Finds secrets: the environment is read by whoever makes this.
#[derive(Clone, Copy)]
pub struct Secrets<'a> {
    /// The value of a variable of the environment.
    pub environment: &'a dyn Fn(&str) -> Option<String>,
    /// Folder that paths are relative to.
    pub folder: &'a Path,
}

impl std::fmt::Debug for Secrets<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Secrets").field("folder", &self.folder).finish_non_exhaustive()
    }
}

impl Secrets<'_> {
    /// A path of the settings.
    #[must_use]
    pub fn path(&self, path: &Path) -> PathBuf {
        self.folder.join(path)
    }

    /// Reads a secret.
    ///
    /// # Errors
    /// Says where it was looked for, never what was there.
    pub fn read(&self, what: &str, source: &SecretSource) -> Result<SecretString, NotifyError> {
        let fault = |message: String| NotifyError::Settings { message: format!("`{what}`: {message}") };
        let text = match source {
            SecretSource::File(file) => {
                let path = self.path(file);
                let told = |error: &std::io::Error| fault(format!("failed to read {}: {error}", path.display()));
                let length = fs::metadata(&path).map_err(|error| told(&error))?.len();
                if length > SECRET_BYTES_MAX {
                    return Err(fault(format!("{} is too long for a secret", path.display())));
                }
                fs::read_to_string(&path).map_err(|error| told(&error))?
            }
            SecretSource::Env(name) => (self.environment)(name)
                .ok_or_else(|| fault(format!("the environment has no variable `{name}`, or it is not UTF-8")))?,
        };
        match text.trim() {
            "" => Err(fault("it is empty".to_owned())),
            secret => Ok(SecretString::from(secret.to_owned())),
        }
    }
}
