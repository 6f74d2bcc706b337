//! What goes into an image: one [`Entry`] per path.
//!
//! A list of entries is the only thing that the writer knows of its input, so a folder, a lower and an upper tree,
//! or bytes made by a test all pack alike, and nothing is copied beforehand: a file's content stays where it is
//! until a worker reads it. The order of the list does not matter.

use std::fmt;
use std::os::fd::OwnedFd;
use std::sync::Arc;

pub use crate::pack::cache::Identity;

/// One path of the image and what is there.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Names joined by `/`, without one at either end; empty for the root, which must be there.
    pub path: Vec<u8>,
    /// Permission bits with set-uid, set-gid and sticky: at most `0o7777`.
    pub mode: u16,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Modification time, seconds since 1970.
    pub mtime: u32,
    /// Extended attributes, in any order, no name twice.
    pub xattrs: Vec<Xattr>,
    /// Which file of the source this is; `None` for what has no name there. Not used for directories.
    ///
    /// Two entries with one identity are hard links to one inode, if mode, owners, time and attributes agree too.
    /// It is also what the cache knows an unchanged file by.
    pub identity: Option<Identity>,
    /// What is there.
    pub kind: Kind,
}

/// What is at a path.
#[derive(Clone, Debug)]
pub enum Kind {
    /// A directory; what it holds are entries of their own.
    Directory,
    /// A regular file.
    File(FileEntry),
    /// A symbolic link and its target.
    Symlink(Vec<u8>),
    /// A block device.
    BlockDevice(Device),
    /// A character device.
    CharDevice(Device),
    /// A named pipe.
    Fifo,
    /// A UNIX socket.
    Socket,
}

/// The number of a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Device {
    /// Major number: 12 bits are stored.
    pub major: u32,
    /// Minor number: 20 bits are stored.
    pub minor: u32,
}

/// A regular file.
#[derive(Clone, Debug)]
pub struct FileEntry {
    /// Its size in bytes; a file that has become shorter or longer when it is read is an error.
    pub size: u64,
    /// Where its bytes are.
    pub content: Content,
    /// Store it uncompressed, so that a boot loader reads it fast: the kernel, the initramfs.
    pub stored: bool,
}

/// Where the bytes of a regular file are.
#[derive(Clone)]
pub enum Content {
    /// A path below a directory, without a leading `/`. Opened without following any symbolic link, as late as
    /// possible and for as short as possible: a million files need no million descriptors.
    At {
        /// The directory, shared by all the entries of a tree.
        root: Arc<OwnedFd>,
        /// The path below it.
        path: Box<[u8]>,
    },
    /// The bytes themselves.
    Bytes(Arc<[u8]>),
    /// Anything that can be read at offsets; tests bring files that fail.
    Other(Arc<dyn ReadFile>),
}

/// A file's content that is neither a file nor bytes.
pub trait ReadFile: Send + Sync {
    /// Reads some bytes from `offset` on, as pread(2): 0 at the end.
    ///
    /// # Errors
    /// What the source has to say.
    fn read_at(&self, offset: u64, out: &mut [u8]) -> std::io::Result<usize>;
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::At { path, .. } => f.debug_tuple("At").field(&String::from_utf8_lossy(path)).finish(),
            Self::Bytes(bytes) => f.debug_tuple("Bytes").field(&bytes.len()).finish(),
            Self::Other(_) => f.write_str("Other"),
        }
    }
}

/// An extended attribute.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Xattr {
    /// The whole name, prefix included: `user.`, `trusted.` or `security.`; others cannot be stored.
    pub name: Vec<u8>,
    /// The value.
    pub value: Vec<u8>,
}

impl Entry {
    /// Tells whether it is a directory.
    #[must_use]
    pub const fn is_directory(&self) -> bool {
        matches!(self.kind, Kind::Directory)
    }
}
