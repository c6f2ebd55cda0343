//! Groups: shares, members that come back, and members that lost their partitions without noticing.

use super::*;
use tradewind_transport::{Inputs, LogError};

/// A member with the partitions that it holds.
struct Member {
    consumer: Box<dyn Consumer>,
    held: Vec<i32>,
    revoked: usize,
}

impl Member {
    fn join(log: &Kafka, group: &str, name: &str, topic: &str) -> Self {
        Self { consumer: log.consumer(&member(group, name, topic)).unwrap(), held: Vec::new(), revoked: 0 }
    }

    /// Polls once; gives a batch where one came.
    fn poll(&mut self) -> Option<Batch> {
        let numbers =
            |partitions: Vec<TopicPartition>| partitions.into_iter().map(|partition| partition.partition).collect();
        match self.consumer.poll(Duration::from_millis(50)) {
            Ok(Event::Assigned(partitions)) => self.held = numbers(partitions),
            Ok(Event::Revoked(_)) => {
                self.held.clear();
                self.revoked += 1;
            }
            Ok(Event::Batch(batch)) => return Some(batch),
            Ok(Event::Idle) => {}
            Err(error) if error.kind() == ErrorKind::Retry => {}
            Err(error) => panic!("{error}"),
        }
        None
    }
}

/// Polls the members until each holds so many partitions.
fn settle(members: &mut [&mut Member], counts: &[usize]) {
    let deadline = Instant::now() + LONG;
    while members.iter().map(|member| member.held.len()).ne(counts.iter().copied()) {
        assert!(
            Instant::now() < deadline,
            "the group does not settle: {:?}",
            members.iter().map(|m| &m.held).collect::<Vec<_>>()
        );
        for member in members.iter_mut() {
            member.poll();
        }
    }
}

#[test]
fn partitions_are_divided_and_a_member_that_comes_back_keeps_its_own() {
    let Some(log) = shared() else { return };
    let topic = topic(&log, "shares", 4);
    let group = fresh("group");
    let mut first = Member::join(&log, &group, "a", &topic);
    settle(&mut [&mut first], &[4]);
    let mut second = Member::join(&log, &group, "b", &topic);
    settle(&mut [&mut first, &mut second], &[2, 2]);
    let (kept, revoked) = (second.held.clone(), first.revoked);
    drop(second);
    let mut second = Member::join(&log, &group, "b", &topic);
    settle(&mut [&mut first, &mut second], &[2, 2]);
    assert_eq!(second.held, kept);
    assert_eq!(first.revoked, revoked, "the other one did not notice");
}

#[test]
fn no_batch_comes_before_the_stage_saw_the_assignment_and_polled() {
    let Some(log) = shared() else { return };
    let topic = topic(&log, "order", 1);
    producer(&log, &fresh("writer")).write((0..10).map(|n| to(&topic, 0, &n.to_string())).collect(), None).unwrap();
    let mut consumer = log.consumer(&member(&fresh("group"), "a", &topic)).unwrap();
    let place = TopicPartition::new(topic.as_str(), 0);
    assert_eq!(event(&mut *consumer), Event::Assigned(vec![place.clone()]));
    std::thread::sleep(Duration::from_millis(500));
    consumer.seek(&place, Start::At(6)).unwrap();
    assert_eq!(values(&batches(&mut *consumer, 4)), ["6", "7", "8", "9"]);
}

#[test]
fn a_second_member_of_one_name_fences_the_first() {
    let Some(log) = shared() else { return };
    let topic = topic(&log, "twins", 1);
    let group = fresh("group");
    let mut first = Member::join(&log, &group, "same", &topic);
    settle(&mut [&mut first], &[1]);
    let old = first.consumer.membership();
    let mut second = Member::join(&log, &group, "same", &topic);
    settle(&mut [&mut second], &[1]);
    let deadline = Instant::now() + LONG;
    let error = loop {
        assert!(Instant::now() < deadline);
        if let Err(error) = first.consumer.poll(Duration::from_millis(100)) {
            break error;
        }
    };
    assert_eq!(error.kind(), ErrorKind::Fenced, "{error}");
    // What it took in can not be committed any more.
    let inputs = Inputs { next: vec![(TopicPartition::new(topic.as_str(), 0), 0)] };
    let mut writer = producer(&log, &fresh("writer"));
    let error = writer.write(vec![to(&topic, 0, "late")], Some((&inputs, &old))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Fenced, "{error}");
    writer.write(vec![to(&topic, 0, "next")], Some((&inputs, &second.consumer.membership()))).unwrap();
    assert_eq!(all(&log, &topic, 0), ["next"]);
}

#[test]
fn a_zombie_member_cannot_commit_what_another_one_has() {
    let Some(log) = shared() else { return };
    let topic = topic(&log, "zombies", 2);
    let group = fresh("group");
    let mut zombie = Member::join(&log, &group, "a", &topic);
    settle(&mut [&mut zombie], &[2]);
    let mut writer = producer(&log, &fresh("writer"));
    writer.write((0..2).map(|partition| to(&topic, partition, "work")).collect(), None).unwrap();
    let mut taken = Vec::new();
    while taken.len() < 2 {
        taken.extend(zombie.poll());
    }
    let membership = zombie.consumer.membership();
    // It does not poll while the group goes on without it: its own thread does, and gives its partitions up.
    let mut heir = Member::join(&log, &group, "b", &topic);
    let deadline = Instant::now() + LONG;
    while heir.held.is_empty() {
        assert!(Instant::now() < deadline);
        heir.poll();
    }
    let inputs = Inputs { next: taken.iter().map(|batch| (batch.from.clone(), batch.next)).collect() };
    let error = writer.write(vec![to(&topic, 0, "by the zombie")], Some((&inputs, &membership))).unwrap_err();
    assert!(matches!(error, LogError::Aborted { .. }), "{error}");
    let error = zombie.consumer.commit(&inputs).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Retry, "{error}");
    let places: Vec<TopicPartition> = inputs.next.iter().map(|(place, _)| place.clone()).collect();
    assert_eq!(log.committed(&group, &places).unwrap(), [None, None]);
    // It hears of it, gets its share and goes on.
    settle(&mut [&mut zombie, &mut heir], &[1, 1]);
    assert!(zombie.revoked > 0);
    assert_eq!(all(&log, &topic, 0), ["work"]);
    let again = loop {
        if let Some(batch) = zombie.poll() {
            break batch;
        }
    };
    let inputs = Inputs { next: vec![(again.from.clone(), again.next)] };
    writer.write(vec![to(&topic, 0, "again")], Some((&inputs, &zombie.consumer.membership()))).unwrap();
    assert_eq!(log.committed(&group, &[again.from]).unwrap(), [Some(again.next)]);
}
