//! The HTTP proxy before a server that counts what reached it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tradewind_kafka_testkit::{Fault, FaultPlan, FaultyHttp};

use crate::raw::{eventually, http, http_status};

/// A server that answers each request with its body, and adds the bytes of whole bodies to the count.
fn mirror() -> (String, Arc<AtomicU64>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let stored = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&stored);
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let counter = Arc::clone(&counter);
            std::thread::spawn(move || answer(&stream, &counter).ok());
        }
    });
    (address, stored)
}

fn answer(mut stream: &TcpStream, stored: &AtomicU64) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        if let Some((_, value)) = line.split_once("Content-Length: ") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body)?;
    stored.fetch_add(u64::try_from(length).unwrap(), Ordering::SeqCst);
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n")?;
    stream.write_all(&body)
}

/// What a client sees of a fault, and how much of its four bytes the server has stored.
fn check(fault: Option<Fault>, status: Option<u16>, stored_bytes: u64) {
    let (upstream, stored) = mirror();
    let proxy = FaultyHttp::start(&upstream).unwrap();
    proxy.script([fault]);
    assert_eq!(http_status(&proxy.address(), "PUT", "/a", "body"), status, "{fault:?}");
    // The next one is as ever, and by then the first has come to its end.
    assert_eq!(http_status(&proxy.address(), "PUT", "/a", "body"), Some(200), "{fault:?}");
    assert_eq!(stored.load(Ordering::SeqCst), stored_bytes + 4, "{fault:?}");
    let is_failure = u64::from(fault.is_some_and(|fault| !matches!(fault, Fault::Delay(_))));
    assert_eq!((proxy.failed(), proxy.passed()), (is_failure, 2 - is_failure), "{fault:?}");
}

#[test]
fn each_fault_is_what_it_says() {
    check(None, Some(200), 4);
    check(Some(Fault::Status(500)), Some(500), 0);
    check(Some(Fault::Status(503)), Some(503), 0);
    check(Some(Fault::Stall(Duration::from_millis(50))), None, 0);
    check(Some(Fault::LoseRequest), None, 0);
    check(Some(Fault::LoseAnswer), None, 4);
    check(Some(Fault::Delay(Duration::from_millis(50))), Some(200), 4);
}

#[test]
fn large_bodies_pass_unchanged_and_connections_are_reused() {
    let (upstream, _) = mirror();
    let proxy = FaultyHttp::start(&upstream).unwrap();
    let body = "0123456789".repeat(400_000);
    assert!(http(&proxy.address(), "PUT", "/a", &body).unwrap().ends_with(&format!("\r\n\r\n{body}")));

    let mut stream = TcpStream::connect(proxy.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    for word in ["one", "two"] {
        write!(stream, "PUT /a HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n{word}").unwrap();
        let expected = format!("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{word}");
        let mut answer = vec![0; expected.len()];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(String::from_utf8(answer).unwrap(), expected);
    }
}

#[test]
fn a_plan_fails_its_share() {
    let (upstream, _) = mirror();
    let proxy = FaultyHttp::start(&upstream).unwrap();
    let faults = vec![Fault::Status(503)];
    proxy.set_plan(FaultPlan {
        seed: 5,
        per_thousand: 300,
        faults,
        method: Some("PUT".to_owned()),
        path_contains: None,
    });
    for _ in 0..100 {
        http_status(&proxy.address(), "PUT", "/a", "x").unwrap();
        assert_eq!(http_status(&proxy.address(), "GET", "/a", ""), Some(200));
    }
    assert!((15..50).contains(&proxy.failed()), "{} of 100", proxy.failed());
    assert_eq!(proxy.passed() + proxy.failed(), 200);
}

#[test]
fn a_dropped_proxy_lets_go_of_stalled_clients() {
    let (upstream, _) = mirror();
    let proxy = FaultyHttp::start(&upstream).unwrap();
    let address = proxy.address();
    proxy.script([Some(Fault::Stall(Duration::from_secs(60)))]);
    let started = Instant::now();
    let client = std::thread::spawn({
        let address = address.clone();
        move || http_status(&address, "PUT", "/a", "body")
    });
    eventually("the stalled request", || proxy.failed() == 1);
    drop(proxy);
    assert_eq!(client.join().unwrap(), None);
    assert!(started.elapsed() < Duration::from_secs(30));
    eventually("the closed port", || TcpStream::connect(&address).is_err());
}
