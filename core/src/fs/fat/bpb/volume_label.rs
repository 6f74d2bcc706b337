//! Volume label of a FAT: the entry of the root directory that carries the volume-id attribute.
//!
//! The boot sector has a label too, but only formatters write it, so it is stale as soon as someone renames the
//! volume: libblkid reports the root directory's alone, and so do we. Bytes are those of the OEM code page. Source:
//! the FAT specification 1.03, "Directory Structure". Not handled: what the code page makes of the bytes.

use super::{Bpb, DIR_ENTRY_LEN};
use crate::bytes;
use crate::fs::fat::MAX_DIR_SLOTS;
use crate::fs::fat::dir_entry::{Attributes, FREE, LEN as ENTRY};
use crate::fs::fat::geometry::FatType;
use crate::source::{ReadAt, ReadError};

/// Stands for a first byte of E5 in a name that is in use.
const KANJI_E5: u8 = 0x05;
/// What formatters write where there is no label.
const NO_NAME: &[u8; 11] = b"NO NAME    ";

/// Returns the 11 bytes of the volume label in the root directory, padded with blanks; `None` without a label.
///
/// # Errors
/// [`ReadError::Io`] only: a directory that is cut off or a chain that leaves the volume ends the search.
pub fn read<R: ReadAt + ?Sized>(source: &R, bpb: &Bpb) -> Result<Option<[u8; 11]>, ReadError> {
    let mut left = MAX_DIR_SLOTS;
    if bpb.fat_type != FatType::Fat32 {
        left = u32::from(bpb.root_entries);
        return Ok(scan(source, bpb.root_dir_offset(), &mut left)?.label());
    }
    let per_cluster = bpb.cluster_bytes().checked_div(DIR_ENTRY_LEN).unwrap_or(0);
    let mut cluster = bpb.root_cluster;
    // Every cluster takes at least one entry from `left`, so a looping chain ends too.
    while left > 0 && per_cluster > 0 {
        let Some(offset) = bpb.cluster_offset(cluster) else { break };
        let mut here = per_cluster.min(left);
        left = left.saturating_sub(here);
        match scan(source, offset, &mut here)? {
            Scan::More => {}
            found => return Ok(found.label()),
        }
        let entry = bpb.fat_offset().saturating_add(u64::from(cluster).saturating_mul(4));
        let Some(next) = source.read_array_at::<4>(entry)? else { break };
        cluster = u32::from_le_bytes(next) & 0x0FFF_FFFF;
    }
    Ok(None)
}

enum Scan {
    /// The label.
    Found([u8; 11]),
    /// The end mark, or the end of the input.
    End,
    /// No label and no end mark in these entries.
    More,
}

impl Scan {
    fn label(self) -> Option<[u8; 11]> {
        match self {
            Self::Found(label) if &label != NO_NAME => Some(label),
            _ => None,
        }
    }
}

fn scan<R: ReadAt + ?Sized>(source: &R, mut offset: u64, left: &mut u32) -> Result<Scan, ReadError> {
    while *left > 0 {
        // Why 512: the smallest sector, so no directory ends inside the block.
        let Some(block) = source.read_array_at::<512>(offset)? else { return Ok(Scan::End) };
        for entry in block.as_chunks::<ENTRY>().0 {
            if *left == 0 {
                break;
            }
            *left = left.saturating_sub(1);
            if bytes::u8_le::<0, ENTRY>(entry) == 0 {
                return Ok(Scan::End);
            }
            if let Some(label) = label(entry) {
                return Ok(Scan::Found(label));
            }
        }
        offset = offset.saturating_add(512);
    }
    Ok(Scan::More)
}

fn label(entry: &[u8; ENTRY]) -> Option<[u8; 11]> {
    let attributes = Attributes(bytes::u8_le::<11, ENTRY>(entry));
    let [first, rest @ ..] = bytes::array::<0, 11, ENTRY>(entry);
    // Why the clusters: some writers leave the attribute on entries that hold data; a label holds none.
    let cluster = (bytes::u16_le::<20, ENTRY>(entry), bytes::u16_le::<26, ENTRY>(entry));
    if first == FREE
        || cluster != (0, 0)
        || attributes.is_long_name()
        || attributes.has(Attributes::DIRECTORY)
        || !attributes.has(Attributes::VOLUME_ID)
    {
        return None;
    }
    let mut label = [if first == KANJI_E5 { FREE } else { first }; 11];
    if let Some(tail) = label.get_mut(1..) {
        tail.copy_from_slice(&rest);
    }
    Some(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &[u8; 11], attr: u8, cluster: u16) -> [u8; ENTRY] {
        let mut entry = [0; ENTRY];
        entry[..11].copy_from_slice(name);
        entry[11] = attr;
        bytes::put_u16_le::<26, ENTRY>(&mut entry, cluster);
        entry
    }

    #[test]
    fn only_a_volume_id_entry_without_data_is_a_label() {
        for (name, attr, cluster, expected) in [
            (b"GENPACK    ", 0x08, 0, Some(b"GENPACK    ")),
            (b"GENPACK    ", 0x28, 0, Some(b"GENPACK    ")),
            (b"GENPACK    ", 0x08, 7, None),
            (b"GENPACK    ", 0x18, 0, None),
            (b"GENPACK    ", 0x0F, 0, None),
            (b"GENPACK    ", 0x20, 0, None),
            (b"\xE5ENPACK    ", 0x08, 0, None),
            (b"\x05ENPACK    ", 0x08, 0, Some(b"\xE5ENPACK    ")),
        ] {
            assert_eq!(label(&entry(name, attr, cluster)).as_ref(), expected, "{name:?} {attr:#x}");
        }
    }
}
