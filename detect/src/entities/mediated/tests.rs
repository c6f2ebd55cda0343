//! Ways through a resource, made by hand: who is reached, when, and with what evidence.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::entities::View;
use crate::network::Port;
use crate::report::EdgeCounts;
use crate::settings::DestinationSettings;
use tradewind_model::entity::EntityKind;
use tradewind_model::time::SECOND;

const LENGTH: i64 = 300 * SECOND;
const WINDOWS: i64 = 300;
const QUEUE: u32 = 0;
const WRITER: u32 = 1;
const READER: u32 = 2;
const STRANGER: u32 = 3;
/// The first of those who are there only to be many.
const CROWD: u32 = 4;

/// One who writes, or reads, between two seconds of the window.
fn access(source: u32, is_write: bool, resource: &str, window: i64, seconds: (i64, i64)) -> Access {
    let [first, last] = [seconds.0, seconds.1].map(|second| window * LENGTH + second * SECOND);
    let counts = EdgeCounts { flows: 2, answered: 2, last, ..EdgeCounts::nothing(first) };
    let edge = Edge { source, destination: QUEUE, port: Port::Number(9092) };
    Access { edge, is_write, resource: resource.to_owned(), counts }
}

struct Known {
    mediated: Mediated,
    network: Network,
}

impl Known {
    /// After many windows in which one writes a topic and several read it, the first of them other topics, too.
    fn new(readers: u32, topics: u32) -> Self {
        let mut network = Network::default();
        (0..CROWD + readers).for_each(|number| {
            network.entity_of_kind(&format!("{number:04}"), EntityKind::Service);
        });
        let mut known = Self { mediated: Mediated::default(), network };
        for window in 0..WINDOWS {
            let mut accesses = vec![access(WRITER, true, "tasks", window, (10, 200))];
            accesses.push(access(READER, false, "tasks", window, (20, 290)));
            let crowd = (1..readers).map(|place| access(CROWD + place, false, "tasks", window, (20, 290)));
            accesses.extend(crowd);
            let names: Vec<String> = (1..topics).map(|topic| format!("topic {topic}")).collect();
            accesses.extend(names.iter().map(|name| access(READER, false, name, window, (20, 290))));
            known.close(window, accesses);
        }
        known
    }

    fn close(&mut self, window: i64, mut accesses: Vec<Access>) {
        accesses.sort_by(|one, other| {
            let key = |access: &Access| (access.resource.clone(), access.is_write, access.edge.source);
            key(one).cmp(&key(other))
        });
        let mut view = View::new(window, LENGTH, window.unsigned_abs(), false);
        view.accesses = accesses;
        let settings = DestinationSettings::default();
        let judged = self.mediated.judge(&view, &settings, window < 3);
        for step in &judged.steps {
            self.mediated.follow(step, &judged, &view.accesses[step.place], &Chains::default());
        }
        self.mediated.learn(&view, &judged, &settings, window < 3, &self.network);
        self.mediated.expire((window + 1) * LENGTH);
    }

    /// Evidence of the way into an entity at a second of the window after all.
    fn way(&self, entity: u32, second: i64) -> Option<f64> {
        self.mediated.way_into(entity, WINDOWS * LENGTH + second * SECOND).map(|mediated| mediated.way.evidence)
    }
}

/// A stranger writes at a second, and the reader reads between two; whether it is reached at others.
fn check(written: i64, read: (i64, i64), expected: &[(i64, bool)]) {
    let mut known = Known::new(1, 1);
    let stranger = access(STRANGER, true, "tasks", WINDOWS, (written, written));
    known.close(WINDOWS, vec![stranger, access(READER, false, "tasks", WINDOWS, read)]);
    let reached: Vec<(i64, bool)> =
        expected.iter().map(|&(second, _)| (second, known.way(READER, second).is_some())).collect();
    assert_eq!(reached, expected, "{written}, {read:?}");
    assert_eq!((known.way(WRITER, 299), known.way(STRANGER, 299)), (None, None));
}

#[test]
fn time_is_respected() {
    check(100, (150, 160), &[(99, false), (150, false), (151, true), (1900, true), (1961, false)]);
    check(100, (20, 290), &[(100, false), (102, true)]);
    check(100, (20, 90), &[(299, false)]);
    check(100, (20, 100), &[(299, false)]);
}

#[test]
fn news_waits_for_its_reader() {
    for (read_in, is_reached) in [(1, true), (6, true), (8, false)] {
        let mut known = Known::new(1, 1);
        known.close(WINDOWS, vec![access(STRANGER, true, "tasks", WINDOWS, (100, 100))]);
        let window = WINDOWS + read_in;
        known.close(window, vec![access(READER, false, "tasks", window, (50, 60))]);
        assert_eq!(known.way(READER, read_in * 300 + 100).is_some(), is_reached, "{read_in}");
    }
}

