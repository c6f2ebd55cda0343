//! The gateway: it refuses strangers, keeps objects, has one winner, dies and comes back on the same port, and stands still.

use std::io::ErrorKind;
use std::net::TcpStream;
use std::process::Command;

use tradewind_kafka_testkit::{Fault, FaultyHttp, S3, available};

use crate::raw::{SILENCE, http_status};

/// Body and status of the answer to a signed request; status 0 when there was none.
fn signed(s3: &S3, address: &str, key: &str, more: &[&str]) -> (String, u16) {
    let output = Command::new("curl")
        .args(["--silent", "--max-time", "20", "--write-out", "\n%{http_code}"])
        .args(["--aws-sigv4", &format!("aws:amz:{}:s3", s3.region())])
        .args(["--user", &format!("{}:{}", s3.access_key(), s3.secret_key())])
        .args(["--header", "x-amz-content-sha256: UNSIGNED-PAYLOAD"])
        .args(more)
        .arg(format!("http://{address}/{}/{key}", s3.bucket()))
        .output()
        .expect("curl is installed by scripts/setup");
    let text = String::from_utf8(output.stdout).unwrap();
    let (body, status) = text.rsplit_once('\n').unwrap();
    (body.to_owned(), status.parse().unwrap())
}

fn put(s3: &S3, address: &str, key: &str, body: &str) -> u16 {
    let only_new = ["--request", "PUT", "--header", "If-None-Match: *", "--data-binary", body];
    signed(s3, address, key, &only_new).1
}

fn get(s3: &S3, key: &str) -> (String, u16) {
    signed(s3, &s3.address(), key, &[])
}

#[test]
fn a_stranger_is_refused() {
    let Some(s3) = available(S3::start()) else { return };
    assert_eq!(http_status(&s3.address(), "GET", "/lake/a", ""), Some(403));
    assert_eq!(http_status(&s3.address(), "PUT", "/lake/a", "x"), Some(403));
    assert_eq!(s3.endpoint(), format!("http://{}", s3.address()));
}

#[test]
fn a_conditional_put_has_one_winner() {
    let Some(s3) = available(S3::start()) else { return };
    let statuses: Vec<_> = std::thread::scope(|scope| {
        let s3 = &s3;
        let race = |body| scope.spawn(move || put(s3, &s3.address(), "commit", body));
        let racers: Vec<_> = ["one", "two", "three", "four"].into_iter().map(race).collect();
        racers.into_iter().map(|racer| racer.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 412).count(), 3, "{statuses:?}");
}

#[test]
fn it_comes_back_on_its_port_with_its_objects() {
    let Some(s3) = available(S3::start()) else { return };
    let address = s3.address();
    assert_eq!(put(&s3, &address, "kept", "bytes"), 200);
    s3.kill9();
    assert_eq!(TcpStream::connect(&address).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    s3.restart().unwrap();
    assert_eq!(s3.address(), address);
    assert_eq!(get(&s3, "kept"), ("bytes".to_owned(), 200));
    s3.stop().unwrap();
    assert_eq!(TcpStream::connect(&address).unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn a_read_only_gateway_refuses_writes() {
    let Some(s3) = available(S3::start()) else { return };
    assert_eq!(put(&s3, &s3.address(), "first", "bytes"), 200);
    s3.set_read_only(true).unwrap();
    assert_eq!(put(&s3, &s3.address(), "second", "bytes"), 403);
    assert_eq!(get(&s3, "first"), ("bytes".to_owned(), 200));
    s3.set_read_only(false).unwrap();
    assert_eq!(put(&s3, &s3.address(), "second", "bytes"), 200);
}

#[test]
fn a_paused_gateway_answers_later() {
    let Some(s3) = available(S3::start()) else { return };
    let address = s3.address();
    s3.pause().unwrap();
    std::thread::scope(|scope| {
        let request = scope.spawn(|| http_status(&address, "GET", "/lake/a", ""));
        let stream = TcpStream::connect(&address).unwrap();
        stream.set_read_timeout(Some(SILENCE)).unwrap();
        assert!(std::io::Read::read(&mut &stream, &mut [0]).is_err(), "nothing is said while it is paused");
        s3.resume().unwrap();
        assert_eq!(request.join().unwrap(), Some(403));
    });
}

#[test]
fn signed_requests_pass_the_faulty_proxy_and_a_lost_answer_leaves_its_object() {
    let Some(s3) = available(S3::start()) else { return };
    let proxy = FaultyHttp::start(&s3.address()).unwrap();
    assert_eq!(put(&s3, &proxy.address(), "passed", "bytes"), 200);
    proxy.script([Some(Fault::LoseAnswer), Some(Fault::LoseRequest), Some(Fault::Status(503))]);
    assert_eq!(put(&s3, &proxy.address(), "done", "bytes"), 0);
    assert_eq!(put(&s3, &proxy.address(), "torn", "bytes"), 0);
    assert_eq!(put(&s3, &proxy.address(), "refused", "bytes"), 503);
    assert_eq!(put(&s3, &proxy.address(), "done", "bytes"), 412);
    assert_eq!([get(&s3, "passed").1, get(&s3, "torn").1, get(&s3, "refused").1], [200, 404, 404]);
}
