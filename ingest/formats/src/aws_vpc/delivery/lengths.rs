//! Whether pages of delta-coded texts hold as many lengths as they have values. It decodes no text.
//!
//! The reader allocates as many lengths as the coded numbers themselves say, up to more than there is memory, which ends
//! the process. Source: parquet-format, `Encodings.md`, "Delta Encoding", "Delta-length byte array", "Delta Strings".

use super::{Refusal, corrupt};
use crate::contract::Reason;
use bytes::{Buf as _, Bytes};
use parquet::basic::Encoding;
use parquet::column::page::{Page, PageReader as _};
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::reader::{ChunkReader, SerializedPageReader};
use std::sync::Arc;

/// Refuses a column chunk of root values that says it has more lengths than values.
pub(super) fn check<R: ChunkReader>(reader: &Arc<R>, chunk: &ColumnChunkMetaData) -> Result<(), Refusal> {
    let mut pages = SerializedPageReader::new(Arc::clone(reader), chunk, 0, None).map_err(corrupt)?;
    let is_optional = chunk.column_descr().max_def_level() > 0;
    while let Some(page) = pages.get_next_page().map_err(corrupt)? {
        let (encoding, values) = (page.encoding(), u64::from(page.num_values()));
        let streams = match encoding {
            Encoding::DELTA_LENGTH_BYTE_ARRAY => 1,
            // Lengths of what is shared with the value before, and of what is not.
            Encoding::DELTA_BYTE_ARRAY => 2,
            _ => continue,
        };
        let mut rest = after_levels(&page, is_optional).unwrap_or_default();
        for _ in 0..streams {
            rest = skip_numbers(rest, values).ok_or_else(|| {
                let detail = format!("a page of {values} values has no lengths for them");
                Refusal::new(Reason::CorruptInput, detail)
            })?;
        }
    }
    Ok(())
}

/// What follows the levels that tell nulls.
fn after_levels(page: &Page, is_optional: bool) -> Option<Bytes> {
    let mut bytes = page.buffer().clone();
    let levels = match page {
        Page::DataPageV2 { def_levels_byte_len, rep_levels_byte_len, .. } => {
            usize::try_from(*def_levels_byte_len).ok()?.checked_add(usize::try_from(*rep_levels_byte_len).ok()?)?
        }
        Page::DataPage { num_values, def_level_encoding: Encoding::RLE, .. } if is_optional && *num_values > 0 => {
            usize::try_from(bytes.try_get_u32_le().ok()?).ok()?
        }
        Page::DataPage { num_values, .. } if is_optional => usize::try_from(num_values.div_ceil(8)).ok()?,
        _ => 0,
    };
    (levels <= bytes.len()).then(|| bytes.slice(levels..))
}

/// What follows delta-coded numbers; none when they are more than `count_max`, or end too early.
fn skip_numbers(mut bytes: Bytes, count_max: u64) -> Option<Bytes> {
    let block = unsigned(&mut bytes)?;
    let parts = unsigned(&mut bytes)?;
    let count = unsigned(&mut bytes).filter(|&count| count <= count_max)?;
    unsigned(&mut bytes)?;
    let part = block.checked_div(parts).filter(|&part| part > 0)?;
    let mut left = count.saturating_sub(1);
    while left > 0 {
        unsigned(&mut bytes)?;
        let parts = usize::try_from(parts).ok().filter(|&parts| parts <= bytes.len())?;
        let mut length = 0_u64;
        for width in bytes.split_to(parts) {
            // Parts without numbers have a width, and no bytes.
            if left > 0 {
                length = length.checked_add(u64::from(width).checked_mul(part)? / 8)?;
                left = left.saturating_sub(part);
            }
        }
        bytes.advance(usize::try_from(length).ok().filter(|&length| length <= bytes.len())?);
    }
    Some(bytes)
}

fn unsigned(bytes: &mut Bytes) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = bytes.try_get_u8().ok()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], count_max: u64, expected: Option<usize>) {
        let rest = skip_numbers(Bytes::copy_from_slice(bytes), count_max);
        assert_eq!(rest.map(|rest| rest.len()), expected, "{bytes:?}, {count_max}");
    }

    #[test]
    fn numbers_are_skipped_whole() {
        // Blocks of 128 in 4 parts of 32; one number has no block.
        check(&[128, 1, 4, 1, 0, 7, 7], 1, Some(2));
        check(&[128, 1, 4, 0, 0], 0, Some(0));
        // Three numbers: a part of width 2, 8 bytes, and widths of parts that are not there.
        let three = [&[128, 1, 4, 3, 0, 0, 2, 9, 9, 9][..], &[0; 8], &[5]].concat();
        check(&three, 3, Some(1));
        check(&three, 2, None);
        check(&three[..15], 3, None);
        check(&[128, 1, 0, 3, 0], 3, None);
        // 2^42 numbers.
        check(&[128, 1, 4, 128, 128, 128, 128, 128, 128, 1, 0], 1_000_000, None);
    }
}
