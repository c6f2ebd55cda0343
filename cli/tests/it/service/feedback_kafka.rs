//! What people say of findings while the service runs on a real Apache Kafka: it holds through kills, ends in time, hides
//! nothing grave, and a row that says nothing stops nothing.

use super::running::Service;
use super::setup::Setup;
use std::ops::Range;
use tradewind_kafka_testkit::{Kafka, available};
use tradewind_model::time::{SECOND, rfc3339};
use tradewind_model::{Clock as _, SystemClock};
use tradewind_model::{ControlAction, ControlOrigin, RecordedControl, Scope};
use tradewind_storage::Lake;

/// Minutes of events before the test: what is said from now on ends within the time that a log may run ahead.
const BEFORE: i64 = 100;

/// The first minute of events, seconds: the beginning of a window.
fn first_minute() -> i64 {
    let now = SystemClock.now() / SECOND;
    (now - BEFORE * 60).div_euclid(300) * 300
}

struct Case {
    setup: Setup,
    service: Service,
    starts: u32,
    start: i64,
}

impl Case {
    fn line(&self, minute: u32, source: u32, target: u32, action: &str) -> String {
        let start = self.start + i64::from(minute) * 60;
        let port = 30_000 + minute;
        format!(
            "2 123456789010 eni-1 10.0.0.{source} 10.0.2.{target} {port} 443 6 10 900 {start} {} {action} OK\n",
            start + 1
        )
    }

    fn ordinary(&self, minutes: Range<u32>) {
        let lines = minutes.flat_map(|minute| (1..4).map(move |source| self.line(minute, source, source, "ACCEPT")));
        self.setup.append("a.log", lines.collect::<String>());
    }

    /// Fifty vain contacts.
    fn scan(&self, minute: u32, source: u32, first: u32) {
        let lines = (first..first + 50).map(|target| self.line(minute, source, target, "REJECT"));
        self.setup.append("a.log", lines.collect::<String>());
    }

    fn time(&self, minute: i64) -> String {
        rfc3339((self.start + minute * 60) * SECOND)
    }

    /// Findings of a source and a behaviour, of any where that is empty.
    fn ids(&self, source: u32, behaviour: &str) -> Vec<String> {
        let query = format!(
            "SELECT DISTINCT finding_id FROM findings WHERE entity LIKE '%10.0.0.{source}' AND behaviour LIKE '%{behaviour}' \
             ORDER BY 1"
        );
        let listed = self.setup.program.run(&["sql", "-o", "csv", &query]);
        listed.out.lines().skip(1).map(str::to_owned).collect()
    }

    fn until(&mut self, what: &str, sql: &str, expected: i64) {
        let setup = &self.setup;
        self.service.until(what, || setup.number(sql).is_some_and(|number| number >= expected));
    }

    /// Until the whole scan of this minute is told.
    fn until_found(&mut self, source: u32, minute: i64) {
        let since = self.time(minute);
        let sql = format!(
            "SELECT count(*) FROM findings WHERE entity LIKE '%10.0.0.{source}' AND flow_count >= 50 AND last_seen >= \
             TIMESTAMP '{since}'"
        );
        self.until(&format!("the scan of {source} is found"), &sql, 1);
    }

    fn until_counted(&mut self, metric: &str, expected: u64) {
        let setup = &self.setup;
        self.service.until(metric, || setup.metric(metric).is_some_and(|number| number >= expected));
    }

    fn say(&self, arguments: &[&str]) -> String {
        let outcome = self.setup.program.run(&[&["findings"], arguments].concat());
        assert_eq!(outcome.code, 0, "{outcome:?}");
        outcome.out
    }

    fn kill_and_start(&mut self) {
        self.service.kill();
        self.starts += 1;
        self.service = self.setup.start(&format!("start-{}", self.starts));
    }

