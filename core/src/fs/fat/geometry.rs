//! Legal FAT geometries: which FAT type, cluster size and table size a volume of a given length gets.
//!
//! Source: "Microsoft Extensible Firmware Initiative FAT32 File System Specification" 1.03, sections "FAT Type
//! Determination" and "FAT Volume Initialization". The type follows from the cluster count alone; counts within
//! 16 of a boundary are never used, because readers that count wrongly by a few exist (the specification says so).
//! FAT32 wherever it is legal, with the largest cluster of 16, 8 and 4 KiB; smaller volumes get smaller clusters,
//! then FAT16, then FAT12. The data area starts on a cluster boundary of the volume.
//! Not handled: floppies, one FAT, more than 2^32 - 1 sectors (the rest of the room stays unused).

use core::fmt;
use core::num::{NonZeroU32, NonZeroU64};

use crate::error::Class;

/// Distance from every boundary between FAT types.
const MARGIN: u32 = 16;
/// Fewest clusters of a FAT32 volume.
const FAT32_MIN_CLUSTERS: u32 = 65_525 + MARGIN;
/// Most clusters of a FAT32 volume: the numbers from 0x0FFF_FFF7 are marks, the first two have no cluster.
const FAT32_MAX_CLUSTERS: u32 = 0x0FFF_FFF5 - MARGIN;
/// Fewest clusters of a FAT16 volume.
const FAT16_MIN_CLUSTERS: u32 = 4_085 + MARGIN;
/// Most clusters of a FAT16 volume.
const FAT16_MAX_CLUSTERS: u32 = 65_524 - MARGIN;
/// Most clusters of a FAT12 volume.
const FAT12_MAX_CLUSTERS: u32 = 4_084 - MARGIN;
/// Sectors that the specification allows, bytes.
const SECTOR_SIZES: core::ops::RangeInclusive<u32> = 512..=4096;
/// Largest cluster that Windows and GRUB read.
const MAX_CLUSTER_BYTES: u32 = 64 * 1024;
/// Slots in the fixed root directory of FAT12 and FAT16.
const FIXED_ROOT_ENTRIES: u32 = 512;
/// Bytes of a directory entry.
const DIR_ENTRY_BYTES: u32 = 32;
/// Number of FATs.
pub const FAT_COPIES: u32 = 2;

/// Cluster sizes of FAT32 in the order of preference; the two last only for volumes with too many clusters.
const FAT32_CLUSTERS: [u32; 8] = [16_384, 8_192, 4_096, 2_048, 1_024, 512, 32_768, 65_536];
/// Cluster sizes of FAT16 and FAT12 in the order of preference.
const SMALL_CLUSTERS: [u32; 7] = [4_096, 2_048, 1_024, 512, 8_192, 16_384, 32_768];

/// The three FAT types, told apart by the number of clusters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FatType {
    /// 12-bit FAT entries.
    Fat12,
    /// 16-bit FAT entries.
    Fat16,
    /// 32-bit FAT entries, 28 of them used.
    Fat32,
}

impl FatType {
    /// Returns the width of a FAT entry in bits.
    #[must_use]
    pub const fn bits(self) -> u32 {
        match self {
            Self::Fat12 => 12,
            Self::Fat16 => 16,
            Self::Fat32 => 32,
        }
    }

    const fn cluster_limits(self) -> (u32, u32) {
        match self {
            Self::Fat12 => (1, FAT12_MAX_CLUSTERS),
            Self::Fat16 => (FAT16_MIN_CLUSTERS, FAT16_MAX_CLUSTERS),
            Self::Fat32 => (FAT32_MIN_CLUSTERS, FAT32_MAX_CLUSTERS),
        }
    }
}

/// Why there is no geometry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The sector size is not 512, 1024, 2048 or 4096 bytes.
    SectorSize(u32),
    /// The cluster size is no power of two, smaller than a sector or larger than 64 KiB.
    ClusterSize(u32),
    /// No FAT type allows this many bytes with this cluster size.
    VolumeSize(u64),
}

