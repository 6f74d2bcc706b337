//! GUID partition table: reading one that is legal, and writing one.
//!
//! Source: UEFI specification 2.10, section 5.3. Reading tries the primary header and then the backup, with
//! sectors of 512 and 4096 bytes, because a file does not tell its sector size. [`Gpt::repair`] tells the writes that
//! restore the other copy. Not handled: tables without a protective MBR,
//! which the kernel and sfdisk do not take for tables either.

use heapless::Vec;

use crate::disk::mbr::{self, Mbr, Role};
use crate::guid::Guid;
use crate::source::{ReadAt, ReadError};
use crate::units::usize_from_u32;

mod emit;
mod entry;
mod header;
mod repair;

use entry::Taken;

pub use emit::Table;
pub use entry::{Name, Partition, RawEntry};
pub use header::{Header, RawHeader};
pub use repair::Repair;

/// Type of an EFI system partition.
pub const TYPE_EFI_SYSTEM: Guid = constant("C12A7328-F81F-11D2-BA4B-00A0C93EC93B");
/// Type of a Linux file system.
pub const TYPE_LINUX: Guid = constant("0FC63DAF-8483-4772-8E79-3D69D8477DE4");
/// Type of the partition in which GRUB embeds itself for a BIOS.
pub const TYPE_BIOS_BOOT: Guid = constant("21686148-6449-6E6F-744E-656564454649");

/// Most entries of a table that we read: 32 times what every tool writes.
pub const MAX_ENTRIES: u32 = 4096;
/// Smallest entry, by the specification, bytes.
const LEAST_ENTRY_LEN: u32 = 128;
/// Largest entry that we read, bytes; every tool writes 128, and one that fills a sector is absurd already.
pub const MAX_ENTRY_LEN: u32 = 4096;
/// Most partitions in use; Linux has minor numbers for 256.
pub const MAX_PARTITIONS: usize = 256;

/// Sizes of sectors that disks have, bytes.
const SECTOR_SIZES: [u32; 2] = [512, MAX_SECTOR_SIZE];
const MAX_SECTOR_SIZE: u32 = 4096;
const CRC: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC);

/// Returns the GUID of a text in this source; one that is none does not compile.
const fn constant(text: &str) -> Guid {
    #[expect(clippy::panic, reason = "evaluated when a constant of this file is compiled")]
    match Guid::parse(text) {
        Some(guid) => guid,
        None => panic!("not a GUID"),
    }
}

/// Why a table is not legal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The source could not be read there.
    Read(ReadError),
    /// The header does not begin with `EFI PART`.
    Signature,
    /// The revision is not 1.x; the value is the field.
    Revision(u32),
    /// The header is shorter than 92 bytes or longer than a sector.
    HeaderLen(u32),
    /// The checksum of the header is another than the stored one.
    HeaderCrc(u32),
    /// The header says that it lies in this sector, and it does not.
    MyLba(u64),
    /// The size of an entry is not 128 times a power of two, or beyond [`MAX_ENTRY_LEN`].
    EntryLen(u32),
    /// There are no entries or more than [`MAX_ENTRIES`].
    Entries(u32),
    /// The checksum of the entries is another than the stored one.
    EntriesCrc(u32),
    /// The usable sectors end before they begin, or lie outside the disk; the value is the last.
    Usable(u64),
    /// The partition of this number lies outside the usable sectors or ends before it begins.
    Range(u32),
    /// These two partitions overlap.
    Overlap(u32, u32),
    /// More than [`MAX_PARTITIONS`] entries are in use.
    TooManyPartitions,
    /// The number of a partition to be written is taken, 0, or beyond the 128 entries.
    Number(u32),
    /// The sector size of a disk to be written is neither 512 nor 4096 bytes.
    SectorSize(u32),
    /// The copy to be restored belongs into this sector, and there is no room for it and its entries.
    CopyPlace(u64),
    /// The buffer has not the size that the table has, bytes.
    Buffer(usize),
}

impl Error {
    /// Returns the class of the cause.
    #[must_use]
    pub fn class(self) -> crate::error::Class {
        use crate::error::Class;
        match self {
            Self::Read(e) => e.into(),
            Self::Signature => Class::BadMagic,
            Self::Revision(_) => Class::Unsupported,
            Self::TooManyPartitions => Class::Limit,
            Self::EntryLen(len) if len > MAX_ENTRY_LEN => Class::Limit,
            Self::Entries(n) if n > MAX_ENTRIES => Class::Limit,
            Self::HeaderLen(_)
            | Self::HeaderCrc(_)
            | Self::MyLba(_)
            | Self::EntryLen(_)
            | Self::Entries(_)
            | Self::EntriesCrc(_)
            | Self::Usable(_)
            | Self::Range(_)
            | Self::Overlap(..)
            | Self::Number(_)
            | Self::SectorSize(_)
            | Self::CopyPlace(_)
            | Self::Buffer(_) => Class::Corrupt,
        }
    }

