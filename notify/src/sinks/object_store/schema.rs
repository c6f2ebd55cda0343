//! The columns of a Parquet object: OCSF's Detection Finding as [`crate::ocsf`] writes it, nested as it is there. Fixed, so that
//! every object has the same columns and a crawler finds one table; what an event leaves out is null.
//!
//! Types are those of <https://schema.ocsf.io/1.8.0/data_types>: `integer_t` has 32 bits, `long_t` and `timestamp_t` have 64.

use super::OcsfVersion;
use crate::ocsf::older;
use arrow_schema::{DataType, Field, Fields, Schema};
use std::sync::Arc;

/// What a column holds.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Text,
    Texts,
    Whole,
    Long,
    Real,
    Truth,
    One(&'static [Column]),
    Many(&'static [Column]),
}

use Kind::{Long, Many, One, Real, Text, Texts, Truth, Whole};

type Column = (&'static str, Kind);

const NAMED: &[Column] = &[("uid", Text), ("name", Text)];

const ATTACK: &[Column] = &[("tactic", One(NAMED)), ("technique", One(NAMED)), ("sub_technique", One(NAMED))];

const RELATED_EVENT: &[Column] = &[
    ("uid", Text),
    ("title", Text),
    ("desc", Text),
    ("type", Text),
    ("created_time", Long),
    ("first_seen_time", Long),
    ("last_seen_time", Long),
    ("severity_id", Whole),
    ("severity", Text),
    ("count", Whole),
];

const FINDING_INFO: &[Column] = &[
    ("uid", Text),
    ("title", Text),
    ("desc", Text),
    ("created_time", Long),
    ("modified_time", Long),
    ("first_seen_time", Long),
    ("last_seen_time", Long),
    ("src_url", Text),
    ("types", Texts),
    ("data_sources", Texts),
    ("analytic", One(&[("uid", Text), ("name", Text), ("type_id", Whole), ("type", Text), ("version", Text)])),
    ("attacks", Many(ATTACK)),
    ("related_events", Many(RELATED_EVENT)),
    ("related_events_count", Whole),
];

const METADATA: &[Column] = &[
    ("version", Text),
    ("product", One(&[("name", Text), ("vendor_name", Text), ("version", Text), ("lang", Text)])),
    ("uid", Text),
    ("correlation_uid", Text),
    ("event_code", Text),
    ("log_name", Text),
    ("logged_time", Long),
    ("original_time", Text),
    ("labels", Texts),
    ("is_truncated", Truth),
];

const ENDPOINT: &[Column] = &[
    ("uid", Text),
    ("name", Text),
    ("ip", Text),
    ("svc_name", Text),
    ("hostname", Text),
    ("port", Whole),
    ("zone", Text),
    ("network_scope_id", Whole),
    ("network_scope", Text),
];

const EVIDENCE: &[Column] = &[
    ("name", Text),
    ("uid", Text),
    ("src_endpoint", One(ENDPOINT)),
    ("dst_endpoint", One(ENDPOINT)),
    ("connection_info", One(&[("direction_id", Whole), ("direction", Text)])),
    ("data", One(&[("observed", Text), ("expected", Text), ("p_value", Real), ("query", Text)])),
];

const RESOURCE: &[Column] =
    &[("uid", Text), ("name", Text), ("type", Text), ("namespace", Text), ("role_id", Whole), ("role", Text)];

const OBSERVABLE: &[Column] = &[("name", Text), ("type_id", Whole), ("type", Text), ("value", Text)];

const OBSERVATION: &[Column] = &[
    ("value", Text),
    ("count", Whole),
    ("timespan", One(&[("start_time", Long), ("end_time", Long), ("duration", Long)])),
];

const ANOMALY: &[Column] =
    &[("observation_parameter", Text), ("observation_type", Text), ("observations", Many(OBSERVATION))];

const ANOMALY_ANALYSIS: &[Column] = &[
    ("analysis_targets", Many(&[("name", Text), ("type", Text)])),
    ("anomalies", Many(ANOMALY)),
    ("baselines", Many(ANOMALY)),
];

const EVENT: &[Column] = &[
    ("time", Long),
    ("class_uid", Whole),
    ("class_name", Text),
    ("category_uid", Whole),
    ("category_name", Text),
    ("activity_id", Whole),
    ("activity_name", Text),
    ("type_uid", Long),
    ("type_name", Text),
    ("severity_id", Whole),
    ("severity", Text),
    ("status_id", Whole),
    ("status", Text),
    ("message", Text),
    ("is_alert", Truth),
    ("confidence_id", Whole),
    ("confidence", Text),
    ("confidence_score", Whole),
    ("risk_score", Whole),
    ("count", Whole),
    ("start_time", Long),
    ("end_time", Long),
    ("finding_info", One(FINDING_INFO)),
    ("metadata", One(METADATA)),
    ("evidences", Many(EVIDENCE)),
    ("resources", Many(RESOURCE)),
    ("observables", Many(OBSERVABLE)),
    ("anomaly_analyses", Many(ANOMALY_ANALYSIS)),
    ("unmapped", One(&[("incident_state", Text), ("more_findings", Long), ("uncertain", Text)])),
];

/// The columns of an event in a version of OCSF.
pub(super) fn event(version: OcsfVersion) -> Arc<Schema> {
    Arc::new(Schema::new(fields(EVENT, "", version)))
}

fn fields(columns: &[Column], above: &str, version: OcsfVersion) -> Fields {
    let field = |&(name, kind): &Column| {
        let path = if above.is_empty() { name.to_owned() } else { format!("{above}.{name}") };
        let is_there = version == OcsfVersion::V1_8 || !older::is_newer(&path);
        is_there.then(|| Field::new(name, data_type(kind, &path, version), true))
    };
    columns.iter().filter_map(field).collect()
}

fn data_type(kind: Kind, path: &str, version: OcsfVersion) -> DataType {
    let list = |of: DataType| DataType::List(Arc::new(Field::new("element", of, true)));
    match kind {
        Text => DataType::Utf8,
        Texts => list(DataType::Utf8),
        Whole => DataType::Int32,
        Long => DataType::Int64,
        Real => DataType::Float64,
        Truth => DataType::Boolean,
        One(columns) => DataType::Struct(fields(columns, path, version)),
        Many(columns) => list(DataType::Struct(fields(columns, path, version))),
    }
}
