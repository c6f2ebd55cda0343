//! What all edges together teach each of them: prior means and variances, as whole numbers so that sums are exact.

use serde::{Deserialize, Serialize};

/// What is known of all edges together: prior means and variances. Whole numbers, so that sums are exact.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pools {
    /// Flows.
    pub flows: u64,
    /// Denied flows times ten, per edge and window at most one in ten.
    pub denied: u64,
    /// Failed flows times ten, as above.
    pub failed: u64,
    /// Squared residuals of logarithms of flow sizes, each at most 9, in units of 2^-28.
    pub size_squares: u128,
    /// Their number.
    pub sizes: u64,
    /// Squared residuals of logarithms of connections per window, each at most 9, in units of 2^-28.
    pub volume_squares: u128,
    /// Their number.
    pub volumes: u64,
    /// What young edges moved, by stage of age: from source to destination, and back.
    pub amounts: AmountPools,
}

/// Amounts of young edges by stage of age: from source to destination, and back.
pub type AmountPools = [[Amounts; 2]; STAGES];
/// Stages of a young edge's age.
pub(crate) const STAGES: usize = 3;
/// Logarithms of amounts are counted in steps of 2^-8.
const AMOUNT_STEPS: f64 = 256.0;
/// A pool of more amounts than this is halved, so that it follows the network.
const AMOUNTS_MAX: u64 = 8_192;

/// Logarithms of amounts, added up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amounts {
    /// Their number.
    pub count: u64,
    /// Their sum, in steps of 2^-8.
    pub sum: u64,
    /// The sum of their squares, in steps of 2^-16.
    pub squares: u64,
}

impl Amounts {
    /// Adds a logarithm.
    pub(crate) fn add(&mut self, logarithm: f64) {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Logarithms of sizes are from 0 to 44.
        let step = (logarithm * AMOUNT_STEPS).round() as u64;
        self.count += 1;
        self.sum += step;
        self.squares = self.squares.saturating_add(step * step);
    }

    /// Mean and variance of at least two logarithms.
    pub(crate) fn moments(&self) -> (f64, f64) {
        let (count, sum) = (self.count as f64, self.sum as f64 / AMOUNT_STEPS);
        let squares = self.squares as f64 / (AMOUNT_STEPS * AMOUNT_STEPS);
        (sum / count, ((squares - sum * sum / count) / (count - 1.0)).max(0.0))
    }

    fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.sum += other.sum;
        self.squares = self.squares.saturating_add(other.squares);
    }

    fn fade(&mut self) {
        while self.count > AMOUNTS_MAX {
            self.count /= 2;
            self.sum /= 2;
            self.squares /= 2;
        }
    }
}

impl Pools {
    /// Lets what is older weigh less where enough is known.
    pub(crate) fn fade(&mut self) {
        self.amounts.iter_mut().flatten().for_each(Amounts::fade);
    }

    /// Adds another's.
    pub fn merge(&mut self, other: &Self) {
        self.flows = self.flows.saturating_add(other.flows);
        self.denied = self.denied.saturating_add(other.denied);
        self.failed = self.failed.saturating_add(other.failed);
        self.size_squares += other.size_squares;
        self.sizes += other.sizes;
        self.volume_squares += other.volume_squares;
        self.volumes += other.volumes;
        self.merge_amounts(&other.amounts);
    }

    /// Adds what young edges moved.
    pub(crate) fn merge_amounts(&mut self, other: &AmountPools) {
        for (mine, others) in self.amounts.iter_mut().flatten().zip(other.iter().flatten()) {
            mine.merge(others);
        }
    }
}
