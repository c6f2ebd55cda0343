//! The steps of CI: each starts one `cargo` command and fails with it.
//!
//! All use the profile `ci` and the committed lock file, so that they share what they compile.

use crate::repository::{cargo, root};
use crate::tidy;
use anyhow::{Context, Result, bail};
use std::process::{Command, Stdio};
use std::time::Instant;

type Step = fn() -> Result<()>;

/// The steps of `cargo xtask ci`, cheap ones first.
const CI: &[(&str, Step)] =
    &[("fmt", fmt), ("clippy", clippy), ("tidy", tidy::run), ("doc", doc), ("deny", deny), ("test", test)];

/// The step of that name.
pub(crate) fn find(name: &str) -> Option<Step> {
    let others: &[(&str, Step)] = &[("bench-check", bench_check)];
    CI.iter().chain(others).find(|(known, _)| *known == name).map(|(_, step)| *step)
}

/// Runs every step; stops at the first that fails.
pub(crate) fn ci() -> Result<()> {
    for (name, step) in CI {
        println!("== {name}");
        let started = Instant::now();
        step().with_context(|| format!("step {name} failed"))?;
        println!("== {name}: {:.1} s", started.elapsed().as_secs_f64());
    }
    Ok(())
}

fn fmt() -> Result<()> {
    run(cargo().args(["fmt", "--all", "--check"]))
}

fn clippy() -> Result<()> {
    run(cargo()
        .args(["clippy", "--workspace", "--all-targets", "--profile", "ci", "--locked"])
        .args(["--", "-D", "warnings"]))
}

fn doc() -> Result<()> {
    run(cargo()
        .args(["doc", "--workspace", "--no-deps", "--profile", "ci", "--locked"])
        .env("RUSTDOCFLAGS", "-D warnings"))
}

fn test() -> Result<()> {
    run(cargo().args(["test", "--workspace", "--profile", "ci", "--locked", "--no-fail-fast"]))
}

/// Advisories are left out: their database is fetched, and a check must give the same answer without a network.
fn deny() -> Result<()> {
    let probe = cargo().args(["deny", "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    if !probe.is_ok_and(|status| status.success()) {
        println!("SKIPPED: cargo-deny is not installed (cargo install --locked cargo-deny)");
        return Ok(());
    }
    run(cargo().args(["deny", "--locked", "--offline", "check", "bans", "licenses", "sources"]))
}

fn bench_check() -> Result<()> {
    run(cargo().args(["build", "--workspace", "--bin", "tradewind-bench", "--profile", "ci", "--locked"]))
}

fn run(command: &mut Command) -> Result<()> {
    let shown = format!("{command:?}");
    let status = command.current_dir(root()).status().with_context(|| format!("failed to start {shown}"))?;
    if !status.success() {
        bail!("{shown}: {status}");
    }
    Ok(())
}
