//! Which of all selectors take an entity, without trying each.

use crate::document::EntitySelector;
use crate::labels::EntityLabels;
use hashbrown::HashMap;
use tradewind_model::entity::EntityKind;

/// The parts of an entity id. An id of another form is one name of unknown kind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EntityParts<'e> {
    id: &'e str,
    network: &'e str,
    namespace: &'e str,
    kind: &'e str,
    name: &'e str,
}

impl<'e> EntityParts<'e> {
    pub(crate) fn new(id: &'e str) -> Self {
        let mut parts = id.splitn(4, '/');
        match (parts.next(), parts.next(), parts.next(), parts.next()) {
            (Some(network), Some(namespace), Some(kind), Some(name)) => Self { id, network, namespace, kind, name },
            _ => Self { id, network: "-", namespace: "-", kind: EntityKind::Unknown.as_str(), name: id },
        }
    }

    /// The kind; `unknown` for words that are none.
    pub(crate) fn kind(&self) -> EntityKind {
        EntityKind::from_word(self.kind).unwrap_or(EntityKind::Unknown)
    }
}

impl EntitySelector {
    /// Whether it takes the entity.
    pub(crate) fn matches(&self, entity: &EntityParts<'_>, labels: &EntityLabels) -> bool {
        self.name.matches(entity.name)
            && self.namespace.matches(entity.namespace)
            && self.kind.matches(entity.kind)
            && self.network.matches(entity.network)
            && self.glob.matches(entity.id)
            && self
                .labels
                .iter()
                .all(|(label, value)| labels.get(entity.id, label).is_some_and(|found| value.matches(found)))
    }

    /// Whether it takes every entity that `other` takes. False where that is not plain to see.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        self.name.covers(&other.name)
            && self.namespace.covers(&other.namespace)
            && self.kind.covers(&other.kind)
            && self.network.covers(&other.network)
            && self.glob.covers(&other.glob)
            && self.labels.iter().all(|(label, value)| other.labels.get(label).is_some_and(|other| value.covers(other)))
    }
}

/// Selectors by the literal part that tells most, so that few are tried on an entity.
#[derive(Debug, Default)]
pub(crate) struct SelectorIndex {
    selectors: Vec<EntitySelector>,
    by_name: HashMap<String, Vec<u32>>,
    by_namespace: HashMap<String, Vec<u32>>,
    /// Those with neither.
    others: Vec<u32>,
}

impl SelectorIndex {
    /// Numbers the selectors by their place in the list.
    pub(crate) fn new(selectors: Vec<EntitySelector>) -> Self {
        let mut index = Self::default();
        for (number, selector) in (0..).zip(&selectors) {
            if let Some(name) = selector.name.literal() {
                index.by_name.entry_ref(name).or_default().push(number);
            } else if let Some(namespace) = selector.namespace.literal() {
                index.by_namespace.entry_ref(namespace).or_default().push(number);
            } else {
                index.others.push(number);
            }
        }
        index.selectors = selectors;
        index
    }

    /// The numbers of those that take the entity, in no particular order.
    pub(crate) fn matching<'s>(
        &'s self,
        entity: &'s EntityParts<'_>,
        labels: &'s EntityLabels,
    ) -> impl Iterator<Item = u32> + 's {
        let named = self.by_name.get(entity.name).into_iter().flatten();
        let spaced = self.by_namespace.get(entity.namespace).into_iter().flatten();
        let all = named.chain(spaced).chain(&self.others).copied();
        all.filter(move |number| self.selectors[*number as usize].matches(entity, labels))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::pattern::Pattern;

    #[test]
    fn the_index_finds_what_trying_each_finds() {
        let patterns = ["*", "a", "b", "a*"].map(|text| Pattern::new(text, false).unwrap());
        let mut selectors = Vec::new();
        for name in &patterns {
            for namespace in &patterns {
                let (name, namespace) = (name.clone(), namespace.clone());
                selectors.push(EntitySelector { name, namespace, ..EntitySelector::default() });
            }
        }
        let labels = EntityLabels::default();
        let index = SelectorIndex::new(selectors.clone());
        for id in ["-/a/service/a", "-/b/service/a", "-/a/service/ab", "-/-/host/c", "odd"] {
            let entity = EntityParts::new(id);
            let mut found: Vec<_> = index.matching(&entity, &labels).collect();
            found.sort_unstable();
            let tried = (0..).zip(&selectors).filter(|(_, selector)| selector.matches(&entity, &labels));
            assert_eq!(found, tried.map(|(number, _)| number).collect::<Vec<u32>>(), "{id}");
        }
    }
}
