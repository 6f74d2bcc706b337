//! The block list of an image: into which pieces it falls, and the hash of each (`docs/adr/0011-delta-updates.md`).
//!
//! A piece is a compressed block of the SquashFS, so a file that did not change gives the same piece in the next image
//! wherever it lies there. What is no block (the tables at the end) falls into pieces of a fixed length. The list is a
//! file beside the image: magic, number of pieces, length and SHA-256 of the image, then length and hash of each piece,
//! all numbers in little-endian order. Not handled: pieces that differ a little.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::command_error::{CommandError, Context, Result};
use crate::io::interrupt::Interrupt;
use crate::io::system_image::SystemImage;

/// What follows the name of an image in the name of its list.
pub const EXTENSION: &str = "blocks";
const MAGIC: [u8; 8] = *b"gpblock1";
const HEADER: usize = 56;
const ROW: usize = 20;
/// Length of a piece of what is no block.
const REST: u64 = 4096;
/// Longest piece that a list may name: a block of SquashFS has at most 1 MiB.
const MAX_PIECE: u32 = 1 << 20;
/// Longest list: of an image of 16 GiB in pieces of 4 KiB.
pub const MAX_LIST_BYTES: u64 = 96 << 20;

/// First 16 bytes of the BLAKE3 hash of a piece. Why so few: the whole image is checked against its SHA-256.
pub type Hash = [u8; 16];

/// A piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Offset in the image.
    pub at: u64,
    /// Length.
    pub length: u32,
    /// Hash of its bytes.
    pub hash: Hash,
}

/// A list. Having one proves that its pieces follow one another and make up the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List {
    /// Length of the image.
    pub bytes: u64,
    /// SHA-256 of the image.
    pub digest: [u8; 32],
    /// Its pieces, in order.
    pub pieces: Vec<Piece>,
}

/// Returns the hash of a piece.
#[must_use]
pub fn hash(bytes: &[u8]) -> Hash {
    blake3::hash(bytes).as_bytes().first_chunk().copied().unwrap_or_default()
}

impl List {
    /// Reads an image and returns its list.
    ///
    /// # Errors
    /// When it is no image or cannot be read.
    pub fn of_image(path: &Path) -> Result<Self> {
        let image = SystemImage::open(path)?;
        let what = || format!("reading {}", path.display());
        let file = File::open(path).with_context(what)?;
        let bytes = file.metadata().with_context(what)?.len();
        let (mut pieces, mut digest, mut buffer) = (Vec::new(), Sha256::new(), Vec::new());
        for (at, length) in cut(&image.stored_blocks()?, bytes) {
            if let Some(interrupt) = Interrupt::watched() {
                interrupt.check()?;
            }
            buffer.resize(usize::try_from(length).unwrap_or(0), 0);
            file.read_exact_at(&mut buffer, at).with_context(what)?;
            digest.update(&buffer);
            pieces.push(Piece { at, length, hash: hash(&buffer) });
        }
        Ok(Self { bytes, digest: digest.finalize().into(), pieces })
    }

    /// Returns the file.
    #[must_use]
    pub fn emit(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend((self.pieces.len() as u64).to_le_bytes());
        bytes.extend(self.bytes.to_le_bytes());
        bytes.extend(self.digest);
        for piece in &self.pieces {
            bytes.extend(piece.length.to_le_bytes());
            bytes.extend(piece.hash);
        }
        bytes
    }

    /// Reads the file.
    ///
    /// # Errors
    /// When it is no list, or its pieces are not the image.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let wrong = |what: &str| CommandError::failed(what.to_owned()).context("reading the block list");
        let (header, rows) = bytes.split_at_checked(HEADER).ok_or_else(|| wrong("it is too short"))?;
        if !header.starts_with(&MAGIC) {
            return Err(wrong("it is none, or of another version"));
        }
        let number = |at: usize| {
            let bytes = header.get(at..at.saturating_add(8)).and_then(|bytes| bytes.first_chunk());
            u64::from_le_bytes(bytes.copied().unwrap_or_default())
        };
        if number(8).checked_mul(ROW as u64) != Some(rows.len() as u64) {
            return Err(wrong("it has another length than it says"));
        }
        let digest = header.get(24..).and_then(|bytes| bytes.first_chunk()).copied().unwrap_or_default();
        let mut list = Self { bytes: number(16), digest, pieces: Vec::new() };
        let mut at = 0_u64;
        for row in rows.as_chunks::<ROW>().0 {
            let [a, b, c, d, hash @ ..] = *row;
            let length = u32::from_le_bytes([a, b, c, d]);
            if length == 0 || length > MAX_PIECE {
                return Err(wrong(&format!("a piece has {length} bytes")));
            }
            list.pieces.push(Piece { at, length, hash });
            at = at.saturating_add(u64::from(length));
        }
        if at != list.bytes {
            return Err(wrong("its pieces do not make up the image"));
        }
        Ok(list)
    }
}

/// Cuts an image of so many bytes at its blocks; what lies between them is cut into equal pieces.
fn cut(blocks: &[(u64, u32)], bytes: u64) -> Vec<(u64, u32)> {
    let mut pieces = Vec::new();
    let mut at = 0_u64;
    let fill = |at: &mut u64, end: u64, pieces: &mut Vec<(u64, u32)>| {
        while *at < end {
            let length = u32::try_from(end.saturating_sub(*at).min(REST)).unwrap_or(0);
            pieces.push((*at, length));
            *at = at.saturating_add(u64::from(length));
        }
    };
    for (start, length) in blocks {
        let end = start.saturating_add(u64::from(*length));
        // A block that overlaps one before it is none of a sound image; it falls into equal pieces.
        if *start >= at && end <= bytes {
            fill(&mut at, *start, &mut pieces);
            pieces.push((*start, *length));
            at = end;
        }
    }
    fill(&mut at, bytes, &mut pieces);
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn image_is_cut_at_its_blocks_without_gaps() {
        let pieces = cut(&[(96, 10), (106, 5000), (9000, 4), (9002, 9), (20_000, 1)], 12_000);
        assert_eq!(pieces, [(0, 96), (96, 10), (106, 5000), (5106, 3894), (9000, 4), (9004, 2996)]);
        assert_eq!(cut(&[], 5000), [(0, 4096), (4096, 904)]);
        assert_eq!(cut(&[], 0), []);
    }

    #[test]
    fn list_is_read_as_it_was_written_and_nothing_else_is() {
        let piece = |at, length| Piece { at, length, hash: hash(b"x") };
        let list = List { bytes: 7, digest: [3; 32], pieces: vec![piece(0, 3), piece(3, 4)] };
        let bytes = list.emit();
        assert_eq!(bytes.len(), HEADER + 2 * ROW);
        assert_eq!(List::parse(&bytes).unwrap(), list);
        for (at, value) in [(0, 0), (8, 3), (16, 8), (56, 0), (58, 0x20)] {
            let mut bad = bytes.clone();
            bad[at] = value;
            assert!(List::parse(&bad).is_err(), "{at}");
        }
        for length in 0..bytes.len() {
            assert!(List::parse(&bytes[..length]).is_err(), "{length}");
        }
    }
}
