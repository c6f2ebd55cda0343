//! Looks for files: what the patterns match, and what lies beside a file that went away.

use crate::files::identity::{Inode, family};
use glob::{MatchOptions, Pattern};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use tracing::warn;

/// A file that was found.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) path: PathBuf,
    pub(crate) at: Inode,
    pub(crate) size: u64,
    pub(crate) modified: SystemTime,
}

impl Seen {
    /// Follows links: what is read is what they lead to. None: it is no regular file, or is gone by now.
    fn of(path: PathBuf) -> std::io::Result<Option<Self>> {
        let metadata = match std::fs::metadata(&path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        if !metadata.is_file() {
            return Ok(None);
        }
        let modified = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        Ok(Some(Self { at: Inode::of(&metadata), size: metadata.len(), modified, path }))
    }
}

/// The patterns of one source.
#[derive(Debug)]
pub(crate) struct Scanner {
    paths: Vec<String>,
    exclude: Vec<Pattern>,
    /// Paths that were complained about.
    warned: BTreeSet<PathBuf>,
}

impl Scanner {
    /// Patterns were checked with the settings.
    pub(crate) fn new(paths: &[String], exclude: &[String]) -> Self {
        let exclude = exclude.iter().filter_map(|pattern| Pattern::new(pattern).ok()).collect();
        Self { paths: paths.to_vec(), exclude, warned: BTreeSet::new() }
    }

    /// All files that match, each once, the oldest first. The second is whether nothing was hidden by an error.
    pub(crate) fn scan(&mut self) -> (Vec<Seen>, bool) {
        const OPTIONS: MatchOptions =
            MatchOptions { case_sensitive: true, require_literal_separator: true, require_literal_leading_dot: true };
        let (mut found, mut failed) = (BTreeMap::new(), BTreeSet::new());
        for pattern in &self.paths {
            let Ok(matches) = glob::glob_with(pattern, OPTIONS) else { continue };
            for path in matches {
                let seen =
                    path.map_err(|error| (error.path().to_owned(), std::io::Error::from(error))).and_then(|path| {
                        if self.exclude.iter().any(|pattern| pattern.matches_path_with(&path, OPTIONS)) {
                            return Ok(None);
                        }
                        Seen::of(path.clone()).map_err(|error| (path, error))
                    });
                match seen {
                    Ok(Some(seen)) => {
                        found.entry(seen.at).or_insert(seen);
                    }
                    Ok(None) => {}
                    Err((path, error)) => {
                        if !self.warned.contains(&path) {
                            warn!(path = %path.display(), %error, "{}", advice(&error));
                        }
                        failed.insert(path);
                    }
                }
            }
        }
        let is_complete = failed.is_empty();
        self.warned = failed;
        let mut found: Vec<Seen> = found.into_values().collect();
        found.sort_by(|one, other| (one.modified, &one.path).cmp(&(other.modified, &other.path)));
        (found, is_complete)
    }
}

/// Files beside `path` that may be what became of it: of its family, or under its inode.
pub(crate) fn siblings(path: &Path, at: Inode) -> Vec<Seen> {
    const ENTRIES_MAX: usize = 100_000;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Ok(entries) = std::fs::read_dir(parent) else { return Vec::new() };
    let family_name = family(path);
    entries
        .take(ENTRIES_MAX)
        .filter_map(|entry| Seen::of(entry.ok()?.path()).ok()?)
        .filter(|seen| seen.at == at || family(&seen.path) == family_name)
        .collect()
}

/// What to do about a file that cannot be read.
pub(crate) fn advice(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::PermissionDenied => {
            "file cannot be read: give the user that runs tradewind read access, and search access to its folders; trying again"
        }
        _ => "file cannot be read, trying again",
    }
}
