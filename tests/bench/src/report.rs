//! Turns the runs of a benchmark into medians and ratios, as a table and as flat JSON.

use crate::process::{CORES, Cost};
use crate::tally::Counts;
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::fmt;

/// One repetition: everybody once on one file.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Run {
    pub(crate) ours: Cost,
    /// Bytes of the files of table flows.
    pub(crate) flow_bytes: u64,
    /// Bytes of the whole lake with its logs and other tables.
    pub(crate) lake_bytes: u64,
    pub(crate) polars: Cost,
    pub(crate) polars_startup: Cost,
    pub(crate) polars_bytes: u64,
    pub(crate) duckdb: Cost,
    pub(crate) duckdb_startup: Cost,
    pub(crate) duckdb_bytes: u64,
}

/// All repetitions on one file.
#[derive(Debug)]
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    pub(crate) counts: Counts,
    pub(crate) runs: Vec<Run>,
}

impl Workload {
    /// The middle value over the repetitions; with an even number of them the lower of the two.
    fn median(&self, value: impl Fn(&Run) -> f64) -> f64 {
        let mut values: Vec<f64> = self.runs.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        values.get((values.len().max(1) - 1) / 2).copied().unwrap_or(f64::NAN)
    }

    fn flows(&self) -> f64 {
        (self.counts.lines - self.counts.gaps) as f64
    }

    /// Key and value of everything that is reported about this file; keys lack the file's name.
    fn figures(&self) -> Vec<(&'static str, f64)> {
        let net = |cost: Cost, startup: Cost| cost.cpu_seconds - startup.cpu_seconds;
        let flows = self.flows();
        let peak = |cost: fn(&Run) -> Cost| self.runs.iter().map(|run| cost(run).peak_rss_bytes).max().unwrap_or(0);
        let megabytes = |bytes: u64| bytes as f64 / 1e6;
        vec![
            ("cpu_vs_polars", self.median(|run| run.ours.cpu_seconds / net(run.polars, run.polars_startup))),
            ("cpu_vs_duckdb", self.median(|run| run.ours.cpu_seconds / net(run.duckdb, run.duckdb_startup))),
            ("cpu_vs_polars_with_startup", self.median(|run| run.ours.cpu_seconds / run.polars.cpu_seconds)),
            ("cpu_vs_duckdb_with_startup", self.median(|run| run.ours.cpu_seconds / run.duckdb.cpu_seconds)),
            ("cpu_ns_per_flow", self.median(|run| run.ours.cpu_seconds * 1e9 / flows)),
            ("bytes_per_flow", self.median(|run| run.flow_bytes as f64 / flows)),
            ("lake_bytes_per_flow", self.median(|run| run.lake_bytes as f64 / flows)),
            ("peak_rss_mb", megabytes(peak(|run| run.ours))),
            ("polars_peak_rss_mb", megabytes(peak(|run| run.polars))),
            ("duckdb_peak_rss_mb", megabytes(peak(|run| run.duckdb))),
            ("cpu_seconds", self.median(|run| run.ours.cpu_seconds)),
            ("polars_cpu_seconds", self.median(|run| run.polars.cpu_seconds)),
            ("duckdb_cpu_seconds", self.median(|run| run.duckdb.cpu_seconds)),
            ("polars_startup_cpu_seconds", self.median(|run| run.polars_startup.cpu_seconds)),
            ("duckdb_startup_cpu_seconds", self.median(|run| run.duckdb_startup.cpu_seconds)),
            ("wall_seconds", self.median(|run| run.ours.wall_seconds)),
            ("polars_wall_seconds", self.median(|run| run.polars.wall_seconds)),
            ("duckdb_wall_seconds", self.median(|run| run.duckdb.wall_seconds)),
            ("polars_bytes_per_flow", self.median(|run| run.polars_bytes as f64 / flows)),
            ("duckdb_bytes_per_flow", self.median(|run| run.duckdb_bytes as f64 / flows)),
        ]
    }
}

/// The result of one call.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) is_quick: bool,
    pub(crate) repetitions: u16,
    pub(crate) seed: u64,
    pub(crate) workloads: Vec<Workload>,
}

