//! What findings are made of: which settings a row names, and how it names them. What is done with it is in the commands.

use anyhow::{Context as _, bail};
use serde_json::{Map, Value};
use tradewind_detect::{DETECTOR_VERSION, Settings};
use tradewind_model::provenance::MADE_BY_RUN;
use tradewind_model::{Finding, Provenance};

/// What the service's findings are made of. Its flows are not stored yet when it judges them: no version of the lake has them.
///
/// # Errors
/// Settings that are no JSON: a bug.
pub(crate) fn of_service(settings: &Settings) -> anyhow::Result<Provenance> {
    let made_by = Some(MADE_BY_RUN.to_owned());
    Ok(Provenance { made_by, ..of_settings(settings)? })
}

/// The part of it that names settings.
///
/// # Errors
/// As above.
pub(crate) fn of_settings(settings: &Settings) -> anyhow::Result<Provenance> {
    let differing = differing(settings, &Settings::default())?;
    let differing = serde_json::to_string(&differing).context("failed to write settings as JSON")?;
    Ok(Provenance { settings: Some(differing), settings_hash: Some(hash(settings)?), ..Provenance::default() })
}

/// The settings that a finding names.
///
/// # Errors
/// It names none, or those of another version of the detectors.
pub(crate) fn settings(finding: &Finding, provenance: &Provenance) -> anyhow::Result<Settings> {
    let (id, version) = (&finding.finding_id, finding.detector_version);
    if version != DETECTOR_VERSION {
        bail!(
            "finding {id} is of version {version} of the detectors, and those of this program are version {DETECTOR_VERSION}: \
             only a program with version {version} can make it again"
        );
    }
    let (Some(differing), Some(hashed)) = (&provenance.settings, &provenance.settings_hash) else {
        bail!(
            "finding {id} does not say what it was made of: an older program recorded it. `tradewind detect` records it anew"
        );
    };
    let settings: Settings =
        serde_json::from_str(differing).with_context(|| format!("the settings of finding {id} are not known here"))?;
    if hash(&settings)? != *hashed {
        bail!("the settings of finding {id} cannot be had: it was made by a program with other defaults");
    }
    Ok(settings)
}

/// What of `settings` is not as in `others`, with the sections it is in.
///
/// # Errors
/// Settings that are no JSON: a bug.
pub(crate) fn differing(settings: &Settings, others: &Settings) -> anyhow::Result<Value> {
    let value = |settings: &Settings| serde_json::to_value(settings).context("failed to write settings as JSON");
    Ok(Value::Object(differing_values(&value(settings)?, &value(others)?)))
}

fn differing_values(value: &Value, other: &Value) -> Map<String, Value> {
    let mut found = Map::new();
    for (key, value) in value.as_object().into_iter().flatten() {
        let other = other.get(key).unwrap_or(&Value::Null);
        if value == other {
            continue;
        }
        let value = match (value, other) {
            (Value::Object(_), Value::Object(_)) => Value::Object(differing_values(value, other)),
            _ => value.clone(),
        };
        found.insert(key.clone(), value);
    }
    found
}

fn hash(settings: &Settings) -> anyhow::Result<String> {
    let text = serde_json::to_vec(settings).context("failed to write settings as JSON")?;
    Ok(blake3::hash(&text).to_hex().to_string())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::explanation::tests::sample;
    use super::*;

    fn check(edit: impl FnOnce(&mut Settings), expected: &str) {
        let mut wanted = Settings::default();
        edit(&mut wanted);
        let provenance = of_settings(&wanted).unwrap();
        assert_eq!(provenance.settings.as_deref(), Some(expected));
        let finding = Finding { detector_version: DETECTOR_VERSION, ..sample() };
        assert_eq!(settings(&finding, &provenance).unwrap(), wanted);
    }

    #[test]
    fn settings_are_named_by_what_differs_and_come_back() {
        check(|_| (), "{}");
        check(|settings| settings.window_s = 60, r#"{"window_s":60}"#);
        check(
            |settings| {
                settings.volume.is_enabled = false;
                settings.p_value_max = 3e-7;
                settings.decision.harmless_share = 0.1 + 0.2;
            },
            r#"{"decision":{"harmless_share":0.30000000000000004},"p_value_max":3e-7,"volume":{"is_enabled":false}}"#,
        );
    }

    #[test]
    fn what_cannot_be_made_again_is_told() {
        let told = |finding: Finding, provenance: &Provenance| settings(&finding, provenance).unwrap_err().to_string();
        let current = Finding { detector_version: DETECTOR_VERSION, ..sample() };
        let sound = of_settings(&Settings::default()).unwrap();
        let older = Finding { detector_version: DETECTOR_VERSION - 1, ..sample() };
        assert!(told(older, &sound).contains("those of this program are version"));
        assert!(told(current.clone(), &Provenance::default()).contains("an older program recorded it"));
        let hash = Some("0".repeat(64));
        assert!(told(current.clone(), &Provenance { settings_hash: hash, ..sound.clone() }).contains("other defaults"));
        let unknown = Some(r#"{"volumes":{}}"#.to_owned());
        assert!(told(current, &Provenance { settings: unknown, ..sound }).contains("not known here"));
    }
}
