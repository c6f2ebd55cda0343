//! Tests of the program as a whole: what it prints of labelled flows, made up and real, and what it says when it cannot.

#![allow(clippy::unwrap_used)]

mod floors;
mod labelled;
mod made_up;
mod networks;

use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

/// Runs the program.
fn run(arguments: &[&str], dir: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tradewind-eval"));
    let (name, more) = arguments.split_first().unwrap();
    command.arg(name).arg(dir).args(more).output().unwrap()
}

/// The JSON object it prints, without what depends on the machine.
fn json(arguments: &[&str], dir: &Path) -> Value {
    let output = run(arguments, dir);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut value: Value = serde_json::from_slice(&output.stdout).unwrap();
    for key in ["flows_per_s", "edges_per_s"] {
        forget(&mut value, key);
    }
    value
}

fn forget(value: &mut Value, key: &str) {
    if let Some(object) = value.as_object_mut() {
        object.remove(key);
        object.values_mut().for_each(|value| forget(value, key));
    }
}
