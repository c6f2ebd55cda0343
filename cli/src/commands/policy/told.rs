//! The report of `policy check` for people, as JSON, and as rows. Not the judging, which the policy crate does.

use super::observe::{Period, Seen};
use crate::failure::usage;
use crate::output::{self, OutputFormat, counted, printable, printable_query};
use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use indicatif::HumanCount;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::sync::Arc;
use tradewind_model::protocol;
use tradewind_model::time::rfc3339;
use tradewind_policy::report::{AgentWithoutPolicy, Edge, Tally};
use tradewind_policy::{PolicySet, Reason, Summary};

/// Edges of one list that a person is shown; machines get all.
const SHOWN_MAX: usize = 50;

/// The report as text.
pub(super) fn text(summary: &Summary, period: &Period, seen: &Seen, policies: usize) -> String {
    let mut text = match seen.times {
        None if period.conditions().is_empty() => return "the lake has no flows: nothing to check\n".to_owned(),
        None => return "there are no flows in this time: nothing to check\n".to_owned(),
        Some((first, last)) => format!(
            "{} (version {}), {} from {} to {}: {}\n",
            counted(policies, "policy", "policies"),
            summary.declared_policy_version,
            flows(seen.flows),
            rfc3339(first),
            rfc3339(last),
            summary
                .flows
                .iter()
                .map(|(word, count)| format!("{} {word}", grouped(*count)))
                .collect::<Vec<_>>()
                .join(", "),
        ),
    };
    let lists = [
        (&summary.violations, "breaks the policy", "break the policy"),
        (&summary.plaintext, "is not mutual TLS, where that is required", "are not mutual TLS, where that is required"),
        (&summary.unknown, "cannot be judged by what was seen", "cannot be judged by what was seen"),
    ];
    for (edges, one, many) in lists {
        if edges.is_empty() {
            continue;
        }
        let verb = if edges.len() == 1 { one } else { many };
        push(&mut text, &format!("\n{} {verb}\n", counted(edges.len(), "edge", "edges")));
        for edge in edges.iter().take(SHOWN_MAX) {
            push(&mut text, &edge_text(edge, period));
        }
        if edges.len() > SHOWN_MAX {
            push(&mut text, &format!("  … and {} more: `-o json` lists all\n", edges.len() - SHOWN_MAX));
        }
    }
    let agents = &summary.agents_without_policy;
    if !agents.is_empty() {
        let verb = if agents.len() == 1 { "has" } else { "have" };
        push(
            &mut text,
            &format!(
                "\n{} {verb} no policy, so that all they do is denied\n",
                counted(agents.len(), "agent", "agents")
            ),
        );
        for agent in agents {
            push(&mut text, &agent_text(agent, period));
        }
    }
    if !summary.unused_rules.is_empty() {
        let count = counted(summary.unused_rules.len(), "rule was", "rules were");
        push(&mut text, &format!("\n{count} not used in this time\n"));
        for rule in &summary.unused_rules {
            push(&mut text, &format!("  {}  {}:{}\n", rule.rule, printable(&rule.source), rule.line));
        }
    }
    if summary.violations.is_empty() && summary.plaintext.is_empty() && agents.is_empty() {
        text.push_str("\nnothing breaks the policy\n");
    }
    if summary.flows_omitted > 0 {
        push(&mut text, &format!("\n{} flows are on edges beyond those that are told apart\n", summary.flows_omitted));
    }
    text
}

fn push(text: &mut String, more: &str) {
    text.push_str(more);
}

fn edge_text(edge: &Edge, period: &Period) -> String {
    let Tally { count, first_seen, last_seen, outcomes, requests, .. } = &edge.tally;
    let outcomes =
        outcomes.iter().map(|(word, count)| format!("{} {word}", grouped(*count))).collect::<Vec<_>>().join(", ");
    let mut text = format!(
        "  {} → {} {}: {} ({outcomes}), {} to {}\n      {}: {}\n",
        printable(&edge.src_entity),
        printable(&edge.dst_entity),
        port(edge),
        flows(*count),
        rfc3339(*first_seen),
        rfc3339(*last_seen),
        printable(&edge.rule),
        why(edge.reason),
    );
    if !requests.is_empty() {
        let shown = requests.iter().map(|request| printable(request).into_owned()).collect::<Vec<_>>().join(", ");
        writeln!(text, "      requests: {shown}").expect("writing to a string cannot fail");
    }
    let query = edge_query(edge, period);
    writeln!(text, "      {}", printable_query(&query)).expect("writing to a string cannot fail");
    text
}

