//! The loop of a source of files: looks, reads, and writes lines together with the checkpoints of their files.

use crate::collector::Wiring;
use crate::counters::{CollectCounters, add};
use crate::error::CollectError;
use crate::files::catalogue::Catalogue;
use crate::files::identity::Packing;
use crate::files::packed::PackedReader;
use crate::files::reader::{self, Found, read_chunk};
use crate::files::relation::{PackedRelation, packed_relation};
use crate::files::scan::advice;
use crate::files::settings::FileSettings;
use crate::files::state::FileState;
use crate::files::tracked::{Handle, Standing, Tracked};
use crate::lines::Chunk;
use crate::origin::Origin;
use crate::shutdown::Shutdown;
use crate::writer::{Writer, hash};
use bytes::Bytes;
use std::collections::{BTreeSet, HashMap};
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};
use tracing::{debug, warn};
use tradewind_transport::Outgoing;
use tradewind_transport::envelope::Framing;

/// Most bytes of lines in one transaction.
const TRANSACTION_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Most checkpoints without data in one transaction.
const CHECKPOINTS_MAX: usize = 2_000;
/// Packed files that are read side by side.
const PACKED_OPEN_MAX: usize = 4;
/// A file that did not change for so long is only looked at when new files are looked for.
const HOT: Duration = Duration::from_secs(60);

/// A running source of files.
#[derive(Debug)]
pub(crate) struct Run {
    settings: FileSettings,
    wiring: Wiring,
    counters: Arc<CollectCounters>,
    writer: Writer,
    origin: Origin,
    catalogue: Catalogue,
    /// Where the next round begins, so that every file has its turn.
    cursor: u64,
}

/// What one transaction holds.
#[derive(Default)]
struct Load {
    records: Vec<Outgoing>,
    touched: BTreeSet<u64>,
    lines: u64,
    bytes: usize,
    cut: u64,
    lines_cut: u64,
    lines_partial: u64,
}

impl Run {
    pub(crate) fn new(
        settings: FileSettings,
        wiring: Wiring,
        counters: Arc<CollectCounters>,
        writer: Writer,
        states: Vec<FileState>,
        is_first: bool,
    ) -> Self {
        let (clock, shared) = (Arc::clone(&wiring.clock), Arc::clone(&counters));
        let catalogue = Catalogue::new(&settings, states, is_first, clock, shared, Instant::now());
        let origin = Origin {
            collector: wiring.collector.clone(),
            observer: settings.observer.clone(),
            network: settings.network.clone(),
            format: settings.format.clone(),
        };
        Self { settings, wiring, counters, writer, origin, catalogue, cursor: 0 }
    }

    pub(crate) fn run(mut self, shutdown: &Shutdown) -> Result<(), CollectError> {
        let scan_interval = Duration::from_millis(self.settings.scan_interval_ms);
        let poll_interval = Duration::from_millis(self.settings.poll_interval_ms);
        let mut next_look = Instant::now();
        while !shutdown.is_requested() {
            let now = Instant::now();
            if now >= next_look {
                self.catalogue.look(now);
                next_look = now + scan_interval;
            }
            let load = self.round(now);
            let is_busy = !load.records.is_empty();
            self.write(load, shutdown)?;
            if !is_busy && shutdown.wait(poll_interval) {
                break;
            }
        }
        Ok(())
    }

    /// One chunk of each file that has one, as far as a transaction holds them.
    fn round(&mut self, now: Instant) -> Load {
        self.stat(now);
        let mut load = Load::default();
        // Of one log the older file comes first, so that lines come in the order of their writing.
        let mut first = HashMap::new();
        for (&number, file) in &self.catalogue.files {
            if file.lag() > 0 && file.is_fresh && file.failed_at.is_none() || matches!(file.handle, Handle::Packed(_)) {
                first
                    .entry((file.state.path.parent().map(std::path::Path::to_owned), file.family.clone()))
                    .or_insert(number);
            }
        }
        let mut numbers: Vec<u64> = self.catalogue.files.keys().copied().collect();
        let start = numbers.partition_point(|&number| number < self.cursor);
        numbers.rotate_left(start);
        for number in numbers {
            if load.bytes >= TRANSACTION_BYTES_MAX {
                self.cursor = number;
                break;
            }
            let Some(file) = self.catalogue.files.get(&number) else { continue };
            let key = (file.state.path.parent().map(std::path::Path::to_owned), file.family.clone());
            if first.get(&key).is_some_and(|&first| first < number) {
                continue;
            }
            let result = match file.standing {
                Standing::Follow if file.packing == Packing::Plain => self.read_plain(number, now, &mut load),
                Standing::Follow => self.read_packed(number, &mut load),
                Standing::Settle => self.settle(number, now),
                Standing::Copy(_) | Standing::Ended => Ok(()),
            };
            if let Err(error) = result {
                self.fail(number, &error);
            }
        }
        load
    }

