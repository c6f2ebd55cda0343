//! `tradewind verify` and `tradewind backtest`, on the lake of the demo.

use crate::program::{Outcome, Program};
use serde_json::{Map, Value};
use std::sync::atomic::{AtomicI64, Ordering};
use tradewind_model::{Finding, Provenance, time};
use tradewind_storage::Lake;

const TIMES: [&str; 7] =
    ["time", "first_seen", "last_seen", "baseline_since", "trained_until", "replay_from", "replay_to"];

fn demo(scenario: &str) -> Program {
    let program = Program::new();
    let made = program.run(&["demo", "--scenario", scenario, "--keep", "demo"]);
    assert_eq!(made.code, 0, "{}", made.err);
    program
}

fn in_demo(program: &Program, arguments: &[&str]) -> Outcome {
    program.run(&[&["--config", "demo/tradewind.toml"], arguments].concat())
}

fn read<T: serde::de::DeserializeOwned>(object: &Map<String, Value>) -> T {
    serde_json::from_value(Value::Object(object.clone())).unwrap()
}

/// The findings of the lake and what they were made of.
fn findings(program: &Program) -> Vec<(Finding, Provenance)> {
    let listed = in_demo(program, &["findings", "-o", "json"]);
    let mut objects: Vec<Map<String, Value>> = serde_json::from_str(&listed.out).unwrap();
    for object in &mut objects {
        for name in TIMES {
            let micros = object.get(name).and_then(Value::as_str).map(|text| time::parse(text).unwrap());
            object.insert(name.to_owned(), micros.into());
        }
        let settings = object.get("settings").map(Value::to_string);
        object.insert("settings".to_owned(), settings.into());
    }
    objects.iter().map(|object| (read(object), read(object))).collect()
}

/// Records a finding, later than all others and than what was recorded so before.
fn record(program: &Program, finding: &Finding, provenance: &Provenance) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    static LATER: AtomicI64 = AtomicI64::new(i64::MAX / 4);
    let later = LATER.fetch_add(1, Ordering::Relaxed);
    runtime.block_on(async {
        let lake = Lake::open(program.folder().join("demo/lake")).await.unwrap();
        lake.append_findings(std::slice::from_ref(finding), provenance, later).await.unwrap();
    });
}

fn verify(program: &Program, id: &str) -> (i32, Value) {
    let outcome = in_demo(program, &["verify", id, "-o", "json"]);
    (outcome.code, serde_json::from_str(&outcome.out).unwrap_or_else(|error| panic!("{error}: {outcome:?}")))
}

#[test]
fn every_finding_of_the_demo_is_made_again() {
    for scenario in ["a", "c"] {
        let program = demo(scenario);
        let all = findings(&program);
        assert!(!all.is_empty());
        for (finding, provenance) in &all {
            assert_eq!(provenance.settings.as_deref(), Some("{}"), "the demo has the default settings");
            let (code, report) = verify(&program, &finding.finding_id);
            assert_eq!((code, &report["result"]), (0, &"identical".into()), "{report}");
            assert_eq!(
                (&report["notes"], &report["flows_version"]),
                (&Value::from(Vec::<Value>::new()), &provenance.flows_version.into())
            );
        }
        let outcome = in_demo(&program, &["verify", &all[0].0.finding_id[..12]]);
        assert_eq!((outcome.code, outcome.err.as_str()), (0, ""));
        assert!(
            outcome.out.starts_with(&format!("identical: finding {}, made again from ", &all[0].0.finding_id[..12]))
        );
    }
}

#[test]
fn what_a_finding_should_not_say_is_shown() {
    let program = demo("a");
    let (finding, provenance) = findings(&program).swap_remove(0);
    let mut tampered = finding.clone();
    tampered.title.push_str(", says somebody");
    tampered.flow_count += 1;
    tampered.observations[0].p_value /= 2.0;
    record(&program, &tampered, &provenance);
    let (code, report) = verify(&program, &finding.finding_id);
    assert_eq!((code, &report["result"]), (3, &"differs".into()), "{report}");
    let fields: Vec<&str> = report["differences"]
        .as_array()
        .unwrap()
        .iter()
        .map(|difference| difference["field"].as_str().unwrap())
        .collect();
    for field in ["title", "flow_count", "observations[0].p_value"] {
        assert!(fields.contains(&field), "{fields:?}");
    }
    let outcome = in_demo(&program, &["verify", &finding.finding_id]);
    assert!(outcome.code == 3 && outcome.err.contains("is not what the stored flows give: "), "{outcome:?}");
    assert!(outcome.out.contains("recomputed") && outcome.out.contains("says somebody"), "{}", outcome.out);

    // One that the flows never gave, with the nearest of its entity.
    let made_up = Finding { finding_id: "ffff".repeat(8), time: finding.time + 1, ..finding.clone() };
    record(&program, &made_up, &provenance);
    let (code, report) = verify(&program, &made_up.finding_id);
    assert_eq!((code, &report["result"]), (3, &"not_found".into()), "{report}");
    assert_eq!(report["nearest"]["entity"], finding.entity);
    let outcome = in_demo(&program, &["verify", &made_up.finding_id]);
    assert!(outcome.code == 3 && outcome.out.contains("nearest of its entity: "), "{outcome:?}");
}

