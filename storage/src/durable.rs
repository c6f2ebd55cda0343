//! Makes sure that files outlast a loss of power: what a commit names is on the disk before the commit is. Only for lakes in
//! the local file system.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// Writes files, and the folders that name them, through to the disk. A file that is gone meanwhile is nobody's any more.
///
/// # Errors
/// What the system says of a file that cannot be written through.
pub(crate) async fn sync(files: Vec<PathBuf>) -> io::Result<()> {
    let work = move || {
        let mut folders = BTreeSet::new();
        for file in &files {
            sync_one(file)?;
            folders.extend(file.parent().map(Path::to_owned));
        }
        folders.iter().try_for_each(|folder| sync_one(folder))
    };
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

fn sync_one(path: &Path) -> io::Result<()> {
    match File::open(path) {
        Ok(file) => file.sync_all(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}
