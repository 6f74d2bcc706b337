//! Puts content into the image: blocks of files, then fragment blocks, in the order of [`super::order`].
//!
//! One thread does this while the workers work; it never compresses. What it keeps grows with the number of blocks
//! and files, not with their bytes: some 100 bytes for each.

use std::collections::HashMap;
use std::sync::Arc;

use super::inode::NONE;
use super::order::{Order, Piece, Read, cut};
use super::pool::Pool;
use super::runs::{Block, Run, Runs, STORED_BIT, Step};
use super::sink::Sink;
use super::tree::Tree;
use super::worker::{Batch, Done, FragmentBlock, Job, Member, Small, Span};
use super::{Options, Output, Progress};
use crate::command_error::{CommandError, Result};
use crate::pack::cache::{Chunk, Hash};
use crate::pack::entry::{Entry, Kind};

/// Where a file's content is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Placement {
    /// Where its first block is.
    pub(super) start: u64,
    /// Its length words: from where in [`Data::words`] and how many.
    pub(super) words: (u32, u32),
    /// Bytes that are holes.
    pub(super) sparse: u64,
    /// Index of its fragment block, or [`NONE`].
    pub(super) fragment: u32,
    /// The offset in the fragment block.
    pub(super) offset: u32,
}

impl Placement {
    const NOWHERE: Self = Self { start: 0, words: (0, 0), sparse: 0, fragment: NONE, offset: 0 };
}

/// All content of an image, stored.
#[derive(Debug, Default)]
pub(super) struct Data {
    /// By inode; nothing behind the last inode that is a file.
    placements: Vec<Placement>,
    words: Vec<u32>,
    /// Blocks of files.
    pub(super) runs: Runs,
    /// Fragment blocks.
    pub(super) fragments: Vec<Block>,
    pub(super) duplicate_bytes: u64,
    pub(super) sparse_bytes: u64,
}

impl Data {
    /// Returns where an inode's content is and its length words.
    pub(super) fn placement(&self, inode: u32) -> (Placement, &[u32]) {
        let placement = self.placements.get(inode as usize).copied().unwrap_or(Placement::NOWHERE);
        let (first, count) = placement.words;
        (placement, &self.words[first as usize..][..count as usize])
    }

    /// Returns the content of the fragment table.
    pub(super) fn fragment_table(&self) -> Vec<u8> {
        let entry = |b: &Block| {
            let mut entry = [0; 16];
            entry[..8].copy_from_slice(&b.at.to_le_bytes());
            entry[8..12].copy_from_slice(&b.word.to_le_bytes());
            entry
        };
        self.fragments.iter().flat_map(entry).collect()
    }
}

/// Stores the content of all files.
pub(super) fn store<O: Output>(
    tree: &Tree,
    order: &Order,
    options: &Options<'_>,
    sink: &mut Sink<'_, O>,
    progress: &dyn Progress,
) -> Result<Data> {
    let job =
        Job { tree, order, options, tag: options.compression.cache_tag(), may_repeat: may_repeat(order) };
    let pool = Pool::new(&job);
    std::thread::scope(|scope| {
        for _ in 0..options.workers() {
            scope.spawn(|| pool.work());
        }
        let mut store = Store {
            job: &job,
            pool: &pool,
            sink,
            progress,
            done_bytes: 0,
            data: Data { placements: vec![Placement::NOWHERE; tree.inodes().len()], ..Data::default() },
            file: OpenPlacement::default(),
            open: Vec::new(),
            open_len: 0,
            submitted: 0,
            seen: HashMap::new(),
            headless: HashMap::new(),
        };
        let _end = pool.end_on_drop();
        store.run().map(|()| store.data)
    })
}

/// Returns for each piece whether another has its length: only then can they be equal.
fn may_repeat(order: &Order) -> Vec<bool> {
    let mut lengths: HashMap<u32, bool> = HashMap::new();
    for piece in &order.pieces {
        lengths.entry(piece.len).and_modify(|again| *again = true).or_insert(false);
    }
    order.pieces.iter().map(|piece| lengths[&piece.len]).collect()
}

struct Store<'s, 'o, O> {
    job: &'s Job<'s>,
    pool: &'s Pool<'s>,
    sink: &'s mut Sink<'o, O>,
    progress: &'s dyn Progress,
    done_bytes: u64,
    data: Data,
    file: OpenPlacement,
    /// Members of the fragment block that is being put together.
    open: Vec<Member>,
    open_len: u64,
    /// Fragment blocks that were handed to the workers.
    submitted: u32,
    /// Pieces that are somewhere: whose they are, by content and length.
    seen: HashMap<(Chunk, u32), u32>,
    /// What the blocks of files hold whose tails are still to be read.
    headless: HashMap<u32, Vec<Chunk>>,
}

