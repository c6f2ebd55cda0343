//! Producers: they send the records of one epoch after the other, by HTTP push or into a file that is rotated, and tell the
//! oracle what was acknowledged.
//!
//! Nobody begins an epoch before all have sent the one before. That is what bounds how far records are out of order in event
//! time, whatever is killed, so that detection has no reason to find anything else than in an undisturbed run.

use crate::oracle::{Fate, Oracle, Sent};
use crate::push::push;
use crate::random::Random;
use crate::traffic::{Number, Traffic};
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Requests of one producer and epoch.
const REQUESTS: u64 = 3;
/// Pause before a request is sent again.
const AGAIN: Duration = Duration::from_millis(250);
/// A request that is not acknowledged for so long will not be.
const STUCK: Duration = Duration::from_secs(240);
/// A file is rotated after so many epochs.
const ROTATE_EPOCHS: u64 = 7;
/// The last epoch lies so far behind the others: three windows, so that all windows with records close.
const CLOSING_EPOCHS: u64 = 15;
/// Requests of each producer in the last epoch, one after the other, so that each raw partition gets some.
const CLOSING_REQUESTS: u64 = 12;
const CLOSING_REQUEST_RECORDS: u64 = 2;

/// Where a producer sends to.
#[derive(Clone, Debug)]
pub(crate) enum Lane {
    /// Requests to this port.
    Push { port: u16 },
    /// Lines into the file `flows.log` of this folder, which is rotated and then packed.
    File { folder: PathBuf },
}

/// What producers met.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    pub(crate) epochs: AtomicU64,
    pub(crate) records: AtomicU64,
    pub(crate) requests: AtomicU64,
    pub(crate) retries: AtomicU64,
    /// Answers that mean that a request is wrong, of which none is.
    pub(crate) refused: AtomicU64,
    /// A producer has given up.
    pub(crate) is_stuck: AtomicBool,
}

/// Sends epochs `0..`, each taking `epoch_time` at least, until `is_last` says so of the number of those that are sent; then
/// the one that closes all windows. Returns how many there were before that one.
///
/// # Errors
/// A file that cannot be written.
pub(crate) fn produce(
    traffic: &Traffic,
    lanes: &[Lane],
    oracle: &Oracle,
    progress: &Progress,
    epoch_time: Duration,
    is_last: &(dyn Fn(u64) -> bool + Sync),
) -> io::Result<u64> {
    let mut files: Vec<Option<Files>> = lanes.iter().map(Files::of).collect::<io::Result<_>>()?;
    let mut epoch = 0;
    while !is_last(epoch) && !progress.is_stuck.load(Ordering::Relaxed) {
        let begun = Instant::now();
        send_epoch(traffic, lanes, &mut files, oracle, progress, epoch)?;
        epoch += 1;
        progress.epochs.store(epoch, Ordering::Relaxed);
        thread::sleep(epoch_time.saturating_sub(begun.elapsed()));
    }
    let closing = epoch - 1 + CLOSING_EPOCHS;
    thread::scope(|scope| {
        let mut workers = Vec::new();
        for ((lane, files), number) in lanes.iter().zip(&mut files).zip(0..) {
            workers.push(scope.spawn(move || {
                let first = Number { epoch: closing, lane: number, index: 0 };
                let counts = vec![CLOSING_REQUEST_RECORDS; usize::try_from(CLOSING_REQUESTS).unwrap_or_default()];
                send(traffic, lane, files, oracle, progress, first, &counts)
            }));
        }
        workers.into_iter().try_for_each(joined)
    })?;
    Ok(epoch)
}

fn send_epoch(
    traffic: &Traffic,
    lanes: &[Lane],
    files: &mut [Option<Files>],
    oracle: &Oracle,
    progress: &Progress,
    epoch: u64,
) -> io::Result<()> {
    thread::scope(|scope| {
        let mut workers = Vec::new();
        for ((lane, files), number) in lanes.iter().zip(files).zip(0..) {
            workers.push(scope.spawn(move || {
                let records = traffic.epoch_records / traffic.lanes;
                let mut counts: Vec<u64> = vec![records / REQUESTS; usize::try_from(REQUESTS).unwrap_or_default()];
                counts[0] += records % REQUESTS;
                send(traffic, lane, files, oracle, progress, Number { epoch, lane: number, index: 0 }, &counts)
            }));
        }
        workers.into_iter().try_for_each(joined)
    })
}

fn joined(worker: thread::ScopedJoinHandle<'_, io::Result<()>>) -> io::Result<()> {
    worker.join().unwrap_or_else(|_| Err(io::Error::other("a producer panicked")))
}

