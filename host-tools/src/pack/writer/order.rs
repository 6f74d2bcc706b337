//! Where content goes: which files share fragment blocks, what is read in one go, and in which order.
//!
//! The rule, which decides the image's bytes: first the blocks of all files of at least a block, in the order of
//! their inodes, a file's blocks side by side as the format demands; then the fragment blocks, which hold the files
//! that are shorter, in the order of their inodes too, so that what is used together is read together. (Sorted by
//! the ends of their names they would take 0.3 % less.) The tail of a longer file is a block of its own, as
//! mksquashfs has it, so that to read the file's end no other file is decompressed; or, with
//! [`super::Options::tails`], it stands among the small files.

use super::tree::Tree;
use crate::pack::entry::{FileEntry, Kind};

/// How much is read in one go, in bytes, unless a block is longer: a worker's trip to the others and back costs
/// nothing beside it, and so many are under way that it is small beside the compressors' memory.
const SPAN_BYTES: u64 = 512 << 10;
/// Most pieces that are read in one go.
const BATCH_PIECES: usize = 256;

/// What goes into a fragment block: a file that is shorter than a block, or the tail of a longer one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) inode: u32,
    /// Where it begins in the file: not 0 for a tail.
    pub(super) from: u64,
    pub(super) len: u32,
}

/// A piece of reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// Blocks of a file.
    Span {
        /// The inode.
        inode: u32,
        /// Index of the first block.
        first: u64,
        /// How many.
        blocks: u32,
    },
    /// Pieces that are shorter than a block.
    Batch {
        /// Index into [`Order::pieces`] of the first.
        first: u32,
        /// How many.
        pieces: u32,
    },
}

/// What is read, in order.
#[derive(Debug)]
pub(super) struct Order {
    pub(super) reads: Vec<Read>,
    /// What goes into fragment blocks, in the order there.
    pub(super) pieces: Vec<Piece>,
    /// Bytes of all files.
    pub(super) source_bytes: u64,
}

impl Order {
    pub(super) fn new(tree: &Tree, block_size: u32, tails: bool) -> Self {
        let (mut reads, mut pieces, mut source_bytes) = (Vec::new(), Vec::new(), 0);
        let per_span = (SPAN_BYTES / u64::from(block_size)).max(1);
        for (inode, file) in files(tree) {
            source_bytes += file.size;
            let (blocks, tail) = cut(file, block_size, tails);
            for first in (0..blocks).step_by(per_span as usize) {
                reads.push(Read::Span { inode, first, blocks: (blocks - first).min(per_span) as u32 });
            }
            if tail > 0 {
                pieces.push(Piece { inode, from: blocks * u64::from(block_size), len: tail });
            }
        }
        let (mut first, mut bytes) = (0, 0);
        for (i, Piece { len, .. }) in pieces.iter().enumerate() {
            let len = u64::from(*len);
            let is_full = bytes + len > SPAN_BYTES.max(u64::from(block_size));
            if i > first && (is_full || i - first == BATCH_PIECES) {
                reads.push(Read::Batch { first: first as u32, pieces: (i - first) as u32 });
                (first, bytes) = (i, 0);
            }
            bytes += len;
        }
        if first < pieces.len() {
            reads.push(Read::Batch { first: first as u32, pieces: (pieces.len() - first) as u32 });
        }
        Self { reads, pieces, source_bytes }
    }
}

/// Returns how many blocks a file has and how many bytes behind them go into a fragment block.
pub(super) fn cut(file: &FileEntry, block_size: u32, tails: bool) -> (u64, u32) {
    let block_size = u64::from(block_size);
    if file.stored || file.size >= block_size && !tails {
        return (file.size.div_ceil(block_size), 0);
    }
    (file.size / block_size, (file.size % block_size) as u32)
}

/// Returns the regular files that hold something, in the order of their inodes.
fn files(tree: &Tree) -> impl Iterator<Item = (u32, &FileEntry)> {
    (0..).zip(tree.inodes()).filter_map(|(number, inode)| match &tree.entry(inode.entry).kind {
        Kind::File(file) if file.size > 0 => Some((number, file)),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pack::entry::Content;

    #[test]
    fn file_is_cut_into_blocks_and_what_shares_a_fragment_block() {
        let file = |size, stored| FileEntry { size, content: Content::Bytes([].into()), stored };
        for (size, stored, tails, wanted) in [
            (0, false, true, (0, 0)),
            (1, false, false, (0, 1)),
            (4095, false, true, (0, 4095)),
            (4096, false, true, (1, 0)),
            (4097, false, false, (2, 0)),
            (4097, false, true, (1, 1)),
            (8192, false, true, (2, 0)),
            (1, true, true, (1, 0)),
            (4097, true, true, (2, 0)),
            (u64::MAX, false, true, (u64::MAX / 4096, 4095)),
        ] {
            assert_eq!(cut(&file(size, stored), 4096, tails), wanted, "{size} {stored} {tails}");
        }
    }
}
