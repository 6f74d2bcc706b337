//! Adaptors between files and rooms, one per file.

pub mod atomic_file;
pub mod decompress;
pub mod hash;
pub mod system_image;
