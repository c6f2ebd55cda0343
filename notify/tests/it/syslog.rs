//! Syslog against a real rsyslog over UDP, TCP and TLS, and CEF against an independent parser.

use crate::ocsf::{HOSTILE, tell_all};
use crate::{python, world};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// `rsyslogd`, with `imudp`, `imtcp` and the driver `gtls`; ends with the test.
struct Rsyslog(Child);

impl Drop for Rsyslog {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Rsyslog {
    fn start(folder: &Path, input: &str) -> Option<Self> {
        let path = ["/usr/sbin/rsyslogd", "/usr/bin/rsyslogd"].into_iter().find(|path| Path::new(path).exists());
        let Some(path) = path else {
            python::skipped("rsyslogd is not installed");
            return None;
        };
        let configuration = folder.join("rsyslog.conf");
        let text = format!(
            "global(workDirectory=\"{0}\" maxMessageSize=\"64k\")\n{input}\n\
             template(name=\"all\" type=\"string\" string=\"%PRI%|%HOSTNAME%|%APP-NAME%|%MSGID%|%STRUCTURED-DATA%|%msg%\\n\")\n\
             action(type=\"omfile\" file=\"{0}/out\" template=\"all\")\n",
            folder.display()
        );
        std::fs::write(&configuration, text).unwrap();
        let log = std::fs::File::create(folder.join("rsyslog.log")).unwrap();
        let child = Command::new(path)
            .args(["-n", "-f"])
            .arg(&configuration)
            .arg("-i")
            .arg(folder.join("pid"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        Some(Self(child))
    }
}

/// The lines that rsyslog wrote, when they are so many.
async fn lines(folder: &Path, count: usize) -> Vec<String> {
    let begun = Instant::now();
    loop {
        let text = std::fs::read(folder.join("out")).unwrap_or_default();
        let text = String::from_utf8(text).unwrap();
        if text.lines().count() >= count {
            return text.lines().map(str::to_owned).collect();
        }
        let log = std::fs::read_to_string(folder.join("rsyslog.log")).unwrap_or_default();
        assert!(begun.elapsed() < Duration::from_secs(20), "only {text}\n{log}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn tell(folder: &Path, sink: &str) {
    let mut notifier = world::start(&world::settings(sink), folder).unwrap();
    tell_all(&mut notifier).await;
    world::delivered(&mut notifier).await;
    let status = notifier.status().unwrap();
    assert_eq!((status.sinks["siem"].delivered, status.sinks["siem"].refused), (5, 0));
    notifier.stop().await.unwrap();
}

fn check(lines: &[String]) {
    assert_eq!(lines.len(), 5, "{lines:#?}");
    let mut actions = Vec::new();
    for line in lines {
        let fields: Vec<&str> = line.splitn(6, '|').collect();
        assert_eq!(&fields[1..4], ["-", "tradewind", "alert"], "{line}");
        assert!(fields[4].starts_with("[tradewind@32473 event=\""), "{line}");
        actions.push(fields[4].split("action=\"").nth(1).unwrap().split('"').next().unwrap());
        assert!(fields[5].trim_start().starts_with("CEF:0|Tradewind|Tradewind|"), "{line}");
    }
    assert_eq!(actions, ["open", "update", "resolve", "open", "resolve"]);
}

/// A line of CEF read as [`HOSTILE`] should come out: control characters and ends of lines are blanks, but for `\n` and `\r`.
const PARSE: &str = r#"
import json, sys
import cefp
from cefevent.extensions import extension_dictionary as known
out = []
for line in sys.stdin:
    event = cefp.parse(line.split("|", 5)[5].strip())
    for key, value in event["extension"].items():
        kind = known[key]
        if "Integer" in kind["data_type"] or "Long" in kind["data_type"] or "TimeStamp" in kind["data_type"]:
            int(value)
        elif kind["length"]:
            assert len(value) <= kind["length"], (key, value)
    out.append(event)
print(json.dumps(out))
"#;

#[tokio::test(flavor = "multi_thread")]
async fn tcp_to_rsyslog_and_cef_to_a_parser() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let input = format!("module(load=\"imtcp\")\ninput(type=\"imtcp\" address=\"127.0.0.1\" port=\"{port}\")");
    let Some(_rsyslog) = Rsyslog::start(folder.path(), &input) else { return };
    let sink = format!(
        "[[sink]]\nname = 'siem'\ntype = 'syslog'\ntransport = 'tcp'\naddress = '127.0.0.1:{port}'\nretry_max_s = 1\n"
    );
    tell(folder.path(), &sink).await;
    let lines = lines(folder.path(), 5).await;
    check(&lines);
    let Some(parsed) = python::run(PARSE, &["cefp", "cefevent"], &lines.join("\n")) else { return };
    let events: Vec<serde_json::Value> = serde_json::from_str(&parsed).unwrap();
    let event = &events[3];
    let blank = |char: char| matches!(char, '\u{2028}') || (char.is_control() && char != '\n' && char != '\r');
    let expected: String = HOSTILE.chars().map(|char| if blank(char) { ' ' } else { char }).collect();
    assert_eq!(event["extension"]["cs3"], expected);
    assert_eq!(event["extension"]["c6a3"], "2001:db8::7");
    assert_eq!(event["severity"], "10");
    let name = expected.replace(['\n', '\r'], " ");
    assert_eq!(event["name"], name);
    assert_eq!(events[0]["extension"]["dhost"], "payments");
    assert_eq!(events[0]["extension"]["dpt"], "443");
}

#[tokio::test(flavor = "multi_thread")]
async fn udp_to_rsyslog() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let input = format!("module(load=\"imudp\")\ninput(type=\"imudp\" address=\"127.0.0.1\" port=\"{port}\")");
    let Some(_rsyslog) = Rsyslog::start(folder.path(), &input) else { return };
    let sink = format!(
        "[[sink]]\nname = 'siem'\ntype = 'syslog'\ntransport = 'udp'\naddress = '127.0.0.1:{port}'\nretry_max_s = 1\n"
    );
    tell(folder.path(), &sink).await;
    check(&lines(folder.path(), 5).await);
}

/// An authority, and certificates of a server called `localhost` and of a client.
fn certificates(folder: &Path) {
    let script = "set -e\n\
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -keyout ca.key -out ca.pem -subj /CN=ca\n\
        for name in localhost client; do\n\
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout $name.key -out $name.csr -subj /CN=$name\n\
        printf 'subjectAltName=DNS:%s' $name > $name.ext\n\
        openssl x509 -req -in $name.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -out $name.pem -extfile $name.ext\n\
        done";
    let done = Command::new("sh").args(["-c", script]).current_dir(folder).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_to_rsyslog_with_a_client_certificate() {
    let folder = tempfile::tempdir().unwrap();
    certificates(folder.path());
    let port = free_port();
    let at = folder.path().display();
    let input = format!(
        "global(defaultNetstreamDriverCAFile=\"{at}/ca.pem\" defaultNetstreamDriverCertFile=\"{at}/localhost.pem\" \
         defaultNetstreamDriverKeyFile=\"{at}/localhost.key\")\n\
         module(load=\"imtcp\" StreamDriver.Name=\"gtls\" StreamDriver.Mode=\"1\" StreamDriver.AuthMode=\"x509/name\" \
         PermittedPeer=[\"client\"])\ninput(type=\"imtcp\" port=\"{port}\")"
    );
    let Some(_rsyslog) = Rsyslog::start(folder.path(), &input) else { return };
    let sink = format!(
        "[[sink]]\nname = 'siem'\ntype = 'syslog'\ntransport = 'tls'\naddress = 'localhost:{port}'\nretry_max_s = 1\n\
         tls = {{ ca_file = 'ca.pem', certificate_file = 'client.pem', key_file = 'client.key' }}\n"
    );
    tell(folder.path(), &sink).await;
    check(&lines(folder.path(), 5).await);
}
