//! Writes entries as a SquashFS 4.0.

use std::fs::File;
use std::num::NonZeroUsize;
use std::os::unix::fs::FileExt;

use crate::command_error::Result;
use crate::io::interrupt::Interrupt;
use crate::pack::entry::Entry;

/// How an image is written. The same entries and options give the same bytes; `jobs`, `verify`, `cache` and
/// `interrupt` never change any.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// Bytes of a data block: a power of two, 4 KiB to 1 MiB.
    pub block_size: u32,
    /// Threads that read and compress.
    pub jobs: NonZeroUsize,
    /// Newer modification times are lowered to it, and it is the image's own time; without it, that is the newest
    /// modification time of all entries.
    pub mtime_limit: Option<u32>,
    /// Decode every block again and compare it with the source, and read the image back in the end.
    pub verify: bool,
    /// Write the export table, which only NFS needs.
    pub exports: bool,
    /// Asked between blocks whether to stop.
    pub interrupt: &'a Interrupt,
}

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Inodes.
    pub inodes: u32,
    /// Bytes of all regular files; a hard link counts once.
    pub source_bytes: u64,
    /// Bytes of the image, padding included.
    pub image_bytes: u64,
    /// Bytes that were not stored because an equal file was.
    pub duplicate_bytes: u64,
    /// Bytes that were not stored because they are zeros.
    pub sparse_bytes: u64,
}

/// Hears how far the writer is. Called from one thread, up to some thousand times a second.
pub trait Progress {
    /// So many source bytes are to be read in all; comes first.
    fn total(&self, source_bytes: u64);

    /// So many source bytes are done and so many bytes written, since the begin.
    fn advance(&self, source_bytes: u64, image_bytes: u64);
}

/// Nobody listens.
impl Progress for () {
    fn total(&self, _: u64) {}
    fn advance(&self, _: u64, _: u64) {}
}

/// Where an image goes: a new file, or in tests one that fails. Nothing outside the image is ever written.
pub trait Output {
    /// Writes all of `bytes` at `offset`; calls come in order of offsets, but the superblock is last.
    ///
    /// # Errors
    /// What the system has to say.
    fn write_all_at(&mut self, bytes: &[u8], offset: u64) -> std::io::Result<()>;

    /// Fills `out` with what was written at `offset`.
    ///
    /// # Errors
    /// What the system has to say.
    fn read_exact_at(&self, out: &mut [u8], offset: u64) -> std::io::Result<()>;
}

impl Output for File {
    fn write_all_at(&mut self, bytes: &[u8], offset: u64) -> std::io::Result<()> {
        FileExt::write_all_at(self, bytes, offset)
    }

    fn read_exact_at(&self, out: &mut [u8], offset: u64) -> std::io::Result<()> {
        FileExt::read_exact_at(self, out, offset)
    }
}

/// Writes an image of these entries into an empty output. It is neither synced nor renamed here.
///
/// # Errors
/// When an entry cannot be stored, a file cannot be read or changes meanwhile, `out` cannot be written, or what was
/// written is not what was read.
pub fn write(
    entries: Vec<Entry>,
    options: &Options<'_>,
    out: &mut impl Output,
    progress: &dyn Progress,
) -> Result<Summary> {
    let _ = (entries, options, out, progress);
    Err(crate::command_error::CommandError::failed("the writer is not finished"))
}
