//! What can be wrong with the configuration, told all at once.

use std::fmt;
use std::path::PathBuf;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Where the value came from: a file with its line, a variable, a flag.
    pub(crate) origin: String,
    /// The setting, such as `detect.window_seconds`; empty when the file could not be read as TOML.
    pub(crate) path: String,
    /// What is wrong with it.
    pub(crate) message: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = if self.path.is_empty() { "" } else { ": " };
        write!(formatter, "{}: {}{separator}{}", self.origin, self.path, self.message)
    }
}

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ConfigError {
    /// The file cannot be read.
    #[error("failed to read the configuration file {}", path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// The inventory cannot be read.
    #[error("failed to read the inventory {}", path.display())]
    ReadInventory {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// The inventory is wrong.
    #[error("the inventory is wrong")]
    Inventory {
        #[source]
        source: tradewind_normalise::InventoryError,
    },
    /// It was read, and is wrong.
    #[error("{}", list(.0))]
    Faults(Vec<Fault>),
}

fn list(faults: &[Fault]) -> String {
    let count = match faults.len() {
        1 => "the configuration has a fault".to_owned(),
        count => format!("the configuration has {count} faults"),
    };
    faults.iter().fold(count, |text, fault| format!("{text}\n  {fault}"))
}