/// The file whose blocks are being stored.
#[derive(Debug)]
struct OpenPlacement {
    run: Run,
    first_word: usize,
    sparse: u64,
    shared_bytes: u64,
    chunks: Vec<Chunk>,
}

impl Default for OpenPlacement {
    fn default() -> Self {
        Self { run: Run::Empty, first_word: 0, sparse: 0, shared_bytes: 0, chunks: Vec::new() }
    }
}

impl<O: Output> Store<'_, '_, O> {
    fn run(&mut self) -> Result<()> {
        self.progress.total(self.job.order.source_bytes);
        for read in &self.job.order.reads {
            self.job.options.interrupt.check()?;
            match self.pool.next_read()? {
                Done::Span(span) => self.span(read, span)?,
                Done::Batch(batch) => self.batch(batch)?,
            }
            while let Some(block) = self.pool.next_fragment(self.pool.most_fragments())? {
                self.fragment(block)?;
            }
            self.progress.advance(self.done_bytes, self.sink.position());
        }
        self.submit();
        while let Some(block) = self.pool.next_fragment(0)? {
            self.job.options.interrupt.check()?;
            self.fragment(block)?;
        }
        self.progress.advance(self.done_bytes, self.sink.position());
        Ok(())
    }

    fn span(&mut self, read: &Read, span: Span) -> Result<()> {
        let first = matches!(read, Read::Span { first: 0, .. });
        if first {
            self.file = OpenPlacement { first_word: self.data.words.len(), ..OpenPlacement::default() };
        }
        let mut bytes = span.bytes.as_slice();
        for block in &span.blocks {
            let raw_len = u64::from(block.raw_len);
            self.done_bytes += raw_len;
            self.data.words.push(block.word);
            let (own, rest) = bytes.split_at((block.word & !STORED_BIT) as usize);
            bytes = rest;
            if block.word == 0 {
                self.file.sparse += raw_len;
                continue;
            }
            let end = self.sink.position();
            match self.data.runs.step(&mut self.file.run, block.word, block.hash, end) {
                Step::Share => self.file.shared_bytes += raw_len,
                Step::Write { copy } => {
                    self.copy(copy)?;
                    let at = self.sink.position();
                    self.sink.push(own)?;
                    self.data.runs.push(Block { at, word: block.word, sum: block.sum }, block.hash);
                }
            }
        }
        self.file.chunks.extend_from_slice(&span.chunks);
        let words = self.data.words.len() - self.file.first_word;
        let (blocks, tail) = self.cut(span.inode);
        if words as u64 == blocks {
            self.close_file(span.inode, words, tail > 0)?;
        }
        self.pool.recycle(span.bytes);
        Ok(())
    }

    /// Stores blocks again that a file was believed to share.
    fn copy(&mut self, (first, count): (u32, u32)) -> Result<()> {
        let mut bytes = Vec::new();
        for index in first..first + count {
            let block = self.data.runs.blocks()[index as usize];
            bytes.resize(block.len() as usize, 0);
            self.sink.read(&mut bytes, block.at)?;
            let at = self.sink.position();
            self.sink.push(&bytes)?;
            self.data.runs.push(Block { at, ..block }, self.data.runs.hash(index));
            self.file.shared_bytes = 0;
        }
        Ok(())
    }

    fn entry(&self, inode: u32) -> &Entry {
        self.job.tree.entry(self.job.tree.inodes()[inode as usize].entry)
    }

    fn cut(&self, inode: u32) -> (u64, u32) {
        let Options { block_size, tails, .. } = *self.job.options;
        match &self.entry(inode).kind {
            Kind::File(file) => cut(file, block_size, tails),
            _ => (0, 0),
        }
    }

    fn close_file(&mut self, inode: u32, words: usize, has_tail: bool) -> Result<()> {
        let file = std::mem::take(&mut self.file);
        let narrow = |n: usize| {
            u32::try_from(n).map_err(|_| CommandError::failed("the files have more than 2^32 blocks"))
        };
        self.data.placements[inode as usize] = Placement {
            start: self.data.runs.start(&file.run),
            words: (narrow(file.first_word)?, narrow(words)?),
            sparse: file.sparse,
            ..Placement::NOWHERE
        };
        self.data.sparse_bytes += file.sparse;
        self.data.duplicate_bytes += file.shared_bytes;
        if has_tail {
            // Room for the length word of a tail that turns out to be a hole.
            self.data.words.push(0);
        }
        if file.chunks.len() == words && self.job.options.cache.is_some() {
            if has_tail {
                self.headless.insert(inode, file.chunks);
            } else {
                self.record(inode, file.chunks);
            }
        }
        Ok(())
    }

    /// Notes for the next run what a file holds.
    fn record(&self, inode: u32, chunks: Vec<Chunk>) {
        if let (Some(cache), Some(identity)) = (self.job.options.cache, self.entry(inode).identity) {
            cache.files.record(identity, cache.looked_at, chunks);
        }
    }

