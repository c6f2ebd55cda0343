//! The RLE / bit-packing hybrid encoding of dictionary codes and definition levels.
//!
//! Source: Apache Parquet format, "Run Length Encoding / Bit-Packing Hybrid (RLE = 3)".

/// Equal values in a row from which a run is shorter than packed bits, and cheap to read.
const RUN_MIN: usize = 16;

/// Bits that the largest of `distinct` codes counted from 0 needs.
pub(super) fn width(distinct: usize) -> u32 {
    usize::BITS - distinct.saturating_sub(1).leading_zeros()
}

/// Appends `values`, each below 2^`width`.
pub(super) fn encode(values: &[u32], width: u32, out: &mut Vec<u8>) {
    let mut literal_start = 0;
    let mut at = 0;
    while at < values.len() {
        let value = values[at];
        let run = values[at..].iter().take_while(|&&next| next == value).count();
        if run < RUN_MIN {
            at += run;
            continue;
        }
        // Packed values come in groups of eight: the run lends what the last group lacks.
        let lent = (8 - (at - literal_start) % 8) % 8;
        pack(&values[literal_start..at + lent], width, out);
        repeat(value, run - lent, width, out);
        at += run;
        literal_start = at;
    }
    pack(&values[literal_start..], width, out);
}

/// Appends `count` times `value`.
pub(super) fn repeat(value: u32, count: usize, width: u32, out: &mut Vec<u8>) {
    if count == 0 {
        return;
    }
    varint((count as u64) << 1, out);
    out.extend_from_slice(&value.to_le_bytes()[..width.div_ceil(8) as usize]);
}

/// Appends groups of eight packed values; the last group is filled with zeros.
fn pack(values: &[u32], width: u32, out: &mut Vec<u8>) {
    if values.is_empty() {
        return;
    }
    let groups = values.len().div_ceil(8);
    varint(((groups as u64) << 1) | 1, out);
    let mut packer = Packer::new(width, out);
    for &value in values {
        packer.push(u64::from(value));
    }
    for _ in values.len()..groups * 8 {
        packer.push(0);
    }
    packer.finish();
}

/// Packs values of equal width, least significant bit first.
pub(super) struct Packer<'a> {
    width: u32,
    bits: u128,
    held: u32,
    out: &'a mut Vec<u8>,
}

impl<'a> Packer<'a> {
    pub(super) fn new(width: u32, out: &'a mut Vec<u8>) -> Self {
        Self { width, bits: 0, held: 0, out }
    }

    #[inline]
    pub(super) fn push(&mut self, value: u64) {
        self.bits |= u128::from(value) << self.held;
        self.held += self.width;
        if self.held >= 64 {
            #[allow(clippy::cast_possible_truncation)]
            let low = self.bits as u64;
            self.out.extend_from_slice(&low.to_le_bytes());
            self.bits >>= 64;
            self.held -= 64;
        }
    }

    /// Writes what is held, up to a whole byte.
    pub(super) fn finish(self) {
        let bytes = self.held.div_ceil(8) as usize;
        self.out.extend_from_slice(&self.bits.to_le_bytes()[..bytes]);
    }
}

/// Appends an unsigned LEB128 number.
pub(super) fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push((value & 0x7f) as u8);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths() {
        let widths: Vec<u32> = [0, 1, 2, 3, 4, 5, 256, 257].map(width).into();
        assert_eq!(widths, [0, 0, 1, 2, 2, 3, 8, 9]);
    }

    #[test]
    fn packed_bits_are_those_of_the_specification() {
        // The example of the format's page: 0 to 7 in three bits each.
        let mut out = Vec::new();
        encode(&[0, 1, 2, 3, 4, 5, 6, 7], 3, &mut out);
        assert_eq!(out, [0b11, 0b1000_1000, 0b1100_0110, 0b1111_1010]);
    }

    #[test]
    fn a_run_lends_to_the_group_before_it() {
        let mut values = vec![1, 0, 1];
        values.extend([1; 40]);
        let mut out = Vec::new();
        encode(&values, 1, &mut out);
        assert_eq!(out, [0b11, 0b1111_1101, 35 << 1, 1]);
    }
}
