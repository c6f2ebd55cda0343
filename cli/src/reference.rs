//! The reference pages of the configuration and of the command line, made from the program itself.
//!
//! `UPDATE_REFERENCE=1 cargo test -p tradewind` writes them; without it a test compares.
#![allow(clippy::unwrap_used)]

use crate::args::Cli;
use crate::config::DEFAULTS;
use crate::telemetry::metrics::{Kind, METRICS};
use clap::{Command, CommandFactory as _};
use std::path::Path;

fn check(page: &str, expected: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference").join(page);
    if std::env::var_os("UPDATE_REFERENCE").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, expected).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == expected, "docs/reference/{page} is stale: UPDATE_REFERENCE=1 cargo test -p tradewind");
}

#[test]
fn the_configuration_page_is_the_generated_one() {
    check("config.md", &config_page());
}

#[test]
fn the_command_line_page_is_the_generated_one() {
    check("cli.md", &command_page());
}

#[test]
fn the_telemetry_page_is_the_generated_one() {
    check("../specs/telemetry.md", &telemetry_page());
}

fn telemetry_page() -> String {
    let mut page = String::from(
        "# Telemetry\n\nMade from `cli/src/telemetry/metrics.rs`; do not edit.\n\n\
         `tradewind run` shows these numbers at `/metrics` in the text format of Prometheus (dots are underscores there, and\n\
         counters end in `_total`), and sends them over OTLP where `[telemetry] otlp_endpoint` names a collector, together with\n\
         log messages and spans (`store.commit`, `normalise.write`, `detect.snapshot`, `correlate.write`).\n\n\
         Nothing is lost silently: for each source received = accepted + rejected, and what `normalise` reads becomes flows,\n\
         rejects and gaps. What `store` commits of them can be compared with it. No attribute is an address or an entity.\n\n\
         | metric | kind | unit | attributes | meaning |\n|---|---|---|---|---|\n",
    );
    for metric in METRICS {
        let kind = if metric.kind == Kind::Counter { "counter" } else { "gauge" };
        let (name, unit, about, meaning) = (metric.name, metric.unit, metric.attributes, metric.meaning);
        page.push_str(&format!("| `{name}` | {kind} | `{unit}` | {about} | {meaning} |\n"));
    }
    page
}

fn config_page() -> String {
    let mut page = String::from(
        "# Configuration\n\nMade from `cli/src/config/default.toml`; do not edit.\n\n\
         `tradewind config print --default` prints the defaults as a file to start from, `tradewind config check` finds\n\
         every fault of a file, `tradewind config print` shows what is in force.\n",
    );
    let mut meaning = Vec::new();
    for text in DEFAULTS.lines() {
        let setting = text.strip_prefix("# ").unwrap_or(text).split_once(" = ").filter(|(key, _)| is_key(key));
        if let Some(name) = text.strip_prefix('[') {
            page.push_str(&format!("\n## [{name}\n"));
        } else if let Some((key, value)) = setting {
            let default = if text.starts_with('#') { "none".to_owned() } else { format!("`{value}`") };
            page.push_str(&format!("\n### `{key}`\n\n{}\n\nDefault: {default}\n", meaning.join("\n")));
            meaning.clear();
        } else if let Some(comment) = text.strip_prefix("# ") {
            meaning.push(comment);
        } else {
            if !meaning.is_empty() {
                page.push_str(&format!("\n{}\n", meaning.join("\n")));
            }
            meaning.clear();
        }
    }
    page
}

fn is_key(text: &str) -> bool {
    text.bytes().all(|byte| byte == b'_' || byte.is_ascii_lowercase())
}

fn command_page() -> String {
    let mut page = String::from("# Command line\n\nMade from the help texts of the program; do not edit.\n");
    let mut root = Cli::command().term_width(100);
    root.build();
    section(&mut page, &mut root, "tradewind");
    page
}

fn section(page: &mut String, command: &mut Command, name: &str) {
    let help = command.render_long_help().to_string();
    let help: Vec<&str> = help.lines().map(str::trim_end).collect();
    page.push_str(&format!("\n## {name}\n\n```text\n{}\n```\n", help.join("\n").trim_end()));
    let names: Vec<String> = command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    for sub in names.iter().filter(|sub| *sub != "help") {
        if let Some(command) = command.find_subcommand_mut(sub) {
            section(page, command, &format!("{name} {sub}"));
        }
    }
}
