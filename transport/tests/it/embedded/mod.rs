//! The embedded log: the conformance suite, and what only it has to do with its disk.

mod damage;
mod disk;
mod handles;
mod kill;
mod model;

use crate::conformance::{Subject, conformance};
use std::path::Path;
use tradewind_transport::embedded::{Embedded, EmbeddedSettings};

conformance!(subject);

fn subject() -> Option<Subject> {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    let maintained = log.clone();
    Some(Subject {
        log: Box::new(log),
        prefix: "case".to_owned(),
        maintain: Some(Box::new(move |now| {
            maintained.maintain(now).unwrap();
        })),
        _keep: Box::new(folder),
    })
}

/// Opens a log with the default settings.
fn open(folder: &Path) -> Embedded {
    Embedded::open(folder, &EmbeddedSettings::default()).unwrap()
}
