//! A reverse proxy before an HTTP server, such as an object store, that fails requests on purpose: by a seeded chance, or by a script
//! for the next requests. It passes everything else on as it comes, without holding bodies. For faults of the network see
//! [`crate::Toxiproxy`].

mod message;
mod plan;

use std::io::{self, BufReader, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::ServerError;
use message::{Body, Head};
use plan::Decider;
pub use plan::{Fault, FaultPlan};

/// A client or server that says nothing for so long is gone.
const SILENCE_MAX: Duration = Duration::from_secs(60);

/// The proxy. It stops taking connections when dropped.
///
/// ```no_run
/// # use tradewind_kafka_testkit::{Fault, FaultPlan, FaultyHttp, S3, ServerError};
/// # use std::time::Duration;
/// # fn main() -> Result<(), ServerError> {
/// let s3 = S3::start()?;
/// let proxy = FaultyHttp::start(&s3.address())?;
/// let settings = s3.environment_at(&proxy.endpoint());
/// proxy.set_plan(FaultPlan {
///     seed: 7,
///     per_thousand: 50,
///     faults: vec![Fault::Status(503), Fault::LoseAnswer, Fault::Stall(Duration::from_secs(5))],
///     ..FaultPlan::default()
/// });
/// proxy.script([None, Some(Fault::Status(500))]); // the next passes, the one after it fails
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct FaultyHttp {
    address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    upstream: SocketAddr,
    decider: Mutex<Decider>,
    is_closed: Mutex<bool>,
    closing: Condvar,
    passed: AtomicU64,
    failed: AtomicU64,
}

impl FaultyHttp {
    /// A proxy on a free port, without faults at first.
    ///
    /// # Errors
    /// When `upstream` is no `address:port`, or there is no free port.
    pub fn start(upstream: &str) -> Result<Self, ServerError> {
        let failed =
            |reason: &dyn ToString| ServerError::request(format!("a proxy before {upstream}"), &reason.to_string());
        let upstream = upstream.parse().map_err(|error| failed(&error))?;
        let listener = TcpListener::bind("127.0.0.1:0").map_err(|error| failed(&error))?;
        let address = listener.local_addr().map_err(|error| failed(&error))?;
        let shared = Arc::new(Shared {
            upstream,
            decider: Mutex::new(Decider::default()),
            is_closed: Mutex::new(false),
            closing: Condvar::new(),
            passed: AtomicU64::new(0),
            failed: AtomicU64::new(0),
        });
        let accepting = Arc::clone(&shared);
        thread::spawn(move || accepting.accept(&listener));
        Ok(Self { address, shared })
    }

    /// `http://host:port`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// `host:port`.
    #[must_use]
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// What happens to requests from now on.
    pub fn set_plan(&self, plan: FaultPlan) {
        lock(&self.shared.decider).set_plan(plan);
    }

    /// What happens to the next requests that the plan's conditions select, in order, before the plan's chance applies again.
    pub fn script(&self, faults: impl IntoIterator<Item = Option<Fault>>) {
        lock(&self.shared.decider).script(faults);
    }

    /// Requests that were passed on and answered as the server did, so far.
    #[must_use]
    pub fn passed(&self) -> u64 {
        self.shared.passed.load(Ordering::Relaxed)
    }

    /// Requests that got a fault, so far.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.shared.failed.load(Ordering::Relaxed)
    }
}

impl Drop for FaultyHttp {
    fn drop(&mut self) {
        *lock(&self.shared.is_closed) = true;
        self.shared.closing.notify_all();
        // Wakes the thread that waits for connections; when it cannot, that thread has ended.
        TcpStream::connect(self.address).ok();
    }
}

/// Whether the connection goes on.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    Request,
    Close,
}

impl Shared {
    fn accept(self: Arc<Self>, listener: &TcpListener) {
        for client in listener.incoming() {
            if *lock(&self.is_closed) {
                return;
            }
            let Ok(client) = client else { continue };
            let shared = Arc::clone(&self);
            // A connection that fails is what the client sees: closed.
            thread::spawn(move || shared.serve(&client).ok());
        }
    }

