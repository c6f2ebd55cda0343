//! Snapshots of the state of stages, beside the tables: what a stage goes on from after a crash. Knows nothing of what is
//! in them.
//!
//! A snapshot is cut where its content says so (FastCDC: Xia et al., "FastCDC: a Fast and Efficient Content-Defined
//! Chunking Approach for Data Deduplication", USENIX ATC 2016), each piece is an object named by its hash, and a manifest
//! lists them. So only what changed since the last snapshot is written. The manifest is written last; what a killed
//! writer left is removed by a later one.

use crate::error::LakeError;
use crate::lake::Lake;
use deltalake::logstore::store_for;
use futures::{StreamExt as _, TryStreamExt as _, stream};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _, PutPayload};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;
use uuid::Uuid;

/// Folder of all snapshots in the lake. A name that begins with `_` is no table for any reader.
const FOLDER: &str = "_state";
/// Sizes of pieces: small ones cost requests, large ones are written again for a small change.
const PIECE_BYTES: (usize, usize, usize) = (64 * 1024, 256 * 1024, 1024 * 1024);
/// Snapshots that are kept: the newest, and those before it in case a stopped writer still reads them.
const KEPT: usize = 3;
/// Requests at once.
const REQUESTS: usize = 8;
/// The longest snapshot that is read, in bytes.
const BYTES_MAX: u64 = 16 << 30;

/// One snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// How far its stage was: what a later one is larger in.
    pub position: i64,
    /// The state.
    pub bytes: Vec<u8>,
}

/// What a manifest says.
#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    position: i64,
    bytes: u64,
    /// BLAKE3 of each piece before it was packed, in order.
    pieces: Vec<String>,
}

/// How much a snapshot wrote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Bytes of the state.
    pub bytes: u64,
    /// Bytes that were written, packed.
    pub bytes_out: u64,
}

/// The snapshots of one lake.
#[derive(Clone, Debug)]
pub struct StateStore {
    root: String,
    store: Arc<dyn ObjectStore>,
}

impl Lake {
    /// The snapshots that lie beside the tables.
    ///
    /// # Errors
    /// The store of the lake cannot be opened.
    pub fn state_store(&self) -> Result<StateStore, LakeError> {
        let location = self.location();
        if let Some(root) = location.local() {
            let folder = root.join(FOLDER);
            let failed = |source| LakeError::Folder { root: folder.display().to_string(), source };
            std::fs::create_dir_all(&folder).map_err(failed)?;
        }
        let store = store_for(&location.url(FOLDER)?, location.options().clone()).map_err(|source| {
            LakeError::Open { root: location.to_string(), table: FOLDER, source: Box::new(source) }
        })?;
        Ok(StateStore { root: location.to_string(), store })
    }
}

impl StateStore {
    /// Writes a snapshot of the state with this name, and removes old ones.
    ///
    /// # Errors
    /// The store cannot be written. The snapshots before stay.
    pub async fn put(&self, name: &str, position: i64, state: &[u8]) -> Result<Written, LakeError> {
        let known = self.pieces(name).await?;
        let (min, average, max) = PIECE_BYTES;
        let cuts: Vec<_> = fastcdc::v2020::FastCDC::new(state, min, average, max).collect();
        let pieces: Vec<(String, &[u8])> = cuts
            .iter()
            .map(|cut| &state[cut.offset..cut.offset + cut.length])
            .map(|piece| (blake3::hash(piece).to_hex().to_string(), piece))
            .collect();
        let mut new = BTreeSet::new();
        let missing = pieces.iter().filter(|(hash, _)| !known.contains(hash) && new.insert(hash.clone()));
        let puts = missing.map(|(hash, piece)| {
            let packed = zstd::bulk::compress(piece, 1).unwrap_or_else(|_| piece.to_vec());
            let (path, length) = (piece_path(name, hash), packed.len() as u64);
            async move { self.store.put(&path, PutPayload::from(packed)).await.map(|_| length) }
        });
        let puts: Vec<_> = puts.collect();
        let written: Vec<u64> =
            stream::iter(puts).buffer_unordered(REQUESTS).try_collect().await.map_err(|error| self.failed(error))?;
        let hashes = pieces.into_iter().map(|(hash, _)| hash).collect();
        let manifest = Manifest { position, bytes: state.len() as u64, pieces: hashes };
        let text = serde_json::to_vec(&manifest).expect("texts and numbers are JSON");
        // Names sort by position; the rest keeps two writers apart.
        let path = Path::from(format!("{name}/{position:020}-{}.json", Uuid::now_v7()));
        self.store.put(&path, PutPayload::from(text)).await.map_err(|error| self.failed(error))?;
        self.tidy(name).await?;
        Ok(Written { bytes: state.len() as u64, bytes_out: written.iter().sum() })
    }

