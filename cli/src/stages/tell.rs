//! Errors of stages that no later try mends.

/// Something that only a person can put right; says what, where and how.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NeedsPerson(pub(crate) String);

/// Such an error.
pub(crate) fn needs_person(message: impl Into<String>) -> anyhow::Error {
    NeedsPerson(message.into()).into()
}
