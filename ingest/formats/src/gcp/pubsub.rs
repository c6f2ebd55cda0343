//! Log entries inside Pub/Sub messages: `{"message":{"data":BASE64}}` of a push, `{"receivedMessages":[{"message":…}]}` of a pull.

use crate::contract::{Fault, Reason};
use crate::json::Value;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// One log entry of a record.
#[derive(Clone, Debug)]
pub(super) enum Entry<'d> {
    /// The record itself.
    Plain(Value<'d>),
    /// The text of a message.
    Packed(String),
    /// A message that cannot be unpacked.
    Faulty(Fault),
}

/// The log entries of a record: itself, unless it is a message or a list of them.
pub(super) fn payloads(record: Value<'_>) -> Vec<Entry<'_>> {
    if let Some(data) = record.at("message.data") {
        return vec![unpack(data)];
    }
    let messages = record.get("receivedMessages").or_else(|| record.get("received_messages"));
    match messages {
        Some(messages) => messages.items().filter_map(|received| received.at("message.data")).map(unpack).collect(),
        None => vec![Entry::Plain(record)],
    }
}

fn unpack(data: Value<'_>) -> Entry<'_> {
    let fault = |detail: String| Entry::Faulty(Fault { reason: Reason::BadValue, detail });
    match STANDARD.decode(data.raw()) {
        Ok(bytes) => match String::from_utf8(bytes) {
            Ok(text) => Entry::Packed(text),
            Err(_) => fault("the data of the message is not UTF-8".to_owned()),
        },
        Err(error) => fault(format!("the data of the message is not base64: {error}")),
    }
}
