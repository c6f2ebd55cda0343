//! Chooses the format of an object from its first bytes and what the user asked for, and says why.

use crate::contract::{Decoded, Format};
use crate::envelope;
use crate::framing::{BOM, Records};
use crate::registry::{self, Family, Recognised, families, family};
use std::ops::Range;
use std::str::FromStr;
use std::sync::Arc;
use thiserror::Error;

/// How many bytes of an object are worth looking at.
pub const HEAD_BYTES: usize = 64 * 1024;

/// How many envelopes may be around each other: syslog inside the output of a container.
const ENVELOPES_MAX: usize = 2;

const AUTO: &str = "auto";

/// Names of the formats and what they are, for help texts.
#[must_use]
pub fn names() -> Vec<(&'static str, &'static str)> {
    let families = families().into_iter().map(|family| (family.name, family.summary));
    std::iter::once((AUTO, "by content")).chain(families).collect()
}

/// What the user asked for: `auto`, a name, or a name and a layout.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum FormatChoice {
    /// By content.
    #[default]
    Auto,
    /// One format; what its layout is, is its own business. Without one: by content, else a default one.
    Named {
        /// Its name.
        name: &'static str,
        /// A layout that the format takes.
        layout: Option<String>,
    },
}

/// A `--input-format` that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FormatChoiceError {
    /// No such format.
    #[error("`{name}` is no input format; known are: {}", known())]
    Name {
        /// What was given.
        name: String,
    },
    /// A layout that the format does not take.
    #[error("the layout of `{name}` cannot be used: {detail}")]
    Layout {
        /// The format.
        name: &'static str,
        /// Why.
        detail: String,
    },
}

fn known() -> String {
    names().into_iter().map(|(name, _)| name).collect::<Vec<_>>().join(", ")
}

impl FromStr for FormatChoice {
    type Err = FormatChoiceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, layout) = match text.split_once(':') {
            Some((name, layout)) => (name.trim(), Some(layout)),
            None => (text.trim(), None),
        };
        let fault = |name, detail: String| FormatChoiceError::Layout { name, detail };
        if name == AUTO {
            return match layout {
                None => Ok(Self::Auto),
                Some(_) => Err(fault(AUTO, "a layout needs the name of its format before it".to_owned())),
            };
        }
        let Some(family) = family(name) else { return Err(FormatChoiceError::Name { name: name.to_owned() }) };
        match (layout, family.check_layout) {
            (None, _) => {}
            (Some(layout), Some(check)) => check(layout).map_err(|detail| fault(family.name, detail))?,
            (Some(_), None) => return Err(fault(family.name, "the format has no layouts".to_owned())),
        }
        Ok(Self::Named { name: family.name, layout: layout.map(str::to_owned) })
    }
}

/// How the object is cut into what [`Format::decode`] takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// By [`crate::framing::Chunks`].
    Text(Records),
    /// The whole file, by [`crate::aws_vpc::decode_parquet`].
    Parquet,
}

/// The format of one object.
#[derive(Clone, Debug)]
pub struct Chosen {
    /// Decodes it. For Parquet it only tells the name.
    pub format: Arc<dyn Format>,
    /// How it is cut.
    pub framing: Framing,
    /// Bytes at the start that hold no record: a byte order mark, a header line.
    pub skip: usize,
    /// How it was chosen, for a person.
    pub reason: String,
    /// What a person should know: guesses, unknown fields.
    pub notes: Vec<String>,
    /// Whether header lines may come later too, so that chunks must go through [`segments`].
    pub has_headers: bool,
}

impl Chosen {
    /// A format that needs nothing but its framing, and why it was chosen.
    pub(crate) fn new(format: Arc<dyn Format>, framing: Framing, reason: String) -> Self {
        Self { format, framing, skip: 0, reason, notes: Vec::new(), has_headers: false }
    }

    /// Records in text that end where `records` says.
    pub(crate) fn text(format: impl Format + 'static, records: Records, reason: impl Into<String>) -> Self {
        Self::new(Arc::new(format), Framing::Text(records), reason.into())
    }
}

/// No format was found.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum UnknownFormat {
    /// There is nothing but white space.
    #[error("there is no record in it")]
    Empty,
    /// Nothing known.
    #[error("no known format: {detail}")]
    Unrecognised {
        /// What was seen and what to do.
        detail: String,
    },
    /// The content does not fit what was asked for.
    #[error("it is not `{name}`: {detail}")]
    Mismatch {
        /// What was asked for.
        name: &'static str,
        /// What was seen and what to do.
        detail: String,
    },
}

/// Chooses the format of an object. `head` is its first bytes after unpacking, [`HEAD_BYTES`] or all there are.
///
/// # Errors
/// When there is no record in it, or when nothing known fits; the message says what to do.
pub fn choose(head: &[u8], wanted: &FormatChoice) -> Result<Chosen, UnknownFormat> {
    let bom = if head.starts_with(BOM) { BOM.len() } else { 0 };
    let text = &head[bom..];
    if text.iter().all(u8::is_ascii_whitespace) {
        return Err(UnknownFormat::Empty);
    }
    let mut chosen = match inside_envelopes(text, wanted, ENVELOPES_MAX) {
        Some(chosen) => chosen,
        None => choose_text(text, wanted)?,
    };
    chosen.skip += bom;
    Ok(chosen)
}

