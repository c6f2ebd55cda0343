//! A member of a group as librdkafka calls it back: what the group gives it and takes from it.

use super::context::{Troubles, log};
use crate::record::TopicPartition;
use rdkafka::TopicPartitionList;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext, ConsumerGroupMetadata};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaRespErr;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// What the group did to this member.
pub(super) enum Rebalance {
    /// With the group, member and generation that it is for.
    Assigned(Vec<TopicPartition>, Option<Arc<ConsumerGroupMetadata>>),
    Revoked,
}

/// What librdkafka calls back, on the thread that polls.
#[derive(Default)]
pub(super) struct MemberContext {
    pub(super) troubles: Troubles,
    rebalances: Mutex<VecDeque<Rebalance>>,
    is_closing: AtomicBool,
}

impl ClientContext for MemberContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.troubles.error(&error, reason);
    }
}

impl ConsumerContext for MemberContext {
    /// Takes note of an assignment, which is answered when the stage is ready for it (heartbeats go on meanwhile), and gives up
    /// partitions at once.
    fn rebalance(&self, consumer: &BaseConsumer<Self>, event: RDKafkaRespErr, list: &mut TopicPartitionList) {
        let is_assign = event == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        let rebalance = if is_assign && !self.is_closing.load(Ordering::Relaxed) {
            let elements = list.elements();
            let partitions = elements.iter().map(|part| TopicPartition::new(part.topic(), part.partition())).collect();
            // As of now: the group cannot go on to another generation before this one is answered.
            Rebalance::Assigned(partitions, consumer.group_metadata().map(Arc::new))
        } else {
            if let Ok(paused) = consumer.assignment()
                && let Err(error) = consumer.resume(&paused)
            {
                tracing::debug!(%error, "partitions could not be resumed before they were given up");
            }
            if let Err(error) = consumer.unassign() {
                tracing::warn!(%error, "partitions could not be given up");
            }
            Rebalance::Revoked
        };
        self.rebalances.lock().unwrap_or_else(PoisonError::into_inner).push_back(rebalance);
    }
}

impl MemberContext {
    /// The next thing that the group did.
    pub(super) fn next(&self) -> Option<Rebalance> {
        self.rebalances.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    /// No assignment is wanted any more.
    pub(super) fn close(&self) {
        self.is_closing.store(true, Ordering::Relaxed);
    }
}
