//! The open file system: a source, a decompressor and the caller's metadata blocks.

use super::compressor::Decompress;
use super::error::Error;
use super::metadata::{MIN_BLOCKS, MetadataBlock, NO_BLOCK};
use super::superblock::{LEN, MAGIC, Superblock};
use crate::source::{ReadAt, ReadError};

/// An open SquashFS; having one proves that its superblock is sound and that the source is not truncated.
///
/// `C` is memory for metadata: an array, a slice or a `Vec` of [`MetadataBlock`], at least two. Five serve a lookup
/// without reading a block twice (what is stored; inodes, directories, ids, one to spare); more help who walks the
/// whole tree.
#[derive(Debug)]
pub struct FileSystem<R, D, C> {
    pub(super) source: R,
    pub(super) decompress: D,
    pub(super) cache: C,
    pub(super) superblock: Superblock,
    /// Counts uses of the cache; the least recently used block goes first.
    pub(super) clock: u64,
    /// The position that was read last of the array of the ids, of the fragments and of the others: where it stands (0,
    /// the superblock, for none yet) and its value.
    pub(super) last_positions: ((u64, u64), (u64, u64), (u64, u64)),
}

impl<R: ReadAt, D: Decompress, C: AsMut<[MetadataBlock]>> FileSystem<R, D, C> {
    /// Reads and checks the superblock.
    ///
    /// # Errors
    /// When the source is no SquashFS 4.0, is shorter than the superblock says, or `cache` has less than two
    /// blocks.
    pub fn open(source: R, decompress: D, mut cache: C) -> Result<Self, Error> {
        let superblock = read_superblock(&source)?;
        if cache.as_mut().len() < MIN_BLOCKS {
            return Err(NO_BLOCK);
        }
        cache.as_mut().fill(MetadataBlock::EMPTY);
        Ok(Self { source, decompress, cache, superblock, clock: 0, last_positions: Default::default() })
    }

    /// Returns the superblock.
    pub const fn superblock(&self) -> &Superblock {
        &self.superblock
    }

    /// Returns the source.
    pub const fn source(&self) -> &R {
        &self.source
    }
}

fn read_superblock<R: ReadAt>(source: &R) -> Result<Superblock, Error> {
    let read = |error: ReadError| Error::Read { at: 0, error };
    let has = source.size().map_err(read)?;
    let magic = source.read_array_at::<4>(0).map_err(read)?.map_or(0, u32::from_le_bytes);
    if magic != MAGIC {
        return Err(Error::Magic(magic));
    }
    let Some(bytes) = source.read_array_at::<LEN>(0).map_err(read)? else {
        return Err(Error::Truncated { needs: 96, has });
    };
    let superblock = Superblock::parse(&bytes)?;
    if superblock.bytes_used > has {
        return Err(Error::Truncated { needs: superblock.bytes_used, has });
    }
    Ok(superblock)
}
