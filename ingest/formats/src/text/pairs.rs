//! `key=value` pairs (logfmt): values bare or in quotes. Not what the keys mean.

use super::scan::Scan;

/// Pairs separated by blanks. A word without `=` is passed over, and so is an open quote with all behind it.
#[derive(Clone, Debug)]
pub(crate) struct Pairs<'a> {
    scan: Scan<'a>,
}

/// One pair; the value of a quoted one is as it stands between the quotes (see [`super::scan::unescape`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pair<'a> {
    pub(crate) key: &'a str,
    pub(crate) value: &'a str,
    pub(crate) is_quoted: bool,
}

impl<'a> Pairs<'a> {
    pub(crate) const fn new(text: &'a str) -> Self {
        Self { scan: Scan::new(text) }
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = Pair<'a>;

    #[inline]
    fn next(&mut self) -> Option<Pair<'a>> {
        loop {
            self.scan.blanks();
            let rest = self.scan.rest();
            let end = memchr::memchr3(b'=', b' ', b'\t', rest.as_bytes())?;
            if rest.as_bytes()[end] != b'=' {
                self.scan = Scan::new(&rest[end..]);
                continue;
            }
            let key = &rest[..end];
            self.scan = Scan::new(&rest[end + 1..]);
            if let Some(value) = self.scan.quoted() {
                return Some(Pair { key, value, is_quoted: true });
            }
            let rest = self.scan.rest();
            let end = memchr::memchr2(b' ', b'\t', rest.as_bytes()).unwrap_or(rest.len());
            self.scan = Scan::new(&rest[end..]);
            return Some(Pair { key, value: &rest[..end], is_quoted: false });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_of_a_line() {
        fn check(text: &str, expected: &[(&str, &str)]) {
            let found: Vec<_> = Pairs::new(text).map(|pair| (pair.key, pair.value)).collect();
            assert_eq!(found, expected, "{text}");
        }
        check("a=1 b=\"x y\" c=", &[("a", "1"), ("b", "x y"), ("c", "")]);
        check("word a=b=c\td=\"q\\\"r\"", &[("a", "b=c"), ("d", "q\\\"r")]);
        check("a=\"open b=1", &[("a", "\"open"), ("b", "1")]);
        check("", &[]);
        check("=x", &[("", "x")]);
    }
}