impl Error {
    /// Returns what kind of failure this is.
    #[must_use]
    pub const fn class(self) -> Class {
        match self {
            Self::SectorSize(_) | Self::ClusterSize(_) => Class::Unsupported,
            Self::VolumeSize(_) => Class::Limit,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SectorSize(bytes) => write!(f, "{bytes} bytes are no sector size of a FAT"),
            Self::ClusterSize(bytes) => write!(f, "{bytes} bytes are no cluster size of a FAT"),
            Self::VolumeSize(bytes) => write!(f, "no legal FAT has {bytes} bytes"),
        }
    }
}

impl core::error::Error for Error {}

/// The shape of a FAT volume. Having one proves that the cluster count belongs to the FAT type, that the tables
/// have an entry for each cluster, and that every offset fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    fat_type: FatType,
    sector_bytes: NonZeroU32,
    sectors_per_cluster: NonZeroU32,
    reserved_sectors: u32,
    fat_sectors: u32,
    total_sectors: u32,
    clusters: u32,
}

impl Geometry {
    /// Returns the geometry of a volume of `total_bytes`; without a cluster size the largest good one is taken.
    ///
    /// # Errors
    /// When a size is none of FAT's, or no FAT type is legal for the combination.
    pub fn plan(total_bytes: u64, sector_bytes: u32, cluster_bytes: Option<u32>) -> Result<Self, Error> {
        let sector = match NonZeroU32::new(sector_bytes) {
            Some(n) if SECTOR_SIZES.contains(&sector_bytes) && n.is_power_of_two() => n,
            _ => return Err(Error::SectorSize(sector_bytes)),
        };
        if let Some(bytes) = cluster_bytes
            && !((sector_bytes..=MAX_CLUSTER_BYTES).contains(&bytes) && bytes.is_power_of_two())
        {
            return Err(Error::ClusterSize(bytes));
        }
        // Why: the sector count is 32 bits wide; a larger room is legal and simply not used to its end.
        let total = u32::try_from(total_bytes / NonZeroU64::from(sector)).unwrap_or(u32::MAX);
        let kinds = [
            (FatType::Fat32, FAT32_CLUSTERS.as_slice()),
            (FatType::Fat16, SMALL_CLUSTERS.as_slice()),
            (FatType::Fat12, SMALL_CLUSTERS.as_slice()),
        ];
        kinds
            .into_iter()
            .flat_map(|(fat_type, sizes)| sizes.iter().map(move |size| (fat_type, *size)))
            .filter(|(_, size)| *size >= sector_bytes && cluster_bytes.is_none_or(|wanted| wanted == *size))
            .find_map(|(fat_type, size)| Self::of(fat_type, total, sector, size))
            .ok_or(Error::VolumeSize(total_bytes))
    }

    /// Returns the geometry of this type and cluster size, when it is legal.
    fn of(fat_type: FatType, total_sectors: u32, sector: NonZeroU32, cluster_bytes: u32) -> Option<Self> {
        let sectors_per_cluster = NonZeroU32::new(cluster_bytes.checked_div(sector.get())?)?;
        let shape = Shape { fat_type, total_sectors, sector, sectors_per_cluster };
        // The smallest table that has an entry for each cluster that is left beside it; a larger table leaves
        // fewer clusters, so the test is monotone and halving finds the edge.
        let (mut low, mut high) = (1u32, total_sectors);
        while low < high {
            let middle = low.midpoint(high);
            if shape.table_suffices(middle) {
                high = middle;
            } else {
                low = middle.checked_add(1)?;
            }
        }
        let fat_sectors = low;
        let clusters = shape.clusters(fat_sectors);
        let (least, most) = fat_type.cluster_limits();
        if !shape.table_suffices(fat_sectors) || clusters < least || clusters > most {
            return None;
        }
        let tables = fat_sectors.checked_mul(FAT_COPIES)?.checked_add(shape.root_sectors())?;
        let reserved_sectors = shape.data_start(fat_sectors)?.checked_sub(tables)?;
        Some(Self {
            fat_type,
            sector_bytes: sector,
            sectors_per_cluster,
            reserved_sectors,
            fat_sectors,
            total_sectors,
            clusters,
        })
    }

