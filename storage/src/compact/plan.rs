//! Which files are rewritten together. Pure: files in, groups out. Not the rewriting.
//!
//! A file is small below half of the target. Small files whose rows all end within one hour are grouped by that hour, so
//! that what is rewritten together is queried together; a group makes one file. While an hour lasts, only files of like
//! size (within a factor of eight) are merged, and only many of them, so that a row is rewritten a few times and not once
//! for each commit; when the hour is over a few are enough, and when the day is over all become one. Files that mix hours
//! are split by hour, but only where that does not make more files than there were.

use std::collections::BTreeMap;
use tradewind_model::time::{DAY, HOUR};

/// What decides how files are grouped.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Rows of a file that is made, at most.
    pub(super) rows_max: i64,
    /// Bytes of the files of a group together, at most.
    pub(super) bytes_max: i64,
    /// Files of a group, at most.
    pub(super) files_max: usize,
    /// Files of like size that make a group while their hour lasts.
    pub(super) files_min: usize,
}

/// A data file of a table, as its log describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FileInfo {
    /// Path below the table's folder.
    pub(super) path: String,
    pub(super) bytes: i64,
    pub(super) rows: i64,
    /// Value of the partition column.
    pub(super) partition: Option<String>,
    /// Start of the partition's day in microseconds, where it is partitioned by date.
    pub(super) day: Option<i64>,
    /// The first and last hour in which its rows end, as hours since 1970; none where that is not known.
    pub(super) hours: Option<(i64, i64)>,
}

/// Files that become one, or one for each hour.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) partition: Option<String>,
    pub(super) files: Vec<FileInfo>,
}

/// What the files of one class share. `has_hours`: whether the table is kept by hours at all.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Class {
    partition: Option<String>,
    /// None: they mix hours.
    hour: Option<i64>,
    tier: u32,
}

/// Groups the files of a table. `now` is in microseconds UTC.
pub(super) fn groups(files: Vec<FileInfo>, has_hours: bool, now: i64, limits: Limits) -> Vec<Group> {
    let mut classes: BTreeMap<Class, Vec<FileInfo>> = BTreeMap::new();
    for file in files {
        if file.rows >= limits.rows_max / 2 || file.bytes >= limits.bytes_max / 2 {
            continue;
        }
        let hour = file.hours.filter(|(first, last)| first == last).map(|(first, _)| first);
        // By size only while it is likely that more files come.
        let tier = if is_over(&file, now) { 0 } else { file.rows.max(1).ilog2() / 3 };
        let class = Class { partition: file.partition.clone(), hour, tier };
        classes.entry(class).or_default().push(file);
    }
    let mut groups = Vec::new();
    for (class, mut files) in classes {
        files.sort_by(|left, right| left.path.cmp(&right.path));
        let is_mixed = has_hours && class.hour.is_none();
        for chunk in chunks(files, limits) {
            if chunk.len() >= files_min(&chunk, &class, is_mixed, now, limits) {
                groups.push(Group { partition: class.partition.clone(), files: chunk });
            }
        }
    }
    groups
}

/// Whether the file's day ended more than a day ago.
fn is_over(file: &FileInfo, now: i64) -> bool {
    file.day.is_some_and(|day| day.saturating_add(2 * DAY) <= now)
}

/// How many files are worth a rewrite.
fn files_min(files: &[FileInfo], class: &Class, is_mixed: bool, now: i64, limits: Limits) -> usize {
    if is_mixed {
        return limits.files_min.max(2 * hours_of(files));
    }
    let is_past = match class.hour {
        Some(hour) => hour.saturating_add(2).saturating_mul(HOUR) <= now,
        None => files.iter().all(|file| is_over(file, now)),
    };
    if is_past { 2 } else { limits.files_min.max(2) }
}

/// How many files a group that mixes hours may become.
fn hours_of(files: &[FileInfo]) -> usize {
    let known = |file: &FileInfo| file.hours;
    if files.iter().any(|file| known(file).is_none()) {
        return 24;
    }
    let first = files.iter().filter_map(known).map(|hours| hours.0).min().unwrap_or_default();
    let last = files.iter().filter_map(known).map(|hours| hours.1).max().unwrap_or_default();
    usize::try_from(last.saturating_sub(first).saturating_add(1)).unwrap_or(24).clamp(1, 25)
}

