//! Named benchmarks: each makes its own data, runs the product and its peers on it in one call, and prints the ratios.
//!
//! Absolute numbers depend on the machine; budgets are ratios measured in one run. README.md has data and commands.
// The report is this program's output.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod envoy;
mod estate;
mod ingest;
mod latency;
mod marks;
mod notify;
mod page;
mod pager;
mod peers;
mod pipeline;
mod policy;
mod process;
mod random;
mod report;
mod restore;
mod sampler;
mod sender;
mod service;
mod snapshots;
mod spread;
mod tally;
mod vpc;
mod watch;

use clap::{Parser, ValueEnum};
use serde_json::Value;
use std::path::PathBuf;

/// Runs one benchmark.
#[derive(Debug, Parser)]
#[command(name = "tradewind-bench", version)]
struct Arguments {
    /// Which benchmark.
    name: Name,
    /// A tenth of the data; ends within 45 seconds on two cores.
    #[arg(long)]
    quick: bool,
    /// Prints one JSON object instead of a table.
    #[arg(long)]
    json: bool,
    /// How many VPC lines to make; Envoy lines keep their proportion [default: 5000000, with --quick 500000].
    #[arg(long, value_parser = clap::value_parser!(u64).range(1000..=100_000_000))]
    rows: Option<u64>,
    /// `ingest`, `pipeline`: has the flows checked against a declared policy of about so many rules.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    policy_rules: Option<u32>,
    /// `latency`: flows a second.
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(100..=1_000_000))]
    rate: u64,
    /// `latency`, `notify`: how long that load lasts, seconds [default: 60, with --quick 15].
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: Option<u64>,
    /// `latency`: all stages in one process, instead of one process each.
    #[arg(long)]
    together: bool,
    /// `restore`: how many edges detection knows [default: 1000000, with --quick 100000].
    #[arg(long, value_parser = clap::value_parser!(u64).range(10_000..=6_000_000))]
    edges: Option<u64>,
    /// `page`: how many attacks [default: 200, with --quick 20].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    attacks: Option<u32>,
    /// How often each program runs on each file [default: 3, with --quick 1].
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=99))]
    repetitions: Option<u16>,
    /// Keeps the data, lakes and the peers' files in this folder.
    #[arg(long, value_name = "DIR")]
    keep: Option<PathBuf>,
    /// The program under test [default: `tradewind` beside this program].
    #[arg(long, env = "TRADEWIND_BIN", value_name = "FILE")]
    tradewind: Option<PathBuf>,
    /// A Python with the peers installed [default: that of the virtual environment]
    #[arg(long, env = "TRADEWIND_PYTHON", value_name = "FILE")]
    python: Option<PathBuf>,
    /// The virtual environment with the peers, made where it is missing [default: `venv` in the target folder]
    #[arg(long, env = "TRADEWIND_VENV", value_name = "DIR")]
    venv: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Name {
    /// Log files into the lake, against Polars and DuckDB writing Parquet.
    Ingest,
    /// Stages normalise, store, detect and correlate from a pre-filled topic of a real Kafka into the lake.
    Pipeline,
    /// From a record in Kafka to the row in the lake and to the finding, under a constant load; memory of each stage meanwhile.
    Latency,
    /// From a line of a followed Envoy log to the page of PagerDuty's stand-in.
    Page,
    /// The check of the declared policy, in memory.
    Policy,
    /// Detection killed and started again with many edges known; size and cost of its snapshots.
    Restore,
    /// From a finding in Kafka to sinks that are well, under a constant load and after a burst.
    Notify,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    match arguments.name {
        Name::Ingest => ingest::run(&arguments),
        Name::Pipeline => pipeline::run(&arguments),
        Name::Latency => latency::run(&arguments),
        Name::Page => page::run(&arguments),
        Name::Policy => policy::run(&arguments),
        Name::Restore => restore::run(&arguments),
        Name::Notify => notify::run(&arguments),
    }
}

/// Prints a flat result as it was asked for.
fn tell(arguments: &Arguments, report: &Value) {
    if arguments.json {
        println!("{report:#}");
        return;
    }
    for (key, value) in report.as_object().into_iter().flatten() {
        println!("{key:28} {value}");
    }
}
