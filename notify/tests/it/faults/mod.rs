//! Every sink that speaks HTTP against whatever can go wrong below its vendor's contract: answers of all kinds, connections that end
//! early, certificates that are not right, names that are not known. Each has to come out within its time, as what passes or what
//! does not, in words that tell what to do and hold no secret.

mod proxy;
pub(crate) mod server;

use crate::{siem, world};
use server::{Does, Server};
use std::path::Path;
use std::time::{Duration, Instant};
use tradewind_notify::sinks::{Answer, Sink};

/// How long a delivery may take here.
const TIMEOUT: Duration = Duration::from_millis(3000);
/// The path of the address of the chat, which is a secret.
const SECRET_PATH: &str = "/services/T0/B0/a-path-that-nobody-may-read";
/// Base 64 of the key that webhooks are signed with.
const SIGNING: &str = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// All sinks over HTTP. `sentinel` asks for a token where it sends rows to, `sentinel-rows` elsewhere, from `authority`.
pub(crate) const SINKS: [&str; 9] =
    ["alertmanager", "elastic", "otlp", "pagerduty", "sentinel", "sentinel-rows", "slack", "splunk", "webhook"];

pub(crate) fn sink(kind: &str, url: &str, authority: &str, more: &str, folder: &Path) -> std::sync::Arc<dyn Sink> {
    let sentinel = |authority: &str| {
        format!(
            "url = '{url}'\nauthority = '{authority}'\nrule_id = 'dcr-000a00a000a00000a000000aa000a0aa'\n\
             tenant_id = 'contoso.example'\nclient_id = '11111111-2222-3333-4444-555555555555'\nclient_secret = {{ env = 'TOKEN' }}"
        )
    };
    let own = match kind {
        "alertmanager" => format!("url = '{url}'\nbearer_token = {{ env = 'TOKEN' }}"),
        "elastic" => format!("url = '{url}'\napi_key = {{ env = 'TOKEN' }}"),
        "otlp" => format!("url = '{url}'\nheaders = {{ 'api-key' = {{ env = 'TOKEN' }} }}"),
        "pagerduty" => format!("url = '{url}'\nrouting_key = {{ env = 'ROUTING_KEY' }}"),
        "sentinel" => sentinel(url),
        "sentinel-rows" => sentinel(authority),
        "slack" => {
            std::fs::write(folder.join("slack-url"), format!("{url}{SECRET_PATH}")).unwrap();
            "url = { file = 'slack-url' }".to_owned()
        }
        "splunk" => format!("url = '{url}'\ntoken = {{ env = 'TOKEN' }}"),
        "webhook" => {
            std::fs::write(folder.join("signing"), format!("whsec_{SIGNING}")).unwrap();
            format!("url = '{url}/hook'\nbearer_token = {{ env = 'TOKEN' }}\nsigning_secret = {{ file = 'signing' }}")
        }
        other => unreachable!("{other}"),
    };
    let kind = kind.split('-').next().unwrap();
    let text = format!("[[sink]]\nname = 'it'\ntype = '{kind}'\ntimeout_ms = {}\n{own}\n{more}\n", TIMEOUT.as_millis());
    world::sink(&text, folder)
}

/// Delivers one alert; checks that it took no longer than it may and that nothing is told that must not be.
pub(crate) async fn deliver(what: &str, sink: &dyn Sink) -> Answer {
    let begun = Instant::now();
    let answers = sink.deliver(&[siem::message("one")]).await;
    let slack = Duration::from_millis(3000);
    assert!(begun.elapsed() < TIMEOUT + slack, "{what}: {:?}", begun.elapsed());
    assert_eq!(answers.len(), 1, "{what}");
    let told = format!("{answers:?} {sink:?}");
    for secret in [world::TOKEN, world::ROUTING_KEY, SECRET_PATH, SIGNING, "issued"] {
        assert!(!told.contains(secret), "{what}: {told}");
    }
    answers.into_iter().next().unwrap()
}

pub(crate) fn reason(answer: &Answer) -> &str {
    match answer {
        Answer::Delivered(said) | Answer::Refused(said) => said,
        Answer::Later { reason, .. } => reason,
    }
}

fn letter(answer: &Answer) -> String {
    siem::letters(std::slice::from_ref(answer))
}

/// What comes out of a fault: for all sinks, or where one of them has a rule of its own, for that one.
struct Expected {
    all: &'static str,
    other: &'static [(&'static str, &'static str)],
    /// What the reason says, in any case.
    says: &'static str,
}

fn expect(all: &'static str, other: &'static [(&'static str, &'static str)], says: &'static str) -> Expected {
    Expected { all, other, says }
}

/// Sentinel cannot do without a token: whatever goes wrong with that is about all it has.
const TOKEN_FIRST: (&str, &str) = ("sentinel", "L");

