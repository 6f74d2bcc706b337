//! One reader of an image: its own caches and decompressors. Each thread that reads content has one.

use std::fs::File;
use std::sync::Arc;

use genpack_core::fs::squashfs::{
    BlockBuffers, Error, FileSystem, InodeRef, MAX_SYMLINK, MAX_XATTR_VALUE, MetadataBlock, Node, OpenFile,
    RegularFile,
};
use genpack_core::source::{ReadAt, ReadError};

use super::super::decompress::Decompressors;
use super::{Fs, NamedXattr, Piece};

/// Metadata blocks: one as it is stored, and 512 KiB of them decompressed, enough that a walk in order reads each block
/// about once.
const METADATA_BLOCKS: usize = 65;
/// Blocks of fragments that are kept decompressed. Why more than one: a file that was stored once for two names has
/// its tail in another block than its neighbours.
const FRAGMENT_BUFFERS: usize = 4;
/// How much of a file is read at a time, in bytes: at least one block, and little enough for the processor's cache.
const PIECE_BYTES: usize = 256 << 10;
/// Most bytes of names and values of one file's extended attributes: a hundred times what file systems on disks hold.
pub const MAX_XATTR_BYTES: usize = 1 << 20;

/// The image file; reads at offsets need no lock.
#[derive(Clone, Debug)]
pub(super) struct Source(pub(super) Arc<File>);

impl ReadAt for Source {
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        ReadAt::read_exact_at(&*self.0, offset, buf)
    }

    fn size(&self) -> Result<u64, ReadError> {
        ReadAt::size(&*self.0)
    }
}

/// Reads content and attributes of one image.
pub(super) struct Reader {
    pub(super) fs: Fs,
    /// A file's tail is in the one at its fragment's index modulo their number; empty until it is needed.
    buffers: [BlockBuffers<Vec<u8>>; FRAGMENT_BUFFERS],
    is_allocated: [bool; FRAGMENT_BUFFERS],
    piece: Vec<u8>,
    value: Vec<u8>,
}

impl Reader {
    pub(super) fn open(source: Source) -> Result<Self, Error> {
        let cache = vec![MetadataBlock::EMPTY; METADATA_BLOCKS];
        Ok(Self {
            fs: FileSystem::open(source, Decompressors::default(), cache)?,
            buffers: std::array::from_fn(|_| BlockBuffers::new(Vec::new(), Vec::new())),
            is_allocated: [false; FRAGMENT_BUFFERS],
            piece: Vec::new(),
            value: Vec::new(),
        })
    }

    pub(super) fn regular_file(&mut self, inode: InodeRef) -> Result<Option<RegularFile>, Error> {
        Ok(match self.fs.inode(inode)?.node {
            Node::RegularFile(file) => Some(file),
            _ => None,
        })
    }

    pub(super) fn link_target(&mut self, inode: InodeRef) -> Result<Vec<u8>, Error> {
        let Node::Symlink(link) = self.fs.inode(inode)?.node else { return Ok(Vec::new()) };
        let mut target = [0; MAX_SYMLINK as usize];
        Ok(self.fs.read_link(&link, &mut target)?.to_vec())
    }

    /// Returns which buffers serve this file, and makes sure that they are there.
    fn buffer(&mut self, file: &RegularFile) -> usize {
        let index = file.fragment.map_or(0, |f| f.index as usize % FRAGMENT_BUFFERS);
        if let Some(is_allocated) = self.is_allocated.get_mut(index).filter(|is| !**is) {
            let block = || vec![0; self.fs.superblock().block_size as usize];
            if let Some(buffers) = self.buffers.get_mut(index) {
                *buffers = BlockBuffers::new(block(), block());
            }
            *is_allocated = true;
        }
        index
    }

    /// Fills `out` from `offset` on, as far as the file goes.
    pub(super) fn read_at(
        &mut self,
        file: &RegularFile,
        offset: u64,
        out: &mut [u8],
    ) -> Result<usize, Error> {
        let index = self.buffer(file);
        let Some(buffers) = self.buffers.get_mut(index) else { return Ok(0) };
        OpenFile::new(*file).read_at(&mut self.fs, buffers, offset, out)
    }

    /// Hands out a file's content piece by piece, holes unread, and returns its length.
    pub(super) fn pieces<E: From<Error>>(
        &mut self,
        file: &RegularFile,
        take: &mut dyn FnMut(Piece<'_>) -> Result<(), E>,
    ) -> Result<u64, E> {
        let index = self.buffer(file);
        let block = self.fs.superblock().block_size as usize;
        let Self { fs, buffers, piece, .. } = self;
        let Some(buffers) = buffers.get_mut(index) else { return Ok(0) };
        piece.resize(PIECE_BYTES.max(block), 0);
        let mut file = OpenFile::new(*file);
        let mut offset = 0;
        loop {
            let hole = file.hole_len(fs, offset)?;
            if hole > 0 {
                take(Piece::Hole(hole))?;
                offset += hole;
                continue;
            }
            let mut done = 0;
            for chunk in piece.chunks_mut(block) {
                let at = offset + done as u64;
                if at >= file.size() || done > 0 && file.hole_len(fs, at)? > 0 {
                    break;
                }
                done += file.read_at(fs, buffers, at, chunk)?;
            }
            if done == 0 {
                return Ok(offset);
            }
            take(Piece::Bytes(piece.get(..done).unwrap_or_default()))?;
            offset += done as u64;
        }
    }

    /// Reads the extended attributes at this index; `None` when they are more than [`MAX_XATTR_BYTES`].
    pub(super) fn xattrs(&mut self, index: u32) -> Result<Option<Vec<NamedXattr>>, Error> {
        let mut list = self.fs.xattrs(index)?;
        self.value.resize(MAX_XATTR_VALUE, 0);
        let (mut xattrs, mut bytes) = (Vec::new(), 0);
        while let Some(xattr) = list.next(&mut self.fs, &mut self.value)? {
            bytes += xattr.name.len() + xattr.value_len;
            if bytes > MAX_XATTR_BYTES {
                return Ok(None);
            }
            let content = self.value.get(..xattr.value_len).unwrap_or_default().to_vec();
            xattrs.push((xattr.name.to_vec(), content));
        }
        Ok(Some(xattrs))
    }
}
