//! Elasticsearch's bulk requests, and the index template that the documentation ships.

use crate::siem::{self, letters};
use crate::stand_in::{Fault, Received, StandIn};
use crate::world::{self, TOKEN};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// Documents by id.
type Stream = Arc<Mutex<BTreeMap<String, Value>>>;

/// The index template of the documentation.
fn mappings() -> Value {
    let template = include_str!("../../../docs/reference/siem/elastic-index-template.json");
    serde_json::from_str::<Value>(template).unwrap()["template"]["mappings"].clone()
}

/// Every field is one that the template knows, and fits there.
fn check(fields: &Map<String, Value>, properties: &Value, path: &str) -> Result<(), String> {
    for (name, value) in fields {
        let (path, mapping) = (format!("{path}{name}"), &properties[name]);
        let wrong = || Err(format!("failed to parse field [{path}]: {value}"));
        if mapping.is_null() {
            return Err(format!("[{path}] is not in the template"));
        }
        if mapping["enabled"] == false {
            continue;
        }
        if let Some(fields) = value.as_object() {
            check(fields, &mapping["properties"], &format!("{path}."))?;
            continue;
        }
        let values = value.as_array().cloned().unwrap_or_else(|| vec![value.clone()]);
        for value in values {
            let is_good = match mapping["type"].as_str() {
                Some("keyword" | "text") => value.is_string(),
                Some("date") => value.as_str().is_some_and(|text| tradewind_model::time::parse(text).is_ok()),
                Some("long") => value.is_i64() || value.is_u64(),
                Some("float") => value.is_number(),
                _ => false,
            };
            if !is_good {
                return wrong();
            }
        }
    }
    Ok(())
}

fn contract(stream: &Stream, request: &Received) -> (u16, String) {
    let whole = |status: u16, kind: &str| {
        (status, json!({ "error": { "type": kind, "reason": "as documented" }, "status": status }).to_string())
    };
    if request.method != "POST" || request.uri.path() != "/logs-tradewind.incidents-default/_bulk" {
        return whole(405, "illegal_argument_exception");
    }
    let access = request.header("authorization");
    // `elastic:` and the token, in base64.
    let basic = "Basic ZWxhc3RpYzphLXNlY3JldC10b2tlbi10aGF0LW5vYm9keS1tYXktcmVhZA==";
    if access != Some(&format!("ApiKey {TOKEN}")) && access != Some(basic) {
        return whole(401, "security_exception");
    }
    if request.header("content-type") != Some("application/x-ndjson") {
        return whole(406, "media_type_header_exception");
    }
    let body = std::str::from_utf8(&request.body).unwrap();
    if !body.ends_with('\n') {
        return whole(400, "illegal_argument_exception");
    }
    let lines: Vec<Value> = body.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut stream = stream.lock().unwrap();
    let mut items = Vec::new();
    for pair in lines.chunks(2) {
        let [action, document] = pair else { return whole(400, "illegal_argument_exception") };
        let id = action["create"]["_id"].as_str().unwrap().to_owned();
        assert_eq!(action, &json!({ "create": { "_id": id } }));
        assert!(id.len() <= 512);
        let fault = |status: u16, kind: &str, reason: &str| json!({ "_id": id, "status": status, "error": { "type": kind, "reason": reason } });
        let title = document["tradewind"]["incident"]["title"].as_str().unwrap_or_default();
        let item = match check(document.as_object().unwrap(), &mappings()["properties"], "") {
            _ if title == "POISON" => fault(400, "document_parsing_exception", "failed to parse"),
            _ if title == "BUSY" => fault(429, "es_rejected_execution_exception", "rejected execution"),
            _ if title == "CLOSED" => fault(403, "cluster_block_exception", "disk usage exceeded flood-stage"),
            _ if title == "ASIDE" => json!({ "_id": id, "status": 201, "result": "created", "failure_store": "used" }),
            Err(reason) => fault(400, "document_parsing_exception", &reason),
            Ok(()) if stream.contains_key(&id) => {
                fault(409, "version_conflict_engine_exception", "document already exists")
            }
            Ok(()) => {
                stream.insert(id.clone(), document.clone());
                json!({ "_index": ".ds-logs-tradewind.incidents-default-000001", "_id": id, "status": 201, "result": "created" })
            }
        };
        items.push(json!({ "create": item }));
    }
    let errors = items.iter().any(|item| !item["create"]["error"].is_null());
    (200, json!({ "took": 3, "errors": errors, "items": items }).to_string())
}

