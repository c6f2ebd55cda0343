//! Made-up networks as the program judges them: a short run, its keys, and that it is the same whoever does the work.

use serde_json::Value;
use std::process::Command;

const SHORT: [&str; 7] = ["budget", "--seeds", "2", "--days", "2", "--cold-start", "--json"];

fn told() -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_tradewind-eval")).args(SHORT).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn days_kinds_and_attacks_add_up_and_two_runs_agree() {
    let told = told();
    let sum =
        |rows: &Value, key: &str| rows.as_object().unwrap().values().map(|row| row[key].as_u64().unwrap()).sum::<u64>();
    // Two a day: of two networks over one day, and from the first on over two.
    assert_eq!(sum(&told["attacks"], "of"), 4, "{told}");
    assert_eq!(sum(&told["cold_start"], "of"), 8, "{told}");
    assert!(sum(&told["attacks"], "found") <= 4, "{told}");
    assert_eq!(told["cold_start"].as_object().unwrap().keys().collect::<Vec<_>>(), ["1", "2"]);
    // The scanner reaches everybody every night; no kind is told of more than all kinds together.
    assert!(told["false_alerts"]["scanner"]["pairs"].as_f64().unwrap() > 40.0, "{told}");
    let by_day: f64 =
        told["cold_start"].as_object().unwrap().values().map(|day| day["false_findings"].as_f64().unwrap()).sum();
    let by_kind: f64 =
        told["false_alerts"].as_object().unwrap().values().map(|kind| kind["findings"].as_f64().unwrap()).sum();
    assert!((by_day - by_kind).abs() < 1e-9, "{told}");
    assert_eq!(self::told(), told);
}
