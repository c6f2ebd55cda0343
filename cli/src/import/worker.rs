//! Decoding and writing: turns chunks into sorted data files. Each thread has one worker, with a batch of its own.

use super::coverage::Minutes;
use super::group::Pipeline;
use super::object::Object;
use super::reader::{self, Job, Run};
use super::turns::Turns;
use std::collections::BTreeMap;
use std::sync::Arc;
use tradewind_formats::aws_vpc::decode_parquet;
use tradewind_formats::contract::{Counts, Decoded, Reject};
use tradewind_model::flow::POSITION;
use tradewind_normalise::{ConnectScratch, Context, Scratch, storage_order};
use tradewind_policy::PolicyScratch;
use tradewind_storage::{CommitError, DeadLetter, StagedFile};

/// Rows of a data file at most; a run has about as many.
const FILE_ROWS: usize = 160 * 1024;
/// Rows that a Parquet delivery is decoded by.
const PARQUET_ROWS: usize = 64 * 1024;
/// Rejected input that is held in memory, in bytes; more is written out as files.
const DEAD_LETTER_BYTES_MAX: usize = 16 << 20;

/// What one worker made.
#[derive(Debug, Default)]
pub(super) struct Made {
    pub(super) files: Vec<StagedFile>,
    pub(super) dead_letters: Vec<DeadLetter>,
    /// Rejected input that was too much to hold: one object a file.
    pub(super) dead_letter_files: Vec<(String, StagedFile)>,
    pub(super) coverage: Minutes,
    /// Rejects by reason.
    pub(super) reasons: BTreeMap<&'static str, u64>,
}

/// One thread's decoding.
#[derive(Debug)]
pub(super) struct Worker<'a> {
    pipeline: &'a Pipeline,
    turns: &'a Turns,
    /// The run at hand.
    number: u64,
    decoded: Decoded,
    scratch: Scratch,
    connect_scratch: ConnectScratch,
    policy_scratch: PolicyScratch,
    dead_letter_bytes: usize,
    pub(super) made: Made,
}

impl<'a> Worker<'a> {
    pub(super) fn new(pipeline: &'a Pipeline, turns: &'a Turns) -> Self {
        Self {
            pipeline,
            turns,
            number: 0,
            decoded: Decoded::default(),
            scratch: Scratch::default(),
            connect_scratch: ConnectScratch::default(),
            policy_scratch: PolicyScratch::default(),
            dead_letter_bytes: 0,
            made: Made::default(),
        }
    }

    /// Decodes a run and writes what is in it. Buffers that are empty go to `give_back`.
    pub(super) fn take(&mut self, run: Run, give_back: &dyn Fn(Vec<u8>)) -> anyhow::Result<()> {
        self.number = run.number;
        for job in run.jobs {
            give_back(self.decode(job)?);
        }
        self.flush()
    }

    /// Decodes one piece of work. Returns the buffer that the work came in.
    fn decode(&mut self, job: Job) -> anyhow::Result<Vec<u8>> {
        match job {
            Job::Chunk { object, format, bytes, offset } => {
                let from = self.decoded.flows.len();
                format.decode(&bytes, offset, &mut self.decoded);
                self.settle(&object, from)?;
                return Ok(bytes);
            }
            Job::Reject { object, reject } => {
                object.add(Counts { records: 1, rejected: 1, ..Counts::default() });
                self.keep(&object, reject)?;
            }
            Job::Parquet { object, file, read, stamp } => {
                // A batch holds rows of one decoder call only, so that it can be given away whole.
                self.flush()?;
                decode_parquet(file, PARQUET_ROWS, &mut |part| {
                    std::mem::swap(&mut self.decoded, part);
                    self.settle(&object, 0)?;
                    self.flush()
                })?;
                if reader::stamp(&read)? != stamp {
                    object.set_damage("it changed while it was read".to_owned());
                }
            }
        }
        Ok(Vec::new())
    }

    /// Marks what was decoded since row `from` as the object's, and writes the batch out when it is full.
    fn settle(&mut self, object: &Arc<Object>, from: usize) -> anyhow::Result<()> {
        object.add(std::mem::take(&mut self.decoded.counts));
        self.decoded.flows.fill_text(POSITION, from, &object.content_hash);
        self.made.coverage.add_gaps(object, &self.decoded.gaps);
        self.decoded.gaps.clear();
        self.decoded.reject_bytes = 0;
        for reject in std::mem::take(&mut self.decoded.rejects) {
            self.keep(object, reject)?;
        }
        if self.decoded.flows.len() >= FILE_ROWS || self.decoded.is_large() {
            self.flush()?;
        }
        Ok(())
    }

    fn keep(&mut self, object: &Object, reject: Reject) -> anyhow::Result<()> {
        if reject.reason.is_of_object() {
            object.set_damage(reject.detail);
            return Ok(());
        }
        *self.made.reasons.entry(reject.reason.as_str()).or_default() += 1;
        self.dead_letter_bytes += reject.bytes.len() + reject.detail.len() + 256;
        self.made.dead_letters.push(DeadLetter {
            ingest_time: self.pipeline.ingest_time,
            source: object.source().map(str::to_owned),
            reason: reject.reason.as_str().into(),
            detail: reject.detail,
            position: object.content_hash.clone(),
            position_offset: i64::try_from(reject.offset).unwrap_or(i64::MAX),
            position_index: reject.index.map(i64::from),
            path: object.path.clone(),
            raw_bytes: i64::try_from(reject.length).unwrap_or(i64::MAX),
            raw: printable(&reject.bytes),
        });
        if self.dead_letter_bytes > DEAD_LETTER_BYTES_MAX {
            self.spill()?;
        }
        Ok(())
    }

    fn spill(&mut self) -> Result<(), CommitError> {
        let mut letters = std::mem::take(&mut self.made.dead_letters);
        self.dead_letter_bytes = 0;
        letters.sort_by_key(DeadLetter::key);
        for of_one in letters.chunk_by(|left, right| left.key() == right.key()) {
            let files = self.pipeline.stager.stage_dead_letters(of_one)?;
            let named = files.into_iter().map(|file| (of_one[0].key(), file));
            self.made.dead_letter_files.extend(named);
        }
        Ok(())
    }

    /// Normalises, sorts and writes the batch.
    fn flush(&mut self) -> anyhow::Result<()> {
        let flows = &mut self.decoded.flows;
        if flows.is_empty() {
            flows.clear();
            return Ok(());
        }
        let context = Context { ingest_time: self.pipeline.ingest_time, retention: None };
        self.pipeline.normaliser.apply(flows, &mut self.scratch, &context);
        self.turns.wait_for(self.number);
        self.pipeline.memory.connect(flows, &mut self.connect_scratch)?;
        if let Some(policy) = &self.pipeline.policy {
            policy.check(flows, &mut self.policy_scratch);
        }
        self.made.coverage.add_flows(flows);
        let order = storage_order(flows);
        self.made.files.extend(self.pipeline.stager.stage(flows, &order)?);
        flows.clear();
        Ok(())
    }
}

/// Bytes as text that loses nothing: what is not UTF-8 becomes `\xNN`, a backslash is doubled.
pub(crate) fn printable(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\\' => text.push_str("\\\\"),
                other => text.push(other),
            }
        }
        for byte in chunk.invalid() {
            text.push_str(&format!("\\x{byte:02x}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn bytes_are_told_apart() {
        assert_eq!(printable("a\\b é\n".as_bytes()), "a\\\\b é\n");
        assert_eq!(printable(b"\xff\xfe ok"), "\\xff\\xfe ok");
    }
}
