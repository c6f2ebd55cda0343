//! A finding in words: what was seen, what was expected, since when, and how to see the flows.

use crate::output::{printable, printable_query};
use tradewind_model::Finding;
use tradewind_model::entity::short_name;
use tradewind_model::time::rfc3339;

/// How much of an id is shown: enough to tell findings apart, and to name one.
pub(crate) const ID_CHARACTERS: usize = 12;

/// The finding in a few lines, without its observations.
pub(crate) fn summarise(finding: &Finding) -> String {
    let mut text = format!("[{}] {}\n", finding.severity.as_str(), printable(&finding.title));
    field(&mut text, "when", &format!("{} to {}", rfc3339(finding.first_seen), rfc3339(finding.last_seen)));
    field(&mut text, "who", &who(finding));
    field(&mut text, "seen", &finding.observed);
    field(&mut text, "expected", &finding.expected);
    field(&mut text, "since", &since(finding));
    field(&mut text, "uncertain", &finding.uncertain);
    field(&mut text, "sql", &printable_query(&finding.evidence_query));
    field(&mut text, "more", &format!("tradewind findings show {}", short_id(&finding.finding_id)));
    text
}

/// The finding with all that is known of it.
pub(crate) fn explain(finding: &Finding) -> String {
    let mut text = format!("[{}] {}\n\n", finding.severity.as_str(), printable(&finding.title));
    field(&mut text, "id", &finding.finding_id);
    field(&mut text, "when", &format!("{} to {}", rfc3339(finding.first_seen), rfc3339(finding.last_seen)));
    field(&mut text, "decided", &rfc3339(finding.time));
    field(&mut text, "who", &who(finding));
    field(&mut text, "seen", &finding.observed);
    field(&mut text, "expected", &finding.expected);
    field(&mut text, "since", &since(finding));
    field(&mut text, "covers", &format!("flows: {}, windows: {}", finding.flow_count, finding.window_count));
    if !is_rule(finding) {
        let chance = format!("p = {}, risk score {:.1}", probability(finding.p_value), finding.risk_score);
        field(&mut text, "chance", &chance);
    }
    field(&mut text, "detector", &format!("{}, version {}", finding.behaviour, finding.detector_version));
    field(&mut text, "technique", &technique(&finding.technique));
    field(&mut text, "uncertain", &finding.uncertain);
    if !finding.observations.is_empty() {
        text.push_str("\nObservations, strongest first:\n");
    }
    for (number, observation) in finding.observations.iter().enumerate() {
        let port = observation.dst_port.map(|port| format!(":{port}")).unwrap_or_default();
        let (src, dst) = (short_name(&observation.src_entity), short_name(&observation.dst_entity));
        let edge = format!("{src} -> {dst}{port}");
        text.push_str(&format!(
            "  {}. {} ({}{})\n     seen      {}\n     expected  {}\n",
            number + 1,
            printable(&edge),
            printable(&observation.detector),
            if is_rule(finding) { String::new() } else { format!(", p = {}", probability(observation.p_value)) },
            printable(&observation.observed),
            printable(&observation.expected),
        ));
    }
    if !finding.evidence_query.is_empty() {
        let query = printable_query(finding.evidence_query.trim_end_matches(';'));
        text.push_str(&format!("\nSQL that shows the flows:\n{query};\n"));
    }
    text
}

/// Whether a rule decided, and not a baseline.
fn is_rule(finding: &Finding) -> bool {
    finding.behaviour == "policy"
}

fn since(finding: &Finding) -> String {
    let since = rfc3339(finding.baseline_since);
    match finding.behaviour.as_str() {
        "policy" => format!("it is a rule, which needs no baseline; broken since {since}"),
        "silence" => format!("silent since {since}"),
        _ => format!("the baseline exists since {since}"),
    }
}

/// The first characters of an id.
pub(crate) fn short_id(id: &str) -> &str {
    id.char_indices().nth(ID_CHARACTERS).map_or(id, |(end, _)| &id[..end])
}

fn who(finding: &Finding) -> String {
    format!("{} ({})", finding.entity, finding.entity_kind)
}

