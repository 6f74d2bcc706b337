//! Which segments go when a cache outgrows its limit: those that no run used for the longest time.
//!
//! The time of last use is the segment's mtime. A segment of which a run used only a little does not count as used;
//! that little was copied into a new segment before (`BlockCache::finish`). Small segments are copied whole, into one.

use std::collections::{BTreeSet, HashMap};
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::checked_file;
use super::segment::list;

/// A run that used less than this part of a segment moves what it used elsewhere: 1/4.
const SPARSE_PART: u64 = 4;
/// Nothing is moved before the cache is this full: 1/2 of its limit. Till then old records are in nobody's way.
const PRESSURE_PART: u64 = 2;
/// Segments of runs that added little are joined beyond this number: each costs an open file and a read at the start.
const MAX_SMALL: usize = 64;
/// What counts as little.
const SMALL_BYTES: u64 = 4 << 20;
/// Only the process that holds a lock on this file drops segments.
const LOCK: &str = "evict.lock";

/// How much of each segment is known and how much of that one run used, in bytes.
#[derive(Debug, Default)]
pub(super) struct Used(HashMap<PathBuf, (u64, u64)>);

impl Used {
    /// Counts a record.
    pub(super) fn add(&mut self, segment: &Path, bytes: u64, used: bool) {
        let (known, in_use) = match self.0.get_mut(segment) {
            Some(counts) => counts,
            None => self.0.entry(segment.to_owned()).or_default(),
        };
        *known += bytes;
        *in_use += if used { bytes } else { 0 };
    }

    /// Returns the segments whose used records are to be copied, because the rest is in the way.
    pub(super) fn sparse(&self, total: u64, limit: u64) -> BTreeSet<PathBuf> {
        let pressure = total > limit / PRESSURE_PART;
        self.paths(|known, used| pressure && used > 0 && used < known / SPARSE_PART)
    }

    /// Returns the small segments that are to become one, if there are too many.
    pub(super) fn small(&self) -> BTreeSet<PathBuf> {
        let small = self.paths(|known, _| known < SMALL_BYTES);
        if small.len() > MAX_SMALL { small } else { BTreeSet::new() }
    }

    fn paths(&self, wanted: impl Fn(u64, u64) -> bool) -> BTreeSet<PathBuf> {
        self.0.iter().filter(|(_, (k, u))| wanted(*k, *u)).map(|(path, _)| path.clone()).collect()
    }

    /// Tells whether enough of a segment was used for it to stay.
    fn keeps(&self, segment: &Path) -> bool {
        self.0.get(segment).is_some_and(|(known, used)| *used > 0 && *used >= known / SPARSE_PART)
    }
}

/// Returns the bytes of all segments.
pub(super) fn size(dir: &Path) -> io::Result<u64> {
    let segments = list(dir)?;
    Ok(segments.iter().filter_map(|(_, path)| path.metadata().ok()).map(|m| m.len()).sum())
}

/// Marks what was used, drops the segments of which everything was copied, then the oldest until the rest is within the
/// limit.
pub(super) fn run(dir: &Path, limit: u64, used: &Used, copied: &BTreeSet<PathBuf>) -> io::Result<()> {
    let lock = File::create(dir.join(LOCK))?;
    match lock.try_lock() {
        Ok(()) | Err(TryLockError::Error(_)) => {}
        // Why: the other process does what there is to do.
        Err(TryLockError::WouldBlock) => return Ok(()),
    }
    let now = SystemTime::now();
    let mut segments = Vec::new();
    for (number, path) in list(dir)? {
        // Why: a cache is shared; what cannot be opened was dropped by another process.
        let Ok(file) = File::open(&path) else { continue };
        if used.keeps(&path) {
            file.set_modified(now)?;
        }
        let metadata = file.metadata()?;
        segments.push((metadata.modified()?, number, metadata.len(), path, file));
    }
    segments.sort_by_key(|(modified, number, ..)| (*modified, *number));
    let mut total: u64 = segments.iter().map(|(_, _, len, ..)| len).sum();
    for (_, _, len, path, file) in segments {
        if total <= limit && !copied.contains(&path) {
            continue;
        }
        // Why: the lock of the process that still writes it.
        if matches!(file.try_lock(), Err(TryLockError::WouldBlock)) {
            continue;
        }
        remove(&path)?;
        total -= len;
    }
    remove_partial(dir)
}

/// Removes what processes left behind that were killed while they replaced a small file.
fn remove_partial(dir: &Path) -> io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        if let Some(process) = checked_file::owner(&path)
            && !Path::new("/proc").join(process).exists()
        {
            remove(&path)?;
        }
    }
    Ok(())
}

/// Removes a file that its own process may remove or rename at the same time.
fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}
