//! The text of a mapping: TOML, checked key by key. Not how records are read.

use serde::Deserialize;
use std::collections::BTreeMap;

/// A mapping as it is written.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Settings {
    /// The word in the column `source`.
    pub(super) name: String,
    /// The word in `record_kind`.
    #[serde(default = "event")]
    pub(super) kind: Kind,
    /// The word in `vantage`.
    #[serde(default)]
    pub(super) vantage: Option<Vantage>,
    /// Whether the log says who opened the connection.
    #[serde(default = "yes")]
    pub(super) is_src_dst_assignment_known: bool,
    /// How a record is read.
    pub(super) read: Read,
    /// Columns and the fields they are of.
    pub(super) fields: BTreeMap<String, Source>,
    /// Columns with the same text in every row.
    #[serde(default)]
    pub(super) constants: BTreeMap<String, String>,
    /// What the observer's policy decided.
    #[serde(default)]
    pub(super) verdict: Option<Words<VerdictWord>>,
    /// What became of the connection.
    #[serde(default)]
    pub(super) result: Option<Words<ResultWord>>,
    /// Records that are no connections.
    #[serde(default)]
    pub(super) skip: Vec<Skip>,
}

fn event() -> Kind {
    Kind::Event
}

fn yes() -> bool {
    true
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    Connection,
    Interval,
    Request,
    Packet,
    Event,
}

impl Kind {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Connection => "connection",
            Self::Interval => "interval",
            Self::Request => "request",
            Self::Packet => "packet",
            Self::Event => "event",
        }
    }
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Vantage {
    Source,
    Destination,
    Proxy,
    Network,
}

impl Vantage {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Destination => "destination",
            Self::Proxy => "proxy",
            Self::Network => "network",
        }
    }
}

/// How a record becomes fields with names.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "encoding", rename_all = "lowercase", deny_unknown_fields)]
pub(super) enum Read {
    /// JSON objects, one a line, one after the other or in arrays. Fields are paths with dots.
    Json,
    /// Lines of values.
    Csv {
        /// One ASCII character.
        #[serde(default = "comma")]
        separator: char,
        /// Names of the values; left out: the first line has them.
        #[serde(default)]
        columns: Option<Vec<String>>,
    },
    /// Lines of `key=value`.
    Pairs,
    /// Lines that a regular expression with named groups fits.
    Regex {
        /// The expression.
        regex: String,
    },
    /// Lines that a pattern such as `%{IP:client} %{WORD:action}` fits.
    Pattern {
        /// The pattern.
        pattern: String,
    },
}

fn comma() -> char {
    ','
}

/// The field of a column: its name, or its name and how it is written.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Source {
    Field(String),
    As(FieldAs),
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FieldAs {
    pub(super) field: String,
    /// How it is written; left out: as the column needs it.
    #[serde(default, rename = "as")]
    pub(super) how: Option<How>,
}

/// How a field is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum How {
    // times
    Rfc3339,
    Local,
    CommonLog,
    EpochS,
    EpochMs,
    EpochUs,
    EpochNs,
    // durations
    S,
    Ms,
    Us,
    Ns,
    /// With its unit behind it: `15ms`.
    Unit,
    // others
    /// `IP:PORT`.
    Endpoint,
    /// A request line: method, target, version.
    RequestLine,
}

/// Words of a log and what they stand for.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Words<W> {
    /// The field.
    pub(super) field: String,
    /// What its words stand for; in any case.
    pub(super) values: BTreeMap<String, W>,
    /// What every other word stands for; left out: nothing.
    pub(super) default: Option<W>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum VerdictWord {
    Allowed,
    Denied,
    Audited,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum ResultWord {
    Established,
    Refused,
    Timeout,
    Reset,
    Error,
}

/// Records with one of these values are no connections.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Skip {
    pub(super) field: String,
    pub(super) values: Vec<String>,
}
