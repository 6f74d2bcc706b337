//! The superblock: 96 bytes at offset 0, `struct squashfs_super_block`.
//!
//! The compressor options that may follow it are in `compressor_options`.

use super::compressor::Compressor;
use super::error::{Error, Table};
use super::inode::InodeRef;
use super::{MAX_BLOCK_SIZE, MIN_BLOCK_SIZE};
use crate::bytes::{u16_le, u32_le, u64_le};

/// `SQUASHFS_MAGIC`: the bytes `hsqs`.
pub const MAGIC: u32 = 0x7371_7368;
/// Size of the superblock in bytes.
pub(super) const LEN: usize = 96;
/// [`LEN`] as an offset: nothing else starts before it.
const DATA_START: u64 = 96;
/// `SQUASHFS_INVALID_BLK`: this table is absent.
const INVALID_BLK: u64 = u64::MAX;

/// The superblock's bytes, unjudged.
#[derive(Clone, Copy, Debug)]
pub(super) struct Raw<'a>(pub(super) &'a [u8; LEN]);

impl Raw<'_> {
    pub(super) const fn s_magic(self) -> u32 {
        u32_le::<0, LEN>(self.0)
    }
    const fn inodes(self) -> u32 {
        u32_le::<4, LEN>(self.0)
    }
    const fn mkfs_time(self) -> u32 {
        u32_le::<8, LEN>(self.0)
    }
    const fn block_size(self) -> u32 {
        u32_le::<12, LEN>(self.0)
    }
    const fn fragments(self) -> u32 {
        u32_le::<16, LEN>(self.0)
    }
    const fn compression(self) -> u16 {
        u16_le::<20, LEN>(self.0)
    }
    const fn block_log(self) -> u16 {
        u16_le::<22, LEN>(self.0)
    }
    const fn flags(self) -> u16 {
        u16_le::<24, LEN>(self.0)
    }
    const fn no_ids(self) -> u16 {
        u16_le::<26, LEN>(self.0)
    }
    const fn s_major(self) -> u16 {
        u16_le::<28, LEN>(self.0)
    }
    const fn s_minor(self) -> u16 {
        u16_le::<30, LEN>(self.0)
    }
    const fn root_inode(self) -> u64 {
        u64_le::<32, LEN>(self.0)
    }
    const fn bytes_used(self) -> u64 {
        u64_le::<40, LEN>(self.0)
    }
    const fn id_table_start(self) -> u64 {
        u64_le::<48, LEN>(self.0)
    }
    const fn xattr_id_table_start(self) -> u64 {
        u64_le::<56, LEN>(self.0)
    }
    const fn inode_table_start(self) -> u64 {
        u64_le::<64, LEN>(self.0)
    }
    const fn directory_table_start(self) -> u64 {
        u64_le::<72, LEN>(self.0)
    }
    const fn fragment_table_start(self) -> u64 {
        u64_le::<80, LEN>(self.0)
    }
    const fn lookup_table_start(self) -> u64 {
        u64_le::<88, LEN>(self.0)
    }
}

/// The superblock's flag word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flags(pub u16);

impl Flags {
    /// `SQUASHFS_NOI`: inodes are stored uncompressed.
    pub const UNCOMPRESSED_INODES: u16 = 1 << 0;
    /// `SQUASHFS_NOD`: data blocks are stored uncompressed.
    pub const UNCOMPRESSED_DATA: u16 = 1 << 1;
    /// `SQUASHFS_NOF`: fragments are stored uncompressed.
    pub const UNCOMPRESSED_FRAGMENTS: u16 = 1 << 3;
    /// `SQUASHFS_NO_FRAG`: there are no fragments.
    pub const NO_FRAGMENTS: u16 = 1 << 4;
    /// `SQUASHFS_ALWAYS_FRAG`: every file's tail is a fragment.
    pub const ALWAYS_FRAGMENTS: u16 = 1 << 5;
    /// `SQUASHFS_DUPLICATE`: equal files were stored once.
    pub const DUPLICATES: u16 = 1 << 6;
    /// `SQUASHFS_EXPORT`: there is an export table.
    pub const EXPORTABLE: u16 = 1 << 7;
    /// `SQUASHFS_COMP_OPT`: compressor options follow the superblock.
    pub const COMPRESSOR_OPTIONS: u16 = 1 << 10;

