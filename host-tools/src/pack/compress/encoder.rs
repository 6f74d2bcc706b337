//! One worker's encoder: contexts and buffers live as long as the worker.

use std::fmt;

use lz4::block::{CompressionMode, compress_bound, compress_to_buffer};

use super::estimate::{Asks, Estimator};
use super::settings::{Method, Settings};
use super::xz::Xz;

/// The highest level of LZ4 HC: what `mksquashfs -Xhc` uses.
const LZ4_HC_LEVEL: i32 = 12;
/// From this level on libdeflate takes so much longer for noise that it is worth asking for the last percent.
const ESTIMATED_GZIP_LEVEL: u8 = 8;
/// From this level on zstd does (binary trees); below, it hurries over what it cannot compress by itself.
const ESTIMATED_ZSTD_LEVEL: u8 = 13;

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
    /// The block is longer than the encoder was made for.
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
    estimator: Option<Estimator>,
    block_size: usize,
}

enum Codec {
    None,
    Gzip(libdeflater::Compressor, Vec<u8>),
    Lzo(Box<lzokay::compress::Dict>),
    Xz(Xz),
    Lz4(CompressionMode),
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
            Method::None => Codec::None,
            Method::Gzip { level } => {
                let level = libdeflater::CompressionLvl::new(i32::from(level));
                Codec::Gzip(
                    libdeflater::Compressor::new(level.map_err(|_| Error::Refused(name))?),
                    vec![0; usize::try_from(block_size).unwrap_or(usize::MAX)],
                )
            }
            Method::Lzo => Codec::Lzo(lzokay::compress::Dict::new()),
            Method::Xz { level, dictionary, bcj } => Codec::Xz(Xz::new(level, dictionary, bcj)),
            Method::Lz4 { high: true } => Codec::Lz4(CompressionMode::HIGHCOMPRESSION(LZ4_HC_LEVEL)),
            Method::Lz4 { high: false } => Codec::Lz4(CompressionMode::DEFAULT),
            Method::Zstd { level } => {
                let new = zstd::bulk::Compressor::new(i32::from(level));
                Codec::Zstd(new.map_err(|_| Error::Memory(name))?)
            }
        };
        let estimator = estimates(settings.method()).map(Estimator::new).transpose()?;
        Ok(Self { codec, estimator, block_size: usize::try_from(block_size).unwrap_or(usize::MAX) })
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
        if self.estimator.as_mut().is_some_and(|e| e.is_compressed(raw)) {
            return Ok(Encoded::Stored);
        }
        self.codec.encode(raw, out)?;
        if !out.is_empty() && out.len() < raw.len() {
            return Ok(Encoded::Compressed);
        }
        out.clear();
        Ok(Encoded::Stored)
    }
}

impl Codec {
    /// Leaves `out` empty or longer than `raw` when compression gains nothing.
    fn encode(&mut self, raw: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        let len = match self {
            Self::None => 0,
            Self::Gzip(c, room) => {
                // Why: libdeflate needs no room beyond what it fills, and gives up where there is no more. What it
                // fills is copied because that is less than clearing all the room in `out` would be.
                let room = room.get_mut(..raw.len()).unwrap_or_default();
                let len = c.zlib_compress(raw, room).unwrap_or(0);
                out.extend_from_slice(room.get(..len).unwrap_or_default());
                return Ok(());
            }
            Self::Lzo(dict) => {
                out.resize(lzokay::compress::compress_worst_size(raw.len()), 0);
                lzokay::compress::compress_no_alloc(raw, out, dict).map_err(|_| Error::Refused("lzo"))?
            }
            Self::Xz(c) => return c.encode(raw, out),
            Self::Lz4(mode) => {
                out.resize(compress_bound(raw.len()).map_err(|_| Error::TooLong { len: raw.len() })?, 0);
                compress_to_buffer(raw, Some(*mode), false, out).map_err(|_| Error::Memory("lz4"))?
            }
            Self::Zstd(c) => {
                out.reserve(zstd::zstd_safe::compress_bound(raw.len()));
                c.compress_to_buffer(raw, out).map_err(|_| Error::Memory("zstd"))?
            }
        };
        out.truncate(len);
        Ok(())
    }
}

/// Tells which estimator takes less time than it saves, on a tree with a tenth of compressed files.
const fn estimates(method: Method) -> Option<Asks> {
    match method {
        Method::None | Method::Lz4 { high: false } => None,
        Method::Gzip { level } if level < ESTIMATED_GZIP_LEVEL => Some(Asks::Zstd),
        Method::Zstd { level } if level < ESTIMATED_ZSTD_LEVEL => None,
        Method::Gzip { .. } | Method::Zstd { .. } => Some(Asks::Both),
        Method::Lzo | Method::Lz4 { high: true } | Method::Xz { .. } => Some(Asks::Both),
    }
}
