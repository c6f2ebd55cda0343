//! The other tables of the lake, described the same way as the flow record.

use crate::field::{Field, FieldType};
use crate::flow;
use arrow_schema::{Schema, SchemaRef};
use std::sync::Arc;

/// One table of the lake.
#[derive(Debug)]
pub struct Table {
    /// Its name in SQL and its folder in the lake.
    pub name: &'static str,
    /// What it holds.
    pub meaning: &'static str,
    /// Its columns.
    pub fields: &'static [Field],
    /// The partition column, if it is partitioned.
    pub partition: Option<&'static str>,
}

impl Table {
    /// The Arrow schema, with plain (not dictionary) texts: what readers see.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        let fields: Vec<_> = self
            .fields
            .iter()
            .map(|field| arrow_schema::Field::new(field.name, field.ty.arrow(), field.nullable))
            .collect();
        Arc::new(Schema::new(fields))
    }
}

const fn column(name: &'static str, ty: FieldType, nullable: bool, meaning: &'static str) -> Field {
    Field { name, ty, nullable, unit: "", ocsf: "", ecs: "", otel: "", ipfix: "", meaning }
}

use FieldType::{Date, Float64, Int32, Int64, Text, Timestamp};

/// Connections and attempts.
pub static FLOWS: Table = Table {
    name: "flows",
    meaning: "One row for each record of a connection or attempt, as one observer saw it.",
    fields: flow::FIELDS,
    partition: Some("date"),
};

/// What could not be read.
pub static DEAD_LETTERS: Table = Table {
    name: "dead_letters",
    meaning: "Input that could not be read, with its bytes and the reason. Nothing is dropped silently.",
    partition: Some("date"),
    fields: &[
        column("ingest_time", Timestamp, false, "When Tradewind took the record in."),
        column("date", Date, false, "Partition: UTC date of `ingest_time`."),
        column("source", Text, true, "Format it was read as; null where none was recognised."),
        column("reason", Text, false, "Why it was rejected: one of a closed set of words."),
        column("detail", Text, true, "What exactly was wrong."),
        column("position", Text, false, "Content hash of the object that holds it, or topic/partition."),
        column("position_offset", Int64, false, "Byte offset in the unpacked object."),
        column("position_index", Int32, true, "Which record of the envelope at that offset."),
        column("path", Text, true, "Where the object was found."),
        column("raw_bytes", Int64, false, "Length of the rejected input in bytes."),
        column(
            "raw",
            Text,
            true,
            "The input, at most 64 KiB of it; bytes that are not UTF-8 are written as \\xNN and a backslash as \\\\.",
        ),
    ],
};

/// Findings.
pub static FINDINGS: Table = Table {
    name: "findings",
    meaning: "What the detectors found worth a person's attention. A later row of one `finding_id` replaces the earlier.",
    partition: None,
    fields: &[
        column("finding_id", Text, false, "Hash of entity, behaviour and first window: the same after a replay."),
        column("recorded_time", Timestamp, false, "When this row was written."),
        column("time", Timestamp, false, "When it was decided, in event time."),
        column("first_seen", Timestamp, false, "Start of the first window it covers."),
        column("last_seen", Timestamp, false, "Time of the last flow it covers."),
        column("entity", Text, false, "The entity that behaves unusually."),
        column("entity_kind", Text, false, "Kind of that entity."),
        column("behaviour", Text, false, "The detector that leads it."),
        column("severity", Text, false, "informational, low, medium, high, critical."),
        column("title", Text, false, "One line."),
        column("observed", Text, false, "What was seen."),
        column("expected", Text, false, "What was expected."),
        column("baseline_since", Timestamp, false, "Since when the baseline exists."),
        column("flow_count", Int64, false, "Flows it covers."),
        column("window_count", Int64, false, "Windows it covers."),
        column("p_value", Float64, false, "Combined p-value of its strongest window."),
        column("risk_score", Float64, false, "Sum of -log10 p over signals, each capped at 6."),
        column("technique", Text, false, "MITRE ATT&CK technique id."),
        column("uncertain", Text, false, "What is not certain."),
        column("evidence_query", Text, false, "SQL that shows the flows."),
        column("observations", Text, false, "The observations behind it, as JSON."),
        column("detector_version", Int32, false, "Version of detectors and settings."),
        column(
            "flows_version",
            Int64,
            true,
            "Version of table `flows` that was replayed. Null for the service, which judges flows before they are stored. Rows of \
             `flows` carry their entities, so it names the identities, too.",
        ),
        column(
            "settings",
            Text,
            true,
            "Settings of section `detect` that differ from the defaults of `detector_version`, as JSON; `{}` for none.",
        ),
        column("settings_hash", Text, true, "BLAKE3 of all settings of section `detect`, the defaults included."),
        column(
            "trained_until",
            Timestamp,
            true,
            "Until then everything was learnt and nothing raised; null for no such time.",
        ),
        column("replay_from", Timestamp, true, "Flows that end at this time or later were judged."),
        column("replay_to", Timestamp, true, "Flows that end before this time were judged; null for all that came."),
        column(
            "made_by",
            Text,
            true,
            "`detect` or `run`. Null, as all from `flows_version` on, in rows of before these columns.",
        ),
    ],
};

