//! Findings as people and programs read them: from the lake, as text and as data. What makes them is in `detect`.

mod data;
mod explanation;
mod incidents;
mod stored;

pub(crate) use data::{write, write_short};
pub(crate) use explanation::{explain, short_id, summarise};
pub(crate) use incidents::{beside, controls_query, incidents, incidents_query};
pub(crate) use stored::{Filter, load};
