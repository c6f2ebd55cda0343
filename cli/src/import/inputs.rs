//! Which files an import takes: names, folders and patterns made into a list, and the list cut into groups.

use super::summary::Failed;
use crate::failure::usage;
use crate::source::STANDARD_INPUT;
use anyhow::Context as _;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::NamedTempFile;

/// Bytes that a group of objects is likely to unpack to, at most, unless a single object is larger: what is lost at
/// most when an import is killed.
const GROUP_BYTES_MAX: u64 = 1 << 30;
/// Objects of a group at most: each is named in the commit.
const GROUP_OBJECTS_MAX: usize = 20_000;
/// How much larger packed logs are likely to be when unpacked.
const UNPACKED_RATIO: u64 = 10;

/// One input.
#[derive(Clone, Debug)]
pub(super) struct Input {
    /// Where its bytes are.
    pub(super) file: PathBuf,
    /// Its size when it was listed, in bytes.
    pub(super) bytes: u64,
    /// Standard input, kept in a file while it is needed.
    copy: Option<Arc<NamedTempFile>>,
}

impl Input {
    /// What it is called in messages and in the lake.
    pub(super) fn name(&self) -> String {
        if self.copy.is_some() { STANDARD_INPUT.to_owned() } else { self.file.display().to_string() }
    }
}

/// What [`expand`] found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) inputs: Vec<Input>,
    pub(super) failures: Vec<Failed>,
}

/// Makes the list of inputs: every file once, in order of its name. What cannot be read is told, not skipped silently.
///
/// # Errors
/// A path that does not exist or a pattern that matches nothing: most likely a slip of the pen.
pub(super) fn expand(paths: &[String]) -> anyhow::Result<Found> {
    let (mut files, mut found) = (BTreeSet::new(), Found::default());
    for path in paths {
        if path == STANDARD_INPUT {
            found.inputs.push(standard_input()?);
        } else if Path::new(path).exists() {
            add(Path::new(path), &mut files, &mut found.failures);
        } else if path.contains(['*', '?', '[']) {
            let matches = glob::glob(path).map_err(|error| usage(format!("`{path}` is no pattern: {error}")))?;
            let mut any = false;
            for entry in matches {
                any = true;
                match entry {
                    Ok(entry) => add(&entry, &mut files, &mut found.failures),
                    Err(error) => found
                        .failures
                        .push(Failed { path: error.path().display().to_string(), error: error.error().to_string() }),
                }
            }
            if !any {
                return Err(usage(format!("no file matches `{path}`")));
            }
        } else {
            return Err(usage(format!("`{path}` does not exist")));
        }
    }
    for file in files {
        match std::fs::metadata(&file) {
            Ok(metadata) => found.inputs.push(Input { file, bytes: metadata.len(), copy: None }),
            Err(error) => found.failures.push(Failed { path: file.display().to_string(), error: error.to_string() }),
        }
    }
    Ok(found)
}

/// Adds a file, or all files below a folder. Links to folders below are not followed, so that no circle can hang it.
fn add(path: &Path, files: &mut BTreeSet<PathBuf>, failures: &mut Vec<Failed>) {
    if !path.is_dir() {
        files.insert(path.to_owned());
        return;
    }
    let mut failed = |path: &Path, error: io::Error| {
        failures.push(Failed { path: path.display().to_string(), error: error.to_string() })
    };
    let mut folders = vec![path.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = match std::fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) => {
                failed(&folder, error);
                continue;
            }
        };
        for entry in entries {
            match entry.and_then(|entry| Ok((entry.path(), entry.file_type()?))) {
                Ok((path, kind)) if kind.is_dir() => folders.push(path),
                Ok((path, _)) if path.is_file() => {
                    files.insert(path);
                }
                // Sockets, pipes, devices and dangling links hold no log.
                Ok(_) => {}
                Err(error) => failed(&folder, error),
            }
        }
    }
}

/// Keeps standard input in a file: its identity is its content, which must be known before it is read as a log.
fn standard_input() -> anyhow::Result<Input> {
    let mut copy = NamedTempFile::new().context("failed to make a temporary file for standard input")?;
    let bytes = io::copy(&mut io::stdin().lock(), copy.as_file_mut())
        .context("failed to keep standard input in a temporary file")?;
    copy.flush().context("failed to keep standard input in a temporary file")?;
    Ok(Input { file: copy.path().to_owned(), bytes, copy: Some(Arc::new(copy)) })
}

/// Cuts the list into groups that are committed together.
pub(super) fn groups(inputs: Vec<Input>) -> Vec<Vec<Input>> {
    let mut groups: Vec<Vec<Input>> = Vec::new();
    let mut bytes = 0;
    for input in inputs {
        let likely = likely_bytes(&input);
        let fits = bytes + likely <= GROUP_BYTES_MAX;
        match groups.last_mut() {
            Some(group) if fits && group.len() < GROUP_OBJECTS_MAX => {
                bytes += likely;
                group.push(input);
            }
            _ => {
                bytes = likely;
                groups.push(vec![input]);
            }
        }
    }
    groups
}

fn likely_bytes(input: &Input) -> u64 {
    let is_packed = input
        .file
        .extension()
        .is_some_and(|extension| ["gz", "zst", "parquet"].iter().any(|packed| extension.eq_ignore_ascii_case(packed)));
    if is_packed { input.bytes.saturating_mul(UNPACKED_RATIO) } else { input.bytes }
}

/// Opens an input's bytes.
pub(super) fn open(input: &Input) -> io::Result<File> {
    File::open(&input.file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(name: &str, bytes: u64) -> Input {
        Input { file: PathBuf::from(name), bytes, copy: None }
    }

    #[test]
    fn groups_hold_what_unpacks_to_about_a_gibibyte() {
        let inputs = vec![
            input("a.log", 1 << 29),
            input("b.log", 1 << 29),
            input("c.log", 1),
            input("d.gz", 1 << 27),
            input("e.log", 1 << 40),
        ];
        let sizes: Vec<Vec<PathBuf>> =
            groups(inputs).into_iter().map(|group| group.into_iter().map(|input| input.file).collect()).collect();
        let names = |names: &[&str]| names.iter().map(PathBuf::from).collect::<Vec<_>>();
        assert_eq!(sizes, [names(&["a.log", "b.log"]), names(&["c.log"]), names(&["d.gz"]), names(&["e.log"])]);
    }
}
