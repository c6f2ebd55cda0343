//! Small batches with known answers, and what no splitting, threading or replaying may change.

use crate::traffic::{BEGIN, CONTEXT};
use proptest::prelude::*;
use tradewind_model::FlowBatch;
use tradewind_model::flow::*;
use tradewind_model::time::SECOND;
use tradewind_normalise::{
    Connect, ConnectCounts, ConnectScratch, ConnectSettings, Inventory, Normaliser, Scratch, Settings,
};

/// A row: observer, source port, destination port, start and end in seconds, TCP flags, and what it is of.
#[derive(Clone, Debug)]
struct Row {
    observer: &'static str,
    is_answer: bool,
    ports: (i64, i64),
    times: (i64, i64),
    flags: Option<i64>,
    kind: &'static str,
    network: &'static str,
}

const ROW: Row = Row {
    observer: "eni-a",
    is_answer: false,
    ports: (40_000, 443),
    times: (0, 59),
    flags: None,
    kind: "interval",
    network: "vpc-1",
};

fn push(row: &Row, batch: &mut FlowBatch) {
    let (mut src, mut dst) = (("10.0.0.1", row.ports.0), ("203.0.113.9", row.ports.1));
    if row.is_answer {
        std::mem::swap(&mut src, &mut dst);
    }
    batch.set_text(SRC_IP, src.0);
    batch.set_num(SRC_PORT, src.1);
    batch.set_text(DST_IP, dst.0);
    batch.set_num(DST_PORT, dst.1);
    batch.set_text(SRC_NETWORK, row.network);
    batch.set_text(DST_NETWORK, row.network);
    batch.set_num(PROTOCOL_NUM, 6);
    batch.set_num(BYTES_OUT, 100);
    batch.set_num(START_TIME, BEGIN + row.times.0 * SECOND);
    batch.set_num(END_TIME, BEGIN + row.times.1 * SECOND);
    if let Some(flags) = row.flags {
        batch.set_num(TCP_FLAGS, flags);
    }
    batch.set_text(OBSERVER, row.observer);
    batch.set_text(RECORD_KIND, row.kind);
    batch.set_text(SOURCE, if row.kind == "interval" { "aws_vpc" } else { "zeek" });
    batch.set_num(IS_SRC_DST_ASSIGNMENT_KNOWN, i64::from(row.kind != "interval"));
    batch.end_row();
}

fn normalised(rows: &[Row]) -> FlowBatch {
    let mut batch = FlowBatch::default();
    rows.iter().for_each(|row| push(row, &mut batch));
    let normaliser = Normaliser::new(&Settings::default(), Inventory::default());
    normaliser.apply(&mut batch, &mut Scratch::default(), &CONTEXT);
    batch
}

fn connected(rows: &[Row]) -> (FlowBatch, ConnectCounts) {
    let mut batch = normalised(rows);
    let connect = Connect::new(ConnectSettings::default());
    let counts = connect.apply(&mut batch, &mut ConnectScratch::default()).counts;
    (batch, counts)
}

fn answers(batch: &FlowBatch) -> Vec<(i64, i64)> {
    (0..batch.len()).map(|row| (batch.num(OPENS).raw(row), batch.num(IS_LEAD).raw(row))).collect()
}

/// Rows, and (`opens`, `is_lead`) of each.
fn check(rows: &[Row], expected: &[(i64, i64)]) {
    let (batch, counts) = connected(rows);
    assert_eq!(answers(&batch), expected, "{rows:#?}");
    assert_eq!(counts.opened, expected.iter().map(|answer| answer.0.unsigned_abs()).sum::<u64>());
    assert_eq!(counts.leads, expected.iter().map(|answer| answer.1.unsigned_abs()).sum::<u64>());
}

#[test]
fn both_ways_at_both_interfaces_are_one_connection() {
    let other = Row { observer: "eni-b", times: (2, 58), ..ROW };
    check(
        &[ROW, Row { is_answer: true, ..ROW }, other.clone(), Row { is_answer: true, ..other }],
        &[(1, 1), (0, 1), (0, 0), (0, 0)],
    );
}

#[test]
fn a_connection_is_of_one_address_space() {
    check(&[ROW, Row { network: "vpc-2", ..ROW }], &[(1, 1), (1, 1)]);
    check(&[ROW, Row { ports: (40_001, 443), ..ROW }], &[(1, 1), (1, 1)]);
}

