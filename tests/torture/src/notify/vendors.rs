//! Receivers as their vendors document them: what they refuse, what they answer, and what they keep. Each refuses what the vendor
//! would, field by field; how requests travel and fail is not known here.

use super::ledger::{Action, Ledger};
use super::web::{Request, Vendor, lock};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use std::collections::HashSet;
use std::sync::{Arc, Mutex};

/// A routing key has 32 characters.
pub(super) const ROUTING_KEY: &str = "0123456789abcdef0123456789abcdef";
/// 32 bytes in base 64.
pub(super) const SIGNING_KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";
pub(super) const API_KEY: &str = "dG9ydHVyZTp0b3J0dXJl";
const DATA_STREAM_PATH: &str = "/logs-tradewind.incidents-default/_bulk";

/// A ledger that a vendor and the judgement share.
pub(super) type Shared = Arc<Mutex<Ledger>>;

fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

fn ids(findings: &Value) -> Vec<String> {
    findings.as_array().into_iter().flatten().map(|finding| text(finding, "/finding_id").to_owned()).collect()
}

/// PagerDuty, Events API v2: <https://developer.pagerduty.com/docs/send-alert-event>. A trigger with the `dedup_key` of an open
/// alert is noted there; one with that of a resolved alert, or a new one, opens another.
#[derive(Debug)]
pub(super) struct PagerDuty(pub(super) Shared);

impl PagerDuty {
    fn fault(request: &Request, event: &Value) -> Option<&'static str> {
        const KNOWN: [&str; 8] =
            ["routing_key", "event_action", "dedup_key", "payload", "links", "images", "client", "client_url"];
        if request.header("content-type") != "application/json" {
            return Some("content type");
        }
        if text(event, "/routing_key") != ROUTING_KEY {
            return Some("'routing_key' is missing or wrong");
        }
        if !(1..=255).contains(&text(event, "/dedup_key").chars().count()) {
            return Some("'dedup_key' is not 1 to 255 characters");
        }
        if event.as_object().is_none_or(|event| event.keys().any(|key| !KNOWN.contains(&key.as_str()))) {
            return Some("a field is unknown");
        }
        if text(event, "/event_action") == "resolve" {
            return None;
        }
        if text(event, "/event_action") != "trigger" {
            return Some("'event_action' is invalid");
        }
        let summary = text(event, "/payload/summary").chars();
        if !(1..=1024).contains(&summary.clone().count()) || summary.clone().any(char::is_control) {
            return Some("'payload.summary' is missing, blank, too long or not one line");
        }
        if text(event, "/payload/source").is_empty() {
            return Some("'payload.source' is missing or blank");
        }
        if !["critical", "error", "warning", "info"].contains(&text(event, "/payload/severity")) {
            return Some("'payload.severity' is invalid");
        }
        let links = event["links"].as_array().cloned().unwrap_or_default();
        if links.iter().any(|link| !link["href"].is_string()) {
            return Some("'links' without href");
        }
        None
    }
}

impl Vendor for PagerDuty {
    fn take(&self, request: &Request, _is_spared: &mut dyn FnMut() -> bool) -> (u16, String) {
        if (request.method.as_str(), request.path.as_str()) != ("POST", "/v2/enqueue") {
            lock(&self.0).violation("another path or method");
            return (404, String::new());
        }
        let event: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        if let Some(fault) = Self::fault(request, &event) {
            lock(&self.0).violation(fault);
            let said = json!({ "status": "invalid event", "message": "Event object is invalid", "errors": [fault] });
            return (400, said.to_string());
        }
        let key = text(&event, "/dedup_key");
        let details = &event["payload"]["custom_details"];
        let action = if text(&event, "/event_action") == "resolve" { Action::Resolve } else { Action::Trigger };
        lock(&self.0).take(key, action, details["flows"].as_i64(), ids(&details["findings"]));
        (202, json!({ "status": "success", "message": "Event processed", "dedup_key": key }).to_string())
    }
}

/// Whatever takes Standard Webhooks: <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>.
#[derive(Debug)]
pub(super) struct Webhook {
    ledger: Shared,
    known: Mutex<HashSet<String>>,
}

impl Webhook {
    pub(super) fn new(ledger: Shared) -> Self {
        Self { ledger, known: Mutex::default() }
    }

    fn is_signed(request: &Request) -> bool {
        let key = STANDARD.decode(SIGNING_KEY).unwrap_or_default();
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&key) else { return false };
        mac.update(format!("{}.{}.", request.header("webhook-id"), request.header("webhook-timestamp")).as_bytes());
        mac.update(&request.body);
        let expected = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
        request.header("webhook-signature").split(' ').any(|signature| signature == expected)
    }

    fn fault(request: &Request, body: &Value) -> Option<&'static str> {
        const TYPES: [&str; 5] = ["incident.opened", "incident.updated", "incident.resolved", "digest", "heartbeat"];
        let id = request.header("webhook-id");
        if id.is_empty() || id.contains('.') || id != request.header("idempotency-key") {
            return Some("its id");
        }
        if !Self::is_signed(request) {
            return Some("its signature");
        }
        if !TYPES.contains(&text(body, "/type")) || text(body, "/timestamp").is_empty() {
            return Some("its type or time");
        }
        None
    }
}

