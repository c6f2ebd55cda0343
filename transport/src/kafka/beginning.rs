//! Where the reading of an assignment begins.

use super::offsets;
use super::reader::Reader;
use crate::error::LogError;
use crate::log::{Log, Start, Subscription};
use crate::record::TopicPartition;
use rdkafka::{Offset, TopicPartitionList};
use std::collections::HashMap;

impl Reader {
    /// Where each partition begins: where the stage sought, else where the subscription says.
    pub(super) fn beginnings(
        &mut self,
        sought: &HashMap<TopicPartition, Start>,
    ) -> Result<TopicPartitionList, LogError> {
        let mut list = TopicPartitionList::with_capacity(self.assigned.len());
        self.next.clear();
        let mut committed = None;
        for partition in self.assigned.clone() {
            let start = sought.get(&partition).copied().unwrap_or_else(|| self.first_start(&partition));
            let start = match start {
                Start::Committed => {
                    if committed.is_none() {
                        committed = Some(self.committed(&self.assigned)?);
                    }
                    committed.as_ref().and_then(|all| all.get(&partition).copied()).map_or(Start::First, Start::At)
                }
                start => start,
            };
            let offset = self.offset(&partition, start)?;
            list.add_partition_offset(&partition.topic, partition.partition, offset)
                .map_err(|error| LogError::Settings(format!("{partition} cannot be read from {offset:?}: {error}")))?;
        }
        Ok(list)
    }

    fn first_start(&self, partition: &TopicPartition) -> Start {
        match &self.subscription {
            Subscription::Group { .. } => Start::Committed,
            Subscription::Assigned { partitions, .. } => partitions
                .iter()
                .find(|(assigned, _)| assigned == partition)
                .map_or(Start::Committed, |(_, start)| *start),
        }
    }

    fn committed(&self, partitions: &[TopicPartition]) -> Result<HashMap<TopicPartition, i64>, LogError> {
        let (Subscription::Group { group, .. } | Subscription::Assigned { group, .. }) = &self.subscription;
        let offsets = self.kafka.committed(group, partitions)?;
        Ok(partitions.iter().cloned().zip(offsets).filter_map(|(partition, next)| Some((partition, next?))).collect())
    }

    /// What librdkafka is told to begin from; an offset that is not there is an error.
    pub(super) fn offset(&mut self, partition: &TopicPartition, start: Start) -> Result<Offset, LogError> {
        let offset = match start {
            Start::First => offsets::range(&self.kafka, partition)?.0,
            Start::End => offsets::settled_range(&self.kafka, partition)?.1,
            Start::At(offset) => offset,
            Start::Committed => match self.committed(std::slice::from_ref(partition))?.get(partition) {
                Some(offset) => *offset,
                None => offsets::range(&self.kafka, partition)?.0,
            },
        };
        offsets::check(&self.kafka, partition, offset)?;
        self.next.insert(partition.clone(), offset);
        Ok(Offset::Offset(offset))
    }
}
