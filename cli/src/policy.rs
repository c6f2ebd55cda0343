//! The communication policy that the settings or a command name: the one place that reads policy files.

use crate::config::{FILE_NAME, Settings};
use crate::failure::usage;
use anyhow::{Context as _, bail};
use std::path::{Path, PathBuf};
use tradewind_policy::{Compiled, EntityLabels, PolicySet, Syntax, load};

/// The largest policy file that is read, in bytes.
const FILE_BYTES_MAX: u64 = 256 << 20;

/// The policy of the settings; none where they name none. Warnings are written to the log.
///
/// # Errors
/// Files that cannot be read or are wrong.
pub(crate) fn from_settings(settings: &Settings) -> anyhow::Result<Option<PolicySet>> {
    let Some(path) = settings.policy.path() else { return Ok(None) };
    let compiled = read(&[path.to_owned()])?;
    for warning in compiled.warnings.list() {
        tracing::warn!("{warning}");
    }
    Ok(Some(compiled.set))
}

/// Reads policy files, and all policy files of folders, as one policy.
///
/// # Errors
/// Files that cannot be read or are wrong: every fault of every file.
pub(crate) fn read(paths: &[PathBuf]) -> anyhow::Result<Compiled> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let found = of_folder(path)?;
            if found.is_empty() {
                let folder = path.display();
                return Err(usage(format!("{folder} holds no policy: there is no .toml, .yaml or .yml file in it")));
            }
            files.extend(found);
        } else {
            files.push(path.clone());
        }
    }
    let mut texts = Vec::new();
    for file in &files {
        let Some(syntax) = syntax(file) else {
            return Err(usage(format!("{}: a policy file's name ends in .toml, .yaml or .yml", file.display())));
        };
        texts.push((file.display().to_string(), text(file)?, syntax));
    }
    let borrowed: Vec<_> = texts.iter().map(|(name, text, syntax)| (name.as_str(), text.as_str(), *syntax)).collect();
    load(&borrowed, EntityLabels::default()).map_err(|error| usage(error.to_string()))
}

fn text(file: &Path) -> anyhow::Result<String> {
    let failed = || format!("failed to read the policy {}", file.display());
    let metadata = std::fs::metadata(file);
    if metadata.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound) {
        return Err(usage(format!("the policy {} does not exist", file.display())));
    }
    let bytes = metadata.with_context(failed)?.len();
    if bytes > FILE_BYTES_MAX {
        bail!("the policy {} has {bytes} bytes, more than {FILE_BYTES_MAX}", file.display());
    }
    std::fs::read_to_string(file).with_context(failed)
}

/// The policy files of a folder, by name.
fn of_folder(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let failed = || format!("failed to read the folder {}", folder.display());
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).with_context(failed)? {
        let path = entry.with_context(failed)?.path();
        // The settings may lie beside the policies.
        let is_settings = path.file_name().is_some_and(|name| name == FILE_NAME);
        if path.is_file() && !is_settings && syntax(&path).is_some() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn syntax(file: &Path) -> Option<Syntax> {
    match file.extension()?.to_str()? {
        "toml" => Some(Syntax::Toml),
        "yaml" | "yml" => Some(Syntax::Yaml),
        _ => None,
    }
}