/// The format of the lines inside syslog or what a container runtime writes; none when nothing is around them, or nothing
/// known inside.
fn inside_envelopes(head: &[u8], wanted: &FormatChoice, envelopes_max: usize) -> Option<Chosen> {
    let recognised = envelope::recognise(head).filter(|_| envelopes_max > 0)?;
    let inner = inside_envelopes(&recognised.head, wanted, envelopes_max - 1);
    let inner = inner.or_else(|| choose_text(&recognised.head, wanted).ok())?;
    let wrapped = envelope::wrap(&recognised, inner)?;
    // A layout may be one of whole lines, with what is around them.
    let has_layout = matches!(wanted, FormatChoice::Named { layout: Some(_), .. });
    let is_of_whole_lines = has_layout
        && !has_flows(&wrapped, head)
        && choose_text(head, wanted).is_ok_and(|chosen| has_flows(&chosen, head));
    (!is_of_whole_lines).then_some(wrapped)
}

fn has_flows(chosen: &Chosen, head: &[u8]) -> bool {
    let mut out = Decoded::default();
    chosen.format.decode(&head[chosen.skip.min(head.len())..], 0, &mut out);
    out.counts.flows > 0
}

fn choose_text(head: &[u8], wanted: &FormatChoice) -> Result<Chosen, UnknownFormat> {
    let (name, layout) = match wanted {
        FormatChoice::Auto => return auto(head),
        FormatChoice::Named { name, layout } => (*name, layout.as_deref()),
    };
    let mismatch = |detail| UnknownFormat::Mismatch { name, detail };
    let family = family(name).ok_or_else(|| mismatch("there is no such format".to_owned()))?;
    (family.named)(head, layout).map_err(mismatch)
}

fn auto(head: &[u8]) -> Result<Chosen, UnknownFormat> {
    match registry::FAMILIES.iter().find_map(|family: &&Family| (family.recognise)(head)) {
        Some(Recognised::Connections(chosen)) => Ok(chosen),
        Some(Recognised::OtherLog(detail)) => Err(UnknownFormat::Unrecognised { detail }),
        None => Err(UnknownFormat::Unrecognised { detail: nothing_known(head) }),
    }
}

/// What was seen, and what a person can do.
fn nothing_known(head: &[u8]) -> String {
    let line = first_line(head);
    let count = |separator: u8| line.split(|&byte| byte == separator).count();
    let (fields, separator) = match (count(b'\t'), count(b' ')) {
        (tabs, spaces) if tabs > spaces => (tabs, "tabs"),
        (_, spaces) => (spaces, "spaces"),
    };
    let printable = std::str::from_utf8(line).is_ok_and(|line| !line.contains(|c: char| c.is_control() && c != '\t'));
    if !printable {
        return "its first line is not text; if it is packed, only gzip, zstd and framed Snappy are unpacked"
            .to_owned();
    }
    if line.starts_with(b"{") || line.starts_with(b"[") {
        return "it is JSON with keys of no known format; say what it is with `--input-format`, or describe it with a mapping \
                of your own"
            .to_owned();
    }
    format!(
        "its first line has {fields} fields separated by {separator} and no header; say what it is with \
         `--input-format`, such as `--input-format 'aws_vpc:version interface-id srcaddr dstaddr …'`, \
         `'envoy:[%START_TIME%] …'` or `'zeek:ts uid id.orig_h id.orig_p …'`"
    )
}

/// The first line that is not blank, without its line end.
pub(crate) fn first_line(head: &[u8]) -> &[u8] {
    let start = head.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(head.len());
    let rest = &head[start..];
    &rest[..memchr::memchr(b'\n', rest).unwrap_or(rest.len())]
}

/// The first lines that are text, without blank ones: what a format looks at to recognise itself.
pub(crate) fn first_lines(head: &[u8]) -> impl Iterator<Item = &str> {
    /// How many lines are looked at.
    const LINES_MAX: usize = 50;
    let lines = head.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
    lines.take(LINES_MAX).filter_map(|line| std::str::from_utf8(line).ok())
}

/// Parts of a chunk of whole lines, each with its format: a header line begins a new one, as when objects were joined
/// (`cat a.log b.log`). Decode each part with its own format and go on with the last one.
#[must_use]
pub fn segments(chunk: &[u8], current: &Arc<dyn Format>) -> Vec<(Range<usize>, Arc<dyn Format>)> {
    let mut segments = Vec::new();
    let (mut start, mut format) = (0, Arc::clone(current));
    for (header, next) in current.relayouts(chunk) {
        if header > start {
            segments.push((start..header, format));
        }
        (start, format) = (header, next);
    }
    segments.push((start..chunk.len(), format));
    segments
}
