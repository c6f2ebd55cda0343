//! How many findings may be open at once. Beyond that the weakest of those that nobody was told are forgotten: who makes
//! thousands of them fills no memory, and strangers, of whom an opponent has as many as wanted, leave half of it to others.

use super::OpenFindings;
use crate::decision::{Spender, Standing};
use crate::network::Network;
use std::collections::BTreeSet;

/// Findings that are open at the beginning of a window's close at most; as many more may be opened by it.
const OPEN_MAX: usize = 2048;

/// What a window's close may open.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    all: usize,
    strangers: usize,
}

impl Room {
    /// Whether another one may be opened, which takes its place.
    pub(crate) fn take(&mut self, is_stranger: bool) -> bool {
        let has_room = self.all > 0 && (!is_stranger || self.strangers > 0);
        if has_room {
            self.all -= 1;
            self.strangers -= usize::from(is_stranger);
        }
        has_room
    }
}

impl OpenFindings {
    /// Forgets the weakest of those that nobody was told, strangers' first, where too many are open.
    pub(crate) fn make_room(&mut self, network: &Network) -> Room {
        let is_stranger = |entity: u32| Spender::new(entity, network.kind(entity)).is_stranger;
        let count = self.open.values().map(Vec::len).sum::<usize>();
        let surplus = count.saturating_sub(OPEN_MAX);
        if surplus > 0 {
            let mut untold: Vec<(bool, f64, u32, usize)> = Vec::new();
            for (&entity, open) in &self.open {
                let silent = open.iter().enumerate().filter(|(_, open)| open.standing != Standing::Told);
                untold.extend(silent.map(|(place, open)| (!is_stranger(entity), -open.ratio, entity, place)));
            }
            let name = |entity: u32| network.name(entity);
            untold.sort_by(|one, other| {
                let strength = one.0.cmp(&other.0).then(one.1.total_cmp(&other.1));
                strength.then_with(|| name(one.2).cmp(name(other.2))).then(one.3.cmp(&other.3))
            });
            untold.truncate(surplus);
            let weakest: BTreeSet<(u32, usize)> =
                untold.into_iter().map(|(_, _, entity, place)| (entity, place)).collect();
            for (&entity, open) in &mut self.open {
                let mut places = 0..;
                open.retain(|_| places.next().is_none_or(|place| !weakest.contains(&(entity, place))));
            }
            self.open.retain(|_, open| !open.is_empty());
        }
        Room { all: OPEN_MAX, strangers: OPEN_MAX / 2 }
    }

    /// Whether something is open about an entity.
    pub(crate) fn has(&self, entity: u32) -> bool {
        self.open.contains_key(&entity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_leave_half_of_it() {
        let mut room = Room { all: 5, strangers: 2 };
        let asked = [true, true, true, false, false, false, false, true];
        let taken: Vec<bool> = asked.iter().map(|&is_stranger| room.take(is_stranger)).collect();
        assert_eq!(taken, [true, true, false, true, true, true, false, false]);
    }
}
