//! Which fields a record has, in which order: from a header line, a format string, or a default.

use super::field::{FIELDS, Field};
use thiserror::Error;

/// The most fields a layout may have.
pub const LAYOUT_FIELDS_MAX: usize = 200;
/// The place of a field that the layout lacks. Invariant: above every place that a layout has.
pub(super) const ABSENT: u8 = 255;

/// The default format of VPC flow logs (AWS, "Flow log records", "Default format").
pub const DEFAULT: &str = "version account-id interface-id srcaddr dstaddr srcport dstport protocol packets bytes start \
                           end action log-status";
/// The default format of Transit Gateway flow logs (AWS, "Transit Gateway Flow Log records").
pub const TRANSIT_GATEWAY: &str = "version resource-type account-id tgw-id tgw-attachment-id tgw-src-vpc-account-id \
    tgw-dst-vpc-account-id tgw-src-vpc-id tgw-dst-vpc-id tgw-src-subnet-id tgw-dst-subnet-id tgw-src-eni tgw-dst-eni \
    tgw-src-az-id tgw-dst-az-id tgw-pair-attachment-id srcaddr dstaddr srcport dstport protocol packets bytes start end \
    log-status type packets-lost-no-route packets-lost-blackhole packets-lost-mtu-exceeded packets-lost-ttl-expired \
    tcp-flags region flow-direction pkt-src-aws-service pkt-dst-aws-service";

/// A layout that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum LayoutError {
    /// No field at all.
    #[error("the layout names no field: write the field names of the flow log, such as `{DEFAULT}`")]
    Empty,
    /// Too many fields.
    #[error("the layout has {0} fields, more than {LAYOUT_FIELDS_MAX}")]
    TooMany(usize),
    /// A field twice.
    #[error("the layout names `{0}` twice")]
    Twice(String),
    /// No known field at all.
    #[error("the layout names no field of AWS flow logs, such as srcaddr or dstaddr: `{0}`")]
    Unknown(String),
    /// Not a name.
    #[error("`{0}` is not a field name: letters, digits, hyphens and underscores only")]
    NotAName(String),
}

/// One place of the layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    /// The name with hyphens.
    pub(super) name: String,
    /// None for a field that is not known here.
    pub(super) field: Option<Field>,
}

/// Field order of one object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    slots: Vec<Slot>,
    places: [u8; FIELDS],
    /// Places whose value always goes to `unmapped`, with the start of the JSON member: `"name":"`.
    unmapped: Vec<(u8, String)>,
    transit_gateway: bool,
    beyond_default: bool,
    checked: bool,
}

impl Layout {
    /// Reads field names separated by spaces or commas: hyphens or underscores, bare or as `${srcaddr}`.
    ///
    /// # Errors
    /// When no known field is named, a name is none, appears twice, or there are too many.
    pub fn parse(text: &str) -> Result<Self, LayoutError> {
        let names = text.split(|c: char| c.is_whitespace() || c == ',').filter(|name| !name.is_empty());
        let mut slots = Vec::new();
        for name in names {
            slots.push(slot(name).ok_or_else(|| LayoutError::NotAName(name.chars().take(80).collect()))?);
        }
        Self::from_slots(slots)
    }

    /// The layout of a header line, or none when the line is no header. Fields of a later version are accepted as long as
    /// most names are known.
    #[must_use]
    pub fn from_header(line: &[u8]) -> Option<Self> {
        let line = std::str::from_utf8(line).ok()?.trim_end();
        if line.len() > LAYOUT_FIELDS_MAX * 64 || !line.starts_with(|c: char| c.is_ascii_lowercase()) {
            return None;
        }
        let slots: Vec<Slot> = line.split_ascii_whitespace().map(slot).collect::<Option<_>>()?;
        let known = slots.iter().filter(|slot| slot.field.is_some()).count();
        if known < 2 || known * 2 < slots.len() {
            return None;
        }
        Self::from_slots(slots).ok()
    }

