//! Pushing over HTTP: what is taken, what is refused and why, and that a repeated key writes once.

use crate::world::{Running, World, until};
use reqwest::blocking::{Client, RequestBuilder, Response};
use std::io::Write as _;
use std::sync::atomic::Ordering;
use std::time::Duration;

pub(crate) const TOKEN: &str = "0123456789abcdef0123456789abcdef";

pub(crate) fn settings(more: &str) -> String {
    let hash = blake3::hash(TOKEN.as_bytes()).to_hex();
    format!(
        "type = 'http'\nname = 'push'\nlisten = '127.0.0.1:0'\nnetwork = 'vpc-1'\n{more}\n\
         [[credentials]]\nname = 'edge'\ntoken_blake3 = '{hash}'\nobservers = ['gateway', 'node-*']\nformats = ['envoy', 'zeek']\n"
    )
}

pub(crate) fn client() -> Client {
    Client::builder().timeout(Duration::from_secs(30)).build().unwrap()
}

pub(crate) fn url(running: &Running, query: &str) -> String {
    format!("http://{}/v1/raw{query}", running.address.unwrap())
}

pub(crate) fn post(running: &Running, query: &str) -> RequestBuilder {
    client().post(url(running, query)).bearer_auth(TOKEN)
}

const QUERY: &str = "?observer=gateway&format=envoy";

/// Starts, and waits until the log was reached.
pub(crate) fn start(world: &World, more: &str) -> Running {
    let running = world.start(&settings(more));
    until("it serves", || post(&running, QUERY).body("").send().unwrap().status() == 400);
    running
}

