//! The scope of a suppression as it is typed: `entity=cart,port=443`, until when, and its words.

use crate::failure::usage;
use crate::feedback;
use crate::findings::{self, Filter};
use std::collections::BTreeSet;
use tradewind_detect::report::DetectorName;
use tradewind_model::time::{self, DAY, MINUTE};
use tradewind_model::{Finding, Scope};
use tradewind_storage::Lake;

const HOUR: i64 = 60 * MINUTE;

/// One `key=value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ScopePart {
    Entity(String),
    Destination(String),
    Port(u16),
    Behaviour(String),
}

/// Reads one `key=value`.
pub(super) fn part(text: &str) -> Result<ScopePart, String> {
    const EXPECTED: &str = "expected entity=, destination=, port= or behaviour= with a value";
    let Some((key, value)) = text.split_once('=').filter(|(_, value)| !value.is_empty()) else {
        return Err(format!("`{text}` is no part of a scope: {EXPECTED}"));
    };
    match key {
        "entity" => Ok(ScopePart::Entity(value.to_owned())),
        "destination" => Ok(ScopePart::Destination(value.to_owned())),
        "port" => value.parse().map(ScopePart::Port).map_err(|_| format!("`{value}` is no port: expected 0 to 65535")),
        "behaviour" if DetectorName::from_word(value).is_some() => Ok(ScopePart::Behaviour(value.to_owned())),
        "behaviour" => Err(feedback::no_behaviour(value)),
        _ => Err(format!("`{key}` is not known: {EXPECTED}")),
    }
}

/// A time, or a duration from now.
pub(super) fn until(text: &str, now: i64) -> anyhow::Result<i64> {
    let unit = match text.chars().last() {
        Some('m') => MINUTE,
        Some('h') => HOUR,
        Some('d') => DAY,
        Some('w') => 7 * DAY,
        _ => 0,
    };
    let count = text.get(..text.len().saturating_sub(1)).and_then(|count| count.parse::<u32>().ok());
    match count.filter(|_| unit > 0) {
        Some(count) => Ok(now.saturating_add(i64::from(count).saturating_mul(unit))),
        None => {
            time::parse(text).map_err(|error| usage(format!("--until: {error}; or a duration such as 12h, 30d, 2w")))
        }
    }
}

/// The scope of its parts. An entity may be given by the last part of its id, where findings name only one such.
pub(super) async fn resolve(lake: &Lake, parts: &[ScopePart]) -> anyhow::Result<Scope> {
    let stored = findings::load(lake, &Filter::default()).await?;
    let names = names(stored.iter().map(|stored| &stored.finding));
    let mut scope = Scope::default();
    for part in parts {
        let is_twice = match part {
            ScopePart::Entity(entity) => scope.entity.replace(whole(entity, &names)?).is_some(),
            ScopePart::Destination(entity) => scope.destination.replace(whole(entity, &names)?).is_some(),
            ScopePart::Port(port) => scope.port.replace(*port).is_some(),
            ScopePart::Behaviour(word) => scope.behaviour.replace(word.clone()).is_some(),
        };
        if is_twice {
            return Err(usage("a key of --scope is given twice: make two suppressions"));
        }
    }
    if scope.is_everything() {
        return Err(usage("a suppression of everything is refused: give at least one key of --scope"));
    }
    Ok(scope)
}

fn names<'a>(findings: impl Iterator<Item = &'a Finding>) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for finding in findings {
        names.insert(finding.entity.clone());
        for seen in &finding.observations {
            names.extend([seen.src_entity.clone(), seen.dst_entity.clone()]);
        }
    }
    names
}

fn whole(entity: &str, names: &BTreeSet<String>) -> anyhow::Result<String> {
    if entity.contains('/') || names.contains(entity) {
        return Ok(entity.to_owned());
    }
    let tail = format!("/{entity}");
    let found: Vec<&String> = names.iter().filter(|name| name.ends_with(&tail)).collect();
    match found.as_slice() {
        [one] => Ok((*one).clone()),
        [] => Err(usage(format!("no finding names an entity {entity}: give its whole id"))),
        several => Err(usage(format!("{entity} may be any of {}: give its whole id", join(several)))),
    }
}

fn join(names: &[&String]) -> String {
    names.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ")
}

/// A name made of what it is about, the same each time.
pub(super) fn name(scope: &Scope) -> String {
    let hash = blake3::hash(words(scope).as_bytes());
    format!("scope-{}", &hash.to_hex().as_str()[..8])
}

/// `entity=a, port=443`.
pub(super) fn words(scope: &Scope) -> String {
    let port = scope.port.map(|port| port.to_string());
    let parts = [
        ("entity", &scope.entity),
        ("destination", &scope.destination),
        ("port", &port),
        ("behaviour", &scope.behaviour),
    ];
    let said = parts.into_iter().filter_map(|(key, value)| Some(format!("{key}={}", value.as_ref()?)));
    said.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_read() {
        let skan = feedback::no_behaviour("skan");
        assert!(
            skan.starts_with("`skan` is no behaviour: there are beacon, ") && skan.contains(", slow-scan, "),
            "{skan}"
        );
        let check = |text: &str, expected: Result<ScopePart, &str>| {
            assert_eq!(part(text), expected.map_err(str::to_owned), "{text}");
        };
        check("entity=a/b", Ok(ScopePart::Entity("a/b".into())));
        check("destination=x=y", Ok(ScopePart::Destination("x=y".into())));
        check("port=443", Ok(ScopePart::Port(443)));
        check("port=70000", Err("`70000` is no port: expected 0 to 65535"));
        check("behaviour=scan", Ok(ScopePart::Behaviour("scan".into())));
        check("behaviour=skan", Err(&skan));
        assert!(part("entity=").is_err() && part("host=a").is_err() && part("").is_err());
    }

    #[test]
    fn until_is_a_time_or_a_duration() {
        let check = |text: &str, expected: Option<i64>| assert_eq!(until(text, 1).ok(), expected, "{text}");
        check("90m", Some(1 + 90 * MINUTE));
        check("12h", Some(1 + 12 * HOUR));
        check("2w", Some(1 + 14 * DAY));
        check("1970-01-02", Some(DAY));
        check("d", None);
        check("-1d", None);
        check("5é", None);
        check("", None);
        check("99999999999d", None);
    }

    #[test]
    fn an_entity_may_be_given_by_its_last_part() {
        let names =
            BTreeSet::from(["p/a/cart".to_owned(), "p/a/db".to_owned(), "p/b/db".to_owned(), "alone".to_owned()]);
        assert_eq!(whole("cart", &names).unwrap(), "p/a/cart");
        assert_eq!(whole("alone", &names).unwrap(), "alone");
        assert_eq!(whole("x/y", &names).unwrap(), "x/y");
        assert!(whole("db", &names).unwrap_err().to_string().contains("p/a/db, p/b/db"));
        assert!(whole("nobody", &names).is_err());
    }
}
