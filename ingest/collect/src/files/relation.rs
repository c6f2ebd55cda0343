//! Whether one file is a copy of another that was read, wholly or so far. It compares bytes and decides nothing.

use crate::files::identity::{Fingerprint, Packing, WINDOW};
use crate::files::packed::PackedReader;
use crate::files::reader::{continues, head, read_at};
use crate::files::scan::Seen;
use crate::files::tracked::{Handle, Standing, Tracked};
use std::collections::BTreeMap;
use std::fs::File;
use std::io;

/// Bytes from the begin that are compared.
const COMPARED_BYTES: usize = 64 * 1024;

/// How much of a file was passed on already from the one that it is a copy of.
#[derive(Debug)]
pub(crate) struct Heritage {
    pub(crate) offset: u64,
    head: Fingerprint,
    tail: Fingerprint,
    is_skipping: bool,
}

impl Heritage {
    fn of(tracked: &Tracked) -> Self {
        Self {
            offset: tracked.state.offset,
            head: tracked.state.head.clone(),
            tail: tracked.state.tail.clone(),
            is_skipping: tracked.state.is_skipping,
        }
    }

    /// Lets a file begin after it.
    pub(crate) fn give(self, tracked: &mut Tracked) {
        tracked.state.offset = self.offset;
        tracked.state.head = self.head;
        tracked.state.tail = self.tail;
        tracked.state.is_skipping = self.is_skipping;
    }
}

/// Fingerprint of the bytes before an offset.
pub(crate) fn tail(file: &File, offset: u64) -> io::Result<Fingerprint> {
    let start = offset.saturating_sub(WINDOW as u64);
    let length = usize::try_from(offset - start).expect("it is at most the window");
    let mut buffer = Vec::new();
    read_at(file, start, length, &mut buffer)?;
    Ok(Fingerprint::of_tail(&buffer))
}

/// A file that ended under this inode and whose bytes are still there: it came back, as after a folder was mounted again.
pub(crate) fn revived(files: &BTreeMap<u64, Tracked>, seen: &Seen, file: &File) -> io::Result<Option<u64>> {
    for (&number, tracked) in files.iter().rev() {
        let state = &tracked.state;
        let is_candidate = tracked.standing == Standing::Ended
            && tracked.packing == Packing::Plain
            && state.at == seen.at
            && !state.is_erased
            && state.offset > 0
            && state.offset <= seen.size;
        if is_candidate && continues(file, state.offset, &state.head, &state.tail)? {
            return Ok(Some(number));
        }
    }
    Ok(None)
}

