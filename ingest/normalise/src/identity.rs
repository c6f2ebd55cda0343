//! What the addresses stand for: address space, entity, kind, namespace and instance of both ends, and the direction.
//!
//! Everything is found once for each distinct address of an address space, and given to the rows by code. Only an address
//! whose owner changed in time is looked at row by row.

use crate::memo::Memo;
use crate::normaliser::Normaliser;
use crate::principal;
use crate::{Direction, InventoryEntity};
use std::net::IpAddr;
use tradewind_model::entity::{EntityKind, EntitySource, entity_id};
use tradewind_model::flow::*;
use tradewind_model::{FlowBatch, NULL_CODE, TextCol};

/// Marks, in an answer's number, an index into [`Identities::changing`].
const CHANGING: u32 = 1 << 31;

/// The columns of one end.
struct End {
    ip: TextCol,
    network: TextCol,
    principal: TextCol,
    entity: TextCol,
    kind: TextCol,
    namespace: TextCol,
    instance: TextCol,
    source: TextCol,
}

const SRC: End = End {
    ip: SRC_IP,
    network: SRC_NETWORK,
    principal: SRC_PRINCIPAL,
    entity: SRC_ENTITY,
    kind: SRC_KIND,
    namespace: SRC_NAMESPACE,
    instance: SRC_INSTANCE,
    source: SRC_ENTITY_SOURCE,
};

const DST: End = End {
    ip: DST_IP,
    network: DST_NETWORK,
    principal: DST_PRINCIPAL,
    entity: DST_ENTITY,
    kind: DST_KIND,
    namespace: DST_NAMESPACE,
    instance: DST_INSTANCE,
    source: DST_ENTITY_SOURCE,
};

/// An answer as codes of the columns of one end.
#[derive(Clone, Copy, Debug)]
struct Identity {
    entity: u32,
    kind: u32,
    namespace: u32,
    instance: u32,
    source: u32,
}

/// An answer that depends on the time: the first that holds, else the last resort.
#[derive(Clone, Debug)]
struct Changing {
    /// From, to (microseconds UTC, half-open) and the number of the answer.
    tenures: Vec<(i64, i64, u32)>,
    otherwise: u32,
}

/// Answers of one batch and end, kept for their memory alone.
#[derive(Debug, Default)]
pub(crate) struct Identities {
    by_address: Memo,
    by_principal: Memo,
    /// By address code: what it is, when it is an address.
    addresses: Vec<Option<IpAddr>>,
    known: Vec<Identity>,
    changing: Vec<Changing>,
    /// The answer for all of the internet, once it was met.
    internet: Option<u32>,
    /// By row, the number of its answer in `known`.
    rows: Vec<u32>,
}

/// Where an address code lies: [`ABSENT`], [`INSIDE`] or [`OUTSIDE`].
type Side = u8;
const ABSENT: Side = 0;
const INSIDE: Side = 1;
const OUTSIDE: Side = 2;

/// Fills all columns of both ends and `direction`.
pub(crate) fn identify(normaliser: &Normaliser, batch: &mut FlowBatch, scratch: &mut Identities) {
    let sides = [SRC, DST].map(|end| {
        name_networks(normaliser, batch, end.network);
        let sides = read_addresses(normaliser, batch, &end, scratch);
        find_identities(normaliser, batch, &end, scratch, &sides);
        write_identities(batch, &end, scratch);
        sides
    });
    set_direction(batch, &sides);
}

/// Gives address spaces their configured names, and rows without one the default.
fn name_networks(normaliser: &Normaliser, batch: &mut FlowBatch, column: TextCol) {
    let rows = batch.len();
    let known = batch.text(column).dictionary();
    let renamed = |text: &str| normaliser.network_names.get(text).cloned();
    let names: Vec<Option<String>> =
        std::iter::once(normaliser.default_network.clone()).chain(known.iter().map(renamed)).collect();
    if names.iter().all(Option::is_none) {
        return;
    }
    let target = batch.text_mut(column);
    let codes: Vec<u32> =
        names.iter().zip(0..).map(|(name, code)| name.as_ref().map_or(code, |name| target.intern(name))).collect();
    if let Some(code) = target.constant(rows) {
        let text = target.dictionary().get(codes[code as usize]).map(str::to_owned);
        target.replace_codes(Vec::new());
        if let Some(text) = text {
            batch.fill_text(column, 0, &text);
        }
        return;
    }
    let mapped = target.codes(rows).iter().map(|&code| codes[code as usize]).collect();
    target.replace_codes(mapped);
}

