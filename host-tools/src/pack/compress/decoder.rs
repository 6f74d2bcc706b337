//! Undoes our own blocks to see that they are right: as `io::decompress`, with zlib streams by libdeflate.
//!
//! Only for bytes that an encoder of this process made: those of strangers go through `io::decompress`.

use std::fmt;

use genpack_core::fs::squashfs::{Compressor, Decompress, DecompressError};

use crate::io::decompress::Decompressors;

/// Decoders that live as long as their worker.
pub struct Decoder {
    zlib: libdeflater::Decompressor,
    others: Decompressors,
}

impl Default for Decoder {
    fn default() -> Self {
        Self { zlib: libdeflater::Decompressor::new(), others: Decompressors::default() }
    }
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Decoder")
    }
}

impl Decompress for Decoder {
    fn decompress(
        &mut self,
        compressor: Compressor,
        input: &[u8],
        output: &mut [u8],
    ) -> Result<usize, DecompressError> {
        match compressor {
            // Why: checks the stream's Adler-32 as well.
            Compressor::Gzip => {
                self.zlib.zlib_decompress(input, output).map_err(|_| DecompressError::Corrupt)
            }
            other => self.others.decompress(other, input, output),
        }
    }
}
