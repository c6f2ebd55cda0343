//! The crate graph: arrows point down only, and heavy dependencies stay in one crate each.

use anyhow::{Context, Result};
use serde_json::Value;

/// What a crate of ours may depend on.
#[derive(Debug)]
struct Rule {
    name: &'static str,
    /// Crates of ours; `"*"` for any.
    allowed: &'static [&'static str],
    /// Does no I/O: it gets bytes, times and settings as arguments.
    is_pure: bool,
}

/// A new crate, or a new arrow, is a decision: explain it in ARCHITECTURE.md and add it here.
const RULES: &[Rule] = &[
    Rule { name: "tradewind-model", allowed: &[], is_pure: true },
    Rule { name: "tradewind-formats", allowed: &["tradewind-model"], is_pure: true },
    Rule { name: "tradewind-normalise", allowed: &["tradewind-model"], is_pure: true },
    Rule { name: "tradewind-detect", allowed: &["tradewind-model"], is_pure: true },
    Rule { name: "tradewind-policy", allowed: &["tradewind-model"], is_pure: true },
    Rule { name: "tradewind-storage", allowed: &["tradewind-model"], is_pure: false },
    Rule { name: "tradewind-transport", allowed: &["tradewind-model"], is_pure: false },
    Rule { name: "tradewind-collect", allowed: &["tradewind-model", "tradewind-transport"], is_pure: false },
    Rule { name: "tradewind-notify", allowed: &["tradewind-model", "tradewind-transport"], is_pure: false },
    Rule { name: "tradewind", allowed: &["*"], is_pure: false },
    Rule { name: "tradewind-bench", allowed: &["*"], is_pure: false },
    Rule {
        name: "tradewind-eval",
        allowed: &["tradewind-model", "tradewind-detect", "tradewind-testkit"],
        is_pure: false,
    },
    Rule { name: "tradewind-testkit", allowed: &["tradewind-model"], is_pure: false },
    Rule { name: "tradewind-kafka-testkit", allowed: &[], is_pure: false },
    Rule { name: "tradewind-torture", allowed: &["tradewind-kafka-testkit"], is_pure: false },
    Rule { name: "xtask", allowed: &["tradewind-model"], is_pure: false },
];

/// Any crate's tests may use them.
const TESTKITS: &[&str] = &["tradewind-testkit", "tradewind-kafka-testkit"];

/// Dependencies that cost minutes to build, and the one crate that may name them.
const HEAVY: &[(&str, &str)] =
    &[("datafusion", "tradewind-storage"), ("deltalake", "tradewind-storage"), ("rdkafka", "tradewind-transport")];

/// Dependencies that do I/O or bring a runtime: not for pure crates, whose tests may use them all the same.
const IMPURE: &[&str] = &["tokio", "object_store", "reqwest", "hyper", "axum", "tempfile", "glob", "notify"];

/// Complaints about the answer of `cargo metadata --no-deps`.
///
/// # Errors
/// When the answer has another shape.
pub(super) fn check(metadata: &Value) -> Result<Vec<String>> {
    let mut complaints = Vec::new();
    for package in metadata["packages"].as_array().context("cargo metadata lists no packages")? {
        let name = package["name"].as_str().context("a package has no name")?;
        let Some(rule) = RULES.iter().find(|rule| rule.name == name) else {
            complaints.push(format!("crate {name} has no rule: add it to xtask/src/tidy/graph.rs and ARCHITECTURE.md"));
            continue;
        };
        for dependency in package["dependencies"].as_array().context("a package has no dependencies")? {
            let to = dependency["name"].as_str().context("a dependency has no name")?;
            complaints.extend(complain(rule, to, dependency["kind"].as_str() == Some("dev")));
        }
    }
    Ok(complaints)
}

fn complain(rule: &Rule, to: &str, is_dev: bool) -> Option<String> {
    let from = rule.name;
    let is_ours = to.starts_with("tradewind") || to == "xtask";
    let is_allowed = rule.allowed.iter().any(|allowed| *allowed == to || *allowed == "*");
    if is_ours && !is_allowed && !(is_dev && TESTKITS.contains(&to)) {
        return Some(format!("crate {from} may not depend on {to}"));
    }
    if let Some((_, home)) = HEAVY.iter().find(|(heavy, home)| *heavy == to && *home != from) {
        return Some(format!("crate {from} may not depend on {to}: it belongs to {home} alone"));
    }
    if rule.is_pure && !is_dev && IMPURE.contains(&to) {
        return Some(format!("crate {from} is pure and may not depend on {to}"));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check_edge(from: &str, to: &str, kind: Option<&str>, expected: &[&str]) {
        let metadata = json!({ "packages": [{ "name": from, "dependencies": [{ "name": to, "kind": kind }] }] });
        assert_eq!(check(&metadata).expect("well-formed"), expected, "{from} -> {to}");
    }

    #[test]
    fn arrows_point_down_only() {
        check_edge("tradewind-formats", "tradewind-model", None, &[]);
        check_edge("tradewind", "tradewind-storage", None, &[]);
        check_edge(
            "tradewind-formats",
            "tradewind-normalise",
            None,
            &["crate tradewind-formats may not depend on tradewind-normalise"],
        );
        check_edge(
            "tradewind-detect",
            "tradewind-storage",
            Some("dev"),
            &["crate tradewind-detect may not depend on tradewind-storage"],
        );
        check_edge("tradewind-model", "tradewind", None, &["crate tradewind-model may not depend on tradewind"]);
        check_edge(
            "tradewind-new",
            "anyhow",
            None,
            &["crate tradewind-new has no rule: add it to xtask/src/tidy/graph.rs and ARCHITECTURE.md"],
        );
    }

    #[test]
    fn the_testkit_is_for_tests() {
        check_edge("tradewind-formats", "tradewind-testkit", Some("dev"), &[]);
        check_edge(
            "tradewind-formats",
            "tradewind-testkit",
            None,
            &["crate tradewind-formats may not depend on tradewind-testkit"],
        );
    }

    #[test]
    fn heavy_dependencies_have_one_home() {
        check_edge("tradewind-storage", "deltalake", None, &[]);
        check_edge(
            "tradewind",
            "datafusion",
            Some("dev"),
            &["crate tradewind may not depend on datafusion: it belongs to tradewind-storage alone"],
        );
    }

    #[test]
    fn the_pure_half_stays_pure() {
        check_edge("tradewind-detect", "tokio", None, &["crate tradewind-detect is pure and may not depend on tokio"]);
        check_edge("tradewind-normalise", "tempfile", Some("dev"), &[]);
    }
}
