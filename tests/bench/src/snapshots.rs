//! Reads the snapshots of detection that lie beside a lake's tables, as files: how large they are. What is in them is not known
//! here.

use anyhow::Context;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// What a manifest says.
#[derive(Debug, Deserialize)]
struct Manifest {
    bytes: u64,
    pieces: Vec<String>,
}

/// The newest snapshot of one state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Newest {
    /// Name of its manifest: another one for each snapshot.
    pub(crate) name: String,
    /// Bytes of the state.
    pub(crate) bytes: u64,
    /// Bytes of the objects that hold it.
    pub(crate) packed: u64,
}

/// The newest snapshots by the names of the states, such as `detect-0`.
///
/// # Errors
/// When they cannot be read.
pub(crate) fn newest(lake: &Path) -> anyhow::Result<BTreeMap<String, Newest>> {
    let mut found = BTreeMap::new();
    for generation in folders(&lake.join("_state")) {
        for state in folders(&generation) {
            let name = state.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            // One that is removed meanwhile has a successor.
            if let Some(newest) = of_state(&state)? {
                found.insert(name, newest);
            }
        }
    }
    Ok(found)
}

fn of_state(folder: &Path) -> anyhow::Result<Option<Newest>> {
    let manifests = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let Some(path) = manifests.filter(|path| path.extension().is_some_and(|extension| extension == "json")).max()
    else {
        return Ok(None);
    };
    let Ok(text) = fs::read(&path) else { return Ok(None) };
    let manifest: Manifest = serde_json::from_slice(&text).context("failed to read a manifest")?;
    let pieces = manifest.pieces.iter().map(|piece| fs::metadata(folder.join("pieces").join(piece)));
    let packed = pieces.flatten().map(|metadata| metadata.len()).sum();
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Ok(Some(Newest { name, bytes: manifest.bytes, packed }))
}

fn folders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.filter(|path| path.is_dir()).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_last_manifest_counts() {
        let lake = tempfile::tempdir().unwrap();
        assert!(newest(lake.path()).unwrap().is_empty());
        let state = lake.path().join("_state/0123/detect-0");
        fs::create_dir_all(state.join("pieces")).unwrap();
        fs::write(state.join("pieces/a"), [0; 30]).unwrap();
        fs::write(state.join("pieces/b"), [0; 12]).unwrap();
        fs::write(state.join("00001-x.json"), r#"{"position":1,"bytes":50,"pieces":["b"]}"#).unwrap();
        fs::write(state.join("00002-y.json"), r#"{"position":2,"bytes":90,"pieces":["a","b"]}"#).unwrap();
        let expected = Newest { name: "00002-y.json".to_owned(), bytes: 90, packed: 42 };
        assert_eq!(newest(lake.path()).unwrap(), BTreeMap::from([("detect-0".to_owned(), expected)]));
    }
}
