//! Tables and properties of cutting and putting together.

#![allow(clippy::unwrap_used)]

use super::*;
use proptest::prelude::*;

fn record(value: usize) -> Record {
    let mut record = Record {
        key: Some(Bytes::from_static(b"key")),
        value: (0..value).map(|at| u8::try_from(at % 251).unwrap()).collect(),
        timestamp: 1_700_000_000_000_000,
        ..Record::default()
    };
    record.add_header("observer", "gateway");
    record
}

fn partition() -> TopicPartition {
    TopicPartition::new("raw", 0)
}

/// A batch of these records at offsets from `first`.
fn batch(first: i64, records: Vec<Record>) -> Batch {
    let records: Vec<Received> = (first..).zip(records).map(|(offset, record)| Received { offset, record }).collect();
    let next = records.last().map_or(first, |last| last.offset + 1);
    Batch { from: partition(), records, next }
}

/// Reads the records one at a time; gives the batches as (offsets, next).
fn read(assembly: &mut Assembly, records: Vec<Record>) -> Vec<Batch> {
    let now = Instant::now();
    (0..).zip(records).filter_map(|(offset, record)| assembly.push(batch(offset, vec![record]), now)).collect()
}

fn shape(batches: &[Batch]) -> Vec<(Vec<i64>, i64)> {
    batches.iter().map(|batch| (batch.records.iter().map(|received| received.offset).collect(), batch.next)).collect()
}

#[test]
fn a_record_within_the_limit_is_not_cut() {
    let whole = record(100);
    let limit = record_bytes(&whole);
    assert_eq!(cut(whole.clone(), limit).unwrap(), vec![whole.clone()]);
    assert!(matches!(cut(whole, limit - 1), Err(CutError::NoRoom { .. })));
}

#[test]
fn no_part_is_over_the_limit() {
    for (value, limit) in [(2_000, 1_000), (100_000, 1_000), (1_000_000, 65_536), (5_000, 600)] {
        let parts = cut(record(value), limit).unwrap();
        assert!(parts.len() > 1);
        assert!(parts.iter().all(|part| record_bytes(part) <= limit), "{value} by {limit}");
    }
}

#[test]
fn a_value_of_too_many_parts_is_refused() {
    let record = Record { value: Bytes::from(vec![0; 400 * COUNT_MAX]), ..Record::default() };
    assert!(matches!(cut(record, 500), Err(CutError::TooMany { .. })));
}

#[test]
fn a_batch_waits_until_no_set_is_open() {
    let [first, second] = [1, 2].map(|_| cut(record(1_500), 1_000).unwrap());
    assert_eq!(first.len(), 2);
    let order =
        vec![record(1), first[0].clone(), second[0].clone(), first[1].clone(), record(2), second[1].clone(), record(3)];
    let mut assembly = Assembly::default();
    let batches = read(&mut assembly, order);
    assert_eq!(shape(&batches), [(vec![0], 1), (vec![1, 2, 4], 6), (vec![6], 7)]);
    assert_eq!(batches[1].records[0].record, record(1_500));
    assert_eq!(batches[1].records[1].record, record(1_500));
    assert_eq!(assembly.counts(), Counts { assembled: 2, given_up: 0 });
    assert_eq!(assembly.held_bytes(), 0);
}

/// Reads the records under small limits and says what came and what was given up.
fn check(records: Vec<Record>, expected: &[(Vec<i64>, i64)], given_up: u64) {
    let limits =
        Limits { bytes_max: 20_000, records_behind_max: 3, bytes_behind_max: 5_000, age_max: Duration::from_secs(1) };
    let mut assembly = Assembly::new(limits);
    let batches = read(&mut assembly, records.clone());
    assert_eq!(shape(&batches), expected);
    assert_eq!(assembly.counts().given_up, given_up);
    for received in batches.iter().flat_map(|batch| &batch.records) {
        assert_eq!(received.record, records[usize::try_from(received.offset).unwrap()], "handed out as it was written");
    }
}

#[test]
fn incomplete_sets_are_handed_out_as_parts() {
    let parts = cut(record(2_500), 1_000).unwrap();
    let large = || record(3_000);
    assert!(parts.len() > 2);
    // The first part is missing: nothing waits.
    check(vec![parts[1].clone(), record(1)], &[(vec![0], 1), (vec![1], 2)], 1);
    // The last one never comes: three records behind, or 5,000 bytes.
    check(vec![parts[0].clone(), record(1), record(2), record(3)], &[(vec![0, 1, 2, 3], 4)], 1);
    check(vec![parts[0].clone(), large(), large()], &[(vec![0, 1, 2], 3)], 1);
    // One is missing in between, or comes twice.
    check(vec![parts[0].clone(), parts[2].clone(), record(1)], &[(vec![0, 1], 2), (vec![2], 3)], 2);
    check(vec![parts[0].clone(), parts[0].clone(), parts[1].clone()], &[(vec![0, 1], 2), (vec![2], 3)], 3);
}

#[test]
fn a_set_that_is_larger_than_the_limit_is_handed_out_as_parts() {
    let parts = cut(record(60_000), 10_000).unwrap();
    let limits = Limits { bytes_max: 20_000, ..Limits::default() };
    let mut assembly = Assembly::new(limits);
    let batches = read(&mut assembly, parts.clone());
    assert_eq!(batches.iter().map(|batch| batch.records.len()).sum::<usize>(), parts.len());
    assert!(batches.iter().flat_map(|batch| &batch.records).all(|received| is_part(&received.record)));
    assert_eq!(assembly.counts(), Counts { assembled: 0, given_up: parts.len() as u64 });
    assert_eq!(assembly.held_bytes(), 0);
}