    fn batch(&mut self, mut batch: Batch) -> Result<()> {
        for file in batch.files.extract_if(.., |file| file.piece.from > 0 && file.chunk == Some(Chunk::Zeros))
        {
            self.end_in_hole(&file.piece);
        }
        let new: Vec<Small> = batch.files.iter().filter(|file| self.is_new(file)).copied().collect();
        let (bytes, new) = compact(batch.bytes, new);
        for file in new {
            let block_size = u64::from(self.job.options.block_size);
            let Piece { inode, len, .. } = file.piece;
            let is_full = self.open_len + u64::from(len) > block_size;
            if is_full || self.open_len >= block_size / 4 * 3 && begins_block(&self.entry(inode).path) {
                self.submit();
                while let Some(block) = self.pool.next_fragment(self.pool.most_fragments())? {
                    self.fragment(block)?;
                }
            }
            self.place(inode, (self.submitted, self.open_len as u32));
            self.open_len += u64::from(len);
            self.open.push(Member { file, bytes: Arc::clone(&bytes) });
        }
        // Only now: a piece may be equal to a later one of its own batch.
        for Small { piece, at, chunk } in &batch.files {
            self.done_bytes += u64::from(piece.len);
            let Some(chunk) = *chunk else { continue };
            if let Some(first) = self.seen.get(&(chunk, piece.len))
                && *first != piece.inode
            {
                let first = &self.data.placements[*first as usize];
                self.place(piece.inode, (first.fragment, first.offset));
            }
            if at.is_some()
                && let Some(mut chunks) = self.headless.remove(&piece.inode)
            {
                chunks.push(chunk);
                self.record(piece.inode, chunks);
            }
        }
        Ok(())
    }

    /// Says which fragment block a piece is in, and where.
    fn place(&mut self, inode: u32, (fragment, offset): (u32, u32)) {
        let placement = &mut self.data.placements[inode as usize];
        (placement.fragment, placement.offset) = (fragment, offset);
    }

    /// A tail of zeros is a last block that is a hole.
    fn end_in_hole(&mut self, tail: &Piece) {
        self.done_bytes += u64::from(tail.len);
        let placement = &mut self.data.placements[tail.inode as usize];
        placement.words.1 += 1;
        placement.sparse += u64::from(tail.len);
        self.data.sparse_bytes += u64::from(tail.len);
        if let Some(mut chunks) = self.headless.remove(&tail.inode) {
            chunks.push(Chunk::Zeros);
            self.record(tail.inode, chunks);
        }
    }

    fn is_new(&mut self, file: &Small) -> bool {
        let Some(chunk) = file.chunk else { return true };
        match self.seen.entry((chunk, file.piece.len)) {
            std::collections::hash_map::Entry::Vacant(vacant) => {
                vacant.insert(file.piece.inode);
                true
            }
            std::collections::hash_map::Entry::Occupied(_) => {
                self.data.duplicate_bytes += u64::from(file.piece.len);
                false
            }
        }
    }

    /// Ends the open fragment block.
    fn submit(&mut self) {
        if !self.open.is_empty() {
            self.pool.submit(std::mem::take(&mut self.open));
            self.open_len = 0;
            self.submitted += 1;
        }
    }

    fn fragment(&mut self, block: FragmentBlock) -> Result<()> {
        let at = self.sink.position();
        self.sink.push(&block.bytes)?;
        self.data.fragments.push(Block { at, word: block.word, sum: block.sum });
        self.pool.recycle(block.bytes);
        Ok(())
    }
}

/// Tells whether this file rather begins a fragment block than ends one that is mostly full.
///
/// One in four does, whatever is before it. So when a file grows, the blocks behind it soon begin where they did
/// before, and a cache still knows them; without this rule, the change could go on to the end of the image. It costs
/// less than 0.1 % of size.
fn begins_block(path: &[u8]) -> bool {
    Hash::of(path).0[0] < 64
}

/// Copies what is new out of a batch that holds mostly what is not, so that little memory is kept for it.
fn compact(bytes: Arc<Vec<u8>>, mut new: Vec<Small>) -> (Arc<Vec<u8>>, Vec<Small>) {
    let read = |f: &Small| f.at.map(|at| (at as usize, f.piece.len as usize));
    let needed: usize = new.iter().filter_map(read).map(|(_, len)| len).sum();
    if needed * 2 > bytes.len() {
        return (bytes, new);
    }
    let mut own = Vec::with_capacity(needed);
    for file in &mut new {
        if let Some((at, len)) = read(file) {
            file.at = Some(own.len() as u32);
            own.extend_from_slice(&bytes[at..at + len]);
        }
    }
    (Arc::new(own), new)
}
