//! Help, version, completions, and what happens with wrong arguments.

use crate::program::Program;

#[test]
fn help_names_every_command_and_ends_well() {
    let help = Program::new().run(&["--help"]);
    assert_eq!(help.code, 0, "{}", help.err);
    for command in ["demo", "import", "parse", "sql", "detect", "findings", "formats", "config", "completions"] {
        assert!(help.out.contains(&format!("\n  {command} ")), "{command} is not in the help:\n{}", help.out);
        let own = Program::new().run(&[command, "--help"]);
        assert_eq!((own.code, own.err.as_str()), (0, ""));
        assert!(own.out.contains("Usage: tradewind"), "{}", own.out);
    }
}

#[test]
fn version_is_that_of_the_package() {
    let version = Program::new().run(&["--version"]);
    assert_eq!((version.code, version.out), (0, format!("tradewind {}\n", env!("CARGO_PKG_VERSION"))));
}

#[test]
fn wrong_arguments_end_with_64() {
    let check = |arguments: &[&str], expected: &str| {
        let outcome = Program::new().run(arguments);
        assert_eq!((outcome.code, outcome.out.as_str()), (64, ""), "{arguments:?}: {}", outcome.err);
        assert!(outcome.err.contains(expected), "{arguments:?}: {}", outcome.err);
    };
    check(&[], "Usage: tradewind");
    check(&["dance"], "unrecognized subcommand 'dance'");
    check(&["sql", "--outptu", "csv"], "a similar argument exists: '--output'");
    check(&["sql", "-o", "xml", "select 1"], "possible values: table, json, ndjson, csv, parquet");
    check(&["parse"], "<FILE>...");
    check(&["parse", "x", "--input-format", "zeke"], "`zeke` is no input format; known are: auto, aws_alb, ");
    check(&["detect", "--from", "yesterday"], "`yesterday` is not a time: expected RFC 3339");
    check(&["findings", "--severity", "bad"], "[possible values: informational, low, medium, high, critical]");
    check(&["sql", "--log-level", "loud", "select 1"], "flag --log-level: log.level: `loud` is no log level");
    check(&["formats", "--log-format", "xml"], "flag --log-format: log.format: unknown variant `xml`");
}

#[test]
fn completions_exist_for_every_shell() {
    for (shell, expected) in [
        ("bash", "complete -F _tradewind"),
        ("zsh", "#compdef tradewind"),
        ("fish", "complete -c tradewind"),
        ("elvish", "edit:completion"),
        ("powershell", "Register-ArgumentCompleter"),
    ] {
        let script = Program::new().run(&["completions", shell]);
        assert_eq!(script.code, 0, "{}", script.err);
        assert!(script.out.contains(expected) && script.out.contains("findings"), "{shell}: {}", script.out);
    }
}

#[test]
fn completions_work_with_a_faulty_configuration() {
    let program = Program::new();
    program.file("tradewind.toml", "[nonsense]\n");
    assert_eq!(program.run(&["completions", "bash"]).code, 0);
}

#[test]
fn formats_are_listed_in_every_output() {
    let program = Program::new();
    let table = program.run(&["formats"]);
    assert_eq!(table.code, 0, "{}", table.err);
    assert!(table.out.contains("aws_vpc") && table.out.contains("envoy"), "{}", table.out);
    let rows: Vec<serde_json::Value> = serde_json::from_str(&program.run(&["formats", "-o", "json"]).out).unwrap();
    assert!(rows.iter().any(|row| row["name"] == "aws_vpc"), "{rows:?}");
    let csv = program.run(&["formats", "--output", "csv"]);
    assert!(csv.out.starts_with("name,what\n"), "{}", csv.out);
}

#[test]
fn every_format_is_explained() {
    let program = Program::new();
    let formats: Vec<serde_json::Value> = serde_json::from_str(&program.run(&["formats", "-o", "json"]).out).unwrap();
    for name in formats.iter().filter_map(|row| row["name"].as_str()).filter(|name| *name != "auto") {
        let page = program.run(&["formats", name]);
        assert_eq!(page.code, 0, "{}", page.err);
        for part in ["Columns, and what each is made of", "Not mapped", "Outcomes, first match first"] {
            assert!(page.out.contains(part), "{name}: {}", page.out);
        }
        assert!(page.out.lines().all(|line| line.chars().count() <= 140), "{name}: {}", page.out);
    }
    let rows = program.run(&["formats", "envoy", "-o", "ndjson"]);
    assert!(rows.out.contains("{\"part\":\"column\",\"subject\":\"src_ip\""), "{}", rows.out);
    let unknown = program.run(&["formats", "vpc"]);
    assert_eq!(unknown.code, 64);
    assert!(unknown.err.contains("`vpc` is no input format; `tradewind formats` lists them"), "{}", unknown.err);
}
