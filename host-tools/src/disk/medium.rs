//! What is written to: a disk or a disk file, and in tests a double that records, forgets or lies.
//!
//! Offsets are bytes. Not handled: direct I/O.

use std::fs::File;
use std::io::Result;
use std::num::NonZeroU64;
use std::os::unix::fs::{FileExt, FileTypeExt};

use rustix::fs::{Advice, FallocateFlags};

/// Bytes of the smallest piece that a disk writes at once.
pub const SECTOR_BYTES: usize = 512;

/// Something that keeps bytes at offsets.
pub trait Medium {
    /// Writes all of `bytes`.
    ///
    /// # Errors
    /// When the medium refuses.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> Result<()>;

    /// Fills `buffer`.
    ///
    /// # Errors
    /// When the medium refuses or ends before.
    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> Result<()>;

    /// Makes a range read as zeros without writing them, and tells whether it could.
    fn zero(&self, offset: u64, len: u64) -> bool;

    /// Waits until everything that was written is kept.
    ///
    /// # Errors
    /// When it is not.
    fn sync(&self) -> Result<()>;

    /// Lets the next read of a range come from the medium and not from memory, as far as possible.
    fn forget(&self, offset: u64, len: u64);

    /// Returns what a sector held before it is written, where that can be of interest.
    fn old_sector(&self, offset: u64) -> Option<[u8; SECTOR_BYTES]>;
}

impl Medium for File {
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        FileExt::write_all_at(self, bytes, offset)
    }

    fn read_exact_at(&self, buffer: &mut [u8], offset: u64) -> Result<()> {
        FileExt::read_exact_at(self, buffer, offset)
    }

    fn zero(&self, offset: u64, len: u64) -> bool {
        rustix::fs::fallocate(self, FallocateFlags::ZERO_RANGE, offset, len).is_ok()
    }

    fn sync(&self) -> Result<()> {
        self.sync_all()
    }

    fn forget(&self, offset: u64, len: u64) {
        // A target that cannot drop its cache (a RAM disk) is compared all the same.
        let _ = rustix::fs::fadvise(self, offset, NonZeroU64::new(len), Advice::DontNeed);
    }

    fn old_sector(&self, offset: u64) -> Option<[u8; SECTOR_BYTES]> {
        // A file is new and empty.
        self.metadata().ok().filter(|metadata| metadata.file_type().is_block_device())?;
        let mut sector = [0; SECTOR_BYTES];
        FileExt::read_exact_at(self, &mut sector, offset).ok().map(|()| sector)
    }
}
