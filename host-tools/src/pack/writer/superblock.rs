//! The superblock: `struct squashfs_super_block`, 96 bytes at offset 0, written last.

use genpack_core::fs::squashfs::MAGIC;

/// Length in bytes; the image goes on behind it.
pub(super) const LEN: usize = 96;
/// A table that is not there.
pub(super) const ABSENT: u64 = u64::MAX;

/// What the superblock says, by its own names.
#[derive(Clone, Copy, Debug)]
pub(super) struct Superblock {
    pub(super) inodes: u32,
    pub(super) mkfs_time: u32,
    pub(super) block_size: u32,
    pub(super) fragments: u32,
    pub(super) compression: u16,
    pub(super) flags: u16,
    pub(super) no_ids: u16,
    pub(super) root_inode: u64,
    pub(super) bytes_used: u64,
    pub(super) id_table_start: u64,
    pub(super) xattr_id_table_start: u64,
    pub(super) inode_table_start: u64,
    pub(super) directory_table_start: u64,
    pub(super) fragment_table_start: u64,
    pub(super) lookup_table_start: u64,
}

impl Superblock {
    /// Returns the bytes.
    pub(super) fn emit(&self) -> [u8; LEN] {
        let mut bytes = [0; LEN];
        let mut rest = &mut bytes[..];
        let mut put = |field: &[u8]| {
            let (now, later) = std::mem::take(&mut rest).split_at_mut(field.len());
            now.copy_from_slice(field);
            rest = later;
        };
        put(&MAGIC.to_le_bytes());
        put(&self.inodes.to_le_bytes());
        put(&self.mkfs_time.to_le_bytes());
        put(&self.block_size.to_le_bytes());
        put(&self.fragments.to_le_bytes());
        put(&self.compression.to_le_bytes());
        put(&(self.block_size.trailing_zeros() as u16).to_le_bytes());
        put(&self.flags.to_le_bytes());
        put(&self.no_ids.to_le_bytes());
        put(&4_u16.to_le_bytes());
        put(&0_u16.to_le_bytes());
        for start in [
            self.root_inode,
            self.bytes_used,
            self.id_table_start,
            self.xattr_id_table_start,
            self.inode_table_start,
            self.directory_table_start,
            self.fragment_table_start,
            self.lookup_table_start,
        ] {
            put(&start.to_le_bytes());
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use genpack_core::fs::squashfs::{Compressor, Flags, InodeRef};

    #[test]
    fn superblock_is_what_the_reader_reads() {
        let bytes = Superblock {
            inodes: 2,
            mkfs_time: 1_700_000_000,
            block_size: 131_072,
            fragments: 1,
            compression: 1,
            flags: 0xC0,
            no_ids: 1,
            root_inode: 0x20,
            bytes_used: 276,
            id_table_start: 268,
            xattr_id_table_start: ABSENT,
            inode_table_start: 102,
            directory_table_start: 162,
            fragment_table_start: 210,
            lookup_table_start: 238,
        }
        .emit();
        assert_eq!(
            bytes[..32],
            [
                b'h', b's', b'q', b's', 2, 0, 0, 0, 0x00, 0xF1, 0x53, 0x65, 0, 0, 2, 0, 1, 0, 0, 0, 1, 0, 17,
                0, 0xC0, 0, 1, 0, 4, 0, 0, 0
            ]
        );
        let read = genpack_core::fs::squashfs::Superblock::parse(&bytes).unwrap();
        assert_eq!((read.inodes, read.mkfs_time, read.block_size), (2, 1_700_000_000, 131_072));
        assert_eq!(
            (read.fragments, read.compressor, read.flags, read.ids),
            (1, Compressor::Gzip, Flags(0xC0), 1)
        );
        assert_eq!((read.root_inode, read.bytes_used), (InodeRef(0x20), 276));
        assert_eq!((read.id_table_start, read.xattr_id_table_start), (268, None));
        assert_eq!((read.inode_table_start, read.directory_table_start), (102, 162));
        assert_eq!((read.fragment_table_start, read.lookup_table_start), (Some(210), Some(238)));
    }
}
