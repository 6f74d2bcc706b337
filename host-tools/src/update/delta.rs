//! What of a new image one old image does not have, as new content: the machine compresses it itself, because the packer
//! gives the same bytes everywhere (`docs/adr/0011-delta-updates.md`).
//!
//! A file beside the image, named by the old one's SHA-256: magic, SHA-256 of the old and of the new image, the settings
//! of the compressor, then for each piece of the new image's list that the old one has not its number, the length of its
//! content and whether that is stored as it is; then the contents as one Zstandard frame, whose prefix are the contents of
//! what the new image has no more. Numbers are in little-endian order. A machine that makes other bytes of a content
//! fetches that piece, so nothing depends on this but the bytes fetched. Not handled: several old images as one prefix.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use genpack_core::fs::squashfs::{Compressor, CompressorOptions, Decompress};

use super::blocks::{Hash, List, Piece};
use crate::command_error::{CommandError, Context, Result};
use crate::io::decompress::Decompressors;
use crate::io::interrupt::Interrupt;
use crate::io::system_image::SystemImage;
use crate::pack::compress::{Bcj, Encoded, Encoder, Method, Settings};

const MAGIC: [u8; 8] = *b"gpdelta1";
const HEADER: usize = 96;
const ROW: usize = 8;
/// Bit of a content's length: it is the piece itself.
const STORED: u32 = 1 << 31;
/// Largest block of a SquashFS.
const MAX_BLOCK: usize = 1 << 20;
/// Most bytes of content on either side: both are in the memory of the machine that is updated.
const MAX_CONTENT: u64 = 64 << 20;
/// Largest file that is looked at: what does not compress, and the rows.
pub const MAX_DELTA_BYTES: u64 = MAX_CONTENT + (16 << 20);
/// Logarithm of the window: prefix and content fit.
const WINDOW_LOG: u32 = 27;
/// Level: an image is published once and fetched often.
const LEVEL: i32 = 19;
/// Blocks that a compressor's settings are tried on.
const SAMPLE: usize = 16;
/// A delta pays when it is shorter than this many hundredths of the pieces that it stands for.
const PAYS_PERCENT: u64 = 90;

/// Returns what follows the name of an image in the name of its delta from an old one.
#[must_use]
pub fn extension(old: &[u8; 32]) -> String {
    let hex: String = old.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("delta-{hex}")
}

/// Makes the delta from an old image; none when it does not pay.
///
/// # Errors
/// When an image cannot be read.
pub fn make(old: &Path, new: &Path, new_list: &List) -> Result<Option<(Vec<u8>, [u8; 32])>> {
    let old_list = List::of_image(old)?;
    let image = SystemImage::open(new)?;
    let (gone, fresh) = (without(&old_list, new_list), without(new_list, &old_list));
    let what = || format!("reading {}", new.display());
    let file = File::open(new).with_context(what)?;
    let mut blocks = Blocks::of(&image);
    // As who applies it finds it: by the old image's own compressor.
    let mut old_blocks = Blocks::of(&SystemImage::open(old)?);
    let Some(prefix) = old_blocks.contents(old, &old_list, &gone)? else { return Ok(None) };
    let Some(settings) = blocks.settings(&image, &file, new_list)? else { return Ok(None) };
    let Some(mut encoder) = blocks.encoder(&settings) else { return Ok(None) };
    let (mut rows, mut contents) = (Vec::new(), Vec::new());
    for number in &fresh {
        let Some(piece) = new_list.pieces.get(*number) else { continue };
        let bytes = read(&file, piece).with_context(what)?;
        let made = blocks.content(&bytes).filter(|content| encoder.encode(content) == bytes);
        let (content, flag) = made.map_or((bytes, STORED), |content| (content, 0));
        rows.extend(u32::try_from(*number).unwrap_or(u32::MAX).to_le_bytes());
        rows.extend((u32::try_from(content.len()).unwrap_or(u32::MAX) | flag).to_le_bytes());
        contents.extend(content);
        if contents.len() as u64 > MAX_CONTENT {
            return Ok(None);
        }
    }
    let mut bytes = MAGIC.to_vec();
    bytes.extend(old_list.digest);
    bytes.extend(new_list.digest);
    bytes.extend(emit_settings(&settings, blocks.block_size));
    bytes.extend(u32::try_from(fresh.len()).unwrap_or(u32::MAX).to_le_bytes());
    bytes.resize(HEADER, 0);
    bytes.extend(rows);
    bytes.extend(compress(&contents, &prefix).context("compressing the delta")?);
    let replaced = fresh.iter().filter_map(|number| new_list.pieces.get(*number));
    let replaced: u64 = replaced.map(|piece| u64::from(piece.length)).sum();
    let pays = (bytes.len() as u64).saturating_mul(100) < replaced.saturating_mul(PAYS_PERCENT);
    Ok(pays.then_some((bytes, old_list.digest)))
}

