//! Master boot record: boot code, disk signature, four partition entries.
//!
//! Source: UEFI specification 2.10, section 5.2 (legacy and protective MBR) and what sfdisk and parted write. The
//! logical partitions of an extended one are in [`logical`]. Not handled: cylinder/head/sector addresses are
//! written and never read; AIX, BSD and Solaris tables inside an MBR partition are one partition to us.

use crate::bytes;
use crate::fs::fat::bpb;

pub mod logical;

/// Size of the record, bytes.
pub const LEN: usize = 512;
/// Boot code before the disk signature, bytes; [`Mbr::emit`] leaves it alone.
pub const BOOT_CODE_LEN: usize = 440;
/// Sector size by which every MBR that we write or read counts, bytes.
pub const SECTOR_SIZE: u64 = 512;
/// Type of the partition that protects a GPT from old tools.
pub const TYPE_GPT_PROTECTIVE: u8 = 0xEE;
/// Type of an EFI system partition on an MBR.
pub const TYPE_EFI_SYSTEM: u8 = 0xEF;
/// Type of a FAT32 partition with LBA addresses.
pub const TYPE_FAT32_LBA: u8 = 0x0C;
/// Type of a Linux file system.
pub const TYPE_LINUX: u8 = 0x83;

const DISK_SIGNATURE: usize = 0x1B8;
const ENTRIES: usize = 0x1BE;
const SIGNATURE: usize = 0x1FE;
/// `55 AA` as a little-endian number.
const MAGIC: u16 = 0xAA55;
const ENTRY_LEN: usize = 16;
const ACTIVE: u8 = 0x80;
/// Geometry that every BIOS and every tool pretends, because LBA made the real one meaningless.
const HEADS: u32 = 255;
const SECTORS_PER_TRACK: u32 = 63;
const MAX_CYLINDER: u32 = 1023;

/// Why 512 bytes are not a partition table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The signature is not `55 AA`; the value is what stands there.
    Signature(u16),
    /// The boot indicator of this entry (from 0) is neither 00 nor 80.
    BootIndicator(usize, u8),
    /// The sector is the boot sector of a file system (FAT, exFAT, NTFS), which ends in `55 AA` too.
    BootSector,
    /// No entry is used and there is no disk signature: `55 AA` alone does not make a table.
    Empty,
}

impl Error {
    /// Returns the class of the cause.
    #[must_use]
    pub const fn class(self) -> crate::error::Class {
        match self {
            Self::Signature(_) | Self::BootSector | Self::Empty => crate::error::Class::BadMagic,
            Self::BootIndicator(..) => crate::error::Class::Corrupt,
        }
    }

    /// Returns the byte offset in the record of what says so.
    #[must_use]
    pub const fn at(self) -> usize {
        match self {
            Self::Signature(_) => SIGNATURE,
            Self::BootIndicator(entry, _) => ENTRIES.saturating_add(entry.saturating_mul(ENTRY_LEN)),
            Self::BootSector => 0,
            Self::Empty => DISK_SIGNATURE,
        }
    }
}

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Signature(found) => write!(f, "MBR signature is {found:#06x}, not 0xaa55"),
            Self::BootIndicator(i, found) => {
                write!(f, "boot indicator of MBR entry {i} is {found:#04x}, neither 00 nor 80")
            }
            Self::BootSector => f.write_str("boot sector of a file system, not an MBR"),
            Self::Empty => f.write_str("no partition and no disk signature"),
        }?;
        write!(f, " (byte {:#05x})", self.at())
    }
}

impl core::error::Error for Error {}

/// The bytes of a record; nothing is judged.
#[derive(Clone, Copy, Debug)]
pub struct Raw<'a>(&'a [u8; LEN]);

impl<'a> Raw<'a> {
    /// Returns the view of a sector.
    #[must_use]
    pub const fn new(sector: &'a [u8; LEN]) -> Self {
        Self(sector)
    }

