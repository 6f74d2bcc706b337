//! The fragment table: blocks that hold the tails of several files.

use super::compressor::Decompress;
use super::data::BlockLength;
use super::error::{Error, Table};
use super::file_system::FileSystem;
use super::metadata::MetadataBlock;
use crate::bytes::{u32_le, u64_le};
use crate::source::ReadAt;

/// Where a file's tail is: `fragment` and `offset` of its inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// Index into the fragment table.
    pub index: u32,
    /// Offset into the uncompressed block, in bytes.
    pub offset: u32,
}

/// Where a fragment block is: `struct squashfs_fragment_entry`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FragmentBlock {
    pub(super) start: u64,
    pub(super) length: BlockLength,
}

impl<R: ReadAt, D: Decompress, C: AsMut<[MetadataBlock]>> FileSystem<R, D, C> {
    /// Returns the place of fragment block `index`.
    pub(super) fn fragment_block(&mut self, index: u32) -> Result<FragmentBlock, Error> {
        let missing = Error::TableIndex { table: Table::Fragment, index };
        let start = self.superblock.fragment_table_start.ok_or(missing)?;
        if index >= self.superblock.fragments {
            return Err(missing);
        }
        let entry = self.table_entry::<16>(Table::Fragment, start, index)?;
        Ok(FragmentBlock { start: u64_le::<0, 16>(&entry), length: BlockLength(u32_le::<8, 16>(&entry)) })
    }
}
