//! Finds header lines inside text, as when objects were joined (`cat a.log b.log`). Not their meaning.

use super::{AwsVpc, Layout};
use crate::contract::Format;
use std::sync::Arc;

/// Offsets of the lines in a chunk of whole lines that are headers of flow logs.
#[must_use]
pub fn headers(chunk: &[u8]) -> Vec<usize> {
    relayouts(chunk).into_iter().map(|(start, _)| start).collect()
}

/// As [`headers`], with the format of the lines below each.
pub(super) fn relayouts(chunk: &[u8]) -> Vec<(usize, Arc<dyn Format>)> {
    let mut found: Vec<(usize, Arc<dyn Format>)> = Vec::new();
    let mut next = 0;
    for at in memchr::memmem::find_iter(chunk, b"srcaddr") {
        if at < next {
            continue;
        }
        let start = memchr::memrchr(b'\n', &chunk[..at]).map_or(0, |line_feed| line_feed + 1);
        next = memchr::memchr(b'\n', &chunk[at..]).map_or(chunk.len(), |line_feed| at + line_feed + 1);
        if let Some(layout) = Layout::from_header(&chunk[start..next]) {
            found.push((start, Arc::new(AwsVpc::new(layout))));
        }
    }
    found
}
