//! Standard input: lines as they come. It has no position to go back to, so it keeps no checkpoint: what was read but not
//! yet durable when the process is killed is lost, and a program that must not lose data writes to a file or pushes it.

use crate::collector::Wiring;
use crate::counters::{CollectCounters, add};
use crate::error::CollectError;
use crate::lines::{CHUNK_BYTES_MAX, Chunk, LineBuffer};
use crate::origin::{FramingSetting, Origin};
use crate::shutdown::Shutdown;
use crate::writer::Writer;
use serde::Deserialize;
use std::fmt;
use std::io::Read;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};
use tradewind_transport::Outgoing;
use tradewind_transport::envelope::Framing;

const READ_BYTES: usize = 256 * 1024;
/// Blocks between the thread that reads and the one that writes.
const QUEUE: usize = 8;
/// Most bytes in one transaction.
const TRANSACTION_BYTES_MAX: usize = 8 * 1024 * 1024;

/// `[[source]]` of `type = "stdin"`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StdinSettings {
    /// Name of the source.
    pub name: String,
    /// Who saw the traffic. Default: the log itself says.
    #[serde(default)]
    pub observer: Option<String>,
    /// Format, `NAME` or `NAME:LAYOUT`. Default: `auto`.
    #[serde(default = "crate::origin::auto")]
    pub format: String,
    /// Address space of the addresses. Default: the default one.
    #[serde(default)]
    pub network: Option<String>,
    /// How records lie in the bytes. Only `lines`, the default.
    #[serde(default)]
    pub framing: FramingSetting,
    /// Raw topic. Default: the one of all sources.
    #[serde(default)]
    pub topic: Option<String>,
    /// How long whole lines wait for more, in milliseconds. Default: 200.
    #[serde(default = "flush_interval_ms")]
    pub flush_interval_ms: u64,
}

const fn flush_interval_ms() -> u64 {
    200
}

impl StdinSettings {
    pub(crate) fn check(&self, faults: &mut Vec<String>) {
        crate::settings::check_range("flush_interval_ms", self.flush_interval_ms, (1, 60_000), faults);
        if self.framing != FramingSetting::Lines {
            faults.push("`framing` of standard input is `lines`: a stream has no other bounds of records".to_owned());
        }
    }
}

/// Collects from standard input, or from what stands for it.
pub(crate) struct StdinCollector {
    settings: StdinSettings,
    wiring: Wiring,
    counters: Arc<CollectCounters>,
    input: Box<dyn Read + Send>,
}

impl fmt::Debug for StdinCollector {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("StdinCollector").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl StdinCollector {
    pub(crate) fn new(settings: StdinSettings, wiring: Wiring, counters: Arc<CollectCounters>) -> Self {
        Self::reading(settings, wiring, counters, Box::new(std::io::stdin()))
    }

    pub(crate) fn reading(
        settings: StdinSettings,
        wiring: Wiring,
        counters: Arc<CollectCounters>,
        input: Box<dyn Read + Send>,
    ) -> Self {
        Self { settings, wiring, counters, input }
    }

