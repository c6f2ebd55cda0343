//! Microsoft Sentinel's Logs Ingestion API with Entra's tokens, and the rule that the documentation ships.

use crate::siem::{self, letters};
use crate::stand_in::{Fault, Received, StandIn};
use crate::world::{self, TOKEN};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

#[derive(Default)]
struct Azure {
    tokens: u32,
    /// Seconds that tokens live.
    life: u64,
    rows: Vec<Value>,
}

/// Columns of the stream in the rule of the documentation, with their types.
fn columns(text: &str, place: &str) -> BTreeMap<String, String> {
    let file: Value = serde_json::from_str(text).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let columns = file.pointer(place).unwrap().as_array().unwrap();
    columns.iter().map(|column| (text(&column["name"]), text(&column["type"]).to_lowercase())).collect()
}

fn rule() -> BTreeMap<String, String> {
    let text = include_str!("../../../docs/reference/siem/sentinel-rule.json");
    columns(text, "/properties/streamDeclarations/Custom-Tradewind/columns")
}

fn contract(azure: &Mutex<Azure>, request: &Received) -> (u16, String) {
    let mut azure = azure.lock().unwrap();
    if request.method != "POST" {
        return (405, String::new());
    }
    if request.uri.path() == "/contoso.example/oauth2/v2.0/token" {
        let form: BTreeMap<String, String> = url::form_urlencoded::parse(&request.body).into_owned().collect();
        let wanted = [
            ("client_id", "11111111-2222-3333-4444-555555555555"),
            ("client_secret", TOKEN),
            ("grant_type", "client_credentials"),
            ("scope", "https://monitor.azure.com//.default"),
        ];
        let wanted: BTreeMap<String, String> =
            wanted.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        if form != wanted || request.header("content-type") != Some("application/x-www-form-urlencoded") {
            return (400, json!({ "error": "invalid_request", "error_description": "AADSTS90014" }).to_string());
        }
        azure.tokens += 1;
        let token = format!("token-{}", azure.tokens);
        return (200, json!({ "token_type": "Bearer", "expires_in": azure.life, "access_token": token }).to_string());
    }
    let path = "/dataCollectionRules/dcr-000a00a000a00000a000000aa000a0aa/streams/Custom-Tradewind";
    if request.uri.path() != path || request.uri.query() != Some("api-version=2023-01-01") {
        return (404, json!({ "error": { "code": "NotFound" } }).to_string());
    }
    if request.header("authorization") != Some(&format!("Bearer token-{}", azure.tokens)) {
        return (401, json!({ "error": { "code": "InvalidToken" } }).to_string());
    }
    if request.header("content-type") != Some("application/json") {
        return (415, String::new());
    }
    if request.body.len() > 1_000_000 {
        return (413, json!({ "error": { "code": "ContentLengthLimitExceeded" } }).to_string());
    }
    let wrong = |what: &str| (400, json!({ "error": { "code": "InvalidPayload", "message": what } }).to_string());
    let body = request.json();
    let Some(rows) = body.as_array().filter(|rows| !rows.is_empty()) else { return wrong("no array") };
    let rule = rule();
    for row in rows {
        if row["IncidentTitle"] == "POISON" {
            return wrong("poison");
        }
        if !row["TimeGenerated"].is_string() {
            return wrong("no TimeGenerated");
        }
        for (name, value) in row.as_object().unwrap() {
            let is_good = match rule.get(name).map(String::as_str) {
                Some("string") => value.is_string(),
                Some("datetime") => value.as_str().is_some_and(|text| tradewind_model::time::parse(text).is_ok()),
                Some("int") => value.as_i64().is_some_and(|value| i32::try_from(value).is_ok()),
                Some("long") => value.is_i64(),
                Some("real") => value.is_number(),
                Some("dynamic") => value.is_array(),
                _ => false,
            };
            assert!(value.to_string().len() <= 64 * 1024, "{name} would be cut");
            if !is_good {
                return wrong(&format!("{name}: {value}"));
            }
        }
    }
    azure.rows.extend(rows.iter().cloned());
    (204, String::new())
}

async fn start(life: u64) -> (StandIn, Arc<Mutex<Azure>>) {
    let azure = Arc::new(Mutex::new(Azure { life, ..Azure::default() }));
    let own = Arc::clone(&azure);
    (StandIn::start(move |request| contract(&own, request)).await, azure)
}

