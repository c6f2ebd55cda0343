//! Connections that are known, seen by several observers, counted by connect: every one that is counted twice or missed is
//! told by its kind.

mod connection;
mod observer;

use crate::traffic::CONTEXT;
use connection::{Connection, Kind, connections};
use observer::{Record, Source, client_address, observe, push, server_address};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use tradewind_model::FlowBatch;
use tradewind_model::flow::*;
use tradewind_normalise::{
    Connect, ConnectCounts, ConnectScratch, ConnectSettings, Inventory, Normaliser, Scratch, Settings,
};

const CONNECTIONS: usize = 20_000;
const ROWS: usize = 3_000;

/// In which order records arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Order {
    /// As they are written and delivered.
    Delivery,
    /// All records of one observer, then all of the next.
    Files,
}

/// How often connections of a kind were counted.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    true_ones: u64,
    unseen: u64,
    missed: u64,
    doubled: u64,
}

/// What was counted.
#[derive(Debug, Default)]
struct Counted {
    by_kind: BTreeMap<Kind, Tally>,
    lead_bytes: i64,
    /// What the lead source of each edge would have counted without loss.
    expected_bytes: i64,
    /// Connections whose counters came from several observers.
    led_by_many: usize,
    lead_changes: usize,
    counts: ConnectCounts,
}

fn normaliser() -> Normaliser {
    let mut text = "address,entity\n".to_owned();
    for number in 0..64 {
        text += &format!(
            "{},client-{}\n{},server-{}\n",
            client_address(number),
            number % 5,
            server_address(number),
            number % 4
        );
    }
    Normaliser::new(&Settings::default(), Inventory::from_csv(&text, "made.csv").unwrap())
}

fn count(made: &[Connection], sources: &[Source], order: Order, seed: u64) -> Counted {
    let mut records: Vec<Record> =
        (0..).zip(sources).flat_map(|(number, &source)| observe(source, made, seed + number)).collect();
    if order == Order::Delivery {
        records.sort_by_key(|record| record.arrival);
    }
    let (normaliser, connect) = (normaliser(), Connect::new(ConnectSettings::default()));
    let (mut scratch, mut connect_scratch) = (Scratch::default(), ConnectScratch::default());
    let mut counted = Counted::default();
    let mut opened = vec![0_u64; made.len()];
    let mut seen = vec![false; made.len()];
    let mut leaders: BTreeMap<usize, BTreeSet<(&str, String)>> = BTreeMap::new();
    let mut edge_sources: BTreeMap<_, BTreeMap<&str, u64>> = BTreeMap::new();
    for part in records.chunks(ROWS) {
        let mut batch = FlowBatch::default();
        part.iter().for_each(|record| push(record, &mut batch));
        normaliser.apply(&mut batch, &mut scratch, &CONTEXT);
        let connected = connect.apply(&mut batch, &mut connect_scratch);
        counted.counts.add(connected.counts);
        counted.lead_changes += connected.lead_changes.len();
        for (row, record) in part.iter().enumerate() {
            seen[record.of] = true;
            opened[record.of] += u64::from(batch.num(OPENS).raw(row) == 1);
            let connection = &made[record.of];
            assert_eq!(batch.text(SRC_IP).get(row), Some(client_address(connection.client).as_str()), "{record:?}");
            if batch.num(IS_LEAD).raw(row) == 1 {
                counted.lead_bytes +=
                    [BYTES_OUT, BYTES_IN].map(|column| batch.num(column).get(row).unwrap_or(0)).iter().sum::<i64>();
                let observer = batch.text(OBSERVER).get(row).unwrap_or_default().to_owned();
                leaders.entry(record.of).or_default().insert((record.source.name(), observer));
                *edge_sources.entry(connection.edge()).or_default().entry(record.source.name()).or_default() += 1;
            }
        }
    }
    counted.led_by_many = leaders.values().filter(|leaders| leaders.len() > 1).count();
    for (of, connection) in made.iter().enumerate() {
        let tally = counted.by_kind.entry(connection.kind).or_default();
        tally.true_ones += 1;
        tally.unseen += u64::from(!seen[of]);
        tally.missed += u64::from(seen[of] && opened[of] == 0);
        tally.doubled += opened[of].saturating_sub(1);
        let leads = edge_sources.get(&connection.edge()).and_then(|leads| leads.iter().max_by_key(|(_, rows)| **rows));
        let lead = leads.and_then(|(name, _)| sources.iter().find(|source| source.name() == *name));
        counted.expected_bytes += lead.map_or(0, |lead| lead.bytes(connection));
    }
    counted
}

/// Counts within 0.5 % of the truth over all kinds but those named, and bytes within 1 % of the lead source.
fn check(sources: &[Source], order: Order, seed: u64, without: &[Kind]) -> Counted {
    let made = connections(CONNECTIONS, seed, !without.is_empty());
    let counted = count(&made, sources, order, seed);
    let mut out = std::io::stderr();
    let bytes_error = counted.lead_bytes as f64 / counted.expected_bytes as f64 - 1.0;
    writeln!(
        out,
        "{sources:?} {order:?} seed {seed}: bytes {:+.3} %, led by many {}, lead changes {}, {:?}",
        bytes_error * 100.0,
        counted.led_by_many,
        counted.lead_changes,
        counted.counts
    )
    .unwrap();
    let mut total = Tally::default();
    for (kind, tally) in &counted.by_kind {
        writeln!(out, "  {kind:?}: {tally:?}").unwrap();
        if !without.contains(kind) {
            total.true_ones += tally.true_ones - tally.unseen;
            total.missed += tally.missed;
            total.doubled += tally.doubled;
        }
    }
    let wrong = total.missed.max(total.doubled) as f64 / total.true_ones as f64;
    writeln!(out, "  all: {total:?}, off by {:.3} %", wrong * 100.0).unwrap();
    assert!(wrong <= 0.005, "{wrong}");
    assert!(bytes_error.abs() <= 0.01, "{bytes_error}");
    counted
}

#[test]
fn flow_logs_of_both_interfaces() {
    check(&[Source::Vpc], Order::Delivery, 1, &[]);
    check(&[Source::Vpc], Order::Files, 2, &[]);
}

#[test]
fn flow_logs_with_flags_tell_reused_ports() {
    for order in [Order::Delivery, Order::Files] {
        let counted = check(&[Source::VpcFlags], order, 3, &[Kind::ReusedSoon]);
        let reused = counted.by_kind[&Kind::ReusedSoon];
        assert!(reused.true_ones > 100 && reused.missed * 50 <= reused.true_ones, "{reused:?}");
    }
}

#[test]
fn all_observers_together() {
    for order in [Order::Delivery, Order::Files] {
        check(&[Source::Vpc, Source::Envoy, Source::Zeek], order, 4, &[]);
        check(&[Source::VpcFlags, Source::Envoy, Source::Zeek], order, 5, &[]);
        check(&[Source::Zeek, Source::Vpc], order, 6, &[]);
    }
}

#[test]
fn proxies_alone() {
    let made: Vec<Connection> =
        connections(CONNECTIONS, 7, false).into_iter().filter(|connection| connection.kind == Kind::Http).collect();
    let counted = count(&made, &[Source::Envoy], Order::Delivery, 7);
    let http = counted.by_kind[&Kind::Http];
    assert!(http.missed + http.doubled <= http.true_ones / 200, "{http:?}");
    assert_eq!(counted.led_by_many, 0);
}
