//! Small folders made here: few columns, rows out of order, faults.

use crate::{json, run};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Five services that call one another for an hour; then one tries thirty strangers in vain.
fn flows(columns: &str) -> String {
    let mut rows: Vec<String> = Vec::new();
    for second in (0..5400).step_by(20) {
        for source in 0..5 {
            let destination = (source + 1 + second / 20 % 2) % 5;
            rows.push(format!("{},s{source},s{destination},443,SF,0,-1", 1_000_000 + second));
        }
    }
    for host in 0..30 {
        rows.push(format!("{},s3,x{host},22,S0,1,0", 1_005_000 + host));
    }
    // No order is asked for.
    rows.reverse();
    let names = ["ts", "src", "dst", "dport", "state", "label", "episode"];
    let kept: Vec<usize> =
        columns.split(',').map(|name| names.iter().position(|known| *known == name).unwrap()).collect();
    let pick = |row: &String| {
        let fields: Vec<&str> = row.split(',').collect();
        kept.iter().map(|&column| fields[column]).collect::<Vec<_>>().join(",")
    };
    format!("{columns}\n{}\n", rows.iter().map(pick).collect::<Vec<_>>().join("\n"))
}

fn check(columns: &str, unit_ap_min: f64, findings_min: u64) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("flows.csv"), flows(columns)).unwrap();
    let told = json(&["hybrid", "--json", "--train-seconds", "1800"], dir.path());
    assert!(told["unit_ap"].as_f64().unwrap() >= unit_ap_min, "{columns}: {told}");
    assert!(told["incidents"]["findings"].as_u64().unwrap() >= findings_min, "{columns}: {told}");
    assert_eq!(told["positive_units"], 1, "{columns}: {told}");
}

#[test]
fn a_scan_is_first_whatever_columns_there_are() {
    check("ts,src,dst,dport,state,label,episode", 1.0, 1);
    check("label,state,dst,src,ts", 1.0, 1);
    check("ts,src,dst,label", 1.0, 1);
}

#[test]
fn a_stream_has_its_keys() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("flows.csv"), flows("ts,src,dst,label")).unwrap();
    let told = json(&["stream", "--json"], dir.path());
    assert!(told["flow_auc"].as_f64().unwrap() > 0.99, "{told}");
}

fn refuse(files: &[(&str, &str)], arguments: &[&str], part: &str) {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(dir.path().join(name), text).unwrap();
    }
    let output = run(arguments, dir.path());
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && error.contains(part), "{arguments:?}: {error}");
}

#[test]
fn faults_are_told() {
    refuse(&[], &["hybrid"], "holds neither flows.csv.gz nor flows.csv");
    refuse(&[], &["stream"], "holds no CSV file");
    refuse(&[("flows.csv", "ts,src,label\n1,a,0\n")], &["hybrid"], "column dst is missing; there are ts, src, label");
    refuse(&[("flows.csv", "ts,src,dst\n1,a,b\n")], &["hybrid"], "column label is missing");
    refuse(&[("flows.csv", "ts,src,dst,label\n")], &["hybrid"], "holds no flow");
    refuse(&[("flows.csv", "ts,src,dst,label\n1,a,b,0\n")], &["hybrid"], "later than the 1570.9 s of training");
    refuse(&[("flows.csv", "ts,src,dst,label\n1,a,b,0\n")], &["hybrid", "--train-seconds", "-1"], "not be below 0");
    refuse(&[("flows.csv.gz", "ts,src,dst,label\n")], &["hybrid"], "failed to read");
    refuse(&[], &["all"], "holds none of the folders hybrid, darpa98");
    refuse(&[], &["all", "--quick", "--write", "report.md"], "cannot be used with");
    let flows = ("flows.csv", "ts,src,dst,label\n1,a,b,0\n");
    refuse(&[flows], &["hybrid", "--python", "/nowhere/python"], "/nowhere/python has no package river");
    for command in ["hybrid", "all"] {
        let output = run(&[command], Path::new("/nowhere"));
        assert!(String::from_utf8_lossy(&output.stderr).contains("/nowhere is not a folder"), "{command}");
    }
}

#[test]
fn half_space_trees_are_those_of_the_python_that_is_named() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("flows.csv"), flows("ts,src,dst,dport,state,label,episode")).unwrap();
    let stands_in = |scores: &str| {
        // Says that it has the package; asked for scores, it runs this on the table.
        let script = format!("#!/bin/sh\n[ $# -eq 3 ] || exit 0\n{scores}\n");
        let path = dir.path().join("python");
        std::fs::write(&path, script).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path.to_string_lossy().into_owned()
    };
    // The fourth column: connections that failed, which only the attack's do.
    let python = stands_in("tail -n +2 \"$3\" | cut -d, -f4");
    let told = json(&["hybrid", "--json", "--train-seconds", "1800", "--python", &python], dir.path());
    assert_eq!(told["peers"]["half-space trees"]["unit_ap"], 1.0, "{told}");
    let python = stands_in("echo 1");
    let output = run(&["hybrid", "--train-seconds", "1800", "--python", &python], dir.path());
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && error.contains("half-space trees: 1 scores of"), "{error}");
}
