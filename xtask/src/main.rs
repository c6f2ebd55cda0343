//! The checks that CI and a person run: `cargo xtask ci`, or one step of it.
//!
//! It starts `cargo` and reads the repository. It holds nothing of the product and is never shipped.

// A command-line tool talks to its user on the standard streams.
#![allow(clippy::print_stdout, clippy::print_stderr)]

mod generate;
mod repository;
mod steps;
mod tidy;

use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask COMMAND

  ci           all of the steps below up to test, in this order
  fmt          formatting is what rustfmt makes
  clippy       lints, warnings denied
  tidy         crate graph, file headers and sizes, generated pages (also a test of this crate)
  doc          API documentation, warnings denied
  deny         licences, sources and banned crates (skipped where cargo-deny is not installed)
  test         all tests and doctests

  bench-check  the benchmarks compile
  reference    writes the generated pages: docs/reference/flows.md, docs/adr/README.md
";

/// Exit code for a wrong command line (BSD `EX_USAGE`).
const EXIT_USAGE: u8 = 64;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [command] = arguments.as_slice() else {
        eprint!("{USAGE}");
        return ExitCode::from(EXIT_USAGE);
    };
    let done = match command.as_str() {
        "ci" => steps::ci(),
        "reference" => generate::write_all(),
        "help" | "--help" | "-h" => {
            print!("{USAGE}");
            Ok(())
        }
        name => match steps::find(name) {
            Some(step) => step(),
            None => {
                eprintln!("xtask: no command `{name}`\n\n{USAGE}");
                return ExitCode::from(EXIT_USAGE);
            }
        },
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask {command}: {error:#}");
            ExitCode::FAILURE
        }
    }
}
