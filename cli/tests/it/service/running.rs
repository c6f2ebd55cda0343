//! A service that runs beside the test, and ends with it.

use crate::program::Program;
use std::ffi::OsStr;
use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::{Child, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// How long a state is waited for.
const PATIENCE: Duration = Duration::from_secs(60);

/// `tradewind run` in the folder of a program.
pub(super) struct Service {
    child: Child,
    log: PathBuf,
}

impl Service {
    /// Begins it with these arguments; what it logs goes to a file of this name.
    pub(super) fn start(program: &Program, name: &str, arguments: &[&str]) -> Self {
        Self::start_in(program, name, arguments, &[])
    }

    /// The same in this environment.
    pub(super) fn start_in(program: &Program, name: &str, arguments: &[&str], environment: &[(&str, &OsStr)]) -> Self {
        let log = program.folder().join(format!("{name}.log"));
        let mut command = program.command(&[&["run", "--log-level", "info"], arguments].concat());
        command.envs(environment.iter().copied());
        let file = File::options().create(true).append(true).open(&log).unwrap();
        let child = command.stdout(file.try_clone().unwrap()).stderr(file).stdin(Stdio::null()).spawn().unwrap();
        Self { child, log }
    }

    /// What it logged so far.
    pub(super) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    pub(super) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(super) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let sent = std::process::Command::new("kill").args(["-s", name, &pid]).status().unwrap();
        assert!(sent.success());
    }

    /// Waits for its end.
    pub(super) fn end(&mut self) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(begun.elapsed() < PATIENCE, "it did not end:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until it logged this.
    pub(super) fn until_it_says(&mut self, text: &str) {
        let log = self.log.clone();
        self.until(&format!("it says `{text}`"), || std::fs::read_to_string(&log).is_ok_and(|log| log.contains(text)));
    }

    /// Waits until something holds.
    pub(super) fn until(&mut self, what: &str, mut holds: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !holds() {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("it ended with {status} before {what}:\n{}", self.log());
            }
            assert!(begun.elapsed() < PATIENCE, "waited in vain until {what}:\n{}", self.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// An address of this machine that nobody listens at just now.
pub(super) fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// The number that a query answers with; none while it cannot be asked.
pub(super) fn number(program: &Program, sql: &str) -> Option<i64> {
    let outcome = program.run(&["sql", "-o", "json", sql]);
    let rows: serde_json::Value = serde_json::from_str(&outcome.out).ok()?;
    rows[0].as_object()?.values().next()?.as_i64()
}

/// Flow log lines; each has its number in its bytes.
pub(super) fn lines(numbers: std::ops::Range<u32>) -> String {
    numbers
        .map(|number| {
            let (a, b) = (number % 7, number % 5 + 10);
            let start = 1_767_225_600 + i64::from(number / 100);
            format!(
                "2 123456789010 eni-{a} 10.0.0.{a} 10.0.1.{b} {} 443 6 10 {} {start} {} ACCEPT OK\n",
                20_000 + number % 40_000,
                1_000_000 + number,
                start + 30
            )
        })
        .collect()
}

/// How many numbers of a range are not there, or not once.
pub(super) fn wrong(program: &Program, numbers: std::ops::Range<u32>) -> Option<i64> {
    let (from, to) = (1_000_000 + numbers.start, 1_000_000 + numbers.end);
    let sql = format!(
        "SELECT {} - count(DISTINCT bytes_out) + count(*) - count(DISTINCT bytes_out) FROM flows WHERE bytes_out >= {from} \
         AND bytes_out < {to}",
        numbers.len()
    );
    number(program, &sql)
}
