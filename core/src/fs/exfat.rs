//! exFAT: boot sector and volume label as far as a probe needs them.
//!
//! Source: "exFAT file system specification" (Microsoft), sections 3.1, 6.3 and 7.3. The label is an entry of the
//! root directory. Not handled: the backup boot region, the checksum of the boot region, and directories without a
//! FAT (the root directory always has one).

use crate::bytes;
use crate::fs::mountable::Signature;
use crate::fs::probe::{Filesystem, Kind, print};
use crate::source::{ReadAt, ReadError};

const LEN: usize = 512;
const NAME: [u8; 8] = *b"EXFAT   ";
pub(super) const SIGNATURE: Signature = (&[3], &NAME);
/// Where a FAT has its parameters; zeros keep old drivers away.
const MUST_BE_ZERO: usize = 53;
/// Sectors of 512 to 4096 bytes, by the specification.
const SECTOR_SHIFTS: core::ops::RangeInclusive<u8> = 9..=12;
/// Largest cluster of the specification: 32 MiB.
const MAX_CLUSTER_SHIFT: u8 = 25;
const FIRST_CLUSTER: u32 = 2;
/// Directory entries are read in pieces of this size, which every cluster is a multiple of.
const PIECE: usize = 512;
const ENTRY_LEN: usize = 32;
const ENTRY_END: u8 = 0x00;
const ENTRY_LABEL: u8 = 0x83;
/// Most characters of a label, by the specification.
const MAX_LABEL_UNITS: usize = 11;
/// Most bytes of the root directory that are searched: formatters write the label first, and 4 MiB are 131 072
/// entries.
const MAX_DIRECTORY_PIECES: u32 = 8192;

struct BootSector {
    volume_bytes: u64,
    fat_offset: u64,
    heap_offset: u64,
    clusters: u32,
    cluster_bytes: u64,
    root_cluster: u32,
    serial: [u8; 4],
}

/// Returns the exFAT on `source`.
///
/// # Errors
/// [`ReadError::Io`] when the source cannot be read.
pub fn probe<R: ReadAt + ?Sized>(source: &R) -> Result<Option<Filesystem>, ReadError> {
    let Some(boot) = source.read_array_at::<LEN>(0)?.and_then(|s| parse(&s)) else { return Ok(None) };
    let mut found = Filesystem::new(Kind::ExFat, boot.volume_bytes);
    let [a, b, c, d] = boot.serial;
    found.uuid = print(format_args!("{d:02X}{c:02X}-{b:02X}{a:02X}"));
    if let Some(entry) = label_entry(source, &boot)? {
        let units = usize::from(bytes::u8_le::<1, ENTRY_LEN>(&entry)).min(MAX_LABEL_UNITS);
        let text = bytes::array::<2, { MAX_LABEL_UNITS * 2 }, ENTRY_LEN>(&entry);
        found = found
            .with_utf16_label(text.as_chunks::<2>().0.iter().take(units).copied().map(u16::from_le_bytes));
    }
    Ok(Some(found))
}

fn parse(s: &[u8; LEN]) -> Option<BootSector> {
    let sector_shift = bytes::u8_le::<108, LEN>(s);
    let cluster_shift = sector_shift.checked_add(bytes::u8_le::<109, LEN>(s))?;
    let clusters = bytes::u32_le::<92, LEN>(s);
    let root_cluster = bytes::u32_le::<96, LEN>(s);
    let volume_sectors = bytes::u64_le::<72, LEN>(s);
    let legal = bytes::array::<3, 8, LEN>(s) == NAME
        && bytes::array::<11, MUST_BE_ZERO, LEN>(s) == [0; MUST_BE_ZERO]
        && bytes::array::<510, 2, LEN>(s) == [0x55, 0xAA]
        && SECTOR_SHIFTS.contains(&sector_shift)
        && cluster_shift <= MAX_CLUSTER_SHIFT
        && volume_sectors != 0
        && root_cluster >= FIRST_CLUSTER
        && root_cluster.saturating_sub(FIRST_CLUSTER) < clusters;
    let offset = |sectors: u64| sectors.checked_mul(1_u64.checked_shl(u32::from(sector_shift))?);
    legal.then_some(())?;
    Some(BootSector {
        volume_bytes: offset(volume_sectors)?,
        fat_offset: offset(u64::from(bytes::u32_le::<80, LEN>(s)))?,
        heap_offset: offset(u64::from(bytes::u32_le::<88, LEN>(s)))?,
        clusters,
        cluster_bytes: 1_u64.checked_shl(u32::from(cluster_shift))?,
        root_cluster,
        serial: bytes::array::<100, 4, LEN>(s),
    })
}