/// Puts the pieces into their places that can be made from an old image and its delta, and returns them.
///
/// # Errors
/// When the file is no delta of these two images, or the old one cannot be read.
pub fn apply(delta: &[u8], old: &Path, old_list: &List, new: &List, to: &File) -> Result<HashSet<u64>> {
    let wrong = |what: &str| CommandError::failed(what.to_owned()).context("reading the delta");
    let (header, rest) = delta.split_at_checked(HEADER).ok_or_else(|| wrong("it is too short"))?;
    let is_ours = header.starts_with(&MAGIC)
        && header.get(8..40) == Some(&old_list.digest[..])
        && header.get(40..72) == Some(&new.digest[..]);
    if !is_ours {
        return Err(wrong("it is none, or one of other images"));
    }
    let (settings, block_size) =
        header.get(72..84).and_then(parse_settings).ok_or_else(|| wrong("it names no compressor"))?;
    let count = header.get(84..88).and_then(|bytes| bytes.first_chunk()).copied().unwrap_or_default();
    let rows_len = usize::try_from(u32::from_le_bytes(count)).unwrap_or(usize::MAX).saturating_mul(ROW);
    let (rows, frame) = rest.split_at_checked(rows_len).ok_or_else(|| wrong("it is too short"))?;
    let mut blocks = Blocks::of(&SystemImage::open(old)?);
    let prefix = blocks.contents(old, old_list, &without(old_list, new))?;
    let prefix = prefix.ok_or_else(|| wrong("the old image has too much that is not in the new one"))?;
    blocks.block_size = block_size;
    let mut encoder = blocks.encoder(&settings).ok_or_else(|| wrong("it names no compressor"))?;
    let mut contents = zstd::stream::read::Decoder::with_ref_prefix(frame, &prefix)
        .and_then(|mut decoder| {
            decoder.window_log_max(WINDOW_LOG)?;
            Ok(decoder)
        })
        .context("reading the delta")?;
    let (mut made, mut total) = (HashSet::new(), 0_u64);
    for row in rows.as_chunks::<ROW>().0 {
        if let Some(interrupt) = Interrupt::watched() {
            interrupt.check()?;
        }
        let [a, b, c, d, e, f, g, h] = *row;
        let (number, word) = (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]));
        let length = usize::try_from(word & !STORED).unwrap_or(usize::MAX);
        let piece = usize::try_from(number).ok().and_then(|number| new.pieces.get(number));
        let Some(piece) = piece.filter(|_| length <= MAX_BLOCK) else {
            return Err(wrong("it names a piece that is none"));
        };
        total = total.saturating_add(length as u64);
        if total > MAX_CONTENT {
            return Err(wrong("it has too much content"));
        }
        let mut content = vec![0; length];
        contents.read_exact(&mut content).context("reading the delta")?;
        let bytes = if word & STORED == 0 { encoder.encode(&content) } else { content };
        if bytes.len() == piece.length as usize && super::blocks::hash(&bytes) == piece.hash {
            to.write_all_at(&bytes, piece.at).context("writing what the delta makes")?;
            made.insert(piece.at);
        }
    }
    Ok(made)
}

/// Returns the numbers of the pieces that another list has not, each content once.
fn without(list: &List, other: &List) -> Vec<usize> {
    let mut there: HashSet<(Hash, u32)> =
        other.pieces.iter().map(|piece| (piece.hash, piece.length)).collect();
    let is_new = |(_, piece): &(usize, &Piece)| there.insert((piece.hash, piece.length));
    list.pieces.iter().enumerate().filter(is_new).map(|(number, _)| number).collect()
}

fn read(file: &File, piece: &Piece) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; piece.length as usize];
    file.read_exact_at(&mut bytes, piece.at)?;
    Ok(bytes)
}