    fn serve(&self, client: &TcpStream) -> io::Result<()> {
        client.set_read_timeout(Some(SILENCE_MAX))?;
        client.set_nodelay(true)?;
        let mut reader = BufReader::new(client);
        while let Some(head) = Head::read(&mut reader)? {
            let fault = lock(&self.decider).decide(head.word(0), head.word(1));
            // Counted before, so that who saw the answer sees the count.
            let counter = if fault.is_some_and(|fault| !fault.is_delay()) { &self.failed } else { &self.passed };
            counter.fetch_add(1, Ordering::Relaxed);
            if self.answer(&head, &mut reader, client, fault)? == Next::Close || head.says("connection", "close") {
                break;
            }
        }
        client.shutdown(Shutdown::Both)
    }

    fn answer(
        &self,
        head: &Head,
        body: &mut BufReader<&TcpStream>,
        client: &TcpStream,
        fault: Option<Fault>,
    ) -> io::Result<Next> {
        if head.says("expect", "100-continue") && fault != Some(Fault::LoseRequest) {
            let mut client = client;
            client.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        match fault {
            None => self.forward(head, body, &mut &*client),
            Some(Fault::Delay(delay)) => {
                self.wait(delay);
                self.forward(head, body, &mut &*client)
            }
            Some(Fault::Status(status)) => {
                head.request_body().copy(body, &mut io::sink())?;
                refuse(client, status, head.word(0))?;
                Ok(Next::Request)
            }
            Some(Fault::Stall(duration)) => {
                head.request_body().copy(body, &mut io::sink())?;
                self.wait(duration);
                Ok(Next::Close)
            }
            Some(Fault::LoseRequest) => {
                self.tear(head, body)?;
                Ok(Next::Close)
            }
            Some(Fault::LoseAnswer) => {
                self.forward(head, body, &mut io::sink())?;
                Ok(Next::Close)
            }
        }
    }

    /// Sends the request, on a connection of its own, and copies the answer.
    fn forward(&self, head: &Head, body: &mut BufReader<&TcpStream>, answer: &mut impl Write) -> io::Result<Next> {
        let mut server = self.connect()?;
        server.write_all(head.text.as_bytes())?;
        head.request_body().copy(body, &mut server)?;
        let mut reader = BufReader::new(&server);
        let reply = loop {
            let reply = Head::read(&mut reader)?.ok_or(io::ErrorKind::UnexpectedEof)?;
            // Said to the client already.
            if reply.word(1) != "100" {
                break reply;
            }
        };
        answer.write_all(reply.text.as_bytes())?;
        let reply_body = reply.answer_body(head.word(0));
        reply_body.copy(&mut reader, answer)?;
        let is_last = reply_body == Body::UntilClose || reply.says("connection", "close");
        Ok(if is_last { Next::Close } else { Next::Request })
    }

    /// Sends the head and half of a body whose length is known, and leaves it there: what a torn connection leaves.
    fn tear(&self, head: &Head, body: &mut BufReader<&TcpStream>) -> io::Result<()> {
        if let Body::Bytes(length) = head.request_body() {
            let mut server = self.connect()?;
            server.write_all(head.text.as_bytes())?;
            Body::Bytes(length / 2).copy(body, &mut server)?;
        }
        Ok(())
    }

    fn connect(&self) -> io::Result<TcpStream> {
        let server = TcpStream::connect_timeout(&self.upstream, SILENCE_MAX)?;
        server.set_read_timeout(Some(SILENCE_MAX))?;
        server.set_nodelay(true)?;
        Ok(server)
    }

    /// Until the time is over or the proxy is dropped.
    fn wait(&self, duration: Duration) {
        let is_closed = lock(&self.is_closed);
        drop(self.closing.wait_timeout_while(is_closed, duration, |is_closed| !*is_closed));
    }
}

/// An answer in the form that S3 gives its errors.
fn refuse(mut client: &TcpStream, status: u16, method: &str) -> io::Result<()> {
    let code = if status == 503 { "SlowDown" } else { "InternalError" };
    let body = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{code}</Code><Message>made to fail</Message></Error>"
    );
    let head =
        format!("HTTP/1.1 {status} {code}\r\nContent-Type: application/xml\r\nContent-Length: {}\r\n\r\n", body.len());
    client.write_all(head.as_bytes())?;
    if method == "HEAD" { Ok(()) } else { client.write_all(body.as_bytes()) }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
