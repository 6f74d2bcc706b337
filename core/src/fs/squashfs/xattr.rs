//! Extended attributes: an inode's xattr index leads to an id, the id to a list of keys and values.
//!
//! `struct squashfs_xattr_id_table` at `xattr_id_table_start` has `xattr_table_start` (where the lists are),
//! `xattr_ids` (how many ids) and, behind them, the positions of the metadata blocks of
//! `struct squashfs_xattr_id { xattr, count, size }`. A list entry is `type`, `size`, the name without its prefix,
//! then `vsize` and the value; bit 8 of the type says that the value is elsewhere and its reference stands here.
//!
//! Not handled: prefixes other than the three that the kernel's `fs/squashfs/xattr_id.c` knows (ACLs have none in
//! this format).

use super::compressor::Decompress;
use super::error::{Error, Place, Table};
use super::file_system::FileSystem;
use super::metadata::{Cursor, METADATA_SIZE, MetadataBlock};
use crate::bytes::{u16_le, u32_le, u64_le};
use crate::source::ReadAt;
use crate::units::{u64_from_usize, usize_from_u32};

/// Longest attribute name with its prefix, in bytes: the kernel's `XATTR_NAME_MAX`.
pub const MAX_XATTR_NAME: usize = 255;
/// Longest value in bytes: the kernel's `XATTR_SIZE_MAX`.
pub const MAX_XATTR_VALUE: usize = 1 << 16;
/// Most attributes of one inode: no more names of 7 bytes (`user.a` and NUL) fit into the kernel's `XATTR_LIST_MAX`.
pub const MAX_XATTRS: u32 = 65_536 / 7;

/// `SQUASHFS_XATTR_VALUE_OOL`: the value is a reference to where it is.
const VALUE_OUT_OF_LINE: u16 = 1 << 8;
/// `SQUASHFS_XATTR_PREFIX_MASK`.
const PREFIX_MASK: u16 = 0xFF;
/// Length of `struct squashfs_xattr_id_table` without the positions, in bytes.
const HEADER_LEN: usize = 16;

/// The name of an attribute with its prefix, as `getxattr` takes it: neither empty behind the prefix nor with a NUL.
pub type XattrName = heapless::Vec<u8, MAX_XATTR_NAME>;

/// One attribute; its value is in the front of the buffer that [`XattrReader::next`] was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Xattr {
    /// Its name, prefix included.
    pub name: XattrName,
    /// Length of its value in bytes.
    pub value_len: usize,
}

/// A position in the list of an inode's attributes.
#[derive(Clone, Debug)]
pub struct XattrReader {
    cursor: Cursor,
    /// Attributes that are left.
    left: u32,
    /// `xattr_table_start`.
    table_start: u64,
}

impl<R: ReadAt, D: Decompress, C: AsMut<[MetadataBlock]>> FileSystem<R, D, C> {
    /// Returns a reader of the attributes at this xattr index of an inode.
    ///
    /// # Errors
    /// When there is no such index, the table is corrupt, or the list is longer than [`MAX_XATTRS`].
    pub fn xattrs(&mut self, index: u32) -> Result<XattrReader, Error> {
        let missing = Error::TableIndex { table: Table::Xattr, index };
        let start = self.superblock.xattr_id_table_start.ok_or(missing)?;
        let mut header = [0; HEADER_LEN];
        self.source.read_exact_at(start, &mut header).map_err(|error| Error::Read { at: start, error })?;
        let table_start = u64_le::<0, HEADER_LEN>(&header);
        if table_start < self.superblock.directory_table_start || table_start >= start {
            return Err(Error::TableStart { table: Table::Xattr, at: table_start });
        }
        let ids = u32_le::<8, HEADER_LEN>(&header);
        let positions = start.saturating_add(u64_from_usize(HEADER_LEN));
        let end = positions.saturating_add(u64::from(ids.div_ceil(512)).saturating_mul(8));
        if index >= ids || end > self.superblock.bytes_used {
            return Err(missing);
        }
        let id = self.table_entry::<16>(Table::Xattr, positions, index)?;
        let (list, count) = (u64_le::<0, 16>(&id), u32_le::<8, 16>(&id));
        if count > MAX_XATTRS {
            return Err(Error::TooManyXattrs { at: positions, index, count });
        }
        let cursor = place(table_start, list, start)?;
        Ok(XattrReader { cursor, left: count, table_start })
    }
}