    /// Tells whether all bits of `mask` are set.
    #[must_use]
    pub const fn has(self, mask: u16) -> bool {
        self.0 & mask == mask
    }
}

/// A sound superblock; having one proves that all tables are in their order and inside `bytes_used`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Superblock {
    /// Number of inodes.
    pub inodes: u32,
    /// When the file system was made, seconds since 1970.
    pub mkfs_time: u32,
    /// Size of a data block in bytes: a power of two, 4 KiB to 1 MiB.
    pub block_size: u32,
    /// Number of entries in the fragment table.
    pub fragments: u32,
    /// The compressor of everything that is compressed.
    pub compressor: Compressor,
    /// Options that the writer was given.
    pub flags: Flags,
    /// Number of entries in the id table, at least 1.
    pub ids: u16,
    /// The root directory's inode.
    pub root_inode: InodeRef,
    /// Bytes that the file system occupies; a file may be padded beyond.
    pub bytes_used: u64,
    /// Byte offset of the id table's index.
    pub id_table_start: u64,
    /// Byte offset of the xattr table's header.
    pub xattr_id_table_start: Option<u64>,
    /// Byte offset of the first inode block.
    pub inode_table_start: u64,
    /// Byte offset of the first directory block.
    pub directory_table_start: u64,
    /// Byte offset of the fragment table's index; `None` without fragments.
    pub fragment_table_start: Option<u64>,
    /// Byte offset of the export table's index.
    pub lookup_table_start: Option<u64>,
}

impl Superblock {
    /// Parses the first 96 bytes of a file system.
    ///
    /// # Errors
    /// When it is no SquashFS 4.0, or its sizes and table positions contradict each other.
    pub fn parse(bytes: &[u8; LEN]) -> Result<Self, Error> {
        let raw = Raw(bytes);
        if raw.s_magic() != MAGIC {
            return Err(Error::Magic(raw.s_magic()));
        }
        if (raw.s_major(), raw.s_minor()) != (4, 0) {
            return Err(Error::Version { major: raw.s_major(), minor: raw.s_minor() });
        }
        let compressor =
            Compressor::from_id(raw.compression()).ok_or(Error::Compressor(raw.compression()))?;
        let block_size = raw.block_size();
        if !block_size.is_power_of_two()
            || !(MIN_BLOCK_SIZE..=MAX_BLOCK_SIZE).contains(&block_size)
            || block_size.trailing_zeros() != u32::from(raw.block_log())
        {
            return Err(Error::BlockSize { size: block_size, log: raw.block_log() });
        }
        let superblock = Self {
            inodes: raw.inodes(),
            mkfs_time: raw.mkfs_time(),
            block_size,
            fragments: raw.fragments(),
            compressor,
            flags: Flags(raw.flags()),
            ids: raw.no_ids(),
            root_inode: InodeRef(raw.root_inode()),
            bytes_used: raw.bytes_used(),
            id_table_start: raw.id_table_start(),
            xattr_id_table_start: present(raw.xattr_id_table_start()),
            inode_table_start: raw.inode_table_start(),
            directory_table_start: raw.directory_table_start(),
            // Why: without fragments writers leave any value here, and the kernel does not look at it.
            fragment_table_start: present(raw.fragment_table_start()).filter(|_| raw.fragments() > 0),
            lookup_table_start: present(raw.lookup_table_start()),
        };
        superblock.check()?;
        Ok(superblock)
    }

    /// Checks the order that every writer keeps and the kernel demands: data, inodes, directories, fragments,
    /// export, ids, xattrs.
    fn check(&self) -> Result<(), Error> {
        if self.ids == 0 {
            return Err(Error::TableIndex { table: Table::Id, index: 0 });
        }
        if self.fragments > 0 && self.fragment_table_start.is_none() {
            return Err(Error::TableStart { table: Table::Fragment, at: INVALID_BLK });
        }
        let index_len =
            |entries: u32, per_block: u32| u64::from(entries.div_ceil(per_block)).saturating_mul(8);
        let tables = [
            (Table::Inode, Some(self.inode_table_start), 1),
            (Table::Directory, Some(self.directory_table_start), 0),
            (Table::Fragment, self.fragment_table_start, index_len(self.fragments, 512)),
            (Table::Export, self.lookup_table_start, index_len(self.inodes, 1024)),
            (Table::Id, Some(self.id_table_start), index_len(u32::from(self.ids), 2048)),
            (Table::Xattr, self.xattr_id_table_start, 16),
        ];
        let mut free = DATA_START;
        for (table, start, len) in tables {
            let Some(at) = start else { continue };
            let end = at.checked_add(len).filter(|end| at >= free && *end <= self.bytes_used);
            free = end.ok_or(Error::TableStart { table, at })?;
        }
        Ok(())
    }

