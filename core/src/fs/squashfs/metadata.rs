//! Metadata blocks: at most 8 KiB each, one after the other, read as one forward stream.
//!
//! A block is a `__le16` length word (bit 15: stored uncompressed) and that many bytes. Only the last block of a
//! table may hold less than 8 KiB, but shorter ones are accepted; empty ones are not, so every step moves forwards.

use super::compressor::Decompress;
use super::error::{Error, Place};
use super::file_system::FileSystem;
use crate::source::ReadAt;
use crate::units::{u64_from_usize, usize_from_u64};

/// `SQUASHFS_METADATA_SIZE`.
pub(super) const METADATA_SIZE: usize = 8192;
/// `SQUASHFS_COMPRESSED_BIT`: the block is stored as it is.
const UNCOMPRESSED_BIT: u16 = 1 << 15;

/// How many slots of the cache may hold the same block: the streams of a walk (inodes, directories, ids, and one to
/// spare) never push each other out of one.
const WAYS: usize = 4;

/// Least length of the caller's slice: one block as it is stored, and one decompressed.
pub(super) const MIN_BLOCKS: usize = 2;

/// Memory for one metadata block; the caller brings a few of them. The first takes what is stored and goes to the
/// decompressor, the others are a cache.
#[derive(Clone)]
pub struct MetadataBlock {
    /// Start in the source; `None` when empty.
    start: Option<u64>,
    /// Start of the block behind it.
    next: u64,
    /// When it was last used, for eviction.
    used: u64,
    len: usize,
    bytes: [u8; METADATA_SIZE],
}

impl MetadataBlock {
    /// An empty slot.
    pub const EMPTY: Self = Self { start: None, next: 0, used: 0, len: 0, bytes: [0; METADATA_SIZE] };

    fn content(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&[])
    }
}

impl core::fmt::Debug for MetadataBlock {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("MetadataBlock")
            .field("start", &self.start)
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}

impl Default for MetadataBlock {
    fn default() -> Self {
        Self::EMPTY
    }
}

/// What a cache without a slot is answered with.
pub(super) const NO_BLOCK: Error = Error::Buffer { needs: MIN_BLOCKS };

/// A place in the metadata stream of one table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cursor {
    /// Start of the metadata block in the source.
    pub(super) block: u64,
    /// Offset into its uncompressed bytes.
    pub(super) offset: usize,
    /// Where the table ends: no block starts here or later.
    pub(super) limit: u64,
}

impl Cursor {
    pub(super) fn place(&self) -> Place {
        Place { block: self.block, offset: u64_from_usize(self.offset) }
    }
}

impl<R: ReadAt, D: Decompress, C: AsMut<[MetadataBlock]>> FileSystem<R, D, C> {
    /// Fills `out` and moves the cursor behind it.
    pub(super) fn read_metadata(&mut self, cursor: &mut Cursor, out: &mut [u8]) -> Result<(), Error> {
        let mut rest = out;
        while !rest.is_empty() {
            let bytes = self.metadata_at(cursor)?;
            let n = bytes.len().min(rest.len());
            let (Some(from), Some((to, tail))) = (bytes.get(..n), rest.split_at_mut_checked(n)) else {
                return Ok(());
            };
            to.copy_from_slice(from);
            cursor.offset = cursor.offset.saturating_add(n);
            rest = tail;
        }
        Ok(())
    }

    /// Reads `LEN` bytes and moves the cursor behind them.
    pub(super) fn read_metadata_array<const LEN: usize>(
        &mut self,
        cursor: &mut Cursor,
    ) -> Result<[u8; LEN], Error> {
        let mut bytes = [0; LEN];
        self.read_metadata(cursor, &mut bytes)?;
        Ok(bytes)
    }

    /// Moves the cursor forwards over `len` bytes.
    pub(super) fn skip_metadata(&mut self, cursor: &mut Cursor, len: usize) -> Result<(), Error> {
        let mut rest = len;
        while rest > 0 {
            let n = self.metadata_at(cursor)?.len().min(rest);
            cursor.offset = cursor.offset.saturating_add(n);
            rest = rest.saturating_sub(n);
        }
        Ok(())
    }

    /// Returns the bytes from the cursor to the end of its block, at least one; at a block's end the cursor first
    /// moves to the next block.
    pub(super) fn metadata_at(&mut self, cursor: &mut Cursor) -> Result<&[u8], Error> {
        let mut slot = self.load(cursor)?;
        let (len, next) = self.slots().get(slot).map_or((0, 0), |s| (s.len, s.next));
        if cursor.offset == len {
            (cursor.block, cursor.offset) = (next, 0);
            slot = self.load(cursor)?;
        }
        let (at, offset) = (cursor.block, u64_from_usize(cursor.offset));
        let content = self.slots().get(slot).map_or(&[][..], |s| s.content());
        content
            .get(cursor.offset..)
            .filter(|bytes| !bytes.is_empty())
            .ok_or(Error::MetadataOffset { at, offset })
    }