    /// The newest snapshot with this name that can be read whole; none where there is none.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn get(&self, name: &str) -> Result<Option<Snapshot>, LakeError> {
        for path in self.manifests(name).await?.into_iter().rev() {
            match self.read(name, &path).await {
                Ok(snapshot) => return Ok(Some(snapshot)),
                Err(Unread::Damaged(why)) => {
                    tracing::warn!(snapshot = %path, why, "a snapshot cannot be used; the one before is");
                }
                Err(Unread::Store(error)) => return Err(self.failed(error)),
            }
        }
        Ok(None)
    }

    /// The newest snapshot of `of` in any group, with the name of the group: names are `group/of`. Of those that are equally far
    /// that of `group`.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn newest(&self, group: &str, of: &str) -> Result<Option<(String, Snapshot)>, LakeError> {
        let listed = self.store.list_with_delimiter(None).await.map_err(|error| self.failed(error))?;
        let mut groups: Vec<String> =
            listed.common_prefixes.iter().filter_map(|path| path.filename().map(str::to_owned)).collect();
        groups.sort();
        let mut found: Vec<(Option<i64>, bool, String)> = Vec::new();
        for other in groups {
            let newest = self.manifests(&format!("{other}/{of}")).await?.pop();
            // Names begin with the position.
            let position =
                newest.as_ref().and_then(|path| path.filename()).and_then(|name| name.get(..20)?.parse().ok());
            if newest.is_some() {
                found.push((position, other == group, other));
            }
        }
        found.sort();
        for (_, _, group) in found.into_iter().rev() {
            if let Some(snapshot) = self.get(&format!("{group}/{of}")).await? {
                return Ok(Some((group, snapshot)));
            }
        }
        Ok(None)
    }

    async fn read(&self, name: &str, path: &Path) -> Result<Snapshot, Unread> {
        let manifest = self.store.get(path).await?.bytes().await?;
        let manifest: Manifest =
            serde_json::from_slice(&manifest).map_err(|_| Unread::Damaged("its manifest cannot be read"))?;
        if manifest.bytes > BYTES_MAX {
            return Err(Unread::Damaged("it is too long"));
        }
        let pieces = manifest.pieces.iter().map(|hash| async move {
            let packed = self.store.get(&piece_path(name, hash)).await?.bytes().await?;
            let piece = zstd::bulk::decompress(&packed, PIECE_BYTES.2)
                .map_err(|_| Unread::Damaged("a piece of it cannot be unpacked"))?;
            if blake3::hash(&piece).to_hex().as_str() != hash.as_str() {
                return Err(Unread::Damaged("a piece of it is not what it was"));
            }
            Ok::<Vec<u8>, Unread>(piece)
        });
        let pieces: Vec<_> = pieces.collect();
        let mut bytes = Vec::with_capacity(usize::try_from(manifest.bytes).unwrap_or_default());
        let mut pieces = stream::iter(pieces).buffered(REQUESTS);
        while let Some(piece) = pieces.try_next().await? {
            bytes.extend_from_slice(&piece);
        }
        if bytes.len() as u64 != manifest.bytes {
            return Err(Unread::Damaged("pieces of it are missing"));
        }
        Ok(Snapshot { position: manifest.position, bytes })
    }

    /// Manifests of a name, oldest position first.
    async fn manifests(&self, name: &str) -> Result<Vec<Path>, LakeError> {
        let listed = self.store.list_with_delimiter(Some(&Path::from(name))).await;
        let mut paths: Vec<Path> =
            listed.map_err(|error| self.failed(error))?.objects.into_iter().map(|object| object.location).collect();
        paths.retain(|path| path.extension() == Some("json"));
        paths.sort();
        Ok(paths)
    }

    /// Hashes of the pieces that are there.
    async fn pieces(&self, name: &str) -> Result<BTreeSet<String>, LakeError> {
        let objects = self.store.list(Some(&Path::from(format!("{name}/pieces"))));
        let hash = |object: object_store::ObjectMeta| async move { Ok(object.location.filename().map(str::to_owned)) };
        objects.try_filter_map(hash).try_collect().await.map_err(|error| self.failed(error))
    }

    /// Removes manifests beyond those that are kept, and pieces that none of the kept ones has.
    async fn tidy(&self, name: &str) -> Result<(), LakeError> {
        let manifests = self.manifests(name).await?;
        let old = manifests.len().saturating_sub(KEPT);
        if old == 0 {
            return Ok(());
        }
        let mut needed = BTreeSet::new();
        for path in &manifests[old..] {
            let Ok(found) = self.store.get(path).await else { return Ok(()) };
            let bytes = found.bytes().await.map_err(|error| self.failed(error))?;
            let Ok(manifest) = serde_json::from_slice::<Manifest>(&bytes) else { continue };
            needed.extend(manifest.pieces);
        }
        let unneeded = self.pieces(name).await?.into_iter().filter(|hash| !needed.contains(hash));
        let gone = manifests[..old].iter().cloned().chain(unneeded.map(|hash| piece_path(name, &hash)));
        for path in gone {
            // What stays is removed the next time.
            self.store.delete(&path).await.ok();
        }
        Ok(())
    }

    fn failed(&self, source: object_store::Error) -> LakeError {
        LakeError::Store { root: self.root.clone(), source: Box::new(source) }
    }
}

