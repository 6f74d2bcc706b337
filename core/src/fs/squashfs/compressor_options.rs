//! Compressor options: what the writer told its compressor, in a metadata block right behind the superblock.
//!
//! Defined by the `*_comp_opts` structures of squashfs-tools (`gzip_wrapper.h` … `zstd_wrapper.h`); gzip, xz, lzo and
//! zstd write them only where they differ from the default, lz4 always, lzma never. No decompressor needs them here:
//! they tell a person how an image was made. All numbers are little-endian.

use super::compressor::{Compressor, Decompress};
use super::error::Error;
use super::file_system::FileSystem;
use super::metadata::{Cursor, MetadataBlock};
use super::superblock::Flags;
use crate::bytes::{u16_le, u32_le};
use crate::source::ReadAt;

/// Where the options are: behind the superblock.
const OPTIONS_START: u64 = 96;
/// Where the options begin behind the length word of their metadata block.
const OPTIONS_BODY: u64 = 98;
/// Length of the longest options in bytes.
const LEN: usize = 8;

/// The options of one compressor; having one proves that every value is one that the compressor takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompressorOptions {
    /// `struct gzip_comp_opts`.
    Gzip {
        /// 1 to 9.
        compression_level: u32,
        /// Logarithm of the window in bytes, 8 to 15.
        window_size: u16,
        /// Bit mask of the strategies that were tried: default, filtered, Huffman only, run length, fixed.
        strategy: u16,
    },
    /// `struct xz_comp_opts`.
    Xz {
        /// In bytes, at least 8 KiB: a power of two, or one and a half.
        dictionary_size: u32,
        /// Bit mask of the filters that were tried: x86, powerpc, ia64, arm, armthumb, sparc.
        flags: u32,
    },
    /// `struct lzo_comp_opts`.
    Lzo {
        /// 0 to 4: lzo1x_1, lzo1x_1_11, lzo1x_1_12, lzo1x_1_15, lzo1x_999.
        algorithm: u32,
        /// 1 to 9 with lzo1x_999, else 0.
        compression_level: u32,
    },
    /// `struct lz4_comp_opts`.
    Lz4 {
        /// 1: `LZ4_LEGACY`, the only one.
        version: u32,
        /// `LZ4_HC`: the slow compressor was used.
        high_compression: bool,
    },
    /// `struct zstd_comp_opts`.
    Zstd {
        /// 1 to 22.
        compression_level: u32,
    },
}

impl CompressorOptions {
    /// Parses the bytes of the options; lzma has none.
    fn parse(compressor: Compressor, b: &[u8; LEN]) -> Result<Self, Error> {
        let (first, second) = (u32_le::<0, LEN>(b), u32_le::<4, LEN>(b));
        let (low, high) = (u16_le::<4, LEN>(b), u16_le::<6, LEN>(b));
        let bad = |value: u32| Err(Error::CompressorOption { compressor, value });
        match compressor {
            Compressor::Gzip => match () {
                () if !(1..=9).contains(&first) => bad(first),
                () if !(8..=15).contains(&low) => bad(u32::from(low)),
                () if high >= 1 << 5 => bad(u32::from(high)),
                () => Ok(Self::Gzip { compression_level: first, window_size: low, strategy: high }),
            },
            Compressor::Xz => match () {
                () if first < 8192 || !is_dictionary(first) => bad(first),
                () if second >= 1 << 6 => bad(second),
                () => Ok(Self::Xz { dictionary_size: first, flags: second }),
            },
            Compressor::Lzo => match () {
                () if first > 4 => bad(first),
                () if (first == 4) != (1..=9).contains(&second) || (first < 4 && second > 0) => bad(second),
                () => Ok(Self::Lzo { algorithm: first, compression_level: second }),
            },
            Compressor::Lz4 => match () {
                () if first != 1 => bad(first),
                () if second > 1 => bad(second),
                () => Ok(Self::Lz4 { version: first, high_compression: second == 1 }),
            },
            Compressor::Zstd if (1..=22).contains(&first) => Ok(Self::Zstd { compression_level: first }),
            Compressor::Zstd | Compressor::Lzma => bad(first),
        }
    }
}

/// Tells whether this is 2^n or 2^n + 2^(n+1), as xz takes it.
const fn is_dictionary(size: u32) -> bool {
    let rest = size & size.wrapping_sub(1);
    rest == 0 || rest == (size & size.wrapping_neg()).wrapping_shl(1)
}

