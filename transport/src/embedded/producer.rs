//! Writes to the embedded log. What a write is on disk is made in `write`.

use super::codec::encode_record;
use super::state::lock;
use super::write::Request;
use super::{EmbeddedMember, Inner};
use crate::error::LogError;
use crate::log::{Membership, MembershipToken, Producer};
use crate::record::{Inputs, Outgoing};
use std::sync::Arc;

/// A producer of the embedded log.
#[derive(Debug)]
pub(super) struct EmbeddedProducer {
    inner: Arc<Inner>,
    name: String,
    number: u64,
}

impl EmbeddedProducer {
    /// Takes the name over. What another one of the name is writing at this moment is written before.
    pub(super) fn new(inner: Arc<Inner>, name: &str) -> Self {
        let writer = lock(&inner.writer);
        let number = {
            let mut state = lock(&inner.state);
            let number = state.next_number();
            state.producers.insert(name.to_owned(), number);
            number
        };
        drop(writer);
        Self { inner, name: name.to_owned(), number }
    }
}

impl Producer for EmbeddedProducer {
    fn write(&mut self, records: Vec<Outgoing>, inputs: Option<(&Inputs, &Membership)>) -> Result<(), LogError> {
        let mut request = Request { producer: Some((self.name.clone(), self.number)), ..Request::default() };
        for outgoing in records {
            let value = encode_record(&outgoing.record).ok_or_else(|| LogError::Record {
                to: outgoing.to.clone(),
                detail: "it is longer than 4 GiB".to_owned(),
            })?;
            request.records.push((outgoing.to, value));
        }
        if let Some((inputs, membership)) = inputs {
            request.inputs.clone_from(&inputs.next);
            request.member = Some((membership.group.clone(), member(membership)?));
        }
        self.inner.submit(request)
    }
}

/// The member as this log knows it.
pub(super) fn member(membership: &Membership) -> Result<EmbeddedMember, LogError> {
    match &membership.token {
        MembershipToken::Embedded(member) => Ok(member.clone()),
        MembershipToken::Kafka(_) => Err(LogError::Settings(format!(
            "the consumer of group `{}` is one of Kafka, and the write goes to the embedded log: inputs are committed in the log that they \
             are of",
            membership.group
        ))),
    }
}
