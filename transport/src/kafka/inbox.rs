//! What stands between a consumer's own thread and the stage: events and batches one way, commands the other.

use super::KafkaMember;
use crate::error::LogError;
use crate::log::{Event, Start};
use crate::parts::record_bytes;
use crate::record::{Batch, Inputs, TopicPartition};
use rdkafka::consumer::ConsumerGroupMetadata;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What the stage asks of the consumer's thread; each is answered once.
pub(super) enum Command {
    /// Go on from elsewhere.
    Seek { partition: TopicPartition, start: Start, answer: SyncSender<Result<(), LogError>> },
    /// Commit, outside of a transaction.
    Commit { inputs: Inputs, answer: SyncSender<Result<(), LogError>> },
}

/// What the thread has for the stage.
enum Item {
    Assigned { partitions: Vec<TopicPartition>, member: KafkaMember },
    Revoked(Vec<TopicPartition>),
    Batch { batch: Batch, bytes: usize },
    Failed(LogError),
}

/// Reading of an assignment begins when the stage, having seen it, polls again.
#[derive(Default)]
enum Beginning {
    /// Nothing is to begin.
    #[default]
    Nothing,
    /// The stage has seen the assignment and may seek.
    Seen(HashMap<TopicPartition, Start>),
    /// The stage polled: the thread may begin, where the stage sought and elsewhere where it would anyhow.
    Wanted(HashMap<TopicPartition, Start>),
}

#[derive(Default)]
struct State {
    items: VecDeque<Item>,
    commands: VecDeque<Command>,
    beginning: Beginning,
    /// The partitions that the stage knows to have.
    seen: HashSet<TopicPartition>,
    paused: HashSet<TopicPartition>,
    member: Option<KafkaMember>,
    /// How often partitions came or went.
    assignment: u64,
    /// Why the thread ended.
    ended: Option<String>,
    is_stopped: bool,
}

/// How much one batch may have.
#[derive(Clone, Copy)]
pub(super) struct BatchLimits {
    pub(super) records: usize,
    pub(super) bytes: usize,
}

/// What stands between.
#[derive(Default)]
pub(super) struct Inbox {
    state: Mutex<State>,
    for_stage: Condvar,
    for_thread: Condvar,
}

