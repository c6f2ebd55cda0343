//! What a flow puts into, or takes out of, something that others use too: a topic, queue, table, share, bucket or key at its
//! responder. Names the resource and says which way data went; does not remember, judge, or guess: where a log's words are
//! not known, there is no access.

mod directions;

use crate::event::Conversation;
use directions::{Direction, Noun, direction};

/// Parts of a text are parted by this; no part contains it.
const PART: char = '\u{1f}';
/// The first part of a text: data went to the resource, or came from it.
const WRITES: &str = "w";
const READS: &str = "r";
/// Longest name of a resource that is kept, characters.
const NAME_MAX: usize = 128;

/// Writes which resource a flow accesses and how. False, with an empty text: it accesses none.
pub(crate) fn write(conversation: &Conversation<'_>, into: &mut String) -> bool {
    into.clear();
    let (Some(operation), Some(resource)) = (conversation.operation, conversation.resource) else { return false };
    let Some((noun, direction)) = direction(conversation.app_protocol, operation, resource) else { return false };
    into.push_str(if direction == Direction::Write { WRITES } else { READS });
    into.push(PART);
    into.push_str(noun.as_str());
    into.push(PART);
    let start = into.len();
    into.extend(name(noun, resource).chars().filter(|character| !character.is_control()).take(NAME_MAX));
    let has_name = into.len() > start;
    if !has_name {
        into.clear();
    }
    has_name
}

/// Whether data goes to the resource, and the resource, of a text that [`write()`] made.
pub(crate) fn parts(text: &str) -> Option<(bool, &str)> {
    let (direction, resource) = text.split_once(PART)?;
    Some((direction == WRITES, resource))
}

/// `topic tasks`.
pub(crate) fn words(resource: &str) -> String {
    match resource.split_once(PART) {
        Some((noun, name)) => format!("{noun} {name}"),
        None => resource.to_owned(),
    }
}

/// What is shared: of an object its bucket, of a file its share, of a key what comes before its first colon. The rest names
/// one thing among many, which hardly anybody else ever names again.
fn name(noun: Noun, resource: &str) -> &str {
    let resource = resource.trim();
    let path = resource.split_once("://").map_or(resource, |(_, rest)| rest);
    match noun {
        Noun::Bucket => {
            let path = path.strip_prefix("arn:aws:s3:::").unwrap_or(path);
            path.split('/').find(|part| !part.is_empty()).unwrap_or_default()
        }
        Noun::Share => share(path),
        Noun::Key => path.split(':').next().unwrap_or_default(),
        Noun::Export | Noun::Topic | Noun::Queue | Noun::Subject | Noun::Table => path,
    }
}

/// The share of `\\server\share\folder\file`, or of a path below the share itself.
fn share(path: &str) -> &str {
    let is_slash = |character| matches!(character, '\\' | '/');
    let names_server = path.starts_with("\\\\") || path.starts_with("//");
    path.split(is_slash).filter(|part| !part.is_empty()).nth(usize::from(names_server)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Application protocol, operation and resource; whether it writes, and to what.
    fn check(conversation: [&str; 3], expected: Option<(bool, &str)>) {
        let [app_protocol, operation, resource] = conversation.map(|part| (!part.is_empty()).then_some(part));
        let mut text = String::from("before");
        let said = Conversation { app_protocol, operation, resource, ..Conversation::default() };
        assert_eq!(write(&said, &mut text), expected.is_some(), "{conversation:?}");
        let found = parts(&text).map(|(is_write, resource)| (is_write, words(resource)));
        assert_eq!(found.as_ref().map(|(is_write, words)| (*is_write, words.as_str())), expected, "{conversation:?}");
    }

    #[test]
    fn what_is_shared_is_named() {
        check(["kafka", "Produce", "shop.orders"], Some((true, "topic shop.orders")));
        check(["Kafka", "fetch", "shop.orders"], Some((false, "topic shop.orders")));
        check(["smb", "write", r"\\files\finance\2026\q1.xlsx"], Some((true, "share finance")));
        check(["smb2", "SMB2_READ", "finance/2026"], Some((false, "share finance")));
        check(["nfs", "READ", "/export/home"], Some((false, "export /export/home")));
        check(["s3", "PutObject", "models/v1/weights"], Some((true, "bucket models")));
        check(["http", "GET", "s3://models/v1/weights"], Some((false, "bucket models")));
        check(["", "REST.GET.OBJECT", "arn:aws:s3:::models/v1"], Some((false, "bucket models")));
        check(["redis", "LPUSH", "jobs:17"], Some((true, "key jobs")));
        check(["postgresql", "INSERT INTO", "public.orders"], Some((true, "table public.orders")));
    }

    #[test]
    fn what_is_not_known_is_no_access() {
        check(["http", "GET", "/orders/17"], None);
        check(["http", "POST", "/s3"], None);
        check(["kafka", "Metadata", "shop.orders"], None);
        check(["", "Produce", "shop.orders"], None);
        check(["kafka", "Produce", ""], None);
        check(["kafka", "", "shop.orders"], None);
        check(["s3", "PutObject", "s3://"], None);
        check(["postgresql", "LOGIN", "postgres"], None);
        check(["kafka", "Produce", "\u{1f}\u{0}"], None);
    }

    #[test]
    fn texts_are_bounded() {
        let long = "x".repeat(10_000);
        let mut text = String::new();
        let said = Conversation {
            app_protocol: Some("kafka"),
            operation: Some("produce"),
            resource: Some(&long),
            ..Conversation::default()
        };
        assert!(write(&said, &mut text) && text.len() < 150, "{}", text.len());
    }
}
