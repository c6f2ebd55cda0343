//! Mail to a real server: aiosmtpd, without TLS, with STARTTLS and with TLS, by certificates of a private authority. What arrives is
//! read by Python's parser.

use crate::world::{self, HOSTILE, hostile};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tradewind_notify::sinks::{Answer, Sink};
use tradewind_notify::{Action, Alert, Heartbeat, Message};

/// The server; ends with this.
struct Server {
    child: Child,
    folder: PathBuf,
    port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it").join(name)
}

/// Python with aiosmtpd: that of `TRADEWIND_PYTHON`, or the one on the path.
fn python() -> Option<PathBuf> {
    let named = std::env::var_os("TRADEWIND_PYTHON").map(PathBuf::from);
    let has_server = |python: &PathBuf| {
        let said = Command::new(python).args(["-c", "import aiosmtpd"]).stderr(Stdio::null()).status();
        said.is_ok_and(|status| status.success())
    };
    let found = named.into_iter().chain([PathBuf::from("python3")]).find(has_server);
    if found.is_none() {
        world::skipped("Python with aiosmtpd");
    }
    found
}

/// An authority and a certificate of `localhost` by it.
fn certificates(folder: &Path) {
    std::fs::write(folder.join("server.ext"), "subjectAltName=DNS:localhost\nextendedKeyUsage=serverAuth\n").unwrap();
    let openssl = |arguments: &str| {
        let done = Command::new("openssl").args(arguments.split(' ')).current_dir(folder).output().unwrap();
        assert!(done.status.success(), "{arguments}: {done:?}");
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(&format!("req -x509 {key} -keyout ca.key -out ca.pem -days 30 -subj /CN=test-authority"));
    openssl(&format!("req {key} -keyout server.key -out server.csr -subj /CN=localhost"));
    openssl(
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out server.pem -days 30 -extfile server.ext",
    );
}

impl Server {
    async fn start(folder: &Path, security: &str) -> Option<Self> {
        let python = python()?;
        if security != "none" {
            certificates(folder);
        }
        let log = std::fs::File::create(folder.join("server.log")).unwrap();
        let mut child = Command::new(python)
            .args([script("smtp_server.py").as_path(), folder])
            .arg(security)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let begun = Instant::now();
        let port = loop {
            if let Ok(port) = std::fs::read_to_string(folder.join("port")) {
                break port.parse().unwrap();
            }
            let ended = child.try_wait().unwrap();
            let log = || std::fs::read_to_string(folder.join("server.log")).unwrap();
            assert!(ended.is_none() && begun.elapsed() < Duration::from_secs(30), "it does not start: {}", log());
            tokio::time::sleep(Duration::from_millis(30)).await;
        };
        Some(Self { child, folder: folder.to_owned(), port })
    }

    fn mails(&self) -> Vec<Value> {
        let mut files: Vec<PathBuf> = std::fs::read_dir(&self.folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "eml"))
            .collect();
        files.sort();
        let read = Command::new(python().unwrap()).arg(script("read_mail.py")).args(&files).output().unwrap();
        assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
        serde_json::from_slice(&read.stdout).unwrap()
    }

    fn sink(&self, security: &str, more: &str) -> String {
        format!(
            "[[sink]]\nname = 'mail'\ntype = 'email'\nserver = 'localhost'\nport = {}\nsecurity = '{security}'\n\
             from = 'Tradewind <tradewind@example.org>'\ntimeout_ms = 3000\n{more}\n",
            self.port
        )
    }
}

const TO: &str = "to = ['On call <on-call@example.org>', 'two@example.org']";
const LOGIN: &str = "user = 'user'\npassword = { env = 'TOKEN' }\ntls = { ca_file = 'ca.pem' }";

fn message(alert: Alert) -> Message {
    Message::Alert(Box::new(alert))
}

async fn one(sink: &dyn Sink, message: Message) -> Answer {
    sink.deliver(&[message]).await.remove(0)
}

