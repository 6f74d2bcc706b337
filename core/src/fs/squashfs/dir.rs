//! Directory listings: runs of a `squashfs_dir_header` and its entries, sorted by name.
//!
//! A header has `count` (one less than the entries behind it, at most 256 of them), `start_block` (the metadata
//! block of their inodes) and `inode_number`; an entry has `offset`, `inode_number` (a signed difference to the
//! header's), `type`, `size` (one less than the name's length) and the name. `.` and `..` are not stored.
//!
//! Not handled: sorting is not demanded. The index of extended directories is in `dir_index`.

use super::compressor::Decompress;
use super::error::{Error, Place};
use super::file_system::FileSystem;
use super::inode::{Directory, FileType, InodeRef};
use super::metadata::{Cursor, MetadataBlock};
use super::{MAX_DIR_ENTRIES, MAX_NAME};
use crate::bytes::{i16_le, u16_le, u32_le};
use crate::source::ReadAt;
use crate::units::usize_from_u32;

/// Length of `struct squashfs_dir_header` in bytes.
const HEADER_LEN: usize = 12;
/// Length of `struct squashfs_dir_entry` without the name, in bytes.
const ENTRY_LEN: usize = 8;
/// `SQUASHFS_DIR_COUNT`: most entries behind one header.
const DIR_COUNT: u32 = 256;

/// A name in a directory: bytes without `/` and NUL, neither empty nor `.` nor `..`.
pub type Name = heapless::Vec<u8, MAX_NAME>;

/// One entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    /// Its inode.
    pub inode: InodeRef,
    /// Number of its inode.
    pub inode_number: u32,
    /// Type of its inode.
    pub file_type: FileType,
    /// Its name.
    pub name: Name,
}

/// An entry of a directory without its name, which [`DirReader::next_into`] leaves in the caller's buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its inode.
    pub inode: InodeRef,
    /// Number of its inode.
    pub inode_number: u32,
    /// Type of its inode.
    pub file_type: FileType,
}

impl Listed {
    fn with(self, name: Name) -> DirEntry {
        DirEntry { inode: self.inode, inode_number: self.inode_number, file_type: self.file_type, name }
    }
}

/// A position in a directory's listing.
#[derive(Clone, Debug)]
pub struct DirReader {
    /// Where the next header or entry is; `None` for an empty listing.
    cursor: Option<Cursor>,
    /// Bytes of the listing that are left.
    left: u32,
    /// Entries that were read, pleasing or not.
    count: u32,
    header: Header,
}

#[derive(Clone, Copy, Debug, Default)]
struct Header {
    /// Entries that are left behind it.
    entries: u32,
    start_block: u32,
    inode_number: u32,
}

impl Header {
    fn parse(b: &[u8; HEADER_LEN], at: Place) -> Result<Self, Error> {
        // Why: `count` is one less than the number of entries.
        let entries = u32_le::<0, HEADER_LEN>(b).saturating_add(1);
        if entries > DIR_COUNT {
            return Err(Error::DirCount { at, count: entries });
        }
        let (start_block, inode_number) = (u32_le::<4, HEADER_LEN>(b), u32_le::<8, HEADER_LEN>(b));
        Ok(Self { entries, start_block, inode_number })
    }

    fn entry(&self, b: &[u8; ENTRY_LEN], name: &[u8], at: Place) -> Result<Listed, Error> {
        if !is_name(name) {
            return Err(Error::DirEntryName { at });
        }
        let file_type = u16_le::<4, ENTRY_LEN>(b);
        Ok(Listed {
            inode: InodeRef::new(self.start_block, u16_le::<0, ENTRY_LEN>(b)),
            inode_number: self.inode_number.wrapping_add_signed(i32::from(i16_le::<2, ENTRY_LEN>(b))),
            file_type: FileType::from_basic(file_type).ok_or(Error::DirEntryType { at, kind: file_type })?,
        })
    }
}

impl DirReader {
    pub(super) const fn new(cursor: Option<Cursor>, len: u32) -> Self {
        Self { cursor, left: len, count: 0, header: Header { entries: 0, start_block: 0, inode_number: 0 } }
    }

