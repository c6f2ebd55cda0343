//! Labels of entities, as the inventory tells them. A flow has none: a policy that selects by label gets them from here.

use hashbrown::HashMap;
use std::collections::BTreeMap;

/// Entity id to its labels. An entity that is not in it has none, so no label selector takes it.
#[derive(Clone, Debug, Default)]
pub struct EntityLabels {
    by_entity: HashMap<String, BTreeMap<String, String>>,
}

impl EntityLabels {
    /// Gives an entity (`network/namespace/kind/name`) a label; the last value counts.
    pub fn insert(&mut self, entity: &str, label: &str, value: &str) {
        self.by_entity.entry_ref(entity).or_default().insert(label.to_owned(), value.to_owned());
    }

    /// The value of an entity's label.
    #[must_use]
    pub fn get(&self, entity: &str, label: &str) -> Option<&str> {
        self.by_entity.get(entity)?.get(label).map(String::as_str)
    }

    /// Whether no entity has a label.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.by_entity.is_empty()
    }

    /// All entities with labels, and theirs, in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &BTreeMap<String, String>)> {
        self.by_entity.iter().map(|(entity, labels)| (entity.as_str(), labels))
    }
}
