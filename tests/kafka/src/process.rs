//! A server as a child process: started with its log in a file, waited for, signalled, and never left behind.
//!
//! Invariant: the child dies with this process, whatever ends it. `setpriv --pdeathsig` asks the kernel for that. The kernel means the
//! thread that forked, and a test's thread ends with the test, so all children are forked by one thread that never ends.

use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::ServerError;

/// How often a state that cannot be waited for is looked at.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_millis(10);
/// How much of a log stands in an error.
const TAIL_BYTES: u64 = 4_096;

/// What to start.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    /// For messages.
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) arguments: Vec<String>,
    /// Standard output and error, appended.
    pub(crate) log: PathBuf,
}

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    name: String,
    child: Child,
    log: PathBuf,
    /// Where in the log this start begins.
    log_start: u64,
}

impl Server {
    /// # Errors
    /// When the program or `setpriv` is not there, or the log cannot be written.
    pub(crate) fn start(program: &Program) -> Result<Self, ServerError> {
        let log_error = |error: std::io::Error| ServerError::file("open", &program.log, &error);
        let output = OpenOptions::new().create(true).append(true).open(&program.log).map_err(log_error)?;
        let log_start = output.metadata().map_err(log_error)?.len();
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL", "--"])
            .arg(&program.path)
            .args(&program.arguments)
            .stdin(Stdio::null())
            .stdout(output.try_clone().map_err(log_error)?)
            .stderr(output);
        let child = spawn(command)
            .map_err(|error| ServerError::Spawn { program: program.name.clone(), reason: error.to_string() })?;
        Ok(Self { name: program.name.clone(), child, log: program.log.clone(), log_start })
    }

    /// # Errors
    /// When it has ended; with the end of its log.
    pub(crate) fn expect_running(&mut self) -> Result<(), ServerError> {
        match self.child.try_wait() {
            Ok(Some(status)) => {
                Err(ServerError::Ended { server: self.name.clone(), status: status.to_string(), log: self.log_tail() })
            }
            _ => Ok(()),
        }
    }

    /// Whether the log of this start holds `text`.
    pub(crate) fn has_logged(&self, text: &str) -> bool {
        read_from(&self.log, self.log_start).is_ok_and(|log| log.contains(text))
    }

    /// The last lines of the log of this start.
    pub(crate) fn log_tail(&self) -> String {
        let end = std::fs::metadata(&self.log).map_or(0, |metadata| metadata.len());
        read_from(&self.log, self.log_start.max(end.saturating_sub(TAIL_BYTES))).unwrap_or_default()
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends `TERM`, `STOP` or `CONT`.
    ///
    /// # Errors
    /// When the process is gone.
    pub(crate) fn signal(&self, signal: &'static str) -> Result<(), ServerError> {
        // The shell's own `kill` is always there, and std has no call for signals.
        let output = Command::new("sh")
            .args(["-c", "kill -s \"$1\" \"$2\"", "kill", signal, &self.child.id().to_string()])
            .output()
            .map_err(|error| error.to_string());
        let failed = |reason: String| ServerError::Signal { server: self.name.clone(), signal, reason };
        match output {
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) => Err(failed(String::from_utf8_lossy(&output.stderr).trim().to_owned())),
            Err(reason) => Err(failed(reason)),
        }
    }

    /// SIGKILL, and the wait for its end. Nothing to do when it has ended already.
    pub(crate) fn kill(&mut self) {
        // Both fail only when the process is gone, which is what is wanted.
        self.child.kill().ok();
        self.child.wait().ok();
    }

    /// SIGTERM, and the wait for its end.
    ///
    /// # Errors
    /// When it does not end within `limit`; it is killed then.
    pub(crate) fn stop(&mut self, limit: Duration) -> Result<(), ServerError> {
        self.signal("TERM")?;
        let started = Instant::now();
        loop {
            match self.child.try_wait() {
                // An error means that somebody else waited for it: it has ended, too.
                Ok(Some(_)) | Err(_) => return Ok(()),
                Ok(None) if started.elapsed() <= limit => thread::sleep(LOOK_AGAIN),
                Ok(None) => {
                    let log = self.log_tail();
                    self.kill();
                    return Err(ServerError::TimedOut { server: self.name.clone(), state: "stopped", limit, log });
                }
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Whether somebody listens there.
pub(crate) fn listens(port: u16) -> bool {
    TcpStream::connect_timeout(&SocketAddr::from(([127, 0, 0, 1], port)), Duration::from_secs(1)).is_ok()
}

fn read_from(path: &Path, start: u64) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

type Order = (Command, SyncSender<std::io::Result<Child>>);

/// Forks in the thread that lives as long as the process.
fn spawn(command: Command) -> std::io::Result<Child> {
    static FORKER: OnceLock<SyncSender<Order>> = OnceLock::new();
    let forker = FORKER.get_or_init(|| {
        let (orders, inbox) = sync_channel::<Order>(1);
        thread::spawn(move || {
            for (mut command, answer) in inbox {
                // Who asked may have given up; the child is then dropped, and dies with this thread.
                answer.send(command.spawn()).ok();
            }
        });
        orders
    });
    let (answer, child) = sync_channel(1);
    let gone = |_| std::io::Error::other("the thread that starts servers has ended");
    forker.send((command, answer)).map_err(|_| gone(()))?;
    child.recv().map_err(|_| gone(()))?
}
