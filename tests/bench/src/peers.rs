//! The programs that the product is compared with: Polars and DuckDB, each at a pinned version in a virtual environment.

use anyhow::{Context, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The same versions as the tests read the lake with.
const REQUIREMENTS: &str = include_str!("../../../scripts/python-requirements.txt");
/// Holds the requirements that were installed, as scripts/python-env writes it.
const STAMP: &str = "requirements.installed";
/// Name and text of every script.
const SCRIPTS: [(&str, &str); 4] = [
    ("measure.py", include_str!("../peers/measure.py")),
    ("polars_peer.py", include_str!("../peers/polars_peer.py")),
    ("duckdb_peer.py", include_str!("../peers/duckdb_peer.py")),
    ("rows.py", include_str!("../peers/rows.py")),
];

/// Writes the scripts into the folder.
pub(crate) fn write_scripts(folder: &Path) -> anyhow::Result<()> {
    for (name, text) in SCRIPTS {
        let path = folder.join(name);
        fs::write(&path, text).with_context(|| format!("failed to write {}", path.display()))?;
    }
    Ok(())
}

/// The Python of the virtual environment in `folder`, which scripts/python-env makes too; made when it is missing or has
/// other versions.
pub(crate) fn environment(folder: &Path) -> anyhow::Result<PathBuf> {
    let (python, installed) = (folder.join("bin/python"), folder.join(STAMP));
    if fs::read_to_string(&installed).is_ok_and(|versions| versions == REQUIREMENTS) {
        return Ok(python);
    }
    eprintln!("making a Python environment with Polars and DuckDB in {}", folder.display());
    let advice = "is python3 with its venv module installed (Debian: python3-venv)? Or name a Python with --python";
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder)).context(advice)?;
    let requirements = folder.join("requirements.txt");
    fs::write(&requirements, REQUIREMENTS)?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"];
    run(Command::new(&python).args(pip).arg(&requirements))?;
    fs::write(&installed, REQUIREMENTS)?;
    Ok(python)
}

fn run(command: &mut Command) -> anyhow::Result<()> {
    let output = command.output().with_context(|| format!("failed to start {command:?}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?} failed: {said}{}", String::from_utf8_lossy(&output.stdout));
    Ok(())
}
