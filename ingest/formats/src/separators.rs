//! Finds the separators and line ends of text that is split at both, 64 bytes at a time.
//!
//! One pass that compares whole blocks is cheaper on fields of ten bytes than a byte loop or repeated `memchr2`.

/// Bytes in one block.
pub(crate) const BLOCK: usize = 64;

/// Bit `i` is set where byte `i` of the block is `separator` or a line feed.
#[inline]
pub(crate) fn mask(block: &[u8; BLOCK], separator: u8) -> u64 {
    // The compiler makes vector compares of this loop.
    let mut found = [0u8; BLOCK];
    for (found, &byte) in found.iter_mut().zip(block) {
        *found = u8::from(byte == separator) | u8::from(byte == b'\n');
    }
    let (words, _) = found.as_chunks::<8>();
    let mut mask = 0;
    for (index, word) in words.iter().enumerate() {
        // Each byte is 0 or 1; the product brings byte `i` to bit 56 + i, and no two sums meet below.
        let bits = u64::from_le_bytes(*word).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        mask |= bits << (index * 8);
    }
    mask
}

/// Blocks of `bytes` with their offsets; the last one is filled up with zeros.
pub(crate) fn blocks(bytes: &[u8]) -> impl Iterator<Item = (usize, [u8; BLOCK])> {
    let (whole, rest) = bytes.as_chunks::<BLOCK>();
    let mut last = [0; BLOCK];
    last[..rest.len()].copy_from_slice(rest);
    let last = (!rest.is_empty()).then_some((whole.len() * BLOCK, last));
    whole.iter().enumerate().map(|(index, block)| (index * BLOCK, *block)).chain(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn finds_what_a_byte_loop_finds(bytes in proptest::collection::vec(prop_oneof![Just(b' '), Just(b'\n'), any::<u8>()], 0..300)) {
            let found: Vec<usize> = blocks(&bytes)
                .flat_map(|(base, block)| (0..BLOCK).filter(move |bit| mask(&block, b' ') >> bit & 1 == 1).map(move |bit| base + bit))
                .collect();
            let expected: Vec<usize> =
                (0..bytes.len()).filter(|&index| matches!(bytes[index], b' ' | b'\n')).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
