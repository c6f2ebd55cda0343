//! Documents that are too large, and the largest that are not.

use std::fmt::Write as _;
use std::time::{Duration, Instant};
use tradewind_policy::compile::RULES_MAX;
use tradewind_policy::{EntityLabels, Syntax, load};

/// A TOML document with so many policies of so many rules.
fn document(file: usize, policies: usize, rules: usize) -> String {
    let mut text = String::from("version = 1\n");
    for policy in 0..policies {
        write!(text, "[[policy]]\nname = \"p{file}-{policy}\"\nsubject = \"n{file}/s{policy}\"\n").unwrap();
        for rule in 0..rules {
            write!(text, "[[policy.allow]]\nto = [\"n{rule}/t{policy}\"]\nports = [\"{}/tcp\"]\n", rule % 65_535 + 1)
                .unwrap();
        }
    }
    text
}

fn check(files: &[String], syntax: Syntax, limit: Duration, expected: Result<(), &str>) {
    let names: Vec<String> = (0..files.len()).map(|index| format!("{index}.toml")).collect();
    let files: Vec<_> = names.iter().zip(files).map(|(name, text)| (name.as_str(), text.as_str(), syntax)).collect();
    let start = Instant::now();
    let found = load(&files, EntityLabels::default());
    let elapsed = start.elapsed();
    match (found, expected) {
        (Ok(_), Ok(())) => {}
        (Ok(_), Err(expected)) => panic!("compiled, expected: {expected}"),
        (Err(error), expected) => assert_eq!(Err(error.to_string().as_str()), expected),
    }
    assert!(elapsed < limit, "took {elapsed:?}, limit {limit:?}");
}

#[test]
fn a_million_rules_are_refused_at_once() {
    let text = document(0, 1000, 1000);
    let message = format!(
        "0.toml: the document has {} MiB, more than the 16 MiB that are read (about 100,000 rules); split it, and use groups \
         and patterns instead of one rule a pair",
        text.len() >> 20
    );
    check(&[text], Syntax::Toml, Duration::from_secs(1), Err(&message));
}

#[test]
fn a_million_rules_in_many_files_are_refused_before_they_are_joined() {
    let files: Vec<String> = (0..5).map(|file| document(file, 50, 1000)).collect();
    let message = "4.toml: more than 200000 rules up to this file; use groups and patterns instead of one rule a pair";
    check(&files, Syntax::Toml, Duration::from_secs(30), Err(message));
}

#[test]
fn the_most_rules_compile_in_seconds() {
    let files: Vec<String> = (0..4).map(|file| document(file, 50, RULES_MAX / 200)).collect();
    check(&files, Syntax::Toml, Duration::from_secs(30), Ok(()));
    check(&[document(0, 1, 50_000)], Syntax::Toml, Duration::from_secs(30), Ok(()));
}

#[test]
fn small_documents_that_unfold_are_refused() {
    let limit = Duration::from_secs(10);
    let many = "the document holds more than 2000000 values; split it";
    let lists = format!("version = 1\npolicy = [{}]", "[],".repeat(1_500_000));
    check(&[lists], Syntax::Toml, limit, Err(&format!("0.toml:1:1: {many}")));
    // Nine levels of nine aliases each: a billion from a few hundred bytes.
    let mut laughs = String::from("a0: &a0 [x]\n");
    for level in 1..=9 {
        let aliases = vec![format!("*a{}", level - 1); 9].join(", ");
        writeln!(laughs, "a{level}: &a{level} [{aliases}]").unwrap();
    }
    check(&[laughs], Syntax::Yaml, limit, Err(&format!("0.toml:7:9: {many}")));
    let deep = format!("version: {}", "[".repeat(10_000));
    let files = [("deep.yaml", deep.as_str(), Syntax::Yaml)];
    assert!(load(&files, EntityLabels::default()).is_err());
    let deep = format!("version = {}", "[".repeat(100_000));
    let files = [("deep.toml", deep.as_str(), Syntax::Toml)];
    assert!(load(&files, EntityLabels::default()).is_err());
}

#[test]
fn long_chains_of_groups_are_neither_recursive_nor_square() {
    let mut text = String::from("version = 1\n");
    for group in 0..20_000 {
        let next = if group + 1 < 20_000 { format!("{{ group = \"g{}\" }}", group + 1) } else { "\"x\"".to_owned() };
        write!(text, "[[group]]\nname = \"g{group}\"\nmembers = [{next}]\n").unwrap();
    }
    text.push_str("[[policy]]\nname = \"p\"\nsubject = { group = \"g0\" }\nallow = [{ to = [\"*\"] }]\n");
    check(&[text], Syntax::Toml, Duration::from_secs(10), Ok(()));
}

#[test]
fn a_document_in_one_line_and_long_lists_take_no_square_of_time() {
    let limit = Duration::from_secs(10);
    let rules: Vec<String> = (0..50_000).map(|rule| format!("{{ to = [\"x{rule}\"] }}")).collect();
    let line = format!("version = 1\npolicy = [{{ name = \"p\", subject = \"x\", allow = [{}] }}]", rules.join(", "));
    check(&[line], Syntax::Toml, limit, Ok(()));
    // Two rules whose long lists would be compared one with one.
    let peers: Vec<String> = (0..200_000).map(|peer| format!("\"x{peer}\"")).collect();
    let rule = format!("[[policy.allow]]\nto = [{}, \"y/*\"]\n", peers.join(","));
    let lists = format!("version = 1\n[[policy]]\nname = \"p\"\nsubject = \"x\"\n{rule}{}", rule.replace('x', "z"));
    check(&[lists], Syntax::Toml, limit, Ok(()));
    // Many references that miss, each of which would be compared with every name.
    let groups: Vec<String> =
        (0..10_000).map(|group| format!("[[group]]\nname = \"g{group}\"\nmembers = [\"x\"]\n")).collect();
    let missing = vec!["{ group = \"h\" }"; 100_000].join(", ");
    let text = format!("version = 1\n{}[[group]]\nname = \"a\"\nmembers = [{missing}]\n", groups.concat());
    let start = Instant::now();
    let error = load(&[("g.toml", &text, Syntax::Toml)], EntityLabels::default()).unwrap_err();
    assert!(error.to_string().ends_with("\nand 99900 more"));
    assert!(start.elapsed() < limit, "took {:?}", start.elapsed());
}