    /// Returns the FAT type.
    #[must_use]
    pub const fn fat_type(&self) -> FatType {
        self.fat_type
    }

    /// Returns the bytes of a logical sector.
    #[must_use]
    pub const fn sector_bytes(&self) -> u32 {
        self.sector_bytes.get()
    }

    /// Returns the sectors of a cluster.
    #[must_use]
    pub const fn sectors_per_cluster(&self) -> u32 {
        self.sectors_per_cluster.get()
    }

    /// Returns the bytes of a cluster.
    #[must_use]
    pub const fn cluster_bytes(&self) -> u32 {
        self.sector_bytes.get().saturating_mul(self.sectors_per_cluster.get())
    }

    /// Returns the sectors before the first FAT.
    #[must_use]
    pub const fn reserved_sectors(&self) -> u32 {
        self.reserved_sectors
    }

    /// Returns the sectors of one FAT.
    #[must_use]
    pub const fn fat_sectors(&self) -> u32 {
        self.fat_sectors
    }

    /// Returns the slots of the fixed root directory; 0 on FAT32, whose root is a cluster chain.
    #[must_use]
    pub const fn root_entries(&self) -> u32 {
        root_entries(self.fat_type)
    }

    /// Returns the sectors of the volume.
    #[must_use]
    pub const fn total_sectors(&self) -> u32 {
        self.total_sectors
    }

    /// Returns the number of data clusters; the first has the number 2.
    #[must_use]
    pub const fn clusters(&self) -> u32 {
        self.clusters
    }

    /// Returns the byte offset of a FAT, counted from 0.
    #[must_use]
    pub fn fat_offset(&self, copy: u32) -> u64 {
        self.bytes(
            u64::from(self.reserved_sectors)
                .saturating_add(u64::from(copy).saturating_mul(u64::from(self.fat_sectors))),
        )
    }

    /// Returns the byte offset behind the last FAT: the fixed root directory, on FAT32 the data area.
    #[must_use]
    pub fn root_offset(&self) -> u64 {
        self.fat_offset(FAT_COPIES)
    }

    /// Returns the byte offset of a cluster (from 2), `None` for a number without a cluster.
    #[must_use]
    pub fn cluster_offset(&self, cluster: u32) -> Option<u64> {
        let index = cluster.checked_sub(2).filter(|index| *index < self.clusters)?;
        let root = u64::from(self.root_entries()).saturating_mul(u64::from(DIR_ENTRY_BYTES));
        let data = self.root_offset().saturating_add(root);
        Some(data.saturating_add(u64::from(index).saturating_mul(u64::from(self.cluster_bytes()))))
    }

    /// Returns how many clusters hold this many bytes, `None` when they are more than a volume ever has.
    #[must_use]
    pub fn clusters_for(&self, bytes: u64) -> Option<u32> {
        u32::try_from(bytes.div_ceil(u64::from(self.cluster_bytes().max(1)))).ok()
    }

    fn bytes(&self, sectors: u64) -> u64 {
        sectors.saturating_mul(u64::from(self.sector_bytes.get()))
    }
}

const fn root_entries(fat_type: FatType) -> u32 {
    match fat_type {
        FatType::Fat32 => 0,
        FatType::Fat12 | FatType::Fat16 => FIXED_ROOT_ENTRIES,
    }
}

/// What is known before the size of the tables is.
struct Shape {
    fat_type: FatType,
    total_sectors: u32,
    sector: NonZeroU32,
    sectors_per_cluster: NonZeroU32,
}

impl Shape {
    fn root_sectors(&self) -> u32 {
        root_entries(self.fat_type).saturating_mul(DIR_ENTRY_BYTES).div_ceil(self.sector.get())
    }

    /// Returns the first sector of the data area, rounded up to a whole cluster; the reserved sectors take the rest.
    fn data_start(&self, fat_sectors: u32) -> Option<u32> {
        let reserved: u32 = match self.fat_type {
            FatType::Fat32 => 32,
            FatType::Fat12 | FatType::Fat16 => 1,
        };
        let before = fat_sectors.checked_mul(FAT_COPIES)?.checked_add(reserved)?;
        before.checked_add(self.root_sectors())?.checked_next_multiple_of(self.sectors_per_cluster.get())
    }

