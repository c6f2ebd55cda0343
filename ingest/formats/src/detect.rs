//! Chooses the format of an object from its first bytes and what the user asked for, and says why.

use crate::aws_vpc::{self, AwsVpc, CloudWatch, DEFAULT, Layout, TRANSIT_GATEWAY};
use crate::contract::Format;
use crate::envoy;
use crate::framing::{BOM, Records};
use crate::zeek::{self, Ascii};
use std::ops::Range;
use std::str::FromStr;
use std::sync::Arc;
use thiserror::Error;

/// How many bytes of an object are worth looking at.
pub const HEAD_BYTES: usize = 64 * 1024;
/// How many lines are tried against a known layout.
const LINES_TRIED: usize = 20;

const AUTO: &str = "auto";
const ENVOY: &str = "envoy";

/// Names of the formats and what they are, for help texts.
#[must_use]
pub fn names() -> &'static [(&'static str, &'static str)] {
    &[
        (AUTO, "by content"),
        (
            aws_vpc::NAME,
            "AWS VPC and Transit Gateway flow logs: text, CloudWatch Logs envelopes, Parquet; `aws_vpc:FIELD FIELD …` \
             gives the fields of lines without a header",
        ),
        (ENVOY, "Envoy and Istio access logs: text and JSON; `envoy:FORMAT STRING` gives the text format"),
        (zeek::NAME, "Zeek's conn.log: text and JSON; `zeek:FIELD FIELD …` gives the fields of lines without a header"),
    ]
}

/// What the user asked for: `auto`, a name, or a name and a layout.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum FormatChoice {
    /// By content.
    #[default]
    Auto,
    /// AWS VPC flow logs; none: the layout of the header, else a default one.
    AwsVpc(Option<Layout>),
    /// Envoy access logs with a format string; none: by content.
    Envoy(Option<String>),
    /// Zeek's conn.log; none: by content, else the field names of lines without a header.
    Zeek(Option<String>),
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
    names().iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

impl FromStr for FormatChoice {
    type Err = FormatChoiceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, layout) = match text.split_once(':') {
            Some((name, layout)) => (name.trim(), Some(layout)),
            None => (text.trim(), None),
        };
        let fault = |name, detail: String| FormatChoiceError::Layout { name, detail };
        match (name, layout) {
            (AUTO, None) => Ok(Self::Auto),
            (AUTO, Some(_)) => Err(fault(AUTO, "a layout needs the name of its format before it".to_owned())),
            (aws_vpc::NAME, None) => Ok(Self::AwsVpc(None)),
            (aws_vpc::NAME, Some(layout)) => {
                let layout = Layout::parse(layout).map_err(|error| fault(aws_vpc::NAME, error.to_string()))?;
                Ok(Self::AwsVpc(Some(layout)))
            }
            (ENVOY, None) => Ok(Self::Envoy(None)),
            (ENVOY, Some(layout)) => {
                envoy_layout(layout).map_err(|detail| fault(ENVOY, detail))?;
                Ok(Self::Envoy(Some(layout.to_owned())))
            }
            (zeek::NAME, None) => Ok(Self::Zeek(None)),
            (zeek::NAME, Some(names)) => {
                Ascii::with_fields(names).map_err(|error| fault(zeek::NAME, error.to_string()))?;
                Ok(Self::Zeek(Some(names.to_owned())))
            }
            _ => Err(FormatChoiceError::Name { name: name.to_owned() }),
        }
    }
}

/// How the object is cut into what [`Format::decode`] takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// By [`crate::framing::Chunks`].
    Text(Records),
    /// The whole file, by [`aws_vpc::decode_parquet`].
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
    let mut chosen = match wanted {
        FormatChoice::Auto => auto(text),
        FormatChoice::AwsVpc(layout) => vpc(text, layout.as_ref()),
        FormatChoice::Envoy(Some(layout)) => {
            let format = envoy_layout(layout);
            let format = format.map_err(|detail| UnknownFormat::Mismatch { name: ENVOY, detail })?;
            Ok(chosen(format, Framing::Text(Records::Lines), "the given format string".to_owned()))
        }
        FormatChoice::Envoy(None) => envoy_content(text).ok_or_else(|| UnknownFormat::Mismatch {
            name: ENVOY,
            detail: "its lines have neither a default format nor JSON with known keys; give the format string with \
                     `--input-format 'envoy:[%START_TIME%] …'`"
                .to_owned(),
        }),
        FormatChoice::Zeek(names) => zeek_content(text, names.as_deref()),
    }?;
    chosen.skip += bom;
    Ok(chosen)
}

