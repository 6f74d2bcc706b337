//! Bodies for the SquashFS reader.

use core::cell::Cell;
use std::collections::HashSet;
use std::vec;
use std::vec::Vec;

use crate::fs::squashfs::{
    BlockBuffers, Compressor, Decompress, DecompressError, FileSystem, Inode, InodeRef, MAX_SYMLINK,
    MAX_XATTR_VALUE, MetadataBlock, Node, OpenFile,
};
use crate::replay::Budget;
use crate::units::{u64_from_usize, usize_from_u32};

/// Inodes that one round looks at: a directory may contain itself under any number of references.
const MAX_INODES: usize = 64;
/// How much of a file is read at once, in bytes.
const READ_LEN: usize = 9000;

/// A decompressor that undoes nothing: for images that are stored as they are.
#[derive(Clone, Copy, Debug)]
pub struct Stored;

impl Decompress for Stored {
    fn decompress(&mut self, _: Compressor, _: &[u8], _: &mut [u8]) -> Result<usize, DecompressError> {
        Err(DecompressError::Unsupported)
    }
}

/// Opens the image and reads directories, links, owners and content as far as they go.
///
/// Law: one operation reads each metadata block at most twice on its way, whatever the image says.
pub fn read_everything(image: &[u8], decompress: impl Decompress) {
    // A metadata block has at least three bytes and is read in two steps; tables and data add a few.
    let per_pass = u64_from_usize(image.len()).saturating_add(32);
    let source = Budget { bytes: image, left: Cell::new(per_pass) };
    let cache = [const { MetadataBlock::EMPTY }; 3];
    let Ok(mut fs) = FileSystem::open(source, decompress, cache) else { return };
    let block = usize_from_u32(fs.superblock().block_size);
    let mut buffers = BlockBuffers::new(vec![0; block], vec![0; block]);
    let mut content = vec![0; READ_LEN];
    let mut target = [0; 4096];
    assert_eq!(u64_from_usize(target.len()), u64::from(MAX_SYMLINK));

    let mut value = vec![0; MAX_XATTR_VALUE];
    let _ = fs.compressor_options();

    let mut seen: HashSet<InodeRef> = HashSet::new();
    let mut left: Vec<InodeRef> = vec![fs.superblock().root_inode];
    while let Some(at) = left.pop() {
        if seen.len() >= MAX_INODES || !seen.insert(at) {
            continue;
        }
        let refill = |fs: &FileSystem<Budget<'_>, _, _>| fs.source().left.set(per_pass);
        refill(&fs);
        let Ok(inode) = fs.inode(at) else { continue };
        // Errors are answers here: only panics and endless reads count.
        let _ = fs.owner(&inode);
        let _ = fs.inode_by_number(inode.number);
        refill(&fs);
        if let Some(Ok(mut xattrs)) = inode.xattr.map(|index| fs.xattrs(index)) {
            for _ in 0..MAX_INODES {
                refill(&fs);
                let Ok(Some(_)) = xattrs.next(&mut fs, &mut value) else { break };
            }
        }
        refill(&fs);
        match inode.node {
            Node::Directory(directory) => {
                let mut entries = directory.entries();
                while let Ok(Some(entry)) = entries.next(&mut fs) {
                    // The law about an index: what is in the listing is found, whatever the index says.
                    let before = fs.source().left.replace(per_pass.saturating_mul(4));
                    let found = fs.find(&directory, &entry.name);
                    assert!(!matches!(found, Ok(None)), "a name of the listing is not found");
                    fs.source().left.set(before);
                    left.push(entry.inode);
                    if left.len() > MAX_INODES {
                        break;
                    }
                }
            }
            Node::RegularFile(file) => {
                let mut file = OpenFile::new(file);
                let end = file.size().saturating_sub(1);
                for offset in [0, 4096, 100, end] {
                    refill(&fs);
                    let _ = file.hole_len(&mut fs, offset);
                    refill(&fs);
                    let _ = file.read_at(&mut fs, &mut buffers, offset, &mut content);
                }
            }
            Node::Symlink(link) => {
                let _ = fs.read_link(&link, &mut target);
            }
            Node::BlockDevice(_) | Node::CharDevice(_) | Node::Fifo | Node::Socket => {}
        }
    }
    for path in ["", "/a/../a/file", "link", "link/file", "loop/x", "../..", "a/file/x"] {
        // Each component and each link may read a listing and an inode.
        fs.source().left.set(per_pass.saturating_mul(100));
        let found: Result<Option<Inode>, _> = fs.lookup(path.as_bytes());
        let _ = found;
    }
}
