//! Recognises Envoy and Istio access logs by their first lines. Not other logs in JSON, and no envelope around lines.

use super::json::{self, Json};
use super::json_scan::Memo;
use super::keys::Keys;
use super::record::Record;
use super::slot::Slot;
use super::text::Text;
use super::{ENVOY_TEXT, ISTIO_MIXER_TEXT, ISTIO_TEXT};
use crate::contract::Format;
use std::sync::Arc;

/// How many lines are looked at.
const LINES_MAX: usize = 50;
/// How many keys the reason names.
const KEYS_SHOWN: usize = 3;
/// Longest line that is looked at.
const LINE_BYTES_MAX: usize = 64 * 1024;

/// The format of an object by its first bytes, and why. A sidecar's output holds the proxy's own messages too, so one
/// line in the first fifty that fits is enough: each format is too long to fit by chance.
#[must_use]
pub fn sniff(head: &[u8]) -> Option<(Arc<dyn Format>, String)> {
    let lines: Vec<&str> = head
        .split(|&byte| byte == b'\n')
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty() && line.len() <= LINE_BYTES_MAX)
        .take(LINES_MAX)
        .filter_map(|line| std::str::from_utf8(line).ok())
        .collect();
    let count = lines.len();
    if let Some(keys) = lines.iter().find_map(|line| known_keys(line)) {
        let shown = keys[..keys.len().min(KEYS_SHOWN)].join(", ");
        let more = match keys.len().saturating_sub(KEYS_SHOWN) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        return Some((Arc::new(Json::default()), format!("a JSON object with Envoy's keys {shown}{more}")));
    }
    let layouts = [
        ("Istio's default text format", ISTIO_TEXT),
        ("Istio's text format of 1.4 to 1.7", ISTIO_MIXER_TEXT),
        ("Envoy's default text format", ENVOY_TEXT),
    ];
    let mut best: Option<(Text, &str, usize)> = None;
    for (name, layout) in layouts {
        let text = Text::compile(layout).ok()?;
        let fits = lines.iter().filter(|line| text.fits(line)).count();
        if fits > best.as_ref().map_or(0, |(_, _, most)| *most) {
            best = Some((text, name, fits));
        }
    }
    let (text, name, fits) = best?;
    Some((Arc::new(text), format!("{fits} of the first {count} lines fit {name}")))
}

/// The keys of a JSON line that no other log has, if they are enough to tell.
fn known_keys(line: &str) -> Option<Vec<&'static str>> {
    const OWN: [Slot; 10] = [
        Slot::ResponseFlags,
        Slot::UpstreamCluster,
        Slot::UpstreamHost,
        Slot::DownstreamRemote,
        Slot::DownstreamLocal,
        Slot::DownstreamDirect,
        Slot::ResponseCodeDetails,
        Slot::UpstreamServiceTime,
        Slot::UpstreamFailure,
        Slot::TerminationDetails,
    ];
    if !line.starts_with('{') {
        return None;
    }
    let keys = Keys::default();
    let mut record = Record::new();
    json::read(line, &keys, &mut Memo::default(), &mut record).ok()?;
    let found: Vec<_> = OWN.into_iter().filter(|&slot| record.is_logged(slot)).map(Slot::name).collect();
    let is_plausible = record.start_time.is_some() || record.is_logged(Slot::ResponseFlags);
    (found.len() >= 2 && is_plausible).then_some(found)
}
