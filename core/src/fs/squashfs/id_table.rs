//! The id table: inodes name their owner by a 16-bit index, the table holds the 32-bit ids.

use super::compressor::Decompress;
use super::error::{Error, Table};
use super::file_system::FileSystem;
use super::metadata::MetadataBlock;
use crate::source::ReadAt;

impl<R: ReadAt, D: Decompress, C: AsMut<[MetadataBlock]>> FileSystem<R, D, C> {
    /// Returns the user or group id at `index`, as inodes name them.
    ///
    /// # Errors
    /// When there is no such entry, or the table is corrupt.
    pub fn id(&mut self, index: u16) -> Result<u32, Error> {
        if index >= self.superblock.ids {
            return Err(Error::TableIndex { table: Table::Id, index: u32::from(index) });
        }
        let start = self.superblock.id_table_start;
        self.table_entry::<4>(Table::Id, start, u32::from(index)).map(u32::from_le_bytes)
    }
}
