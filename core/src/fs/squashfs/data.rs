//! A regular file's bytes: full blocks one after the other on disk, then a block of its own or a fragment.
//!
//! The inode is followed by one `__le32` length word per block; bit 24 says that the block is stored as it is, a
//! length of 0 is a hole. A block's place is the sum of the lengths before it, so reading forwards is cheap and
//! going back starts again at the first block.

use super::compressor::Decompress;
use super::error::Error;
use super::file_system::FileSystem;
use super::inode::RegularFile;
use super::metadata::{Cursor, MetadataBlock};
use crate::source::ReadAt;
use crate::units::{u64_from_usize, usize_from_u32, usize_from_u64};

/// `SQUASHFS_COMPRESSED_BIT_BLOCK`: the block is stored as it is.
const UNCOMPRESSED_BIT: u32 = 1 << 24;

/// Most blocks that one call of [`OpenFile::hole_len`] looks at: a small image can claim holes for years, and whoever
/// waits for them wants to be able to stop.
pub const MAX_HOLE_BLOCKS: u32 = 1 << 16;

/// A data block's length word, unjudged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BlockLength(pub(super) u32);

impl BlockLength {
    const fn is_compressed(self) -> bool {
        self.0 & UNCOMPRESSED_BIT == 0
    }

    /// Returns the stored length in bytes, 0 for a hole; `None` when it is longer than a block or has unknown bits.
    fn stored(self, block_size: u32) -> Option<usize> {
        let length = self.0 & !UNCOMPRESSED_BIT;
        (length <= block_size).then(|| usize_from_u32(length))
    }
}

/// Where a file's blocks are: the first block's place and the length words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BlockList {
    pub(super) start: u64,
    pub(super) list: Cursor,
}

/// Memory for reading file content: two buffers of at least the file system's block size.
///
/// It remembers the last block that was decompressed into it; files that share a fragment block profit.
#[derive(Debug)]
pub struct BlockBuffers<B> {
    stored: B,
    block: B,
    /// Start and length word of the block in `block`, and its uncompressed length.
    cached: Option<(u64, BlockLength, usize)>,
}

impl<B: AsMut<[u8]>> BlockBuffers<B> {
    /// Returns buffers that hold nothing yet; which is which does not matter.
    pub const fn new(stored: B, block: B) -> Self {
        Self { stored, block, cached: None }
    }
}

/// A regular file that is being read.
#[derive(Clone, Copy, Debug)]
pub struct OpenFile {
    file: RegularFile,
    /// Index of the block that `next` is about.
    index: u64,
    next: BlockList,
}

impl OpenFile {
    /// Returns the file, positioned nowhere in particular.
    #[must_use]
    pub const fn new(file: RegularFile) -> Self {
        Self { file, index: 0, next: file.blocks }
    }

