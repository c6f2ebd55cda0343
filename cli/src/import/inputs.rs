//! Which files an import takes: names, folders and patterns made into a list, and the list cut into groups.

use super::summary::Failed;
use crate::failure::usage;
use crate::source::STANDARD_INPUT;
use anyhow::Context as _;
use std::collections::{BTreeMap, BTreeSet};
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
    /// What it is called in messages.
    pub(super) fn name(&self) -> String {
        if self.copy.is_some() { STANDARD_INPUT.to_owned() } else { self.file.display().to_string() }
    }

    /// Where it is, as the lake keeps it: from the root, so that it means the same wherever the import ran.
    pub(super) fn path(&self) -> String {
        if self.copy.is_some() {
            return STANDARD_INPUT.to_owned();
        }
        std::path::absolute(&self.file).unwrap_or_else(|_| self.file.clone()).display().to_string()
    }
}

/// What [`expand`] found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) inputs: Vec<Input>,
    pub(super) failures: Vec<Failed>,
    files: BTreeSet<PathBuf>,
    /// What lies in folders and holds no log, and what it is.
    left_out: BTreeMap<PathBuf, &'static str>,
    /// The lake, which is no log.
    lake: Option<PathBuf>,
}

/// Makes the list of inputs: every file once, in order of its name. What cannot be read is told, not skipped silently.
/// Below a folder, links that lead out of it and the `lake` itself are left out: whoever may write logs there does not
/// choose what else is read.
///
/// # Errors
/// A path that does not exist or a pattern that matches nothing: most likely a slip of the pen.
pub(super) fn expand(paths: &[String], lake: &Path) -> anyhow::Result<Found> {
    let mut found = Found { lake: std::fs::canonicalize(lake).ok(), ..Found::default() };
    for path in paths {
        if path == STANDARD_INPUT {
            found.inputs.push(standard_input()?);
            continue;
        }
        match std::fs::symlink_metadata(path) {
            Ok(_) => found.add(Path::new(path)),
            Err(_) if path.contains(['*', '?', '[']) => found.add_matches(path)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(usage(format!("`{path}` does not exist")));
            }
            Err(error) => found.failed(Path::new(path), &error),
        }
    }
    for file in std::mem::take(&mut found.files) {
        match std::fs::metadata(&file) {
            Ok(metadata) if metadata.is_file() => {
                found.inputs.push(Input { file, bytes: metadata.len(), copy: None });
            }
            Ok(_) => {
                let error =
                    format!("it is no file; to read what comes out of it: tradewind import - < {}", file.display());
                found.failures.push(Failed { path: file.display().to_string(), error });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound && file.is_symlink() => {
                let error = "it is a link to a file that does not exist".to_owned();
                found.failures.push(Failed { path: file.display().to_string(), error });
            }
            Err(error) => found.failed(&file, &error),
        }
    }
    Ok(found)
}

impl Found {
    fn failed(&mut self, path: &Path, error: &io::Error) {
        self.failures.push(Failed { path: path.display().to_string(), error: error.to_string() });
    }

    fn add_matches(&mut self, pattern: &str) -> anyhow::Result<()> {
        let matches = glob::glob(pattern).map_err(|error| usage(format!("`{pattern}` is no pattern: {error}")))?;
        let mut any = false;
        for entry in matches {
            any = true;
            match entry {
                Ok(path) => self.add(&path),
                Err(error) => self.failed(error.path(), error.error()),
            }
        }
        if any { Ok(()) } else { Err(usage(format!("no file matches `{pattern}`"))) }
    }

    /// Adds a file, or all files below a folder. Links to folders below are not followed, so that no circle can hang it.
    fn add(&mut self, path: &Path) {
        if !path.is_dir() {
            self.files.insert(path.to_owned());
            return;
        }
        let base = match std::fs::canonicalize(path) {
            Ok(base) => base,
            Err(error) => return self.failed(path, &error),
        };
        let mut folders = vec![path.to_owned()];
        while let Some(folder) = folders.pop() {
            if self.lake.is_some() && std::fs::canonicalize(&folder).ok() == self.lake {
                self.left_out.insert(folder, "the lake");
                continue;
            }
            let entries = match std::fs::read_dir(&folder) {
                Ok(entries) => entries,
                Err(error) => {
                    self.failed(&folder, &error);
                    continue;
                }
            };
            for entry in entries {
                match entry.and_then(|entry| Ok((entry.path(), entry.file_type()?))) {
                    Ok((path, kind)) if kind.is_dir() => folders.push(path),
                    Ok((path, kind)) if kind.is_symlink() => self.add_link(path, &base),
                    Ok((path, kind)) if kind.is_file() => {
                        self.files.insert(path);
                    }
                    Ok((path, _)) => {
                        self.left_out.insert(path, "no file");
                    }
                    Err(error) => self.failed(&folder, &error),
                }
            }
        }
    }

    fn add_link(&mut self, path: PathBuf, base: &Path) {
        if std::fs::canonicalize(&path).is_ok_and(|target| !target.starts_with(base)) {
            self.left_out.insert(path, "a link out of the folder");
            return;
        }
        match std::fs::metadata(&path) {
            Ok(metadata) if metadata.is_file() => {
                self.files.insert(path);
            }
            Ok(metadata) => {
                self.left_out.insert(path, if metadata.is_dir() { "a link to a folder" } else { "no file" });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.left_out.insert(path, "a link to nothing");
            }
            Err(error) => self.failed(&path, &error),
        }
    }

    /// What a person should know of the folders.
    pub(super) fn note(&self) -> Option<String> {
        const NAMED_MAX: usize = 5;
        if self.inputs.is_empty() && self.failures.is_empty() && self.left_out.is_empty() {
            return Some("there are no files in the folders named".to_owned());
        }
        let named: Vec<String> =
            self.left_out.iter().take(NAMED_MAX).map(|(path, what)| format!("{} ({what})", path.display())).collect();
        let more = match self.left_out.len().saturating_sub(NAMED_MAX) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        (!named.is_empty()).then(|| format!("left out: {}{more}", named.join(", ")))
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
