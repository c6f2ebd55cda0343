//! Reads a compacted topic up to a probe that was written for it, so that its end is known whichever log it is.

use bytes::Bytes;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};
use tradewind_transport::{Event, Log, LogError, Outgoing, Producer, Record, Start, Subscription, TopicPartition};

/// Name of the header that tells one probe from another.
const HEADER_PROBE: &str = "tw-probe";
/// How long nothing may come before the log counts as not reachable.
const SILENCE_MAX: Duration = Duration::from_secs(20);

/// The newest record of each key.
pub type Compacted = BTreeMap<Bytes, Record>;

/// Reads partitions of a compacted topic to their end: the newest record of each key that begins with `prefix`.
///
/// A probe, `{prefix}probe`, is written to each partition first; what comes before it was committed before. Where
/// `producer` is the only one that writes keys of this prefix, and fences others of its name, the answer is complete and
/// stays so until that producer writes.
///
/// # Errors
/// The log cannot be reached, or refuses. Nothing but the probe was written.
pub fn read_compacted(
    log: &dyn Log,
    producer: &mut dyn Producer,
    topic: &str,
    partitions: &[i32],
    prefix: &str,
    nonce: &str,
    now: i64,
) -> Result<Compacted, LogError> {
    let key = Bytes::from(format!("{prefix}probe"));
    let probe = |&partition: &i32| {
        let mut record =
            Record { key: Some(key.clone()), headers: Vec::new(), value: Bytes::from_static(b"{}"), timestamp: now };
        record.add_header(HEADER_PROBE, Bytes::copy_from_slice(nonce.as_bytes()));
        Outgoing { to: TopicPartition::new(topic, partition), record }
    };
    producer.write(partitions.iter().map(probe).collect(), None)?;

    let subscription = Subscription::Assigned {
        group: format!("{prefix}checkpoints"),
        partitions: partitions.iter().map(|&partition| (TopicPartition::new(topic, partition), Start::First)).collect(),
    };
    let mut consumer = log.consumer(&subscription)?;
    let mut open: Vec<i32> = partitions.to_vec();
    let mut found = Compacted::new();
    let mut last_event = Instant::now();
    while !open.is_empty() {
        match consumer.poll(Duration::from_millis(200))? {
            Event::Batch(batch) => {
                last_event = Instant::now();
                for received in batch.records {
                    let record = received.record;
                    if record.header(HEADER_PROBE).is_some_and(|value| value == nonce)
                        && record.key.as_ref() == Some(&key)
                    {
                        open.retain(|&partition| partition != batch.from.partition);
                    } else {
                        keep(&mut found, record, prefix, &key);
                    }
                }
            }
            Event::Assigned(_) => last_event = Instant::now(),
            Event::Idle | Event::Revoked(_) => {}
        }
        if last_event.elapsed() > SILENCE_MAX {
            let what = format!("reading topic `{topic}` to its end");
            let detail =
                format!("nothing came for {} s; partitions {open:?} are not read to the end", SILENCE_MAX.as_secs());
            return Err(LogError::Unreachable { what, detail });
        }
    }
    Ok(found)
}

fn keep(found: &mut Compacted, record: Record, prefix: &str, probe: &Bytes) {
    let Some(key) = record.key.clone() else { return };
    if !key.starts_with(prefix.as_bytes()) || key == *probe {
        return;
    }
    if record.value.is_empty() {
        found.remove(&key);
    } else {
        found.insert(key, record);
    }
}
