//! Seeded random numbers whose sequence is the same on every machine: integers alone, no library of mathematics.
//!
//! Not for secrets, and not for statistics finer than a benchmark's data needs.

/// `SplitMix64`: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014; constants as in
/// Vigna's splitmix64.c.
#[derive(Clone, Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Evenly from `0..bound`. `bound` is at least 1 and far below 2^32, so that the bias of the modulus does not matter.
    pub(crate) const fn below(&mut self, bound: u32) -> u32 {
        let bytes = (self.next() % bound as u64).to_le_bytes();
        u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
    }

    /// An index into a list of `length` items; `length` is at least 1.
    pub(crate) fn index(&mut self, length: usize) -> usize {
        let length = u32::try_from(length).expect("the benchmark's lists have far fewer than 2^32 items");
        self.below(length) as usize
    }

    /// Whether an event of that probability, in thousandths, happens.
    pub(crate) const fn permille(&mut self, chance: u32) -> bool {
        self.below(1000) < chance
    }

    /// About log-normal: 2^(`median_log2` + `spread_log2` × z), both in 1/1024, z about standard normal.
    pub(crate) fn log_normal(&mut self, median_log2: u32, spread_log2: u32) -> u64 {
        // The sum of four even numbers is nearly normal; its standard deviation is 1024 × sqrt(4 / 12) = 591.
        let sum: u32 = (0..4).map(|_| self.below(1024)).sum();
        let deviation = (i64::from(sum) - 2048) * i64::from(spread_log2) / 591;
        exp2(u64::try_from(i64::from(median_log2) + deviation).unwrap_or(0))
    }
}

/// 2^(x / 1024), linear between whole powers.
const fn exp2(x: u64) -> u64 {
    let whole = if x >> 10 > 40 { 40 } else { x >> 10 };
    ((1 << whole) * (1024 + (x & 1023))) >> 10
}

/// Ranks drawn by Zipf's law: the chance of rank r is proportional to 1 / (r + 1).
#[derive(Clone, Debug)]
pub(crate) struct Zipf {
    cumulative: Vec<u32>,
}

impl Zipf {
    pub(crate) fn new(ranks: usize) -> Self {
        let mut sum = 0;
        let weights = (1..).take(ranks).map(|rank| 10_000_000 / rank);
        let cumulative = weights.map(|weight: u32| {
            sum += weight.max(1);
            sum
        });
        Self { cumulative: cumulative.collect() }
    }

    pub(crate) fn draw(&self, random: &mut Random) -> usize {
        let total = self.cumulative.last().copied().expect("there is at least one rank");
        let drawn = random.below(total);
        self.cumulative.partition_point(|&upper| upper <= drawn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequence_is_the_published_one() {
        // First outputs of splitmix64.c for the seed 1234567, as Rosetta Code lists them for this generator.
        let mut random = Random::new(1_234_567);
        let expected = [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423];
        assert_eq!(expected.map(|_| random.next()), expected);
    }

    #[test]
    fn exp2_doubles() {
        for (x, expected) in
            [(0, 1), (1024, 2), (10 * 1024, 1024), (10 * 1024 + 512, 1536), (u64::MAX, (1 << 40) * 2 - (1 << 30))]
        {
            assert_eq!(exp2(x), expected, "{x}");
        }
    }

    #[test]
    fn log_normal_has_its_median() {
        let mut random = Random::new(1);
        let below = (0..10_000).filter(|_| random.log_normal(10 * 1024, 1024) < 1024).count();
        assert!((4_800..5_200).contains(&below), "{below}");
    }

    #[test]
    fn zipf_prefers_low_ranks() {
        let (zipf, mut random) = (Zipf::new(100), Random::new(1));
        let mut seen = [0; 100];
        (0..100_000).for_each(|_| seen[zipf.draw(&mut random)] += 1);
        // H(100) = 5.187, so rank 0 has 19.3 % and rank 9 a tenth of it.
        assert!((18_800..19_800).contains(&seen[0]), "{}", seen[0]);
        assert!((1_750..2_110).contains(&seen[9]), "{}", seen[9]);
    }
}