    /// Returns the bytes before the disk signature.
    #[must_use]
    pub fn boot_code(&self) -> &'a [u8] {
        self.0.get(..BOOT_CODE_LEN).unwrap_or(&[])
    }

    /// Returns the disk signature, which blkid prints as PTUUID.
    #[must_use]
    pub const fn disk_signature(&self) -> u32 {
        bytes::u32_le::<DISK_SIGNATURE, LEN>(self.0)
    }

    /// Returns the four entries.
    #[must_use]
    pub const fn entries(&self) -> [RawEntry; 4] {
        let all = bytes::array::<ENTRIES, 64, LEN>(self.0);
        [
            RawEntry(bytes::array::<0, ENTRY_LEN, 64>(&all)),
            RawEntry(bytes::array::<16, ENTRY_LEN, 64>(&all)),
            RawEntry(bytes::array::<32, ENTRY_LEN, 64>(&all)),
            RawEntry(bytes::array::<48, ENTRY_LEN, 64>(&all)),
        ]
    }

    /// Returns the last two bytes, `0xAA55` in a record.
    #[must_use]
    pub const fn signature(&self) -> u16 {
        bytes::u16_le::<SIGNATURE, LEN>(self.0)
    }
}

/// The bytes of an entry; nothing is judged.
#[derive(Clone, Copy, Debug)]
pub struct RawEntry([u8; ENTRY_LEN]);

impl RawEntry {
    /// Returns 0x80 for the partition that a BIOS boots, else 0.
    #[must_use]
    pub const fn boot_indicator(&self) -> u8 {
        bytes::u8_le::<0, ENTRY_LEN>(&self.0)
    }

    /// Returns the type; 0 in an unused entry.
    #[must_use]
    pub const fn os_type(&self) -> u8 {
        bytes::u8_le::<4, ENTRY_LEN>(&self.0)
    }

    /// Returns the first sector.
    #[must_use]
    pub const fn starting_lba(&self) -> u32 {
        bytes::u32_le::<8, ENTRY_LEN>(&self.0)
    }

    /// Returns the number of sectors.
    #[must_use]
    pub const fn size_in_lba(&self) -> u32 {
        bytes::u32_le::<12, ENTRY_LEN>(&self.0)
    }

    /// Tells whether the entry describes nothing: sfdisk and the kernel go by the type and the size.
    #[must_use]
    pub const fn is_unused(&self) -> bool {
        self.os_type() == 0 || self.size_in_lba() == 0
    }
}

/// A used entry: it has a type and at least one sector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Partition {
    /// The partition that a BIOS boots.
    pub active: bool,
    /// The type, for example [`TYPE_FAT32_LBA`]; never 0.
    pub os_type: u8,
    /// First sector of [`SECTOR_SIZE`] bytes; 0 on discs that are also bootable as a stick (isohybrid).
    pub start_lba: u32,
    /// Number of sectors.
    pub sectors: u32,
}

impl Partition {
    /// Tells whether the partition holds logical ones.
    #[must_use]
    pub const fn is_extended(&self) -> bool {
        matches!(self.os_type, 0x05 | 0x0F | 0x85)
    }

    fn emit(&self) -> [u8; ENTRY_LEN] {
        let mut out = [0; ENTRY_LEN];
        let last = self.start_lba.saturating_add(self.sectors.saturating_sub(1));
        bytes::put_u8_le::<0, ENTRY_LEN>(&mut out, if self.active { ACTIVE } else { 0 });
        bytes::put_u8_le::<4, ENTRY_LEN>(&mut out, self.os_type);
        bytes::put_u32_le::<8, ENTRY_LEN>(&mut out, self.start_lba);
        bytes::put_u32_le::<12, ENTRY_LEN>(&mut out, self.sectors);
        let (first, last) = if self.os_type == TYPE_GPT_PROTECTIVE {
            // Why: UEFI fixes these for the protective partition: sector 2 of a table without geometry, and the end
            // of all addresses.
            ([0x00, 0x02, 0x00], [0xFF; 3])
        } else {
            (cylinder_head_sector(self.start_lba), cylinder_head_sector(last))
        };
        bytes::put_array::<1, 3, ENTRY_LEN>(&mut out, first);
        bytes::put_array::<5, 3, ENTRY_LEN>(&mut out, last);
        out
    }
}

