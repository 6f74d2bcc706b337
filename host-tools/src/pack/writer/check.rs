//! Looks at a finished image: is it what was packed?
//!
//! What is proven, together with the workers' own check (`block.rs`):
//! 1. Every block decodes to the bytes that were read: the worker decoded it and compared, the members of a fragment
//!    block each with its own file. Bytes that come out of the cache were compared so when they were put there, and
//!    the cache proves by a keyed hash that they are the same still.
//! 2. Every block is in the image as the worker made it: the checksum that it took then is that of what is read here.
//! 3. Superblock, compressor options and tables are in the image as they were made, by a hash.
//! 4. `core`'s reader, which shares no code with the writer, finds each path, and there the type, mode, owners,
//!    time, link count, attributes, target and size of the entry; and exactly the blocks of 1 and 2, at their places.
//!
//! So a reader gets for every file the bytes that were read. Not proven: that the disk keeps what it was given (what
//! was just written is read out of memory), nor that the decoder used here is right, which foreign readers judge.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};

use genpack_core::error::Class;
use genpack_core::fs::squashfs::{
    DirEntry, Directory, Error, FileSystem, FileType, Inode, InodeRef, MAX_SYMLINK, MAX_XATTR_VALUE,
    MetadataBlock, Node, RegularFile,
};
use genpack_core::source::{ReadAt, ReadError};

use super::inode::NONE;
use super::inode_table::Sources;
use super::runs::{Block, STORED_BIT, checksum};
use super::sink::Finished;
use super::superblock::Superblock;
use super::tree::{name, shown};
use super::{Options, Output};
use crate::command_error::{CommandError, Kind as ErrorKind, Result};
use crate::io::decompress::Decompressors;
use crate::pack::cache::Hash;
use crate::pack::entry::{Device, Entry, Kind};

/// How much is read at a time, in bytes, unless a block is longer: it stays in a core's own cache until its checksum
/// is taken.
const PIECE: u64 = 128 << 10;
/// Metadata blocks: one as it is stored, and 512 KiB of them decompressed, so that a walk in order reads each about
/// once.
const METADATA_BLOCKS: usize = 65;

/// What the image should be.
pub(super) struct Wanted<'a> {
    pub(super) sources: &'a Sources<'a>,
    pub(super) superblock: &'a Superblock,
    pub(super) finished: Finished,
}

type Fs<'o, O> = FileSystem<Image<'o, O>, Decompressors, Vec<MetadataBlock>>;

/// An output that can be read at offsets.
struct Image<'o, O> {
    out: &'o O,
    len: u64,
}

impl<O: Output> ReadAt for Image<'_, O> {
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        self.out.read_exact_at(buf, offset).map_err(|e| match e.raw_os_error() {
            Some(errno) => ReadError::Io(errno),
            None => ReadError::EndOfInput,
        })
    }

    fn size(&self) -> Result<u64, ReadError> {
        Ok(self.len)
    }
}

/// Checks an image.
///
/// # Errors
/// [`ErrorKind::VerifyFailed`] when it is not what was packed.
pub(super) fn run<O: Output>(wanted: &Wanted<'_>, options: &Options<'_>, out: &O) -> Result<()> {
    std::thread::scope(|scope| {
        let stored = scope.spawn(|| {
            let data = wanted.sources.data;
            stored_blocks(data.runs.blocks(), options, out)?;
            stored_blocks(&data.fragments, options, out)?;
            stored_tables(wanted, options, out)
        });
        let walked = walk(wanted, out);
        // Why first: bytes that are not what was written explain whatever the reader finds.
        stored.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        options.interrupt.check()?;
        walked
    })
}

fn walk<O: Output>(wanted: &Wanted<'_>, out: &O) -> Result<()> {
    let image = Image { out, len: wanted.superblock.bytes_used };
    let cache = vec![MetadataBlock::EMPTY; METADATA_BLOCKS];
    let fs = FileSystem::open(image, Decompressors::default(), cache)
        .map_err(|e| unreadable("its superblock", e))?;
    Walk { wanted, fs }.run()
}

fn differs(path: &str, what: &str) -> CommandError {
    CommandError::new(ErrorKind::VerifyFailed, format!("the image is not what was packed: {path}: {what}"))
        .hint("the disk or the memory of this machine may be faulty; please report it")
}

/// What core's reader says of the image: a disk that fails is no wrong image.
fn unreadable(what: &str, e: Error) -> CommandError {
    match e.class() {
        Class::Io => CommandError::failed(e.to_string()).context(format!("reading back {what}")),
        _ => differs(what, &e.to_string()),
    }
}

