//! The entity level as sections of a snapshot, and back. Settings are not stored: it goes on with those it is given.

use super::chain::Chains;
use super::pending::Pending;
use super::withheld::Withheld;
use super::{EntityLevel, EntityStates, identities, scan, uses};
use crate::decision::Decision;
use crate::finding::OpenFindings;
use crate::network::{Edge, Network};
use crate::numbered::Numbered;
use crate::report::Pools;
use crate::settings::Settings;
use crate::snapshot::{Snapshot, SnapshotError, SnapshotWriter, decode};
use serde::Deserialize;
use std::collections::BTreeMap;

/// The entity level as version 4 stored it: all fields in one piece. Kept only to be read.
#[derive(Debug, Deserialize)]
pub(crate) struct EntityLevel4 {
    #[expect(dead_code, reason = "it has to be read past")]
    settings: Settings4,
    network: Network,
    states: EntityStates,
    chains: Chains,
    floor: scan::Floor,
    pending: BTreeMap<i64, Pending>,
    pools: Pools,
    findings: OpenFindings,
    decision: Decision,
    withheld: Withheld,
    accepted: Vec<Edge>,
    uses: uses::Uses,
    identities: identities::Identities,
}

/// The settings that version 4 stored, as values without names: general ones, then a tuple for each section.
type Settings4 = (
    ((i64, u64, f64, i64, tradewind_model::Severity, f64, usize, usize, usize), (bool, f64, f64, f64, u32)),
    ((bool, f64, f64, f64, f64, f64, u32), bool, bool, bool, (bool, u32, usize), (bool, u32, u32), bool, bool),
    ((crate::decision::DecisionMode, u32, u32, f64, f64, u32, u32, u32, i64), bool, bool),
);

impl EntityLevel4 {
    /// The level, under these settings.
    ///
    /// # Errors
    /// Numbers in it do not fit together.
    pub(crate) fn restore(self, settings: Settings) -> Result<EntityLevel, SnapshotError> {
        let Self { network, states, chains, floor, pending, pools, findings, .. } = self;
        let Self { decision, withheld, accepted, uses, identities, .. } = self;
        let new = EntityLevel::new(settings);
        EntityLevel {
            network,
            states,
            chains,
            floor,
            pending,
            pools,
            findings,
            decision,
            withheld,
            accepted,
            uses,
            identities,
            ..new
        }
        .checked()
    }
}

impl EntityLevel {
    /// Adds the level's sections. Every field is named here, so that a new one is not forgotten.
    pub(crate) fn save(&self, writer: &mut SnapshotWriter) {
        let Self {
            settings: _,
            network,
            states,
            chains,
            floor,
            pending,
            pools,
            findings,
            decision,
            withheld,
            accepted,
            uses,
            identities,
            rollouts,
            peers,
            mediated,
            daily,
            particulars,
            rhythms,
        } = self;
        writer.add("entities.network", 1, network);
        writer.add("entities.states", 1, states);
        writer.add("entities.chains", 1, chains);
        writer.add("entities.floor", 1, floor);
        writer.add("entities.pending", 1, pending);
        writer.add("entities.pools", 1, pools);
        writer.add("entities.findings", 1, findings);
        writer.add("entities.decision", 1, decision);
        writer.add("entities.withheld", 1, &(withheld, accepted));
        writer.add("entities.uses", 1, uses);
        writer.add("entities.identities", 1, identities);
        writer.add("entities.rollouts", 1, rollouts);
        writer.add("entities.peers", 1, peers);
        writer.add("entities.mediated", 1, mediated);
        writer.add("entities.daily", 1, daily);
        writer.add("entities.particulars", 1, particulars);
        writer.add("entities.rhythms", 1, rhythms);
    }

    /// The level of a snapshot, under these settings.
    ///
    /// # Errors
    /// The snapshot is damaged, or lacks what is known of entities.
    pub(crate) fn restore(snapshot: &mut Snapshot<'_>, settings: Settings) -> Result<Self, SnapshotError> {
        let mut level = Self::new(settings);
        level.network = snapshot.need("entities.network", &[(1, decode)])?;
        level.states = snapshot.need("entities.states", &[(1, decode)])?;
        level.chains = snapshot.take_or_default("entities.chains", &[(1, decode)])?;
        level.floor = snapshot.take_or_default("entities.floor", &[(1, decode)])?;
        level.pending = snapshot.take_or_default("entities.pending", &[(1, decode)])?;
        level.pools = snapshot.take_or_default("entities.pools", &[(1, decode)])?;
        level.findings = snapshot.take_or_default("entities.findings", &[(1, decode)])?;
        if let Some(decision) = snapshot.take("entities.decision", &[(1, decode)])? {
            level.decision = decision;
        }
        (level.withheld, level.accepted) = snapshot.take_or_default("entities.withheld", &[(1, decode)])?;
        level.uses = snapshot.take_or_default("entities.uses", &[(1, decode)])?;
        level.identities = snapshot.take_or_default("entities.identities", &[(1, decode)])?;
        level.rollouts = snapshot.take_or_default("entities.rollouts", &[(1, decode)])?;
        level.peers = snapshot.take_or_default("entities.peers", &[(1, decode)])?;
        level.mediated = snapshot.take_or_default("entities.mediated", &[(1, decode)])?;
        level.daily = snapshot.take_or_default("entities.daily", &[(1, decode)])?;
        level.particulars = snapshot.take_or_default("entities.particulars", &[(1, decode)])?;
        level.rhythms = snapshot.take_or_default("entities.rhythms", &[(1, decode)])?;
        level.checked()
    }

    /// Makes the decision fit the settings, and checks that every number is that of an entity.
    fn checked(mut self) -> Result<Self, SnapshotError> {
        self.decision.adopt(&self.settings.decision);
        let entities = self.network.entity_count();
        let mut are_known = true;
        let mut check = |number: &mut u32| are_known &= (*number as usize) < entities;
        self.visit(&mut check);
        self.rhythms.visit(&mut check);
        self.mediated.visit(&mut check);
        if are_known {
            return Ok(self);
        }
        Err(SnapshotError::Damaged { what: String::from("it speaks of entities that it does not have") })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::entities::View;
    use crate::network::Port;
    use crate::report::{Access, EdgeCounts};
    use tradewind_model::entity::EntityKind;

    /// A level that has one entity, and of which another read a topic.
    fn check(reader: u32, is_whole: bool) {
        let settings = Settings::default();
        let mut level = EntityLevel::new(settings.clone());
        level.network.entity_of_kind("service/queue", EntityKind::Service);
        let edge = Edge { source: reader, destination: 0, port: Port::Absent };
        let access = Access { edge, is_write: false, resource: "tasks".to_owned(), counts: EdgeCounts::nothing(0) };
        let mut view = View::new(0, 1, 0, false);
        view.accesses.push(access);
        let judged = level.mediated.judge(&view, &settings.destination, true);
        level.mediated.learn(&view, &judged, &settings.destination, true, &level.network);
        let mut writer = SnapshotWriter::default();
        level.save(&mut writer);
        let bytes = writer.finish();
        let restored = EntityLevel::restore(&mut Snapshot::read(&bytes).unwrap(), settings);
        assert_eq!(restored.is_ok(), is_whole, "{reader}");
    }

    #[test]
    fn entities_that_are_not_there_are_damage() {
        check(0, true);
        check(1, false);
    }
}