    /// Records a row as another program might.
    fn record(&self, control: &RecordedControl) {
        let lake = self.setup.program.folder().join("lake");
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let lake = Lake::open(lake).await.unwrap();
            lake.append_controls(std::slice::from_ref(control)).await.unwrap();
        });
    }
}

/// A row that says too little, or too much.
fn unsound(id: &str, reason: Option<String>) -> RecordedControl {
    RecordedControl {
        control_id: id.to_owned(),
        recorded_time: 1,
        time: 0,
        action: ControlAction::Suppress,
        finding_id: None,
        name: Some("everything".to_owned()),
        scope: Scope { port: reason.is_some().then_some(443), ..Scope::default() },
        until: Some(i64::MAX / 2),
        author: "somebody".to_owned(),
        reason,
        origin: ControlOrigin::Command,
    }
}

#[test]
fn what_is_said_holds_on_kafka_through_kills() {
    let Some(broker) = available(Kafka::shared()) else { return };
    let sections = "[policy]\npath = \"policy.toml\"\n[detect.decision]\nfindings_per_day = 500\n";
    let setup = Setup::kafka(&broker.bootstrap(), "feedback", sections);
    setup.program.file(
        "policy.toml",
        "version = 1\n[defaults]\nunknown = \"allow\"\n[[policy]]\nname = \"six\"\n\
         subject = { kind = \"unknown\", name = \"-/10.0.0.6\" }\n",
    );
    setup.create_topics();
    let service = setup.start("start-0");
    let mut case = Case { setup, service, starts: 0, start: first_minute() };
    let id_of = |ids: Vec<String>, source: u32| ids.into_iter().next().unwrap_or_else(|| panic!("none of {source}"));

    case.ordinary(0..60);
    [(9, 10), (8, 60), (6, 110)].into_iter().for_each(|(source, first)| case.scan(60, source, first));
    case.ordinary(61..75);
    [9, 8].into_iter().for_each(|source| case.until_found(source, 60));
    let (accepted, suppressed, breach) = (case.ids(9, ""), case.ids(8, ""), id_of(case.ids(6, "policy"), 6));
    assert!(!accepted.is_empty() && !suppressed.is_empty());
    for id in &accepted {
        case.say(&["accept", id, "--author", "ann"]);
    }
    // Before it was heard of, and after. Rows that say nothing do not keep it from being heard.
    case.kill_and_start();
    case.record(&unsound("little", None));
    case.record(&unsound("much", Some("x".repeat(1 << 20))));
    case.until("it is taken in", "SELECT count(*) FROM incidents WHERE state = 'dismissed'", 1);
    case.until_counted("tradewind_correlate_controls_rejected", 2);
    for id in suppressed.iter().chain([&breach]) {
        case.say(&["suppress", id, "--until", &case.time(110)]);
    }
    case.kill_and_start();

    // All of them again while it is suppressed, and somebody else.
    case.ordinary(75..80);
    [(9, 60), (8, 110), (6, 160), (7, 10)].into_iter().for_each(|(source, first)| case.scan(80, source, first));
    case.ordinary(81..95);
    case.until_found(7, 80);
    let covered = "SELECT count(*) FROM findings WHERE entity LIKE '%10.0.0.6' AND behaviour = 'policy' AND uncertain LIKE \
                   '%suppression finding-%covers it%'";
    case.until("the breach is told nevertheless", covered, 1);
    assert_eq!(case.ids(9, ""), accepted, "what was accepted is told again");
    assert_eq!(case.ids(8, ""), suppressed, "what was suppressed is told");

    // It is over.
    case.kill_and_start();
    case.ordinary(95..140);
    [(9, 110), (8, 160)].into_iter().for_each(|(source, first)| case.scan(140, source, first));
    case.ordinary(141..155);
    case.until_found(8, 140);
    assert_eq!(case.ids(9, ""), accepted, "what was accepted is told again");
    case.service.signal("TERM");
    assert!(case.service.end().success(), "{}", case.service.log());
}
