//! Routes: which sinks an alert goes to. A route matches when all that it names holds.

use crate::alert::Alert;
use glob::Pattern;
use serde::Deserialize;
use std::collections::BTreeSet;
use tradewind_model::entity::EntityKind;
use tradewind_model::{Finding, Severity};

/// A section `[[notify.route]]`. What is left out matches anything; of several values one has to match.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteSettings {
    /// Names of the sinks.
    pub sinks: Vec<String>,
    /// Least severity.
    #[serde(default)]
    pub severity_min: Option<Severity>,
    /// Entities that act, as patterns of `network/namespace/kind/name`: `*` stands for any characters, `?` for one.
    #[serde(default)]
    pub entity: Vec<String>,
    /// Entities that are reached, as patterns.
    #[serde(default)]
    pub destination: Vec<String>,
    /// Namespaces of entities that act.
    #[serde(default)]
    pub namespace: Vec<String>,
    /// Kinds of entities that act, such as `agent`.
    #[serde(default)]
    pub kind: Vec<String>,
    /// Behaviours, or detectors that agreed, such as `chain` or `policy`.
    #[serde(default)]
    pub behaviour: Vec<String>,
    /// Where the traffic goes: `external` if a destination is outside, else `internal`.
    #[serde(default)]
    pub direction: Vec<String>,
    /// Whether routes after this one are looked at when it matches. Default: true.
    #[serde(default = "yes", rename = "continue")]
    pub goes_on: bool,
}

const fn yes() -> bool {
    true
}

impl RouteSettings {
    pub(crate) fn check(&self, sinks: &BTreeSet<&str>, faults: &mut Vec<String>) {
        if self.sinks.is_empty() {
            faults.push("`sinks` is empty: name at least one".to_owned());
        }
        for sink in &self.sinks {
            if !sinks.contains(sink.as_str()) {
                faults.push(format!("there is no sink `{sink}`"));
            }
        }
        for direction in &self.direction {
            if ![INTERNAL, EXTERNAL].contains(&direction.as_str()) {
                faults.push(format!("`direction` has `{direction}`: use internal or external"));
            }
        }
        if let Err(message) = Route::new(self) {
            faults.push(message);
        }
        for word in &self.kind {
            if EntityKind::from_word(word).is_none() {
                faults.push(format!("`kind` has `{word}`: use service, agent, host, external or unknown"));
            }
        }
    }
}

/// A route, with its patterns read.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    settings: RouteSettings,
    entity: Vec<Pattern>,
    destination: Vec<Pattern>,
}

impl Route {
    /// # Errors
    /// Says which pattern cannot be read.
    pub(crate) fn new(settings: &RouteSettings) -> Result<Self, String> {
        let read = |texts: &[String]| -> Result<Vec<Pattern>, String> {
            let pattern = |text: &String| Pattern::new(text).map_err(|error| format!("pattern `{text}`: {error}"));
            texts.iter().map(pattern).collect()
        };
        let (entity, destination) = (read(&settings.entity)?, read(&settings.destination)?);
        Ok(Self { settings: settings.clone(), entity, destination })
    }

    /// Whether one finding of the alert is all that the route wants; so is its severity, which is the alert's.
    fn matches(&self, alert: &Alert) -> bool {
        let is_grave = self.settings.severity_min.is_none_or(|least| alert.severity() >= least);
        is_grave && (self.is_without_findings() || alert.findings.iter().any(|finding| self.is_of(finding)))
    }

    /// Whether it looks at the severity alone.
    fn is_without_findings(&self) -> bool {
        let RouteSettings { entity, destination, namespace, kind, behaviour, direction, .. } = &self.settings;
        [entity, destination, namespace, kind, behaviour, direction].iter().all(|values| values.is_empty())
    }

    fn is_of(&self, finding: &Finding) -> bool {
        let RouteSettings { namespace, kind, behaviour, direction, .. } = &self.settings;
        let has = |values: &[String], word: &str| values.is_empty() || values.iter().any(|value| value == word);
        let detectors = || finding.observations.iter().map(|seen| seen.detector.as_str());
        let reached = || finding.observations.iter().map(|seen| seen.dst_entity.as_str());
        let is_outward = reached().any(|entity| part(entity, KIND) == EntityKind::External.as_str());
        (self.entity.is_empty() || self.entity.iter().any(|pattern| pattern.matches(&finding.entity)))
            && (self.destination.is_empty()
                || reached().any(|entity| self.destination.iter().any(|pattern| pattern.matches(entity))))
            && has(namespace, part(&finding.entity, NAMESPACE))
            && has(kind, &finding.entity_kind)
            && (behaviour.is_empty()
                || std::iter::once(finding.behaviour.as_str()).chain(detectors()).any(|word| has(behaviour, word)))
            && has(direction, if is_outward { EXTERNAL } else { INTERNAL })
    }
}