fn header<'a>(mail: &'a Value, name: &str) -> &'a str {
    mail["headers"][name].as_str().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn mails_of_an_incident_are_one_thread() {
    let folder = tempfile::tempdir().unwrap();
    let Some(server) = Server::start(folder.path(), "none").await else { return };
    let sink = world::sink(&server.sink("none", TO), folder.path());
    for action in [Action::Open, Action::Update, Action::Resolve] {
        world::is_delivered(&one(&*sink, message(world::alert("one", action))).await);
    }
    let mails = server.mails();
    assert_eq!(header(&mails[0], "message-id"), "<incident-one@example.org>");
    assert_eq!(header(&mails[0], "references"), "");
    for mail in &mails[1..] {
        assert_eq!(header(mail, "references"), "<incident-one@example.org>");
        assert_eq!(header(mail, "in-reply-to"), "<incident-one@example.org>");
        assert_ne!(header(mail, "message-id"), "<incident-one@example.org>");
    }
    let title = "agent planner contacts service payments:443 for the first time";
    assert_eq!(header(&mails[0], "subject"), format!("[Tradewind] High: {title}"));
    assert_eq!(header(&mails[2], "subject"), format!("[Tradewind] Over: {title}"));
    assert_eq!(header(&mails[0], "to"), "On call <on-call@example.org>, two@example.org");
    assert_eq!(header(&mails[0], "auto-submitted"), "auto-generated");
    let text = mails[0]["parts"]["text/plain"].as_str().unwrap();
    for part in ["Entity: prod/shop/agent/planner", "T1021", "https://tradewind.example/incidents/one"] {
        assert!(text.contains(part), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_texts_stay_texts() {
    let folder = tempfile::tempdir().unwrap();
    let Some(server) = Server::start(folder.path(), "none").await else { return };
    let sink = world::sink(&server.sink("none", TO), folder.path());
    let heartbeat = Heartbeat { time: world::now(), causes: vec![HOSTILE.to_owned()], open_incidents: 0 };
    let bad = hostile("one\r\nBcc: victim@example.org");
    let messages = [
        message(bad.clone()),
        message(bad.clone().resolved(world::now())),
        Message::Digest(vec![bad; 50]),
        Message::Heartbeat(heartbeat),
        message(Alert::test(world::now())),
    ];
    for message in messages {
        world::is_delivered(&one(&*sink, message).await);
    }
    let known = [
        "from",
        "to",
        "subject",
        "date",
        "message-id",
        "auto-submitted",
        "in-reply-to",
        "references",
        "mime-version",
        "content-type",
    ];
    let mails = server.mails();
    assert_eq!(mails.len(), 5);
    for mail in &mails {
        let names = mail["names"].as_array().unwrap();
        assert!(names.iter().all(|name| known.contains(&name.as_str().unwrap())), "{names:?}");
        assert_eq!(mail["defects"], serde_json::json!([]), "{}", header(mail, "subject"));
        assert!(header(mail, "subject").chars().count() <= 200);
        let html = mail["parts"]["text/html"].as_str().unwrap();
        assert!(!html.contains("<script") && !html.contains("<!channel>"), "{html}");
    }
    let text = mails[0]["parts"]["text/plain"].as_str().unwrap();
    assert!(text.contains("東京 😀") && !text.contains('\u{202e}') && !text.contains("\nBcc:"), "{text}");
    assert!(header(&mails[4], "subject").contains("TEST"));
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_of_the_server_decide_what_becomes_of_a_mail() {
    let folder = tempfile::tempdir().unwrap();
    let Some(server) = Server::start(folder.path(), "none").await else { return };
    let sink = |to: &str| world::sink(&server.sink("none", &format!("to = [{to}]")), folder.path());
    let alert = || message(world::alert("one", Action::Open));
    let answer = one(&*sink("'refused@example.org'"), alert()).await;
    assert!(
        matches!(&answer, Answer::Refused(said) if said.contains("550") && said.contains("no such user")),
        "{answer:?}"
    );
    let answer = one(&*sink("'later@example.org'"), alert()).await;
    assert!(matches!(&answer, Answer::Later { reason, is_general: false, .. } if reason.contains("450")), "{answer:?}");
    // The others get it.
    let answer = one(&*sink("'refused@example.org', 'good@example.org'"), alert()).await;
    assert!(matches!(&answer, Answer::Delivered(said) if said.contains("not to refused@example.org")), "{answer:?}");
    assert_eq!(server.mails().len(), 1);
    std::fs::write(folder.path().join("busy"), "421 4.3.2 shutting down").unwrap();
    let answer = one(&*sink("'good@example.org'"), alert()).await;
    assert!(matches!(&answer, Answer::Later { is_general: true, .. }), "{answer:?}");
    std::fs::write(folder.path().join("busy"), "452 4.2.2 mailbox full").unwrap();
    let answer = one(&*sink("'good@example.org'"), alert()).await;
    assert!(matches!(&answer, Answer::Later { is_general: false, .. }), "{answer:?}");
    let good = sink("'good@example.org'");
    drop(server);
    let answer = one(&*good, alert()).await;
    assert!(matches!(&answer, Answer::Later { is_general: true, .. }), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_way_is_protected() {
    for security in ["starttls", "tls"] {
        let folder = tempfile::tempdir().unwrap();
        let Some(server) = Server::start(folder.path(), security).await else { return };
        let to = |more: &str| world::sink(&server.sink(security, &format!("{TO}\n{more}")), folder.path());
        let alert = || message(world::alert("one", Action::Open));
        let good = to(LOGIN);
        world::is_delivered(&one(&*good, alert()).await);
        assert!(!format!("{good:?}").contains(world::TOKEN));
        // A wrong password, no password, an authority that is not known: a person has to mend it, and no mail is lost.
        for (more, says) in [
            (LOGIN.replace("TOKEN", "ROUTING_KEY"), "535"),
            ("tls = { ca_file = 'ca.pem' }".to_owned(), ""),
            ("user = 'user'\npassword = { env = 'TOKEN' }".to_owned(), "name it with `tls"),
        ] {
            let answer = one(&*to(&more), alert()).await;
            assert!(matches!(&answer, Answer::Later { is_general: true, .. }), "{security}: {more}: {answer:?}");
            assert!(
                format!("{answer:?}").contains(says) && !format!("{answer:?}").contains(world::ROUTING_KEY),
                "{security} {more} {answer:?}"
            );
        }
        // The certificate is for another name.
        let other = server.sink(security, &format!("{TO}\n{LOGIN}")).replace("'localhost'", "'127.0.0.1'");
        let answer = one(&*world::sink(&other, folder.path()), alert()).await;
        assert!(
            matches!(&answer, Answer::Later { is_general: true, reason, .. } if reason.contains("another name")),
            "{answer:?}"
        );
        assert_eq!(server.mails().len(), 1);
    }
    // What asks for TLS does not go without.
    let folder = tempfile::tempdir().unwrap();
    let Some(server) = Server::start(folder.path(), "none").await else { return };
    let answer =
        one(&*world::sink(&server.sink("starttls", TO), folder.path()), message(world::alert("one", Action::Open)))
            .await;
    assert!(matches!(&answer, Answer::Later { is_general: true, .. }), "{answer:?}");
    assert!(server.mails().is_empty());
}

#[test]
fn settings_that_cannot_work_are_told() {
    let faults = |more: &str| {
        let text = format!(
            "outbox = 'o'\noutbox_alerts_max = 1000\nretrospective_h = 1\nwait_ms = 0\nmemory_days = 1\nlink = ''\n\
             [[sink]]\nname = 'mail'\ntype = 'email'\n{more}"
        );
        toml::from_str::<tradewind_notify::NotifySettings>(&text).unwrap().faults().join("; ")
    };
    let good = "server = 'mail.example.org'\nfrom = 'a@example.org'\nto = ['b@example.org']\n";
    assert_eq!(faults(good), "");
    let check = |more: &str, part: &str| assert!(faults(more).contains(part), "{more}: {}", faults(more));
    check(&format!("{good}security = 'none'"), "not this machine");
    check(&format!("{good}user = 'a'"), "belong together");
    check(&good.replace("'b@example.org'", ""), "0 recipients");
    check(
        &good
            .replace("b@example.org", "b@example.org\\r\\nBcc: c@example.org")
            .replace("['", "[\"")
            .replace("']", "\"]"),
        "`to`",
    );
    check(&good.replace("a@example.org", "nobody"), "`from`");
    check(&good.replace("mail.example.org", "smtps://mail.example.org/"), "`server`");
}
