//! `DELTA_BINARY_PACKED`: numbers that seldom repeat, as packed differences.
//!
//! Source: Apache Parquet format, "Delta Encoding (DELTA_BINARY_PACKED = 5)".

use super::hybrid::{Packer, varint};

const BLOCK: usize = 128;
const MINIBLOCKS: usize = 4;
const MINIBLOCK: usize = BLOCK / MINIBLOCKS;

/// Appends `values`.
pub(super) fn encode(values: &[i64], out: &mut Vec<u8>) {
    varint(BLOCK as u64, out);
    varint(MINIBLOCKS as u64, out);
    varint(values.len() as u64, out);
    let Some((&first, rest)) = values.split_first() else {
        varint(0, out);
        return;
    };
    zigzag(first, out);
    let mut last = first;
    for block in rest.chunks(BLOCK) {
        let mut deltas = [0i64; BLOCK];
        for (delta, &value) in deltas.iter_mut().zip(block) {
            *delta = value.wrapping_sub(last);
            last = value;
        }
        let deltas = &deltas[..block.len()];
        let least = deltas.iter().copied().min().unwrap_or_default();
        zigzag(least, out);
        let above = |delta: i64| delta.wrapping_sub(least).cast_unsigned();
        let width = |part: &[i64]| 64 - part.iter().fold(0, |bits, &delta| bits | above(delta)).leading_zeros();
        let mut widths = [0u32; MINIBLOCKS];
        for (bits, part) in widths.iter_mut().zip(deltas.chunks(MINIBLOCK)) {
            *bits = width(part);
        }
        out.extend(widths.iter().map(|&bits| u8::try_from(bits).unwrap_or(64)));
        for (&bits, part) in widths.iter().zip(deltas.chunks(MINIBLOCK)) {
            let mut packer = Packer::new(bits, out);
            part.iter().for_each(|&delta| packer.push(above(delta)));
            (part.len()..MINIBLOCK).for_each(|_| packer.push(0));
            packer.finish();
        }
    }
}

fn zigzag(value: i64, out: &mut Vec<u8>) {
    varint(((value << 1) ^ (value >> 63)).cast_unsigned(), out);
}