/// Returns the address as head, sector with the two high bits of the cylinder, cylinder; `FE FF FF` beyond 8 GB.
fn cylinder_head_sector(lba: u32) -> [u8; 3] {
    let track = lba.checked_div(SECTORS_PER_TRACK).unwrap_or(0);
    let sector = lba.checked_rem(SECTORS_PER_TRACK).unwrap_or(0).saturating_add(1);
    let head = track.checked_rem(HEADS).unwrap_or(0);
    let cylinder = track.checked_div(HEADS).unwrap_or(u32::MAX);
    if cylinder > MAX_CYLINDER {
        return [0xFE, 0xFF, 0xFF];
    }
    let [cylinder_low, cylinder_high, ..] = cylinder.to_le_bytes();
    let [head, ..] = head.to_le_bytes();
    let [sector, ..] = sector.to_le_bytes();
    [head, sector | (cylinder_high << 6), cylinder_low]
}

/// What an MBR is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The table of the disk.
    Legacy,
    /// It only protects a GPT.
    Protective,
    /// It protects a GPT and repeats some of its partitions.
    Hybrid,
}

/// A partition table: every entry in use has a type and a range.
///
/// The ranges may still overlap, hold the record itself, or end beyond the disk; [`Mbr::fits`] asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mbr {
    /// Disk signature; blkid's PTUUID, 8 lower-case hexadecimal digits.
    pub disk_signature: u32,
    /// The primary partitions 1 to 4.
    pub partitions: [Option<Partition>; 4],
}

impl Mbr {
    /// Parses a record.
    ///
    /// # Errors
    /// When this is no partition table, boot sectors of file systems included.
    pub fn parse(raw: Raw<'_>) -> Result<Self, Error> {
        if raw.signature() != MAGIC {
            return Err(Error::Signature(raw.signature()));
        }
        // Why not by the entries: they are boot code in a FAT, which rarely passes for entries, but `mkfs.vfat --mbr`
        // makes one up.
        if bpb::is_boot_sector(raw.0) {
            return Err(Error::BootSector);
        }
        let mut partitions = [None; 4];
        for (i, (slot, entry)) in partitions.iter_mut().zip(raw.entries()).enumerate() {
            if !matches!(entry.boot_indicator(), 0 | ACTIVE) {
                return Err(Error::BootIndicator(i, entry.boot_indicator()));
            }
            if entry.is_unused() {
                continue;
            }
            *slot = Some(Partition {
                active: entry.boot_indicator() == ACTIVE,
                os_type: entry.os_type(),
                start_lba: entry.starting_lba(),
                sectors: entry.size_in_lba(),
            });
        }
        let table = Self { disk_signature: raw.disk_signature(), partitions };
        if partitions == [None; 4] && table.disk_signature == 0 {
            return Err(Error::Empty);
        }
        Ok(table)
    }

    /// Writes disk signature, entries and `55 AA` and keeps the boot code in `sector`.
    ///
    /// Overwrite the boot code too when the disk held a FAT without a table: its parameter block lies there, and
    /// every prober believes it more than the table.
    pub fn emit(&self, sector: &mut [u8; LEN]) {
        bytes::put_u32_le::<DISK_SIGNATURE, LEN>(sector, self.disk_signature);
        // Why: two bytes after the signature; other values mark a copy-protected disk.
        bytes::put_u16_le::<{ DISK_SIGNATURE + 4 }, LEN>(sector, 0);
        let [a, b, c, d] = self.partitions.map(|p| p.map_or([0; ENTRY_LEN], |p| p.emit()));
        bytes::put_array::<ENTRIES, ENTRY_LEN, LEN>(sector, a);
        bytes::put_array::<{ ENTRIES + 16 }, ENTRY_LEN, LEN>(sector, b);
        bytes::put_array::<{ ENTRIES + 32 }, ENTRY_LEN, LEN>(sector, c);
        bytes::put_array::<{ ENTRIES + 48 }, ENTRY_LEN, LEN>(sector, d);
        bytes::put_u16_le::<SIGNATURE, LEN>(sector, MAGIC);
    }