async fn start() -> (StandIn, Stream) {
    let stream = Stream::default();
    let own = Arc::clone(&stream);
    (StandIn::start(move |request| contract(&own, request)).await, stream)
}

fn settings(url: &str, more: &str) -> String {
    format!("[[sink]]\nname = 'elastic'\ntype = 'elastic'\nurl = '{url}'\ntimeout_ms = 1000\n{more}\n")
}

const KEY: &str = "api_key = { env = 'TOKEN' }";

#[tokio::test(flavor = "multi_thread")]
async fn documents_are_ecs_and_created_once() {
    let (stand_in, stream) = start().await;
    let sink = siem::sink(&settings(&stand_in.url(), KEY));
    let mut messages = siem::all();
    messages.extend([siem::hostile("hostile"), siem::huge("huge"), siem::digest()]);
    let answers = sink.deliver(&messages).await;
    assert_eq!(letters(&answers), "ddddddddddddr", "{answers:?}");
    // The same again: they are there.
    assert_eq!(letters(&sink.deliver(&messages).await), "ddddddddddddr");
    let documents = stream.lock().unwrap();
    assert_eq!(documents.len(), 12);
    let document = &documents[&messages[0].event_key()];
    assert_eq!(document["event"]["kind"], "alert");
    assert_eq!(document["ecs"]["version"], "9.0.0");
    assert_eq!(document["event"]["severity"], 4);
    assert_eq!(document["destination"], json!({ "address": "prod/shop/service/payments", "port": 443 }));
    assert_eq!(document["threat"]["technique"]["name"], json!(["Remote Services"]));
    assert_eq!(documents[&messages[5].event_key()]["tags"], json!(["tradewind", "test"]));
    assert_eq!(documents[&messages[7].event_key()]["event"]["kind"], "state");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_item_has_its_own_answer() {
    let (stand_in, _) = start().await;
    let sink = siem::sink(&settings(&stand_in.url(), "username = 'elastic'\npassword = { env = 'TOKEN' }"));
    let titled = |title: &str| {
        let mut alert = siem::alert(title);
        title.clone_into(&mut alert.incident.title);
        tradewind_notify::Message::Alert(Box::new(alert))
    };
    let messages = [siem::message("one"), siem::poisoned("bad"), titled("BUSY"), titled("CLOSED"), titled("ASIDE")];
    let answers = sink.deliver(&messages).await;
    assert_eq!(letters(&answers), "drlLr", "{answers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_mean_what_they_say() {
    let (stand_in, _) = start().await;
    let sink = siem::sink(&settings(&stand_in.url(), KEY));
    let status = |status| Fault::Status(status, Vec::new(), "{}".to_owned());
    let table =
        [(401, "LL"), (403, "LL"), (404, "LL"), (413, "dd"), (429, "LL"), (500, "ll"), (503, "LL"), (200, "ll")];
    for (code, wanted) in table {
        stand_in.fail([status(code)]);
        let answers = sink.deliver(&[siem::message("one"), siem::message("two")]).await;
        assert_eq!(letters(&answers), wanted, "{code}: {answers:?}");
    }
    stand_in.fail([Fault::Hang]);
    assert_eq!(letters(&sink.deliver(&[siem::message("one")]).await), "l");
    assert!(!format!("{sink:?}").contains(TOKEN));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incident_goes_all_the_way() {
    let (stand_in, stream) = start().await;
    let folder = tempfile::tempdir().unwrap();
    let mut notifier = world::start(&world::settings(&settings(&stand_in.url(), KEY)), folder.path()).unwrap();
    stand_in.fail([Fault::LostAnswer, Fault::Status(503, Vec::new(), String::new())]);
    world::open(&notifier, "one").await;
    world::resolve(&notifier, "one").await;
    world::delivered(&mut notifier).await;
    let actions: Vec<Value> =
        stream.lock().unwrap().values().map(|document| document["event"]["action"].clone()).collect();
    assert_eq!(actions, ["incident-opened", "incident-resolved"]);
    notifier.stop().await.unwrap();
}

#[test]
fn settings_are_checked() {
    let said = |text: &str| siem::faults(text).join("; ");
    assert!(said(&settings("https://e", "data_stream = 'findings'")).contains("data_stream"));
    assert!(said(&settings("https://e", "username = 'x'")).contains("belong together"));
    let both = format!("{KEY}\nusername = 'x'");
    assert!(said(&settings("https://e", &both)).contains("excludes"));
    assert!(said(&settings("http://e:9200", "")).contains("https"));
}