    /// Returns the byte offset in the header of the field that is wrong; `None` where it is none of the header's, but
    /// the partition, sector or buffer that the variant names.
    #[must_use]
    pub const fn at(self) -> Option<u8> {
        match self {
            Self::Signature => Some(0x00),
            Self::Revision(_) => Some(0x08),
            Self::HeaderLen(_) => Some(0x0C),
            Self::HeaderCrc(_) => Some(0x10),
            Self::MyLba(_) => Some(0x18),
            Self::Usable(_) => Some(0x30),
            Self::Entries(_) => Some(0x50),
            Self::EntryLen(_) => Some(0x54),
            Self::EntriesCrc(_) => Some(0x58),
            Self::Read(_)
            | Self::Range(_)
            | Self::Overlap(..)
            | Self::TooManyPartitions
            | Self::Number(_)
            | Self::SectorSize(_)
            | Self::CopyPlace(_)
            | Self::Buffer(_) => None,
        }
    }
}

impl From<ReadError> for Error {
    fn from(e: ReadError) -> Self {
        Self::Read(e)
    }
}

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Read(e) => write!(f, "GPT cannot be read: {e}"),
            Self::Signature => f.write_str("GPT header does not begin with EFI PART"),
            Self::Revision(found) => write!(f, "GPT revision {found:#010x} is not known"),
            Self::HeaderLen(found) => write!(f, "GPT header of {found} bytes"),
            Self::HeaderCrc(found) => {
                write!(f, "GPT header has the checksum {found:#010x}, not the stored one")
            }
            Self::MyLba(found) => write!(f, "GPT header was made for sector {found}"),
            Self::EntryLen(found) => write!(f, "GPT entries of {found} bytes"),
            Self::Entries(found) => write!(f, "{found} GPT entries"),
            Self::EntriesCrc(found) => {
                write!(f, "GPT entries have the checksum {found:#010x}, not the stored one")
            }
            Self::Usable(found) => write!(f, "no usable sectors up to {found}"),
            Self::Range(number) => write!(f, "GPT partition {number} lies outside the usable sectors"),
            Self::Overlap(a, b) => write!(f, "GPT partitions {a} and {b} overlap"),
            Self::TooManyPartitions => write!(f, "more than {MAX_PARTITIONS} GPT partitions"),
            Self::Number(number) => write!(f, "GPT partition number {number} is taken or out of range"),
            Self::SectorSize(found) => write!(f, "sectors of {found} bytes"),
            Self::CopyPlace(lba) => write!(f, "there is no room for a copy of the GPT in sector {lba}"),
            Self::Buffer(expected) => write!(f, "the table needs a buffer of {expected} bytes"),
        }?;
        self.at().map_or(Ok(()), |at| write!(f, " (byte {at:#04x} of the header)"))
    }
}

impl core::error::Error for Error {}

/// Which of the two headers was legal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderCopy {
    /// The one behind the protective MBR.
    Primary,
    /// The one at the end of the disk; the primary is damaged.
    Backup,
}

/// A legal table: both checksums are right, every partition lies in the usable sectors, and none overlaps another.
#[derive(Debug)]
pub struct Gpt<'a, R: ?Sized> {
    source: &'a R,
    /// The header.
    pub header: Header,
    /// Bytes per sector: 512 or 4096.
    pub sector_size: u32,
    /// Which header it is.
    pub copy: HeaderCopy,
    /// Whether the MBR only protects the table or repeats some of its partitions: [`Role::Protective`] or
    /// [`Role::Hybrid`]. A hybrid one must be changed together with the table.
    pub mbr_role: Role,
}

impl<'a, R: ReadAt + ?Sized> Gpt<'a, R> {
    /// Opens the table on `source`; `None` when there is no protective MBR, or nothing behind it.
    ///
    /// # Errors
    /// When there are headers and none is legal: the cause in the primary one.
    pub fn open(source: &'a R) -> Result<Option<Self>, Error> {
        let Some(sector) = source.read_array_at::<{ mbr::LEN }>(0)? else { return Ok(None) };
        let mbr_role = Mbr::parse(mbr::Raw::new(&sector)).map_or(Role::Legacy, |m| m.role());
        if mbr_role == Role::Legacy {
            return Ok(None);
        }
        let size = source.size()?;
        let mut first_error = None;
        for sector_size in SECTOR_SIZES {
            let last_lba = size.checked_div(u64::from(sector_size)).unwrap_or(0).saturating_sub(1);
            let candidates = [(1, HeaderCopy::Primary), (last_lba, HeaderCopy::Backup)];
            for (lba, copy) in candidates {
                match Self::open_copy(source, sector_size, lba, copy, mbr_role) {
                    Ok(gpt) => return Ok(Some(gpt)),
                    Err(Error::Read(e @ ReadError::Io(_))) => return Err(e.into()),
                    Err(Error::Signature | Error::Read(ReadError::EndOfInput)) => {}
                    Err(e) => first_error = first_error.or(Some(e)),
                }
            }
        }
        first_error.map_or(Ok(None), Err)
    }

