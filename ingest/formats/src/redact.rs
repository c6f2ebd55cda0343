//! What must never enter the lake: query strings, tokens, passwords and the names of persons in URLs. Not a search for
//! secrets in payload, since no payload is read.
//!
//! Formats keep no field that is meant for secrets (cookies, authorization, statements). This module is for fields that are
//! kept and may hold some by accident: paths, messages, names of keys.

use std::borrow::Cow;

/// What stands where something was cut.
pub(crate) const REDACTED: &str = "[redacted]";

/// Whether a value of that name may be a secret or a query and so is never kept.
#[must_use]
pub(crate) fn is_secret(name: &str) -> bool {
    const WORDS: [&str; 11] = [
        "authorization",
        "cookie",
        "token",
        "secret",
        "password",
        "passwd",
        "api-key",
        "api_key",
        "apikey",
        "query_param",
        "credential",
    ];
    contains_word(name, &WORDS)
}

/// Whether `name` has one of the lower-case words in it, in any case.
fn contains_word(name: &str, words: &[&str]) -> bool {
    let name = name.as_bytes();
    words.iter().any(|word| name.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word.as_bytes())))
}

/// A text that may hold URLs, addresses of persons or tokens, without them. Nearly every text is returned as it is.
#[must_use]
#[inline]
pub(crate) fn text(text: &str) -> Cow<'_, str> {
    if may_hold_private(text.as_bytes()) { Cow::Owned(without_private(text)) } else { Cow::Borrowed(text) }
}

/// A JSON value as it stands, or, where it is a text with private parts, without them.
#[must_use]
#[inline]
pub(crate) fn json(raw: &str) -> Cow<'_, str> {
    if memchr::memchr2(b'?', b'@', raw.as_bytes()).is_some() && raw.starts_with('"') {
        return json_text(raw);
    }
    Cow::Borrowed(raw)
}

#[cold]
fn json_text(raw: &str) -> Cow<'_, str> {
    let Ok(given) = serde_json::from_str::<String>(raw) else { return Cow::Borrowed(raw) };
    match text(&given) {
        Cow::Borrowed(_) => Cow::Borrowed(raw),
        Cow::Owned(clean) => serde_json::to_string(&clean).map_or(Cow::Borrowed(raw), Cow::Owned),
    }
}

/// Whether one of the characters is there without which nothing private is found.
#[inline]
fn may_hold_private(bytes: &[u8]) -> bool {
    memchr::memchr3(b'?', b'@', b'=', bytes).is_some()
        || memchr::memmem::find(bytes, b"eyJ").is_some()
        || memchr::memmem::find(bytes, b"uthorization").is_some()
        || (bytes.len() >= BEARER.len() && has_bearer(bytes))
}

const BEARER: &[u8] = b"bearer ";

fn has_bearer(bytes: &[u8]) -> bool {
    memchr::memchr2_iter(b'b', b'B', bytes)
        .any(|at| bytes.get(at..at + BEARER.len()).is_some_and(|word| word.eq_ignore_ascii_case(BEARER)))
}

#[cold]
fn without_private(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut hides_next = false;
    for (index, word) in text.split(' ').enumerate() {
        if index > 0 {
            clean.push(' ');
        }
        if hides_next && !word.is_empty() {
            clean.push_str(REDACTED);
            hides_next = false;
            continue;
        }
        hides_next = ["bearer", "basic"].iter().any(|scheme| {
            word.len() >= scheme.len() && word.is_char_boundary(word.len() - scheme.len()) && {
                word[word.len() - scheme.len()..].eq_ignore_ascii_case(scheme) && hides(text, scheme)
            }
        });
        push_word(word, &mut clean);
    }
    clean
}

/// `Basic` is an ordinary word unless the text speaks of authorization.
fn hides(text: &str, scheme: &str) -> bool {
    scheme == "bearer" || contains_word(text, &["authorization"])
}

