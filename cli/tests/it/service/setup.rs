//! The service that a test runs: its configuration, what is put into it, what its pages say.

use super::running::{Service, free_address, number, wrong};
use crate::program::Program;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::ops::Range;

/// A folder with a configuration: all stages in one process, which follow `logs/*.log`, take pushes, and commit soon.
pub(super) struct Setup {
    pub(super) program: Program,
    pages: SocketAddr,
    push: SocketAddr,
}

impl Setup {
    /// On the embedded log.
    pub(super) fn embedded() -> Self {
        Self::new("")
    }

    /// On Kafka at this address, with topics of this prefix, in sessions that are short enough for a test to outlast them.
    pub(super) fn kafka(bootstrap: &str, prefix: &str, transport: &str) -> Self {
        Self::new(&format!(
            "[transport]\nlog = \"kafka\"\ntopic_prefix = \"{prefix}\"\n{transport}[transport.kafka]\n\
             brokers = [\"{bootstrap}\"]\nrequest_timeout_ms = 4000\nsession_timeout_ms = 6000\n\
             rebalance_timeout_ms = 10000\ntransaction_timeout_ms = 10000\n"
        ))
    }

    /// With these sections besides those that all have.
    pub(super) fn new(sections: &str) -> Self {
        let (program, pages, push) = (Program::new(), free_address(), free_address());
        std::fs::create_dir(program.folder().join("logs")).unwrap();
        program.file(
            "tradewind.toml",
            format!(
                "[run]\nlisten = \"{pages}\"\nidle_s = 2\n[store]\ninterval_ms = 300\n[connect]\nhash_seed = 7\n\
                 [detection]\nsnapshot_s = 1\n{sections}\
                 [[source]]\ntype = \"file\"\nname = \"files\"\npaths = [\"{}/logs/*.log\"]\npoll_interval_ms = 50\n\
                 scan_interval_ms = 100\n\
                 [[source]]\ntype = \"http\"\nname = \"push\"\nlisten = \"{push}\"\nanonymous = true\nwrite_timeout_ms = 2000\n",
                program.folder().display()
            ),
        );
        Self { program, pages, push }
    }

    /// Makes the topics on Kafka.
    pub(super) fn create_topics(&self) {
        let made = self.program.run(&["topics", "create"]);
        assert_eq!(made.code, 0, "{made:?}");
    }

    /// Begins it; what it logs goes to a file of this name.
    pub(super) fn start(&self, name: &str) -> Service {
        Service::start(&self.program, name, &[])
    }

    /// Adds to a file that is followed.
    pub(super) fn append(&self, name: &str, bytes: impl AsRef<[u8]>) {
        let path = self.program.folder().join("logs").join(name);
        let mut file = std::fs::File::options().create(true).append(true).open(path).unwrap();
        file.write_all(bytes.as_ref()).unwrap();
    }

    /// The status that a push is answered with; none where nobody listens.
    pub(super) fn push(&self, key: &str, body: &str) -> Option<u16> {
        let head = format!("POST /v1/raw HTTP/1.1\r\nIdempotency-Key: {key}\r\nContent-Length: {}\r\n", body.len());
        ask(self.push, &head, body).map(|(status, _)| status)
    }

    /// Status and body of one of the pages.
    pub(super) fn get(&self, path: &str) -> Option<(u16, String)> {
        ask(self.pages, &format!("GET {path} HTTP/1.1\r\n"), "")
    }

    /// Whether all stages work.
    pub(super) fn is_ready(&self) -> bool {
        self.get("/readyz").is_some_and(|(status, _)| status == 200)
    }

    /// Whether `/readyz` answers 503 with a cause that holds this text, and `tradewind status` says the same.
    pub(super) fn tells(&self, text: &str) -> bool {
        let is_told = self.get("/readyz").is_some_and(|(status, body)| status == 503 && body.contains(text));
        is_told && {
            let status = self.program.run(&["status"]);
            status.code == 1 && status.out.contains(text)
        }
    }

    /// The value of a metric without attributes.
    pub(super) fn metric(&self, name: &str) -> Option<u64> {
        let (_, page) = self.get("/metrics")?;
        let line = page.lines().find(|line| !line.starts_with('#') && line.starts_with(name))?;
        line.rsplit(' ').next()?.parse().ok()
    }

    /// Whether each of these numbers is in the lake once.
    pub(super) fn has_stored(&self, numbers: Range<u32>) -> bool {
        wrong(&self.program, numbers) == Some(0)
    }

    /// The number that a query answers with.
    pub(super) fn number(&self, sql: &str) -> Option<i64> {
        number(&self.program, sql)
    }
}

/// Status and body of an answer.
fn ask(address: SocketAddr, head: &str, body: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.write_all(format!("{head}Host: {address}\r\nConnection: close\r\n\r\n{body}").as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let status = answer.split(' ').nth(1)?.parse().ok()?;
    Some((status, answer.split_once("\r\n\r\n")?.1.to_owned()))
}
