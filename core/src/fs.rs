//! File systems: who is on this device, how a FAT is made, what a SquashFS holds.

pub mod btrfs;
pub mod ext;
pub mod fat;
pub mod iso9660;
pub mod probe;
pub mod squashfs;
mod squashfs_magic;
pub mod swap;
pub mod xfs;
