//! Two-level tables: an array of `__le64` positions of metadata blocks, and fixed-size entries in those blocks.
//!
//! Ids, fragments and the export table are stored so. Of each array the position that was used last is remembered: a
//! walk asks for the same metadata block of ids, or of fragments, thousands of times.

use super::compressor::Decompress;
use super::error::{Error, Table};
use super::file_system::FileSystem;
use super::inode::{Inode, InodeRef};
use super::metadata::{Cursor, METADATA_SIZE, MetadataBlock};
use crate::source::ReadAt;
use crate::units::{u64_from_usize, usize_from_u32};

impl<R: ReadAt, D: Decompress, C: AsMut<[MetadataBlock]>> FileSystem<R, D, C> {
    /// Reads entry `index`, of `LEN` bytes, of the table whose array of positions is at `start`.
    pub(super) fn table_entry<const LEN: usize>(
        &mut self,
        table: Table,
        start: u64,
        index: u32,
    ) -> Result<[u8; LEN], Error> {
        let missing = Error::TableIndex { table, index };
        let byte = usize_from_u32(index).checked_mul(LEN).ok_or(missing)?;
        let (block, offset) = (byte / METADATA_SIZE, byte % METADATA_SIZE);
        let at = u64_from_usize(block).checked_mul(8).and_then(|n| start.checked_add(n)).ok_or(missing)?;
        let block = self.position(table, at)?;
        // Why: entries are written before their array; this also keeps the cursor inside the file system.
        if block < self.superblock.directory_table_start || block >= start {
            return Err(Error::MetadataRange { at: block });
        }
        self.read_metadata_array(&mut Cursor { block, offset, limit: start })
    }

    /// Reads the position at `at` of a table's array.
    fn position(&mut self, table: Table, at: u64) -> Result<u64, Error> {
        let last = match table {
            Table::Id => &mut self.last_positions.0,
            Table::Fragment => &mut self.last_positions.1,
            _ => &mut self.last_positions.2,
        };
        if last.0 != at {
            let mut position = [0; 8];
            self.source.read_exact_at(at, &mut position).map_err(|error| Error::Read { at, error })?;
            *last = (at, u64::from_le_bytes(position));
        }
        Ok(last.1)
    }

    /// Returns the inode with this number, `None` when the file system has no export table.
    ///
    /// # Errors
    /// When the number is 0 or too large, or the table is corrupt.
    pub fn export(&mut self, inode_number: u32) -> Result<Option<InodeRef>, Error> {
        let Some(start) = self.superblock.lookup_table_start else { return Ok(None) };
        let index = inode_number.checked_sub(1).filter(|index| *index < self.superblock.inodes);
        let index = index.ok_or(Error::TableIndex { table: Table::Export, index: inode_number })?;
        let entry = self.table_entry::<8>(Table::Export, start, index)?;
        Ok(Some(InodeRef(u64::from_le_bytes(entry))))
    }

    /// Reads the inode with this number through the export table; `None` when there is no such table.
    ///
    /// # Errors
    /// As [`FileSystem::export`] and [`FileSystem::inode`], and when the inode there has another number.
    pub fn inode_by_number(&mut self, number: u32) -> Result<Option<Inode>, Error> {
        let Some(at) = self.export(number)? else { return Ok(None) };
        let inode = self.inode(at)?;
        if inode.number != number {
            return Err(Error::InodeNumber { at, wanted: number, found: inode.number });
        }
        Ok(Some(inode))
    }
}
