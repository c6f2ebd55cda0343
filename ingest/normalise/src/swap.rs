//! Exchanges the two ends of rows: every `src_` column with its `dst_` column. Not the decision which rows.

use tradewind_model::flow::*;
use tradewind_model::{FlowBatch, NULL_CODE, NumCol, TextCol};

const TEXTS: [(TextCol, TextCol); 10] = [
    (SRC_IP, DST_IP),
    (SRC_NETWORK, DST_NETWORK),
    (POST_NAT_SRC_IP, POST_NAT_DST_IP),
    (SRC_ENTITY, DST_ENTITY),
    (SRC_KIND, DST_KIND),
    (SRC_NAMESPACE, DST_NAMESPACE),
    (SRC_INSTANCE, DST_INSTANCE),
    (SRC_PROCESS, DST_PROCESS),
    (SRC_PRINCIPAL, DST_PRINCIPAL),
    (SRC_ENTITY_SOURCE, DST_ENTITY_SOURCE),
];

const NUMBERS: [(NumCol, NumCol); 5] = [
    (SRC_PORT, DST_PORT),
    (POST_NAT_SRC_PORT, POST_NAT_DST_PORT),
    (BYTES_OUT, BYTES_IN),
    (PACKETS_OUT, PACKETS_IN),
    (SRC_VERIFIED, DST_VERIFIED),
];

/// Exchanges the ends of the rows numbered in `swapped`.
pub(crate) fn swap_rows(batch: &mut FlowBatch, swapped: &[u32]) {
    if swapped.is_empty() {
        return;
    }
    for (src, dst) in TEXTS {
        swap_texts(batch, src, dst, swapped);
    }
    for (src, dst) in NUMBERS {
        swap_numbers(batch, src, dst, swapped);
    }
    swap_vantage(batch, swapped);
}

fn swap_numbers(batch: &mut FlowBatch, src: NumCol, dst: NumCol, swapped: &[u32]) {
    let rows = batch.len();
    let constants = (batch.num(src).constant(rows), batch.num(dst).constant(rows));
    if matches!(constants, (Some(src), Some(dst)) if src == dst) {
        return;
    }
    let mut src_values = batch.num(src).values(rows).into_owned();
    let mut dst_values = batch.num(dst).values(rows).into_owned();
    for &row in swapped {
        std::mem::swap(&mut src_values[row as usize], &mut dst_values[row as usize]);
    }
    batch.num_mut(src).replace_values(src_values);
    batch.num_mut(dst).replace_values(dst_values);
}

/// Codes belong to one column, so each distinct text is given its code in the other column once.
fn swap_texts(batch: &mut FlowBatch, src: TextCol, dst: TextCol, swapped: &[u32]) {
    let rows = batch.len();
    let is_same_for_all = match (batch.text(src).constant(rows), batch.text(dst).constant(rows)) {
        (Some(a), Some(b)) => batch.text(src).dictionary().get(a) == batch.text(dst).dictionary().get(b),
        _ => false,
    };
    if is_same_for_all {
        return;
    }
    let mut src_codes = batch.text(src).codes(rows).into_owned();
    let mut dst_codes = batch.text(dst).codes(rows).into_owned();
    let mut to_dst = Translation::new(batch, src, dst);
    let mut to_src = Translation::new(batch, dst, src);
    for &row in swapped {
        let row = row as usize;
        let (new_dst, new_src) = (to_dst.code(batch, src_codes[row]), to_src.code(batch, dst_codes[row]));
        (src_codes[row], dst_codes[row]) = (new_src, new_dst);
    }
    batch.text_mut(src).replace_codes(src_codes);
    batch.text_mut(dst).replace_codes(dst_codes);
}

/// Codes of one column by the codes of another, for the texts that were met.
struct Translation {
    from: TextCol,
    to: TextCol,
    codes: Vec<u32>,
}

impl Translation {
    const UNSET: u32 = u32::MAX;

    fn new(batch: &FlowBatch, from: TextCol, to: TextCol) -> Self {
        let mut codes = vec![Self::UNSET; batch.text(from).dictionary().len() + 1];
        codes[NULL_CODE as usize] = NULL_CODE;
        Self { from, to, codes }
    }

    #[inline]
    fn code(&mut self, batch: &mut FlowBatch, code: u32) -> u32 {
        let known = self.codes[code as usize];
        if known == Self::UNSET { self.intern(batch, code) } else { known }
    }

    #[cold]
    fn intern(&mut self, batch: &mut FlowBatch, code: u32) -> u32 {
        let text = batch.text(self.from).dictionary().get(code).map(str::to_owned);
        let interned = text.map_or(NULL_CODE, |text| batch.text_mut(self.to).intern(&text));
        self.codes[code as usize] = interned;
        interned
    }
}