fn answer(head: &str, body: &str) -> Does {
    Does::Says(format!("HTTP/1.1 {head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()))
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_and_connections_that_fail() {
    let elsewhere = Server::start(Does::Takes, None).await;
    let authority = Server::start(Does::Takes, None).await;
    let redirect =
        |code: &str| answer(&format!("{code} Elsewhere\r\nlocation: http://{}/taken", elsewhere.address), "");
    // OTLP: what is not 429, 502, 503 or 504 is not to be sent again.
    let strict: &[_] = &[TOKEN_FIRST, ("otlp", "r")];
    let token: &[_] = &[TOKEN_FIRST];
    let cut = "HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{\"half".to_owned();
    let page = "<html>\r\n<b>500</b>\u{1b}[31m</html>";
    let cases = [
        (answer("429 Slow\r\nretry-after: 7", "slower"), expect("L", &[], "429")),
        (answer("503 Busy\r\nretry-after: 7", "busy"), expect("L", &[], "503")),
        (answer("500 Oops", page), expect("l", strict, "500")),
        (answer("502 Bad", "bad"), expect("l", token, "502")),
        (answer("504 Late", "late"), expect("l", token, "504")),
        (answer("408 Timeout", "slow"), expect("l", strict, "408")),
        (answer("401 No", "who are you"), expect("L", &[], "401")),
        (answer("407 Proxy", "log in"), expect("L", &[], "407")),
        (answer("400 Bad", "{\"error\":\"bad\"}"), expect("r", token, "400")),
        (answer("413 Large", "too large"), expect("r", token, "413")),
        (Does::Echoes(400), expect("r", token, "400")),
        (Does::Echoes(500), expect("l", strict, "500")),
        (redirect("301"), expect("L", &[], "301")),
        (redirect("302"), expect("L", &[], "302")),
        (redirect("307"), expect("L", &[], "307")),
        (redirect("308"), expect("L", &[], "308")),
        (Does::Says(cut), expect("l", &[], "answer")),
        (Does::Says("SSH-2.0-OpenSSH_9.2\r\n".to_owned()), expect("l", &[], "answer")),
        (Does::Floods("HTTP/1.1 500 Oops\r\nconnection: close\r\n\r\n".to_owned()), expect("l", strict, "500")),
        (Does::Floods("HTTP/1.1 200 OK\r\nx-long: ".to_owned()), expect("l", &[], "answer")),
        (Does::Trickles, expect("l", &[], "no answer in time")),
        (Does::Hangs, expect("l", &[], "no answer in time")),
        (Does::ClosesAtOnce, expect("l", &[], "answer")),
        (Does::ClosesAfterwards, expect("l", &[], "answer")),
    ];
    let folder = tempfile::tempdir().unwrap();
    for (does, expected) in &cases {
        let server = Server::start(does.clone(), None).await;
        let url = format!("http://{}", server.address);
        let authority = format!("http://{}", authority.address);
        let (url, authority, folder) = (&url, &authority, folder.path());
        // All at the same time: most of the cases are waits.
        let of = |kind| async move {
            let what = format!("{kind} {:.60}", format!("{does:?}"));
            let sink = sink(kind, url, authority, "", folder);
            let answer = deliver(&what, &*sink).await;
            let wanted =
                expected.other.iter().find(|(other, _)| *other == kind).map_or(expected.all, |(_, wanted)| *wanted);
            assert_eq!(letter(&answer), wanted, "{what}: {answer:?}");
            assert!(reason(&answer).contains(expected.says), "{what}: {answer:?}");
            assert!(reason(&answer).len() < 700 && !reason(&answer).contains(char::is_control), "{what}: {answer:?}");
            if let (Answer::Later { after, .. }, Does::Says(text)) = (&answer, does) {
                let wanted = text.contains("retry-after: 7").then_some(Duration::from_secs(7));
                assert_eq!(*after, wanted, "{what}");
            }
        };
        futures::future::join_all(SINKS.map(of)).await;
        assert!(server.requests().iter().all(|request| !request.to_lowercase().contains("accept-encoding")));
    }
    assert!(elsewhere.requests().is_empty(), "a redirect was followed: {:?}", elsewhere.requests());
}

/// `Retry-After` may be a date: it counts from the date of the answer, so that clocks need not agree.
#[tokio::test(flavor = "multi_thread")]
async fn patience_may_be_asked_for_with_a_date() {
    let authority = Server::start(Does::Takes, None).await;
    let folder = tempfile::tempdir().unwrap();
    let date = "date: Wed, 21 Oct 2015 07:28:00 GMT\r\n";
    let table = [
        (format!("{date}retry-after: Wed, 21 Oct 2015 07:30:00 GMT"), Some(120)),
        (format!("{date}retry-after: Wed, 21 Oct 2015 07:00:00 GMT"), Some(0)),
        (format!("{date}retry-after: 30"), Some(30)),
        ("retry-after: Wed, 21 Oct 2015 07:30:00 GMT".to_owned(), None),
        (format!("{date}retry-after: soon"), None),
        (format!("{date}retry-after: -5"), None),
    ];
    for (headers, seconds) in table {
        let server = Server::start(answer(&format!("503 Busy\r\n{headers}"), ""), None).await;
        for kind in SINKS {
            let url = format!("http://{}", server.address);
            let sink = sink(kind, &url, &format!("http://{}", authority.address), "", folder.path());
            let Answer::Later { after, is_general: true, .. } = deliver(kind, &*sink).await else { panic!("{kind}") };
            assert_eq!(after, seconds.map(Duration::from_secs), "{kind} {headers}");
        }
    }
}

/// What is compressed is not unpacked: nobody asked for it.
#[tokio::test(flavor = "multi_thread")]
async fn a_bomb_stays_packed() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(answer("500 Oops\r\ncontent-encoding: gzip", &"\u{1f}\u{8b}".repeat(400)), None).await;
    let url = format!("http://{}", server.address);
    for kind in SINKS {
        let answer = deliver(kind, &*sink(kind, &url, &url, "", folder.path())).await;
        assert!(reason(&answer).len() < 2_000, "{kind}: {answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_checked_and_told_of() {
    let folder = tempfile::tempdir().unwrap();
    server::certificates(folder.path());
    let own = "tls = { ca_file = 'ca.pem' }";
    let table = [
        ("good", own, "d", ""),
        ("good", "", "L", "tls = { ca_file"),
        ("unknown", own, "L", "tls = { ca_file"),
        ("expired", own, "L", "expired"),
        ("wrong", own, "L", "another name"),
    ];
    for (certificate, more, wanted, says) in table {
        let server = Server::start(Does::Takes, Some(server::acceptor(folder.path(), certificate))).await;
        let url = format!("https://localhost:{}", server.address.port());
        for kind in SINKS {
            let answer = deliver(kind, &*sink(kind, &url, &url, more, folder.path())).await;
            assert_eq!(letter(&answer), wanted, "{kind} {certificate}: {answer:?}");
            assert!(reason(&answer).contains(says), "{kind} {certificate}: {answer:?}");
        }
        assert_eq!(server.requests().is_empty(), wanted != "d", "{certificate}");
    }
}

/// Syslog is not HTTP, but its certificates are checked and told of in the same way.
#[tokio::test(flavor = "multi_thread")]
async fn certificates_of_syslog() {
    let folder = tempfile::tempdir().unwrap();
    server::certificates(folder.path());
    let own = "tls = { ca_file = 'ca.pem' }";
    let table = [
        ("good", own, "d", ""),
        ("good", "", "L", "tls = { ca_file"),
        ("unknown", own, "L", "tls = { ca_file"),
        ("expired", own, "L", "expired"),
        ("wrong", own, "L", "another name"),
    ];
    for (certificate, more, wanted, says) in table {
        let server = Server::start(Does::Takes, Some(server::acceptor(folder.path(), certificate))).await;
        let port = server.address.port();
        let text = format!(
            "[[sink]]\nname = 'it'\ntype = 'syslog'\ntransport = 'tls'\naddress = 'localhost:{port}'\ntimeout_ms = 3000\n{more}\n"
        );
        let answer = deliver(certificate, &*world::sink(&text, folder.path())).await;
        assert_eq!(letter(&answer), wanted, "{certificate}: {answer:?}");
        assert!(reason(&answer).contains(says), "{certificate}: {answer:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_that_lead_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let plain = Does::Interrupts("HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n".to_owned());
    let plain = Server::start(plain, None).await;
    let mute = Server::start(Does::Hangs, None).await;
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let table = [
        (format!("https://localhost:{}", plain.address.port()), "does not speak TLS"),
        ("https://name.invalid".to_owned(), "name is not known"),
        (format!("https://localhost:{}", nobody.port()), "refused"),
        (format!("https://localhost:{}", mute.address.port()), "failed to connect in time"),
    ];
    for (url, says) in table {
        let (url, folder) = (&url, folder.path());
        let of = |kind| async move {
            let answer = deliver(kind, &*sink(kind, url, url, "", folder)).await;
            assert_eq!(letter(&answer), "L", "{kind} {url}: {answer:?}");
            assert!(reason(&answer).to_lowercase().contains(&says.to_lowercase()), "{kind} {url}: {answer:?}");
        };
        futures::future::join_all(SINKS.map(of)).await;
    }
}
