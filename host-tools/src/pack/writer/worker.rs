//! What the workers do: read, hash, compress, and decode again.

use std::sync::Arc;

use super::block::BlockEncoder;
use super::order::{Order, Piece, Read};
use super::runs::{STORED_BIT, checksum};
use super::source::{OpenFile, reading};
use super::tree::Tree;
use super::{Cache, Options};
use crate::command_error::Result;
use crate::pack::cache::{Chunk, Hash, Key, is_zero};
use crate::pack::compress::{CacheTag, Encoded};
use crate::pack::entry::{Entry, Kind};

/// The hash of a hole's stored bytes, which nobody looks at.
const NO_BYTES: Hash = Hash([0; 32]);

/// What all workers see.
pub(super) struct Job<'a> {
    pub(super) tree: &'a Tree,
    pub(super) order: &'a Order,
    pub(super) options: &'a Options<'a>,
    pub(super) tag: CacheTag,
    /// For each of [`Order::pieces`] whether it can be equal to another.
    pub(super) may_repeat: Vec<bool>,
}

/// Some blocks of a file.
#[derive(Debug)]
pub(super) struct Span {
    pub(super) inode: u32,
    /// The bytes to store, one block behind the other.
    pub(super) bytes: Vec<u8>,
    pub(super) blocks: Vec<SpanBlock>,
    /// What the blocks hold, if they were read and a cache wants to know.
    pub(super) chunks: Vec<Chunk>,
}

/// One block of a [`Span`].
#[derive(Clone, Copy, Debug)]
pub(super) struct SpanBlock {
    /// Its length word: 0 for a hole.
    pub(super) word: u32,
    /// Hash of the stored bytes.
    pub(super) hash: Hash,
    /// Checksum of the stored bytes.
    pub(super) sum: u32,
    /// Raw bytes.
    pub(super) raw_len: u32,
}

/// Small files and tails.
#[derive(Debug)]
pub(super) struct Batch {
    /// Those that were read, one behind the other.
    pub(super) bytes: Arc<Vec<u8>>,
    pub(super) files: Vec<Small>,
}

/// A small file or a tail.
#[derive(Clone, Copy, Debug)]
pub(super) struct Small {
    pub(super) piece: Piece,
    /// Where it begins in the batch; `None` if its bytes were not read.
    pub(super) at: Option<u32>,
    /// What it holds, unless nobody asks.
    pub(super) chunk: Option<Chunk>,
}

/// A member of a fragment block.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) file: Small,
    /// What [`Small::at`] points into.
    pub(super) bytes: Arc<Vec<u8>>,
}

/// A fragment block.
#[derive(Debug)]
pub(super) struct FragmentBlock {
    pub(super) bytes: Vec<u8>,
    pub(super) word: u32,
    /// Checksum of the bytes.
    pub(super) sum: u32,
}

/// What came of a [`Read`].
#[derive(Debug)]
pub(super) enum Done {
    Span(Span),
    Batch(Batch),
}

/// A worker with its memory.
pub(super) struct Worker<'a> {
    job: &'a Job<'a>,
    encoder: BlockEncoder,
    raw: Vec<u8>,
    cached: Vec<u8>,
    open: Option<(u32, OpenFile<'a>)>,
}

impl<'a> Worker<'a> {
    pub(super) fn new(job: &'a Job<'a>) -> Result<Self> {
        let Options { compression, block_size, verify, .. } = job.options;
        let encoder = BlockEncoder::new(compression, *block_size, *verify)?;
        Ok(Self { job, encoder, raw: vec![0; *block_size as usize], cached: Vec::new(), open: None })
    }

