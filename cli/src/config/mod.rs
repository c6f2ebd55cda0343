//! Settings: flags over environment over file over defaults, merged here and nowhere else, and checked all at once.

mod error;
mod load;
mod streaming;

pub(crate) use error::{ConfigError, Fault};
pub(crate) use load::{Sources, load};
pub(crate) use streaming::{
    DetectionSettings, LogKind, RunSettings, StoreSettings, TelemetrySettings, TopicSettings, TransportSettings,
};

use serde::Deserialize;
use std::path::{Path, PathBuf};
use tracing_subscriber::EnvFilter;
use tradewind_formats::FormatChoice;

/// The commented defaults. Every setting appears in it.
pub(crate) const DEFAULTS: &str = include_str!("default.toml");
/// The file that is read from the working folder when no other is named.
pub(crate) const FILE_NAME: &str = "tradewind.toml";

/// All settings.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    #[serde(rename = "version", deserialize_with = "known_version")]
    _version: u32,
    pub(crate) lake: LakeSettings,
    pub(crate) inventory: InventorySettings,
    pub(crate) import: ImportSettings,
    pub(crate) normalise: tradewind_normalise::Settings,
    pub(crate) connect: tradewind_normalise::ConnectSettings,
    pub(crate) policy: PolicySettings,
    pub(crate) detect: tradewind_detect::Settings,
    pub(crate) feedback: FeedbackSettings,
    pub(crate) run: RunSettings,
    pub(crate) transport: TransportSettings,
    pub(crate) store: StoreSettings,
    pub(crate) detection: DetectionSettings,
    pub(crate) notify: tradewind_notify::NotifySettings,
    pub(crate) telemetry: TelemetrySettings,
    /// Sections `[[source]]`.
    #[serde(rename = "source", default)]
    pub(crate) sources: Vec<tradewind_collect::SourceSettings>,
    /// Sections `[[topic]]`.
    #[serde(rename = "topic", default)]
    pub(crate) topics: Vec<TopicSettings>,
    pub(crate) log: LogSettings,
    /// Folder of the file that was read: what paths in sinks are relative to.
    #[serde(skip)]
    pub(crate) folder: PathBuf,
}

/// Section `lake`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LakeSettings {
    /// A path or a URL.
    pub(crate) path: PathBuf,
    /// Settings of the object store of a URL.
    #[serde(default)]
    pub(crate) options: std::collections::BTreeMap<String, String>,
}

/// Section `inventory`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct InventorySettings {
    /// Empty: there is none.
    file: PathBuf,
}

impl InventorySettings {
    /// The file, if there is one.
    pub(crate) fn file(&self) -> Option<&Path> {
        Some(self.file.as_path()).filter(|file| !file.as_os_str().is_empty())
    }
}

/// Section `policy`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PolicySettings {
    /// Empty: there is none.
    path: PathBuf,
}

impl PolicySettings {
    /// The file or folder, if there is one.
    pub(crate) fn path(&self) -> Option<&Path> {
        Some(self.path.as_path()).filter(|path| !path.as_os_str().is_empty())
    }
}

/// Section `feedback`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FeedbackSettings {
    /// Empty: there is none.
    suppressions: PathBuf,
}

impl FeedbackSettings {
    /// The file of suppressions, if there is one.
    pub(crate) fn suppressions(&self) -> Option<&Path> {
        Some(self.suppressions.as_path()).filter(|file| !file.as_os_str().is_empty())
    }
}

/// Section `import`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ImportSettings {
    #[serde(deserialize_with = "input_format")]
    pub(crate) input_format: FormatChoice,
}

/// Section `log`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LogSettings {
    #[serde(deserialize_with = "filter")]
    pub(crate) level: String,
    pub(crate) format: LogFormat,
}

/// How log messages look.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    Text,
    Json,
}

fn known_version<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    match u32::deserialize(deserializer)? {
        1 => Ok(1),
        other => Err(serde::de::Error::custom(format!("version {other} is not known: this program reads version 1"))),
    }
}

fn input_format<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<FormatChoice, D::Error> {
    crate::source::input_format(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
}

fn filter<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let level = String::deserialize(deserializer)?;
    // Without a level a word is taken as the name of a module, and a typing error would silence everything.
    let is_level = |word: &str| word.contains('=') || word.parse::<tracing_subscriber::filter::LevelFilter>().is_ok();
    if level.split(',').all(|word| is_level(word.trim())) && EnvFilter::try_new(&level).is_ok() {
        return Ok(level);
    }
    Err(serde::de::Error::custom(format!(
        "`{level}` is no log level: expected error, warn, info, debug, trace, off or a filter such as `warn,tradewind=debug`"
    )))
}
