//! Metadata blocks: inodes, listings and tables in pieces of 8 KiB, each compressed by itself.
//!
//! A length word goes before each; its highest bit says that the block is stored as it is. Whoever refers to
//! something in a table names the place of its block and the offset in the uncompressed block.

use super::block::BlockEncoder;
use crate::command_error::{CommandError, Result};
use crate::pack::compress::Encoded;

/// `SQUASHFS_METADATA_SIZE`: every block but the last holds so many bytes.
pub(super) const METADATA_SIZE: usize = 8192;
/// `SQUASHFS_COMPRESSED_BIT`, set when the block is stored as it is.
const STORED: u16 = 1 << 15;

/// A place in a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Position {
    /// Where the block begins, in bytes from the begin of the table.
    pub(super) block: u32,
    /// The offset in the uncompressed block.
    pub(super) offset: u16,
}

impl Position {
    /// Returns the number that refers to it: the block in the upper 48 bits.
    pub(super) const fn reference(self) -> u64 {
        (self.block as u64) << 16 | self.offset as u64
    }
}

/// A table that grows at its end.
pub(super) struct MetadataWriter<'e> {
    encoder: &'e mut BlockEncoder,
    blocks: Vec<u8>,
    /// The block that is being filled; never full.
    open: Vec<u8>,
}

impl<'e> MetadataWriter<'e> {
    pub(super) fn new(encoder: &'e mut BlockEncoder) -> Self {
        Self { encoder, blocks: Vec::new(), open: Vec::with_capacity(METADATA_SIZE) }
    }

    /// Returns where the next byte will be.
    pub(super) fn position(&self) -> Result<Position> {
        Ok(Position { block: block_place(self.blocks.len())?, offset: self.open.len() as u16 })
    }

    /// Adds bytes, which may lie in several blocks.
    pub(super) fn push(&mut self, mut bytes: &[u8]) -> Result<()> {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(METADATA_SIZE - self.open.len()));
            self.open.extend_from_slice(now);
            bytes = later;
            if self.open.len() == METADATA_SIZE {
                self.close()?;
            }
        }
        Ok(())
    }

    /// Adds bytes to an empty table and compresses their whole blocks on several threads, one for each encoder.
    /// Returns where every such block begins, and last where the open one will.
    pub(super) fn push_parallel(&mut self, bytes: &[u8], encoders: &mut [BlockEncoder]) -> Result<Vec<u32>> {
        let (blocks, rest) = bytes.as_chunks::<METADATA_SIZE>();
        let share = blocks.len().div_ceil(encoders.len().max(1)).max(1);
        let compress = |encoder: &mut BlockEncoder, blocks: &[[u8; METADATA_SIZE]]| {
            let (mut out, mut ends) = (Vec::new(), Vec::with_capacity(blocks.len()));
            for block in blocks {
                push_block(encoder, block, &mut out)?;
                ends.push(out.len());
            }
            Ok((out, ends))
        };
        let parts: Vec<Result<(Vec<u8>, Vec<usize>)>> = std::thread::scope(|scope| {
            let workers: Vec<_> = encoders
                .iter_mut()
                .zip(blocks.chunks(share))
                .map(|(encoder, blocks)| scope.spawn(move || compress(encoder, blocks)))
                .collect();
            let join = |w: std::thread::ScopedJoinHandle<'_, _>| {
                w.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
            };
            workers.into_iter().map(join).collect()
        });
        let mut starts = vec![self.position()?.block];
        for part in parts {
            let (out, ends) = part?;
            let before = self.blocks.len();
            for end in ends {
                starts.push(block_place(before + end)?);
            }
            self.blocks.extend(out);
        }
        self.push(rest)?;
        Ok(starts)
    }

    fn close(&mut self) -> Result<()> {
        push_block(self.encoder, &self.open, &mut self.blocks)?;
        self.open.clear();
        Ok(())
    }

    /// Returns the table as it is stored.
    pub(super) fn finish(mut self) -> Result<Vec<u8>> {
        if !self.open.is_empty() {
            self.close()?;
        }
        Ok(self.blocks)
    }
}

