//! Average precision and area under the curve, ties taken as one step. Knows no detector.

/// Average precision of scored items: precision at each score that occurs, weighted by the positives that it adds.
pub(crate) fn average_precision(items: &[(f64, bool)]) -> f64 {
    let mut items = items.to_vec();
    items.sort_by(|one, other| other.0.total_cmp(&one.0));
    let positives = items.iter().filter(|item| item.1).count() as f64;
    let (mut seen, mut found, mut sum) = (0.0, 0.0, 0.0);
    for ties in items.chunk_by(|one, other| one.0.total_cmp(&other.0).is_eq()) {
        let hits = ties.iter().filter(|item| item.1).count() as f64;
        seen += ties.len() as f64;
        found += hits;
        sum += hits * found / seen;
    }
    if positives > 0.0 { sum / positives } else { 0.0 }
}

/// Area under the receiver's curve: the share of pairs of one positive and one negative that are in order, ties half.
/// None where one of both is absent.
pub(crate) fn area_under_curve(items: &[(f64, bool)]) -> Option<f64> {
    let mut items = items.to_vec();
    items.sort_by(|one, other| one.0.total_cmp(&other.0));
    let (mut below, mut pairs) = (0.0, 0.0);
    for ties in items.chunk_by(|one, other| one.0.total_cmp(&other.0).is_eq()) {
        let positives = ties.iter().filter(|item| item.1).count() as f64;
        let negatives = ties.len() as f64 - positives;
        pairs += positives * (below + 0.5 * negatives);
        below += negatives;
    }
    let positives = items.len() as f64 - below;
    (positives > 0.0 && below > 0.0).then(|| pairs / (positives * below))
}

/// The middle of some numbers.
pub(crate) fn median(mut numbers: Vec<f64>) -> Option<f64> {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn check(items: &[(f64, bool)], precision: f64, area: Option<f64>) {
        assert!((average_precision(items) - precision).abs() < 1e-12, "{items:?}: {}", average_precision(items));
        let found = area_under_curve(items);
        assert!(found.is_some() == area.is_some(), "{items:?}: {found:?}");
        assert!((found.unwrap_or(0.0) - area.unwrap_or(0.0)).abs() < 1e-12, "{items:?}: {found:?}");
    }

    #[test]
    fn known_orders() {
        check(&[], 0.0, None);
        check(&[(1.0, true)], 1.0, None);
        check(&[(2.0, true), (1.0, false)], 1.0, Some(1.0));
        check(&[(1.0, true), (2.0, false)], 0.5, Some(0.0));
        check(&[(1.0, true), (1.0, false)], 0.5, Some(0.5));
        // scikit-learn 1.5, average_precision_score and roc_auc_score.
        check(&[(4.0, true), (3.0, false), (2.0, true), (1.0, false)], 5.0 / 6.0, Some(0.75));
        assert!((median(vec![3.0, 1.0, 2.0]).unwrap() - 2.0).abs() < 1e-12);
    }
}
