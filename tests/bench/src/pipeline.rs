//! Benchmark `pipeline`: the stages normalise, store, detect and correlate of the real program, from a pre-filled topic of a real
//! Apache Kafka into the lake. The broker's CPU is another process's, and is not counted.

use crate::service::{self, Service};
use crate::{Arguments, policy, vpc};
use anyhow::Context;
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::BufWriter;
use std::time::Instant;
use tradewind_kafka_testkit::{Kafka, KafkaOptions};

const SEED: u64 = 20_260_115;

/// Runs the benchmark and prints what it cost.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let program = crate::ingest::program(arguments)?;
    let temporary = tempfile::tempdir().context("failed to make a temporary folder")?;
    let folder = service::folder(arguments, &temporary)?;
    fs::create_dir_all(folder.join("logs")).with_context(|| format!("failed to make {}", folder.display()))?;
    let lines = arguments.rows.unwrap_or(if arguments.quick { 500_000 } else { 5_000_000 });
    eprintln!("making {lines} lines");
    let file = folder.join("logs/vpc.log");
    let counts = vpc::write(&mut BufWriter::with_capacity(1 << 20, File::create(&file)?), lines, SEED)?;
    let kafka = broker()?;
    let mut settings =
        format!("[[source]]\ntype = \"file\"\nname = \"vpc\"\npaths = [\"{}\"]\n", file.canonicalize()?.display());
    if let Some(rules) = arguments.policy_rules {
        fs::write(folder.join("policy.toml"), policy::document(usize::try_from(rules)?))?;
        settings.push_str("[policy]\npath = \"policy.toml\"\n");
    }
    let service = Service { program, folder, brokers: kafka.bootstrap(), settings };
    let member = service.member("tradewind")?;
    member.finish(&["topics", "create"])?;
    eprintln!("filling the topic");
    let mut collect = member.start("collect")?;
    collect.until(|metrics| metrics["tradewind.collect.accepted"].as_u64() >= Some(counts.lines))?;
    collect.stop()?;
    eprintln!("measuring");
    let flows = counts.lines - counts.gaps;
    let begun = Instant::now();
    let mut stages = member.start("normalise,store,detect,correlate")?;
    stages.until(|metrics| {
        metrics["tradewind.store.flows"].as_u64() >= Some(flows)
            && metrics["tradewind.detect.flows"].as_u64() >= Some(flows)
    })?;
    let (cpu_seconds, (_, peak_rss_mb)) = (stages.cpu_seconds()?, stages.memory_mb()?);
    let wall_seconds = begun.elapsed().as_secs_f64();
    stages.stop()?;
    crate::tell(arguments, &report(flows, cpu_seconds, wall_seconds, peak_rss_mb));
    Ok(())
}

/// A broker for load.
///
/// # Errors
/// When there is none to be had.
pub(crate) fn broker() -> anyhow::Result<Kafka> {
    let options = KafkaOptions { is_optimised: true, heap_mib: 1024, ..KafkaOptions::default() };
    Kafka::start(options).map_err(|error| anyhow::anyhow!("no Kafka: {error}"))
}

fn report(flows: u64, cpu_seconds: f64, wall_seconds: f64, peak_rss_mb: f64) -> Value {
    #[allow(clippy::cast_precision_loss)] // A few million.
    let count = flows as f64;
    json!({
        "bench": "pipeline",
        "flows": flows,
        "cpu_seconds": cpu_seconds,
        "wall_seconds": wall_seconds,
        "flows_per_s_per_core": count / cpu_seconds,
        "cpu_ns_per_flow": cpu_seconds / count * 1e9,
        "flows_per_s": count / wall_seconds,
        "peak_rss_mb": peak_rss_mb,
        "seed": SEED,
    })
}
