//! State that holds numbers of entities: all of it can be walked, to see which numbers are needed and to change them when
//! others are forgotten.

use crate::network::Edge;
use std::collections::BTreeMap;

/// Something with numbers of entities in it.
pub(crate) trait Numbered {
    /// Shows every number of an entity, and takes what it is changed to.
    fn visit(&mut self, number: &mut dyn FnMut(&mut u32));
}

impl Numbered for Edge {
    fn visit(&mut self, number: &mut dyn FnMut(&mut u32)) {
        number(&mut self.source);
        number(&mut self.destination);
    }
}

impl<T: Numbered> Numbered for Vec<T> {
    fn visit(&mut self, number: &mut dyn FnMut(&mut u32)) {
        self.iter_mut().for_each(|item| item.visit(number));
    }
}

impl<T: Numbered> Numbered for Option<T> {
    fn visit(&mut self, number: &mut dyn FnMut(&mut u32)) {
        self.iter_mut().for_each(|item| item.visit(number));
    }
}

impl<T: Numbered> Numbered for BTreeMap<u32, T> {
    fn visit(&mut self, number: &mut dyn FnMut(&mut u32)) {
        visit_keys(self, number);
        self.values_mut().for_each(|item| item.visit(number));
    }
}

/// As [`Numbered::visit`] where only the keys are numbers.
pub(crate) fn visit_keys<T>(map: &mut BTreeMap<u32, T>, number: &mut dyn FnMut(&mut u32)) {
    let renumber = |(mut key, value)| {
        number(&mut key);
        (key, value)
    };
    *map = std::mem::take(map).into_iter().map(renumber).collect();
}

/// The new number of an entity or edge, where `numbers` has it by the old one; none where it is forgotten.
pub(crate) fn new_number(numbers: &[Option<u32>], number: u32) -> Option<u32> {
    numbers.get(number as usize).copied().flatten()
}

/// Gives a map's keys their new numbers, and drops those that are forgotten.
pub(crate) fn keep_keys<V, M>(map: &mut M, numbers: &[Option<u32>])
where
    M: Default + IntoIterator<Item = (u32, V)> + FromIterator<(u32, V)>,
{
    let kept = std::mem::take(map).into_iter();
    *map = kept.filter_map(|(key, value)| Some((new_number(numbers, key)?, value))).collect();
}