#[test]
fn idle_gaps_and_flags_part_connections() {
    check(&[ROW, Row { times: (359, 400), ..ROW }], &[(1, 1), (0, 1)]);
    check(&[ROW, Row { times: (360, 400), ..ROW }], &[(1, 1), (1, 1)]);
    let (open, closed) = (Row { flags: Some(2), ..ROW }, Row { flags: Some(3), ..ROW });
    check(&[closed.clone(), Row { times: (90, 100), ..open.clone() }], &[(1, 1), (1, 1)]);
    check(&[open.clone(), Row { times: (60, 100), ..open }], &[(1, 1), (0, 1)]);
    let whole = Row { kind: "connection", observer: "sensor", times: (0, 10), ..ROW };
    check(&[whole.clone(), Row { times: (30, 40), ..whole }], &[(1, 1), (1, 1)]);
}

#[test]
fn the_observer_at_the_destination_leads_if_it_is_there_at_once() {
    let mut batch = normalised(&[ROW, Row { observer: "eni-b", ..ROW }]);
    for (row, vantage) in ["source", "destination"].into_iter().enumerate() {
        let code = batch.text_mut(VANTAGE).intern(vantage);
        batch.text_mut(VANTAGE).set(row, code);
    }
    let connect = Connect::new(ConnectSettings::default());
    connect.apply(&mut batch, &mut ConnectScratch::default());
    assert_eq!(answers(&batch), [(1, 0), (0, 1)]);
}

/// Orientation, source address and direction of each row.
fn oriented(rows: &[Row]) -> Vec<(String, String, String)> {
    let (batch, _) = connected(rows);
    let text = |column, row| batch.text(column).get(row).unwrap_or("-").to_owned();
    (0..batch.len()).map(|row| (text(ORIENTATION, row), text(SRC_IP, row), text(DIRECTION, row))).collect()
}

#[test]
fn a_row_that_knows_tells_the_others() {
    let row = |orientation: &str| (orientation.to_owned(), "10.0.0.1".to_owned(), "outbound".to_owned());
    let unknown = Row { ports: (50_100, 50_101), ..ROW };
    let later = Row { times: (60, 119), ..unknown.clone() };
    let rows = [
        Row { is_answer: true, ..later.clone() },
        later,
        Row { flags: Some(2), ..unknown.clone() },
        Row { flags: Some(18), is_answer: true, ..unknown },
    ];
    assert_eq!(oriented(&rows), ["other_half", "other_half", "tcp_flags", "tcp_flags"].map(row));
    // Flags outrank what ports made of an active FTP connection.
    let from_service = Row { ports: (20, 50_101), ..ROW };
    let rows = [Row { times: (60, 119), ..from_service.clone() }, Row { flags: Some(2), ..from_service }];
    assert_eq!(oriented(&rows), ["other_half", "tcp_flags"].map(row));
    assert_eq!(oriented(&[ROW, Row { flags: Some(2), ..ROW }]), ["port", "tcp_flags"].map(row));
}

#[test]
fn a_row_without_an_address_counts_by_itself() {
    let mut batch = FlowBatch::default();
    for _ in 0..2 {
        batch.set_text(DST_IP, "10.0.0.1");
        batch.end_row();
    }
    let connect = Connect::new(ConnectSettings::default());
    let counts = connect.apply(&mut batch, &mut ConnectScratch::default()).counts;
    assert_eq!(answers(&batch), [(1, 1), (1, 1)]);
    assert_eq!((counts.alone, counts.opened, connect.len()), (2, 2, 0));
}

#[test]
fn what_is_remembered_is_bounded_and_the_oldest_goes_first() {
    let settings = ConnectSettings { connections_max: 6_400, ..ConnectSettings::default() };
    let (connect, mut scratch) = (Connect::new(settings), ConnectScratch::default());
    let rows = |from: i64| -> Vec<Row> {
        (from..from + 20_000).map(|port| Row { ports: (port, 443), times: (port / 10, port / 10), ..ROW }).collect()
    };
    let counts = connect.apply(&mut normalised(&rows(1_000)), &mut scratch).counts;
    assert_eq!((counts.opened, counts.forgotten), (20_000, 20_000 - connect.len() as u64));
    assert!((4_000..=6_400).contains(&connect.len()), "{}", connect.len());
    let newest = connect.apply(&mut normalised(&rows(1_000)[19_000..]), &mut scratch).counts;
    assert_eq!(newest.opened, 0);
    let oldest = connect.apply(&mut normalised(&rows(1_000)[..10]), &mut scratch).counts;
    assert_eq!(oldest.opened, 10);
}

#[test]
fn one_tuple_does_not_fill_the_memory() {
    let (connect, mut scratch) = (Connect::new(ConnectSettings::default()), ConnectScratch::default());
    let rows: Vec<Row> = (0..1_000).map(|number| Row { times: (number * 400, number * 400), ..ROW }).collect();
    let counts = connect.apply(&mut normalised(&rows), &mut scratch).counts;
    assert_eq!((counts.opened, connect.len()), (1_000, 32));
}

