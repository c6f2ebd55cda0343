//! Numbers from a seed: the same ones in every run and on every machine. Not for secrets.

/// `SplitMix64` (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014).
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    /// Numbers of this seed for one use: those of another use are others.
    pub(crate) fn new(seed: u64, purpose: &str) -> Self {
        let start = purpose.bytes().fold(seed, |state, byte| mixed(state ^ u64::from(byte)));
        Self(start)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        finished(self.0)
    }

    /// Evenly from `0..bound`; `bound` is not 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// Evenly from `low..=high`.
    pub(crate) fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// True in so many of a hundred draws.
    pub(crate) fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }

    /// One of these.
    pub(crate) fn choice<T: Copy>(&mut self, of: &[T]) -> T {
        let place = usize::try_from(self.below(of.len() as u64)).unwrap_or_default();
        of[place]
    }

    /// Brings the elements into an order of chance (Durstenfeld, "Algorithm 235", CACM 1964).
    pub(crate) fn shuffle<T>(&mut self, elements: &mut [T]) {
        for last in (1..elements.len()).rev() {
            let other = usize::try_from(self.below(last as u64 + 1)).unwrap_or_default();
            elements.swap(last, other);
        }
    }
}

/// A number that any bit of `number` changes through and through.
pub(crate) fn mixed(number: u64) -> u64 {
    finished(number.wrapping_add(0x9E37_79B9_7F4A_7C15))
}

fn finished(mut state: u64) -> u64 {
    state = (state ^ (state >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    state = (state ^ (state >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    state ^ (state >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_and_the_purpose_decide() {
        let drawn = |seed, purpose| Random::new(seed, purpose).next();
        assert_eq!(drawn(1, "faults"), drawn(1, "faults"));
        assert_ne!(drawn(1, "faults"), drawn(2, "faults"));
        assert_ne!(drawn(1, "faults"), drawn(1, "delays"));
    }

    #[test]
    fn a_shuffle_keeps_all_elements() {
        let mut numbers: Vec<u64> = (0..100).collect();
        Random::new(3, "").shuffle(&mut numbers);
        assert!(numbers.windows(2).any(|pair| pair[0] > pair[1]));
        numbers.sort_unstable();
        assert_eq!(numbers, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn bounds_are_kept() {
        let mut random = Random::new(4, "");
        let drawn: Vec<u64> = (0..1_000).map(|_| random.between(5, 7)).collect();
        assert!([5, 6, 7].iter().all(|wanted| drawn.contains(wanted)));
        assert!(drawn.iter().all(|number| (5..=7).contains(number)));
    }
}
