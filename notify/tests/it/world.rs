//! What is told in tests, and a notifier to tell it to.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tradewind_model::finding::Observation;
use tradewind_model::time::SECOND;
use tradewind_model::{Clock, Finding, Incident, IncidentState, Severity, SystemClock};
use tradewind_notify::sinks::{Answer, Sink};
use tradewind_notify::{Action, Alert, Input, Notifier, NotifyError, NotifySettings, Origin, Position, Secrets, make};

/// Values of the environment that tests see.
pub(crate) const ROUTING_KEY: &str = "0123456789abcdef0123456789ABCDEF";
pub(crate) const TOKEN: &str = "a-secret-token-that-nobody-may-read";

pub(crate) fn settings(text: &str) -> NotifySettings {
    let head = "outbox = 'outbox'\noutbox_alerts_max = 100000\nretrospective_h = 24\nwait_ms = 200\nmemory_days = 30\n\
                link = 'https://tradewind.example/incidents/{incident}'\n";
    let settings: NotifySettings = toml::from_str(&format!("{head}{text}")).unwrap();
    assert_eq!(settings.faults(), Vec::<String>::new(), "{text}");
    settings
}

fn environment(name: &str) -> Option<String> {
    match name {
        "ROUTING_KEY" => Some(ROUTING_KEY.to_owned()),
        "TOKEN" => Some(TOKEN.to_owned()),
        _ => None,
    }
}

pub(crate) fn secrets(folder: &Path) -> Secrets<'_> {
    Secrets { environment: &environment, folder }
}

pub(crate) fn start(settings: &NotifySettings, folder: &Path) -> Result<Notifier, NotifyError> {
    let handle = tokio::runtime::Handle::current();
    Notifier::start(settings, &folder.join("outbox"), &secrets(folder), Arc::new(SystemClock), &handle)
}

/// A sink by itself, to deliver to without an outbox.
pub(crate) fn try_sink(text: &str, folder: &Path) -> Result<Arc<dyn Sink>, NotifyError> {
    let settings = settings(text);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    make(&settings.sinks[0], &settings, &secrets(folder), &clock)
}

pub(crate) fn sink(text: &str, folder: &Path) -> Arc<dyn Sink> {
    try_sink(text, folder).unwrap()
}

pub(crate) fn is_delivered(answer: &Answer) {
    assert!(matches!(answer, Answer::Delivered(_)), "{answer:?}");
}

/// Says that a test needs a server that is not here. Fails where every server has to be.
#[allow(clippy::print_stderr)]
pub(crate) fn skipped(what: &str) {
    let is_required = std::env::var_os("TRADEWIND_REQUIRE_SERVERS").is_some_and(|value| value == "1");
    assert!(!is_required, "{what} is not here, and TRADEWIND_REQUIRE_SERVERS is 1");
    eprintln!("SKIPPED: {what} is not here");
}

/// An alert.
pub(crate) fn alert(id: &str, action: Action) -> Alert {
    let finding_id = format!("{id}-finding");
    let state = match action {
        Action::Open | Action::Update => IncidentState::Open,
        Action::Acknowledge => IncidentState::Acknowledged,
        Action::Resolve => IncidentState::Resolved,
    };
    Alert {
        action,
        origin: Origin::Live,
        recorded_time: now(),
        part: 0,
        incident: incident(id, &[&finding_id], state),
        findings: vec![finding(&finding_id)],
    }
}

/// What a log may hold: markup of all kinds, ends of lines, marks of direction, mentions.
pub(crate) const HOSTILE: &str = "<!channel> <@U123> <http://bad.example|click> @everyone *bold* `code` ``` ``` \"quoted\" \\ 'x' \
    </td><script>alert(1)</script> & &amp; {{ 7*7 }}\r\nBcc: victim@example.org\r\n\r\nbody\t\u{0}\u{7}\u{202e}gnp.exe \u{2028} 東京 😀";

/// An alert with such texts wherever a log can put them, each long.
pub(crate) fn hostile(id: &str) -> Alert {
    let mut alert = alert(id, Action::Open);
    let long = HOSTILE.repeat(20);
    alert.incident.title = HOSTILE.to_owned();
    alert.incident.entities = std::iter::once(HOSTILE.to_owned()).collect();
    let finding = &mut alert.findings[0];
    (finding.title, finding.entity) = (long.clone(), long.clone());
    (finding.observed, finding.expected) = (long.clone(), long.clone());
    (finding.uncertain, finding.evidence_query) = (long.clone(), long.clone());
    finding.observations[0].dst_entity = long.clone();
    alert
}

