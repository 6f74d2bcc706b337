//! File systems: who is on this device, how a FAT is made, what a SquashFS holds.
//!
//! Each room names the document that defines its format. Not handled: writing to any file system that exists.

pub mod btrfs;
pub mod erofs;
pub mod exfat;
pub mod ext;
pub mod fat;
pub mod foreign;
pub mod iso9660;
pub mod linux_raid;
pub mod luks;
pub mod lvm2;
pub mod mountable;
pub mod ntfs;
pub mod probe;
pub mod squashfs;
mod squashfs_magic;
pub mod swap;
pub mod xfs;
