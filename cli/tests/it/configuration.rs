//! The configuration file as a user meets it.

use crate::program::Program;

#[test]
fn every_fault_is_told_with_its_line_and_key() {
    let program = Program::new();
    program
        .file("tradewind.toml", "[detect]\nwindow = 300\np_value_max = \"low\"\n\n[detect.volume]\nforgetting = 2.0\n");
    for arguments in [&["formats"][..], &["config", "check"], &["config", "print"], &["sql", "select 1"]] {
        let outcome = program.run(arguments);
        assert_eq!((outcome.code, outcome.out.as_str()), (64, ""), "{}", outcome.err);
        assert!(outcome.err.starts_with("error: the configuration has 3 faults\n"), "{}", outcome.err);
        for fault in [
            "tradewind.toml:2: detect.window: unknown field `window`, expected one of `window_s`",
            "tradewind.toml:3: detect.p_value_max: invalid type: string \"low\", expected f64",
            "tradewind.toml:6: detect.volume.forgetting: 2 is out of range: must be above 0 and below 1",
        ] {
            assert!(outcome.err.contains(fault), "{fault} is not told:\n{}", outcome.err);
        }
    }
}

#[test]
fn a_named_file_must_exist() {
    let outcome = Program::new().run(&["formats", "--config", "absent.toml"]);
    assert_eq!(outcome.code, 64);
    assert_eq!(
        outcome.err,
        "error: failed to read the configuration file absent.toml\n  because: No such file or directory (os error 2)\n"
    );
}

#[test]
fn the_printed_defaults_are_a_valid_file() {
    let program = Program::new();
    let defaults = program.run(&["config", "print", "--default"]);
    program.file("tradewind.toml", &defaults.out);
    let check = program.run(&["config", "check"]);
    assert_eq!((check.code, check.out.as_str()), (0, "tradewind.toml: no faults\n"), "{}", check.err);
}

#[test]
fn print_shows_what_is_in_force_and_can_be_read_again() {
    let program = Program::new();
    program.file("own.toml", "[log]\nlevel = \"error\"\n[detect]\nwindow_s = 60\n");
    let mut command = program.command(&["config", "print", "--config", "own.toml", "--lake", "of_flag"]);
    let printed = command.env("TRADEWIND_LAKE", "of_environment").env("TRADEWIND_LOG_FORMAT", "json").output().unwrap();
    let printed = String::from_utf8(printed.stdout).unwrap();
    for line in ["path = \"of_flag\"", "level = \"error\"", "format = \"json\"", "window_s = 60", "[detect.volume]"] {
        assert!(printed.contains(line), "{line} is not in:\n{printed}");
    }
    program.file("again.toml", &printed);
    assert_eq!(program.run(&["config", "check", "again.toml"]).out, "again.toml: no faults\n");
}

#[test]
fn check_says_when_there_is_no_file() {
    let outcome = Program::new().run(&["config", "check"]);
    assert_eq!((outcome.code, outcome.out.as_str()), (0, "no configuration file: the defaults are in force\n"));
}

#[test]
fn a_wrong_inventory_is_a_fault_of_the_configuration() {
    let program = Program::new();
    program.file("tradewind.toml", "[inventory]\nfile = \"absent.csv\"\n").file("x.log", "");
    let outcome = program.run(&["parse", "x.log"]);
    assert_eq!(outcome.code, 64, "{}", outcome.err);
    assert!(outcome.err.contains("failed to read the inventory absent.csv"), "{}", outcome.err);
}