pub(crate) fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

pub(crate) fn now() -> i64 {
    SystemClock.now()
}

pub(crate) fn finding(id: &str) -> Finding {
    let now = now();
    Finding {
        finding_id: id.to_owned(),
        time: now,
        first_seen: now - 300 * SECOND,
        last_seen: now - SECOND,
        entity: "prod/shop/agent/planner".to_owned(),
        entity_kind: "agent".to_owned(),
        behaviour: "destination".to_owned(),
        severity: Severity::High,
        title: "agent planner contacts service payments:443 for the first time".to_owned(),
        observed: "12 flows in 1 window, 4.0 kB sent".to_owned(),
        expected: "never before; its 3 peers do not either".to_owned(),
        baseline_since: now - 86_400 * SECOND,
        flow_count: 12,
        window_count: 1,
        p_value: 1.5e-7,
        risk_score: 6.0,
        technique: "T1021".to_owned(),
        uncertain: "the baseline is young: 3 windows".to_owned(),
        evidence_query: "SELECT * FROM flows WHERE src_entity = 'prod/shop/agent/planner' AND dst_port = 443"
            .to_owned(),
        observations: vec![Observation {
            detector: "destination".to_owned(),
            src_entity: "prod/shop/agent/planner".to_owned(),
            dst_entity: "prod/shop/service/payments".to_owned(),
            dst_port: Some(443),
            observed: "first contact".to_owned(),
            expected: "none".to_owned(),
            p_value: 1.5e-7,
        }],
        detector_version: 4,
    }
}

pub(crate) fn incident(id: &str, findings: &[&str], state: IncidentState) -> Incident {
    let now = now();
    Incident {
        incident_id: id.to_owned(),
        state,
        opened: now,
        updated: now,
        resolved: state.is_over().then_some(now),
        severity: Severity::High,
        title: "agent planner contacts service payments:443 for the first time".to_owned(),
        findings: findings.iter().map(|&id| id.to_owned()).collect(),
        entities: std::iter::once("prod/shop/agent/planner".to_owned()).collect(),
        flow_count: 12,
    }
}

pub(crate) fn told(finding: Finding) -> Input {
    Input::Finding { recorded_time: now(), finding: Box::new(finding) }
}

pub(crate) fn of(incident: Incident) -> Input {
    Input::Incident { recorded_time: now(), incident }
}

/// Opens an incident with one finding.
pub(crate) async fn open(notifier: &Notifier, id: &str) {
    let finding_id = format!("{id}-finding");
    let inputs = vec![told(finding(&finding_id)), of(incident(id, &[&finding_id], IncidentState::Open))];
    notifier.take(inputs, None).await.unwrap();
}

/// More of an incident: a second finding.
pub(crate) async fn update(notifier: &Notifier, id: &str) {
    let findings = [format!("{id}-finding"), format!("{id}-more")];
    let names = [findings[0].as_str(), findings[1].as_str()];
    let inputs = vec![told(finding(&findings[1])), of(incident(id, &names, IncidentState::Open))];
    notifier.take(inputs, None).await.unwrap();
}

/// A person said that somebody looks after an incident.
pub(crate) async fn acknowledge(notifier: &Notifier, id: &str) {
    let finding_id = format!("{id}-finding");
    let inputs = vec![of(incident(id, &[&finding_id], IncidentState::Acknowledged))];
    notifier.take(inputs, None).await.unwrap();
}

/// The end of an incident.
pub(crate) async fn resolve(notifier: &Notifier, id: &str) {
    let finding_id = format!("{id}-finding");
    let inputs = vec![of(incident(id, &[&finding_id], IncidentState::Resolved))];
    let position = Position { place: "incidents/0".to_owned(), next: 7 };
    notifier.take(inputs, Some(position)).await.unwrap();
}

/// Waits until nothing waits for any sink; ticks meanwhile.
pub(crate) async fn delivered(notifier: &mut Notifier) {
    until(notifier, "the outbox is empty", |notifier| {
        notifier.status().unwrap().sinks.values().all(|sink| sink.waiting == 0)
    })
    .await;
}

/// Waits, and ticks meanwhile.
pub(crate) async fn until(notifier: &mut Notifier, what: &str, is_so: impl Fn(&Notifier) -> bool) {
    let begun = Instant::now();
    while !is_so(notifier) {
        assert!(begun.elapsed() < Duration::from_secs(30), "not in time: {what}; {:?}", notifier.status().unwrap());
        notifier.tick(Vec::new()).await.unwrap();
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
