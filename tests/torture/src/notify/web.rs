//! A web server that takes requests as a vendor would and fails in so many of a hundred, in every way a server can. Just enough of
//! HTTP 1.1 for the clients under test; what is right to ask, the vendor says.

use crate::random::Random;
use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// A request has no more bytes.
const BODY_BYTES_MAX: usize = 16 << 20;
/// A connection on which nothing happens is closed.
const IDLE: Duration = Duration::from_secs(60);

/// A request as it came.
#[derive(Clone, Debug, Default)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    /// By name in small letters.
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: Vec<u8>,
}

impl Request {
    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(String::as_str).unwrap_or_default()
    }
}

/// What a vendor makes of requests.
pub(super) trait Vendor: Send + Sync {
    /// Takes a request that meets no fault: status and body of the answer. `is_spared` is asked for each part of a request that can
    /// fail by itself.
    fn take(&self, request: &Request, is_spared: &mut dyn FnMut() -> bool) -> (u16, String);

    /// Whether parts of a request can fail.
    fn has_parts(&self) -> bool {
        false
    }
}

/// What becomes of a request instead of what should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// 429 with `Retry-After`, seconds.
    Busy(u64),
    Status(u16),
    /// Nothing is answered; whether it was taken in all the same.
    Silence(bool),
    /// Taken in, and the connection ends in the middle of the answer.
    HalfAnswer,
    /// The connection ends before an answer; whether it was taken in all the same.
    Closed(bool),
    /// Some parts fail.
    Parts,
}

impl Fault {
    fn draw(random: &mut Random, has_parts: bool) -> Self {
        match random.below(if has_parts { 125 } else { 100 }) {
            0..20 => Self::Busy(u64::from(random.percent(15))),
            20..35 => Self::Status(500),
            35..40 => Self::Status(502),
            40..55 => Self::Status(503),
            55..60 => Self::Silence(false),
            60..65 => Self::Silence(true),
            65..77 => Self::HalfAnswer,
            77..88 => Self::Closed(false),
            88..100 => Self::Closed(true),
            _ => Self::Parts,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Busy(_) => "429",
            Self::Status(500) => "500",
            Self::Status(502) => "502",
            Self::Status(_) => "503",
            Self::Silence(false) => "no answer, not taken",
            Self::Silence(true) => "no answer, taken",
            Self::HalfAnswer => "half an answer, taken",
            Self::Closed(false) => "closed, not taken",
            Self::Closed(true) => "closed, taken",
            Self::Parts => "some parts refused",
        }
    }
}

/// Told when a server has taken a request in and not answered so far: the moment at which a kill leaves open who knows what.
#[derive(Debug, Default)]
pub(super) struct Trigger {
    is_armed: AtomicBool,
    hits: Mutex<u64>,
    changed: Condvar,
}

impl Trigger {
    fn pull(&self) {
        if self.is_armed.swap(false, Ordering::SeqCst) {
            *lock(&self.hits) += 1;
            self.changed.notify_all();
        }
    }

    /// Waits for the next request that is taken in. Whether there was one in time.
    pub(super) fn wait(&self, limit: Duration) -> bool {
        let before = *lock(&self.hits);
        self.is_armed.store(true, Ordering::SeqCst);
        let waited = self.changed.wait_timeout_while(lock(&self.hits), limit, |hits| *hits == before);
        self.is_armed.store(false, Ordering::SeqCst);
        waited.is_ok_and(|(_, waited)| !waited.timed_out())
    }
}

/// What a server did.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) requests: AtomicU64,
    pub(super) faults: Mutex<BTreeMap<&'static str, u64>>,
}

struct Shared {
    vendor: Arc<dyn Vendor>,
    random: Mutex<Random>,
    /// Of a hundred requests so many fail.
    chance: u64,
    counts: Arc<Counts>,
    trigger: Arc<Trigger>,
}

/// Begins to serve on a port of its own choice, for as long as this process lives.
///
/// # Errors
/// When there is no port.
pub(super) fn serve(
    vendor: Arc<dyn Vendor>,
    random: Random,
    chance: u64,
    trigger: Arc<Trigger>,
) -> io::Result<(u16, Arc<Counts>)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    let counts = Arc::<Counts>::default();
    let shared = Arc::new(Shared { vendor, random: Mutex::new(random), chance, counts: Arc::clone(&counts), trigger });
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let shared = Arc::clone(&shared);
            // A connection that breaks is what a client under kills does.
            thread::spawn(move || shared.converse(stream).ok());
        }
    });
    Ok((port, counts))
}