const INTERNAL: &str = "internal";
const EXTERNAL: &str = "external";
/// Places of the parts of an entity's id: `network/namespace/kind/name`.
const NAMESPACE: usize = 1;
const KIND: usize = 2;

fn part(entity: &str, place: usize) -> &str {
    entity.split('/').nth(place).unwrap_or_default()
}

/// Names of the sinks that an alert goes to. Without routes: all, from severity low on.
pub(crate) fn sinks<'a>(routes: &'a [Route], all: &'a [String], alert: &Alert) -> BTreeSet<&'a str> {
    if routes.is_empty() {
        let is_wanted = alert.severity() >= crate::settings::SEVERITY_MIN;
        return all.iter().filter(|_| is_wanted).map(String::as_str).collect();
    }
    let mut found = BTreeSet::new();
    for route in routes.iter().filter(|route| route.matches(alert)) {
        found.extend(route.settings.sinks.iter().map(String::as_str));
        if !route.settings.goes_on {
            break;
        }
    }
    found
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::testing::alert;

    #[test]
    fn routes_take_what_they_name() {
        let all = ["pager".to_owned(), "siem".to_owned()];
        // The alert: prod/shop/agent/planner (an agent) to prod/shop/service/payments, behaviour destination, severity high.
        let check = |routes: &str, expected: &[&str]| {
            #[derive(Deserialize)]
            struct Written {
                #[serde(default)]
                route: Vec<RouteSettings>,
            }
            let written: Written = toml::from_str(routes).unwrap();
            let routes: Vec<Route> = written.route.iter().map(|route| Route::new(route).unwrap()).collect();
            let found: Vec<&str> = sinks(&routes, &all, &alert("one")).into_iter().collect();
            assert_eq!(found, expected, "{:?}", written.route);
        };
        check("", &["pager", "siem"]);
        check("[[route]]\nsinks = ['siem']", &["siem"]);
        check("[[route]]\nsinks = ['pager']\nseverity_min = 'critical'", &[]);
        check("[[route]]\nsinks = ['pager']\nseverity_min = 'high'", &["pager"]);
        check("[[route]]\nsinks = ['pager']\nkind = ['agent', 'host']", &["pager"]);
        check("[[route]]\nsinks = ['pager']\nkind = ['service']", &[]);
        check("[[route]]\nsinks = ['pager']\nnamespace = ['shop']", &["pager"]);
        check("[[route]]\nsinks = ['pager']\nentity = ['*/planner']", &["pager"]);
        check("[[route]]\nsinks = ['pager']\nentity = ['planner']", &[]);
        check("[[route]]\nsinks = ['pager']\ndestination = ['prod/*/payments']", &["pager"]);
        check("[[route]]\nsinks = ['pager']\nbehaviour = ['destination']", &["pager"]);
        check("[[route]]\nsinks = ['pager']\nbehaviour = ['policy']", &[]);
        check("[[route]]\nsinks = ['pager']\ndirection = ['internal']", &["pager"]);
        check("[[route]]\nsinks = ['pager']\ndirection = ['external']", &[]);
        check("[[route]]\nsinks = ['pager']\n[[route]]\nsinks = ['siem']", &["pager", "siem"]);
        check("[[route]]\nsinks = ['pager']\ncontinue = false\n[[route]]\nsinks = ['siem']", &["pager"]);
    }

    #[test]
    fn faults_name_the_value() {
        let route =
            RouteSettings { kind: vec!["robot".to_owned()], entity: vec!["a[".to_owned()], ..Default::default() };
        let mut faults = Vec::new();
        route.check(&BTreeSet::new(), &mut faults);
        let said = faults.join("\n");
        for part in ["sinks", "robot", "a["] {
            assert!(said.contains(part), "{said}");
        }
    }
}
