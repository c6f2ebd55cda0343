//! Reading: takes inputs one by one, finds out what they are, and hands out chunks of whole records.

use super::group::Shared;
use super::inputs::{self, Input};
use super::object::{Failure, Object, Stamp};
use crate::source;
use anyhow::{Context as _, bail};
use crossbeam_channel::Sender;
use std::fs::File;
use std::io::{self, Read};
use std::sync::Arc;
use tradewind_formats::contract::{Format, Reason, Reject};
use tradewind_formats::detect::{Framing, HEAD_BYTES, UnknownFormat, segments};
use tradewind_formats::framing::{ChunkSizes, Piece};

/// About how many bytes a chunk has: small enough to stay in a processor's cache while it is decoded.
const CHUNK_BYTES: usize = 256 * 1024;
/// Bytes hashed at once: few enough to stay in a processor's cache between reading and hashing.
const HASH_BYTES: usize = 128 * 1024;

/// Rows of a run: it becomes one data file.
const RUN_ROWS: u64 = 128 * 1024;
/// Bytes of a run at most: all of it is in memory before a thread takes it.
const RUN_BYTES_MAX: u64 = 96 << 20;
/// Bytes of all runs in memory, at most: one for each thread, and one that is being read.
const RUNS_BYTES_MAX: u64 = 384 << 20;
/// However many threads there are, a run has so many bytes.
const RUN_BYTES_MIN: u64 = 8 << 20;
/// How much of a chunk is looked at to tell how long its lines are.
const SAMPLE_BYTES: usize = 16 * 1024;

/// Work that follows each other, for one thread: flows of it are kept in one order.
#[derive(Debug)]
pub(super) struct Run {
    /// Its place among the runs of an attempt.
    pub(super) number: u64,
    pub(super) jobs: Vec<Job>,
}

/// Gathers jobs into runs.
#[derive(Debug)]
struct Runs<'a> {
    sender: &'a Sender<Run>,
    /// Bytes of a run.
    bytes_max: u64,
    next: u64,
    jobs: Vec<Job>,
    bytes: u64,
    rows: u64,
}

impl Runs<'_> {
    fn add(&mut self, job: Job) -> anyhow::Result<()> {
        let (bytes, rows) = match &job {
            Job::Chunk { bytes, .. } => (bytes.len() as u64, rows_in(bytes)),
            Job::Reject { reject, .. } => (reject.bytes.capacity() as u64, 1),
            // It is a run of its own: nobody knows here how much it holds.
            Job::Parquet { .. } => (self.bytes_max, 0),
        };
        if matches!(job, Job::Parquet { .. }) {
            self.send()?;
        }
        self.jobs.push(job);
        self.bytes += bytes;
        self.rows += rows;
        if self.rows >= RUN_ROWS || self.bytes >= self.bytes_max { self.send() } else { Ok(()) }
    }

    fn send(&mut self) -> anyhow::Result<()> {
        if self.jobs.is_empty() {
            return Ok(());
        }
        let run = Run { number: self.next, jobs: std::mem::take(&mut self.jobs) };
        (self.bytes, self.rows) = (0, 0);
        self.next += 1;
        self.sender.send(run).ok().context("the import was stopped")
    }
}

/// About how many lines a chunk has.
fn rows_in(bytes: &[u8]) -> u64 {
    let sample = &bytes[..bytes.len().min(SAMPLE_BYTES)];
    let lines = sample.iter().filter(|&&byte| byte == b'\n').count().max(1);
    bytes.len() as u64 * lines as u64 / sample.len().max(1) as u64
}

/// Work for the threads that decode.
#[derive(Debug)]
pub(super) enum Job {
    /// Whole records of one layout.
    Chunk {
        object: Arc<Object>,
        format: Arc<dyn Format>,
        bytes: Vec<u8>,
        /// Where they begin in the unpacked object.
        offset: u64,
    },
    /// Input that is no record.
    Reject { object: Arc<Object>, reject: Reject },
    /// A whole Parquet file, unpacked; the input itself and its stamp tell whether it changed meanwhile.
    Parquet { object: Arc<Object>, file: File, read: File, stamp: Stamp },
}

