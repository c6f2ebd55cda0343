//! What several crates' tests share: where the samples and the labelled data are, and made-up networks.

pub mod scenario;

use std::io::Write as _;
use std::path::PathBuf;

/// The folder with samples and labelled data: `TRADEWIND_SHARED`, else `../shared` beside the checkout.
#[must_use]
pub fn shared_dir() -> Option<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..");
    let dir = std::env::var_os("TRADEWIND_SHARED").map_or_else(|| root.join("../shared"), PathBuf::from);
    let dir = if dir.is_absolute() { dir } else { root.join(dir) };
    dir.is_dir().then_some(dir)
}

/// A file or folder below [`shared_dir`]; where it is absent it says on standard error that the test skips.
#[must_use]
pub fn shared(path: &str) -> Option<PathBuf> {
    let found = shared_dir().map(|dir| dir.join(path)).filter(|path| path.exists());
    if found.is_none() {
        skipped(&format!("{path} is not in the shared folder (set TRADEWIND_SHARED)"));
    }
    found
}

/// Says on standard error that a test does not run and why. Not by `eprintln!`, which the test harness keeps to itself
/// when a test passes.
pub fn skipped(why: &str) {
    // A test that cannot even say so still must not fail for it.
    writeln!(std::io::stderr(), "SKIPPED: {why}").ok();
}
