//! How AWS flow logs are chosen: by a header, an envelope, the shape of the lines, or a given layout.

use super::page::PAGE;
use super::{AwsVpc, CloudWatch, DEFAULT, Layout, NAME, TRANSIT_GATEWAY};
use crate::contract::Format;
use crate::detect::{Chosen, Framing, first_line};
use crate::framing::Records;
use crate::registry::{Family, Recognised};
use std::sync::Arc;

/// How many lines are tried against a known layout.
const LINES_TRIED: usize = 20;

/// AWS VPC and Transit Gateway flow logs.
pub(crate) static FAMILY: Family = Family {
    name: NAME,
    summary: "AWS VPC and Transit Gateway flow logs: text, CloudWatch Logs envelopes, Parquet; `aws_vpc:FIELD FIELD …` gives the \
              fields of lines without a header",
    decoders: || {
        let layout = default_layout();
        let lines: Arc<dyn Format> = Arc::new(AwsVpc::new(layout.clone()));
        vec![(lines, Records::Lines), (Arc::new(CloudWatch::new(layout)), Records::JsonObjects)]
    },
    recognise: |head| by_content(head, None).map(Recognised::Connections),
    named,
    check_layout: Some(|layout| Layout::parse(layout).map(|_| ()).map_err(|error| error.to_string())),
    page: PAGE,
};

fn named(head: &[u8], layout: Option<&str>) -> Result<Chosen, String> {
    let layout = layout.map(Layout::parse).transpose().map_err(|error| error.to_string())?;
    by_content(head, layout.as_ref()).ok_or_else(|| {
        format!(
            "its first line has {} fields separated by spaces, no header, and is no default layout; give its fields with \
             `--input-format 'aws_vpc:version interface-id srcaddr dstaddr …'`",
            first_line(head).split(|&byte| byte == b' ').count()
        )
    })
}

/// Flow logs by content; lines without a header have `layout` where one is given.
fn by_content(head: &[u8], layout: Option<&Layout>) -> Option<Chosen> {
    if head.starts_with(b"PAR1") {
        let format = Arc::new(AwsVpc::new(default_layout()));
        return Some(Chosen::new(format, Framing::Parquet, "Parquet magic number".to_owned()));
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
        return Some(Chosen { notes, ..Chosen::new(format, framing, "CloudWatch Logs envelope".to_owned()) });
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
    Chosen { notes, has_headers: true, ..Chosen::new(format, Framing::Text(Records::Lines), reason) }
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
    let begin = head.iter().position(|byte| !byte.is_ascii_whitespace() && *byte != b'[').unwrap_or(head.len());
    let head = &head[begin..];
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

fn header_end(head: &[u8]) -> usize {
    let start = head.iter().position(|byte| !byte.is_ascii_whitespace()).unwrap_or(head.len());
    memchr::memchr(b'\n', &head[start..]).map_or(head.len(), |end| start + end + 1)
}
