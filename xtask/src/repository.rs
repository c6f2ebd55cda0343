//! Where the repository is and which files belong to it.

use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The root of the checkout this program was built from.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("this crate is a folder of the workspace")
}

/// The `cargo` that runs us, so that one toolchain does everything.
pub(crate) fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Files that belong to the repository, as paths from its root, sorted: tracked, or new and not ignored.
///
/// # Errors
/// When `git` is missing or this is not a checkout.
pub(crate) fn files() -> Result<Vec<PathBuf>> {
    // A checkout that belongs to another user, as in a container, is refused otherwise; listing its files is harmless.
    let trust = format!("safe.directory={}", root().display());
    let output = Command::new("git")
        .args(["-c", &trust, "ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .context("failed to start git: it names the files of the repository")?;
    ensure!(output.status.success(), "git ls-files: {}", String::from_utf8_lossy(&output.stderr).trim());
    let mut files: Vec<PathBuf> = String::from_utf8(output.stdout)
        .context("a file name is not UTF-8")?
        .split('\0')
        .filter(|name| !name.is_empty())
        .map(PathBuf::from)
        // A file that was deleted but not committed yet is still listed.
        .filter(|path| root().join(path).is_file())
        .collect();
    files.sort();
    files.dedup();
    Ok(files)
}

/// The text of a file of the repository; none where it is not UTF-8.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn text(path: &Path) -> Result<Option<String>> {
    let bytes = std::fs::read(root().join(path)).with_context(|| format!("failed to read {}", path.display()))?;
    Ok(String::from_utf8(bytes).ok())
}