    fn open_copy(
        source: &'a R,
        sector_size: u32,
        lba: u64,
        copy: HeaderCopy,
        mbr_role: Role,
    ) -> Result<Self, Error> {
        let mut sector = [0; usize_from_u32(MAX_SECTOR_SIZE)];
        let sector = sector.get_mut(..usize_from_u32(sector_size)).unwrap_or_default();
        source.read_exact_at(lba.saturating_mul(u64::from(sector_size)), sector)?;
        let header = Header::parse(RawHeader::new(sector).ok_or(Error::Signature)?)?;
        if header.my_lba != lba {
            return Err(Error::MyLba(header.my_lba));
        }
        let gpt = Self { source, header, sector_size, copy, mbr_role };
        gpt.check_entries_crc()?;
        gpt.check_ranges()?;
        Ok(gpt)
    }

    fn entries_offset(&self) -> u64 {
        self.header.partition_entry_lba.saturating_mul(u64::from(self.sector_size))
    }

    fn check_entries_crc(&self) -> Result<(), Error> {
        // Why pieces of the smallest entry: every legal array is a multiple of it.
        let mut left = self.header.entries.saturating_mul(self.header.entry_len);
        let mut offset = self.entries_offset();
        let mut digest = CRC.digest();
        while left > 0 {
            let entry = self.source.read_array_at::<{ entry::LEN }>(offset)?.ok_or(ReadError::EndOfInput)?;
            digest.update(&entry);
            offset = offset.saturating_add(u64::from(LEAST_ENTRY_LEN));
            left = left.saturating_sub(LEAST_ENTRY_LEN);
        }
        let computed = digest.finalize();
        if computed == self.header.entries_crc { Ok(()) } else { Err(Error::EntriesCrc(computed)) }
    }

    fn check_ranges(&self) -> Result<(), Error> {
        // Why: whole partitions with their names would take 35 KiB of stack.
        let mut seen: Vec<Taken, MAX_PARTITIONS> = Vec::new();
        for partition in self.partitions() {
            let partition = partition?;
            partition.check_range(self.header.first_usable_lba, self.header.last_usable_lba)?;
            partition.check_apart(seen.iter().copied())?;
            seen.push(partition.taken()).map_err(|_| Error::TooManyPartitions)?;
        }
        Ok(())
    }

    /// Returns the partitions in use in the order of their numbers.
    pub fn partitions(&self) -> impl Iterator<Item = Result<Partition, ReadError>> + use<'a, R> {
        let (source, start, entry_len) =
            (self.source, self.entries_offset(), u64::from(self.header.entry_len));
        (0..self.header.entries).filter_map(move |index| {
            let offset = u64::from(index).saturating_mul(entry_len).saturating_add(start);
            let entry = source.read_array_at::<{ entry::LEN }>(offset);
            let entry = entry.and_then(|e| e.ok_or(ReadError::EndOfInput));
            entry.map(|e| Partition::parse(index.saturating_add(1), RawEntry::new(&e))).transpose()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Class;

    struct Broken;

    impl ReadAt for Broken {
        fn read_exact_at(&self, _: u64, _: &mut [u8]) -> Result<(), ReadError> {
            Err(ReadError::Io(5))
        }

        fn size(&self) -> Result<u64, ReadError> {
            Ok(1 << 20)
        }
    }

    #[test]
    fn source_that_cannot_be_read_has_no_table_but_an_error() {
        assert_eq!(Gpt::open(&Broken).map(|gpt| gpt.is_some()), Err(Error::Read(ReadError::Io(5))));
    }

    #[test]
    fn class_tells_foreign_from_damaged_and_damaged_from_large() {
        for (error, class) in [
            (Error::Read(ReadError::Io(5)), Class::Io),
            (Error::Read(ReadError::EndOfInput), Class::Truncated),
            (Error::Signature, Class::BadMagic),
            (Error::Revision(0x2_0000), Class::Unsupported),
            (Error::HeaderCrc(1), Class::Corrupt),
            (Error::EntryLen(64), Class::Corrupt),
            (Error::EntryLen(MAX_ENTRY_LEN * 2), Class::Limit),
            (Error::Entries(0), Class::Corrupt),
            (Error::Entries(MAX_ENTRIES + 1), Class::Limit),
            (Error::TooManyPartitions, Class::Limit),
        ] {
            assert_eq!(error.class(), class, "{error}");
        }
    }
}