fn compress(contents: &[u8], prefix: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = zstd::stream::write::Encoder::with_ref_prefix(Vec::new(), LEVEL, prefix)?;
    encoder.window_log(WINDOW_LOG)?;
    encoder.long_distance_matching(true)?;
    encoder.write_all(contents)?;
    encoder.finish()
}

/// Blocks of images with one compressor.
struct Blocks {
    compressor: Compressor,
    block_size: u32,
    decompressors: Decompressors,
    buffer: Vec<u8>,
}

impl Blocks {
    fn of(image: &SystemImage) -> Self {
        let superblock = image.superblock();
        Self {
            compressor: superblock.compressor,
            block_size: superblock.block_size,
            decompressors: Decompressors::default(),
            buffer: vec![0; MAX_BLOCK],
        }
    }

    /// Returns what a compressed block holds; none when it is not one.
    fn content(&mut self, bytes: &[u8]) -> Option<Vec<u8>> {
        let n = self.decompressors.decompress(self.compressor, bytes, &mut self.buffer).ok()?;
        self.buffer.get(..n).map(<[u8]>::to_vec)
    }

    /// Returns the contents of pieces, one behind the other; a piece that is no compressed block is its own content. None
    /// when they are too many.
    fn contents(&mut self, path: &Path, list: &List, numbers: &[usize]) -> Result<Option<Vec<u8>>> {
        let what = || format!("reading {}", path.display());
        let file = File::open(path).with_context(what)?;
        let mut contents = Vec::new();
        for piece in numbers.iter().filter_map(|number| list.pieces.get(*number)) {
            let bytes = read(&file, piece).with_context(what)?;
            contents.extend(self.content(&bytes).unwrap_or(bytes));
            if contents.len() as u64 > MAX_CONTENT {
                return Ok(None);
            }
        }
        Ok(Some(contents))
    }

    /// Finds the settings that make an image's blocks out of their contents; none when another packer made them.
    fn settings(&mut self, image: &SystemImage, file: &File, list: &List) -> Result<Option<Settings>> {
        let options = image.compressor_options()?;
        let mut sample = Vec::new();
        for piece in &list.pieces {
            let bytes = read(file, piece).with_context(|| format!("reading {}", image.path().display()))?;
            if let Some(content) = self.content(&bytes) {
                sample.push((content, bytes));
            }
            if sample.len() == SAMPLE {
                break;
            }
        }
        let candidates = candidates(self.compressor, options, self.block_size);
        Ok(candidates.into_iter().find(|settings| {
            self.encoder(settings).is_some_and(|mut encoder| {
                sample.iter().all(|(content, bytes)| encoder.encode(content) == *bytes)
            })
        }))
    }

    fn encoder(&self, settings: &Settings) -> Option<BlockEncoder> {
        Encoder::new(settings, self.block_size).ok().map(|encoder| BlockEncoder { encoder, out: Vec::new() })
    }
}

struct BlockEncoder {
    encoder: Encoder,
    out: Vec<u8>,
}

impl BlockEncoder {
    /// Returns the block; empty when it would not be compressed, which no block is.
    fn encode(&mut self, content: &[u8]) -> Vec<u8> {
        match self.encoder.encode(content, &mut self.out) {
            Ok(Encoded::Compressed) => self.out.clone(),
            Ok(Encoded::Stored) | Err(_) => Vec::new(),
        }
    }
}

/// Returns the settings that a packer of ours may have had, the likely ones first.
fn candidates(compressor: Compressor, options: Option<CompressorOptions>, block_size: u32) -> Vec<Settings> {
    let levels = |likely: u8, range: std::ops::RangeInclusive<u8>| {
        std::iter::once(likely).chain(range.filter(move |level| *level != likely))
    };
    let level_said = match options {
        Some(
            CompressorOptions::Gzip { compression_level, .. }
            | CompressorOptions::Zstd { compression_level, .. },
        ) => u8::try_from(compression_level).ok(),
        _ => None,
    };
    let methods: Vec<Method> = match compressor {
        Compressor::Gzip => {
            let likely = level_said.unwrap_or(crate::pack::compress::DEFAULT_GZIP_LEVEL);
            levels(likely, 1..=12).map(|level| Method::Gzip { level }).collect()
        }
        Compressor::Zstd => {
            let likely = level_said.unwrap_or(crate::pack::compress::DEFAULT_ZSTD_LEVEL);
            levels(likely, 1..=22).map(|level| Method::Zstd { level }).collect()
        }
        Compressor::Xz => {
            let dictionary = match options {
                Some(CompressorOptions::Xz { dictionary_size, .. }) => dictionary_size,
                _ => block_size,
            };
            let level = crate::pack::compress::DEFAULT_XZ_LEVEL;
            levels(level, 0..=9)
                .flat_map(|level| [None, Some(Bcj::X86), Some(Bcj::Arm64)].map(|bcj| (level, bcj)))
                .map(|(level, bcj)| Method::Xz { level, dictionary, bcj })
                .collect()
        }
        Compressor::Lz4 => vec![Method::Lz4 { high: true }, Method::Lz4 { high: false }],
        Compressor::Lzo => vec![Method::Lzo],
        Compressor::Lzma => Vec::new(),
    };
    methods.into_iter().filter_map(|method| Settings::new(method).ok()).collect()
}

