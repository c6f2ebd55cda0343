//! Detector of exfiltration, the edge's half: a young edge that has moved far more, either way, than young edges of its age
//! have. Student-t on ln(1 + bytes since birth) against what all young edges moved; the upper tail, twice the lower of both
//! ways.
//!
//! For n amounts x with mean m and variance s², pooled over the edges of one stage of age, the next one is predicted by
//! Student's t with n - 1 degrees of freedom, at most 30, at m with scale s·√(1 + 1/n) (Gelman et al., "Bayesian Data
//! Analysis", 3rd edition, section 3.2). What a young edge has moved so far only grows, so the looks at it in several windows
//! are hardly more than one test.
//!
//! It says nothing of edges that have a past, whose flows [`super::transfer`] judges, nor of how unusual it is that the edge
//! exists: [`crate::entities`] joins both.

use super::baseline::{EdgeState, Prediction};
use crate::report::{AmountPools, Amounts, EdgeCounts, Facts, Pools, STAGES};

/// Amounts that a stage's pool needs before it says anything.
const AMOUNTS_MIN: u64 = 20;
/// Upper bound of the degrees of freedom.
const FREEDOM_MAX: f64 = 30.0;
/// A deviation of fewer scales is no news, and its probability is not computed.
const DEVIATION_MIN: f64 = 1.0;
/// In windows after that of birth an amount is told only below this p-value, and again when it has become so much lower, -ln p:
/// else a suspicious birth would be told with every flow.
const TOLD_BELOW: f64 = 0.01;
const TOLD_STEP: f64 = 1.0;
/// An amount farther above the mean is learnt as one so many scales above it: attacks must not teach that much is usual.
const LEARNT_DEVIATION_MAX: f64 = 3.0;
/// The spread of logarithms is at least this: amounts that were all alike say little of the next.
const VARIANCE_MIN: f64 = 0.25;
/// Stages of age end after so many seconds; the first is the window of birth.
const STAGE_ENDS_S: [i64; STAGES - 1] = [3_600, 86_400];

/// Ages of young edges in windows.
#[derive(Clone, Copy, Debug, serde::Serialize, serde::Deserialize)]
pub(super) struct Youth {
    ends: [u32; STAGES - 1],
}

impl Youth {
    /// For windows of this length, seconds.
    pub(super) fn new(window_s: i64) -> Self {
        let windows = |seconds: i64| u32::try_from((seconds / window_s.max(1)).max(1)).unwrap_or(u32::MAX);
        Self { ends: STAGE_ENDS_S.map(windows) }
    }

    /// Stage of an edge of this age in windows; none when it is young no more.
    fn stage(self, age: u64) -> Option<usize> {
        if age == 0 {
            return Some(0);
        }
        self.ends.iter().position(|&end| age < u64::from(end)).map(|place| place + 1)
    }
}

/// ln(1 + bytes).
fn logarithm(bytes: f32) -> f64 {
    f64::from(bytes).max(0.0).ln_1p()
}

/// What the pool of a stage predicts.
fn prediction(pool: &Amounts) -> Option<Prediction> {
    if pool.count < AMOUNTS_MIN {
        return None;
    }
    let (mean, variance) = pool.moments();
    let count = pool.count as f64;
    let scale = (variance.max(VARIANCE_MIN) * (1.0 + 1.0 / count)).sqrt();
    Some(Prediction { mean, scale, freedom: (count - 1.0).min(FREEDOM_MAX) })
}

