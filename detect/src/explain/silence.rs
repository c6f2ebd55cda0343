//! The words of silence: what is not heard any more, since when, and what would be usual at this hour.

use super::Explanation;
use crate::entities::View;
use crate::finding::{Line, Unusual};
use crate::network::{Edge, Network};
use crate::report::{DetectorName, EdgeCounts};
use crate::wording;
use tradewind_model::time::{DAY, HOUR};

/// The subject of the finding about many that are silent at once.
pub(crate) const COMMON: &str = "coverage";

/// An entity that is silent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Silent {
    pub(crate) entity: u32,
    /// Whether it calls nobody; else nothing reaches it.
    pub(crate) is_source: bool,
    /// Its foremost edge when it was heard.
    pub(crate) edge: Edge,
    /// End of the last window in which it was heard as usual, microseconds UTC.
    pub(crate) heard: i64,
    /// Connections since then.
    pub(crate) opened: i64,
    /// Connections of 90 in 100 windows at this hour.
    pub(crate) band: Option<(f64, f64)>,
    /// Pauses that are known of it.
    pub(crate) pauses: u32,
    /// Others that are silent with it.
    pub(crate) others: usize,
    pub(crate) p_value: f64,
    /// Whether it is heard again.
    pub(crate) is_over: bool,
}

/// What it is told by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms<'a> {
    pub(crate) window: &'a View,
    pub(crate) ratio: f64,
    pub(crate) cap: f64,
}

/// 1970-01-01 was a Thursday.
const WEEKDAYS: [&str; 7] = ["Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday"];

fn weekday(time: i64) -> &'static str {
    let day = usize::try_from(time.div_euclid(DAY).rem_euclid(7)).unwrap_or_default();
    WEEKDAYS[day]
}

/// A silence as a finding's material.
pub(crate) fn words(network: &Network, silent: &Silent, terms: Terms<'_>) -> Unusual {
    let Silent { entity, edge, p_value, .. } = *silent;
    let Terms { window, ratio, cap } = terms;
    let (start, end) = (window.start, window.start.saturating_add(window.length));
    let name = wording::entity(network, entity);
    let since = wording::time(silent.heard);
    let what = match (silent.opened, silent.is_source) {
        (0, true) => format!("{name} opened no connection since {since}"),
        (0, false) => format!("no connection to {name} since {since}"),
        (few, true) => format!("{name} opened no more than {} since {since}", wording::connections(few)),
        (few, false) => format!("no more than {} to {name} since {since}", wording::connections(few)),
    };
    let observed = if silent.is_over {
        format!("{name} was silent from {since} to {} and is heard again", wording::time(start))
    } else {
        what
    };
    let remark = match silent.others {
        0 => String::new(),
        others => format!("; {} fell silent with it", wording::plural(others as u64, "other")),
    };
    let span = wording::duration(window.length);
    let usual = silent.band.map_or_else(
        || String::from("some connections"),
        |(low, high)| match (wording::rounded(low), wording::rounded(high.ceil())) {
            (low, high) if low == high => format!("about {high} connections"),
            (low, high) => format!("{low} to {high} connections"),
        },
    );
    let hour = start.rem_euclid(DAY) / HOUR;
    let expected = format!(
        "usually {usual} in {span} at {hour:02}:00 UTC of a {}, and none of {} before was so long; the rest of the network is heard as usual; chance of such a pause {}",
        weekday(start),
        wording::plural(silent.pauses.into(), "pause"),
        wording::probability(p_value),
    );
    // From the last window in which it was heard on, so that the query shows what it did then.
    let counts = EdgeCounts { last: start, ..EdgeCounts::nothing(silent.heard.saturating_sub(window.length)) };
    let line = Line {
        detector: DetectorName::Silence,
        edge,
        counts,
        port_words: wording::port(edge.port, None),
        is_answered: false,
        p_value,
        explanation: Explanation {
            observed,
            remark,
            expected,
            baseline_since: silent.heard,
            baseline_windows: silent.pauses.into(),
            dst_kind: network.kind(edge.destination),
            is_alone: false,
            is_inbound: !silent.is_source,
        },
    };
    Unusual {
        behaviour: DetectorName::Silence,
        p_value,
        ratio,
        risk_score: crate::combine::risk_score([p_value], cap),
        signals: 1,
        edges: vec![(edge, counts)],
        lines: vec![line],
        decided: end,
        subject: String::new(),
        source: entity,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_their_names() {
        for (time, expected) in [(0, "Thursday"), (-1, "Wednesday"), (1_767_571_200_000_000, "Monday")] {
            assert_eq!(weekday(time), expected, "{time}");
        }
    }
}
