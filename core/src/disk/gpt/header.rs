//! The header of a GUID partition table, of which a disk has two.
//!
//! Source: UEFI specification 2.10, section 5.3.2. Not handled: what lies behind the 92 bytes of a longer header.

use super::{CRC, Error, LEAST_ENTRY_LEN, MAX_ENTRIES, MAX_ENTRY_LEN};
use crate::bytes;
use crate::guid::Guid;

/// Size of the header of revision 1.0, bytes.
pub(super) const LEN: usize = 92;
const SIGNATURE: [u8; 8] = *b"EFI PART";
const REVISION: u32 = 0x0001_0000;
const CRC_FIELD: usize = 0x10;

/// The bytes of a header and of the sector around it; nothing is judged.
#[derive(Clone, Copy, Debug)]
pub struct RawHeader<'a> {
    fields: &'a [u8; LEN],
    sector: &'a [u8],
}

macro_rules! fields {
    ($($(#[$doc:meta])* $name:ident: $get:ident, $ty:ty, $offset:literal;)*) => {
        $($(#[$doc])* #[must_use] pub const fn $name(&self) -> $ty { bytes::$get::<$offset, LEN>(self.fields) })*
    };
}

impl<'a> RawHeader<'a> {
    /// Returns the view of a sector, or `None` when it is shorter than a header.
    #[must_use]
    pub const fn new(sector: &'a [u8]) -> Option<Self> {
        match sector.first_chunk::<LEN>() {
            Some(fields) => Some(Self { fields, sector }),
            None => None,
        }
    }

    /// Returns the first eight bytes, `EFI PART` in a header.
    #[must_use]
    pub const fn signature(&self) -> [u8; 8] {
        bytes::array::<0, 8, LEN>(self.fields)
    }

    fields! {
        /// Revision, major in the high half.
        revision: u32_le, u32, 0x08;
        /// Bytes under the header's checksum.
        header_size: u32_le, u32, 0x0C;
        /// The header's checksum.
        header_crc32: u32_le, u32, 0x10;
        /// The sector in which this header lies.
        my_lba: u64_le, u64, 0x18;
        /// The sector in which the other header lies.
        alternate_lba: u64_le, u64, 0x20;
        /// First sector that a partition may use.
        first_usable_lba: u64_le, u64, 0x28;
        /// Last sector that a partition may use.
        last_usable_lba: u64_le, u64, 0x30;
        /// First sector of the entries.
        partition_entry_lba: u64_le, u64, 0x48;
        /// Number of entries.
        number_of_partition_entries: u32_le, u32, 0x50;
        /// Bytes of an entry.
        size_of_partition_entry: u32_le, u32, 0x54;
        /// Checksum of all entries.
        partition_entry_array_crc32: u32_le, u32, 0x58;
    }

    /// Returns the GUID of the disk.
    #[must_use]
    pub const fn disk_guid(&self) -> Guid {
        Guid::from_efi_bytes(bytes::array::<0x38, 16, LEN>(self.fields))
    }
}

/// A header whose checksum is right and whose counts are within the bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The sector in which this header lies.
    pub my_lba: u64,
    /// The sector in which the other header lies.
    pub alternate_lba: u64,
    /// First sector that a partition may use.
    pub first_usable_lba: u64,
    /// Last sector that a partition may use.
    pub last_usable_lba: u64,
    /// GUID of the disk; blkid's PTUUID.
    pub disk_guid: Guid,
    /// First sector of the entries.
    pub partition_entry_lba: u64,
    /// Number of entries.
    pub entries: u32,
    /// Size of an entry, bytes.
    pub entry_len: u32,
    /// Checksum of the entries.
    pub entries_crc: u32,
}

impl Header {
    /// Parses a header.
    ///
    /// # Errors
    /// When this is no header, its checksum is wrong, or its counts are beyond the bounds.
    pub fn parse(raw: RawHeader<'_>) -> Result<Self, Error> {
        if raw.signature() != SIGNATURE {
            return Err(Error::Signature);
        }
        if raw.revision() >> 16 != REVISION >> 16 {
            return Err(Error::Revision(raw.revision()));
        }
        let len = raw.header_size();
        let covered = usize::try_from(len).ok().filter(|n| *n >= LEN).and_then(|n| raw.sector.get(..n));
        let computed = checksum(covered.ok_or(Error::HeaderLen(len))?);
        if computed != raw.header_crc32() {
            return Err(Error::HeaderCrc(computed));
        }
        let entry_len = raw.size_of_partition_entry();
        // The least, 128, times a power of two is a power of two that is not smaller.
        if !entry_len.is_power_of_two() || !(LEAST_ENTRY_LEN..=MAX_ENTRY_LEN).contains(&entry_len) {
            return Err(Error::EntryLen(entry_len));
        }
        let entries = raw.number_of_partition_entries();
        if !(1..=MAX_ENTRIES).contains(&entries) {
            return Err(Error::Entries(entries));
        }
        if raw.first_usable_lba() > raw.last_usable_lba() {
            return Err(Error::Usable(raw.last_usable_lba()));
        }
        Ok(Self {
            my_lba: raw.my_lba(),
            alternate_lba: raw.alternate_lba(),
            first_usable_lba: raw.first_usable_lba(),
            last_usable_lba: raw.last_usable_lba(),
            disk_guid: raw.disk_guid(),
            partition_entry_lba: raw.partition_entry_lba(),
            entries,
            entry_len,
            entries_crc: raw.partition_entry_array_crc32(),
        })
    }

    /// Writes the header, its checksum included.
    pub fn emit(&self, out: &mut [u8; LEN]) {
        *out = [0; LEN];
        bytes::put_array::<0, 8, LEN>(out, SIGNATURE);
        bytes::put_u32_le::<0x08, LEN>(out, REVISION);
        bytes::put_u32_le::<0x0C, LEN>(out, const { 0x5C });
        bytes::put_u64_le::<0x18, LEN>(out, self.my_lba);
        bytes::put_u64_le::<0x20, LEN>(out, self.alternate_lba);
        bytes::put_u64_le::<0x28, LEN>(out, self.first_usable_lba);
        bytes::put_u64_le::<0x30, LEN>(out, self.last_usable_lba);
        bytes::put_array::<0x38, 16, LEN>(out, self.disk_guid.to_efi_bytes());
        bytes::put_u64_le::<0x48, LEN>(out, self.partition_entry_lba);
        bytes::put_u32_le::<0x50, LEN>(out, self.entries);
        bytes::put_u32_le::<0x54, LEN>(out, self.entry_len);
        bytes::put_u32_le::<0x58, LEN>(out, self.entries_crc);
        let computed = checksum(out);
        bytes::put_u32_le::<CRC_FIELD, LEN>(out, computed);
    }
}

/// Returns the checksum of a header, in which its own field counts as zero.
fn checksum(header: &[u8]) -> u32 {
    let (before, rest) = header.split_at_checked(CRC_FIELD).unwrap_or((header, &[]));
    let mut digest = CRC.digest();
    digest.update(before);
    digest.update(&[0; 4]);
    digest.update(rest.get(4..).unwrap_or(&[]));
    digest.finalize()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The primary header of a 64 MiB disk by sfdisk 2.38.
    pub(crate) const SFDISK: [u8; LEN] = [
        0x45, 0x46, 0x49, 0x20, 0x50, 0x41, 0x52, 0x54, 0x00, 0x00, 0x01, 0x00, 0x5c, 0x00, 0x00, 0x00, 0x5e,
        0xc8, 0xfe, 0x6b, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff,
        0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xde, 0xff, 0x01,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x44, 0x33, 0x22, 0x11, 0x66, 0x55, 0x88, 0x77, 0x99, 0xaa, 0xbb, 0xcc,
        0xdd, 0xee, 0xff, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x80, 0x00, 0x00, 0x00, 0x80,
        0x00, 0x00, 0x00, 0x92, 0x45, 0xfe, 0x2f,
    ];

    fn header() -> Header {
        Header {
            my_lba: 1,
            alternate_lba: 131_071,
            first_usable_lba: 2048,
            last_usable_lba: 131_038,
            disk_guid: Guid::parse("11223344-5566-7788-99AA-BBCCDDEEFF00").unwrap(),
            partition_entry_lba: 2,
            entries: 128,
            entry_len: 128,
            entries_crc: 0x2FFE_4592,
        }
    }

    fn parse(bytes: &[u8]) -> Result<Header, Error> {
        Header::parse(RawHeader::new(bytes).unwrap())
    }

    #[test]
    fn header_of_sfdisk_is_parsed_and_emitted_byte_for_byte() {
        assert_eq!(parse(&SFDISK), Ok(header()));
        let mut out = [0xFF; LEN];
        header().emit(&mut out);
        assert_eq!(out, SFDISK);
    }

    #[test]
    fn broken_headers_are_rejected_by_cause() {
        let at = |offset: usize, value: u8| {
            let mut bytes = SFDISK;
            bytes[offset] = value;
            let found = parse(&bytes);
            let named = found.unwrap_err().at().unwrap();
            assert!(offset == 0x40 || usize::from(named).abs_diff(offset) < 4, "{found:?}");
            found
        };
        assert_eq!(at(0, 0), Err(Error::Signature));
        assert_eq!(at(0x0A, 2), Err(Error::Revision(0x0002_0000)));
        assert_eq!(at(0x0C, 91), Err(Error::HeaderLen(91)));
        assert_eq!(at(0x0C, 93), Err(Error::HeaderLen(93)), "longer than the sector");
        assert!(matches!(at(0x40, 0), Err(Error::HeaderCrc(_))));
    }

    #[test]
    fn counts_beyond_the_bounds_are_rejected_with_a_right_checksum() {
        let emitted = |change: fn(&mut Header)| {
            let mut h = header();
            change(&mut h);
            let mut out = [0; LEN];
            h.emit(&mut out);
            parse(&out)
        };
        assert_eq!(emitted(|h| h.entry_len = 64), Err(Error::EntryLen(64)));
        assert_eq!(emitted(|h| h.entry_len = 384), Err(Error::EntryLen(384)));
        assert_eq!(emitted(|h| h.entry_len = 8192), Err(Error::EntryLen(8192)));
        assert_eq!(emitted(|h| h.entries = 0), Err(Error::Entries(0)));
        assert_eq!(emitted(|h| h.entries = 4097), Err(Error::Entries(4097)));
        assert_eq!(emitted(|h| h.last_usable_lba = 2047), Err(Error::Usable(2047)));
        assert!(emitted(|h| (h.entries, h.entry_len) = (4096, 4096)).is_ok());
    }
}