fn agent_text(agent: &AgentWithoutPolicy, period: &Period) -> String {
    let edges = counted(usize::try_from(agent.edges).unwrap_or(usize::MAX), "edge", "edges");
    format!(
        "  {}: {} on {edges}, {} to {}\n      {}\n",
        printable(&agent.entity),
        flows(agent.tally.count),
        rfc3339(agent.tally.first_seen),
        rfc3339(agent.tally.last_seen),
        printable_query(&agent_query(agent, period)),
    )
}

/// A number with its digits in groups.
fn grouped(count: u64) -> String {
    HumanCount(count).to_string()
}

/// What `--files-only` says.
pub(super) fn files(set: &PolicySet, output: Option<OutputFormat>) -> anyhow::Result<()> {
    let (policies, rules) = (set.policy_count(), set.rules().len());
    match output {
        None | Some(OutputFormat::Table) => {
            let (policies, rules) = (counted(policies, "policy", "policies"), counted(rules, "rule", "rules"));
            output::line(&format!("{policies} with {rules}, version {}: no faults", set.version()))
        }
        Some(OutputFormat::Json | OutputFormat::Ndjson) => {
            let value = json!({ "policies": policies, "rules": rules, "declared_policy_version": set.version() });
            output::line(&value.to_string())
        }
        Some(_) => Err(usage("with --files-only the answer is written as table, json or ndjson")),
    }
}

fn flows(count: u64) -> String {
    counted(usize::try_from(count).unwrap_or(usize::MAX), "flow", "flows")
}

fn port(edge: &Edge) -> String {
    let of_number = |number: i64| protocol::name(number).map_or_else(|| format!("protocol {number}"), str::to_owned);
    let name = edge.protocol_num.map_or_else(|| "protocol not seen".to_owned(), of_number);
    edge.dst_port.map_or_else(|| name.clone(), |port| format!("{name}/{port}"))
}

fn why(reason: Reason) -> &'static str {
    match reason {
        Reason::Rule => "a rule allows it",
        Reason::DefaultAllow => "the default allows it",
        Reason::NoPolicy => "no policy governs this end, and the default denies",
        Reason::NoRule => "no rule allows it",
        Reason::MtlsRequired => "the rule requires mutual TLS",
        Reason::PortNotSeen => "the port or protocol was not seen",
        Reason::AddressNotSeen => "the address was not seen",
        Reason::OperationNotSeen => "the operation was not seen",
        Reason::ResourceNotSeen => "the resource was not seen",
        Reason::EncryptionNotSeen => "whether it is mutual TLS was not seen",
        Reason::OrientationUnknown => "it is not known which end opened the connection",
    }
}

/// A text as an SQL literal.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn query(mut conditions: Vec<String>, period: &Period) -> String {
    conditions.extend(period.conditions());
    format!("SELECT * FROM flows WHERE {} ORDER BY start_time", conditions.join(" AND "))
}

/// The question that shows the flows of an edge.
fn edge_query(edge: &Edge, period: &Period) -> String {
    let number = |column: &str, value: Option<i64>| match value {
        Some(value) => format!("{column} = {value}"),
        None => format!("{column} IS NULL"),
    };
    let conditions = vec![
        format!("src_entity = {}", quoted(&edge.src_entity)),
        format!("dst_entity = {}", quoted(&edge.dst_entity)),
        number("protocol_num", edge.protocol_num),
        number("dst_port", edge.dst_port),
    ];
    query(conditions, period)
}

fn agent_query(agent: &AgentWithoutPolicy, period: &Period) -> String {
    let entity = quoted(&agent.entity);
    query(vec![format!("(src_entity = {entity} OR dst_entity = {entity})")], period)
}

/// The whole report as JSON, each edge and agent with its query.
pub(super) fn json(summary: &Summary, period: &Period) -> anyhow::Result<String> {
    let with_queries = |values: Vec<(Value, String)>| -> Value {
        let add = |(mut value, query): (Value, String)| {
            value["query"] = json!(query);
            value["flows"] = value["count"].take();
            value.as_object_mut().map(|members| members.remove("count"));
            for time in ["first_seen", "last_seen"] {
                value[time] = json!(value[time].as_i64().map(rfc3339));
            }
            value
        };
        values.into_iter().map(add).collect()
    };
    let edges = |edges: &[Edge]| -> anyhow::Result<Value> {
        let values = edges.iter().map(|edge| Ok((serde_json::to_value(edge)?, edge_query(edge, period))));
        Ok(with_queries(values.collect::<anyhow::Result<_>>()?))
    };
    let agents = summary.agents_without_policy.iter();
    let agents = agents.map(|agent| Ok((serde_json::to_value(agent)?, agent_query(agent, period))));
    let mut whole = serde_json::to_value(summary)?;
    whole["violations"] = edges(&summary.violations)?;
    whole["plaintext"] = edges(&summary.plaintext)?;
    whole["unknown"] = edges(&summary.unknown)?;
    whole["agents_without_policy"] = with_queries(agents.collect::<anyhow::Result<_>>()?);
    output::json_pretty(&whole)
}

