//! The words of the detectors that look beyond one window: data over new edges, regular contact, drift, slow scans. Knows no
//! threshold.

use super::{BAND_TAIL, Explainer};
use crate::edges::Prediction;
use crate::entities::{JudgedBirth, JudgedDark, JudgedPace};
use crate::finding::Line;
use crate::report::{Birth, DetectorName, EdgeSignal, Facts};
use crate::wording;

impl Explainer<'_> {
    /// What was seen on an edge and what would have been usual.
    pub(super) fn long_view(&self, signal: &EdgeSignal) -> (String, String) {
        let EdgeSignal { edge, counts, p_value, .. } = *signal;
        let (source, destination) = (self.entity(edge.source), self.entity(edge.destination));
        let port = wording::port(edge.port, counts.protocol_num);
        let chance = wording::probability(p_value);
        let since = wording::time(signal.born.saturating_mul(self.window.length));
        match signal.facts {
            Facts::Amount { is_out, bytes, mean, scale, freedom, .. } => {
                let prediction = Prediction { mean, scale, freedom };
                let (verb, preposition) = if is_out { ("sent", "to") } else { ("received", "from") };
                (
                    format!(
                        "{source} {verb} {} {preposition} {destination}{port}, its new destination since {since}",
                        wording::bytes_of(bytes),
                    ),
                    format!(
                        "about {} over a new edge of that age, 99 in 100 below {}; chance of as much {chance}",
                        wording::bytes_of(mean.exp_m1()),
                        wording::bytes_of(prediction.quantile(BAND_TAIL).exp_m1()),
                    ),
                )
            }
            Facts::Beacon { contacts, period_s, dispersion } => (
                format!(
                    "{source} called {destination}{port} every {} on average, the last {}, half of the times within {} in 100 of it",
                    seconds(period_s),
                    wording::plural(contacts, "contact"),
                    wording::rounded((dispersion * 100.0).ceil()),
                ),
                format!(
                    "contacts at no fixed times on an edge that is new since {since}; chance of such regularity on such an edge {chance}",
                ),
            ),
            Facts::Drift { is_up, is_bytes, amount, mean, days } => {
                let amount_of = |amount: f64| match is_bytes {
                    true => wording::bytes_of(amount),
                    false => format!("{} connections", wording::rounded(amount)),
                };
                let way = if is_up { "grow" } else { "shrink" };
                (
                    format!(
                        "amounts between {source} and {destination}{port} {way} day by day, {} in the last day so far",
                        amount_of(amount),
                    ),
                    format!(
                        "about {} a day (from {}); chance of such a drift {chance}",
                        amount_of(mean.exp_m1()),
                        wording::plural(days, "day"),
                    ),
                )
            }
            _ => (String::new(), String::new()),
        }
    }

    /// One of many first contacts over hours.
    pub(crate) fn slow_scan(&self, judged: &JudgedBirth, pace: JudgedPace) -> Line {
        let expected = format!(
            "about {} in that time; chance of as many {}",
            wording::probability(pace.expected),
            wording::probability(pace.p_value),
        );
        let remark = format!(
            "; one of about {} within some {}",
            wording::plural(whole(pace.count), "first contact"),
            wording::plural(pace.hours, "hour"),
        );
        self.contact(judged, pace.p_value, remark, expected)
    }

    /// One of the addresses where nobody is.
    pub(crate) fn dark(&self, judged: &JudgedBirth, dark: JudgedDark) -> Line {
        let remark =
            format!("; {} today of which nothing was ever heard", wording::plural(dark.targets as u64, "address"))
                .replace("addresss", "addresses");
        let expected = format!("hardly one a day; chance of as many {}", wording::probability(dark.p_value));
        self.contact(judged, dark.p_value, remark, expected)
    }

    fn contact(&self, judged: &JudgedBirth, p_value: f64, remark: String, expected: String) -> Line {
        let Birth { edge, counts } = judged.birth;
        let observed = format!(
            "{} {} {}{} for the first time",
            self.entity(edge.source),
            super::verb(&judged.birth),
            self.entity(edge.destination),
            wording::port(edge.port, counts.protocol_num),
        );
        let (_, since, windows) = self.source_baseline(edge.source);
        self.line(DetectorName::Scan, &judged.birth, p_value, observed, remark, expected).since(since, windows)
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Saturates.
fn whole(number: f64) -> u64 {
    number.max(1.0).round() as u64
}

/// `60 seconds`, `5 minutes`.
fn seconds(seconds: f64) -> String {
    match whole(seconds) {
        few @ 0..=119 => wording::plural(few, "second"),
        many => format!("{} minutes", wording::rounded(many as f64 / 60.0)),
    }
}