    /// Makes sure that the cursor's block is decompressed and returns its slot.
    fn load(&mut self, cursor: &Cursor) -> Result<usize, Error> {
        let at = cursor.block;
        self.clock = self.clock.saturating_add(1);
        let clock = self.clock;
        let ways = self.ways(at);
        let first = ways.start;
        let ways = self.slots().get_mut(ways).unwrap_or(&mut []);
        // Why: `enumerate` would count with a check that leaves a panic in the program.
        let numbers = 0..ways.len();
        if let Some((way, slot)) = numbers.clone().zip(ways.iter_mut()).find(|(_, s)| s.start == Some(at)) {
            slot.used = clock;
            // Why: a block may be reached through two tables; the nearer end counts.
            if at >= cursor.limit || slot.next > cursor.limit {
                return Err(Error::MetadataRange { at });
            }
            return Ok(first.saturating_add(way));
        }
        let oldest = numbers.zip(ways).min_by_key(|(_, s)| if s.start.is_some() { s.used } else { 0 });
        let slot = oldest.map(|(way, _)| first.saturating_add(way)).ok_or(NO_BLOCK)?;
        self.fill(slot, cursor)?;
        Ok(slot)
    }

    /// Returns the slots that may hold the block at `at`.
    ///
    /// Why not all of them: they are 8 KiB apart, so to look at the start of 64 of them costs more than to use one.
    fn ways(&mut self, at: u64) -> core::ops::Range<usize> {
        let slots = self.slots().len();
        let sets = slots.checked_div(WAYS).unwrap_or(0).max(1);
        // Multiplicative hashing (Knuth, TAOCP 6.4) by 2^64 divided by the golden ratio; its upper bits are the good ones.
        let hash = at.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40;
        let set = usize_from_u64(hash).and_then(|hash| hash.checked_rem(sets)).unwrap_or(0);
        let start = set.saturating_mul(WAYS);
        let end = if set.saturating_add(1) == sets { slots } else { start.saturating_add(WAYS) };
        start..end
    }

    fn fill(&mut self, slot: usize, cursor: &Cursor) -> Result<(), Error> {
        let at = cursor.block;
        let read = |at| move |error| Error::Read { at, error };
        let body = at.checked_add(2).filter(|body| *body < cursor.limit);
        let body = body.ok_or(Error::MetadataRange { at })?;
        let mut word = [0; 2];
        self.source.read_exact_at(at, &mut word).map_err(read(at))?;
        let word = u16::from_le_bytes(word);
        let length = usize::from(word & !UNCOMPRESSED_BIT);
        let bad_length = |length: usize| Error::MetadataLength { at, length: u64_from_usize(length) };
        if length == 0 || length > METADATA_SIZE {
            return Err(bad_length(length));
        }
        let next = body.checked_add(u64_from_usize(length)).filter(|next| *next <= cursor.limit);
        let next = next.ok_or(Error::MetadataRange { at })?;

        let clock = self.clock;
        let Some((first, slots)) = self.cache.as_mut().split_first_mut() else { return Err(NO_BLOCK) };
        let block = slots.get_mut(slot).ok_or(NO_BLOCK)?;
        block.start = None;
        block.len = if word & UNCOMPRESSED_BIT == 0 {
            let stored = first.bytes.get_mut(..length).ok_or_else(|| bad_length(length))?;
            self.source.read_exact_at(body, stored).map_err(read(body))?;
            let compressor = self.superblock.compressor;
            self.decompress
                .decompress(compressor, stored, &mut block.bytes)
                .map_err(|error| Error::Decompress { at, compressor, error })?
        } else {
            let content = block.bytes.get_mut(..length).ok_or_else(|| bad_length(length))?;
            self.source.read_exact_at(body, content).map_err(read(body))?;
            length
        };
        if block.len == 0 || block.len > METADATA_SIZE {
            return Err(bad_length(block.len));
        }
        (block.start, block.next, block.used) = (Some(at), next, clock);
        Ok(())
    }

    /// Returns the slots of the cache.
    fn slots(&mut self) -> &mut [MetadataBlock] {
        self.cache.as_mut().get_mut(1..).unwrap_or(&mut [])
    }
}
