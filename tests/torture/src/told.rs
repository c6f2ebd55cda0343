//! Lines for the person who watches, on standard error; results go to standard output.

use std::io::Write as _;
use std::sync::OnceLock;
use std::time::Instant;

/// Says a line, with the time since the first one.
pub(crate) fn say(line: &str) {
    static BEGUN: OnceLock<Instant> = OnceLock::new();
    let seconds = BEGUN.get_or_init(Instant::now).elapsed().as_secs();
    // Who closes standard error does not want to know.
    writeln!(std::io::stderr(), "{seconds:>5} s  {line}").ok();
}
