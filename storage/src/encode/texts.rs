//! Text columns: dictionary codes into pages.

use super::PAGE_ROWS;
use super::column::{Chunk, ColumnEncoder, Encoded, Presence};
use super::hybrid;
use parquet::basic::Encoding;
use parquet::bloom_filter::Sbbf;
use parquet::errors::Result;
use tradewind_model::{NULL_CODE, TextColumn};

/// False positives of bloom filters: one in a hundred.
const FILTER_ERROR: f64 = 0.01;
/// Bytes of a page of plain texts, about.
const PLAIN_PAGE_BYTES: usize = 1 << 20;

/// Encodes the rows `order` of a column of `len` rows.
pub(super) fn encode(
    encoder: &mut ColumnEncoder,
    mut chunk: Chunk,
    column: &TextColumn,
    len: usize,
    order: &[u32],
    has_filter: bool,
) -> Result<Encoded> {
    let dictionary = column.dictionary();
    if let Some(code) = column.constant(len) {
        return encode_constant(encoder, chunk, dictionary.get(code));
    }
    let codes = column.codes(len);
    // Codes anew, in order of appearance: only texts that these rows have, and close codes for close rows.
    let mut renamed = vec![u32::MAX; dictionary.len() + 1];
    let mut used: Vec<u32> = Vec::new();
    let mut pages: Vec<u32> = order.iter().map(|&row| codes[row as usize]).collect();
    let mut nulls = 0;
    for page in &mut pages {
        let code = *page;
        if code == NULL_CODE {
            nulls += 1;
            *page = u32::MAX;
            continue;
        }
        let name = &mut renamed[code as usize];
        if *name == u32::MAX {
            *name = u32::try_from(used.len()).unwrap_or(u32::MAX);
            used.push(code);
        }
        *page = *name;
    }
    if nulls == order.len() {
        return encode_constant(encoder, chunk, None);
    }
    if has_filter {
        let mut filter = Sbbf::new_with_ndv_fpp(used.len() as u64, FILTER_ERROR)?;
        used.iter().filter_map(|&code| dictionary.get(code)).for_each(|text| filter.insert(text));
        chunk.set_filter(filter);
    }
    let text_of = |name: u32| dictionary.get(used[name as usize]).unwrap_or_default();
    if used.len() > 1024 && used.len() * 4 > (order.len() - nulls) * 3 {
        plain(encoder, &mut chunk, &pages, &text_of)?;
        return chunk.finish();
    }
    let mut values = Vec::new();
    used.iter().for_each(|&code| push_plain(dictionary.get(code).unwrap_or_default(), &mut values));
    chunk.dictionary(encoder, &values, used.len())?;
    let width = hybrid::width(used.len());
    for page in pages.chunks(PAGE_ROWS) {
        let (mut present, mut kept) = (std::mem::take(&mut encoder.present), std::mem::take(&mut encoder.codes));
        let (presence, names) = if nulls == 0 { (Presence::All, page) } else { split(page, &mut present, &mut kept) };
        let mut body = vec![u8::try_from(width).unwrap_or(32)];
        hybrid::encode(names, width, &mut body);
        chunk.data(encoder, page.len(), presence, Encoding::RLE_DICTIONARY, &body)?;
        (encoder.present, encoder.codes) = (present, kept);
    }
    chunk.finish()
}

/// One text for all rows, or none.
pub(super) fn encode_constant(encoder: &mut ColumnEncoder, mut chunk: Chunk, text: Option<&str>) -> Result<Encoded> {
    let rows = chunk.rows();
    let Some(text) = text else {
        chunk.data(encoder, rows, Presence::Nothing, Encoding::PLAIN, &[])?;
        return chunk.finish();
    };
    let mut value = Vec::new();
    push_plain(text, &mut value);
    chunk.dictionary(encoder, &value, 1)?;
    let mut body = vec![0];
    hybrid::repeat(0, rows, 0, &mut body);
    chunk.data(encoder, rows, Presence::All, Encoding::RLE_DICTIONARY, &body)?;
    chunk.finish()
}

/// Texts of which nearly every one differs: a dictionary would hold them all and save nothing.
fn plain<'a>(
    encoder: &mut ColumnEncoder,
    chunk: &mut Chunk,
    rows: &[u32],
    text_of: &dyn Fn(u32) -> &'a str,
) -> Result<()> {
    let (mut values, mut present) = (Vec::new(), Vec::new());
    for (index, &name) in rows.iter().enumerate() {
        present.push(u32::from(name != u32::MAX));
        if name != u32::MAX {
            push_plain(text_of(name), &mut values);
        }
        if values.len() >= PLAIN_PAGE_BYTES || index + 1 == rows.len() {
            let presence = if present.contains(&0) { Presence::Some(&present) } else { Presence::All };
            chunk.data(encoder, present.len(), presence, Encoding::PLAIN, &values)?;
            values.clear();
            present.clear();
        }
    }
    Ok(())
}

fn push_plain(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(&u32::try_from(text.len()).unwrap_or(u32::MAX).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// Which rows have a text, and the codes of those.
fn split<'a>(page: &[u32], present: &'a mut Vec<u32>, kept: &'a mut Vec<u32>) -> (Presence<'a>, &'a [u32]) {
    present.clear();
    kept.clear();
    present.extend(page.iter().map(|&name| u32::from(name != u32::MAX)));
    kept.extend(page.iter().copied().filter(|&name| name != u32::MAX));
    (Presence::Some(present), kept)
}
