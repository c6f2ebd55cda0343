//! What librdkafka tells of itself: its log lines go to `tracing`, its last trouble is kept for messages.

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

/// The last thing that went wrong with a client's connections.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    /// What kind of thing.
    pub(super) code: RDKafkaErrorCode,
    /// In librdkafka's words, with the address of the broker.
    pub(super) reason: String,
    since: Instant,
}

/// Where a client's last trouble is kept; shared with whoever makes messages of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Troubles(Arc<Mutex<Option<Trouble>>>);

impl Troubles {
    /// The last trouble after `since`.
    pub(super) fn after(&self, since: Instant) -> Option<Trouble> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone().filter(|trouble| trouble.since >= since)
    }

    fn note(&self, code: RDKafkaErrorCode, reason: &str) {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // That all brokers are down says less than why the last of them is.
        let says_less = code == RDKafkaErrorCode::AllBrokersDown && last.is_some();
        match last.as_mut() {
            Some(last) if says_less => last.since = Instant::now(),
            _ => *last = Some(Trouble { code, reason: reason.to_owned(), since: Instant::now() }),
        }
    }

    /// Takes in what a client said of itself.
    pub(super) fn error(&self, error: &KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "kafka client error");
        if let Some(code) = error.rdkafka_error_code() {
            self.note(code, reason);
        }
    }
}

/// Hands a log line of librdkafka on.
pub(super) fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical | RDKafkaLogLevel::Error => {
            tracing::warn!(target: "librdkafka", facility, "{message}");
        }
        RDKafkaLogLevel::Warning | RDKafkaLogLevel::Notice => {
            tracing::info!(target: "librdkafka", facility, "{message}");
        }
        RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => tracing::debug!(target: "librdkafka", facility, "{message}"),
    }
}

/// Context of clients that neither consume as a member nor produce.
#[derive(Clone, Debug, Default)]
pub(super) struct QueryContext {
    pub(super) troubles: Troubles,
}

impl ClientContext for QueryContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.troubles.error(&error, reason);
    }
}

impl rdkafka::consumer::ConsumerContext for QueryContext {}
