//! A process of the service, started again whenever it ends, as a service manager does; signalled and killed on request.

use crate::random::Random;
use anyhow::Context as _;
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How often a process is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// Bounds of the pause before a process is started again, milliseconds.
const PAUSE_MS: (u64, u64) = (100, 1_500);

/// What to start.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: Vec<(String, String)>,
    /// Standard output and error, appended.
    pub(crate) log: PathBuf,
}

impl Program {
    /// The command that runs it. It dies with the thread that starts it, and so with this process however that ends.
    pub(crate) fn command(&self) -> anyhow::Result<Command> {
        let log = OpenOptions::new().create(true).append(true).open(&self.log);
        let log = log.with_context(|| format!("failed to open {}", self.log.display()))?;
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(&self.path).args(&self.arguments);
        command.envs(self.environment.iter().map(|(key, value)| (key, value)));
        command.stdin(Stdio::null()).stdout(log.try_clone().context("failed to share a log file")?).stderr(log);
        Ok(command)
    }
}

/// The process and the thread that starts it again.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) name: String,
    shared: Arc<Mutex<State>>,
    supervisor: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct State {
    child: Option<Child>,
    /// Not to be started again.
    is_over: bool,
    /// Not to be started again yet.
    is_held: bool,
    /// It was told to end, or killed.
    is_end_expected: bool,
    starts: u64,
    own_ends: Vec<String>,
}

impl Process {
    /// Starts it and keeps it running.
    pub(crate) fn start(program: Program, seed: u64) -> Self {
        let shared = Arc::new(Mutex::new(State::default()));
        let (name, state) = (program.name.clone(), Arc::clone(&shared));
        let supervisor = thread::spawn(move || supervise(&program, &state, seed));
        Self { name, shared, supervisor: Some(supervisor) }
    }

    /// SIGKILL. Nothing to do when it does not run.
    pub(crate) fn kill(&self) {
        let mut state = lock(&self.shared);
        state.is_end_expected = true;
        if let Some(child) = &mut state.child {
            // It fails only where the process has ended, which is what is wanted.
            child.kill().ok();
        }
    }

    /// SIGKILL, and no new start before [`Process::release`]. Returns when it is gone.
    pub(crate) fn hold(&self) {
        lock(&self.shared).is_held = true;
        self.kill();
        while lock(&self.shared).child.is_some() {
            thread::sleep(LOOK);
        }
    }

    /// Lets it be started again.
    pub(crate) fn release(&self) {
        lock(&self.shared).is_held = false;
    }

    /// SIGTERM: it ends in order, and is started again.
    pub(crate) fn terminate(&self) {
        let mut state = lock(&self.shared);
        state.is_end_expected = true;
        signal(&state, "TERM");
    }

    /// SIGSTOP: it stands still and does not know it.
    pub(crate) fn freeze(&self) {
        signal(&lock(&self.shared), "STOP");
    }

    /// SIGCONT.
    pub(crate) fn thaw(&self) {
        signal(&lock(&self.shared), "CONT");
    }

    /// How often it was started.
    pub(crate) fn starts(&self) -> u64 {
        lock(&self.shared).starts
    }

    /// How it ended where nobody had told it to.
    pub(crate) fn own_ends(&self) -> Vec<String> {
        lock(&self.shared).own_ends.clone()
    }

    /// SIGTERM, and SIGKILL when it takes longer. Whether it ended by itself in time; it is not started again.
    pub(crate) fn end(&mut self, limit: Duration) -> bool {
        {
            let mut state = lock(&self.shared);
            state.is_over = true;
            state.is_end_expected = true;
            signal(&state, "TERM");
        }
        let begun = Instant::now();
        while lock(&self.shared).child.is_some() && begun.elapsed() < limit {
            thread::sleep(LOOK);
        }
        let is_in_time = lock(&self.shared).child.is_none();
        self.kill();
        if let Some(supervisor) = self.supervisor.take() {
            supervisor.join().ok();
        }
        is_in_time
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        lock(&self.shared).is_over = true;
        self.kill();
        if let Some(supervisor) = self.supervisor.take() {
            supervisor.join().ok();
        }
    }
}

