//! A state as named sections, each with a version of its own: what a later version of the program has to read.
//!
//! A section that is not known is left out, one that is missing begins empty, one of an older version goes through the decoder
//! that is kept for it. Each has a checksum, so that a damaged state is an error and never a wrong one. What is in a section is
//! the business of whoever wrote it; where snapshots lie is not known here.
//!
//! ```text
//! "TWSTATE1", then for each section: length of the name (u8), name, version (u32), length (u64), the first 16 bytes of BLAKE3 of
//! name, version and bytes, the bytes (postcard); at the end a name of length 0 and the number of sections (u32). Numbers are little-endian.
//! ```

use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

const MAGIC: &[u8; 8] = b"TWSTATE1";
const CHECKSUM: usize = 16;
/// Sections that one snapshot has at most.
const SECTIONS_MAX: usize = 1024;

/// Writes a snapshot, section by section, into one piece of memory.
#[derive(Debug)]
pub struct SnapshotWriter {
    bytes: Vec<u8>,
    sections: u32,
}

/// A snapshot that was read: which sections there are. Each is decoded when it is taken.
#[derive(Debug)]
pub struct Snapshot<'a> {
    sections: BTreeMap<&'a str, (u32, &'a [u8])>,
    notes: Vec<String>,
}

/// How a version of a section is read.
pub type Decoder<T> = (u32, fn(&[u8]) -> Result<T, SnapshotError>);

/// A snapshot that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// It is not one, or not of this format.
    #[error("these bytes are no snapshot of this format")]
    Format,
    /// It is cut, or some of its bytes are not what they were.
    #[error("the snapshot is damaged: {what}")]
    Damaged {
        /// What does not fit.
        what: String,
    },
    /// What nothing can go on without is not there, or was written by a later version.
    #[error("the snapshot has no section {section} that can be read")]
    Missing {
        /// Its name.
        section: &'static str,
    },
    /// It was made for other windows, partitions or another time of training.
    #[error("the snapshot was made for {stored}, now it is {current}")]
    Other {
        /// What it was made for.
        stored: String,
        /// What is asked for.
        current: String,
    },
}

fn damaged(what: impl Into<String>) -> SnapshotError {
    SnapshotError::Damaged { what: what.into() }
}

/// Of a section's name, version and bytes.
fn checksum(name: &str, version: u32, bytes: &[u8]) -> [u8; CHECKSUM] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(name.as_bytes()).update(&version.to_le_bytes()).update(bytes);
    let mut first = [0; CHECKSUM];
    first.copy_from_slice(&hasher.finalize().as_bytes()[..CHECKSUM]);
    first
}

/// Decodes a section's bytes, all of them.
///
/// # Errors
/// They are not such a value, or more than one.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, SnapshotError> {
    match decode_first(bytes)? {
        (value, []) => Ok(value),
        _ => Err(damaged("something is left over")),
    }
}

/// Decodes the value that bytes begin with, and says what comes after it.
///
/// # Errors
/// They do not begin with such a value.
pub fn decode_first<T: DeserializeOwned>(bytes: &[u8]) -> Result<(T, &[u8]), SnapshotError> {
    postcard::take_from_bytes(bytes).map_err(|error| damaged(error.to_string()))
}

impl Default for SnapshotWriter {
    fn default() -> Self {
        Self { bytes: MAGIC.to_vec(), sections: 0 }
    }
}

impl SnapshotWriter {
    /// Adds a section. Names are words of the code, each used once.
    pub fn add<T: Serialize + ?Sized>(&mut self, name: &'static str, version: u32, state: &T) {
        let length = u8::try_from(name.len()).expect("names of sections are words");
        self.bytes.push(length);
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.extend_from_slice(&version.to_le_bytes());
        // Known when the bytes are there; writing them here at once saves a copy of the state.
        let head = self.bytes.len();
        self.bytes.extend_from_slice(&[0; 8 + CHECKSUM]);
        let begin = self.bytes.len();
        let bytes = std::mem::take(&mut self.bytes);
        self.bytes = postcard::to_extend(state, bytes).expect("a state can always be written to memory");
        let length = (self.bytes.len() - begin) as u64;
        let sum = checksum(name, version, &self.bytes[begin..]);
        self.bytes[head..head + 8].copy_from_slice(&length.to_le_bytes());
        self.bytes[head + 8..begin].copy_from_slice(&sum);
        self.sections += 1;
    }

