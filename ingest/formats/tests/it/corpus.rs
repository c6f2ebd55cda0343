//! The corpora of the fuzz targets, replayed by the ordinary tests: seeds, and inputs that once were a problem.

use crate::corpus_checks::{TARGETS, check};
use std::fs;
use std::panic::catch_unwind;
use std::path::Path;
use tradewind_formats::Counts;

/// Checks every input of a target's corpus; together they must show flows as well as rejects.
fn replay(target: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut counts = Counts::default();
    for file in files {
        let input = fs::read(&file).unwrap();
        let checked = catch_unwind(|| check(target, &input));
        counts.add(checked.unwrap_or_else(|_| panic!("{} does not hold", file.display())));
    }
    assert!(counts.flows > 0 && counts.rejected > 0, "{target}: {counts:?}");
}

#[test]
fn every_corpus_holds() {
    for (target, _) in TARGETS {
        replay(target);
    }
}
