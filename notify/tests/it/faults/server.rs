//! A server that misbehaves below HTTP: it cuts, hangs and floods, with certificates that are good or not, and a proxy.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// What it does with a request.
#[derive(Clone, Debug)]
pub(crate) enum Does {
    /// Takes it, as each vendor would.
    Takes,
    /// Writes this and closes.
    Says(String),
    /// A status, and what it was sent: some do that to be of help.
    Echoes(u16),
    /// The same as `Says` without an end: a head, and then bytes as long as they are read.
    Floods(String),
    /// A byte now and then.
    Trickles,
    Hangs,
    /// Says this to whatever begins, as a server does that expected something else.
    Interrupts(String),
    /// Closes without having read.
    ClosesAtOnce,
    ClosesAfterwards,
}

/// The server; ends with it.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    /// What was read of each request.
    pub(crate) received: Arc<Mutex<Vec<String>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub(crate) async fn start(does: Does, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let received = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&received);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (does, kept, tls) = (does.clone(), Arc::clone(&kept), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, &does, &kept).await,
                        // A handshake that fails is the client's to tell of.
                        Some(tls) => {
                            if let Ok(stream) = tls.accept(stream).await {
                                serve(stream, &does, &kept).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address, received, task }
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        self.received.lock().unwrap().clone()
    }
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, does: &Does, kept: &Mutex<Vec<String>>) {
    if matches!(does, Does::ClosesAtOnce) {
        return;
    }
    if let Does::Interrupts(said) = does {
        stream.read_u8().await.ok();
        stream.write_all(said.as_bytes()).await.ok();
        stream.shutdown().await.ok();
        return;
    }
    loop {
        let Some(request) = read(&mut stream).await else { return };
        kept.lock().unwrap().push(request.clone());
        // The client may be gone meanwhile: then there is nothing more to do.
        match does {
            Does::Takes => {
                let (status, body) = taken(&request);
                let answer = format!("HTTP/1.1 {status} Taken\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                if stream.write_all(answer.as_bytes()).await.is_err() {
                    return;
                }
                continue;
            }
            Does::Says(answer) => {
                stream.write_all(answer.as_bytes()).await.ok();
                stream.shutdown().await.ok();
            }
            Does::Echoes(status) => {
                let part = |text: &str, most: usize| text.chars().take(most).collect::<String>();
                let end: String = request.chars().rev().take(200).collect::<Vec<_>>().into_iter().rev().collect();
                let body =
                    serde_json::json!({ "error": "echo", "error_description": end, "seen": part(&request, 800) });
                let body = format!("{end} {} {body}", part(&request, 800));
                let answer = format!("HTTP/1.1 {status} Seen\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                stream.write_all(answer.as_bytes()).await.ok();
                stream.shutdown().await.ok();
            }
            Does::Floods(head) => {
                stream.write_all(head.as_bytes()).await.ok();
                while stream.write_all(&[b'x'; 65_536]).await.is_ok() {}
            }
            Does::Trickles => {
                for byte in b"HTTP/1.1 200 OK\r\nx-slow: ".iter().chain([b'a'; 600].iter()) {
                    if stream.write_all(&[*byte]).await.is_err() {
                        break;
                    }
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
            Does::Hangs => tokio::time::sleep(Duration::from_secs(60)).await,
            Does::Interrupts(_) | Does::ClosesAtOnce | Does::ClosesAfterwards => {}
        }
        return;
    }
}

/// A request with its body.
async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 16_384];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length =
                head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
            // The body may be binary: what counts is how much came.
            let came = bytes.len() - head.len() - 4;
            if came >= length.unwrap_or(0) || body.len() >= length.unwrap_or(0) {
                return Some(text);
            }
        }
        match stream.read(&mut buffer).await {
            Ok(0) | Err(_) => return None,
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
        }
    }
}

/// What each vendor answers to one message that it takes.
fn taken(request: &str) -> (u16, String) {
    let path = request.split(' ').nth(1).unwrap_or_default();
    let body = |text: &str| text.to_owned();
    match path {
        path if path.ends_with("/token") => {
            (200, body("{\"token_type\":\"Bearer\",\"expires_in\":3599,\"access_token\":\"issued\"}"))
        }
        path if path.contains("/_bulk") => {
            (200, body("{\"errors\":false,\"items\":[{\"create\":{\"status\":201,\"result\":\"created\"}}]}"))
        }
        path if path.contains("/services/collector") => (200, body("{\"text\":\"Success\",\"code\":0}")),
        path if path.contains("/v2/enqueue") => (202, body("{\"status\":\"success\"}")),
        path if path.contains("/dataCollectionRules/") => (204, String::new()),
        path if path.contains("/v1/logs") => (200, String::new()),
        _ => (200, body("ok")),
    }
}

