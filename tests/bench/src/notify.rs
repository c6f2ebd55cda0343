//! Benchmark `notify`: how long a finding takes from the log to sinks that are well, under a constant load and after a burst, and how
//! many alerts a second go through the outbox.
//!
//! A producer of its own writes findings and incidents as stage `correlate` does; receivers in this process take whatever comes and
//! note when each finding is there. What receivers may refuse is not measured here.

use crate::Arguments;
use crate::sender::{connect, partition};
use crate::service::{self, Running, Service};
use crate::spread::Spread;
use anyhow::{Context, ensure};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tradewind_model::{Clock, SystemClock};
use tradewind_transport::{Log, Outgoing, Producer, Record};

/// Findings a second.
const RATE: u64 = 50;
/// Findings of the burst, all of them in one transaction.
const BURST: u64 = 1_000;
/// How long the last ones are waited for.
const PATIENCE: Duration = Duration::from_secs(120);
const SINKS: [&str; 3] = ["pager", "hook", "search"];
const PREFIX: &str = "bench-finding-";
const ROUTING_KEY: &str = "0123456789abcdef0123456789abcdef";

/// When each finding was at a receiver first, by its number; microseconds since 1970.
type Arrived = Arc<Mutex<BTreeMap<&'static str, HashMap<u64, i64>>>>;

/// Runs the benchmark and prints what it found.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let program = crate::ingest::program(arguments)?;
    let temporary = tempfile::tempdir().context("failed to make a temporary folder")?;
    let folder = service::folder(arguments, &temporary)?;
    let seconds = arguments.seconds.unwrap_or(if arguments.quick { 15 } else { 60 });
    let arrived = Arrived::default();
    let mut settings = "[notify]\noutbox = \"outbox\"\n".to_owned();
    for name in SINKS {
        let port = serve(name, Arc::clone(&arrived))?;
        let own = match name {
            "pager" => "type = \"pagerduty\"\nrouting_key = { file = \"key\" }",
            "hook" => "type = \"webhook\"",
            _ => "type = \"elastic\"",
        };
        settings.push_str(&format!("[[notify.sink]]\nname = \"{name}\"\n{own}\nurl = \"http://127.0.0.1:{port}\"\n"));
    }
    std::fs::write(folder.join("key"), ROUTING_KEY).context("failed to write a key")?;
    let kafka = crate::pipeline::broker()?;
    let service = Service { program, folder, brokers: kafka.bootstrap(), settings };
    let member = service.member("notify")?;
    member.finish(&["topics", "create"])?;
    let mut process = member.start("notify")?;
    let mut teller = Teller { producer: connect(&kafka.bootstrap())?.producer("bench")?, next: 0, written: Vec::new() };
    // The first ones wait until the process reads; they are not counted.
    teller.tell(10)?;
    wait(&arrived, &mut process, teller.next)?;
    let warm = teller.next;
    let cpu = process.cpu_seconds()?;
    let begun = Instant::now();
    for number in 0..seconds * RATE {
        std::thread::sleep(Duration::from_micros(number * 1_000_000 / RATE).saturating_sub(begun.elapsed()));
        teller.tell(1)?;
    }
    wait(&arrived, &mut process, teller.next)?;
    let cores = (process.cpu_seconds()? - cpu) / begun.elapsed().as_secs_f64();
    let steady = teller.next;
    let cpu = process.cpu_seconds()?;
    let begun = Instant::now();
    teller.tell(BURST)?;
    wait(&arrived, &mut process, teller.next)?;
    let burst_s = begun.elapsed().as_secs_f64();
    let burst_cpu = process.cpu_seconds()? - cpu;
    let (_, peak_rss_mb) = process.memory_mb()?;
    process.stop()?;
    let arrived = lock(&arrived);
    let mut report =
        json!({ "bench": "notify", "rate": RATE, "seconds": seconds, "cores": cores, "peak_rss_mb": peak_rss_mb });
    teller.report(&arrived, warm..steady, "", &mut report);
    teller.report(&arrived, steady..teller.next, "burst_", &mut report);
    let alerts = BURST * SINKS.len() as u64;
    #[allow(clippy::cast_precision_loss)] // A few thousand.
    let count = alerts as f64;
    report["burst_s"] = json!(burst_s);
    report["burst_alerts_per_s"] = json!((count / burst_s).round());
    report["burst_alerts_per_s_per_core"] = json!((count / burst_cpu).round());
    crate::tell(arguments, &report);
    Ok(())
}

/// Writes findings, each with an incident of its own.
struct Teller {
    producer: Box<dyn Producer>,
    next: u64,
    /// Of each finding when it was handed to Kafka, microseconds since 1970.
    written: Vec<i64>,
}

impl Teller {
    /// So many, in one transaction. They are in the log when it returns.
    fn tell(&mut self, count: u64) -> anyhow::Result<()> {
        let now = SystemClock.now();
        let record = |topic: &str, said: &Value| Outgoing {
            to: partition(topic, 0),
            record: Record { value: said.to_string().into(), timestamp: now, ..Record::default() },
        };
        let numbers = self.next..self.next + count;
        let findings = numbers.clone().map(|number| record("findings", &finding(number, now)));
        let incidents = numbers.clone().map(|number| record("incidents", &incident(number, now)));
        self.producer.write(findings.chain(incidents).collect(), None).context("failed to write findings")?;
        self.written.extend(numbers.map(|_| now));
        self.next += count;
        Ok(())
    }

