//! The TCP proxy: each fault, and what a client sees of it.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use tradewind_kafka_testkit::{Toxiproxy, available};

use crate::raw::SILENCE;

/// A server that sends back what it gets.
fn echo() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || std::io::copy(&mut &stream, &mut &stream).ok());
        }
    });
    address
}

fn connect(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream
}

fn exchange(mut stream: &TcpStream, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    stream.write_all(bytes)?;
    let mut answer = vec![0; bytes.len()];
    stream.read_exact(&mut answer)?;
    Ok(answer)
}

fn is_alive(address: &str) -> bool {
    exchange(&connect(address), b"ping").is_ok_and(|answer| answer == b"ping")
}

#[test]
fn a_cut_line_is_dead_until_it_is_healed() {
    let Some(toxiproxy) = available(Toxiproxy::start()) else { return };
    let address = toxiproxy.proxy("line", "127.0.0.1:0", &echo()).unwrap();
    let open = connect(&address);
    exchange(&open, b"ping").unwrap();
    toxiproxy.cut("line").unwrap();
    assert!(exchange(&open, b"ping").is_err(), "open connections are closed");
    assert_eq!(TcpStream::connect(&address).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    toxiproxy.heal("line").unwrap();
    assert!(is_alive(&address));
}

#[test]
fn answers_come_late_and_little_by_little() {
    let Some(toxiproxy) = available(Toxiproxy::start()) else { return };
    let address = toxiproxy.proxy("line", "127.0.0.1:0", &echo()).unwrap();
    let time = |bytes: &[u8]| {
        let started = Instant::now();
        exchange(&connect(&address), bytes).unwrap();
        started.elapsed()
    };
    toxiproxy.add_latency("line", 300).unwrap();
    assert!(time(b"ping") >= Duration::from_millis(300));
    toxiproxy.heal("line").unwrap();
    toxiproxy.bandwidth("line", 100).unwrap();
    assert!(time(&[7; 50_000]) >= Duration::from_millis(400));
    toxiproxy.heal("line").unwrap();
    assert!(is_alive(&address));
}

#[test]
fn a_stalled_line_loses_all_and_a_reset_one_says_so() {
    let Some(toxiproxy) = available(Toxiproxy::start()) else { return };
    let address = toxiproxy.proxy("line", "127.0.0.1:0", &echo()).unwrap();
    let open = connect(&address);
    toxiproxy.stall("line").unwrap();
    open.set_read_timeout(Some(SILENCE)).unwrap();
    assert_eq!(exchange(&open, b"ping").unwrap_err().kind(), ErrorKind::WouldBlock);
    toxiproxy.heal("line").unwrap();
    assert!(is_alive(&address));

    let open = connect(&address);
    exchange(&open, b"ping").unwrap();
    toxiproxy.reset("line").unwrap();
    assert_eq!(exchange(&open, b"ping").unwrap_err().kind(), ErrorKind::UnexpectedEof);
    assert_eq!(exchange(&connect(&address), b"ping").unwrap_err().kind(), ErrorKind::ConnectionReset);
    toxiproxy.heal("line").unwrap();
    assert!(is_alive(&address));
}

#[test]
fn a_proxy_that_is_not_there_is_an_error() {
    let Some(toxiproxy) = available(Toxiproxy::start()) else { return };
    let error = toxiproxy.cut("nothing").unwrap_err().to_string();
    assert!(error.contains("404"), "{error}");
}
