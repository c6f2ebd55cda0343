//! OpenTelemetry: a log record for each state of an incident, as an event, by OTLP over HTTP with protobuf.
//!
//! Source: <https://opentelemetry.io/docs/specs/otlp/#otlphttp> and
//! <https://opentelemetry.io/docs/specs/otel/logs/data-model/> (severities, events).

use super::{Abilities, Answer, Making, Sink, SinkConfig, record};
use crate::alert::Message;
use crate::error::NotifyError;
use crate::http::{self, Said, TlsSettings};
use crate::secret::SecretSource;
use async_trait::async_trait;
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs, SeverityNumber};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message as _;
use reqwest::Client;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName};
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::Arc;
use tradewind_model::Severity;

/// Path of logs below the address of a receiver.
const PATH: &str = "/v1/logs";
/// Bytes of a record at most; a receiver takes 20 MB.
const RECORD_BYTES_MAX: usize = 256 * 1024;

/// A sink of `type = "otlp"`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OtlpSettings {
    /// Where a receiver of OTLP over HTTP listens, such as `https://collector.example.com:4318`; `/v1/logs` is added where it is
    /// not there.
    pub url: String,
    /// Headers that the receiver wants, such as `authorization` or `api-key`, and where their values are.
    #[serde(default)]
    pub headers: BTreeMap<String, SecretSource>,
    /// How its certificate is checked.
    #[serde(default)]
    pub tls: TlsSettings,
}

/// One record a request: a receiver that refuses some of several does not say which.
const ABILITIES: Abilities = Abilities {
    batch_max: 1,
    concurrency: 8,
    can_digest: false,
    can_heartbeat: true,
    carries_all: true,
    is_paging: false,
    repeat: None,
};

impl SinkConfig for OtlpSettings {
    fn abilities(&self) -> Abilities {
        ABILITIES
    }

    fn check(&self, faults: &mut Vec<String>) {
        http::check_url("url", &self.url, faults);
        for name in self.headers.keys() {
            if HeaderName::from_bytes(name.as_bytes()).is_err() || name.eq_ignore_ascii_case("content-type") {
                faults.push(format!("`headers` has `{name}`: that is no name of a header that can be set"));
            }
        }
    }

    fn make(&self, making: &Making<'_>) -> Result<Arc<dyn Sink>, NotifyError> {
        let base = self.url.trim_end_matches('/');
        let mut headers = HeaderMap::new();
        for (name, source) in &self.headers {
            let what = format!("headers.{name}");
            let value = http::secret_header(&what, "", &making.secrets.read(&what, source)?)?;
            let fault = |_| NotifyError::Settings { message: format!("`{what}` is no name of a header") };
            headers.insert(HeaderName::from_bytes(name.as_bytes()).map_err(fault)?, value);
        }
        Ok(Arc::new(Otlp {
            client: http::client(&self.tls, making.secrets, making.timeout)?,
            url: if base.ends_with(PATH) { base.to_owned() } else { format!("{base}{PATH}") },
            headers,
            link: making.link.to_owned(),
        }))
    }
}

#[derive(Debug)]
struct Otlp {
    client: Client,
    url: String,
    headers: HeaderMap,
    link: String,
}

#[async_trait]
impl Sink for Otlp {
    fn abilities(&self) -> Abilities {
        ABILITIES
    }

    async fn deliver(&self, messages: &[Message]) -> Vec<Answer> {
        let mut answers = Vec::with_capacity(messages.len());
        for message in messages {
            answers.push(match log_record(message, &self.link) {
                Ok(record) => self.send(record).await,
                Err(refused) => refused,
            });
        }
        answers
    }
}

impl Otlp {
    async fn send(&self, record: LogRecord) -> Answer {
        let request = self
            .client
            .post(&self.url)
            .headers(self.headers.clone())
            .header(CONTENT_TYPE, "application/x-protobuf")
            .body(exported(record).encode_to_vec());
        match http::send(request).await {
            Ok(said) => answer(&said),
            Err(answer) => answer,
        }
    }
}

/// What an answer means: only 429, 502, 503 and 504 are tried again, and what is taken in part is not.
fn answer(said: &Said) -> Answer {
    let status = said.status.as_u16();
    match status {
        200..=299 => match ExportLogsServiceResponse::decode(said.body.as_slice()) {
            Ok(ExportLogsServiceResponse { partial_success: Some(part) }) if part.rejected_log_records > 0 => {
                Answer::Refused(record::line(&format!("{status} rejected: {}", part.error_message), 500))
            }
            Ok(ExportLogsServiceResponse { partial_success: Some(part) }) if !part.error_message.is_empty() => {
                Answer::Delivered(record::line(&format!("{status} {}", part.error_message), 500))
            }
            // What is not protobuf comes from something before the receiver; the status counts.
            _ => Answer::Delivered(format!("{status} taken")),
        },
        429 | 503 => later(said, true),
        502 | 504 => later(said, false),
        // The key or the address, which a person has to mend.
        300..=399 | 401 | 403 | 404 | 407 => later(said, true),
        _ => Answer::Refused(words(said)),
    }
}

