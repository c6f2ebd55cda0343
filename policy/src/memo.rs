//! What one thread remembers between flows, so that the same question is not asked of the rules twice.
//!
//! It holds nothing that changes an answer, and its size is bounded.

use crate::set::{Needs, Pair, PolicySet, Profile, Rules};
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use std::sync::Arc;

pub(crate) type Table<K> = HashMap<K, u32, RandomState>;

/// The most entries of one table, and entities by name, before all is forgotten.
const ENTRIES_MAX: usize = 1 << 20;
/// The most rules listed for pairs before all is forgotten: 128 MB.
const CANDIDATES_MAX: usize = 1 << 24;

/// What is kept of entities and of pairs of them.
#[derive(Debug, Default)]
pub(crate) struct Memo {
    /// The policy that it was learnt from.
    rules: Option<Arc<Rules>>,
    entities: HashMap<Box<str>, u32, RandomState>,
    profiles: Vec<Profile>,
    numbers: HashMap<Profile, u32, RandomState>,
    by_profiles: Table<u64>,
    pairs: Vec<Pair>,
    candidates: usize,
    /// The needs of each pair: what the fast way looks at.
    pub(crate) needs: Vec<Needs>,
    /// Answers that depend on ports, protocol and encryption alone. They hold across batches.
    pub(crate) by_transport: Table<u64>,
    /// Answers that depend on classes of addresses as well: these hold across batches too.
    pub(crate) by_address: Table<(u64, u64)>,
}

impl Memo {
    /// Prepares for a policy: forgets what another one taught, and all when there is too much. Numbers that were given
    /// out before mean nothing afterwards.
    pub(crate) fn prepare(&mut self, set: &PolicySet) {
        let is_same = self.rules.as_ref().is_some_and(|rules| Arc::ptr_eq(rules, &set.rules));
        let is_full = self.candidates > CANDIDATES_MAX
            || [self.entities.len(), self.by_profiles.len(), self.by_transport.len(), self.by_address.len()]
                .into_iter()
                .any(|entries| entries > ENTRIES_MAX);
        if is_same && !is_full {
            return;
        }
        *self = Self { rules: Some(Arc::clone(&set.rules)), ..Self::default() };
    }

    /// The number of an entity's profile.
    pub(crate) fn profile(&mut self, rules: &Rules, entity: &str) -> u32 {
        if let Some(number) = self.entities.get(entity) {
            return *number;
        }
        let profile = rules.profile(entity);
        let next = number(self.profiles.len());
        let number = *self.numbers.entry(profile).or_insert_with_key(|profile| {
            self.profiles.push(profile.clone());
            next
        });
        self.entities.insert(entity.into(), number);
        number
    }

    /// The number of a pair of profiles.
    #[inline]
    pub(crate) fn pair(&mut self, rules: &Rules, src: u32, dst: u32) -> u32 {
        let key = u64::from(src) << 32 | u64::from(dst);
        match self.by_profiles.get(&key) {
            Some(pair) => *pair,
            None => self.new_pair(rules, src, dst, key),
        }
    }

    #[cold]
    fn new_pair(&mut self, rules: &Rules, src: u32, dst: u32, key: u64) -> u32 {
        let pair = rules.pair(&self.profiles[src as usize], &self.profiles[dst as usize]);
        let place = number(self.pairs.len());
        self.needs.push(pair.needs);
        self.candidates += pair.ends.iter().map(|end| end.candidates.len()).sum::<usize>();
        self.pairs.push(pair);
        self.by_profiles.insert(key, place);
        place
    }

    /// How many profiles have a number.
    pub(crate) fn profile_count(&self) -> usize {
        self.profiles.len()
    }

    pub(crate) fn entity(&self, profile: u32) -> &Profile {
        &self.profiles[profile as usize]
    }

    pub(crate) fn rules_of(&self, pair: u32) -> &Pair {
        &self.pairs[pair as usize]
    }
}

fn number(length: usize) -> u32 {
    u32::try_from(length).expect("the memory is emptied long before 2^32 entries")
}
