//! How many bytes of the image a file takes, as its inode says; nothing is decompressed but metadata.

use genpack_core::fs::squashfs::{Error, InodeRef};

use super::SystemImage;
use crate::command_error::Result;

/// Bit of a length word: the block is stored as it is.
const IS_RAW: u32 = 1 << 24;

/// Where the content of a regular file is stored. Two files with the same places share them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Stored {
    /// Offset of the first block; 0 when there is none.
    pub start: u64,
    /// Bytes of all blocks.
    pub bytes: u64,
    /// Index of the fragment block and the offset in it.
    pub fragment: Option<(u32, u32)>,
    /// Bytes of content that are in the fragment block.
    pub tail: u64,
}

impl SystemImage {
    /// Returns where a regular file is stored; anything else has no place.
    ///
    /// # Errors
    /// When the image is corrupt.
    pub fn stored(&self, inode: InodeRef) -> Result<Stored> {
        let mut reader = self.lock();
        let found = reader.regular_file(inode).and_then(|file| {
            let Some(file) = file else { return Ok(Stored::default()) };
            let block = u64::from(reader.fs.superblock().block_size);
            let blocks = if file.fragment.is_some() { file.size / block } else { file.size.div_ceil(block) };
            let (mut words, mut bytes) = (file.length_words(), 0_u64);
            // Ends for any size: the words come out of the inode table, which does.
            for _ in 0..blocks {
                bytes += u64::from(words.next(&mut reader.fs)? & !IS_RAW);
            }
            let tail = if file.fragment.is_some() { file.size % block } else { 0 };
            let start = if bytes == 0 { 0 } else { file.start_block() };
            Ok(Stored { start, bytes, fragment: file.fragment.map(|f| (f.index, f.offset)), tail })
        });
        found.map_err(|e: Error| self.error(b"where a file is stored", e))
    }

    /// Returns how many bytes of the image a fragment block takes.
    ///
    /// # Errors
    /// When the image is corrupt.
    pub fn stored_fragment(&self, index: u32) -> Result<u64> {
        let found = self.lock().fs.stored_fragment(index);
        found
            .map(|(_, word)| u64::from(word & !IS_RAW))
            .map_err(|e| self.error(b"where a fragment is stored", e))
    }
}