fn chosen(format: Arc<dyn Format>, framing: Framing, reason: String) -> Chosen {
    Chosen { format, framing, skip: 0, reason, notes: Vec::new(), has_headers: false }
}

fn auto(head: &[u8]) -> Result<Chosen, UnknownFormat> {
    if let Some(chosen) = vpc_content(head, None) {
        return Ok(chosen);
    }
    if let Some(sniffed) = zeek::sniff(head) {
        return match &sniffed.other_log {
            None => Ok(of_zeek(sniffed)),
            Some(detail) => Err(UnknownFormat::Unrecognised { detail: detail.clone() }),
        };
    }
    if let Some(chosen) = envoy_content(head) {
        return Ok(chosen);
    }
    let line = first_line(head);
    let count = |separator: u8| line.split(|&byte| byte == separator).count();
    let (fields, separator) = match (count(b'\t'), count(b' ')) {
        (tabs, spaces) if tabs > spaces => (tabs, "tabs"),
        (_, spaces) => (spaces, "spaces"),
    };
    let printable = std::str::from_utf8(line).is_ok_and(|line| !line.contains(|c: char| c.is_control() && c != '\t'));
    let detail = if !printable {
        "its first line is not text; if it is packed, only gzip, zstd and framed Snappy are unpacked".to_owned()
    } else {
        format!(
            "its first line has {fields} fields separated by {separator} and no header; say what it is with \
             `--input-format`, such as `--input-format 'aws_vpc:version interface-id srcaddr dstaddr …'`, \
             `'envoy:[%START_TIME%] …'` or `'zeek:ts uid id.orig_h id.orig_p …'`"
        )
    };
    Err(UnknownFormat::Unrecognised { detail })
}

fn vpc(head: &[u8], layout: Option<&Layout>) -> Result<Chosen, UnknownFormat> {
    vpc_content(head, layout).ok_or_else(|| UnknownFormat::Mismatch {
        name: aws_vpc::NAME,
        detail: format!(
            "its first line has {} fields separated by spaces, no header, and is no default layout; give its fields with \
             `--input-format 'aws_vpc:version interface-id srcaddr dstaddr …'`",
            first_line(head).split(|&byte| byte == b' ').count()
        ),
    })
}

/// Flow logs by content; lines without a header have `layout` where one is given.
fn vpc_content(head: &[u8], layout: Option<&Layout>) -> Option<Chosen> {
    if head.starts_with(b"PAR1") {
        let format = Arc::new(AwsVpc::new(default_layout()));
        return Some(chosen(format, Framing::Parquet, "Parquet magic number".to_owned()));
    }
    if let Some(header) = Layout::from_header(first_line(head)) {
        let mut reason = format!("header line with {} fields", header.len());
        if layout.is_some_and(|layout| *layout != header) {
            reason.push_str(", which replaces the given layout");
        }
        let mut chosen = lines(header, reason);
        chosen.skip = header_end(head);
        return Some(chosen);
    }
    if is_envelope(head) {
        let guessed = layout.is_none();
        let layout = layout.cloned().unwrap_or_else(|| envelope_layout(head));
        let mut notes = layout.notes();
        if guessed {
            notes.push(format!("the envelope does not tell the layout; taken: `{}`", layout.names()));
        }
        let framing = Framing::Text(Records::JsonObjects);
        let format = Arc::new(CloudWatch::new(layout));
        return Some(Chosen { notes, ..chosen(format, framing, "CloudWatch Logs envelope".to_owned()) });
    }
    if let Some(layout) = layout {
        return Some(lines(layout.clone(), "the given layout".to_owned()));
    }
    let tried = head.split(|&byte| byte == b'\n').take(LINES_TRIED);
    let layout = tried.filter_map(|line| std::str::from_utf8(line).ok()).find_map(known_layout)?;
    let fields = layout.len();
    let mut chosen = lines(layout, format!("lines with the shape of the default layout of {fields} fields"));
    chosen.notes.push("no header: the layout is guessed from the shape of the lines".to_owned());
    Some(chosen)
}

