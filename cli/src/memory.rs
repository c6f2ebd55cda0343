//! The memory of connections during an import: so that a connection counts once, whichever files, observers and earlier
//! imports tell of it.

use anyhow::Context as _;
use std::collections::hash_map::RandomState;
use std::collections::{BTreeSet, HashSet};
use std::hash::{BuildHasher as _, Hasher as _};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock};
use tokio::runtime::Handle;
use tradewind_model::FlowBatch;
use tradewind_model::flow::{
    CONNECTION_START_TIME, DATE, DST_ENTITY, DST_IP, DST_NETWORK, DST_PORT, END_TIME, IS_LEAD,
    IS_SRC_DST_ASSIGNMENT_KNOWN, OBSERVER, OPENS, ORIENTATION, POST_NAT_DST_IP, POST_NAT_DST_PORT, POST_NAT_SRC_IP,
    POST_NAT_SRC_PORT, PROTOCOL_NUM, RECORD_KIND, SOURCE, SRC_ENTITY, SRC_IP, SRC_NETWORK, SRC_PORT, START_TIME,
    TCP_FLAGS, VANTAGE,
};
use tradewind_model::time::{DAY, HOUR};
use tradewind_normalise::{Connect, ConnectCounts, ConnectScratch, ConnectSettings};
use tradewind_storage::Lake;
use tradewind_storage::replay::Wanted::{self, Number, Text};

/// What connect reads of a stored flow.
const COLUMNS: [Wanted; 25] = [
    Number(START_TIME),
    Number(END_TIME),
    Number(CONNECTION_START_TIME),
    Text(SRC_NETWORK),
    Text(DST_NETWORK),
    Text(SRC_IP),
    Number(SRC_PORT),
    Text(DST_IP),
    Number(DST_PORT),
    Text(POST_NAT_SRC_IP),
    Number(POST_NAT_SRC_PORT),
    Text(POST_NAT_DST_IP),
    Number(POST_NAT_DST_PORT),
    Number(PROTOCOL_NUM),
    Number(TCP_FLAGS),
    Text(SRC_ENTITY),
    Text(DST_ENTITY),
    Text(SOURCE),
    Text(OBSERVER),
    Text(VANTAGE),
    Text(RECORD_KIND),
    Text(ORIENTATION),
    Number(IS_SRC_DST_ASSIGNMENT_KNOWN),
    Number(OPENS),
    Number(IS_LEAD),
];
/// Hours of one batch whose stored flows are looked up, at most: times come from the network.
const HOURS_MAX: usize = 1_000;
/// What failed when it fails.
const READING: &str = "failed to read the flows that are stored";

/// Connections of the flows of this import, and of stored flows of the same hours.
#[derive(Debug)]
pub(crate) struct Memory {
    settings: ConnectSettings,
    lake: Lake,
    runtime: Handle,
    /// Flows of this import have this time of ingest.
    ingest_time: i64,
    /// Days of which the lake holds flows that are not this import's; none: not looked up.
    days: Mutex<Option<HashSet<i64>>>,
    connect: RwLock<Connect>,
    /// Hours whose stored flows are remembered.
    hours: Mutex<BTreeSet<i64>>,
    counts: Mutex<ConnectCounts>,
}

impl Memory {
    pub(crate) fn new(settings: ConnectSettings, lake: Lake, runtime: Handle, ingest_time: i64) -> Self {
        let settings = match settings.hash_seed {
            // Nobody outside can know it; it changes no answer.
            0 => ConnectSettings { hash_seed: RandomState::new().build_hasher().finish(), ..settings },
            _ => settings,
        };
        let connect = RwLock::new(Connect::new(settings.clone()));
        let (days, hours, counts) = (Mutex::default(), Mutex::default(), Mutex::default());
        Self { settings, lake, runtime, ingest_time, days, connect, hours, counts }
    }

    /// Says of each row of a normalised batch whether it opens a connection and whether its counters count.
    ///
    /// # Errors
    /// Stored flows that cannot be read.
    pub(crate) fn connect(&self, flows: &mut FlowBatch, scratch: &mut ConnectScratch) -> anyhow::Result<()> {
        self.remember(flows)?;
        let connected = self.connect.read().unwrap_or_else(PoisonError::into_inner).apply(flows, scratch);
        for change in &connected.lead_changes {
            tracing::info!(?change, "another source's counters count from here on");
        }
        lock(&self.counts).add(connected.counts);
        Ok(())
    }

    /// Connections that were forgotten to make room.
    pub(crate) fn forgotten(&self) -> u64 {
        lock(&self.counts).forgotten
    }

    /// Forgets what was not committed: what is stored is remembered again.
    ///
    /// # Errors
    /// Stored flows that cannot be read.
    pub(crate) fn rebuild(&self) -> anyhow::Result<()> {
        let mut connect = self.connect.write().unwrap_or_else(PoisonError::into_inner);
        *connect = Connect::new(self.settings.clone());
        // Another import may have stored flows meanwhile, or a group of this one.
        *lock(&self.days) = None;
        let hours = lock(&self.hours).clone();
        self.replay(&connect, &hours, self.ingest_time.saturating_add(1))
    }

    /// Takes in the stored flows of the hours of a batch, and of those beside, before the first flow of these hours.
    fn remember(&self, flows: &FlowBatch) -> anyhow::Result<()> {
        let rows = flows.len();
        let (starts, ends) = (flows.num(START_TIME).values(rows), flows.num(END_TIME).values(rows));
        let dates = flows.num(DATE).values(rows);
        let mut last = i64::MIN;
        let mut touched = BTreeSet::new();
        for row in 0..rows {
            // A time that is not sound leads to no hour whose flows could be met.
            let is_sound = ends[row].div_euclid(DAY) == dates[row];
            for hour in [starts[row], ends[row]].map(|time| time.div_euclid(HOUR)) {
                if hour != last && is_sound && touched.len() < HOURS_MAX {
                    touched.extend([hour - 1, hour, hour + 1]);
                }
                last = hour;
            }
        }
        // Held until the flows are there: other threads' flows of these hours must wait for them.
        let mut known = lock(&self.hours);
        let missing: BTreeSet<i64> = touched.difference(&known).copied().collect();
        if missing.is_empty() {
            return Ok(());
        }
        let connect = self.connect.read().unwrap_or_else(PoisonError::into_inner);
        self.replay(&connect, &missing, self.ingest_time)?;
        known.extend(missing);
        Ok(())
    }

    fn replay(&self, connect: &Connect, hours: &BTreeSet<i64>, ingested_before: i64) -> anyhow::Result<()> {
        let mut days = lock(&self.days);
        let days = match &mut *days {
            Some(days) => days,
            unknown => unknown.insert(self.runtime.block_on(self.lake.days()).context(READING)?),
        };
        let mut scratch = ConnectScratch::default();
        // Hour by hour: each is sorted in memory.
        for times in hours.iter().map(|&hour| hour.saturating_mul(HOUR)..hour.saturating_add(1).saturating_mul(HOUR)) {
            if !days.contains(&times.start.div_euclid(DAY)) {
                continue;
            }
            let mut sink = |flows: &FlowBatch| {
                connect.replay(flows, &mut scratch);
            };
            let replayed = self.lake.replay(times, ingested_before, &COLUMNS, &mut sink);
            let rows = self.runtime.block_on(replayed).context(READING)?;
            tracing::debug!(rows, "stored flows remembered");
        }
        Ok(())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
