//! A batch in the making: requests that are admitted one by one, what of the store it changes, and what the memory says once it is
//! written. Only made here; `write` writes it.

use super::EmbeddedMember;
use super::codec::{
    MARK_KEY, Mark, StoredTopic, TopicId, committed_key, encode_segment, partition_key, record_key, timestamp_of,
    topic_key,
};
use super::state::{Partition, Segment, State, Topic};
use super::store::Store;
use super::write::Request;
use crate::error::LogError;
use crate::record::TopicPartition;
use crate::topic::TopicSpec;
use std::collections::HashMap;
use std::sync::Arc;

/// Where an item goes.
#[derive(Clone, Copy)]
enum Place {
    Meta,
    Index,
    Topic(TopicId),
}

/// A batch in the making: what is to be in the store, and what the memory says once it is.
#[derive(Default)]
pub(super) struct Batch {
    items: Vec<(Place, Vec<u8>, Option<fjall::UserValue>)>,
    partitions: HashMap<(Arc<str>, TopicId, i32), Partition>,
    committed: HashMap<(String, TopicId, i32), i64>,
    /// Requests in it.
    pub(super) writes: u32,
    /// Records in it.
    pub(super) records: u32,
}

impl Batch {
    /// Changes what is known of a partition.
    pub(super) fn set_partition(&mut self, name: &Arc<str>, topic: TopicId, number: i32, partition: Partition) {
        self.partitions.insert((Arc::clone(name), topic, number), partition);
    }

    /// Removes a record or an index entry.
    pub(super) fn remove_record(&mut self, topic: TopicId, partition: i32, offset: i64) {
        self.items.push((Place::Topic(topic), record_key(topic, partition, offset).to_vec(), None));
    }

    pub(super) fn remove_segment(&mut self, topic: TopicId, partition: i32, first: i64) {
        self.items.push((Place::Index, record_key(topic, partition, first).to_vec(), None));
    }

    /// Adds a topic that is not there.
    pub(super) fn add_topic(&mut self, id: TopicId, spec: &TopicSpec) -> Result<(), LogError> {
        let stored = serde_json::to_vec(&StoredTopic::new(id, spec))
            .map_err(|error| LogError::Settings(format!("topic `{}` cannot be stored: {error}", spec.name)))?;
        self.items.push((Place::Meta, topic_key(&spec.name), Some(stored.into())));
        let name: Arc<str> = Arc::from(spec.name.as_str());
        for partition in 0..spec.partitions {
            self.set_partition(&name, id, partition, Partition::EMPTY);
        }
        Ok(())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty() && self.partitions.is_empty() && self.committed.is_empty()
    }

    /// Takes one request in, or refuses it and takes in nothing of it.
    pub(super) fn admit(&mut self, state: &State, request: &Request) -> Result<(), LogError> {
        check(state, request)?;
        for (to, value) in &request.records {
            let (topic, known) = state.partition(to)?;
            let at = (Arc::clone(&to.topic), topic.id, to.partition);
            let partition = self.partitions.entry(at).or_insert(*known);
            let key = record_key(topic.id, to.partition, partition.end).to_vec();
            partition.end += 1;
            partition.bytes += u64::try_from(value.len()).unwrap_or(u64::MAX);
            let timestamp = timestamp_of(value).unwrap_or(i64::MIN);
            partition.running_max = partition.running_max.max(timestamp);
            self.items.push((Place::Topic(topic.id), key, Some(value.as_slice().into())));
            self.records += 1;
        }
        self.index(state, request)?;
        for (partition, next) in &request.inputs {
            let Some((group, _)) = &request.member else { continue };
            let (topic, _) = state.partition(partition)?;
            self.committed.insert((group.clone(), topic.id, partition.partition), *next);
        }
        self.writes += 1;
        Ok(())
    }

    /// Adds index entries: what the records just admitted put into each partition.
    fn index(&mut self, state: &State, request: &Request) -> Result<(), LogError> {
        let mut segments: HashMap<&TopicPartition, (i64, u64, i64)> = HashMap::new();
        for (to, value) in &request.records {
            let segment = segments.entry(to).or_insert((0, 0, i64::MIN));
            segment.0 += 1;
            segment.1 += u64::try_from(value.len()).unwrap_or(u64::MAX);
            segment.2 = segment.2.max(timestamp_of(value).unwrap_or(i64::MIN));
        }
        for (to, (count, bytes, timestamp_max)) in segments {
            let (topic, known) = state.partition(to)?;
            let at = (Arc::clone(&to.topic), topic.id, to.partition);
            let partition = self.partitions.get(&at).unwrap_or(known);
            let first = partition.end - count;
            let segment = Segment { first, count, bytes, timestamp_max, running_max: partition.running_max };
            let key = record_key(topic.id, to.partition, first).to_vec();
            self.items.push((Place::Index, key, Some(encode_segment(&segment).into())));
        }
        Ok(())
    }