impl Report {
    /// Flat keys such as `vpc_cpu_vs_polars`; `bytes_per_flow`, `peak_rss_mb` and `cpu_ns_per_flow` without a prefix are
    /// those of the VPC file. The single runs are under `runs`.
    pub(crate) fn json(&self) -> serde_json::Result<Value> {
        let mut object = Map::new();
        object.insert("bench".to_owned(), json!("ingest"));
        object.insert("quick".to_owned(), json!(self.is_quick));
        object.insert("repetitions".to_owned(), json!(self.repetitions));
        object.insert("cores".to_owned(), json!(CORES));
        object.insert("seed".to_owned(), json!(self.seed));
        let mut runs = Map::new();
        for workload in &self.workloads {
            let name = workload.name;
            for (key, value) in workload.figures() {
                if name == "vpc" && ["bytes_per_flow", "peak_rss_mb", "cpu_ns_per_flow"].contains(&key) {
                    object.insert(key.to_owned(), json!(rounded(value)));
                }
                object.insert(format!("{name}_{key}"), json!(rounded(value)));
            }
            object.insert(format!("{name}_data"), serde_json::to_value(workload.counts)?);
            runs.insert(name.to_owned(), serde_json::to_value(&workload.runs)?);
        }
        object.insert("runs".to_owned(), Value::Object(runs));
        Ok(Value::Object(object))
    }
}

/// To four digits after the point.
fn rounded(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = if self.is_quick { "quick" } else { "full" };
        write!(formatter, "ingest ({kind}): seed {}, {CORES} cores, medians of {} runs", self.seed, self.repetitions)?;
        for workload in &self.workloads {
            let figures = workload.figures();
            let figure =
                |key: &str| figures.iter().find(|(name, _)| *name == key).map_or(f64::NAN, |(_, value)| *value);
            writeln!(formatter, "\n\n{}: {}", workload.name, workload.counts)?;
            writeln!(
                formatter,
                "{:<10} {:>9} {:>11} {:>9} {:>9} {:>12} {:>9} {:>13} {:>15}",
                "",
                "CPU s",
                "start-up s",
                "wall s",
                "peak MB",
                "bytes/flow",
                "ns/flow",
                "ours : theirs",
                "with start-up"
            )?;
            for (label, prefix) in [("Tradewind", ""), ("Polars", "polars_"), ("DuckDB", "duckdb_")] {
                let of = |key: &str| figure(&format!("{prefix}{key}"));
                let (cpu, is_ours) = (of("cpu_seconds"), prefix.is_empty());
                let startup = if is_ours { 0.0 } else { of("startup_cpu_seconds") };
                write!(
                    formatter,
                    "{label:<10} {cpu:>9.2} {startup:>11.2} {:>9.2} {:>9.0} {:>12.2} {:>9.0}",
                    of("wall_seconds"),
                    of("peak_rss_mb"),
                    of("bytes_per_flow"),
                    (cpu - startup) * 1e9 / workload.flows(),
                )?;
                if !is_ours {
                    let against = format!("cpu_vs_{}", prefix.trim_end_matches('_'));
                    write!(formatter, " {:>12.2}×", figure(&against))?;
                    write!(formatter, " {:>14.2}×", figure(&format!("{against}_with_startup")))?;
                }
                writeln!(formatter)?;
            }
            write!(formatter, "the whole lake: {:.2} bytes/flow", figure("lake_bytes_per_flow"))?;
        }
        Ok(())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn cost(cpu_seconds: f64) -> Cost {
        let text =
            format!(r#"{{"exit_code":0,"cpu_seconds":{cpu_seconds},"wall_seconds":1.0,"peak_rss_bytes":2000000}}"#);
        serde_json::from_str(&text).unwrap()
    }

    fn report() -> Report {
        let run = |ours: f64| Run {
            ours: cost(ours),
            flow_bytes: 900,
            lake_bytes: 1_800,
            polars: cost(2.5),
            polars_startup: cost(0.5),
            polars_bytes: 450,
            duckdb: cost(5.0),
            duckdb_startup: cost(1.0),
            duckdb_bytes: 450,
        };
        let counts = Counts { lines: 100, gaps: 10, bytes: 1, addresses: 1, ports: 1, pairs: 1 };
        let workload = Workload { name: "vpc", counts, runs: vec![run(9.0), run(1.0), run(3.0)] };
        Report { is_quick: true, repetitions: 3, seed: 1, workloads: vec![workload] }
    }

    #[test]
    fn ratios_take_start_up_off_and_are_medians() {
        let json = report().json().unwrap();
        let check = |key: &str, expected: f64| assert_eq!(json[key].as_f64(), Some(expected), "{key}");
        check("vpc_cpu_vs_polars", 1.5);
        check("vpc_cpu_vs_polars_with_startup", 1.2);
        check("vpc_cpu_vs_duckdb", 0.75);
        check("bytes_per_flow", 10.0);
        check("vpc_lake_bytes_per_flow", 20.0);
        check("peak_rss_mb", 2.0);
        check("cpu_ns_per_flow", 33_333_333.333_3);
    }

    #[test]
    fn table_shows_the_same() {
        let table = report().to_string();
        for part in ["1.50×", "1.20×", "0.75×", "the whole lake: 20.00 bytes/flow", "100 lines (10 gaps)"] {
            assert!(table.contains(part), "{part} is missing:\n{table}");
        }
    }
}
