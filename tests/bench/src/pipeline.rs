//! Benchmark `pipeline`: the stages normalise, store, detect and correlate of the real program, from a pre-filled topic of a real
//! Apache Kafka into the lake. The broker's CPU is another process's, and is not counted.

use crate::{Arguments, policy, vpc};
use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};
use std::fs::{self, File};
use std::io::{BufWriter, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tradewind_kafka_testkit::{Kafka, KafkaOptions};

const SEED: u64 = 20_260_115;
/// Clock ticks a second of `/proc` (`getconf CLK_TCK`): 100 on every Linux that Rust runs on here.
const TICKS: f64 = 100.0;
/// How long a step may take.
const PATIENCE: Duration = Duration::from_secs(900);

/// Runs the benchmark and prints what it cost.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let program = crate::ingest::program(arguments)?;
    let temporary = tempfile::tempdir().context("failed to make a temporary folder")?;
    let folder = arguments.keep.as_deref().unwrap_or(temporary.path());
    fs::create_dir_all(folder.join("logs")).with_context(|| format!("failed to make {}", folder.display()))?;
    let lines = arguments.rows.unwrap_or(if arguments.quick { 500_000 } else { 5_000_000 });
    eprintln!("making {lines} lines");
    let file = folder.join("logs/vpc.log");
    let counts = vpc::write(&mut BufWriter::with_capacity(1 << 20, File::create(&file)?), lines, SEED)?;
    let options = KafkaOptions { is_optimised: true, heap_mib: 1024, ..KafkaOptions::default() };
    let kafka = Kafka::start(options).map_err(|error| anyhow::anyhow!("no Kafka: {error}"))?;
    let bench = Bench { program, folder: folder.to_owned(), pages: free_address()? };
    bench.configure(&kafka, &file, arguments.policy_rules)?;
    bench.finish(&["topics", "create"])?;
    eprintln!("filling the topic");
    let mut collect = bench.start(&["run", "--stages", "collect"])?;
    bench.until(&mut collect, |metrics| metrics["tradewind.collect.accepted"].as_u64() >= Some(counts.lines))?;
    stop(&mut collect)?;
    eprintln!("measuring");
    let flows = counts.lines - counts.gaps;
    let begun = Instant::now();
    let mut stages = bench.start(&["run", "--stages", "normalise,store,detect,correlate"])?;
    bench.until(&mut stages, |metrics| {
        metrics["tradewind.store.flows"].as_u64() >= Some(flows)
            && metrics["tradewind.detect.flows"].as_u64() >= Some(flows)
    })?;
    let (cpu_seconds, peak_rss_mb) = cost(&stages)?;
    let wall_seconds = begun.elapsed().as_secs_f64();
    stop(&mut stages)?;
    let report = report(flows, cpu_seconds, wall_seconds, peak_rss_mb);
    match arguments.json {
        true => println!("{report:#}"),
        false => {
            for (key, value) in report.as_object().into_iter().flatten() {
                println!("{key:24} {value}");
            }
        }
    }
    Ok(())
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

struct Bench {
    program: PathBuf,
    folder: PathBuf,
    pages: SocketAddr,
}

impl Bench {
    fn configure(&self, kafka: &Kafka, file: &Path, policy_rules: Option<u32>) -> anyhow::Result<()> {
        let mut text = format!(
            "[run]\nlisten = \"{}\"\n[transport]\nlog = \"kafka\"\n[transport.kafka]\nbrokers = [\"{}\"]\n\
             [[source]]\ntype = \"file\"\nname = \"vpc\"\npaths = [\"{}\"]\n",
            self.pages,
            kafka.bootstrap(),
            file.display()
        );
        if let Some(rules) = policy_rules {
            fs::write(self.folder.join("policy.toml"), policy::document(usize::try_from(rules)?))?;
            text.push_str("[policy]\npath = \"policy.toml\"\n");
        }
        fs::write(self.folder.join("tradewind.toml"), text).context("failed to write the configuration")
    }

    fn command(&self, arguments: &[&str]) -> anyhow::Result<Command> {
        let mut command = Command::new(&self.program);
        let said = File::options().create(true).append(true).open(self.folder.join("tradewind.log"))?;
        command.args(arguments).current_dir(&self.folder).stdin(Stdio::null()).stdout(said.try_clone()?).stderr(said);
        Ok(command)
    }

    fn finish(&self, arguments: &[&str]) -> anyhow::Result<()> {
        ensure!(self.command(arguments)?.status()?.success(), "`{}` failed: {}", arguments.join(" "), self.said());
        Ok(())
    }

    fn start(&self, arguments: &[&str]) -> anyhow::Result<Running> {
        Ok(Running(self.command(arguments)?.spawn().context("failed to start the program")?))
    }

    fn said(&self) -> String {
        fs::read_to_string(self.folder.join("tradewind.log")).unwrap_or_default()
    }

    /// Waits until the numbers of the program are so.
    fn until(&self, running: &mut Running, is_so: impl Fn(&Value) -> bool) -> anyhow::Result<()> {
        let begun = Instant::now();
        loop {
            if self.metrics().is_some_and(|metrics| is_so(&metrics)) {
                return Ok(());
            }
            if let Some(status) = running.0.try_wait()? {
                bail!("the program ended with {status}: {}", self.said());
            }
            ensure!(begun.elapsed() < PATIENCE, "it takes too long: {}", self.said());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn metrics(&self) -> Option<Value> {
        let mut stream = TcpStream::connect(self.pages).ok()?;
        stream.write_all(b"GET /status HTTP/1.0\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let status: Value = serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()?;
        Some(status["metrics"].clone())
    }
}

/// A program that is killed when it is not needed any more.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn stop(running: &mut Running) -> anyhow::Result<()> {
    Command::new("kill").args(["-s", "TERM", &running.0.id().to_string()]).status()?;
    running.0.wait()?;
    Ok(())
}

/// User and system time in seconds, and the largest resident set in MB, of a process that runs.
fn cost(running: &Running) -> anyhow::Result<(f64, f64)> {
    let process = PathBuf::from("/proc").join(running.0.id().to_string());
    let stat = fs::read_to_string(process.join("stat"))?;
    // The name of the program is in brackets, and may hold anything.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |place: usize| fields.get(place).and_then(|field| field.parse::<f64>().ok()).context("unreadable stat");
    let status = fs::read_to_string(process.join("status"))?;
    let peak =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse::<f64>().ok());
    Ok(((ticks(11)? + ticks(12)?) / TICKS, peak.context("unreadable status")? * 1024.0 / 1e6))
}

fn free_address() -> anyhow::Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}
