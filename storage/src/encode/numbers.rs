//! Number, time and boolean columns.

use super::PAGE_ROWS;
use super::column::{Chunk, ColumnEncoder, Encoded, Presence};
use super::{delta, hybrid};
use parquet::basic::Encoding;
use parquet::errors::Result;
use tradewind_model::NULL_NUM;
use tradewind_model::field::FieldType;

/// Distinct numbers that a dictionary holds at most. More cost more than their differences.
const DISTINCT_MAX: usize = 48 * 1024;

/// Encodes a column whose values are in the order of the file.
pub(super) fn encode(encoder: &mut ColumnEncoder, mut chunk: Chunk, ty: FieldType, values: &[i64]) -> Result<Encoded> {
    if ty == FieldType::Bool {
        return encode_bits(encoder, chunk, values);
    }
    let mut names = std::mem::take(&mut encoder.codes);
    let dictionary = number(values, &mut names);
    if let Some(dictionary) = &dictionary {
        if dictionary.is_empty() {
            chunk.data(encoder, values.len(), Presence::Nothing, Encoding::PLAIN, &[])?;
            encoder.codes = names;
            return chunk.finish();
        }
        let mut plain = Vec::with_capacity(dictionary.len() * 8);
        dictionary.iter().for_each(|&value| push_plain(ty, value, &mut plain));
        chunk.dictionary(encoder, &plain, dictionary.len())?;
    }
    let width = dictionary.as_ref().map(|dictionary| hybrid::width(dictionary.len()));
    let mut present = std::mem::take(&mut encoder.present);
    let mut kept = std::mem::take(&mut encoder.numbers);
    let mut kept_names = Vec::new();
    for (page, rows) in values.chunks(PAGE_ROWS).enumerate() {
        present.clear();
        present.extend(rows.iter().map(|&value| u32::from(value != NULL_NUM)));
        let has_nulls = present.contains(&0);
        let presence = if has_nulls { Presence::Some(&present) } else { Presence::All };
        let mut body = Vec::new();
        let encoding = if let Some(width) = width {
            let page = &names[page * PAGE_ROWS..][..rows.len()];
            body.push(u8::try_from(width).unwrap_or(32));
            if has_nulls {
                kept_names.clear();
                kept_names.extend(page.iter().copied().filter(|&name| name != u32::MAX));
                hybrid::encode(&kept_names, width, &mut body);
            } else {
                hybrid::encode(page, width, &mut body);
            }
            Encoding::RLE_DICTIONARY
        } else {
            kept.clear();
            kept.extend(rows.iter().copied().filter(|&value| value != NULL_NUM));
            delta::encode(&kept, &mut body);
            Encoding::DELTA_BINARY_PACKED
        };
        chunk.data(encoder, rows.len(), presence, encoding, &body)?;
    }
    (encoder.codes, encoder.present, encoder.numbers) = (names, present, kept);
    chunk.finish()
}

/// One number for all rows, or none.
pub(super) fn encode_constant(
    encoder: &mut ColumnEncoder,
    mut chunk: Chunk,
    ty: FieldType,
    value: i64,
) -> Result<Encoded> {
    let rows = chunk.rows();
    if value == NULL_NUM {
        chunk.data(encoder, rows, Presence::Nothing, Encoding::PLAIN, &[])?;
        return chunk.finish();
    }
    if ty == FieldType::Bool {
        let bits = vec![if value == 0 { 0 } else { 0xff }; rows.div_ceil(8)];
        chunk.data(encoder, rows, Presence::All, Encoding::PLAIN, &bits)?;
        return chunk.finish();
    }
    let mut plain = Vec::new();
    push_plain(ty, value, &mut plain);
    chunk.dictionary(encoder, &plain, 1)?;
    let mut body = vec![0];
    hybrid::repeat(0, rows, 0, &mut body);
    chunk.data(encoder, rows, Presence::All, Encoding::RLE_DICTIONARY, &body)?;
    chunk.finish()
}