/// An observer at the one end is at the other once the ends are exchanged.
fn swap_vantage(batch: &mut FlowBatch, swapped: &[u32]) {
    let rows = batch.len();
    let column = batch.text_mut(VANTAGE);
    let found = ["source", "destination"].map(|word| column.dictionary().find(word));
    if found == [None, None] {
        return;
    }
    let [source, destination] = ["source", "destination"].map(|word| column.intern(word));
    let mut codes = column.codes(rows).into_owned();
    for &row in swapped {
        let code = &mut codes[row as usize];
        *code = match *code {
            code if code == source => destination,
            code if code == destination => source,
            code => code,
        };
    }
    column.replace_codes(codes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn mirrored(name: &str) -> Option<String> {
        let exchanges = [("src_", "dst_"), ("dst_", "src_"), ("_out", "_in"), ("_in", "_out")];
        if name == "is_src_dst_assignment_known" {
            return None;
        }
        exchanges.iter().find(|(from, _)| name.contains(from)).map(|(from, to)| {
            if from.starts_with('_') && !name.ends_with(from) { name.to_owned() } else { name.replace(from, to) }
        })
    }

    #[test]
    fn every_pair_of_columns_is_in_the_lists() {
        let mut listed: Vec<(&str, &str)> =
            TEXTS.iter().map(|(src, dst)| (src.field().name, dst.field().name)).collect();
        listed.extend(NUMBERS.iter().map(|(src, dst)| (src.field().name, dst.field().name)));
        let both_ways: Vec<_> = listed.iter().copied().chain(listed.iter().map(|&(src, dst)| (dst, src))).collect();
        let mut pairs = 0;
        for field in FIELDS {
            let other = mirrored(field.name).filter(|other| FIELDS.iter().any(|field| field.name == other));
            let Some(other) = other.filter(|other| other != field.name) else { continue };
            assert!(both_ways.contains(&(field.name, &other)), "{} and {other} are no pair", field.name);
            pairs += 1;
        }
        assert_eq!(pairs, both_ways.len(), "a listed pair is none by name");
    }

    /// A row in which every column of a pair differs from its other, or is null.
    fn push_row(batch: &mut FlowBatch, seed: u32) {
        for (index, (src, dst)) in (0_u32..).zip(TEXTS) {
            for (end, column) in [(0, src), (1, dst)] {
                let value = seed.wrapping_mul(31).wrapping_add(index * 7 + end) % 11;
                if value > 2 {
                    batch.set_text(column, &format!("text {value}"));
                }
            }
        }
        for (index, (src, dst)) in (0_u32..).zip(NUMBERS) {
            batch.set_num(src, i64::from(seed + index));
            if !seed.is_multiple_of(3) {
                batch.set_num(dst, i64::from(seed + index + 1_000));
            }
        }
        if let Some(word) = ["source", "destination", "proxy"].get(seed as usize % 4) {
            batch.set_text(VANTAGE, word);
        }
        batch.end_row();
    }

    fn rows(batch: &FlowBatch) -> Vec<serde_json::Map<String, serde_json::Value>> {
        (0..batch.len()).map(|row| batch.row_json(row)).collect()
    }

    proptest! {
        #[test]
        fn a_swap_mirrors_the_row_and_two_swaps_leave_it(seeds in proptest::collection::vec((0_u32..50, any::<bool>()), 1..40)) {
            let mut batch = FlowBatch::default();
            seeds.iter().for_each(|&(seed, _)| push_row(&mut batch, seed));
            let swapped: Vec<u32> = (0..).zip(&seeds).filter(|(_, (_, swap))| *swap).map(|(row, _)| row).collect();
            let before = rows(&batch);
            swap_rows(&mut batch, &swapped);
            for (row, (found, given)) in rows(&batch).into_iter().zip(&before).enumerate() {
                let expected = if seeds[row].1 { mirror(given) } else { given.clone() };
                prop_assert_eq!(found, expected);
            }
            swap_rows(&mut batch, &swapped);
            prop_assert_eq!(rows(&batch), before);
        }
    }

    fn mirror(row: &serde_json::Map<String, serde_json::Value>) -> serde_json::Map<String, serde_json::Value> {
        row.iter()
            .map(|(name, value)| {
                let value = match value.as_str() {
                    Some("source") => "destination".into(),
                    Some("destination") => "source".into(),
                    _ => value.clone(),
                };
                (mirrored(name).unwrap_or_else(|| name.clone()), value)
            })
            .collect()
    }
}