    /// Returns the file's size in bytes.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.file.size
    }

    /// Reads from `offset` into `out` and returns how many bytes were read: fewer than asked for only at the end.
    ///
    /// `buffers` must always be used with the same file system. Whole blocks go straight into `out`.
    ///
    /// # Errors
    /// When a buffer is smaller than a block, or the file system is corrupt.
    pub fn read_at<R: ReadAt, D: Decompress, C: AsMut<[MetadataBlock]>, B: AsMut<[u8]>>(
        &mut self,
        fs: &mut FileSystem<R, D, C>,
        buffers: &mut BlockBuffers<B>,
        offset: u64,
        out: &mut [u8],
    ) -> Result<usize, Error> {
        let mut done = 0_usize;
        loop {
            let at = offset.saturating_add(u64_from_usize(done));
            let rest = out.get_mut(done..).unwrap_or(&mut []);
            if rest.is_empty() || at >= self.file.size {
                return Ok(done);
            }
            let n = self.read_in_block(fs, buffers, at, rest)?;
            done = done.saturating_add(n);
        }
    }

    /// Returns how many bytes from `offset` on are holes: blocks that are not stored. 0 at data and behind the end.
    ///
    /// One call looks at [`MAX_HOLE_BLOCKS`] blocks at most: more holes may follow.
    ///
    /// # Errors
    /// When the block list is corrupt.
    pub fn hole_len<R: ReadAt, D: Decompress, C: AsMut<[MetadataBlock]>>(
        &mut self,
        fs: &mut FileSystem<R, D, C>,
        offset: u64,
    ) -> Result<u64, Error> {
        let block_size = u64::from(fs.superblock.block_size);
        let mut at = offset;
        for _ in 0..MAX_HOLE_BLOCKS {
            if at >= self.file.size {
                break;
            }
            let index = at.checked_div(block_size).unwrap_or(0);
            let start = index.saturating_mul(block_size);
            let left = self.file.size.saturating_sub(start);
            if self.file.fragment.is_some() && left < block_size {
                break;
            }
            let (_, length) = self.seek(fs, index)?;
            if length.stored(fs.superblock.block_size) != Some(0) {
                break;
            }
            at = start.saturating_add(left.min(block_size));
        }
        Ok(at.saturating_sub(offset))
    }

    /// Reads from the one block that holds the byte at `offset`, which is inside the file: at least one byte.
    fn read_in_block<R: ReadAt, D: Decompress, C: AsMut<[MetadataBlock]>, B: AsMut<[u8]>>(
        &mut self,
        fs: &mut FileSystem<R, D, C>,
        buffers: &mut BlockBuffers<B>,
        offset: u64,
        out: &mut [u8],
    ) -> Result<usize, Error> {
        let block_size = u64::from(fs.superblock.block_size);
        let (index, within) = (
            offset.checked_div(block_size).unwrap_or(0),
            usize_from_u64(offset.checked_rem(block_size).unwrap_or(0)).unwrap_or(0),
        );
        let left = self.file.size.saturating_sub(index.saturating_mul(block_size));
        let block_len = usize_from_u64(left.min(block_size)).unwrap_or(0);
        let wanted = block_len.saturating_sub(within).min(out.len());
        let Some(out) = out.get_mut(..wanted) else { return Ok(0) };

        if let Some(fragment) = self.file.fragment.filter(|_| left < block_size) {
            let place = fs.fragment_block(fragment.index)?;
            let block = buffers.load(fs, place.start, place.length)?;
            let from = usize_from_u32(fragment.offset);
            let tail = block.get(from..).and_then(|b| b.get(..block_len));
            let needs = u64_from_usize(from.saturating_add(block_len));
            let has = u64_from_usize(block.len());
            let tail = tail.ok_or(Error::BlockContent { at: place.start, needs, has })?;
            copy(tail, within, out);
            return Ok(wanted);
        }

        let (start, length) = self.seek(fs, index)?;
        let content = |has: usize| {
            let (needs, has) = (u64_from_usize(block_len), u64_from_usize(has));
            if needs == has { Ok(()) } else { Err(Error::BlockContent { at: start, needs, has }) }
        };
        if length.stored(fs.superblock.block_size) == Some(0) {
            out.fill(0);
        } else if wanted == block_len {
            content(buffers.read_block(fs, start, length, out)?)?;
        } else {
            let block = buffers.load(fs, start, length)?;
            content(block.len())?;
            copy(block, within, out);
        }
        Ok(wanted)
    }

    /// Returns start and length word of block `index`.
    fn seek<R: ReadAt, D: Decompress, C: AsMut<[MetadataBlock]>>(
        &mut self,
        fs: &mut FileSystem<R, D, C>,
        index: u64,
    ) -> Result<(u64, BlockLength), Error> {
        if index < self.index {
            (self.index, self.next) = (0, self.file.blocks);
        }
        let block_size = fs.superblock.block_size;
        while self.index < index {
            let at = self.next.start;
            let mut list = self.next.list;
            // Why whole words first: a block list has one per block, and only an odd one lies across two metadata blocks.
            let words = fs.metadata_at(&mut list)?;
            let (words, _) = words.as_chunks::<4>();
            let wanted = usize_from_u64(index.saturating_sub(self.index)).unwrap_or(usize::MAX);
            let mut start = at;
            let mut passed = 0_usize;
            for word in words.iter().take(wanted) {
                start = behind(start, BlockLength(u32::from_le_bytes(*word)), block_size)?;
                passed = passed.saturating_add(1);
            }
            if passed == 0 {
                let word = u32::from_le_bytes(fs.read_metadata_array::<4>(&mut list)?);
                start = behind(start, BlockLength(word), block_size)?;
                passed = 1;
            } else {
                list.offset = list.offset.saturating_add(passed.saturating_mul(4));
            }
            self.next = BlockList { start, list };
            self.index = self.index.saturating_add(u64_from_usize(passed));
        }
        let mut list = self.next.list;
        let length = BlockLength(u32::from_le_bytes(fs.read_metadata_array::<4>(&mut list)?));
        Ok((self.next.start, length))
    }
}

