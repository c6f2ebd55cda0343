//! Proxies of the environment. Variables are those of a process, so each case is a process of its own: this test binary, which runs
//! [`child`] alone.

use super::server::{self, Does, Proxy, Server};
use super::{SINKS, deliver, reason, sink};
use std::path::Path;
use std::process::Command;
use tradewind_notify::sinks::Answer;

/// Where a server is, for [`child`].
const URL: &str = "TRADEWIND_TEST_PROXIED_URL";
const FOLDER: &str = "TRADEWIND_TEST_PROXIED_FOLDER";

/// Delivers by each sink, and prints what came of it. Only where it was asked to.
#[tokio::test(flavor = "multi_thread")]
#[allow(clippy::print_stdout)]
async fn child() {
    let (Some(url), Some(folder)) = (std::env::var_os(URL), std::env::var_os(FOLDER)) else { return };
    let url = url.into_string().unwrap();
    for kind in SINKS {
        let sink = sink(kind, &url, &url, "tls = { ca_file = 'ca.pem' }", Path::new(&folder));
        let answer = deliver(kind, &*sink).await;
        let word = match answer {
            Answer::Delivered(_) => "delivered",
            Answer::Refused(_) => "refused",
            Answer::Later { is_general: true, .. } => "general",
            Answer::Later { is_general: false, .. } => "later",
        };
        println!("CAME {kind} {word} {}", reason(&answer));
    }
}

/// What came of each sink, with these variables.
async fn run(url: String, folder: &Path, variables: Vec<(&'static str, String)>) -> Vec<String> {
    let folder = folder.to_owned();
    let done = tokio::task::spawn_blocking(move || {
        let mut command = Command::new(std::env::current_exe().unwrap());
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"] {
            command.env_remove(name).env_remove(name.to_lowercase());
        }
        command.args(["--exact", "faults::proxy::child", "--nocapture"]).env(URL, url).env(FOLDER, folder);
        command.envs(variables).output().unwrap()
    });
    let done = done.await.unwrap();
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    assert!(done.status.success(), "{said} {}", String::from_utf8_lossy(&done.stderr));
    let came: Vec<String> = said.lines().filter_map(|line| Some(line.split_once("CAME ")?.1.to_owned())).collect();
    assert_eq!(came.len(), SINKS.len(), "{said}");
    came
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_leads_there_and_reads_nothing() {
    let folder = tempfile::tempdir().unwrap();
    server::certificates(folder.path());
    let receiver = Server::start(Does::Takes, Some(server::acceptor(folder.path(), "good"))).await;
    let proxy = Proxy::start(receiver.address, "200 Connected").await;
    let at = format!("http://{}", proxy.address);
    // Nobody here knows the name: the proxy does.
    let came = run("https://receiver.example".to_owned(), folder.path(), vec![("HTTPS_PROXY", at.clone())]).await;
    assert!(came.iter().all(|line| line.contains(" delivered ")), "{came:?}");
    let seen = proxy.seen();
    // More where a token was asked for over a connection of its own.
    let connected = seen.matches("CONNECT receiver.example:443 ").count();
    assert!(connected >= SINKS.len(), "{connected}: {seen:.300}");
    for readable in ["planner", "authorization", crate::world::TOKEN, crate::world::ROUTING_KEY, "POST /"] {
        assert!(!seen.contains(readable), "the proxy saw {readable}");
    }
    assert!(receiver.requests().len() > SINKS.len(), "each came, and a token was asked for");

    // What is not to go by the proxy does not.
    let url = format!("https://localhost:{}", receiver.address.port());
    let without = vec![("HTTPS_PROXY", at), ("NO_PROXY", "localhost,.internal".to_owned())];
    let came = run(url, folder.path(), without).await;
    assert!(came.iter().all(|line| line.contains(" delivered ")), "{came:?}");
    assert_eq!(proxy.seen().matches("CONNECT ").count(), connected, "none came since");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_is_down_or_says_no() {
    let folder = tempfile::tempdir().unwrap();
    server::certificates(folder.path());
    let receiver = Server::start(Does::Takes, Some(server::acceptor(folder.path(), "good"))).await;
    let url = format!("https://localhost:{}", receiver.address.port());
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let log_in = Proxy::start(receiver.address, "407 Proxy Authentication Required").await;
    let forbids = Proxy::start(receiver.address, "403 Forbidden").await;
    for (at, says) in [(nobody, "refused"), (log_in.address, "proxy"), (forbids.address, "proxy")] {
        // A password of the proxy is a secret, too.
        let proxy = format!("http://user:pass-that-nobody-may-read@{at}");
        let came = run(url.clone(), folder.path(), vec![("HTTPS_PROXY", proxy)]).await;
        for line in came {
            assert!(line.contains(" general ") && line.to_lowercase().contains(says), "{line}");
            assert!(!line.contains("nobody-may-read"), "{line}");
        }
    }
    assert!(receiver.requests().is_empty());
}
