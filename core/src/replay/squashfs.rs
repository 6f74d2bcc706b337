//! Bodies for the SquashFS reader.

use core::cell::Cell;
use std::collections::HashSet;
use std::string::ToString;
use std::vec;
use std::vec::Vec;

use crate::fs::squashfs::{
    BlockBuffers, Compressor, Decompress, DecompressError, Error, FileSystem, FileType, InodeRef,
    MAX_SYMLINK, MAX_XATTR_VALUE, MetadataBlock, Node, OpenFile,
};
use crate::replay::{Budget, told};
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

/// A decompressor whose compressed form is the bytes themselves: a fuzzer makes no valid stream of xz, but the ways
/// behind a decompressor must be walked too.
#[derive(Clone, Copy, Debug)]
pub struct Echo;

impl Decompress for Echo {
    fn decompress(
        &mut self,
        _: Compressor,
        input: &[u8],
        output: &mut [u8],
    ) -> Result<usize, DecompressError> {
        let to = output.get_mut(..input.len()).ok_or(DecompressError::Corrupt)?;
        to.copy_from_slice(input);
        Ok(input.len())
    }
}

/// Reads an image through [`Echo`].
pub fn squashfs_read(image: &[u8]) {
    read_everything(image, Echo);
}

fn answer(error: Error) {
    let _ = error.class();
    told(error);
}

/// Opens the image and reads directories, links, owners and content as far as they go.
///
/// Law: one operation reads each metadata block at most twice on its way, whatever the image says.
pub fn read_everything(image: &[u8], decompress: impl Decompress) {
    // A metadata block has at least three bytes and is read in two steps; tables and data add a few.
    let per_pass = u64_from_usize(image.len()).saturating_add(32);
    let source = Budget { source: image, left: Cell::new(per_pass) };
    let cache = [const { MetadataBlock::EMPTY }; 4];
    let mut fs = match FileSystem::open(source, decompress, cache) {
        Ok(fs) => fs,
        Err(e) => return answer(e),
    };
    let block = usize_from_u32(fs.superblock().block_size);
    let mut buffers = BlockBuffers::new(vec![0; block], vec![0; block]);
    let mut content = vec![0; READ_LEN];
    let mut target = [0; 4096];
    assert_eq!(u64_from_usize(target.len()), u64::from(MAX_SYMLINK));

    let mut value = vec![0; MAX_XATTR_VALUE];
    match fs.compressor_options() {
        Ok(options) => assert!(options.is_none_or(|options| !options.to_string().is_empty())),
        Err(e) => answer(e),
    }
    assert!(!fs.superblock().compressor.to_string().is_empty());

    let mut seen: HashSet<InodeRef> = HashSet::new();
    let mut left: Vec<InodeRef> = vec![fs.superblock().root_inode];
    while let Some(at) = left.pop() {
        if seen.len() >= MAX_INODES || !seen.insert(at) {
            continue;
        }
        let refill = |fs: &FileSystem<Budget<&[u8]>, _, _>| fs.source().left.set(per_pass);
        refill(&fs);
        // Errors are answers here: only panics and endless reads count.
        let inode = match fs.inode(at) {
            Ok(inode) => inode,
            Err(e) => {
                answer(e);
                continue;
            }
        };
        let _ = fs.owner(&inode).map_err(answer);
        let _ = fs.inode_by_number(inode.number).map_err(answer);
        refill(&fs);
        if let Some(Ok(mut xattrs)) = inode.xattr.map(|index| fs.xattrs(index)) {
            for _ in 0..MAX_INODES {
                refill(&fs);
                let Ok(Some(_)) = xattrs.next(&mut fs, &mut value).map_err(answer) else { break };
            }
        }
        refill(&fs);
        match inode.node {
            Node::Directory(directory) => {
                let mut entries = directory.entries();
                while let Ok(Some(entry)) = entries.next(&mut fs).map_err(answer) {
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
                    let _ = file.read_at(&mut fs, &mut buffers, offset, &mut content).map_err(answer);
                }
            }
            Node::Symlink(link) => {
                let _ = fs.read_link(&link, &mut target).map_err(answer);
            }
            Node::BlockDevice(_) | Node::CharDevice(_) | Node::Fifo | Node::Socket => {}
        }
    }
    fs.source().left.set(per_pass);
    // The way of a link may lead to the root, which is a link itself in an image that nobody made.
    let is_tree = fs.root().is_ok_and(|root| root.node.file_type() == FileType::Directory);
    for path in ["", "/a/../a/file", "link", "link/file", "loop/x", "../..", "a/file/x"] {
        // Each component and each link may read a listing and an inode.
        fs.source().left.set(per_pass.saturating_mul(100));
        let followed = fs.lookup(path.as_bytes());
        if let (Ok(Some(inode)), true) = (&followed, is_tree) {
            assert!(inode.node.file_type() != FileType::Symlink, "a link is followed");
        }
        let _ = followed.map_err(answer);
        fs.source().left.set(per_pass.saturating_mul(100));
        let _ = fs.lookup_no_follow(path.as_bytes()).map_err(answer);
    }
}
