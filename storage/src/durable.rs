//! Makes sure that files outlast a loss of power: what a commit names is on the disk before the commit is. Only for lakes in
//! the local file system; an object store answers when it has the object.

use crate::location::LakeLocation;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

/// How many files are written through at once.
const AT_ONCE: usize = 16;

/// Writes files of a table, and the folders that name them, through to the disk. `files` are relative to the table.
///
/// # Errors
/// What the system says of a file that cannot be written through.
pub(crate) async fn sync(
    location: &LakeLocation,
    table: &str,
    files: impl IntoIterator<Item = impl AsRef<Path>>,
) -> io::Result<()> {
    let Some(root) = location.local() else { return Ok(()) };
    let files: Vec<PathBuf> = files.into_iter().map(|file| root.join(table).join(file)).collect();
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
