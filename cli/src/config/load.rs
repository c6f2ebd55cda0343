//! Merging of the layers: defaults, file, environment, flags. Reads one file and otherwise only what it is given.

use crate::args::GlobalArgs;
use crate::config::{ConfigError, DEFAULTS, FILE_NAME, Fault, Settings};
use serde_path_to_error::{Path as KeyPath, Segment};
use std::ffi::OsString;
use std::fmt::Debug;
use std::path::{Path, PathBuf};
use toml::de::{DeTable, DeValue};
use toml::{Spanned, Table, Value};

/// More faults than this are not told at once.
const FAULTS_MAX: usize = 50;
/// Settings that name a file or folder. In a file they are relative to that file.
const PATHS: &[&str] = &[
    "lake.path",
    "inventory.file",
    "policy.path",
    "feedback.suppressions",
    "transport.path",
    "notify.outbox",
    "transport.kafka.ca_file",
    "transport.kafka.certificate_file",
    "transport.kafka.key_file",
    "transport.kafka.sasl.password_file",
];

/// Where settings come from.
pub(crate) struct Sources<'a> {
    /// The command line.
    pub(crate) flags: &'a GlobalArgs,
    /// The environment.
    pub(crate) environment: &'a dyn Fn(&str) -> Option<OsString>,
    /// Where `tradewind.toml` is looked for.
    pub(crate) working_folder: PathBuf,
}

impl Debug for Sources<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Sources").field("flags", self.flags).finish_non_exhaustive()
    }
}

impl<'a> Sources<'a> {
    /// Those of this process.
    pub(crate) fn of_process(flags: &'a GlobalArgs) -> Self {
        Self { flags, environment: &|name| std::env::var_os(name), working_folder: PathBuf::new() }
    }

    fn file(&self) -> Option<PathBuf> {
        if let Some(path) = &self.flags.config {
            return Some(path.clone());
        }
        if let Some(path) = (self.environment)("TRADEWIND_CONFIG") {
            return Some(path.into());
        }
        Some(self.working_folder.join(FILE_NAME)).filter(|path| path.exists())
    }