impl<R: ReadAt, D: Decompress, C: AsMut<[MetadataBlock]>> FileSystem<R, D, C> {
    /// Reads the compressor options; `None` when the image has none, which means the compressor's defaults.
    ///
    /// # Errors
    /// When they are cut off or hold a value that the compressor does not take.
    pub fn compressor_options(&mut self) -> Result<Option<CompressorOptions>, Error> {
        if !self.superblock.flags.has(Flags::COMPRESSOR_OPTIONS) {
            return Ok(None);
        }
        let compressor = self.superblock.compressor;
        let at = OPTIONS_START;
        let word = self.source.read_array_at::<2>(at).map_err(|error| Error::Read { at, error })?;
        let word = u16::from_le_bytes(word.ok_or(Error::MetadataRange { at })?);
        // Why: without this end, short options would be filled up from the data that follow.
        let limit = OPTIONS_BODY.saturating_add(u64::from(word & 0x7FFF));
        if limit > self.superblock.inode_table_start {
            return Err(Error::MetadataRange { at });
        }
        let mut cursor = Cursor { block: at, offset: 0, limit };
        let mut bytes = [0; LEN];
        let len = if compressor == Compressor::Zstd { 4 } else { LEN };
        self.read_metadata(&mut cursor, bytes.get_mut(..len).unwrap_or(&mut []))?;
        CompressorOptions::parse(compressor, &bytes).map(Some)
    }
}

impl core::fmt::Display for CompressorOptions {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match *self {
            Self::Gzip { compression_level, window_size, strategy } => {
                write!(f, "level {compression_level}, window {window_size}, strategies {strategy:#x}")
            }
            Self::Xz { dictionary_size, flags } => {
                write!(f, "dictionary {dictionary_size}, filters {flags:#x}")
            }
            Self::Lzo { algorithm, compression_level } => {
                let names = ["lzo1x_1", "lzo1x_1_11", "lzo1x_1_12", "lzo1x_1_15", "lzo1x_999"];
                let name = usize::try_from(algorithm).ok().and_then(|i| names.get(i)).unwrap_or(&"unknown");
                write!(f, "algorithm {name}")?;
                if compression_level > 0 { write!(f, ", level {compression_level}") } else { Ok(()) }
            }
            Self::Lz4 { version, high_compression } => {
                write!(f, "version {version}{}", if high_compression { ", high compression" } else { "" })
            }
            Self::Zstd { compression_level } => write!(f, "level {compression_level}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(compressor: Compressor, first: u32, second: u32) -> Result<CompressorOptions, Error> {
        let mut b = [0; LEN];
        b[..4].copy_from_slice(&first.to_le_bytes());
        b[4..].copy_from_slice(&second.to_le_bytes());
        CompressorOptions::parse(compressor, &b)
    }

    #[test]
    fn option_that_the_compressor_does_not_take_is_rejected() {
        use Compressor::{Gzip, Lz4, Lzma, Lzo, Xz, Zstd};
        for (compressor, first, second, value) in [
            (Gzip, 0, 15, 0),
            (Gzip, 10, 15, 10),
            (Gzip, 9, 7, 7),
            (Gzip, 9, 16, 16),
            (Gzip, 9, 32 << 16 | 15, 32),
            (Xz, 4096, 0, 4096),
            (Xz, 8193, 0, 8193),
            (Xz, 5 << 13, 0, 5 << 13),
            (Xz, 8192, 64, 64),
            (Lzo, 5, 0, 5),
            (Lzo, 4, 0, 0),
            (Lzo, 4, 10, 10),
            (Lzo, 0, 1, 1),
            (Lz4, 2, 0, 2),
            (Lz4, 1, 2, 2),
            (Zstd, 0, 0, 0),
            (Zstd, 23, 0, 23),
            (Lzma, 1, 0, 1),
        ] {
            let error = Error::CompressorOption { compressor, value };
            assert_eq!(parse(compressor, first, second), Err(error), "{compressor} {first} {second}");
        }
    }

    #[test]
    fn options_read_as_words() {
        use Compressor::{Gzip, Lz4, Lzo, Xz, Zstd};
        for (compressor, first, second, words) in [
            (Gzip, 9, 1 << 16 | 15, "level 9, window 15, strategies 0x1"),
            (Xz, 3 << 13, 1, "dictionary 24576, filters 0x1"),
            (Lzo, 4, 8, "algorithm lzo1x_999, level 8"),
            (Lzo, 0, 0, "algorithm lzo1x_1"),
            (Lz4, 1, 1, "version 1, high compression"),
            (Zstd, 22, 0, "level 22"),
        ] {
            assert_eq!(std::format!("{}", parse(compressor, first, second).unwrap()), words);
        }
    }
}