#[test]
fn a_finding_that_cannot_be_made_again_says_why() {
    let program = demo("a");
    let (finding, provenance) = findings(&program).swap_remove(0);
    let id = finding.finding_id.clone();
    let told = |arguments: &[&str], code: i32, part: &str| {
        let outcome = in_demo(&program, arguments);
        assert!(outcome.code == code && outcome.err.contains(part), "{outcome:?}");
    };
    told(&["verify", "zz"], 1, "there is no finding zz");
    told(&["verify", ""], 64, "at least one character");
    told(&["verify", &id, "-o", "csv"], 64, "table, json or ndjson");
    let version = finding.detector_version + 1;
    record(&program, &Finding { detector_version: version, ..finding.clone() }, &provenance);
    told(&["verify", &id], 1, &format!("is of version {version} of the detectors"));
    record(&program, &finding, &Provenance::default());
    told(&["verify", &id], 1, "does not say what it was made of");
}

#[test]
fn a_version_that_is_gone_and_one_that_never_was_are_replaced_by_the_newest() {
    let program = demo("a");
    let (finding, provenance) = findings(&program).swap_remove(0);
    for flows_version in [Some(1_000), None] {
        record(&program, &finding, &Provenance { flows_version, ..provenance.clone() });
        let (code, report) = verify(&program, &finding.finding_id);
        assert_eq!((code, &report["result"]), (0, &"identical".into()), "{report}");
        assert!(report["notes"][0].as_str().unwrap().contains("the newest"), "{report}");
    }
}

#[test]
fn findings_carry_their_settings_and_the_flows_of_their_time() {
    let program = demo("a");
    let config = std::fs::read_to_string(program.folder().join("demo/tradewind.toml")).unwrap();
    let other = format!("{config}\n[detect]\nwindow_s = 600\n[detect.decision]\nfindings_per_day = 50\n");
    program.file("demo/other.toml", other);
    let detected = program.run(&["--config", "demo/other.toml", "detect", "-o", "json"]);
    assert_eq!(detected.code, 0, "{}", detected.err);
    let detected: Vec<Value> = serde_json::from_str(&detected.out).unwrap();
    assert!(!detected.is_empty());
    // What comes in later, in the time of the replay, is not what they were made of.
    let line = |minute: i64| {
        let start = time::parse(detected[0]["replay_from"].as_str().unwrap()).unwrap() / 1_000_000 + minute * 60;
        format!("2 123456789010 eni-1 10.77.0.1 10.77.0.2 40000 443 6 10 900 {start} {} ACCEPT OK\n", start + 1)
    };
    program.file("late.log", (1..100).map(line).collect::<String>());
    let imported = in_demo(&program, &["import", "late.log"]);
    assert_eq!(imported.code, 0, "{}", imported.err);
    for finding in &detected {
        assert_eq!(finding["settings"]["window_s"], 600);
        let (code, report) = verify(&program, finding["finding_id"].as_str().unwrap());
        assert_eq!((code, &report["result"]), (0, &"identical".into()), "{report}");
    }
}

