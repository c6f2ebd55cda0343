//! What all servers have in common: one program that is killed, stopped, paused and started again, on the same ports and data.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::ServerError;
use crate::process::{LOOK_AGAIN, Program, Server};

/// How long an orderly end may take.
const STOP_LIMIT: Duration = Duration::from_secs(60);

/// When a server counts as started.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ready {
    pub(crate) limit: Duration,
    pub(crate) is_ready: fn(&Server, u16) -> bool,
    /// Given to `is_ready`.
    pub(crate) port: u16,
}

/// A program and, while it runs, its process.
#[derive(Debug)]
pub(crate) struct Managed {
    program: Program,
    ready: Ready,
    server: Mutex<Option<Server>>,
}

impl Managed {
    /// Nothing is started yet.
    pub(crate) fn new(program: Program, ready: Ready) -> Self {
        Self { program, ready, server: Mutex::new(None) }
    }

    /// Kills what runs, starts it and waits until it is ready. It can be killed while it starts, which is an error here.
    pub(crate) fn restart(&self) -> Result<(), ServerError> {
        self.restart_with(&[])
    }

    /// [`Managed::restart`] with further arguments before the others.
    pub(crate) fn restart_with(&self, arguments: &[&str]) -> Result<(), ServerError> {
        let mut program = self.program.clone();
        program.arguments.splice(0..0, arguments.iter().map(|argument| (*argument).to_owned()));
        let mut slot = self.server();
        // The old process has to be gone before the new one takes its ports.
        drop(slot.take());
        *slot = Some(Server::start(&program)?);
        drop(slot);
        self.wait_until_ready().inspect_err(|_| self.kill9())
    }

    fn wait_until_ready(&self) -> Result<(), ServerError> {
        let Ready { limit, is_ready, port } = self.ready;
        let name = || self.program.name.clone();
        let started = Instant::now();
        loop {
            {
                let mut slot = self.server();
                let Some(server) = slot.as_mut() else {
                    let status = "killed by the test".to_owned();
                    return Err(ServerError::Ended { server: name(), status, log: String::new() });
                };
                if is_ready(server, port) {
                    return Ok(());
                }
                server.expect_running()?;
                if started.elapsed() > limit {
                    let log = server.log_tail();
                    return Err(ServerError::TimedOut { server: name(), state: "ready", limit, log });
                }
            }
            thread::sleep(LOOK_AGAIN);
        }
    }

    pub(crate) fn kill9(&self) {
        if let Some(mut server) = self.server().take() {
            server.kill();
        }
    }

    pub(crate) fn stop(&self) -> Result<(), ServerError> {
        self.server().take().map_or(Ok(()), |mut server| server.stop(STOP_LIMIT))
    }

    pub(crate) fn signal(&self, signal: &'static str) -> Result<(), ServerError> {
        let gone =
            || ServerError::Signal { server: self.program.name.clone(), signal, reason: "it does not run".to_owned() };
        self.server().as_ref().ok_or_else(gone)?.signal(signal)
    }

    pub(crate) fn is_running(&self) -> bool {
        self.server().is_some()
    }

    pub(crate) fn process_id(&self) -> Option<u32> {
        self.server().as_ref().map(Server::id)
    }

    pub(crate) fn logs_tail(&self) -> String {
        self.server().as_ref().map(Server::log_tail).unwrap_or_default()
    }

    pub(crate) fn log_file(&self) -> &PathBuf {
        &self.program.log
    }

    /// The program's file.
    pub(crate) fn program(&self) -> &PathBuf {
        &self.program.path
    }

    fn server(&self) -> MutexGuard<'_, Option<Server>> {
        // A test that panicked in between leaves a server that can still be killed.
        self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
