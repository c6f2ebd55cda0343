//! A list of records as bytes: postcard's varints, some 15 bytes for what takes 48 as numbers, in pages that are filled one after
//! another, so that a long list is never copied to grow.

use serde::de::{DeserializeOwned, Error, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt::Formatter;

/// Bytes of a page. A record is never split.
const PAGE: usize = 64 << 10;
/// More than a record takes.
const RECORD_MAX: usize = 128;

/// The records, in the order they came.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Pages {
    pages: Vec<Page>,
    count: usize,
}

/// Bytes that are stored as such, not one by one.
#[derive(Clone, Debug, Default)]
struct Page(Vec<u8>);

impl Pages {
    pub(super) const fn len(&self) -> usize {
        self.count
    }

    /// Appends a record of at most [`RECORD_MAX`] bytes.
    pub(super) fn push<T: Serialize>(&mut self, record: &T) {
        if self.pages.last().is_none_or(|page| page.0.len() + RECORD_MAX > PAGE) {
            let bytes = if self.pages.is_empty() { 0 } else { PAGE };
            self.pages.push(Page(Vec::with_capacity(bytes)));
        }
        let page = self.pages.last_mut().expect("one was added where there was none");
        let bytes = std::mem::take(&mut page.0);
        page.0 = postcard::to_extend(record, bytes).expect("numbers can always be written to memory");
        self.count += 1;
    }

    /// The records.
    pub(super) fn iter<T: DeserializeOwned>(&self) -> impl Iterator<Item = T> {
        self.pages.iter().flat_map(|page| {
            let mut rest = page.0.as_slice();
            std::iter::from_fn(move || {
                if rest.is_empty() {
                    return None;
                }
                // Bytes of a damaged snapshot end the page.
                let (record, left) = postcard::take_from_bytes(rest).ok()?;
                rest = left;
                Some(record)
            })
        })
    }
}

impl Serialize for Page {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Page {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl<'de> Visitor<'de> for Bytes {
            type Value = Vec<u8>;

            fn expecting(&self, formatter: &mut Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("bytes")
            }

            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
                Ok(bytes.to_vec())
            }

            // How formats without bytes write them.
            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<u8>, A::Error> {
                let mut bytes = Vec::new();
                while let Some(byte) = list.next_element()? {
                    bytes.push(byte);
                }
                Ok(bytes)
            }
        }
        deserializer.deserialize_bytes(Bytes).map(Self)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_in_order_over_many_pages() {
        let mut pages = Pages::default();
        let record = |number: u64| (number, u64::MAX - number, number as i64 - 50_000);
        for number in 0..100_000 {
            pages.push(&record(number));
        }
        assert!(pages.pages.len() > 10 && pages.pages.iter().all(|page| page.0.len() <= PAGE));
        let bytes = postcard::to_stdvec(&pages).unwrap();
        let json = serde_json::to_string(&pages).unwrap();
        for pages in [pages, postcard::from_bytes(&bytes).unwrap(), serde_json::from_str(&json).unwrap()] {
            assert_eq!(pages.len(), 100_000);
            assert!(pages.iter::<(u64, u64, i64)>().eq((0..100_000).map(record)));
        }
    }
}
