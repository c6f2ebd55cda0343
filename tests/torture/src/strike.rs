//! Does faults to a system: several at a time, but one at a time to each thing, and takes them back.

use crate::faults::{Fault, Target, Trouble};
use crate::journal;
use crate::process::Process;
use crate::random::Random;
use crate::system::{KAFKA_PROXY, S3_PROXY, Servers, System};
use crate::told::say;
use anyhow::Context as _;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use tradewind_kafka_testkit::{Fault as RequestFault, FaultPlan, ServerError, Toxiproxy};

/// Bounds of the time between the starts of two faults, milliseconds.
const GAP_MS: (u64, u64) = (800, 5_000);
const COMPACTION_LIMIT: Duration = Duration::from_secs(60);

/// What was done.
#[derive(Debug, Default)]
pub(crate) struct Struck {
    pub(crate) kinds: BTreeMap<String, u64>,
    /// What went wrong with the faults themselves, or with what ran beside them.
    pub(crate) troubles: Vec<String>,
}

/// Does all of them. Returns when the last one is taken back.
pub(crate) fn strike(system: &System, faults: &[Fault], seed: u64) -> Struck {
    let mut random = Random::new(seed, "strikes");
    let targets: BTreeMap<Target, Mutex<()>> = faults.iter().map(|fault| (fault.target(), Mutex::new(()))).collect();
    let troubles = Mutex::new(Vec::new());
    let mut kinds = BTreeMap::new();
    thread::scope(|scope| {
        for (number, fault) in faults.iter().enumerate() {
            thread::sleep(Duration::from_millis(random.between(GAP_MS.0, GAP_MS.1)));
            let copy = random.next();
            let is_shared = fault.target() == Target::Process;
            let lock =
                || targets.get(&fault.target()).map(|target| target.lock().unwrap_or_else(PoisonError::into_inner));
            // What is under way there ends first, so that no heap of waiting faults comes down at the end.
            drop((!is_shared).then(lock));
            say(&format!("fault {} of {}: {fault:?}", number + 1, faults.len()));
            *kinds.entry(fault.kind()).or_default() += 1;
            let (targets, troubles) = (&targets, &troubles);
            scope.spawn(move || {
                let target = targets.get(&fault.target()).filter(|_| !is_shared);
                let _guard = target.map(|target| target.lock().unwrap_or_else(PoisonError::into_inner));
                if let Err(error) = run(system, *fault, copy) {
                    let trouble = format!("{fault:?}: {error:#}");
                    say(&trouble);
                    troubles.lock().unwrap_or_else(PoisonError::into_inner).push(trouble);
                }
            });
        }
    });
    Struck { kinds, troubles: troubles.into_inner().unwrap_or_else(PoisonError::into_inner) }
}

fn run(system: &System, fault: Fault, copy: u64) -> anyhow::Result<()> {
    match fault {
        Fault::Kill { stage } => process(system, stage, copy).kill(),
        Fault::Terminate { stage } => process(system, stage, copy).terminate(),
        Fault::Freeze { stage, seconds } => {
            let process = process(system, stage, copy);
            process.freeze();
            thread::sleep(Duration::from_secs(seconds));
            process.thaw();
        }
        Fault::Compact { killed_after_ms } => return compact(system, killed_after_ms.map(Duration::from_millis)),
        Fault::TornWrite { bytes } => {
            let process = process(system, "", copy);
            process.hold();
            let torn = journal::tear(&system.folder.join("log"), bytes, copy);
            process.release();
            return torn;
        }
        _ => {
            let servers = system.servers.as_ref().context("there are no servers to disturb")?;
            disturb(servers, fault, copy)?;
        }
    }
    Ok(())
}

/// One of the processes of a stage; the one process where it runs all stages.
fn process<'a>(system: &'a System, stage: &str, copy: u64) -> &'a Process {
    let named: Vec<&Process> = system.processes.iter().filter(|process| process.name.starts_with(stage)).collect();
    let place = usize::try_from(copy % named.len().max(1) as u64).unwrap_or_default();
    named.get(place).copied().unwrap_or(&system.processes[0])
}

fn disturb(servers: &Servers, fault: Fault, seed: u64) -> Result<(), ServerError> {
    let Servers { kafka, s3, toxiproxy, faulty } = servers;
    match fault {
        Fault::BrokerKill { down_ms } => {
            kafka.kill9();
            thread::sleep(Duration::from_millis(down_ms));
            // A machine under load may be too slow for it once.
            kafka.restart().or_else(|_| kafka.restart())
        }
        Fault::BrokerFreeze { seconds } => {
            kafka.pause()?;
            thread::sleep(Duration::from_secs(seconds));
            kafka.resume()
        }
        Fault::BrokerNetwork { trouble, seconds } => connection(toxiproxy, KAFKA_PROXY, trouble, seconds),
        Fault::StoreKill { down_ms } => {
            s3.kill9();
            thread::sleep(Duration::from_millis(down_ms));
            s3.restart().or_else(|_| s3.restart())
        }
        Fault::StoreErrors { per_thousand, seconds } => {
            let faults = vec![
                RequestFault::Status(500),
                RequestFault::Status(503),
                RequestFault::LoseRequest,
                RequestFault::LoseAnswer,
                RequestFault::Delay(Duration::from_secs(1)),
                RequestFault::Stall(Duration::from_secs(5)),
            ];
            faulty.set_plan(FaultPlan { seed, per_thousand, faults, ..FaultPlan::default() });
            thread::sleep(Duration::from_secs(seconds));
            faulty.set_plan(FaultPlan::default());
            Ok(())
        }
        Fault::StoreNetwork { trouble, seconds } => connection(toxiproxy, S3_PROXY, trouble, seconds),
        _ => Ok(()),
    }
}

fn connection(toxiproxy: &Toxiproxy, proxy: &str, trouble: Trouble, seconds: u64) -> Result<(), ServerError> {
    match trouble {
        Trouble::Cut => toxiproxy.cut(proxy)?,
        Trouble::Slow => toxiproxy.add_latency(proxy, 400)?,
        Trouble::Narrow => toxiproxy.bandwidth(proxy, 40)?,
        Trouble::Stalled => toxiproxy.stall(proxy)?,
        Trouble::Reset => toxiproxy.reset(proxy)?,
    }
    thread::sleep(Duration::from_secs(seconds));
    toxiproxy.heal(proxy)
}

/// Compacts beside everything else. It may fail while the store is disturbed; what it must not do is harm, and the judgement tells.
fn compact(system: &System, killed_after: Option<Duration>) -> anyhow::Result<()> {
    let mut child =
        system.command("compact", &["lake", "compact"], true)?.command()?.spawn().context("failed to start")?;
    let begun = Instant::now();
    let limit = killed_after.unwrap_or(COMPACTION_LIMIT);
    loop {
        if child.try_wait().context("failed to wait")?.is_some() {
            return Ok(());
        }
        if begun.elapsed() > limit {
            child.kill().context("failed to kill")?;
            child.wait().context("failed to wait")?;
            return Ok(());
        }
        thread::sleep(Duration::from_millis(20));
    }
}
