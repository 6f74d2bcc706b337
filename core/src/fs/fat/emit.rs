//! A FAT volume made in one pass from a list of files: every file contiguous, nothing written twice.
//!
//! Source: the FAT specification 1.03, and for long names its section "Long Directory Entries". [`plan`] decides
//! where everything goes without seeing the content of a file; [`Volume::metadata`] is what a writer puts on the
//! disk, [`Volume::file_offset`] where it puts each file. The same input gives the same bytes.
//! Not handled: changing a volume that exists, attributes other than directory and archive.

use alloc::vec::Vec;
use core::fmt;

use super::dir_entry::LEN as DIR_ENTRY_LEN;
pub use super::dos_time::DosTime;
use super::geometry::{self, FAT_COPIES, Geometry};
use crate::error::Class;
use crate::units::{u64_from_usize, usize_from_u32};

mod boot_sector;
mod label;
mod long_entries;
mod name;
mod table;
mod tree;

pub use label::Label;
use tree::{ROOT, Tree};

/// Longest file: the size field has 32 bits.
pub const MAX_FILE_BYTES: u64 = 0xFFFF_FFFF;

/// What a volume is like as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Bytes of a logical sector: 512 or 4096.
    pub sector_bytes: u32,
    /// Bytes of a cluster; the largest good one without it.
    pub cluster_bytes: Option<u32>,
    /// Volume label.
    pub label: Option<Label>,
    /// Volume serial number: the UUID of the file system.
    pub serial: u32,
    /// Sectors before the volume on its disk.
    pub hidden_sectors: u32,
    /// Time stamp of the label and of directories that no entry names.
    pub modified: DosTime,
}

/// A file or directory to put into the volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Path from the root, components separated by `/`, none before the first. Parents need no entry of their own.
    pub path: &'a str,
    /// File or directory.
    pub kind: EntryKind,
    /// Time of the last change.
    pub modified: DosTime,
}

/// What an entry is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    /// A directory.
    Directory,
    /// A file of this many bytes.
    File(u64),
}

/// Why there is no volume. `entry` is the index in the list that was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The sizes allow no FAT.
    Geometry(geometry::Error),
    /// A name has a forbidden character, is empty, `.` or `..`, ends in a dot or blank, or is too long.
    Name {
        /// Which entry.
        entry: usize,
    },
    /// A name differs from another one of its directory only in case, or not at all.
    Clash {
        /// Which entry.
        entry: usize,
    },
    /// A parent of this entry is a file.
    ParentIsFile {
        /// Which entry.
        entry: usize,
    },
    /// A directory has the name of this file.
    IsDirectory {
        /// Which entry.
        entry: usize,
    },
    /// A file is larger than 4 GiB - 1.
    FileSize {
        /// Which entry.
        entry: usize,
        /// Its length.
        bytes: u64,
    },
    /// A directory has too many slots.
    DirectoryFull {
        /// An entry in that directory.
        entry: usize,
    },
    /// The files need more clusters than the volume has.
    VolumeFull {
        /// Clusters that the files and directories need.
        needed: u64,
        /// Clusters of the volume.
        clusters: u32,
    },
}

impl Error {
    /// Returns what kind of failure this is.
    #[must_use]
    pub const fn class(self) -> Class {
        match self {
            Self::Geometry(e) => e.class(),
            Self::Name { .. } | Self::Clash { .. } | Self::ParentIsFile { .. } | Self::IsDirectory { .. } => {
                Class::Unsupported
            }
            Self::FileSize { .. } | Self::DirectoryFull { .. } | Self::VolumeFull { .. } => Class::Limit,
        }
    }