/// Counts a window's bytes and judges a young edge of this age: its p-value and what it is about; facts only where it may be
/// unusual. None where nothing is tested: an edge that was there when the network was met, or one that is old, has no birth
/// that could make it suspicious.
pub(super) fn judge(
    state: &mut EdgeState,
    counts: &EdgeCounts,
    age: u64,
    youth: Youth,
    pools: &Pools,
    learnt: &mut AmountPools,
) -> Option<Option<(f64, Facts)>> {
    let stage = youth.stage(age).filter(|&stage| stage == 0 || state.evidence > 0.0)?;
    if counts.answered == 0 {
        return None;
    }
    let novelty = if stage == 0 { 1.0 } else { (-f64::from(state.evidence)).exp() };
    let mut tests = 0_u32;
    let mut strongest: Option<(f64, Facts)> = None;
    let ways = [(true, &mut state.moved_out, counts.bytes_out), (false, &mut state.moved_in, counts.bytes_in)];
    for (place, (is_out, moved, bytes)) in ways.into_iter().enumerate() {
        let Some(bytes) = bytes else { continue };
        #[allow(clippy::cast_possible_truncation)] // Single precision is what is kept.
        let bytes = bytes.max(0) as f32;
        *moved += bytes;
        let value = logarithm(*moved);
        let predicted = prediction(&pools.amounts[stage][place]);
        learnt[stage][place].add(
            predicted.map_or(value, |predicted| value.min(predicted.mean + LEARNT_DEVIATION_MAX * predicted.scale)),
        );
        let Some(predicted) = predicted else { continue };
        tests += 1;
        if predicted.deviation(value) < DEVIATION_MIN {
            continue;
        }
        let p_value = predicted.tail(value);
        if strongest.as_ref().is_none_or(|&(known, _)| p_value < known) {
            let Prediction { mean, scale, freedom } = predicted;
            let facts = Facts::Amount { is_out, bytes: f64::from(*moved), mean, scale, freedom, novelty };
            strongest = Some((p_value, facts));
        }
    }
    if tests == 0 {
        return None;
    }
    let judged = strongest.map(|(p_value, facts)| ((p_value * f64::from(tests)).min(1.0), facts));
    let is_news = |&(p_value, _): &(f64, Facts)| {
        stage == 0 || p_value < TOLD_BELOW && -p_value.ln() > f64::from(state.moved_told) + TOLD_STEP
    };
    let judged = judged.filter(is_news);
    if let Some((p_value, _)) = &judged {
        #[allow(clippy::cast_possible_truncation)] // Single precision is what is kept.
        let told = -p_value.ln() as f32;
        state.moved_told = told;
    }
    Some(judged)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{Edge, Port};

    fn counts(bytes_out: f64, bytes_in: f64) -> EdgeCounts {
        #[allow(clippy::cast_possible_truncation)] // Numbers of these tests.
        let whole = |bytes: f64| Some(bytes as i64);
        EdgeCounts {
            flows: 1,
            opened: 1,
            answered: 1,
            bytes_out: whole(bytes_out),
            bytes_in: whole(bytes_in),
            ..EdgeCounts::nothing(0)
        }
    }

    fn edge() -> EdgeState {
        EdgeState::new(Edge { source: 0, destination: 1, port: Port::Absent }, 0)
    }

    /// Standard normal deviates (Box and Muller) of a fixed sequence.
    fn normals(mut state: u64) -> impl FnMut() -> f64 {
        let mut uniform = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
        };
        move || (-2.0 * uniform().ln()).sqrt() * (std::f64::consts::TAU * uniform()).cos()
    }

    /// Pools after so many new edges that moved log-normal amounts.
    fn pools(edges: usize) -> Pools {
        let mut normal = normals(3);
        let mut pools = Pools::default();
        for _ in 0..edges {
            let mut learnt = AmountPools::default();
            let counts = counts((8.0 + normal()).exp(), (9.0 + normal()).exp());
            judge(&mut edge(), &counts, 0, Youth::new(300), &pools, &mut learnt);
            pools.merge_amounts(&learnt);
        }
        pools
    }

    fn check(known: usize, moved: (f64, f64), low: f64, high: f64) {
        let pools = pools(known);
        let judged =
            judge(&mut edge(), &counts(moved.0, moved.1), 0, Youth::new(300), &pools, &mut AmountPools::default());
        let p_value = judged.flatten().map_or(1.0, |(p_value, _)| p_value);
        assert!((low..=high).contains(&p_value), "{moved:?} after {known}: {p_value}");
    }

    #[test]
    fn much_over_a_new_edge_is_unusual_either_way() {
        check(10, (1e12, 1e12), 1.0, 1.0);
        check(500, (3e3, 8e3), 1.0, 1.0);
        check(500, (3e3, 2e7), 0.0, 1e-6);
        check(500, (2e7, 8e3), 0.0, 1e-6);
        // Little is no exfiltration.
        check(500, (0.0, 0.0), 1.0, 1.0);
    }

    #[test]
    fn only_edges_whose_birth_was_seen_are_judged() {
        let pools = pools(500);
        for (age, evidence, expected) in [(0, 0.0, true), (1, 0.0, false), (1, 3.0, false), (288, 3.0, false)] {
            let mut state = edge();
            state.evidence = evidence;
            let judged =
                judge(&mut state, &counts(1e9, 1e9), age, Youth::new(300), &pools, &mut AmountPools::default());
            // The pools of later stages are empty here, so that nothing is said of them yet.
            assert_eq!(judged.flatten().is_some(), expected, "age {age}, evidence {evidence}");
        }
    }

    #[test]
    fn what_was_moved_adds_up() {
        let mut state = edge();
        state.evidence = 3.0;
        for age in 0..3 {
            judge(
                &mut state,
                &counts(100.0, 7.0),
                age,
                Youth::new(300),
                &Pools::default(),
                &mut AmountPools::default(),
            );
        }
        assert!((state.moved_out - 300.0).abs() < 1e-3 && (state.moved_in - 21.0).abs() < 1e-3);
    }

    /// Under its own null, log-normal amounts, it is calibrated to within what estimating costs.
    #[test]
    fn p_values_under_the_null_are_not_overstated() {
        let mut normal = normals(11);
        let mut pools = pools(100);
        let mut p_values = Vec::new();
        for _ in 0..20_000 {
            let mut learnt = AmountPools::default();
            let counts = counts((8.0 + normal()).exp(), (9.0 + normal()).exp());
            let judged = judge(&mut edge(), &counts, 0, Youth::new(300), &pools, &mut learnt);
            p_values.push(judged.flatten().map_or(1.0, |(p_value, _)| p_value));
            pools.merge_amounts(&learnt);
            pools.fade();
        }
        for (level, least) in [(0.1, 0.5), (0.01, 0.3), (0.001, 0.1)] {
            let share = p_values.iter().filter(|&&p| p <= level).count() as f64 / p_values.len() as f64;
            assert!(share <= level * 1.25 && share >= level * least, "P(p <= {level}) = {share}");
        }
    }
}