    /// Returns the next entry, `None` behind the last.
    ///
    /// # Errors
    /// When the listing breaks a rule of the format; then nothing more is to be read from it.
    pub fn next<R: ReadAt, D: Decompress, C: AsMut<[MetadataBlock]>>(
        &mut self,
        fs: &mut FileSystem<R, D, C>,
    ) -> Result<Option<DirEntry>, Error> {
        let mut name = Name::new();
        Ok(self.next_where(fs, &mut name, |_| true)?.map(|found| found.with(name)))
    }

    /// As [`DirReader::next`], with the name in `name`: who reads a hundred thousand of them moves none.
    ///
    /// # Errors
    /// As [`DirReader::next`].
    pub fn next_into<R: ReadAt, D: Decompress, C: AsMut<[MetadataBlock]>>(
        &mut self,
        fs: &mut FileSystem<R, D, C>,
        name: &mut Name,
    ) -> Result<Option<Listed>, Error> {
        self.next_where(fs, name, |_| true)
    }

    /// Returns the next entry whose name's length pleases; the names of the others are not even read.
    fn next_where<R: ReadAt, D: Decompress, C: AsMut<[MetadataBlock]>>(
        &mut self,
        fs: &mut FileSystem<R, D, C>,
        name: &mut Name,
        is_wanted: impl Fn(usize) -> bool,
    ) -> Result<Option<Listed>, Error> {
        let Some(mut cursor) = self.cursor else { return Ok(None) };
        while self.left > 0 {
            if self.header.entries == 0 {
                let at = cursor.place();
                self.take(HEADER_LEN, at)?;
                self.header = Header::parse(&fs.read_metadata_array(&mut cursor)?, at)?;
            }
            self.header.entries = self.header.entries.saturating_sub(1);
            self.count = self.count.saturating_add(1);
            let at = cursor.place();
            if self.count > MAX_DIR_ENTRIES {
                return Err(Error::TooManyEntries { at });
            }
            self.take(ENTRY_LEN, at)?;
            let b = fs.read_metadata_array::<ENTRY_LEN>(&mut cursor)?;
            let name_len = usize::from(u16_le::<6, ENTRY_LEN>(&b)).saturating_add(1);
            self.take(name_len, at)?;
            if !is_wanted(name_len) {
                fs.skip_metadata(&mut cursor, name_len)?;
                continue;
            }
            name.clear();
            name.resize_default(name_len).map_err(|_| Error::DirEntryName { at })?;
            fs.read_metadata(&mut cursor, name)?;
            self.cursor = Some(cursor);
            return self.header.entry(&b, name, at).map(Some);
        }
        Ok(None)
    }

    fn take(&mut self, bytes: usize, at: Place) -> Result<(), Error> {
        let left = usize_from_u32(self.left).checked_sub(bytes).and_then(|left| u32::try_from(left).ok());
        self.left = left.ok_or(Error::DirEnd { at })?;
        Ok(())
    }
}

/// Tells whether a name is legal: anything else could lead an unpacking tool out of its directory.
fn is_name(name: &[u8]) -> bool {
    !matches!(name, b"" | b"." | b"..") && !name.iter().any(|b| matches!(b, 0 | b'/'))
}

impl<R: ReadAt, D: Decompress, C: AsMut<[MetadataBlock]>> FileSystem<R, D, C> {
    /// Returns the entry of this name, `None` when the directory has none.
    ///
    /// # Errors
    /// When the listing is corrupt.
    pub fn find(&mut self, directory: &Directory, name: &[u8]) -> Result<Option<DirEntry>, Error> {
        if let Some(mut part) = self.indexed_part(directory, name) {
            // Why: the index is only a shortcut: what it does not lead to, the whole listing decides.
            if let Ok(Some(entry)) = self.find_in(&mut part, name) {
                return Ok(Some(entry));
            }
        }
        self.find_in(&mut directory.entries(), name)
    }

    fn find_in(&mut self, entries: &mut DirReader, name: &[u8]) -> Result<Option<DirEntry>, Error> {
        let mut found = Name::new();
        while let Some(entry) = entries.next_where(self, &mut found, |len| len == name.len())? {
            if found == *name {
                return Ok(Some(entry.with(found)));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_that_could_lead_elsewhere_is_no_name() {
        for bad in [&b""[..], b".", b"..", b"a/b", b"a\0", b"/"] {
            assert!(!is_name(bad), "{bad:?}");
        }
        for good in [&b"a"[..], b"...", b".a", b"\xFF\n"] {
            assert!(is_name(good), "{good:?}");
        }
    }
}