/// One line of the report.
struct Row<'a> {
    kind: &'static str,
    src_entity: Option<&'a str>,
    dst_entity: Option<&'a str>,
    protocol_num: Option<i64>,
    dst_port: Option<i64>,
    rule: Option<&'a str>,
    reason: Option<&'static str>,
    tally: Option<&'a Tally>,
    query: Option<String>,
}

fn outcomes(tally: &Tally) -> String {
    tally.outcomes.iter().map(|(word, count)| format!("{count} {word}")).collect::<Vec<_>>().join(", ")
}

/// Writes all lists as rows of one table; the column `kind` tells them apart.
pub(super) fn rows(summary: &Summary, period: &Period, format: OutputFormat) -> anyhow::Result<()> {
    let lists = [("violation", &summary.violations), ("plaintext", &summary.plaintext), ("unknown", &summary.unknown)];
    let edge = |kind, edge| row_of_edge(kind, edge, period);
    let mut rows: Vec<Row<'_>> = lists
        .into_iter()
        .flat_map(|(kind, edges)| edges.iter().map(move |of| (kind, of)))
        .map(|(k, e)| edge(k, e))
        .collect();
    rows.extend(summary.agents_without_policy.iter().map(|agent| Row {
        kind: "agent_without_policy",
        src_entity: Some(&agent.entity),
        dst_entity: None,
        protocol_num: None,
        dst_port: None,
        rule: None,
        reason: None,
        tally: Some(&agent.tally),
        query: Some(agent_query(agent, period)),
    }));
    rows.extend(summary.unused_rules.iter().map(|rule| Row {
        kind: "unused_rule",
        src_entity: None,
        dst_entity: None,
        protocol_num: None,
        dst_port: None,
        rule: Some(&rule.rule),
        reason: None,
        tally: None,
        query: None,
    }));
    let batch = batch(&rows)?;
    output::write_batches(format, &batch.schema(), std::slice::from_ref(&batch))
}

fn row_of_edge<'a>(kind: &'static str, edge: &'a Edge, period: &Period) -> Row<'a> {
    Row {
        kind,
        src_entity: Some(&edge.src_entity),
        dst_entity: Some(&edge.dst_entity),
        protocol_num: edge.protocol_num,
        dst_port: edge.dst_port,
        rule: Some(&edge.rule),
        reason: Some(why(edge.reason)),
        tally: Some(&edge.tally),
        query: Some(edge_query(edge, period)),
    }
}

fn batch(rows: &[Row<'_>]) -> Result<RecordBatch, arrow::error::ArrowError> {
    let texts = |text: &dyn Fn(&Row<'_>) -> Option<String>| {
        Arc::new(rows.iter().map(text).collect::<StringArray>()) as ArrayRef
    };
    let numbers = |number: &dyn Fn(&Row<'_>) -> Option<i64>| {
        Arc::new(rows.iter().map(number).collect::<Int64Array>()) as ArrayRef
    };
    let times = |time: &dyn Fn(&Tally) -> i64| {
        let times = rows.iter().map(|row| row.tally.map(time)).collect::<TimestampMicrosecondArray>();
        Arc::new(times.with_timezone("UTC")) as ArrayRef
    };
    RecordBatch::try_from_iter_with_nullable([
        ("kind", texts(&|row| Some(row.kind.to_owned())), false),
        ("src_entity", texts(&|row| row.src_entity.map(str::to_owned)), true),
        ("dst_entity", texts(&|row| row.dst_entity.map(str::to_owned)), true),
        ("protocol_num", numbers(&|row| row.protocol_num), true),
        ("dst_port", numbers(&|row| row.dst_port), true),
        ("rule", texts(&|row| row.rule.map(str::to_owned)), true),
        ("reason", texts(&|row| row.reason.map(str::to_owned)), true),
        ("outcomes", texts(&|row| row.tally.map(outcomes)), true),
        ("flows", numbers(&|row| row.tally.map(|tally| i64::try_from(tally.count).unwrap_or(i64::MAX))), true),
        ("first_seen", times(&|tally| tally.first_seen), true),
        ("last_seen", times(&|tally| tally.last_seen), true),
        ("query", texts(&|row| row.query.clone()), true),
    ])
}
