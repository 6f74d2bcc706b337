//! The inode table and the directory table, which name places in each other.
//!
//! Inodes of everything but directories come first and name no place in a table, so their blocks are compressed on
//! all threads. From there on each block decides the places that the next ones name: one thread goes on alone.

use super::Options;
use super::block::BlockEncoder;
use super::data::Data;
use super::directory::{self, Child};
use super::ids::Ids;
use super::inode::{FileData, Inode, kind};
use super::metadata::{METADATA_SIZE, MetadataWriter, Position};
use super::tree::{self, Tree, name, shown};
use super::xattr::XattrLists;
use crate::command_error::Result;
use crate::pack::entry::{Entry, Kind};

/// What inodes are made of.
pub(super) struct Sources<'a> {
    pub(super) tree: &'a Tree,
    pub(super) data: &'a Data,
    pub(super) ids: &'a Ids,
    pub(super) xattrs: &'a XattrLists,
    /// The newest modification time.
    pub(super) limit: u32,
}

/// Both tables as they are stored.
pub(super) struct Tables {
    pub(super) inodes: Vec<u8>,
    pub(super) directories: Vec<u8>,
    /// The root directory's inode.
    pub(super) root: Position,
    places: Vec<Position>,
}

impl Tables {
    /// Returns the content of the export table: the place of each inode by its number.
    pub(super) fn export_table(&self) -> Vec<u8> {
        self.places.iter().flat_map(|place| place.reference().to_le_bytes()).collect()
    }
}

/// Makes both tables.
pub(super) fn emit(sources: &Sources<'_>, options: &Options<'_>) -> Result<Tables> {
    let encoder = || BlockEncoder::new(&options.compression, METADATA_SIZE as u32, options.verify);
    let (mut inode_encoder, mut directory_encoder) = (encoder()?, encoder()?);
    let mut inodes = MetadataWriter::new(&mut inode_encoder);
    let mut directories = MetadataWriter::new(&mut directory_encoder);
    let tree = sources.tree;
    let is_directory = |inode: &tree::Inode| tree.entry(inode.entry).is_directory();
    let files = tree.inodes().partition_point(|inode| !is_directory(inode));
    let (mut places, mut bytes) = (Vec::with_capacity(tree.inodes().len()), Vec::new());
    for index in 0..files as u32 {
        // The number of the block; where that will be is known later.
        places.push((bytes.len() / METADATA_SIZE, (bytes.len() % METADATA_SIZE) as u16));
        sources.file(index, &mut bytes);
    }
    let threads = options.workers().min(bytes.len() / METADATA_SIZE / MIN_BLOCKS + 1);
    let mut encoders = (0..threads).map(|_| encoder()).collect::<Result<Vec<_>>>()?;
    let starts = inodes.push_parallel(&bytes, &mut encoders)?;
    let mut places: Vec<Position> =
        places.into_iter().map(|(block, offset)| Position { block: starts[block], offset }).collect();
    let mut children = Vec::new();
    for (index, planned) in (0..).zip(tree.inodes()).skip(files) {
        let entry = tree.entry(planned.entry);
        children.clear();
        children.extend(tree.children(planned.entry).iter().map(|child| {
            let (entry, inode) = (tree.entry(*child), tree.inode_of(*child));
            let at = places[inode as usize];
            Child { name: name(&entry.path), kind: basic_type(entry), number: inode + 1, at }
        }));
        let listing = directory::write(&children, &mut directories)
            .map_err(|e| e.context(format!("packing {}", shown(&entry.path))))?;
        bytes.clear();
        sources.inode(index).directory(&listing, tree.parent_number(planned.entry), &mut bytes);
        places.push(inodes.position()?);
        inodes.push(&bytes)?;
    }
    // The root is the last directory, see [`Tree`].
    let root = places.last().copied().unwrap_or_default();
    Ok(Tables { inodes: inodes.finish()?, directories: directories.finish()?, root, places })
}

/// Blocks for which another thread is worth being started.
const MIN_BLOCKS: usize = 16;

impl Sources<'_> {
    fn inode(&self, index: u32) -> Inode {
        let planned = self.tree.inodes()[index as usize];
        let entry = self.tree.entry(planned.entry);
        Inode {
            mode: entry.mode,
            uid: self.ids.index(entry.uid),
            gid: self.ids.index(entry.gid),
            mtime: entry.mtime.min(self.limit),
            number: index + 1,
            nlink: planned.nlink,
            xattr: self.xattrs.index(index),
        }
    }

    /// Appends the inode of anything but a directory.
    fn file(&self, index: u32, bytes: &mut Vec<u8>) {
        let entry = self.tree.entry(self.tree.inodes()[index as usize].entry);
        let inode = self.inode(index);
        match &entry.kind {
            Kind::Directory => unreachable!("directories come behind"),
            Kind::File(file) => {
                let (placement, words) = self.data.placement(index);
                let data = FileData {
                    size: file.size,
                    start: placement.start,
                    words,
                    sparse: placement.sparse,
                    fragment: placement.fragment,
                    offset: placement.offset,
                };
                inode.file(&data, bytes);
            }
            Kind::Symlink(target) => inode.symlink(target, bytes),
            Kind::BlockDevice(device) | Kind::CharDevice(device) => {
                inode.device(basic_type(entry), *device, bytes);
            }
            Kind::Fifo | Kind::Socket => inode.ipc(basic_type(entry), bytes),
        }
    }
}

fn basic_type(entry: &Entry) -> u16 {
    match entry.kind {
        Kind::Directory => kind::DIRECTORY,
        Kind::File(_) => kind::FILE,
        Kind::Symlink(_) => kind::SYMLINK,
        Kind::BlockDevice(_) => kind::BLOCK_DEVICE,
        Kind::CharDevice(_) => kind::CHAR_DEVICE,
        Kind::Fifo => kind::FIFO,
        Kind::Socket => kind::SOCKET,
    }
}
