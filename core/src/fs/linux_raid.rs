//! Linux software RAID: the superblock of a member.
//!
//! Source: include/uapi/linux/raid/md_p.h of Linux and md(4). Metadata 0.90 and 1.0 lie at the end, so a member of a
//! mirror looks like the file system in it; 1.1 lies at the start and 1.2 4 KiB behind it. Not handled: the
//! checksums, the metadata of firmware (IMSM, DDF), and what the members make together.

use crate::bytes;
use crate::disk::mbr::{self, Mbr, logical::Logical};
use crate::fs::mountable::{self, Signature};
use crate::fs::probe::{Filesystem, Kind};
use crate::source::{ReadAt, ReadError};

const MAGIC: u32 = 0xA92B_4EFC;
const SECTOR: u64 = 512;
/// 0.90 lies in the last 64 KiB that begin at a multiple of 64 KiB.
const RESERVED_0_90: u64 = 0x1_0000;
const GPT_SIGNATURE: [u8; 8] = *b"EFI PART";
const GPT_SECTOR_SIZES: [u64; 2] = [512, 4096];
const LEN_0_90: usize = 64;
const LEN_1: usize = 256;

/// Magic and major version of metadata 1.1 and 1.2.
pub(super) const SIGNATURE: Signature = (&[0, 0x1000], &MAGIC_AND_MAJOR);
const MAGIC_AND_MAJOR: [u8; 8] = *b"\xFC\x4E\x2B\xA9\x01\0\0\0";

/// Which metadata a member has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Metadata {
    /// At the end, of the byte order of the machine that made it.
    V0_90,
    /// At the end.
    V1_0,
    /// At the start.
    V1_1,
    /// 4 KiB behind the start.
    V1_2,
}

impl Metadata {
    /// Returns the name that mdadm takes as `--metadata`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::V0_90 => "0.90",
            Self::V1_0 => "1.0",
            Self::V1_1 => "1.1",
            Self::V1_2 => "1.2",
        }
    }
}

/// Returns the RAID member on `source`.
///
/// A superblock at the end of a disk that lies in a partition belongs to the partition, not to the disk.
///
/// # Errors
/// [`ReadError::Io`] when the source cannot be read.
pub fn probe<R: ReadAt + ?Sized>(source: &R) -> Result<Option<Filesystem>, ReadError> {
    let size = source.size()?;
    if size > RESERVED_0_90 {
        let offset = place_0_90(size);
        if let Some(found) = source.read_array_at::<LEN_0_90>(offset)?.and_then(|s| parse_0_90(&s))
            // What is larger than the device was a member before the device shrank.
            && found.bytes <= offset
            && !lies_in_partition(source, offset)?
        {
            return Ok(Some(found));
        }
        let offset = place_1_0(size);
        if let Some(found) = read_1(source, offset, Metadata::V1_0)?
            && !lies_in_partition(source, offset)?
        {
            return Ok(Some(found));
        }
    }
    match read_1(source, 0, Metadata::V1_1)? {
        Some(found) => Ok(Some(found)),
        None => read_1(source, 0x1000, Metadata::V1_2),
    }
}

/// Tells whether a superblock of metadata 0.90 or 1.0 lies at the end, wherever the table of partitions puts it.
pub(super) fn has_superblock_at_end<R: ReadAt + ?Sized>(source: &R) -> Result<bool, ReadError> {
    let size = source.size()?;
    if size <= RESERVED_0_90 {
        return Ok(false);
    }
    let offset = place_0_90(size);
    Ok(mountable::has(source, place_1_0(size), &MAGIC_AND_MAJOR)?
        || source
            .read_array_at::<LEN_0_90>(offset)?
            .is_some_and(|s| size_0_90(&s).is_some_and(|n| n <= offset)))
}

const fn place_0_90(size: u64) -> u64 {
    (size & !RESERVED_0_90.saturating_sub(1)).saturating_sub(RESERVED_0_90)
}

const fn place_1_0(size: u64) -> u64 {
    (size & !0xFFF).saturating_sub(0x2000)
}

