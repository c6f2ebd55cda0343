//! All files of a source: which is which after a look at the folders. Reading them is not its matter.

use crate::counters::{CollectCounters, add, set};
use crate::files::identity::{Inode, Packing};
use crate::files::scan::{Scanner, Seen, advice, siblings};
use crate::files::settings::{FileSettings, StartSetting};
use crate::files::state::FileState;
use crate::files::tracked::{Handle, Standing, Tracked};
use crate::files::{reader, relation};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tracing::{info, warn};
use tradewind_model::Clock;

/// Files by number; the order of numbers is the order in which they were found, the oldest first.
#[derive(Debug)]
pub(crate) struct Catalogue {
    pub(crate) files: BTreeMap<u64, Tracked>,
    /// Which file an inode holds now.
    live: HashMap<Inode, u64>,
    next: u64,
    scanner: Scanner,
    settings: FileSettings,
    clock: Arc<dyn Clock>,
    counters: Arc<CollectCounters>,
    /// Whether the source never ran before and this is its first look.
    is_first_look: bool,
    /// Files that cannot be opened, told once.
    warned: BTreeSet<PathBuf>,
    is_full: bool,
    /// Checkpoints to remove.
    pub(crate) forgotten: Vec<FileState>,
}

impl Catalogue {
    /// Files as they were remembered. `is_first`: the source never ran before.
    pub(crate) fn new(
        settings: &FileSettings,
        states: Vec<FileState>,
        is_first: bool,
        clock: Arc<dyn Clock>,
        counters: Arc<CollectCounters>,
        now: Instant,
    ) -> Self {
        let mut catalogue = Self {
            files: BTreeMap::new(),
            live: HashMap::new(),
            next: 0,
            scanner: Scanner::new(&settings.paths, &settings.exclude),
            settings: settings.clone(),
            clock,
            counters,
            is_first_look: is_first,
            warned: BTreeSet::new(),
            is_full: false,
            forgotten: Vec::new(),
        };
        for state in states {
            let size = state.packed_size.unwrap_or(state.offset);
            let mut tracked = Tracked::new(state, size, SystemTime::UNIX_EPOCH, now);
            tracked.is_dirty = false;
            catalogue.add(tracked);
        }
        catalogue
    }

    /// Adds a file. Ended plain ones are only remembered; their inode may hold another one.
    fn add(&mut self, tracked: Tracked) -> u64 {
        let number = self.next;
        self.next += 1;
        if tracked.packing != Packing::Plain || tracked.standing != Standing::Ended {
            self.live.insert(tracked.state.at, number);
        }
        self.files.insert(number, tracked);
        number
    }

    fn new_state(&self, seen: &Seen) -> FileState {
        let now = self.clock.now();
        let what = format!("{}:{}:{now}:{}:{}", seen.at.device, seen.at.inode, self.next, seen.path.display());
        let id = blake3::hash(what.as_bytes()).to_hex()[..16].to_owned();
        FileState::new(id, seen.at, seen.path.clone(), now)
    }

    /// Looks at the folders: finds new files, new names, and what is gone.
    pub(crate) fn look(&mut self, now: Instant) {
        let (seen, is_complete) = self.scanner.scan();
        let mut found = BTreeSet::new();
        let mut failed = BTreeSet::new();
        for seen in seen {
            found.insert(seen.at);
            if let Some(number) = self.live.get(&seen.at).copied().filter(|number| self.is_still(*number, &seen)) {
                if let Some(tracked) = self.files.get_mut(&number) {
                    tracked.found(&seen, now);
                }
            } else if let Err(error) = self.discover(&seen, now) {
                if !self.warned.contains(&seen.path) {
                    warn!(path = %seen.path.display(), %error, "{}", advice(&error));
                    add(&self.counters.files_failed, 1);
                }
                failed.insert(seen.path);
            }
        }
        self.warned = failed;
        if is_complete {
            self.note_gone(&found, now);
        }
        self.resolve_copies(now);
        self.close_idle();
        self.forget(now);
        self.is_first_look = false;
        let followed = self.files.values().filter(|file| matches!(file.standing, Standing::Follow | Standing::Settle));
        set(&self.counters.files, followed.count() as u64);
        set(&self.counters.files_lag_bytes, self.files.values().map(Tracked::lag).sum());
    }

