//! The correlator as sections of a snapshot, and back; and how it begins the protocol anew with partitions of another version.

use super::{Correlator, CorrelatorStatistics, Phase};
use crate::decision::{Incident, Schedule};
use crate::entities::{EntityLevel, EntityLevel4};
use crate::network::Edge;
use crate::report::{Exchange, Inflow, Pools};
use crate::settings::Settings;
use crate::snapshot::{Snapshot, SnapshotError, SnapshotWriter, decode};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use tradewind_model::time::SECOND;

/// What it was made for: length of windows in microseconds, number of partitions, end of training.
type Grid = (i64, u32, i64);
/// Windows: the first, the last closed, statistics.
type Windows = (Option<i64>, Option<i64>, CorrelatorStatistics);

/// The correlator as version 4 stored it: all fields in one piece. Kept only to be read.
#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "what is not used has to be read past")]
pub struct Correlator4 {
    fingerprint: String,
    length: i64,
    warm_up_windows: u64,
    train_until: i64,
    entities: EntityLevel4,
    complete_before: Vec<i64>,
    windows: BTreeSet<i64>,
    phase: Phase,
    exchanges: BTreeMap<i64, BTreeMap<u32, Exchange>>,
    reports: BTreeMap<i64, BTreeMap<u32, report_4::Report4>>,
    first_window: Option<i64>,
    opened: Option<i64>,
    closed: Option<i64>,
    hurried: i64,
    statistics: CorrelatorStatistics,
    controls: Schedule,
    incidents: Vec<Incident>,
}

mod report_4 {
    //! Reports as version 4 stored them.

    use super::{Deserialize, Edge, Inflow, Pools};
    use crate::report::{
        Birth, Breach, Contacted, DetectorName, Discoveries, EdgeSignal, Guarded, Lapse, NewUse, Proof, SourceDigest,
    };
    use tradewind_model::entity::EntityKind;

    #[derive(Debug, Deserialize)]
    #[expect(dead_code, reason = "it has to be read past")]
    pub(super) struct Report4 {
        entities: Vec<(String, EntityKind)>,
        sources: Vec<SourceDigest>,
        destinations: Vec<Inflow>,
        births: Vec<Birth>,
        contacts: Vec<Contacted>,
        answers: Vec<Edge>,
        watched: Vec<Birth>,
        breaches: Vec<Breach>,
        pools: Pools,
        edge_scores: Vec<(Edge, Vec<(DetectorName, EdgeSignal)>)>,
        uses: Vec<NewUse>,
        discoveries: Discoveries,
        proofs: Vec<Proof>,
        lapses: Vec<Lapse>,
        guarded: Vec<Guarded>,
    }
}

impl Correlator4 {
    /// The correlator, under these settings; it begins the protocol anew.
    ///
    /// # Errors
    /// It was made for other windows, partitions or training, or numbers in it do not fit together.
    pub fn restore(self, settings: &Settings, partitions: u32, train_until: i64) -> Result<Correlator, SnapshotError> {
        let stored = u32::try_from(self.complete_before.len()).unwrap_or(u32::MAX);
        check_grid((self.length, stored, self.train_until), (settings.window_s * SECOND, partitions, train_until))?;
        let entities = self.entities.restore(settings.clone())?;
        let windows = (self.first_window, self.closed, self.statistics);
        let correlator = Correlator::of_stored(entities, windows, (settings, partitions, train_until));
        Ok(Correlator { controls: self.controls, incidents: self.incidents, ..correlator })
    }
}

fn check_grid(stored: Grid, current: Grid) -> Result<(), SnapshotError> {
    if stored == current {
        return Ok(());
    }
    let words = |(length, partitions, train_until): Grid| {
        let training = if train_until == i64::MIN { String::new() } else { format!(" and training to {train_until}") };
        format!("windows of {} s, {partitions} partitions{training}", length / SECOND)
    };
    Err(SnapshotError::Other { stored: words(stored), current: words(current) })
}

