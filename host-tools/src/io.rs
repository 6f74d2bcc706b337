//! Adaptors between files and rooms, one per file.

pub mod atomic_file;
pub mod decompress;
pub mod hash;
pub mod interrupt;
pub mod printable;
pub mod read;
pub mod system_image;