#[test]
fn a_backtest_shows_what_other_settings_find_and_writes_nothing() {
    let program = demo("a");
    let rows = || in_demo(&program, &["sql", "-o", "csv", "SELECT count(*) FROM findings"]).out;
    let (before, all) = (rows(), findings(&program));
    let report = |arguments: &[&str]| -> Value {
        let outcome = in_demo(&program, &[&["backtest", "-o", "json"], arguments].concat());
        assert_eq!(outcome.code, 0, "{}", outcome.err);
        serde_json::from_str(&outcome.out).unwrap()
    };
    let same = report(&[]);
    assert_eq!((&same["unchanged"], &same["changes"]), (&all.len().into(), &Value::Array(Vec::new())), "{same}");
    assert_eq!((&same["before"], &same["changed"]), (&same["after"], &Value::Object(Map::new())));

    let without = report(&["--set", "policy.is_enabled=false"]);
    assert_eq!(without["changed"]["policy"]["is_enabled"], false);
    let breaches = all.iter().filter(|(finding, _)| finding.behaviour == "policy").count();
    assert!(breaches > 0);
    assert_eq!(without["before"]["by_behaviour"]["policy"], breaches);
    assert_eq!(without["after"]["by_behaviour"]["policy"], Value::Null);
    let is_lost = |change: &&Value| change["change"] == "vanishes" && change["behaviour"] == "policy";
    assert_eq!(without["changes"].as_array().unwrap().iter().filter(is_lost).count(), breaches, "{without}");

    let csv = in_demo(&program, &["backtest", "--set", "policy.is_enabled=false", "-o", "csv"]);
    assert!(csv.out.starts_with("change,entity,behaviour,title,finding_id_before,"), "{}", csv.out);
    assert!(csv.out.lines().count() > breaches);
    let table = in_demo(&program, &["backtest", "--set", "policy.is_enabled=false"]);
    assert!(table.out.contains("vanish") && table.out.contains("a day"), "{}", table.out);
    assert_eq!(rows(), before);
}

#[test]
fn a_setting_that_cannot_be_is_named() {
    let program = demo("a");
    let check = |set: &str, part: &str| {
        let outcome = in_demo(&program, &["backtest", "--set", set]);
        assert!(outcome.code == 64 && outcome.err.contains(part), "{outcome:?}");
    };
    check("volume.forgeting=0.9", "--set volume.forgeting: `forgeting` is not known; there are: ");
    check("window_s=never", "--set window_s: never cannot be: ");
    check("window_s", "KEY=VALUE");
    let backwards = in_demo(&program, &["backtest", "--from", "2026-01-02", "--to", "2026-01-01"]);
    assert_eq!(backwards.code, 64, "{backwards:?}");
    let empty = in_demo(&program, &["backtest", "--to", "1999-01-01"]);
    assert!(empty.code == 0 && empty.err.contains("nothing to replay"), "{empty:?}");
}

/// A lake with a flood on one edge, which the detector of volumes alone tells.
#[test]
fn without_the_detector_of_volumes_a_flood_is_not_found() {
    let program = Program::new();
    let line = |minute: i64, number: i64| {
        let start = 1_767_225_600 + minute * 60;
        format!(
            "2 123456789010 eni-1 10.0.0.{0} 10.0.2.{0} {1} 443 6 10 900 {start} {2} ACCEPT OK\n",
            1 + number % 3,
            20_000 + (minute * 31 + number) % 40_000,
            start + 1
        )
    };
    let ordinary = (0..300).flat_map(|minute| (0..30).map(move |number| line(minute, number)));
    let flood = (250..260).flat_map(|minute| (0..900).map(move |number| line(minute, 3 * number)));
    program.file("a.log", ordinary.chain(flood).collect::<String>());
    assert_eq!(program.run(&["import", "a.log"]).code, 0);
    let outcome = program.run(&["backtest", "--set", "volume.is_enabled=false", "-o", "json"]);
    assert_eq!(outcome.code, 0, "{}", outcome.err);
    let report: Value = serde_json::from_str(&outcome.out).unwrap();
    assert_eq!(report["before"]["by_behaviour"]["volume"], 1, "{report}");
    assert_eq!(report["after"]["by_behaviour"]["volume"], Value::Null, "{report}");
}

#[test]
fn a_finding_whose_flows_are_gone_is_not_said_to_differ() {
    let program = demo("a");
    let (finding, provenance) = findings(&program).swap_remove(0);
    // Judged from a version that is gone, and of a time that the lake has no longer.
    let shift = 400 * time::DAY;
    let provenance = Provenance {
        flows_version: Some(1_000),
        replay_from: provenance.replay_from.map(|from| from - shift),
        replay_to: provenance.replay_to.map(|to| to - shift),
        ..provenance
    };
    let old = Finding { first_seen: finding.first_seen - shift, last_seen: finding.last_seen - shift, ..finding };
    record(&program, &old, &provenance);
    let outcome = in_demo(&program, &["verify", &old.finding_id]);
    assert!(outcome.code == 1 && outcome.err.contains("are no longer in the lake"), "{outcome:?}");
}