fn lines(layout: Layout, reason: String) -> Chosen {
    let notes = layout.notes();
    let format = Arc::new(AwsVpc::new(layout));
    Chosen { notes, has_headers: true, ..chosen(format, Framing::Text(Records::Lines), reason) }
}

fn default_layout() -> Layout {
    Layout::parse(DEFAULT).expect("the default layout is valid")
}

/// The default layout that a line has the shape of: the right count of words, and the right ones where they are fixed.
fn known_layout(line: &str) -> Option<Layout> {
    let words: Vec<&str> = line.split_ascii_whitespace().take(40).collect();
    let number = |word: &str| word == "-" || (!word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit()));
    let status = |word: &str| matches!(word, "OK" | "NODATA" | "SKIPDATA");
    let text = match words.as_slice() {
        [version, _, _, _, _, ports @ .., start, end, action, last]
            if words.len() == 14
                && [version, start, end].into_iter().chain(ports).all(|word| number(word))
                && matches!(*action, "ACCEPT" | "REJECT" | "-")
                && status(last) =>
        {
            DEFAULT
        }
        _ if words.len() == 36
            && words[3].starts_with("tgw-")
            && words[18..25].iter().all(|word| number(word))
            && status(words[25]) =>
        {
            TRANSIT_GATEWAY
        }
        _ => return None,
    };
    Layout::parse(text).ok()
}

/// Whether the first object has the keys of an envelope; they come before the events.
fn is_envelope(head: &[u8]) -> bool {
    let head = head.trim_ascii_start();
    let has = |key: &[u8]| memchr::memmem::find(head, key).is_some();
    head.starts_with(b"{") && has(b"\"messageType\"") && (has(b"\"logEvents\"") || has(b"\"logGroup\""))
}

/// The default layout that the first message in an envelope has the shape of, else the default of interfaces.
fn envelope_layout(head: &[u8]) -> Layout {
    const KEY: &[u8] = b"\"message\":\"";
    let messages = memchr::memmem::find_iter(head, KEY).take(LINES_TRIED).map(|at| {
        let rest = &head[at + KEY.len()..];
        &rest[..memchr::memchr(b'"', rest).unwrap_or(rest.len())]
    });
    messages
        .filter_map(|message| std::str::from_utf8(message).ok())
        .find_map(known_layout)
        .unwrap_or_else(default_layout)
}

fn envoy_content(head: &[u8]) -> Option<Chosen> {
    let (format, reason) = envoy::sniff(head)?;
    Some(chosen(format, Framing::Text(Records::Lines), reason))
}

/// Zeek's logs by content, even those without connections; else lines with the given fields.
fn zeek_content(head: &[u8], names: Option<&str>) -> Result<Chosen, UnknownFormat> {
    let mismatch = |detail: String| UnknownFormat::Mismatch { name: zeek::NAME, detail };
    match (zeek::sniff(head), names) {
        (Some(sniffed), _) => Ok(of_zeek(sniffed)),
        (None, Some(names)) => {
            let format = Ascii::with_fields(names).map_err(|error| mismatch(error.to_string()))?;
            let chosen = chosen(Arc::new(format), Framing::Text(Records::Lines), "the given fields".to_owned());
            Ok(Chosen { has_headers: true, ..chosen })
        }
        (None, None) => Err(mismatch(
            "it begins with neither a `#` header nor JSON with Zeek's names; give the fields with `--input-format \
             'zeek:ts uid id.orig_h id.orig_p id.resp_h id.resp_p …'`"
                .to_owned(),
        )),
    }
}

fn of_zeek(sniffed: zeek::Sniffed) -> Chosen {
    let mut notes = sniffed.notes;
    notes.extend(sniffed.other_log);
    let chosen = chosen(sniffed.format, Framing::Text(sniffed.records), sniffed.reason);
    Chosen { notes, has_headers: sniffed.has_headers, ..chosen }
}

fn envoy_layout(layout: &str) -> Result<Arc<dyn Format>, String> {
    envoy::from_layout(layout).map_err(|error| error.to_string())
}

fn first_line(head: &[u8]) -> &[u8] {
    let start = head.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(head.len());
    let rest = &head[start..];
    &rest[..memchr::memchr(b'\n', rest).unwrap_or(rest.len())]
}

fn header_end(head: &[u8]) -> usize {
    let start = head.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(head.len());
    memchr::memchr(b'\n', &head[start..]).map_or(head.len(), |end| start + end + 1)
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
