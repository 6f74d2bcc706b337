//! An open volume: its parameters, its FAT, and the two blocks that are kept in memory.
//!
//! Source: the FAT specification 1.03. Not handled: free clusters and writing.

use super::bpb::{self, Bpb, Raw, volume_label};
use super::chain::{Chain, Clusters};
use super::dir::Directory;
use super::error::Error;
use super::fat_entry::FatEntry;
use super::geometry::FatType;
use crate::source::{ReadAt, ReadError};
use crate::units::usize_from_u64;

/// Bytes that are read at once from the FAT and from a directory: the smallest sector.
const BLOCK: usize = 512;

/// The last bytes that were read around some place.
#[derive(Clone, Copy, Debug)]
struct Block {
    at: u64,
    len: usize,
    bytes: [u8; BLOCK],
}

impl Block {
    const EMPTY: Self = Self { at: 0, len: 0, bytes: [0; BLOCK] };

    /// Returns `N` bytes from `at`, reading on up to `end` where they are not here yet.
    fn get<const N: usize>(&mut self, source: &impl ReadAt, at: u64, end: u64) -> Result<[u8; N], Error> {
        if let Some(bytes) = self.here(at) {
            return Ok(bytes);
        }
        let room = usize_from_u64(end.saturating_sub(at)).unwrap_or(BLOCK);
        let len = room.min(BLOCK);
        self.len = 0;
        if let Some(buf) = self.bytes.get_mut(..len)
            && source.read_exact_at(at, buf).is_ok()
        {
            (self.at, self.len) = (at, len);
        }
        // Why a second read: a source that ends, or fails, behind these bytes still has them.
        self.here(at).map_or_else(
            || {
                let found = source.read_array_at(at).map_err(|error| Error::Read { at, error })?;
                found.ok_or(Error::Read { at, error: ReadError::EndOfInput })
            },
            Ok,
        )
    }

    fn here<const N: usize>(&self, at: u64) -> Option<[u8; N]> {
        let start = usize_from_u64(at.checked_sub(self.at)?)?;
        self.bytes.get(..self.len)?.get(start..)?.first_chunk().copied()
    }
}

/// What the volume says about its own health.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct State {
    /// The volume was not unmounted after its last change.
    pub dirty: bool,
    /// Someone met an error when reading or writing it.
    pub hardware_error: bool,
}

/// An open FAT volume. It keeps two blocks of 512 bytes, one of the FAT and one of a directory.
#[derive(Clone, Debug)]
pub struct FileSystem<R> {
    source: R,
    bpb: Bpb,
    clusters: u32,
    fat_start: u64,
    fat_block: Block,
    dir_block: Block,
}

impl<R: ReadAt> FileSystem<R> {
    /// Opens the volume that begins at byte 0 of `source`.
    ///
    /// # Errors
    /// When the boot sector cannot be read or is none of a FAT. The source may be shorter than the volume: reading
    /// what is missing fails then.
    pub fn open(source: R) -> Result<Self, Error> {
        let mut sector = [0; bpb::LEN];
        source.read_exact_at(0, &mut sector).map_err(|error| Error::Read { at: 0, error })?;
        let raw = Raw::new(&sector);
        let bpb = Bpb::parse(raw)?;
        // A FAT may be too short for all clusters; as on Linux the rest of them is not there.
        let entries = bpb.fat_bytes().saturating_mul(8).checked_div(bpb.fat_type.bits().into()).unwrap_or(0);
        let clusters = u32::try_from(entries.saturating_sub(2)).unwrap_or(u32::MAX).min(bpb.clusters);
        let active = if bpb.fat_type == FatType::Fat32 { raw.active_fat() } else { 0 };
        let skipped = if active < bpb.fats { u64::from(active) } else { 0 };
        let fat_start = bpb.fat_offset().saturating_add(bpb.fat_bytes().saturating_mul(skipped));
        Ok(Self { source, bpb, clusters, fat_start, fat_block: Block::EMPTY, dir_block: Block::EMPTY })
    }

    /// Returns the parameter block.
    pub const fn bpb(&self) -> &Bpb {
        &self.bpb
    }

    /// Returns the source.
    pub const fn source(&self) -> &R {
        &self.source
    }

    /// Returns the number of clusters that have an entry in the FAT; the first is cluster 2.
    pub const fn clusters(&self) -> u32 {
        self.clusters
    }

