//! States as they come back from a snapshot that says everything.

use tradewind_detect::Settings;
use tradewind_detect::snapshot::{Snapshot, SnapshotWriter};
use tradewind_detect::stream::{Correlator, Partition};

/// The bytes of a snapshot.
pub(crate) fn written(save: impl FnOnce(&mut SnapshotWriter)) -> Vec<u8> {
    let mut writer = SnapshotWriter::default();
    save(&mut writer);
    writer.finish()
}

/// A partition that was stored and read back.
pub(crate) fn kept_partition(partition: &Partition, settings: &Settings, held_max: usize) -> Partition {
    let bytes = written(|writer| partition.save(writer));
    let mut snapshot = Snapshot::read(&bytes).unwrap();
    let partition = Partition::restore(&mut snapshot, settings, held_max).unwrap();
    assert_eq!(snapshot.notes(), [""; 0]);
    assert!(written(|writer| partition.save(writer)) == bytes, "equal states are equal bytes");
    partition
}

/// A correlator that was stored and read back.
pub(crate) fn kept_correlator(
    correlator: &Correlator,
    settings: &Settings,
    partitions: u32,
    train_until: i64,
) -> Correlator {
    let bytes = written(|writer| correlator.save(writer));
    let mut snapshot = Snapshot::read(&bytes).unwrap();
    let correlator = Correlator::restore(&mut snapshot, settings, partitions, train_until).unwrap();
    assert_eq!(snapshot.notes(), [""; 0]);
    assert!(written(|writer| correlator.save(writer)) == bytes, "equal states are equal bytes");
    correlator
}