/// Returns the word reader of the byte order that the superblock is in, or `None` when there is none.
fn order_0_90(s: &[u8; LEN_0_90]) -> Option<fn([u8; 4]) -> u32> {
    let orders: [fn([u8; 4]) -> u32; 2] = [u32::from_le_bytes, u32::from_be_bytes];
    let magic = bytes::array::<0, 4, LEN_0_90>(s);
    orders.into_iter().find(|word| word(magic) == MAGIC)
}

/// Returns the size of the member that a superblock of metadata 0.90 says, bytes.
fn size_0_90(s: &[u8; LEN_0_90]) -> Option<u64> {
    let word = order_0_90(s)?;
    // The size is in KiB; what the superblock takes lies behind it.
    let kib = u64::from(word(bytes::array::<32, 4, LEN_0_90>(s)));
    (word(bytes::array::<4, 4, LEN_0_90>(s)) == 0).then_some(kib.saturating_mul(1024))
}

fn read_1<R: ReadAt + ?Sized>(
    source: &R,
    offset: u64,
    metadata: Metadata,
) -> Result<Option<Filesystem>, ReadError> {
    Ok(source.read_array_at::<LEN_1>(offset)?.and_then(|s| parse_1(&s, offset, metadata)))
}

fn parse_0_90(s: &[u8; LEN_0_90]) -> Option<Filesystem> {
    let (word, size) = (order_0_90(s)?, size_0_90(s)?);
    let words = if word(bytes::array::<8, 4, LEN_0_90>(s)) < 90 {
        [word(bytes::array::<20, 4, LEN_0_90>(s)), 0, 0, 0]
    } else {
        // The first word is older than the others, which were added behind the rest.
        [
            bytes::array::<20, 4, LEN_0_90>(s),
            bytes::array::<52, 4, LEN_0_90>(s),
            bytes::array::<56, 4, LEN_0_90>(s),
            bytes::array::<60, 4, LEN_0_90>(s),
        ]
        .map(word)
    };
    let mut uuid = [0; 16];
    for (slot, word) in uuid.as_chunks_mut::<4>().0.iter_mut().zip(words) {
        *slot = word.to_be_bytes();
    }
    Some(Filesystem::new(Kind::LinuxRaid(Metadata::V0_90), size).with_guid(uuid))
}

fn parse_1(s: &[u8; LEN_1], offset: u64, metadata: Metadata) -> Option<Filesystem> {
    // Why the offset: a member of a mirror of whole disks also shows the superblocks of what it holds.
    if bytes::u32_le::<0, LEN_1>(s) != MAGIC
        || bytes::u32_le::<4, LEN_1>(s) != 1
        || bytes::u64_le::<144, LEN_1>(s) != offset.checked_div(SECTOR)?
    {
        return None;
    }
    let data_offset = bytes::u64_le::<128, LEN_1>(s);
    let data_sectors = bytes::u64_le::<136, LEN_1>(s);
    let end = data_offset.saturating_add(data_sectors).saturating_mul(SECTOR);
    let found = Filesystem::new(Kind::LinuxRaid(metadata), end);
    Some(found.with_guid(bytes::array::<16, 16, LEN_1>(s)).with_label(&bytes::array::<32, 32, LEN_1>(s)))
}