    /// The bytes of the whole.
    #[must_use]
    pub fn finish(mut self) -> Vec<u8> {
        self.bytes.push(0);
        self.bytes.extend_from_slice(&self.sections.to_le_bytes());
        self.bytes
    }
}

/// Bytes that are read from their beginning.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], SnapshotError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or_else(|| damaged("it is cut"))?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], SnapshotError> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }
}

impl<'a> Snapshot<'a> {
    /// Whether bytes are in this format, whole or not.
    #[must_use]
    pub fn is_one(bytes: &[u8]) -> bool {
        bytes.starts_with(MAGIC)
    }

    /// Finds the sections, and checks that each is what was written.
    ///
    /// # Errors
    /// It is no snapshot, or a damaged one.
    pub fn read(bytes: &'a [u8]) -> Result<Self, SnapshotError> {
        let mut rest = Rest(bytes.strip_prefix(MAGIC).ok_or(SnapshotError::Format)?);
        let mut sections = BTreeMap::new();
        loop {
            let [length] = rest.array()?;
            if length == 0 {
                break;
            }
            let name = std::str::from_utf8(rest.take(length.into())?).map_err(|_| damaged("a name is none"))?;
            let version = u32::from_le_bytes(rest.array()?);
            let length = usize::try_from(u64::from_le_bytes(rest.array()?)).map_err(|_| damaged("it is cut"))?;
            let sum: [u8; CHECKSUM] = rest.array()?;
            let bytes = rest.take(length)?;
            if checksum(name, version, bytes) != sum {
                return Err(damaged(format!("section {name} is not what it was")));
            }
            if sections.len() >= SECTIONS_MAX || sections.insert(name, (version, bytes)).is_some() {
                return Err(damaged(format!("section {name} is one too many")));
            }
        }
        let count = u32::from_le_bytes(rest.array()?);
        if usize::try_from(count) != Ok(sections.len()) || !rest.0.is_empty() {
            return Err(damaged("its end is not where it was"));
        }
        Ok(Self { sections, notes: Vec::new() })
    }

    /// Takes a section, by the decoder of its version. None where it is missing, or of a version that has no decoder here: then
    /// it begins empty, and [`Self::notes`] says so.
    ///
    /// # Errors
    /// Its bytes are not what the version says.
    pub fn take<T>(&mut self, name: &'static str, decoders: &[Decoder<T>]) -> Result<Option<T>, SnapshotError> {
        let Some((version, bytes)) = self.sections.remove(name) else {
            self.notes.push(format!("{name} is not in the snapshot, and begins empty"));
            return Ok(None);
        };
        let Some((_, decoder)) = decoders.iter().find(|(known, _)| *known == version) else {
            self.notes.push(format!("{name} of version {version} cannot be read by this version, and begins empty"));
            return Ok(None);
        };
        let named = |error| match error {
            SnapshotError::Damaged { what } => damaged(format!("section {name}: {what}")),
            other => other,
        };
        decoder(bytes).map(Some).map_err(named)
    }

    /// As [`Self::take`], of what begins empty where it is not there.
    ///
    /// # Errors
    /// As [`Self::take`].
    pub fn take_or_default<T: Default>(
        &mut self,
        name: &'static str,
        decoders: &[Decoder<T>],
    ) -> Result<T, SnapshotError> {
        Ok(self.take(name, decoders)?.unwrap_or_default())
    }

