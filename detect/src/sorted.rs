//! Hash maps and sets in the order of their keys where they are stored: equal states are equal bytes.

use serde::{Serialize, Serializer};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// Stores a map.
pub(crate) fn map<K: Ord + Serialize, V: Serialize, R, S: Serializer>(
    map: &HashMap<K, V, R>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    map.iter().collect::<BTreeMap<_, _>>().serialize(serializer)
}

/// Stores a set.
pub(crate) fn set<K: Ord + Serialize, R, S: Serializer>(set: &HashSet<K, R>, serializer: S) -> Result<S::Ok, S::Error> {
    set.iter().collect::<BTreeSet<_>>().serialize(serializer)
}
