//! What tells that a file is the one that was read before, without opening it.
//!
//! As in git's index: equal times prove nothing for a file that may have been written again within the same tick of
//! the file system's clock ("racily clean"). Such files are not recorded, so they are read again.
//! Not noticed: a write through a shared mapping whose page was already dirty when the file was read.

use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A file whose times are not older than this before it was looked at may change without its times doing so: the
/// coarsest clock is that of FAT, 2 s; Linux stamps with the last timer tick, up to 10 ms old.
const RACY_WINDOW: Duration = Duration::from_secs(2);

/// Device, inode number, size and times of a file, as stat(2) gives them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    /// `st_dev`.
    pub dev: u64,
    /// `st_ino`.
    pub ino: u64,
    /// `st_size`.
    pub size: u64,
    /// `st_mtim` in nanoseconds since 1970.
    pub mtime_ns: i128,
    /// `st_ctim` in nanoseconds since 1970: no program can set it back.
    pub ctime_ns: i128,
}

impl Identity {
    /// Bytes of [`Identity::to_bytes`].
    pub(super) const LEN: usize = 56;

    /// Returns the identity of what was looked at.
    #[must_use]
    pub fn of(metadata: &std::fs::Metadata) -> Self {
        let ns = |s: i64, ns: i64| i128::from(s) * 1_000_000_000 + i128::from(ns);
        Self {
            dev: metadata.dev(),
            ino: metadata.ino(),
            size: metadata.size(),
            mtime_ns: ns(metadata.mtime(), metadata.mtime_nsec()),
            ctime_ns: ns(metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Tells whether a file that had this identity at `looked_at` could be written since without showing it.
    #[must_use]
    pub fn is_racy(&self, looked_at: SystemTime) -> bool {
        let since = looked_at.duration_since(UNIX_EPOCH).unwrap_or_default().saturating_sub(RACY_WINDOW);
        let since = i128::try_from(since.as_nanos()).unwrap_or(i128::MAX);
        self.mtime_ns.max(self.ctime_ns) >= since
    }

    /// Reads what [`Identity::to_bytes`] wrote.
    pub(super) fn from_bytes(bytes: &[u8; Self::LEN]) -> Self {
        let u64_at =
            |at: usize| bytes.get(at..at + 8).and_then(|b| b.try_into().ok()).map_or(0, u64::from_le_bytes);
        let i128_at =
            |at: usize| bytes.get(at..at + 16).and_then(|b| b.try_into().ok()).map_or(0, i128::from_le_bytes);
        Self {
            dev: u64_at(0),
            ino: u64_at(8),
            size: u64_at(16),
            mtime_ns: i128_at(24),
            ctime_ns: i128_at(40),
        }
    }

    /// Returns all fields in one row.
    pub(super) fn to_bytes(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..8].copy_from_slice(&self.dev.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.ino.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.size.to_le_bytes());
        bytes[24..40].copy_from_slice(&self.mtime_ns.to_le_bytes());
        bytes[40..].copy_from_slice(&self.ctime_ns.to_le_bytes());
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_written_within_the_clock_tick_is_racy() {
        let at = |ms: u64| UNIX_EPOCH + Duration::from_millis(ms);
        let ns = |ms: i128| ms * 1_000_000;
        for (mtime, ctime, looked_at, racy) in [
            (1_000, 1_000, 3_001, false),
            (1_000, 1_000, 3_000, true),
            (0, 1_000, 3_000, true),
            (1_000, 0, 3_000, true),
            (1_000, 1_000, 1_000, true),
            (9_000, 1_000, 5_000, true),
            (0, 0, 2_001, false),
        ] {
            let identity = Identity { dev: 1, ino: 1, size: 1, mtime_ns: ns(mtime), ctime_ns: ns(ctime) };
            assert_eq!(identity.is_racy(at(looked_at)), racy, "{mtime} {ctime} {looked_at}");
        }
    }
}
