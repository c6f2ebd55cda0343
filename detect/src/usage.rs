//! What was asked of a responder, as one bounded text: application protocol, operation and resource, without what changes
//! from call to call. Does not judge how usual it is.

use crate::event::Conversation;
use tradewind_model::protocol;

/// Parts of a text are parted by this; no part contains it.
const PART: char = '\u{1f}';
/// What stands for a part of a path that changes from call to call.
pub(crate) const ANY: &str = "*";
/// What stands for a character that cannot be seen, such as the one that parts a text.
pub(crate) const UNSEEN: char = char::REPLACEMENT_CHARACTER;
/// Longest texts of an application protocol, an operation and a name that is no path, characters.
pub(crate) const PROTOCOL_MAX: usize = 32;
pub(crate) const OPERATION_MAX: usize = 64;
const NAME_MAX: usize = 128;
/// Segments of a path that are kept.
const SEGMENTS_MAX: usize = 4;
/// A longer segment is no word.
const SEGMENT_MAX: usize = 32;
/// So many digits make a segment of this length or more a number, not a name.
const NUMBER_DIGITS: usize = 4;
const NUMBER_LENGTH: usize = 10;
/// Hexadecimal digits from this length on are an id.
const ID_LENGTH: usize = 8;

/// Methods of HTTP (RFC 9110 section 9, RFC 5789).
const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];

/// What a use without a resource, an operation and the like is: only those of one shape can be compared, because another
/// observer may see less of the same call.
pub(crate) type Shape = u8;
/// The shape of a use that is nothing but a transport protocol.
pub(crate) const TRANSPORT: Shape = 0;
/// Shapes that there are: a bit for each of three parts.
pub(crate) const SHAPES: Shape = 8;

/// The use that stands for all beyond the bound of a shard.
pub(crate) const OTHERS: &str = "\u{1f}\u{1f}(others)";

/// The parts of a use that is more than a transport protocol. Absent ones are empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parts<'a> {
    pub(crate) app_protocol: &'a str,
    pub(crate) operation: &'a str,
    pub(crate) resource: &'a str,
}

/// Takes a use apart.
pub(crate) fn parts(text: &str) -> Parts<'_> {
    let mut parts = text.splitn(3, PART);
    let mut next = || parts.next().unwrap_or_default();
    Parts { app_protocol: next(), operation: next(), resource: next() }
}

/// Whether an operation is a method of HTTP, as a use has it.
pub(crate) fn is_method(operation: &str) -> bool {
    METHODS.contains(&operation)
}

/// Writes what a flow's conversation asks for.
pub(crate) fn write(conversation: &Conversation<'_>, into: &mut String) {
    into.clear();
    let parts = [conversation.app_protocol, conversation.operation, conversation.resource];
    for (place, part) in parts.into_iter().enumerate() {
        if place > 0 {
            into.push(PART);
        }
        let Some(part) = part else { continue };
        match place {
            0 => {
                clean(part, PROTOCOL_MAX, into);
            }
            1 => operation(part, into),
            _ => resource(part, into),
        }
    }
}

/// A use that is a transport protocol alone.
pub(crate) fn transport(number: u8) -> String {
    match protocol::name(i64::from(number)) {
        Some(name) => name.to_owned(),
        None => format!("IP protocol {number}"),
    }
}

/// The shape of a use.
pub(crate) fn shape(text: &str) -> Shape {
    if !text.contains(PART) {
        return TRANSPORT;
    }
    text.split(PART).zip(0..).map(|(part, place)| if part.is_empty() { 0 } else { 1 << place }).sum()
}

/// Whether a use is more than a protocol.
pub(crate) fn has_request(text: &str) -> bool {
    text.split(PART).skip(1).any(|part| !part.is_empty())
}

/// `DELETE /orders/* (http)`, `kafka`, `udp`.
pub(crate) fn words(text: &str) -> String {
    let mut parts = text.split(PART);
    let (first, operation, resource) = (parts.next(), parts.next(), parts.next());
    let protocol = first.unwrap_or_default();
    let asked: Vec<&str> = [operation, resource].into_iter().flatten().filter(|part| !part.is_empty()).collect();
    match (asked.is_empty(), protocol.is_empty()) {
        (true, _) => protocol.to_owned(),
        (false, true) => asked.join(" "),
        (false, false) => format!("{} ({protocol})", asked.join(" ")),
    }
}

/// What is written for a character: itself, or [`UNSEEN`]. One for one, so that a query can find the text again.
pub(crate) fn visible(character: char) -> char {
    if character.is_control() { UNSEEN } else { character }
}

