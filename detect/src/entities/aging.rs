//! The entity level forgets: entities that were active least and longest ago, where there are too many. Those that
//! something open is about stay.

use super::EntityLevel;
use crate::edges::aging::{Worth, keep};
use crate::numbered::Numbered;

impl EntityLevel {
    /// Forgets entities where there are more than the settings allow. To be called after a window's close, with its index.
    pub(super) fn age_out(&mut self, index: i64) {
        let most = self.settings.entities_max;
        if self.network.entity_count() <= most {
            return;
        }
        let mut is_kept = vec![false; self.network.entity_count()];
        self.visit(&mut |number| is_kept[*number as usize] = true);
        let worths: Vec<Worth> = (0..)
            .zip(&is_kept)
            .map(|(entity, &is_needed)| if is_needed { Worth::pinned() } else { self.states.worth(entity, index) })
            .collect();
        let names = |place: usize| u32::try_from(place).map_or("", |entity| self.network.name(entity)).to_owned();
        let is_kept = keep(&worths, most - most / 8, names);
        let numbers = self.network.keep_entities(&is_kept);
        self.visit(&mut |number| *number = numbers[*number as usize].unwrap_or(u32::MAX));
        self.states.keep(&numbers);
        self.uses.keep(&numbers);
        self.identities.keep(&numbers);
        self.rollouts.keep(&numbers);
        self.peers.keep(&numbers);
        self.rhythms.keep(&numbers);
        self.chains.keep(&numbers);
        self.mediated.keep(&numbers);
        self.daily.keep(&numbers);
        self.floor.keep(&numbers);
    }
}

impl Numbered for EntityLevel {
    fn visit(&mut self, number: &mut dyn FnMut(&mut u32)) {
        self.pending.values_mut().for_each(|pending| pending.visit(number));
        self.findings.visit(number);
        self.decision.visit(number);
        self.withheld.visit(number);
        self.accepted.visit(number);
        self.particulars.visit(number);
    }
}
