//! Inodes: seven basic types (1 to 7) and their extended forms (8 to 14).
//!
//! `struct squashfs_base_inode` opens all of them: `inode_type`, `mode`, `uid`, `guid`, `mtime`, `inode_number`.
//! The extended forms add a link count where it was missing, wider sizes and an xattr index. What follows an inode
//! (block list, link target, directory index) is read when it is asked for. Times are unsigned: they end in 2106.

use super::compressor::Decompress;
use super::data::BlockList;
use super::dir::DirReader;
use super::dir_index::DirIndex;
use super::error::{Error, Place};
use super::file_system::FileSystem;
use super::fragment::Fragment;
use super::metadata::{Cursor, METADATA_SIZE, MetadataBlock};
use super::{MAX_SYMLINK, Superblock};
use crate::bytes::{u16_le, u32_le, u64_le};
use crate::source::ReadAt;
use crate::units::usize_from_u32;

/// `SQUASHFS_INVALID_FRAG` and `SQUASHFS_INVALID_XATTR`: there is none.
const INVALID: u32 = u32::MAX;
/// Length of `struct squashfs_base_inode` in bytes.
const BASE_LEN: usize = 16;

/// Where an inode is: the start of its metadata block in the inode table (upper 48 bits) and the offset in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InodeRef(pub u64);

impl InodeRef {
    /// Returns the reference to an inode at `offset` of the metadata block `start_block` bytes into the table.
    #[must_use]
    pub fn new(start_block: u32, offset: u16) -> Self {
        Self(u64::from(start_block) << 16 | u64::from(offset))
    }

    fn cursor(self, superblock: &Superblock) -> Result<Cursor, Error> {
        let [low, high, ..] = self.0.to_le_bytes();
        let at = superblock.inode_table_start.saturating_add(self.0 >> 16);
        place(at, u16::from_le_bytes([low, high]), superblock.directory_table_start)
    }
}

/// Returns the cursor at `offset` of the metadata block at `at`, if that can be.
fn place(at: u64, offset: u16, limit: u64) -> Result<Cursor, Error> {
    let offset = usize::from(offset);
    if at >= limit || offset >= METADATA_SIZE {
        return Err(Error::MetadataRange { at });
    }
    Ok(Cursor { block: at, offset, limit })
}

/// What a directory entry leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FileType {
    /// 1: directory.
    Directory,
    /// 2: regular file.
    RegularFile,
    /// 3: symbolic link.
    Symlink,
    /// 4: block device.
    BlockDevice,
    /// 5: character device.
    CharDevice,
    /// 6: FIFO.
    Fifo,
    /// 7: socket.
    Socket,
}

impl FileType {
    /// Returns the type of this basic inode type number, 1 to 7.
    #[must_use]
    pub const fn from_basic(inode_type: u16) -> Option<Self> {
        Some(match inode_type {
            1 => Self::Directory,
            2 => Self::RegularFile,
            3 => Self::Symlink,
            4 => Self::BlockDevice,
            5 => Self::CharDevice,
            6 => Self::Fifo,
            7 => Self::Socket,
            _ => return None,
        })
    }
}

/// One inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Inode {
    /// Where it was read.
    pub at: InodeRef,
    /// `inode_number`: unique, from 1; hard links share it.
    pub number: u32,
    /// `mode`: permission bits with set-uid, set-gid and sticky, without the type.
    pub mode: u16,
    /// `uid`: index for [`FileSystem::id`].
    pub uid_index: u16,
    /// `guid`: index for [`FileSystem::id`].
    pub gid_index: u16,
    /// `mtime`: seconds since 1970.
    pub mtime: u32,
    /// `nlink`: number of names; 1 where the basic form has no such field.
    pub nlink: u32,
    /// `xattr`: index into the xattr table.
    pub xattr: Option<u32>,
    /// What it is.
    pub node: Node,
}