/// Returns where the block behind the one at `at` starts.
fn behind(at: u64, length: BlockLength, block_size: u32) -> Result<u64, Error> {
    let stored = length.stored(block_size).ok_or(Error::BlockLength { at, word: length.0 })?;
    at.checked_add(u64_from_usize(stored)).ok_or(Error::Range { at })
}

fn copy(block: &[u8], from: usize, out: &mut [u8]) {
    if let Some(bytes) = block.get(from..).and_then(|b| b.get(..out.len())) {
        out.copy_from_slice(bytes);
    }
}

impl<B: AsMut<[u8]>> BlockBuffers<B> {
    /// Returns the uncompressed bytes of a block, out of the buffer when they are there.
    fn load<R: ReadAt, D: Decompress, C: AsMut<[MetadataBlock]>>(
        &mut self,
        fs: &mut FileSystem<R, D, C>,
        start: u64,
        length: BlockLength,
    ) -> Result<&[u8], Error> {
        let len = match self.cached {
            Some((s, l, len)) if (s, l) == (start, length) => len,
            _ => {
                self.cached = None;
                let needs = usize_from_u32(fs.superblock.block_size);
                let Self { stored, block, .. } = self;
                let block = block.as_mut().get_mut(..needs).ok_or(Error::Buffer { needs })?;
                let len = read_block(fs, stored.as_mut(), start, length, block)?;
                self.cached = Some((start, length, len));
                len
            }
        };
        Ok(self.block.as_mut().get(..len).unwrap_or(&[]))
    }

    fn read_block<R: ReadAt, D: Decompress, C: AsMut<[MetadataBlock]>>(
        &mut self,
        fs: &mut FileSystem<R, D, C>,
        start: u64,
        length: BlockLength,
        out: &mut [u8],
    ) -> Result<usize, Error> {
        read_block(fs, self.stored.as_mut(), start, length, out)
    }
}

/// Reads one block, decompresses it into the front of `out` and returns its length in bytes.
fn read_block<R: ReadAt, D: Decompress, C>(
    fs: &mut FileSystem<R, D, C>,
    stored: &mut [u8],
    at: u64,
    length: BlockLength,
    out: &mut [u8],
) -> Result<usize, Error> {
    let bad_length = Error::BlockLength { at, word: length.0 };
    let n = length.stored(fs.superblock.block_size).filter(|n| *n > 0).ok_or(bad_length)?;
    let end = at.checked_add(u64_from_usize(n)).filter(|end| *end <= fs.superblock.bytes_used);
    if end.is_none() {
        return Err(Error::Range { at });
    }
    let read = |error| Error::Read { at, error };
    if !length.is_compressed() {
        let (needs, has) = (u64_from_usize(out.len()), u64_from_usize(n));
        let out = out.get_mut(..n).ok_or(Error::BlockContent { at, needs, has })?;
        fs.source.read_exact_at(at, out).map_err(read)?;
        return Ok(n);
    }
    let stored = stored.get_mut(..n).ok_or(Error::Buffer { needs: n })?;
    fs.source.read_exact_at(at, stored).map_err(read)?;
    let compressor = fs.superblock.compressor;
    fs.decompress
        .decompress(compressor, stored, out)
        .map_err(|error| Error::Decompress { at, compressor, error })
        .map(|len| len.min(out.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn length_word_longer_than_a_block_is_rejected() {
        let stored = |word| BlockLength(word).stored(4096);
        assert_eq!(stored(0), Some(0));
        assert_eq!(stored(4096), Some(4096));
        assert_eq!(stored(4097), None);
        assert_eq!(stored(1 << 24 | 4096), Some(4096));
        assert_eq!(stored(1 << 25), None);
        assert!(!BlockLength(1 << 24 | 1).is_compressed());
        assert!(BlockLength(1).is_compressed());
    }
}
