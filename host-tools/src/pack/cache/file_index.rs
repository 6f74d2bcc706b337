//! What files held when they were read last.
//!
//! One file per block size: a row per known file (identity, how long ago it was used, its chunks), see `checked_file`.
//! Two processes at once are harmless: the later one's index stays, and what the other noted is read again.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use super::checked_file;
use super::identity::Identity;
use super::key::{Chunk, Hash};

/// Version 1 of the rows below.
const MAGIC: [u8; 16] = *b"genpack-files-1\n";
/// A file that was not packed in this many runs is forgotten. Variants share a cache, so one run says little.
const MAX_UNUSED_RUNS: u8 = 16;
/// An index that would be larger is not written, one that is larger is not read: 4 million files of the usual size.
const MAX_BYTES: u64 = 512 << 20;
/// How a chunk of zeros is written; no bytes have this BLAKE3 hash that anybody could find.
const ZEROS: [u8; 32] = [0; 32];

/// The chunks of files by their identity, for one block size.
#[derive(Debug)]
pub struct FileIndex {
    path: PathBuf,
    chunks: Vec<Chunk>,
    files: HashMap<Identity, Known>,
    noted: Mutex<HashMap<Identity, Vec<Chunk>>>,
}

#[derive(Debug)]
struct Known {
    first: usize,
    count: usize,
    unused_runs: u8,
    used: AtomicBool,
}

impl FileIndex {
    /// Reads the index of this block size from a cache directory; it is empty when there is none that holds.
    #[must_use]
    pub fn open(dir: &Path, block_size: u32) -> Self {
        let path = dir.join(format!("files-{block_size}.index"));
        let mut index = Self { path, chunks: Vec::new(), files: HashMap::new(), noted: Mutex::default() };
        if let Some(rows) = checked_file::read(&index.path, MAGIC, MAX_BYTES)
            && index.parse(&rows).is_none()
        {
            (index.files, index.chunks) = (HashMap::new(), Vec::new());
        }
        index
    }

    /// Returns what the file of this identity held in an earlier run: its blocks, and its tail last if it has one.
    #[must_use]
    pub fn get(&self, identity: &Identity) -> Option<&[Chunk]> {
        let known = self.files.get(identity)?;
        known.used.store(true, Ordering::Relaxed);
        self.chunks.get(known.first..)?.get(..known.count)
    }

    /// Notes what a file holds that had this identity before it was read, at `looked_at`, and still has it now.
    ///
    /// A file that may be written without changing its identity is not noted.
    pub fn record(&self, identity: Identity, looked_at: SystemTime, chunks: Vec<Chunk>) {
        if !identity.is_racy(looked_at) {
            self.noted.lock().unwrap_or_else(PoisonError::into_inner).insert(identity, chunks);
        }
    }

    /// Writes the index for the next run: what was used or noted in this one and in the few before.
    ///
    /// # Errors
    /// When it cannot be written; the old one stays.
    pub fn save(self) -> io::Result<()> {
        let noted = self.noted.into_inner().unwrap_or_else(PoisonError::into_inner);
        let unused_runs = |known: &Known| {
            if known.used.load(Ordering::Relaxed) { 0 } else { known.unused_runs.saturating_add(1) }
        };
        if noted.is_empty() && self.files.values().all(|k| k.unused_runs == unused_runs(k)) {
            return Ok(());
        }
        let mut rows = Vec::new();
        for (identity, known) in &self.files {
            let unused = unused_runs(known);
            if unused > MAX_UNUSED_RUNS || noted.contains_key(identity) {
                continue;
            }
            let chunks = self.chunks.get(known.first..).and_then(|c| c.get(..known.count));
            emit(&mut rows, identity, unused, chunks.unwrap_or_default());
        }
        for (identity, chunks) in &noted {
            emit(&mut rows, identity, 0, chunks);
        }
        if rows.len() as u64 > MAX_BYTES {
            return Err(io::Error::other("more files than the index may hold"));
        }
        checked_file::write(&self.path, MAGIC, &rows)
    }

    /// Reads all rows; `None` when they are not what [`emit`] writes.
    fn parse(&mut self, mut rows: &[u8]) -> Option<()> {
        while !rows.is_empty() {
            let (identity, rest) = rows.split_first_chunk::<{ Identity::LEN }>()?;
            let (unused_runs, rest) = rest.split_first()?;
            let (count, rest) = rest.split_first_chunk::<4>()?;
            let count = usize::try_from(u32::from_le_bytes(*count)).ok()?;
            let (chunks, rest) = rest.split_at_checked(count.checked_mul(32)?)?;
            let first = self.chunks.len();
            self.chunks.extend(chunks.as_chunks::<32>().0.iter().map(|hash| match *hash {
                ZEROS => Chunk::Zeros,
                hash => Chunk::Data(Hash(hash)),
            }));
            let known = Known { first, count, unused_runs: *unused_runs, used: AtomicBool::new(false) };
            self.files.insert(Identity::from_bytes(identity), known);
            rows = rest;
        }
        Some(())
    }
}

/// Appends a row.
fn emit(rows: &mut Vec<u8>, identity: &Identity, unused_runs: u8, chunks: &[Chunk]) {
    let Ok(count) = u32::try_from(chunks.len()) else { return };
    rows.extend(identity.to_bytes());
    rows.push(unused_runs);
    rows.extend(count.to_le_bytes());
    for chunk in chunks {
        rows.extend(match chunk {
            Chunk::Zeros => ZEROS,
            Chunk::Data(hash) => hash.0,
        });
    }
}
