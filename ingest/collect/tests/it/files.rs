//! Files that grow and are rotated in every way there is.

use crate::world::{Running, World, until};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Quick enough for tests; what must settle does so after 150 ms.
const QUICK: &str = "poll_interval_ms = 5\nscan_interval_ms = 10\nrotate_wait_ms = 150\nformat = 'envoy'\n";

pub(crate) fn start_with(world: &World, more: &str) -> Running {
    world.start(&format!("type = 'file'\nname = 'access'\n{QUICK}{more}"))
}

/// Follows all of the folder.
pub(crate) fn start(world: &World) -> Running {
    start_with(world, "paths = ['DIR/*']")
}

/// Follows one name alone: what it is renamed to is none that the pattern matches.
fn start_narrow(world: &World) -> Running {
    start_with(world, "paths = ['DIR/access.log']")
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

/// Waits longer than anything needs to settle, to see that nothing more comes.
pub(crate) fn settle() {
    std::thread::sleep(Duration::from_millis(500));
}

#[test]
fn files_are_followed() {
    let world = World::new();
    world.write("access.log", "a\nb\n");
    let running = start(&world);
    world.expect(&["a", "b"]);
    world.append("access.log", "c");
    world.append("access.log", "c\nd\n");
    world.expect(&["a", "b", "cc", "d"]);
    world.write("other.log", "e\n");
    world.expect(&["a", "b", "cc", "d", "e"]);
    let (received, accepted) = (&running.counters.received, &running.counters.accepted);
    until("all is counted", || accepted.load(Ordering::Relaxed) == 5 && received.load(Ordering::Relaxed) == 5);
    running.stop().unwrap();
    let (envelope, _) = world.raw().into_iter().next().unwrap();
    assert_eq!(envelope.collector.as_deref(), Some("edge-1"));
    assert_eq!(envelope.format.as_deref(), Some("envoy"));
    assert!(envelope.source.unwrap().starts_with(&format!("file {}", world.folder.path().display())));
}

/// What a rotation does, and what is written while nobody looks.
type Step = fn(&World);

/// Rotates while the collector runs, and once more while it does not; either way each line comes once.
fn check_rotation(rotate: Step, narrow: bool) {
    let follow = if narrow { start_narrow } else { start };
    let (before, after) = (["one 0000000001", "two 0000000002"], ["three 000000003", "four 0000000004"]);
    let all = [before.as_slice(), &after].concat();
    for is_running in [true, false] {
        let world = World::new();
        world.write("access.log", &format!("{}\n", before[0]));
        let running = follow(&world);
        world.expect(&before[..1]);
        if is_running {
            world.append("access.log", &format!("{}\n", before[1]));
            world.expect(&before);
            rotate(&world);
            world.append("access.log", &format!("{}\n", after[0]));
            world.expect(&all[..3]);
            world.append("access.log", &format!("{}\n", after[1]));
            world.expect(&all);
            settle();
            running.stop().unwrap();
        } else {
            running.stop().unwrap();
            world.append("access.log", &format!("{}\n", before[1]));
            rotate(&world);
            world.append("access.log", &format!("{}\n{}\n", after[0], after[1]));
        }
        let again = follow(&world);
        world.expect(&all);
        settle();
        again.stop().unwrap();
        assert_eq!(world.lines().len(), all.len(), "narrow {narrow}, running {is_running}");
    }
}

fn by_rename(world: &World) {
    world.rename("access.log", "access.log.1");
}

fn by_copy(world: &World) {
    std::fs::copy(world.path("access.log"), world.path("access.log.1")).unwrap();
    std::fs::File::options().write(true).open(world.path("access.log")).unwrap().set_len(0).unwrap();
}

fn by_rename_and_packing(world: &World) {
    let packed = gzip(&std::fs::read(world.path("access.log")).unwrap());
    world.rename("access.log", "access.log.1");
    std::fs::write(world.path("access.log.1.gz"), packed).unwrap();
    std::fs::remove_file(world.path("access.log.1")).unwrap();
}

fn by_packing_with_zstd(world: &World) {
    let packed = zstd::encode_all(std::fs::File::open(world.path("access.log")).unwrap(), 3).unwrap();
    world.rename("access.log", "access.log.1");
    std::fs::write(world.path("access.log.1.zst"), packed).unwrap();
    std::fs::remove_file(world.path("access.log.1")).unwrap();
}

#[test]
fn rotation_by_rename() {
    check_rotation(by_rename, false);
    check_rotation(by_rename, true);
}

#[test]
fn rotation_by_copy() {
    check_rotation(by_copy, false);
    check_rotation(by_copy, true);
}

#[test]
fn rotation_with_packing() {
    check_rotation(by_rename_and_packing, false);
    check_rotation(by_rename_and_packing, true);
    check_rotation(by_packing_with_zstd, false);
}

#[test]
fn a_copy_that_takes_long_is_not_read_twice() {
    let world = World::new();
    let lines: Vec<String> = (0..20_000).map(|number| format!("line {number:06}")).collect();
    let text = lines.join("\n") + "\n";
    world.write("access.log", &text);
    let running = start(&world);
    until("all is there", || world.lines().len() == lines.len());
    for part in text.as_bytes().chunks(text.len() / 6) {
        world.append("access.log.1", std::str::from_utf8(part).unwrap());
        std::thread::sleep(Duration::from_millis(60));
    }
    world.append("access.log", "more while it is copied\n");
    std::thread::sleep(Duration::from_millis(60));
    world.append("access.log.1", "more while it is copied\n");
    world.write("access.log", "");
    world.append("access.log", "after\n");
    until("the last is there", || world.lines().len() == lines.len() + 2);
    settle();
    running.stop().unwrap();
    assert_eq!(world.lines().len(), lines.len() + 2);
}

#[test]
fn a_backup_beside_a_file_is_not_read() {
    let world = World::new();
    world.write("access.log", "a 1\nb 2\n");
    let running = start(&world);
    world.expect(&["a 1", "b 2"]);
    std::fs::copy(world.path("access.log"), world.path("access.log.bak.1")).unwrap();
    std::fs::copy(world.path("access.log"), world.path("access.log.2")).unwrap();
    world.append("access.log", "c 3\n");
    settle();
    running.stop().unwrap();
    // A name of another family is another log.
    world.expect(&["a 1", "a 1", "b 2", "b 2", "c 3"]);
}

#[test]
fn files_that_begin_alike_are_read_both() {
    let world = World::new();
    world.write("access-1.log", "version account\nrow 1\n");
    let running = start(&world);
    world.expect(&["version account", "row 1"]);
    world.write("access-2.log", "version account\n");
    settle();
    world.append("access-2.log", "row 2\n");
    world.append("access-1.log", "row 3\n");
    world.expect(&["version account", "version account", "row 1", "row 2", "row 3"]);
    running.stop().unwrap();
}

#[test]
fn deleted_and_replaced_files() {
    let world = World::new();
    world.write("access.log", "a\n");
    let running = start(&world);
    world.expect(&["a"]);
    std::fs::remove_file(world.path("access.log")).unwrap();
    settle();
    world.write("access.log", "a\nb\n");
    world.expect(&["a", "a", "b"]);
    // Replaced by a rename over it.
    world.write("new.tmp", "c\n");
    world.expect(&["a", "a", "b", "c"]);
    world.rename("new.tmp", "access.log");
    world.append("access.log", "d\n");
    world.expect(&["a", "a", "b", "c", "d"]);
    running.stop().unwrap();
}

#[test]
fn a_file_that_is_deleted_while_the_log_is_away_is_read_to_its_end() {
    let world = World::new();
    world.write("access.log", "a\n");
    let running = start(&world);
    world.expect(&["a"]);
    world.log.hold(true);
    world.append("access.log", "b\n");
    std::thread::sleep(Duration::from_millis(100));
    world.append("access.log", "c\n");
    std::fs::remove_file(world.path("access.log")).unwrap();
    world.log.hold(false);
    world.expect(&["a", "b", "c"]);
    running.stop().unwrap();
}

#[test]
fn a_file_emptied_and_written_beyond_its_old_size_begins_anew() {
    let world = World::new();
    world.write("access.log", "old 1\n");
    let running = start(&world);
    world.expect(&["old 1"]);
    world.write("access.log", "new 1\nnew 2\nnew 3\n");
    world.expect(&["old 1", "new 1", "new 2", "new 3"]);
    assert_eq!(running.counters.files_truncated.load(Ordering::Relaxed), 1);
    running.stop().unwrap();
}

#[test]
fn start_at_the_end() {
    let world = World::new();
    world.write("access.log", "old\nhalf");
    std::fs::write(world.path("access.log.1.gz"), gzip(b"older\n")).unwrap();
    let at_end = "paths = ['DIR/*']\nstart = 'end'";
    let running = start_with(&world, at_end);
    until("the source began", || running.counters.transactions.load(Ordering::Relaxed) > 0);
    world.append("access.log", " and half\n");
    world.write("new.log", "new\n");
    world.expect(&["half and half", "new"]);
    running.stop().unwrap();
    // Only the first start begins at the end.
    world.append("access.log", "while away\n");
    world.write("also-new.log", "also new\n");
    let again = start_with(&world, at_end);
    world.expect(&["half and half", "new", "while away", "also new"]);
    settle();
    again.stop().unwrap();
    assert_eq!(world.lines().len(), 4);
}

#[test]
fn the_last_line_waits_for_its_end() {
    let world = World::new();
    world.write("access.log", "a\nhalf");
    let running = start_with(&world, "paths = ['DIR/*']\npartial_line_wait_ms = 0");
    settle();
    world.expect(&["a"]);
    world.rename("access.log", "access.log.1");
    world.expect(&["a", "half"]);
    running.stop().unwrap();
    let sources: Vec<String> = world.raw().into_iter().filter_map(|(envelope, _)| envelope.source).collect();
    assert!(sources.iter().any(|source| source.ends_with("2-6 partial")), "{sources:?}");
}

#[test]
fn headers_travel_with_later_lines() {
    let world = World::new();
    world.write("conn.log", "#separator x\n#fields a b\nrow 1\n");
    let running = start(&world);
    until("the first rows came", || world.raw().len() == 1);
    world.append("conn.log", "row 2\n");
    until("the next row came", || world.raw().len() == 2);
    running.stop().unwrap();
    let preamble = |value: &str| {
        let raw = world.raw().into_iter().find(|(_, text)| text.ends_with(value)).unwrap();
        raw.0.preamble.map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
    };
    assert_eq!(preamble("row 1\n"), None);
    assert_eq!(preamble("row 2\n").as_deref(), Some("#separator x\n#fields a b\n"));
}

#[test]
fn lines_that_are_too_long_are_cut_and_counted() {
    let world = World::new();
    let long = "x".repeat((16 << 20) + 1000);
    world.write("access.log", &format!("a\n{long}\nb\n"));
    let running = start(&world);
    until("all three came", || world.lines().len() == 3);
    let lengths: Vec<usize> = world.lines().iter().map(String::len).collect();
    assert_eq!(lengths, [1, 1, 16 << 20]);
    let counters = &running.counters;
    until("it is counted", || counters.bytes_cut.load(Ordering::Relaxed) == 1000);
    assert_eq!((counters.lines_cut.load(Ordering::Relaxed), counters.accepted.load(Ordering::Relaxed)), (1, 3));
    running.stop().unwrap();
}

#[test]
fn damaged_packed_files_are_told_and_read_on_when_whole() {
    let world = World::new();
    let text: String =
        (0..60_000_u64).map(|number| format!("{:016x}\n", number.wrapping_mul(0x9e37_79b9_7f4a_7c15))).collect();
    let packed = gzip(text.as_bytes());
    std::fs::write(world.path("access.log.1.gz"), &packed[..packed.len() - 100]).unwrap();
    let running = start(&world);
    until("it is told", || running.counters.files_failed.load(Ordering::Relaxed) == 1);
    settle();
    assert_eq!(running.counters.files_failed.load(Ordering::Relaxed), 1);
    std::fs::write(world.path("access.log.1.gz"), &packed).unwrap();
    until("all is there", || world.lines().len() == 60_000);
    settle();
    running.stop().unwrap();
    start(&world).stop().unwrap();
    let mut expected: Vec<&str> = text.lines().collect();
    expected.sort_unstable();
    assert!(world.lines() == expected);
}

#[test]
fn files_without_permission_are_tried_again() {
    let world = World::new();
    world.write("access.log", "a\n");
    let path = world.path("access.log");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o000)).unwrap();
    if std::fs::File::open(&path).is_ok() {
        tradewind_testkit::skipped("the superuser may read every file");
        return;
    }
    let running = start(&world);
    until("it is told", || running.counters.files_failed.load(Ordering::Relaxed) == 1);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    world.expect(&["a"]);
    running.stop().unwrap();
}
