//! Findings as people and programs read them: from the lake, as text and as data. What makes them is in `detect`.

mod data;
mod explanation;
mod stored;

pub(crate) use data::write;
pub(crate) use explanation::{explain, summarise};
pub(crate) use stored::{Filter, load};