impl Vendor for Webhook {
    fn take(&self, request: &Request, _is_spared: &mut dyn FnMut() -> bool) -> (u16, String) {
        let body: Value = serde_json::from_slice(&request.body).unwrap_or_default();
        let mut ledger = lock(&self.ledger);
        if let Some(fault) = Self::fault(request, &body) {
            ledger.violation(fault);
            return (400, fault.to_owned());
        }
        // As the specification asks of receivers: what is known is dropped.
        if !lock(&self.known).insert(request.header("webhook-id").to_owned()) {
            ledger.repeated += 1;
            return (200, "known".to_owned());
        }
        ledger.heartbeats += u64::from(text(&body, "/type") == "heartbeat");
        let alerts = body["alerts"].as_array().map(Vec::as_slice).unwrap_or_default();
        for (place, alert) in alerts.iter().enumerate() {
            let (incident, findings) = (text(alert, "/incident_id"), ids(&alert["findings"]));
            // A message of several is sent again as a whole, without what has changed meanwhile: then its middle comes after its end
            // has come before, and the end is the last word again.
            let ends = |later: &Value| (text(later, "/incident_id"), text(later, "/action")) == (incident, "resolve");
            if ledger.is_over(incident) && alerts[place + 1..].iter().any(ends) {
                ledger.take_again(findings);
                continue;
            }
            match Action::from_word(text(alert, "/action")) {
                Some(action) => ledger.take(incident, action, alert["flow_count"].as_i64(), findings),
                None => ledger.violation("an alert without an action"),
            }
        }
        (200, "taken".to_owned())
    }
}

/// Elasticsearch, the bulk API on a data stream: <https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-bulk>.
#[derive(Debug)]
pub(super) struct Elastic {
    ledger: Shared,
    known: Mutex<HashSet<String>>,
}

impl Elastic {
    pub(super) fn new(ledger: Shared) -> Self {
        Self { ledger, known: Mutex::default() }
    }

    fn fault(request: &Request, body: &str) -> Option<&'static str> {
        if (request.method.as_str(), request.path.as_str()) != ("POST", DATA_STREAM_PATH) {
            return Some("another path or method");
        }
        if request.header("authorization") != format!("ApiKey {API_KEY}") {
            return Some("its key");
        }
        if request.header("content-type") != "application/x-ndjson" {
            return Some("content type");
        }
        if !body.ends_with('\n') || !body.lines().count().is_multiple_of(2) {
            return Some("The bulk request must be terminated by a newline [\\n]");
        }
        None
    }

    /// The answer for one document.
    fn index(&self, ledger: &mut Ledger, action: &str, document: &str) -> Value {
        let action: Value = serde_json::from_str(action).unwrap_or_default();
        let document: Value = serde_json::from_str(document).unwrap_or_default();
        let id = text(&action, "/create/_id");
        let failed = |status: u16, kind: &str| json!({ "create": { "_id": id, "status": status, "error": { "type": kind, "reason": "as told" } } });
        if id.is_empty() || id.len() > 512 || text(&document, "/@timestamp").is_empty() {
            ledger.violation("a document without an id or a time");
            return failed(400, "illegal_argument_exception");
        }
        if !lock(&self.known).insert(id.to_owned()) {
            ledger.repeated += 1;
            return failed(409, "version_conflict_engine_exception");
        }
        let action = match text(&document, "/event/action") {
            "incident-opened" => Some(Action::Open),
            "incident-updated" => Some(Action::Update),
            "incident-resolved" => Some(Action::Resolve),
            _ => None,
        };
        let incident = &document["tradewind"]["incident"];
        match action {
            Some(action) => {
                let findings = ids(&document["tradewind"]["findings"]);
                ledger.take(text(&document, "/labels/incident_id"), action, incident["flow_count"].as_i64(), findings);
            }
            None => ledger.violation("a document without an action"),
        }
        json!({ "create": { "_id": id, "status": 201, "result": "created" } })
    }
}

impl Vendor for Elastic {
    fn take(&self, request: &Request, is_spared: &mut dyn FnMut() -> bool) -> (u16, String) {
        let body = String::from_utf8_lossy(&request.body);
        let mut ledger = lock(&self.ledger);
        if let Some(fault) = Self::fault(request, &body) {
            ledger.violation(fault);
            return (400, json!({ "error": { "type": "illegal_argument_exception", "reason": fault } }).to_string());
        }
        let lines: Vec<&str> = body.lines().collect();
        let mut items = Vec::new();
        for pair in lines.chunks(2) {
            items.push(match pair {
                [action, document] if is_spared() => self.index(&mut ledger, action, document),
                _ => json!({ "create": { "status": 429, "error": { "type": "es_rejected_execution_exception", "reason": "busy" } } }),
            });
        }
        let has_errors = items.iter().any(|item| item["create"]["error"].is_object());
        (200, json!({ "took": 1, "errors": has_errors, "items": items }).to_string())
    }

    fn has_parts(&self) -> bool {
        true
    }
}
