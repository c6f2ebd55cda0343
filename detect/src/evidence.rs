//! The SQL that shows a finding's flows. It runs as it is in DataFusion, DuckDB and PostgreSQL.

mod conditions;

use crate::network::Port;
use tradewind_model::time::rfc3339;

/// One edge of the evidence.
#[derive(Clone, Debug)]
pub(crate) struct EvidenceEdge<'a> {
    pub(crate) dst_entity: &'a str,
    pub(crate) port: Port,
    /// What of it is told; all where this is empty.
    pub(crate) uses: Vec<&'a str>,
}

/// The query. Without edges it shows everything the source did in that time, which is what remains where they are too
/// many to be listed.
///
/// The literals are `TIMESTAMP WITH TIME ZONE`: DuckDB reads a plain `TIMESTAMP` in the session's time zone when it meets a
/// column in UTC.
///
/// `path` are edges of other sources, or of this one besides, that led to it.
pub(crate) fn query(
    src_entity: &str,
    from: i64,
    to: i64,
    edges: &[EvidenceEdge<'_>],
    path: &[(&str, EvidenceEdge<'_>)],
) -> String {
    let mut own = format!("src_entity = {}", literal(src_entity));
    let conditions: Vec<String> = edges.iter().map(condition).collect();
    match conditions.as_slice() {
        [] => (),
        [one] => own.push_str(&format!(" AND {one}")),
        several => own.push_str(&format!(" AND (({}))", several.join(") OR ("))),
    }
    if !path.is_empty() {
        let hop = |(source, edge): &(&str, EvidenceEdge<'_>)| {
            format!("(src_entity = {} AND {})", literal(source), condition(edge))
        };
        let hops: Vec<String> = path.iter().map(hop).collect();
        own = format!("(({own}) OR {})", hops.join(" OR "));
    }
    format!("{} AND {own} ORDER BY end_time", select(from, to))
}

/// The query for a source's flows that the declared policy denies, by one rule or all.
pub(crate) fn query_of_breaches(src_entity: &str, rule: Option<&str>, from: i64, to: i64) -> String {
    let (select, src_entity) = (select(from, to), literal(src_entity));
    let rule = rule
        .filter(|rule| !rule.is_empty())
        .map(|rule| format!(" AND declared_rule = {}", literal(rule)))
        .unwrap_or_default();
    format!("{select} AND src_entity = {src_entity} AND declared_verdict = 'denied'{rule} ORDER BY end_time")
}

/// The query for all that reached a destination.
pub(crate) fn query_to(dst_entity: &str, from: i64, to: i64) -> String {
    format!("{} AND dst_entity = {} ORDER BY end_time", select(from, to), literal(dst_entity))
}

/// The query for the flows in which an entity, at either end, proved to be one of these principals.
pub(crate) fn query_of_principals(entity: &str, principals: &[&str], from: i64, to: i64) -> String {
    let end = |end: &str| {
        let proved = conditions::of_principals(&format!("{end}_principal"), principals);
        format!("({end}_entity = {} AND ({proved}))", literal(entity))
    };
    format!("{} AND ({} OR {}) ORDER BY end_time", select(from, to), end("src"), end("dst"))
}

/// Of the flows of a query those that were not protected by mutual TLS.
pub(crate) fn unprotected(query: &str) -> String {
    let (flows, order) = query.rsplit_once(" ORDER BY ").unwrap_or((query, "end_time"));
    format!("{flows} AND {} ORDER BY {order}", conditions::UNPROTECTED)
}

fn select(from: i64, to: i64) -> String {
    format!(
        "SELECT * FROM flows WHERE end_time >= TIMESTAMP WITH TIME ZONE '{}' AND end_time <= TIMESTAMP WITH TIME ZONE '{}'",
        rfc3339(from),
        rfc3339(to),
    )
}

fn condition(edge: &EvidenceEdge<'_>) -> String {
    let destination = format!("dst_entity = {}", literal(edge.dst_entity));
    let port = match edge.port {
        Port::Number(port) => format!("dst_port = {port}"),
        Port::Absent => "dst_port IS NULL".to_owned(),
        Port::Unoriented => "NOT is_src_dst_assignment_known".to_owned(),
    };
    let uses = conditions::of_uses(&edge.uses).map(|uses| format!(" AND {uses}")).unwrap_or_default();
    format!("{destination} AND {port}{uses}")
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(edges: &[(&str, Port)], expected: &str) {
        let edges: Vec<EvidenceEdge<'_>> =
            edges.iter().map(|&(dst_entity, port)| EvidenceEdge { dst_entity, port, uses: Vec::new() }).collect();
        let from = 1_767_225_600_000_000;
        let sql = query("-/-/agent/o'neil", from, from + 90_500_000, &edges, &[]);
        let head = "SELECT * FROM flows WHERE end_time >= TIMESTAMP WITH TIME ZONE '2026-01-01T00:00:00Z' \
                    AND end_time <= TIMESTAMP WITH TIME ZONE '2026-01-01T00:01:30.5Z' \
                    AND src_entity = '-/-/agent/o''neil'";
        assert_eq!(sql, format!("{head}{expected} ORDER BY end_time"));
    }

    #[test]
    fn what_is_told_of_flows_is_a_condition() {
        let edge = EvidenceEdge { dst_entity: "b", port: Port::Number(80), uses: vec!["\u{1f}GET\u{1f}", "udp"] };
        let sql = query("a", 0, 0, &[edge], &[]);
        let end = " AND src_entity = 'a' AND dst_entity = 'b' AND dst_port = 80 AND (upper(trim(operation)) = 'GET' OR \
                   protocol_num = 17) ORDER BY end_time";
        assert!(sql.ends_with(end), "{sql}");
        let sql = unprotected(&query_to("b", 0, 0));
        assert!(sql.contains(" AND dst_entity = 'b' AND (encryption = 'none' OR "), "{sql}");
        assert!(sql.ends_with(" ORDER BY end_time"), "{sql}");
        let sql = query_of_principals("a", &["spiffe://x", "it's"], 0, 0);
        let proved = |end| {
            format!(
                "({end}_entity = 'a' AND (trim({end}_principal) = 'spiffe://x' OR trim({end}_principal) = 'it''s'))"
            )
        };
        assert!(sql.contains(&format!(" AND ({} OR {})", proved("src"), proved("dst"))), "{sql}");
    }

    #[test]
    fn every_port_has_its_condition_and_quotes_are_doubled() {
        check(&[], "");
        check(&[("x';--", Port::Number(443))], " AND dst_entity = 'x'';--' AND dst_port = 443");
        check(
            &[("a", Port::Absent), ("b", Port::Unoriented)],
            " AND ((dst_entity = 'a' AND dst_port IS NULL) OR (dst_entity = 'b' AND NOT is_src_dst_assignment_known))",
        );
    }

    #[test]
    fn a_path_has_the_edges_of_others() {
        let edge = |dst_entity, port| EvidenceEdge { dst_entity, port: Port::Number(port), uses: Vec::new() };
        let path = [("a", edge("queue", 9092)), ("b", edge("queue", 9092))];
        let sql = query("b", 0, 1_000_000, &[edge("payments", 443)], &path);
        let expected = "AND ((src_entity = 'b' AND dst_entity = 'payments' AND dst_port = 443) \
                        OR (src_entity = 'a' AND dst_entity = 'queue' AND dst_port = 9092) \
                        OR (src_entity = 'b' AND dst_entity = 'queue' AND dst_port = 9092)) ORDER BY end_time";
        assert!(sql.ends_with(expected), "{sql}");
    }
}
