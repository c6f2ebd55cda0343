//! Keeps `docs/guide` true: every SQL query, command and link of its pages is tried, on the lake of the demo.
//!
//! A block is run for its language: `sql` as a query, `console` line by line, `python` where there is a Python that has the
//! readers, `toml` is parsed. `text` is what cannot be run here: other programs, other machines.

mod answers;

use crate::program::Program;
use answers::{ANSWERS, ANSWERS_OF_DENIED, Answers};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use tempfile::TempDir;

const GUIDE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/guide");
/// The command of which every page that needs the demo makes use. It is run once.
const MAKE_DEMO: &str = "tradewind demo --keep demo";
/// Makes the other story of the demo, in which all of the attack is denied: some questions have an answer only there.
const MAKE_DENIED_DEMO: &str = "tradewind demo --scenario c --keep demo";
/// Stands in commands for the id of the demo's critical finding, which changes with the day.
const ID: &str = " ID";

/// A page of the guide.
struct Page {
    name: String,
    text: String,
}

/// What stands between two fences.
struct Block {
    /// `page:line` of the opening fence.
    place: String,
    /// The heading above it.
    heading: String,
    language: String,
    lines: Vec<String>,
}

/// A command of a `console` block and what it is said to print.
struct Step {
    command: String,
    shown: Vec<String>,
}

fn pages() -> Vec<Page> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(GUIDE).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let page = |path: &PathBuf| Page {
        name: path.file_name().unwrap().to_string_lossy().into_owned(),
        text: std::fs::read_to_string(path).unwrap(),
    };
    paths.iter().filter(|path| path.extension().is_some_and(|extension| extension == "md")).map(page).collect()
}

fn blocks(page: &Page) -> Vec<Block> {
    let (mut blocks, mut open, mut heading) = (Vec::new(), None::<Block>, String::new());
    for (number, line) in (1..).zip(page.text.lines()) {
        match (open.as_mut(), line.strip_prefix("```")) {
            (None, Some(language)) => {
                let place = format!("docs/guide/{}:{number}", page.name);
                let language = language.trim().to_owned();
                open = Some(Block { place, heading: heading.clone(), language, lines: Vec::new() });
            }
            (Some(_), Some(rest)) => {
                assert_eq!(rest, "", "{}:{number}: a fence closes with nothing behind it", page.name);
                blocks.extend(open.take());
            }
            (Some(block), None) => block.lines.push(line.to_owned()),
            (None, None) if line.starts_with('#') => heading = line.trim_start_matches('#').trim().to_owned(),
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "{}: a block is not closed", page.name);
    blocks
}

fn steps(block: &Block) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for line in &block.lines {
        match (line.strip_prefix("$ "), steps.last_mut()) {
            (Some(command), _) => steps.push(Step { command: command.to_owned(), shown: Vec::new() }),
            (None, Some(step)) => step.shown.push(line.clone()),
            (None, None) => panic!("{}: output before any command: {line}", block.place),
        }
    }
    steps
}

/// A demo: a working folder with `demo` in it, and what making it printed.
struct Demo {
    folder: TempDir,
    out: String,
}

impl Demo {
    fn make(command: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (is_ok, out) = shell(command, folder.path());
        assert!(is_ok, "{out}");
        Self { folder, out }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("demo")
    }

    fn sql(&self, query: &str) -> Result<String, String> {
        let (is_ok, out) = run(tradewind().args(["sql", "-o", "csv", query]), &self.path());
        if is_ok { Ok(out) } else { Err(out) }
    }
}

fn tradewind() -> Command {
    Command::new(env!("CARGO_BIN_EXE_tradewind"))
}

/// Runs a line of shell, with the program on its path; where it ends is where the next one begins, so `cd` works.
fn shell(line: &str, folder: &Path) -> (bool, String) {
    let programs = Path::new(env!("CARGO_BIN_EXE_tradewind")).parent().unwrap();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths(std::iter::once(programs.to_owned()).chain(std::env::split_paths(&path))).unwrap();
    run(Command::new("sh").args(["-c", &format!("exec 2>&1\n{line}")]).env("PATH", path), folder)
}

/// Whether it ended well, and all that it printed.
fn run(command: &mut Command, folder: &Path) -> (bool, String) {
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TRADEWIND_")) {
        command.env_remove(name);
    }
    let output = command.current_dir(folder).stdin(Stdio::null()).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}

