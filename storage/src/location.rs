//! Where a lake is: a folder of this machine, or a prefix in an object store. Not the opening of it.

use crate::error::LakeError;
use crate::handlers;
use deltalake::logstore::object_store_factories;
use std::collections::BTreeMap;
use std::fmt::{Debug, Display, Formatter};
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use url::Url;

/// The root of a lake, and the settings its store is reached with.
///
/// As text: a path, `file:///path`, `s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix` or
/// `abfss://container@account.dfs.core.windows.net/prefix`. The process must have installed a `rustls` provider of
/// cryptography before it opens a lake that is reached by TLS.
#[derive(Clone, PartialEq, Eq)]
pub struct LakeLocation {
    root: Root,
    options: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Root {
    Local(PathBuf),
    Remote(Url),
}

impl LakeLocation {
    /// Adds settings of the object store, such as `aws_endpoint`, `aws_region`, `aws_access_key_id`,
    /// `aws_secret_access_key`, `aws_allow_http`, `google_service_account`, `azure_storage_account_key`. What is left out is
    /// taken from the environment by the names of each cloud's own tools. Ignored for local folders.
    #[must_use]
    pub fn with_options(mut self, options: impl IntoIterator<Item = (String, String)>) -> Self {
        self.options.extend(options);
        self
    }

    /// The folder, where the lake is one of this machine.
    #[must_use]
    pub fn local(&self) -> Option<&Path> {
        match &self.root {
            Root::Local(path) => Some(path),
            Root::Remote(_) => None,
        }
    }

    pub(crate) fn options(&self) -> &BTreeMap<String, String> {
        &self.options
    }

    /// The same place as an absolute path.
    pub(crate) fn absolute(self) -> Result<Self, LakeError> {
        let root = match self.root {
            Root::Local(path) => Root::Local(
                std::path::absolute(&path)
                    .map_err(|source| LakeError::Folder { root: path.display().to_string(), source })?,
            ),
            remote @ Root::Remote(_) => remote,
        };
        Ok(Self { root, ..self })
    }

    /// The URL of a folder below the root; of the root itself when `name` is empty.
    pub(crate) fn url(&self, name: &str) -> Result<Url, LakeError> {
        match &self.root {
            Root::Local(root) => {
                let path = root.join(name);
                Url::from_directory_path(&path).map_err(|()| LakeError::Folder {
                    root: path.display().to_string(),
                    source: io::Error::new(io::ErrorKind::InvalidInput, "not an absolute path"),
                })
            }
            Root::Remote(root) => {
                let mut url = root.clone();
                let base = root.path().trim_end_matches('/');
                let path = if name.is_empty() { format!("{base}/") } else { format!("{base}/{name}/") };
                url.set_path(&path);
                Ok(url)
            }
        }
    }
}

impl From<&Path> for LakeLocation {
    fn from(path: &Path) -> Self {
        Self { root: Root::Local(path.to_owned()), options: BTreeMap::new() }
    }
}

impl From<&PathBuf> for LakeLocation {
    fn from(path: &PathBuf) -> Self {
        Self::from(path.as_path())
    }
}

impl From<PathBuf> for LakeLocation {
    fn from(path: PathBuf) -> Self {
        Self::from(path.as_path())
    }
}

impl From<&Self> for LakeLocation {
    fn from(location: &Self) -> Self {
        location.clone()
    }
}

/// Why a text names no lake.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` names no lake: {reason}")]
pub struct LocationError {
    text: String,
    reason: String,
}

impl FromStr for LakeLocation {
    type Err = LocationError;

    fn from_str(text: &str) -> Result<Self, LocationError> {
        let refused = |reason: String| LocationError { text: text.to_owned(), reason };
        if text.is_empty() {
            return Err(refused("it is empty".to_owned()));
        }
        if !text.contains("://") {
            return Ok(Self::from(Path::new(text)));
        }
        let url = Url::parse(text).map_err(|error| refused(format!("it is no URL: {error}")))?;
        if url.scheme() == "file" {
            let path = url.to_file_path().map_err(|()| refused("it is no absolute path of this machine".to_owned()))?;
            return Ok(Self::from(path));
        }
        if url.query().is_some() || url.fragment().is_some() || url.password().is_some() {
            return Err(refused("settings and keys do not belong into the URL".to_owned()));
        }
        handlers::register();
        let is_known = object_store_factories().iter().any(|known| known.key().scheme() == url.scheme());
        if !is_known {
            return Err(refused(format!("`{}` is none of file, s3, gs, az, abfss", url.scheme())));
        }
        if url.host_str().is_none_or(str::is_empty) {
            return Err(refused("it names no bucket".to_owned()));
        }
        Ok(Self { root: Root::Remote(url), options: BTreeMap::new() })
    }
}

impl Display for LakeLocation {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        match &self.root {
            Root::Local(path) => Display::fmt(&path.display(), formatter),
            Root::Remote(url) => Display::fmt(url, formatter),
        }
    }
}

/// Names the settings but not their values: some are keys.
impl Debug for LakeLocation {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
        let options: Vec<_> = self.options.keys().collect();
        formatter.debug_struct("LakeLocation").field("root", &self.root).field("options", &options).finish()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn check(text: &str, expected: Result<(&str, &str), &str>) {
        let found = text.parse::<LakeLocation>().map(|location| {
            (location.to_string(), location.url("flows").map(|url| url.to_string()).unwrap_or_default())
        });
        match (found, expected) {
            (Ok((shown, url)), Ok(expected)) => assert_eq!((shown.as_str(), url.as_str()), expected, "{text}"),
            (Err(error), Err(expected)) => assert!(error.to_string().contains(expected), "{text}: {error}"),
            (found, expected) => panic!("{text}: {found:?} is not {expected:?}"),
        }
    }

    #[test]
    fn paths_and_urls_name_lakes() {
        check("/data/lake", Ok(("/data/lake", "file:///data/lake/flows/")));
        check("file:///data/my%20lake", Ok(("/data/my lake", "file:///data/my%20lake/flows/")));
        check("s3://bucket", Ok(("s3://bucket", "s3://bucket/flows/")));
        check("s3://bucket/a/b/", Ok(("s3://bucket/a/b/", "s3://bucket/a/b/flows/")));
        check("gs://bucket/a", Ok(("gs://bucket/a", "gs://bucket/a/flows/")));
        check("az://box/a", Ok(("az://box/a", "az://box/a/flows/")));
        check(
            "abfss://box@name.dfs.core.windows.net/a",
            Ok(("abfss://box@name.dfs.core.windows.net/a", "abfss://box@name.dfs.core.windows.net/a/flows/")),
        );
    }

    #[test]
    fn what_names_no_lake_is_refused() {
        check("", Err("empty"));
        check("ftp://host/a", Err("`ftp` is none of"));
        check("s3:///a", Err("names no bucket"));
        check("s3://bucket/a?region=x", Err("do not belong"));
        check("s3://key:secret@bucket/a", Err("do not belong"));
    }

    #[test]
    fn keys_are_not_shown() {
        let location = "s3://bucket".parse::<LakeLocation>().unwrap();
        let location = location.with_options([("aws_secret_access_key".to_owned(), "hidden".to_owned())]);
        let shown = format!("{location:?} {location}");
        assert!(shown.contains("aws_secret_access_key") && !shown.contains("hidden"), "{shown}");
    }
}
