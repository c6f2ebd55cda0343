//! Folders for the servers' data and logs, removed with the server, or by a later test where the process was killed before it could.

use std::fs::File;
use std::path::{Path, PathBuf};

use crate::ServerError;

const LOCK: &str = "in-use";

/// A folder of one server. Removed when dropped.
#[derive(Debug)]
pub(crate) struct RunFolder {
    folder: tempfile::TempDir,
    // Held while the process lives, however it ends.
    _lock: File,
}

impl RunFolder {
    /// # Errors
    /// When the folder for temporary files cannot be written.
    pub(crate) fn create(name: &str) -> Result<Self, ServerError> {
        let base = base()?;
        sweep(&base);
        let folder = tempfile::Builder::new()
            .prefix(&format!("{name}-"))
            .tempdir_in(&base)
            .map_err(|error| ServerError::file("create a folder in", &base, &error))?;
        let path = folder.path().join(LOCK);
        let lock = File::create(&path).map_err(|error| ServerError::file("create", &path, &error))?;
        lock.lock().map_err(|error| ServerError::file("lock", &path, &error))?;
        Ok(Self { folder, _lock: lock })
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// The folder that all servers of all test processes of a user share.
pub(crate) fn base() -> Result<PathBuf, ServerError> {
    use std::os::unix::fs::MetadataExt as _;
    let temporary = std::env::temp_dir();
    // The owner of a file that this process makes is the user, without a call that needs unsafe code.
    let user = std::fs::metadata("/proc/self").map(|metadata| metadata.uid()).unwrap_or_default();
    let base = temporary.join(format!("tradewind-servers-{user}"));
    std::fs::create_dir_all(&base).map_err(|error| ServerError::file("create", &base, &error))?;
    Ok(base)
}

/// Removes what killed processes left. A folder whose lock nobody holds belongs to nobody; one without a lock may be just in the
/// making and is left alone.
fn sweep(base: &Path) {
    let Ok(entries) = std::fs::read_dir(base) else { return };
    for folder in entries.flatten().map(|entry| entry.path()) {
        let Ok(lock) = File::open(folder.join(LOCK)) else { continue };
        if lock.try_lock().is_ok() {
            // Another process may be removing it at the same time.
            std::fs::remove_dir_all(&folder).ok();
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_a_killed_process_left_is_swept() {
        let base = tempfile::tempdir().unwrap();
        let left = base.path().join("kafka-left");
        let used = base.path().join("kafka-used");
        let new = base.path().join("kafka-new");
        for folder in [&left, &used, &new] {
            std::fs::create_dir(folder).unwrap();
        }
        File::create(left.join(LOCK)).unwrap();
        let lock = File::create(used.join(LOCK)).unwrap();
        lock.lock().unwrap();
        sweep(base.path());
        assert_eq!([left.exists(), used.exists(), new.exists()], [false, true, true]);
    }
}
