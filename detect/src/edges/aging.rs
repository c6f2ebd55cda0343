//! Which edges, or entities, are forgotten when there are too many: those that were active least, and longest ago. So who
//! makes millions of them pushes out their like, and not what has been usual for weeks.

/// Idle windows after which an active window is worth half: a week of windows of five minutes.
const HALF_WORTH: u64 = 2016;

/// What it would lose to forget something: active windows, less the longer they are ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Worth(u64);

impl Worth {
    /// Of something that was active in so many windows, in `last` for the last time, as seen in window `now`. What nothing
    /// ever answered is worth least.
    pub(crate) fn of(is_answered: bool, windows: u32, last: u32, now: u32) -> Self {
        let idle = u64::from(now.saturating_sub(last));
        let active = u64::from(windows.clamp(1, 1 << 24)) << 16;
        let worth = active * HALF_WORTH / (HALF_WORTH + idle);
        Self(u64::from(is_answered) << 63 | worth)
    }

    /// Of what must stay.
    pub(crate) const fn pinned() -> Self {
        Self(u64::MAX)
    }
}

/// The greatest worth of what has to go, so that at most `most` remain; none where all may stay. What is worth the same
/// goes together: the answer does not depend on order.
pub(crate) fn cut(worths: impl Iterator<Item = Worth>, most: usize) -> Option<Worth> {
    let mut worths: Vec<Worth> = worths.collect();
    let surplus = worths.len().checked_sub(most).filter(|&surplus| surplus > 0)?;
    let (_, bar, _) = worths.select_nth_unstable(surplus - 1);
    Some(*bar).filter(|&bar| bar < Worth::pinned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn activity_counts_and_fades() {
        let worth = |windows, last| Worth::of(true, windows, last, 10_000);
        assert!(worth(100, 9000) > worth(1, 10_000));
        assert!(worth(2, 10_000) > worth(2, 9999));
        assert!(worth(3, 10_000) > worth(10, 0));
        assert!(worth(1, 0) > Worth::of(false, 1000, 10_000, 10_000));
        assert!(Worth::pinned() > worth(u32::MAX, 10_000));
    }

    #[test]
    fn enough_goes() {
        let worths =
            |windows: &[u32]| windows.iter().map(|&windows| Worth::of(true, windows, 9, 9)).collect::<Vec<_>>();
        let check = |windows: &[u32], most, left| {
            let all = worths(windows);
            let bar = cut(all.iter().copied(), most);
            assert_eq!(all.iter().filter(|&&worth| bar.is_none_or(|bar| worth > bar)).count(), left, "{windows:?}");
        };
        check(&[1, 2, 3], 3, 3);
        check(&[1, 2, 3], 2, 2);
        check(&[1, 1, 3], 2, 1);
        check(&[1, 1, 1], 2, 0);
        check(&[], 0, 0);
        assert_eq!(cut([Worth::pinned(); 3].into_iter(), 1), None);
    }
}
