//! What there is to say of a finding besides itself: its incident, and what people said that touches it.

use super::explanation::short_id;
use crate::feedback::{control_of, suppressions};
use crate::output::{Record, printable};
use anyhow::Context as _;
use serde::Serialize;
use serde_json::{Map, Value};
use tradewind_detect::Control;
use tradewind_model::table::{CONTROLS, INCIDENTS};
use tradewind_model::time::rfc3339;
use tradewind_model::{ControlAction, Finding, Incident, RecordedControl};

/// Fields of incidents and controls that hold times.
const TIMES: [&str; 6] = ["opened", "updated", "resolved", "recorded_time", "time", "until"];

/// The incident of a finding, and what was said of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Beside<'a> {
    incident: Option<&'a Incident>,
    /// In the order in which it was said: what was said of the finding, and the suppressions that cover it and that nobody
    /// lifted.
    controls: Vec<&'a RecordedControl>,
}

impl<'a> Beside<'a> {
    /// Of this finding. Incidents are in the order in which they were told, controls in that in which they were said.
    pub(crate) fn of(finding: &Finding, incidents: &'a [Incident], said: &'a [RecordedControl]) -> Self {
        let incident = incidents.iter().rfind(|incident| incident.findings.contains(&finding.finding_id));
        let holding = suppressions(said);
        let is_of = |row: &&RecordedControl| match row.action {
            ControlAction::Accept | ControlAction::Dismiss | ControlAction::Revoke | ControlAction::Acknowledge => {
                row.finding_id.as_ref() == Some(&finding.finding_id)
            }
            ControlAction::Suppress => {
                let holds = row.name.as_deref().and_then(|name| holding.get(name)).is_some_and(|known| *known == *row);
                let covers = |control| matches!(control, Control::Suppress(known) if known.covers_finding(finding));
                holds && control_of(row).is_some_and(covers)
            }
            ControlAction::Lift => false,
        };
        Self { incident, controls: said.iter().filter(is_of).collect() }
    }

    /// In words, a line each.
    pub(crate) fn lines(&self, finding: &Finding) -> Vec<String> {
        let mut lines = Vec::new();
        let mut add = |name: &str, text: String| lines.push(format!("  {name:<9}  {}", printable(&text)));
        if let Some(incident) = self.incident {
            let others: Vec<&str> =
                incident.findings.iter().filter(|&id| *id != finding.finding_id).map(|id| short_id(id)).collect();
            let others = if others.is_empty() { String::new() } else { format!(", with {}", others.join(", ")) };
            add("incident", format!("{} ({}){others}", short_id(&incident.incident_id), incident.state.as_str()));
        }
        for row in &self.controls {
            let done = match row.action {
                ControlAction::Accept => "accepted".to_owned(),
                ControlAction::Dismiss => "dismissed".to_owned(),
                ControlAction::Revoke => "taken back".to_owned(),
                ControlAction::Acknowledge => "acknowledged".to_owned(),
                ControlAction::Suppress | ControlAction::Lift => format!(
                    "suppressed until {} as {}",
                    row.until.map(rfc3339).unwrap_or_default(),
                    row.name.as_deref().unwrap_or_default()
                ),
            };
            // As `detect` does: it hides neither.
            let is_told = row.action == ControlAction::Suppress && matches!(&*finding.behaviour, "chain" | "policy");
            let nevertheless = if is_told { ", told nevertheless" } else { "" };
            let reason = row.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
            add("said", format!("{done} by {} at {}{nevertheless}{reason}", row.author, rfc3339(row.recorded_time)));
        }
        lines
    }

    /// As JSON, with the names of the columns of tables `incidents` and `controls`. The incident is null where there is none.
    pub(crate) fn record(&self) -> anyhow::Result<BesideRecord> {
        let incident =
            self.incident.map(|incident| Ok::<_, anyhow::Error>(Record::new(INCIDENTS.fields, with_times(incident)?)));
        let controls: anyhow::Result<_> = self.controls.iter().map(|row| control_record(row)).collect();
        Ok(BesideRecord { incident: incident.transpose()?, controls: controls? })
    }
}

/// The incident and the controls of a finding for JSON.
#[derive(Debug, Serialize)]
pub(crate) struct BesideRecord {
    incident: Option<Record>,
    controls: Vec<Record>,
}

/// A row of table `controls` for JSON, with times as text.
pub(crate) fn control_record(row: &RecordedControl) -> anyhow::Result<Record> {
    let mut object = with_times(row)?;
    if let Some(Value::Object(scope)) = object.remove("scope") {
        object.extend(scope);
    }
    Ok(Record::new(CONTROLS.fields, object))
}