/// Returns the cursor of a reference into the lists: block in the upper 48 bits, offset in the lower 16.
fn place(table_start: u64, reference: u64, limit: u64) -> Result<Cursor, Error> {
    let [low, high, ..] = reference.to_le_bytes();
    let offset = usize::from(u16::from_le_bytes([low, high]));
    let at = table_start.saturating_add(reference >> 16);
    if at >= limit || offset >= METADATA_SIZE {
        return Err(Error::MetadataRange { at });
    }
    Ok(Cursor { block: at, offset, limit })
}

impl XattrReader {
    /// Reads the next attribute, its value into the front of `value`; `None` behind the last.
    ///
    /// # Errors
    /// When `value` is too small ([`MAX_XATTR_VALUE`] bytes always serve) or the list is corrupt; then nothing more
    /// is to be read from it.
    pub fn next<R: ReadAt, D: Decompress, C: AsMut<[MetadataBlock]>>(
        &mut self,
        fs: &mut FileSystem<R, D, C>,
        value: &mut [u8],
    ) -> Result<Option<Xattr>, Error> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        let cursor = &mut self.cursor;
        let at = cursor.place();
        let entry = fs.read_metadata_array::<4>(cursor)?;
        let (kind, size) = (u16_le::<0, 4>(&entry), u16_le::<2, 4>(&entry));
        let prefix = prefix(kind).ok_or(Error::XattrType { at, kind })?;
        let bad_name = Error::XattrName { at, len: size };
        let mut name = XattrName::from_slice(prefix).map_err(|_| bad_name)?;
        let len = prefix.len().saturating_add(usize::from(size));
        name.resize_default(len).map_err(|_| bad_name)?;
        let own = name.get_mut(prefix.len()..).unwrap_or(&mut []);
        fs.read_metadata(cursor, own)?;
        if own.is_empty() || own.contains(&0) {
            return Err(bad_name);
        }
        let at = cursor.place();
        let value_size = u32::from_le_bytes(fs.read_metadata_array(cursor)?);
        let value_len = if kind & VALUE_OUT_OF_LINE == 0 {
            read_value(fs, cursor, at, value_size, value)?
        } else {
            if value_size != 8 {
                return Err(Error::XattrValue { at, len: value_size });
            }
            let reference = u64::from_le_bytes(fs.read_metadata_array(cursor)?);
            let mut elsewhere = place(self.table_start, reference, cursor.limit)?;
            let at = elsewhere.place();
            let value_size = u32::from_le_bytes(fs.read_metadata_array(&mut elsewhere)?);
            read_value(fs, &mut elsewhere, at, value_size, value)?
        };
        self.left = left;
        Ok(Some(Xattr { name, value_len }))
    }
}

fn read_value<R: ReadAt, D: Decompress, C: AsMut<[MetadataBlock]>>(
    fs: &mut FileSystem<R, D, C>,
    cursor: &mut Cursor,
    at: Place,
    size: u32,
    value: &mut [u8],
) -> Result<usize, Error> {
    let needs = usize_from_u32(size);
    if needs > MAX_XATTR_VALUE {
        return Err(Error::XattrValue { at, len: size });
    }
    fs.read_metadata(cursor, value.get_mut(..needs).ok_or(Error::Buffer { needs })?)?;
    Ok(needs)
}

/// Returns the words of a type: `SQUASHFS_XATTR_USER`, `_TRUSTED`, `_SECURITY`.
const fn prefix(kind: u16) -> Option<&'static [u8]> {
    if kind & !(PREFIX_MASK | VALUE_OUT_OF_LINE) != 0 {
        return None;
    }
    Some(match kind & PREFIX_MASK {
        0 => b"user.",
        1 => b"trusted.",
        2 => b"security.",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefix_of_an_unknown_type_is_none() {
        for (kind, name) in
            [(0, "user."), (1, "trusted."), (2, "security."), (0x100, "user."), (0x102, "security.")]
        {
            assert_eq!(prefix(kind), Some(name.as_bytes()), "{kind:#x}");
        }
        for kind in [3, 0x80, 0x103, 0x200, u16::MAX] {
            assert_eq!(prefix(kind), None, "{kind:#x}");
        }
    }

    #[test]
    fn reference_outside_the_lists_is_rejected() {
        assert_eq!(place(100, 5 << 16 | 7, 200), Ok(Cursor { block: 105, offset: 7, limit: 200 }));
        assert_eq!(place(100, 100 << 16, 200), Err(Error::MetadataRange { at: 200 }));
        assert_eq!(place(100, 8192, 200), Err(Error::MetadataRange { at: 100 }));
        assert!(place(u64::MAX, u64::MAX, u64::MAX).is_err());
    }
}
