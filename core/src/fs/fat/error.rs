//! Everything that can be wrong with a FAT volume, one variant per cause.

use super::bpb;
use super::fat_entry::FatEntry;
use crate::error::Class;
use crate::source::ReadError;

/// Why a FAT volume, or a part of it, was not read. `at` is a byte offset in the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The boot sector is none of a FAT.
    Bpb(bpb::Error),
    /// The first cluster of a file or directory is no cluster of the volume.
    FirstCluster {
        /// The directory entry or boot sector that says so.
        at: u64,
        /// The number.
        cluster: u32,
    },
    /// A chain leads to an entry that neither continues nor ends it.
    ChainEntry {
        /// Where the entry stands in the FAT.
        at: u64,
        /// Cluster that the entry belongs to.
        cluster: u32,
        /// What it says.
        entry: FatEntry,
    },
    /// A chain comes back to a cluster that it visited.
    ChainLoop {
        /// Where the entry that leads back stands in the FAT.
        at: u64,
        /// That cluster.
        cluster: u32,
    },
    /// The chain of a file has another length than its size needs.
    ChainLength {
        /// The directory entry of the file.
        at: u64,
        /// Clusters that the size needs.
        needs: u32,
        /// Clusters that the chain has, or one more than needed when it is longer.
        has: u32,
    },
    /// A directory has more than [`super::MAX_DIR_SLOTS`] slots.
    TooManySlots {
        /// The first slot too many.
        at: u64,
    },
    /// A name holds a slash or control character, or is empty, and so is its short name.
    Name {
        /// The directory entry.
        at: u64,
    },
    /// A directory contains itself, or the directories have more slots than the volume can hold.
    DirectoryLoop {
        /// The directory entry that closes the loop.
        at: u64,
    },
    /// A directory is more than [`super::MAX_DEPTH`] deep.
    TooDeep {
        /// Its directory entry.
        at: u64,
    },
    /// The source could not be read.
    Read {
        /// Where.
        at: u64,
        /// Why.
        error: ReadError,
    },
}

impl Error {
    /// Returns what kind of failure this is.
    #[must_use]
    pub fn class(self) -> Class {
        match self {
            Self::Bpb(e) => e.class(),
            Self::TooManySlots { .. } | Self::TooDeep { .. } => Class::Limit,
            Self::Read { error, .. } => error.into(),
            Self::FirstCluster { .. }
            | Self::ChainEntry { .. }
            | Self::ChainLoop { .. }
            | Self::ChainLength { .. }
            | Self::Name { .. }
            | Self::DirectoryLoop { .. } => Class::Corrupt,
        }
    }
}

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match *self {
            Self::Bpb(e) => e.fmt(f),
            Self::FirstCluster { at, cluster } => {
                write!(f, "entry at {at} begins at cluster {cluster}, which the volume does not have")
            }
            Self::ChainEntry { at, cluster, entry } => {
                write!(f, "the chain breaks at cluster {cluster}: its FAT entry at {at} is {entry}")
            }
            Self::ChainLoop { at, cluster } => {
                write!(f, "a chain comes back to cluster {cluster} by its FAT entry at {at}")
            }
            Self::ChainLength { at, needs, has } => {
                write!(f, "file of the entry at {at} needs {needs} clusters, its chain has {has}")
            }
            Self::TooManySlots { at } => write!(f, "a directory goes on at {at}, where it must end"),
            Self::Name { at } => write!(f, "entry at {at} has an illegal name"),
            Self::DirectoryLoop { at } => write!(f, "directory of the entry at {at} contains itself"),
            Self::TooDeep { at } => write!(f, "directory of the entry at {at} is too deep"),
            Self::Read { at, error } => write!(f, "reading at {at}: {error}"),
        }
    }
}

impl core::error::Error for Error {}

impl From<bpb::Error> for Error {
    fn from(e: bpb::Error) -> Self {
        Self::Bpb(e)
    }
}
