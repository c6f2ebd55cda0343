//! Ports that stay a server's own while it is down: chosen below the range from which the kernel takes ports for outgoing connections,
//! and held against other test processes by a lock on a file.
//!
//! Port 0 would not do. A broker has to know the port that it advertises, and in the kernel's range a client that dials a killed broker
//! again and again can be given the broker's port, and so connect to itself.

use std::fs::{File, OpenOptions};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU16, Ordering};

use crate::{ServerError, folder};

const FROM: u16 = 15_000;
const TO: u16 = 32_000;

/// A port on 127.0.0.1 that no other test takes while this value lives.
#[derive(Debug)]
pub(crate) struct Port {
    number: u16,
    // Closing the file gives the port back.
    _lock: File,
}

impl Port {
    /// # Errors
    /// When all are taken, or the folder of the locks cannot be written.
    pub(crate) fn reserve() -> Result<Self, ServerError> {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let folder = folder::base()?.join("ports");
        std::fs::create_dir_all(&folder).map_err(|error| ServerError::file("create", &folder, &error))?;
        let span = TO - FROM;
        // Processes begin at different places, so that they seldom try the same port.
        let first = u16::try_from(std::process::id() % u32::from(span)).unwrap_or_default();
        for _ in 0..span {
            let step = NEXT.fetch_add(1, Ordering::Relaxed);
            let offset = (u32::from(first) + u32::from(step)) % u32::from(span);
            let number = FROM + u16::try_from(offset).unwrap_or_default();
            let path = folder.join(number.to_string());
            let lock = OpenOptions::new()
                .create(true)
                .truncate(false)
                .write(true)
                .open(&path)
                .map_err(|error| ServerError::file("open", &path, &error))?;
            if lock.try_lock().is_ok() && TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok() {
                return Ok(Self { number, _lock: lock });
            }
        }
        Err(ServerError::NoPort { from: FROM, to: TO })
    }

    pub(crate) fn number(&self) -> u16 {
        self.number
    }

    /// `127.0.0.1:PORT`.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.number)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_reserved_port_is_nobody_elses() {
        let ports: Vec<_> = (0..20).map(|_| Port::reserve().unwrap()).collect();
        let mut numbers: Vec<_> = ports.iter().map(Port::number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), ports.len());
        assert!(numbers.iter().all(|number| (FROM..TO).contains(number)));
        let path = folder::base().unwrap().join("ports").join(numbers[0].to_string());
        let other = OpenOptions::new().write(true).open(path).unwrap();
        assert!(other.try_lock().is_err(), "another process could take it");
    }
}
