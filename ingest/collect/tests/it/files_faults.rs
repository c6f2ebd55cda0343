//! Files while the log fails, is away, or another collector takes the place.

use crate::files::{settle, start, start_with};
use crate::memory_log::Fault;
use crate::world::{World, until};
use std::sync::atomic::Ordering;

#[test]
fn nothing_is_lost_or_doubled_whatever_fails() {
    for faults in [
        [Fault::Lost, Fault::None, Fault::None],
        [Fault::AnswerLost, Fault::None, Fault::None],
        [Fault::None, Fault::Lost, Fault::AnswerLost],
        [Fault::None, Fault::AnswerLost, Fault::Lost],
    ] {
        let world = World::new();
        world.write("access.log", "a\nb\n");
        let running = start(&world);
        world.expect(&["a", "b"]);
        world.log.fail(&faults);
        for number in 0..4 {
            let line = format!("line {number}");
            world.append("access.log", &format!("{line}\n"));
            until("the line came", || world.lines().contains(&line));
        }
        until("all faults happened", || world.log.pending_faults() == 0);
        world.expect(&["a", "b", "line 0", "line 1", "line 2", "line 3"]);
        running.stop().unwrap();
        start(&world).stop().unwrap();
        assert_eq!(world.lines().len(), 6, "{faults:?}");
    }
}

#[test]
fn a_stop_during_an_outage_neither_loses_nor_doubles() {
    for fault in [Fault::Lost, Fault::AnswerLost] {
        let world = World::new();
        world.write("access.log", "a\n");
        let running = start(&world);
        world.expect(&["a"]);
        world.log.fail(&[fault]);
        world.append("access.log", "b\n");
        until("it failed", || running.counters.write_retries.load(Ordering::Relaxed) > 0);
        world.log.set_away(true);
        running.stop().unwrap();
        world.log.set_away(false);
        world.append("access.log", "c\n");
        let again = start(&world);
        world.expect(&["a", "b", "c"]);
        again.stop().unwrap();
    }
}

#[test]
fn a_second_collector_of_the_same_name_takes_the_place() {
    let world = World::new();
    world.write("access.log", "a\n");
    let first = start(&world);
    world.expect(&["a"]);
    let second = start(&world);
    until("the second runs", || second.counters.is_log_reachable.load(Ordering::Relaxed));
    world.append("access.log", "b\n");
    let error = first.ended().unwrap_err();
    assert!(format!("{error:?}").contains("Fenced"), "{error:?}");
    world.expect(&["a", "b"]);
    settle();
    second.stop().unwrap();
    assert_eq!(world.lines().len(), 2);
}

#[test]
fn missing_topics_are_named() {
    let world = World::new();
    let running = start_with(&world, "paths = ['DIR/*']\ntopic = 'nowhere'");
    let error = running.ended().unwrap_err().to_string();
    assert!(error.contains("`nowhere`") && error.contains("topics create"), "{error}");
}
