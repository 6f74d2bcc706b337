//! Writes entries as a SquashFS 4.0.

mod block;
mod check;
mod data;
mod directory;
mod ids;
mod inode;
mod inode_table;
mod metadata;
mod order;
mod pool;
mod runs;
mod sink;
mod source;
mod superblock;
mod table;
mod tree;
mod worker;
mod xattr;

use std::fs::File;
use std::num::{NonZeroU64, NonZeroUsize};
use std::os::unix::fs::FileExt;

use genpack_core::fs::squashfs::{Flags, MAX_BLOCK_SIZE, MIN_BLOCK_SIZE};
use rustix::fs::{Advice, fadvise};

use crate::command_error::{CommandError, Result};
use crate::io::interrupt::Interrupt;
use crate::pack::cache::{BlockCache, FileIndex};
use crate::pack::compress::Settings;
use crate::pack::entry::Entry;

use block::BlockEncoder;
use ids::Ids;
use inode_table::Sources;
use metadata::{METADATA_SIZE, MetadataWriter};
use order::Order;
use sink::Sink;
use superblock::{ABSENT, Superblock};
use tree::Tree;
use xattr::XattrLists;

/// How an image is written. The same entries and options give the same bytes; `jobs`, `verify`, `cache` and
/// `interrupt` never change any.
#[derive(Clone, Copy, Debug)]
pub struct Options<'a> {
    /// How blocks are compressed.
    pub compression: Settings,
    /// Bytes of a data block: a power of two, 4 KiB to 1 MiB.
    pub block_size: u32,
    /// Threads that read and compress.
    pub jobs: NonZeroUsize,
    /// Newer modification times are lowered to it, and it is the image's own time; without it, that is the newest
    /// modification time of all entries.
    pub mtime_limit: Option<u32>,
    /// Decode every block again and compare it with the source, and read the image back in the end.
    pub verify: bool,
    /// Put the tails of files that are longer than a block into fragment blocks too.
    pub tails: bool,
    /// Write the export table, which only NFS needs.
    pub exports: bool,
    /// What makes a repack cheap.
    pub cache: Option<Cache<'a>>,
    /// Asked between blocks whether to stop.
    pub interrupt: &'a Interrupt,
}

/// Most workers: 24 MiB for each with blocks of 1 MiB (see `pool`) are 768 MiB in all, whatever the machine has.
const MAX_WORKERS: usize = 32;

impl Options<'_> {
    /// Returns how many threads work.
    fn workers(&self) -> usize {
        self.jobs.get().min(MAX_WORKERS)
    }
}

/// Blocks and files of earlier runs.
#[derive(Clone, Copy, Debug)]
pub struct Cache<'a> {
    /// Compressed blocks.
    pub blocks: &'a BlockCache,
    /// What files hold.
    pub files: &'a FileIndex,
    /// A time before the first entry was looked at.
    pub looked_at: std::time::SystemTime,
}

/// What was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Inodes.
    pub inodes: u32,
    /// Bytes of all regular files; a hard link counts once.
    pub source_bytes: u64,
    /// Bytes of the image, padding included.
    pub image_bytes: u64,
    /// Bytes that were not stored because an equal file was.
    pub duplicate_bytes: u64,
    /// Bytes that were not stored because they are zeros.
    pub sparse_bytes: u64,
}

/// Hears how far the writer is. Called from one thread, up to some thousand times a second.
pub trait Progress {
    /// So many source bytes are to be read in all; comes first.
    fn total(&self, source_bytes: u64);

    /// So many source bytes are done and so many bytes written, since the begin.
    fn advance(&self, source_bytes: u64, image_bytes: u64);
}

/// Nobody listens.
impl Progress for () {
    fn total(&self, _: u64) {}
    fn advance(&self, _: u64, _: u64) {}
}

/// Where an image goes: a new file, or in tests one that fails. Nothing outside the image is ever written.
pub trait Output: Sync {
    /// Writes all of `bytes` at `offset`; calls come in order of offsets, but the superblock is last.
    ///
    /// # Errors
    /// What the system has to say.
    fn write_all_at(&mut self, bytes: &[u8], offset: u64) -> std::io::Result<()>;

    /// Fills `out` with what was written at `offset`.
    ///
    /// # Errors
    /// What the system has to say.
    fn read_exact_at(&self, out: &mut [u8], offset: u64) -> std::io::Result<()>;

    /// Lets the disk begin with bytes that were written, so that little is left to do for whoever syncs them.
    fn begin_writeback(&self, _offset: u64, _len: u64) {}
}

impl Output for File {
    fn write_all_at(&mut self, bytes: &[u8], offset: u64) -> std::io::Result<()> {
        FileExt::write_all_at(self, bytes, offset)
    }

    fn read_exact_at(&self, out: &mut [u8], offset: u64) -> std::io::Result<()> {
        FileExt::read_exact_at(self, out, offset)
    }