/// Makes sure that all blocks, which lie behind each other, are stored as they were made.
fn stored_blocks<O: Output>(blocks: &[Block], options: &Options<'_>, out: &O) -> Result<()> {
    let pieces: Vec<&[Block]> = blocks.chunk_by(|a, b| a.at / PIECE == b.at / PIECE).collect();
    let (next, failure) = (AtomicUsize::new(0), Mutex::new(None));
    let work = || {
        let mut bytes = Vec::new();
        while let Some(piece) = pieces.get(next.fetch_add(1, Ordering::Relaxed)) {
            if let Err(e) = options.interrupt.check().and_then(|()| stored_piece(piece, &mut bytes, out)) {
                next.store(pieces.len(), Ordering::Relaxed);
                failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(e);
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..options.workers().min(pieces.len()) {
            scope.spawn(work);
        }
    });
    failure.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
}

/// Makes sure that all that is not content is stored as it was made.
fn stored_tables<O: Output>(wanted: &Wanted<'_>, options: &Options<'_>, out: &O) -> Result<()> {
    let mut begin = wanted.superblock.emit().to_vec();
    begin.extend(options.compression.options_bytes().unwrap_or_default());
    let Finished { tables_start, tables, .. } = wanted.finished;
    let mut hasher = blake3::Hasher::new();
    let mut bytes = vec![0; begin.len()];
    read_back(0, &mut bytes, out)?;
    if bytes != begin {
        return Err(differs("byte 0", "the superblock is not as it was written"));
    }
    let mut at = tables_start;
    while at < wanted.superblock.bytes_used {
        bytes.resize((wanted.superblock.bytes_used - at).min(PIECE) as usize, 0);
        read_back(at, &mut bytes, out)?;
        hasher.update(&bytes);
        at += bytes.len() as u64;
    }
    if Hash(*hasher.finalize().as_bytes()) != tables {
        return Err(differs(&format!("byte {tables_start}"), "the tables are not as they were written"));
    }
    Ok(())
}

fn read_back<O: Output>(at: u64, bytes: &mut [u8], out: &O) -> Result<()> {
    out.read_exact_at(bytes, at).map_err(|e| {
        CommandError::failed(e.to_string()).context(format!("reading back byte {at} of the image"))
    })
}

fn stored_piece<O: Output>(blocks: &[Block], bytes: &mut Vec<u8>, out: &O) -> Result<()> {
    let [first, .., last] = blocks else {
        return blocks.first().map_or(Ok(()), |block| stored_run(block.at, blocks, block.len(), bytes, out));
    };
    stored_run(first.at, blocks, last.at + last.len() - first.at, bytes, out)
}

fn stored_run<O: Output>(at: u64, blocks: &[Block], len: u64, bytes: &mut Vec<u8>, out: &O) -> Result<()> {
    bytes.resize(len as usize, 0);
    read_back(at, bytes, out)?;
    for block in blocks {
        let own = &bytes[(block.at - at) as usize..][..block.len() as usize];
        if checksum(own) != block.sum {
            return Err(differs(&format!("byte {}", block.at), "a block is not as it was written"));
        }
    }
    Ok(())
}

struct Walk<'w, 'o, O> {
    wanted: &'w Wanted<'w>,
    fs: Fs<'o, O>,
}

impl<O: Output> Walk<'_, '_, O> {
    fn run(mut self) -> Result<()> {
        let fragments = &self.wanted.sources.data.fragments;
        for (index, block) in (0..).zip(fragments) {
            let found = self.fs.stored_fragment(index).map_err(|e| unreadable("a fragment block", e))?;
            if found != (block.at, block.word) {
                return Err(differs("a fragment block", &format!("number {index} is at {found:?}")));
            }
        }
        // What is still to be looked at: a directory's entries replace it.
        let mut stack = vec![(0, self.fs.superblock().root_inode)];
        while let Some((entry, at)) = stack.pop() {
            let mut children = Vec::new();
            self.entry(entry, at, &mut children)
                .map_err(|what| differs(&shown(&self.wanted.sources.tree.entry(entry).path), &what))?;
            stack.extend(children);
        }
        Ok(())
    }

    fn entry(&mut self, index: u32, at: InodeRef, children: &mut Vec<(u32, InodeRef)>) -> Result<(), String> {
        let Sources { tree, xattrs, limit, .. } = *self.wanted.sources;
        let entry = tree.entry(index);
        let number = tree.inode_of(index);
        let inode = self.fs.inode(at).map_err(|e| e.to_string())?;
        same("type", inode.node.file_type(), file_type(entry))?;
        same("mode", inode.mode, entry.mode)?;
        let owner = self.fs.owner(&inode).map_err(|e| e.to_string())?;
        same("owner", owner, (entry.uid, entry.gid))?;
        same("modification time", inode.mtime, entry.mtime.min(limit))?;
        same("inode number", inode.number, number + 1)?;
        same("link count", inode.nlink, tree.inodes()[number as usize].nlink)?;
        same("extended attributes", inode.xattr, Some(xattrs.index(number)).filter(|x| *x != NONE))?;
        self.xattrs(&inode, entry)?;
        match (inode.node, &entry.kind) {
            (Node::Directory(found), _) => {
                same("parent", found.parent_inode, tree.parent_number(index))?;
                self.directory(index, &found, children)
            }
            (Node::RegularFile(found), Kind::File(file)) => {
                same("size", found.size, file.size)?;
                self.file(number, &found)
            }
            (Node::Symlink(link), Kind::Symlink(target)) => {
                let mut buffer = [0; MAX_SYMLINK as usize];
                let found = self.fs.read_link(&link, &mut buffer).map_err(|e| e.to_string())?;
                same("target", found, target)
            }
            (Node::BlockDevice(found), Kind::BlockDevice(device))
            | (Node::CharDevice(found), Kind::CharDevice(device)) => {
                same("device number", Device { major: found.major, minor: found.minor }, *device)
            }
            _ => Ok(()),
        }
    }

    fn directory(
        &mut self,
        index: u32,
        found: &Directory,
        children: &mut Vec<(u32, InodeRef)>,
    ) -> Result<(), String> {
        let tree = self.wanted.sources.tree;
        let mut listing = found.entries();
        for child in tree.children(index) {
            let entry = tree.entry(*child);
            let next = listing.next(&mut self.fs).map_err(|e| e.to_string())?;
            let Some(DirEntry { inode, inode_number, file_type: kind, name: found }) = next else {
                return Err(format!("it has no {}", shown(name(&entry.path))));
            };
            same("name", found.as_slice(), name(&entry.path))?;
            same("type in the listing", kind, file_type(entry))?;
            same("number in the listing", inode_number, tree.inode_of(*child) + 1)?;
            children.push((*child, inode));
        }
        match listing.next(&mut self.fs).map_err(|e| e.to_string())? {
            Some(more) => Err(format!("it has {} too", shown(&more.name))),
            None => Ok(()),
        }
    }

    fn file(&mut self, inode: u32, found: &RegularFile) -> Result<(), String> {
        let (placement, words) = self.wanted.sources.data.placement(inode);
        let fragment = (placement.fragment != NONE).then_some((placement.fragment, placement.offset));
        same("fragment", found.fragment.map(|f| (f.index, f.offset)), fragment)?;
        same("place", found.start_block(), placement.start)?;
        same("bytes of holes", found.sparse, placement.sparse)?;
        let stored = self.wanted.sources.data.runs.blocks();
        let first = stored.partition_point(|block| block.at < placement.start);
        let mut stored = stored.iter().skip(first);
        let mut list = found.length_words();
        let mut at = placement.start;
        for (block, word) in words.iter().enumerate() {
            let found = list.next(&mut self.fs).map_err(|e| e.to_string())?;
            same(&format!("length of block {block}"), found, *word)?;
            if found != 0 {
                let own = stored.next().map(|block| (block.at, block.word));
                same(&format!("place of block {block}"), (at, found), own.unwrap_or_default())?;
                at += u64::from(found & !STORED_BIT);
            }
        }
        Ok(())
    }

    fn xattrs(&mut self, inode: &Inode, entry: &Entry) -> Result<(), String> {
        let Some(index) = inode.xattr else { return same("attributes", 0, entry.xattrs.len()) };
        let mut wanted: Vec<_> = entry.xattrs.iter().collect();
        wanted.sort();
        let mut found = self.fs.xattrs(index).map_err(|e| e.to_string())?;
        let mut value = vec![0; MAX_XATTR_VALUE];
        for xattr in wanted {
            let next = found.next(&mut self.fs, &mut value).map_err(|e| e.to_string())?;
            let own =
                next.as_ref().map(|x| (x.name.as_slice(), value.get(..x.value_len).unwrap_or_default()));
            same("attribute", own, Some((xattr.name.as_slice(), xattr.value.as_slice())))?;
        }
        let more = found.next(&mut self.fs, &mut value).map_err(|e| e.to_string())?;
        same("further attribute", more, None)
    }
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, found: T, wanted: T) -> Result<(), String> {
    if found == wanted { Ok(()) } else { Err(format!("{what} is {found:?} instead of {wanted:?}")) }
}

const fn file_type(entry: &Entry) -> FileType {
    match entry.kind {
        Kind::Directory => FileType::Directory,
        Kind::File(_) => FileType::RegularFile,
        Kind::Symlink(_) => FileType::Symlink,
        Kind::BlockDevice(_) => FileType::BlockDevice,
        Kind::CharDevice(_) => FileType::CharDevice,
        Kind::Fifo => FileType::Fifo,
        Kind::Socket => FileType::Socket,
    }
}