    /// Looks at sizes of open files.
    fn stat(&mut self, now: Instant) {
        for file in self.catalogue.files.values_mut() {
            let is_hot = file.gone.is_some() || now.duration_since(file.changed) < HOT;
            let Handle::Plain(handle) = &file.handle else { continue };
            if !is_hot || file.standing != Standing::Follow {
                continue;
            }
            if let Ok(metadata) = handle.metadata() {
                let modified = metadata.modified().unwrap_or(UNIX_EPOCH);
                file.look(metadata.len(), modified, now);
            }
        }
    }

    fn read_plain(&mut self, number: u64, now: Instant, load: &mut Load) -> io::Result<()> {
        let rotate_wait = self.catalogue.rotate_wait();
        let partial_wait = Duration::from_millis(self.settings.partial_line_wait_ms);
        let Some(file) = self.catalogue.files.get_mut(&number) else { return Ok(()) };
        let quiet = now.duration_since(file.changed);
        let is_rotated = file.gone.is_some() || file.is_renamed;
        let takes_partial = is_rotated && quiet >= rotate_wait || !partial_wait.is_zero() && quiet >= partial_wait;
        let is_due = file.is_fresh || takes_partial && file.lag() > 0;
        if is_due && matches!(file.handle, Handle::Closed) && !file.open()? {
            // Another file took its place; the next look sorts it out.
            file.is_fresh = false;
            return Ok(());
        }
        let Handle::Plain(handle) = &file.handle else { return Ok(()) };
        let found = if is_due {
            let state = &file.state;
            read_chunk(handle, state.offset, &state.tail, state.is_skipping, takes_partial)?
        } else {
            Found::Nothing
        };
        match found {
            Found::Changed => self.catalogue.replaced(number, now),
            Found::Nothing => {
                (file.is_fresh, file.failed_at) = (false, None);
                let is_read = file.lag() == 0;
                let gone_for = file.gone.map(|gone| now.duration_since(gone));
                if is_read && quiet >= rotate_wait && gone_for.is_some_and(|gone| gone >= rotate_wait) {
                    self.catalogue.finish(number);
                }
            }
            Found::Chunk(chunk, tail) => {
                let end = file.state.offset + chunk.consumed;
                let head = if file.state.head.length < crate::files::identity::WINDOW {
                    reader::head(handle, end)?
                } else {
                    file.state.head.clone()
                };
                let preamble = file.preamble()?;
                (file.state.head, file.state.tail) = (head, tail);
                self.take(number, chunk, preamble, load);
            }
        }
        Ok(())
    }

    fn read_packed(&mut self, number: u64, load: &mut Load) -> io::Result<()> {
        let Some(file) = self.catalogue.files.get_mut(&number) else { return Ok(()) };
        let Handle::Packed(reader) = &mut file.handle else { return Ok(()) };
        let Some(chunk) = reader.next_chunk()? else {
            debug!(path = %file.state.path.display(), "packed file was read to its end");
            self.catalogue.finish(number);
            return Ok(());
        };
        file.state.head = reader.head(file.state.offset + chunk.consumed);
        let preamble = file.preamble()?;
        self.take(number, chunk, preamble, load);
        Ok(())
    }

    /// Puts a chunk on its way and moves its file on.
    fn take(&mut self, number: u64, chunk: Chunk, preamble: Option<Bytes>, load: &mut Load) {
        let Some(file) = self.catalogue.files.get_mut(&number) else { return };
        let (begin, end) = (file.state.offset, file.state.offset + chunk.consumed);
        file.state.offset = end;
        file.state.is_skipping = chunk.is_cut;
        (file.is_dirty, file.failed_at) = (true, None);
        load.touched.insert(number);
        load.lines += chunk.lines;
        load.cut += chunk.cut;
        load.lines_partial += u64::from(chunk.is_partial);
        if chunk.bytes.is_empty() {
            return;
        }
        load.lines_cut += u64::from(chunk.is_cut);
        load.bytes += chunk.bytes.len();
        let mark = if chunk.is_cut {
            " cut"
        } else if chunk.is_partial {
            " partial"
        } else {
            ""
        };
        let source = format!("file {} {} {begin}-{end}{mark}", file.state.path.display(), file.state.id);
        let now = self.wiring.clock.now();
        let group = hash(file.state.id.as_bytes());
        let record = self.origin.record(chunk.bytes, Framing::Lines, source, preamble, now);
        load.records.push(self.writer.raw(group, record));
    }