    fn begin_writeback(&self, offset: u64, len: u64) {
        // Why this advice: for pages that are dirty it does what sync_file_range(2) does, and they stay in memory;
        // no file system must follow it.
        let _ = fadvise(self, offset, NonZeroU64::new(len), Advice::DontNeed);
    }
}

/// Writes an image of these entries into an empty output. It is neither synced nor renamed here.
///
/// # Errors
/// When an entry cannot be stored, a file cannot be read or changes meanwhile, `out` cannot be written, or what was
/// written is not what was read.
pub fn write(
    entries: Vec<Entry>,
    options: &Options<'_>,
    out: &mut impl Output,
    progress: &dyn Progress,
) -> Result<Summary> {
    check_options(options)?;
    let tree = Tree::new(entries)?;
    let ids = Ids::new(tree.entries())?;
    let xattrs = XattrLists::new(&tree)?;
    let order = Order::new(&tree, options.block_size, options.tails);
    let limit = options.mtime_limit.unwrap_or(u32::MAX);
    let newest = tree.entries().iter().map(|e| e.mtime).max().unwrap_or(0);

    let mut sink = Sink::new(out);
    if let Some(bytes) = options.compression.options_bytes() {
        sink.push(&bytes)?;
    }
    let data = data::store(&tree, &order, options, &mut sink, progress)?;

    let mut encoder = BlockEncoder::new(&options.compression, METADATA_SIZE as u32, options.verify)?;
    let sources = Sources { tree: &tree, data: &data, ids: &ids, xattrs: &xattrs, limit };
    let tables = inode_table::emit(&sources, options)?;
    sink.begin_tables();
    let inode_table_start = sink.position();
    sink.push(&tables.inodes)?;
    let directory_table_start = sink.position();
    sink.push(&tables.directories)?;
    let fragment_table_start = match data.fragments.as_slice() {
        [] => ABSENT,
        _ => table::write(&data.fragment_table(), &[], &mut encoder, &mut sink)?,
    };
    let lookup_table_start = match options.exports {
        true => table::write(&tables.export_table(), &[], &mut encoder, &mut sink)?,
        false => ABSENT,
    };
    let id_table_start = table::write(&ids.bytes(), &[], &mut encoder, &mut sink)?;
    let xattr_id_table_start = match xattrs.count() {
        0 => ABSENT,
        _ => write_xattrs(&xattrs, &mut encoder, &mut sink)?,
    };
    let superblock = Superblock {
        inodes: tree.inodes().len() as u32,
        mkfs_time: options.mtime_limit.unwrap_or(newest),
        block_size: options.block_size,
        fragments: data.fragments.len() as u32,
        compression: options.compression.compressor_id(),
        flags: options.compression.flags()
            | Flags::DUPLICATES
            | if options.exports { Flags::EXPORTABLE } else { 0 }
            | if xattrs.count() == 0 { NO_XATTRS } else { 0 },
        no_ids: ids.count(),
        root_inode: tables.root.reference(),
        bytes_used: sink.position(),
        id_table_start,
        xattr_id_table_start,
        inode_table_start,
        directory_table_start,
        fragment_table_start,
        lookup_table_start,
    };
    let finished = sink.finish(&superblock.emit())?;
    if options.verify {
        check::run(&check::Wanted { sources: &sources, superblock: &superblock, finished }, options, out)?;
    }
    Ok(Summary {
        inodes: superblock.inodes,
        source_bytes: order.source_bytes,
        image_bytes: finished.image_bytes,
        duplicate_bytes: data.duplicate_bytes,
        sparse_bytes: data.sparse_bytes,
    })
}

/// `SQUASHFS_NO_XATTR`: there are no extended attributes.
const NO_XATTRS: u16 = 1 << 9;

fn check_options(options: &Options<'_>) -> Result<()> {
    let size = options.block_size;
    if !size.is_power_of_two() || !(MIN_BLOCK_SIZE..=MAX_BLOCK_SIZE).contains(&size) {
        let what = format!("{size} bytes are no block of a SquashFS");
        return Err(CommandError::failed(what).hint("a power of two from 4 KiB to 1 MiB"));
    }
    Ok(())
}

fn write_xattrs<O: Output>(
    xattrs: &XattrLists,
    encoder: &mut BlockEncoder,
    sink: &mut Sink<'_, O>,
) -> Result<u64> {
    let start = sink.position();
    let mut table = MetadataWriter::new(encoder);
    let ids = xattrs.write(&mut table)?;
    let lists = table.finish()?;
    sink.push(&lists)?;
    // `struct squashfs_xattr_id_table`.
    let mut header = start.to_le_bytes().to_vec();
    header.extend(xattrs.count().to_le_bytes());
    header.extend(0_u32.to_le_bytes());
    table::write(&ids, &header, encoder, sink)
}