/// Reads inputs until there are no more, or the import is to stop.
pub(super) fn read(shared: &Shared<'_>, sender: &Sender<Run>) {
    let threads = shared.pipeline.threads as u64;
    let bytes_max = (RUNS_BYTES_MAX / (threads + 1)).clamp(RUN_BYTES_MIN, RUN_BYTES_MAX);
    let mut runs = Runs { sender, bytes_max, next: 0, jobs: Vec::new(), bytes: 0, rows: 0 };
    while let Some((index, input)) = shared.next_input() {
        if shared.is_stopped() {
            return;
        }
        let mut is_partial = false;
        match read_one((index, input), shared, &mut runs, &mut is_partial) {
            Ok(Some(object)) => shared.finished(object),
            Ok(None) => shared.skipped(),
            Err(error) => shared.failed(Failure {
                index,
                path: input.name(),
                error: format!("{error:#}"),
                is_partial,
                condemned: None,
            }),
        }
    }
    if runs.send().is_err() {
        tracing::debug!("nobody takes the last run: the import was stopped");
    }
}

/// None: the lake has these bytes already, or another input of this import brings them.
fn read_one(
    (index, input): (usize, &Input),
    shared: &Shared<'_>,
    runs: &mut Runs<'_>,
    is_partial: &mut bool,
) -> anyhow::Result<Option<Arc<Object>>> {
    let file = inputs::open(input)?;
    let stamp = stamp(&file)?;
    let earlier = earlier(shared.earlier(&input.path()), stamp.bytes);
    let (hash, grown_from) = hash(&file, stamp.bytes, &earlier)?;
    if let Some(error) = shared.condemned(&hash) {
        bail!("{error}");
    }
    if !shared.claim(&hash) {
        shared.pipeline.progress.add(stamp.bytes);
        return Ok(None);
    }
    // From here on the bytes are claimed: another input with the same ones was skipped, and must have its turn.
    *is_partial = true;
    if let Some(bytes) = grown_from {
        bail!(
            "it has grown since it was imported: its first {bytes} bytes are in the lake, and would be counted twice; \
             import files that are complete"
        );
    }
    let mut object = Object::new(index, input, hash, stamp.bytes);
    let counted =
        Counted { reader: inputs::open(input)?.take(stamp.bytes), add: Box::new(shared.pipeline.progress.adder()) };
    let sizes = ChunkSizes { chunk_bytes: CHUNK_BYTES, ..ChunkSizes::default() };
    let mut opened = source::from_reader(input.file.as_path(), Box::new(counted), sizes, &shared.pipeline.wanted)?;
    let mut send = |job| runs.add(job);
    let object = match &opened.chosen {
        Ok(chosen) => {
            object.format = Some((chosen.format.name(), chosen.reason.clone()));
            object.notes.clone_from(&chosen.notes);
            let object = Arc::new(object);
            match chosen.framing {
                Framing::Parquet => {
                    let file = source::parquet_file(&opened, inputs::open(input)?)?;
                    let read = inputs::open(input)?;
                    send(Job::Parquet { object: Arc::clone(&object), file, read, stamp })?;
                }
                Framing::Text(_) => read_text(&mut opened, &object, shared, &mut send)?,
            }
            object
        }
        Err(UnknownFormat::Empty) => {
            let object = Arc::new(object);
            read_nothing(&mut opened, &object, &mut send)?;
            object
        }
        Err(_) if shared.is_unrecognised(&object.content_hash) => return Ok(None),
        Err(unknown) => {
            let object = Arc::new(object);
            let head = opened.chunks.head(HEAD_BYTES).to_vec();
            let reject = Reject {
                reason: Reason::UnknownFormat,
                detail: unknown.to_string(),
                offset: 0,
                index: None,
                bytes: head,
                length: stamp.bytes,
            };
            send(Job::Reject { object: Arc::clone(&object), reject })?;
            object
        }
    };
    if self::stamp(&inputs::open(input)?)? != stamp {
        bail!("it changed while it was read; import it again when nobody writes to it");
    }
    Ok(Some(object))
}

