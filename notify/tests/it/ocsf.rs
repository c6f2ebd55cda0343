//! OCSF in files: the schema of OCSF 1.8 takes every event, whatever the logs had in them.

use crate::world;
use serde_json::Value;
use tradewind_model::{IncidentState, Severity};

/// Validates each line against the class that it names in the compiled schema 1.8.0; unknown attributes are faults.
/// Beside the schema: numbers agree with each other, and captions with their numbers.
pub(crate) const SCRIPT: &str = r#"
import json, sys
import jsonschema
from ocsf_json_schema import OcsfJsonSchema, OcsfJsonSchemaEmbedded, get_ocsf_schema
compiled = get_ocsf_schema(version="1.8.0")
schema = OcsfJsonSchemaEmbedded(compiled)
validators = {}
count = 0
for line in sys.stdin:
    event = json.loads(line)
    uid = event["class_uid"]
    if uid not in validators:
        name = schema.lookup_class_name_from_uid(uid)
        validators[uid] = jsonschema.Draft202012Validator(schema.get_class_schema(name))
    faults = ["/".join(map(str, fault.path)) + ": " + fault.message for fault in validators[uid].iter_errors(event)]
    attributes = compiled["classes"]["detection_finding"]["attributes"]
    def captions(value, attributes, path):
        for name, part in value.items():
            attribute = attributes.get(name)
            if attribute is None:
                continue
            if name.endswith("_id") and "enum" in attribute and name[:-3] in value:
                caption = attribute["enum"][str(part)]["caption"]
                if caption != value[name[:-3]]:
                    faults.append(f"{path}/{name}: {part} is {caption}, not {value[name[:-3]]}")
            if attribute.get("object_type") in compiled["objects"]:
                inner = compiled["objects"][attribute["object_type"]]["attributes"]
                for one in part if isinstance(part, list) else [part]:
                    captions(one, inner, f"{path}/{name}")
    captions(event, attributes, "")
    if event["type_uid"] != event["class_uid"] * 100 + event["activity_id"]:
        faults.append("type_uid")
    if faults:
        sys.exit(line + "\n" + "\n".join(faults))
    count += 1
print(count)
"#;

/// Texts that break what is not escaped.
pub(crate) const HOSTILE: &str = "a\"b\\c|d=e]f\n<script>\r\t\u{0}\u{1b}[31m\u{7f}\u{2028}\u{202e}é𝕏 {\"x\":1} <14>1 - - CEF:0|x|y %s ${jndi:ldap://x} \\";

/// Alerts of every kind told to a sink: opened, updated, resolved, dismissed, with hostile texts.
pub(crate) async fn tell_all(notifier: &mut tradewind_notify::Notifier) {
    // One after the other: of what waits for a sink, only the newest state of an incident is sent.
    world::open(notifier, "one").await;
    world::delivered(notifier).await;
    world::update(notifier, "one").await;
    world::delivered(notifier).await;
    world::resolve(notifier, "one").await;
    world::delivered(notifier).await;
    let mut hostile = world::finding("hostile");
    HOSTILE.clone_into(&mut hostile.title);
    HOSTILE.clone_into(&mut hostile.observed);
    HOSTILE.clone_into(&mut hostile.expected);
    HOSTILE.clone_into(&mut hostile.uncertain);
    HOSTILE.clone_into(&mut hostile.evidence_query);
    hostile.entity = format!("prod/shop/host/{HOSTILE}");
    hostile.technique = "T1021.004".to_owned();
    hostile.p_value = f64::MIN_POSITIVE;
    hostile.observations[0].dst_entity = "-/-/external/2001:db8::7".to_owned();
    hostile.observations[0].src_entity = hostile.entity.clone();
    let mut incident = world::incident("hostile", &["hostile"], IncidentState::Open);
    HOSTILE.clone_into(&mut incident.title);
    incident.entities = [hostile.entity.clone()].into();
    incident.severity = Severity::Critical;
    notifier.take(vec![world::told(hostile), world::of(incident.clone())], None).await.unwrap();
    world::delivered(notifier).await;
    incident.state = IncidentState::Dismissed;
    incident.resolved = Some(world::now());
    notifier.take(vec![world::of(incident)], None).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_is_what_the_schema_says() {
    let folder = tempfile::tempdir().unwrap();
    let sink = "[[sink]]\nname = 'lake'\ntype = 'file'\npath = 'out/alerts.ndjson'\n";
    let mut notifier = world::start(&world::settings(sink), folder.path()).unwrap();
    tell_all(&mut notifier).await;
    world::delivered(&mut notifier).await;
    notifier.stop().await.unwrap();
    let text = std::fs::read_to_string(folder.path().join("out/alerts.ndjson")).unwrap();
    let events: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let types: Vec<i64> = events.iter().map(|event| event["type_uid"].as_i64().unwrap()).collect();
    assert_eq!(types, [200_401, 200_402, 200_403, 200_401, 200_403]);
    assert_eq!(events[3]["finding_info"]["title"], HOSTILE);
    assert_eq!(events[4]["status"], "Suppressed");
    let Some(valid) = crate::python::run(SCRIPT, &["jsonschema", "ocsf_json_schema"], &text) else { return };
    assert_eq!(valid.trim(), "5");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_json_has_signs_of_life() {
    let folder = tempfile::tempdir().unwrap();
    let sink = "[[sink]]\nname = 'log'\ntype = 'file'\npath = 'alerts.ndjson'\nformat = 'json'\nheartbeat_s = 1\n";
    let mut notifier = world::start(&world::settings(sink), folder.path()).unwrap();
    world::open(&notifier, "one").await;
    let path = folder.path().join("alerts.ndjson");
    world::until(&mut notifier, "a sign of life", |_| std::fs::read_to_string(&path).unwrap().contains("heartbeat"))
        .await;
    notifier.stop().await.unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().any(|line| line["alert"]["incident"]["incident_id"] == "one"), "{text}");
    // OCSF has none.
    let text = sink.replace("'json'", "'ocsf'");
    let settings: tradewind_notify::SinkSettings = {
        #[derive(serde::Deserialize)]
        struct Written {
            sink: Vec<tradewind_notify::SinkSettings>,
        }
        toml::from_str::<Written>(&text).unwrap().sink.remove(0)
    };
    assert!(!settings.kind.abilities().can_heartbeat);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_is_gone_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let sink = "[[sink]]\nname = 'lake'\ntype = 'file'\npath = 'out/alerts.ndjson'\nretry_max_s = 1\n";
    let mut notifier = world::start(&world::settings(sink), folder.path()).unwrap();
    std::fs::remove_dir_all(folder.path().join("out")).unwrap();
    world::open(&notifier, "one").await;
    world::until(&mut notifier, "an attempt failed", |notifier| {
        notifier.status().unwrap().sinks["lake"].last_error.is_some()
    })
    .await;
    std::fs::create_dir(folder.path().join("out")).unwrap();
    world::delivered(&mut notifier).await;
    notifier.stop().await.unwrap();
    assert_eq!(std::fs::read_to_string(folder.path().join("out/alerts.ndjson")).unwrap().lines().count(), 1);
}