/// Reads each distinct address and says where it lies.
fn read_addresses(normaliser: &Normaliser, batch: &FlowBatch, end: &End, scratch: &mut Identities) -> Vec<Side> {
    scratch.addresses.clear();
    scratch.addresses.push(None);
    scratch.addresses.extend(batch.text(end.ip).dictionary().iter().map(|text| text.parse().ok()));
    let side = |address: &Option<IpAddr>| match address {
        None => ABSENT,
        Some(address) if normaliser.networks.is_internal(*address) => INSIDE,
        Some(_) => OUTSIDE,
    };
    scratch.addresses.iter().map(side).collect()
}

/// Finds the answer of every row.
fn find_identities(
    normaliser: &Normaliser,
    batch: &mut FlowBatch,
    end: &End,
    scratch: &mut Identities,
    sides: &[Side],
) {
    let rows = batch.len();
    let length = |column: TextCol| batch.text(column).dictionary().len();
    scratch.by_address.reset(length(end.network), length(end.ip), rows);
    scratch.by_principal.reset(length(end.network), length(end.principal), rows);
    scratch.known.clear();
    scratch.changing.clear();
    scratch.internet = None;
    let codes = |column: TextCol| batch.text(column).codes(rows).into_owned();
    let (addresses, networks, principals) = (codes(end.ip), codes(end.network), codes(end.principal));
    let mut found = std::mem::take(&mut scratch.rows);
    found.clear();
    for row in 0..rows {
        let (address, network, principal) = (addresses[row], networks[row], principals[row]);
        let by_principal = if principal == NULL_CODE {
            None
        } else {
            match scratch.by_principal.get(network, principal) {
                Some(answer) => Some(answer),
                None => {
                    let finder = Finder { normaliser, end, network, sides };
                    finder.by_principal(batch, scratch, principal)
                }
            }
        };
        let answer = by_principal.filter(|&answer| answer != NO_WORKLOAD).unwrap_or_else(|| {
            scratch.by_address.get(network, address).unwrap_or_else(|| {
                let finder = Finder { normaliser, end, network, sides };
                finder.by_address(batch, scratch, address)
            })
        });
        found.push(answer);
    }
    if !scratch.changing.is_empty() {
        let times = batch.num(END_TIME).values(rows);
        for (answer, &time) in found.iter_mut().zip(&*times).filter(|(answer, _)| **answer & CHANGING != 0) {
            let changing = &scratch.changing[(*answer & !CHANGING) as usize];
            let tenure = changing.tenures.iter().find(|&&(from, to, _)| from <= time && time < to);
            *answer = tenure.map_or(changing.otherwise, |&(_, _, answer)| answer);
        }
    }
    scratch.rows = found;
}

/// The answer for a principal that names no workload: the address decides.
const NO_WORKLOAD: u32 = CHANGING - 1;

/// Looks up what was not met before in this batch.
struct Finder<'a> {
    normaliser: &'a Normaliser,
    end: &'a End,
    network: u32,
    sides: &'a [Side],
}

