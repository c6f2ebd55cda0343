//! Reads from the embedded log: positions, assignments and waiting. What a batch is on disk is in `read`.

use super::read::View;
use super::state::{State, lock};
use super::write::Request;
use super::{EmbeddedMember, Inner};
use crate::error::LogError;
use crate::log::{Consumer, Event, Membership, MembershipToken, Start, Subscription};
use crate::record::{Batch, Inputs, TopicPartition};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A partition that the consumer was told is its.
#[derive(Debug)]
struct Assigned {
    /// Number of the change of hands by which it got it; 0 outside of a group.
    since: u64,
    start: Start,
    is_paused: bool,
}

/// A consumer's place in a group.
#[derive(Debug)]
struct Member {
    name: String,
    topics: Vec<Arc<str>>,
    /// Its number once it joined.
    id: Option<u64>,
    /// Number of the last change of hands that it saw.
    seen: u64,
}

/// A consumer of the embedded log.
#[derive(Debug)]
pub(super) struct EmbeddedConsumer {
    inner: Arc<Inner>,
    group: String,
    /// None: its partitions were given to it.
    member: Option<Member>,
    /// Partitions to tell of, where they were given.
    to_tell: Option<Vec<TopicPartition>>,
    assigned: BTreeMap<TopicPartition, Assigned>,
    /// Whose turn it is: every partition gets one batch before one gets a second.
    turns: VecDeque<TopicPartition>,
}

impl EmbeddedConsumer {
    pub(super) fn new(inner: Arc<Inner>, subscription: &Subscription) -> Self {
        let mut consumer = Self {
            inner,
            group: String::new(),
            member: None,
            to_tell: None,
            assigned: BTreeMap::new(),
            turns: VecDeque::new(),
        };
        match subscription {
            Subscription::Group { group, member, topics } => {
                consumer.group.clone_from(group);
                let topics = topics.iter().map(|topic| Arc::from(topic.as_str())).collect();
                consumer.member = Some(Member { name: member.clone(), topics, id: None, seen: 0 });
            }
            Subscription::Assigned { group, partitions } => {
                consumer.group.clone_from(group);
                for (partition, start) in partitions {
                    consumer.assign(partition, 0, *start);
                }
                consumer.to_tell = Some(partitions.iter().map(|(partition, _)| partition.clone()).collect());
            }
        }
        consumer
    }

    fn assign(&mut self, partition: &TopicPartition, since: u64, start: Start) {
        self.assigned.insert(partition.clone(), Assigned { since, start, is_paused: false });
        self.turns.push_back(partition.clone());
    }

    fn unassign(&mut self, partitions: &[TopicPartition]) {
        for partition in partitions {
            self.assigned.remove(partition);
        }
        self.turns.retain(|partition| self.assigned.contains_key(partition));
    }

    /// Joins the group, at the first poll.
    fn join(&mut self) -> Result<(), LogError> {
        let Some(member) = self.member.as_mut().filter(|member| member.id.is_none()) else { return Ok(()) };
        // With the right to write: what another one of the name is committing is committed before.
        let writer = lock(&self.inner.writer);
        let mut state = lock(&self.inner.state);
        for topic in &member.topics {
            state.topic(topic)?;
        }
        let (id, counts) = (state.next_number(), state.partition_counts());
        let group = state.groups.entry(self.group.clone()).or_default();
        group.join(&member.name, id, &member.topics, &counts, Instant::now());
        member.id = Some(id);
        drop((state, writer));
        self.inner.changed.notify_all();
        Ok(())
    }