/// What an inode is, with the fields of its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Node {
    /// Directory: types 1 and 8.
    Directory(Directory),
    /// Regular file: types 2 and 9.
    RegularFile(RegularFile),
    /// Symbolic link: types 3 and 10.
    Symlink(Symlink),
    /// Block device: types 4 and 11.
    BlockDevice(Device),
    /// Character device: types 5 and 12.
    CharDevice(Device),
    /// FIFO: types 6 and 13.
    Fifo,
    /// Socket: types 7 and 14.
    Socket,
}

impl Node {
    /// Returns the type without the fields.
    #[must_use]
    pub const fn file_type(&self) -> FileType {
        match self {
            Self::Directory(_) => FileType::Directory,
            Self::RegularFile(_) => FileType::RegularFile,
            Self::Symlink(_) => FileType::Symlink,
            Self::BlockDevice(_) => FileType::BlockDevice,
            Self::CharDevice(_) => FileType::CharDevice,
            Self::Fifo => FileType::Fifo,
            Self::Socket => FileType::Socket,
        }
    }
}

/// A directory's place in the directory table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Directory {
    /// `parent_inode`: inode number of the directory that holds it; the root names one that does not exist.
    pub parent_inode: u32,
    /// `file_size`: length of the listing in bytes and 3 more.
    pub size: u32,
    pub(super) listing: Option<Cursor>,
    pub(super) index: Option<DirIndex>,
}

impl Directory {
    /// Returns a reader of its entries.
    #[must_use]
    pub const fn entries(&self) -> DirReader {
        DirReader::new(self.listing, self.listing_len())
    }

    /// Returns the length of the listing in bytes.
    pub(super) const fn listing_len(&self) -> u32 {
        // Why: `file_size` counts 3 bytes for `.` and `..`, which are not stored.
        self.size.saturating_sub(3)
    }
}

/// A regular file's size and places.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegularFile {
    /// `file_size` in bytes.
    pub size: u64,
    /// `sparse`: bytes that are holes, as the writer counted them; mksquashfs does not always.
    pub sparse: u64,
    /// Where the tail is, when it is not a block of its own.
    pub fragment: Option<Fragment>,
    pub(super) blocks: BlockList,
}

/// A symbolic link; the target follows the inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Symlink {
    /// `symlink_size`: length of the target in bytes, 1 to [`MAX_SYMLINK`].
    pub len: u32,
    target: Cursor,
}

/// A device number: `rdev`, in the kernel's `new_encode_dev` form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Device {
    /// Major number, 12 bits.
    pub major: u32,
    /// Minor number, 20 bits.
    pub minor: u32,
}

impl Device {
    const fn from_rdev(rdev: u32) -> Self {
        Self { major: rdev >> 8 & 0xFFF, minor: rdev & 0xFF | rdev >> 12 & 0xF_FF00 }
    }
}

impl<R: ReadAt, D: Decompress, C: AsMut<[MetadataBlock]>> FileSystem<R, D, C> {
    /// Reads the root directory's inode.
    ///
    /// # Errors
    /// As [`FileSystem::inode`].
    pub fn root(&mut self) -> Result<Inode, Error> {
        self.inode(self.superblock.root_inode)
    }

    /// Reads one inode.
    ///
    /// # Errors
    /// When the reference leads nowhere or the inode breaks a rule of the format.
    pub fn inode(&mut self, inode: InodeRef) -> Result<Inode, Error> {
        let mut cursor = inode.cursor(&self.superblock)?;
        let place = cursor.place();
        let base = self.read_metadata_array::<BASE_LEN>(&mut cursor)?;
        let inode_type = u16_le::<0, BASE_LEN>(&base);
        let (nlink, xattr, node) = self.node(inode_type, place, &mut cursor)?;
        Ok(Inode {
            at: inode,
            number: u32_le::<12, BASE_LEN>(&base),
            mode: u16_le::<2, BASE_LEN>(&base) & 0o7777,
            uid_index: u16_le::<4, BASE_LEN>(&base),
            gid_index: u16_le::<6, BASE_LEN>(&base),
            mtime: u32_le::<8, BASE_LEN>(&base),
            nlink,
            xattr: xattr.filter(|index| *index != INVALID),
            node,
        })
    }

