//! SquashFS 4.0: the read-only file system of a system image.
//!
//! Defined by the kernel's `fs/squashfs/squashfs_fs.h`
//! (<https://github.com/torvalds/linux/blob/master/fs/squashfs/squashfs_fs.h>); on-disk fields keep its names. All
//! numbers are little-endian. [`FileSystem`] reads it through [`crate::source::ReadAt`] with the caller's buffers
//! and the caller's [`Decompress`]: nothing is allocated, so it serves a PID 1 as well as a desktop tool.
//!
//! | room | holds |
//! |---|---|
//! | `superblock` | the 96 bytes at offset 0; every range is checked there |
//! | `metadata` | blocks of at most 8 KiB that carry inodes, directories and tables |
//! | `table` | two-level tables: ids, fragments, export |
//! | `inode`, `dir`, `dir_index` | all fourteen inode types; directory listings and their index |
//! | `data`, `fragment` | a regular file's bytes |
//! | `stored` | where those bytes are |
//! | `xattr` | extended attributes |
//! | `compressor`, `compressor_options` | the six compressors and what the writer told them |
//! | `lookup` | paths, with symbolic links that never leave the root |
//!
//! What bounds the work on hostile bytes: metadata is read forwards only and every table has an end, so no listing
//! and no block list can be longer than the image pays for; a path has at most [`MAX_PATH`] bytes and follows at
//! most [`MAX_LINKS`] links. A directory may still contain itself: who walks the tree bounds the depth.
//!
//! Not handled: versions before 4.0, big-endian images.

mod compressor;
mod compressor_options;
mod data;
mod dir;
mod dir_index;
mod error;
mod file_system;
mod fragment;
mod id_table;
mod inode;
mod lookup;
mod metadata;
mod stored;
mod superblock;
mod table;
mod xattr;

pub use compressor::{Compressor, Decompress, DecompressError};
pub use compressor_options::CompressorOptions;
pub use data::{BlockBuffers, MAX_HOLE_BLOCKS, OpenFile};
pub use dir::{DirEntry, DirReader, Listed, Name};
pub use error::{Error, Place, Table};
pub use file_system::FileSystem;
pub use fragment::Fragment;
pub use inode::{Device, Directory, FileType, Inode, InodeRef, Node, RegularFile, Symlink};
pub use lookup::{MAX_LINKS, MAX_PATH};
pub use metadata::MetadataBlock;
pub use stored::LengthWords;
pub use superblock::{Flags, MAGIC, Superblock};
pub use xattr::{MAX_XATTR_NAME, MAX_XATTR_VALUE, MAX_XATTRS, Xattr, XattrName, XattrReader};

/// Largest data block, 1 MiB: `SQUASHFS_FILE_MAX_SIZE`.
pub const MAX_BLOCK_SIZE: u32 = 1 << 20;
/// Smallest data block, 4 KiB: `block_log` 12 is the least that any writer makes.
pub const MIN_BLOCK_SIZE: u32 = 1 << 12;
/// Longest name in a directory: `SQUASHFS_NAME_LEN`.
pub const MAX_NAME: usize = 256;
/// Most entries of one directory, 2^20: a megabyte of image can claim a hundred times as many, no real tree has them.
pub const MAX_DIR_ENTRIES: u32 = 1 << 20;
/// Longest target of a symbolic link: the kernel refuses more than a page.
pub const MAX_SYMLINK: u32 = 4096;