fn technique(id: &str) -> String {
    if id.is_empty() { String::new() } else { format!("MITRE ATT&CK {id}") }
}

fn probability(p_value: f64) -> String {
    if p_value > 0.0 && p_value < 0.001 { format!("{p_value:.1e}") } else { format!("{p_value:.3}") }
}

/// One line; nothing where there is nothing to say.
fn field(text: &mut String, name: &str, value: &str) {
    if !value.is_empty() {
        text.push_str(&format!("  {name:<9}  {}\n", printable(value)));
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::output::steers;
    use tradewind_model::Severity;
    use tradewind_model::finding::Observation;

    pub(crate) fn sample() -> Finding {
        Finding {
            finding_id: "0123456789abcdef0123".to_owned(),
            time: 1_477_914_000_000_000,
            first_seen: 1_477_913_708_000_000,
            last_seen: 1_477_913_768_000_000,
            entity: "prod/shop/agent/helper".to_owned(),
            entity_kind: "agent".to_owned(),
            behaviour: "destination".to_owned(),
            severity: Severity::High,
            title: "helper contacts payments for the first time".to_owned(),
            observed: "2 new destinations".to_owned(),
            expected: "0.01 a window".to_owned(),
            baseline_since: 1_477_900_000_000_000,
            flow_count: 7,
            window_count: 1,
            p_value: 2.5e-9,
            risk_score: 8.6,
            technique: "T1021".to_owned(),
            uncertain: String::new(),
            evidence_query: "SELECT * FROM flows".to_owned(),
            observations: vec![Observation {
                detector: "destination".to_owned(),
                src_entity: "prod/shop/agent/helper".to_owned(),
                dst_entity: "prod/pay/service/payments".to_owned(),
                dst_port: Some(8443),
                observed: "first contact".to_owned(),
                expected: "none\u{1b}[0m".to_owned(),
                p_value: 0.25,
            }],
            detector_version: 1,
        }
    }

    #[test]
    fn a_summary_answers_the_first_questions() {
        assert_eq!(
            summarise(&sample()),
            "[high] helper contacts payments for the first time\n  \
             when       2016-10-31T11:35:08Z to 2016-10-31T11:36:08Z\n  \
             who        prod/shop/agent/helper (agent)\n  \
             seen       2 new destinations\n  \
             expected   0.01 a window\n  \
             since      the baseline exists since 2016-10-31T07:46:40Z\n  \
             sql        SELECT * FROM flows\n  \
             more       tradewind findings show 0123456789ab\n"
        );
    }

    #[test]
    fn silence_says_since_when_it_lasts() {
        let text = summarise(&Finding { behaviour: "silence".to_owned(), ..sample() });
        assert!(text.contains("  since      silent since 2016-10-31T07:46:40Z\n"), "{text}");
    }

    #[test]
    fn an_explanation_has_the_evidence() {
        let text = explain(&sample());
        assert!(text.contains("chance     p = 2.5e-9, risk score 8.6"), "{text}");
        assert!(text.contains("1. helper -> payments:8443 (destination, p = 0.250)"), "{text}");
        assert!(text.ends_with("SQL that shows the flows:\nSELECT * FROM flows;\n"), "{text}");
        assert!(!text.contains('\u{1b}'), "{text}");
    }

    #[test]
    fn what_a_log_says_cannot_steer_the_terminal() {
        const HOSTILE: &str = "o\u{1b}[2J\u{9b}31m";
        let mut finding = sample();
        finding.entity = format!("-/shop/service/{HOSTILE}");
        for text in [&mut finding.title, &mut finding.observed, &mut finding.expected, &mut finding.uncertain] {
            text.push_str(HOSTILE);
        }
        finding.observations[0].src_entity.clone_from(&finding.entity);
        finding.evidence_query = format!("SELECT * FROM flows WHERE src_entity = '{}'", finding.entity);
        for text in [summarise(&finding), explain(&finding)] {
            assert!(!text.contains(|character| steers(character) && character != '\n'), "{text:?}");
            let query = "src_entity = ('-/shop/service/o' || chr(27) || '[2J' || chr(155) || '31m')";
            assert!(text.contains(query), "{text}");
        }
    }
}