/// Whether a line that a page shows is among what was printed. `…` stands for anything within a line, and how far columns
/// are apart does not count.
fn is_printed(shown: &str, out: &str) -> bool {
    let single_spaced = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let shown = single_spaced(shown);
    out.lines().map(single_spaced).any(|line| {
        let mut rest = line.as_str();
        shown.split('…').map(str::trim).all(|piece| match rest.split_once(piece) {
            Some((_, after)) => {
                rest = after;
                true
            }
            None => false,
        })
    })
}

fn check_queries(demo: &Demo, faults: &mut String) {
    for block in pages().iter().flat_map(blocks).filter(|block| block.language == "sql") {
        if let Err(error) = demo.sql(&block.lines.join("\n")) {
            writeln!(faults, "{}: {error}", block.place).unwrap();
        }
    }
}

/// Runs all commands of a page, one after the other, in a folder of its own.
fn check_commands(page: &Page, demo: &Demo, faults: &mut String) {
    let working = tempfile::tempdir().unwrap();
    let mut folder = working.path().to_owned();
    for block in blocks(page).iter().filter(|block| block.language == "console") {
        for step in steps(block) {
            let (is_ok, out) = check_step(&step, demo, &mut folder);
            if !is_ok {
                writeln!(faults, "{}: `{}` failed:\n{out}", block.place, step.command).unwrap();
                return;
            }
            for shown in step.shown.iter().filter(|shown| !is_printed(shown, &out)) {
                writeln!(faults, "{}: `{}` does not print\n{shown}\nbut\n{out}", block.place, step.command).unwrap();
            }
        }
    }
}

fn check_step(step: &Step, demo: &Demo, folder: &mut PathBuf) -> (bool, String) {
    if step.command == MAKE_DEMO {
        let copied = shell(&format!("cp -r '{}' demo", demo.path().display()), folder);
        return if copied.0 { (true, demo.out.clone()) } else { copied };
    }
    let mut command = step.command.clone();
    if command.contains(ID) {
        let id = demo.sql("SELECT finding_id FROM findings WHERE severity = 'critical'").unwrap();
        command = command.replace(ID, &format!(" {}", &id.lines().last().unwrap()[..8]));
    }
    let ending = tempfile::NamedTempFile::new().unwrap();
    let (is_ok, out) = shell(&format!("{command} && pwd > '{}'", ending.path().display()), folder);
    if is_ok {
        *folder = PathBuf::from(std::fs::read_to_string(ending.path()).unwrap().trim_end());
    }
    (is_ok, out)
}

#[allow(clippy::print_stderr)]
fn check_python(demo: &Demo, faults: &mut String) {
    let Some(python) = std::env::var_os("TRADEWIND_PYTHON") else {
        eprintln!("SKIPPED: the Python of the guide (set TRADEWIND_PYTHON to one with polars and deltalake)");
        return;
    };
    for block in pages().iter().flat_map(blocks).filter(|block| block.language == "python") {
        let (is_ok, out) = run(Command::new(&python).args(["-c", &block.lines.join("\n")]), &demo.path());
        if !is_ok || !out.contains("support-bot") {
            writeln!(faults, "{}: {out}", block.place).unwrap();
        }
    }
}

fn check_answers(demo: &Demo, answers: &Answers, faults: &mut String) {
    let cookbook = pages().into_iter().find(|page| page.name == "sql-cookbook.md").unwrap();
    let blocks = blocks(&cookbook);
    for (heading, expected) in answers {
        let block = blocks.iter().find(|block| block.heading == *heading && block.language == "sql").unwrap();
        // A query that does not run was told before.
        let answer = demo.sql(&block.lines.join("\n")).unwrap_or_default();
        for part in expected.iter().filter(|part| !answer.contains(**part)) {
            writeln!(faults, "{}: {part} is not in\n{answer}", block.place).unwrap();
        }
    }
}

/// A file that was not recognised at first has two rows in the ledger: it is still one file, and each of its records there
/// once.
#[test]
fn the_ledger_is_right_about_a_file_that_was_read_the_second_time() {
    let program = Program::new();
    program.file("own.log", "10.0.0.1 10.0.0.2 443 REJECT\n10.0.0.1 nowhere 443 ACCEPT\n");
    for format in ["auto", "aws_vpc:srcaddr dstaddr dstport action"] {
        let imported = program.run(&["import", "own.log", "--input-format", format]);
        assert_eq!(imported.code, 0, "{imported:?}");
    }
    let pages = pages();
    let answer = |page: &str, heading: &str, nth: usize| {
        let page = pages.iter().find(|one| one.name == page).unwrap();
        let blocks = blocks(page);
        let query = blocks.iter().filter(|block| block.heading == heading && block.language == "sql").nth(nth).unwrap();
        // What is asked of the demo's traffic alone is left out.
        let query = query.lines.join("\n").replace("flows.src_entity = '-/ai/agent/support-bot' AND ", "");
        // There is no policy here.
        let query = query.replace("flows.declared_verdict = 'denied'", "flows.outcome = 'denied'");
        let answer = program.run(&["sql", "-o", "csv", &query.replace("flows.date = current_date - 1 AND ", "")]);
        assert_eq!(answer.code, 0, "{answer:?}");
        answer.out.lines().skip(1).map(str::to_owned).collect::<Vec<_>>()
    };
    const COMPLETENESS: &str = "Completeness: records = flows + rejected + gaps";
    assert_eq!(answer("auditor.md", COMPLETENESS, 0), ["1,3,1,2,0,0"]);
    assert_eq!(answer("auditor.md", COMPLETENESS, 1), [""; 0]);
    assert_eq!(answer("auditor.md", "From a row back to the log", 0).len(), 1);
    assert_eq!(answer("sql-cookbook.md", "Which raw record is behind a row?", 0).len(), 1);
}