fn with_times(value: &impl Serialize) -> anyhow::Result<Map<String, Value>> {
    let Value::Object(mut object) = serde_json::to_value(value).context("failed to write JSON")? else {
        return Ok(Map::new());
    };
    for name in TIMES {
        if let Some(time) = object.get_mut(name)
            && let Some(micros) = time.as_i64()
        {
            *time = rfc3339(micros).into();
        }
    }
    Ok(object)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::explanation::tests::sample;
    use super::*;
    use crate::feedback::Said;
    use std::collections::BTreeSet;
    use tradewind_model::{ControlOrigin, IncidentState, Scope, Severity};

    fn said(action: ControlAction, edit: impl FnOnce(&mut Said), now: i64) -> RecordedControl {
        let mut said = Said {
            action,
            finding_id: None,
            name: None,
            scope: Scope::default(),
            until: None,
            time: 0,
            author: "ann".to_owned(),
            reason: Some("why".to_owned()),
            origin: ControlOrigin::Command,
        };
        edit(&mut said);
        said.record(now)
    }

    fn of_finding(action: ControlAction, now: i64) -> RecordedControl {
        said(action, |said| said.finding_id = Some(sample().finding_id), now)
    }

    fn suppress(name: &str, scope: Scope, now: i64) -> RecordedControl {
        let edit = |said: &mut Said| {
            (said.name, said.scope, said.until) = (Some(name.to_owned()), scope, Some(i64::MAX / 2));
        };
        said(ControlAction::Suppress, edit, now)
    }

    fn check(said: &[RecordedControl], expected: &[&str]) {
        let finding = sample();
        let beside = Beside::of(&finding, &[], said);
        let until = rfc3339(i64::MAX / 2);
        let expected: Vec<String> = expected.iter().map(|line| line.replace("UNTIL", &until)).collect();
        assert_eq!(beside.lines(&finding), expected, "{said:?}");
    }

    #[test]
    fn what_touches_a_finding_is_shown_in_its_order() {
        use ControlAction::{Accept, Dismiss, Lift, Revoke};
        check(&[], &[]);
        let all = [of_finding(Accept, 0), of_finding(Revoke, 1_000_000), of_finding(Dismiss, 2_000_000)];
        check(
            &all,
            &[
                "  said       accepted by ann at 1970-01-01T00:00:00Z: why",
                "  said       taken back by ann at 1970-01-01T00:00:01Z: why",
                "  said       dismissed by ann at 1970-01-01T00:00:02Z: why",
            ],
        );
        let other = said(Accept, |said| said.finding_id = Some("other".to_owned()), 0);
        check(&[other], &[]);
        let port = |port| Scope { port: Some(port), ..Scope::default() };
        let lift = |name: &str| said(Lift, |said| said.name = Some(name.to_owned()), 3);
        let line = "  said       suppressed until UNTIL as a by ann at 1970-01-01T00:00:00Z: why";
        check(&[suppress("a", port(8443), 0), suppress("b", port(22), 0)], &[line]);
        check(&[suppress("a", port(8443), 0), lift("b")], &[line]);
        check(&[suppress("a", port(8443), 0), lift("a")], &[]);
        check(&[suppress("a", port(8443), 0), suppress("a", port(22), 1)], &[]);
        let behaviour = |word: &str| Scope { behaviour: Some(word.to_owned()), ..Scope::default() };
        check(&[suppress("a", behaviour("destination"), 0), suppress("b", behaviour("scan"), 0)], &[line]);
    }

    #[test]
    fn a_finding_is_shown_with_its_incident() {
        let finding = sample();
        let incident = Incident {
            incident_id: "ab".repeat(16),
            state: IncidentState::Open,
            opened: 0,
            updated: 0,
            resolved: None,
            severity: Severity::High,
            title: String::new(),
            findings: vec![finding.finding_id.clone(), "cd".repeat(16)],
            entities: BTreeSet::new(),
            flow_count: 1,
        };
        let (incidents, rows) = ([incident], [of_finding(ControlAction::Accept, 0)]);
        let beside = Beside::of(&finding, &incidents, &rows);
        assert_eq!(beside.lines(&finding)[0], "  incident   abababababab (open), with cdcdcdcdcdcd");
        let object = serde_json::to_value(beside.record().unwrap()).unwrap();
        assert_eq!(object["incident"]["opened"], "1970-01-01T00:00:00Z");
        assert_eq!(object["incident"]["resolved"], Value::Null);
        assert_eq!(object["controls"][0]["recorded_time"], "1970-01-01T00:00:00Z");
        assert_eq!(
            (&object["controls"][0]["action"], &object["controls"][0]["entity"]),
            (&"accept".into(), &Value::Null)
        );
        let none = Beside::default();
        assert!(none.lines(&finding).is_empty());
        let object = serde_json::to_value(none.record().unwrap()).unwrap();
        assert_eq!((&object["incident"], &object["controls"]), (&Value::Null, &Value::Array(Vec::new())));
    }
}
