//! The section `[notify]` of the settings: sinks and routes, and what is checked of them before anything is opened.

use crate::quiet::QuietSettings;
use crate::route::RouteSettings;
use crate::sinks::SinkKind;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::path::PathBuf;
use tradewind_model::Severity;

/// All of it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NotifySettings {
    /// Folder of the outbox.
    pub outbox: PathBuf,
    /// Alerts that are kept for all sinks at most; when they are more, nothing new is taken in until some are delivered.
    pub outbox_alerts_max: u64,
    /// What was seen longer ago than this many hours when it is told is retrospective, and wakes nobody.
    pub retrospective_h: u64,
    /// How long an incident waits for findings that it names and that did not come so far, milliseconds.
    pub wait_ms: u64,
    /// After so many days what is over is forgotten: an incident that is opened again then is a new one for the sinks.
    pub memory_days: u64,
    /// Address of an incident for people, with `{incident}` for its id; empty: none.
    pub link: String,
    /// Sinks.
    #[serde(rename = "sink", default)]
    pub sinks: Vec<SinkSettings>,
    /// Routes, in order. Without any, every sink gets everything of severity low and above.
    #[serde(rename = "route", default)]
    pub routes: Vec<RouteSettings>,
}

/// A section `[[notify.sink]]`.
#[derive(Clone, Debug, Deserialize)]
pub struct SinkSettings {
    /// Its name: the outbox is kept by it.
    pub name: String,
    /// Messages a minute at most. Left out: no limit.
    #[serde(default)]
    pub rate_per_minute: Option<u32>,
    /// How long one delivery may take, milliseconds.
    #[serde(default = "timeout_ms")]
    pub timeout_ms: u64,
    /// The longest wait between two attempts, seconds.
    #[serde(default = "retry_max_s")]
    pub retry_max_s: u64,
    /// Alerts that come within so many seconds go out in one message. 0: each by itself.
    #[serde(default)]
    pub group_s: u64,
    /// Times of day at which everything since the last time goes out in one message, such as `["08:00"]`, in `time_zone`.
    #[serde(default)]
    pub digest: Vec<String>,
    /// IANA name of the time zone of `digest`.
    #[serde(default = "utc")]
    pub time_zone: String,
    /// A sign of life each so many seconds. 0: none.
    #[serde(default)]
    pub heartbeat_s: u64,
    /// Whether it gets what was found in flows of long ago. Left out: sinks that wake people do not, others do.
    #[serde(default)]
    pub retrospective: Option<bool>,
    /// When it is left alone.
    #[serde(default)]
    pub quiet: Option<QuietSettings>,
    /// What it is.
    #[serde(flatten)]
    pub kind: SinkKind,
}

const fn timeout_ms() -> u64 {
    10_000
}

const fn retry_max_s() -> u64 {
    60
}

fn utc() -> String {
    "UTC".to_owned()
}

/// The least severity that a sink without routes gets.
pub(crate) const SEVERITY_MIN: Severity = Severity::Low;

impl NotifySettings {
    /// What cannot work, each with what to do. Empty: nothing.
    #[must_use]
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut names = BTreeSet::new();
        for sink in &self.sinks {
            let name = &sink.name;
            let mut own = Vec::new();
            sink.check(&mut own);
            faults.extend(own.into_iter().map(|fault| format!("sink `{name}`: {fault}")));
            if !names.insert(name.as_str()) {
                faults.push(format!("two sinks are called `{name}`: the outbox is kept by name, give each its own"));
            }
        }
        for (place, route) in self.routes.iter().enumerate() {
            let mut own = Vec::new();
            route.check(&names, &mut own);
            faults.extend(own.into_iter().map(|fault| format!("route {}: {fault}", place + 1)));
        }
        if !self.routes.is_empty() {
            let routed: BTreeSet<&str> =
                self.routes.iter().flat_map(|route| route.sinks.iter().map(String::as_str)).collect();
            for name in names.difference(&routed) {
                faults.push(format!("sink `{name}`: no route leads to it"));
            }
        }
        check_range("outbox_alerts_max", self.outbox_alerts_max, (100, 10_000_000), &mut faults);
        check_range("retrospective_h", self.retrospective_h, (1, 8760), &mut faults);
        check_range("wait_ms", self.wait_ms, (0, 60_000), &mut faults);
        check_range("memory_days", self.memory_days, (1, 365), &mut faults);
        if !self.link.is_empty() && (!self.link.contains("{incident}") || reqwest::Url::parse(&self.link).is_err()) {
            faults.push(format!("`link` is `{}`: use an address with `{{incident}}` in it", self.link));
        }
        faults
    }
}

impl SinkSettings {
    fn check(&self, faults: &mut Vec<String>) {
        const LENGTH_MAX: usize = 64;
        let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if self.name.is_empty() || self.name.len() > LENGTH_MAX || !self.name.bytes().all(is_good) {
            faults.push(format!("a name has 1 to {LENGTH_MAX} letters, digits, `-`, `_` or `.`"));
        }
        check_range("timeout_ms", self.timeout_ms, (10, 300_000), faults);
        check_range("retry_max_s", self.retry_max_s, (1, 3600), faults);
        check_range("group_s", self.group_s, (0, 86_400), faults);
        check_range("heartbeat_s", self.heartbeat_s, (0, 604_800), faults);
        if let Some(rate) = self.rate_per_minute {
            check_range("rate_per_minute", rate, (1, 1_000_000), faults);
        }
        if let Err(message) = crate::quiet::daily(&self.digest, &self.time_zone) {
            faults.push(message);
        }
        if let Some(quiet) = &self.quiet {
            quiet.check(faults);
        }
        if self.group_s > 0 && !self.digest.is_empty() {
            faults.push("`group_s` and `digest` exclude each other".to_owned());
        }
        let can = self.kind.abilities();
        if !can.can_digest && (self.group_s > 0 || !self.digest.is_empty()) {
            faults.push("it cannot put several alerts into one message: leave out `group_s` and `digest`".to_owned());
        }
        if !can.can_heartbeat && self.heartbeat_s > 0 {
            faults.push("it has no signs of life: leave out `heartbeat_s`, and give another sink one".to_owned());
        }
        self.kind.check(faults);
    }
}

/// A number that must lie in a range.
pub(crate) fn check_range<T: PartialOrd + std::fmt::Display>(
    what: &str,
    value: T,
    (min, max): (T, T),
    faults: &mut Vec<String>,
) {
    if value < min || value > max {
        faults.push(format!("`{what}` is {value}: use {min} to {max}"));
    }
}
