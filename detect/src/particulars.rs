//! What findings are about beyond their edges, so that their SQL shows these flows alone: uses that an edge never had, and
//! principals that an entity never proved. Where it does not know, the SQL shows all flows of the edges.

use crate::entities::View;
use crate::finding::{OpenFindings, Touched};
use crate::identity;
use crate::network::{Edge, Network};
use crate::numbered::Numbered;
use crate::report::DetectorName;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Texts of one finding at most: the SQL of one with more shows all flows of its edges.
const TEXTS_MAX: usize = 64;

/// By finding that is open: its uses with their edges, or its principals; none where there are too many.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Particulars(BTreeMap<String, Option<Vec<Particular>>>);

/// One use of an edge, or one principal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Particular {
    /// The edge of a use.
    edge: Option<Edge>,
    text: String,
}

impl Numbered for Particulars {
    fn visit(&mut self, number: &mut dyn FnMut(&mut u32)) {
        let all = self.0.values_mut().flatten().flatten();
        all.filter_map(|known| known.edge.as_mut()).for_each(|edge| edge.visit(number));
    }
}

impl Particular {
    /// A principal.
    pub(crate) const fn principal(text: String) -> Self {
        Self { edge: None, text }
    }
}

/// The uses of an edge.
pub(crate) fn uses_of(known: &[Particular], edge: Edge) -> Vec<&str> {
    known.iter().filter(|known| known.edge == Some(edge)).map(|known| known.text.as_str()).collect()
}

/// The principals.
pub(crate) fn principals(known: &[Particular]) -> Vec<&str> {
    known.iter().filter(|known| known.edge.is_none()).map(|known| known.text.as_str()).collect()
}

impl Particulars {
    /// Of this finding.
    pub(crate) fn of(&self, finding_id: &str) -> &[Particular] {
        self.0.get(finding_id).and_then(Option::as_deref).unwrap_or_default()
    }

    /// Takes in what a window adds to the findings that it touched, and forgets those that are over. `proved` has the
    /// principals of the window that are news, by entity.
    pub(crate) fn take(
        &mut self,
        view: &View,
        (findings, touched): (&OpenFindings, &Touched),
        proved: &[(u32, Particular)],
        network: &Network,
    ) {
        for &(entity, place) in touched {
            let Some(open) = findings.at(entity, place) else { continue };
            let found: Vec<Particular> = match open.behaviour {
                DetectorName::Protocol => {
                    let is_of = |edge: Edge| open.edges.contains(&edge) && edge.source == entity;
                    let uses = view.uses.iter().filter(|new| new.expected.is_some() && is_of(new.edge));
                    uses.map(|new| Particular { edge: Some(new.edge), text: new.text.clone() }).collect()
                }
                DetectorName::Identity if open.subject == identity::PRINCIPAL => {
                    proved.iter().filter(|(of, _)| *of == entity).map(|(_, known)| known.clone()).collect()
                }
                _ => continue,
            };
            let id = open.finding_id(network, entity);
            // What was told before is not known where the state is of an earlier version.
            if open.first_window == view.start {
                self.0.entry(id.clone()).or_insert_with(|| Some(Vec::new()));
            }
            if let Some(known) = self.0.get_mut(&id) {
                add(known, found);
            }
        }
        if !self.0.is_empty() {
            let open: BTreeSet<String> = findings.ids_of(is_particular, network).collect();
            self.0.retain(|id, _| open.contains(id));
        }
    }
}

const fn is_particular(behaviour: DetectorName) -> bool {
    matches!(behaviour, DetectorName::Protocol | DetectorName::Identity)
}

fn add(known: &mut Option<Vec<Particular>>, more: Vec<Particular>) {
    let Some(all) = known else { return };
    for one in more {
        if all.contains(&one) {
            continue;
        }
        if all.len() >= TEXTS_MAX {
            *known = None;
            return;
        }
        all.push(one);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_too_many_none_is_told() {
        let one = |number: usize| Particular::principal(number.to_string());
        let mut known = Some(Vec::new());
        add(&mut known, (0..TEXTS_MAX).chain(0..TEXTS_MAX).map(one).collect());
        assert_eq!(known.as_ref().map(Vec::len), Some(TEXTS_MAX));
        add(&mut known, vec![one(TEXTS_MAX)]);
        assert_eq!(known, None);
        add(&mut known, vec![one(0)]);
        assert_eq!(known, None);
    }
}
