//! File systems that genpack never mounts: who is on a disk that a person is about to overwrite.
//!
//! Each file system has a module that reads its superblock. This table stands apart from [`crate::fs::probe`] because
//! the init has no use for it and must stay small; ask that one first. UUIDs and labels are spelled as blkid spells
//! them and differentially tested against it. Checksums are looked at only where a magic number of two bytes is not
//! enough: a person must hear of a damaged file system, too. Not handled: second superblocks where the first one is
//! damaged, and what blkid knows beyond [`Kind`].

mod apfs;
mod bcache;
mod bcachefs;
mod bitlocker;
mod f2fs;
mod hfs_plus;
mod jfs;
mod nilfs2;
mod reiserfs;
mod udf;
mod zfs;

use crate::fs::probe;
use crate::source::{ReadAt, ReadError};

/// A kind of file system that genpack only names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Container of Apple's APFS.
    Apfs,
    /// Device of bcache: a cache, or what is cached.
    Bcache,
    /// Bcachefs.
    Bcachefs,
    /// Encrypted by Windows.
    BitLocker,
    /// F2FS.
    F2fs,
    /// Apple's HFS+ and HFSX.
    HfsPlus,
    /// JFS.
    Jfs,
    /// NILFS version 2.
    Nilfs2,
    /// ReiserFS 3.
    Reiserfs,
    /// UDF.
    Udf,
    /// Device of a ZFS pool.
    ZfsMember,
}

impl Kind {
    /// Returns the name that blkid prints as TYPE.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Apfs => "apfs",
            Self::Bcache => "bcache",
            Self::Bcachefs => "bcachefs",
            Self::BitLocker => "BitLocker",
            Self::F2fs => "f2fs",
            Self::HfsPlus => "hfsplus",
            Self::Jfs => "jfs",
            Self::Nilfs2 => "nilfs2",
            Self::Reiserfs => "reiserfs",
            Self::Udf => "udf",
            Self::ZfsMember => "zfs_member",
        }
    }

    /// Tells whether the device is only a layer below others, as [`probe::Kind::is_member`] does.
    #[must_use]
    pub const fn is_member(self) -> bool {
        matches!(self, Self::Bcache | Self::BitLocker | Self::ZfsMember)
    }
}

impl core::fmt::Display for Kind {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.name())
    }
}

/// What a superblock of this table says.
pub type Filesystem = probe::Filesystem<Kind>;

type Probe<R> = fn(&R) -> Result<Option<Filesystem>, ReadError>;

/// Returns the file system on `source` when it is one of [`Kind`]; a short input is an answer, not an error.
///
/// # Errors
/// [`ReadError::Io`] when the source cannot be read.
pub fn probe<R: ReadAt + ?Sized>(source: &R) -> Result<Option<Filesystem>, ReadError> {
    // Members first, as in the other table: they leave alone what lay on the device before. UDF last: it leaves the
    // first 32 KiB to others.
    let table: [Probe<R>; 11] = [
        bcache::probe,
        bitlocker::probe,
        zfs::probe,
        apfs::probe,
        bcachefs::probe,
        f2fs::probe,
        hfs_plus::probe,
        jfs::probe,
        nilfs2::probe,
        reiserfs::probe,
        udf::probe,
    ];
    for probe in table {
        if let Some(found) = probe(source)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_plain_inputs_are_nothing() {
        for len in [0, 1, 100, 512, 4096, 70_000, 600_000] {
            for byte in [0x00, 0xFF, 0x01] {
                assert_eq!(probe(&*std::vec![byte; len]), Ok(None), "{len} times {byte}");
            }
        }
    }
}