    /// Reads what follows the base of an inode: link count, xattr index, the fields of its type.
    fn node(
        &mut self,
        inode_type: u16,
        place: Place,
        at: &mut Cursor,
    ) -> Result<(u32, Option<u32>, Node), Error> {
        Ok(match inode_type {
            1 => self.directory(at)?,
            2 => self.regular_file(at)?,
            3 | 10 => self.symlink(at, inode_type == 10)?,
            4 | 5 => {
                let b = self.read_metadata_array::<8>(at)?;
                (u32_le::<0, 8>(&b), None, device(inode_type == 4, u32_le::<4, 8>(&b)))
            }
            6 | 7 => {
                let b = self.read_metadata_array::<4>(at)?;
                (u32_le::<0, 4>(&b), None, if inode_type == 6 { Node::Fifo } else { Node::Socket })
            }
            8 => self.extended_directory(at)?,
            9 => self.extended_regular_file(at)?,
            11 | 12 => {
                let b = self.read_metadata_array::<12>(at)?;
                let node = device(inode_type == 11, u32_le::<4, 12>(&b));
                (u32_le::<0, 12>(&b), Some(u32_le::<8, 12>(&b)), node)
            }
            13 | 14 => {
                let b = self.read_metadata_array::<8>(at)?;
                let node = if inode_type == 13 { Node::Fifo } else { Node::Socket };
                (u32_le::<0, 8>(&b), Some(u32_le::<4, 8>(&b)), node)
            }
            kind => return Err(Error::InodeType { at: place, kind }),
        })
    }

    /// `squashfs_dir_inode`: `start_block`, `nlink`, `file_size`, `offset`, `parent_inode`.
    fn directory(&mut self, at: &mut Cursor) -> Result<(u32, Option<u32>, Node), Error> {
        let b = self.read_metadata_array::<16>(at)?;
        let (start_block, file_size) = (u32_le::<0, 16>(&b), u32::from(u16_le::<8, 16>(&b)));
        let listing = self.listing(start_block, u16_le::<10, 16>(&b), file_size, u32_le::<12, 16>(&b))?;
        Ok((u32_le::<4, 16>(&b), None, Node::Directory(listing)))
    }

    /// `squashfs_ldir_inode`: `nlink`, `file_size`, `start_block`, `parent_inode`, `i_count`, `offset`, `xattr`, the
    /// index of `i_count` entries.
    fn extended_directory(&mut self, at: &mut Cursor) -> Result<(u32, Option<u32>, Node), Error> {
        let b = self.read_metadata_array::<24>(at)?;
        let (file_size, start_block) = (u32_le::<4, 24>(&b), u32_le::<8, 24>(&b));
        let mut listing = self.listing(start_block, u16_le::<18, 24>(&b), file_size, u32_le::<12, 24>(&b))?;
        let count = u16_le::<16, 24>(&b);
        listing.index = (count > 0).then_some(DirIndex { entries: *at, count });
        Ok((u32_le::<0, 24>(&b), Some(u32_le::<20, 24>(&b)), Node::Directory(listing)))
    }

    fn listing(
        &self,
        start_block: u32,
        offset: u16,
        size: u32,
        parent_inode: u32,
    ) -> Result<Directory, Error> {
        let at = self.superblock.directory_table_start.saturating_add(u64::from(start_block));
        // Why: an empty directory has no listing, its place may be the end of the table.
        let listing =
            if size <= 3 { None } else { Some(place(at, offset, self.superblock.directory_table_end())?) };
        Ok(Directory { parent_inode, size, listing, index: None })
    }

    /// `squashfs_reg_inode`: `start_block`, `fragment`, `offset`, `file_size`, `block_list`.
    fn regular_file(&mut self, at: &mut Cursor) -> Result<(u32, Option<u32>, Node), Error> {
        let b = self.read_metadata_array::<16>(at)?;
        let file = RegularFile {
            size: u64::from(u32_le::<12, 16>(&b)),
            sparse: 0,
            fragment: fragment(u32_le::<4, 16>(&b), u32_le::<8, 16>(&b)),
            blocks: BlockList { start: u64::from(u32_le::<0, 16>(&b)), list: *at },
        };
        Ok((1, None, Node::RegularFile(file)))
    }

