//! How source files and manifests look: a head that says what the file is for, a size that fits a reader's mind,
//! no I/O in the pure half, no environment below the program, lints from the workspace.

/// More lines than this and a file has more than one responsibility.
const LINES_MAX: usize = 600;
/// More lines than this deserve a second look.
const LINES_ADVISED: usize = 400;

/// Folders of the crates that do no I/O.
const PURE: &[&str] = &["model/src/", "ingest/formats/src/", "ingest/normalise/src/", "detect/src/", "policy/src/"];
/// Folders of the crates that get their settings passed in.
const CONFIGURED: &[&str] = &["storage/src/"];

/// Where, outside tests, a word is not said, and what the code takes instead.
const NOT_NAMED: &[(&[&str], &str, &str)] = &[
    (PURE, "std::fs", "bytes"),
    (PURE, "std::net::Tcp", "bytes"),
    (PURE, "std::net::Udp", "bytes"),
    (PURE, "std::process::", "nothing of the kind"),
    (PURE, "Instant::now", "event time"),
    (PURE, "env::var", "settings"),
    (CONFIGURED, "env::var", "settings"),
];

/// Complaints about one `.rs` file.
pub(super) fn check(path: &str, text: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    if !text.starts_with("//!") {
        complaints.push(format!("{path} does not open with `//!` and what it is for"));
    }
    let lines = text.lines().count();
    if lines > LINES_MAX {
        complaints.push(format!("{path} has {lines} lines, more than {LINES_MAX}: split it by responsibility"));
    }
    complaints.extend(named(path, text));
    complaints
}

fn named(path: &str, text: &str) -> Vec<String> {
    let words: Vec<_> =
        NOT_NAMED.iter().filter(|(folders, ..)| folders.iter().any(|folder| path.starts_with(folder))).collect();
    if path.ends_with("tests.rs") || path.contains("/tests/") {
        return Vec::new();
    }
    let mut complaints = Vec::new();
    for (number, line) in text.lines().take_while(|line| line.trim() != "#[cfg(test)]").enumerate() {
        let code = line.split("//").next().unwrap_or_default();
        for (_, word, instead) in words.iter().filter(|(_, word, _)| code.contains(word)) {
            complaints.push(format!("{path}:{}: `{word}` is not for this crate; it takes {instead}", number + 1));
        }
    }
    complaints
}

/// What would be better in one `.rs` file.
pub(super) fn advise(path: &str, text: &str) -> Option<String> {
    let lines = text.lines().count();
    (lines > LINES_ADVISED && lines <= LINES_MAX)
        .then(|| format!("{path} has {lines} lines, more than {LINES_ADVISED}: does it have one responsibility?"))
}

/// Complaints about one `Cargo.toml`.
pub(super) fn check_manifest(path: &str, text: &str) -> Option<String> {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let is_package = text.lines().any(|line| line.trim() == "[package]");
    let has_lints = lines.any(|line| line == "[lints]") && lines.next() == Some("workspace = true");
    (is_package && !has_lints).then(|| format!("{path} lacks `[lints] workspace = true`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_source(path: &str, text: &str, expected: &[&str]) {
        assert_eq!(check(path, text), expected);
    }

    #[test]
    fn files_say_what_they_are_for() {
        check_source("cli/src/main.rs", "//! The binary.\n", &[]);
        check_source(
            "cli/src/main.rs",
            "fn main() {}\n",
            &["cli/src/main.rs does not open with `//!` and what it is for"],
        );
        check_source("cli/src/main.rs", "", &["cli/src/main.rs does not open with `//!` and what it is for"]);
    }

    #[test]
    fn files_have_a_limit() {
        let of = |lines: usize| format!("//! x{}", "\n//".repeat(lines - 1));
        check_source("a.rs", &of(600), &[]);
        check_source("a.rs", &of(601), &["a.rs has 601 lines, more than 600: split it by responsibility"]);
        assert_eq!(advise("a.rs", &of(400)), None);
        assert!(advise("a.rs", &of(401)).is_some());
        assert_eq!(advise("a.rs", &of(601)), None);
    }

    #[test]
    fn pure_crates_do_no_io_outside_tests() {
        check_source(
            "detect/src/a.rs",
            "//! x\nuse std::fs;\n",
            &["detect/src/a.rs:2: `std::fs` is not for this crate; it takes bytes"],
        );
        check_source("storage/src/a.rs", "//! x\nuse std::fs;\n", &[]);
        check_source("detect/src/a.rs", "//! x\n// not std::fs\n#[cfg(test)]\nmod tests { use std::fs; }\n", &[]);
        check_source("detect/src/a/tests.rs", "//! x\nuse std::fs;\n", &[]);
    }

    #[test]
    fn only_the_program_reads_the_environment() {
        let text = "//! x\nlet home = std::env::var_os(\"HOME\");\n";
        check_source(
            "storage/src/a.rs",
            text,
            &["storage/src/a.rs:2: `env::var` is not for this crate; it takes settings"],
        );
        check_source(
            "model/src/a.rs",
            text,
            &["model/src/a.rs:2: `env::var` is not for this crate; it takes settings"],
        );
        check_source("cli/src/a.rs", text, &[]);
    }

    #[test]
    fn manifests_take_the_lints_of_the_workspace() {
        assert_eq!(check_manifest("a", "[package]\nname = \"a\"\n\n[lints]\nworkspace = true\n"), None);
        assert_eq!(check_manifest("a", "[workspace]\n"), None);
        assert!(check_manifest("a", "[package]\nname = \"a\"\n").is_some());
        assert!(check_manifest("a", "[package]\nname = \"a\"\n[lints]\n[dependencies]\nworkspace = true\n").is_some());
    }
}