/// Adds a word without the query of a URL, the user of an address and the value of a secret.
fn push_word(word: &str, clean: &mut String) {
    const BRACKETS: [char; 10] = ['"', '\'', '(', ')', '<', '>', '[', ']', ',', ';'];
    let mut rest = word;
    while !rest.is_empty() {
        let end = rest.find(BRACKETS).unwrap_or(rest.len());
        push_part(&rest[..end], clean);
        let next = rest[end..].chars().next().map_or(end, |bracket| end + bracket.len_utf8());
        clean.push_str(&rest[end..next]);
        rest = &rest[next..];
    }
}

fn push_part(part: &str, clean: &mut String) {
    // A query hangs on a path or a URL; a question mark at the end of a word is one.
    let (part, has_query) = match part.find('?') {
        Some(at) if at + 1 < part.len() => (&part[..at], true),
        _ => (part, false),
    };
    let value_of_secret = part.split_once('=').filter(|(name, value)| !value.is_empty() && is_secret(name));
    if let Some((name, _)) = value_of_secret {
        clean.push_str(name);
        clean.push('=');
        clean.push_str(REDACTED);
    } else if is_token(part) {
        clean.push_str(REDACTED);
    } else if let Some(at) = part.find('@') {
        push_without_user(part, at, clean);
    } else {
        clean.push_str(part);
    }
    if has_query {
        clean.push('?');
        clean.push_str(REDACTED);
    }
}

/// `user@host` and `scheme://user:password@host/path`: the host stays. Other uses of the sign stay whole, such as the
/// `name@provider` of a router or a digest behind the name of an image.
fn push_without_user(part: &str, at: usize, clean: &mut String) {
    if let Some(scheme) = part[..at].find("://") {
        clean.push_str(&part[..scheme + 3]);
        clean.push_str(REDACTED);
        clean.push_str(&part[at..]);
        return;
    }
    // The percent-encoded sign is found where paths are cut.
    let start = part[..at].rfind(['/', '=', ':', '&']).map_or(0, |before| before + 1);
    let host = &part[at + 1..];
    let host = &host[..host.find(['/', ':', '&', '=']).unwrap_or(host.len())];
    let is_address = at > start
        && host.contains('.')
        && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'));
    if is_address {
        clean.push_str(&part[..start]);
        clean.push_str(REDACTED);
    } else {
        clean.push_str(&part[..at]);
    }
    clean.push_str(&part[at..]);
}

/// Whether it has the form of a JSON Web Token (RFC 7519, section 3.1): base64 of `{"`, dots between.
fn is_token(part: &str) -> bool {
    part.find("eyJ").is_some_and(|at| part[at..].contains('.') || part.len() - at > 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(given: &str, expected: &str) {
        assert_eq!(text(given), expected, "{given}");
    }

    #[test]
    fn ordinary_texts_stay() {
        for given in [
            "",
            "via_upstream",
            "what? no",
            "upstream_reset_before_response_started{connection_termination}",
            "router@kubernetes",
            "a basic test",
            "key=value",
            "image@sha256:0123",
            "10.0.0.1:80",
            "é@",
        ] {
            check(given, given);
        }
    }

    #[test]
    fn private_parts_are_cut() {
        check("GET http://host/a?b=c HTTP/1.1", "GET http://host/a?[redacted] HTTP/1.1");
        check("/a?token=1", "/a?[redacted]");
        check("jane.doe@example.org", "[redacted]@example.org");
        check("mail (jane@example.org)", "mail ([redacted]@example.org)");
        check("/users/jane@example.org/inbox", "/users/[redacted]@example.org/inbox");
        check("https://u:p@host/x", "https://[redacted]@host/x");
        check("Authorization: Bearer abc.def", "Authorization: Bearer [redacted]");
        check("authorization: Basic abc", "authorization: Basic [redacted]");
        check("password=hunter2 x=1", "password=[redacted] x=1");
        check("eyJhbGciOi.eyJzdWIi.c2ln", "[redacted]");
    }

    #[test]
    fn names_of_secrets() {
        for name in ["Authorization", "x-API-key", "set_cookie", "ACCESS_TOKEN"] {
            assert!(is_secret(name), "{name}");
        }
        for name in ["user_agent", "path", "x"] {
            assert!(!is_secret(name), "{name}");
        }
    }
}
