//! Floors on the labelled sets of the shared folder. They may only rise.

use crate::json;
use tradewind_testkit::shared;

#[test]
fn attacks_on_services_rank_first_and_two_runs_agree() {
    let Some(dir) = shared("eval/hybrid") else { return };
    let first = json(&["hybrid", "--json"], &dir);
    let number = |key: &str| first[key].as_f64().unwrap();
    assert!(number("unit_ap") >= 0.99, "{first}");
    assert!(number("top25_precision") >= 1.0 && number("top25_episodes") >= 15.0, "{first}");
    assert!(number("top30_episodes") >= 15.0, "{first}");
    assert_eq!((number("units"), number("positive_units"), number("episodes")), (332.0, 27.0, 15.0));
    let incidents = &first["incidents"];
    assert!(incidents["episodes"].as_u64().unwrap() >= 14, "{incidents}");
    assert_eq!(incidents["findings"], incidents["about_attacks"], "{incidents}");
    // The reference of the same file: the published row of the rarity rule.
    assert!((first["peers"]["rarity 1/n"]["unit_ap"].as_f64().unwrap() - 0.632).abs() < 0.001);
    assert_eq!(json(&["hybrid", "--json"], &dir), first);
}

#[test]
fn the_grid_of_windows_hardly_matters() {
    let Some(dir) = shared("eval/hybrid") else { return };
    for shift in ["75", "150", "225"] {
        let shifted = json(&["hybrid", "--json", "--shift-seconds", shift], &dir);
        assert!(shifted["unit_ap"].as_f64().unwrap() >= 0.95, "{shift} s: {shifted}");
    }
}

#[test]
fn calls_without_attacks_raise_nothing() {
    let Some(dir) = shared("eval/nezha") else { return };
    let told = json(&["stream", "--json"], &dir);
    for (file, told) in told["files"].as_object().unwrap() {
        assert_eq!(told["false_findings"], 0, "{file}");
    }
}

#[test]
fn floods_and_their_victims_are_found_in_a_long_stream_of_edges() {
    let Some(dir) = shared("eval/darpa98") else { return };
    let told = json(&["stream", "--json"], &dir);
    assert!(told["flow_auc"].as_f64().unwrap() >= 0.975, "{told}");
    let recall = &told["files"]["edges.csv.gz"]["recall_at_units_a_day"];
    assert!(recall["10"].as_f64().unwrap() >= 0.45, "{recall}");
}

#[test]
fn command_and_control_is_first_in_a_small_domain() {
    let Some(dir) = shared("eval/apt29-day1") else { return };
    let told = json(&["stream", "--json"], &dir);
    assert!(told["flow_auc"].as_f64().unwrap() >= 0.95, "{told}");
    let attacks = &told["files"]["flows.csv"]["attacks"];
    assert_eq!(attacks["c2-or-exfil"]["rank"], 1, "{attacks}");
    assert!(attacks["lateral-movement"]["rank"].as_u64().unwrap() <= 10, "{attacks}");
}

#[test]
fn a_plant_network_is_better_than_rarity() {
    let Some(dir) = shared("eval/westermo") else { return };
    let told = json(&["stream", "--json"], &dir);
    for (file, told) in told["files"].as_object().unwrap() {
        let (ours, rarity) = (&told["flow_auc"], &told["peers_flow_auc"]["rarity 1/n"]);
        assert!(ours.as_f64().unwrap() > rarity.as_f64().unwrap(), "{file}: {told}");
    }
}