    /// Whether an inode still holds the packed file that it held: these are written once.
    fn is_still(&mut self, number: u64, seen: &Seen) -> bool {
        let Some(tracked) = self.files.get_mut(&number) else { return false };
        let is_still = match (tracked.packing, Packing::of(&seen.path)) {
            (Packing::Plain, Packing::Plain) => true,
            (Packing::Plain, _) | (_, Packing::Plain) => tracked.packing == Packing::of(&seen.path),
            _ => tracked.standing != Standing::Ended || tracked.state.packed_size == Some(seen.size),
        };
        if !is_still {
            tracked.end();
            self.live.remove(&seen.at);
        }
        is_still
    }

    /// Takes up a file that is not followed.
    fn discover(&mut self, seen: &Seen, now: Instant) -> std::io::Result<()> {
        if self.live.len() >= self.settings.files_max {
            if !std::mem::replace(&mut self.is_full, true) {
                warn!(limit = self.settings.files_max, "more files than `files_max`; new ones are left out");
            }
            return Ok(());
        }
        self.is_full = false;
        let wants_end = self.is_first_look && self.settings.start == StartSetting::End;
        let mut tracked = Tracked::new(self.new_state(seen), seen.size, seen.modified, now);
        if tracked.packing != Packing::Plain {
            if wants_end {
                tracked.end();
                tracked.state.packed_size = Some(seen.size);
            }
            self.add(tracked);
            return Ok(());
        }
        let file = File::open(&seen.path)?;
        if Inode::of(&file.metadata()?) != seen.at {
            // Another file took the name between the two looks; the next look finds it.
            return Ok(());
        }
        if let Some(number) = relation::revived(&self.files, seen, &file)? {
            if let Some(earlier) = self.files.get_mut(&number) {
                (earlier.standing, earlier.handle, earlier.state.is_ended) =
                    (Standing::Follow, Handle::Plain(file), false);
                earlier.is_dirty = true;
                earlier.found(seen, now);
                earlier.is_fresh = true;
                self.live.insert(seen.at, number);
            }
            return Ok(());
        }
        if wants_end {
            tracked.state.offset = reader::after_last_line(&file, file.metadata()?.len())?;
            tracked.state.head = reader::head(&file, tracked.state.offset)?;
            tracked.state.tail = relation::tail(&file, tracked.state.offset)?;
        } else if let Some(original) = relation::original(&self.files, &tracked, &file)? {
            tracked.standing = Standing::Copy(original);
            tracked.is_dirty = false;
        } else if let Some(heritage) = relation::heritage(&self.files, &tracked, &file)? {
            info!(path = %seen.path.display(), offset = heritage.offset, "file is a copy of one that was read so far");
            heritage.give(&mut tracked);
        }
        tracked.handle = Handle::Plain(file);
        self.add(tracked);
        Ok(())
    }

    /// Files that are not found any more: they are read to their end while they are open, else looked for.
    fn note_gone(&mut self, found: &BTreeSet<Inode>, now: Instant) {
        let missing: Vec<u64> = self
            .files
            .iter()
            .filter(|(number, file)| !found.contains(&file.state.at) || self.live.get(&file.state.at) != Some(*number))
            .map(|(&number, _)| number)
            .collect();
        for number in missing {
            let Some(tracked) = self.files.get_mut(&number) else { continue };
            let gone = *tracked.gone.get_or_insert(now);
            let is_over = now.duration_since(gone) >= Duration::from_millis(self.settings.rotate_wait_ms);
            if matches!(tracked.standing, Standing::Copy(_)) && is_over {
                self.drop_file(number);
                continue;
            }
            if tracked.standing == Standing::Ended || !matches!(tracked.handle, Handle::Closed) {
                continue;
            }
            let is_found = self.seek_out(number, now);
            if !is_found && is_over {
                self.give_up(number);
            }
        }
    }

