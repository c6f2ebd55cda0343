//! Standard input.

use crate::memory_log::Fault;
use crate::world::{Running, World, settings_of};
use std::io::Read;
use std::sync::atomic::Ordering;
use tradewind_collect::{SourceSettings, stream_collector};

fn run(world: &World, input: impl Read + Send + 'static) -> Running {
    let SourceSettings::Stdin(settings) =
        settings_of("type = 'stdin'\nname = 'in'\nformat = 'zeek'\nflush_interval_ms = 20")
    else {
        unreachable!("it says stdin")
    };
    Running::start(stream_collector(settings, &world.wiring(), Box::new(input)).unwrap())
}

#[test]
fn lines_come_whole_and_the_end_ends_it() {
    let check = |input: &'static str, expected: &[&str]| {
        let world = World::new();
        let running = run(&world, input.as_bytes());
        let counters = running.counters.clone();
        running.ended().unwrap();
        world.expect(expected);
        assert_eq!(counters.accepted.load(Ordering::Relaxed), expected.len() as u64);
        assert!(world.raw().iter().all(|(envelope, _)| envelope.format.as_deref() == Some("zeek")));
    };
    check("", &[]);
    check("a\nb\n", &["a", "b"]);
    check("a\nb", &["a", "b"]);
}

#[test]
fn lines_are_passed_on_before_the_end() {
    let world = World::new();
    let (reader, mut writer) = std::io::pipe().unwrap();
    let running = run(&world, reader);
    std::io::Write::write_all(&mut writer, b"a\nb\nc").unwrap();
    world.expect(&["a", "b"]);
    std::io::Write::write_all(&mut writer, b"c\n").unwrap();
    world.expect(&["a", "b", "cc"]);
    drop(writer);
    running.ended().unwrap();
}

#[test]
fn a_lost_answer_doubles_nothing() {
    let world = World::new();
    // The first write is the mark of the run.
    world.log.fail(&[Fault::None, Fault::AnswerLost, Fault::Lost]);
    let text: String = (0..10_000).map(|number| format!("line {number:05}\n")).collect();
    let expected = text.clone();
    run(&world, std::io::Cursor::new(text)).ended().unwrap();
    assert_eq!(world.lines(), expected.lines().collect::<Vec<_>>());
}

#[test]
fn a_refusal_ends_it() {
    let world = World::new();
    world.log.fail(&[Fault::None, Fault::Refused]);
    let error = run(&world, "a\n".as_bytes()).ended().unwrap_err();
    assert!(error.to_string().contains("cannot write"), "{error}");
    assert!(world.lines().is_empty());
}
