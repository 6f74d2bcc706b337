//! The six compressors of SquashFS, and how a caller brings the ones it can undo.
//!
//! Ids are those of `squashfs_fs.h` (`ZLIB_COMPRESSION` …). Compressing is not handled here.

/// The compressor that the superblock names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Compressor {
    /// 1: a zlib stream per block.
    Gzip,
    /// 2: an LZMA "alone" file per block; the kernel never supported it.
    Lzma,
    /// 3: a bare LZO1X block.
    Lzo,
    /// 4: an xz stream per block.
    Xz,
    /// 5: a bare LZ4 block.
    Lz4,
    /// 6: a Zstandard frame per block.
    Zstd,
}

impl Compressor {
    /// Returns the compressor of this id.
    #[must_use]
    pub const fn from_id(id: u16) -> Option<Self> {
        Some(match id {
            1 => Self::Gzip,
            2 => Self::Lzma,
            3 => Self::Lzo,
            4 => Self::Xz,
            5 => Self::Lz4,
            6 => Self::Zstd,
            _ => return None,
        })
    }

    /// Returns the name that mksquashfs takes after `-comp`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Lzma => "lzma",
            Self::Lzo => "lzo",
            Self::Xz => "xz",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        }
    }
}

impl core::fmt::Display for Compressor {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a block was not decompressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecompressError {
    /// The caller brings no decompressor of this kind.
    Unsupported,
    /// The compressed bytes are not valid, end early, or hold more than the output takes.
    Corrupt,
    /// Decompression would need more memory than the caller allows.
    Memory,
}

impl core::fmt::Display for DecompressError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Unsupported => "this compressor is not supported here",
            Self::Corrupt => "the compressed bytes are corrupt",
            Self::Memory => "decompression would need too much memory",
        })
    }
}

impl core::error::Error for DecompressError {}

/// Undoes compression, one block at a time.
pub trait Decompress {
    /// Decompresses the one block that is `input` into the front of `output` and returns its length in bytes.
    ///
    /// # Errors
    /// When the compressor is unknown to the implementation, the input is corrupt, or the block does not fit.
    fn decompress(
        &mut self,
        compressor: Compressor,
        input: &[u8],
        output: &mut [u8],
    ) -> Result<usize, DecompressError>;
}

impl<D: Decompress + ?Sized> Decompress for &mut D {
    fn decompress(
        &mut self,
        compressor: Compressor,
        input: &[u8],
        output: &mut [u8],
    ) -> Result<usize, DecompressError> {
        (**self).decompress(compressor, input, output)
    }
}