/// Later, with what the receiver said in its own form.
fn later(said: &Said, is_general: bool) -> Answer {
    match said.later(is_general) {
        Answer::Later { after, .. } => Answer::Later { reason: words(said), after, is_general },
        other => other,
    }
}

/// `google.rpc.Status`, in which receivers say what is wrong.
#[derive(Clone, PartialEq, prost::Message)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

fn words(said: &Said) -> String {
    match Status::decode(said.body.as_slice()) {
        Ok(status) if !status.message.is_empty() => {
            record::line(&format!("{} {}", said.status.as_u16(), status.message), 500)
        }
        _ => said.words(),
    }
}

fn exported(record: LogRecord) -> ExportLogsServiceRequest {
    let version = env!("CARGO_PKG_VERSION").to_owned();
    let text = |key: &str, text: &str| attribute(key, Any::StringValue(text.to_owned()));
    let attributes = vec![text("service.name", "tradewind"), text("service.version", &version)];
    let scope = InstrumentationScope { name: "tradewind.notify".to_owned(), version, ..Default::default() };
    let logs = ScopeLogs { scope: Some(scope), log_records: vec![record], schema_url: String::new() };
    let resource = Some(Resource { attributes, ..Default::default() });
    ExportLogsServiceRequest {
        resource_logs: vec![ResourceLogs { resource, scope_logs: vec![logs], schema_url: String::new() }],
    }
}

fn log_record(message: &Message, link: &str) -> Result<LogRecord, Answer> {
    let (fields, severity, name) = match message {
        Message::Alert(alert) => {
            let bytes =
                record::fitting(alert, RECORD_BYTES_MAX, |most| Value::Object(record::alert(alert, link, most)));
            let fields = serde_json::from_slice(&bytes).unwrap_or_default();
            (fields, alert.severity(), format!("tradewind.incident.{}", alert.action.as_str()))
        }
        Message::Heartbeat(heartbeat) => {
            let fields = record::heartbeat(message, heartbeat);
            (fields, record::severity_of_life(heartbeat), "tradewind.heartbeat".to_owned())
        }
        Message::Digest(_) => return Err(Answer::Refused(record::NO_DIGEST.to_owned())),
    };
    let fields: Map<String, Value> = fields;
    // What is unknown or too large is 0: unknown.
    let nanos = u64::try_from(record::time(message)).unwrap_or_default().checked_mul(1000).unwrap_or_default();
    let body = fields.get("message").and_then(Value::as_str).unwrap_or_default();
    // The body says it to people; the rest is told by name.
    let told = fields.iter().filter(|(name, _)| !matches!(name.as_str(), "message" | "time"));
    Ok(LogRecord {
        time_unix_nano: nanos,
        observed_time_unix_nano: nanos,
        severity_number: severity_number(severity) as i32,
        severity_text: severity.as_str().to_owned(),
        body: Some(AnyValue { value: Some(Any::StringValue(body.to_owned())) }),
        attributes: told.map(|(name, value)| attribute(&format!("tradewind.{name}"), any(value))).collect(),
        event_name: name,
        ..Default::default()
    })
}

fn attribute(key: &str, value: Any) -> KeyValue {
    KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..Default::default() }
}

fn any(value: &Value) -> Any {
    match value {
        Value::Null => Any::StringValue(String::new()),
        Value::Bool(is) => Any::BoolValue(*is),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => Any::IntValue(whole),
            None => Any::DoubleValue(number.as_f64().unwrap_or_default()),
        },
        Value::String(text) => Any::StringValue(text.clone()),
        Value::Array(values) => {
            let values = values.iter().map(|value| AnyValue { value: Some(any(value)) }).collect();
            Any::ArrayValue(ArrayValue { values })
        }
        Value::Object(fields) => {
            let values = fields.iter().map(|(name, value)| attribute(name, any(value))).collect();
            Any::KvlistValue(KeyValueList { values })
        }
    }
}

/// The ranges of the data model: 9 informational, 13 warning, 17 error, 21 fatal.
const fn severity_number(severity: Severity) -> SeverityNumber {
    match severity {
        Severity::Informational => SeverityNumber::Info,
        Severity::Low => SeverityNumber::Info2,
        Severity::Medium => SeverityNumber::Warn,
        Severity::High => SeverityNumber::Error,
        Severity::Critical => SeverityNumber::Fatal,
    }
}
