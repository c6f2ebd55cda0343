//! Errors of librdkafka in words that a person can act on, by what the caller has to do.

use super::context::Trouble;
use super::settings::KafkaSettings;
use crate::error::LogError;
use crate::record::TopicPartition;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

/// Whether an error says that the brokers cannot be reached at present.
pub(super) fn is_unreachable(code: Code) -> bool {
    matches!(
        code,
        Code::BrokerTransportFailure
            | Code::AllBrokersDown
            | Code::Resolve
            | Code::OperationTimedOut
            | Code::RequestTimedOut
            | Code::MessageTimedOut
            | Code::TimedOutQueue
            | Code::NetworkException
            | Code::BrokerNotAvailable
    )
}

/// Whether an error says that another one has the place.
pub(super) fn is_fenced(code: Code) -> bool {
    matches!(code, Code::Fenced | Code::ProducerFenced | Code::InvalidProducerEpoch | Code::FencedInstanceId)
}

/// Whether an error says that a member's partitions were given to others.
pub(super) fn is_generation_over(code: Code) -> bool {
    matches!(code, Code::IllegalGeneration | Code::UnknownMemberId | Code::RebalanceInProgress | Code::AssignmentLost)
}

/// Whether an error says that the client lacks rights.
pub(super) fn is_not_allowed(code: Code) -> bool {
    matches!(
        code,
        Code::TopicAuthorizationFailed
            | Code::GroupAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::TransactionalIdAuthorizationFailed
    )
}

/// What was tried, on what.
pub(super) struct Attempt<'a> {
    /// Settings of the client.
    pub(super) settings: &'a KafkaSettings,
    /// In words: `read the offsets of raw/0`.
    pub(super) what: String,
    /// What the client said of its connections meanwhile.
    pub(super) trouble: Option<Trouble>,
}

impl Attempt<'_> {
    /// The error of an operation.
    pub(super) fn failed(&self, error: &KafkaError) -> LogError {
        match error.rdkafka_error_code() {
            Some(code) => self.failed_with(code, &error.to_string()),
            None => LogError::Unreachable { what: self.what_and_where(), detail: error.to_string() },
        }
    }

    /// The error of an operation that has such a code.
    pub(super) fn failed_with(&self, code: Code, said: &str) -> LogError {
        // A time-out says nothing; what the connections suffered meanwhile does.
        if is_unreachable(code) {
            return self.unreachable(code, said);
        }
        match code {
            Code::Authentication | Code::SaslAuthenticationFailed | Code::UnsupportedSASLMechanism => {
                self.not_authenticated(said)
            }
            Code::SSL => self.tls_failed(said),
            code if is_not_allowed(code) => self.not_allowed(code, said),
            Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition => LogError::Topics {
                detail: format!(
                    "{}: there is no such topic or partition ({said}); create it with `tradewind topics create`",
                    self.what_and_where()
                ),
            },
            code if is_fenced(code) => LogError::Fenced { who: self.what.clone(), detail: said.to_owned() },
            _ => LogError::Unreachable { what: self.what_and_where(), detail: said.to_owned() },
        }
    }

    fn what_and_where(&self) -> String {
        format!("{} on Kafka at {}", self.what, self.settings.place())
    }

    fn unreachable(&self, code: Code, said: &str) -> LogError {
        let Some(trouble) = &self.trouble else {
            return LogError::Unreachable {
                what: self.what_and_where(),
                detail: format!("{said}; is a broker running there, and is `brokers` right?"),
            };
        };
        match trouble.code {
            Code::Authentication | Code::SaslAuthenticationFailed => self.not_authenticated(&trouble.reason),
            Code::SSL => self.tls_failed(&trouble.reason),
            refused if is_not_allowed(refused) => self.not_allowed(refused, &trouble.reason),
            _ if code == trouble.code || is_unreachable(trouble.code) => LogError::Unreachable {
                what: self.what_and_where(),
                detail: format!(
                    "{}; is a broker running there, are `brokers` and `security_protocol` right, does a firewall stand \
                     between?",
                    trouble.reason
                ),
            },
            _ => LogError::Unreachable {
                what: self.what_and_where(),
                detail: format!("{said}; last the client said: {}", trouble.reason),
            },
        }
    }

    fn not_authenticated(&self, said: &str) -> LogError {
        let user = self.settings.sasl.user.as_deref().unwrap_or("(none)");
        LogError::Refused {
            what: format!("the log-in of `{user}` by {}", self.settings.sasl.mechanism.name()),
            detail: format!(
                "{said}; check `sasl.user`, the password in `sasl.password_file`, and that the brokers know this user for \
                 this mechanism ({})",
                self.settings.brokers.join(",")
            ),
        }
    }

    fn tls_failed(&self, said: &str) -> LogError {
        LogError::Refused {
            what: format!("the TLS connection to {}", self.settings.brokers.join(",")),
            detail: format!(
                "{said}; check `ca_file`, `certificate_file` and `key_file`, that the name in `brokers` is one of the \
                 broker's certificate, and that this port speaks TLS"
            ),
        }
    }

    fn not_allowed(&self, code: Code, said: &str) -> LogError {
        let resource = match code {
            Code::TopicAuthorizationFailed => "the topic",
            Code::GroupAuthorizationFailed => "the group",
            Code::TransactionalIdAuthorizationFailed => "the transactional id",
            _ => "the cluster",
        };
        let user = self.settings.sasl.user.as_deref().unwrap_or("ANONYMOUS");
        LogError::Refused {
            what: self.what_and_where(),
            detail: format!("{said}; give the principal `User:{user}` the rights on {resource} with an ACL"),
        }
    }
}

/// An offset that a partition does not hold.
pub(super) fn out_of_range(partition: &TopicPartition, (first, end): (i64, i64), wanted: i64) -> LogError {
    let detail = if wanted < first {
        "records were forgotten before they were read (retention), or the topic was created anew; what is missing cannot be \
         read any more. Say where to go on from, for instance `tradewind replay`, or commit another offset for the group"
    } else {
        "the topic was created anew or lost its end; say where to go on from, or commit another offset for the group"
    };
    LogError::OutOfRange { partition: partition.clone(), first, end, wanted, detail: detail.to_owned() }
}