    fn report(
        &self,
        arrived: &BTreeMap<&str, HashMap<u64, i64>>,
        numbers: std::ops::Range<u64>,
        prefix: &str,
        report: &mut Value,
    ) {
        let mut all = Spread::default();
        for name in SINKS {
            let mut spread = Spread::default();
            for number in numbers.clone() {
                let at = arrived.get(name).and_then(|arrived| arrived.get(&number));
                let written = usize::try_from(number).ok().and_then(|place| self.written.get(place));
                if let (Some(at), Some(written)) = (at, written) {
                    spread.add(at - written, 1);
                    all.add(at - written, 1);
                }
            }
            report[format!("{prefix}{name}_p99_s")] = json!(spread.permille_s(990));
        }
        report[format!("{prefix}findings")] = json!(numbers.end - numbers.start);
        for (name, permille) in [("p50_s", 500), ("p99_s", 990), ("max_s", 1_000)] {
            report[format!("{prefix}{name}")] = json!(all.permille_s(permille));
        }
    }
}

fn finding(number: u64, now: i64) -> Value {
    let entity = format!("prod/shop/agent/planner-{number}");
    let seen = json!({
        "detector": "destination", "src_entity": entity, "dst_entity": "prod/shop/service/payments", "dst_port": 443,
        "observed": "first contact", "expected": "none", "p_value": 1e-7,
    });
    let finding = json!({
        "finding_id": format!("{PREFIX}{number}."), "time": now, "first_seen": now, "last_seen": now, "entity": entity,
        "entity_kind": "agent", "behaviour": "destination", "severity": "high",
        "title": "agent planner contacts service payments:443 for the first time",
        "observed": "12 flows in 1 window, 4.0 kB sent", "expected": "never before; its 3 peers do not either",
        "baseline_since": now, "flow_count": 12, "window_count": 1, "p_value": 1e-7, "risk_score": 6.0,
        "technique": "T1021", "uncertain": "", "observations": [seen], "detector_version": 4,
        "evidence_query": "SELECT * FROM flows WHERE src_entity = 'prod/shop/agent/planner' AND dst_port = 443",
    });
    json!({ "recorded_time": now, "finding": finding })
}

fn incident(number: u64, now: i64) -> Value {
    let incident = json!({
        "incident_id": format!("bench-incident-{number}"), "state": "open", "opened": now, "updated": now, "resolved": null,
        "severity": "high", "title": "agent planner contacts service payments:443 for the first time",
        "findings": [format!("{PREFIX}{number}.")], "entities": ["prod/shop/agent/planner"], "flow_count": 12,
    });
    json!({ "recorded_time": now, "incident": incident })
}

/// Waits until so many findings are at every receiver.
fn wait(arrived: &Arrived, process: &mut Running, count: u64) -> anyhow::Result<()> {
    let begun = Instant::now();
    let wanted = usize::try_from(count)?;
    let is_there = || {
        let arrived = lock(arrived);
        SINKS.iter().all(|name| arrived.get(name).is_some_and(|arrived| arrived.len() >= wanted))
    };
    while !is_there() {
        process.check()?;
        ensure!(begun.elapsed() < PATIENCE, "not all findings are delivered: {}", process.member.said());
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

/// Serves a receiver for as long as this process lives. Its port.
fn serve(name: &'static str, arrived: Arrived) -> anyhow::Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let port = listener.local_addr()?.port();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let arrived = Arc::clone(&arrived);
            // A connection that ends is the client's own business.
            std::thread::spawn(move || converse(name, stream, &arrived).ok());
        }
    });
    Ok(port)
}

fn converse(name: &'static str, mut stream: TcpStream, arrived: &Arrived) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    loop {
        let mut length = 0;
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 {
                return Ok(());
            }
            let line = line.trim_end().to_ascii_lowercase();
            if let Some(said) = line.strip_prefix("content-length:") {
                length = said.trim().parse()?;
            }
            if line.is_empty() {
                break;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let now = SystemClock.now();
        let body = String::from_utf8_lossy(&body);
        {
            let mut all = lock(arrived);
            let arrived = all.entry(name).or_default();
            for number in body.split(PREFIX).skip(1).filter_map(|rest| rest.split('.').next()?.parse().ok()) {
                arrived.entry(number).or_insert(now);
            }
        }
        let (status, answer) = match name {
            "pager" => (202, "{\"status\":\"success\",\"message\":\"Event processed\"}".to_owned()),
            "hook" => (200, String::new()),
            _ => {
                let created = json!({ "create": { "status": 201, "result": "created" } });
                let items = vec![created; body.lines().count() / 2];
                (200, json!({ "took": 1, "errors": false, "items": items }).to_string())
            }
        };
        write!(stream, "HTTP/1.1 {status} OK\r\ncontent-length: {}\r\n\r\n{answer}", answer.len())?;
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
