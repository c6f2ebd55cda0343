//! Who of a group has which partitions. Pure: no I/O, and the time is an argument.
//!
//! Partitions are divided by range: those of each topic, in order, among the members in the order of their names. So a member
//! that comes back under its name gets back what it had. A partition changes hands when who has it was told
//! ([`Group::release`]), or did not ask for too long ([`Group::take_overdue`]); every change of hands has a number, by which commits of
//! who had it before are refused.

use crate::record::TopicPartition;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// One member.
#[derive(Debug)]
struct Member {
    /// Its number: a later member of the same name has another one.
    id: u64,
    /// What it wants to read.
    topics: Vec<Arc<str>>,
}

/// Who has a partition.
#[derive(Debug)]
struct Owner {
    /// The member.
    id: u64,
    /// Number of the change of hands by which it got it.
    since: u64,
    /// Since when it is to give it back, where it is.
    overdue_from: Option<Instant>,
}

/// A group.
#[derive(Debug, Default)]
pub(super) struct Group {
    members: BTreeMap<String, Member>,
    owners: HashMap<TopicPartition, Owner>,
    targets: HashMap<TopicPartition, u64>,
    /// Number of the last change of hands.
    number: u64,
}

impl Group {
    /// A member joins. One of its name that is there is out at once, and what it had is the new one's.
    pub(super) fn join(
        &mut self,
        name: &str,
        id: u64,
        topics: &[Arc<str>],
        counts: &HashMap<Arc<str>, i32>,
        now: Instant,
    ) {
        let before = self.members.insert(name.to_owned(), Member { id, topics: topics.to_vec() });
        if let Some(before) = before {
            for owner in self.owners.values_mut().filter(|owner| owner.id == before.id) {
                self.number += 1;
                *owner = Owner { id, since: self.number, overdue_from: None };
            }
        }
        self.divide(counts, now);
    }

    /// A member leaves; what it had is the others'. One that is out already changes nothing.
    pub(super) fn leave(&mut self, name: &str, id: u64, counts: &HashMap<Arc<str>, i32>, now: Instant) {
        if !self.is_member(name, id) {
            return;
        }
        self.members.remove(name);
        self.owners.retain(|_, owner| owner.id != id);
        self.divide(counts, now);
    }

    /// Whether this member is in the group, and not a later one of its name.
    pub(super) fn is_member(&self, name: &str, id: u64) -> bool {
        self.members.get(name).is_some_and(|member| member.id == id)
    }

    /// Divides the partitions anew: the members or the topics are others by now.
    pub(super) fn divide(&mut self, counts: &HashMap<Arc<str>, i32>, now: Instant) {
        self.targets = targets(&self.members, counts);
        self.owners.retain(|partition, _| self.targets.contains_key(partition));
        for (partition, &id) in &self.targets {
            match self.owners.get_mut(partition) {
                None => {
                    self.number += 1;
                    self.owners.insert(partition.clone(), Owner { id, since: self.number, overdue_from: None });
                }
                Some(owner) if owner.id == id => owner.overdue_from = None,
                Some(owner) => {
                    owner.overdue_from.get_or_insert(now);
                }
            }
        }
    }

    /// Partitions that this member has and keeps, each with the number by which it got it, in order.
    pub(super) fn kept_by(&self, id: u64) -> BTreeMap<TopicPartition, u64> {
        let kept = self.owners.iter().filter(|(_, owner)| owner.id == id && owner.overdue_from.is_none());
        kept.map(|(partition, owner)| (partition.clone(), owner.since)).collect()
    }

    /// A member was told that these are not its any more: they are whose they are to be.
    pub(super) fn release(&mut self, id: u64, partitions: &[TopicPartition]) {
        for partition in partitions {
            if self.owners.get(partition).is_some_and(|owner| owner.id == id) {
                self.hand_over(partition);
            }
        }
    }

    /// Takes away what was not given back for so long. Whether there was any.
    pub(super) fn take_overdue(&mut self, timeout: Duration, now: Instant) -> bool {
        let is_overdue = |owner: &Owner| owner.overdue_from.is_some_and(|from| now.duration_since(from) >= timeout);
        let overdue: Vec<_> =
            self.owners.iter().filter(|(_, owner)| is_overdue(owner)).map(|(partition, _)| partition.clone()).collect();
        for partition in &overdue {
            self.hand_over(partition);
        }
        !overdue.is_empty()
    }

    /// Whether a member waits for partitions that another one still has.
    pub(super) fn is_waiting(&self, id: u64) -> bool {
        self.owners
            .iter()
            .any(|(partition, owner)| owner.overdue_from.is_some() && self.targets.get(partition) == Some(&id))
    }

    /// Whether this member has the partition, and had it already when it saw change number `seen`.
    pub(super) fn may_commit(&self, partition: &TopicPartition, id: u64, seen: u64) -> bool {
        self.owners.get(partition).is_some_and(|owner| owner.id == id && owner.since <= seen)
    }

