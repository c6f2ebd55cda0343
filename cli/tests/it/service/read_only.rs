//! Stores that refuse writes: an object store, the disk of the lake, the disk of the log.

use super::disk::Disk;
use super::running::lines;
use super::setup::Setup;
use tradewind_kafka_testkit::{S3, available};

#[test]
fn an_object_store_that_is_read_only_is_waited_for() {
    let Some(s3) = available(S3::start()) else { return };
    let lake = format!(
        "[lake]\npath = \"s3://{}/service\"\noptions = {{ aws_endpoint = \"{}\", aws_region = \"{}\", aws_access_key_id = \"{}\", \
         aws_secret_access_key = \"{}\", aws_allow_http = \"true\" }}\n",
        s3.bucket(),
        s3.endpoint(),
        s3.region(),
        s3.access_key(),
        s3.secret_key()
    );
    let setup = Setup::new(&lake);
    s3.set_read_only(true).unwrap();
    let mut service = setup.start("run");
    service.until("the cause is told", || setup.tells("cannot write to the object store of s3://lake/service"));
    // What is taken in meanwhile waits in the log.
    service.until("a push is taken", || setup.push("early", &lines(0..1_000)) == Some(200));
    s3.set_read_only(false).unwrap();
    service.until("what waited is stored", || setup.has_stored(0..1_000));
    service.until("all stages work", || setup.is_ready());

    s3.set_read_only(true).unwrap();
    setup.append("a.log", lines(1_000..3_000));
    service.until("the cause is told", || setup.tells("table flows"));
    // Detection needs the store for its snapshots alone, and goes on.
    service.until("all is judged", || setup.metric("tradewind_detect_flows") == Some(3_000));
    service.until_it_says("the state of detection cannot be written");
    s3.set_read_only(false).unwrap();
    service.until("what waited is stored", || setup.has_stored(0..3_000));
    service.until("all stages work", || setup.is_ready());
    service.signal("TERM");
    assert!(service.end().success(), "{}", service.log());
    assert_eq!(setup.number("SELECT count(*) FROM flows"), Some(3_000));
}

#[test]
fn a_lake_on_a_disk_that_is_read_only_is_waited_for() {
    let setup = Setup::embedded();
    let Some(disk) = Disk::mount(&setup.program.folder().join("lake"), 64) else { return };
    disk.set_read_only(true);
    let mut service = setup.start("run");
    service.until("the cause is told", || setup.tells("Read-only file system"));
    service.until("a push is taken", || setup.push("early", &lines(0..1_000)) == Some(200));
    disk.set_read_only(false);
    service.until("what waited is stored", || setup.has_stored(0..1_000));
    service.until("all stages work", || setup.is_ready());
    disk.set_read_only(true);
    setup.append("a.log", lines(1_000..3_000));
    service.until("the cause is told", || setup.tells("Read-only file system"));
    disk.set_read_only(false);
    service.until("what waited is stored", || setup.has_stored(0..3_000));
    assert_eq!(setup.number("SELECT count(*) FROM flows"), Some(3_000));
}

#[test]
fn a_log_on_a_disk_that_is_read_only_ends_it() {
    let setup = Setup::embedded();
    let Some(disk) = Disk::mount(&setup.program.folder().join("log"), 64) else { return };
    disk.set_read_only(true);
    let outcome = setup.program.run(&["run"]);
    assert_eq!(outcome.code, 1, "{outcome:?}");
    assert!(outcome.err.contains("cannot make or write the folder log of the log"), "{}", outcome.err);
    assert!(outcome.err.contains("Read-only file system"), "{}", outcome.err);
}
