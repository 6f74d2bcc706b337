//! One-pass FAT emitter.
