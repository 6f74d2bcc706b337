//! Where the blocks of an image lie, compressed as they are: what two images of the same files share.

use std::collections::HashSet;

use genpack_core::fs::squashfs::{Error, FileType, Node};

use super::{SystemImage, damaged};
use crate::command_error::Result;

/// A length word: the lower bits are the length, bit 24 says "not compressed".
const LENGTH_MASK: u32 = 0x00FF_FFFF;

impl SystemImage {
    /// Returns offset and length of every block of content and of every block of tails, sorted, each once.
    ///
    /// # Errors
    /// When the image is corrupt.
    pub fn stored_blocks(&self) -> Result<Vec<(u64, u32)>> {
        let mut files = Vec::new();
        let mut seen = HashSet::new();
        self.walk(&mut |_, entry| {
            if entry.file_type == FileType::RegularFile && seen.insert(entry.inode) {
                files.push(entry.inode);
            }
            Ok(())
        })?;
        let failed = |e: Error| damaged(e).context(format!("reading {}", self.path.display()));
        let mut reader = self.lock();
        let fs = &mut reader.fs;
        let block_size = u64::from(self.superblock.block_size.max(1));
        let mut blocks = Vec::new();
        for inode in files {
            let Node::RegularFile(file) = fs.inode(inode).map_err(failed)?.node else { continue };
            let count =
                if file.fragment.is_some() { file.size / block_size } else { file.size.div_ceil(block_size) };
            let (mut at, mut words) = (file.start_block(), file.length_words());
            for _ in 0..count {
                let length = words.next(fs).map_err(failed)? & LENGTH_MASK;
                if length > 0 {
                    blocks.push((at, length));
                    at = at.saturating_add(u64::from(length));
                }
            }
        }
        for index in 0..self.superblock.fragments {
            let (at, word) = fs.stored_fragment(index).map_err(failed)?;
            blocks.push((at, word & LENGTH_MASK));
        }
        blocks.retain(|(at, length)| {
            *length > 0 && at.saturating_add(u64::from(*length)) <= self.superblock.bytes_used
        });
        blocks.sort_unstable();
        blocks.dedup();
        Ok(blocks)
    }
}
