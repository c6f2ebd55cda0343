//! Floors of the whole, by `all --quick`: what detection reaches on every kind of stream, a little below. They may only rise.

use crate::json;
use serde_json::Value;
use tradewind_testkit::{shared, skipped};

/// Average precision over units, by the names of the streams.
const UNITS: [(&str, f64); 8] = [
    ("hybrid", 0.99),
    ("hybrid, without outcomes", 0.98),
    ("hybrid, without ports", 0.965),
    ("hybrid, attacks all allowed", 0.93),
    ("hybrid, grid moved by 60 s", 0.97),
    ("hybrid, grid moved by 120 s", 0.97),
    ("hybrid, grid moved by 180 s", 0.97),
    ("hybrid, grid moved by 240 s", 0.97),
];
/// The same as a mean over the streams whose names begin so.
const MEANS: [(&str, f64); 2] = [("injected", 0.98), ("hardest", 0.97)];
/// Findings a day and hundred services: the shipped budget.
const FINDINGS_A_DAY: u64 = 5;

#[test]
fn nothing_falls_below_what_was_reached() {
    let Some(dir) = shared("eval") else { return };
    let told = json(&["all", "--quick", "--json"], &dir);
    let units = told["units"].as_object().unwrap();
    for (name, floor) in UNITS {
        assert!(precision(&units[name]) >= floor, "{name}: {}", units[name]);
    }
    for (begin, floor) in MEANS {
        let all: Vec<f64> =
            units.iter().filter(|(name, _)| name.starts_with(begin)).map(|(_, of)| precision(of)).collect();
        if all.is_empty() {
            skipped(&format!("{begin} streams: python3 could not make them"));
            continue;
        }
        let mean = all.iter().sum::<f64>() / all.len() as f64;
        assert!(mean >= floor, "{begin}: {all:?}");
    }
    assert!(units["hybrid"]["incidents"]["findings"].as_u64().unwrap() >= 13, "{}", units["hybrid"]);
    for (name, of) in units {
        assert_eq!(of["incidents"]["findings"], of["incidents"]["about_attacks"], "{name}: {}", of["incidents"]);
    }
    networks(&told["networks"]);
}

fn precision(of: &Value) -> f64 {
    of["unit_ap"].as_f64().unwrap()
}

/// Quiet within the budget, calibrated, and most attacks found.
fn networks(told: &Value) {
    assert!(told["harmless_most_in_a_day"].as_u64().unwrap() <= FINDINGS_A_DAY, "{told}");
    assert!(told["recall"]["mean"].as_f64().unwrap() >= 0.6, "{told}");
    let calibration = told["p_below_0.1"]["mean"].as_f64().unwrap();
    assert!((0.8..=1.2).contains(&calibration), "{told}");
}
