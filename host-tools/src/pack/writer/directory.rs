//! Directory listings: headers, each with up to 256 names behind it, sorted by the bytes of the names.
//!
//! A header names one metadata block of the inode table and one inode number; its names can only lead to inodes in
//! that block with numbers that differ by 16 bits. A listing longer than a metadata block gets an index, so that the
//! kernel looks only at one block of it; therefore a new header starts wherever a new block has begun.

use super::inode::{IndexEntry, Listing};
use super::metadata::{METADATA_SIZE, MetadataWriter, Position};
use crate::command_error::{CommandError, Result};

/// `SQUASHFS_DIR_COUNT`: most names behind one header.
const MAX_NAMES: usize = 256;
/// `i_count` has 16 bits. Names behind the last entry of an index are still found, a little slower.
const MAX_INDEX: usize = u16::MAX as usize;
/// Length of `struct squashfs_dir_header`.
const HEADER_LEN: usize = 12;
/// Length of `struct squashfs_dir_entry` without the name.
const ENTRY_LEN: usize = 8;

/// A name and the inode that it leads to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Child<'a> {
    pub(super) name: &'a [u8],
    /// Basic type of the inode.
    pub(super) kind: u16,
    pub(super) number: u32,
    pub(super) at: Position,
}

/// Appends the listing of these children, which are sorted.
pub(super) fn write(children: &[Child<'_>], table: &mut MetadataWriter<'_>) -> Result<Listing> {
    let at = table.position()?;
    let (mut len, mut index) = (0, Vec::new());
    let (mut rest, mut block) = (children, at.block);
    let mut bytes = Vec::new();
    while let Some(first) = rest.first() {
        let start = table.position()?;
        if start.block != block && index.len() < MAX_INDEX {
            block = start.block;
            index.push(IndexEntry { index: len, start_block: block, name: first.name.to_vec() });
        }
        let run = run_len(rest, usize::from(start.offset));
        let (now, later) = rest.split_at(run);
        rest = later;
        bytes.clear();
        for word in [run as u32 - 1, first.at.block, first.number] {
            bytes.extend(word.to_le_bytes());
        }
        for child in now {
            let difference = child.number.wrapping_sub(first.number) as u16;
            for half in [child.at.offset, difference, child.kind, child.name.len() as u16 - 1] {
                bytes.extend(half.to_le_bytes());
            }
            bytes.extend_from_slice(child.name);
        }
        table.push(&bytes)?;
        // Why: `file_size` has 32 bits and counts 3 bytes more.
        len = u32::try_from(bytes.len())
            .ok()
            .and_then(|n| n.checked_add(len))
            .filter(|len| *len <= u32::MAX - 3)
            .ok_or_else(|| CommandError::failed("the names of a directory would need more than 4 GiB"))?;
    }
    if len as usize <= METADATA_SIZE {
        index.clear();
    }
    Ok(Listing { at, len, index })
}

/// Returns how many of the children can stand behind one header at this offset of a metadata block; at least one.
fn run_len(children: &[Child<'_>], mut offset: usize) -> usize {
    let Some(first) = children.first() else { return 0 };
    offset += HEADER_LEN;
    let fits = |child: &&Child<'_>| {
        let difference = i64::from(child.number) - i64::from(first.number);
        // Why: a header in the block that has begun meanwhile can be in the index.
        let here = offset < METADATA_SIZE;
        offset += ENTRY_LEN + child.name.len();
        here && child.at.block == first.at.block && i16::try_from(difference).is_ok()
    };
    children.iter().take(MAX_NAMES).take_while(fits).count().max(1)
}

#[cfg(test)]
mod tests {
    use super::super::block::BlockEncoder;
    use super::*;
    use crate::pack::compress::{Method, Settings};

    fn listed(children: &[Child<'_>]) -> (Listing, Vec<u8>) {
        let mut encoder = BlockEncoder::new(&Settings::new(Method::None).unwrap(), 8192, false).unwrap();
        let mut table = MetadataWriter::new(&mut encoder);
        let listing = write(children, &mut table).unwrap();
        let blocks = table.finish().unwrap();
        (listing, blocks.chunks(METADATA_SIZE + 2).flat_map(|b| b[2..].to_vec()).collect())
    }

    fn child(name: &[u8], number: u32, block: u32, offset: u16) -> Child<'_> {
        Child { name, kind: 2, number, at: Position { block, offset } }
    }

    #[test]
    fn listing_has_the_bytes_of_the_format() {
        let (listing, bytes) = listed(&[child(b"a", 5, 0, 0x20), child(b"bc", 4, 0, 0x10)]);
        assert_eq!(listing, Listing { at: Position::default(), len: 12 + 9 + 10, index: Vec::new() });
        let header = [1, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0];
        let a = [0x20, 0, 0, 0, 2, 0, 0, 0, b'a'];
        let bc = [0x10, 0, 0xFF, 0xFF, 2, 0, 1, 0, b'b', b'c'];
        assert_eq!(bytes, [&header[..], &a, &bc].concat());
    }

    #[test]
    fn empty_listing_has_no_bytes() {
        assert_eq!(listed(&[]), (Listing::default(), Vec::new()));
    }

    #[test]
    fn header_ends_where_its_inodes_are_out_of_reach() {
        let runs = |second: Child<'_>| run_len(&[child(b"a", 40_000, 7, 0), second], 0);
        for (number, block, run) in [
            (40_001, 7, 2),
            (40_001, 8, 1),
            (40_000 + 32_767, 7, 2),
            (40_000 + 32_768, 7, 1),
            (40_000 - 32_768, 7, 2),
            (40_000 - 32_769, 7, 1),
        ] {
            assert_eq!(runs(child(b"b", number, block, 0)), run, "{number} {block}");
        }
        let many = vec![child(b"x", 1, 0, 0); 300];
        assert_eq!(run_len(&many, 0), 256);
        assert_eq!(run_len(&many, 8190), 1, "the next name is in another block");
    }

    #[test]
    fn long_listing_has_an_index_entry_per_block() {
        let names: Vec<Vec<u8>> = (0..600_u32).map(|i| format!("{i:040}").into_bytes()).collect();
        let children: Vec<_> = names.iter().zip(1..).map(|(n, i)| child(n, i, 0, i as u16)).collect();
        let (listing, bytes) = listed(&children);
        assert_eq!(listing.len as usize, bytes.len());
        assert_eq!(listing.index.len(), bytes.len() / METADATA_SIZE);
        for (entry, i) in listing.index.iter().zip(1..) {
            assert_eq!(entry.start_block, i * (METADATA_SIZE as u32 + 2));
            assert_eq!(entry.index as usize / METADATA_SIZE, i as usize, "it is in the block that it names");
            let name = entry.index as usize + HEADER_LEN + ENTRY_LEN;
            assert_eq!(bytes[name..name + 40], entry.name);
        }
    }
}
