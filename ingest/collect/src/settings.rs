//! The sections `[[source]]` of the settings, and what is checked of them before anything is opened.

use crate::files::FileSettings;
use crate::http::HttpSettings;
use crate::stdin::StdinSettings;
use serde::Deserialize;
use std::collections::BTreeSet;

/// One `[[source]]`, by its `type`.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum SourceSettings {
    /// Files that grow, are rotated, are packed.
    File(FileSettings),
    /// Standard input of the process.
    Stdin(StdinSettings),
    /// Requests that bring data.
    Http(HttpSettings),
}

impl SourceSettings {
    /// Name of the source: its checkpoints are kept under it.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::File(settings) => &settings.name,
            Self::Stdin(settings) => &settings.name,
            Self::Http(settings) => &settings.name,
        }
    }

    /// The topic that it names, if it names one.
    #[must_use]
    pub fn topic(&self) -> Option<&str> {
        match self {
            Self::File(settings) => settings.topic.as_deref(),
            Self::Stdin(settings) => settings.topic.as_deref(),
            Self::Http(settings) => settings.topic.as_deref(),
        }
    }

    /// What cannot work, each with what to do. Empty: nothing.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        check_name("name", self.name(), &mut faults);
        match self {
            Self::File(settings) => settings.check(&mut faults),
            Self::Stdin(settings) => settings.check(&mut faults),
            Self::Http(settings) => settings.check(&mut faults),
        }
        faults
    }
}

/// Faults of all sources together: those of each, and those that only show beside one another.
#[must_use]
pub fn check_sources(sources: &[SourceSettings]) -> Vec<String> {
    let mut faults = Vec::new();
    let mut names = BTreeSet::new();
    let mut addresses = BTreeSet::new();
    let mut stdins = 0;
    for source in sources {
        let name = source.name();
        faults.extend(source.faults().into_iter().map(|fault| format!("source `{name}`: {fault}")));
        if !names.insert(name) {
            faults.push(format!("two sources are called `{name}`: checkpoints are kept by name, give each its own"));
        }
        match source {
            SourceSettings::Http(http) if http.listen.port() != 0 && !addresses.insert(http.listen) => {
                faults.push(format!("source `{name}`: another source listens at {} already", http.listen));
            }
            SourceSettings::Stdin(_) => stdins += 1,
            SourceSettings::File(_) | SourceSettings::Http(_) => {}
        }
    }
    if stdins > 1 {
        faults.push("more than one source reads standard input: leave one".to_owned());
    }
    faults
}

/// Names go into keys of checkpoints, names of producers and metrics.
pub(crate) fn check_name(what: &str, name: &str, faults: &mut Vec<String>) {
    const LENGTH_MAX: usize = 64;
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if name.is_empty() || name.len() > LENGTH_MAX || !name.bytes().all(is_good) {
        faults.push(format!("`{what}` is `{name}`: use 1 to {LENGTH_MAX} letters, digits, `-`, `_` or `.`"));
    }
}

/// A number that must lie in a range.
pub(crate) fn check_range<T: PartialOrd + std::fmt::Display>(
    what: &str,
    value: T,
    (min, max): (T, T),
    faults: &mut Vec<String>,
) {
    if value < min || value > max {
        faults.push(format!("`{what}` is {value}: use {min} to {max}"));
    }
}
