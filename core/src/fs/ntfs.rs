//! NTFS: boot sector and volume name as far as a probe needs them.
//!
//! Source: the layout that ntfs-3g documents (include/ntfs-3g/layout.h), as there is no public specification. The
//! name is an attribute of the file `$Volume`, the fourth record of the master file table. Not handled: the backup
//! boot sector, and the update sequence of the record, which a name of the 32 characters that Windows allows does
//! not reach.

use crate::bytes;
use crate::fs::mountable::Signature;
use crate::fs::probe::{Filesystem, Kind, print};
use crate::source::{ReadAt, ReadError};

const LEN: usize = 512;
const OEM_ID: [u8; 8] = *b"NTFS    ";
pub(super) const SIGNATURE: Signature = (&[3], &OEM_ID);
/// Sectors that Windows and ntfs-3g make or read.
const SECTOR_SIZES: core::ops::RangeInclusive<u16> = 256..=4096;
/// Largest cluster that Windows makes (since 10): 2 MiB.
const MAX_CLUSTER_BYTES: u64 = 2 << 20;
/// Smallest and largest record of the master file table: a sector, and what formatters write on sectors of 4 KiB.
const RECORDS: core::ops::RangeInclusive<usize> = 512..=MAX_RECORD;
const MAX_RECORD: usize = 4096;
/// Exponents of clusters above 128 sectors, as 256 less the exponent: 2^16 sectors are more than any cluster has.
const LARGEST_EXPONENT: u8 = 240;
const LEAST_EXPONENT: u8 = 249;
const RECORD_MAGIC: [u8; 4] = *b"FILE";
const RECORD_VOLUME: u64 = 3;
const ATTRIBUTE_VOLUME_NAME: u32 = 0x60;
const ATTRIBUTE_END: u32 = 0xFFFF_FFFF;
/// Most attributes of the record that are looked at; a volume has six.
const MAX_ATTRIBUTES: usize = 64;

struct BootSector {
    bytes: u64,
    mft_offset: u64,
    record_len: usize,
    serial: u64,
}

/// Returns the NTFS on `source`.
///
/// # Errors
/// [`ReadError::Io`] when the source cannot be read.
pub fn probe<R: ReadAt + ?Sized>(source: &R) -> Result<Option<Filesystem>, ReadError> {
    let Some(boot) = source.read_array_at::<LEN>(0)?.and_then(|s| parse(&s)) else { return Ok(None) };
    let mut buffer = [0; MAX_RECORD];
    let record = buffer.get_mut(..boot.record_len).unwrap_or_default();
    if !read_record(source, &boot, 0, record)? || !read_record(source, &boot, RECORD_VOLUME, record)? {
        return Ok(None);
    }
    let mut found = Filesystem::new(Kind::Ntfs, boot.bytes);
    found.uuid = print(format_args!("{:016X}", boot.serial));
    let name = volume_name(record).unwrap_or(&[]);
    Ok(Some(found.with_utf16_label(name.as_chunks::<2>().0.iter().copied().map(u16::from_le_bytes))))
}

fn parse(s: &[u8; LEN]) -> Option<BootSector> {
    let sector_size = bytes::u16_le::<0x0B, LEN>(s);
    if bytes::array::<3, 8, LEN>(s) != OEM_ID
        || !sector_size.is_power_of_two()
        || !SECTOR_SIZES.contains(&sector_size)
        // Why: reserved sectors, FATs, root entries and the rest of a FAT's parameters are zero in an NTFS.
        || bytes::array::<0x0E, 7, LEN>(s) != [0; 7]
        || bytes::u16_le::<0x16, LEN>(s) != 0
        || bytes::u32_le::<0x20, LEN>(s) != 0
    {
        return None;
    }
    // Beyond 128 the field is the negative exponent of the number.
    let sectors_per_cluster = match bytes::u8_le::<0x0D, LEN>(s) {
        n @ (1 | 2 | 4 | 8 | 16 | 32 | 64 | 128) => u64::from(n),
        n @ LARGEST_EXPONENT..=LEAST_EXPONENT => 1_u64.checked_shl(256_u32.checked_sub(u32::from(n))?)?,
        _ => return None,
    };
    let cluster_bytes = sectors_per_cluster.checked_mul(u64::from(sector_size))?;
    let record_len = match i8::from_le_bytes(bytes::array::<0x40, 1, LEN>(s)) {
        n @ 1.. => u64::from(n.unsigned_abs()).checked_mul(cluster_bytes)?,
        n @ -31..=-1 => 1_u64.checked_shl(u32::from(n.unsigned_abs()))?,
        _ => return None,
    };
    let record_len = usize::try_from(record_len).ok().filter(|n| RECORDS.contains(n))?;
    let sectors = bytes::u64_le::<0x28, LEN>(s);
    let clusters = sectors.checked_div(sectors_per_cluster)?;
    let mft_cluster = bytes::u64_le::<0x30, LEN>(s);
    let mirror_cluster = bytes::u64_le::<0x38, LEN>(s);
    if cluster_bytes > MAX_CLUSTER_BYTES || mft_cluster > clusters || mirror_cluster > clusters {
        return None;
    }
    Some(BootSector {
        bytes: sectors.checked_mul(u64::from(sector_size))?,
        mft_offset: mft_cluster.checked_mul(cluster_bytes)?,
        record_len,
        serial: bytes::u64_le::<0x48, LEN>(s),
    })
}

