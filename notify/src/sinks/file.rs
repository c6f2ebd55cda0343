//! A file that grows by a line of JSON for each alert, for agents of SIEMs that follow files. What was delivered is on the disk.
//! Files that are full, or of another day, are renamed; it reads nothing back but the end of the file.

use super::{Abilities, Answer, Making, Sink, SinkConfig};
use crate::alert::Message;
use crate::error::NotifyError;
use crate::record::{Record, RecordFormat};
use crate::settings::check_range;
use async_trait::async_trait;
use serde::Deserialize;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tradewind_model::time::{DAY, date_text, day_of};

/// Bytes of one line at most.
const LINE_BYTES_MAX: usize = 1 << 20;
/// A line that was cut by the end of a process is looked for within so many bytes.
const TAIL_BYTES_MAX: u64 = 2 << 20;
/// Files of one day at most.
const FILES_OF_DAY_MAX: u32 = 1_000_000;

/// A sink of `type = "file"`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileSettings {
    /// The file; its folder is made. Relative to the folder of the settings.
    pub path: PathBuf,
    /// `ocsf` or `json`. Default: `ocsf`.
    #[serde(default)]
    pub format: RecordFormat,
    /// It is renamed before it has more megabytes than this. Default: 100.
    #[serde(default = "file_mb_max")]
    pub file_mb_max: u64,
    /// Renamed files that are kept; the oldest are deleted. 0: all. Default: 30.
    #[serde(default = "files_max")]
    pub files_max: usize,
}

const fn file_mb_max() -> u64 {
    100
}

const fn files_max() -> usize {
    30
}

impl SinkConfig for FileSettings {
    fn abilities(&self) -> Abilities {
        Abilities {
            batch_max: 200,
            can_digest: true,
            can_heartbeat: self.format.can_heartbeat(),
            ..Abilities::default()
        }
    }

    fn check(&self, faults: &mut Vec<String>) {
        if self.path.file_name().is_none() {
            faults.push(format!("`path` is `{}`: give the name of a file", self.path.display()));
        }
        check_range("file_mb_max", self.file_mb_max, (1, 100_000), faults);
    }

    fn make(&self, making: &Making<'_>) -> Result<Arc<dyn Sink>, NotifyError> {
        let path = making.secrets.path(&self.path);
        let fault = |error: io::Error| NotifyError::Settings {
            message: format!("`path` {}: cannot be written: {error}", path.display()),
        };
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(fault)?;
        }
        open(&path).map_err(fault)?;
        let log = Log { bytes_max: self.file_mb_max.saturating_mul(1_000_000), files_max: self.files_max, path };
        Ok(Arc::new(FileSink { log, settings: self.clone(), link: making.link.to_owned() }))
    }
}

#[derive(Debug)]
struct FileSink {
    log: Log,
    settings: FileSettings,
    link: String,
}

#[async_trait]
impl Sink for FileSink {
    fn abilities(&self) -> Abilities {
        self.settings.abilities()
    }

    async fn deliver(&self, messages: &[Message]) -> Vec<Answer> {
        let made: Vec<Result<Vec<Record>, String>> =
            messages.iter().map(|message| self.settings.format.records(message, &self.link, LINE_BYTES_MAX)).collect();
        let records: Vec<Record> = made.iter().flatten().flatten().cloned().collect();
        let log = self.log.clone();
        let written = match tokio::task::spawn_blocking(move || log.write(&records)).await {
            Ok(Ok(())) => Answer::Delivered("on the disk".to_owned()),
            Ok(Err(error)) => Answer::unreachable(format!("failed to write {}: {error}", self.log.path.display())),
            Err(error) => Answer::unreachable(error),
        };
        let answer = |made: Result<_, String>| made.map_or_else(Answer::Refused, |_| written.clone());
        made.into_iter().map(answer).collect()
    }
}

/// The file, and those that it was.
#[derive(Clone, Debug)]
struct Log {
    path: PathBuf,
    bytes_max: u64,
    files_max: usize,
}

impl Log {
    /// Appends all of these lines or none, and has them on the disk when it returns. Opened anew each time: others may have moved
    /// or deleted the file.
    fn write(&self, records: &[Record]) -> io::Result<()> {
        let mut rest = records;
        while let Some(first) = rest.first() {
            let day = day_of(first.time);
            let mut file = self.fresh(day, first.line().len() as u64)?;
            let start = file.metadata()?.len();
            let mut lines = Vec::new();
            let mut count = 0;
            for record in rest.iter().take_while(|record| day_of(record.time) == day) {
                let line = record.line();
                if count > 0 && start + (lines.len() + line.len()) as u64 >= self.bytes_max {
                    break;
                }
                lines.extend_from_slice(line.as_bytes());
                lines.push(b'\n');
                count += 1;
            }
            if let Err(error) = file.write_all(&lines).and_then(|()| file.sync_data()) {
                // What is there of them would be there twice.
                file.set_len(start).ok();
                return Err(error);
            }
            rest = &rest[count..];
        }
        Ok(())
    }

    /// The file with room for so many bytes of this day.
    fn fresh(&self, day: i64, bytes: u64) -> io::Result<File> {
        let mut file = open(&self.path)?;
        mend(&mut file)?;
        let length = file.metadata()?.len();
        if length == 0 {
            return Ok(file);
        }
        let written = day_of_file(&file)?;
        // What comes late stays where it came.
        if day <= written && length + bytes < self.bytes_max {
            return Ok(file);
        }
        fs::rename(&self.path, self.name(written)?)?;
        self.forget()?;
        let file = open(&self.path)?;
        sync_folder(&self.path)?;
        Ok(file)
    }

