//! Reading text logs: words, quotes, pairs, times. Helpers that know no format.

pub(crate) mod duration;
pub(crate) mod pairs;
pub(crate) mod scan;
pub(crate) mod time;
