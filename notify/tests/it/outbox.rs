//! The outbox by itself: what of an incident goes out, and when. A file of JSON lines is the receiver that keeps all.

use crate::world;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use tradewind_model::time::{DAY, HOUR, MINUTE, SECOND};
use tradewind_model::{Clock, Incident, IncidentState, Severity};
use tradewind_notify::{Alert, Input, Notifier};

/// 2026-03-04T22:30:00Z, a Wednesday.
const EVENING: i64 = 1_772_663_400 * SECOND;

/// A clock that stands until somebody moves it.
#[derive(Debug)]
struct HandClock(AtomicI64);

impl Clock for HandClock {
    fn now(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

struct World {
    folder: tempfile::TempDir,
    clock: Arc<HandClock>,
    notifier: Notifier,
}

impl World {
    /// With one sink that writes lines, and these settings of it.
    fn new(sink: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "[[sink]]\nname = 'lines'\ntype = 'file'\nformat = 'json'\npath = '{}'\n{sink}",
            folder.path().join("lines").display()
        );
        let clock = Arc::new(HandClock(AtomicI64::new(EVENING)));
        let notifier = start(&text, folder.path(), &clock);
        Self { folder, clock, notifier }
    }

    fn now(&self) -> i64 {
        self.clock.now()
    }

    async fn pass(&mut self, time: i64) {
        self.clock.0.fetch_add(time, Ordering::SeqCst);
        self.notifier.tick(Vec::new()).await.unwrap();
    }

    /// An incident of so many findings as it stands now, with those of them that are new.
    async fn tell(&self, id: &str, findings: std::ops::Range<usize>, severity: Severity, state: IncidentState) {
        let now = self.now();
        let names: Vec<String> = (0..findings.end).map(|number| format!("{id}-{number}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let told = findings.map(|number| {
            let finding = tradewind_model::Finding { time: now, severity, ..world::finding(names[number]) };
            Input::Finding { recorded_time: now, finding: Box::new(finding) }
        });
        let incident =
            Incident { severity, updated: now, opened: now, resolved: None, ..world::incident(id, &names, state) };
        let inputs = told.chain([Input::Incident { recorded_time: now, incident }]).collect();
        self.notifier.take(inputs, None).await.unwrap();
    }

    /// Everything that was delivered, once nothing is due.
    async fn lines(&mut self) -> Vec<Value> {
        // The courier looks once a second at what time made due.
        tokio::time::sleep(std::time::Duration::from_millis(1_200)).await;
        let text = std::fs::read_to_string(self.folder.path().join("lines")).unwrap_or_default();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.map(|line| line.get("alert").cloned().unwrap_or(line)).collect()
    }

    fn waiting(&self) -> u64 {
        self.notifier.status().unwrap().sinks.get("lines").map_or(0, |sink| sink.waiting)
    }
}

fn start(text: &str, folder: &Path, clock: &Arc<HandClock>) -> Notifier {
    let clock: Arc<dyn Clock> = Arc::<HandClock>::clone(clock);
    let handle = tokio::runtime::Handle::current();
    let settings = world::settings(text);
    Notifier::start(&settings, &folder.join("outbox"), &world::secrets(folder), clock, &handle).unwrap()
}

/// What lets a receiver see that it has a line already.
fn key(line: &Value) -> String {
    serde_json::from_value::<Alert>(line.clone()).unwrap().event_key()
}

/// Ids of the findings in a line.
fn carried(line: &Value) -> BTreeSet<String> {
    let findings = line["findings"].as_array().unwrap();
    findings.iter().map(|finding| finding["finding_id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn each_finding_is_carried_however_many_there_are() {
    let mut world = World::new("");
    world.tell("big", 0..70, Severity::Medium, IncidentState::Open).await;
    assert_eq!(world.lines().await.len(), 4);
    for number in 70..100 {
        world.clock.0.fetch_add(SECOND, Ordering::SeqCst);
        world.tell("big", number..number + 1, Severity::Medium, IncidentState::Open).await;
    }
    world.pass(SECOND).await;
    world.tell("big", 100..100, Severity::Medium, IncidentState::Resolved).await;
    let lines = world.lines().await;
    let all: BTreeSet<String> = lines.iter().flat_map(carried).collect();
    assert_eq!(all.len(), 100);
    assert!(lines.iter().all(|line| carried(line).len() <= 20));
    let keys: BTreeSet<String> = lines.iter().map(key).collect();
    assert_eq!(keys.len(), lines.len(), "each has a key of its own");
    let actions: Vec<&str> = lines.iter().map(|line| line["action"].as_str().unwrap()).collect();
    assert_eq!((actions[0], actions[actions.len() - 1]), ("open", "resolve"));
    assert!(actions[1..actions.len() - 1].iter().all(|&action| action == "update"), "{actions:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finding_that_comes_late_goes_out_all_the_same() {
    let mut world = World::new("");
    let now = world.now();
    let incident = Incident { updated: now, ..world::incident("one", &["one-0", "one-1"], IncidentState::Open) };
    let finding = |id: &str| Input::Finding { recorded_time: now, finding: Box::new(world::finding(id)) };
    let inputs = vec![finding("one-0"), Input::Incident { recorded_time: now, incident }];
    world.notifier.take(inputs, None).await.unwrap();
    assert_eq!(world.lines().await.len(), 0, "it waits for the other");
    world.pass(SECOND).await;
    let lines = world.lines().await;
    assert_eq!((lines.len(), carried(&lines[0]).len()), (1, 1));
    world.notifier.take(vec![finding("one-1")], None).await.unwrap();
    let lines = world.lines().await;
    assert_eq!((lines.len(), lines[1]["action"].as_str()), (2, Some("update")));
    assert!(carried(&lines[1]).contains("one-1"));
    assert_ne!(key(&lines[0]), key(&lines[1]));
}

#[tokio::test(flavor = "multi_thread")]
async fn quiet_hours_hold_back_what_can_wait() {
    let mut world = World::new("quiet = { from = '22:00', to = '06:00', below = 'high' }\n");
    world.tell("mild", 0..1, Severity::Medium, IncidentState::Open).await;
    world.tell("grave", 0..1, Severity::High, IncidentState::Open).await;
    let lines = world.lines().await;
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(lines[0]["incident"]["incident_id"], "grave");
    // It becomes grave in the night.
    world.pass(MINUTE).await;
    world.tell("mild", 1..2, Severity::Critical, IncidentState::Open).await;
    assert_eq!(world.lines().await.len(), 2);
    world.tell("slow", 0..1, Severity::Low, IncidentState::Open).await;
    assert_eq!((world.lines().await.len(), world.waiting()), (2, 1));
    world.pass(8 * HOUR).await;
    assert_eq!((world.lines().await.len(), world.waiting()), (3, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_digest_and_a_group_are_one_message() {
    for (settings, wait) in [("digest = ['23:00']\n", 31 * MINUTE), ("group_s = 60\n", 61 * SECOND)] {
        let mut world = World::new(settings);
        for id in ["one", "two", "three"] {
            world.tell(id, 0..1, Severity::High, IncidentState::Open).await;
            world.pass(SECOND).await;
        }
        assert_eq!((world.lines().await.len(), world.waiting()), (0, 3), "{settings}");
        world.pass(wait).await;
        let lines = world.lines().await;
        assert_eq!(world.waiting(), 0);
        let text = serde_json::to_string(&lines).unwrap();
        assert!(["one", "two", "three"].iter().all(|id| text.contains(&format!("\"{id}\""))), "{text}");
        assert_eq!(world.notifier.status().unwrap().sinks["lines"].delivered, 3);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn signs_of_life_come_in_time_and_say_what_does_not_work() {
    let mut world = World::new("heartbeat_s = 600\n");
    world.pass(0).await;
    assert_eq!(world.lines().await.len(), 1);
    world.pass(9 * MINUTE).await;
    assert_eq!(world.lines().await.len(), 1);
    world.clock.0.fetch_add(MINUTE, Ordering::SeqCst);
    world.notifier.tick(vec!["store: the disk is full".to_owned()]).await.unwrap();
    let lines = world.lines().await;
    assert_eq!(lines.len(), 2);
    assert!(!lines[0].to_string().contains("disk") && lines[1].to_string().contains("the disk is full"), "{lines:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_of_long_ago_says_so() {
    let mut world = World::new("");
    let now = world.now();
    let old = now - 3 * DAY;
    let finding = Input::Finding { recorded_time: now, finding: Box::new(world::finding("old-0")) };
    let incident = Incident { opened: old, updated: old, ..world::incident("old", &["old-0"], IncidentState::Open) };
    world.notifier.take(vec![finding, Input::Incident { recorded_time: now, incident }], None).await.unwrap();
    let lines = world.lines().await;
    assert_eq!((lines.len(), lines[0]["origin"].as_str()), (1, Some("retrospective")));
}
