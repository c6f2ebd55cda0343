//! What a sink refuses for good: it is among the dead letters with the sink's answer, blocks nothing, and can be sent once more.

use super::setup::Setup;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

const POISON: &str = "10.0.0.9";

/// A receiver that refuses whatever names this address, until it is mended.
struct Receiver {
    address: SocketAddr,
    is_mended: Arc<AtomicBool>,
    taken: Arc<Mutex<Vec<String>>>,
}

impl Receiver {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (is_mended, taken) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let (mended, kept) = (Arc::clone(&is_mended), Arc::clone(&taken));
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let Some(body) = body(&mut stream) else { continue };
                let is_refused = body.contains(POISON) && !mended.load(Ordering::SeqCst);
                let status = if is_refused { "400 Bad Request" } else { "200 OK" };
                let answer = if is_refused { "field src is not for us" } else { "taken" };
                let head =
                    format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", answer.len());
                stream.write_all(format!("{head}{answer}").as_bytes()).ok();
                if !is_refused {
                    kept.lock().unwrap().push(body);
                }
            }
        });
        Self { address, is_mended, taken }
    }

    fn has(&self, text: &str) -> bool {
        self.taken.lock().unwrap().iter().any(|body| body.contains(text))
    }
}

/// The body of a request with a length.
fn body(stream: &mut TcpStream) -> Option<String> {
    let mut read = Vec::new();
    let mut buffer = [0; 65_536];
    loop {
        let count = stream.read(&mut buffer).ok().filter(|&count| count > 0)?;
        read.extend_from_slice(&buffer[..count]);
        let text = String::from_utf8_lossy(&read).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length =
            head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        if body.len() >= length.unwrap_or(0) {
            return Some(body.to_owned());
        }
    }
}

fn line(minute: u32, source: &str, target: u32, action: &str) -> String {
    let start = 1_767_225_600 + u64::from(minute) * 60;
    format!(
        "2 123456789010 eni-1 {source} 10.0.2.{target} {} 443 6 10 900 {start} {} {action} OK\n",
        30_000 + minute,
        start + 1
    )
}

/// An hour of what is usual, with a scan at its end.
fn hour(first: u32, scanner: &str) -> String {
    let usual = (first..first + 60)
        .flat_map(|minute| (1..4).map(move |place| line(minute, &format!("10.0.0.{place}"), place, "ACCEPT")));
    let scan = (10..60).map(|target| line(first + 60, scanner, target, "REJECT"));
    usual.chain(scan).collect()
}

#[test]
fn what_is_refused_is_a_dead_letter_and_blocks_nothing() {
    let receiver = Receiver::start();
    let setup = Setup::new(&format!(
        "[[notify.sink]]\nname = \"hook\"\ntype = \"webhook\"\nurl = \"http://{}/hook\"\nsigning_secret = {{ file = \"key\" }}\n",
        receiver.address
    ));
    setup.program.file("key", "whsec_YSBrZXkgb2YgYXQgbGVhc3QgMjQgYnl0ZXMgZm9yIHRlc3Rz");
    let mut service = setup.start("service");
    setup.append("a.log", hour(0, POISON) + &hour(400, "10.0.0.8") + &hour(480, "10.0.0.7"));
    service.until("the others are told", || receiver.has("10.0.0.8"));
    let refused = "SELECT count(*) FROM dead_letters WHERE reason = 'sink_refused' AND source = 'notify/hook' \
                   AND detail LIKE '%field src is not for us%' AND raw LIKE '%10.0.0.9%'";
    service.until("it is among the dead letters", || setup.number(refused).is_some_and(|count| count > 0));
    assert!(!receiver.has(POISON));
    let status = setup.program.run(&["notify", "status"]);
    assert!(status.out.contains("not for us"), "{status:?}");
    receiver.is_mended.store(true, Ordering::SeqCst);
    let replayed = setup.program.run(&["notify", "replay", "hook"]);
    assert_eq!(replayed.code, 0, "{replayed:?}");
    service.until("it is delivered", || receiver.has(POISON));
    service.signal("TERM");
    assert!(service.end().success(), "{}", service.log());
}