impl Correlator {
    /// Adds the correlator's sections to a snapshot.
    pub fn save(&self, writer: &mut SnapshotWriter) {
        let Self {
            length,
            warm_up_windows: _,
            train_until,
            entities,
            complete_before,
            windows,
            phase,
            exchanges,
            reports,
            first_window,
            opened,
            closed,
            hurried,
            statistics,
            controls,
            incidents,
        } = self;
        let partitions = u32::try_from(complete_before.len()).expect("made from such a number");
        writer.add("correlator", 1, &(length, partitions, train_until));
        entities.save(writer);
        writer.add("correlator.windows", 1, &(first_window, closed, statistics));
        writer.add("correlator.rounds", 1, &(complete_before, windows, phase, opened, hurried));
        writer.add("correlator.answers", 1, &(exchanges, reports));
        writer.add("correlator.controls", 1, controls);
        writer.add("correlator.incidents", 1, incidents);
    }

    /// The correlator of a snapshot, under these settings. They may differ from before in all but the length of windows, the
    /// number of partitions and `train_until`.
    ///
    /// # Errors
    /// The snapshot is damaged, lacks what nothing can go on without, or was made for something else.
    pub fn restore(
        snapshot: &mut Snapshot<'_>,
        settings: &Settings,
        partitions: u32,
        train_until: i64,
    ) -> Result<Self, SnapshotError> {
        let stored: Grid = snapshot.need("correlator", &[(1, decode)])?;
        check_grid(stored, (settings.window_s * SECOND, partitions, train_until))?;
        let entities = EntityLevel::restore(snapshot, settings.clone())?;
        let windows: Windows = snapshot.need("correlator.windows", &[(1, decode)])?;
        let new = Self::of_stored(entities, windows, (settings, partitions, train_until));
        let rounds = snapshot.take("correlator.rounds", &[(1, decode)])?;
        let answers = snapshot.take("correlator.answers", &[(1, decode)])?;
        let controls = snapshot.take_or_default("correlator.controls", &[(1, decode)])?;
        let incidents = snapshot.take_or_default("correlator.incidents", &[(1, decode)])?;
        let mut correlator = Self { controls, incidents, ..new };
        // One without the other would wait for ever.
        if let (Some(rounds), Some((exchanges, reports))) = (rounds, answers) {
            let (complete_before, windows, phase, opened, hurried) = rounds;
            correlator = Self { complete_before, windows, phase, opened, hurried, exchanges, reports, ..correlator };
            if correlator.complete_before.len() != partitions as usize {
                return Err(SnapshotError::Damaged { what: String::from("it does not have its partitions") });
            }
        }
        Ok(correlator)
    }

    /// With what was learnt, at the beginning of the protocol.
    fn of_stored(
        entities: EntityLevel,
        (first_window, closed, statistics): Windows,
        (settings, partitions, train_until): (&Settings, u32, i64),
    ) -> Self {
        Self {
            length: settings.window_s * SECOND,
            warm_up_windows: settings.warm_up_windows,
            train_until,
            entities,
            complete_before: vec![i64::MIN; partitions as usize],
            windows: BTreeSet::new(),
            phase: Phase::Gathering,
            exchanges: BTreeMap::new(),
            reports: BTreeMap::new(),
            first_window,
            opened: None,
            closed,
            hurried: i64::MIN,
            statistics,
            controls: Schedule::default(),
            incidents: Vec::new(),
        }
    }

    /// Begins the protocol anew, because the messages so far are not those of this version: what was learnt stays, and no window
    /// up to the last that was closed is judged again.
    pub fn join_anew(&mut self) {
        self.complete_before.fill(i64::MIN);
        self.windows.clear();
        self.phase = Phase::Gathering;
        self.exchanges.clear();
        self.reports.clear();
        self.opened = None;
        self.hurried = i64::MIN;
    }
}
