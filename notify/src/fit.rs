//! Alerts made smaller until what is made of them fits into what the other side takes: fewer findings first, then fewer
//! observations, then shorter texts. What leads the alert stays longest. Knows no format.

use crate::alert::Alert;
use crate::words::shortened;

/// Characters of a text, step by step.
const TEXTS: [usize; 4] = [1_000, 300, 100, 40];
/// Entities and ids of findings that a small alert names at most.
const NAMES_MAX: usize = 20;

/// Makes something of the alert that is accepted: of all of it where that can be. None: not even the smallest is.
pub(crate) fn fitting<T>(alert: &Alert, make: impl Fn(&Alert) -> T, is_accepted: impl Fn(&T) -> bool) -> Option<T> {
    let accepted = |alert: &Alert| Some(make(alert)).filter(&is_accepted);
    if let Some(made) = accepted(alert) {
        return Some(made);
    }
    let mut smaller = alert.clone();
    while smaller.findings.len() > 1 {
        smaller.findings.truncate(smaller.findings.len() / 2);
        if let Some(made) = accepted(&smaller) {
            return Some(made);
        }
    }
    for finding in &mut smaller.findings {
        finding.observations.truncate(1);
    }
    smaller.incident.findings.truncate(NAMES_MAX);
    smaller.incident.entities = smaller.incident.entities.into_iter().take(NAMES_MAX).collect();
    for most in TEXTS {
        shorten(&mut smaller, most);
        if let Some(made) = accepted(&smaller) {
            return Some(made);
        }
    }
    smaller.findings.clear();
    smaller.incident.entities = smaller.incident.entities.into_iter().take(1).collect();
    smaller.incident.findings.truncate(1);
    accepted(&smaller)
}

/// No text of it is longer. A query that is cut short is none, so it goes.
fn shorten(alert: &mut Alert, most: usize) {
    let cut = |text: &mut String| *text = shortened(text, most);
    cut(&mut alert.incident.title);
    alert.incident.entities = alert.incident.entities.iter().map(|entity| shortened(entity, most)).collect();
    for finding in &mut alert.findings {
        if finding.evidence_query.chars().count() > most {
            finding.evidence_query.clear();
        }
        for text in [
            &mut finding.entity,
            &mut finding.title,
            &mut finding.observed,
            &mut finding.expected,
            &mut finding.uncertain,
        ] {
            cut(text);
        }
        for seen in &mut finding.observations {
            for text in [&mut seen.src_entity, &mut seen.dst_entity, &mut seen.observed, &mut seen.expected] {
                cut(text);
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn what_leads_stays_longest() {
        let mut alert = testing::alert("one");
        alert.findings = (0..16).map(|number| testing::finding(&number.to_string())).collect();
        alert.incident.findings = alert.findings.iter().map(|finding| finding.finding_id.clone()).collect();
        let make = |alert: &Alert| serde_json::to_string(alert).unwrap();
        let fit = |most: usize| fitting(&alert, make, |text| text.len() <= most);
        let read = |text: String| serde_json::from_str::<Alert>(&text).unwrap();
        assert_eq!(read(fit(1 << 20).unwrap()).findings.len(), 16);
        let some = read(fit(4_000).unwrap());
        assert!(some.findings.len() < 16 && some.findings[0].finding_id == "0", "{some:?}");
        assert_eq!(some.more() + some.findings.len(), 16);
        let least = read(fit(500).unwrap());
        assert_eq!(least.incident.incident_id, "one");
        assert_eq!(fit(50), None);
    }
}
