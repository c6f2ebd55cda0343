//! `[[source]]` of `type = "file"`.

use crate::origin::FramingSetting;
use crate::settings::check_range;
use serde::Deserialize;

/// Where to begin in files that are there when a source starts for the first time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StartSetting {
    /// At their first line.
    #[default]
    Beginning,
    /// After their last whole line. Packed files that are there count as read.
    End,
}

/// Files that grow, are rotated, are packed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileSettings {
    /// Name of the source.
    pub name: String,
    /// Who saw the traffic. Default: the log itself says.
    #[serde(default)]
    pub observer: Option<String>,
    /// Format, `NAME` or `NAME:LAYOUT`. Default: `auto`.
    #[serde(default = "crate::origin::auto")]
    pub format: String,
    /// Address space of the addresses. Default: the default one.
    #[serde(default)]
    pub network: Option<String>,
    /// How records lie in the bytes. Only `lines`, the default.
    #[serde(default)]
    pub framing: FramingSetting,
    /// Raw topic. Default: the one of all sources.
    #[serde(default)]
    pub topic: Option<String>,
    /// Paths with `*`, `?`, `[...]` and `**`. Names that end in `.gz`, `.zst` or `.zstd` are unpacked and read once.
    pub paths: Vec<String>,
    /// Paths of the same kind that are left out. Default: none.
    #[serde(default)]
    pub exclude: Vec<String>,
    /// Where to begin in files that are there at the first start: `beginning` or `end`. Default: `beginning`.
    #[serde(default)]
    pub start: StartSetting,
    /// How often files are looked at, in milliseconds. Default: 250.
    #[serde(default = "poll_interval_ms")]
    pub poll_interval_ms: u64,
    /// How often new files are looked for, in milliseconds. Default: 1,000.
    #[serde(default = "scan_interval_ms")]
    pub scan_interval_ms: u64,
    /// How long a file that was rotated away or packed must stay as it is before it counts as complete, in milliseconds.
    /// Default: 10,000.
    #[serde(default = "rotate_wait_ms")]
    pub rotate_wait_ms: u64,
    /// How long a last line without its line feed waits for the rest, in milliseconds, before it is passed on as it is; 0
    /// waits for ever. Default: 300,000.
    #[serde(default = "partial_line_wait_ms")]
    pub partial_line_wait_ms: u64,
    /// Most files that are held open; those that grew last stay open. Default: 512.
    #[serde(default = "open_files_max")]
    pub open_files_max: usize,
    /// Most files that are followed; more are left out, with a warning. Default: 50,000.
    #[serde(default = "files_max")]
    pub files_max: usize,
    /// How long a file that is gone is remembered, in seconds, so that its packed copy is not read again. Default: 604,800.
    #[serde(default = "forget_after_s")]
    pub forget_after_s: u64,
}

const fn poll_interval_ms() -> u64 {
    250
}

const fn scan_interval_ms() -> u64 {
    1_000
}

const fn rotate_wait_ms() -> u64 {
    10_000
}

const fn partial_line_wait_ms() -> u64 {
    300_000
}

const fn open_files_max() -> usize {
    512
}

const fn files_max() -> usize {
    50_000
}

const fn forget_after_s() -> u64 {
    604_800
}

impl FileSettings {
    pub(crate) fn check(&self, faults: &mut Vec<String>) {
        if self.paths.is_empty() {
            faults.push("`paths` is empty: name at least one file or pattern".to_owned());
        }
        for pattern in self.paths.iter().chain(&self.exclude) {
            if let Err(error) = glob::Pattern::new(pattern) {
                faults.push(format!("`{pattern}` is no pattern of paths: {error}"));
            }
        }
        if self.framing != FramingSetting::Lines {
            faults.push("`framing` of files is `lines`: push whole records over HTTP instead".to_owned());
        }
        check_range("poll_interval_ms", self.poll_interval_ms, (1, 60_000), faults);
        check_range("scan_interval_ms", self.scan_interval_ms, (1, 600_000), faults);
        check_range("rotate_wait_ms", self.rotate_wait_ms, (1, 3_600_000), faults);
        check_range("open_files_max", self.open_files_max, (8, 100_000), faults);
        check_range("files_max", self.files_max, (1, 1_000_000), faults);
    }
}
