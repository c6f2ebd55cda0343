//! What people say of findings, on the lake of the demo: it is recorded, and a replay goes by it.

use crate::program::{Outcome, Program};
use serde_json::Value;

/// The folder of a demo, and commands in it.
struct Demo(Program);

impl Demo {
    fn new() -> Self {
        let program = Program::new();
        let demo = program.run(&["demo", "--keep", "demo"]);
        assert_eq!(demo.code, 0, "{}", demo.err);
        Self(program)
    }

    fn run(&self, arguments: &[&str]) -> Outcome {
        self.0.run(&[&["--config", "demo/tradewind.toml"], arguments].concat())
    }

    /// Runs a command that must do.
    fn done(&self, arguments: &[&str]) -> Outcome {
        let outcome = self.run(arguments);
        assert_eq!(outcome.code, 0, "{arguments:?}: {outcome:?}");
        outcome
    }

    fn rows(&self, arguments: &[&str]) -> Vec<Value> {
        let outcome = self.done(&[arguments, &["-o", "json"]].concat());
        serde_json::from_str(&outcome.out).unwrap()
    }

    /// What a replay into an empty table would tell: as `detect` prints it.
    fn told(&self) -> Vec<Value> {
        self.rows(&["detect"])
    }

    fn check_refused(&self, arguments: &[&str], code: i32, expected: &str) {
        let outcome = self.run(arguments);
        assert_eq!((outcome.code, outcome.out.as_str()), (code, ""), "{arguments:?}: {outcome:?}");
        assert!(outcome.err.contains(expected), "{arguments:?}: {}", outcome.err);
    }
}

fn ids(findings: &[Value]) -> Vec<&str> {
    findings.iter().filter_map(|finding| finding["finding_id"].as_str()).collect()
}

fn of<'a>(findings: &'a [Value], behaviour: &str) -> &'a Value {
    findings.iter().find(|finding| finding["behaviour"] == behaviour).unwrap_or_else(|| panic!("{findings:?}"))
}

#[test]
fn what_is_said_is_recorded_and_a_replay_goes_by_it() {
    let demo = Demo::new();
    let before = demo.rows(&["findings"]);
    accepted_and_dismissed_is_told_no_more(&demo, &before);
    chains_and_breaches_are_not_hidden(&demo, &before);
    what_cannot_be_is_refused(&demo);
    incidents_are_listed(&demo);
}

fn accepted_and_dismissed_is_told_no_more(demo: &Demo, before: &[Value]) {
    let chosen = of(before, "policy")["finding_id"].as_str().unwrap();
    // That somebody looks after it is on record, and hides nothing.
    let taken = demo.done(&["findings", "acknowledge", &chosen[..10], "--author", "bob"]);
    assert!(taken.out.starts_with(&format!("acknowledged {}: ", &chosen[..12])), "{taken:?}");
    assert!(demo.done(&["findings", "show", chosen]).out.contains("acknowledged by bob"));
    let again = demo.done(&["findings", "acknowledge", chosen]);
    assert!(again.out.is_empty() && again.err.contains("acknowledged by bob"), "{again:?}");
    assert_eq!(demo.rows(&["findings"]).len(), before.len());
    assert_eq!(demo.told().len(), before.len());
    let accepted = demo.done(&["findings", "accept", &chosen[..10], "--reason", "planned", "--author", "ann"]);
    assert!(accepted.out.starts_with(&format!("accepted {}: ", &chosen[..12])), "{accepted:?}");
    assert!(accepted.err.contains("change the policy"), "{accepted:?}");
    assert_eq!(demo.rows(&["findings"]).len(), before.len() - 1);
    assert_eq!(demo.rows(&["findings", "--all"]).len(), before.len());
    let shown = demo.done(&["findings", "show", chosen]);
    assert!(shown.out.contains("accepted by ann") && shown.out.contains(": planned"), "{}", shown.out);
    // A second time changes nothing.
    let again = demo.done(&["findings", "accept", chosen]);
    assert!(again.out.is_empty() && again.err.contains("accepted by ann"), "{again:?}");
    let told = demo.told();
    assert!(!ids(&told).contains(&chosen), "{told:?}");
    assert_eq!(told.len(), before.len() - 1);
    let replayed = demo.done(&["detect"]);
    assert!(replayed.err.contains("0 new or changed, 1 accepted or dismissed before"), "{}", replayed.err);
    let controls = demo.rows(&["findings", "controls"]);
    assert_eq!(controls.len(), 2, "{controls:?}");
    let row = &controls[0];
    assert_eq!((&row["action"], &row["author"], &row["reason"]), (&"accept".into(), &"ann".into(), &"planned".into()));
    assert_eq!((&row["origin"], &row["finding_id"]), (&"command".into(), &chosen.into()));
}

