//! Groups: partitions are divided among the members, change hands, and only who has them commits them.

use super::{PATIENCE, Subject, at, inputs, poll, records, try_poll, wait_assigned};
use std::collections::BTreeSet;
use std::time::Instant;
use tradewind_transport::{Consumer, ErrorKind, Event, TopicPartition};

/// A member and what it was told that it has.
struct Member {
    consumer: Box<dyn Consumer>,
    has: BTreeSet<TopicPartition>,
}

impl Member {
    fn new(consumer: Box<dyn Consumer>) -> Self {
        Self { consumer, has: BTreeSet::new() }
    }

    /// One poll. A batch may only come of what it has.
    fn step(&mut self) -> Option<tradewind_transport::Batch> {
        match try_poll(self.consumer.as_mut()).unwrap() {
            Event::Assigned(partitions) => self.has.extend(partitions),
            Event::Revoked(partitions) => self.has.retain(|partition| !partitions.contains(partition)),
            Event::Batch(batch) => {
                assert!(self.has.contains(&batch.from), "a batch of {} which is not assigned", batch.from);
                return Some(batch);
            }
            Event::Idle => {}
        }
        None
    }
}

/// Polls all members until each has its share, and nobody has another's.
fn settle(members: &mut [Member], shares: &[usize]) {
    let begun = Instant::now();
    loop {
        for member in &mut *members {
            member.step();
        }
        let sizes: Vec<usize> = members.iter().map(|member| member.has.len()).collect();
        let all: BTreeSet<_> = members.iter().flat_map(|member| &member.has).collect();
        if sizes == shares && all.len() == sizes.iter().sum::<usize>() {
            return;
        }
        assert!(begun.elapsed() < PATIENCE, "shares are {sizes:?}, not {shares:?}");
    }
}

pub(crate) fn nothing_before_assigned(subject: &Subject) {
    let (topic, group) = (subject.topic(2), subject.name("group"));
    subject.write(&at(&topic, 0), &["there already"]);
    let mut member = subject.member(&group, "a", &topic);
    assert_eq!(wait_assigned(member.as_mut()), [at(&topic, 0), at(&topic, 1)]);
    assert!(matches!(poll(member.as_mut()), Event::Batch(_)));
    // A seek between the assignment and the next poll decides where the reading begins.
    let mut given = subject.assigned(&subject.name("group"), &[at(&topic, 0)], tradewind_transport::Start::First);
    assert_eq!(wait_assigned(given.as_mut()), [at(&topic, 0)]);
    given.seek(&at(&topic, 0), tradewind_transport::Start::End).unwrap();
    subject.write(&at(&topic, 0), &["later"]);
    let Event::Batch(batch) = poll(given.as_mut()) else { panic!("no batch") };
    assert_eq!(batch.records[0].record.value, "later");
}

pub(crate) fn partitions_are_handed_over(subject: &Subject) {
    let (topic, group) = (subject.topic(6), subject.name("group"));
    let mut members = vec![Member::new(subject.member(&group, "a", &topic))];
    settle(&mut members, &[6]);
    members.push(Member::new(subject.member(&group, "b", &topic)));
    settle(&mut members, &[3, 3]);
    members.push(Member::new(subject.member(&group, "c", &topic)));
    settle(&mut members, &[2, 2, 2]);
}

pub(crate) fn a_member_gets_back_its_share(subject: &Subject) {
    let (topic, group) = (subject.topic(4), subject.name("group"));
    let mut members =
        vec![Member::new(subject.member(&group, "a", &topic)), Member::new(subject.member(&group, "b", &topic))];
    settle(&mut members, &[2, 2]);
    let had = members.pop().unwrap().has;
    members.push(Member::new(subject.member(&group, "b", &topic)));
    settle(&mut members, &[2, 2]);
    assert_eq!(members[1].has, had);
}

pub(crate) fn a_zombie_cannot_commit(subject: &Subject) {
    let (topic, to, group) = (subject.topic(1), at(&subject.topic(1), 0), subject.name("group"));
    let from = at(&topic, 0);
    subject.write(&from, &["input"]);
    let mut zombie = Member::new(subject.member(&group, "a", &topic));
    let begun = Instant::now();
    let taken = loop {
        if let Some(batch) = zombie.step() {
            break batch;
        }
        assert!(begun.elapsed() < PATIENCE, "no batch came");
    };
    let membership = zombie.consumer.membership();
    let mut successor = vec![Member::new(subject.member(&group, "a", &topic))];
    settle(&mut successor, &[1]);
    let mut late = subject.any_producer();
    let error = late.write(records(&to, &["too late"]), Some((&inputs(&taken), &membership))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Fenced, "{error}");
    assert_eq!(subject.log.committed(&group, std::slice::from_ref(&from)).unwrap(), [None]);
    subject.write(&to, &["in time"]);
    assert_eq!(subject.values(&to, 1), ["in time"]);
}

pub(crate) fn a_group_reads_everything_once(subject: &Subject) {
    const PARTITIONS: i32 = 4;
    const EACH: i32 = 30;
    let (topic, to, group) = (subject.topic(PARTITIONS), at(&subject.topic(1), 0), subject.name("group"));
    let mut expected = Vec::new();
    for partition in 0..PARTITIONS {
        let values: Vec<String> = (0..EACH).map(|number| format!("{partition}:{number:03}")).collect();
        for part in values.chunks(10) {
            subject.write(&at(&topic, partition), &part.iter().map(String::as_str).collect::<Vec<_>>());
        }
        expected.extend(values);
    }
    // Members come while others read; what a member has in hand of a partition that it loses, it drops.
    let mut members: Vec<(Member, _)> = Vec::new();
    let begun = Instant::now();
    let mut done = 0;
    while done < expected.len() {
        let joined = members.len();
        if joined < 3 && done >= joined * 30 {
            let name = format!("m{joined}");
            members.push((Member::new(subject.member(&group, &name, &topic)), subject.producer(&subject.name(&name))));
        }
        for (member, producer) in &mut members {
            let Some(batch) = member.step() else { continue };
            let values = super::values(std::slice::from_ref(&batch));
            let outgoing = records(&to, &values.iter().map(String::as_str).collect::<Vec<_>>());
            match producer.write(outgoing, Some((&inputs(&batch), &member.consumer.membership()))) {
                Ok(()) => done += values.len(),
                Err(error) if error.kind() == ErrorKind::Retry => {
                    member.consumer.seek(&batch.from, tradewind_transport::Start::Committed).unwrap();
                }
                Err(error) => panic!("{error}"),
            }
        }
        assert!(begun.elapsed() < PATIENCE * 2, "{done} of {} were read", expected.len());
    }
    let mut found = subject.values(&to, expected.len());
    found.sort();
    assert_eq!(found, expected);
}
