//! The header of one Parquet page, as far as it tells what decoding the page costs. It reads no page.
//!
//! Source: parquet-format, `parquet.thrift` (`PageHeader`), in the Thrift compact protocol. The reader of pages allocates
//! what the header says before it looks at the page, and offers no limit; so the headers are read beforehand.

use std::io::{self, Read};

/// The deepest nesting that is skipped: more than statistics, the deepest there are, have.
const DEPTH_MAX: u8 = 8;

/// Types of the compact protocol.
const I32: u8 = 5;
const STRUCT: u8 = 12;

/// What a page is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The values that data pages refer to.
    Dictionary,
    /// Values of rows.
    Data,
    /// Skipped by readers.
    Index,
}

/// A page: its sizes are what the file claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PageHeader {
    pub(super) kind: Kind,
    /// Bytes of the header itself.
    pub(super) header_bytes: u64,
    /// Bytes of the page in the file.
    pub(super) packed: u64,
    /// Bytes of the page unpacked.
    pub(super) unpacked: u64,
    /// Values, nulls included.
    pub(super) values: u64,
    /// How values are coded: the number of `Encoding`.
    pub(super) encoding: i64,
    /// Bytes at the start that are never packed.
    pub(super) levels: u64,
    /// Whether the rest is packed where the column is.
    pub(super) is_packed: bool,
}

impl PageHeader {
    /// Reads one header.
    ///
    /// # Errors
    /// When it is none, is longer than `bytes_max`, or has a field twice, of which readers take one or the other.
    pub(super) fn read(input: impl Read, bytes_max: u64) -> io::Result<Self> {
        let mut compact = Compact { input: input.take(bytes_max), bytes: 0 };
        let mut page = Self {
            kind: Kind::Index,
            header_bytes: 0,
            packed: 0,
            unpacked: 0,
            values: 0,
            encoding: 0,
            levels: 0,
            is_packed: true,
        };
        let mut required = 0;
        compact.fields(&mut |compact, id, kind| {
            match (id, kind) {
                (1, I32) => {
                    page.kind = match compact.number()? {
                        0 | 3 => Kind::Data,
                        1 => Kind::Index,
                        2 => Kind::Dictionary,
                        other => return Err(broken(format!("page type {other}"))),
                    }
                }
                (2, I32) => page.unpacked = compact.count()?,
                (3, I32) => page.packed = compact.count()?,
                (5 | 7, STRUCT) => compact.fields(&mut |compact, id, kind| match (id, kind) {
                    (1, I32) => compact.count().map(|count| page.values = page.values.max(count)),
                    (2, I32) => compact.number().map(|encoding| page.encoding = encoding),
                    _ => compact.skip(kind, DEPTH_MAX),
                })?,
                (8, STRUCT) => compact.fields(&mut |compact, id, kind| match (id, kind) {
                    (1, I32) => compact.count().map(|count| page.values = page.values.max(count)),
                    (4, I32) => compact.number().map(|encoding| page.encoding = encoding),
                    (5 | 6, I32) => compact.count().map(|bytes| page.levels += bytes),
                    // A boolean is in its type: 2 is false.
                    (7, 1 | 2) => {
                        page.is_packed = kind == 1;
                        Ok(())
                    }
                    _ => compact.skip(kind, DEPTH_MAX),
                })?,
                (1..=3, _) => return Err(broken(format!("field {id} has type {kind}"))),
                _ => compact.skip(kind, DEPTH_MAX)?,
            }
            required += u32::from(id <= 3);
            Ok(())
        })?;
        if required != 3 {
            return Err(broken("type or sizes are missing".to_owned()));
        }
        Ok(Self { header_bytes: compact.bytes, ..page })
    }
}

#[cold]
fn broken(detail: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("no page header: {detail}"))
}

/// The compact protocol (Apache Thrift, `doc/specs/thrift-compact-protocol.md`).
struct Compact<R> {
    input: io::Take<R>,
    bytes: u64,
}

impl<R: Read> Compact<R> {
    fn byte(&mut self) -> io::Result<u8> {
        let mut byte = [0];
        self.input.read_exact(&mut byte)?;
        self.bytes += 1;
        Ok(byte[0])
    }