/// Returns the place of a block as inodes and directory headers name it.
fn block_place(at: usize) -> Result<u32> {
    u32::try_from(at).map_err(|_| CommandError::failed("a table of the image would be larger than 4 GiB"))
}

/// Appends one block with its length word.
pub(super) fn push_block(encoder: &mut BlockEncoder, raw: &[u8], blocks: &mut Vec<u8>) -> Result<()> {
    let (encoded, bytes) = encoder.encode(raw)?;
    let stored = if encoded == Encoded::Stored { STORED } else { 0 };
    blocks.extend((bytes.len() as u16 | stored).to_le_bytes());
    blocks.extend_from_slice(bytes);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pack::compress::{Method, Settings};

    fn encoder(method: Method) -> BlockEncoder {
        BlockEncoder::new(&Settings::new(method).unwrap(), 8192, true).unwrap()
    }

    #[test]
    fn table_is_cut_into_blocks_of_8_kib() {
        let mut encoder = encoder(Method::None);
        let mut table = MetadataWriter::new(&mut encoder);
        table.push(&[1; 8000]).unwrap();
        assert_eq!(table.position().unwrap(), Position { block: 0, offset: 8000 });
        table.push(&[2; 300]).unwrap();
        assert_eq!(table.position().unwrap(), Position { block: 8194, offset: 108 });
        assert_eq!(table.position().unwrap().reference(), 8194 << 16 | 108);
        let bytes = table.finish().unwrap();
        assert_eq!(bytes[..3], [0x00, 0xA0, 1], "8192 with the bit for stored");
        assert_eq!(bytes[8194..8197], [108, 0x80, 2]);
        assert_eq!(bytes.len(), 8194 + 110);
    }

    #[test]
    fn blocks_of_several_threads_are_those_of_one() {
        let settings = Settings::new(Method::Gzip { level: 6 }).unwrap();
        let encoders = |count: usize| -> Vec<BlockEncoder> {
            (0..count).map(|_| BlockEncoder::new(&settings, 8192, true).unwrap()).collect()
        };
        let bytes: Vec<u8> = (0_u32..20_000).flat_map(|n| (n * n).to_le_bytes()).collect();
        for len in [0, 100, 8192, 8193, 5 * 8192, bytes.len()] {
            let mut one = encoders(1);
            let mut table = MetadataWriter::new(&mut one[0]);
            let mut places = vec![table.position().unwrap().block];
            for block in bytes[..len].chunks(8192) {
                table.push(block).unwrap();
                places.push(table.position().unwrap().block);
            }
            if len % 8192 > 0 {
                places.pop();
            }
            let wanted = table.finish().unwrap();
            for count in [1, 2, 7] {
                let (mut own, mut others) = (encoders(1), encoders(count));
                let mut table = MetadataWriter::new(&mut own[0]);
                assert_eq!(table.push_parallel(&bytes[..len], &mut others).unwrap(), places, "{len} {count}");
                assert!(table.finish().unwrap() == wanted, "{len} {count}");
            }
        }
    }

    #[test]
    fn table_that_ends_with_its_block_has_no_empty_one() {
        let mut encoder = encoder(Method::None);
        let mut table = MetadataWriter::new(&mut encoder);
        table.push(&[7; 8192]).unwrap();
        assert_eq!(table.position().unwrap(), Position { block: 8194, offset: 0 });
        assert_eq!(table.finish().unwrap().len(), 8194);
    }

    #[test]
    fn block_that_shrinks_is_compressed() {
        let mut encoder = encoder(Method::Gzip { level: 6 });
        let mut bytes = Vec::new();
        push_block(&mut encoder, &[0; 8192], &mut bytes).unwrap();
        let length = u16::from_le_bytes([bytes[0], bytes[1]]);
        assert!(length & STORED == 0 && usize::from(length) == bytes.len() - 2, "{length:#x}");
    }
}