/// Where a seek has to be done.
pub(super) enum SeekBy {
    /// It is noted for the beginning.
    Noted,
    /// By the thread.
    Thread,
    /// Nowhere: the partition is not this consumer's (any more).
    Nobody,
}

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // What the stage does.

    /// The next event, waiting at most so long. `Err(None)` when the thread ended and all was told.
    pub(super) fn next(&self, wait: Duration) -> Result<Event, Option<LogError>> {
        let deadline = Instant::now() + wait;
        let mut state = self.lock();
        if let Beginning::Seen(starts) = &mut state.beginning {
            state.beginning = Beginning::Wanted(std::mem::take(starts));
            self.for_thread.notify_one();
        }
        loop {
            if let Some(item) = state.take_next() {
                self.for_thread.notify_one();
                return state.hand_out(item).map_err(Some);
            }
            if state.ended.is_some() {
                return Err(None);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(Event::Idle);
            }
            state = self.for_stage.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Why the thread ended.
    pub(super) fn ended(&self) -> Option<String> {
        self.lock().ended.clone()
    }

    /// The member of the assignment that the stage has seen.
    pub(super) fn member(&self) -> Option<KafkaMember> {
        self.lock().member.clone()
    }

    /// Notes where to begin, or says who has to seek.
    pub(super) fn seek(&self, partition: &TopicPartition, start: Start) -> SeekBy {
        let mut state = self.lock();
        if !state.seen.contains(partition) {
            return SeekBy::Nobody;
        }
        if !state.holds(partition) {
            // Revoked, which the stage will hear next: it cannot know yet, and there is nothing to go on from.
            return SeekBy::Noted;
        }
        match &mut state.beginning {
            Beginning::Seen(starts) | Beginning::Wanted(starts) => {
                starts.insert(partition.clone(), start);
                SeekBy::Noted
            }
            Beginning::Nothing => SeekBy::Thread,
        }
    }

    /// Hands a command to the thread.
    pub(super) fn command(&self, command: Command) {
        self.lock().commands.push_back(command);
        self.for_thread.notify_one();
    }

    pub(super) fn pause(&self, partitions: &[TopicPartition]) {
        self.lock().paused.extend(partitions.iter().cloned());
        self.for_thread.notify_one();
    }

    pub(super) fn resume(&self, partitions: &[TopicPartition]) {
        let mut state = self.lock();
        for partition in partitions {
            state.paused.remove(partition);
        }
        self.for_thread.notify_one();
    }

    pub(super) fn stop(&self) {
        self.lock().is_stopped = true;
        self.for_thread.notify_one();
    }

    // What the thread does.

    pub(super) fn is_stopped(&self) -> bool {
        self.lock().is_stopped
    }

    pub(super) fn take_commands(&self) -> VecDeque<Command> {
        std::mem::take(&mut self.lock().commands)
    }

    /// Where to begin, once the stage polled after it saw an assignment. The answer is [`Self::begun`].
    pub(super) fn wanted_beginning(&self) -> Option<HashMap<TopicPartition, Start>> {
        match &self.lock().beginning {
            Beginning::Wanted(starts) => Some(starts.clone()),
            _ => None,
        }
    }

    /// The reading began.
    pub(super) fn begun(&self) {
        self.lock().beginning = Beginning::Nothing;
    }

    /// Partitions that the stage paused.
    pub(super) fn paused(&self) -> HashSet<TopicPartition> {
        self.lock().paused.clone()
    }

    /// Whether the stage knows to have all of these, and still has.
    pub(super) fn holds(&self, partitions: &Inputs) -> bool {
        let state = self.lock();
        partitions.next.iter().all(|(partition, _)| state.holds(partition))
    }

    /// Waits until fewer bytes than this wait for the stage or there is something else to do; true where there is room.
    pub(super) fn wait_for_room(&self, bytes: usize, wait: Duration) -> bool {
        let is_busy =
            |state: &mut State| state.waiting_bytes() >= bytes && state.commands.is_empty() && !state.is_stopped;
        let state = self.lock();
        let (state, _) =
            self.for_thread.wait_timeout_while(state, wait, is_busy).unwrap_or_else(PoisonError::into_inner);
        state.waiting_bytes() < bytes
    }

    /// How often partitions came or went.
    pub(super) fn assignment(&self) -> u64 {
        self.lock().assignment
    }

    /// Tells an assignment, with what commits of it are made for.
    pub(super) fn assigned(
        self: &Arc<Self>,
        partitions: Vec<TopicPartition>,
        metadata: Option<Arc<ConsumerGroupMetadata>>,
    ) {
        let mut state = self.lock();
        state.assignment += 1;
        let member = KafkaMember { metadata, fate: Arc::downgrade(self), assignment: state.assignment };
        state.items.push_back(Item::Assigned { partitions, member });
        drop(state);
        self.for_stage.notify_one();
    }

    /// All partitions are another's by now. What the stage never saw is not told.
    pub(super) fn revoked(&self) {
        let mut state = self.lock();
        state.assignment += 1;
        state.items.retain(|item| !matches!(item, Item::Batch { .. } | Item::Assigned { .. }));
        state.paused.clear();
        state.beginning = Beginning::Nothing;
        let is_told = state.items.iter().any(|item| matches!(item, Item::Revoked(_)));
        if !state.seen.is_empty() && !is_told {
            let mut partitions: Vec<TopicPartition> = state.seen.iter().cloned().collect();
            partitions.sort();
            state.items.push_back(Item::Revoked(partitions));
        }
        self.for_stage.notify_one();
    }

    /// Records from before a seek do not come.
    pub(super) fn forget(&self, partition: &TopicPartition) {
        self.lock().items.retain(|item| !matches!(item, Item::Batch { batch, .. } if batch.from == *partition));
    }

    /// Adds a batch, to the last one of its partition where that leaves it within the limits.
    pub(super) fn push(&self, added: Batch, limits: BatchLimits) {
        let added_bytes = added.records.iter().map(|received| record_bytes(&received.record)).sum();
        let mut state = self.lock();
        let last = state.items.iter_mut().rev().find_map(|item| match item {
            Item::Batch { batch, bytes } if batch.from == added.from => Some((batch, bytes)),
            _ => None,
        });
        match last {
            Some((batch, bytes))
                if batch.records.len() + added.records.len() <= limits.records
                    && *bytes + added_bytes <= limits.bytes =>
            {
                batch.records.extend(added.records);
                batch.next = added.next;
                *bytes += added_bytes;
            }
            _ => state.items.push_back(Item::Batch { batch: added, bytes: added_bytes }),
        }
        self.for_stage.notify_one();
    }

    /// Tells an error after which the thread goes on. One at a time is enough.
    pub(super) fn fail(&self, error: LogError) {
        let mut state = self.lock();
        if !state.items.iter().any(|item| matches!(item, Item::Failed(_))) {
            state.items.push_back(Item::Failed(error));
        }
        self.for_stage.notify_one();
    }

    /// Tells the error that ends the thread.
    pub(super) fn end(&self, error: LogError) {
        let mut state = self.lock();
        state.ended = Some(error.to_string());
        state.items.retain(|item| !matches!(item, Item::Failed(_)));
        state.items.push_back(Item::Failed(error));
        state.commands.clear();
        self.for_stage.notify_one();
    }
}

impl State {
    fn holds(&self, partition: &TopicPartition) -> bool {
        self.seen.contains(partition) && !self.items.iter().any(|item| matches!(item, Item::Revoked(_)))
    }

    /// Bytes of the batches that the stage may take: those of paused partitions would keep the others from coming.
    fn waiting_bytes(&self) -> usize {
        let bytes = |item: &Item| match item {
            Item::Batch { batch, bytes } if !self.paused.contains(&batch.from) => *bytes,
            _ => 0,
        };
        self.items.iter().map(bytes).sum()
    }

    fn take_next(&mut self) -> Option<Item> {
        let paused = &self.paused;
        let may_come = |item: &Item| !matches!(item, Item::Batch { batch, .. } if paused.contains(&batch.from));
        let place = self.items.iter().position(may_come)?;
        self.items.remove(place)
    }

    fn hand_out(&mut self, item: Item) -> Result<Event, LogError> {
        match item {
            Item::Assigned { partitions, member } => {
                self.seen.extend(partitions.iter().cloned());
                self.member = Some(member);
                self.beginning = Beginning::Seen(HashMap::new());
                Ok(Event::Assigned(partitions))
            }
            Item::Revoked(partitions) => {
                self.seen.clear();
                Ok(Event::Revoked(partitions))
            }
            Item::Batch { batch, .. } => Ok(Event::Batch(batch)),
            Item::Failed(error) => Err(error),
        }
    }
}
