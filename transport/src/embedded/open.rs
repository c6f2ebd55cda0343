//! Opens the store: what was torn is cut off the journal first, and afterwards it is checked that everything is there which the
//! log knows to be there.

use super::codec::Mark;
use super::journal::{self, JournalError, Journals, Recovered};
use super::settings::EmbeddedSettings;
use super::state::State;
use super::store::{Floors, LoadError, Store, damaged, database_folder, disk_error};
use crate::error::LogError;
use std::path::Path;
use std::sync::Arc;

/// An open store with what is in it.
pub(super) struct Opened {
    pub(super) store: Store,
    pub(super) state: State,
    pub(super) mark: Option<Mark>,
    pub(super) recovered: Recovered,
}

/// Why a store cannot be opened.
pub(super) enum OpenError {
    Store(fjall::Error),
    Journal(JournalError),
    /// What is wrong.
    Damaged(String),
}

impl From<fjall::Error> for OpenError {
    fn from(error: fjall::Error) -> Self {
        Self::Store(error)
    }
}

impl From<JournalError> for OpenError {
    fn from(error: JournalError) -> Self {
        Self::Journal(error)
    }
}

impl OpenError {
    /// In the log's words.
    pub(super) fn into_log_error(self, folder: &Path) -> LogError {
        match self {
            Self::Store(fjall::Error::Locked) => in_use(folder),
            Self::Store(
                error @ (fjall::Error::Unrecoverable
                | fjall::Error::InvalidVersion(_)
                | fjall::Error::JournalRecovery(_)
                | fjall::Error::InvalidTrailer
                | fjall::Error::InvalidTag(_)
                | fjall::Error::Decompress(_)),
            ) => damaged(folder, &format!("{error:?}")),
            Self::Store(fjall::Error::Storage(error)) if std::error::Error::source(&error).is_none() => {
                damaged(folder, &format!("{error:?}"))
            }
            Self::Store(error) => disk_error("open", folder, Arc::new(error)),
            Self::Journal(JournalError::Io(path, error)) => LogError::Disk {
                what: format!("cannot read {} of the log in {}", path.display(), folder.display()),
                is_full: false,
                source: Box::new(error),
            },
            Self::Journal(JournalError::Damaged(detail)) | Self::Damaged(detail) => damaged(folder, &detail),
        }
    }
}

/// Another process has the folder.
pub(super) fn in_use(folder: &Path) -> LogError {
    LogError::Refused {
        what: format!("opening the log in {}", folder.display()),
        detail: "another process has it open, and only one may: stop that one, or give this one a folder of its own"
            .to_owned(),
    }
}

/// Opens or creates the store of a log's folder. Nobody else has it: the caller holds the folder's lock.
pub(super) fn open_store(
    folder: &Path,
    settings: &EmbeddedSettings,
    floors: &Arc<Floors>,
) -> Result<Opened, OpenError> {
    let database = database_folder(folder);
    let io_error = |error| OpenError::Journal(JournalError::Io(database.clone(), error));
    if database.is_dir() && !database.join("version").is_file() {
        let has_tables = database.join("keyspaces").join("1").exists();
        if has_tables {
            return Err(OpenError::Damaged(format!("{} has no version file", database.display())));
        }
        // It was killed while it was made for the first time: nothing was ever written to it.
        std::fs::remove_dir_all(&database).map_err(io_error)?;
    }
    std::fs::create_dir_all(&database).map_err(io_error)?;
    let mut journals = journal::examine(&database)?;
    let mut store = open_cutting(&database, settings, floors, &mut journals)?;
    let (state, mark) = store.load().map_err(|error| match error {
        LoadError::Store(error) => OpenError::Store(error),
        LoadError::Entry(kind) => OpenError::Damaged(format!("an entry ({kind}) is missing or cannot be read")),
    })?;
    check(&store, &state, mark, &journals)?;
    Ok(Opened { store, state, mark, recovered: journals.recovered })
}

/// Opens the database. Where it says that a checksum is wrong, the last batch is cut if that may be torn, and nothing else: if it still
/// says so, the batch is put back.
fn open_cutting(
    database: &Path,
    settings: &EmbeddedSettings,
    floors: &Arc<Floors>,
    journals: &mut Journals,
) -> Result<Store, OpenError> {
    let refused = match Store::open(database, settings, floors) {
        Ok(store) => return Ok(store),
        Err(error @ fjall::Error::JournalRecovery(_)) => error,
        Err(error) => return Err(error.into()),
    };
    let Some((path, at)) = journals.unsynced.take() else { return Err(refused.into()) };
    let bytes = journal::cut(&path, at)?;
    match Store::open(database, settings, floors) {
        Ok(store) => {
            let written = bytes.len() - bytes.iter().rev().take_while(|byte| **byte == 0).count();
            let cut = journal::count(journals.last, u64::try_from(written).unwrap_or(u64::MAX));
            journals.recovered.writes += cut.writes;
            journals.recovered.records += cut.records;
            journals.recovered.bytes += cut.bytes;
            // The one before it is the last now.
            journals.last = None;
            Ok(store)
        }
        Err(_) => {
            journal::put_back(&path, at, &bytes)?;
            Err(refused.into())
        }
    }
}

/// Whether the store holds what the journals and the log's own data say.
fn check(store: &Store, state: &State, mark: Option<Mark>, journals: &Journals) -> Result<(), OpenError> {
    let stored = mark.map_or(0, |mark| mark.number);
    if let Some(last) = journals.last
        && stored != last.number
    {
        return Err(OpenError::Damaged(format!(
            "its journal ends with batch {}, its tables with batch {stored}",
            last.number
        )));
    }
    if let Some((topic, partition, offset)) = store.missing_end(state)? {
        return Err(OpenError::Damaged(format!("record {offset} of {topic}/{partition} is missing")));
    }
    Ok(())
}