    pub(crate) fn run(self, shutdown: &Shutdown) -> Result<(), CollectError> {
        let name = self.settings.name.clone();
        let topic = self.settings.topic.as_deref();
        let writer = Writer::open(&self.wiring, &name, topic, &self.counters, shutdown)?.writer;
        let (sender, receiver) = sync_channel(QUEUE);
        let (input, ending) = (self.input, shutdown.clone());
        // The thread is not waited for: a read of standard input cannot be interrupted.
        std::thread::Builder::new()
            .name(format!("read-{name}"))
            .spawn(move || read(input, &sender, &ending))
            .map_err(|source| CollectError::Start { name: name.clone(), what: "a thread", source })?;
        let origin = Origin {
            collector: self.wiring.collector.clone(),
            observer: self.settings.observer,
            network: self.settings.network,
            format: self.settings.format,
        };
        let flush_interval = Duration::from_millis(self.settings.flush_interval_ms);
        let run =
            Run { name, origin, writer, wiring: self.wiring, counters: self.counters, flush_interval, position: 0 };
        run.run(&receiver, shutdown)
    }
}

fn read(mut input: Box<dyn Read + Send>, sender: &SyncSender<std::io::Result<Vec<u8>>>, shutdown: &Shutdown) {
    let mut buffer = vec![0; READ_BYTES];
    while !shutdown.is_requested() {
        let block = match input.read(&mut buffer) {
            Ok(length) => Ok(buffer[..length].to_vec()),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => Err(error),
        };
        let is_end = block.as_ref().map_or(true, Vec::is_empty);
        if sender.send(block).is_err() || is_end {
            return;
        }
    }
}

struct Run {
    name: String,
    origin: Origin,
    writer: Writer,
    wiring: Wiring,
    counters: Arc<CollectCounters>,
    flush_interval: Duration,
    /// Bytes of the stream that are durable.
    position: u64,
}

impl Run {
    fn run(mut self, blocks: &Receiver<std::io::Result<Vec<u8>>>, shutdown: &Shutdown) -> Result<(), CollectError> {
        let mut buffer = LineBuffer::default();
        let mut oldest: Option<Instant> = None;
        loop {
            let wait =
                oldest.map_or(self.flush_interval, |oldest| self.flush_interval.saturating_sub(oldest.elapsed()));
            let (mut is_end, mut failed) = (shutdown.is_requested(), None);
            match blocks.recv_timeout(if is_end { Duration::ZERO } else { wait }) {
                Ok(Ok(block)) => {
                    // Blocks that were read before the request to end are still written.
                    is_end = block.is_empty();
                    buffer.push(&block);
                    oldest = oldest.or_else(|| Some(Instant::now()));
                }
                Ok(Err(error)) => (is_end, failed) = (true, Some(error)),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => is_end = true,
            }
            let is_due = oldest.is_some_and(|oldest| oldest.elapsed() >= self.flush_interval);
            if is_end || is_due || buffer.len() >= CHUNK_BYTES_MAX {
                self.flush(&mut buffer, is_end, shutdown)?;
                oldest = (buffer.len() > 0).then(Instant::now);
            }
            if let Some(source) = failed {
                return Err(CollectError::Stdin { name: self.name, source });
            }
            if is_end {
                return Ok(());
            }
        }
    }

    fn flush(&mut self, buffer: &mut LineBuffer, is_end: bool, shutdown: &Shutdown) -> Result<(), CollectError> {
        let now = self.wiring.clock.now();
        let (mut records, mut total, mut size): (Vec<Outgoing>, Chunk, usize) = Default::default();
        loop {
            let chunk = buffer.take(is_end);
            if let Some(chunk) = &chunk {
                let begin = self.position + total.consumed;
                total.consumed += chunk.consumed;
                total.lines += chunk.lines;
                total.cut += chunk.cut;
                add(&self.counters.lines_cut, u64::from(chunk.is_cut && !chunk.bytes.is_empty()));
                if !chunk.bytes.is_empty() {
                    size += chunk.bytes.len();
                    let source = format!("stdin {}-{}", begin, begin + chunk.consumed);
                    let record = self.origin.record(chunk.bytes.clone(), Framing::Lines, source, None, now);
                    records.push(self.writer.raw(0, record));
                }
            }
            if (chunk.is_none() || size >= TRANSACTION_BYTES_MAX) && total.consumed > 0 {
                if !records.is_empty() {
                    self.writer
                        .write(&records, &mut |time| shutdown.pause(time))
                        .map_err(|failure| self.writer.end(failure))?;
                }
                self.counters.accept(total.lines);
                add(&self.counters.bytes, size as u64);
                add(&self.counters.records, records.len() as u64);
                add(&self.counters.bytes_cut, total.cut);
                self.position += total.consumed;
                (records, total, size) = Default::default();
            }
            if chunk.is_none() {
                return Ok(());
            }
        }
    }
}