/// Plain files of which `tracked` may be a copy: of its family. A copy has another name; a plain one lies in the same folder.
fn candidates<'a>(
    files: &'a BTreeMap<u64, Tracked>,
    tracked: &'a Tracked,
) -> impl Iterator<Item = (u64, &'a Tracked)> + 'a {
    files.iter().rev().map(|(&number, other)| (number, other)).filter(|(_, other)| {
        let is_beside =
            || other.state.at != tracked.state.at && other.state.path.parent() == tracked.state.path.parent();
        other.packing == Packing::Plain
            && other.family == tracked.family
            && other.state.path != tracked.state.path
            && (tracked.packing != Packing::Plain || is_beside())
    })
}

/// The file that is followed and that this plain one is a copy of so far.
pub(crate) fn original(files: &BTreeMap<u64, Tracked>, tracked: &Tracked, file: &File) -> io::Result<Option<u64>> {
    let followed = candidates(files, tracked).filter(|(_, other)| other.standing == Standing::Follow && other.size > 0);
    for (number, _) in followed {
        if is_copy(files, number, file)? {
            return Ok(Some(number));
        }
    }
    Ok(None)
}

/// Whether a plain file holds nothing but the first bytes of another one that is followed.
pub(crate) fn is_copy(files: &BTreeMap<u64, Tracked>, original: u64, file: &File) -> io::Result<bool> {
    let Some(original) = files.get(&original) else { return Ok(false) };
    let opened;
    let other = match &original.handle {
        Handle::Plain(other) => other,
        Handle::Packed(_) => return Ok(false),
        Handle::Closed => {
            // It is not where it was: what became of it, and of its copies, is decided once that is known.
            let Ok(file) = File::open(&original.state.path) else { return Ok(true) };
            opened = file;
            &opened
        }
    };
    // The size of the copy comes first: the original only grows while it is one.
    let size = file.metadata()?.len();
    if size == 0 {
        // Nothing was written to it yet: the next look tells more.
        return Ok(true);
    }
    if size > other.metadata()?.len() {
        return is_replaced(original, other);
    }
    let (mut one, mut two) = (Vec::new(), Vec::new());
    read_at(file, 0, COMPARED_BYTES, &mut one)?;
    read_at(other, 0, one.len(), &mut two)?;
    let is_same_begin = one == two;
    let is_same_end = is_same_begin && tail(file, size)? == tail(other, size)?;
    Ok(is_same_end || is_replaced(original, other)?)
}

/// Whether the original itself was emptied meanwhile, so that a comparison says nothing: what comes of its copy is decided
/// once that is noticed.
fn is_replaced(original: &Tracked, file: &File) -> io::Result<bool> {
    let state = &original.state;
    Ok(!continues(file, state.offset, &state.head, &state.tail)?)
}

/// What of a plain file was passed on already, from a file that ended and that it is a copy of.
pub(crate) fn heritage(files: &BTreeMap<u64, Tracked>, tracked: &Tracked, file: &File) -> io::Result<Option<Heritage>> {
    let size = file.metadata()?.len();
    let mut best: Option<Heritage> = None;
    let ended = |other: &Tracked| other.standing == Standing::Ended && other.state.offset > 0;
    for (_, other) in candidates(files, tracked).filter(|(_, other)| ended(other)) {
        let state = &other.state;
        let is_more = best.as_ref().is_none_or(|best| best.offset < state.offset);
        if is_more && state.offset <= size && continues(file, state.offset, &state.head, &state.tail)? {
            best = Some(Heritage::of(other));
        }
    }
    Ok(best)
}

/// As [`heritage`], for a file that was held to be a copy until its original ended: where it begins alike and is shorter than
/// what was read of that, nothing of it is new.
pub(crate) fn heritage_of_copy(
    files: &BTreeMap<u64, Tracked>,
    original: u64,
    tracked: &Tracked,
    file: &File,
) -> io::Result<Option<Heritage>> {
    let heritage = heritage(files, tracked, file)?;
    let size = file.metadata()?.len();
    match files.get(&original) {
        Some(original)
            if heritage.is_none()
                && original.state.offset > size
                && continues(file, 0, &original.state.head, &Fingerprint::default())? =>
        {
            Ok(Some(Heritage { offset: size, head: head(file, size)?, tail: tail(file, size)?, is_skipping: false }))
        }
        _ => Ok(heritage),
    }
}

/// What of the file at `seen`, plain or packed, was passed on already from `tracked`. None: it is no copy.
pub(crate) fn inherit(tracked: &Tracked, seen: &Seen) -> io::Result<Option<Heritage>> {
    let packing = Packing::of(&seen.path);
    let file = File::open(&seen.path)?;
    let state = &tracked.state;
    let is_heir = if packing == Packing::Plain {
        state.offset <= seen.size && continues(&file, state.offset, &state.head, &state.tail)?
    } else {
        is_packed_copy(&mut PackedReader::open(file, packing)?, tracked)?
    };
    Ok(is_heir.then(|| Heritage::of(tracked)))
}

/// Whether a packed file begins with all that was passed on of a plain one. Passes over that much of it.
fn is_packed_copy(reader: &mut PackedReader, tracked: &Tracked) -> io::Result<bool> {
    let state = &tracked.state;
    Ok(state.head.begins(reader.first())
        && reader.skip(state.offset, state.is_skipping)?
        && state.tail.ends(reader.last()))
}

/// What a packed file is.
#[derive(Debug)]
pub(crate) enum PackedRelation {
    /// A copy of one that is still followed: wait until that ends.
    Wait,
    /// A copy of one that ended, of which this much was passed on.
    Heir(Heritage),
    /// None of these.
    New,
}

/// Finds out what a packed file is. Files that are damaged further on count by what can be read.
pub(crate) fn packed_relation(files: &BTreeMap<u64, Tracked>, tracked: &Tracked) -> io::Result<PackedRelation> {
    let open = || PackedReader::open(File::open(&tracked.state.path)?, tracked.packing);
    let first = open()?;
    let mut best: Option<&Tracked> = None;
    let begins = |other: &Tracked| other.state.offset > 0 && other.state.head.begins(first.first());
    for (_, other) in candidates(files, tracked).filter(|(_, other)| begins(other)) {
        match other.standing {
            Standing::Follow if is_packed_copy_so_far(&first, other)? => return Ok(PackedRelation::Wait),
            Standing::Ended
                if best.is_none_or(|best| best.state.offset < other.state.offset)
                    && is_packed_copy(&mut open()?, other)? =>
            {
                best = Some(other);
            }
            _ => {}
        }
    }
    Ok(best.map_or(PackedRelation::New, |best| PackedRelation::Heir(Heritage::of(best))))
}

/// Whether a packed file begins as one that is followed does, or whether that can only be told later, because the one that is
/// followed is not where it was.
fn is_packed_copy_so_far(reader: &PackedReader, original: &Tracked) -> io::Result<bool> {
    let opened;
    let other = match &original.handle {
        Handle::Plain(other) => other,
        Handle::Packed(_) => return Ok(false),
        Handle::Closed => {
            let Ok(file) = File::open(&original.state.path) else { return Ok(true) };
            opened = file;
            &opened
        }
    };
    let mut begin = Vec::new();
    read_at(other, 0, reader.first().len(), &mut begin)?;
    Ok(begin == reader.first() || is_replaced(original, other)?)
}