/// A proxy that takes `CONNECT` alone, and leads wherever it was told; it keeps what was asked of it and the bytes that passed.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    pub(crate) seen: Arc<Mutex<Vec<u8>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Proxy {
    pub(crate) async fn start(target: SocketAddr, status: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&seen);
        let task = tokio::spawn(async move {
            loop {
                let (mut client, _) = listener.accept().await.unwrap();
                let kept = Arc::clone(&kept);
                tokio::spawn(async move {
                    let Some(request) = read(&mut client).await else { return };
                    kept.lock().unwrap().extend_from_slice(request.as_bytes());
                    let status = if request.starts_with("CONNECT ") { status } else { "405 Method Not Allowed" };
                    client.write_all(format!("HTTP/1.1 {status}\r\n\r\n").as_bytes()).await.unwrap();
                    if !status.starts_with("200") {
                        return;
                    }
                    let mut server = TcpStream::connect(target).await.unwrap();
                    let mut from_client = vec![0; 16_384];
                    let mut from_server = vec![0; 16_384];
                    loop {
                        tokio::select! {
                            read = client.read(&mut from_client) => match read {
                                Ok(0) | Err(_) => return,
                                Ok(count) => {
                                    kept.lock().unwrap().extend_from_slice(&from_client[..count]);
                                    server.write_all(&from_client[..count]).await.ok();
                                }
                            },
                            read = server.read(&mut from_server) => match read {
                                Ok(0) | Err(_) => return,
                                Ok(count) => {
                                    kept.lock().unwrap().extend_from_slice(&from_server[..count]);
                                    client.write_all(&from_server[..count]).await.ok();
                                }
                            },
                        }
                    }
                });
            }
        });
        Self { address, seen, task }
    }

    pub(crate) fn seen(&self) -> String {
        String::from_utf8_lossy(&self.seen.lock().unwrap()).into_owned()
    }
}

/// Makes, in a folder, an authority (`ca.pem`), one that nobody knows (`other-ca.pem`), and certificates with their keys: `good` for
/// localhost and receiver.example, `expired`, `wrong` for another name, `unknown` by the other authority.
pub(crate) fn certificates(folder: &Path) {
    let mut script = String::from("set -e\nnew='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes'\n");
    for authority in ["ca", "other-ca"] {
        writeln!(
            script,
            "openssl req -x509 $new -days 3650 -keyout {authority}.key -out {authority}.pem -subj /CN={authority}"
        )
        .unwrap();
    }
    let good = "DNS:localhost,DNS:receiver.example,IP:127.0.0.1";
    let all = [
        ("good", good, "ca", "30000101000000Z"),
        ("expired", good, "ca", "20200201000000Z"),
        ("wrong", "DNS:elsewhere.example", "ca", "30000101000000Z"),
        ("unknown", good, "other-ca", "30000101000000Z"),
    ];
    for (name, names, authority, end) in all {
        write!(
            script,
            "mkdir {name}\n: >{name}/index\n\
             printf '[ca]\\ndefault_ca=a\\n[a]\\ndatabase={name}/index\\nnew_certs_dir={name}\\nrand_serial=yes\\ndefault_md=sha256\\n\
             policy=p\\n[p]\\ncommonName=supplied\\n[e]\\nsubjectAltName={names}\\n' >{name}.cnf\n\
             openssl req $new -keyout {name}.key -out {name}.csr -subj /CN={name}\n\
             openssl ca -batch -notext -config {name}.cnf -extensions e -cert {authority}.pem -keyfile {authority}.key \
             -startdate 20200101000000Z -enddate {end} -in {name}.csr -out {name}.pem\n"
        )
        .unwrap();
    }
    let done = Command::new("sh").args(["-c", &script]).current_dir(folder).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// A server's side of TLS with one of the certificates.
pub(crate) fn acceptor(folder: &Path, name: &str) -> TlsAcceptor {
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    let certificates = CertificateDer::pem_file_iter(folder.join(format!("{name}.pem"))).unwrap();
    let certificates: Vec<_> = certificates.collect::<Result<_, _>>().unwrap();
    let key = PrivateKeyDer::from_pem_file(folder.join(format!("{name}.key"))).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}