    /// As [`Self::take`], of what is needed now or not: then it is dropped without a word.
    ///
    /// # Errors
    /// As [`Self::take`].
    pub fn take_if<T>(
        &mut self,
        is_needed: bool,
        name: &'static str,
        decoders: &[Decoder<T>],
    ) -> Result<Option<T>, SnapshotError> {
        if is_needed {
            return self.take(name, decoders);
        }
        self.sections.remove(name);
        Ok(None)
    }

    /// As [`Self::take`], of what nothing can go on without.
    ///
    /// # Errors
    /// It is not there, cannot be read by this version, or is damaged.
    pub fn need<T>(&mut self, name: &'static str, decoders: &[Decoder<T>]) -> Result<T, SnapshotError> {
        self.take(name, decoders)?.ok_or(SnapshotError::Missing { section: name })
    }

    /// What a person should know of how it was read: what begins empty, and what is left that nobody took.
    #[must_use]
    pub fn notes(mut self) -> Vec<String> {
        let left =
            self.sections.into_keys().map(|name| format!("{name} is not known to this version, and is left out"));
        self.notes.extend(left);
        self.notes
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn written() -> Vec<u8> {
        let mut writer = SnapshotWriter::default();
        writer.add("edges", 1, &vec![1_u32, 2, 3]);
        writer.add("rates", 2, &(0.5_f64, "word"));
        writer.finish()
    }

    /// Version 1 of the rates was one number.
    const RATES: [Decoder<(f64, String)>; 2] =
        [(2, decode), (1, |bytes| Ok((decode::<f64>(bytes)?, String::from("none"))))];

    #[test]
    fn sections_come_back_and_what_is_not_known_is_said() {
        let bytes = written();
        let mut snapshot = Snapshot::read(&bytes).unwrap();
        assert_eq!(snapshot.take("rates", &RATES).unwrap(), Some((0.5, String::from("word"))));
        assert_eq!(snapshot.take::<u8>("votes", &[(1, decode)]).unwrap(), None);
        let expected =
            ["votes is not in the snapshot, and begins empty", "edges is not known to this version, and is left out"];
        assert_eq!(snapshot.notes(), expected);
    }

    #[test]
    fn an_older_version_goes_through_its_decoder() {
        let mut writer = SnapshotWriter::default();
        writer.add("rates", 1, &0.25_f64);
        writer.add("edges", 7, &0_u8);
        let bytes = writer.finish();
        let mut snapshot = Snapshot::read(&bytes).unwrap();
        assert_eq!(snapshot.need("rates", &RATES).unwrap(), (0.25, String::from("none")));
        let missing = Err(SnapshotError::Missing { section: "edges" });
        assert_eq!(snapshot.need::<Vec<u32>>("edges", &[(1, decode)]), missing);
        assert_eq!(snapshot.notes(), ["edges of version 7 cannot be read by this version, and begins empty"]);
    }

    /// Whether bytes are refused, as a whole or when a section is decoded.
    fn is_refused(bytes: &[u8]) -> bool {
        let Ok(mut snapshot) = Snapshot::read(bytes) else { return true };
        let edges = snapshot.need::<Vec<u32>>("edges", &[(1, decode)]);
        !(edges == Ok(vec![1, 2, 3]) && snapshot.need("rates", &RATES).is_ok())
    }

    #[test]
    fn what_is_cut_or_changed_is_refused() {
        let bytes = written();
        assert!(!is_refused(&bytes));
        for length in 0..bytes.len() {
            assert!(is_refused(&bytes[..length]), "{length} bytes");
        }
        for place in 0..bytes.len() {
            for bit in 0..8 {
                let mut changed = bytes.clone();
                changed[place] ^= 1 << bit;
                assert!(is_refused(&changed), "bit {bit} of byte {place}");
            }
        }
        assert!(is_refused(&[bytes.as_slice(), b"x"].concat()));
        assert_eq!(Snapshot::read(b"no").err(), Some(SnapshotError::Format));
    }
}
