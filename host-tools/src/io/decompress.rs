//! Decompressors for SquashFS images.