    /// `alerts.2026-03-04.000001.ndjson` of `alerts.ndjson`.
    fn name(&self, day: i64) -> io::Result<PathBuf> {
        let (stem, extension) = self.parts();
        let name = |number| self.path.with_file_name(format!("{stem}.{}.{number:06}{extension}", date_text(day)));
        (1..FILES_OF_DAY_MAX)
            .map(name)
            .find(|name| !name.exists())
            .ok_or_else(|| io::Error::other("too many files of one day"))
    }

    fn parts(&self) -> (String, String) {
        let text = |part: Option<&std::ffi::OsStr>| part.map(|part| part.to_string_lossy().into_owned());
        let extension = text(self.path.extension()).map(|extension| format!(".{extension}")).unwrap_or_default();
        (text(self.path.file_stem()).unwrap_or_default(), extension)
    }

    /// Deletes the oldest of the renamed files; their names are in the order of time.
    fn forget(&self) -> io::Result<()> {
        if self.files_max == 0 {
            return Ok(());
        }
        let (stem, extension) = self.parts();
        let Some(folder) = self.path.parent() else { return Ok(()) };
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let is_ours = |name: &str| {
            let middle = name.strip_prefix(&format!("{stem}.")).and_then(|rest| rest.strip_suffix(&extension));
            middle.and_then(|middle| middle.split_once('.')).is_some_and(|(date, number)| {
                let is_made_of = |text: &str, others: &[u8]| {
                    text.bytes().all(|byte| byte.is_ascii_digit() || others.contains(&byte))
                };
                date.len() == 10 && is_made_of(date, b"-") && number.len() == 6 && is_made_of(number, b"")
            })
        };
        let mut names: Vec<String> = fs::read_dir(folder)?
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| is_ours(name))
            .collect();
        names.sort();
        let most = names.len().saturating_sub(self.files_max);
        names.iter().take(most).try_for_each(|name| fs::remove_file(folder.join(name)))
    }
}

/// Findings are nobody else's business: only owner and group read it.
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).read(true).mode(0o640).open(path)
}

fn sync_folder(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

/// The day at which it was last written to, UTC.
fn day_of_file(file: &File) -> io::Result<i64> {
    let modified = file.metadata()?.modified()?;
    let since = modified.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    Ok(i64::try_from(since.as_micros()).unwrap_or(i64::MAX) / DAY)
}

/// Takes away a last line without an end: the process ended while it wrote, so that nobody was told that it is delivered. What is
/// no line of ours gets its end instead.
fn mend(file: &mut File) -> io::Result<()> {
    let length = file.metadata()?.len();
    let begin = length.saturating_sub(TAIL_BYTES_MAX);
    if length == 0 {
        return Ok(());
    }
    let mut last = [0];
    file.seek(SeekFrom::End(-1))?;
    file.read_exact(&mut last)?;
    if last == [b'\n'] {
        return Ok(());
    }
    let mut tail = Vec::new();
    file.seek(SeekFrom::Start(begin))?;
    file.read_to_end(&mut tail)?;
    let end = tail.iter().rposition(|byte| *byte == b'\n').map(|place| place + 1);
    let line = end.or((begin == 0).then_some(0));
    match line {
        Some(place) if tail[place..].starts_with(b"{") => file.set_len(begin + place as u64),
        _ => file.write_all(b"\n"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::testing::{NOON, alert};

    fn log(folder: &Path, bytes_max: u64, files_max: usize) -> Log {
        Log { path: folder.join("alerts.ndjson"), bytes_max, files_max }
    }

    fn records(count: usize, time: i64) -> Vec<Record> {
        let record = |number: usize| {
            let mut alert = alert(&format!("{number}"));
            alert.recorded_time = time;
            RecordFormat::Json.records(&Message::Alert(Box::new(alert)), "", 1 << 20).unwrap().remove(0)
        };
        (0..count).map(record).collect()
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> =
            fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn full_files_are_renamed_and_the_oldest_go() {
        let folder = tempfile::tempdir().unwrap();
        let records = records(40, NOON);
        let line = records[0].line().len() as u64 + 1;
        let log = log(folder.path(), line * 6, 3);
        log.write(&records).unwrap();
        let names = names(folder.path());
        assert_eq!(names.len(), 4, "{names:?}");
        assert_eq!(names[3], "alerts.ndjson");
        let all: String = names.iter().map(|name| fs::read_to_string(folder.path().join(name)).unwrap()).collect();
        assert!(all.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));
        assert!(all.lines().last().unwrap().contains("39-finding"));
        for name in &names {
            assert!(fs::metadata(folder.path().join(name)).unwrap().len() < line * 6, "{name}");
        }
    }

    #[test]
    fn a_day_has_a_file_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let log = log(folder.path(), 1 << 30, 0);
        log.write(&records(1, NOON)).unwrap();
        let at = |micros: i64| std::time::UNIX_EPOCH + std::time::Duration::from_micros(micros.unsigned_abs());
        open(&log.path).unwrap().set_modified(at(NOON)).unwrap();
        log.write(&records(1, NOON + DAY)).unwrap();
        assert_eq!(names(folder.path()), ["alerts.2026-03-04.000001.ndjson", "alerts.ndjson"]);
    }

    #[test]
    fn a_torn_line_is_taken_away() {
        let folder = tempfile::tempdir().unwrap();
        let log = log(folder.path(), 1 << 30, 0);
        let check = |before: &str, kept: &str| {
            fs::write(&log.path, before).unwrap();
            log.write(&records(1, 0)).unwrap();
            let text = fs::read_to_string(&log.path).unwrap();
            assert_eq!(text, format!("{kept}{}\n", records(1, 0)[0].line()));
        };
        check("", "");
        check("{}\n", "{}\n");
        check("{}\n{\"alert\":", "{}\n");
        check("{\"alert\":", "");
        check("# notes", "# notes\n");
    }
}
