//! Which edges, or entities, are forgotten when there are too many: those that were active least, and longest ago. So who
//! makes millions of them pushes out their like, and not what has been usual for weeks.

/// Idle windows after which an active window is worth half: a week of windows of five minutes.
const HALF_WORTH: u64 = 2016;

/// What it would lose to forget something: active windows, less the longer they are ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Worth(u64);

impl Worth {
    /// Of something that was active in so many windows, the last of them so many windows ago. What nothing ever answered is
    /// worth least.
    pub(crate) fn of(is_answered: bool, windows: u32, idle: u32) -> Self {
        let active = u64::from(windows.clamp(1, 1 << 24)) << 16;
        let worth = active * HALF_WORTH / (HALF_WORTH + u64::from(idle));
        Self(u64::from(is_answered) << 63 | worth)
    }

    /// Of what must stay.
    pub(crate) const fn pinned() -> Self {
        Self(u64::MAX)
    }
}

/// Which of them are kept, so that at most `most` are: those that are worth most. Of those that are worth the same `tie` orders
/// which go first, so that the answer does not depend on the order in which they are given. What must stay does.
pub(crate) fn keep<K: Ord>(worths: &[Worth], most: usize, tie: impl Fn(usize) -> K) -> Vec<bool> {
    let surplus = worths.len().saturating_sub(most);
    if surplus == 0 {
        return vec![true; worths.len()];
    }
    let mut sorted = worths.to_vec();
    let (below, &mut bar, _) = sorted.select_nth_unstable(surplus - 1);
    let below = below.iter().filter(|&&worth| worth < bar).count();
    let mut is_kept: Vec<bool> = worths.iter().map(|&worth| worth >= bar).collect();
    if bar < Worth::pinned() {
        let mut ties: Vec<usize> = (0..worths.len()).filter(|&place| worths[place] == bar).collect();
        ties.sort_by_cached_key(|&place| tie(place));
        ties.truncate(surplus - below);
        ties.into_iter().for_each(|place| is_kept[place] = false);
    }
    is_kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn activity_counts_and_fades() {
        let worth = |windows, last: u32| Worth::of(true, windows, 10_000 - last);
        assert!(worth(100, 9000) > worth(1, 10_000));
        assert!(worth(2, 10_000) > worth(2, 9999));
        assert!(worth(3, 10_000) > worth(10, 0));
        assert!(worth(1, 0) > Worth::of(false, 1000, 0));
        assert!(Worth::pinned() > worth(u32::MAX, 10_000));
    }

    #[test]
    fn enough_goes_and_no_more() {
        let check = |windows: &[u32], most, kept: &[bool]| {
            let worths: Vec<Worth> = windows.iter().map(|&windows| Worth::of(true, windows, 0)).collect();
            assert_eq!(keep(&worths, most, |place| place), kept, "{windows:?}");
        };
        check(&[1, 2, 3], 3, &[true; 3]);
        check(&[1, 2, 3], 2, &[false, true, true]);
        check(&[3, 1, 1], 2, &[true, false, true]);
        check(&[1, 1, 1], 2, &[false, true, true]);
        check(&[1, 1, 1], 0, &[false; 3]);
        check(&[], 0, &[]);
        assert_eq!(keep(&[Worth::pinned(); 3], 1, |place| place), [true; 3]);
    }
}