#[test]
fn what_many_partitions_hold_back_is_bounded_together() {
    let mut assembly = Assembly::new(Limits { bytes_max: 10_000, ..Limits::default() });
    let parts = cut(record(8_000), 4_200).unwrap();
    let mut out = 0;
    for number in 0..100 {
        let from = TopicPartition::new("raw", number);
        let one = Batch { from, ..batch(0, vec![parts[0].clone()]) };
        out += assembly.push(one, Instant::now()).map_or(0, |batch| batch.records.len());
        assert!(assembly.held_bytes() <= 10_000);
    }
    assert_eq!(out, 98);
}

#[test]
fn a_set_expires_and_a_forgotten_partition_holds_nothing() {
    let parts = cut(record(1_500), 1_000).unwrap();
    let mut assembly = Assembly::default();
    let start = Instant::now();
    assert_eq!(assembly.push(batch(7, vec![parts[0].clone()]), start), None);
    assert!(assembly.expire(start + Duration::from_secs(60)).is_empty());
    assert_eq!(shape(&assembly.expire(start + Duration::from_secs(61))), [(vec![7], 8)]);
    assert_eq!(assembly.push(batch(9, vec![parts[0].clone()]), start), None);
    assembly.forget(&partition());
    assert_eq!(assembly.held_bytes(), 0);
    assert_eq!(shape(&read(&mut assembly, vec![record(1)])), [(vec![0], 1)]);
}

#[test]
fn headers_that_do_not_read_as_a_part_make_an_ordinary_record() {
    for (set, number, count) in [
        ("short", "0", "2"),
        ("sixteen bytes ok", "2", "2"),
        ("sixteen bytes ok", "-1", "2"),
        ("sixteen bytes ok", "0", "9999999"),
        ("sixteen bytes ok", "", "1"),
    ] {
        let mut odd = record(1);
        odd.add_header(SET, set);
        odd.add_header(NUMBER, number);
        odd.add_header(COUNT, count);
        assert!(!is_part(&odd), "{set} {number} {count}");
        assert_eq!(read(&mut Assembly::default(), vec![odd]).len(), 1);
    }
}

proptest! {
    /// Whatever two producers write at the same time and however it is read, each record comes once and whole, in the order of
    /// their first parts, and no batch ends within a set.
    #[test]
    fn interleaved_producers_are_put_together(
        sizes in prop::collection::vec((0_usize..6_000, 0_usize..6_000), 1..12),
        turns in prop::collection::vec(any::<bool>(), 0..400),
        chunk in 1_usize..9,
    ) {
        let producers = |pick: fn(&(usize, usize)) -> usize| -> Vec<Record> {
            sizes.iter().flat_map(|size| cut(record(pick(size)), 1_000).unwrap()).collect()
        };
        let (mut left, mut right) = (producers(|size| size.0).into_iter().peekable(), producers(|size| size.1).into_iter().peekable());
        let mut log = Vec::new();
        let mut turns = turns.into_iter().cycle();
        while left.peek().is_some() || right.peek().is_some() {
            let is_left = turns.next().unwrap_or(true);
            log.extend(if is_left { left.next().or_else(|| right.next()) } else { right.next().or_else(|| left.next()) });
        }
        let mut assembly = Assembly::default();
        let mut got = Vec::new();
        for (number, records) in log.chunks(chunk).enumerate() {
            let first = i64::try_from(number * chunk).unwrap();
            if let Some(batch) = assembly.push(batch(first, records.to_vec()), Instant::now()) {
                prop_assert!(batch.next > batch.records.last().unwrap().offset);
                got.extend(batch.records);
            }
        }
        prop_assert!(got.windows(2).all(|pair| pair[0].offset < pair[1].offset));
        let mut lengths: Vec<usize> = got.iter().map(|received| received.record.value.len()).collect();
        let mut expected: Vec<usize> = sizes.iter().flat_map(|size| [size.0, size.1]).collect();
        lengths.sort_unstable();
        expected.sort_unstable();
        prop_assert_eq!(lengths, expected);
        for received in &got {
            prop_assert_eq!(&received.record, &record(received.record.value.len()));
        }
        prop_assert_eq!(assembly.held_bytes(), 0);
    }

    /// No headers, true or false, make it panic, lose a record or give one twice while it hands them out as parts.
    #[test]
    fn hostile_parts_lose_nothing(
        parts in prop::collection::vec((0_u8..3, 0_usize..4, 0_usize..5, any::<bool>()), 0..60),
    ) {
        let limits = Limits { records_behind_max: 5, ..Limits::default() };
        let mut assembly = Assembly::new(limits);
        let start = Instant::now();
        let mut values = 0;
        let mut taken = 0;
        let written: usize = parts.len();
        for (offset, (set, number, count, is_plain)) in (0..).zip(parts) {
            let mut record = Record { value: Bytes::from_static(b"x"), ..Record::default() };
            if !is_plain {
                record.add_header(SET, vec![set; 16]);
                record.add_header(NUMBER, number.to_string());
                record.add_header(COUNT, count.to_string());
            }
            if let Some(batch) = assembly.push(batch(offset, vec![record]), start) {
                values += batch.records.iter().map(|received| received.record.value.len()).sum::<usize>();
                taken += 1;
            }
        }
        for batch in assembly.expire(start + Duration::from_secs(3_600)) {
            values += batch.records.iter().map(|received| received.record.value.len()).sum::<usize>();
            taken += 1;
        }
        prop_assert!(taken <= written);
        prop_assert_eq!(values, written);
        prop_assert_eq!(assembly.held_bytes(), 0);
    }
}