fn send(
    traffic: &Traffic,
    lane: &Lane,
    files: &mut Option<Files>,
    oracle: &Oracle,
    progress: &Progress,
    mut first: Number,
    counts: &[u64],
) -> io::Result<()> {
    for &count in counts {
        let numbers = (0..count).map(|step| Number { index: first.index + step, ..first });
        let text: String = numbers.map(|number| traffic.line(number) + "\n").collect();
        let fate = match (lane, files.as_mut()) {
            (Lane::File { .. }, Some(files)) => {
                files.append(&text, first)?;
                Fate::Acknowledged
            }
            (Lane::Push { port }, _) => push_until_acknowledged(*port, first, &text, progress),
            (Lane::File { .. }, None) => Fate::Unknown,
        };
        oracle.add(Sent { first, count, fate });
        progress.records.fetch_add(count, Ordering::Relaxed);
        first.index += count;
    }
    Ok(())
}

fn push_until_acknowledged(port: u16, first: Number, text: &str, progress: &Progress) -> Fate {
    let key = format!("torture-{}", first.text());
    let begun = Instant::now();
    progress.requests.fetch_add(1, Ordering::Relaxed);
    loop {
        match push(port, &key, text) {
            Ok(200..=299) => return Fate::Acknowledged,
            // A key in use (409), and too much at a time, pass; what says that the request is wrong must not be.
            Ok(409 | 408 | 429 | 500..=599) | Err(_) => {}
            Ok(_) => {
                progress.refused.fetch_add(1, Ordering::Relaxed);
            }
        }
        progress.retries.fetch_add(1, Ordering::Relaxed);
        if begun.elapsed() > STUCK || progress.is_stuck.load(Ordering::Relaxed) {
            progress.is_stuck.store(true, Ordering::Relaxed);
            return Fate::Unknown;
        }
        thread::sleep(AGAIN);
    }
}

/// A file that grows and is rotated.
#[derive(Debug)]
struct Files {
    folder: PathBuf,
    file: File,
    rotations: u64,
    random: Random,
}

impl Files {
    fn of(lane: &Lane) -> io::Result<Option<Self>> {
        let Lane::File { folder } = lane else { return Ok(None) };
        std::fs::create_dir_all(folder)?;
        let random = Random::new(0, &folder.display().to_string());
        Ok(Some(Self { folder: folder.clone(), file: open(folder)?, rotations: 0, random }))
    }

    /// Writes lines in two pieces, which seldom meet at the end of one.
    fn append(&mut self, text: &str, first: Number) -> io::Result<()> {
        let rotation = first.epoch / ROTATE_EPOCHS;
        if rotation > self.rotations {
            let name = |rotation| self.folder.join(format!("flows.log.{rotation}"));
            std::fs::rename(self.folder.join("flows.log"), name(rotation))?;
            let before = name(self.rotations);
            if before.exists() {
                // As logrotate does with `delaycompress`: while it is written, once it is renamed.
                Command::new("gzip").arg(before).status()?;
            }
            self.rotations = rotation;
            self.file = open(&self.folder)?;
        }
        let at = usize::try_from(self.random.below(text.len() as u64)).unwrap_or_default();
        let (begin, rest) = text.as_bytes().split_at(at);
        self.file.write_all(begin)?;
        thread::sleep(Duration::from_millis(self.random.below(30)));
        self.file.write_all(rest)
    }
}

fn open(folder: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(folder.join("flows.log"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::oracle::Expected;

    #[test]
    fn files_hold_whole_lines_over_rotations() {
        let folder = tempfile::tempdir().unwrap();
        let lanes = [Lane::File { folder: folder.path().join("a") }, Lane::File { folder: folder.path().join("b") }];
        let traffic = Traffic { seed: 1, lanes: 2, epoch_records: 60 };
        let (oracle, progress) = (Oracle::default(), Progress::default());
        let epochs = produce(&traffic, &lanes, &oracle, &progress, Duration::ZERO, &|epoch| epoch == 15).unwrap();
        assert_eq!(epochs, 15);
        let mut lines = Vec::new();
        for name in ["flows.log.1.gz", "flows.log.2.gz", "flows.log.4", "flows.log"] {
            for lane in ["a", "b"] {
                let path = folder.path().join(lane).join(name);
                let text = Command::new("gzip").args(["-dcf"]).arg(&path).output().unwrap().stdout;
                lines.extend(String::from_utf8(text).unwrap().lines().map(str::to_owned));
            }
        }
        let numbers = lines.iter().map(|line| Number::parse(line.split(' ').nth(1).unwrap()).unwrap());
        assert!(numbers.zip(&lines).all(|(number, line)| traffic.line(number) == *line));
        let Expected { flows, letters, unknown } = oracle.expected(&traffic);
        assert_eq!((lines.len() as u64, unknown), (flows + letters, 0));
        assert_eq!(flows + letters, 15 * 60 + 2 * CLOSING_REQUESTS * CLOSING_REQUEST_RECORDS);
    }
}
