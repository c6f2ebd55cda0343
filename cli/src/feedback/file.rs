//! The file of suppressions: a TOML list that can be reviewed and kept with other configuration. The one place that reads it.

use super::no_behaviour;
use crate::config::{ConfigError, Fault, Settings};
use crate::failure::usage;
use anyhow::Context as _;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::Path;
use toml::Value;
use toml::de::{DeTable, DeValue};
use tradewind_detect::report::DetectorName;
use tradewind_model::{Scope, time};

/// The largest file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 16 << 20;
/// So many suppressions can hold at once.
const ENTRIES_MAX: usize = 4096;

/// A suppression of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileSuppression {
    pub(crate) name: String,
    pub(crate) scope: Scope,
    /// Event time, microseconds UTC.
    pub(crate) until: i64,
    pub(crate) reason: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    suppression: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    entity: Option<String>,
    destination: Option<String>,
    port: Option<i64>,
    behaviour: Option<String>,
    until: Value,
    reason: Option<String>,
}

/// The suppressions of the file that the settings name; none where they name none.
///
/// # Errors
/// A file that cannot be read; all its faults, each with its line.
pub(crate) fn from_settings(settings: &Settings) -> anyhow::Result<Option<Vec<FileSuppression>>> {
    let Some(path) = settings.feedback.suppressions() else { return Ok(None) };
    let text = text(path)?;
    let suppressions = read(&path.display().to_string(), &text).map_err(ConfigError::Faults)?;
    Ok(Some(suppressions))
}

fn text(path: &Path) -> anyhow::Result<String> {
    let failed = || format!("failed to read the suppressions {}", path.display());
    let metadata = std::fs::metadata(path);
    if metadata.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
        return Err(usage(format!("the file of suppressions {} does not exist", path.display())));
    }
    let bytes = metadata.with_context(failed)?.len();
    if bytes > FILE_BYTES_MAX {
        let path = path.display();
        return Err(usage(format!("the suppressions {path} have {bytes} bytes, more than {FILE_BYTES_MAX}")));
    }
    std::fs::read_to_string(path).with_context(failed)
}