fn piece_path(name: &str, hash: &str) -> Path {
    Path::from(format!("{name}/pieces/{hash}"))
}

/// Why a snapshot was not read.
#[derive(Debug)]
enum Unread {
    Damaged(&'static str),
    Store(object_store::Error),
}

impl From<object_store::Error> for Unread {
    fn from(error: object_store::Error) -> Self {
        match error {
            object_store::Error::NotFound { .. } => Self::Damaged("a piece of it is missing"),
            other => Self::Store(other),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::cast_possible_truncation)]
mod tests {
    use super::*;
    use object_store::memory::InMemory;

    fn store() -> StateStore {
        StateStore { root: "memory".to_owned(), store: Arc::new(InMemory::new()) }
    }

    fn state(seed: u64) -> Vec<u8> {
        let mut bytes = blake3_noise(2_000_000);
        bytes.extend_from_slice(&seed.to_le_bytes());
        bytes
    }

    #[tokio::test]
    async fn the_newest_whole_snapshot_is_read() {
        let store = store();
        assert_eq!(store.get("detect/0").await.unwrap(), None);
        for position in 1..=5 {
            store.put("detect/0", position, &state(position.unsigned_abs())).await.unwrap();
        }
        store.put("detect/1", 9, b"").await.unwrap();
        assert_eq!(store.get("detect/0").await.unwrap(), Some(Snapshot { position: 5, bytes: state(5) }));
        assert_eq!(store.get("detect/1").await.unwrap(), Some(Snapshot { position: 9, bytes: Vec::new() }));
        assert_eq!(store.manifests("detect/0").await.unwrap().len(), KEPT);
        let newest = store.manifests("detect/0").await.unwrap().pop().unwrap();
        let bytes = store.store.get(&newest).await.unwrap().bytes().await.unwrap();
        let manifest: Manifest = serde_json::from_slice(&bytes).unwrap();
        // The last piece is no other snapshot's.
        let piece = piece_path("detect/0", manifest.pieces.last().unwrap());
        store.store.put(&piece, PutPayload::from_static(b"damage")).await.unwrap();
        assert_eq!(store.get("detect/0").await.unwrap().unwrap().position, 4);
        store.store.delete(&newest).await.unwrap();
        assert_eq!(store.get("detect/0").await.unwrap().unwrap().position, 4);
    }

    #[tokio::test]
    async fn the_newest_of_all_groups_is_found() {
        let store = store();
        assert_eq!(store.newest("b", "detect-0").await.unwrap(), None);
        let puts = [("a/detect-0", 7), ("b/detect-0", 5), ("c/detect-1", 9)];
        for (name, position) in puts {
            store.put(name, position, name.as_bytes()).await.unwrap();
        }
        let newest = async |of: &str| {
            let found = store.newest("b", of).await.unwrap();
            found.map(|(group, snapshot)| (group, snapshot.position))
        };
        assert_eq!(newest("detect-0").await, Some(("a".to_owned(), 7)));
        store.put("b/detect-0", 7, b"").await.unwrap();
        assert_eq!(newest("detect-0").await, Some(("b".to_owned(), 7)));
        assert_eq!(newest("detect-1").await, Some(("c".to_owned(), 9)));
        assert_eq!(newest("correlate").await, None);
    }

    #[tokio::test]
    async fn only_what_changed_is_written() {
        let store = store();
        let mut bytes = blake3_noise(8_000_000);
        let first = store.put("a", 1, &bytes).await.unwrap();
        bytes[4_000_000] ^= 1;
        bytes.splice(2_000_000..2_000_000, [1, 2, 3]);
        let second = store.put("a", 2, &bytes).await.unwrap();
        assert!(first.bytes_out > 7_000_000, "{first:?}");
        assert!(second.bytes_out < 2_200_000 && second.bytes_out > 0, "{second:?}");
        assert_eq!(store.get("a").await.unwrap().unwrap().bytes, bytes);
    }

    fn blake3_noise(length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        blake3::Hasher::new().finalize_xof().fill(&mut bytes);
        bytes
    }
}
