//! `--set key=value`: one setting of section `detect` changed, or the reason why it cannot be.

use crate::failure::usage;
use serde_json::Value;
use tradewind_detect::Settings;

/// A setting and its new value, as TOML writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Assignment {
    /// Key below section `detect`, with dots.
    key: String,
    value: String,
}

impl std::str::FromStr for Assignment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some((key, value)) if !key.trim().is_empty() => {
                Ok(Self { key: key.trim().to_owned(), value: value.trim().to_owned() })
            }
            _ => Err("must be KEY=VALUE, as in volume.is_enabled=false".to_owned()),
        }
    }
}

/// The settings with all these changes.
///
/// # Errors
/// An unknown key, or a value that cannot be; the message names the key.
pub(super) fn changed(settings: &Settings, assignments: &[Assignment]) -> anyhow::Result<Settings> {
    let mut changed = settings.clone();
    for assignment in assignments {
        changed = change(&changed, assignment).map_err(|fault| usage(format!("--set {}: {fault}", assignment.key)))?;
    }
    // Together they are checked at last: two changes may be sound only with each other.
    changed.check().map_err(|error| usage(format!("--set: {error}")))?;
    Ok(changed)
}

fn change(settings: &Settings, assignment: &Assignment) -> Result<Settings, String> {
    let mut all = serde_json::to_value(settings).map_err(|error| error.to_string())?;
    let mut place = &mut all;
    for name in assignment.key.split('.') {
        let Value::Object(section) = place else { return Err("is no key of section detect".to_owned()) };
        let known = section.keys().cloned().collect::<Vec<_>>().join(", ");
        place = section.get_mut(name).ok_or_else(|| format!("`{name}` is not known; there are: {known}"))?;
    }
    if let Value::Object(section) = place {
        let keys = section.keys().map(|key| format!("{}.{key}", assignment.key)).collect::<Vec<_>>();
        return Err(format!("is a section: set one of {}", keys.join(", ")));
    }
    *place = parsed(&assignment.value);
    serde_json::from_value(all).map_err(|error| format!("{} cannot be: {error}", assignment.value))
}

/// The value that TOML reads; what it does not read is a text, so that words need no quotes.
fn parsed(text: &str) -> Value {
    let table = format!("value = {text}").parse::<toml::Table>().ok();
    let value = table.filter(|table| table.len() == 1).and_then(|mut table| table.remove("value"));
    value.and_then(|value| serde_json::to_value(value).ok()).unwrap_or_else(|| Value::from(text))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use tradewind_model::Severity;

    fn check(texts: &[&str], expected: Result<fn(&mut Settings), &str>) {
        let assignments: Vec<Assignment> = texts.iter().map(|text| text.parse().unwrap()).collect();
        match (changed(&Settings::default(), &assignments), expected) {
            (Ok(found), Ok(edit)) => {
                let mut wanted = Settings::default();
                edit(&mut wanted);
                assert_eq!(found, wanted, "{texts:?}");
            }
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{texts:?}: {error}"),
            (found, _) => panic!("{texts:?}: {found:?}"),
        }
    }

    #[test]
    fn values_are_read_as_toml_and_words_need_no_quotes() {
        check(&["volume.is_enabled=false"], Ok(|settings| settings.volume.is_enabled = false));
        check(&["decision.findings_per_day = 3"], Ok(|settings| settings.decision.findings_per_day = 3));
        check(
            &["p_value_max=1e-6", "risk_cap=5"],
            Ok(|settings| (settings.p_value_max, settings.risk_cap) = (1e-6, 5.0)),
        );
        check(&["severity_min=high"], Ok(|settings| settings.severity_min = Severity::High));
        check(&["severity_min=\"high\""], Ok(|settings| settings.severity_min = Severity::High));
    }

    #[test]
    fn what_cannot_be_names_its_key() {
        check(&["volume.forgeting=0.9"], Err("--set volume.forgeting: `forgeting` is not known; there are: "));
        check(&["detect.window_s=60"], Err("--set detect.window_s: `detect` is not known"));
        check(&["window_s.x=60"], Err("--set window_s.x: is no key of section detect"));
        check(&["volume=1"], Err("--set volume: is a section: set one of volume."));
        check(&["window_s=soon"], Err("--set window_s: soon cannot be: "));
        check(&["decision.findings_per_day=-1"], Err("--set decision.findings_per_day: -1 cannot be: "));
        check(&["window_s=0"], Err("`window_s` is 0, but must be from 1 to 86400"));
        assert!("window_s".parse::<Assignment>().unwrap_err().contains("KEY=VALUE"));
        assert!("=3".parse::<Assignment>().is_err());
    }
}
