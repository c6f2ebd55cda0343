//! What is found is told: once the incidents are in the log, sinks have them, in order, whatever is killed.

use super::setup::Setup;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A file that gets everything, and a pager at an address where nobody is. What is read is of long ago, so that it wakes nobody.
const SINKS: &str = "[[notify.sink]]\nname = \"lines\"\ntype = \"file\"\npath = \"told/alerts.jsonl\"\nformat = \"json\"\n\
                     [[notify.sink]]\nname = \"pager\"\ntype = \"pagerduty\"\nrouting_key = { file = \"key\" }\n\
                     url = \"http://127.0.0.1:9\"\n";

fn line(minute: u32, source: u32, target: u32, action: &str) -> String {
    let start = 1_767_225_600 + u64::from(minute) * 60;
    let port = 30_000 + minute;
    format!(
        "2 123456789010 eni-1 10.0.0.{source} 10.0.2.{target} {port} 443 6 10 900 {start} {} {action} OK\n",
        start + 1
    )
}

pub(super) fn ordinary(minutes: std::ops::Range<u32>) -> String {
    minutes.flat_map(|minute| (1..4).map(move |source| line(minute, source, source, "ACCEPT"))).collect()
}

pub(super) fn scan(minute: u32, source: u32) -> String {
    (10..60).map(|target| line(minute, source, target, "REJECT")).collect()
}

/// By incident what was told of it, in order.
pub(super) fn told(setup: &Setup) -> BTreeMap<String, Vec<Value>> {
    let path = setup.program.folder().join("told/alerts.jsonl");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let mut told: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for line in text.lines() {
        let alert: Value = serde_json::from_str(line).unwrap();
        let alert = alert.get("alert").cloned().unwrap_or(alert);
        told.entry(alert["incident"]["incident_id"].as_str().unwrap().to_owned()).or_default().push(alert);
    }
    told
}

fn ids(setup: &Setup, query: &str) -> BTreeSet<String> {
    let listed = setup.program.run(&["sql", "-o", "csv", query]).out;
    listed.lines().skip(1).map(str::to_owned).collect()
}

#[test]
fn what_is_found_is_told_in_order_through_kills() {
    let setup = Setup::new(SINKS);
    setup.program.file("key", "0123456789abcdef0123456789abcdef");
    setup.append("a.log", format!("{}{}{}", ordinary(0..60), scan(60, 9), ordinary(61..75)));
    let mut service = setup.start("first");
    let has_scan = "SELECT count(*) FROM findings WHERE entity LIKE '%10.0.0.9' AND behaviour = 'scan'";
    service.until("the scan is found", || setup.number(has_scan).is_some_and(|rows| rows > 0));
    service.until("it is told", || !told(&setup).is_empty());
    service.kill();
    service = setup.start("second");
    // Hours later all of it is over; another one begins.
    setup.append("a.log", format!("{}{}{}", ordinary(75..400), scan(400, 8), ordinary(401..420)));
    let other = "SELECT count(*) FROM findings WHERE entity LIKE '%10.0.0.8' AND behaviour = 'scan'";
    service.until("the other scan is found", || setup.number(other).is_some_and(|rows| rows > 0));
    service.kill();
    service = setup.start("third");
    let is_all_told = || {
        let known: BTreeSet<String> = told(&setup).into_keys().collect();
        known == ids(&setup, "SELECT DISTINCT incident_id FROM incidents")
    };
    service.until("every incident is told", is_all_told);
    let over = "SELECT count(DISTINCT incident_id) FROM incidents WHERE state = 'resolved'";
    service.until("an incident is over", || setup.number(over).is_some_and(|count| count > 0));
    let last = |alerts: &Vec<Value>| alerts.last().unwrap()["action"].as_str().unwrap().to_owned();
    let resolved = || told(&setup).values().filter(|alerts| last(alerts) == "resolve").count();
    service.until("the end is told", || i64::try_from(resolved()).ok() == setup.number(over));
    for (incident, alerts) in told(&setup) {
        let actions: Vec<&str> = alerts.iter().map(|alert| alert["action"].as_str().unwrap()).collect();
        assert_eq!(actions[0], "open", "{incident}: {actions:?}");
        let end = actions.iter().position(|&action| action == "resolve").unwrap_or(actions.len());
        assert!(actions[end..].iter().all(|&action| action == "resolve"), "{incident}: {actions:?}");
        assert!(actions[..end].iter().filter(|&&action| action == "open").count() <= 2, "{incident}: {actions:?}");
        assert_eq!(alerts[0]["origin"], "retrospective", "{incident}");
    }
    let named: BTreeSet<String> = told(&setup)
        .into_values()
        .flatten()
        .flat_map(|alert| alert["incident"]["findings"].as_array().cloned().unwrap_or_default())
        .map(|id| id.as_str().unwrap().to_owned())
        .collect();
    let found = ids(&setup, "SELECT DISTINCT finding_id FROM findings WHERE title NOT LIKE 'withdrawn%'");
    assert!(named.is_superset(&found), "{found:?} of which were told {named:?}");

    let status = setup.program.run(&["notify", "status", "-o", "json"]);
    assert_eq!(status.code, 0, "{status:?}");
    let status: Value = serde_json::from_str(&status.out).unwrap();
    assert_eq!(status["sinks"]["pager"]["delivered"], 0);
    assert_eq!(status["sinks"]["pager"]["waiting"], 0, "what is of long ago wakes nobody");
    assert!(setup.metric("tradewind_notify_delivered_total{sink=\"lines\"}").is_none_or(|count| count > 0));
    let tested = setup.program.run(&["notify", "test", "pager"]);
    assert_eq!(tested.code, 1, "{tested:?}");
    assert!(tested.out.contains("pager (pagerduty): failed"), "{tested:?}");
    assert!(!format!("{tested:?}").contains("0123456789abcdef"), "{tested:?}");
    service.signal("TERM");
    assert!(service.end().success(), "{}", service.log());
    let status = setup.program.run(&["notify", "status"]);
    assert!(status.out.contains("lines ("), "{status:?}");
    assert!(
        status.out.contains("pager (pagerduty): 0 delivered, 0 waiting, 0 refused"),
        "without a service, too: {status:?}"
    );
}