fn check(response: Response, status: u16, says: &str) {
    let found = response.status().as_u16();
    let headers = response.headers().clone();
    let body = response.text().unwrap();
    assert!(found == status && body.contains(says), "{found} {body} instead of {status} {says}");
    let kind = headers["content-type"].to_str().unwrap();
    assert_eq!(kind, if status == 200 { "application/json" } else { "application/problem+json" });
    assert_eq!(headers.contains_key("retry-after"), [409, 429, 503].contains(&status));
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

#[test]
fn bodies_are_taken_in_every_shape() {
    let world = World::new();
    let running = start(&world, "");
    check(post(&running, QUERY).body("a 1\na 2\n").send().unwrap(), 200, "\"records\":2");
    let ndjson = post(&running, QUERY).header("content-type", "application/x-ndjson").body("{\"b\":1}\n");
    check(ndjson.send().unwrap(), 200, "\"records\":1");
    let array = post(&running, QUERY).header("content-type", "application/json; charset=utf-8").body("[{\"c\":1}]");
    check(array.send().unwrap(), 200, "\"records\":1");
    let one = post(&running, "?observer=node-7&format=zeek&framing=one").body("d\n");
    check(one.send().unwrap(), 200, "\"bytes\":2");
    let packed = post(&running, QUERY).header("content-encoding", "gzip").body(gzip(b"e 1\n"));
    check(packed.send().unwrap(), 200, "\"bytes\":4");
    let packed = zstd::encode_all(b"f 1\n".as_slice(), 3).unwrap();
    check(post(&running, QUERY).header("content-encoding", "zstd").body(packed).send().unwrap(), 200, "\"bytes\":4");
    let chunked = reqwest::blocking::Body::new(std::io::Cursor::new("g 1\n"));
    check(post(&running, QUERY).body(chunked).send().unwrap(), 200, "\"bytes\":4");
    world.expect(&["a 1", "a 2", "{\"b\":1}", "[{\"c\":1}]", "d", "e 1", "f 1", "g 1"]);
    let counters = running.counters.clone();
    running.stop().unwrap();
    let raw = world.raw();
    let (envelope, _) = raw.iter().find(|(_, value)| value == "d\n").unwrap();
    assert_eq!(envelope.observer.as_deref(), Some("node-7"));
    assert_eq!((envelope.format.as_deref(), envelope.network.as_deref()), (Some("zeek"), Some("vpc-1")));
    assert_eq!(envelope.framing.as_str(), "one");
    assert!(envelope.source.as_ref().unwrap().starts_with("http edge "));
    let load = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    assert_eq!(load(&counters.received), load(&counters.accepted) + load(&counters.rejected));
    assert_eq!(load(&counters.accepted), 7);
}

#[test]
fn requests_outside_their_bounds_are_refused_with_a_reason() {
    let world = World::new();
    let running = start(&world, "body_bytes_max = 2000\nunpacked_bytes_max = 40000\nrecord_bytes_max = 1024");
    let plain = |query: &str, body: &str| post(&running, query).body(body.to_owned());
    let nobody = client().post(url(&running, QUERY)).body("a\n");
    check(nobody.try_clone().unwrap().send().unwrap(), 401, "Bearer");
    check(nobody.bearer_auth("another token").send().unwrap(), 401, "Bearer");
    check(plain("?observer=other&format=envoy", "a\n").send().unwrap(), 403, "observer `other`");
    check(plain("?format=envoy", "a\n").send().unwrap(), 403, "name the observer");
    check(plain("?observer=gateway&format=aws", "a\n").send().unwrap(), 403, "format `aws`");
    check(plain("?observer=gateway&format=envoy&x=1", "a\n").send().unwrap(), 400, "parameters");
    check(plain("?observer=gateway&format=envoy&framing=csv", "a\n").send().unwrap(), 400, "framing");
    check(plain(QUERY, "").send().unwrap(), 400, "empty");
    check(plain(QUERY, &"a\n".repeat(1001)).send().unwrap(), 413, "2000 bytes");
    check(plain(QUERY, &"a".repeat(1500)).send().unwrap(), 413, "1024 bytes");
    let bomb = post(&running, QUERY).header("content-encoding", "gzip").body(gzip(&vec![b'\n'; 100_000]));
    check(bomb.send().unwrap(), 413, "40000 bytes");
    check(plain(QUERY, "a\n").header("content-encoding", "gzip").send().unwrap(), 400, "damaged");
    check(plain(QUERY, "a\n").header("content-encoding", "br").send().unwrap(), 415, "gzip, zstd");
    check(plain(QUERY, "a\n").header("content-type", "application/xml").send().unwrap(), 415, "text/plain");
    check(plain(QUERY, "a\n").header("idempotency-key", "two words").send().unwrap(), 400, "Idempotency-Key");
    check(client().get(url(&running, QUERY)).send().unwrap(), 405, "POST");
    check(client().post(url(&running, "/else")).send().unwrap(), 404, "/v1/raw");
    check(post(&running, QUERY).send().unwrap(), 411, "Content-Length");
    assert!(world.lines().is_empty());
    let counters = running.counters.clone();
    running.stop().unwrap();
    let load = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    assert_eq!((load(&counters.accepted), load(&counters.received)), (0, load(&counters.rejected)));
    assert_eq!(load(&counters.rejected), counters.rejected_by_reason.iter().map(load).sum::<u64>());
}

#[test]
fn a_repeated_key_writes_once() {
    let world = World::new();
    let push = |running: &Running, key: &str, body: &str| {
        post(running, QUERY).header("idempotency-key", key.to_owned()).body(body.to_owned()).send().unwrap()
    };
    let running = start(&world, "");
    check(push(&running, "k1", "a 1\n"), 200, "\"records\":1");
    let again = push(&running, "k1", "a 1\n");
    assert_eq!(again.headers()["idempotency-replayed"], "true");
    check(again, 200, "\"records\":1");
    check(push(&running, "k1", "b 1\n"), 422, "another body");
    running.stop().unwrap();
    let running = start(&world, "");
    check(push(&running, "k1", "a 1\n"), 200, "\"records\":1");
    check(push(&running, "k2", "c 1\n"), 200, "\"records\":1");
    world.expect(&["a 1", "c 1"]);
    assert_eq!(running.counters.repeated.load(Ordering::Relaxed), 1);
    running.stop().unwrap();
}

#[test]
fn requests_that_come_together_share_a_transaction() {
    let world = World::new();
    let running = start(&world, "");
    let before = world.log.state().writes;
    world.log.hold(true);
    std::thread::scope(|scope| {
        for number in 0..20 {
            let running = &running;
            scope.spawn(move || {
                check(post(running, QUERY).body(format!("line {number}\n")).send().unwrap(), 200, "\"records\":1");
            });
        }
        std::thread::sleep(Duration::from_millis(500));
        world.log.hold(false);
    });
    assert_eq!(world.lines().len(), 20);
    let writes = world.log.state().writes - before;
    assert!(writes <= 3, "{writes} transactions");
    running.stop().unwrap();
}

#[test]
fn without_credentials_only_this_machine_and_no_web_page_may_push() {
    let world = World::new();
    let faults = world.collector("type = 'http'\nname = 'push'").unwrap_err().to_string();
    assert!(faults.contains("nobody may push"), "{faults}");
    let faults = world.collector("type = 'http'\nname = 'push'\nanonymous = true\nlisten = '0.0.0.0:0'").unwrap_err();
    assert!(faults.to_string().contains("loopback"), "{faults}");
    let running = world.start("type = 'http'\nname = 'push'\nanonymous = true\nlisten = '127.0.0.1:0'");
    until("it takes in", || client().post(url(&running, "")).body("a 1\n").send().unwrap().status() == 200);
    let page = client().post(url(&running, "")).header("origin", "https://example.com").body("b 1\n");
    check(page.send().unwrap(), 403, "web pages");
    world.expect(&["a 1"]);
    running.stop().unwrap();
}