    fn hand_over(&mut self, partition: &TopicPartition) {
        match self.targets.get(partition) {
            Some(&id) => {
                self.number += 1;
                self.owners.insert(partition.clone(), Owner { id, since: self.number, overdue_from: None });
            }
            None => {
                self.owners.remove(partition);
            }
        }
    }
}

/// Range assignment: each topic's partitions, in order, among the members that want it, the first ones getting one more.
fn targets(members: &BTreeMap<String, Member>, counts: &HashMap<Arc<str>, i32>) -> HashMap<TopicPartition, u64> {
    let mut targets = HashMap::new();
    for (topic, &count) in counts {
        let wanting: Vec<u64> =
            members.values().filter(|member| member.topics.contains(topic)).map(|member| member.id).collect();
        let Some(among) = i32::try_from(wanting.len()).ok().filter(|&among| among > 0) else { continue };
        let (each, more) = (count / among, count % among);
        let mut partitions = 0..count;
        for (id, place) in wanting.into_iter().zip(0..) {
            for _ in 0..each + i32::from(place < more) {
                if let Some(partition) = partitions.next() {
                    targets.insert(TopicPartition::new(Arc::clone(topic), partition), id);
                }
            }
        }
    }
    targets
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(5);

    fn counts(partitions: i32) -> HashMap<Arc<str>, i32> {
        HashMap::from([(Arc::from("t"), partitions)])
    }

    fn kept(group: &Group, id: u64) -> Vec<i32> {
        group.kept_by(id).keys().map(|partition| partition.partition).collect()
    }

    fn check_division(partitions: i32, members: u64, expected: &[&[i32]]) {
        let mut group = Group::default();
        let now = Instant::now();
        for id in 1..=members {
            // All of them give back what they are told to.
            group.join(&format!("m{id}"), id, &[Arc::from("t")], &counts(partitions), now);
            group.take_overdue(Duration::ZERO, now);
        }
        let found: Vec<_> = (1..=members).map(|id| kept(&group, id)).collect();
        assert_eq!(found, expected, "{partitions} partitions, {members} members");
    }

    #[test]
    fn partitions_are_divided_by_range() {
        check_division(4, 1, &[&[0, 1, 2, 3]]);
        check_division(4, 2, &[&[0, 1], &[2, 3]]);
        check_division(4, 3, &[&[0, 1], &[2], &[3]]);
        check_division(2, 3, &[&[0], &[1], &[]]);
        check_division(1, 2, &[&[0], &[]]);
    }

    #[test]
    fn a_partition_changes_hands_when_it_is_given_back_or_overdue() {
        let (mut group, now, topics) = (Group::default(), Instant::now(), [Arc::from("t")]);
        group.join("a", 1, &topics, &counts(4), now);
        let seen = group.number;
        group.join("b", 2, &topics, &counts(4), now);
        assert_eq!((kept(&group, 1), kept(&group, 2)), (vec![0, 1], vec![]));
        assert!(group.is_waiting(2) && !group.is_waiting(1));
        let (kept_one, moved, overdue) =
            (TopicPartition::new("t", 0), TopicPartition::new("t", 2), TopicPartition::new("t", 3));
        // Until it is given back it may be committed: nobody else has it yet.
        assert!(group.may_commit(&moved, 1, seen));
        group.release(1, std::slice::from_ref(&moved));
        assert!(!group.may_commit(&moved, 1, seen) && group.may_commit(&moved, 2, group.number));
        assert!(!group.may_commit(&moved, 2, seen), "what it read before it had the partition is not its to commit");
        assert!(!group.take_overdue(TIMEOUT, now + TIMEOUT / 2));
        assert!(group.take_overdue(TIMEOUT, now + TIMEOUT));
        assert!(!group.may_commit(&overdue, 1, seen) && group.may_commit(&kept_one, 1, seen));
        assert_eq!(kept(&group, 2), [2, 3]);
        group.leave("b", 2, &counts(4), now);
        assert_eq!(kept(&group, 1), [0, 1, 2, 3]);
        assert!(!group.may_commit(&moved, 1, seen), "it was another's in between");
    }

    #[test]
    fn a_later_member_of_a_name_puts_the_earlier_one_out() {
        let (mut group, now, topics) = (Group::default(), Instant::now(), [Arc::from("t")]);
        group.join("a", 1, &topics, &counts(2), now);
        let seen = group.number;
        group.join("a", 2, &topics, &counts(2), now);
        assert!(!group.is_member("a", 1) && group.is_member("a", 2));
        assert!(!group.may_commit(&TopicPartition::new("t", 0), 1, seen));
        assert_eq!(kept(&group, 2), [0, 1]);
        group.leave("a", 1, &counts(2), now);
        assert_eq!(kept(&group, 2), [0, 1], "one that is out cannot leave again");
    }
}