    /// What changed of its share since it was told: first what is not its any more, then what is new.
    fn change(&mut self) -> Result<Option<Event>, LogError> {
        let Some(Member { name, id: Some(id), .. }) = &self.member else {
            return Ok(self.to_tell.take().map(Event::Assigned));
        };
        let id = *id;
        let kept = {
            let state = lock(&self.inner.state);
            let group = state.groups.get(&self.group).filter(|group| group.is_member(name, id));
            let group = group.ok_or_else(|| LogError::Fenced {
                who: name.clone(),
                detail: format!("another member of group `{}` has its name", self.group),
            })?;
            group.kept_by(id)
        };
        let is_lost =
            |(partition, assigned): &(&TopicPartition, &Assigned)| kept.get(*partition) != Some(&assigned.since);
        let lost: Vec<_> = self.assigned.iter().filter(is_lost).map(|(partition, _)| partition.clone()).collect();
        if !lost.is_empty() {
            self.unassign(&lost);
            // With the right to write: a commit of them that is under way ends before they are another's.
            let writer = lock(&self.inner.writer);
            if let Some(group) = lock(&self.inner.state).groups.get_mut(&self.group) {
                group.release(id, &lost);
            }
            drop(writer);
            self.inner.changed.notify_all();
            return Ok(Some(Event::Revoked(lost)));
        }
        let new: Vec<_> = kept.into_iter().filter(|(partition, _)| !self.assigned.contains_key(partition)).collect();
        if new.is_empty() {
            return Ok(None);
        }
        for (partition, since) in &new {
            self.assign(partition, *since, Start::Committed);
            if let Some(member) = &mut self.member {
                member.seen = member.seen.max(*since);
            }
        }
        Ok(Some(Event::Assigned(new.into_iter().map(|(partition, _)| partition).collect())))
    }

    /// The next batch, where there is one.
    fn batch(&mut self) -> Result<Option<Batch>, LogError> {
        for _ in 0..self.turns.len() {
            let Some(partition) = self.turns.pop_front() else { break };
            self.turns.push_back(partition.clone());
            let Some(assigned) = self.assigned.get(&partition).filter(|assigned| !assigned.is_paused) else { continue };
            let start = assigned.start;
            let view = self.inner.view(&partition)?;
            let from = self.resolve(&partition, view, start);
            if let Some(error) = self.inner.read_range_error(&partition, from) {
                return Err(error);
            }
            let read = if from < view.end { self.inner.read(&partition, view, from)? } else { (Vec::new(), from) };
            if let Some(assigned) = self.assigned.get_mut(&partition) {
                assigned.start = Start::At(read.1);
            }
            if !read.0.is_empty() {
                return Ok(Some(Batch { from: partition, records: read.0, next: read.1 }));
            }
        }
        Ok(None)
    }

    fn resolve(&self, partition: &TopicPartition, view: View, start: Start) -> i64 {
        match start {
            Start::First => view.first,
            Start::End => view.end,
            Start::At(offset) => offset,
            Start::Committed => {
                lock(&self.inner.state).committed(&self.group, view.topic, partition.partition).unwrap_or(view.first)
            }
        }
    }

    /// Whether there is something to poll for: with the lock, so that nothing comes between the answer and the wait for it.
    fn is_ready(&self, state: &State) -> bool {
        if let Some(Member { name, id: Some(id), .. }) = &self.member {
            let Some(group) = state.groups.get(&self.group).filter(|group| group.is_member(name, *id)) else {
                return true;
            };
            let kept = group.kept_by(*id);
            if kept.len() != self.assigned.len()
                || self.assigned.iter().any(|(partition, assigned)| kept.get(partition) != Some(&assigned.since))
            {
                return true;
            }
        }
        self.assigned.iter().filter(|(_, assigned)| !assigned.is_paused).any(|(partition, assigned)| {
            // A partition is at a number once it was looked at; before it is to be looked at.
            !matches!((assigned.start, state.partition(partition)), (Start::At(at), Ok((_, known))) if at == known.end)
        })
    }