fn encode_bits(encoder: &mut ColumnEncoder, mut chunk: Chunk, values: &[i64]) -> Result<Encoded> {
    let present: Vec<u32> = values.iter().map(|&value| u32::from(value != NULL_NUM)).collect();
    let presence = if !present.contains(&1) {
        Presence::Nothing
    } else if present.contains(&0) {
        Presence::Some(&present)
    } else {
        Presence::All
    };
    let mut bits = Vec::with_capacity(values.len() / 8 + 1);
    let mut packer = hybrid::Packer::new(1, &mut bits);
    let kept = values.iter().copied().filter(|&value| value != NULL_NUM);
    kept.for_each(|value| packer.push(u64::from(value == 1)));
    packer.finish();
    chunk.data(encoder, values.len(), presence, Encoding::PLAIN, &bits)?;
    chunk.finish()
}

fn push_plain(ty: FieldType, value: i64, out: &mut Vec<u8>) {
    match ty {
        // Decoders check ranges; what passes here fits.
        #[allow(clippy::cast_possible_truncation)]
        FieldType::Int16 | FieldType::Int32 => out.extend_from_slice(&(value as i32).to_le_bytes()),
        _ => out.extend_from_slice(&value.to_le_bytes()),
    }
}

/// Names each row's number by its place among the distinct ones, in order of appearance; nulls get `u32::MAX`. None when
/// there are too many.
fn number(values: &[i64], names: &mut Vec<u32>) -> Option<Vec<i64>> {
    names.clear();
    let limit = DISTINCT_MAX.min(values.len() * 3 / 4 + 16);
    let mut distinct = Distinct::default();
    for &value in values {
        if value == NULL_NUM {
            names.push(u32::MAX);
            continue;
        }
        names.push(distinct.name(value));
        if distinct.values.len() > limit {
            return None;
        }
    }
    Some(distinct.values)
}

/// Distinct numbers and their places: open addressing, since the library's map costs three times as much here.
#[derive(Debug, Default)]
struct Distinct {
    values: Vec<i64>,
    /// Places + 1; 0 is free. The length is a power of two and at least twice the number of values.
    slots: Vec<u32>,
    last: Option<(i64, u32)>,
}

impl Distinct {
    #[inline]
    fn name(&mut self, value: i64) -> u32 {
        if let Some((last, name)) = self.last
            && last == value
        {
            return name;
        }
        if self.values.len() * 2 >= self.slots.len() {
            self.grow();
        }
        let mask = self.slots.len() - 1;
        let mut slot = hash(value) & mask;
        let name = loop {
            match self.slots[slot] {
                0 => {
                    self.values.push(value);
                    self.slots[slot] = u32::try_from(self.values.len()).unwrap_or(u32::MAX);
                    break self.slots[slot] - 1;
                }
                place if self.values[place as usize - 1] == value => break place - 1,
                _ => slot = (slot + 1) & mask,
            }
        };
        self.last = Some((value, name));
        name
    }

    fn grow(&mut self) {
        let size = (self.slots.len() * 2).max(1024);
        self.slots.clear();
        self.slots.resize(size, 0);
        for (place, &value) in (1u32..).zip(&self.values) {
            let mut slot = hash(value) & (size - 1);
            while self.slots[slot] != 0 {
                slot = (slot + 1) & (size - 1);
            }
            self.slots[slot] = place;
        }
    }
}

/// Multiplicative hashing (Knuth, The Art of Computer Programming, vol. 3, section 6.4). Probing is bounded by
/// [`DISTINCT_MAX`], so numbers chosen to collide cost time within one batch only.
fn hash(value: i64) -> usize {
    let mixed = value.cast_unsigned().wrapping_mul(0x9e37_79b9_7f4a_7c15);
    usize::try_from((mixed ^ (mixed >> 29)) >> 20).unwrap_or_default()
}
