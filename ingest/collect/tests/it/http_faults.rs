//! Pushing over HTTP while the log fails, the process ends, or the other end is hostile.

use crate::http::{TOKEN, client, post, start};
use crate::memory_log::Fault;
use crate::world::{Running, World, until};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

const QUERY: &str = "?observer=gateway&format=envoy";

fn push(running: &Running, key: &str, body: &str) -> u16 {
    let request = post(running, QUERY).header("idempotency-key", key.to_owned()).body(body.to_owned());
    request.send().unwrap().status().as_u16()
}

#[test]
fn a_lost_answer_is_found_out_and_nothing_is_doubled() {
    let world = World::new();
    let running = start(&world, "");
    for (number, fault) in [Fault::AnswerLost, Fault::Lost, Fault::AnswerLost].into_iter().enumerate() {
        world.log.fail(&[fault]);
        assert_eq!(push(&running, &format!("k{number}"), &format!("line {number}\n")), 200);
    }
    world.expect(&["line 0", "line 1", "line 2"]);
    running.stop().unwrap();
}

#[test]
fn while_the_log_is_away_requests_are_refused_and_keys_stay_safe() {
    let world = World::new();
    let running = start(&world, "write_timeout_ms = 200");
    // Written, but nobody knows.
    world.log.fail(&[Fault::AnswerLost]);
    world.log.hold(true);
    let log = world.log.clone();
    let cut = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(100));
        log.hold(false);
        std::thread::sleep(Duration::from_millis(20));
        log.set_away(true);
    });
    assert_eq!(push(&running, "k1", "a 1\n"), 503);
    cut.join().unwrap();
    assert_eq!(push(&running, "k1", "a 1\n"), 503);
    assert!(!running.counters.is_log_reachable.load(Ordering::Relaxed));
    world.log.set_away(false);
    until("it serves again", || push(&running, "k2", "b 1\n") == 200);
    assert_eq!(push(&running, "k1", "a 1\n"), 200);
    assert_eq!(push(&running, "k3", "c 1\n"), 200);
    world.expect(&["a 1", "b 1", "c 1"]);
    running.stop().unwrap();
}

#[test]
fn a_log_that_is_away_at_start_is_waited_for() {
    let world = World::new();
    world.log.set_away(true);
    let running = world.start(&crate::http::settings(""));
    let response = post(&running, QUERY).body("a 1\n").send().unwrap();
    assert_eq!((response.status().as_u16(), response.headers().contains_key("retry-after")), (503, true));
    world.log.set_away(false);
    until("it serves", || push(&running, "k1", "a 1\n") == 200);
    world.expect(&["a 1"]);
    running.stop().unwrap();
}

#[test]
fn what_was_accepted_is_finished_on_shutdown() {
    let world = World::new();
    let running = start(&world, "");
    world.log.hold(true);
    let status = std::thread::scope(|scope| {
        let pushing = scope.spawn(|| push(&running, "k1", "a 1\n"));
        std::thread::sleep(Duration::from_millis(300));
        running.ask_to_stop(Duration::from_secs(10));
        std::thread::sleep(Duration::from_millis(200));
        world.log.hold(false);
        pushing.join().unwrap()
    });
    assert_eq!(status, 200);
    running.stop().unwrap();
    world.expect(&["a 1"]);
}

#[test]
fn a_refusing_log_ends_the_collector() {
    let world = World::new();
    let running = start(&world, "");
    world.log.fail(&[Fault::Refused]);
    assert_eq!(push(&running, "k1", "a 1\n"), 503);
    let error = running.ended().unwrap_err().to_string();
    assert!(error.contains("cannot write"), "{error}");
}

#[test]
fn a_full_queue_is_answered_with_429() {
    let world = World::new();
    let running = start(&world, "queue_max = 1");
    world.log.hold(true);
    let mut statuses: Vec<u16> = std::thread::scope(|scope| {
        let pushes: Vec<_> = (0..8)
            .map(|number| {
                let running = &running;
                scope.spawn(move || push(running, &format!("k{number}"), "a 1\n"))
            })
            .collect();
        std::thread::sleep(Duration::from_millis(600));
        world.log.hold(false);
        pushes.into_iter().map(|push| push.join().unwrap()).collect()
    });
    statuses.sort_unstable();
    let accepted = statuses.iter().filter(|&&status| status == 200).count();
    assert!((1..8).contains(&accepted) && statuses[accepted..].iter().all(|&status| status == 429), "{statuses:?}");
    assert_eq!(world.lines().len(), accepted);
    running.stop().unwrap();
}

/// Sends bytes and waits for the other end to close; what it answered.
fn raw(running: &Running, bytes: &[u8]) -> (String, Duration) {
    let begin = Instant::now();
    let mut stream = TcpStream::connect(running.address.unwrap()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
    // The other end may have closed it by now, which is what is looked for.
    stream.write_all(bytes).ok();
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(count) = stream.read(&mut buffer) {
        if count == 0 {
            break;
        }
        answer.extend_from_slice(&buffer[..count]);
    }
    (String::from_utf8_lossy(&answer).into_owned(), begin.elapsed())
}

#[test]
fn hostile_connections_are_closed() {
    let world = World::new();
    let limits = "head_timeout_ms = 300\nbody_timeout_ms = 300\nidle_timeout_ms = 300\nconnections_max = 4\nbody_bytes_max = 4096";
    let running = start(&world, limits);
    let quick = Duration::from_secs(5);
    let head = format!("POST /v1/raw{QUERY} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\n");
    let check = |bytes: &[u8], says: &str| {
        let (answer, time) = raw(&running, bytes);
        assert!(answer.contains(says) && time < quick, "{answer:?} after {time:?} instead of {says}");
    };
    check(b"", "");
    check(b"POST /v1/raw HT", "");
    check(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "");
    check(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "");
    check(format!("{head}x: {}\r\n\r\n", "a".repeat(1 << 20)).as_bytes(), "431");
    check(format!("{head}content-length: 10\r\n\r\nab").as_bytes(), "408");
    check(format!("{head}content-length: -1\r\n\r\n").as_bytes(), "400");
    check(format!("{head}content-length: 99999999\r\n\r\n").as_bytes(), "413");
    let endless =
        format!("{head}transfer-encoding: chunked\r\n\r\n{}", "400\r\n".to_owned() + &"a".repeat(1024) + "\r\n");
    let endless = endless + &("400\r\n".to_owned() + &"a".repeat(1024) + "\r\n").repeat(8);
    check(endless.as_bytes(), "413");
    // One that sends a byte now and then is closed all the same.
    let mut slow = TcpStream::connect(running.address.unwrap()).unwrap();
    let begin = Instant::now();
    while slow.write_all(b"P").is_ok() {
        assert!(begin.elapsed() < quick, "it is still open");
        std::thread::sleep(Duration::from_millis(50));
    }
    // More connections than are allowed: those that wait are served once the others are closed for being idle.
    let idle: Vec<TcpStream> = (0..8).map(|_| TcpStream::connect(running.address.unwrap()).unwrap()).collect();
    assert_eq!(push(&running, "k1", "a 1\n"), 200);
    drop(idle);
    world.expect(&["a 1"]);
    assert!(client().get(format!("http://{}/", running.address.unwrap())).send().unwrap().status() == 404);
    running.stop().unwrap();
}
