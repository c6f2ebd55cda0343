//! Looks at texts eight bytes at a time: most are too short for `memchr` to pay. It knows neither JSON nor logs.
//!
//! Source: S. E. Anderson, "Bit Twiddling Hacks", "Determine if a word has a zero byte" and "… has a byte less than n".

/// The number 1 in each byte.
const ONES: u64 = 0x0101_0101_0101_0101;
/// The highest bit of each byte.
const HIGHS: u64 = 0x8080_8080_8080_8080;

/// Place of the first `byte`.
#[inline(always)]
pub(super) fn position(byte: u8, bytes: &[u8]) -> Option<usize> {
    let mut rest = bytes;
    while let Some((pair, after)) = rest.split_first_chunk::<16>() {
        let (words, _) = pair.as_chunks::<8>();
        let (first, second) = (equal(u64::from_le_bytes(words[0]), byte), equal(u64::from_le_bytes(words[1]), byte));
        if first | second != 0 {
            // A borrow may mark bytes behind the first match, never before it.
            let place = if first != 0 { first.trailing_zeros() } else { 64 + second.trailing_zeros() };
            return Some(bytes.len() - rest.len() + place as usize / 8);
        }
        rest = after;
    }
    rest.iter().position(|&other| other == byte).map(|index| bytes.len() - rest.len() + index)
}

/// A text that other texts are asked to begin with, as words: comparing it is a few instructions, not a call.
#[derive(Clone, Debug, Default)]
pub(super) struct Prefix {
    text: Box<str>,
    words: Box<[u64]>,
    /// Which bits of the last word count.
    last: u64,
}

impl Prefix {
    pub(super) fn new(text: &str) -> Self {
        let (whole, rest) = text.as_bytes().as_chunks::<8>();
        let mut words: Vec<u64> = whole.iter().map(|word| u64::from_le_bytes(*word)).collect();
        let mut last = u64::MAX;
        if !rest.is_empty() {
            let mut word = [0; 8];
            word[..rest.len()].copy_from_slice(rest);
            words.push(u64::from_le_bytes(word));
            last >>= 64 - 8 * rest.len();
        }
        Self { text: text.into(), words: words.into_boxed_slice(), last }
    }

    #[cfg(test)]
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    #[inline(always)]
    pub(super) fn len(&self) -> usize {
        self.text.len()
    }

    /// Whether `bytes` begin with the text.
    #[inline(always)]
    pub(super) fn begins(&self, bytes: &[u8]) -> bool {
        let Some((last, before)) = self.words.split_last() else { return true };
        let words = bytes.as_chunks::<8>().0;
        let Some((others, other)) =
            words.split_at_checked(before.len()).and_then(|(others, rest)| Some((others, rest.first()?)))
        else {
            return bytes.starts_with(self.text.as_bytes());
        };
        let mut differing = (u64::from_le_bytes(*other) ^ last) & self.last;
        for (other, word) in others.iter().zip(before) {
            differing |= u64::from_le_bytes(*other) ^ word;
        }
        differing == 0
    }
}

/// Whether a JSON string cannot hold `bytes` as they are: a quote, a backslash or a control character is among them.
#[inline]
pub(super) fn needs_escape(bytes: &[u8]) -> bool {
    let Some(last) = bytes.last_chunk::<8>() else { return bytes.iter().any(|&byte| is_escaped(byte)) };
    let mut found = escaped(u64::from_le_bytes(*last));
    for word in bytes.as_chunks::<8>().0 {
        found |= escaped(u64::from_le_bytes(*word));
    }
    found != 0
}

/// Whether a JSON string needs an escape for this byte.
pub(super) const fn is_escaped(byte: u8) -> bool {
    byte < b' ' || byte == b'"' || byte == b'\\'
}

/// Not 0 when a byte of `word` equals `byte`; its lowest bit is in the first such byte.
#[inline]
const fn equal(word: u64, byte: u8) -> u64 {
    let differing = word ^ (ONES * byte as u64);
    differing.wrapping_sub(ONES) & !differing & HIGHS
}

#[inline]
const fn escaped(word: u64) -> u64 {
    let control = word.wrapping_sub(ONES * b' ' as u64) & !word & HIGHS;
    control | equal(word, b'"') | equal(word, b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![8 => b'a'..=b'z', 1 => any::<u8>(), 1 => proptest::sample::select(b"\"\\!# \x1f[]\xdc\xa2".to_vec())];
        proptest::collection::vec(byte, 0..40)
    }

    proptest! {
        #[test]
        fn finds_what_a_byte_loop_finds(bytes in bytes()) {
            prop_assert_eq!(position(b'"', &bytes), bytes.iter().position(|&byte| byte == b'"'));
            prop_assert_eq!(needs_escape(&bytes), bytes.iter().any(|&byte| is_escaped(byte)));
        }

        #[test]
        fn begins_as_a_slice_does(text in "[ab]{0,20}", other in "[ab]{0,3}", follow in "[ab]{0,20}") {
            let prefix = Prefix::new(&text);
            for bytes in [format!("{text}{follow}"), format!("{}{other}{follow}", &text[..text.len() / 2]), text.clone()] {
                prop_assert_eq!(prefix.begins(bytes.as_bytes()), bytes.starts_with(&text), "{} {}", text, bytes);
            }
        }
    }
}
