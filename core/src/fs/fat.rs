//! FAT12, FAT16 and FAT32: the boot sector, legal geometries, a reader, and a one-pass emitter.
//!
//! Source: "Microsoft Extensible Firmware Initiative FAT32 File System Specification" 1.03; where real volumes break
//! it, Linux' vfat decides. [`FileSystem`] reads through [`crate::source::ReadAt`] with two blocks of 512 bytes of
//! its own: nothing is allocated, however large the volume or a file is.
//!
//! | room | holds |
//! |---|---|
//! | [`bpb`] | the parameter block of the boot sector, the volume label |
//! | [`geometry`], [`emit`] | legal volumes, made in one pass |
//! | [`fat_entry`], `chain` | the file allocation table and the chains in it |
//! | [`dir_entry`], [`lfn`], `name`, [`dos_time`] | the 32 bytes of a slot, long names, time stamps |
//! | `dir`, `walk`, `lookup`, `file` | directories, the whole tree, paths, the bytes of a file |
//!
//! What bounds the work on hostile bytes: a chain visits no cluster twice and never more than there are; a directory
//! has at most [`MAX_DIR_SLOTS`] slots; a walk goes [`MAX_DEPTH`] deep and reads no more slots than the volume can
//! hold, so directories that contain themselves end it.
//!
//! Not handled: the free-space hints of FSInfo, OEM code pages other than 437, writing to a volume that exists.

pub mod bpb;
mod chain;
mod dir;
pub mod dir_entry;
pub mod dos_time;
#[cfg(feature = "alloc")]
pub mod emit;
mod error;
pub mod fat_entry;
mod file;
mod file_system;
pub mod geometry;
pub mod lfn;
mod lookup;
mod name;
mod walk;

pub use chain::{Chain, Clusters};
pub use dir::{DirEntry, DirReader, Directory};
pub use error::Error;
pub use file::File;
pub use file_system::{FileSystem, State};
pub use name::Name;
pub use walk::{Step, Walk};

/// Most slots of a directory, free ones included: the specification ends directories at 2 MiB.
pub const MAX_DIR_SLOTS: u32 = 65_536;
/// Longest name in UTF-16 units, by the specification.
pub const MAX_NAME_UNITS: usize = 255;
/// Deepest directory that a walk enters; Windows ends paths at 260 characters, so no tree of it is deeper.
pub const MAX_DEPTH: usize = 128;
