//! How long an HTTP/1.1 message is (RFC 9112, section 6), so that a proxy can pass it on piece by piece without holding it.

use std::io::{self, BufRead, Read as _, Write};

/// A client that sends more than this before the body is not one of ours.
const HEAD_BYTES_MAX: u64 = 64 * 1024;

/// The first line and the fields, as they came.
#[derive(Debug)]
pub(super) struct Head {
    pub(super) text: String,
}

/// What follows a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Body {
    None,
    Bytes(u64),
    Chunked,
    UntilClose,
}

impl Head {
    /// `None` when the connection ends where a message could begin.
    pub(super) fn read(from: &mut impl BufRead) -> io::Result<Option<Self>> {
        let mut text = String::new();
        let mut limited = from.take(HEAD_BYTES_MAX);
        loop {
            let read = limited.read_line(&mut text)?;
            if read == 0 && text.is_empty() {
                return Ok(None);
            }
            if read == 0 {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "a head without its end"));
            }
            if text.ends_with("\r\n\r\n") {
                return Ok(Some(Self { text }));
            }
        }
    }

    /// A word of the first line.
    pub(super) fn word(&self, index: usize) -> &str {
        self.text.lines().next().and_then(|line| line.split(' ').nth(index)).unwrap_or_default()
    }

    pub(super) fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.text.lines().skip(1).filter_map(|line| line.split_once(':'));
        fields.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }

    pub(super) fn says(&self, name: &str, value: &str) -> bool {
        self.field(name).is_some_and(|found| found.eq_ignore_ascii_case(value))
    }

    pub(super) fn request_body(&self) -> Body {
        self.framed().unwrap_or(Body::None)
    }

    /// Of an answer to a request with this method.
    pub(super) fn answer_body(&self, method: &str) -> Body {
        let status = self.word(1);
        if method == "HEAD" || status.starts_with('1') || status == "204" || status == "304" {
            return Body::None;
        }
        self.framed().unwrap_or(Body::UntilClose)
    }

    fn framed(&self) -> Option<Body> {
        if self.says("transfer-encoding", "chunked") {
            return Some(Body::Chunked);
        }
        self.field("content-length").and_then(|length| length.parse().ok()).map(Body::Bytes)
    }
}

impl Body {
    pub(super) fn copy(self, from: &mut impl BufRead, to: &mut impl Write) -> io::Result<()> {
        match self {
            Self::None => Ok(()),
            Self::Bytes(length) => copy_bytes(from, to, length),
            Self::Chunked => copy_chunks(from, to),
            Self::UntilClose => io::copy(from, to).map(|_| ()),
        }
    }
}

fn copy_bytes(from: &mut impl BufRead, to: &mut impl Write, length: u64) -> io::Result<()> {
    let copied = io::copy(&mut from.take(length), to)?;
    if copied == length { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

fn copy_chunks(from: &mut impl BufRead, to: &mut impl Write) -> io::Result<()> {
    loop {
        let size_line = copy_line(from, to)?;
        let size = size_line.split(';').next().unwrap_or_default().trim();
        let size = u64::from_str_radix(size, 16).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
        if size == 0 {
            // Trailers, up to an empty line.
            while copy_line(from, to)?.trim() != "" {}
            return Ok(());
        }
        copy_bytes(from, to, size.saturating_add(2))?;
    }
}

fn copy_line(from: &mut impl BufRead, to: &mut impl Write) -> io::Result<String> {
    let mut line = String::new();
    from.take(HEAD_BYTES_MAX).read_line(&mut line)?;
    if !line.ends_with('\n') {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    to.write_all(line.as_bytes())?;
    Ok(line)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// What of `input` belongs to the message, and how long its body is.
    fn check(input: &str, answer_to: Option<&str>, expected: Body, rest: &str) {
        let mut from = input.as_bytes();
        let head = Head::read(&mut from).unwrap().unwrap();
        let body = answer_to.map_or_else(|| head.request_body(), |method| head.answer_body(method));
        assert_eq!(body, expected, "{input:?}");
        let mut copied = Vec::new();
        body.copy(&mut from, &mut copied).unwrap();
        assert_eq!(std::str::from_utf8(from).unwrap(), rest, "{input:?}");
        assert_eq!(format!("{}{}{rest}", head.text, String::from_utf8(copied).unwrap()), input);
    }

    #[test]
    fn messages_end_where_they_say() {
        check("GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET", None, Body::None, "GET");
        check("PUT /a HTTP/1.1\r\ncontent-length: 3\r\n\r\nabcPUT", None, Body::Bytes(3), "PUT");
        let chunked = "PUT /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nTrailer: 1\r\n\r\nPUT";
        check(chunked, None, Body::Chunked, "PUT");
        check("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcd", Some("GET"), Body::Bytes(3), "d");
        check("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", Some("HEAD"), Body::None, "");
        check("HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n\r\n", Some("GET"), Body::None, "");
        check("HTTP/1.1 200 OK\r\n\r\nabc", Some("GET"), Body::UntilClose, "");
    }

    #[test]
    fn what_is_cut_off_is_an_error() {
        assert!(Head::read(&mut "GET / HTTP/1.1\r\nHo".as_bytes()).is_err());
        assert!(Head::read(&mut "".as_bytes()).unwrap().is_none());
        let endless = "a".repeat(100_000);
        assert!(Head::read(&mut endless.as_bytes()).is_err());
        for (body, bytes) in
            [(Body::Bytes(5), "abc"), (Body::Chunked, "5\r\nabc"), (Body::Chunked, "x\r\n"), (Body::Chunked, "")]
        {
            assert!(body.copy(&mut bytes.as_bytes(), &mut io::sink()).is_err(), "{body:?} {bytes:?}");
        }
    }
}