    fn entry(&self, inode: u32) -> &'a Entry {
        self.job.tree.entry(self.job.tree.inodes()[inode as usize].entry)
    }

    pub(super) fn read(&mut self, read: Read, out: Vec<u8>) -> Result<Done> {
        match read {
            Read::Span { inode, first, blocks } => self.span(inode, first, blocks, out).map(Done::Span),
            Read::Batch { first, pieces } => self.batch(first, pieces, out).map(Done::Batch),
        }
    }

    fn span(&mut self, inode: u32, first: u64, blocks: u32, mut out: Vec<u8>) -> Result<Span> {
        out.clear();
        let entry = self.entry(inode);
        let Kind::File(file) = &entry.kind else { unreachable!("only files have content") };
        let known = known(self.job.options.cache, entry);
        let mut span = Span { inode, bytes: out, blocks: Vec::new(), chunks: Vec::new() };
        let mut was_read = false;
        for index in first..first + u64::from(blocks) {
            let start = span.bytes.len();
            let block_size = u64::from(self.job.options.block_size);
            let offset = index * block_size;
            let len = block_size.min(file.size - offset) as u32;
            let chunk = known.and_then(|chunks| chunks.get(index as usize)).copied();
            let (word, hash) = match chunk {
                Some(Chunk::Zeros) => (0, NO_BYTES),
                Some(Chunk::Data(raw))
                    if !file.stored
                        && let Some(found) = self.cached(raw, len) =>
                {
                    span.bytes.extend_from_slice(&self.cached);
                    found
                }
                _ => {
                    was_read = true;
                    self.read_block(inode, entry, offset, len, chunk, &mut span)?
                }
            };
            // Why here: bytes that are copied from now on are compared with it in the end.
            let sum = checksum(&span.bytes[start..]);
            span.blocks.push(SpanBlock { word, hash, sum, raw_len: len });
        }
        if was_read && let Some((_, open)) = &self.open {
            open.check()?;
        }
        Ok(span)
    }

    fn read_block(
        &mut self,
        inode: u32,
        entry: &'a Entry,
        offset: u64,
        len: u32,
        known: Option<Chunk>,
        span: &mut Span,
    ) -> Result<(u32, Hash)> {
        if self.open.as_ref().is_none_or(|(open, _)| *open != inode) {
            self.open = Some((inode, OpenFile::open(entry)?));
        }
        let raw = &mut self.raw[..len as usize];
        let cache = self.job.options.cache;
        let chunk = match &self.open {
            Some((_, open)) if open.is_hole(offset, u64::from(len)) => Some(Chunk::Zeros),
            Some((_, open)) => {
                open.read(offset, raw)?;
                let is_asked = cache.is_some();
                if is_asked { Some(Chunk::of(raw)) } else { is_zero(raw).then_some(Chunk::Zeros) }
            }
            None => None,
        };
        if known.is_some() && known != chunk {
            return Err(changed_unseen(entry));
        }
        span.chunks.extend(chunk);
        if chunk == Some(Chunk::Zeros) {
            return Ok((0, NO_BYTES));
        }
        if matches!(&entry.kind, Kind::File(file) if file.stored) {
            span.bytes.extend_from_slice(&self.raw[..len as usize]);
            return Ok((len | STORED_BIT, Hash::of(&self.raw[..len as usize])));
        }
        if known.is_none()
            && let Some(Chunk::Data(raw)) = chunk
            && let Some(found) = self.cached(raw, len)
        {
            span.bytes.extend_from_slice(&self.cached);
            return Ok(found);
        }
        let encoded = self.encoder.encode(&self.raw[..len as usize]);
        let (encoded, bytes) =
            encoded.map_err(|e| e.context(format!("{} at byte {offset}", reading(entry))))?;
        let hash = Hash::of(bytes);
        if let (Some(cache), Some(Chunk::Data(raw))) = (cache, chunk) {
            cache.blocks.put_with_hash(&Key::of_block(&self.job.tag, raw, len), encoded, bytes, hash);
        }
        span.bytes.extend_from_slice(bytes);
        Ok((word(encoded, bytes.len()), hash))
    }

    /// Looks a block up; if it is there, its bytes are in `cached`.
    fn cached(&mut self, raw: Hash, len: u32) -> Option<(u32, Hash)> {
        let key = Key::of_block(&self.job.tag, raw, len);
        let (encoded, hash) = self.job.options.cache?.blocks.get_with_hash(&key, &mut self.cached)?;
        Some((word(encoded, self.cached.len()), hash))
    }

    fn batch(&mut self, first: u32, pieces: u32, mut out: Vec<u8>) -> Result<Batch> {
        let Options { cache, block_size, .. } = self.job.options;
        let mut small = Vec::with_capacity(pieces as usize);
        out.clear();
        for i in first as usize..(first + pieces) as usize {
            let piece = self.job.order.pieces[i];
            let entry = self.entry(piece.inode);
            let mut file = Small { piece, at: None, chunk: None };
            // A file's chunks are its blocks and, last, what is behind them.
            let block = (piece.from / u64::from(*block_size)) as usize;
            if let Some(chunk) = known(*cache, entry).and_then(|chunks| chunks.get(block)) {
                file.chunk = Some(*chunk);
                small.push(file);
                continue;
            }
            let at = out.len();
            out.resize(at + piece.len as usize, 0);
            read_piece(entry, piece.from, &mut out[at..])?;
            file.at = Some(at as u32);
            if cache.is_some() || self.job.may_repeat[i] {
                let chunk = Chunk::of(&out[at..]);
                file.chunk = Some(chunk);
                if piece.from == 0
                    && let (Some(cache), Some(identity)) = (cache, entry.identity)
                {
                    cache.files.record(identity, cache.looked_at, vec![chunk]);
                }
            } else if piece.from > 0 && is_zero(&out[at..]) {
                file.chunk = Some(Chunk::Zeros);
            }
            small.push(file);
        }
        Ok(Batch { bytes: Arc::new(out), files: small })
    }

    /// Compresses a fragment block.
    pub(super) fn fragment(&mut self, members: &[Member], mut out: Vec<u8>) -> Result<FragmentBlock> {
        out.clear();
        let key = self.job.options.cache.map(|cache| {
            let members = members.iter().map(|m| (m.file.chunk.unwrap_or(Chunk::Zeros), m.file.piece.len));
            (cache, Key::of_fragment(&self.job.tag, members))
        });
        if let Some((cache, key)) = &key
            && let Some(encoded) = cache.blocks.get(key, &mut out)
        {
            return Ok(FragmentBlock { word: word(encoded, out.len()), sum: checksum(&out), bytes: out });
        }
        let mut filled = 0;
        for Member { file, bytes } in members {
            let Piece { inode, from, len } = file.piece;
            let to = &mut self.raw[filled..filled + len as usize];
            filled += len as usize;
            match file.at {
                Some(at) => to.copy_from_slice(&bytes[at as usize..][..len as usize]),
                None => {
                    let entry = self.job.tree.entry(self.job.tree.inodes()[inode as usize].entry);
                    read_piece(entry, from, to)?;
                    if file.chunk.is_some_and(|known| known != Chunk::of(to)) {
                        return Err(changed_unseen(entry));
                    }
                }
            }
        }
        let raw = &self.raw[..filled];
        // Why not with `raw`: what was put together wrongly would be found equal.
        let is_right = |decoded: &[u8]| {
            let mut rest = decoded;
            members.iter().all(|Member { file, bytes }| {
                let Some((own, behind)) = rest.split_at_checked(file.piece.len as usize) else {
                    return false;
                };
                rest = behind;
                match file.at {
                    Some(at) => bytes.get(at as usize..).is_some_and(|b| b.starts_with(own)),
                    None => file.chunk.is_none_or(|chunk| chunk == Chunk::of(own)),
                }
            }) && rest.is_empty()
        };
        let (encoded, bytes) = self.encoder.encode_checked(raw, is_right)?;
        if let Some((cache, key)) = &key {
            cache.blocks.put(key, encoded, bytes);
        }
        out.clear();
        out.extend_from_slice(bytes);
        Ok(FragmentBlock { word: word(encoded, out.len()), sum: checksum(&out), bytes: out })
    }
}

fn read_piece(entry: &Entry, from: u64, out: &mut [u8]) -> Result<()> {
    // Why one look at the file, behind the reading: it tells as well what the file was before.
    let open = OpenFile::open_unchecked(entry)?;
    open.read(from, out)?;
    open.check().map(drop)
}

/// Returns what an unchanged file held when it was read before.
fn known<'a>(cache: Option<Cache<'a>>, entry: &Entry) -> Option<&'a [Chunk]> {
    cache?.files.get(&entry.identity?)
}

fn changed_unseen(entry: &Entry) -> crate::command_error::CommandError {
    crate::command_error::CommandError::failed("it is not what it was, but has the same times")
        .context(reading(entry))
        .hint("remove the cache")
}

fn word(encoded: Encoded, len: usize) -> u32 {
    len as u32 | if encoded == Encoded::Stored { STORED_BIT } else { 0 }
}
