//! Where the servers' programs are: `scripts/servers` knows, and fetches or builds what is missing.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use crate::ServerError;

/// `EX_UNAVAILABLE` of sysexits.h, with which `scripts/servers` says that this machine cannot have the part.
const UNAVAILABLE: i32 = 69;

/// The path that `scripts/servers PART` prints. The first call on a machine takes up to minutes; a process asks once.
///
/// # Errors
/// [`ServerError::Unavailable`] where the machine lacks what it takes.
pub(crate) fn program(part: &'static str) -> Result<PathBuf, ServerError> {
    static ANSWERS: Mutex<BTreeMap<&str, Result<PathBuf, ServerError>>> = Mutex::new(BTreeMap::new());
    // Held while the script runs: a registry that cannot be reached is tried by one test, not by all at once.
    let mut answers = ANSWERS.lock().unwrap_or_else(PoisonError::into_inner);
    answers.entry(part).or_insert_with(|| ask(part)).clone()
}

fn ask(part: &'static str) -> Result<PathBuf, ServerError> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts/servers");
    let unavailable = |reason: String| ServerError::Unavailable { part, reason };
    let output = Command::new(&script)
        .arg(part)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| unavailable(format!("{} does not run: {error}", script.display())))?;
    let said = String::from_utf8_lossy(&output.stderr);
    match output.status.code() {
        Some(0) => Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim())),
        Some(UNAVAILABLE) => Err(unavailable(said.trim().trim_start_matches("servers: ").to_owned())),
        _ => Err(ServerError::request(format!("scripts/servers {part}"), &said.trim())),
    }
}
