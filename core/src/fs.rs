//! File systems: who is on this device, how a FAT is made, what a SquashFS holds.

pub mod fat;
pub mod probe;
pub mod squashfs;
