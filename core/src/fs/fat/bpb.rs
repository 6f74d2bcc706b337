//! BIOS parameter block: the first sector of a FAT12, FAT16 or FAT32, as a value that is legal.
//!
//! Source: "Microsoft Extensible Firmware Initiative FAT32 File System Specification" 1.03; where real volumes
//! break it (FAT32 with few clusters, FATs without type strings) Linux and libblkid decide. Not handled: exFAT,
//! NTFS (only recognized, so that an MBR is not seen in them) and Atari's variant.

use crate::bytes;
use crate::fs::fat::geometry::FatType;

pub mod volume_label;

/// Bytes of the boot sector that carry the block; the sector itself may be larger.
pub const LEN: usize = 512;
/// Most clusters of a FAT12; one more makes a FAT16.
pub const MAX_FAT12_CLUSTERS: u32 = 4084;
/// Most clusters of a FAT16.
pub const MAX_FAT16_CLUSTERS: u32 = 65_524;
/// Most clusters of a FAT32: entries have 28 bits and the last values are marks.
pub const MAX_FAT32_CLUSTERS: u32 = 0x0FFF_FFF5;
/// Size of a directory entry, bytes.
pub const DIR_ENTRY_LEN: u32 = 32;

const MAGIC: u16 = 0xAA55;

/// Why 512 bytes are not the boot sector of a FAT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The last two bytes are not `55 AA`; the value is what stands there.
    Signature(u16),
    /// Another file system with a similar boot sector: its name.
    Foreign(&'static str),
    /// Bytes per sector are not 512, 1024, 2048 or 4096.
    SectorSize(u16),
    /// Sectors per cluster are not a power of two.
    ClusterSize(u8),
    /// There are no reserved sectors, so no room for the boot sector.
    ReservedSectors,
    /// There is no FAT; the value is their number.
    Fats(u8),
    /// The media byte is neither F0 nor F8 to FF.
    Media(u8),
    /// The FAT has no sectors.
    FatSize,
    /// Reserved sectors, FATs and root directory leave no room for a cluster.
    TotalSectors(u32),
    /// More clusters than the type can count.
    Clusters(u32),
}

impl Error {
    /// Returns the class of the cause.
    #[must_use]
    pub const fn class(self) -> crate::error::Class {
        match self {
            Self::Signature(_) | Self::Foreign(_) => crate::error::Class::BadMagic,
            Self::SectorSize(_)
            | Self::ClusterSize(_)
            | Self::ReservedSectors
            | Self::Fats(_)
            | Self::Media(_)
            | Self::FatSize
            | Self::TotalSectors(_)
            | Self::Clusters(_) => crate::error::Class::Corrupt,
        }
    }

    /// Returns the byte offset in the boot sector of the field that says so.
    #[must_use]
    pub const fn at(self) -> u16 {
        match self {
            Self::Signature(_) => 0x1FE,
            Self::Foreign(_) => 0x03,
            Self::SectorSize(_) => 0x0B,
            Self::ClusterSize(_) => 0x0D,
            Self::ReservedSectors => 0x0E,
            Self::Fats(_) => 0x10,
            // The number of clusters follows from that of the sectors.
            Self::TotalSectors(_) | Self::Clusters(_) => 0x13,
            Self::Media(_) => 0x15,
            Self::FatSize => 0x16,
        }
    }
}

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Signature(found) => write!(f, "boot sector signature is {found:#06x}, not 0xaa55"),
            Self::Foreign(name) => write!(f, "boot sector of {name}"),
            Self::SectorSize(found) => write!(f, "{found} bytes per sector"),
            Self::ClusterSize(found) => write!(f, "{found} sectors per cluster"),
            Self::ReservedSectors => f.write_str("no reserved sectors"),
            Self::Fats(found) => write!(f, "{found} FATs"),
            Self::Media(found) => write!(f, "media byte {found:#04x}"),
            Self::FatSize => f.write_str("FAT of 0 sectors"),
            Self::TotalSectors(found) => write!(f, "{found} sectors leave no room for clusters"),
            Self::Clusters(found) => write!(f, "{found} clusters are too many for this FAT"),
        }?;
        write!(f, " (byte {:#05x})", self.at())
    }
}

impl core::error::Error for Error {}

impl FatType {
    /// Returns the name that blkid prints as VERSION.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fat12 => "FAT12",
            Self::Fat16 => "FAT16",
            Self::Fat32 => "FAT32",
        }
    }
}