    /// `squashfs_lreg_inode`: `start_block`, `file_size`, `sparse`, `nlink`, `fragment`, `offset`, `xattr`,
    /// `block_list`.
    fn extended_regular_file(&mut self, at: &mut Cursor) -> Result<(u32, Option<u32>, Node), Error> {
        let b = self.read_metadata_array::<40>(at)?;
        let file = RegularFile {
            size: u64_le::<8, 40>(&b),
            sparse: u64_le::<16, 40>(&b),
            fragment: fragment(u32_le::<28, 40>(&b), u32_le::<32, 40>(&b)),
            blocks: BlockList { start: u64_le::<0, 40>(&b), list: *at },
        };
        Ok((u32_le::<24, 40>(&b), Some(u32_le::<36, 40>(&b)), Node::RegularFile(file)))
    }

    /// `squashfs_symlink_inode`: `nlink`, `symlink_size`, the target; the extended form puts `xattr` behind it.
    fn symlink(&mut self, at: &mut Cursor, extended: bool) -> Result<(u32, Option<u32>, Node), Error> {
        let b = self.read_metadata_array::<8>(at)?;
        let len = u32_le::<4, 8>(&b);
        if len == 0 || len > MAX_SYMLINK {
            return Err(Error::SymlinkLength { at: at.place(), len });
        }
        let link = Symlink { len, target: *at };
        let xattr = if extended {
            self.skip_metadata(at, usize_from_u32(len))?;
            Some(u32::from_le_bytes(self.read_metadata_array::<4>(at)?))
        } else {
            None
        };
        Ok((u32_le::<0, 8>(&b), xattr, Node::Symlink(link)))
    }

    /// Reads a symbolic link's target into the front of `target` and returns it.
    ///
    /// # Errors
    /// When `target` is too small ([`MAX_SYMLINK`] bytes always serve) or the inode table is corrupt.
    pub fn read_link<'t>(&mut self, link: &Symlink, target: &'t mut [u8]) -> Result<&'t [u8], Error> {
        let needs = usize_from_u32(link.len);
        let target = target.get_mut(..needs).ok_or(Error::Buffer { needs })?;
        let mut cursor = link.target;
        self.read_metadata(&mut cursor, target)?;
        Ok(target)
    }

    /// Returns the numeric owner and group of an inode.
    ///
    /// # Errors
    /// As [`FileSystem::id`].
    pub fn owner(&mut self, inode: &Inode) -> Result<(u32, u32), Error> {
        Ok((self.id(inode.uid_index)?, self.id(inode.gid_index)?))
    }
}

fn fragment(index: u32, offset: u32) -> Option<Fragment> {
    (index != INVALID).then_some(Fragment { index, offset })
}

const fn device(block: bool, rdev: u32) -> Node {
    let device = Device::from_rdev(rdev);
    if block { Node::BlockDevice(device) } else { Node::CharDevice(device) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_number_is_decoded_as_the_kernel_does() {
        for (rdev, major, minor) in [(0x0103, 1, 3), (0x0801, 8, 1), (0x0012_3456, 0x234, 0x156)] {
            assert_eq!(Device::from_rdev(rdev), Device { major, minor }, "{rdev:#x}");
        }
        assert_eq!(Device::from_rdev(u32::MAX), Device { major: 0xFFF, minor: 0xF_FFFF });
    }

    #[test]
    fn inode_reference_outside_the_inode_table_is_rejected() {
        let s = Superblock::parse(&super::super::superblock::tests::sample()).unwrap();
        assert_eq!(InodeRef::new(0, 0x20).cursor(&s).map(|c| (c.block, c.offset)), Ok((102, 0x20)));
        assert_eq!(InodeRef::new(60, 0).cursor(&s), Err(Error::MetadataRange { at: 162 }));
        assert_eq!(InodeRef::new(0, 8192).cursor(&s), Err(Error::MetadataRange { at: 102 }));
        assert!(InodeRef(u64::MAX).cursor(&s).is_err());
    }
}
