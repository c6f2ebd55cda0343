//! HTTP as access logs print it: the request line, and the path as it is kept. Not a template of paths.

use crate::redact;
use std::borrow::Cow;

/// Most bytes of a path that are kept.
const PATH_BYTES_MAX: usize = 256;

/// The path of a request target in origin form (`/a?b`), absolute form (`http://user@host/a`) or authority form.
fn path(target: &str) -> &str {
    let target = &target[..memchr::memchr2(b'?', b'#', target.as_bytes()).unwrap_or(target.len())];
    let path = if target.starts_with('/') { target } else { without_authority(target) };
    &path[..path.floor_char_boundary(PATH_BYTES_MAX)]
}

fn without_authority(target: &str) -> &str {
    match target.split_once("://") {
        Some((_, rest)) => rest.find('/').map_or("/", |slash| &rest[slash..]),
        None => target.rsplit_once('@').map_or(target, |(_, host)| host),
    }
}

/// The path of a request target that may be kept: as [`path`], without path parameters (`;jsessionid=…`), addresses of
/// persons and tokens.
#[must_use]
#[inline]
pub(crate) fn resource(target: &str) -> Cow<'_, str> {
    /// A shorter path holds no token.
    const TOKEN_BYTES_MIN: usize = 40;
    let path = path(target);
    let bytes = path.as_bytes();
    let is_plain = bytes.len() < TOKEN_BYTES_MIN && memchr::memchr3(b'@', b'%', b';', bytes).is_none();
    if is_plain && memchr::memchr(b'=', bytes).is_none() { Cow::Borrowed(path) } else { without_persons(path) }
}

#[cold]
fn without_persons(path: &str) -> Cow<'_, str> {
    let path = &path[..path.find(';').unwrap_or(path.len())];
    if has_encoded_at(path) { Cow::Owned(without_encoded_persons(path)) } else { redact::text(path) }
}

fn has_encoded_at(path: &str) -> bool {
    memchr::memmem::find(path.as_bytes(), b"%40").is_some()
}

/// Segments with an encoded `@` are left out.
#[cold]
fn without_encoded_persons(path: &str) -> String {
    let segments = path
        .split('/')
        .map(|segment| if has_encoded_at(segment) { redact::REDACTED.into() } else { redact::text(segment) });
    segments.collect::<Vec<_>>().join("/")
}

/// A request line (RFC 9112, section 3): method, target and version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RequestLine<'a> {
    pub(crate) method: &'a str,
    /// Not redacted yet: see [`resource`].
    pub(crate) target: &'a str,
    /// Such as `HTTP/1.1`; empty where the line has none, as in HTTP/0.9.
    pub(crate) version: &'a str,
}

/// Reads a request line; none where the first word is no method (RFC 9110, section 5.6.2) or nothing follows it. The
/// target may hold spaces, which clients send and proxies log.
#[must_use]
pub(crate) fn request_line(text: &str) -> Option<RequestLine<'_>> {
    let (method, rest) = text.split_once(' ')?;
    if method.is_empty() || method.len() > METHOD_BYTES_MAX || !method.bytes().all(is_token_byte) || rest.is_empty() {
        return None;
    }
    let (target, version) = match rest.rsplit_once(' ') {
        Some((target, version)) if version.starts_with("HTTP/") => (target, version),
        _ => (rest, ""),
    };
    Some(RequestLine { method, target, version })
}

/// Longer than every registered method (RFC 9110, section 16.1.1); what is longer is no method but noise.
const METHOD_BYTES_MAX: usize = 32;

fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// The application protocol of a request whose content type or path tells it: `grpc` or `http`.
#[must_use]
pub(crate) fn app_protocol(content_type: &str) -> &'static str {
    if content_type.starts_with("application/grpc") { "grpc" } else { "http" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_hold_nothing_private() {
        fn check(target: &str, expected: &str) {
            assert_eq!(path(target), expected, "{target}");
        }
        check("/a/b?token=1#x", "/a/b");
        check("/a#x?y", "/a");
        check("/", "/");
        check("*", "*");
        check("http://user:pass@host/a?b", "/a");
        check("http://user:pass@host?b", "/");
        check("/redirect/http://other/x", "/redirect/http://other/x");
        check("user:pass@host:443", "host:443");
        let long = format!("/{}", "é".repeat(200));
        assert_eq!(path(&long).len(), 255);
    }

    #[test]
    fn resources_hold_no_persons() {
        fn check(target: &str, expected: &str) {
            assert_eq!(resource(target), expected, "{target}");
        }
        check("/a/b;jsessionid=1/c?x=1", "/a/b");
        check("/users/jane@example.org/x", "/users/[redacted]@example.org/x");
        check("/users/jane%40example.org/x?y", "/users/[redacted]/x");
        check("/a%20b", "/a%20b");
        check("/npm/@scope/name", "/npm/@scope/name");
    }

    #[test]
    fn request_lines() {
        fn check(text: &str, expected: Option<[&str; 3]>) {
            let found = request_line(text).map(|line| [line.method, line.target, line.version]);
            assert_eq!(found, expected, "{text}");
        }
        check("GET / HTTP/1.1", Some(["GET", "/", "HTTP/1.1"]));
        check("GET /a b HTTP/1.0", Some(["GET", "/a b", "HTTP/1.0"]));
        check("GET /", Some(["GET", "/", ""]));
        check("M-SEARCH * HTTP/1.1", Some(["M-SEARCH", "*", "HTTP/1.1"]));
        check("<BADREQ>", None);
        check("\\x16\\x03 x", None);
        check("-", None);
        check("", None);
        check("GET ", None);
    }
}
