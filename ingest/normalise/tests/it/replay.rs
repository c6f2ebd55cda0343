//! The same rows give the same columns, whatever batches they come in.

use crate::traffic::{BEGIN, CONTEXT, Traffic, batch, normaliser};
use tradewind_model::flow::*;
use tradewind_model::time::SECOND;
use tradewind_model::{FlowBatch, Outcome};
use tradewind_normalise::{Connect, ConnectScratch, ConnectSettings, Scratch, storage_order};

fn rows(batch: &FlowBatch) -> Vec<String> {
    (0..batch.len()).map(|row| serde_json::Value::from(batch.row_json(row)).to_string()).collect()
}

const TRAFFIC: Traffic = Traffic { rows: 3_000, addresses: 400, has_networks: true };

#[test]
fn a_replay_gives_the_same_columns() {
    let normaliser = normaliser(TRAFFIC, true);
    let mut scratch = Scratch::default();
    let mut first = batch(TRAFFIC, 0);
    normaliser.apply(&mut first, &mut scratch, &CONTEXT);
    let mut second = batch(TRAFFIC, 0);
    normaliser.apply(&mut second, &mut scratch, &CONTEXT);
    assert_eq!(rows(&first), rows(&second));
    assert_eq!(storage_order(&first), storage_order(&second));
    for field in [SRC_IP, DST_IP, SRC_ENTITY, DST_ENTITY, ORIENTATION, DIRECTION, VANTAGE] {
        assert_eq!(first.text(field).codes(TRAFFIC.rows), second.text(field).codes(TRAFFIC.rows), "{field:?}");
    }
}

#[test]
fn batches_of_another_size_give_the_same_rows() {
    let normaliser = normaliser(TRAFFIC, true);
    let mut scratch = Scratch::default();
    let mut whole = batch(TRAFFIC, 0);
    normaliser.apply(&mut whole, &mut scratch, &CONTEXT);
    let mut parts = Vec::new();
    for (from, to) in [(0, 1), (1, 700), (700, 3_000)] {
        let mut part = batch(Traffic { rows: to, ..TRAFFIC }, from);
        normaliser.apply(&mut part, &mut scratch, &CONTEXT);
        parts.extend(rows(&part));
    }
    assert_eq!(rows(&whole), parts);
}

#[test]
fn a_batch_that_is_complete_stays_as_it_is() {
    let normaliser = normaliser(TRAFFIC, true);
    let mut scratch = Scratch::default();
    let mut once = batch(TRAFFIC, 0);
    normaliser.apply(&mut once, &mut scratch, &CONTEXT);
    let before = rows(&once);
    normaliser.apply(&mut once, &mut scratch, &CONTEXT);
    // What ports did not tell the first time they do not tell the second.
    assert_eq!(before, rows(&once));
}

#[test]
fn every_required_column_is_filled() {
    let mut batch = FlowBatch::default();
    let set_by_decoders = [OUTCOME, RECORD_KIND, SOURCE, POSITION];
    for column in set_by_decoders {
        batch.set_text(column, Outcome::Unknown.as_str());
    }
    batch.set_num(POSITION_OFFSET, 0);
    batch.end_row();
    normaliser(TRAFFIC, false).apply(&mut batch, &mut Scratch::default(), &CONTEXT);
    let row = batch.row_json(0);
    for field in FIELDS.iter().filter(|field| !field.nullable) {
        assert!(row.contains_key(field.name), "{} is missing", field.name);
    }
}

#[test]
fn an_empty_batch_stays_empty() {
    let mut batch = FlowBatch::default();
    normaliser(TRAFFIC, false).apply(&mut batch, &mut Scratch::default(), &CONTEXT);
    assert!(batch.is_empty() && storage_order(&batch).is_empty());
    batch.set_num(END_TIME, BEGIN + SECOND);
    batch.end_row();
    assert_eq!(batch.text(SRC_ENTITY).get(0), None);
}

#[test]
fn both_directions_of_a_connection_have_one_initiator() {
    let mut batch = FlowBatch::default();
    for (src, dst, bytes) in
        [(("10.0.0.1", 40_000), ("10.0.0.2", 443), 10), (("10.0.0.2", 443), ("10.0.0.1", 40_000), 90)]
    {
        batch.set_text(SRC_IP, src.0);
        batch.set_num(SRC_PORT, src.1);
        batch.set_text(DST_IP, dst.0);
        batch.set_num(DST_PORT, dst.1);
        batch.set_num(BYTES_OUT, bytes);
        batch.set_text(VANTAGE, "source");
        batch.set_num(END_TIME, BEGIN);
        batch.end_row();
    }
    normaliser(TRAFFIC, false).apply(&mut batch, &mut Scratch::default(), &CONTEXT);
    for row in 0..2 {
        assert_eq!(batch.text(SRC_IP).get(row), Some("10.0.0.1"));
        assert_eq!(batch.num(DST_PORT).get(row), Some(443));
        assert_eq!(batch.text(ORIENTATION).get(row), Some("port"));
    }
    assert_eq!(
        [0, 1].map(|row| (batch.num(BYTES_OUT).get(row), batch.num(BYTES_IN).get(row))),
        [(Some(10), None), (None, Some(90))]
    );
    assert_eq!([0, 1].map(|row| batch.text(VANTAGE).get(row)), [Some("source"), Some("destination")]);
}

/// A memory that was stored in the middle and read back answers as the one that went on.
#[test]
fn connections_go_on_from_a_snapshot() {
    let normaliser = normaliser(TRAFFIC, true);
    let settings = ConnectSettings { hash_seed: 7, ..ConnectSettings::default() };
    let memory = Connect::new(settings);
    let (mut scratch, mut connect) = (Scratch::default(), ConnectScratch::default());
    let mut part = |from: usize, to: usize| {
        let mut part = batch(Traffic { rows: to, ..TRAFFIC }, from);
        normaliser.apply(&mut part, &mut scratch, &CONTEXT);
        part
    };
    memory.apply(&mut part(0, 2_000), &mut connect);
    let text = serde_json::to_string(&memory.state()).expect("a state is JSON");
    let restored = Connect::of(&serde_json::from_str(&text).expect("it reads back")).expect("of this version");
    assert_eq!(restored.len(), memory.len());
    assert!(!memory.is_empty());
    // The same rows again and new ones: what is known must be known, and what is new must be new.
    for (from, to) in [(1_500, 2_500), (2_500, 3_000)] {
        let (mut one, mut other) = (part(from, to), part(from, to));
        assert_eq!(memory.apply(&mut one, &mut connect), restored.apply(&mut other, &mut connect));
        assert_eq!(rows(&one), rows(&other));
    }
    assert_eq!(serde_json::to_string(&restored.state()).ok(), serde_json::to_string(&memory.state()).ok());
}