    fn clusters(&self, fat_sectors: u32) -> u32 {
        self.data_start(fat_sectors)
            .map_or(0, |start| self.total_sectors.saturating_sub(start) / self.sectors_per_cluster)
    }

    fn table_suffices(&self, fat_sectors: u32) -> bool {
        let entries = u64::from(self.clusters(fat_sectors)).saturating_add(2);
        let needed_bits = entries.saturating_mul(u64::from(self.fat_type.bits()));
        let table_bits =
            u64::from(fat_sectors).saturating_mul(u64::from(self.sector.get())).saturating_mul(8);
        needed_bits <= table_bits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: u64 = 1024;
    const MIB: u64 = 1024 * KIB;
    const GIB: u64 = 1024 * MIB;

    #[test]
    fn type_and_cluster_follow_the_size() {
        use FatType::{Fat12, Fat16, Fat32};
        let cases = [
            (MIB, 512, Fat12, 4096),
            (2 * MIB, 512, Fat12, 4096),
            (15 * MIB, 512, Fat16, 2048),
            (8 * MIB, 512, Fat16, 1024),
            (16 * MIB, 512, Fat16, 2048),
            (20 * MIB, 512, Fat16, 4096),
            (34 * MIB, 512, Fat32, 512),
            (256 * MIB, 512, Fat32, 2048),
            (512 * MIB, 512, Fat32, 4096),
            (GIB, 512, Fat32, 8192),
            (1100 * MIB, 512, Fat32, 16384),
            (2048 * GIB, 512, Fat32, 16384),
            (100 * MIB, 4096, Fat16, 4096),
            (300 * MIB, 4096, Fat32, 4096),
            (8192 * GIB, 4096, Fat32, 32768),
        ];
        for (bytes, sector, fat_type, cluster) in cases {
            let g = Geometry::plan(bytes, sector, None).unwrap();
            assert_eq!((g.fat_type(), g.cluster_bytes()), (fat_type, cluster), "{bytes} bytes");
        }
    }

    #[test]
    fn every_size_is_legal_and_aligned() {
        let mut bytes = MIB;
        while bytes < 4 * 1024 * GIB {
            for sector in [512, 4096] {
                let g = Geometry::plan(bytes, sector, None).unwrap();
                let (least, most) = g.fat_type().cluster_limits();
                assert!((least..=most).contains(&g.clusters()), "{bytes}");
                let first = g.cluster_offset(2).unwrap();
                assert_eq!(first % u64::from(g.cluster_bytes()), 0, "{bytes}");
                let last = g.cluster_offset(g.clusters() + 1).unwrap();
                assert!(last + u64::from(g.cluster_bytes()) <= bytes, "{bytes}");
                assert_eq!(g.cluster_offset(g.clusters() + 2), None);
                let table = u64::from(g.fat_sectors()) * u64::from(sector) * 8;
                let needed = (u64::from(g.clusters()) + 2) * u64::from(g.fat_type().bits());
                assert!(table >= needed && table < needed + 2 * 8 * u64::from(sector), "{bytes}");
            }
            bytes += bytes / 7 + 3 * KIB;
        }
    }

    #[test]
    fn illegal_sizes_are_rejected() {
        let cases = [
            (GIB, 500, None, Error::SectorSize(500)),
            (GIB, 0, None, Error::SectorSize(0)),
            (GIB, 512, Some(131_072), Error::ClusterSize(131_072)),
            (GIB, 4096, Some(2048), Error::ClusterSize(2048)),
            (4096, 512, None, Error::VolumeSize(4096)),
            (0, 512, None, Error::VolumeSize(0)),
            (2048 * GIB, 512, Some(512), Error::VolumeSize(2048 * GIB)),
        ];
        for (bytes, sector, cluster, error) in cases {
            assert_eq!(Geometry::plan(bytes, sector, cluster), Err(error));
        }
    }
}
