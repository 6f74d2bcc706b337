//! Where content is stored, as the inode and the fragment table say: for who checks an image block by block.
//!
//! Not judged here: whether a length word is possible. [`super::OpenFile`] reads content and judges.

use super::compressor::Decompress;
use super::error::Error;
use super::file_system::FileSystem;
use super::inode::RegularFile;
use super::metadata::{Cursor, MetadataBlock};
use crate::source::ReadAt;

/// The length words of a regular file's blocks, one after the other. How many there are follows from the size.
#[derive(Clone, Copy, Debug)]
pub struct LengthWords {
    cursor: Cursor,
}

impl RegularFile {
    /// Returns `start_block`: the offset of the first block, which the others follow.
    #[must_use]
    pub const fn start_block(&self) -> u64 {
        self.blocks.start
    }

    /// Returns a reader of `block_list`.
    #[must_use]
    pub const fn length_words(&self) -> LengthWords {
        LengthWords { cursor: self.blocks.list }
    }
}

impl LengthWords {
    /// Reads the next word: the stored length, with bit 24 set when the block is stored as it is; 0 for a hole.
    ///
    /// # Errors
    /// When the inode table ends before.
    pub fn next<R: ReadAt, D: Decompress, C: AsMut<[MetadataBlock]>>(
        &mut self,
        fs: &mut FileSystem<R, D, C>,
    ) -> Result<u32, Error> {
        fs.read_metadata_array::<4>(&mut self.cursor).map(u32::from_le_bytes)
    }
}

impl<R: ReadAt, D: Decompress, C: AsMut<[MetadataBlock]>> FileSystem<R, D, C> {
    /// Returns the offset and the length word of fragment block `index`.
    ///
    /// # Errors
    /// When there is no such block, or the fragment table is corrupt.
    pub fn stored_fragment(&mut self, index: u32) -> Result<(u64, u32), Error> {
        self.fragment_block(index).map(|block| (block.start, block.length.0))
    }
}
