//! The mapping, on a table of alerts. Whether OCSF's own schema takes the events is tested in `tests/it/ocsf.rs`.

use super::*;
use crate::testing;

#[test]
fn an_incident_is_created_updated_and_closed() {
    let mut alert = testing::alert("one");
    let check = |alert: &Alert, expected: [i64; 3], is_alert: bool| {
        let event = event(alert, "https://tradewind.example/incidents/{incident}");
        let found = ["activity_id", "type_uid", "status_id"].map(|name| event[name].as_i64().unwrap_or_default());
        assert_eq!((found, event["is_alert"].as_bool()), (expected, Some(is_alert)), "{event}");
        assert_eq!(event["finding_info"]["uid"], "one");
        assert_eq!(event["metadata"]["uid"], alert.event_key());
        event
    };
    let opened = check(&alert, [1, 200_401, 1], true);
    assert_eq!(opened["severity_id"], 4);
    assert_eq!(opened["confidence_score"], 99);
    assert_eq!(opened["finding_info"]["attacks"][0]["tactic"]["uid"], "TA0008");
    assert_eq!(opened["finding_info"]["src_url"], "https://tradewind.example/incidents/one");
    assert_eq!(opened["evidences"][0]["dst_endpoint"]["svc_name"], "payments");
    assert_eq!(opened["evidences"][0]["dst_endpoint"]["port"], 443);
    assert_eq!(opened["evidences"][0]["connection_info"]["direction_id"], 3);
    assert_eq!(opened["resources"][1]["role"], "Target");
    assert_eq!(opened["time"], testing::NOON / 1_000);
    alert.action = Action::Update;
    check(&alert, [2, 200_402, 1], true);
    alert.incident.state = tradewind_model::IncidentState::Acknowledged;
    alert.action = Action::Acknowledge;
    check(&alert, [2, 200_402, 2], false);
    alert.action = Action::Update;
    check(&alert, [2, 200_402, 2], true);
    alert.origin = Origin::Retrospective;
    check(&alert, [2, 200_402, 2], false);
    check(&alert.clone().resolved(testing::NOON), [3, 200_403, 4], false);
    alert.incident.state = tradewind_model::IncidentState::Dismissed;
    alert.action = Action::Resolve;
    check(&alert, [3, 200_403, 3], false);
}

#[test]
fn addresses_are_addresses_and_names_are_names() {
    let outside = endpoint::endpoint("-/-/external/203.0.113.7", Some(443));
    assert_eq!((&outside["ip"], &outside["network_scope"]), (&json!("203.0.113.7"), &json!("External")));
    let six = endpoint::endpoint("-/-/unknown/2001:DB8::1", Some(70_000));
    assert_eq!((&six["ip"], six.get("port")), (&json!("2001:db8::1"), None));
    let host = endpoint::endpoint("prod/-/host/db-1.example", None);
    assert_eq!((&host["hostname"], &host["zone"]), (&json!("db-1.example"), &json!("prod")));
    let odd = endpoint::endpoint("prod/-/host/not a name", None);
    assert_eq!((&odd["name"], odd.get("hostname")), (&json!("not a name"), None));
    assert_eq!(endpoint::endpoint("", None)["uid"], "unknown");
    assert_eq!(endpoint::connection("a/b/service/c", "-/-/external/203.0.113.7")["direction_id"], 2);
}

#[test]
fn what_is_not_known_is_left_out() {
    let mut alert = testing::alert("one");
    alert.findings.clear();
    let event = event(&alert, "");
    for name in ["start_time", "confidence_score", "evidences", "anomaly_analyses"] {
        assert_eq!(event.get(name), None, "{name}");
    }
    assert_eq!(event["metadata"]["is_truncated"], true);
    assert_eq!(event["finding_info"].get("src_url"), None);
}
