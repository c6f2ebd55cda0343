//! The receivers of a run: a pager, a webhook, another one that is told in groups, a search engine, and a file. Serves them, writes
//! their part of the configuration, and knows when all has arrived.

use super::ledger::{Action, Ledger};
use super::vendors::{API_KEY, Elastic, PagerDuty, ROUTING_KEY, SIGNING_KEY, Shared, Webhook};
use super::web::{Counts, Trigger, Vendor, lock, serve};
use crate::random::Random;
use anyhow::Context as _;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(super) const PAGER: &str = "pager";
const FILE: &str = "told/alerts.ndjson";

/// A receiver.
#[derive(Debug)]
pub(super) struct Receiver {
    pub(super) ledger: Shared,
    port: u16,
    pub(super) counts: Arc<Counts>,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Sinks {
    pub(super) receivers: BTreeMap<&'static str, Receiver>,
    pub(super) trigger: Arc<Trigger>,
    folder: PathBuf,
}

/// Secrets, as the process gets them.
pub(super) fn environment() -> Vec<(String, String)> {
    let secrets = [
        ("TORTURE_ROUTING_KEY", ROUTING_KEY.to_owned()),
        ("TORTURE_SIGNING_KEY", format!("whsec_{SIGNING_KEY}")),
        ("TORTURE_API_KEY", API_KEY.to_owned()),
    ];
    secrets.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

impl Sinks {
    /// Begins to serve. Of a hundred requests so many fail.
    pub(super) fn serve(seed: u64, failing: u64, folder: &Path) -> anyhow::Result<Self> {
        let trigger = Arc::<Trigger>::default();
        let mut receivers = BTreeMap::new();
        let mut add = |name: &'static str, make: fn(Shared) -> Arc<dyn Vendor>| {
            let ledger = Shared::default();
            let vendor = make(Arc::clone(&ledger));
            let (port, counts) = serve(vendor, Random::new(seed, name), failing, Arc::clone(&trigger))
                .with_context(|| format!("failed to serve {name}"))?;
            receivers.insert(name, Receiver { ledger, port, counts });
            anyhow::Ok(())
        };
        add(PAGER, |ledger| Arc::new(PagerDuty(ledger)))?;
        add("hook", |ledger| Arc::new(Webhook::new(ledger)))?;
        add("groups", |ledger| Arc::new(Webhook::new(ledger)))?;
        add("search", |ledger| Arc::new(Elastic::new(ledger)))?;
        Ok(Self { receivers, trigger, folder: folder.to_owned() })
    }

    /// Their sections. Attempts are short and come again soon, so that a run does not wait for hours.
    pub(super) fn configuration(&self) -> String {
        let mut text = String::new();
        let common = "timeout_ms = 700\nretry_max_s = 1\n";
        let hook = "type = \"webhook\"\nsigning_secret = { env = \"TORTURE_SIGNING_KEY\" }\n";
        for (name, receiver) in &self.receivers {
            let own = match *name {
                PAGER => "type = \"pagerduty\"\nrouting_key = { env = \"TORTURE_ROUTING_KEY\" }\n".to_owned(),
                "hook" => format!("{hook}heartbeat_s = 5\n"),
                "groups" => format!("{hook}group_s = 2\n"),
                _ => "type = \"elastic\"\napi_key = { env = \"TORTURE_API_KEY\" }\n".to_owned(),
            };
            let port = receiver.port;
            text.push_str(&format!(
                "[[notify.sink]]\nname = {name:?}\nurl = \"http://127.0.0.1:{port}\"\n{own}{common}\n"
            ));
        }
        text.push_str(&format!(
            "[[notify.sink]]\nname = \"file\"\ntype = \"file\"\npath = {FILE:?}\nformat = \"json\"\n{common}"
        ));
        text
    }

    /// Whether all findings and the ends of all incidents are at every receiver that is served.
    pub(super) fn have_all(&self, findings: u64, incidents: usize) -> bool {
        let findings = usize::try_from(findings).unwrap_or(usize::MAX);
        let have = |receiver: &Receiver| lock(&receiver.ledger).has_all(findings, incidents);
        self.receivers.values().all(have) && self.file().has_all(findings, incidents)
    }

    /// Alerts that were taken in, at all receivers that are served.
    pub(super) fn taken(&self) -> u64 {
        self.receivers.values().map(|receiver| lock(&receiver.ledger).taken).sum()
    }

    /// What the file says.
    pub(super) fn file(&self) -> Ledger {
        let mut ledger = Ledger::default();
        // Read anew each time; where it is not there, nothing was told.
        let text = std::fs::read(self.folder.join(FILE)).unwrap_or_default();
        let lines: Vec<&[u8]> = text.split_inclusive(|&byte| byte == b'\n').collect();
        for (place, line) in lines.iter().enumerate() {
            let said: Value = match serde_json::from_slice(line) {
                Ok(said) => said,
                // The last line may be on its way.
                Err(_) if place + 1 == lines.len() && !line.ends_with(b"\n") => continue,
                Err(error) => {
                    ledger.violation(&format!("line {}: {error}", place + 1));
                    continue;
                }
            };
            let (alert, incident) = (&said["alert"], &said["alert"]["incident"]);
            let Some(action) = alert["action"].as_str().and_then(Action::from_word) else {
                ledger.violation(&format!("line {} has no action", place + 1));
                continue;
            };
            let findings = alert["findings"].as_array().into_iter().flatten();
            let findings = findings.filter_map(|finding| finding["finding_id"].as_str().map(str::to_owned)).collect();
            let id = incident["incident_id"].as_str().unwrap_or_default();
            ledger.take(id, action, incident["flow_count"].as_i64(), findings);
        }
        ledger
    }
}
