//! Reads the tables of a lake by `tradewind sql`, as a user would.

use crate::oracle::Row;
use crate::system::System;
use anyhow::{Context as _, bail};
use serde_json::Value;
use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

/// A read may come while a commit is under way.
const ATTEMPTS: u32 = 4;
/// Columns of a finding that hang on when it was written, not on what it says: the beginning of detection is known once its first
/// window is complete, and what is told early may be told before.
const UNSTABLE: [&str; 2] = ["recorded_time", "replay_from"];
/// How the title begins of what was told early and taken back: whether anything was told early hangs on the order of records.
const WITHDRAWN: &str = "withdrawn: ";

/// Rows of table `flows`.
///
/// # Errors
/// When the query fails.
pub(crate) fn flows(system: &System) -> anyhow::Result<Vec<Row>> {
    let query = "SELECT account, src_ip, dst_ip, src_port, dst_port, coalesce(bytes_out, bytes_in) AS bytes FROM flows";
    let text = ask(system, "csv", query)?;
    let rows = text.lines().skip(1).map(|line| {
        let mut words = line.split(',').map(str::to_owned);
        let mut next = || words.next().unwrap_or_default();
        Row { account: next(), src: next(), dst: next(), src_port: next(), dst_port: next(), bytes: next() }
    });
    Ok(rows.collect())
}

/// Texts in table `dead_letters`.
///
/// # Errors
/// When the query fails.
pub(crate) fn letters(system: &System) -> anyhow::Result<Vec<String>> {
    let rows = objects(&ask(system, "ndjson", "SELECT raw FROM dead_letters")?)?;
    Ok(rows.into_iter().map(|row| row["raw"].as_str().unwrap_or_default().to_owned()).collect())
}

/// How many rows `flows` and `dead_letters` have.
///
/// # Errors
/// When the query fails.
pub(crate) fn counts(system: &System) -> anyhow::Result<(u64, u64)> {
    let query = "SELECT (SELECT count(*) FROM flows) AS flows, (SELECT count(*) FROM dead_letters) AS letters";
    let rows = objects(&ask(system, "ndjson", query)?)?;
    let count = |name: &str| rows.first().and_then(|row| row[name].as_u64()).unwrap_or_default();
    Ok((count("flows"), count("letters")))
}

/// The last row of each finding that stands, by its id, without what hangs on when it was written; and how many rows there are.
///
/// # Errors
/// When the query fails.
pub(crate) fn findings(system: &System) -> anyhow::Result<(BTreeMap<String, Value>, usize)> {
    let mut rows = objects(&ask(system, "ndjson", "SELECT * FROM findings ORDER BY recorded_time")?)?;
    let count = rows.len();
    let mut last = BTreeMap::new();
    for row in &mut rows {
        if let Some(fields) = row.as_object_mut() {
            UNSTABLE.iter().for_each(|name| drop(fields.remove(*name)));
        }
        last.insert(row["finding_id"].as_str().unwrap_or_default().to_owned(), row.take());
    }
    last.retain(|_, row| !row["title"].as_str().unwrap_or_default().starts_with(WITHDRAWN));
    Ok((last, count))
}

fn objects(text: &str) -> anyhow::Result<Vec<Value>> {
    text.lines().map(|line| serde_json::from_str(line).context("a row is no JSON")).collect()
}

fn ask(system: &System, format: &str, query: &str) -> anyhow::Result<String> {
    let program = system.command("sql", &["-o", format, "sql", query], false)?;
    let mut attempt = 1;
    loop {
        let mut command = Command::new(&program.path);
        command.args(&program.arguments).envs(program.environment.iter().map(|(key, value)| (key, value)));
        let output = command.stdin(Stdio::null()).output().context("failed to start tradewind")?;
        if output.status.success() {
            return String::from_utf8(output.stdout).context("the answer is no text");
        }
        if attempt == ATTEMPTS {
            bail!("`{query}` failed: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        attempt += 1;
        thread::sleep(Duration::from_millis(500));
    }
}
