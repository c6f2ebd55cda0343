//! What a flow costs to connect, and what a connection takes. Run by hand:
//! `cargo test --profile ci -p tradewind-normalise connect_cost -- --ignored --nocapture`.
#![allow(clippy::print_stderr)]

use crate::cost::seconds_run;
use crate::traffic::{BEGIN, CONTEXT, Numbers};
use tradewind_model::FlowBatch;
use tradewind_model::flow::*;
use tradewind_model::time::SECOND;
use tradewind_normalise::{Connect, ConnectScratch, ConnectSettings, Inventory, Normaliser, Scratch, Settings};

const ROWS: usize = 128 * 1024;

fn address(number: u64) -> String {
    format!("10.{}.{}.{}", number >> 16, number >> 8 & 255, number & 255)
}

/// Names `services` entities, or none, so that every pair of addresses is an edge.
fn normaliser(services: Option<u64>) -> Normaliser {
    let mut text = "address,entity\n".to_owned();
    for number in services.into_iter().flat_map(|_| (0..3_000).chain(10_000..10_300)) {
        text += &format!("{},service-{}\n", address(number), number % services.unwrap());
    }
    Normaliser::new(&Settings::default(), Inventory::from_csv(&text, "made.csv").unwrap())
}

/// Batches as VPC flow logs give them: each connection is four rows of one minute, both ways at both interfaces, in no
/// order.
fn batch(number: i64, numbers: &mut Numbers, normaliser: &Normaliser) -> FlowBatch {
    let mut rows = Vec::with_capacity(ROWS);
    for _ in 0..ROWS / 4 {
        let (client, server) = (numbers.below(3_000), numbers.below(300));
        let client_port = 32_768 + i64::try_from(numbers.below(28_000)).unwrap();
        let offset = i64::try_from(numbers.below(55)).unwrap();
        for observer in [client, server + 10_000] {
            rows.push((client, client_port, server + 10_000, 443, offset, observer));
            rows.push((server + 10_000, 443, client, client_port, offset, observer));
        }
    }
    for index in (1..rows.len()).rev() {
        rows.swap(index, usize::try_from(numbers.below(index as u64 + 1)).unwrap());
    }
    let mut batch = FlowBatch::default();
    for (src, src_port, dst, dst_port, offset, observer) in rows {
        batch.set_text(SRC_IP, &address(src));
        batch.set_num(SRC_PORT, src_port);
        batch.set_text(DST_IP, &address(dst));
        batch.set_num(DST_PORT, dst_port);
        batch.set_num(PROTOCOL_NUM, 6);
        let start = BEGIN + (number * 60 + offset) * SECOND;
        batch.set_num(START_TIME, start);
        batch.set_num(END_TIME, start + 5 * SECOND);
        batch.set_text(OBSERVER, &format!("eni-{observer:017x}"));
        batch.end_row();
    }
    batch.fill_text(SOURCE, 0, "aws_vpc");
    batch.fill_text(RECORD_KIND, 0, "interval");
    normaliser.apply(&mut batch, &mut Scratch::default(), &CONTEXT);
    batch
}

#[test]
#[ignore = "a measurement, not a check: it depends on the machine"]
fn cost_of_connecting_a_flow() {
    for services in [Some(100), None] {
        eprintln!("entities: {}", if services.is_some() { "services" } else { "addresses" });
        measure(&normaliser(services));
    }
}

fn measure(normaliser: &Normaliser) {
    let (connect, mut scratch) = (Connect::new(ConnectSettings::default()), ConnectScratch::default());
    let mut numbers = Numbers(7);
    let (mut nanos, mut opened, mut forgotten) = (Vec::new(), 0, 0);
    for number in 0..210 {
        let mut flows = batch(number, &mut numbers, normaliser);
        let begin = seconds_run();
        let connected = connect.apply(&mut flows, &mut scratch);
        nanos.push((seconds_run() - begin) * 1e9 / ROWS as f64);
        opened += connected.counts.opened;
        forgotten += connected.counts.forgotten;
        if number % 40 == 39 {
            // The kernel counts in ticks of milliseconds: a mean over many batches is finer than that.
            let mean = nanos.iter().sum::<f64>() / nanos.len() as f64;
            let known = connect.len();
            eprintln!("{known} connections: {mean:.1} ns a flow (mean), opened {opened}, forgotten {forgotten}");
            nanos.clear();
        }
    }
}