/// Tells whether the table on `source` gives the byte at `offset` to a partition or to itself.
fn lies_in_partition<R: ReadAt + ?Sized>(source: &R, offset: u64) -> Result<bool, ReadError> {
    // Why the signature is enough: a GPT that ends with the device takes its end, so the superblock is an old one or
    // that of a partition; the GPT of an array ends before the superblock.
    for sector_size in GPT_SECTOR_SIZES {
        let last = source.size()?.saturating_sub(sector_size);
        if source.read_array_at::<8>(last)? == Some(GPT_SIGNATURE) {
            return Ok(true);
        }
    }
    let Some(sector) = source.read_array_at::<{ mbr::LEN }>(0)? else { return Ok(false) };
    let Ok(table) = Mbr::parse(mbr::Raw::new(&sector)) else { return Ok(false) };
    if table.role() == mbr::Role::Protective {
        return Ok(false);
    }
    let lba = offset.checked_div(mbr::SECTOR_SIZE).unwrap_or(0);
    for partition in table.numbered().map(Ok).chain(Logical::new(source, &table)) {
        let (_, p) = partition?;
        let start = u64::from(p.start_lba);
        if (start..start.saturating_add(u64::from(p.sectors))).contains(&lba) {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;
    use std::vec::Vec;

    const SIZE: usize = 0x3_1800;

    fn member_1(offset: usize) -> Vec<u8> {
        let mut device = vec![0; SIZE];
        let s = &mut device[offset..offset + LEN_1];
        s[..4].copy_from_slice(&MAGIC.to_le_bytes());
        s[4] = 1;
        s[16..32].fill(0x44);
        s[32..38].copy_from_slice(b"host:0");
        s[128] = 8;
        s[136] = 100;
        s[144..152].copy_from_slice(&(offset as u64 / 512).to_le_bytes());
        device
    }

    #[test]
    fn metadata_is_told_by_its_place() {
        for (offset, metadata) in [(0x2_F000, Metadata::V1_0), (0, Metadata::V1_1), (0x1000, Metadata::V1_2)]
        {
            let mut device = member_1(offset);
            let found = probe(&*device).unwrap().unwrap();
            assert_eq!((found.kind, found.bytes), (Kind::LinuxRaid(metadata), 108 * 512));
            assert_eq!(found.uuid.as_deref(), Some("44444444-4444-4444-4444-444444444444"));
            assert_eq!(found.label.as_deref(), Some("host:0"));
            device[offset + 144] ^= 1;
            assert_eq!(probe(&*device), Ok(None), "a superblock that lies elsewhere");
        }
    }

    #[test]
    fn metadata_0_90_of_either_byte_order_has_the_same_uuid() {
        for little in [true, false] {
            let mut device = vec![0; SIZE];
            let word = |v: u32| if little { v.to_le_bytes() } else { v.to_be_bytes() };
            for (at, value) in
                [(0, MAGIC), (8, 90), (20, 0x0123_4567), (32, 128), (52, 0x89AB_CDEF), (56, 0x11), (60, 0x22)]
            {
                device[0x2_0000 + at..0x2_0000 + at + 4].copy_from_slice(&word(value));
            }
            let found = probe(&*device).unwrap().unwrap();
            assert_eq!((found.kind, found.bytes), (Kind::LinuxRaid(Metadata::V0_90), 128 << 10));
            assert_eq!(found.uuid.as_deref(), Some("01234567-89ab-cdef-0000-001100000022"));
            assert_eq!(found.label, None);
            device[0x2_0000 + 32..0x2_0000 + 36].copy_from_slice(&word(129));
            assert_eq!(probe(&*device), Ok(None));
            device[0x2_0000 + 32..0x2_0000 + 36].copy_from_slice(&word(128));
            device[0x2_0000 + 8..0x2_0000 + 12].copy_from_slice(&word(89));
            let uuid = probe(&*device).unwrap().unwrap().uuid;
            assert_eq!(uuid.as_deref(), Some("01234567-0000-0000-0000-000000000000"));
        }
    }

    #[test]
    fn superblock_in_a_partition_is_not_that_of_the_disk() {
        let mut device = member_1(0x2_F000);
        let mut table = Mbr { disk_signature: 1, ..Mbr::default() };
        for (start_lba, sectors, found) in [(0x100, 0x88, false), (0x100, 0x78, true)] {
            table.partitions[0] = Some(mbr::Partition { active: false, os_type: 0xFD, start_lba, sectors });
            table.emit(device.first_chunk_mut().unwrap());
            assert_eq!(probe(&*device).unwrap().is_some(), found);
        }
        for sector_size in [512, 4096] {
            let mut device = member_1(0x2_F000);
            device[SIZE - sector_size..][..8].copy_from_slice(&GPT_SIGNATURE);
            assert_eq!(probe(&*device), Ok(None), "the backup of a GPT");
        }
    }
}
