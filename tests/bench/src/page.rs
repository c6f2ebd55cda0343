//! Benchmark `page`: the whole way on one machine, from a line that an Envoy proxy appends to its log to the page that wakes
//! somebody. The service follows the file, all stages are in one process, PagerDuty is a stand-in.
//!
//! Each attack is the first call of an agent to a service that it may not reach; agents and services of different attacks differ,
//! so that each is an incident of its own. Around them the ordinary calls of a shop go on.

use crate::Arguments;
use crate::pager::Pager;
use crate::random::Random;
use crate::service;
use crate::spread::Spread;
use anyhow::{Context as _, bail, ensure};
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tradewind_model::time::rfc3339;
use tradewind_model::{Clock as _, SystemClock};

const SEED: u64 = 7_015;
/// Ordinary calls a second.
const CALLS: u64 = 200;
/// How often lines are appended.
const TICK: Duration = Duration::from_millis(10);
/// Time between two attacks at least; as much again is drawn.
const ATTACK_EVERY: Duration = Duration::from_millis(200);
/// Ordinary services.
const SERVICES: u64 = 20;
/// How long the start and the last pages are waited for.
const PATIENCE: Duration = Duration::from_secs(30);
const POLICY: &str = "version = 1\n\n[defaults]\nservice = \"allow\"\n";

/// Runs the benchmark and prints what it found.
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let program = crate::ingest::program(arguments)?;
    let temporary = tempfile::tempdir().context("failed to make a temporary folder")?;
    let folder = service::folder(arguments, &temporary)?;
    let attacks = arguments.attacks.unwrap_or(if arguments.quick { 20 } else { 200 });
    let pager = Pager::start()?;
    configure(&folder, attacks, &pager)?;
    let mut process = start(&program, &folder)?;
    let measured = measure(&folder, attacks, &pager, &mut process);
    process.kill().ok();
    process.wait().ok();
    let told = measured?;
    let mut spread = Spread::default();
    told.values().for_each(|&time| spread.add(time, 1));
    let opened = pager.events().iter().filter(|(_, event)| event["event_action"] == "trigger").count();
    let mut report = json!({ "attacks": attacks, "paged": told.len(), "triggers": opened, "calls_per_second": CALLS });
    report["line_to_page"] = spread.json();
    crate::tell(arguments, &report);
    ensure!(told.len() as u64 == u64::from(attacks), "only {} of {attacks} attacks were told", told.len());
    Ok(())
}

fn configure(folder: &Path, attacks: u32, pager: &Pager) -> anyhow::Result<()> {
    let mut inventory = "address,entity,kind,namespace\n".to_owned();
    for number in 0..SERVICES {
        writeln!(inventory, "{},shop-{number},service,shop", usual(number))?;
    }
    for number in 0..attacks {
        writeln!(inventory, "{},{},agent,bots", address(20, number), attacker(number))?;
        writeln!(inventory, "{},vault-{number:04},service,secrets", address(40, number))?;
    }
    fs::create_dir_all(folder.join("logs"))?;
    File::create(folder.join("logs/access.log"))?;
    fs::write(folder.join("inventory.csv"), inventory)?;
    fs::write(folder.join("policy.toml"), POLICY)?;
    fs::write(folder.join("key"), "0123456789abcdef0123456789abcdef")?;
    let pages = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let settings = format!(
        "[run]\nlisten = \"{pages}\"\n[inventory]\nfile = \"inventory.csv\"\n[policy]\npath = \"policy.toml\"\n\
         [[source]]\ntype = \"file\"\nname = \"access\"\npaths = [\"{}/logs/*.log\"]\n\
         [[notify.sink]]\nname = \"pager\"\ntype = \"pagerduty\"\nrouting_key = {{ file = \"key\" }}\nurl = \"http://{}\"\n",
        folder.display(),
        pager.address
    );
    fs::write(folder.join("tradewind.toml"), settings).context("failed to write the configuration")
}

fn start(program: &Path, folder: &Path) -> anyhow::Result<Child> {
    let log = File::create(folder.join("run.log"))?;
    let mut command = Command::new(program);
    command.arg("--config").arg(folder.join("tradewind.toml")).arg("run").current_dir(folder);
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    command.spawn().context("failed to start the program")
}

/// From the appending of its first line to the page, microseconds, by attack.
fn measure(folder: &Path, attacks: u32, pager: &Pager, process: &mut Child) -> anyhow::Result<BTreeMap<u32, i64>> {
    let mut file = File::options().append(true).open(folder.join("logs/access.log"))?;
    let mut random = Random::new(SEED);
    // The first calls: the service has begun when it tells of an attack before all others.
    let (begun, mut attacked) = (Instant::now(), BTreeMap::new());
    let (mut calls, mut next) = (0, Duration::from_secs(5));
    while attacked.len() < attacks as usize {
        let elapsed = begun.elapsed();
        let mut text = String::new();
        let due = u64::try_from(elapsed.as_millis())? * CALLS / 1000;
        for call in calls..due {
            let (client, server) = (call % SERVICES, (call / SERVICES + call) % SERVICES);
            line(&mut text, &usual(client), &usual(server), SystemClock.now())?;
        }
        calls = due;
        if elapsed >= next {
            let number = u32::try_from(attacked.len())?;
            attacked.insert(number, SystemClock.now());
            line(&mut text, &address(20, number), &address(40, number), SystemClock.now())?;
            next = elapsed + ATTACK_EVERY + ATTACK_EVERY.mul_f64(random.below(1000) as f64 / 1000.0);
        }
        file.write_all(text.as_bytes())?;
        if let Some(status) = process.try_wait()? {
            bail!("the program ended with {status}: {}", fs::read_to_string(folder.join("run.log"))?);
        }
        std::thread::sleep((elapsed + TICK).saturating_sub(begun.elapsed()));
    }
    let ended = Instant::now();
    loop {
        let told = told(pager, &attacked);
        if told.len() == attacked.len() || ended.elapsed() > PATIENCE {
            return Ok(told);
        }
        std::thread::sleep(TICK);
    }
}

/// How long it took until the first page that names each attacker.
fn told(pager: &Pager, attacked: &BTreeMap<u32, i64>) -> BTreeMap<u32, i64> {
    let mut told = BTreeMap::new();
    for (time, event) in pager.events() {
        let text = event.to_string();
        for (&number, &since) in attacked {
            if text.contains(&attacker(number)) {
                told.entry(number).or_insert(time - since);
            }
        }
    }
    told
}

fn attacker(number: u32) -> String {
    format!("agent-{number:04}")
}

fn address(network: u32, number: u32) -> String {
    format!("10.{network}.{}.{}", number / 250, number % 250 + 1)
}

fn usual(number: u64) -> String {
    format!("10.10.0.{}", number + 1)
}

/// A line of Istio's JSON log, as the proxy of the server writes it.
fn line(text: &mut String, client: &str, server: &str, now: i64) -> std::fmt::Result {
    let time = rfc3339(now);
    writeln!(
        text,
        "{{\"bytes_received\":120,\"bytes_sent\":900,\"downstream_local_address\":\"{server}:8080\",\
         \"downstream_remote_address\":\"{client}:40112\",\"duration\":3,\"method\":\"GET\",\"path\":\"/items\",\
         \"protocol\":\"HTTP/1.1\",\"response_code\":200,\"response_code_details\":\"via_upstream\",\"response_flags\":\"-\",\
         \"start_time\":\"{time}\",\"upstream_cluster\":\"inbound|8080||\",\"upstream_host\":\"{server}:8080\"}}"
    )
}