    /// Returns the 11 bytes of the volume label, padded with blanks; `None` without one in the root directory.
    ///
    /// # Errors
    /// When the source cannot be read.
    pub fn label(&self) -> Result<Option<[u8; 11]>, Error> {
        let at = self.bpb.root_dir_offset();
        volume_label::read(&self.source, &self.bpb).map_err(|error| Error::Read { at, error })
    }

    /// Returns what boot sector (Linux) and FAT (Windows) say about the health of the volume.
    ///
    /// # Errors
    /// When the FAT cannot be read.
    pub fn state(&mut self) -> Result<State, Error> {
        let (clean, no_error) = match self.bpb.fat_type {
            FatType::Fat12 => (0, 0),
            FatType::Fat16 => (0x8000, 0x4000),
            FatType::Fat32 => (0x0800_0000, 0x0400_0000),
        };
        let flags = self.fat_value(1)?;
        Ok(State {
            dirty: self.bpb.dirty || flags & clean != clean,
            hardware_error: self.bpb.surface_test || flags & no_error != no_error,
        })
    }

    /// Returns the root directory.
    pub fn root(&self) -> Directory {
        Directory::root(&self.bpb)
    }

    /// Returns what the FAT says about a cluster.
    ///
    /// # Errors
    /// When the FAT cannot be read there, as for numbers behind its end.
    pub fn fat_entry(&mut self, cluster: u32) -> Result<FatEntry, Error> {
        Ok(FatEntry::new(self.bpb.fat_type, self.fat_value(cluster)?, self.clusters))
    }

    /// Returns where the entry of a cluster stands in the source; a FAT12 entry may begin in the middle of this byte.
    pub fn fat_entry_offset(&self, cluster: u32) -> u64 {
        let bits = u64::from(cluster).saturating_mul(u64::from(self.bpb.fat_type.bits()));
        self.fat_start.saturating_add(bits / 8)
    }

    /// Returns the clusters of the chain that begins at `first`.
    pub const fn clusters_from(&mut self, first: u32) -> Clusters<'_, R> {
        Clusters::new(self, Chain::new(first, 0))
    }

    /// Returns where a cluster begins, bytes; `None` for numbers that are no cluster of the volume.
    pub fn cluster_offset(&self, cluster: u32) -> Option<u64> {
        cluster.checked_sub(2).filter(|index| *index < self.clusters)?;
        self.bpb.cluster_offset(cluster)
    }

    fn fat_value(&mut self, cluster: u32) -> Result<u32, Error> {
        let at = self.fat_entry_offset(cluster);
        let end = self.fat_start.saturating_add(self.bpb.fat_bytes());
        let bytes = u64::from(self.bpb.fat_type.bits()).div_ceil(8);
        if at.saturating_add(bytes) > end {
            return Err(Error::Read { at, error: ReadError::EndOfInput });
        }
        let (source, block) = (&self.source, &mut self.fat_block);
        Ok(match self.bpb.fat_type {
            FatType::Fat32 => u32::from_le_bytes(block.get(source, at, end)?),
            FatType::Fat16 => u16::from_le_bytes(block.get(source, at, end)?).into(),
            FatType::Fat12 => {
                let pair = u16::from_le_bytes(block.get(source, at, end)?);
                let odd = !cluster.is_multiple_of(2);
                u32::from(if odd { pair >> 4 } else { pair & 0xFFF })
            }
        })
    }

    /// Returns the slot at `at` of a directory whose bytes go on up to `end`.
    pub(super) fn slot<const N: usize>(&mut self, at: u64, end: u64) -> Result<[u8; N], Error> {
        self.dir_block.get(&self.source, at, end)
    }

    pub(super) fn read(&self, at: u64, buf: &mut [u8]) -> Result<(), Error> {
        self.source.read_exact_at(at, buf).map_err(|error| Error::Read { at, error })
    }

    /// Returns the slots that all directories together can have: what the volume says, and what the source holds.
    pub(super) fn all_slots(&self) -> u64 {
        let cluster = u64::from(self.bpb.cluster_bytes());
        let data = u64::from(self.clusters).saturating_mul(cluster);
        let root = u64::from(self.bpb.root_entries).saturating_mul(bpb::DIR_ENTRY_LEN.into());
        let bytes = data.saturating_add(root).min(self.source.size().unwrap_or(u64::MAX));
        bytes.checked_div(bpb::DIR_ENTRY_LEN.into()).unwrap_or(0)
    }
}