/// The volume serial; printed as blkid prints the UUID of a FAT: `1234-ABCD`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct VolumeSerial(pub u32);

impl VolumeSerial {
    /// Returns the serial of a text of the form `1234-ABCD`, in either case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (high, low) = text.split_once('-')?;
        let word = |s: &str| {
            let digits = s.len() == 4 && s.bytes().all(|b| b.is_ascii_hexdigit());
            digits.then(|| u16::from_str_radix(s, 16).ok()).flatten()
        };
        Some(Self((u32::from(word(high)?) << 16) | u32::from(word(low)?)))
    }
}

impl core::fmt::Display for VolumeSerial {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{:04X}-{:04X}", self.0 >> 16, self.0 & 0xFFFF)
    }
}

/// The bytes of the boot sector; nothing is judged.
#[derive(Clone, Copy, Debug)]
pub struct Raw<'a>(&'a [u8; LEN]);

macro_rules! fields {
    ($($(#[$doc:meta])* $name:ident: $get:ident, $ty:ty, $offset:literal;)*) => {
        $($(#[$doc])* #[must_use] pub const fn $name(&self) -> $ty { bytes::$get::<$offset, LEN>(self.0) })*
    };
}

impl<'a> Raw<'a> {
    /// Returns the view of the first 512 bytes of a volume.
    #[must_use]
    pub const fn new(sector: &'a [u8; LEN]) -> Self {
        Self(sector)
    }

    fields! {
        /// Bytes per sector.
        byts_per_sec: u16_le, u16, 0x0B;
        /// Sectors per cluster.
        sec_per_clus: u8_le, u8, 0x0D;
        /// Sectors before the first FAT.
        rsvd_sec_cnt: u16_le, u16, 0x0E;
        /// Number of FATs.
        num_fats: u8_le, u8, 0x10;
        /// Entries of the root directory; 0 on FAT32.
        root_ent_cnt: u16_le, u16, 0x11;
        /// Sectors of the volume, 0 when they do not fit.
        tot_sec16: u16_le, u16, 0x13;
        /// Media byte.
        media: u8_le, u8, 0x15;
        /// Sectors of one FAT; 0 on FAT32.
        fat_sz16: u16_le, u16, 0x16;
        /// Sectors of the volume when the short field is 0.
        tot_sec32: u32_le, u32, 0x20;
        /// Sectors of one FAT on FAT32.
        fat_sz32: u32_le, u32, 0x24;
        /// First cluster of the root directory on FAT32.
        root_clus: u32_le, u32, 0x2C;
        /// The last two bytes.
        signature: u16_le, u16, 0x1FE;
    }

    /// Returns which FAT of a FAT32 is in use; the others may be stale where they are not written alike.
    pub(super) const fn active_fat(&self) -> u8 {
        let flags = bytes::u8_le::<0x28, LEN>(self.0);
        if flags & 0x80 == 0 { 0 } else { flags & 0x0F }
    }

    /// Returns Linux' flag byte, of which bit 0 says "not cleanly unmounted", bit 1 "check the disk's surface".
    fn state(&self, fat32: bool) -> u8 {
        if fat32 { bytes::u8_le::<0x41, LEN>(self.0) } else { bytes::u8_le::<0x25, LEN>(self.0) }
    }

    /// Returns the extended boot signature, the serial and the label field.
    fn extended(&self, fat32: bool) -> (u8, u32, [u8; 11]) {
        let part: [u8; 16] =
            if fat32 { bytes::array::<0x42, 16, LEN>(self.0) } else { bytes::array::<0x26, 16, LEN>(self.0) };
        (bytes::u8_le::<0, 16>(&part), bytes::u32_le::<1, 16>(&part), bytes::array::<5, 11, 16>(&part))
    }
}

/// A legal parameter block: every region that it describes has a size, and they lie one behind the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bpb {
    /// Width of the FAT entries.
    pub fat_type: FatType,
    /// Bytes per sector: 512, 1024, 2048 or 4096.
    pub sector_bytes: u16,
    /// Sectors per cluster, a power of two.
    pub cluster_sectors: u8,
    /// Sectors before the first FAT, at least 1.
    pub reserved_sectors: u16,
    /// Number of FATs, at least 1.
    pub fats: u8,
    /// Sectors of one FAT.
    pub fat_sectors: u32,
    /// Entries of the root directory; 0 on FAT32.
    pub root_entries: u16,
    /// First cluster of the root directory on FAT32, else 0.
    pub root_cluster: u32,
    /// Sectors of the volume.
    pub total_sectors: u32,
    /// Clusters of the data region; the first has the number 2.
    pub clusters: u32,
    /// Media byte.
    pub media: u8,
    /// Volume serial; old formatters leave it out.
    pub serial: Option<VolumeSerial>,
    /// Label field of the boot sector, padded with blanks; Linux tools prefer the root directory's.
    pub label: Option<[u8; 11]>,
    /// Linux mounted the volume writable and did not unmount it.
    pub dirty: bool,
    /// Someone met a disk error and asks for a test of the surface.
    pub surface_test: bool,
}

impl Bpb {
    /// Parses the first 512 bytes of a volume.
    ///
    /// # Errors
    /// When this is not a FAT or not a legal one.
    pub fn parse(raw: Raw<'_>) -> Result<Self, Error> {
        if raw.signature() != MAGIC {
            return Err(Error::Signature(raw.signature()));
        }
        if let Some(name) = foreign(raw) {
            return Err(Error::Foreign(name));
        }
        let sector_bytes = raw.byts_per_sec();
        if !matches!(sector_bytes, 512 | 1024 | 2048 | 4096) {
            return Err(Error::SectorSize(sector_bytes));
        }
        if !raw.sec_per_clus().is_power_of_two() {
            return Err(Error::ClusterSize(raw.sec_per_clus()));
        }
        if raw.rsvd_sec_cnt() == 0 {
            return Err(Error::ReservedSectors);
        }
        if raw.num_fats() == 0 {
            return Err(Error::Fats(0));
        }
        if !matches!(raw.media(), 0xF0 | 0xF8..=0xFF) {
            return Err(Error::Media(raw.media()));
        }
        // Why not by the cluster count alone: the fields below lie elsewhere on FAT32, and `mkfs.vfat -F 32` makes
        // FAT32 volumes with fewer clusters than Microsoft allows; Linux and blkid take them for what they are.
        let fat32 = raw.fat_sz16() == 0;
        let fat_sectors = if fat32 { raw.fat_sz32() } else { u32::from(raw.fat_sz16()) };
        if fat_sectors == 0 {
            return Err(Error::FatSize);
        }
        let total_sectors = if raw.tot_sec16() == 0 { raw.tot_sec32() } else { u32::from(raw.tot_sec16()) };
        let mut bpb = Self {
            fat_type: FatType::Fat32,
            sector_bytes,
            cluster_sectors: raw.sec_per_clus(),
            reserved_sectors: raw.rsvd_sec_cnt(),
            fats: raw.num_fats(),
            fat_sectors,
            root_entries: raw.root_ent_cnt(),
            root_cluster: if fat32 { raw.root_clus() } else { 0 },
            total_sectors,
            clusters: 0,
            media: raw.media(),
            serial: None,
            label: None,
            dirty: raw.state(fat32) & 1 != 0,
            surface_test: raw.state(fat32) & 2 != 0,
        };
        let data_bytes = bpb.total_bytes().saturating_sub(bpb.data_offset());
        let clusters = data_bytes.checked_div(u64::from(bpb.cluster_bytes())).unwrap_or(0);
        let clusters = u32::try_from(clusters).unwrap_or(u32::MAX);
        if clusters == 0 {
            return Err(Error::TotalSectors(total_sectors));
        }
        let max_clusters = if fat32 { MAX_FAT32_CLUSTERS } else { MAX_FAT16_CLUSTERS };
        if clusters > max_clusters {
            return Err(Error::Clusters(clusters));
        }
        bpb.clusters = clusters;
        bpb.fat_type = match (fat32, clusters) {
            (true, _) => FatType::Fat32,
            (false, ..=MAX_FAT12_CLUSTERS) => FatType::Fat12,
            (false, _) => FatType::Fat16,
        };
        let (boot_signature, serial, label) = raw.extended(fat32);
        bpb.serial = matches!(boot_signature, 0x28 | 0x29).then_some(VolumeSerial(serial));
        bpb.label = (boot_signature == 0x29).then_some(label);
        Ok(bpb)
    }

    /// Returns the size of the volume, bytes.
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        u64::from(self.total_sectors).saturating_mul(u64::from(self.sector_bytes))
    }

    /// Returns the size of a cluster, bytes.
    #[must_use]
    pub fn cluster_bytes(&self) -> u32 {
        u32::from(self.cluster_sectors).saturating_mul(u32::from(self.sector_bytes))
    }

    /// Returns where the first FAT begins, bytes.
    #[must_use]
    pub fn fat_offset(&self) -> u64 {
        u64::from(self.reserved_sectors).saturating_mul(u64::from(self.sector_bytes))
    }

    /// Returns the size of one FAT, bytes.
    #[must_use]
    pub fn fat_bytes(&self) -> u64 {
        u64::from(self.fat_sectors).saturating_mul(u64::from(self.sector_bytes))
    }

    /// Returns where the root directory of a FAT12 or FAT16 begins, bytes; on FAT32 the data region does.
    #[must_use]
    pub fn root_dir_offset(&self) -> u64 {
        self.fat_offset().saturating_add(self.fat_bytes().saturating_mul(u64::from(self.fats)))
    }

    /// Returns where cluster 2 begins, bytes.
    #[must_use]
    pub fn data_offset(&self) -> u64 {
        let root_bytes = u64::from(self.root_entries).saturating_mul(u64::from(DIR_ENTRY_LEN));
        let root_sectors = root_bytes.div_ceil(u64::from(self.sector_bytes.max(1)));
        self.root_dir_offset().saturating_add(root_sectors.saturating_mul(u64::from(self.sector_bytes)))
    }

    /// Returns where a cluster begins, bytes; `None` for numbers that are no cluster of the volume.
    #[must_use]
    pub fn cluster_offset(&self, cluster: u32) -> Option<u64> {
        let index = cluster.checked_sub(2).filter(|i| *i < self.clusters)?;
        let bytes = u64::from(index).checked_mul(u64::from(self.cluster_bytes()))?;
        self.data_offset().checked_add(bytes)
    }

    /// Returns where the flag byte lies whose bit 0 Linux sets while the volume is mounted writable, bytes.
    #[must_use]
    pub const fn dirty_flag_offset(&self) -> u64 {
        match self.fat_type {
            FatType::Fat32 => 0x41,
            FatType::Fat12 | FatType::Fat16 => 0x25,
        }
    }
}

/// Tells whether a sector that ends in `55 AA` belongs to a file system and not to a partition table.
#[must_use]
pub fn is_boot_sector(sector: &[u8; LEN]) -> bool {
    let raw = Raw::new(sector);
    foreign(raw).is_some() || Bpb::parse(raw).is_ok()
}

/// Name of "BitLocker To Go" in [`Error::Foreign`]; without "To Go", nothing in the sector resembles a FAT.
pub const BITLOCKER: &str = "BitLocker";
/// Where "BitLocker To Go" has its GUID in the boot sector of the FAT that it pretends to be.
const TO_GO_GUID: usize = 0x1A8;
/// 4967D63B-2E29-4AD8-8399-F6A339E3D001, in the byte order of UEFI.
const BITLOCKER_GUID: [u8; 16] = *b"\x3B\xD6\x67\x49\x29\x2E\xD8\x4A\x83\x99\xF6\xA3\x39\xE3\xD0\x01";

/// Returns the name of another file system whose boot sector resembles a FAT's.
fn foreign(raw: Raw<'_>) -> Option<&'static str> {
    match &bytes::array::<3, 8, LEN>(raw.0) {
        b"NTFS    " => Some("NTFS"),
        b"EXFAT   " => Some("exFAT"),
        _ if bytes::array::<TO_GO_GUID, 16, LEN>(raw.0) == BITLOCKER_GUID => Some(BITLOCKER),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;

    /// The first 62 bytes of a 1 MiB FAT12 by mkfs.fat 4.2.
    const FLOPPY: &[u8] =
        b"\xeb\x3c\x90mkfs.fat\x00\x02\x04\x01\x00\x02\x00\x02\x00\x08\xf8\x02\x00\x10\x00\x02\x00\0\0\0\0\
        \0\0\0\0\x80\x00\x29\xec\x6a\x1a\x91floppy     FAT12   ";

    fn sector() -> [u8; LEN] {
        let mut sector = [0; LEN];
        sector[..FLOPPY.len()].copy_from_slice(FLOPPY);
        sector[0x1FE..].copy_from_slice(&[0x55, 0xAA]);
        sector
    }

    #[test]
    fn bpb_of_mkfs_fat_is_parsed() {
        let bpb = Bpb::parse(Raw::new(&sector())).unwrap();
        assert_eq!(
            bpb,
            Bpb {
                fat_type: FatType::Fat12,
                sector_bytes: 512,
                cluster_sectors: 4,
                reserved_sectors: 1,
                fats: 2,
                fat_sectors: 2,
                root_entries: 512,
                root_cluster: 0,
                total_sectors: 2048,
                clusters: 502,
                media: 0xF8,
                serial: Some(VolumeSerial(0x911A_6AEC)),
                label: Some(*b"floppy     "),
                dirty: false,
                surface_test: false,
            }
        );
        assert_eq!(bpb.fat_offset(), 512);
        assert_eq!(bpb.root_dir_offset(), 5 * 512);
        assert_eq!(bpb.data_offset(), 37 * 512);
        assert_eq!(bpb.cluster_offset(3), Some(41 * 512));
        assert_eq!(bpb.cluster_offset(1), None);
        assert_eq!(bpb.cluster_offset(504), None);
    }

    #[test]
    fn illegal_fields_are_rejected_by_cause() {
        for (offset, value, expected) in [
            (0x1FE, 0, Error::Signature(0xAA00)),
            (0x0B, 1, Error::SectorSize(0x0201)),
            (0x0D, 3, Error::ClusterSize(3)),
            (0x0D, 0, Error::ClusterSize(0)),
            (0x0E, 0, Error::ReservedSectors),
            (0x10, 0, Error::Fats(0)),
            (0x15, 0, Error::Media(0)),
            (0x14, 0, Error::TotalSectors(0)),
            // Why this cause: without the short size it is a FAT32, whose size is read from other bytes.
            (0x16, 0, Error::TotalSectors(2048)),
        ] {
            let mut bytes = sector();
            bytes[offset] = value;
            assert_eq!(Bpb::parse(Raw::new(&bytes)), Err(expected), "{offset:#x}");
            assert!(usize::from(expected.at()).abs_diff(offset) <= 3, "{expected}");
        }
        // One sector per cluster and one cluster more than a FAT16 may have, behind 37 sectors.
        let mut bytes = sector();
        bytes[0x0D] = 1;
        bytes[0x13..0x15].fill(0);
        bytes[0x20..0x24].copy_from_slice(&(37 + MAX_FAT16_CLUSTERS + 1).to_le_bytes());
        assert_eq!(Bpb::parse(Raw::new(&bytes)), Err(Error::Clusters(MAX_FAT16_CLUSTERS + 1)));
        let mut bytes = sector();
        bytes[0x16] = 0;
        bytes[0x24..0x28].fill(0);
        assert_eq!(Bpb::parse(Raw::new(&bytes)), Err(Error::FatSize));
        let mut bytes = sector();
        bytes[3..11].copy_from_slice(b"NTFS    ");
        assert_eq!(Bpb::parse(Raw::new(&bytes)), Err(Error::Foreign("NTFS")));
        assert!(is_boot_sector(&bytes));
        let mut to_go = sector();
        to_go[TO_GO_GUID..TO_GO_GUID + 16].copy_from_slice(&BITLOCKER_GUID);
        assert_eq!(Bpb::parse(Raw::new(&to_go)), Err(Error::Foreign(BITLOCKER)));
    }

    #[test]
    fn cluster_count_decides_between_fat12_and_fat16() {
        let mut bytes = sector();
        // 37 sectors before the data region, 1 sector per cluster.
        bytes[0x0D] = 1;
        for (clusters, expected) in [(4084, FatType::Fat12), (4085, FatType::Fat16)] {
            bytes[0x13..0x15].copy_from_slice(&(37 + clusters as u16).to_le_bytes());
            assert_eq!(Bpb::parse(Raw::new(&bytes)).map(|b| b.fat_type), Ok(expected));
        }
    }

    #[test]
    fn serial_is_printed_and_parsed_as_blkid_spells_it() {
        assert_eq!(format!("{}", VolumeSerial(0x0012_ABCD)), "0012-ABCD");
        assert_eq!(VolumeSerial::parse("0012-abcd"), Some(VolumeSerial(0x0012_ABCD)));
        for text in ["", "0012ABCD", "0012-ABC", "+012-ABCD", "0012-ABCG"] {
            assert_eq!(VolumeSerial::parse(text), None, "{text}");
        }
    }
}
