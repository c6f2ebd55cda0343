//! Records as the bytes of an object: Parquet, or lines of JSON that are compressed. Not where it goes.

use super::schema;
use crate::record::{Record, RecordFormat};
use arrow_json::ReaderBuilder;
use flate2::write::GzEncoder;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use serde::Deserialize;
use std::io::Write as _;

/// Bytes of a page of Parquet at most, before it is compressed: what Security Lake asks for.
const PAGE_BYTES_MAX: usize = 1 << 20;
/// Level of zstd.
const ZSTD_LEVEL: i32 = 3;

/// What an object is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ObjectFormat {
    /// Parquet of OCSF 1.8 Detection Findings, compressed by zstd.
    #[default]
    Parquet,
    /// Lines of OCSF 1.8 Detection Findings as JSON.
    Ocsf,
    /// Lines of alerts as Tradewind writes them on standard output.
    Json,
}

/// The version of OCSF that events are written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub enum OcsfVersion {
    /// All that Tradewind has to say.
    #[default]
    #[serde(rename = "1.8")]
    V1_8,
    /// Without what came later: the newest that Amazon Security Lake knows.
    #[serde(rename = "1.3")]
    V1_3,
}

/// How lines of JSON are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LineCompression {
    /// gzip, which everything reads.
    #[default]
    Gzip,
    /// Zstandard.
    Zstd,
    /// Not at all.
    None,
}

impl ObjectFormat {
    /// What a record is in it.
    pub(super) const fn record(self) -> RecordFormat {
        match self {
            Self::Parquet | Self::Ocsf => RecordFormat::Ocsf,
            Self::Json => RecordFormat::Json,
        }
    }

    /// The end of a name.
    pub(super) const fn extension(self, compression: LineCompression) -> &'static str {
        match (self, compression) {
            (Self::Parquet, _) => "zstd.parquet",
            (_, LineCompression::Gzip) => "ndjson.gz",
            (_, LineCompression::Zstd) => "ndjson.zst",
            (_, LineCompression::None) => "ndjson",
        }
    }

    /// The bytes of an object with these records.
    ///
    /// # Errors
    /// A fault of the program: every record has a form in each format.
    pub(super) fn encode(
        self,
        records: &[Record],
        compression: LineCompression,
        version: OcsfVersion,
    ) -> Result<Vec<u8>, String> {
        let lines = || {
            let mut lines = String::new();
            for record in records {
                lines.push_str(&record.line());
                lines.push('\n');
            }
            lines.into_bytes()
        };
        match (self, compression) {
            (Self::Parquet, _) => parquet(&lines(), version, false),
            (_, LineCompression::None) => Ok(lines()),
            (_, LineCompression::Zstd) => zstd::bulk::compress(&lines(), ZSTD_LEVEL).map_err(|error| error.to_string()),
            (_, LineCompression::Gzip) => {
                let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::default());
                encoder.write_all(&lines()).and_then(|()| encoder.finish()).map_err(|error| error.to_string())
            }
        }
    }
}

/// Lines of OCSF as Parquet. What has no column is left out; an error where it is strict.
fn parquet(lines: &[u8], version: OcsfVersion, is_strict: bool) -> Result<Vec<u8>, String> {
    let schema = schema::event(version);
    let told = |error: &dyn std::fmt::Display| format!("it cannot be written as Parquet: {error}");
    let reader =
        ReaderBuilder::new(schema.clone()).with_strict_mode(is_strict).build(lines).map_err(|error| told(&error))?;
    let level = ZstdLevel::try_new(ZSTD_LEVEL).map_err(|error| told(&error))?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(level))
        .set_data_page_size_limit(PAGE_BYTES_MAX)
        .set_created_by(concat!("tradewind ", env!("CARGO_PKG_VERSION")).to_owned())
        .build();
    let mut writer = ArrowWriter::try_new(Vec::new(), schema, Some(properties)).map_err(|error| told(&error))?;
    for batch in reader {
        writer.write(&batch.map_err(|error| told(&error))?).map_err(|error| told(&error))?;
    }
    writer.into_inner().map_err(|error| told(&error))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::alert::{Action, Alert, Message};
    use crate::testing;

    #[test]
    fn everything_of_an_event_has_a_column() {
        let mut external = testing::alert("external");
        external.findings[0].observations[0].dst_entity = "-/-/external/203.0.113.7".to_owned();
        external.findings[0].observations[0].src_entity = "prod/-/host/db-1".to_owned();
        external.findings[0].technique = "T1021.004".to_owned();
        external.findings[0].uncertain = "few flows".to_owned();
        external.action = Action::Update;
        let mut bare = testing::alert("bare");
        bare.findings[0].observations.clear();
        let mut cut = testing::alert("cut");
        cut.incident.findings.push("more".to_owned());
        let alerts = [testing::alert("one"), external, bare, cut, Alert::test(0), Alert::test(0).resolved(1)];
        let records = alerts.into_iter().flat_map(|alert| {
            let link = "https://tradewind.example/incidents/{incident}";
            RecordFormat::Ocsf.records(&Message::Alert(Box::new(alert)), link, 1 << 20).unwrap()
        });
        let lines: String = records.map(|record| record.line() + "\n").collect();
        parquet(lines.as_bytes(), OcsfVersion::V1_8, true).unwrap();
        let mut events: Vec<serde_json::Value> =
            lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        events.iter_mut().for_each(crate::ocsf::older::as_1_3);
        let older: String = events.iter().map(|event| event.to_string() + "\n").collect();
        parquet(older.as_bytes(), OcsfVersion::V1_3, true).unwrap();
        assert!(parquet(lines.as_bytes(), OcsfVersion::V1_3, true).is_err());
        let other = lines.replacen("\"class_uid\"", "\"not_there\":1,\"class_uid\"", 1);
        assert!(parquet(other.as_bytes(), OcsfVersion::V1_8, true).unwrap_err().contains("not_there"));
    }
}
