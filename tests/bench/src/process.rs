//! Runs programs as whole processes and tells what each cost. The measuring is done by peers/measure.py, since the
//! standard library has no `wait4`.

use anyhow::{Context, bail, ensure};
use serde::{Deserialize, Serialize};
use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// On how many cores each program runs.
pub(crate) const CORES: u8 = 2;

/// What one run of a program cost.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(crate) struct Cost {
    exit_code: i32,
    /// User and system time of the process and its threads.
    pub(crate) cpu_seconds: f64,
    pub(crate) wall_seconds: f64,
    /// Largest resident set.
    pub(crate) peak_rss_bytes: u64,
}

/// Runs programs.
#[derive(Debug)]
pub(crate) struct Runner {
    /// The Python that measures, and that has the peers.
    pub(crate) python: PathBuf,
    /// Where the scripts are and the output of programs goes.
    pub(crate) folder: PathBuf,
}

impl Runner {
    /// Runs the program to its end; gives its cost and standard output.
    ///
    /// # Errors
    /// When it cannot be started or ends with another code than 0; then with the end of its standard error.
    pub(crate) fn run(&self, command: &[&OsStr]) -> anyhow::Result<(Cost, String)> {
        let shown = command.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ");
        let (stdout, stderr) = (self.folder.join("stdout"), self.folder.join("stderr"));
        let output = Command::new(&self.python)
            .arg(self.folder.join("measure.py"))
            .arg(CORES.to_string())
            .args([&stdout, &stderr])
            .args(command)
            .env("POLARS_MAX_THREADS", CORES.to_string())
            .output()
            .with_context(|| format!("failed to start {}", self.python.display()))?;
        if !output.status.success() {
            bail!("failed to measure `{shown}`: {}", String::from_utf8_lossy(&output.stderr));
        }
        let cost: Cost = serde_json::from_slice(&output.stdout).context("failed to read what measure.py printed")?;
        ensure!(cost.exit_code == 0, "`{shown}` ended with {}: {}", cost.exit_code, tail(&fs::read(&stderr)?));
        let printed = fs::read(&stdout).with_context(|| format!("failed to read what `{shown}` printed"))?;
        Ok((cost, String::from_utf8(printed).with_context(|| format!("`{shown}` printed no text"))?))
    }
}

/// The last 2,000 bytes.
fn tail(bytes: &[u8]) -> String {
    String::from_utf8_lossy(&bytes[bytes.len().saturating_sub(2_000)..]).trim().to_owned()
}