    /// Single values that override the file: the setting, its value and where it came from; later ones win.
    fn overrides(&self) -> Vec<(&'static str, String, String)> {
        let text = |value: OsString| value.to_string_lossy().into_owned();
        let variable = |key, name: &str| {
            (self.environment)(name).map(|value| (key, text(value), format!("environment variable {name}")))
        };
        let flag = |key, name: &str, value: Option<String>| value.map(|value| (key, value, format!("flag {name}")));
        let flags = self.flags;
        [
            variable("lake.path", "TRADEWIND_LAKE"),
            variable("run.instance", "TRADEWIND_INSTANCE"),
            variable("log.format", "TRADEWIND_LOG_FORMAT"),
            variable("log.level", "TRADEWIND_LOG_LEVEL"),
            flag("lake.path", "--lake", flags.lake.clone().map(|path| text(path.into()))),
            flag("log.format", "--log-format", flags.log_format.clone()),
            flag("log.level", "--log-level", flags.log_level.clone()),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// Settings and what they were made of.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// All settings, checked.
    pub(crate) settings: Settings,
    /// The same as a TOML table.
    pub(crate) effective: Table,
    /// The file that was read.
    pub(crate) file: Option<PathBuf>,
}

/// Merges all layers and checks the result.
///
/// # Errors
/// All that is wrong, each with where it came from.
pub(crate) fn load(sources: &Sources<'_>) -> Result<Loaded, ConfigError> {
    let file = sources.file();
    let text = match &file {
        Some(path) => {
            std::fs::read_to_string(path).map_err(|source| ConfigError::Read { path: path.clone(), source })?
        }
        None => String::new(),
    };
    let origin = file.as_deref().map_or_else(String::new, |path| path.display().to_string());
    let (document, syntax) = DeTable::parse_recoverable(&text);
    if !syntax.is_empty() {
        return Err(ConfigError::Faults(syntax.iter().map(|error| syntax_fault(&origin, &text, error)).collect()));
    }
    let defaults: Table = DEFAULTS.parse().expect("the embedded defaults are TOML: a test reads them");
    let mut layer: Table =
        text.parse().map_err(|error| ConfigError::Faults(vec![syntax_fault(&origin, &text, &error)]))?;
    anchor(&mut layer, file.as_deref().and_then(Path::parent));
    let mut effective = merge(defaults.clone(), layer);
    let overrides = sources.overrides();
    for (key, value, _) in &overrides {
        set(&mut effective, key, value);
    }
    let origin_of = |keys: &[String]| {
        let key = keys.join(".");
        let overriding = overrides.iter().rev().find(|(name, ..)| *name == key).map(|(.., origin)| origin.clone());
        overriding.unwrap_or_else(|| match line_of(document.get_ref(), keys, &text) {
            Some(line) => format!("{origin}:{line}"),
            None => origin.clone(),
        })
    };
    let mut settings = check(&effective, &defaults, origin_of)?;
    settings.folder = file.as_deref().and_then(Path::parent).map(Path::to_path_buf).unwrap_or_default();
    Ok(Loaded { settings, effective, file })
}

/// Reads the settings; a fault is noted, put right from the defaults, and the rest is read on.
fn check(
    effective: &Table,
    defaults: &Table,
    origin_of: impl Fn(&[String]) -> String,
) -> Result<Settings, ConfigError> {
    let mut table = effective.clone();
    let mut faults: Vec<Fault> = Vec::new();
    loop {
        let error = match serde_path_to_error::deserialize::<_, Settings>(Value::Table(table.clone())) {
            Ok(settings) => {
                faults.extend(out_of_range(&settings, &origin_of));
                return if faults.is_empty() { Ok(settings) } else { Err(ConfigError::Faults(faults)) };
            }
            Err(error) => error,
        };
        let path = error.path();
        let keys = keys_of(path);
        faults.push(Fault {
            origin: origin_of(&keys),
            path: path.to_string(),
            message: error.inner().message().trim().to_owned(),
        });
        if faults.len() >= FAULTS_MAX || !restore(&mut table, defaults, &keys) {
            return Err(ConfigError::Faults(faults));
        }
    }
}

/// What has the right type but a value that cannot be.
fn out_of_range(settings: &Settings, origin_of: impl Fn(&[String]) -> String) -> Vec<Fault> {
    let fault = |path: String, message: String| {
        let keys: Vec<String> = path.split('.').map(str::to_owned).collect();
        Fault { origin: origin_of(&keys), path, message }
    };
    let mut faults = Vec::new();
    if let Err(error) = settings.detect.check() {
        let message = format!("{} is out of range: must be {}", error.value, error.expected);
        faults.push(fault(format!("detect.{}", error.key), message));
    }
    let sources = tradewind_collect::check_sources(&settings.sources);
    faults.extend(sources.into_iter().map(|message| fault("source".to_owned(), message)));
    faults.extend(settings.notify.faults().into_iter().map(|message| fault("notify".to_owned(), message)));
    faults.extend(settings.faults().into_iter().map(|(path, message)| fault(path, message)));
    faults
}

fn keys_of(path: &KeyPath) -> Vec<String> {
    path.iter()
        .map_while(|segment| match segment {
            Segment::Map { key } => Some(key.clone()),
            Segment::Seq { .. } | Segment::Enum { .. } | Segment::Unknown => None,
        })
        .collect()
}

/// Puts the default in the place of a value, or takes it out where there is none. False when that changes nothing.
fn restore(table: &mut Table, defaults: &Table, keys: &[String]) -> bool {
    let Some((key, rest)) = keys.split_first() else { return false };
    let default = defaults.get(key);
    if rest.is_empty() {
        let before = table.get(key).cloned();
        match default {
            Some(default) => table.insert(key.clone(), default.clone()),
            None => table.remove(key),
        };
        return before.as_ref() != table.get(key);
    }
    let empty = Table::new();
    let default = default.and_then(Value::as_table).unwrap_or(&empty);
    table.get_mut(key).and_then(Value::as_table_mut).is_some_and(|inner| restore(inner, default, rest))
}

fn merge(mut base: Table, layer: Table) -> Table {
    for (key, value) in layer {
        let merged = match (base.remove(&key), value) {
            (Some(Value::Table(base)), Value::Table(layer)) => Value::Table(merge(base, layer)),
            (_, value) => value,
        };
        base.insert(key, merged);
    }
    base
}

fn set(table: &mut Table, key: &str, value: &str) {
    let (section, name) = key.split_once('.').expect("every override is in a section");
    if let Some(section) = table.get_mut(section).and_then(Value::as_table_mut) {
        section.insert(name.to_owned(), Value::String(value.to_owned()));
    }
}

/// Makes paths of a file relative to that file.
fn anchor(layer: &mut Table, folder: Option<&Path>) {
    let Some(folder) = folder else { return };
    for key in PATHS {
        let mut keys = key.split('.');
        let Some(first) = keys.next() else { continue };
        let value = keys.fold(layer.get_mut(first), |value, key| value.and_then(|value| value.get_mut(key)));
        if let Some(Value::String(path)) = value
            && !path.is_empty()
            && !path.contains("://")
        {
            *path = folder.join(&*path).to_string_lossy().into_owned();
        }
    }
}

fn syntax_fault(origin: &str, text: &str, error: &toml::de::Error) -> Fault {
    let line = error.span().map_or(1, |span| line_at(text, span.start));
    Fault { origin: format!("{origin}:{line}"), path: String::new(), message: error.message().to_owned() }
}

fn line_at(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|&byte| byte == b'\n').count()
}

/// The line of the deepest key of `path` that the file has.
fn line_of(document: &DeTable<'_>, keys: &[String], text: &str) -> Option<usize> {
    let mut table = document;
    let mut offset = None;
    for key in keys {
        let Some((name, value)) = table.iter().find(|(name, _)| name.get_ref().as_ref() == *key) else { break };
        offset = Some(name.span().start);
        match Spanned::get_ref(value) {
            DeValue::Table(inner) => table = inner,
            _ => break,
        }
    }
    offset.map(|offset| line_at(text, offset))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn load_with(file: &str, environment: &[(&str, &str)], flags: &GlobalArgs) -> Result<Loaded, String> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE_NAME), file).unwrap();
        let environment: Vec<(String, OsString)> =
            environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect();
        let lookup = |name: &str| environment.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        let sources = Sources { flags, environment: &lookup, working_folder: folder.path().to_owned() };
        let prefix = format!("{}/", folder.path().display());
        load(&sources).map_err(|error| error.to_string().replace(&prefix, ""))
    }

    fn check(file: &str, expected: &str) {
        assert_eq!(load_with(file, &[], &GlobalArgs::default()).unwrap_err(), expected);
    }

    #[test]
    fn the_embedded_defaults_are_complete() {
        let loaded = load_with("", &[], &GlobalArgs::default()).unwrap();
        assert_eq!(loaded.settings.lake.path, PathBuf::from("lake"));
        assert_eq!(loaded.settings.detect, tradewind_detect::Settings::default());
        assert_eq!(loaded.settings.normalise, tradewind_normalise::Settings::default());
        assert_eq!(loaded.settings.connect, tradewind_normalise::ConnectSettings::default());
        assert_eq!(loaded.settings.transport.kafka, tradewind_transport::kafka::KafkaSettings::default());
        assert_eq!(loaded.settings.transport.embedded, tradewind_transport::embedded::EmbeddedSettings::default());
    }

    #[test]
    fn sources_and_topics_are_checked_at_once() {
        check(
            "[[source]]\ntype = \"stdin\"\nname = \"a b\"\n[[topic]]\nname = \"x\"\nformat = \"auto:x\"\n",
            "the configuration has 2 faults\n  \
             tradewind.toml:1: source: source `a b`: `name` is `a b`: use 1 to 64 letters, digits, `-`, `_` or `.`\n  \
             tradewind.toml:4: topic: topic `x`: the layout of `auto` cannot be used: a layout needs the name of its format before it",
        );
        check(
            "[transport.kafka]\nbrokerz = []\n",
            "the configuration has a fault\n  tradewind.toml:2: transport.kafka.brokerz: unknown field `brokerz`, expected one of \
             `brokers`, `client_id`, `security_protocol`, `ca_file`, `certificate_file`, `key_file`, `sasl`, `request_timeout_ms`, \
             `session_timeout_ms`, `rebalance_timeout_ms`, `transaction_timeout_ms`, `note_writes`, `compression`, `linger_ms`, \
             `fetch_bytes_min`, `fetch_wait_ms`, `fetch_bytes_max`, `fetch_partition_bytes_max`, `buffer_bytes_max`, \
             `batch_records_max`, `batch_bytes_max`, `properties`",
        );
    }

    #[test]
    fn flags_win_over_environment_over_file() {
        let file = "[lake]\npath = \"/of/file\"\n[log]\nlevel = \"error\"\nformat = \"json\"\n";
        let flags = GlobalArgs { lake: Some("/of/flag".into()), ..GlobalArgs::default() };
        let loaded =
            load_with(file, &[("TRADEWIND_LAKE", "/of/env"), ("TRADEWIND_LOG_LEVEL", "info")], &flags).unwrap();
        assert_eq!(loaded.settings.lake.path, PathBuf::from("/of/flag"));
        assert_eq!(loaded.settings.log.level, "info");
        assert_eq!(loaded.settings.log.format, super::super::LogFormat::Json);
    }

    #[test]
    fn paths_in_a_file_are_relative_to_it() {
        let loaded = load_with("[lake]\npath = \"data\"\n", &[], &GlobalArgs::default()).unwrap();
        let lake = loaded.settings.lake.path;
        assert!(lake.is_absolute() && lake.ends_with("data"), "{}", lake.display());
    }

    #[test]
    fn all_faults_are_told_at_once() {
        check(
            "[lake]\nfolder = \"x\"\n\n[log]\nlevel = 3\nformat = \"xml\"\n\n[lgo]\n",
            "the configuration has 4 faults\n  \
             tradewind.toml:2: lake.folder: unknown field `folder`, expected `path` or `options`\n  \
             tradewind.toml:8: lgo: unknown field `lgo`, expected one of `version`, `lake`, `inventory`, `import`, `normalise`, `connect`, `policy`, `detect`, `feedback`, `run`, `transport`, `store`, `detection`, `notify`, `telemetry`, `source`, `topic`, `log`\n  \
             tradewind.toml:6: log.format: unknown variant `xml`, expected `text` or `json`\n  \
             tradewind.toml:5: log.level: invalid type: integer `3`, expected a string",
        );
        check(
            "version = 7\n",
            "the configuration has a fault\n  tradewind.toml:1: version: version 7 is not known: this program reads version 1",
        );
        check(
            "[detect.volume]\nforgetting = 1.5\n",
            "the configuration has a fault\n  \
             tradewind.toml:2: detect.volume.forgetting: 1.5 is out of range: must be above 0 and below 1",
        );
        check("[lake\n", "the configuration has a fault\n  tradewind.toml:1: unclosed table, expected `]`");
    }

    #[test]
    fn a_fault_of_the_environment_names_the_variable() {
        let error = load_with("", &[("TRADEWIND_LOG_FORMAT", "xml")], &GlobalArgs::default()).unwrap_err();
        assert!(
            error.contains("environment variable TRADEWIND_LOG_FORMAT: log.format: unknown variant `xml`"),
            "{error}"
        );
        let flags = GlobalArgs { log_level: Some("loud".into()), ..GlobalArgs::default() };
        let error = load_with("", &[], &flags).unwrap_err();
        assert!(error.contains("flag --log-level: log.level: `loud` is no log level"), "{error}");
    }
}
