//! One request of HTTP push and its answer: what a producer needs, and no more.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// How long the service may take to answer. A service that is stopped answers later than that, or never.
const ANSWER_LIMIT: Duration = Duration::from_secs(12);
const CONNECT_LIMIT: Duration = Duration::from_secs(2);

/// Sends lines and returns the status of the answer.
///
/// # Errors
/// When there is no answer: the service may have taken the lines or not.
pub(crate) fn push(port: u16, key: &str, body: &str) -> io::Result<u16> {
    let mut stream = TcpStream::connect_timeout(&SocketAddr::from(([127, 0, 0, 1], port)), CONNECT_LIMIT)?;
    stream.set_read_timeout(Some(ANSWER_LIMIT))?;
    stream.set_write_timeout(Some(ANSWER_LIMIT))?;
    let length = body.len();
    let head = format!(
        "POST /v1/raw HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\nContent-Type: text/plain\r\n\
         Idempotency-Key: {key}\r\nContent-Length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())?;
    // Of the answer only the status is of interest: its first 12 bytes.
    let mut answer = [0_u8; 12];
    stream.read_exact(&mut answer)?;
    let status = std::str::from_utf8(&answer).ok().and_then(|text| text.strip_prefix("HTTP/1.1 "));
    status
        .and_then(|status| status.parse().ok())
        .ok_or_else(|| io::Error::other(format!("no answer of HTTP: {answer:?}")))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// The status that is read of an answer; `None` for an error.
    fn check(answer: &'static str, expected: Option<u16>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = vec![0; 4096];
            let length = stream.read(&mut request).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            String::from_utf8_lossy(&request[..length]).into_owned()
        });
        assert_eq!(push(port, "a-key", "one line\n").ok(), expected, "{answer}");
        assert!(server.join().unwrap().contains("Idempotency-Key: a-key\r\n"));
    }

    #[test]
    fn the_status_of_the_answer_is_read() {
        check("HTTP/1.1 200 OK\r\n\r\n", Some(200));
        check("HTTP/1.1 503 Service Unavailable\r\n\r\n", Some(503));
        check("HTTP/1.1 2", None);
        check("SSH-2.0-OpenSSH_9.2", None);
    }
}
