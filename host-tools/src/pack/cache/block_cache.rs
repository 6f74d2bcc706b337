//! Compressed blocks of earlier runs and of this one.
//!
//! Every process appends to segments of its own and reads those that others completed, so nothing is ever locked for
//! long. What is too old is dropped a whole segment at a time; see `evict`.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::evict::{self, Used};
use super::key::{Hash, Key};
use super::segment::{Appender, Place, Segment, list};
use crate::pack::compress::Encoded;

/// Length of a segment: small against the limit, so that dropping one drops little, and large against what a run
/// with few changes adds.
const SEGMENT_BYTES: u64 = 64 << 20;
/// With a large limit, this many segments instead of more and more: each keeps a file open.
const SEGMENTS_PER_LIMIT: u64 = 64;
/// Records that are held in memory, 100 bytes each: 128 GiB of blocks of the usual size.
const MAX_RECORDS: usize = 4 << 20;
/// Others may not write to a cache: `S_IWOTH`.
const WRITABLE_BY_OTHERS: u32 = 0o002;

/// What a cache did in one run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Blocks that were there.
    pub hits: u64,
    /// Blocks that were not.
    pub misses: u64,
    /// Blocks that were put.
    pub added: u64,
    /// Blocks whose bytes were not the ones that were put; they count as misses too.
    pub corrupt: u64,
    /// The first trouble, in words; nothing was added after it.
    pub warning: Option<String>,
}

/// Compressed blocks of earlier runs and of this one; shared by all workers.
#[derive(Debug)]
pub struct BlockCache {
    dir: PathBuf,
    limit_bytes: u64,
    records: Mutex<Records>,
    writer: Mutex<Writer>,
}

#[derive(Debug, Default)]
struct Records {
    places: HashMap<Key, Record>,
    report: Report,
}

#[derive(Debug)]
struct Record {
    segment: Arc<Segment>,
    place: Place,
    used: bool,
}

#[derive(Debug, Default)]
struct Writer {
    open: Option<Appender>,
    added_bytes: u64,
    stopped: bool,
}

