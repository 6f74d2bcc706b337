//! FAT12, FAT16 and FAT32: the boot sector, legal geometries, and a one-pass emitter.
//!
//! Source: "Microsoft Extensible Firmware Initiative FAT32 File System Specification" 1.03.

pub mod bpb;
#[cfg(feature = "alloc")]
pub mod emit;
pub mod geometry;
