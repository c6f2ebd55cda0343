//! Settings with some of them changed: `beacon.is_enabled=false`. For ablations; nothing is tuned by it.

use anyhow::Context as _;
use serde_json::Value;
use tradewind_detect::Settings;

/// The shipped defaults but for these changes, each a key with dots below `detect` and a value.
pub(crate) fn settings(changes: &[String]) -> anyhow::Result<Settings> {
    let mut all = serde_json::to_value(Settings::default()).context("the shipped defaults are wrong")?;
    for change in changes {
        let (key, value) = change.split_once('=').with_context(|| format!("{change} is no KEY=VALUE"))?;
        let value: Value = serde_json::from_str(value).unwrap_or_else(|_| Value::from(value));
        let place = all.pointer_mut(&format!("/{}", key.replace('.', "/")));
        *place.with_context(|| format!("there is no setting {key}"))? = value;
    }
    serde_json::from_value(all).context("the changed settings are wrong")
}
