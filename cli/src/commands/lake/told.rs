//! What the commands of the lake print.

use crate::output::{OutputFormat, summary};
use indicatif::{HumanBytes, HumanCount};
use serde_json::{Value, json as value};
use tradewind_model::time::rfc3339;
use tradewind_storage::compact::CompactReport;
use tradewind_storage::expire::ExpireReport;
use tradewind_storage::status::LakeStatus;
use tradewind_storage::verify::VerifyReport;

pub(super) fn status(status: &LakeStatus, output: Option<OutputFormat>) -> anyhow::Result<()> {
    let tables: Vec<Value> = status
        .tables
        .iter()
        .map(|table| {
            value!({
                "table": table.table,
                "rows": table.rows,
                "files": table.files,
                "small_files": table.small_files,
                "bytes": table.bytes,
                "first_day": table.days.as_ref().map(|days| &days.0),
                "last_day": table.days.as_ref().map(|days| &days.1),
                "version": table.version,
                "commit_time": table.commit_time.map(rfc3339),
                "log_entries": table.log_entries,
                "log_bytes": table.log_bytes,
                "streams": table.transactions,
            })
        })
        .collect();
    let lines = || {
        let mut lines = Vec::new();
        for table in &status.tables {
            let days = table.days.as_ref().map_or_else(String::new, |(first, last)| format!(", {first} to {last}"));
            lines.push(format!(
                "{}: {} rows in {} files ({} small), {}{days}",
                table.table,
                HumanCount(table.rows),
                HumanCount(table.files),
                HumanCount(table.small_files),
                HumanBytes(table.bytes),
            ));
            let commit = table.commit_time.map_or_else(|| "never".to_owned(), rfc3339);
            lines.push(format!(
                "  version {}, committed {commit}; log: {} entries, {}",
                table.version,
                HumanCount(table.log_entries),
                HumanBytes(table.log_bytes)
            ));
            for (stream, next) in &table.transactions {
                lines.push(format!("  {stream}: up to {next}"));
            }
        }
        lines
    };
    summary(&value!({ "tables": tables }), lines, output)
}

pub(super) fn compacted(report: &CompactReport, output: Option<OutputFormat>) -> anyhow::Result<()> {
    let tables: Vec<Value> = report
        .tables
        .iter()
        .map(|table| {
            value!({
                "table": table.table,
                "files_in": table.files_in,
                "files_out": table.files_out,
                "rows": table.rows,
                "bytes_in": table.bytes_in,
                "bytes_out": table.bytes_out,
                "commits": table.groups,
                "conflicts": table.conflicts,
                "skipped": table.skipped,
            })
        })
        .collect();
    let object = value!({
        "tables": tables,
        "is_left_to_another": report.is_left_to_another,
        "is_stopped": report.is_stopped,
    });
    let lines = || {
        let mut lines: Vec<String> = report
            .tables
            .iter()
            .map(|table| {
                format!(
                    "{}: {} files became {}, {} became {}, {} rows",
                    table.table,
                    HumanCount(table.files_in),
                    HumanCount(table.files_out),
                    HumanBytes(table.bytes_in),
                    HumanBytes(table.bytes_out),
                    HumanCount(table.rows)
                )
            })
            .collect();
        if lines.is_empty() {
            lines.push("there is nothing to compact".to_owned());
        }
        if report.is_left_to_another {
            lines.push("another compaction is at work: the rest is left to it".to_owned());
        }
        if report.is_stopped {
            lines.push("stopped; what was done stays, and running it again goes on".to_owned());
        }
        lines
    };
    summary(&object, lines, output)
}

pub(super) fn expired(report: &ExpireReport, dry_run: bool, output: Option<OutputFormat>) -> anyhow::Result<()> {
    let tables: Vec<Value> = report
        .tables
        .iter()
        .map(|table| {
            value!({
                "table": table.table,
                "days": table.days,
                "files": table.files,
                "rows": table.rows,
                "bytes": table.bytes,
                "deleted_files": table.deleted_files,
                "deleted_bytes": table.deleted_bytes,
            })
        })
        .collect();
    let lines = || {
        let (leave, deleted) = if dry_run { ("would leave", "would be deleted") } else { ("left", "deleted") };
        let mut lines = Vec::new();
        for table in &report.tables {
            if let (Some(first), Some(last)) = (table.days.first(), table.days.last()) {
                lines.push(format!(
                    "{}: {} days {leave}, {first} to {last}: {} rows, {}",
                    table.table,
                    table.days.len(),
                    HumanCount(table.rows),
                    HumanBytes(table.bytes)
                ));
            }
            if table.deleted_files > 0 {
                lines.push(format!(
                    "{}: {} files that no table holds {deleted}, {}",
                    table.table,
                    HumanCount(table.deleted_files),
                    HumanBytes(table.deleted_bytes)
                ));
            }
        }
        if lines.is_empty() {
            lines.push("there is nothing to take out".to_owned());
        }
        lines
    };
    summary(&value!({ "dry_run": dry_run, "tables": tables }), lines, output)
}

pub(super) fn verified(report: &VerifyReport, output: Option<OutputFormat>) -> anyhow::Result<()> {
    let problems: Vec<Value> = report
        .problems
        .iter()
        .map(|problem| value!({ "table": problem.table, "subject": problem.subject, "fault": problem.fault }))
        .collect();
    let object = value!({
        "files": report.files,
        "rows": report.rows,
        "stream_ranges": report.stream_ranges,
        "positions": report.positions,
        "problems": problems,
    });
    let lines = || {
        let mut lines: Vec<String> = report
            .problems
            .iter()
            .map(|problem| format!("{} {}: {}", problem.table, problem.subject, problem.fault))
            .collect();
        lines.push(format!(
            "{} files with {} rows, {} commits of streams and the positions of {} rows were looked at",
            HumanCount(report.files),
            HumanCount(report.rows),
            HumanCount(report.stream_ranges),
            HumanCount(report.positions)
        ));
        lines
    };
    summary(&object, lines, output)
}