    /// Waits until something changes, at most until then. False when the time is over.
    fn wait(&self, until: Instant) -> bool {
        let state = lock(&self.inner.state);
        if self.is_ready(&state) {
            return true;
        }
        let now = Instant::now();
        if now >= until {
            return false;
        }
        let overdue = self.overdue_wait(&state);
        let wait = overdue.map_or(until - now, |overdue| overdue.min(until - now));
        let waited = self.inner.changed.wait_timeout(state, wait);
        let (state, _): (MutexGuard<'_, State>, _) = waited.unwrap_or_else(PoisonError::into_inner);
        drop(state);
        self.take_overdue();
        true
    }

    /// How long until what another member does not give back may be taken; none where it waits for nothing.
    fn overdue_wait(&self, state: &State) -> Option<Duration> {
        let id = self.member.as_ref()?.id?;
        let is_waiting = state.groups.get(&self.group).is_some_and(|group| group.is_waiting(id));
        is_waiting.then(|| Duration::from_millis(self.inner.settings.handover_timeout_ms.clamp(1, 1_000)))
    }

    fn take_overdue(&self) {
        if self.overdue_wait(&lock(&self.inner.state)).is_none() {
            return;
        }
        let writer = lock(&self.inner.writer);
        let timeout = Duration::from_millis(self.inner.settings.handover_timeout_ms);
        let taken = lock(&self.inner.state)
            .groups
            .get_mut(&self.group)
            .is_some_and(|group| group.take_overdue(timeout, Instant::now()));
        drop(writer);
        if taken {
            tracing::warn!(
                group = self.group,
                "a member did not give partitions back in time; they were taken from it"
            );
            self.inner.changed.notify_all();
        }
    }

    fn assigned_mut(&mut self, partition: &TopicPartition) -> Result<&mut Assigned, LogError> {
        self.assigned.get_mut(partition).ok_or_else(|| LogError::Settings(format!("{partition} is not assigned")))
    }
}

impl Consumer for EmbeddedConsumer {
    fn poll(&mut self, wait: Duration) -> Result<Event, LogError> {
        let begun = Instant::now();
        // A wait of more than a year is one without an end.
        let until = begun + wait.min(Duration::from_secs(31_536_000));
        self.join()?;
        loop {
            if let Some(event) = self.change()? {
                return Ok(event);
            }
            if let Some(batch) = self.batch()? {
                return Ok(Event::Batch(batch));
            }
            if !self.wait(until) {
                return Ok(Event::Idle);
            }
        }
    }

    fn seek(&mut self, partition: &TopicPartition, start: Start) -> Result<(), LogError> {
        self.assigned_mut(partition)?;
        let view = self.inner.view(partition)?;
        let at = self.resolve(partition, view, start);
        if let Some(error) = self.inner.read_range_error(partition, at) {
            return Err(error);
        }
        self.assigned_mut(partition)?.start = Start::At(at);
        Ok(())
    }

    fn pause(&mut self, partitions: &[TopicPartition]) {
        for partition in partitions {
            if let Some(assigned) = self.assigned.get_mut(partition) {
                assigned.is_paused = true;
            }
        }
    }

    fn resume(&mut self, partitions: &[TopicPartition]) {
        for partition in partitions {
            if let Some(assigned) = self.assigned.get_mut(partition) {
                assigned.is_paused = false;
            }
        }
    }

    fn commit(&mut self, inputs: &Inputs) -> Result<(), LogError> {
        let membership = self.membership();
        self.inner.submit(Request {
            inputs: inputs.next.clone(),
            member: Some((self.group.clone(), super::producer::member(&membership)?)),
            ..Request::default()
        })
    }

    fn membership(&self) -> Membership {
        let member = match &self.member {
            // One that did not join yet is nobody: no member has the number 0.
            Some(member) => {
                EmbeddedMember::Member { name: member.name.clone(), id: member.id.unwrap_or(0), seen: member.seen }
            }
            None => EmbeddedMember::Assigned,
        };
        Membership { group: self.group.clone(), token: MembershipToken::Embedded(member) }
    }
}

impl Drop for EmbeddedConsumer {
    fn drop(&mut self) {
        let Some(Member { name, id: Some(id), .. }) = &self.member else { return };
        let writer = lock(&self.inner.writer);
        let mut state = lock(&self.inner.state);
        let counts = state.partition_counts();
        if let Some(group) = state.groups.get_mut(&self.group) {
            group.leave(name, *id, &counts, Instant::now());
        }
        drop((state, writer));
        self.inner.changed.notify_all();
    }
}