    /// Opens a packed file that is complete.
    fn settle(&mut self, number: u64, now: Instant) -> io::Result<()> {
        let rotate_wait = self.catalogue.rotate_wait();
        let is_open = |file: &&Tracked| matches!(file.handle, Handle::Packed(_));
        if self.catalogue.files.values().filter(is_open).count() >= PACKED_OPEN_MAX {
            return Ok(());
        }
        let clock = self.wiring.clock.now();
        let Some(file) = self.catalogue.files.get(&number) else { return Ok(()) };
        let modified = file.modified.duration_since(UNIX_EPOCH).unwrap_or_default();
        let age = Duration::from_micros(clock.unsigned_abs()).saturating_sub(modified);
        let is_quiet = now.duration_since(file.changed) >= rotate_wait || file.is_fresh && age >= rotate_wait;
        if !is_quiet || file.is_damaged {
            return Ok(());
        }
        let is_resumed = file.state.offset > 0;
        let relation = if is_resumed { PackedRelation::New } else { packed_relation(&self.catalogue.files, file)? };
        let Some(file) = self.catalogue.files.get_mut(&number) else { return Ok(()) };
        file.is_fresh = false;
        match relation {
            PackedRelation::Wait => {
                file.changed = now;
                return Ok(());
            }
            PackedRelation::Heir(heritage) => heritage.give(file),
            PackedRelation::New => {}
        }
        let mut reader = PackedReader::open(File::open(&file.state.path)?, file.packing)?;
        let state = &mut file.state;
        if !state.head.begins(reader.first()) || !reader.skip(state.offset, state.is_skipping)? {
            // It is another file than the one that was begun: the next look takes it up as new.
            self.catalogue.displaced(number);
            return Ok(());
        }
        state.packed_size = Some(file.size);
        file.handle = Handle::Packed(reader);
        (file.standing, file.is_dirty) = (Standing::Follow, true);
        Ok(())
    }

    /// A file cannot be read: told once for each of its sizes. It is tried again, a damaged one when it changes.
    fn fail(&mut self, number: u64, error: &io::Error) {
        let Some(file) = self.catalogue.files.get_mut(&number) else { return };
        file.handle = Handle::Closed;
        file.is_fresh = true;
        if file.packing != Packing::Plain {
            file.standing = Standing::Settle;
        }
        if error.kind() == io::ErrorKind::NotFound {
            // It was given another name, or is gone: the next look finds out.
            return;
        }
        file.is_damaged = file.packing != Packing::Plain
            && !matches!(error.kind(), io::ErrorKind::PermissionDenied | io::ErrorKind::StaleNetworkFileHandle);
        if file.failed_at.replace(file.size) != Some(file.size) {
            let (path, offset) = (file.state.path.display(), file.state.offset);
            warn!(%path, offset, %error, "{}", advice(error));
            add(&self.counters.files_failed, 1);
        }
    }

    /// Writes what was read together with the checkpoints, in one transaction.
    fn write(&mut self, mut load: Load, shutdown: &Shutdown) -> Result<(), CollectError> {
        let raw = load.records.len() as u64;
        let now = self.wiring.clock.now();
        let mut left = CHECKPOINTS_MAX;
        for (number, file) in &mut self.catalogue.files {
            if !file.is_dirty || !load.touched.contains(number) && left == 0 {
                continue;
            }
            left = left.saturating_sub(1);
            file.is_dirty = false;
            file.state.written = now;
            load.records.push(self.writer.checkpoint(&file.state.key(), file.state.value()));
        }
        for state in self.catalogue.forgotten.drain(..) {
            load.records.push(self.writer.checkpoint(&state.key(), Bytes::new()));
        }
        if load.records.is_empty() {
            return Ok(());
        }
        self.writer
            .write(&load.records, &mut |time| shutdown.wait(time))
            .map_err(|failure| self.writer.end(failure))?;
        self.counters.accept(load.lines);
        add(&self.counters.bytes, load.bytes as u64);
        add(&self.counters.records, raw);
        add(&self.counters.bytes_cut, load.cut);
        add(&self.counters.lines_cut, load.lines_cut);
        add(&self.counters.lines_partial, load.lines_partial);
        Ok(())
    }
}
