//! An object store (S3, Google Cloud Storage, Azure, a folder): an object for the alerts of some minutes, in the layout of an Amazon
//! Security Lake custom source or plainly by day. It reads nothing back and deletes nothing.
//!
//! An object is named by the events in it: when the same events are written again because an answer was lost or the process ended,
//! they replace the object instead of doubling it.
//!
//! Source: <https://docs.aws.amazon.com/security-lake/latest/userguide/custom-sources.html> (partitions, Parquet, sizes and rates).

mod assume;
mod encode;
mod place;
mod schema;

pub use assume::AssumeRoleSettings;
pub use encode::{LineCompression, ObjectFormat, OcsfVersion};
pub use place::OptionSource;

use super::{Abilities, Answer, Making, Sink, SinkConfig};
use crate::alert::Message;
use crate::error::NotifyError;
use crate::http::TlsSettings;
use crate::ocsf::older;
use crate::record::Record;
use crate::settings::check_range;
use crate::words;
use async_trait::async_trait;
use object_store::ObjectStoreExt as _;
use object_store::path::Path as ObjectPath;
use place::{Opened, Place};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use tradewind_model::time::{SECOND, date_text, day_of, rfc3339};

/// Alerts of an object at most.
const OBJECT_ALERTS_MAX: usize = 500;
/// Bytes of a record at most, so that an object stays below the row group that Security Lake takes (256 MB).
const RECORD_BYTES_MAX: usize = 256 * 1024;
/// Characters of an answer that are told.
const SAID_MAX: usize = 500;

/// A sink of `type = "object_store"`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectStoreSettings {
    /// Where objects go: `s3://bucket/prefix`, `gs://bucket/prefix`, `az://container/prefix`,
    /// `abfss://container@account.dfs.core.windows.net/prefix`, or a folder.
    pub url: String,
    /// `parquet` (OCSF), `ocsf` or `json` (lines). Default: `parquet`.
    #[serde(default)]
    pub format: ObjectFormat,
    /// Version of OCSF: `1.8`, or `1.3` without what came later. Default: `1.8`.
    #[serde(default)]
    pub ocsf_version: OcsfVersion,
    /// How lines are compressed: `gzip`, `zstd` or `none`. Parquet has its own. Default: `gzip`.
    #[serde(default)]
    pub compression: LineCompression,
    /// Alerts are gathered for so many seconds, into one object where they are of one day. 0: not at all. Default: 300.
    #[serde(default = "flush_s")]
    pub flush_s: u64,
    /// The partitions of an Amazon Security Lake custom source. Left out: by day alone.
    #[serde(default)]
    pub security_lake: Option<SecurityLakeSettings>,
    /// Settings of the store by the names of `object_store`, such as `aws_region`; secrets as `{ file = "…" }` or `{ env = "…" }`.
    /// What is left out is taken from the environment, by the names of each cloud's own tools.
    #[serde(default)]
    pub options: BTreeMap<String, OptionSource>,
    /// `s3://`: a role that is assumed with the credentials of `options` or the environment. Default: none.
    #[serde(default)]
    pub assume_role: Option<AssumeRoleSettings>,
    /// Authorities beside those of the system.
    #[serde(default)]
    pub tls: TlsSettings,
}

/// What partitions of a custom source are called.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecurityLakeSettings {
    /// Region of the bucket.
    pub region: String,
    /// The AWS account that the records are about; for what is outside of AWS `external` or `external_` and a name.
    pub account_id: String,
}

const fn flush_s() -> u64 {
    300
}

impl SinkConfig for ObjectStoreSettings {
    fn abilities(&self) -> Abilities {
        let can_heartbeat = self.format.record().can_heartbeat();
        Abilities { batch_max: OBJECT_ALERTS_MAX, can_heartbeat, ..Abilities::default() }
    }

    fn gather(&self) -> Duration {
        Duration::from_secs(self.flush_s)
    }

    fn check(&self, faults: &mut Vec<String>) {
        match Place::parse(&self.url) {
            Ok(place) => {
                place.check(&self.options, faults);
                if self.assume_role.is_some() && !matches!(place, Place::Aws(..)) {
                    faults.push("`assume_role` goes with `s3://` alone".to_owned());
                }
            }
            Err(fault) => faults.push(fault),
        }
        if let Some(role) = &self.assume_role {
            role.check(faults);
        }
        check_range("flush_s", self.flush_s, (0, 3600), faults);
        if let Some(lake) = &self.security_lake {
            let is_good = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
            for (what, text) in [("region", &lake.region), ("account_id", &lake.account_id)] {
                if text.is_empty() || !text.bytes().all(is_good) {
                    faults.push(format!("`security_lake.{what}` is `{text}`: use letters, digits, `-` and `_`"));
                }
            }
            if self.format != ObjectFormat::Parquet {
                faults.push("`format`: Security Lake takes Parquet alone, leave it out".to_owned());
            }
        }
    }

    fn make(&self, making: &Making<'_>) -> Result<Arc<dyn Sink>, NotifyError> {
        let place = Place::parse(&self.url).map_err(|message| NotifyError::Settings { message })?;
        let opened = place.open(&self.options, self.assume_role.as_ref(), &self.tls, making)?;
        Ok(Arc::new(ObjectStoreSink {
            opened,
            settings: self.clone(),
            link: making.link.to_owned(),
            timeout: making.timeout,
        }))
    }
}

#[derive(Debug)]
struct ObjectStoreSink {
    opened: Opened,
    settings: ObjectStoreSettings,
    link: String,
    timeout: Duration,
}