fn read_text(
    opened: &mut source::Source,
    object: &Arc<Object>,
    shared: &Shared<'_>,
    send: &mut dyn FnMut(Job) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let Ok(chosen) = &opened.chosen else { return Ok(()) };
    let (mut format, has_headers) = (Arc::clone(&chosen.format), chosen.has_headers);
    loop {
        let mut bytes = shared.buffer();
        let Some(piece) = opened.chunks.next(&mut bytes)? else { return Ok(()) };
        if shared.is_stopped() {
            bail!("the import was stopped");
        }
        match piece {
            Piece::Reject(reject) => send(Job::Reject { object: Arc::clone(object), reject })?,
            Piece::Records { offset } => {
                let mut parts =
                    if has_headers { segments(&bytes, &format) } else { vec![(0..bytes.len(), Arc::clone(&format))] };
                let Some((last, layout)) = parts.pop() else { continue };
                for (range, layout) in parts {
                    let offset = offset + range.start as u64;
                    send(Job::Chunk {
                        object: Arc::clone(object),
                        format: layout,
                        bytes: bytes[range].to_vec(),
                        offset,
                    })?;
                }
                bytes.drain(..last.start);
                format = Arc::clone(&layout);
                send(Job::Chunk {
                    object: Arc::clone(object),
                    format: layout,
                    bytes,
                    offset: offset + last.start as u64,
                })?;
            }
        }
    }
}

/// An input that seems empty may be one that could not be unpacked.
fn read_nothing(
    opened: &mut source::Source,
    object: &Arc<Object>,
    send: &mut dyn FnMut(Job) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    while let Some(piece) = opened.chunks.next(&mut Vec::new())? {
        if let Piece::Reject(reject) = piece {
            send(Job::Reject { object: Arc::clone(object), reject })?;
        }
    }
    Ok(())
}

pub(super) fn stamp(file: &File) -> io::Result<Stamp> {
    let metadata = file.metadata()?;
    Ok(Stamp { bytes: metadata.len(), modified: metadata.modified().ok() })
}

/// Objects that came from the same path and are shorter than `bytes`, by size.
fn earlier(objects: &[(i64, String)], bytes: u64) -> Vec<(u64, &str)> {
    let sizes = objects.iter().filter_map(|(size, hash)| Some((u64::try_from(*size).ok()?, hash.as_str())));
    let mut shorter: Vec<_> = sizes.filter(|(size, _)| (1..bytes).contains(size)).collect();
    shorter.sort_unstable();
    shorter
}

/// BLAKE3 of the first `bytes` bytes; and the size of the longest of the `earlier` objects that these begin with.
fn hash(file: &File, bytes: u64, earlier: &[(u64, &str)]) -> io::Result<(String, Option<u64>)> {
    let mut hasher = blake3::Hasher::new();
    let mut grown_from = None;
    let mut buffer = vec![0; HASH_BYTES];
    let mut reader = file;
    for (until, known) in earlier.iter().map(|&(size, hash)| (size, Some(hash))).chain([(bytes, None)]) {
        let mut part = reader.take(until.saturating_sub(hasher.count()));
        loop {
            match part.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => {
                    hasher.update(&buffer[..read]);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        reader = part.into_inner();
        if known.is_some_and(|known| *hasher.finalize().to_hex() == *known) {
            grown_from = Some(until);
        }
    }
    Ok((hasher.finalize().to_hex().to_string(), grown_from))
}

/// Tells the progress how much was read.
struct Counted<R> {
    reader: R,
    add: Box<dyn Fn(u64) + Send>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        (self.add)(read as u64);
        Ok(read)
    }
}