fn any_row() -> impl Strategy<Value = Row> {
    let observer = prop_oneof![Just("eni-a"), Just("eni-b")];
    let flags = prop_oneof![Just(None), Just(Some(2)), Just(Some(18)), Just(Some(3)), Just(Some(0)), Just(Some(4))];
    let kind = prop_oneof![4 => Just("interval"), 1 => Just("connection")];
    (observer, any::<bool>(), 0_i64..4, 0_i64..2_000, 0_i64..60, flags, kind).prop_map(
        |(observer, is_answer, port, start, length, flags, kind)| Row {
            observer,
            is_answer,
            ports: (40_000 + port, 50_000 + port % 2),
            times: (start, start + length),
            flags,
            kind,
            network: "vpc-1",
        },
    )
}

/// What a batch says of each row, in text.
fn told(batch: &FlowBatch) -> Vec<String> {
    (0..batch.len()).map(|row| serde_json::Value::from(batch.row_json(row)).to_string()).collect()
}

proptest! {
    /// Vantages are absent, so that the first observer leads whatever is in its batch.
    #[test]
    fn batches_of_another_size_give_the_same_answers(
        rows in proptest::collection::vec(any_row(), 1..120),
        cuts in proptest::collection::vec(0_usize..120, 0..5),
    ) {
        // Interval records alone: Zeek stands nearer to the destination than an observer that does not say where it is.
        let rows: Vec<Row> = rows.into_iter().map(|row| Row { kind: "interval", ..row }).collect();
        let whole = answers(&connected(&rows).0);
        let connect = Connect::new(ConnectSettings::default());
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(rows.len())).chain([0, rows.len()]).collect();
        cuts.sort_unstable();
        let mut parts = Vec::new();
        for ends in cuts.windows(2) {
            let mut part = normalised(&rows[ends[0]..ends[1]]);
            connect.apply(&mut part, &mut ConnectScratch::default());
            parts.extend(answers(&part));
        }
        prop_assert_eq!(whole, parts);
    }

    #[test]
    fn a_replay_is_as_good_as_the_memory(
        rows in proptest::collection::vec(any_row(), 2..120),
        cut in 0_usize..120,
        has_two_sources in any::<bool>(),
    ) {
        // An edge is known by its service's port, which a replayed row may know that did not know it when it was first seen:
        // so either there is one source and lead sources do not matter, or all rows agree on the service.
        let rows: Vec<Row> = rows
            .into_iter()
            .map(|row| {
                if !has_two_sources {
                    return Row { kind: "interval", ..row };
                }
                let is_answer = row.is_answer && row.kind == "interval";
                Row { is_answer, ports: (row.ports.0, 443), flags: row.flags.map(|flags| flags & 4), ..row }
            })
            .collect();
        let cut = cut.min(rows.len());
        let (going_on, again) = (Connect::new(ConnectSettings::default()), Connect::new(ConnectSettings::default()));
        let mut scratch = ConnectScratch::default();
        let mut first = normalised(&rows[..cut]);
        let counts = going_on.apply(&mut first, &mut scratch).counts;
        let before = told(&first);
        let replayed = again.replay(&first, &mut scratch);
        prop_assert_eq!((replayed.opened, replayed.leads), (counts.opened, counts.leads));
        prop_assert_eq!(told(&first), before);
        prop_assert_eq!(going_on.len(), again.len());
        let (mut one, mut other) = (normalised(&rows[cut..]), normalised(&rows[cut..]));
        going_on.apply(&mut one, &mut scratch);
        again.apply(&mut other, &mut scratch);
        prop_assert_eq!(told(&one), told(&other));
    }
}

#[test]
fn threads_count_as_one_does() {
    let connections = 4_000;
    let of = |observer: &'static str, from: i64| -> Vec<Row> {
        (from..from + connections / 4).map(|port| Row { observer, ports: (30_000 + port, 443), ..ROW }).collect()
    };
    let connect = Connect::new(ConnectSettings::default());
    let counts: Vec<ConnectCounts> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|thread| {
                let connect = &connect;
                let rows = of(if thread < 4 { "eni-a" } else { "eni-b" }, thread % 4 * connections / 4);
                scope.spawn(move || connect.apply(&mut normalised(&rows), &mut ConnectScratch::default()).counts)
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let mut total = ConnectCounts::default();
    counts.iter().for_each(|&counts| total.add(counts));
    assert_eq!((total.rows, total.opened, total.leads), (8_000, 4_000, 4_000));
}