impl Finder<'_> {
    #[cold]
    fn by_principal(&self, batch: &mut FlowBatch, scratch: &mut Identities, code: u32) -> Option<u32> {
        let text = batch.text(self.end.principal).dictionary().get(code)?.to_owned();
        let answer = match principal::workload(&text) {
            None => NO_WORKLOAD,
            Some(workload) => {
                let (namespace, name) = (workload.namespace, workload.service_account);
                let (network, kind) = self.known_workload(batch, namespace, name);
                let entity = entity_id(network.as_deref(), Some(namespace), kind, name);
                self.intern(batch, scratch, &entity, kind, Some(namespace), None, EntitySource::Principal)
            }
        };
        scratch.by_principal.insert(self.network, code, answer);
        Some(answer)
    }

    /// The address space and kind of a workload. An inventory that names it decides, so that the workload is one entity
    /// whether it is known by its certificate or by its address.
    fn known_workload(&self, batch: &FlowBatch, namespace: &str, name: &str) -> (Option<String>, EntityKind) {
        let own = batch.text(self.end.network).dictionary().get(self.network);
        let mut entries = self.normaliser.inventory.named(namespace, name).peekable();
        let Some(first) = entries.peek().copied() else {
            return (self.normaliser.default_network.clone(), EntityKind::Service);
        };
        let entry = entries.find(|entry| entry.network.is_some() && entry.network.as_deref() == own).unwrap_or(first);
        let kind = if entry.kind == EntityKind::Agent { EntityKind::Agent } else { EntityKind::Service };
        (self.network_of(entry), kind)
    }

    /// An entry for all address spaces stands for one entity, whichever space a record saw it from.
    fn network_of(&self, entry: &InventoryEntity) -> Option<String> {
        entry.network.clone().or_else(|| self.normaliser.default_network.clone())
    }

    #[cold]
    fn by_address(&self, batch: &mut FlowBatch, scratch: &mut Identities, code: u32) -> u32 {
        let inventory = &self.normaliser.inventory;
        let tenures = scratch.addresses[code as usize].map_or_else(Vec::new, |address| {
            inventory.tenures(batch.text(self.end.network).dictionary().get(self.network), address)
        });
        let mut answers = Vec::with_capacity(tenures.len());
        for tenure in &tenures {
            let answer = self.intern_entry(batch, scratch, inventory.entity(tenure));
            answers.push((tenure.from, tenure.to, answer));
        }
        let otherwise = match tenures.last() {
            Some(last) if last.is_unbounded() => answers.pop().map(|(_, _, answer)| answer),
            _ => None,
        };
        let otherwise = otherwise.unwrap_or_else(|| self.intern_unlisted(batch, scratch, code));
        let answer = if answers.is_empty() {
            otherwise
        } else {
            scratch.changing.push(Changing { tenures: answers, otherwise });
            CHANGING | number(scratch.changing.len() - 1)
        };
        scratch.by_address.insert(self.network, code, answer);
        answer
    }

    fn intern_entry(&self, batch: &mut FlowBatch, scratch: &mut Identities, entry: &InventoryEntity) -> u32 {
        let (namespace, instance) = (entry.namespace.as_deref(), entry.instance.as_deref());
        let entity = entity_id(self.network_of(entry).as_deref(), namespace, entry.kind, &entry.name);
        self.intern(batch, scratch, &entity, entry.kind, namespace, instance, EntitySource::Inventory)
    }

    /// An address that no entry explains. All outside is one entity: its addresses are too many to have baselines.
    fn intern_unlisted(&self, batch: &mut FlowBatch, scratch: &mut Identities, code: u32) -> u32 {
        let Some(address) = batch.text(self.end.ip).dictionary().get(code) else {
            let (kind, source) = (EntityKind::Unknown, EntitySource::Unknown);
            return self.intern(batch, scratch, &entity_id(None, None, kind, "-"), kind, None, None, source);
        };
        let source = EntitySource::Address;
        if self.sides[code as usize] != OUTSIDE {
            let (network, kind) = (batch.text(self.end.network).dictionary().get(self.network), EntityKind::Unknown);
            return self.intern(batch, scratch, &entity_id(network, None, kind, address), kind, None, None, source);
        }
        scratch.internet.unwrap_or_else(|| {
            let kind = EntityKind::External;
            let entity = entity_id(None, None, kind, "internet");
            let answer = self.intern(batch, scratch, &entity, kind, None, None, source);
            scratch.internet = Some(answer);
            answer
        })
    }

    #[allow(clippy::too_many_arguments)]
    fn intern(
        &self,
        batch: &mut FlowBatch,
        scratch: &mut Identities,
        entity: &str,
        kind: EntityKind,
        namespace: Option<&str>,
        instance: Option<&str>,
        source: EntitySource,
    ) -> u32 {
        let mut code = |column, text: Option<&str>| text.map_or(NULL_CODE, |text| batch.text_mut(column).intern(text));
        scratch.known.push(Identity {
            entity: code(self.end.entity, Some(entity)),
            kind: code(self.end.kind, Some(kind.as_str())),
            namespace: code(self.end.namespace, namespace),
            instance: code(self.end.instance, instance),
            source: code(self.end.source, Some(source.as_str())),
        });
        number(scratch.known.len() - 1)
    }
}

