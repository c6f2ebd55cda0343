//! Errors of stages in words: those that no later try mends, and how any of them is told to a person. What is to be done about an
//! error is decided in `supervise`.

use std::error::Error;
use std::io::ErrorKind;

/// The longest text of an error, in bytes.
const SAID_MAX: usize = 2_000;

/// Something that only a person can put right; says what, where and how.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NeedsPerson(pub(crate) String);

/// Such an error.
pub(crate) fn needs_person(message: impl Into<String>) -> anyhow::Error {
    NeedsPerson(message.into()).into()
}

/// An error with its causes on one line, each said once, and with what to do where the system or the store says no.
pub(super) fn said(error: &(dyn Error + 'static)) -> String {
    let mut said = String::new();
    let mut advice = None;
    let mut next = Some(error);
    while let Some(cause) = next {
        let text = plain(&cause.to_string());
        // Some errors say their causes themselves.
        if !said.contains(&text) {
            let separator = if said.is_empty() { "" } else { ": " };
            said = format!("{said}{separator}{text}");
        }
        advice = advice.or_else(|| cause.downcast_ref::<std::io::Error>().and_then(advice_of));
        next = cause.source();
    }
    if said.len() > SAID_MAX {
        said.truncate(said.floor_char_boundary(SAID_MAX));
        said.push('…');
    }
    // Stores answer so whatever their make; their client is not known here.
    let is_refused = said.contains("403 Forbidden");
    let refused = "give this process the right to write there (`[lake] options`, or the environment)";
    match advice.or_else(|| is_refused.then_some(refused)) {
        Some(advice) if !said.contains(advice) => format!("{said}; {advice}"),
        _ => said,
    }
}

fn advice_of(error: &std::io::Error) -> Option<&'static str> {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Some("free some space"),
        ErrorKind::ReadOnlyFilesystem => Some("make the file system writable"),
        ErrorKind::PermissionDenied => Some("give this process the right to write there"),
        _ => None,
    }
}

/// A text on one line; of the XML with which S3 and its like answer, what it says.
fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("<?xml") {
        plain.push_str(before);
        let (answer, behind) = after.split_once("</Error>").unwrap_or((after, ""));
        let between =
            |begin, end| answer.split_once(begin).and_then(|(_, text)| text.split_once(end)).map(|(text, _)| text);
        let parts = [between("<Code>", "</Code>"), between("<Message>", "</Message>")];
        plain.push_str(&parts.into_iter().flatten().collect::<Vec<_>>().join(", "));
        rest = behind;
    }
    plain.push_str(rest);
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::anyhow;

    fn check(error: &anyhow::Error, expected: &str) {
        assert_eq!(said(error.as_ref()), expected);
    }

    #[test]
    fn causes_are_said_once() {
        let cause = anyhow!("no route").context("connection failed: no route").context("cannot read topics");
        check(&cause, "cannot read topics: connection failed: no route");
    }

    #[test]
    fn what_the_system_says_comes_with_what_to_do() {
        let full = anyhow::Error::from(std::io::Error::from(ErrorKind::StorageFull)).context("cannot write a");
        check(&full, "cannot write a: no storage space; free some space");
        let told = anyhow::Error::from(std::io::Error::from(ErrorKind::StorageFull)).context("full; free some space");
        check(&told, "full; free some space: no storage space");
    }

    #[test]
    fn an_answer_in_xml_is_told_in_words() {
        let answer = "<?xml version=\"1.0\"?>\n<Error><Code>AccessDenied</Code><Message>Access Denied.</Message><RequestId>1\
                      </RequestId></Error>";
        check(
            &anyhow!("403 Forbidden: {answer}: again"),
            "403 Forbidden: AccessDenied, Access Denied.: again; give this process the right to write there (`[lake] options`, or \
             the environment)",
        );
        check(&anyhow!("<?xml torn"), "");
    }
}
