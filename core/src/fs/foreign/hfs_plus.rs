//! HFS+ and HFSX: volume header and, for the label, the first record of the catalog.
//!
//! Source: "Technical Note TN1150: HFS Plus Volume Format" (Apple). Numbers are big-endian. Not handled: the UUID,
//! which is an MD5 of the volume's identifier, a catalog whose first leaf lies behind its first extent, volumes inside
//! an old HFS, and HFS itself.

use super::{Filesystem, Kind};
use crate::bytes;
use crate::source::{ReadAt, ReadError};

const OFFSET: u64 = 1024;
const LEN: usize = 512;
/// Signatures, each with its only version: HFS+ and HFSX.
const SIGNATURES: [(u16, u16); 2] = [(0x482B, 4), (0x4858, 5)];
const BLOCK_SIZES: core::ops::RangeInclusive<u32> = 512..=65_536;
const CATALOG_FIRST_EXTENT: usize = 0x120;
const KIND_LEAF: u8 = 0xFF;
const KIND_HEADER: u8 = 1;
const NODE_SIZES: core::ops::RangeInclusive<u16> = 512..=32_768;
const ROOT_PARENT_ID: u32 = 1;
/// Descriptor of a node and the first record: key length, parent, length of the name, 255 characters.
const LEAF_LEN: usize = 14 + 8 + NAME_LEN;
const NAME_LEN: usize = 510;

/// Returns the HFS+ on `source`.
pub(super) fn probe<R: ReadAt + ?Sized>(source: &R) -> Result<Option<Filesystem>, ReadError> {
    let Some(header) = source.read_array_at::<LEN>(OFFSET)? else { return Ok(None) };
    let version = (bytes::u16_be::<0, LEN>(&header), bytes::u16_be::<2, LEN>(&header));
    let block_size = bytes::u32_be::<0x28, LEN>(&header);
    let total_blocks = bytes::u32_be::<0x2C, LEN>(&header);
    if !SIGNATURES.contains(&version) || !block_size.is_power_of_two() || !BLOCK_SIZES.contains(&block_size) {
        return Ok(None);
    }
    let block_size = u64::from(block_size);
    let found = Filesystem::new(Kind::HfsPlus, u64::from(total_blocks).saturating_mul(block_size));
    let catalog_block = u64::from(bytes::u32_be::<CATALOG_FIRST_EXTENT, LEN>(&header));
    let leaf = first_leaf(source, catalog_block.saturating_mul(block_size))?;
    Ok(Some(match leaf {
        Some(leaf) => {
            let units = usize::from(bytes::u16_be::<20, LEAF_LEN>(&leaf));
            let name = bytes::array::<22, NAME_LEN, LEAF_LEN>(&leaf);
            found
                .with_utf16_label(name.as_chunks::<2>().0.iter().take(units).copied().map(u16::from_be_bytes))
        }
        None => found,
    }))
}

/// Returns the first leaf of the catalog when it begins with the root directory, whose name is the volume's.
fn first_leaf<R: ReadAt + ?Sized>(source: &R, catalog: u64) -> Result<Option<[u8; LEAF_LEN]>, ReadError> {
    let Some(header) = source.read_array_at::<34>(catalog)? else { return Ok(None) };
    let node_size = bytes::u16_be::<32, 34>(&header);
    if bytes::u8_le::<8, 34>(&header) != KIND_HEADER
        || !node_size.is_power_of_two()
        || !NODE_SIZES.contains(&node_size)
    {
        return Ok(None);
    }
    let node = u64::from(bytes::u32_be::<24, 34>(&header)).saturating_mul(u64::from(node_size));
    let leaf = source.read_array_at::<LEAF_LEN>(catalog.saturating_add(node))?;
    Ok(leaf.filter(|leaf| {
        bytes::u8_le::<8, LEAF_LEN>(leaf) == KIND_LEAF
            && bytes::u32_be::<16, LEAF_LEN>(leaf) == ROOT_PARENT_ID
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;
    use std::vec::Vec;

    /// Blocks and nodes of 512 bytes; the catalog begins in block 4, its first leaf is node 1.
    fn volume() -> Vec<u8> {
        let mut v = vec![0; 8 * 512];
        v[1024..1028].copy_from_slice(&[0x48, 0x2B, 0, 4]);
        for (at, value) in [
            (1024 + 0x2A, 2),
            (1024 + 0x2F, 8),
            (1024 + 0x123, 4),
            (2048 + 8, KIND_HEADER),
            (2048 + 27, 1),
            (2048 + 32, 2),
            (2560 + 8, KIND_LEAF),
            (2560 + 19, 1),
            (2560 + 21, 2),
            (2560 + 23, b'M'),
            (2560 + 25, 0xE9),
            (2560 + 27, b'x'),
        ] {
            v[at] = value;
        }
        v
    }

    #[test]
    fn label_is_the_name_of_the_root_directory() {
        let found = probe(&*volume()).unwrap().unwrap();
        assert_eq!((found.kind, found.bytes, found.uuid), (Kind::HfsPlus, 8 * 512, None));
        assert_eq!(found.label.as_deref(), Some("Mé"));
        for at in [2048 + 8, 2048 + 32, 2560 + 8, 2560 + 19, 1024 + 0x123] {
            let mut v = volume();
            v[at] = 0x40;
            assert_eq!(probe(&*v).unwrap().unwrap().label, None, "{at}: a broken catalog has no label");
        }
        for at in [1024, 1027, 1024 + 0x2A] {
            let mut v = volume();
            v[at] = 3;
            assert_eq!(probe(&*v), Ok(None), "{at}");
        }
    }
}
