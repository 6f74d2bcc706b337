//! Everything that can be wrong with a SquashFS, one variant per cause.

use super::compressor::{Compressor, DecompressError};
use crate::error::Class;
use crate::source::ReadError;

/// The tables of a SquashFS, named as in the superblock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Table {
    /// Inodes.
    Inode,
    /// Directory listings.
    Directory,
    /// Fragment blocks.
    Fragment,
    /// Inode number to inode reference; for NFS.
    Export,
    /// User and group ids.
    Id,
    /// Extended attributes.
    Xattr,
}

impl core::fmt::Display for Table {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Inode => "inode table",
            Self::Directory => "directory table",
            Self::Fragment => "fragment table",
            Self::Export => "export table",
            Self::Id => "id table",
            Self::Xattr => "xattr table",
        })
    }
}

/// A place in metadata: which byte of which metadata block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Start of the metadata block in the source.
    pub block: u64,
    /// Offset into its uncompressed bytes; its length for the first byte of the next one.
    pub offset: u64,
}

impl core::fmt::Display for Place {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "byte {} of the metadata block at {}", self.offset, self.block)
    }
}

/// Why a SquashFS, or a part of it, was not read.
///
/// `at` is where: a byte offset in the source, or a [`Place`]. The first five are about fields of the superblock, whose
/// offsets are fixed. [`Error::TableIndex`], [`Error::Buffer`], [`Error::PathTooLong`] and [`Error::TooManyLinks`]
/// have no place: they are about what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The first four bytes are not `hsqs`; their value, 0 when there are fewer.
    Magic(u32),
    /// The source is smaller than the file system says.
    Truncated {
        /// Bytes that the file system occupies.
        needs: u64,
        /// Bytes that there are.
        has: u64,
    },
    /// Not version 4.0.
    Version {
        /// `s_major`.
        major: u16,
        /// `s_minor`.
        minor: u16,
    },
    /// An unknown compressor id.
    Compressor(u16),
    /// A block size that is no power of two between 4 KiB and 1 MiB, or does not match its logarithm.
    BlockSize {
        /// `block_size`.
        size: u32,
        /// `block_log`.
        log: u16,
    },
    /// A table that lies outside the file system or not behind its predecessor.
    TableStart {
        /// Which.
        table: Table,
        /// Where the superblock puts it.
        at: u64,
    },
    /// An index into a table that has fewer entries.
    TableIndex {
        /// Which.
        table: Table,
        /// The index.
        index: u32,
    },
    /// A metadata block outside its table.
    MetadataRange {
        /// Start of the metadata block.
        at: u64,
    },
    /// A metadata block whose length is 0 or more than 8 KiB.
    MetadataLength {
        /// Start of the metadata block.
        at: u64,
        /// Its length, in bytes, compressed or not.
        length: u64,
    },
    /// An offset behind the end of a metadata block.
    MetadataOffset {
        /// Start of the metadata block.
        at: u64,
        /// The offset into its uncompressed bytes.
        offset: u64,
    },
    /// An unknown inode type.
    InodeType {
        /// Where the inode is.
        at: Place,
        /// `inode_type`.
        kind: u16,
    },
    /// An inode that the export table gives for another number.
    InodeNumber {
        /// Where the inode is, as the table says.
        at: super::InodeRef,
        /// The number that was asked for.
        wanted: u32,
        /// `inode_number` of the inode that is there.
        found: u32,
    },
    /// A compressor option that the compressor does not take.
    CompressorOption {
        /// Which compressor.
        compressor: Compressor,
        /// The option's value.
        value: u32,
    },
    /// An extended attribute of an unknown type.
    XattrType {
        /// Where its entry is.
        at: Place,
        /// `type`.
        kind: u16,
    },
    /// An extended attribute whose name is empty, holds a NUL or is longer than [`super::MAX_XATTR_NAME`].
    XattrName {
        /// Where its entry is.
        at: Place,
        /// Its length in bytes without the prefix.
        len: u16,
    },
    /// An extended attribute whose value is longer than [`super::MAX_XATTR_VALUE`], or a reference that is not 8
    /// bytes long.
    XattrValue {
        /// Where its length is.
        at: Place,
        /// Its length in bytes.
        len: u32,
    },
    /// An inode with more than [`super::MAX_XATTRS`] extended attributes.
    TooManyXattrs {
        /// Start of the array of positions of the xattr ids.
        at: u64,
        /// The inode's xattr index.
        index: u32,
        /// How many it has.
        count: u32,
    },
    /// A symbolic link whose target is longer than [`super::MAX_SYMLINK`], or empty.
    SymlinkLength {
        /// Where the inode's fields end.
        at: Place,
        /// `symlink_size`.
        len: u32,
    },
    /// A directory header that announces more entries than the format allows.
    DirCount {
        /// Where the header is.
        at: Place,
        /// How many.
        count: u32,
    },
    /// A directory with more than [`super::MAX_DIR_ENTRIES`] entries.
    TooManyEntries {
        /// Where the first one too many is.
        at: Place,
    },
    /// A directory header or entry that is cut off by the end of its listing.
    DirEnd {
        /// Where it is.
        at: Place,
    },
    /// A directory entry of an unknown type.
    DirEntryType {
        /// Where the entry is.
        at: Place,
        /// `type`.
        kind: u16,
    },
    /// A name in a directory, or in its index, that is too long, or holds a `/` or NUL, or is `.` or `..`.
    DirEntryName {
        /// Where its entry is.
        at: Place,
    },
    /// A data block length that is longer than a block.
    BlockLength {
        /// Start of the block.
        at: u64,
        /// The length word as stored.
        word: u32,
    },
    /// A data block that holds another number of bytes than its place in the file needs.
    BlockContent {
        /// Start of the block.
        at: u64,
        /// Bytes that it should hold.
        needs: u64,
        /// Bytes that it holds.
        has: u64,
    },
    /// An offset that overflows 64 bits or lies behind the file system's end.
    Range {
        /// The offset.
        at: u64,
    },
    /// A buffer that the caller brought is too small.
    Buffer {
        /// Bytes, or metadata blocks, that are needed.
        needs: usize,
    },
    /// A path that is longer than [`super::MAX_PATH`] after its links are put in, or as deep.
    PathTooLong,
    /// More than [`super::MAX_LINKS`] symbolic links on one path.
    TooManyLinks,
    /// A compressed block that could not be decompressed.
    Decompress {
        /// Start of the block.
        at: u64,
        /// Which compressor made it.
        compressor: Compressor,
        /// Why.
        error: DecompressError,
    },
    /// The source could not be read.
    Read {
        /// Where.
        at: u64,
        /// Why.
        error: ReadError,
    },
}