/// A message as it goes into an object.
#[derive(Debug)]
struct Item {
    /// Its place among the messages of the delivery.
    place: usize,
    /// Its key.
    key: String,
    record: Record,
}

#[async_trait]
impl Sink for ObjectStoreSink {
    fn abilities(&self) -> Abilities {
        self.settings.abilities()
    }

    async fn deliver(&self, messages: &[Message]) -> Vec<Answer> {
        let deadline = Instant::now() + self.timeout;
        let mut answers = vec![Answer::unreachable("not tried"); messages.len()];
        let mut days: BTreeMap<i64, Vec<Item>> = BTreeMap::new();
        for (place, message) in messages.iter().enumerate() {
            match self.record(message) {
                Ok(record) => {
                    let item = Item { place, key: message.event_key(), record };
                    days.entry(day_of(item.record.time)).or_default().push(item);
                }
                Err(refused) => answers[place] = Answer::Refused(refused),
            }
        }
        // Day after day: where one fails, what is newer waits, so that states of an incident keep their order.
        let mut failed = None;
        for (day, mut items) in days {
            items.sort_by_key(|item| item.record.time);
            let places: Vec<usize> = items.iter().map(|item| item.place).collect();
            let answer = match &failed {
                Some(answer) => Answer::clone(answer),
                None => timeout_at(deadline, self.put(day, items))
                    .await
                    .unwrap_or_else(|_| Answer::unreachable("no answer in time")),
            };
            for place in places {
                answers[place] = answer.clone();
            }
            if matches!(answer, Answer::Later { .. }) {
                failed = Some(answer);
            }
        }
        answers
    }
}

impl ObjectStoreSink {
    fn record(&self, message: &Message) -> Result<Record, String> {
        if matches!(message, Message::Digest(_)) {
            return Err("each incident is a record of its own here: use `flush_s` for fewer objects".to_owned());
        }
        let records = self.settings.format.record().records(message, &self.link, RECORD_BYTES_MAX)?;
        let mut record = records.into_iter().next().ok_or_else(|| "there is nothing in it".to_owned())?;
        if self.settings.ocsf_version == OcsfVersion::V1_3 && self.settings.format != ObjectFormat::Json {
            older::as_1_3(&mut record.value);
        }
        Ok(record)
    }

    /// Writes an object.
    async fn put(&self, day: i64, items: Vec<Item>) -> Answer {
        let (format, compression, version) =
            (self.settings.format, self.settings.compression, self.settings.ocsf_version);
        let count = items.len();
        let location = self.location(day, &items);
        let encoded = tokio::task::spawn_blocking(move || {
            let records: Vec<Record> = items.into_iter().map(|item| item.record).collect();
            format.encode(&records, compression, version)
        });
        let bytes = match encoded.await {
            Ok(Ok(bytes)) => bytes,
            Ok(Err(error)) => return Answer::unreachable(error),
            Err(error) => return Answer::unreachable(error),
        };
        let size = bytes.len();
        if let Err(error) = self.opened.store.put(&location, bytes.into()).await {
            return Answer::unreachable(format!("failed to write {location}: {}", said(&error)));
        }
        if let Some(folder) = self.opened.folder.clone() {
            let path = folder.join(location.as_ref());
            match tokio::task::spawn_blocking(move || sync(&path, &folder)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Answer::unreachable(format!("failed to write {location}: {error}")),
                Err(error) => return Answer::unreachable(error),
            }
        }
        let events = if count == 1 { "1 event".to_owned() } else { format!("{count} events") };
        Answer::Delivered(format!("{location}: {events}, {size} bytes"))
    }

    /// Where an object goes: its name says when its first event was written, and is that of these events alone.
    fn location(&self, day: i64, items: &[Item]) -> ObjectPath {
        let keys: BTreeSet<&str> = items.iter().map(|item| item.key.as_str()).collect();
        let mut hasher = blake3::Hasher::new();
        for key in keys {
            hasher.update(key.as_bytes()).update(b"\n");
        }
        let hash = hasher.finalize().to_hex();
        let first = items.iter().map(|item| item.record.time).min().unwrap_or_default();
        let time: String = rfc3339(first.div_euclid(SECOND) * SECOND).replace(['-', ':'], "");
        let extension = self.settings.format.extension(self.settings.compression);
        let mut location = self.opened.prefix.clone();
        if let Some(lake) = &self.settings.security_lake {
            location = location.join(format!("region={}", lake.region)).join(format!("accountId={}", lake.account_id));
        }
        location
            .join(format!("eventDay={}", date_text(day).replace('-', "")))
            .join(format!("{time}-{}.{extension}", &hash[..32]))
    }
}

/// A file and the folders above it are on the disk.
fn sync(path: &Path, root: &Path) -> io::Result<()> {
    for part in path.ancestors() {
        File::open(part)?.sync_all()?;
        if part == root {
            break;
        }
    }
    Ok(())
}

/// An error of the store on one line. Of an answer in XML, as S3 and Azure have it, what it says.
fn said(error: &object_store::Error) -> String {
    let text = error.to_string();
    let said = in_words(&text).unwrap_or(text);
    words::shortened(&words::plain(&said), SAID_MAX)
}

/// What an answer in XML says, where it is one.
fn in_words(text: &str) -> Option<String> {
    let code = part(text, "Code")?;
    Some(match part(text, "Message").filter(|message| !message.is_empty()) {
        Some(message) => format!("{code}: {message}"),
        None => code,
    })
}

/// The text of the first element of this name.
fn part(text: &str, name: &str) -> Option<String> {
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    Some(rest.split_once(&format!("</{name}>"))?.0.trim().to_owned())
}
