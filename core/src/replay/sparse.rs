//! Devices of mostly zeros in few bytes: a fuzzer that has to keep 33 MiB of a FAT32 or the 64 KiB before the
//! superblock of btrfs alive tries a thousand times fewer inputs, nearly all of which change a byte that nobody reads.
//!
//! The encoding is the size of the device as a `u32`, then pieces: offset as a `u32`, length as a `u16`, bytes. All
//! little-endian. Any bytes are an encoding: a piece that is cut short has fewer bytes, and a later one wins.

use std::borrow::Cow;
use std::vec;
use std::vec::Vec;

use crate::source::{ReadAt, ReadError};
use crate::units::{u64_from_usize, usize_from_u32, usize_from_u64};

/// Pieces that are kept: each read looks at all of them.
const MAX_PIECES: usize = 256;
/// Zeros that are worth a new piece; its head has six bytes.
const MIN_GAP: usize = 12;

/// A device out of pieces.
#[derive(Clone, Debug)]
pub struct Sparse<'b> {
    size: u64,
    pieces: Vec<(u64, Cow<'b, [u8]>)>,
}

impl<'b> Sparse<'b> {
    /// Returns the device that these bytes encode.
    #[must_use]
    pub fn parse(input: &'b [u8]) -> Self {
        let Some((size, mut rest)) = input.split_first_chunk::<4>() else {
            return Self { size: 0, pieces: Vec::new() };
        };
        let mut pieces = Vec::new();
        while let Some((&[o0, o1, o2, o3, l0, l1], bytes)) = rest.split_first_chunk() {
            let len = usize::from(u16::from_le_bytes([l0, l1])).min(bytes.len());
            let (piece, behind) = bytes.split_at_checked(len).unwrap_or((bytes, &[]));
            pieces.push((u64::from(u32::from_le_bytes([o0, o1, o2, o3])), Cow::Borrowed(piece)));
            rest = behind;
            if pieces.len() == MAX_PIECES {
                break;
            }
        }
        Self { size: u64::from(u32::from_le_bytes(*size)), pieces }
    }

    /// Puts one more piece over the others.
    pub fn put(&mut self, offset: u64, bytes: Vec<u8>) {
        self.pieces.push((offset, Cow::Owned(bytes)));
    }

    /// Returns how many bytes may differ from zero.
    #[must_use]
    pub fn weight(&self) -> u64 {
        self.pieces.iter().map(|(_, bytes)| u64_from_usize(bytes.len())).sum()
    }

    /// Returns all bytes; `None` when they are more than `max`.
    #[must_use]
    pub fn expand(&self, max: u64) -> Option<Vec<u8>> {
        let mut out = vec![0; usize_from_u64(self.size).filter(|_| self.size <= max)?];
        self.read_exact_at(0, &mut out).is_ok().then_some(out)
    }
}

impl ReadAt for Sparse<'_> {
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        let end = offset.saturating_add(u64_from_usize(buf.len()));
        if end > self.size {
            return Err(ReadError::EndOfInput);
        }
        buf.fill(0);
        for (at, bytes) in &self.pieces {
            // Either the piece begins inside of the buffer or the buffer inside of the piece.
            let into = usize_from_u64(at.saturating_sub(offset)).unwrap_or(usize::MAX);
            let skip = usize_from_u64(offset.saturating_sub(*at)).unwrap_or(usize::MAX);
            let (Some(to), Some(from)) = (buf.get_mut(into..), bytes.get(skip..)) else { continue };
            to.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
        }
        Ok(())
    }

    fn size(&self) -> Result<u64, ReadError> {
        Ok(self.size)
    }
}

/// Returns the encoding of a device, of which the first 4 GiB count.
#[must_use]
pub fn emit(device: &[u8]) -> Vec<u8> {
    let size = u32::try_from(device.len()).unwrap_or(u32::MAX);
    let mut out: Vec<u8> = size.to_le_bytes().into();
    let mut at = 0_u32;
    while let Some(rest) = device.get(usize_from_u32(at)..) {
        let Some(zeros) = rest.iter().position(|b| *b != 0) else { break };
        let Some(start) = u32::try_from(zeros).ok().and_then(|zeros| at.checked_add(zeros)) else { break };
        let rest = rest.get(zeros..).unwrap_or_default();
        let rest = rest.get(..usize::from(u16::MAX)).unwrap_or(rest);
        let end = rest.windows(MIN_GAP).position(|w| w.iter().all(|b| *b == 0)).unwrap_or(rest.len());
        let piece = rest.get(..end).unwrap_or_default();
        let len = u16::try_from(piece.len()).unwrap_or(u16::MAX);
        out.extend_from_slice(&start.to_le_bytes());
        out.extend_from_slice(&len.to_le_bytes());
        out.extend_from_slice(piece);
        let Some(next) = start.checked_add(u32::from(len)) else { break };
        at = next;
    }
    out
}