/// Returns the entry of the label; a directory that ends in a damage has none.
fn label_entry<R: ReadAt + ?Sized>(
    source: &R,
    boot: &BootSector,
) -> Result<Option<[u8; ENTRY_LEN]>, ReadError> {
    let mut cluster = boot.root_cluster;
    let mut in_cluster = 0;
    for _ in 0..MAX_DIRECTORY_PIECES {
        if in_cluster == boot.cluster_bytes {
            let offset = boot.fat_offset.saturating_add(u64::from(cluster).saturating_mul(4));
            let Some(next) = source.read_array_at::<4>(offset)? else { return Ok(None) };
            cluster = u32::from_le_bytes(next);
            in_cluster = 0;
        }
        let Some(index) = cluster.checked_sub(FIRST_CLUSTER).filter(|i| *i < boot.clusters) else {
            return Ok(None);
        };
        let offset = u64::from(index).saturating_mul(boot.cluster_bytes).saturating_add(boot.heap_offset);
        let Some(piece) = source.read_array_at::<PIECE>(offset.saturating_add(in_cluster))? else {
            return Ok(None);
        };
        for entry in piece.as_chunks::<ENTRY_LEN>().0 {
            match bytes::u8_le::<0, ENTRY_LEN>(entry) {
                ENTRY_LABEL => return Ok(Some(*entry)),
                ENTRY_END => return Ok(None),
                _ => {}
            }
        }
        in_cluster = in_cluster.saturating_add(const { PIECE_U64 });
    }
    Ok(None)
}

const PIECE_U64: u64 = crate::units::u64_from_usize(PIECE);

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;
    use std::vec::Vec;

    /// FAT in sector 1, heap from sector 2, clusters of one sector, root directory in cluster 2.
    fn volume() -> Vec<u8> {
        let mut v = vec![0; 6 * 512];
        v[3..11].copy_from_slice(&NAME);
        for (at, value) in [(72, 6), (80, 1), (88, 2), (92, 4), (96, 2), (108, 9), (510, 0x55), (511, 0xAA)] {
            v[at] = value;
        }
        v[100..104].copy_from_slice(&[0xCD, 0xAB, 0x34, 0x12]);
        v
    }

    fn with_label(v: &mut [u8], at: usize) {
        v[at..at + 6].copy_from_slice(&[ENTRY_LABEL, 2, b'a', 0, 0xE9, 0]);
    }

    #[test]
    fn serial_and_label_are_spelled_as_blkid_does() {
        let mut v = volume();
        with_label(&mut v, 2 * 512);
        let found = probe(&*v).unwrap().unwrap();
        assert_eq!((found.kind, found.bytes), (Kind::ExFat, 6 * 512));
        assert_eq!((found.uuid.as_deref(), found.label.as_deref()), (Some("1234-ABCD"), Some("aé")));
    }

    #[test]
    fn label_in_the_second_cluster_is_found_and_a_ring_of_clusters_ends() {
        let mut v = volume();
        v[1024..1536].fill(0x85);
        v[512 + 8] = 3;
        with_label(&mut v, 3 * 512);
        assert_eq!(probe(&*v).unwrap().unwrap().label.as_deref(), Some("aé"));
        v[512 + 8] = 2;
        assert_eq!(probe(&*v).unwrap().unwrap().label, None);
        v[512 + 8] = 6;
        assert_eq!(probe(&*v).unwrap().unwrap().label, None);
    }

    #[test]
    fn boot_sector_beyond_its_bounds_is_none() {
        for (at, value) in
            [(3, b'F'), (11, 1), (63, 1), (72, 0), (96, 1), (96, 6), (108, 8), (108, 13), (109, 17), (511, 0)]
        {
            let mut v = volume();
            v[at] = value;
            assert_eq!(probe(&*v), Ok(None), "{at} {value}");
        }
    }
}