    /// Returns the index of the entry that the error is about.
    #[must_use]
    pub const fn entry(self) -> Option<usize> {
        match self {
            Self::Geometry(_) | Self::VolumeFull { .. } => None,
            Self::Name { entry }
            | Self::Clash { entry }
            | Self::ParentIsFile { entry }
            | Self::IsDirectory { entry }
            | Self::FileSize { entry, .. }
            | Self::DirectoryFull { entry } => Some(entry),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Geometry(e) => e.fmt(f),
            Self::Name { .. } => f.write_str("the name is not allowed on FAT"),
            Self::Clash { .. } => {
                f.write_str("the name is there already (FAT does not tell upper from lower case)")
            }
            Self::ParentIsFile { .. } => f.write_str("a file stands where a directory is needed"),
            Self::IsDirectory { .. } => f.write_str("a directory has this name already"),
            Self::FileSize { bytes, .. } => write!(f, "{bytes} bytes are more than a file on FAT can have"),
            Self::DirectoryFull { .. } => f.write_str("the directory has too many entries for FAT"),
            Self::VolumeFull { needed, clusters } => {
                write!(f, "the files need {needed} clusters, the volume has {clusters}")
            }
        }
    }
}

impl core::error::Error for Error {}

impl From<geometry::Error> for Error {
    fn from(e: geometry::Error) -> Self {
        Self::Geometry(e)
    }
}

/// Bytes that belong at an offset of the volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Extent {
    /// Byte offset in the volume.
    pub offset: u64,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// A run of clusters that belong together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Run {
    first: u32,
    count: u32,
}

/// A planned volume. Having one proves that everything fits.
#[derive(Clone, Debug)]
pub struct Volume {
    geometry: Geometry,
    options: Options,
    tree: Tree,
    /// Every node's clusters, in the order of the nodes; `None` for an empty file and for a fixed root directory.
    runs: Vec<Option<Run>>,
    used_clusters: u32,
    entries: usize,
}

