//! Puts the flows of one connection together: which row is the first that is seen of it (`opens`), whose counters count
//! (`is_lead`), and who opened it where another row knows.
//!
//! Rows are answered as they come and never held or changed later. Flows meet by their tuple, without direction, in one
//! address space, and by event time; rules in `rule`. One observer leads a connection, so that its bytes count once: both
//! of its one-way records count, the other observers' do not. What is remembered is bounded, and rebuilt by replaying rows
//! that are stored. Which rows open depends on the order of arrival, how many do hardly.
//!
//! It is pure, and shared by threads: connections are spread over shards by the hash of their tuple, and a batch takes
//! each shard's lock once.

mod columns;
mod edges;
mod observation;
mod orient;
mod rule;
mod scratch;
mod settings;
mod shard;
mod state;
mod table;

pub use scratch::ConnectScratch;
pub use settings::ConnectSettings;
pub use state::ConnectState;

use columns::Columns;
use edges::Edges;
use rule::Rule;
use shard::{Pass, Passed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use table::Table;
use tradewind_model::FlowBatch;
use tradewind_model::flow::{DST_ENTITY, DST_PORT, END_TIME, IS_LEAD, OPENS, PROTOCOL_NUM, SOURCE, SRC_ENTITY};

/// How many locks the connections are spread over. A power of two.
const SHARDS: usize = 64;

/// How many of the rows of a batch are what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConnectCounts {
    /// All rows.
    pub rows: u64,
    /// Rows that are the first seen of their connection.
    pub opened: u64,
    /// Rows whose counters count.
    pub leads: u64,
    /// Rows whose ends another row of the connection told.
    pub oriented: u64,
    /// Of these, rows whose ends were exchanged.
    pub swapped: u64,
    /// Rows without both addresses: each counts by itself.
    pub alone: u64,
    /// Connections forgotten to make room. A later row of one opens it again.
    pub forgotten: u64,
}

impl ConnectCounts {
    /// Adds the other counts.
    pub fn add(&mut self, other: Self) {
        self.rows += other.rows;
        self.opened += other.opened;
        self.leads += other.leads;
        self.oriented += other.oriented;
        self.swapped += other.swapped;
        self.alone += other.alone;
        self.forgotten += other.forgotten;
    }
}

/// The source whose counters count changed on an edge: its volumes may change their level without any change of traffic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeadChange {
    /// End of the flow with which it changed, in microseconds UTC.
    pub time: i64,
    /// The edge.
    pub src_entity: String,
    /// The edge.
    pub dst_entity: String,
    /// The edge.
    pub protocol_num: Option<i64>,
    /// The edge.
    pub dst_port: Option<i64>,
    /// The source that led before.
    pub from: String,
    /// The source that leads from now on. None: no single one, since the one before did not see all connections; each
    /// counts by the source that showed it first.
    pub to: Option<String>,
}

/// What came of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Connected {
    /// How many rows are what.
    pub counts: ConnectCounts,
    /// Changes of lead sources, in the order of the rows.
    pub lead_changes: Vec<LeadChange>,
}

/// The memory of connections, for any number of threads.
#[derive(Debug)]
pub struct Connect {
    settings: ConnectSettings,
    rule: Rule,
    shards: Vec<Mutex<Table>>,
    edges: Edges,
    /// Names of sources by their number.
    sources: Mutex<Vec<String>>,
}

impl Connect {
    /// An empty memory.
    #[must_use]
    pub fn new(settings: ConnectSettings) -> Self {
        Self {
            rule: Rule::new(&settings),
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            edges: Edges::new(settings.edges_max, settings.lead_silence_s),
            sources: Mutex::default(),
            settings,
        }
    }

    /// How many connections are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).len()).sum()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Sets `opens` and `is_lead` of all rows of a batch that [`crate::Normaliser::apply`] completed, and exchanges the
    /// ends of rows of which another row of the connection, in this batch or an earlier one, tells better who opened it:
    /// `orientation` is then `other_half`. To be called before anything that depends on the ends: the declared policy and
    /// the storage order.
    pub fn apply(&self, flows: &mut FlowBatch, scratch: &mut ConnectScratch) -> Connected {
        let (mut counts, taken) = self.run(flows, scratch, false);
        counts.leads = scratch.leads.iter().map(|&lead| u64::from(lead == 1)).sum();
        let changed = |&(row, before): &(u32, u8)| self.lead_change(flows, row as usize, before);
        let lead_changes = taken.iter().map(changed).collect();
        (counts.oriented, counts.swapped) = orient::apply(flows, scratch);
        for (column, answers) in [(OPENS, &mut scratch.opens), (IS_LEAD, &mut scratch.leads)] {
            flows.num_mut(column).replace_values(std::mem::take(answers));
        }
        Connected { counts, lead_changes }
    }

    /// Takes in rows that are stored: what they say of `opens` and `is_lead` is what was decided. In the order of their
    /// arrival the memory becomes what it was; any order by time comes near. The rows stay as they are.
    pub fn replay(&self, flows: &FlowBatch, scratch: &mut ConnectScratch) -> ConnectCounts {
        let (mut counts, _) = self.run(flows, scratch, true);
        let leads = flows.num(IS_LEAD);
        counts.leads = (0..flows.len()).map(|row| u64::from(leads.raw(row) == 1)).sum();
        counts
    }

    /// Decides on all rows; the answers are in the scratch. Gives the counts of what was seen, and rows with the source that
    /// led their edge before.
    fn run(&self, flows: &FlowBatch, scratch: &mut ConnectScratch, replays: bool) -> (ConnectCounts, Vec<(u32, u8)>) {
        let rows = flows.len();
        let columns = Columns::new(flows, &self.settings, &mut lock(&self.sources), replays);
        let (begins, alone) = scratch.sort(&columns, rows);
        let pass = Pass {
            rule: &self.rule,
            edges: &self.edges,
            connections_max: (self.settings.connections_max as usize / SHARDS).max(1),
            replays,
        };
        let mut passed = Passed { opened: alone, ..Passed::default() };
        for (shard, ends) in self.shards.iter().zip(begins.windows(2)) {
            if ends[0] < ends[1] {
                pass.run(&mut lock(shard), scratch, (ends[0], ends[1]), &mut passed);
            }
        }
        passed.taken.sort_unstable();
        let counts = ConnectCounts {
            rows: rows as u64,
            opened: passed.opened,
            alone,
            forgotten: passed.forgotten,
            ..ConnectCounts::default()
        };
        (counts, passed.taken)
    }

    fn lead_change(&self, flows: &FlowBatch, row: usize, before: u8) -> LeadChange {
        let text = |column| flows.text(column).get(row).unwrap_or_default().to_owned();
        let from = lock(&self.sources).get(usize::from(before)).cloned().unwrap_or_default();
        let to = text(SOURCE);
        LeadChange {
            time: flows.num(END_TIME).get(row).unwrap_or_default(),
            src_entity: text(SRC_ENTITY),
            dst_entity: text(DST_ENTITY),
            protocol_num: flows.num(PROTOCOL_NUM).get(row),
            dst_port: flows.num(DST_PORT).get(row),
            to: (from != to).then_some(to),
            from,
        }
    }
}

/// Takes a lock whatever became of the thread that held it: each flow leaves the memory whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
