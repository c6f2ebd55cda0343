//! How errors end the program: what is printed, and with which exit code. The only place that decides it.

use crate::config::ConfigError;
use crate::output::printable_lines;
use std::io::{ErrorKind, Write as _};
use std::process::ExitCode;

/// Exit code for wrong arguments or configuration (`EX_USAGE` of sysexits.h).
pub(crate) const USAGE: u8 = 64;
const FAILED: u8 = 1;

/// Exit code for flows that break the policy, where the user asked for it.
const BROKEN: u8 = 2;

/// Exit code for a finding that the stored flows do not give again.
const DIFFERS: u8 = 3;

/// What a stored finding is found to be, not a failure to look: it is not what the flows give.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct FindingDiffers(pub(crate) String);

/// What the flows are found to be, not a failure to look: the policy is broken.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct PolicyBroken(pub(crate) String);

/// Arguments that the parser of the command line accepts, but that make no sense.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct UsageError(pub(crate) String);

/// A [`UsageError`] as an error of any command.
pub(crate) fn usage(message: impl Into<String>) -> anyhow::Error {
    UsageError(message.into()).into()
}

/// Context of an error: what is not done because standard output was closed before the end.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Unfinished(&'static str);

/// The error of a command that works while it writes: where its reader has gone, it is told `what` is not done.
pub(crate) fn unfinished(error: anyhow::Error, what: &'static str) -> anyhow::Error {
    if is_broken_pipe(&error) { error.context(Unfinished(what)) } else { error }
}

/// Prints help and version to standard output, and faults of the command line to standard error.
pub(crate) fn report_arguments(error: &clap::Error) -> ExitCode {
    // Nothing can be done when even this cannot be printed.
    error.print().ok();
    if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS }
}

/// Prints the error with its causes to standard error.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    std::io::stderr().lock().write_all(text(error).as_bytes()).ok();
    ExitCode::from(exit_code(error))
}

fn exit_code(error: &anyhow::Error) -> u8 {
    if is_broken_pipe(error) {
        return if error.is::<Unfinished>() { FAILED } else { 0 };
    }
    if error.is::<PolicyBroken>() {
        return BROKEN;
    }
    if error.is::<FindingDiffers>() {
        return DIFFERS;
    }
    let is_usage = error.chain().any(|cause| cause.is::<UsageError>() || cause.is::<ConfigError>());
    if is_usage { USAGE } else { FAILED }
}

/// The error and its causes, one a line, without what steers the terminal. A cause that the line before already tells is
/// left out. Nothing when the reader of standard output has gone and has missed nothing else.
pub(crate) fn text(error: &anyhow::Error) -> String {
    if is_broken_pipe(error) {
        let unfinished = error.downcast_ref::<Unfinished>();
        return unfinished.map(|Unfinished(what)| format!("standard output was closed: {what}\n")).unwrap_or_default();
    }
    let causes = causes(error);
    printable_lines(&causes).into_owned()
}

fn causes(error: &anyhow::Error) -> String {
    let mut said = error.to_string();
    let mut text = format!("error: {said}\n");
    for cause in error.chain().skip(1) {
        let cause = cause.to_string();
        if !said.contains(&cause) {
            text.push_str(&format!("  because: {cause}\n"));
            said = cause;
        }
    }
    text
}

/// Whether the reader of standard output has gone: `tradewind sql … | head` is no failure.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|cause| cause.kind() == ErrorKind::BrokenPipe)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use anyhow::{Context as _, anyhow};

    #[test]
    fn causes_are_told_once() {
        let error = anyhow!("disk full").context("failed to write a: disk full").context("import failed");
        assert_eq!(text(&error), "error: import failed\n  because: failed to write a: disk full\n");
    }

    #[test]
    fn wrong_use_is_told_apart_from_failure() {
        assert_eq!(exit_code(&anyhow!("x")), FAILED);
        assert_eq!(exit_code(&usage("x").context("y")), USAGE);
        assert_eq!(exit_code(&FindingDiffers("x".to_owned()).into()), DIFFERS);
    }

    #[test]
    fn a_reader_that_left_is_no_failure() {
        let error = Err::<(), _>(std::io::Error::from(ErrorKind::BrokenPipe)).context("failed to write").unwrap_err();
        assert!(is_broken_pipe(&error));
        assert!(!is_broken_pipe(&anyhow!("broken pipe")));
        assert_eq!((text(&error).as_str(), exit_code(&error)), ("", 0));
    }

    #[test]
    fn work_that_is_left_undone_is_told() {
        let pipe = || anyhow::Error::from(std::io::Error::from(ErrorKind::BrokenPipe)).context("failed to write");
        let error = unfinished(pipe(), "the rest was not done");
        assert_eq!(text(&error), "standard output was closed: the rest was not done\n");
        assert_eq!(exit_code(&error), FAILED);
        assert_eq!(text(&unfinished(anyhow!("no disk"), "the rest was not done")), "error: no disk\n");
    }

    #[test]
    fn names_of_files_cannot_steer_the_terminal() {
        let error = anyhow!("it is\u{9b}31m no file").context("failed to read a\u{1b}[2Jb");
        assert_eq!(text(&error), "error: failed to read a\\u{1b}[2Jb\n  because: it is\\u{9b}31m no file\n");
    }
}
