//! Rules of the repository that the compiler does not know: who may depend on whom, how files begin, what no file says.
//!
//! Each rule is a pure function from text to complaints; this file reads the repository and applies them.

mod graph;
mod sources;
mod words;

use crate::generate;
use crate::repository::{cargo, files, root, text};
use anyhow::{Context, Result, bail, ensure};

/// Applies every rule, prints what was found, and fails when anything was.
pub(crate) fn run() -> Result<()> {
    let found = inspect()?;
    for advice in &found.advice {
        println!("advice: {advice}");
    }
    for complaint in &found.complaints {
        println!("error: {complaint}");
    }
    match found.complaints.len() {
        0 => Ok(()),
        1 => bail!("1 rule is broken"),
        number => bail!("{number} rules are broken"),
    }
}

#[derive(Debug, Default)]
struct Found {
    /// What must be mended.
    complaints: Vec<String>,
    /// What would be better otherwise.
    advice: Vec<String>,
}

fn inspect() -> Result<Found> {
    let mut found = Found::default();
    found.complaints.extend(graph::check(&metadata()?)?);
    for path in files()? {
        let name = path.to_string_lossy();
        let Some(text) = text(&path)? else { continue };
        found.complaints.extend(words::check(&name, &text));
        if name.ends_with(".rs") {
            found.complaints.extend(sources::check(&name, &text));
            found.advice.extend(sources::advise(&name, &text));
        }
        if name.ends_with("Cargo.toml") {
            found.complaints.extend(sources::check_manifest(&name, &text));
        }
    }
    for (path, expected) in generate::pages()? {
        if std::fs::read_to_string(root().join(path)).ok().as_deref() != Some(&expected) {
            found.complaints.push(format!("{path} is stale: run `cargo xtask reference`"));
        }
    }
    Ok(found)
}

fn metadata() -> Result<serde_json::Value> {
    let output = cargo()
        .args(["metadata", "--format-version", "1", "--no-deps", "--locked"])
        .current_dir(root())
        .output()
        .context("failed to start cargo metadata")?;
    ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr).trim());
    serde_json::from_slice(&output.stdout).context("failed to read the answer of cargo metadata")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_repository_is_tidy() {
        let found = inspect().expect("the repository can be read");
        assert!(found.complaints.is_empty(), "\n{}\n", found.complaints.join("\n"));
    }
}