/// Plans a volume of `total_bytes` that holds `entries`.
///
/// # Errors
/// When the sizes allow no FAT, a name is not allowed or doubled, or something does not fit.
pub fn plan(total_bytes: u64, options: &Options, entries: &[Entry<'_>]) -> Result<Volume, Error> {
    let geometry = Geometry::plan(total_bytes, options.sector_bytes, options.cluster_bytes)?;
    let tree = Tree::build(entries, options)?;
    let mut allocation = Allocation { next: 2, runs: alloc::vec![None; tree.nodes().len()], needed: 0 };
    // Directories first: they stay together, and a reader that walks them seeks little.
    for (index, node) in tree.nodes().iter().enumerate().filter(|(_, node)| node.is_directory()) {
        let slots = tree.slots(node, options.label.is_some());
        let fixed = if index == ROOT { geometry.root_entries() } else { 0 };
        let most = if fixed > 0 { fixed } else { super::MAX_DIR_SLOTS };
        if slots > most {
            return Err(Error::DirectoryFull { entry: tree.any_entry_below(node) });
        }
        if fixed == 0 {
            // Why max: a root directory without entries still owns a cluster on FAT32.
            let bytes = u64::from(slots.max(1)).saturating_mul(u64_from_usize(DIR_ENTRY_LEN));
            allocation.take(index, geometry.clusters_for(bytes));
        }
    }
    for (index, node) in tree.nodes().iter().enumerate().filter(|(_, node)| !node.is_directory()) {
        allocation.take(index, geometry.clusters_for(u64::from(node.bytes())));
    }
    if allocation.needed > u64::from(geometry.clusters()) {
        return Err(Error::VolumeFull { needed: allocation.needed, clusters: geometry.clusters() });
    }
    Ok(Volume {
        geometry,
        options: *options,
        used_clusters: allocation.next.saturating_sub(2),
        tree,
        runs: allocation.runs,
        entries: entries.len(),
    })
}

struct Allocation {
    next: u32,
    runs: Vec<Option<Run>>,
    needed: u64,
}

impl Allocation {
    fn take(&mut self, node: usize, count: Option<u32>) {
        // Why: a count that does not fit 32 bits cannot come from 32-bit lengths; it would be refused as too many.
        let count = count.unwrap_or(u32::MAX);
        self.needed = self.needed.saturating_add(u64::from(count));
        if count > 0
            && let Some(run) = self.runs.get_mut(node)
        {
            *run = Some(Run { first: self.next, count });
            self.next = self.next.saturating_add(count);
        }
    }
}

impl Volume {
    /// Returns the geometry.
    #[must_use]
    pub const fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// Returns the clusters that files and directories occupy; they are the first ones, all others are free.
    #[must_use]
    pub const fn used_clusters(&self) -> u32 {
        self.used_clusters
    }

    /// Returns the bytes of the clusters that are free for growth.
    #[must_use]
    pub fn free_bytes(&self) -> u64 {
        u64::from(self.geometry.clusters().saturating_sub(self.used_clusters))
            .saturating_mul(u64::from(self.geometry.cluster_bytes()))
    }

    /// Returns the byte offset where the content of the file `entry` (index in the given list) belongs, all in one
    /// piece; `None` for a directory, an empty file and an index that was not given.
    #[must_use]
    pub fn file_offset(&self, entry: usize) -> Option<u64> {
        if entry >= self.entries {
            return None;
        }
        let (index, node) = self.tree.node_of(entry)?;
        let run = (*self.runs.get(index)?).filter(|_| !node.is_directory())?;
        self.geometry.cluster_offset(run.first)
    }

    /// Returns everything except the content of the files, in ascending order: the reserved area, the used
    /// beginning of each FAT, the directories. What no extent and no file covers may hold anything, except
    /// [`Volume::zeros`].
    #[must_use]
    pub fn metadata(&self) -> Vec<Extent> {
        let mut extents = Vec::new();
        extents.push(Extent {
            offset: 0,
            bytes: boot_sector::emit_reserved(&self.geometry, &self.options, self.used_clusters),
        });
        let table = self.table();
        for copy in 0..FAT_COPIES {
            extents.push(Extent { offset: self.geometry.fat_offset(copy), bytes: table.clone() });
        }
        for (index, node) in self.tree.nodes().iter().enumerate().filter(|(_, node)| node.is_directory()) {
            let mut bytes = self.tree.emit_directory(node, &self.options, |child| self.first_cluster(child));
            let (offset, len) = match self.runs.get(index).copied().flatten() {
                Some(run) => (
                    self.geometry.cluster_offset(run.first),
                    u64::from(run.count).saturating_mul(u64::from(self.geometry.cluster_bytes())),
                ),
                None => (
                    Some(self.geometry.root_offset()),
                    u64::from(self.geometry.root_entries()).saturating_mul(u64_from_usize(DIR_ENTRY_LEN)),
                ),
            };
            bytes.resize(usize::try_from(len).unwrap_or(bytes.len()).max(bytes.len()), 0);
            extents.extend(offset.map(|offset| Extent { offset, bytes }));
        }
        extents
    }

    /// Returns the ranges (byte offset, length) that must read as zeros: the unused rest of each FAT.
    #[must_use]
    pub fn zeros(&self) -> Vec<(u64, u64)> {
        let used = u64_from_usize(self.table().len());
        let whole =
            u64::from(self.geometry.fat_sectors()).saturating_mul(u64::from(self.geometry.sector_bytes()));
        (0..FAT_COPIES)
            .map(|copy| (self.geometry.fat_offset(copy).saturating_add(used), whole.saturating_sub(used)))
            .filter(|(_, len)| *len > 0)
            .collect()
    }

    fn first_cluster(&self, node: usize) -> u32 {
        self.runs.get(node).copied().flatten().map_or(0, |run| run.first)
    }

    fn table(&self) -> Vec<u8> {
        let mut runs: Vec<Run> = self.runs.iter().flatten().copied().collect();
        runs.sort_unstable_by_key(|run| run.first);
        let runs = runs.iter().map(|run| run.count);
        let sector = usize_from_u32(self.geometry.sector_bytes());
        table::emit(self.geometry.fat_type(), runs, sector)
    }
}

#[cfg(test)]
mod tests;