    /// Returns the protective table of a GPT on a disk of this many sectors.
    #[must_use]
    pub fn protective(disk_sectors: u64) -> Self {
        let sectors = u32::try_from(disk_sectors.saturating_sub(1)).unwrap_or(u32::MAX);
        let partition =
            Partition { active: false, os_type: TYPE_GPT_PROTECTIVE, start_lba: 1, sectors: sectors.max(1) };
        Self { disk_signature: 0, partitions: [Some(partition), None, None, None] }
    }

    /// Returns what the table is for.
    #[must_use]
    pub fn role(&self) -> Role {
        let used = || self.partitions.iter().flatten();
        match (used().any(|p| p.os_type == TYPE_GPT_PROTECTIVE), used().count()) {
            (false, _) => Role::Legacy,
            (true, 1) => Role::Protective,
            (true, _) => Role::Hybrid,
        }
    }

    /// Tells whether every partition lies behind the record, ends inside a disk of this many sectors, and overlaps
    /// no other.
    #[must_use]
    pub fn fits(&self, disk_sectors: u64) -> bool {
        let end = |p: &Partition| u64::from(p.start_lba).saturating_add(u64::from(p.sectors));
        let mut used = self.partitions.iter().flatten();
        while let Some(p) = used.next() {
            let apart = |q: &Partition| end(p) <= u64::from(q.start_lba) || end(q) <= u64::from(p.start_lba);
            if p.start_lba == 0 || end(p) > disk_sectors || !used.clone().all(apart) {
                return false;
            }
        }
        true
    }