    /// Looks beside a file that is gone for its inode, or for a copy of it.
    fn seek_out(&mut self, number: u64, now: Instant) -> bool {
        let Some(tracked) = self.files.get_mut(&number) else { return false };
        let beside = siblings(&tracked.state.path, tracked.state.at);
        let same =
            beside.into_iter().find(|seen| seen.at == tracked.state.at && Packing::of(&seen.path) == tracked.packing);
        if let Some(seen) = same {
            if tracked.state.path != seen.path {
                tracked.rename(seen.path);
            }
            tracked.look(seen.size, seen.modified, now);
            // A packed file is opened once it is complete.
            if tracked.packing != Packing::Plain
                || seen.size >= tracked.state.offset && matches!(tracked.open(), Ok(true))
            {
                return true;
            }
        }
        self.adopt(number, now)
    }

    /// Takes up copies, beside it, of a file whose own bytes cannot be read any more. Whether there is one.
    pub(crate) fn adopt(&mut self, number: u64, now: Instant) -> bool {
        let Some(tracked) = self.files.get(&number) else { return false };
        if tracked.state.offset == 0 || tracked.packing != Packing::Plain {
            return false;
        }
        let mut beside = siblings(&tracked.state.path, tracked.state.at);
        beside.retain(|seen| seen.path != tracked.state.path && !self.live.contains_key(&seen.at));
        beside.sort_by_key(|seen| Packing::of(&seen.path) != Packing::Plain);
        for seen in beside {
            let mut heir = Tracked::new(self.new_state(&seen), seen.size, seen.modified, now);
            let Some(tracked) = self.files.get_mut(&number) else { return false };
            match relation::inherit(tracked, &seen) {
                Ok(Some(heritage)) => {
                    info!(from = %tracked.state.path.display(), to = %seen.path.display(), "reading on in a rotated copy");
                    tracked.end();
                    self.live.remove(&tracked.state.at);
                    heritage.give(&mut heir);
                    heir.gone = Some(now);
                    self.add(heir);
                    return true;
                }
                Ok(None) => {}
                Err(error) => warn!(path = %seen.path.display(), %error, "{}", advice(&error)),
            }
        }
        false
    }

    /// A file cannot be found: what was not read of it is lost, if there was anything.
    fn give_up(&mut self, number: u64) {
        let Some(tracked) = self.files.get_mut(&number) else { return };
        let (path, offset) = (tracked.state.path.display(), tracked.state.offset);
        warn!(%path, offset, "file is gone and no rotated copy of it was found; lines after the offset may be lost");
        add(&self.counters.files_vanished, 1);
        tracked.end();
        self.live.remove(&tracked.state.at);
    }

    /// A file was emptied or written anew in place: what it held is looked for, and it begins anew.
    pub(crate) fn replaced(&mut self, number: u64, now: Instant) {
        let Some(tracked) = self.files.get_mut(&number) else { return };
        info!(path = %tracked.state.path.display(), offset = tracked.state.offset, "file was shortened or written anew");
        add(&self.counters.files_truncated, 1);
        let at = tracked.state.at;
        tracked.end();
        tracked.state.is_erased = true;
        self.live.remove(&at);
        let was_copied = self.files.values().any(|file| file.standing == Standing::Copy(number));
        if !was_copied && !self.adopt(number, now) {
            info!("no copy of what the file held was found; lines since the last look may be lost");
        }
        self.look(now);
    }