#[test]
fn what_everybody_reads_carries_little() {
    let evidence = |readers, topics, strangers: u32| {
        let mut known = Known::new(readers, topics);
        let mut accesses: Vec<Access> =
            (0..strangers).map(|one| access(1000 + one, true, "tasks", WINDOWS, (100, 100))).collect();
        accesses.push(access(READER, false, "tasks", WINDOWS, (20, 290)));
        known.close(WINDOWS, accesses);
        known.way(READER, 299)
    };
    let alone = evidence(1, 1, 1).unwrap();
    assert!(alone > 2.0, "{alone}");
    assert!((evidence(3, 1, 1).unwrap() - (alone - 3_f64.ln())).abs() < 0.1);
    assert!(evidence(1, 3, 1).unwrap() < alone);
    assert_eq!((evidence(32, 1, 1), evidence(1, 1, 9)), (None, None));
}

#[test]
fn who_is_known_is_no_news() {
    let mut known = Known::new(1, 1);
    for window in WINDOWS..WINDOWS + 8 {
        let again = access(STRANGER, true, "tasks", window, (100, 100));
        known.close(window, vec![again, access(READER, false, "tasks", window, (150, 160))]);
    }
    // Rare as it is, it has been there for long enough.
    let later = WINDOWS + 20;
    let again = access(STRANGER, true, "tasks", later, (100, 100));
    known.close(later, vec![again, access(READER, false, "tasks", later, (150, 160))]);
    assert_eq!(known.way(READER, 20 * 300 + 200), None);
}

#[test]
fn numbers_change_and_what_is_forgotten_goes() {
    let mut known = Known::new(1, 1);
    let stranger = access(STRANGER, true, "tasks", WINDOWS, (100, 100));
    known.close(WINDOWS, vec![stranger, access(READER, false, "tasks", WINDOWS, (150, 160))]);
    let mut swapped = known.mediated.clone();
    swapped.keep(&[Some(3), Some(2), Some(0), Some(1), None]);
    let way = swapped.way_into(0, WINDOWS * LENGTH + 299 * SECOND).unwrap().way;
    let sources: Vec<(u32, u32)> = way.path.iter().map(|hop| (hop.edge.source, hop.edge.destination)).collect();
    assert_eq!(sources, [(1, 3), (0, 3)]);
    assert!(way.path.iter().all(|hop| swapped.passage(hop).is_some()));
    known.mediated.keep(&[Some(0), Some(1), Some(2), None]);
    assert_eq!(known.way(READER, 299), None);
}

#[test]
fn resources_are_bounded_and_those_in_use_stay() {
    let mut known = Known::new(1, 1);
    for window in 0..3 {
        let names: Vec<String> = (0..5000).map(|name| format!("{window} {name}")).collect();
        let invented = names.iter().map(|name| access(STRANGER, true, name, WINDOWS + window, (1, 1)));
        known.close(WINDOWS + window, invented.collect());
    }
    assert!(known.mediated.resources[&QUEUE].len() <= RESOURCES_MAX);
    assert!(known.mediated.resources[&QUEUE].contains_key("tasks"));
}

/// Whoever writes and reads over very many ports, and very many who write and read, cost no more than they are.
#[test]
fn floods_of_edges_and_of_parties_are_bounded() {
    const PORTS: u16 = 20_000;
    let mut known = Known::new(3, 1);
    let over_ports = |source: u32, is_write: bool| {
        (1..PORTS).map(move |port| {
            let access = access(source, is_write, "tasks", WINDOWS, (100, 200));
            Access { edge: Edge { port: Port::Number(port), ..access.edge }, ..access }
        })
    };
    let accesses: Vec<Access> = over_ports(STRANGER, true).chain(over_ports(READER, false)).collect();
    let mut view = View::new(WINDOWS, LENGTH, WINDOWS.unsigned_abs(), false);
    view.accesses = accesses;
    let judged = known.mediated.judge(&view, &DestinationSettings::default(), false);
    let reads = judged.steps.iter().filter(|step| step.kind == Kind::Read).count();
    assert!((1..=2 * usize::from(PORTS)).contains(&reads), "{reads} readings");
    for step in &judged.steps {
        known.mediated.follow(step, &judged, &view.accesses[step.place], &Chains::default());
    }
    let news = &known.mediated.resources[&QUEUE]["tasks"].news;
    assert_eq!(news.len(), 1, "it is one writer");

    let many: Vec<u32> = (0..20_000)
        .map(|number| known.network.entity_of_kind(&format!("many {number}"), EntityKind::Service))
        .collect();
    let accesses = many.iter().map(|&source| access(source, false, "tasks", WINDOWS + 1, (10, 20))).collect();
    known.close(WINDOWS + 1, accesses);
    let readers = &known.mediated.resources[&QUEUE]["tasks"].readers;
    assert!(readers.has(READER), "who always read is not pushed out");
    assert!(readers.count() <= 32);
}
