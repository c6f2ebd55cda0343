//! Findings as people and programs read them: from the lake, as text and as data. What makes them is in `detect`.

mod beside;
mod data;
mod explanation;
mod incidents;
pub(crate) mod origin;
mod stored;

pub(crate) use beside::{Beside, control_record};
pub(crate) use data::{object, write, write_short, write_shown};
#[cfg(test)]
pub(crate) use explanation::tests::sample;
pub(crate) use explanation::{explain, short_id, summarise};
pub(crate) use incidents::{controls_query, incidents, incidents_query};
pub(crate) use stored::{Filter, Stored, find, load};

/// How the title begins of a finding that was told early and that later flows explained.
pub(crate) const WITHDRAWN: &str = "withdrawn: ";
