//! The throughput anomaly detection of Theia by its moving average (antrea-io/theia, `plugins/anomaly-detection/
//! anomaly_detection.py`, `calculate_ewma` and `calculate_ewma_anomaly`): e = 0.5 e + 0.5 x from 0 on, x in it; a record is
//! anomalous when |x - e| exceeds the sample standard deviation of the whole series.
//!
//! There x is a connection's throughput, a record a minute. Rows here are whole connections: the series is that of an edge, the
//! bytes of both directions by minutes with traffic. As published it is a job over what is stored: the deviation knows the
//! future, which no other peer does.

use crate::flows::{Flow, Stream};
use std::collections::HashMap;
use tradewind_model::time::MINUTE;

/// `alpha`.
const NEWEST: f64 = 0.5;

/// Source, destination, port.
type Edge = (u32, u32, Option<u16>);

/// Standard deviations between an edge's bytes of the flow's minute and their moving average.
pub(super) fn moving_average(stream: &Stream) -> Vec<f64> {
    let edge = |flow: &Flow| (flow.source, flow.destination, flow.port);
    let mut series: HashMap<Edge, Vec<(i64, f64)>> = HashMap::new();
    for flow in &stream.flows {
        let minute = flow.time.div_euclid(MINUTE);
        let bytes = flow.bytes_out.unwrap_or(0).saturating_add(flow.bytes_in.unwrap_or(0)) as f64;
        let known = series.entry(edge(flow)).or_default();
        match known.last_mut() {
            Some((last, sum)) if *last == minute => *sum += bytes,
            _ => known.push((minute, bytes)),
        }
    }
    let scores: HashMap<Edge, Vec<(i64, f64)>> =
        series.into_iter().map(|(edge, series)| (edge, judge(&series))).collect();
    let score = |flow: &Flow| {
        let (minute, series) = (flow.time.div_euclid(MINUTE), &scores[&edge(flow)]);
        series.binary_search_by_key(&minute, |(minute, _)| *minute).map_or(0.0, |place| series[place].1)
    };
    stream.flows.iter().map(score).collect()
}

/// Deviations of one series. One of fewer than two values has none.
fn judge(series: &[(i64, f64)]) -> Vec<(i64, f64)> {
    let count = series.len() as f64;
    let mean = series.iter().map(|(_, value)| value).sum::<f64>() / count;
    let squares: f64 = series.iter().map(|(_, value)| (value - mean).powi(2)).sum();
    let spread = (squares / (count - 1.0).max(1.0)).sqrt();
    let mut average = 0.0;
    let deviation = |&(minute, value): &(i64, f64)| {
        average = (1.0 - NEWEST) * average + NEWEST * value;
        let difference: f64 = value - average;
        (minute, if spread > 0.0 { difference.abs() / spread } else { 0.0 })
    };
    series.iter().map(deviation).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(values: &[f64], expected: &[bool]) {
        let series: Vec<(i64, f64)> = (0..).zip(values.iter().copied()).collect();
        let found: Vec<bool> = judge(&series).iter().map(|(_, score)| *score > 1.0).collect();
        assert_eq!(found, expected, "{values:?}");
    }

    #[test]
    fn verdicts_are_those_of_the_published_rule() {
        check(&[], &[]);
        check(&[5.0], &[false]);
        check(&[5.0, 5.0, 5.0], &[false, false, false]);
        // By hand: averages 5, 7.5, 8.75, 54.375, 32.1875; the deviation of the sample is 40.25.
        check(&[10.0, 10.0, 10.0, 100.0, 10.0], &[false, false, false, true, false]);
        // Averages 0, 0, 0, 50, 25, 12.5; deviation 40.8.
        check(&[0.0, 0.0, 0.0, 100.0, 0.0, 0.0], &[false, false, false, true, false, false]);
    }
}