    fn unsigned(&mut self) -> io::Result<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(broken("an endless number".to_owned()))
    }

    /// A signed number in zigzag form.
    fn number(&mut self) -> io::Result<i64> {
        let value = self.unsigned()?;
        let half = i64::try_from(value >> 1).map_err(|_| broken("a number out of range".to_owned()))?;
        Ok(if value & 1 == 0 { half } else { -half - 1 })
    }

    /// A number that cannot be negative.
    fn count(&mut self) -> io::Result<u64> {
        let number = self.number()?;
        i32::try_from(number)
            .ok()
            .and_then(|number| u64::try_from(number).ok())
            .ok_or_else(|| broken(format!("{number} is no size")))
    }

    /// Calls `each` with number and type of every field of a struct; it must read or skip the field.
    fn fields(&mut self, each: &mut dyn FnMut(&mut Self, i64, u8) -> io::Result<()>) -> io::Result<()> {
        let (mut last, mut seen) = (0, 0_u64);
        loop {
            let head = self.byte()?;
            let (delta, kind) = (head >> 4, head & 15);
            if kind == 0 {
                return Ok(());
            }
            let id = if delta == 0 { self.number()? } else { last + i64::from(delta) };
            last = id;
            // No struct of the format has as many fields.
            if !(0..64).contains(&id) || seen & (1 << id) != 0 {
                return Err(broken(format!("field {id} twice, or unknown")));
            }
            seen |= 1 << id;
            each(self, id, kind)?;
        }
    }

    fn skip(&mut self, kind: u8, depth: u8) -> io::Result<()> {
        let Some(inner) = depth.checked_sub(1) else { return Err(broken("nested too deeply".to_owned())) };
        match kind {
            1 | 2 => Ok(()),
            3 => self.byte().map(drop),
            4..=6 => self.unsigned().map(drop),
            7 => self.skip_bytes(8),
            8 => {
                let length = self.unsigned()?;
                self.skip_bytes(length)
            }
            STRUCT => self.fields(&mut |compact, _, kind| compact.skip(kind, inner)),
            _ => Err(broken(format!("a field of type {kind}"))),
        }
    }

    fn skip_bytes(&mut self, count: u64) -> io::Result<()> {
        let skipped = io::copy(&mut self.input.by_ref().take(count), &mut io::sink())?;
        self.bytes += skipped;
        if skipped == count { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], expected: Result<(Kind, u64, u64, u64), &str>) {
        let read = PageHeader::read(bytes, 1000);
        match (read, expected) {
            (Ok(page), Ok(expected)) => {
                assert_eq!((page.kind, page.unpacked, page.packed, page.values), expected);
                assert_eq!(page.header_bytes, bytes.len() as u64, "{bytes:?}");
            }
            (Err(error), Err(expected)) => assert!(error.to_string().contains(expected), "{error}"),
            (read, expected) => panic!("{bytes:?}: {read:?} is not {expected:?}"),
        }
    }

    #[test]
    fn headers_of_every_kind_of_page() {
        // type 0, sizes 100 and 50, version 1 with 7 values.
        check(&[0x15, 0, 0x15, 200, 1, 0x15, 100, 0x2c, 0x15, 14, 0x15, 0, 0, 0], Ok((Kind::Data, 100, 50, 7)));
        check(&[0x15, 4, 0x15, 20, 0x15, 20, 0x4c, 0x15, 6, 0, 0], Ok((Kind::Dictionary, 10, 10, 3)));
        // A dictionary page with a text in a field that is not known, skipped.
        check(
            &[0x15, 4, 0x15, 20, 0x15, 20, 0x4c, 0x15, 6, 0x78, 2, b'a', b'b', 0, 0],
            Ok((Kind::Dictionary, 10, 10, 3)),
        );
        check(&[0x15, 2, 0x15, 20, 0x15, 20, 0], Ok((Kind::Index, 10, 10, 0)));
    }

    #[test]
    fn headers_that_are_none() {
        // The unpacked size a second time, by its full number.
        check(&[0x15, 0, 0x15, 2, 0x15, 2, 0x05, 4, 0xfe, 0xff, 0xff, 0xff, 0x0f, 0], Err("twice"));
        check(&[0x15, 0, 0x15, 1, 0x15, 2, 0], Err("is no size"));
        check(&[0x15, 0, 0x25, 2, 0], Err("missing"));
        check(&[0x15, 0, 0x16, 1, 0], Err("type 6"));
        check(&[0x15, 0, 0x15], Err("fill"));
        let nested: Vec<u8> = [0x15, 0, 0x15, 2, 0x15, 2, 0x7c].into_iter().chain([0x1c; 100]).collect();
        check(&nested, Err("nested"));
    }
}
