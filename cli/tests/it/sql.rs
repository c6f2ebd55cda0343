//! `tradewind sql` before there is a lake.

use crate::program::Program;

#[test]
fn a_folder_without_a_lake_is_told_with_the_way_out() {
    for arguments in [&["sql", "select 1"][..], &["findings"], &["detect"]] {
        let outcome = Program::new().run(arguments);
        assert_eq!((outcome.code, outcome.out.as_str()), (1, ""), "{arguments:?}");
        assert!(outcome.err.contains("lake") && outcome.err.contains("tradewind import"), "{}", outcome.err);
    }
}

#[test]
fn no_query_is_wrong_use() {
    let outcome = Program::new().run_with_input(&["sql"], b" -- nothing\n;");
    assert_eq!((outcome.code, outcome.err.as_str()), (64, "error: there is no query\n"));
}

#[test]
fn one_file_holds_one_answer() {
    let outcome = Program::new().run(&["sql", "-o", "json", "select 1; select 2"]);
    assert_eq!(outcome.code, 64);
    assert!(outcome.err.contains("one file holds the answer to one query"), "{}", outcome.err);
}