    /// Returns the partitions in use with their numbers, from 1.
    pub fn numbered(&self) -> impl Iterator<Item = (u32, Partition)> + '_ {
        bytes::numbered(&self.partitions).filter_map(|(number, p)| p.map(|p| (number, p)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    /// Written by sfdisk 2.38: types c (bootable), 83 beyond 8 GB.
    const SFDISK: [u8; 72] = [
        0x78, 0x56, 0x34, 0x12, 0x00, 0x00, 0x80, 0x20, 0x21, 0x00, 0x0C, 0x5E, 0x3D, 0x01, 0x00, 0x08, 0x00,
        0x00, 0x20, 0x4E, 0x00, 0x00, 0x00, 0xFE, 0xFF, 0xFF, 0x83, 0xFE, 0xFF, 0xFF, 0x80, 0xC3, 0xC9, 0x01,
        0x80, 0x3C, 0xB6, 0x0A, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
        0, 0, 0, 0, 0, 0, 0x55, 0xAA,
    ];

    fn sector(tail: [u8; 72]) -> [u8; LEN] {
        let mut sector = [0; LEN];
        sector[BOOT_CODE_LEN..].copy_from_slice(&tail);
        sector
    }

    fn table() -> Mbr {
        Mbr {
            disk_signature: 0x1234_5678,
            partitions: [
                Some(Partition { active: true, os_type: 0x0C, start_lba: 2048, sectors: 20000 }),
                Some(Partition { active: false, os_type: 0x83, start_lba: 30_000_000, sectors: 179_715_200 }),
                None,
                None,
            ],
        }
    }

    #[test]
    fn mbr_of_sfdisk_is_parsed_and_emitted_byte_for_byte() {
        let bytes = sector(SFDISK);
        assert_eq!(Mbr::parse(Raw::new(&bytes)), Ok(table()));
        let mut out = [0; LEN];
        table().emit(&mut out);
        assert_eq!(out, bytes);
    }

    #[test]
    fn emit_keeps_the_boot_code() {
        let mut out = [0x90; LEN];
        table().emit(&mut out);
        assert_eq!(out[..BOOT_CODE_LEN], [0x90; BOOT_CODE_LEN]);
        assert_eq!(Raw::new(&out).boot_code(), [0x90; BOOT_CODE_LEN]);
        assert_eq!(out[BOOT_CODE_LEN..], SFDISK);
    }

    #[test]
    fn bytes_that_are_no_table_are_rejected_by_cause() {
        let at = |offset: usize, value: u8| {
            let mut bytes = sector(SFDISK);
            bytes[offset] = value;
            Mbr::parse(Raw::new(&bytes))
        };
        assert_eq!(at(0x1FF, 0), Err(Error::Signature(0x0055)));
        for (entry, offset) in [0x1BE, 0x1CE, 0x1DE, 0x1EE].into_iter().enumerate() {
            let error = Error::BootIndicator(entry, 0x42);
            assert_eq!((at(offset, 0x42), error.at()), (Err(error), offset));
        }
        assert_eq!(at(0x1FD, 0x42), at(0, 0), "size 0x42000000 of an entry without a type is still unused");
        let mut bytes = sector(SFDISK);
        bytes[0x1C6..0x1CA].fill(0);
        let whole_disc = Mbr::parse(Raw::new(&bytes)).unwrap();
        assert_eq!((whole_disc.partitions[0].unwrap().start_lba, whole_disc.fits(u64::MAX)), (0, false));
        let mut bytes = [0; LEN];
        bytes[0x1FE..].copy_from_slice(&[0x55, 0xAA]);
        assert_eq!(Mbr::parse(Raw::new(&bytes)), Err(Error::Empty));
        assert_eq!(Error::Empty.to_string(), "no partition and no disk signature (byte 0x1b8)");
        assert_eq!((Error::Signature(0).at(), Error::BootSector.at()), (0x1FE, 0));
        bytes[DISK_SIGNATURE] = 1;
        assert_eq!(Mbr::parse(Raw::new(&bytes)), Ok(Mbr { disk_signature: 1, partitions: [None; 4] }));
    }

    #[test]
    fn role_tells_protective_from_hybrid() {
        let mut mbr = Mbr::protective(131_072);
        assert_eq!(mbr.role(), Role::Protective);
        assert_eq!(mbr.partitions[0].map(|p| p.sectors), Some(131_071));
        mbr.partitions[1] = table().partitions[0];
        assert_eq!(mbr.role(), Role::Hybrid);
        assert_eq!(table().role(), Role::Legacy);
        assert_eq!(Mbr::protective(u64::MAX).partitions[0].map(|p| p.sectors), Some(u32::MAX));
    }

    #[test]
    fn fits_refuses_overlap_and_overrun() {
        assert!(table().fits(209_715_200));
        assert!(!table().fits(209_715_199));
        let mut overlapping = table();
        overlapping.partitions[3] =
            Some(Partition { active: false, os_type: 1, start_lba: 22047, sectors: 1 });
        assert!(!overlapping.fits(u64::MAX));
        overlapping.partitions[3] =
            Some(Partition { active: false, os_type: 1, start_lba: 22048, sectors: 1 });
        assert!(overlapping.fits(u64::MAX));
    }

    #[test]
    fn cylinder_head_sector_saturates_beyond_8_gb() {
        assert_eq!(cylinder_head_sector(0), [0, 1, 0]);
        assert_eq!(cylinder_head_sector(2048), [0x20, 0x21, 0]);
        assert_eq!(cylinder_head_sector(1024 * 255 * 63 - 1), [0xFE, 0xFF, 0xFF]);
        assert_eq!(cylinder_head_sector(1024 * 255 * 63), [0xFE, 0xFF, 0xFF]);
        assert_eq!(cylinder_head_sector(u32::MAX), [0xFE, 0xFF, 0xFF]);
    }
}
