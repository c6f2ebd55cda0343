//! The least of the protocols that shows whether a server answers. Not a client.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// A server that does not answer in this time is taken for one that never will.
pub(crate) const SILENCE: Duration = Duration::from_millis(500);
const LIMIT: Duration = Duration::from_secs(30);

/// How many kinds of request a broker knows (`ApiVersions`, key 18, version 0).
pub(crate) fn kafka_api_count(address: &str, limit: Duration) -> std::io::Result<u32> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(limit))?;
    // Length, key, version, correlation id, no client id.
    stream.write_all(&[0, 0, 0, 10, 0, 18, 0, 0, 0, 0, 0, 77, 0xff, 0xff])?;
    // Length, correlation id, error code, number of entries.
    let mut answer = [0; 14];
    stream.read_exact(&mut answer)?;
    assert_eq!(answer[4..10], [0, 0, 0, 77, 0, 0], "correlation id and error code");
    Ok(u32::from_be_bytes(answer[10..14].try_into().unwrap()))
}

/// Head and body of the answer to one request on a connection of its own.
pub(crate) fn http(address: &str, method: &str, path: &str, body: &str) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(LIMIT))?;
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// The status of the answer; `None` when the connection ended without one.
pub(crate) fn http_status(address: &str, method: &str, path: &str, body: &str) -> Option<u16> {
    let answer = http(address, method, path, body).ok()?;
    answer.split(' ').nth(1)?.parse().ok()
}

/// Waits until it holds.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < LIMIT, "{what} did not come within {LIMIT:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
