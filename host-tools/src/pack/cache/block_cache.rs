//! Compressed blocks of earlier runs.

use std::io;
use std::path::Path;

use super::key::Key;
use crate::pack::compress::Encoded;

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
    /// The first trouble, in words; the cache was left alone from then on.
    pub warning: Option<String>,
}

/// Compressed blocks of earlier runs and of this one; shared by all workers.
#[derive(Debug)]
pub struct BlockCache {}

impl BlockCache {
    /// Opens the cache in `dir`, which is made when it is missing, and lets it take `limit_bytes`.
    ///
    /// Other processes may use it at the same time; each finds what the others finished before it was opened.
    ///
    /// # Errors
    /// When the directory cannot be made or read, or others may write to it. A directory that can only be read
    /// serves; it gets no new blocks.
    pub fn open(dir: &Path, limit_bytes: u64) -> io::Result<Self> {
        let _ = (dir, limit_bytes);
        Ok(Self {})
    }

    /// Tells how many compressed bytes a block has here, without reading them; [`BlockCache::get`] may still fail.
    #[must_use]
    pub fn payload_len(&self, key: &Key) -> Option<u32> {
        let _ = key;
        None
    }

    /// Reads the bytes of a block into `out`, which is emptied first. They are what was put.
    ///
    /// For [`Encoded::Stored`] these are the raw bytes.
    #[must_use]
    pub fn get(&self, key: &Key, out: &mut Vec<u8>) -> Option<Encoded> {
        let _ = key;
        out.clear();
        None
    }

    /// Keeps the bytes of a block: compressed, or raw if they are stored. Never fails: see [`Report::warning`].
    pub fn put(&self, key: &Key, encoded: Encoded, payload: &[u8]) {
        let _ = (key, encoded, payload);
    }

    /// Ends the run: makes what was put visible to others and brings the directory back below its limit.
    #[must_use]
    pub fn finish(self) -> Report {
        Report::default()
    }
}