/// Incidents.
pub static INCIDENTS: Table = Table {
    name: "incidents",
    meaning: "Findings that belong together. A later row of one `incident_id` replaces the earlier.",
    partition: None,
    fields: &[
        column("incident_id", Text, false, "Hash of its first finding's id: the same after a replay."),
        column("recorded_time", Timestamp, false, "When this row was written."),
        column(
            "state",
            Text,
            false,
            "open, acknowledged (it goes on, and somebody looks after it), resolved (nothing was added for some time), dismissed (all its findings were dismissed or accepted).",
        ),
        column("opened", Timestamp, false, "When its first finding was decided, in event time."),
        column("updated", Timestamp, false, "When something was added last, in event time."),
        column("resolved", Timestamp, true, "When it ended, in event time."),
        column("severity", Text, false, "The highest severity of its findings."),
        column("title", Text, false, "The title of the gravest of its findings."),
        column("finding_count", Int64, false, "How many findings it has."),
        column("findings", Text, false, "Ids of its findings in the order in which they were told, as JSON."),
        column("entities", Text, false, "Entities that acted, at most 256, as JSON."),
        column("flow_count", Int64, false, "Flows that its findings cover."),
    ],
};

/// What people say of findings.
pub static CONTROLS: Table = Table {
    name: "controls",
    meaning: "What people, or the file of suppressions, said of findings, by whom, when and why. Rows are never changed.",
    partition: None,
    fields: &[
        column("control_id", Text, false, "Hash of the rest of the row."),
        column("recorded_time", Timestamp, false, "When it was said."),
        column("time", Timestamp, false, "Event time from which it holds."),
        column("action", Text, false, "accept, dismiss, suppress, lift, revoke, acknowledge."),
        column("finding_id", Text, true, "The finding it is about; of a suppression the one that it was made from."),
        column("name", Text, true, "Name of the suppression."),
        column("entity", Text, true, "Scope of a suppression: the entity that acts. Null: any."),
        column("destination", Text, true, "Scope: the entity that is reached. Null: any."),
        column("port", Int32, true, "Scope: the port that is reached. Null: any."),
        column("behaviour", Text, true, "Scope: the behaviour. Null: any."),
        column("until", Timestamp, true, "When a suppression ends by itself, in event time."),
        column("author", Text, false, "Who said it."),
        column("reason", Text, true, "Why."),
        column("origin", Text, false, "command, or file: the file of suppressions."),
    ],
};

/// The import ledger.
pub static IMPORTS: Table = Table {
    name: "imports",
    meaning: "One row for each imported object: the ledger that keeps the same bytes from being imported twice.",
    partition: None,
    fields: &[
        column("content_hash", Text, false, "BLAKE3 of the object's bytes as found: its identity."),
        column("import_time", Timestamp, false, "When it was committed."),
        column("flows_version", Int64, false, "Version of table `flows` that holds its rows."),
        column("path", Text, false, "Where it was found."),
        column("source", Text, true, "Format it was read as."),
        column("format_reason", Text, true, "How the format was chosen."),
        column("bytes_in", Int64, false, "Bytes of the object as found."),
        column("records", Int64, false, "Records in it: flows + rejected + gaps."),
        column("flows", Int64, false, "Rows written to `flows`."),
        column("rejected", Int64, false, "Records written to `dead_letters`."),
        column("gaps", Int64, false, "Records that state missing data."),
    ],
};

/// What observers sent and lost.
pub static COVERAGE: Table = Table {
    name: "coverage",
    meaning: "What each observer sent, and lost, per minute of event time.",
    partition: Some("date"),
    fields: &[
        column("minute", Timestamp, false, "Start of the minute."),
        column("date", Date, false, "Partition: UTC date of `minute`."),
        column("source", Text, false, "Format."),
        column(
            "observer",
            Text,
            true,
            "Who saw it. `(others)`, with a whole day as its minute, sums up what goes beyond 250,000 cells of one import.",
        ),
        column("position", Text, false, "Content hash of the object, or topic/partition."),
        column("records", Int64, false, "Records received: flows + gaps + rejected."),
        column("flows", Int64, false, "Records that became flows."),
        column("gaps", Int64, false, "Records that state missing data."),
        column(
            "gap_reason",
            Text,
            true,
            "The log's word for the gap: NODATA (nothing happened), SKIPDATA (records were lost).",
        ),
        column(
            "rejected",
            Int64,
            true,
            "Records that were rejected. They have no time of their own and count in the minute of their receipt. Null for \
             imported files: they are in `dead_letters` alone.",
        ),
        column("bytes_in", Int64, true, "Bytes received, in the minute of their receipt. Null for imported files."),
        column(
            "lag_us",
            Int64,
            true,
            "How late the latest of the minute's flows came: the longest time from `end_time` to `ingest_time`, microseconds. Null \
             for imported files.",
        ),
    ],
};

/// Every table, in the order of the reference.
pub static TABLES: &[&Table] = &[&FLOWS, &DEAD_LETTERS, &FINDINGS, &INCIDENTS, &CONTROLS, &IMPORTS, &COVERAGE];

/// Those that a lake made by an earlier version may lack.
pub static LATER_TABLES: &[&Table] = &[&INCIDENTS, &CONTROLS];
