//! What an error of a transaction means for the transaction and for the client that it is of.

use super::fault;
use crate::error::LogError;
use crate::record::Inputs;
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode as Code};
use rdkafka::{Offset, TopicPartitionList};

/// What to do about an error within a transaction.
#[derive(Debug)]
pub(super) enum Failure {
    /// Try the same step again.
    Again(KafkaError),
    /// Give the transaction up; the client goes on.
    Abort(KafkaError),
    /// Give the transaction up: the member's partitions are another's by now.
    GenerationOver(KafkaError),
    /// Give the transaction up: another member has this one's name.
    MemberFenced(KafkaError),
    /// Another producer has this one's name: nothing can be done with this one any more.
    Fenced(KafkaError),
    /// Give the transaction up: one of its records cannot be written, however often it is tried.
    Record(LogError),
    /// A batch was larger than its topic takes, so the limit has changed.
    TooLarge(KafkaError),
    /// The client is of no more use, a new one of the same name is.
    Renew(KafkaError),
}

/// What an error of a transactional operation means (librdkafka, `INTRODUCTION.md`, "Transactional Producer": fatal, abortable and
/// retriable errors).
pub(super) fn failure(error: KafkaError) -> Failure {
    let Some(code) = error.rdkafka_error_code() else { return Failure::Renew(error) };
    if code == Code::FencedInstanceId {
        return Failure::MemberFenced(error);
    }
    if fault::is_generation_over(code) {
        return Failure::GenerationOver(error);
    }
    if matches!(code, Code::MessageSizeTooLarge | Code::MessageBatchTooLarge) {
        return Failure::TooLarge(error);
    }
    match &error {
        KafkaError::Transaction(said) if said.is_fatal() && fault::is_fenced(code) => Failure::Fenced(error),
        KafkaError::Transaction(said) if said.is_fatal() => Failure::Renew(error),
        KafkaError::Transaction(said) if said.txn_requires_abort() => Failure::Abort(error),
        KafkaError::Transaction(said) if said.is_retriable() => Failure::Again(error),
        KafkaError::Transaction(_) if fault::is_fenced(code) => Failure::Fenced(error),
        KafkaError::Transaction(_) => Failure::Renew(error),
        KafkaError::Flush(_) => Failure::Again(error),
        KafkaError::MessageProduction(Code::QueueFull) => Failure::Again(error),
        // The producer failed for good before this record was handed to it.
        KafkaError::MessageProduction(Code::Fatal | Code::State) => Failure::Renew(error),
        KafkaError::MessageProduction(code) if fault::is_fenced(*code) => Failure::Fenced(error),
        _ => Failure::Abort(error),
    }
}

/// Where to go on, as librdkafka takes it.
pub(super) fn offsets(inputs: &Inputs) -> KafkaResult<TopicPartitionList> {
    let mut list = TopicPartitionList::with_capacity(inputs.next.len());
    for (partition, next) in &inputs.next {
        list.add_partition_offset(&partition.topic, partition.partition, Offset::Offset(*next))?;
    }
    Ok(list)
}

/// The same with a note that tells one transaction from all others.
pub(super) fn noted_offsets(inputs: &Inputs, note: &str) -> KafkaResult<TopicPartitionList> {
    let list = offsets(inputs)?;
    for mut element in list.elements() {
        element.set_metadata(note);
    }
    Ok(list)
}
