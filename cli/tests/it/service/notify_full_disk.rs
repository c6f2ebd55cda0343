//! The disk of the outbox is full: nothing is taken in, the service says so, and goes on by itself when there is room.

use super::disk::Disk;
use super::notify::{ordinary, scan, told};
use super::setup::Setup;

const SETTINGS: &str = "[notify]\noutbox = \"outbox\"\n[[notify.sink]]\nname = \"lines\"\ntype = \"file\"\n\
                        path = \"told/alerts.jsonl\"\nformat = \"json\"\n";

#[test]
fn a_full_disk_under_the_outbox_holds_telling_up_and_loses_nothing() {
    let setup = Setup::new(SETTINGS);
    let folder = setup.program.folder().join("outbox");
    let Some(_disk) = Disk::mount(&folder, 48) else { return };
    let other = folder.join("other");
    std::fs::write(&other, vec![1; 24 << 20]).unwrap();
    let mut service = setup.start("run");
    service.until("the cause is told", || setup.tells("to note what is delivered; free some space"));
    setup.append("a.log", format!("{}{}{}", ordinary(0..60), scan(60, 9), ordinary(61..75)));
    let has_scan = "SELECT count(*) FROM findings WHERE entity LIKE '%10.0.0.9' AND behaviour = 'scan'";
    service.until("the scan is found", || setup.number(has_scan).is_some_and(|rows| rows > 0));
    assert!(told(&setup).is_empty(), "it was told though nothing could be noted");
    std::fs::remove_file(&other).unwrap();
    service.until("it is told", || !told(&setup).is_empty());
    service.until("all stages work", || setup.is_ready());
    service.signal("TERM");
    assert!(service.end().success(), "{}", service.log());
    assert!(!service.log().contains("panicked"), "{}", service.log());
}