impl BlockCache {
    /// Opens the cache in `dir`, which is made when it is missing, and lets it take `limit_bytes`.
    ///
    /// Other processes may use it at the same time; each finds what the others completed before it was opened.
    ///
    /// # Errors
    /// When the directory cannot be made or read, or others may write to it. A directory that can only be read
    /// serves; it gets no new blocks.
    pub fn open(dir: &Path, limit_bytes: u64) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let metadata = std::fs::metadata(dir)?;
        let own = [rustix::process::geteuid().as_raw(), 0].contains(&metadata.uid());
        if !own || metadata.mode() & WRITABLE_BY_OTHERS != 0 {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                "others may write to this directory, so its blocks cannot be trusted",
            ));
        }
        let mut places = HashMap::new();
        // Why: newest first, because of the limit and because a block is put again when its old record is damaged.
        for (_, path) in list(dir)?.into_iter().rev() {
            let mut found = Vec::new();
            let segment = match Segment::open(&path, |key, place| found.push((key, place))) {
                Ok(Some(segment)) => Arc::new(segment),
                Ok(None) => continue,
                // Why: another process may have dropped it meanwhile; what cannot be read is not there.
                Err(_) => continue,
            };
            for (key, place) in found {
                if places.len() < MAX_RECORDS
                    && let Entry::Vacant(entry) = places.entry(key)
                {
                    entry.insert(Record { segment: Arc::clone(&segment), place, used: false });
                }
            }
        }
        Ok(Self {
            dir: dir.to_owned(),
            limit_bytes,
            records: Mutex::new(Records { places, report: Report::default() }),
            writer: Mutex::default(),
        })
    }

    /// Tells how many bytes a block has here, without reading them; [`BlockCache::get`] may still find none.
    #[must_use]
    pub fn payload_len(&self, key: &Key) -> Option<u32> {
        lock(&self.records).places.get(key).map(|r| r.place.len)
    }

    /// Reads the bytes of a block into `out`, which is emptied first. They are what was put.
    ///
    /// For [`Encoded::Stored`] these are the raw bytes.
    #[must_use]
    pub fn get(&self, key: &Key, out: &mut Vec<u8>) -> Option<Encoded> {
        self.get_with_hash(key, out).map(|(encoded, _)| encoded)
    }

    /// As [`BlockCache::get`], with the hash of the bytes, which were checked against it.
    #[must_use]
    pub fn get_with_hash(&self, key: &Key, out: &mut Vec<u8>) -> Option<(Encoded, Hash)> {
        out.clear();
        let found = lock(&self.records).places.get(key).map(|r| (Arc::clone(&r.segment), r.place));
        let sound = found.as_ref().is_some_and(|(segment, place)| segment.read(place, out));
        let mut records = lock(&self.records);
        match found {
            Some((_, place)) if sound => {
                records.report.hits += 1;
                if let Some(record) = records.places.get_mut(key) {
                    record.used = true;
                }
                Some((place.encoded, place.hash))
            }
            found => {
                records.report.misses += 1;
                if let Some((_, place)) = found {
                    records.report.corrupt += 1;
                    // Why: another worker may have put the block again meanwhile.
                    if let Entry::Occupied(entry) = records.places.entry(*key)
                        && entry.get().place == place
                    {
                        entry.remove();
                    }
                }
                out.clear();
                None
            }
        }
    }

    /// Keeps the bytes of a block: compressed, or raw if they are stored. Never fails: see [`Report::warning`].
    pub fn put(&self, key: &Key, encoded: Encoded, payload: &[u8]) {
        self.put_with_hash(key, encoded, payload, Hash::of(payload));
    }

    /// As [`BlockCache::put`], for a caller that knows the hash of `payload`. With a wrong hash, nothing is found.
    pub fn put_with_hash(&self, key: &Key, encoded: Encoded, payload: &[u8], hash: Hash) {
        {
            let records = lock(&self.records);
            if records.places.len() >= MAX_RECORDS || records.places.contains_key(key) {
                return;
            }
        }
        let mut writer = lock(&self.writer);
        match self.append(&mut writer, key, encoded, payload, hash) {
            Ok(added) => lock(&self.records).report.added += u64::from(added),
            Err(e) => {
                writer.stopped = true;
                self.give_up(writer.open.take(), &e);
            }
        }
    }

    /// Appends a record unless nothing more is to be added; tells which.
    fn append(
        &self,
        writer: &mut Writer,
        key: &Key,
        encoded: Encoded,
        payload: &[u8],
        hash: Hash,
    ) -> io::Result<bool> {
        // Why: more than the limit would push out what this very run has put.
        let full = writer.added_bytes.saturating_add(payload.len() as u64) > self.limit_bytes;
        if writer.stopped || full {
            return Ok(false);
        }
        let max = SEGMENT_BYTES.max(self.limit_bytes / SEGMENTS_PER_LIMIT).min(self.limit_bytes / 4 + 1);
        if writer.open.as_ref().is_some_and(|open| open.len() >= max) {
            self.complete(writer, &BTreeSet::new())?;
        }
        let open = match &mut writer.open {
            Some(open) => open,
            None => writer.open.insert(Appender::create(&self.dir)?),
        };
        let place = open.append(key, encoded, payload, hash)?;
        writer.added_bytes += place.record_len();
        let record = Record { segment: Arc::clone(&open.segment), place, used: true };
        lock(&self.records).places.insert(*key, record);
        Ok(true)
    }

    /// Completes the segment that is being written, then makes room.
    fn complete(&self, writer: &mut Writer, copied: &BTreeSet<PathBuf>) -> io::Result<()> {
        let Some(mut open) = writer.open.take() else { return Ok(()) };
        if let Err(e) = open.complete() {
            // Why: without its table it would be read record by record; but the disk may be full.
            self.give_up(Some(open), &e);
            writer.stopped = true;
            return Ok(());
        }
        evict::run(&self.dir, self.limit_bytes, &self.used(), copied)
    }

    fn used(&self) -> Used {
        let mut used = Used::default();
        for record in lock(&self.records).places.values() {
            used.add(&record.segment.path, record.place.record_len(), record.used);
        }
        used
    }

    fn give_up(&self, open: Option<Appender>, error: &io::Error) {
        let mut records = lock(&self.records);
        let mut warning =
            format!("adding to the cache in {}: {error}; it is left alone from here on", self.dir.display());
        if let Some(open) = open {
            records.places.retain(|_, r| !Arc::ptr_eq(&r.segment, &open.segment));
            if let Err(e) = open.discard() {
                warning.push_str(&format!(" (its unfinished segment stays: {e})"));
            }
        }
        records.report.warning.get_or_insert(warning);
    }

    /// Ends the run: lets others read what was put, and brings the directory back below its limit.
    #[must_use]
    pub fn finish(self) -> Report {
        let mut writer = lock(&self.writer);
        let outcome = self.carry_forward(&mut writer).and_then(|copied| {
            if writer.open.is_some() {
                self.complete(&mut writer, &copied)
            } else {
                evict::run(&self.dir, self.limit_bytes, &self.used(), &copied)
            }
        });
        match outcome {
            // Why: a cache that may only be read is not at fault for it as long as there was nothing to add.
            Err(e) if writer.added_bytes == 0 && is_refusal(&e) => {}
            Err(e) => self.give_up(writer.open.take(), &e),
            Ok(()) => {}
        }
        lock(&self.records).report.clone()
    }

    /// Copies the few used records of segments that are mostly unused, so that those can grow old, and all records of
    /// small segments when there are many. Returns the segments that nobody needs any more.
    fn carry_forward(&self, writer: &mut Writer) -> io::Result<BTreeSet<PathBuf>> {
        let used = self.used();
        let (sparse, small) = (used.sparse(evict::size(&self.dir)?, self.limit_bytes), used.small());
        // Why: the copies must not make this run's own segment one of them.
        let own = writer.open.as_ref().map(|open| open.segment.path.clone());
        let mut moved: Vec<(Key, Arc<Segment>, Place)> = Vec::new();
        for (key, record) in &lock(&self.records).places {
            let path = &record.segment.path;
            if Some(path) != own.as_ref() && (small.contains(path) || record.used && sparse.contains(path)) {
                moved.push((*key, Arc::clone(&record.segment), record.place));
            }
        }
        moved.sort_by(|a, b| (&a.1.path, a.2.offset).cmp(&(&b.1.path, b.2.offset)));
        let mut payload = Vec::new();
        let mut whole = true;
        for (key, segment, place) in moved {
            if segment.read(&place, &mut payload) {
                whole &= self.append(writer, &key, place.encoded, &payload, place.hash)?;
            }
        }
        Ok(small.into_iter().filter(|path| whole && Some(path) != own.as_ref()).collect())
    }
}

fn is_refusal(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Why: every change under these locks is one insertion; a worker that panicked leaves them whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
