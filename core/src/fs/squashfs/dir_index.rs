//! The index of an extended directory: where in a long listing the names of each metadata block begin.
//!
//! Behind the inode follow `i_count` times `struct squashfs_dir_index { index, start_block, size, name }`: `index` is
//! the offset in bytes into the listing of a directory header, `start_block` the metadata block that holds it, `size`
//! one less than the length of the first name behind it. The entries are sorted by name and `index`.
//!
//! The index is a hint only. Whatever it says, it yields a part of the directory table that is read by the rules of
//! a listing; a name that is not there is looked for in the whole listing, so a name that exists is always found.

use super::MAX_NAME;
use super::compressor::Decompress;
use super::dir::DirReader;
use super::error::Error;
use super::file_system::FileSystem;
use super::inode::Directory;
use super::metadata::{Cursor, METADATA_SIZE, MetadataBlock};
use crate::bytes::u32_le;
use crate::source::ReadAt;
use crate::units::usize_from_u32;

/// Length of `struct squashfs_dir_index` without the name, in bytes.
const LEN: usize = 12;

/// Where the index of a directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct DirIndex {
    pub(super) entries: Cursor,
    /// `i_count`, at least 1.
    pub(super) count: u16,
}

impl<R: ReadAt, D: Decompress, C: AsMut<[MetadataBlock]>> FileSystem<R, D, C> {
    /// Returns the part of the listing that should hold `name`; `None` without an index, or with one that cannot be.
    pub(super) fn indexed_part(&mut self, directory: &Directory, name: &[u8]) -> Option<DirReader> {
        let (index, listing) = (directory.index?, directory.listing?);
        let (mut at, mut end) = ((0, listing.block), directory.listing_len());
        let mut cursor = index.entries;
        for _ in 0..index.count {
            let (position, block, is_behind) = self.index_entry(&mut cursor, name).ok()?;
            if position < at.0 || position > directory.listing_len() {
                return None;
            }
            if is_behind {
                end = position;
                break;
            }
            at = (position, self.superblock.directory_table_start.saturating_add(u64::from(block)));
        }
        let (position, block) = at;
        let offset = listing.offset.checked_add(usize_from_u32(position))? % METADATA_SIZE;
        let part = Cursor { block, offset, limit: listing.limit };
        Some(DirReader::new(Some(part), end.checked_sub(position)?))
    }

    /// Reads one entry: `index`, `start_block`, and whether its name comes behind `name`.
    fn index_entry(&mut self, cursor: &mut Cursor, name: &[u8]) -> Result<(u32, u32, bool), Error> {
        let at = cursor.place();
        let b = self.read_metadata_array::<LEN>(cursor)?;
        let len = usize_from_u32(u32_le::<8, LEN>(&b)).saturating_add(1);
        let mut buffer = [0; MAX_NAME];
        let first = buffer.get_mut(..len).ok_or(Error::DirEntryName { at })?;
        self.read_metadata(cursor, first)?;
        Ok((u32_le::<0, LEN>(&b), u32_le::<4, LEN>(&b), &*first > name))
    }
}