/// Without the spaces around it, and only these: SQL's `trim` takes away no other white space either.
fn trimmed(text: &str) -> &str {
    text.trim_matches(' ')
}

/// At most so many characters, none of them invisible.
fn clean(text: &str, most: usize, into: &mut String) {
    into.extend(trimmed(text).chars().map(visible).take(most));
}

fn operation(text: &str, into: &mut String) {
    let text = trimmed(text);
    match METHODS.iter().find(|method| method.eq_ignore_ascii_case(text)) {
        Some(method) => into.push_str(method),
        // The path of a remote procedure call is its name.
        None => clean(text, OPERATION_MAX, into),
    }
}

/// A path becomes its template; the name of a topic, table or share stays.
fn resource(text: &str, into: &mut String) {
    let text = trimmed(text);
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest.find('/').map_or("/", |place| &rest[place..]));
    let path = rest.split(['?', '#']).next().unwrap_or_default();
    if !path.starts_with('/') {
        clean(path, NAME_MAX, into);
        return;
    }
    let mut segments = path.split('/').filter(|segment| !segment.is_empty());
    for segment in segments.by_ref().take(SEGMENTS_MAX) {
        into.push('/');
        if is_variable(segment) { into.push_str(ANY) } else { clean(segment, SEGMENT_MAX, into) }
    }
    match (segments.next().is_some(), path) {
        (true, _) => into.push_str("/**"),
        (false, "/") => into.push('/'),
        (false, _) => (),
    }
}

/// Whether a segment names one thing among many: a number, an id, an address, something that had to be escaped.
fn is_variable(segment: &str) -> bool {
    let length = segment.len();
    if length > SEGMENT_MAX || segment.contains(['%', '@']) {
        return true;
    }
    let digits = segment.bytes().filter(u8::is_ascii_digit).count();
    let is_id = |byte: u8| byte.is_ascii_hexdigit() || matches!(byte, b'-' | b'_' | b'.');
    match digits {
        0 => false,
        _ if digits == length => true,
        _ if length >= ID_LENGTH && segment.bytes().all(is_id) => true,
        _ => digits >= NUMBER_DIGITS && length >= NUMBER_LENGTH,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(conversation: [&str; 3], expected: &str, expected_shape: Shape) {
        let [app_protocol, operation, resource] = conversation.map(|part| (!part.is_empty()).then_some(part));
        let mut text = String::from("before");
        write(&Conversation { app_protocol, operation, resource, ..Conversation::default() }, &mut text);
        assert_eq!((words(&text).as_str(), shape(&text)), (expected, expected_shape), "{conversation:?}");
    }

    #[test]
    fn what_changes_from_call_to_call_is_left_out() {
        check(["http", "get", "/orders/42?token=x"], "GET /orders/* (http)", 7);
        check(["http", "GET", "/orders/6f9619ff-8b86-d011-b42d-00cf4fc964ff/lines/"], "GET /orders/*/lines (http)", 7);
        check(["", "DELETE", "/v1/a/b/c/d"], "DELETE /v1/a/b/c/**", 6);
        check(["http", "POST", "https://api.example.com/v2/pay#top"], "POST /v2/pay (http)", 7);
        check(["", "", "/users/anna%40example.com/order-12345"], "/users/*/*", 4);
        check(["", "PROPFIND", "/"], "PROPFIND /", 6);
        check(["", "", "?x=1"], "", 0);
    }

    #[test]
    fn names_stay() {
        check(["kafka", "Produce", "shop.orders.v2"], "Produce shop.orders.v2 (kafka)", 7);
        check(["grpc", "/shop.Cart/AddItem", ""], "/shop.Cart/AddItem (grpc)", 3);
        check(["postgresql", "", ""], "postgresql", 1);
        check(["", "a\u{0}b\u{1f}c", ""], "a\u{fffd}b\u{fffd}c", 2);
        assert_eq!((words(&transport(17)).as_str(), shape(&transport(17))), ("udp", TRANSPORT));
    }

    #[test]
    fn texts_are_bounded() {
        let long = "x".repeat(10_000);
        let path = "/word".repeat(1000);
        let mut text = String::new();
        for (part, most) in [(&long, 300), (&path, 300)] {
            let part = Some(part.as_str());
            let conversation =
                Conversation { app_protocol: part, operation: part, resource: part, ..Conversation::default() };
            write(&conversation, &mut text);
            assert!(text.len() < most, "{}", text.len());
        }
    }
}
