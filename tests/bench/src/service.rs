//! The program under test as a service: processes of its stages over one Kafka and one lake, their numbers and what they cost.
//! It starts no broker and makes no data.

use crate::Arguments;
use anyhow::{Context, bail, ensure};
use serde_json::Value;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Clock ticks a second of `/proc` (`getconf CLK_TCK`): 100 on every Linux that Rust runs on here.
const TICKS: f64 = 100.0;
/// How long a step may take.
const PATIENCE: Duration = Duration::from_secs(900);
/// Time between two looks at the numbers.
const LOOK: Duration = Duration::from_millis(20);

/// The folder of a benchmark: the one that is to be kept, made if need be, else the temporary one.
///
/// # Errors
/// When it cannot be made.
pub(crate) fn folder(arguments: &Arguments, temporary: &TempDir) -> anyhow::Result<PathBuf> {
    let folder = arguments.keep.as_deref().unwrap_or(temporary.path());
    let made = fs::create_dir_all(folder).and_then(|()| folder.canonicalize());
    made.with_context(|| format!("failed to make {}", folder.display()))
}

/// An installation in a folder: what its processes have in common.
#[derive(Clone, Debug)]
pub(crate) struct Service {
    pub(crate) program: PathBuf,
    pub(crate) folder: PathBuf,
    /// Address of the broker.
    pub(crate) brokers: String,
    /// Further sections of the configuration file.
    pub(crate) settings: String,
}

/// One process of it, which need not run.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    program: PathBuf,
    folder: PathBuf,
    name: String,
    pages: SocketAddr,
}

impl Service {
    /// A process with this name, which is that of its files too.
    ///
    /// # Errors
    /// When its configuration cannot be written.
    pub(crate) fn member(&self, name: &str) -> anyhow::Result<Member> {
        let pages = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let text = format!(
            "[run]\nlisten = \"{pages}\"\ninstance = \"{name}\"\n[transport]\nlog = \"kafka\"\n[transport.kafka]\nbrokers = [\"{}\"]\n{}",
            self.brokers, self.settings
        );
        let member =
            Member { program: self.program.clone(), folder: self.folder.clone(), name: name.to_owned(), pages };
        fs::write(member.file("toml"), text).context("failed to write the configuration")?;
        Ok(member)
    }
}

impl Member {
    fn file(&self, extension: &str) -> PathBuf {
        self.folder.join(format!("{}.{extension}", self.name))
    }

    fn command(&self, arguments: &[&str]) -> anyhow::Result<Command> {
        let mut command = Command::new(&self.program);
        let said = File::options().create(true).append(true).open(self.file("log"))?;
        command.arg("--config").arg(self.file("toml")).args(arguments).current_dir(&self.folder);
        command.stdin(Stdio::null()).stdout(said.try_clone()?).stderr(said);
        Ok(command)
    }

    /// Runs a command to its end.
    ///
    /// # Errors
    /// When it fails, with what it said.
    pub(crate) fn finish(&self, arguments: &[&str]) -> anyhow::Result<()> {
        let status = self.command(arguments)?.status().context("failed to start the program")?;
        ensure!(status.success(), "`{}` failed: {}", arguments.join(" "), self.said());
        Ok(())
    }

    /// What a query on the lake answers, as CSV without its head.
    ///
    /// # Errors
    /// When it fails.
    pub(crate) fn ask(&self, query: &str) -> anyhow::Result<String> {
        let output = self.command(&["-o", "csv", "sql", query])?.stdout(Stdio::piped()).output()?;
        ensure!(output.status.success(), "`{query}` failed: {}", self.said());
        let text = String::from_utf8(output.stdout).context("the answer is no text")?;
        Ok(text.lines().skip(1).collect::<Vec<_>>().join("\n"))
    }

    /// Starts some stages.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub(crate) fn start(&self, stages: &str) -> anyhow::Result<Running> {
        let child = self.command(&["run", "--stages", stages])?.spawn().context("failed to start the program")?;
        Ok(Running { child, member: self.clone() })
    }

    /// All that it said so far.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(self.file("log")).unwrap_or_default()
    }
}

/// A process that is killed when it is not needed any more.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    pub(crate) member: Member,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Running {
    /// Waits until its numbers are so.
    ///
    /// # Errors
    /// When it ends, or it takes too long.
    pub(crate) fn until(&mut self, is_so: impl Fn(&Value) -> bool) -> anyhow::Result<()> {
        let begun = Instant::now();
        while !self.metrics().is_some_and(|metrics| is_so(&metrics)) {
            self.check()?;
            ensure!(begun.elapsed() < PATIENCE, "it takes too long: {}", self.member.said());
            std::thread::sleep(LOOK);
        }
        Ok(())
    }

    /// Checks that it runs.
    ///
    /// # Errors
    /// When it has ended, with what it said.
    pub(crate) fn check(&mut self) -> anyhow::Result<()> {
        match self.child.try_wait()? {
            Some(status) => bail!("{} ended with {status}: {}", self.member.name, self.member.said()),
            None => Ok(()),
        }
    }

    /// Its numbers by name; none while it does not answer.
    pub(crate) fn metrics(&self) -> Option<Value> {
        let mut stream = TcpStream::connect(self.member.pages).ok()?;
        stream.write_all(b"GET /status HTTP/1.0\r\n\r\n").ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let status: Value = serde_json::from_str(answer.split_once("\r\n\r\n")?.1).ok()?;
        Some(status["metrics"].clone())
    }

    /// One of its numbers; 0 while it does not answer.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        self.metrics().and_then(|metrics| metrics[name].as_u64()).unwrap_or_default()
    }

    /// User and system time so far, seconds.
    ///
    /// # Errors
    /// When it has ended.
    pub(crate) fn cpu_seconds(&self) -> anyhow::Result<f64> {
        let stat = fs::read_to_string(self.process().join("stat"))?;
        // The name of the program is in brackets, and may hold anything.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = |place: usize| fields.get(place).and_then(|field| field.parse::<f64>().ok());
        Ok((ticks(11).context("unreadable stat")? + ticks(12).context("unreadable stat")?) / TICKS)
    }

    /// Resident memory in MB: now, and the most so far.
    ///
    /// # Errors
    /// When it has ended.
    pub(crate) fn memory_mb(&self) -> anyhow::Result<(f64, f64)> {
        let status = fs::read_to_string(self.process().join("status"))?;
        let of = |key: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(key));
            let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
            kib.map(|kib| kib * 1024.0 / 1e6).context("unreadable status")
        };
        Ok((of("VmRSS:")?, of("VmHWM:")?))
    }

    fn process(&self) -> PathBuf {
        Path::new("/proc").join(self.child.id().to_string())
    }

    /// SIGTERM, and the wait for its end.
    ///
    /// # Errors
    /// When it cannot be told.
    pub(crate) fn stop(&mut self) -> anyhow::Result<()> {
        Command::new("kill").args(["-s", "TERM", &self.child.id().to_string()]).status()?;
        self.child.wait()?;
        Ok(())
    }

    /// SIGKILL. Nothing to do where it has ended.
    pub(crate) fn kill(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
