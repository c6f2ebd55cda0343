//! Standard output: a line of JSON for each message, for pipes and for trying things out.

use super::{Abilities, Answer, Making, Sink, SinkConfig};
use crate::alert::Message;
use crate::error::NotifyError;
use async_trait::async_trait;
use serde::Deserialize;
use std::io::Write as _;
use std::sync::Arc;

/// A sink of `type = "stdout"`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StdoutSettings {}

#[derive(Debug)]
struct Stdout;

impl SinkConfig for StdoutSettings {
    fn abilities(&self) -> Abilities {
        Abilities { batch_max: 100, can_digest: true, ..Abilities::default() }
    }

    fn check(&self, _faults: &mut Vec<String>) {}

    fn make(&self, _making: &Making<'_>) -> Result<Arc<dyn Sink>, NotifyError> {
        Ok(Arc::new(Stdout))
    }
}

#[async_trait]
impl Sink for Stdout {
    fn abilities(&self) -> Abilities {
        StdoutSettings::default().abilities()
    }

    async fn deliver(&self, messages: &[Message]) -> Vec<Answer> {
        let mut lines = Vec::new();
        for message in messages {
            if let Err(error) = serde_json::to_writer(&mut lines, message) {
                return vec![Answer::Refused(error.to_string()); messages.len()];
            }
            lines.push(b'\n');
        }
        let written = tokio::task::spawn_blocking(move || {
            let mut out = std::io::stdout().lock();
            out.write_all(&lines).and_then(|()| out.flush())
        });
        let answer = match written.await {
            Ok(Ok(())) => Answer::Delivered("written".to_owned()),
            Ok(Err(error)) => Answer::unreachable(error),
            Err(error) => Answer::unreachable(error),
        };
        vec![answer; messages.len()]
    }
}