impl Shared {
    fn converse(&self, mut stream: TcpStream) -> io::Result<()> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(IDLE))?;
        let mut reader = BufReader::new(stream.try_clone()?);
        while let Some(request) = read(&mut reader)? {
            self.counts.requests.fetch_add(1, Ordering::Relaxed);
            let fault = self.draw();
            if let Some(fault) = fault {
                *lock(&self.counts.faults).entry(fault.name()).or_default() += 1;
            }
            let take = || {
                let mut spared = || fault != Some(Fault::Parts) || lock(&self.random).percent(50);
                let answer = self.vendor.take(&request, &mut spared);
                self.trigger.pull();
                answer
            };
            match fault {
                None | Some(Fault::Parts) => {
                    let (status, body) = take();
                    answer(&mut stream, status, "", &body)?;
                }
                Some(Fault::Busy(after)) => {
                    answer(&mut stream, 429, &format!("retry-after: {after}\r\n"), "{\"message\":\"slow down\"}")?;
                }
                Some(Fault::Status(status)) => answer(&mut stream, status, "", "oops")?,
                Some(Fault::Silence(is_taken)) => {
                    if is_taken {
                        take();
                    }
                    // Until the client has enough of it.
                    return io::copy(&mut reader, &mut io::sink()).map(|_| ());
                }
                Some(Fault::HalfAnswer) => {
                    let (status, _) = take();
                    return write!(stream, "HTTP/1.1 {status} OK\r\ncontent-length: 1000\r\n\r\n{{\"sta");
                }
                Some(Fault::Closed(is_taken)) => {
                    if is_taken {
                        take();
                    }
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn draw(&self) -> Option<Fault> {
        let mut random = lock(&self.random);
        random.percent(self.chance).then(|| Fault::draw(&mut random, self.vendor.has_parts()))
    }
}

fn answer(stream: &mut TcpStream, status: u16, headers: &str, body: &str) -> io::Result<()> {
    let length = body.len();
    let text = format!(
        "HTTP/1.1 {status} Said\r\ncontent-type: application/json\r\n{headers}content-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(text.as_bytes())
}

/// The next request; none when the connection has ended.
fn read(reader: &mut BufReader<TcpStream>) -> io::Result<Option<Request>> {
    let mut line = String::new();
    if reader.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    let mut words = line.split_whitespace().map(str::to_owned);
    let mut request = Request {
        method: words.next().unwrap_or_default(),
        path: words.next().unwrap_or_default(),
        ..Request::default()
    };
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 {
            return Ok(None);
        }
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        request.headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length: usize = request.header("content-length").parse().unwrap_or_default();
    if length > BODY_BYTES_MAX {
        return Err(io::Error::other("the body is too long"));
    }
    request.body = vec![0; length];
    reader.read_exact(&mut request.body)?;
    Ok(Some(request))
}

pub(super) fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    struct Echo;

    impl Vendor for Echo {
        fn take(&self, request: &Request, _is_spared: &mut dyn FnMut() -> bool) -> (u16, String) {
            (202, format!("{} {} {}", request.method, request.path, String::from_utf8_lossy(&request.body)))
        }
    }

    fn ask(port: u16) -> io::Result<String> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_read_timeout(Some(Duration::from_millis(300)))?;
        stream.write_all(b"POST /a HTTP/1.1\r\nContent-Length: 2\r\nConnection: x\r\n\r\nhi")?;
        let mut bytes = [0; 512];
        let length = stream.read(&mut bytes)?;
        Ok(String::from_utf8_lossy(&bytes[..length]).into_owned())
    }

    #[test]
    fn a_request_is_taken_and_answered() {
        let (port, counts) = serve(Arc::new(Echo), Random::new(1, ""), 0, Arc::default()).unwrap();
        let answer = ask(port).unwrap();
        assert!(answer.starts_with("HTTP/1.1 202") && answer.ends_with("POST /a hi"), "{answer}");
        assert_eq!(counts.requests.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn all_faults_come() {
        let (port, counts) = serve(Arc::new(Echo), Random::new(2, ""), 100, Arc::default()).unwrap();
        for _ in 0..200 {
            if lock(&counts.faults).len() == 9 {
                return;
            }
            ask(port).ok();
        }
        panic!("{:?}", counts.faults);
    }
}