/// Method, level, converter, nothing; dictionary; block size.
fn emit_settings(settings: &Settings, block_size: u32) -> [u8; 12] {
    let (method, level, dictionary, bcj) = match settings.method() {
        Method::None => (0, 0, 0, None),
        Method::Gzip { level } => (1, level, 0, None),
        Method::Lzo => (3, 0, 0, None),
        Method::Xz { level, dictionary, bcj } => (4, level, dictionary, bcj),
        Method::Lz4 { high } => (5, u8::from(high), 0, None),
        Method::Zstd { level } => (6, level, 0, None),
    };
    let bcj = match bcj {
        None => 0,
        Some(Bcj::X86) => 1,
        Some(Bcj::Arm64) => 2,
    };
    let mut bytes = [method, level, bcj, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    for (at, byte) in dictionary.to_le_bytes().into_iter().chain(block_size.to_le_bytes()).enumerate() {
        if let Some(to) = bytes.get_mut(at.saturating_add(4)) {
            *to = byte;
        }
    }
    bytes
}

fn parse_settings(bytes: &[u8]) -> Option<(Settings, u32)> {
    let [method, level, bcj, _, a, b, c, d, e, f, g, h] = *bytes.first_chunk::<12>()?;
    let dictionary = u32::from_le_bytes([a, b, c, d]);
    let block_size = u32::from_le_bytes([e, f, g, h]);
    let bcj = match bcj {
        0 => None,
        1 => Some(Bcj::X86),
        2 => Some(Bcj::Arm64),
        _ => return None,
    };
    let method = match method {
        1 => Method::Gzip { level },
        3 => Method::Lzo,
        4 => Method::Xz { level, dictionary, bcj },
        5 => Method::Lz4 { high: level == 1 },
        6 => Method::Zstd { level },
        _ => return None,
    };
    let is_legal = usize::try_from(block_size).is_ok_and(|size| (4096..=MAX_BLOCK).contains(&size));
    Settings::new(method).ok().filter(|_| is_legal).map(|settings| (settings, block_size))
}

/// Writes the delta from an old image beside a new one; answers its path and length, none when it does not pay.
///
/// # Errors
/// When an image cannot be read, or the file cannot be written.
pub fn publish(old: &Path, new: &Path, list: &List) -> Result<Option<(PathBuf, u64)>> {
    let Some((bytes, digest)) = make(old, new, list)? else { return Ok(None) };
    let target = PathBuf::from(format!("{}.{}", new.display(), extension(&digest)));
    crate::io::atomic_file::write(&target, &bytes)?;
    Ok(Some((target, bytes.len() as u64)))
}

/// Reads a delta that was fetched; none when it is too long to be one.
pub fn load(path: &Path) -> Result<Option<Vec<u8>>> {
    let what = || format!("reading {}", path.display());
    let length = fs::metadata(path).with_context(what)?.len();
    if length > MAX_DELTA_BYTES {
        return Ok(None);
    }
    fs::read(path).with_context(what).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_read_as_they_were_written() {
        for method in [
            Method::Gzip { level: 9 },
            Method::Lzo,
            Method::Xz { level: 6, dictionary: 1 << 20, bcj: Some(Bcj::X86) },
            Method::Lz4 { high: true },
            Method::Zstd { level: 15 },
        ] {
            let settings = Settings::new(method).unwrap();
            assert_eq!(parse_settings(&emit_settings(&settings, 1 << 17)), Some((settings, 1 << 17)));
        }
        for bad in [[0; 12], [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0], [1, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]] {
            assert_eq!(parse_settings(&bad), None, "{bad:?}");
        }
    }
}
