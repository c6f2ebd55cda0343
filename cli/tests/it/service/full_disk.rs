//! Disks that are full: that of the embedded log, and that of the lake.

use super::disk::Disk;
use super::running::lines;
use super::setup::Setup;

#[test]
fn a_full_disk_under_the_log_holds_collectors_up_and_loses_nothing() {
    let setup = Setup::embedded();
    let Some(disk) = Disk::mount(&setup.program.folder().join("log"), 12) else { return };
    let mut service = setup.start("run");
    service.until("it works", || setup.is_ready());
    // More than there is room for.
    setup.append("a.log", lines(0..150_000));
    service.until_it_says("the disk is full; free some space");
    service.until("the cause is told", || setup.tells("the disk is full; free some space"));
    service.until("a push is refused", || setup.push("full", &lines(150_000..160_000)) == Some(503));
    disk.grow(512);
    service.until("a push is taken", || setup.push("full", &lines(150_000..160_000)) == Some(200));
    service.until("all is stored", || setup.has_stored(0..160_000));
    service.until("all stages work", || setup.is_ready());
    service.signal("TERM");
    assert!(service.end().success(), "{}", service.log());
    assert_eq!(setup.number("SELECT count(*) FROM flows"), Some(160_000));
    assert!(!service.log().contains("panicked"), "{}", service.log());
}

#[test]
fn a_full_disk_under_the_lake_holds_the_store_up_and_loses_nothing() {
    let setup = Setup::embedded();
    let Some(disk) = Disk::mount(&setup.program.folder().join("lake"), 1) else { return };
    let mut service = setup.start("run");
    service.until("it works", || setup.is_ready());
    setup.append("a.log", lines(0..100_000));
    service.until("the cause is told", || setup.tells("No space left on device"));
    // What is taken in meanwhile waits in the log.
    service.until("a push is taken", || setup.push("full", &lines(100_000..101_000)) == Some(200));
    disk.grow(512);
    service.until("all is stored", || setup.has_stored(0..101_000));
    service.until("all stages work", || setup.is_ready());
    assert_eq!(setup.number("SELECT count(*) FROM flows"), Some(101_000));
    let verified = setup.program.run(&["lake", "verify", "--from", "2026-01-01"]);
    assert_eq!(verified.code, 0, "{verified:?}");
}
