//! A file that is written without pause while it is rotated in every way, the collector is stopped, started and replaced,
//! and the log fails: what was written is what arrived, line by line.

use crate::memory_log::Fault;
use crate::world::{Running, World};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::time::{Duration, Instant};

/// A small generator of numbers, the same for the same seed (Steele, Lea and Flood 2014, SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}

fn start(world: &World) -> Running {
    let settings = "type = 'file'\nname = 'soak'\npaths = ['DIR/app.log*']\npoll_interval_ms = 3\nscan_interval_ms = 8\n\
                    rotate_wait_ms = 120\npartial_line_wait_ms = 0";
    world.start(settings)
}

fn write_lines(world: &World, random: &mut Random, next: &mut u64) {
    for _ in 0..=random.below(40) {
        world.append("app.log", &format!("{next:08} {}\n", "x".repeat(random.below(300) as usize)));
        *next += 1;
    }
}

/// Moves the rotated files up by one, as logrotate does, and keeps all.
fn shift(world: &World) {
    for number in (1..=30).rev() {
        for ending in ["", ".gz"] {
            let from = world.path(&format!("app.log.{number}{ending}"));
            if from.exists() {
                std::fs::rename(from, world.path(&format!("app.log.{}{ending}", number + 1))).unwrap();
            }
        }
    }
}

fn pack(world: &World, name: &str) {
    let path = world.path(name);
    let Ok(content) = std::fs::read(&path) else { return };
    let packed = std::fs::File::create(world.path(&format!("{name}.gz"))).unwrap();
    let mut packer = flate2::write::GzEncoder::new(packed, flate2::Compression::fast());
    packer.write_all(&content).unwrap();
    packer.finish().unwrap();
    std::fs::remove_file(path).unwrap();
}

fn soak(seed: u64) {
    let world = World::new();
    let mut random = Random(seed);
    let mut next = 0;
    let mut running = Some(start(&world));
    let mut history = Vec::new();
    for _ in 0..30 {
        write_lines(&world, &mut random, &mut next);
        let action = random.below(8);
        history.push(action);
        match action {
            0 | 1 => {
                shift(&world);
                world.rename("app.log", "app.log.1");
                write_lines(&world, &mut random, &mut next);
            }
            2 => {
                shift(&world);
                std::fs::copy(world.path("app.log"), world.path("app.log.1")).unwrap();
                std::fs::File::options().write(true).open(world.path("app.log")).unwrap().set_len(0).unwrap();
                write_lines(&world, &mut random, &mut next);
            }
            3 => pack(&world, "app.log.2"),
            4 => {
                if let Some(running) = running.take() {
                    // Sometimes at once, as good as killed: what is under way is left as it is.
                    running.stop_within(Duration::from_millis(random.below(2) * 5_000)).unwrap();
                }
            }
            5 => {
                if running.is_none() {
                    running = Some(start(&world));
                }
            }
            // One at a time: after many in a row the collector waits for seconds before it tries again.
            _ if world.log.pending_faults() > 0 => {}
            6 => world.log.fail(&[Fault::AnswerLost]),
            _ => world.log.fail(&[Fault::Lost]),
        }
        std::thread::sleep(Duration::from_millis(random.below(40)));
    }
    drop(running.take().map(Running::stop));
    let last = start(&world);
    // Packed copies settle one after the other; until then nothing is amiss.
    let limit = Instant::now() + Duration::from_secs(10);
    while (world.lines().len() as u64) < next && Instant::now() < limit {
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(Duration::from_millis(500));
    last.stop().unwrap();

    let mut counts: BTreeMap<u64, i64> = (0..next).map(|number| (number, -1)).collect();
    for line in world.lines() {
        *counts.entry(line[..8].parse().unwrap()).or_default() += 1;
    }
    counts.retain(|_, count| *count != 0);
    assert!(counts.is_empty(), "seed {seed}: missing (-1) or doubled (1), after {history:?}: {counts:?}");
}

#[test]
fn what_was_written_is_what_arrived() {
    for seed in 1..=4 {
        soak(seed);
    }
}

/// By hand: `cargo test -p tradewind-collect -- --ignored long_soak`.
#[test]
#[ignore = "it takes minutes"]
fn long_soak() {
    for seed in 100..160 {
        soak(seed);
    }
}
