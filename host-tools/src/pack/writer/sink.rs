//! The image as it grows: bytes are collected and written in large pieces, in order.

use super::Output;
use super::superblock;
use crate::command_error::{Context, Result};
use crate::pack::cache::Hash;

/// How much is written at a time, in bytes: at this size the system calls cost nothing that can be measured.
const PIECE: usize = 1 << 20;
/// How much is written before the disk is told to begin with it.
const WRITEBACK: u64 = 8 << 20;

/// The end of an image that is being written.
pub(super) struct Sink<'o, O> {
    out: &'o mut O,
    /// What is not yet written.
    piece: Vec<u8>,
    /// Where `piece` begins.
    at: u64,
    /// Up to here the disk was told to begin.
    begun: u64,
    /// Of everything since [`Sink::begin_tables`], and where that was.
    tables: Option<(u64, blake3::Hasher)>,
}

/// What became of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Finished {
    /// Its length with the padding.
    pub(super) image_bytes: u64,
    /// Where its tables begin; they end where the padding begins.
    pub(super) tables_start: u64,
    /// Hash of the tables.
    pub(super) tables: Hash,
}

impl<'o, O: Output> Sink<'o, O> {
    /// Begins behind the superblock.
    pub(super) fn new(out: &'o mut O) -> Self {
        Self { out, piece: Vec::with_capacity(PIECE), at: superblock::LEN as u64, begun: 0, tables: None }
    }

    /// Returns where the next byte will be.
    pub(super) fn position(&self) -> u64 {
        self.at + self.piece.len() as u64
    }

    /// What follows is not content: it is hashed as a whole.
    pub(super) fn begin_tables(&mut self) {
        self.tables = Some((self.position(), blake3::Hasher::new()));
    }

    /// Appends bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<()> {
        if let Some((_, hasher)) = &mut self.tables {
            hasher.update(bytes);
        }
        if self.piece.len() + bytes.len() > PIECE {
            self.flush()?;
        }
        if bytes.len() >= PIECE {
            return self.write(bytes);
        }
        self.piece.extend_from_slice(bytes);
        Ok(())
    }

    /// Reads bytes of the image that were pushed before.
    pub(super) fn read(&mut self, out: &mut [u8], at: u64) -> Result<()> {
        if at + out.len() as u64 > self.at {
            self.flush()?;
        }
        self.out.read_exact_at(out, at).with_context(|| format!("reading back byte {at} of the image"))
    }

    /// Fills the last 4 KiB with zeros, so that the image can be used as a block device, and writes the superblock;
    /// only now it is an image.
    pub(super) fn finish(mut self, superblock: &[u8; superblock::LEN]) -> Result<Finished> {
        /// The largest sector of a disk or loop device.
        const SECTOR: u64 = 4096;
        let (tables_start, hasher) = self.tables.take().unwrap_or((self.position(), blake3::Hasher::new()));
        let tables = Hash(*hasher.finalize().as_bytes());
        let padded = self.position().next_multiple_of(SECTOR);
        let padding = vec![0; (padded - self.position()) as usize];
        self.push(&padding)?;
        self.flush()?;
        self.out.write_all_at(superblock, 0).context("writing the image's superblock")?;
        Ok(Finished { image_bytes: padded, tables_start, tables })
    }

    fn flush(&mut self) -> Result<()> {
        let piece = std::mem::take(&mut self.piece);
        let written = self.write(&piece);
        self.piece = piece;
        self.piece.clear();
        written
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.out.write_all_at(bytes, self.at).map_err(|e| {
            let error = crate::command_error::CommandError::failed(e.to_string());
            let error = error.context(format!("writing byte {} of the image", self.at));
            let full = e.kind() == std::io::ErrorKind::StorageFull;
            if full { error.hint("free some space on its file system") } else { error }
        })?;
        self.at += bytes.len() as u64;
        if self.at - self.begun >= WRITEBACK {
            self.out.begin_writeback(self.begun, self.at - self.begun);
            self.begun = self.at;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    /// An image in memory; `room` is how many bytes it takes.
    struct Memory {
        bytes: Vec<u8>,
        calls: Vec<(u64, usize)>,
        room: usize,
    }

    impl Output for Memory {
        fn write_all_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
            let end = offset as usize + bytes.len();
            if end > self.room {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.calls.push((offset, bytes.len()));
            self.bytes.resize(self.bytes.len().max(end), 0xFF);
            self.bytes[offset as usize..end].copy_from_slice(bytes);
            Ok(())
        }

        fn read_exact_at(&self, out: &mut [u8], offset: u64) -> io::Result<()> {
            out.copy_from_slice(&self.bytes[offset as usize..][..out.len()]);
            Ok(())
        }
    }

    fn memory() -> Memory {
        Memory { bytes: Vec::new(), calls: Vec::new(), room: usize::MAX }
    }

    #[test]
    fn superblock_is_written_last_and_the_end_is_padded() {
        let mut out = memory();
        let mut sink = Sink::new(&mut out);
        assert_eq!(sink.position(), 96);
        sink.push(&[1; 3000]).unwrap();
        sink.begin_tables();
        sink.push(&[1; 2000]).unwrap();
        let finished = Finished { image_bytes: 8192, tables_start: 3096, tables: Hash::of(&[1; 2000]) };
        assert_eq!(sink.finish(&[7; 96]).unwrap(), finished);
        assert_eq!(out.calls, [(96, 8096), (0, 96)]);
        assert_eq!(out.bytes, [&[7; 96][..], &[1; 5000], &[0; 3096]].concat());
    }

    #[test]
    fn small_bytes_are_written_together_and_large_ones_alone() {
        let mut out = memory();
        let mut sink = Sink::new(&mut out);
        for byte in 0..3 {
            sink.push(&[byte; 400_000]).unwrap();
        }
        sink.push(&vec![9; 2 << 20]).unwrap();
        let mut back = [0; 2];
        sink.read(&mut back, 96 + 399_999).unwrap();
        assert_eq!(back, [0, 1]);
        assert_eq!(out.calls, [(96, 800_000), (800_096, 400_000), (1_200_096, 2 << 20)]);
    }

    #[test]
    fn bytes_that_are_not_yet_written_can_be_read() {
        let mut out = memory();
        let mut sink = Sink::new(&mut out);
        sink.push(b"abcdef").unwrap();
        let mut back = [0; 3];
        sink.read(&mut back, 98).unwrap();
        assert_eq!(&back, b"cde");
        assert_eq!(sink.position(), 102);
    }

    #[test]
    fn full_disk_is_named_with_its_place() {
        let mut out = Memory { room: 1 << 20, ..memory() };
        let mut sink = Sink::new(&mut out);
        let error = sink.push(&vec![0; 1 << 20]).unwrap_err();
        assert!(error.to_string().starts_with("writing byte 96 of the image: "), "{error}");
        assert_eq!(error.hint.as_deref(), Some("free some space on its file system"));
    }
}
