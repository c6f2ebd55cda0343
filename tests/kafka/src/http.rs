//! Just enough HTTP to ask a server on this machine: one request, one answer, one connection. No client for anything else.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::ServerError;

const LIMIT: Duration = Duration::from_secs(10);

/// Status and body of the answer from 127.0.0.1. Version 1.0, since then no server answers in chunks.
pub(crate) fn request(port: u16, method: &str, path: &str, body: &str) -> Result<(u16, String), ServerError> {
    let ask = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect_timeout(&SocketAddr::from(([127, 0, 0, 1], port)), LIMIT)?;
        stream.set_read_timeout(Some(LIMIT))?;
        write!(
            stream,
            "{method} {path} HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    let described = || format!("{method} http://127.0.0.1:{port}{path}");
    let answer = ask().map_err(|error| ServerError::request(described(), &error))?;
    parse(&answer).ok_or_else(|| ServerError::request(described(), &format!("no answer of HTTP: {answer:?}")))
}

fn parse(answer: &str) -> Option<(u16, String)> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.")?.get(2..5)?.parse().ok()?;
    Some((status, body.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(answer: &str, expected: Option<(u16, &str)>) {
        assert_eq!(parse(answer), expected.map(|(status, body)| (status, body.to_owned())), "{answer:?}");
    }

    #[test]
    fn an_answer_has_a_status_and_a_body() {
        check("HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", Some((200, "hi")));
        check("HTTP/1.1 204 No Content\r\n\r\n", Some((204, "")));
        check("HTTP/1.1 20", None);
        check("SSH-2.0-x\r\n\r\n", None);
        check("", None);
    }
}
