//! What systems that search get in tests: sinks by themselves, and alerts of all kinds.

use crate::world;
use std::path::Path;
use std::sync::Arc;
use tradewind_model::IncidentState;
use tradewind_notify::sinks::{Answer, Sink};
use tradewind_notify::{Action, Alert, Heartbeat, Message, Origin};

/// The sink of these settings, without an outbox.
pub(crate) fn sink(text: &str) -> Arc<dyn Sink> {
    let settings = world::settings(text);
    tradewind_notify::make(&settings.sinks[0], &settings, &world::secrets(Path::new(".")), &world::clock()).unwrap()
}

pub(crate) fn faults(text: &str) -> Vec<String> {
    let head = "outbox = 'outbox'\noutbox_alerts_max = 1000\nretrospective_h = 24\nwait_ms = 200\nmemory_days = 30\nlink = ''\n";
    let settings: tradewind_notify::NotifySettings = toml::from_str(&format!("{head}{text}")).unwrap();
    settings.faults()
}

pub(crate) fn alert(id: &str) -> Alert {
    let finding_id = format!("{id}-finding");
    Alert {
        action: Action::Open,
        origin: Origin::Live,
        recorded_time: world::now(),
        part: 0,
        incident: world::incident(id, &[&finding_id], IncidentState::Open),
        findings: vec![world::finding(&finding_id)],
    }
}

pub(crate) fn message(id: &str) -> Message {
    Message::Alert(Box::new(alert(id)))
}

/// An alert that the stand-ins do not take.
pub(crate) fn poisoned(id: &str) -> Message {
    let mut alert = alert(id);
    alert.incident.title = "POISON".to_owned();
    Message::Alert(Box::new(alert))
}

/// What attackers may write into a log, and all of it too much.
pub(crate) const HOSTILE: &str = "<script>alert('1')</script>\r\n{\"create\":{}}\n\u{0}\u{1b}[31m \"quoted\" \\ back | = %s ${jndi:x} \u{202e}\u{1f4a3} é";

pub(crate) fn hostile(id: &str) -> Message {
    let mut alert = alert(id);
    alert.incident.title = HOSTILE.to_owned();
    alert.incident.entities = std::iter::once(HOSTILE.to_owned()).collect();
    for finding in &mut alert.findings {
        for text in [&mut finding.entity, &mut finding.title, &mut finding.observed, &mut finding.expected] {
            *text = HOSTILE.to_owned();
        }
        HOSTILE.clone_into(&mut finding.evidence_query);
        HOSTILE.clone_into(&mut finding.observations[0].dst_entity);
        // Numbers that JSON has not.
        finding.p_value = f64::NAN;
        finding.risk_score = f64::INFINITY;
    }
    Message::Alert(Box::new(alert))
}

/// The longest alert that there can be.
pub(crate) fn huge(id: &str) -> Message {
    let mut alert = alert(id);
    alert.incident.title = "title ".repeat(5_000);
    alert.incident.entities = (0..256).map(|number| format!("prod/shop/agent/{number}/{}", "n".repeat(600))).collect();
    alert.findings = (0..20)
        .map(|number| {
            let mut finding = world::finding(&format!("{id}-{number}"));
            finding.observed = "\u{1f4a3}".repeat(20_000);
            finding.evidence_query = "SELECT \"x\" ".repeat(20_000);
            finding
        })
        .collect();
    alert.incident.findings = alert.findings.iter().map(|finding| finding.finding_id.clone()).collect();
    Message::Alert(Box::new(alert))
}

pub(crate) fn heartbeat(causes: &[&str]) -> Message {
    let causes = causes.iter().map(|&cause| cause.to_owned()).collect();
    Message::Heartbeat(Heartbeat { time: world::now(), causes, open_incidents: 2 })
}

/// An alert of each action and origin, and signs of life.
pub(crate) fn all() -> Vec<Message> {
    let mut retrospective = alert("long-ago");
    retrospective.origin = Origin::Retrospective;
    let mut update = alert("more");
    update.action = Action::Update;
    let mut resolve = alert("over");
    resolve.action = Action::Resolve;
    resolve.incident = world::incident("over", &["over-finding"], IncidentState::Resolved);
    let mut taken = alert("taken");
    taken.action = Action::Acknowledge;
    taken.incident.state = IncidentState::Acknowledged;
    let mut bare = alert("bare");
    bare.findings.clear();
    bare.incident.entities.clear();
    let test = Alert::test(world::now());
    let alerts = [alert("live"), retrospective, update, resolve, bare, test.clone(), test.resolved(world::now())];
    let alerts = alerts.into_iter().map(|alert| Message::Alert(Box::new(alert)));
    let mut ill = heartbeat(&["storage: no answer\nfrom S3"]);
    if let Message::Heartbeat(heartbeat) = &mut ill {
        // Two within a microsecond would be the same.
        heartbeat.time += 1_000_000;
    }
    alerts.chain([heartbeat(&[]), ill, Message::Alert(Box::new(taken))]).collect()
}

pub(crate) fn digest() -> Message {
    Message::Digest(vec![alert("one"), alert("two")])
}

/// `d` for delivered, `r` for refused, `l` for later, `L` for later as a whole.
pub(crate) fn letters(answers: &[Answer]) -> String {
    let letter = |answer: &Answer| match answer {
        Answer::Delivered(_) => 'd',
        Answer::Refused(_) => 'r',
        Answer::Later { is_general: false, .. } => 'l',
        Answer::Later { is_general: true, .. } => 'L',
    };
    answers.iter().map(letter).collect()
}