/// Reads a record of the master file table; `false` when there is none.
fn read_record<R: ReadAt + ?Sized>(
    source: &R,
    boot: &BootSector,
    number: u64,
    record: &mut [u8],
) -> Result<bool, ReadError> {
    let len = crate::units::u64_from_usize(record.len());
    match source.read_exact_at(boot.mft_offset.saturating_add(number.saturating_mul(len)), record) {
        Ok(()) => Ok(record.starts_with(&RECORD_MAGIC)),
        Err(ReadError::EndOfInput) => Ok(false),
        Err(e @ ReadError::Io(_)) => Err(e),
    }
}

/// Returns the bytes of the name in the record of the volume.
fn volume_name(record: &[u8]) -> Option<&[u8]> {
    let mut attribute = record.get(usize::from(bytes::u16_le_at(record, 0x14)?)..)?;
    for _ in 0..MAX_ATTRIBUTES {
        let len = crate::units::usize_from_u32(bytes::u32_le_at(attribute, 4)?);
        match bytes::u32_le_at(attribute, 0)? {
            ATTRIBUTE_END => return None,
            ATTRIBUTE_VOLUME_NAME => {
                let value_len = crate::units::usize_from_u32(bytes::u32_le_at(attribute, 0x10)?);
                let value_offset = usize::from(bytes::u16_le_at(attribute, 0x14)?);
                return bytes::slice_at(attribute, value_offset, value_len);
            }
            _ => attribute = attribute.get(len..).filter(|_| len != 0)?,
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;
    use std::vec::Vec;

    /// Clusters of one sector of 512 bytes, records of 1024 bytes, the table from cluster 1.
    fn volume() -> Vec<u8> {
        let mut v = vec![0; 16 * 512];
        v[3..11].copy_from_slice(&OEM_ID);
        for (at, value) in [(0x0C, 2), (0x0D, 1), (0x28, 16), (0x30, 1), (0x38, 2), (0x40, 0xF6)] {
            v[at] = value;
        }
        v[0x48..0x50].copy_from_slice(&0x0123_4567_89AB_CDEF_u64.to_le_bytes());
        v[512..516].copy_from_slice(&RECORD_MAGIC);
        let volume = 512 + 3 * 1024;
        v[volume..volume + 4].copy_from_slice(&RECORD_MAGIC);
        v[volume + 0x14] = 0x38;
        let attribute = volume + 0x38;
        for (at, value) in [
            (0, 0x10),
            (4, 0x20),
            (0x20, 0x60),
            (0x24, 0x20),
            (0x30, 4),
            (0x34, 0x18),
            (0x38, b'a'),
            (0x3A, 0xE9),
        ] {
            v[attribute + at] = value;
        }
        v
    }

    #[test]
    fn serial_and_volume_name_are_spelled_as_blkid_does() {
        let found = probe(&*volume()).unwrap().unwrap();
        assert_eq!((found.kind, found.bytes), (Kind::Ntfs, 16 * 512));
        assert_eq!((found.uuid.as_deref(), found.label.as_deref()), (Some("0123456789ABCDEF"), Some("aé")));
    }

    #[test]
    fn attribute_without_a_length_ends_the_search() {
        let mut v = volume();
        v[512 + 3 * 1024 + 0x38 + 4] = 0;
        assert_eq!(probe(&*v).unwrap().unwrap().label, None);
    }

    #[test]
    fn boot_sector_beyond_its_bounds_is_none() {
        for (at, value) in [
            (3, b'X'),
            (0x0C, 3),
            (0x0C, 32),
            (0x0D, 3),
            (0x0D, 250),
            (0x0E, 1),
            (0x16, 1),
            (0x20, 1),
            (0x30, 17),
            (0x38, 17),
            (0x40, 0),
            (0x40, 9),
            (0x40, 0xF8),
            (0x40, 0xF3),
            (512, 0),
            (512 + 3072, 0),
        ] {
            let mut v = volume();
            v[at] = value;
            assert_eq!(probe(&*v), Ok(None), "{at:#x} {value}");
        }
    }
}
