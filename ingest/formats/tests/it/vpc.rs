//! What the tests of AWS VPC flow logs share.

use serde_json::{Map, Value};
use tradewind_formats::aws_vpc::{AwsVpc, Layout};
use tradewind_formats::{Decoded, Format};

/// The lines decoded with a layout; the counts are checked.
pub(crate) fn decode(layout: &str, lines: &str) -> Decoded {
    decode_with(&AwsVpc::new(Layout::parse(layout).unwrap()), lines.as_bytes())
}

pub(crate) fn decode_with(format: &dyn Format, input: &[u8]) -> Decoded {
    let mut out = Decoded::default();
    format.decode(input, 0, &mut out);
    check_counts(&out);
    out
}

/// Invariant of every decoder: nothing is lost between the counts.
pub(crate) fn check_counts(out: &Decoded) {
    let counts = out.counts;
    assert_eq!(counts.records, counts.flows + counts.rejected + counts.gaps, "{counts:?}");
    assert_eq!(counts.flows, out.flows.len() as u64);
    assert_eq!(counts.rejected, out.rejects.len() as u64);
    assert_eq!(counts.gaps, out.gaps.iter().map(|(_, _, _, count)| count).sum::<u64>());
}

pub(crate) fn rows(out: &Decoded) -> Vec<Map<String, Value>> {
    (0..out.flows.len()).map(|row| out.flows.row_json(row)).collect()
}

/// The only row; panics with the rejects when there is none.
pub(crate) fn row(layout: &str, line: &str) -> Map<String, Value> {
    let out = decode(layout, line);
    let mut rows = rows(&out);
    assert_eq!(rows.len(), 1, "{:?}", out.rejects);
    rows.remove(0)
}

/// Reason, offset and index of each reject, in words.
pub(crate) fn rejects(out: &Decoded) -> Vec<String> {
    out.rejects.iter().map(|reject| format!("{} at {}", reject.reason.as_str(), reject.offset)).collect()
}

/// Observer, time, reason and count of each gap, sorted.
pub(crate) fn gaps(out: &Decoded) -> Vec<String> {
    let mut gaps: Vec<_> = out
        .gaps
        .iter()
        .map(|(observer, minute, reason, count)| {
            format!("{} {} {reason} {count}", observer.unwrap_or("-"), tradewind_model::time::rfc3339(minute))
        })
        .collect();
    gaps.sort();
    gaps
}
