//! Makes sure that files outlast a loss of power: what a commit names is on the disk before the commit is. Only for lakes in
//! the local file system.

use futures::{StreamExt as _, TryStreamExt as _, stream};
use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// How many files are written through at once.
const AT_ONCE: usize = 16;

/// Writes files, and the folders up to `root` that name them, through to the disk.
///
/// # Errors
/// What the system says of a file that cannot be written through.
pub(crate) async fn sync(root: &Path, files: Vec<PathBuf>) -> io::Result<()> {
    let folders: BTreeSet<PathBuf> = files
        .iter()
        .flat_map(|file| file.ancestors().skip(1).take_while(|folder| folder.starts_with(root)))
        .map(Path::to_owned)
        .collect();
    sync_all(files).await?;
    sync_all(folders).await
}

async fn sync_all(paths: impl IntoIterator<Item = PathBuf>) -> io::Result<()> {
    let one = |path: PathBuf| async move {
        tokio::task::spawn_blocking(move || sync_one(&path)).await.map_err(io::Error::other)?
    };
    stream::iter(paths).map(one).buffer_unordered(AT_ONCE).try_collect().await
}

fn sync_one(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}