    /// Makes the store's batch, with the mark first.
    pub(super) fn build(&self, store: &Store, mark: Mark) -> fjall::OwnedWriteBatch {
        let mut batch = store.db.batch();
        batch.insert(&store.meta, MARK_KEY, mark.encode());
        for (place, key, value) in &self.items {
            let keyspace = match place {
                Place::Meta => Some(&store.meta),
                Place::Index => Some(&store.index),
                Place::Topic(id) => store.topic(*id),
            };
            // Every topic that the memory knows is open.
            let Some(keyspace) = keyspace else { continue };
            match value {
                Some(value) => batch.insert(keyspace, key.as_slice(), value.clone()),
                None => batch.remove(keyspace, key.as_slice()),
            }
        }
        for ((_, topic, number), partition) in &self.partitions {
            batch.insert(&store.meta, partition_key(*topic, *number), partition.encode());
        }
        for ((group, topic, number), next) in &self.committed {
            batch.insert(&store.meta, committed_key(group, *topic, *number), next.to_le_bytes());
        }
        batch
    }

    /// Makes the memory say what the store holds.
    pub(super) fn apply(self, state: &mut State) {
        for ((name, _, number), partition) in self.partitions {
            if let Some(known) = state.partition_mut(&name, number) {
                *known = partition;
            }
        }
        for ((group, topic, number), next) in self.committed {
            state.committed.entry(group).or_default().insert((topic, number), next);
        }
    }
}

/// Whether a request may be written at all.
fn check(state: &State, request: &Request) -> Result<(), LogError> {
    if let Some((name, number)) = &request.producer
        && state.producers.get(name) != Some(number)
    {
        return Err(LogError::Fenced {
            who: name.clone(),
            detail: "a later producer has the name; nothing was written".to_owned(),
        });
    }
    for (to, value) in &request.records {
        let (topic, _) = state.partition(to)?;
        // The second byte says whether there is a key.
        if topic.is_compacted() && value.get(1) == Some(&0) {
            return Err(LogError::Record {
                to: to.clone(),
                detail: "the topic keeps the newest record of each key, and this one has none".to_owned(),
            });
        }
    }
    let Some((group, member)) = &request.member else { return Ok(()) };
    for (partition, next) in &request.inputs {
        let (_, known) = state.partition(partition)?;
        if *next < 0 || *next > known.end {
            return Err(LogError::OutOfRange {
                partition: partition.clone(),
                first: known.first,
                end: known.end,
                wanted: *next,
                detail: format!("group `{group}` cannot commit what was not read"),
            });
        }
    }
    let EmbeddedMember::Member { name, id, seen } = member else { return Ok(()) };
    let fenced = |detail: String| Err(LogError::Fenced { who: name.clone(), detail });
    let Some(found) = state.groups.get(group).filter(|found| found.is_member(name, *id)) else {
        return fenced(format!("it is no member of group `{group}` any more; nothing was committed"));
    };
    match request.inputs.iter().find(|(partition, _)| !found.may_commit(partition, *id, *seen)) {
        Some((partition, _)) => fenced(format!("{partition} was given to another member; nothing was committed")),
        None => Ok(()),
    }
}

/// What makes a store hold what was acknowledged: `found` is what it holds.
pub(super) fn undo(state: &State, found: &State) -> Batch {
    let mut batch = Batch::default();
    for (name, topic) in &found.topics {
        let Some(known) = state.topics.get(name) else {
            batch.items.push((Place::Meta, topic_key(name), None));
            for number in 0..topic.spec.partitions {
                batch.items.push((Place::Meta, partition_key(topic.id, number), None));
            }
            continue;
        };
        for (number, (found, acknowledged)) in (0..).zip(topic.partitions.iter().zip(&known.partitions)) {
            for offset in acknowledged.end..found.end {
                batch.remove_record(topic.id, number, offset);
                batch.remove_segment(topic.id, number, offset);
            }
            batch.set_partition(name, topic.id, number, *acknowledged);
        }
    }
    for (group, offsets) in &found.committed {
        for &(topic, partition) in offsets.keys() {
            match state.committed(group, topic, partition) {
                Some(next) => {
                    batch.committed.insert((group.clone(), topic, partition), next);
                }
                None => batch.items.push((Place::Meta, committed_key(group, topic, partition), None)),
            }
        }
    }
    batch
}

/// Puts a new topic into the memory.
pub(super) fn insert_topic(state: &mut State, id: TopicId, spec: &TopicSpec) {
    let count = usize::try_from(spec.partitions).unwrap_or(0);
    let topic = Topic { id, spec: spec.clone(), partitions: vec![Partition::EMPTY; count] };
    state.topics.insert(Arc::from(spec.name.as_str()), topic);
}