impl Error {
    /// Returns what kind of failure this is.
    #[must_use]
    pub fn class(self) -> Class {
        match self {
            Self::Magic(_) => Class::BadMagic,
            Self::Truncated { .. } => Class::Truncated,
            Self::Version { .. }
            | Self::Compressor(_)
            | Self::Decompress { error: DecompressError::Unsupported, .. } => Class::Unsupported,
            Self::Buffer { .. }
            | Self::PathTooLong
            | Self::TooManyLinks
            | Self::TooManyEntries { .. }
            | Self::TooManyXattrs { .. }
            | Self::Decompress { error: DecompressError::Memory, .. } => Class::Limit,
            Self::Read { error, .. } => error.into(),
            _ => Class::Corrupt,
        }
    }
}

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match *self {
            Self::Magic(found) => write!(f, "not a SquashFS (magic {found:#010x} at byte 0)"),
            Self::Truncated { needs, has } => write!(f, "truncated: needs {needs} bytes, has {has}"),
            Self::Version { major, minor } => {
                write!(f, "SquashFS version {major}.{minor} (byte 28), only 4.0 is supported")
            }
            Self::Compressor(id) => write!(f, "unknown compressor {id} (byte 20)"),
            Self::BlockSize { size, log } => write!(f, "bad block size {size} (byte 12, logarithm {log})"),
            Self::TableStart { table, at } => write!(f, "the {table} cannot start at {at}"),
            Self::TableIndex { table, index } => write!(f, "the {table} has no entry {index}"),
            Self::MetadataRange { at } => write!(f, "metadata block at {at} is outside its table"),
            Self::MetadataLength { at, length } => {
                write!(f, "metadata block at {at} has a bad length ({length})")
            }
            Self::MetadataOffset { at, offset } => {
                write!(f, "metadata block at {at} has no byte {offset}")
            }
            Self::InodeType { at, kind } => write!(f, "unknown inode type {kind} ({at})"),
            Self::InodeNumber { at, wanted, found } => {
                write!(f, "the export table gives inode {found} for {wanted} (reference {:#x})", at.0)
            }
            Self::CompressorOption { compressor, value } => {
                write!(f, "{compressor} does not take the option value {value} (byte 98)")
            }
            Self::XattrType { at, kind } => write!(f, "an extended attribute has type {kind:#x} ({at})"),
            Self::XattrName { at, len } => {
                write!(f, "an extended attribute has an illegal name of {len} bytes ({at})")
            }
            Self::XattrValue { at, len } => write!(f, "an extended attribute's value has {len} bytes ({at})"),
            Self::TooManyXattrs { at, index, count } => {
                write!(f, "entry {index} of the xattr table at {at} has {count} extended attributes")
            }
            Self::SymlinkLength { at, len } => write!(f, "a symbolic link's target has {len} bytes ({at})"),
            Self::DirCount { at, count } => write!(f, "a directory header announces {count} entries ({at})"),
            Self::TooManyEntries { at } => write!(f, "a directory has too many entries ({at})"),
            Self::DirEnd { at } => write!(f, "a directory entry is cut off ({at})"),
            Self::DirEntryType { at, kind } => write!(f, "a directory entry has type {kind} ({at})"),
            Self::DirEntryName { at } => write!(f, "a directory entry has an illegal name ({at})"),
            Self::BlockLength { at, word } => write!(f, "data block at {at} has a bad length ({word:#x})"),
            Self::BlockContent { at, needs, has } => {
                write!(f, "data block at {at} holds {has} bytes instead of {needs}")
            }
            Self::Range { at } => write!(f, "offset {at} is outside the file system"),
            Self::Buffer { needs } => write!(f, "a buffer is too small, {needs} needed"),
            Self::PathTooLong => f.write_str("the path is too long"),
            Self::TooManyLinks => f.write_str("too many symbolic links"),
            Self::Decompress { at, compressor, error } => write!(f, "{compressor} block at {at}: {error}"),
            Self::Read { at, error } => write!(f, "reading at {at}: {error}"),
        }
    }
}

impl core::error::Error for Error {}
