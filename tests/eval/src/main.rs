//! Judges detection on labelled flows: the shipped defaults, beside simple peers computed in the same run.
//!
//! It tunes nothing and reads no label before all scores are there. README.md has the protocol.
// The report is this program's output.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod all;
mod budget;
mod changed;
mod detector;
mod flows;
mod host_hours;
mod hybrid;
mod incidents;
mod metrics;
mod peers;
mod reader;
mod speed;
mod stream;
mod units;

use crate::peers::{Python, PythonArguments};
use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// Judge detection on labelled flows, with the shipped defaults, beside simple peers
#[derive(Debug, Parser)]
#[command(name = "tradewind-eval", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Everything below a folder: hybrid and its variants, injected streams, streams of edges, made-up networks; every peer in the
    /// same run
    ///
    /// DIR holds the folders hybrid, lateral-captures, darpa98, westermo, apt29-day1, nezha and the script inject.py, which
    /// needs python3. What is not there is skipped and said so. What is being done is told on standard error; the report, Markdown
    /// or JSON, goes to standard output. It takes about two minutes.
    All {
        #[command(flatten)]
        arguments: all::AllArguments,
    },
    /// Units of (source, 5 minutes) in labelled flows with episodes: average precision, episodes found, findings
    ///
    /// DIR holds flows.csv.gz or flows.csv with the columns ts (seconds), src, dst, label (0 or 1), and where there are:
    /// dport, proto, sbytes, dbytes, outcome (allowed, denied, failed) or state (Zeek's conn_state), episode,
    /// benign_kind. episodes.csv names the episodes, services.csv (service, ip) the services. Rows need no order.
    Hybrid {
        /// Folder with the flows
        dir: PathBuf,
        /// The first seconds only teach; they count from the first flow's time, rounded down to 100 s
        #[arg(long, default_value_t = 1570.9, value_name = "S", allow_negative_numbers = true)]
        train_seconds: f64,
        /// Move the grid of windows back by so many seconds: numbers that hang on the grid change
        #[arg(long, default_value_t = 0.0, value_name = "S", allow_negative_numbers = true)]
        shift_seconds: f64,
        #[command(flatten)]
        python: PythonArguments,
        /// Print one JSON object instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Single flows of a stream, scored as they come: area under the curve, edges a second, false alerts
    ///
    /// DIR holds edges.csv.gz (minute, src, dst, label), calls_*.csv.gz (ts, src, dst, operation; nothing labelled), or
    /// one or more flow files as for `hybrid`.
    Stream {
        /// Folder with the stream
        dir: PathBuf,
        #[command(flatten)]
        python: PythonArguments,
        /// Print one JSON object instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Weeks of a made-up network, without attacks and with thirty kinds of them: findings a day against the budget,
    /// calibration, recall
    Budget {
        /// Networks to make
        #[arg(long, default_value_t = budget::NETWORKS, value_parser = clap::value_parser!(u64).range(1..=1000))]
        seeds: u64,
        /// The first of them
        #[arg(long, default_value_t = 1, value_name = "SEED")]
        first_seed: u64,
        /// Days of each; attacks come in the second half
        #[arg(long, default_value_t = 14, value_parser = clap::value_parser!(i64).range(2..=60))]
        days: i64,
        /// Entities of each network
        #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(40..=100))]
        services: u64,
        /// Decide by this target of the false discovery rate instead of by the budget
        #[arg(long, value_name = "RATE")]
        fdr: Option<f64>,
        /// Change a setting below detect, such as beacon.is_enabled=false; may be given several times
        #[arg(long = "set", value_name = "KEY=VALUE")]
        changes: Vec<String>,
        /// Run each with attacks from the first day on, too, and tell what was found by day
        #[arg(long)]
        cold_start: bool,
        /// Let flows say what they ask, as a proxy's log does
        #[arg(long)]
        requests: bool,
        /// Print every finding, too
        #[arg(long)]
        findings: bool,
        /// Print one JSON object instead of a table
        #[arg(long)]
        json: bool,
    },
    /// What a flow costs on a made-up network: nanoseconds a flow, bytes of state an edge
    Speed {
        /// Edges of the network
        #[arg(long, default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(100..=10_000_000))]
        edges: u32,
        /// Flows of one edge in a window
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
        flows_per_edge: u32,
        /// Windows of five minutes
        #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=1000))]
        windows: u32,
        /// Change a setting below detect, as above
        #[arg(long = "set", value_name = "KEY=VALUE")]
        changes: Vec<String>,
        /// Print one JSON object instead of a line
        #[arg(long)]
        json: bool,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("tradewind-eval: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::All { arguments } => all::run(&arguments),
        Command::Hybrid { dir, train_seconds, shift_seconds, python, json } => {
            hybrid::run(&dir, train_seconds, shift_seconds, Python::of(&python)?.as_ref(), json)
        }
        Command::Stream { dir, python, json } => stream::run(&dir, Python::of(&python)?.as_ref(), json),
        Command::Budget {
            seeds,
            first_seed,
            days,
            services,
            fdr,
            changes,
            cold_start: has_cold_start,
            requests: has_requests,
            findings,
            json,
        } => {
            let seeds = first_seed..first_seed + seeds;
            let asked = budget::Asked { seeds, days, services, fdr, changes, has_requests, has_cold_start, findings };
            budget::run(&asked, json)
        }
        Command::Speed { edges, flows_per_edge, windows, changes, json } => {
            speed::run(edges, flows_per_edge, windows, &changes, json)
        }
    }
}