fn settings(url: &str, more: &str) -> String {
    format!(
        "[[sink]]\nname = 'sentinel'\ntype = 'sentinel'\nurl = '{url}'\nauthority = '{url}'\n\
         rule_id = 'dcr-000a00a000a00000a000000aa000a0aa'\ntenant_id = 'contoso.example'\n\
         client_id = '11111111-2222-3333-4444-555555555555'\nclient_secret = {{ env = 'TOKEN' }}\ntimeout_ms = 2000\n{more}\n"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_have_the_columns_of_the_rule() {
    let (stand_in, azure) = start(3600).await;
    let sink = siem::sink(&settings(&stand_in.url(), ""));
    let mut messages = siem::all();
    messages.extend([siem::hostile("hostile"), siem::huge("huge"), siem::digest()]);
    let answers = sink.deliver(&messages).await;
    assert_eq!(letters(&answers), "ddddddddddddr", "{answers:?}");
    assert_eq!(letters(&sink.deliver(&[siem::message("again")]).await), "d");
    let azure = azure.lock().unwrap();
    assert_eq!(azure.tokens, 1, "a token serves many requests");
    assert_eq!(azure.rows[0]["IncidentId"], "live");
    assert_eq!(azure.rows[0]["SeverityId"], 4);
    assert_eq!(azure.rows[5]["Origin"], "test");
    assert_eq!(azure.rows[7]["Kind"], "heartbeat");
    let used: BTreeSet<&String> = azure.rows.iter().flat_map(|row| row.as_object().unwrap().keys()).collect();
    let rule = rule();
    assert_eq!(used, rule.keys().collect(), "the rule has no column that nothing fills");
    let table = include_str!("../../../docs/reference/siem/sentinel-table.json");
    assert_eq!(columns(table, "/properties/schema/columns"), rule);
    let reserved = ["Title", "Type", "id", "TenantId", "UniqueId", "_ResourceId", "_SubscriptionId"];
    assert!(rule.keys().all(|name| name.len() <= 45 && !reserved.contains(&name.as_str())));
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_stay_below_a_megabyte() {
    let (stand_in, azure) = start(3600).await;
    let sink = siem::sink(&settings(&stand_in.url(), ""));
    let messages: Vec<_> = (0..40).map(|number| siem::huge(&format!("huge-{number}"))).collect();
    assert_eq!(letters(&sink.deliver(&messages).await), "d".repeat(40));
    assert_eq!(azure.lock().unwrap().rows.len(), 40);
    assert!(stand_in.received().len() > 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_row_does_not_keep_the_others_away() {
    let (stand_in, azure) = start(3600).await;
    let sink = siem::sink(&settings(&stand_in.url(), ""));
    let messages = [siem::message("one"), siem::poisoned("bad"), siem::message("two"), siem::message("three")];
    assert_eq!(letters(&sink.deliver(&messages).await), "drdd");
    assert_eq!(azure.lock().unwrap().rows.len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_no_good_is_got_anew() {
    let (stand_in, azure) = start(3600).await;
    let sink = siem::sink(&settings(&stand_in.url(), ""));
    assert_eq!(letters(&sink.deliver(&[siem::message("one")]).await), "d");
    // As when the first one was withdrawn.
    azure.lock().unwrap().tokens += 1;
    assert_eq!(letters(&sink.deliver(&[siem::message("two")]).await), "d");
    assert_eq!(azure.lock().unwrap().tokens, 3);
    // Of no life at all: got for each request.
    azure.lock().unwrap().life = 0;
    let sink = siem::sink(&settings(&stand_in.url(), ""));
    for id in ["three", "four"] {
        assert_eq!(letters(&sink.deliver(&[siem::message(id)]).await), "d");
    }
    assert_eq!(azure.lock().unwrap().tokens, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_mean_what_they_say() {
    let (stand_in, _) = start(3600).await;
    let sink = siem::sink(&settings(&stand_in.url(), ""));
    let entra = json!({ "error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret" });
    stand_in.fail([Fault::Status(401, Vec::new(), entra.to_string())]);
    let answers = sink.deliver(&[siem::message("one")]).await;
    assert_eq!(letters(&answers), "L");
    assert!(format!("{answers:?}").contains("AADSTS7000215"));
    assert_eq!(letters(&sink.deliver(&[siem::message("one")]).await), "d");
    let table = [(403, 'L'), (404, 'L'), (413, 'r'), (429, 'L'), (500, 'l'), (503, 'L'), (400, 'r')];
    for (status, wanted) in table {
        stand_in.fail([Fault::Status(status, vec![("retry-after", "3".to_owned())], String::new())]);
        let answers = sink.deliver(&[siem::message("one")]).await;
        assert_eq!(letters(&answers), wanted.to_string(), "{status}: {answers:?}");
        assert!(status != 429 || format!("{answers:?}").contains("3s"), "{answers:?}");
    }
    assert!(!format!("{sink:?}").contains(TOKEN) && !format!("{sink:?}").contains("token-1"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_incident_goes_all_the_way() {
    let (stand_in, azure) = start(3600).await;
    let folder = tempfile::tempdir().unwrap();
    let mut notifier = world::start(&world::settings(&settings(&stand_in.url(), "")), folder.path()).unwrap();
    stand_in.fail([Fault::Status(503, Vec::new(), String::new())]);
    world::open(&notifier, "one").await;
    world::resolve(&notifier, "one").await;
    world::delivered(&mut notifier).await;
    let actions: Vec<Value> = azure.lock().unwrap().rows.iter().map(|row| row["Action"].clone()).collect();
    assert_eq!(actions, ["open", "resolve"]);
    notifier.stop().await.unwrap();
}

#[test]
fn settings_are_checked() {
    let said = |from: &str, to: &str| siem::faults(&settings("https://a", "").replace(from, to)).join("; ");
    assert_eq!(said("-", "-"), "");
    assert!(said("dcr-", "rule/").contains("rule_id"));
    assert!(said("contoso.example", "../common").contains("tenant_id"));
    assert!(siem::faults(&settings("https://a", "stream = 'Tradewind_CL'")).join("").contains("stream"));
}