fn number(index: usize) -> u32 {
    u32::try_from(index).ok().filter(|&number| number < NO_WORKLOAD).expect("fewer answers than rows of a batch")
}

/// Gives every row its answer.
fn write_identities(batch: &mut FlowBatch, end: &End, scratch: &Identities) {
    write(batch, end.entity, scratch, |identity| identity.entity, |_, found| found);
    write(batch, end.kind, scratch, |identity| identity.kind, |_, found| found);
    write(batch, end.source, scratch, |identity| identity.source, |_, found| found);
    // What the record says of the namespace counts where the answer has none; of the instance, always.
    let first = |a: u32, b: u32| if a == NULL_CODE { b } else { a };
    write(batch, end.namespace, scratch, |identity| identity.namespace, |own, found| first(found, own));
    write(batch, end.instance, scratch, |identity| identity.instance, first);
}

/// Writes one column: `pick` takes its code from an answer, `join` makes the new code of the row's own and that one.
fn write(
    batch: &mut FlowBatch,
    column: TextCol,
    scratch: &Identities,
    pick: impl Fn(&Identity) -> u32,
    join: impl Fn(u32, u32) -> u32,
) {
    let rows = batch.len();
    let codes: Vec<u32> = scratch.known.iter().map(pick).collect();
    let own = batch.text(column).constant(rows);
    if let (Some(own), Some(&first)) = (own, codes.first()) {
        let joined = join(own, first);
        if codes.iter().all(|&code| join(own, code) == joined) {
            let text = batch.text(column).dictionary().get(joined).map(str::to_owned);
            batch.text_mut(column).replace_codes(Vec::new());
            text.into_iter().for_each(|text| batch.fill_text(column, 0, &text));
            return;
        }
    }
    let joined = match own {
        Some(own) => scratch.rows.iter().map(|&answer| join(own, codes[answer as usize])).collect(),
        None => {
            let own = batch.text(column).codes(rows);
            scratch.rows.iter().zip(&*own).map(|(&answer, &own)| join(own, codes[answer as usize])).collect()
        }
    };
    batch.text_mut(column).replace_codes(joined);
}

/// The direction of every row by where its addresses lie; none when one is missing.
fn set_direction(batch: &mut FlowBatch, [src_sides, dst_sides]: &[Vec<Side>; 2]) {
    let rows = batch.len();
    let column = batch.text_mut(DIRECTION);
    let mut words = [NULL_CODE; 9];
    for src in [INSIDE, OUTSIDE] {
        for dst in [INSIDE, OUTSIDE] {
            let direction = Direction::of(src == INSIDE, dst == INSIDE);
            words[usize::from(src * 3 + dst)] = column.intern(direction.as_str());
        }
    }
    let (src, dst) = (batch.text(SRC_IP).codes(rows), batch.text(DST_IP).codes(rows));
    let codes = src
        .iter()
        .zip(&*dst)
        .map(|(&src, &dst)| words[usize::from(src_sides[src as usize] * 3 + dst_sides[dst as usize])])
        .collect();
    drop((src, dst));
    batch.text_mut(DIRECTION).replace_codes(codes);
}

#[cfg(test)]
mod tests;
