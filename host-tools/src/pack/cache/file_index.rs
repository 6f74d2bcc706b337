//! What files held when they were read last.

use std::io;
use std::path::Path;
use std::time::SystemTime;

use super::identity::Identity;
use super::key::Chunk;

/// The chunks of files by their identity, for one block size.
#[derive(Debug)]
pub struct FileIndex {}

impl FileIndex {
    /// Reads the index of this block size from a cache directory; it is empty when there is none that holds.
    #[must_use]
    pub fn open(dir: &Path, block_size: u32) -> Self {
        let _ = (dir, block_size);
        Self {}
    }

    /// Returns what the file of this identity holds: its blocks, and its tail last if it has one.
    #[must_use]
    pub fn get(&self, identity: &Identity) -> Option<&[Chunk]> {
        let _ = identity;
        None
    }

    /// Notes what a file holds that had this identity before it was read, at `looked_at`, and still has it now.
    ///
    /// A file that may be written without changing its identity is not noted.
    pub fn record(&self, identity: Identity, looked_at: SystemTime, chunks: Vec<Chunk>) {
        let _ = (identity, looked_at, chunks);
    }

    /// Writes the index for the next run: what was used or noted in this one and in the few before.
    ///
    /// # Errors
    /// When it cannot be written; the old one stays.
    pub fn save(self) -> io::Result<()> {
        Ok(())
    }
}