    /// A file was read to its end and is not found any more.
    pub(crate) fn finish(&mut self, number: u64) {
        let Some(tracked) = self.files.get_mut(&number) else { return };
        if let Handle::Plain(file) = &tracked.handle {
            tracked.state.is_erased = file.metadata().is_ok_and(|metadata| metadata.nlink() == 0);
        }
        tracked.end();
        if tracked.packing == Packing::Plain {
            self.live.remove(&tracked.state.at);
        }
    }

    /// A file is not the one that it was held to be: what its inode holds now is taken up as new.
    pub(crate) fn displaced(&mut self, number: u64) {
        let Some(tracked) = self.files.get_mut(&number) else { return };
        tracked.end();
        self.live.remove(&tracked.state.at);
    }

    /// Decides about copies whose original ended, or which are none.
    fn resolve_copies(&mut self, now: Instant) {
        let copies: Vec<(u64, u64)> = self
            .files
            .iter()
            .filter_map(|(&number, file)| match file.standing {
                Standing::Copy(original) => Some((number, original)),
                _ => None,
            })
            .collect();
        for (number, original) in copies {
            let Some(tracked) = self.files.get(&number) else { continue };
            let Handle::Plain(file) = &tracked.handle else { continue };
            let is_alive = self.files.get(&original).is_some_and(|original| original.standing == Standing::Follow);
            let heritage = if is_alive {
                match relation::is_copy(&self.files, original, file) {
                    Ok(false) => None,
                    Ok(true) | Err(_) => continue,
                }
            } else {
                match relation::heritage_of_copy(&self.files, original, tracked, file) {
                    Ok(heritage) => heritage,
                    Err(_) => continue,
                }
            };
            if let Some(tracked) = self.files.get_mut(&number) {
                if let Some(heritage) = heritage {
                    heritage.give(tracked);
                }
                (tracked.standing, tracked.is_dirty, tracked.is_fresh) = (Standing::Follow, true, true);
                tracked.changed = now;
            }
        }
    }

    /// Closes files that were read to their end, those first that changed longest ago, while too many are open.
    fn close_idle(&mut self) {
        let is_open = |file: &Tracked| !matches!(file.handle, Handle::Closed);
        let open = self.files.values().filter(|file| is_open(file)).count();
        let mut idle: Vec<(Instant, u64)> = self
            .files
            .iter()
            .filter(|(_, file)| matches!(file.handle, Handle::Plain(_)) && file.standing == Standing::Follow)
            .filter(|(_, file)| file.gone.is_none() && !file.is_fresh && file.lag() == 0)
            .map(|(&number, file)| (file.changed, number))
            .collect();
        idle.sort_unstable();
        for (_, number) in idle.into_iter().take(open.saturating_sub(self.settings.open_files_max)) {
            if let Some(tracked) = self.files.get_mut(&number) {
                tracked.handle = Handle::Closed;
            }
        }
    }

    /// Forgets files that ended and were not found for a long time.
    fn forget(&mut self, now: Instant) {
        const GONE_MIN: Duration = Duration::from_secs(3600);
        let age = i64::try_from(self.settings.forget_after_s).unwrap_or(i64::MAX).saturating_mul(1_000_000);
        let before = self.clock.now().saturating_sub(age);
        let old: Vec<u64> = self
            .files
            .iter()
            .filter(|(_, file)| file.standing == Standing::Ended && file.state.written < before)
            .filter(|(_, file)| file.gone.is_some_and(|gone| now.duration_since(gone) >= GONE_MIN))
            .map(|(&number, _)| number)
            .collect();
        for number in old {
            self.drop_file(number);
        }
    }

    fn drop_file(&mut self, number: u64) {
        let Some(tracked) = self.files.remove(&number) else { return };
        if self.live.get(&tracked.state.at) == Some(&number) {
            self.live.remove(&tracked.state.at);
        }
        self.forgotten.push(tracked.state);
    }

    pub(crate) const fn rotate_wait(&self) -> Duration {
        Duration::from_millis(self.settings.rotate_wait_ms)
    }
}
