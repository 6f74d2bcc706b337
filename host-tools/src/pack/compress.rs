//! Compressors for SquashFS images: which one, how hard, and an encoder that each worker keeps.
//!
//! What the formats are is in `core::fs::squashfs::Compressor`; decompressors are in `io::decompress`. Every setting
//! gives the same bytes on any machine: no encoder here looks at the number of cores, the memory or the clock.
//! Not handled: lzma (the kernel never read it), a zstd dictionary (the format has no place for one), and the BCJ
//! filters for arm64 and riscv (Linux before 6.12 and GRUB cannot undo them).

mod encoder;
mod estimate;
mod settings;
mod xz;

pub use encoder::{Encoded, Encoder, Error};
pub use settings::{
    Bcj, CacheTag, DEFAULT_BLOCK_SIZE, DEFAULT_GZIP_LEVEL, DEFAULT_XZ_BLOCK_SIZE, DEFAULT_XZ_LEVEL,
    DEFAULT_ZSTD_LEVEL, Method, Settings, SettingsError,
};
