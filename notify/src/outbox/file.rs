//! The file of the outbox: its tables, and errors with their place.

use crate::error::NotifyError;
use redb::{Database, DatabaseError, Key, ReadableDatabase as _, ReadableTable, TableDefinition};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::borrow::Borrow;
use std::path::{Path, PathBuf};

/// Of a place in the log the offset to go on from.
pub(super) const POSITIONS: TableDefinition<'_, &str, i64> = TableDefinition::new("positions");
/// Findings by id.
pub(super) const FINDINGS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("findings");
/// Incidents by id.
pub(super) const INCIDENTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("incidents");
/// What waits, by sink and number.
pub(super) const QUEUE: TableDefinition<'_, (&str, u64), &[u8]> = TableDefinition::new("queue");
/// What sinks know, by sink and incident.
pub(super) const KNOWN: TableDefinition<'_, (&str, &str), &[u8]> = TableDefinition::new("known");
/// What sinks refused, by sink and number.
pub(super) const DEAD: TableDefinition<'_, (&str, u64), &[u8]> = TableDefinition::new("dead");
/// What sinks did, by name.
pub(super) const SINKS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("sinks");
/// The layout of the file and the next number.
pub(super) const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");

/// Bytes that stay free on the disk: nothing is taken in that would use them, so that deliveries can be noted in any case. A write
/// that finds no room would end the use of the file, and what was delivered meanwhile would be delivered once more.
const ROOM: u64 = 32 << 20;

const FILE_NAME: &str = "outbox.redb";
const LAYOUT: &str = "layout";
const LAYOUT_VERSION: u64 = 1;

/// The file.
#[derive(Debug)]
pub(super) struct File {
    pub(super) database: Database,
    path: PathBuf,
}

impl File {
    /// Opens the file, or makes it.
    pub(super) fn open(folder: &Path) -> Result<Self, NotifyError> {
        let path = folder.join(FILE_NAME);
        let io = |error: std::io::Error| NotifyError::Outbox {
            path: path.clone(),
            source: Box::new(redb::Error::from(redb::StorageError::Io(error))),
        };
        std::fs::create_dir_all(folder).map_err(io)?;
        let database = match Database::create(&path) {
            Ok(database) => database,
            Err(DatabaseError::DatabaseAlreadyOpen) => return Err(NotifyError::InUse { path }),
            Err(error) => return Err(NotifyError::Outbox { path, source: Box::new(error.into()) }),
        };
        let file = Self { database, path };
        file.prepare()?;
        Ok(file)
    }

    fn prepare(&self) -> Result<(), NotifyError> {
        let found = (|| -> Result<u64, redb::Error> {
            let transaction = self.database.begin_write()?;
            let found = {
                let mut meta = transaction.open_table(META)?;
                let found = ReadableTable::get(&meta, LAYOUT)?.map(|value| value.value());
                if found.is_none() {
                    meta.insert(LAYOUT, LAYOUT_VERSION)?;
                }
                found
            };
            transaction.open_table(POSITIONS)?;
            transaction.open_table(FINDINGS)?;
            transaction.open_table(INCIDENTS)?;
            transaction.open_table(QUEUE)?;
            transaction.open_table(KNOWN)?;
            transaction.open_table(DEAD)?;
            transaction.open_table(SINKS)?;
            transaction.commit()?;
            Ok(found.unwrap_or(LAYOUT_VERSION))
        })()
        .map_err(|error| self.failed(error))?;
        if found != LAYOUT_VERSION {
            let message = format!("its layout is {found}, and this version knows {LAYOUT_VERSION}");
            return Err(self.damaged(message));
        }
        Ok(())
    }

    /// # Errors
    /// There is too little room on the disk to take anything in.
    pub(super) fn check_room(&self) -> Result<(), NotifyError> {
        // A file system that does not say how much is free says so when it is written to.
        let Ok(disk) = rustix::fs::statvfs(&self.path) else { return Ok(()) };
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        if free >= ROOM {
            return Ok(());
        }
        Err(NotifyError::Full { path: self.path.clone(), free_mb: free >> 20, wanted_mb: ROOM >> 20 })
    }

    /// Reads in one transaction.
    pub(super) fn read<T>(
        &self,
        work: impl FnOnce(&redb::ReadTransaction) -> Result<T, Fault>,
    ) -> Result<T, NotifyError> {
        let transaction = self.database.begin_read().map_err(|error| self.failed(error))?;
        work(&transaction).map_err(|fault| self.fault(fault))
    }

    /// Writes in one transaction; durable when it returns. Nothing is written where it fails.
    pub(super) fn write<T>(
        &self,
        work: impl FnOnce(&redb::WriteTransaction) -> Result<T, Fault>,
    ) -> Result<T, NotifyError> {
        let transaction = self.database.begin_write().map_err(|error| self.failed(error))?;
        let made = work(&transaction).map_err(|fault| self.fault(fault))?;
        transaction.commit().map_err(|error| self.failed(error))?;
        Ok(made)
    }

    fn failed(&self, error: impl Into<redb::Error>) -> NotifyError {
        NotifyError::Outbox { path: self.path.clone(), source: Box::new(error.into()) }
    }

    fn damaged(&self, message: String) -> NotifyError {
        NotifyError::Damaged { path: self.path.clone(), message }
    }

    fn fault(&self, fault: Fault) -> NotifyError {
        match fault {
            Fault::File(error) => self.failed(*error),
            Fault::Row(error) => self.damaged(error.to_string()),
        }
    }
}

/// What can go wrong within a transaction.
#[derive(Debug)]
pub(super) enum Fault {
    /// The file.
    File(Box<redb::Error>),
    /// What a row holds.
    Row(serde_json::Error),
}

impl From<serde_json::Error> for Fault {
    fn from(error: serde_json::Error) -> Self {
        Self::Row(error)
    }
}

impl From<redb::TableError> for Fault {
    fn from(error: redb::TableError) -> Self {
        Self::File(Box::new(error.into()))
    }
}

impl From<redb::StorageError> for Fault {
    fn from(error: redb::StorageError) -> Self {
        Self::File(Box::new(error.into()))
    }
}

/// The row of a key, if there is one.
pub(super) fn find<'k, K: Key + 'static, T: DeserializeOwned>(
    table: &impl ReadableTable<K, &'static [u8]>,
    key: impl Borrow<K::SelfType<'k>>,
) -> Result<Option<T>, Fault> {
    table.get(key)?.map(|value| row(value.value())).transpose()
}

/// A row from its bytes.
pub(super) fn row<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Fault> {
    Ok(serde_json::from_slice(bytes)?)
}

/// The bytes of a row.
pub(super) fn bytes(row: &impl Serialize) -> Result<Vec<u8>, Fault> {
    Ok(serde_json::to_vec(row)?)
}
