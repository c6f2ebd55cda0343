//! Alerts for tests.

use crate::alert::{Action, Alert, Origin};
use tradewind_model::finding::Observation;
use tradewind_model::time::SECOND;
use tradewind_model::{Finding, Incident, IncidentState, Severity};

/// 2026-03-04T12:00:00Z.
pub(crate) const NOON: i64 = 1_772_625_600 * SECOND;

/// A finding of an agent that reaches a payment service for the first time.
pub(crate) fn finding(id: &str) -> Finding {
    Finding {
        finding_id: id.to_owned(),
        time: NOON,
        first_seen: NOON - 300 * SECOND,
        last_seen: NOON - SECOND,
        entity: "prod/shop/agent/planner".to_owned(),
        entity_kind: "agent".to_owned(),
        behaviour: "destination".to_owned(),
        severity: Severity::High,
        title: "agent planner contacts service payments:443 for the first time".to_owned(),
        observed: "12 flows in 1 window, 4.0 kB sent".to_owned(),
        expected: "never before; its 3 peers do not either".to_owned(),
        baseline_since: NOON - 86_400 * SECOND,
        flow_count: 12,
        window_count: 1,
        p_value: 1.5e-7,
        risk_score: 6.0,
        technique: "T1021".to_owned(),
        uncertain: String::new(),
        evidence_query: "SELECT * FROM flows WHERE src_entity = 'prod/shop/agent/planner'".to_owned(),
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

/// An incident of these findings.
pub(crate) fn incident(id: &str, findings: &[&str]) -> Incident {
    Incident {
        incident_id: id.to_owned(),
        state: IncidentState::Open,
        opened: NOON,
        updated: NOON,
        resolved: None,
        severity: Severity::High,
        title: "agent planner contacts service payments:443 for the first time".to_owned(),
        findings: findings.iter().map(|&id| id.to_owned()).collect(),
        entities: std::iter::once("prod/shop/agent/planner".to_owned()).collect(),
        flow_count: 12,
    }
}

/// The first alert of an incident with one finding.
pub(crate) fn alert(id: &str) -> Alert {
    let finding_id = format!("{id}-finding");
    Alert {
        action: Action::Open,
        origin: Origin::Live,
        recorded_time: NOON,
        part: 0,
        incident: incident(id, &[finding_id.as_str()]),
        findings: vec![finding(&finding_id)],
    }
}