fn supervise(program: &Program, shared: &Mutex<State>, seed: u64) {
    let mut random = Random::new(seed, &program.name);
    loop {
        let mut state = lock(shared);
        if state.is_over {
            return;
        }
        if !state.is_held {
            state.is_end_expected = false;
            state.starts += 1;
            match program.command().and_then(|mut command| Ok(command.spawn()?)) {
                Ok(child) => state.child = Some(child),
                Err(error) => state.own_ends.push(format!("it cannot be started: {error:#}")),
            }
            drop(state);
            wait(shared);
        } else {
            drop(state);
        }
        let pause = Instant::now() + Duration::from_millis(random.between(PAUSE_MS.0, PAUSE_MS.1));
        while Instant::now() < pause && !lock(shared).is_over {
            thread::sleep(LOOK);
        }
    }
}

/// Waits until the process has ended, and notes how.
fn wait(shared: &Mutex<State>) {
    loop {
        let mut state = lock(shared);
        let Some(child) = &mut state.child else { return };
        let ended: Option<std::io::Result<ExitStatus>> = child.try_wait().transpose();
        if let Some(status) = ended {
            state.child = None;
            if !state.is_end_expected {
                let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
                state.own_ends.push(status);
            }
            return;
        }
        drop(state);
        thread::sleep(LOOK);
    }
}

/// Sends a signal. Under the lock, so that the process is not waited for, and its id not another's, in between.
fn signal(state: &State, signal: &str) {
    if let Some(child) = &state.child {
        // std has no call for signals, and the shell is always there. It fails only where the process has ended.
        let id = child.id().to_string();
        Command::new("sh")
            .args(["-c", "kill -s \"$1\" \"$2\"", "kill", signal, &id])
            .stderr(Stdio::null())
            .status()
            .ok();
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The last lines of a file, for messages.
pub(crate) fn tail(path: &Path, lines: usize) -> String {
    let text = std::fs::read(path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let all: Vec<&str> = text.lines().collect();
    all[all.len().saturating_sub(lines)..].join("\n")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn shell(folder: &Path, script: &str) -> Process {
        let program = Program {
            name: "shell".to_owned(),
            path: "sh".into(),
            arguments: vec!["-c".to_owned(), script.to_owned()],
            environment: Vec::new(),
            log: folder.join("log"),
        };
        Process::start(program, 1)
    }

    fn eventually(is_so: impl Fn() -> bool) {
        let begun = Instant::now();
        while !is_so() {
            assert!(begun.elapsed() < Duration::from_secs(20));
            thread::sleep(LOOK);
        }
    }

    #[test]
    fn a_killed_process_is_started_again() {
        let folder = tempfile::tempdir().unwrap();
        let mut process = shell(folder.path(), "echo begun; exec sleep 60");
        eventually(|| tail(&folder.path().join("log"), 9).contains("begun"));
        process.kill();
        eventually(|| process.starts() == 2);
        assert!(process.own_ends().is_empty());
        process.hold();
        process.release();
        eventually(|| process.starts() == 3);
        assert!(process.end(Duration::from_secs(10)));
    }

    #[test]
    fn an_end_that_nobody_asked_for_is_noted() {
        let folder = tempfile::tempdir().unwrap();
        let process = shell(folder.path(), "exit 3");
        eventually(|| !process.own_ends().is_empty());
        assert!(process.own_ends()[0].contains('3'), "{:?}", process.own_ends());
    }

    #[test]
    fn who_does_not_end_in_time_is_killed() {
        let folder = tempfile::tempdir().unwrap();
        let mut process = shell(folder.path(), "trap '' TERM; echo ready; while :; do sleep 0.1; done");
        eventually(|| tail(&folder.path().join("log"), 9).contains("ready"));
        assert!(!process.end(Duration::from_millis(300)));
    }
}