    /// The layout of named columns, as in a Parquet file.
    pub(super) fn from_names<'a>(names: impl Iterator<Item = &'a str>) -> Result<Self, LayoutError> {
        let slots = names.map(|name| slot(name).ok_or_else(|| LayoutError::NotAName(name.chars().take(80).collect())));
        Self::from_slots(slots.collect::<Result<_, _>>()?)
    }

    fn from_slots(slots: Vec<Slot>) -> Result<Self, LayoutError> {
        if slots.is_empty() {
            return Err(LayoutError::Empty);
        }
        if slots.len() > LAYOUT_FIELDS_MAX {
            return Err(LayoutError::TooMany(slots.len()));
        }
        let mut layout = Self {
            places: [ABSENT; FIELDS],
            unmapped: Vec::new(),
            transit_gateway: false,
            beyond_default: false,
            checked: false,
            slots,
        };
        for (index, slot) in layout.slots.iter().enumerate() {
            if layout.slots[..index].iter().any(|earlier| earlier.name == slot.name) {
                return Err(LayoutError::Twice(slot.name.clone()));
            }
            let place = u8::try_from(index).expect("fewer fields than LAYOUT_FIELDS_MAX");
            let Some(field) = slot.field else {
                layout.unmapped.push((place, json_member(&slot.name)));
                layout.beyond_default = true;
                continue;
            };
            layout.places[field as usize] = place;
            layout.transit_gateway |= field.is_transit_gateway();
            layout.beyond_default |= field as usize > Field::LogStatus as usize;
            layout.checked |= field.is_checked();
            if field.is_unmapped() {
                layout.unmapped.push((place, json_member(&slot.name)));
            }
        }
        if layout.slots.iter().all(|slot| slot.field.is_none()) {
            let names: Vec<&str> = layout.slots.iter().take(20).map(|slot| slot.name.as_str()).collect();
            return Err(LayoutError::Unknown(names.join(" ")));
        }
        Ok(layout)
    }

    /// How many fields a record has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Never: a layout has fields.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// The names in order, with hyphens, separated by spaces.
    #[must_use]
    pub fn names(&self) -> String {
        self.slots.iter().map(|slot| slot.name.as_str()).collect::<Vec<_>>().join(" ")
    }

    /// What a person should know of it.
    #[must_use]
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let unknown: Vec<&str> =
            self.slots.iter().filter(|slot| slot.field.is_none()).map(|slot| slot.name.as_str()).collect();
        if !unknown.is_empty() {
            notes.push(format!("fields not known to this version, kept in `unmapped`: {}", unknown.join(", ")));
        }
        let lacks = |wanted: [Field; 2]| wanted.iter().all(|&field| self.place(field) == ABSENT);
        if lacks([Field::Srcaddr, Field::PktSrcaddr]) || lacks([Field::Dstaddr, Field::PktDstaddr]) {
            notes.push("the layout lacks the address of an end: flows have no peer there".to_owned());
        }
        if lacks([Field::Start, Field::End]) {
            notes.push("the layout has no time: `time_quality` is `missing`".to_owned());
        }
        notes
    }

    /// Whether the line's words are this layout's names.
    pub(super) fn is_own_header(&self, line: &str) -> bool {
        let mut words = line.split_ascii_whitespace();
        self.slots.iter().all(|own| words.next().is_some_and(|word| same_name(word, &own.name)))
            && words.next().is_none()
    }

    #[inline]
    pub(super) fn place(&self, field: Field) -> u8 {
        self.places[field as usize]
    }

    pub(super) fn unmapped(&self) -> &[(u8, String)] {
        &self.unmapped
    }

    /// Whether the records are those of a Transit Gateway.
    pub(super) fn is_transit_gateway(&self) -> bool {
        self.transit_gateway
    }

    /// Whether it has fields that the default format lacks.
    pub(super) fn is_beyond_default(&self) -> bool {
        self.beyond_default
    }

    /// Whether some field would refuse the words of a header line.
    pub(super) fn is_checked(&self) -> bool {
        self.checked
    }
}

fn same_name(word: &str, name: &str) -> bool {
    word.len() == name.len() && word.bytes().zip(name.bytes()).all(|(a, b)| a == b || (a == b'_' && b == b'-'))
}

fn slot(word: &str) -> Option<Slot> {
    let word = word.strip_prefix("${").and_then(|word| word.strip_suffix('}')).unwrap_or(word);
    let letters = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if word.is_empty() || word.len() > 128 || !word.bytes().all(letters) || !word.as_bytes()[0].is_ascii_alphabetic() {
        return None;
    }
    let name = word.to_ascii_lowercase().replace('_', "-");
    Some(Slot { field: Field::from_name(&name), name })
}

/// `"name":"`: names are letters, digits and hyphens, so nothing needs escaping.
fn json_member(name: &str) -> String {
    format!("\"{name}\":\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_layout_in_every_spelling() {
        let layout = Layout::parse("version vpc-id srcaddr").expect("valid");
        for text in ["version vpc_id srcaddr", "${version} ${vpc-id} ${srcaddr}", "VERSION, vpc_id,srcaddr "] {
            assert_eq!(Layout::parse(text).as_ref(), Ok(&layout), "{text}");
        }
        assert!(layout.is_own_header("version vpc-id srcaddr"));
        assert!(layout.is_own_header("version vpc_id srcaddr\r"));
        assert!(!layout.is_own_header("version vpc-id srcaddr dstaddr"));
        assert!(!layout.is_own_header("version vpc-id"));
    }

    #[test]
    fn layouts_that_cannot_be_used() {
        let check = |text: &str, expected: &str| {
            let error = Layout::parse(text).expect_err(text).to_string();
            assert!(error.contains(expected), "{error}");
        };
        check(" ", "names no field");
        check("srcaddr dstaddr srcaddr", "`srcaddr` twice");
        check("foo bar", "names no field of AWS");
        check("srcaddr %START_TIME%", "is not a field name");
        check(&(0..201).map(|n| format!("f{n}")).collect::<Vec<_>>().join(" "), "more than 200");
    }

    #[test]
    fn headers_and_what_looks_like_one() {
        let check = |line: &str, expected: Option<usize>| {
            assert_eq!(Layout::from_header(line.as_bytes()).map(|layout| layout.len()), expected, "{line}");
        };
        check(DEFAULT, Some(14));
        check(TRANSIT_GATEWAY, Some(36));
        check("version srcaddr dstaddr new-field-of-v12", Some(4));
        check("version srcaddr dstaddr\r", Some(3));
        check("start the end of something entirely else", None);
        check("srcaddr", None);
        check("2 123456789010 eni-1235b8ca123456789 - - - - - - - 1431280876 1431280934 - NODATA", None);
        check("version srcaddr dstaddr 10.0.0.1", None);
    }

    #[test]
    fn notes_name_what_is_unusual() {
        let notes = |text: &str| Layout::parse(text).expect("valid").notes().join("; ");
        assert_eq!(notes(DEFAULT), "");
        assert!(notes("version srcaddr new-field start").contains("new-field"));
        assert!(notes("version srcaddr dstaddr").contains("no time"));
    }
}