    /// Returns where the directory table ends at the latest: at the first index behind it.
    pub(super) fn directory_table_end(&self) -> u64 {
        self.fragment_table_start.or(self.lookup_table_start).unwrap_or(self.id_table_start)
    }
}

fn present(start: u64) -> Option<u64> {
    (start != INVALID_BLK).then_some(start)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The superblock that mksquashfs 4.5.1 wrote for a tree of one directory with one small file.
    pub(in super::super) fn sample() -> [u8; LEN] {
        let mut b = [0; LEN];
        let mut put = |at: usize, bytes: &[u8]| b[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, b"hsqs");
        put(4, &2_u32.to_le_bytes());
        put(8, &1_700_000_000_u32.to_le_bytes());
        put(12, &131_072_u32.to_le_bytes());
        put(16, &1_u32.to_le_bytes());
        put(20, &1_u16.to_le_bytes());
        put(22, &17_u16.to_le_bytes());
        put(24, &0xC0_u16.to_le_bytes());
        put(26, &1_u16.to_le_bytes());
        put(28, &4_u16.to_le_bytes());
        put(32, &0x20_u64.to_le_bytes());
        put(40, &276_u64.to_le_bytes());
        put(48, &268_u64.to_le_bytes());
        put(56, &u64::MAX.to_le_bytes());
        put(64, &102_u64.to_le_bytes());
        put(72, &162_u64.to_le_bytes());
        put(80, &210_u64.to_le_bytes());
        put(88, &238_u64.to_le_bytes());
        b
    }

    #[test]
    fn superblock_of_a_small_tree_is_read() {
        let s = Superblock::parse(&sample()).unwrap();
        assert_eq!((s.inodes, s.block_size, s.fragments, s.ids), (2, 131_072, 1, 1));
        assert_eq!(s.compressor, Compressor::Gzip);
        assert_eq!(s.root_inode, InodeRef(0x20));
        assert_eq!(s.bytes_used, 276);
        assert_eq!(s.xattr_id_table_start, None);
        assert_eq!(s.lookup_table_start, Some(238));
        assert_eq!(s.directory_table_end(), 210);
        assert!(s.flags.has(Flags::EXPORTABLE | Flags::DUPLICATES));
        assert!(!s.flags.has(Flags::NO_FRAGMENTS));
    }

    #[test]
    fn superblock_field_out_of_range_is_rejected() {
        let none = u64::MAX;
        let cases: [(usize, &[u8], Error); 14] = [
            (0, b"sqsh", Error::Magic(0x6873_7173)),
            (28, &[3, 0], Error::Version { major: 3, minor: 0 }),
            (30, &[1, 0], Error::Version { major: 4, minor: 1 }),
            (20, &[0, 0], Error::Compressor(0)),
            (20, &[7, 0], Error::Compressor(7)),
            (12, &0_u32.to_le_bytes(), Error::BlockSize { size: 0, log: 17 }),
            (12, &2048_u32.to_le_bytes(), Error::BlockSize { size: 2048, log: 17 }),
            (22, &[16, 0], Error::BlockSize { size: 131_072, log: 16 }),
            (26, &[0, 0], Error::TableIndex { table: Table::Id, index: 0 }),
            (40, &275_u64.to_le_bytes(), Error::TableStart { table: Table::Id, at: 268 }),
            (64, &95_u64.to_le_bytes(), Error::TableStart { table: Table::Inode, at: 95 }),
            (72, &102_u64.to_le_bytes(), Error::TableStart { table: Table::Directory, at: 102 }),
            (80, &none.to_le_bytes(), Error::TableStart { table: Table::Fragment, at: none }),
            (16, &u32::MAX.to_le_bytes(), Error::TableStart { table: Table::Fragment, at: 210 }),
        ];
        for (at, bytes, error) in cases {
            let mut b = sample();
            b[at..at + bytes.len()].copy_from_slice(bytes);
            assert_eq!(Superblock::parse(&b), Err(error), "bytes at {at}");
        }
    }
}