fn read(file: &str, text: &str) -> Result<Vec<FileSuppression>, Vec<Fault>> {
    let line_at = |offset: usize| 1 + text.bytes().take(offset).filter(|&byte| byte == b'\n').count();
    let fault = |line: usize, path: String, message: &str| Fault {
        origin: format!("{file}:{line}"),
        path,
        message: message.trim().to_owned(),
    };
    let of_error = |error: &toml::de::Error, path: String| {
        fault(error.span().map_or(1, |span| line_at(span.start)), path, error.message())
    };
    let document = DeTable::parse(text).map_err(|error| vec![of_error(&error, String::new())])?;
    let deserializer = toml::de::Deserializer::parse(text).map_err(|error| vec![of_error(&error, String::new())])?;
    let entries: Document = serde_path_to_error::deserialize(deserializer).map_err(|error| {
        let path = error.path().to_string();
        vec![of_error(error.inner(), if path == "." { String::new() } else { path })]
    })?;
    let line_of = |place: usize, key: &str| {
        let listed = document.get_ref().get("suppression").and_then(|list| match list.get_ref() {
            DeValue::Array(list) => list.get(place),
            _ => None,
        });
        let of_key = listed.and_then(|entry| match entry.get_ref() {
            DeValue::Table(entry) => entry.iter().find(|(name, _)| name.get_ref().as_ref() == key),
            _ => None,
        });
        let span = of_key.map(|(name, _)| name.span()).or_else(|| listed.map(toml::Spanned::span));
        span.map_or(1, |span| line_at(span.start))
    };
    let mut faults = Vec::new();
    let mut names = BTreeSet::new();
    let mut read = Vec::new();
    for (place, entry) in entries.suppression.into_iter().enumerate() {
        let mut wrong = |key: &str, message: &str| {
            faults.push(fault(line_of(place, key), format!("suppression[{place}].{key}"), message));
        };
        if entry.name.trim().is_empty() {
            wrong("name", "a suppression needs a name");
        }
        if !names.insert(entry.name.clone()) {
            wrong("name", &format!("`{}` is there twice", entry.name));
        }
        if let Some(behaviour) = entry.behaviour.as_deref().filter(|word| DetectorName::from_word(word).is_none()) {
            wrong("behaviour", &no_behaviour(behaviour));
        }
        let until = match &entry.until {
            Value::String(text) => time::parse(text).map_err(|error| error.to_string()),
            Value::Datetime(datetime) => time::parse(&datetime.to_string()).map_err(|error| error.to_string()),
            other => Err(format!("`{other}` is not a time: expected one such as 2026-01-31T08:00:00Z")),
        };
        if let Err(message) = &until {
            wrong("until", message);
        }
        let port = entry.port.map(u16::try_from).transpose();
        if port.is_err() {
            wrong("port", &format!("`{}` is no port: expected 0 to 65535", entry.port.unwrap_or_default()));
        }
        let port = port.unwrap_or_default();
        let Entry { name, entity, destination, behaviour, reason, .. } = entry;
        let scope = Scope { entity, destination, port, behaviour };
        if scope.is_everything() && entry.port.is_none() {
            wrong("name", "it would suppress everything: give at least one of entity, destination, port, behaviour");
        }
        read.push(FileSuppression { name, scope, until: until.unwrap_or_default(), reason });
    }
    if read.len() > ENTRIES_MAX {
        faults.push(fault(1, "suppression".to_owned(), &format!("there are more than {ENTRIES_MAX}")));
    }
    if faults.is_empty() { Ok(read) } else { Err(faults) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is read of a file: its names, or its faults.
    fn check(text: &str, expected: Result<&[&str], &[&str]>) {
        let read = read("s.toml", text);
        let told = match &read {
            Ok(read) => Ok(read.iter().map(|entry| entry.name.clone()).collect::<Vec<_>>()),
            Err(faults) => Err(faults.iter().map(ToString::to_string).collect::<Vec<_>>()),
        };
        let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
        assert_eq!(told, expected.map(owned).map_err(owned), "{text}");
    }

    #[test]
    fn a_list_is_read() {
        check("", Ok(&[]));
        let both = "[[suppression]]\nname = \"a\"\nentity = \"x\"\nuntil = 2027-01-01\n\n[[suppression]]\nname = \"b\"\n\
                    port = 443\nbehaviour = \"scan\"\nuntil = \"2027-01-01T08:00:00Z\"\nreason = \"why\"\n";
        check(both, Ok(&["a", "b"]));
        let until: Vec<i64> = read("", both).unwrap_or_default().iter().map(|entry| entry.until).collect();
        assert_eq!(until, [1_798_761_600_000_000, 1_798_790_400_000_000]);
    }

    #[test]
    fn faults_name_line_and_key() {
        check("[[suppression\n", Err(&["s.toml:1: unclosed array table, expected `]]`"]));
        check(
            "[[suppression]]\nname = \"a\"\nuntil = 2027-01-01\nhost = \"x\"\n",
            Err(&[
                "s.toml:4: suppression[0].host: unknown field `host`, expected one of `name`, `entity`, `destination`, \
                   `port`, `behaviour`, `until`, `reason`",
            ]),
        );
        let behaviour = format!("s.toml:8: suppression[1].behaviour: {}", no_behaviour("skan"));
        check("[[suppression]]\nname = \"a\"\n", Err(&["s.toml:1: suppression[0]: missing field `until`"]));
        check(
            "[[suppression]]\nname = \"a\"\nuntil = 2027-01-01\n\n[[suppression]]\nname = \"a\"\nport = 65536\n\
             behaviour = \"skan\"\nuntil = \"soon\"\n",
            Err(&[
                "s.toml:2: suppression[0].name: it would suppress everything: give at least one of entity, destination, \
                 port, behaviour",
                "s.toml:6: suppression[1].name: `a` is there twice",
                behaviour.as_str(),
                "s.toml:9: suppression[1].until: `soon` is not a time: expected RFC 3339 such as 2026-01-31T08:00:00Z, or \
                 a date such as 2026-01-31",
                "s.toml:7: suppression[1].port: `65536` is no port: expected 0 to 65535",
            ]),
        );
    }
}
