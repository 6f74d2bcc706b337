//! One worker's encoder: contexts and buffers live as long as the worker.

use std::fmt;

use super::settings::{Method, Settings};

/// What became of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoded {
    /// The output holds the compressed block, which is smaller than the raw one.
    Compressed,
    /// Compression gains nothing: the raw bytes are to be written. The output is empty.
    Stored,
}

/// Why a block could not be compressed. None of these depends on the block's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The block is longer than the encoder was made for, or than SquashFS allows.
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// The compressor had no memory.
    Memory(&'static str),
    /// The compressor refused its own settings.
    Refused(&'static str),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { len } => write!(f, "a block of {len} bytes is too long"),
            Self::Memory(name) => write!(f, "no memory for the {name} compressor"),
            Self::Refused(name) => write!(f, "the {name} compressor refused its settings"),
        }
    }
}

impl std::error::Error for Error {}

/// Compresses block after block with the same settings.
pub struct Encoder {
    codec: Codec,
    block_size: usize,
}

enum Codec {
    None,
    Gzip(libdeflater::Compressor),
    Zstd(zstd::bulk::Compressor<'static>),
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoder").field("block_size", &self.block_size).finish_non_exhaustive()
    }
}

impl Encoder {
    /// Returns an encoder for blocks of at most `block_size` bytes.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub fn new(settings: &Settings, block_size: u32) -> Result<Self, Error> {
        let name = settings.name();
        let codec = match settings.method() {
            Method::Gzip { level } => {
                let level = libdeflater::CompressionLvl::new(i32::from(level));
                Codec::Gzip(libdeflater::Compressor::new(level.map_err(|_| Error::Refused(name))?))
            }
            Method::Zstd { level } => {
                let new = zstd::bulk::Compressor::new(i32::from(level));
                Codec::Zstd(new.map_err(|_| Error::Memory(name))?)
            }
            _ => Codec::None,
        };
        Ok(Self { codec, block_size: usize::try_from(block_size).unwrap_or(usize::MAX) })
    }

    /// Compresses `raw` into `out`, which is emptied first and may keep its memory between calls.
    ///
    /// # Errors
    /// When `raw` is too long or the compressor has no memory.
    pub fn encode(&mut self, raw: &[u8], out: &mut Vec<u8>) -> Result<Encoded, Error> {
        out.clear();
        if raw.len() > self.block_size {
            return Err(Error::TooLong { len: raw.len() });
        }
        let len = match &mut self.codec {
            Codec::None => return Ok(Encoded::Stored),
            Codec::Gzip(c) => {
                out.resize(c.zlib_compress_bound(raw.len()), 0);
                c.zlib_compress(raw, out).map_err(|_| Error::Refused("gzip"))?
            }
            Codec::Zstd(c) => {
                out.reserve(zstd::zstd_safe::compress_bound(raw.len()));
                c.compress_to_buffer(raw, out).map_err(|_| Error::Memory("zstd"))?
            }
        };
        out.truncate(len);
        if len < raw.len() {
            return Ok(Encoded::Compressed);
        }
        out.clear();
        Ok(Encoded::Stored)
    }
}