fn chains_and_breaches_are_not_hidden(demo: &Demo, before: &[Value]) {
    let scope = ["findings", "suppress", "--scope", "entity=support-bot", "--until", "30d", "--name", "audit"];
    let suppressed = demo.done(&scope);
    assert!(suppressed.out.contains("suppressed until") && suppressed.out.contains("/support-bot"), "{suppressed:?}");
    assert!(suppressed.err.contains("chain and policy findings are told nevertheless"), "{suppressed:?}");
    // It holds from now on: the traffic of yesterday is told as before.
    assert_eq!(demo.told().len(), before.len() - 1);
    demo.done(&["findings", "lift", "audit"]);

    let chain = of(before, "chain")["finding_id"].as_str().unwrap();
    let other = before.iter().find(|finding| !matches!(finding["behaviour"].as_str(), Some("chain" | "policy")));
    let other = other.map(|finding| finding["finding_id"].as_str().unwrap());
    for id in [Some(chain), other].into_iter().flatten() {
        demo.done(&["findings", "suppress", id, "--until", "2w"]);
    }
    let told = demo.told();
    let covered = told.iter().find(|finding| finding["finding_id"] == *chain).unwrap();
    let name = format!("suppression finding-{} covers it", &chain[..12]);
    assert!(covered["uncertain"].as_str().unwrap().contains(&name), "{covered}");
    if let Some(other) = other {
        assert!(!ids(&told).contains(&other), "{told:?}");
        demo.done(&["findings", "lift", &format!("finding-{}", &other[..12])]);
        assert!(ids(&demo.told()).contains(&other));
    }
}

fn what_cannot_be_is_refused(demo: &Demo) {
    demo.check_refused(&["findings", "accept", "zz"], 1, "there is no finding zz: `tradewind findings` lists them");
    demo.check_refused(&["findings", "dismiss", ""], 64, "at least one character");
    demo.check_refused(&["findings", "lift", "nobody"], 1, "there is no suppression nobody: there are finding-");
    demo.check_refused(&["findings", "suppress", "--until", "1d"], 64, "required");
    demo.check_refused(&["findings", "suppress", "--scope", "entity=", "--until", "1d"], 64, "no part of a scope");
    let past = ["findings", "suppress", "--scope", "port=443", "--until", "2020-01-01"];
    demo.check_refused(&past, 64, "is over already");
    let unknown = ["findings", "suppress", "--scope", "entity=nobody", "--until", "1d"];
    demo.check_refused(&unknown, 64, "no finding names an entity nobody");
}

fn incidents_are_listed(demo: &Demo) {
    let incidents = demo.rows(&["findings", "incidents"]);
    assert!(!incidents.is_empty());
    let listed = demo.done(&["findings", "--all"]);
    let id = &incidents[0]["incident_id"].as_str().unwrap()[..6];
    assert!(listed.out.contains(id), "{}", listed.out);
    // The same flows make the same incidents.
    let rows = |demo: &Demo| demo.rows(&["sql", "SELECT count(*) AS n FROM incidents"])[0]["n"].clone();
    let count = rows(demo);
    demo.told();
    assert_eq!(rows(demo), count);
}

#[test]
fn a_file_of_suppressions_is_recorded_and_lifted() {
    let demo = Demo::new();
    let finding = &demo.rows(&["findings"])[0];
    let config = std::fs::read_to_string(demo.0.folder().join("demo/tradewind.toml")).unwrap();
    demo.0.file("demo/tradewind.toml", format!("{config}\n[feedback]\nsuppressions = \"known.toml\"\n"));
    demo.check_refused(&["config", "check"], 64, "does not exist");
    let entity = finding["entity"].as_str().unwrap();
    demo.0
        .file("demo/known.toml", format!("[[suppression]]\nname = \"a\"\nentity = \"{entity}\"\nunti = 2099-01-01\n"));
    demo.check_refused(&["config", "check"], 64, "known.toml:4: suppression[0].unti: unknown field `unti`");
    demo.check_refused(&["detect"], 64, "known.toml:4");
    let entry =
        format!("[[suppression]]\nname = \"a\"\nentity = \"{entity}\"\nuntil = 2099-01-01\nreason = \"known\"\n");
    demo.0.file("demo/known.toml", &entry);
    demo.done(&["config", "check"]);
    let grave = |finding: &Value| matches!(finding["behaviour"].as_str(), Some("chain" | "policy"));
    for _ in 0..2 {
        let told = demo.told();
        assert!(told.iter().all(|finding| finding["entity"] != entity || grave(finding)), "{told:?}");
    }
    let controls = demo.rows(&["findings", "controls"]);
    assert_eq!(controls.len(), 1, "recorded once: {controls:?}");
    assert_eq!((&controls[0]["origin"], &controls[0]["reason"]), (&"file".into(), &"known".into()));
    demo.check_refused(&["findings", "lift", "a"], 64, "take it out there");
    demo.0.file("demo/known.toml", "");
    demo.told();
    let controls = demo.rows(&["findings", "controls"]);
    assert_eq!((controls.len(), &controls[0]["action"]), (2, &"lift".into()), "{controls:?}");
}
