//! What people say of findings: how it is recorded in the lake, how detection takes it in, and the file of suppressions.
//! What follows from it is decided in `detect`.

mod file;
mod recorded;
mod standing;
mod sync;

pub(crate) use file::{FileSuppression, from_settings};
pub(crate) use recorded::{Said, control_of, no_behaviour};
pub(crate) use standing::{SETTLED, acknowledged, all, suppression_of, suppressions, words_on_findings};
pub(crate) use sync::sync;
