//! Memory of processes over time: a look a second, told as it was at the beginning, after each quarter and at the end.

use crate::service::Running;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

/// Time between two looks.
pub(crate) const INTERVAL: Duration = Duration::from_secs(1);

/// Resident memory of one process, MB, a look a second.
#[derive(Clone, Debug, Default)]
pub(crate) struct Series {
    resident_mb: Vec<f64>,
    peak_mb: f64,
}

impl Series {
    /// Takes a look.
    ///
    /// # Errors
    /// When the process has ended.
    pub(crate) fn look(&mut self, running: &Running) -> anyhow::Result<()> {
        let (resident, peak) = running.memory_mb()?;
        self.resident_mb.push(resident);
        self.peak_mb = peak;
        Ok(())
    }

    /// At the beginning, after each quarter, and at the end.
    fn quarters(&self) -> [f64; 5] {
        let last = self.resident_mb.len().saturating_sub(1);
        [0, 1, 2, 3, 4].map(|quarter| self.resident_mb.get(last * quarter / 4).copied().unwrap_or_default())
    }

    /// By how much it grew a minute over the second half: slope of the line of least squares.
    fn slope_mb_per_min(&self) -> f64 {
        let half = &self.resident_mb[self.resident_mb.len() / 2..];
        let count = half.len() as f64;
        let (mean_x, mean_y) = ((count - 1.0) / 2.0, half.iter().sum::<f64>() / count);
        let (mut products, mut squares) = (0.0, 0.0);
        for (place, value) in half.iter().enumerate() {
            let x = place as f64 - mean_x;
            products += x * (value - mean_y);
            squares += x * x;
        }
        if squares == 0.0 { 0.0 } else { products / squares * 60.0 / INTERVAL.as_secs_f64() }
    }

    pub(crate) const fn peak_mb(&self) -> f64 {
        self.peak_mb
    }

    fn json(&self) -> Value {
        json!({
            "quarters_mb": self.quarters().map(f64::round),
            "peak_mb": self.peak_mb.round(),
            "slope_mb_per_min": (self.slope_mb_per_min() * 100.0).round() / 100.0,
        })
    }
}

/// All of them as they are reported, by the name of the process.
pub(crate) fn json(all: &BTreeMap<String, Series>) -> Value {
    all.iter().map(|(name, series)| (name.clone(), series.json())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(resident_mb: Vec<f64>, quarters: [f64; 5], slope: f64) {
        let series = Series { resident_mb, peak_mb: 0.0 };
        assert_eq!(series.quarters(), quarters);
        assert!((series.slope_mb_per_min() - slope).abs() < 1e-9, "{series:?}");
    }

    #[test]
    fn growth_is_told_by_the_minute() {
        check(vec![7.0], [7.0; 5], 0.0);
        check((0..=100).map(f64::from).collect(), [0.0, 25.0, 50.0, 75.0, 100.0], 60.0);
        // What came in the first half is the warming up.
        check(vec![1.0, 9.0, 9.0, 9.0], [1.0, 1.0, 9.0, 9.0, 9.0], 0.0);
    }
}