/// Cuts files into groups that make one file each.
fn chunks(files: Vec<FileInfo>, limits: Limits) -> Vec<Vec<FileInfo>> {
    let mut chunks: Vec<Vec<FileInfo>> = Vec::new();
    let (mut rows, mut bytes) = (0_i64, 0_i64);
    for file in files {
        rows = rows.saturating_add(file.rows);
        bytes = bytes.saturating_add(file.bytes);
        match chunks.last_mut() {
            Some(chunk) if chunk.len() < limits.files_max && rows <= limits.rows_max && bytes <= limits.bytes_max => {
                chunk.push(file);
            }
            _ => {
                (rows, bytes) = (file.rows, file.bytes);
                chunks.push(vec![file]);
            }
        }
    }
    chunks
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits { rows_max: 1000, bytes_max: 1 << 20, files_max: 10, files_min: 4 };
    /// 2026-03-01T00:00:00Z, in hours.
    const MIDNIGHT: i64 = 492_312;

    fn file(name: usize, rows: i64, hours: Option<(i64, i64)>) -> FileInfo {
        FileInfo {
            path: format!("{name:03}"),
            bytes: rows,
            rows,
            partition: Some("2026-03-01".to_owned()),
            day: Some(MIDNIGHT * HOUR),
            hours: hours.map(|(first, last)| (MIDNIGHT + first, MIDNIGHT + last)),
        }
    }

    /// The groups as `names` of their files, at an hour of 2026-03-01.
    fn check(files: &[(i64, Option<(i64, i64)>)], at_hour: i64, expected: &[&[usize]]) {
        let files: Vec<_> = files.iter().enumerate().map(|(name, &(rows, hours))| file(name, rows, hours)).collect();
        let now = (MIDNIGHT + at_hour) * HOUR + HOUR / 2;
        let found: Vec<Vec<usize>> = groups(files, true, now, LIMITS)
            .iter()
            .map(|group| group.files.iter().filter_map(|file| file.path.parse().ok()).collect())
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn an_hour_that_lasts_waits_for_many_files_of_like_size() {
        let h = Some((5, 5));
        check(&[(10, h), (10, h), (10, h)], 5, &[]);
        check(&[(10, h), (10, h), (10, h), (10, h)], 5, &[&[0, 1, 2, 3]]);
        check(&[(10, h), (10, h), (10, h), (400, h)], 5, &[]);
    }

    #[test]
    fn an_hour_that_is_over_needs_two_and_a_day_that_is_over_does_not_ask_for_size() {
        let h = Some((5, 5));
        check(&[(10, h), (10, h)], 6, &[]);
        check(&[(10, h), (10, h)], 7, &[&[0, 1]]);
        check(&[(10, h), (400, h)], 7, &[]);
        check(&[(10, h), (400, h)], 48, &[&[0, 1]]);
        check(&[(10, h)], 48, &[]);
    }

    #[test]
    fn hours_are_not_mixed() {
        check(
            &[(10, Some((1, 1))), (10, Some((2, 2))), (10, Some((1, 1))), (10, Some((2, 2)))],
            23,
            &[&[0, 2], &[1, 3]],
        );
    }

    #[test]
    fn files_that_mix_hours_are_split_only_where_it_makes_fewer() {
        let h = Some((1, 2));
        check(&[(10, h), (10, h), (10, h)], 23, &[]);
        check(&[(10, h), (10, h), (10, h), (10, h)], 23, &[&[0, 1, 2, 3]]);
        let wide = Some((0, 23));
        check(&vec![(10, wide); 9], 23, &[]);
        check(&[(10, None); 9], 23, &[]);
    }

    #[test]
    fn large_files_stay_and_groups_make_one_file() {
        let h = Some((1, 1));
        check(&[(500, h), (600, h), (10, h), (10, h)], 48, &[&[2, 3]]);
        check(&[(400, h), (400, h), (400, h), (400, h)], 48, &[&[0, 1], &[2, 3]]);
        let twelve: Vec<_> = vec![(1, h); 12];
        check(&twelve, 48, &[&[0, 1, 2, 3, 4, 5, 6, 7, 8, 9], &[10, 11]]);
    }

    #[test]
    fn tables_without_hours_are_grouped_by_day() {
        let files: Vec<_> = (0..5).map(|name| file(name, 10, None)).collect();
        assert_eq!(groups(files.clone(), false, (MIDNIGHT + 1) * HOUR, LIMITS).len(), 1);
        assert_eq!(groups(files[..2].to_vec(), false, (MIDNIGHT + 1) * HOUR, LIMITS).len(), 0);
        assert_eq!(groups(files[..2].to_vec(), false, (MIDNIGHT + 48) * HOUR, LIMITS).len(), 1);
    }
}
