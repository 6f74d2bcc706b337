//! One entry of the file allocation table: what it says about its cluster.
//!
//! Source: the FAT specification 1.03, "FAT Data Structure". The upper four bits of a FAT32 entry belong to nobody
//! and are masked. Not handled: the first two entries, which belong to no cluster; see [`super::FileSystem::state`].

use super::geometry::FatType;

/// Least value that ends a FAT32 chain; its low 16 and 12 bits are those of the smaller types.
const END: u32 = 0x0FFF_FFF8;
/// Mark of a cluster that cannot be read.
const BAD: u32 = 0x0FFF_FFF7;

/// What a FAT entry says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FatEntry {
    /// The cluster is free.
    Free,
    /// The chain goes on in this cluster of the volume.
    Next(u32),
    /// The cluster is the last of its chain.
    End,
    /// The cluster is bad.
    Bad,
    /// A value without a meaning: 1, a mark of the system, or a cluster that the volume does not have.
    Reserved(u32),
}

impl FatEntry {
    /// Returns the meaning of `value` in a volume of so many `clusters`, of which the first has the number 2.
    #[must_use]
    pub const fn new(fat_type: FatType, value: u32, clusters: u32) -> Self {
        let mask = match fat_type {
            FatType::Fat12 => 0xFFF,
            FatType::Fat16 => 0xFFFF,
            FatType::Fat32 => 0x0FFF_FFFF,
        };
        let value = value & mask;
        match value {
            0 => Self::Free,
            2.. if value.saturating_sub(2) < clusters => Self::Next(value),
            _ if value >= END & mask => Self::End,
            _ if value == BAD & mask => Self::Bad,
            _ => Self::Reserved(value),
        }
    }
}

impl core::fmt::Display for FatEntry {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Free => f.write_str("free"),
            Self::Next(cluster) => write!(f, "cluster {cluster}"),
            Self::End => f.write_str("the end"),
            Self::Bad => f.write_str("bad"),
            Self::Reserved(value) => write!(f, "the reserved value {value:#x}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn value_of_each_type_has_its_meaning() {
        use FatEntry::{Bad, End, Free, Next, Reserved};
        use FatType::{Fat12, Fat16, Fat32};
        for (fat_type, value, expected) in [
            (Fat12, 0, Free),
            (Fat12, 1, Reserved(1)),
            (Fat12, 2, Next(2)),
            (Fat12, 101, Next(101)),
            (Fat12, 102, Reserved(102)),
            (Fat12, 0xFF6, Reserved(0xFF6)),
            (Fat12, 0xFF7, Bad),
            (Fat12, 0xFF8, End),
            (Fat12, 0xFFF, End),
            (Fat12, 0xF000, Free),
            (Fat16, 0xFF8, Reserved(0xFF8)),
            (Fat16, 0xFFF7, Bad),
            (Fat16, 0xFFF8, End),
            (Fat32, 0xFFF8, Reserved(0xFFF8)),
            (Fat32, 0xA000_0003, Next(3)),
            (Fat32, 0xF000_0000, Free),
            (Fat32, 0x0FFF_FFF7, Bad),
            (Fat32, 0x0FFF_FFF8, End),
            (Fat32, 0xFFFF_FFFF, End),
        ] {
            assert_eq!(FatEntry::new(fat_type, value, 100), expected, "{fat_type:?} {value:#x}");
        }
    }
}