/// What an auditor does with `b3sum`: the hash of a file's bytes is the file's name in the ledger.
fn check_hashes(demo: &Demo, faults: &mut String) {
    let ledger = demo.sql("SELECT content_hash, path FROM imports").unwrap();
    for line in ledger.lines().skip(1) {
        let (hash, path) = line.split_once(',').unwrap();
        let found = blake3::hash(&std::fs::read(path).unwrap()).to_hex();
        if *found != *hash {
            writeln!(faults, "docs/guide/auditor.md: {path} has the hash {found}, but in the ledger {hash}").unwrap();
        }
    }
}

#[test]
fn every_query_and_command_runs() {
    // The demo is of yesterday, and so are the queries: at midnight it has to be made anew.
    for _ in 0..2 {
        let demo = Demo::make(MAKE_DEMO);
        let denied = Demo::make(MAKE_DENIED_DEMO);
        let day = demo.sql("SELECT max(date) = current_date - 1 FROM flows").unwrap();
        let mut faults = String::new();
        check_queries(&demo, &mut faults);
        check_answers(&demo, ANSWERS, &mut faults);
        check_answers(&denied, ANSWERS_OF_DENIED, &mut faults);
        check_hashes(&demo, &mut faults);
        check_python(&demo, &mut faults);
        for page in &pages() {
            check_commands(page, &demo, &mut faults);
        }
        let is_same_day = demo.sql("SELECT max(date) = current_date - 1 FROM flows").unwrap() == day;
        if faults.is_empty() || is_same_day {
            assert!(faults.is_empty(), "{faults}");
            return;
        }
    }
    panic!("midnight came twice");
}

#[test]
fn every_block_says_what_it_is() {
    for block in pages().iter().flat_map(blocks) {
        match block.language.as_str() {
            "sql" | "python" | "text" => {}
            "console" => assert!(!steps(&block).is_empty(), "{}: there is no command", block.place),
            "toml" => {
                let parsed = toml::from_str::<toml::Table>(&block.lines.join("\n"));
                assert!(parsed.is_ok(), "{}: {parsed:?}", block.place);
            }
            other => panic!("{}: `{other}` is not among sql, console, python, toml and text", block.place),
        }
    }
}

/// What follows a heading's `#` in links: GitHub's rule.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let slug = |heading: &str| -> String {
        let words = heading.trim_start_matches('#').trim().to_lowercase();
        let kept = words.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        kept.map(|c| if c == ' ' { '-' } else { c }).collect()
    };
    headings.map(slug).collect()
}

#[test]
fn every_link_leads_somewhere() {
    let mut links = 0;
    for page in pages() {
        for target in page.text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            if target.starts_with("https://") {
                continue;
            }
            links += 1;
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let path = Path::new(GUIDE).join(if file.is_empty() { page.name.as_str() } else { file });
            let text = std::fs::read_to_string(&path);
            assert!(text.is_ok(), "docs/guide/{}: {target} is no file", page.name);
            let is_known = anchor.is_empty() || anchors(&text.unwrap()).contains(anchor);
            assert!(is_known, "docs/guide/{}: {target} has no such heading", page.name);
        }
    }
    assert!(links > 20, "only {links} links were found");
}

#[test]
fn shown_lines_are_compared_with_what_was_printed() {
    let out = "imported 1 of 1 files into lake\n  4 records = 2 flows\n";
    for (shown, expected) in [
        ("imported 1 of 1 files into …", true),
        ("… records = …", true),
        ("…", true),
        ("", true),
        ("  4   records", true),
        ("imported 2 of", false),
        ("flows … records", false),
    ] {
        assert_eq!(is_printed(shown, out), expected, "{shown}");
    }
}
