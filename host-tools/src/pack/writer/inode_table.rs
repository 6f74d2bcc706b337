//! The inode table and the directory table, which name places in each other.

use super::Options;
use super::block::BlockEncoder;
use super::data::Data;
use super::directory::{self, Child};
use super::ids::Ids;
use super::inode::{FileData, Inode, kind};
use super::metadata::{METADATA_SIZE, MetadataWriter, Position};
use super::tree::{Tree, name, shown};
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
    let Sources { tree, data, .. } = sources;
    let mut places: Vec<Position> = Vec::with_capacity(tree.inodes().len());
    let (mut bytes, mut children) = (Vec::new(), Vec::new());
    for (index, planned) in (0..).zip(tree.inodes()) {
        let entry = tree.entry(planned.entry);
        let inode = Inode {
            mode: entry.mode,
            uid: sources.ids.index(entry.uid),
            gid: sources.ids.index(entry.gid),
            mtime: entry.mtime.min(sources.limit),
            number: index + 1,
            nlink: planned.nlink,
            xattr: sources.xattrs.index(index),
        };
        bytes.clear();
        match &entry.kind {
            Kind::Directory => {
                children.clear();
                children.extend(tree.children(planned.entry).iter().map(|child| {
                    let (entry, inode) = (tree.entry(*child), tree.inode_of(*child));
                    let at = places[inode as usize];
                    Child { name: name(&entry.path), kind: basic_type(entry), number: inode + 1, at }
                }));
                let listing = directory::write(&children, &mut directories)
                    .map_err(|e| e.context(format!("packing {}", shown(&entry.path))))?;
                inode.directory(&listing, tree.parent_number(planned.entry), &mut bytes);
            }
            Kind::File(file) => {
                let (placement, words) = data.placement(index);
                let data = FileData {
                    size: file.size,
                    start: placement.start,
                    words,
                    sparse: placement.sparse,
                    fragment: placement.fragment,
                    offset: placement.offset,
                };
                inode.file(&data, &mut bytes);
            }
            Kind::Symlink(target) => inode.symlink(target, &mut bytes),
            Kind::BlockDevice(device) | Kind::CharDevice(device) => {
                inode.device(basic_type(entry), *device, &mut bytes);
            }
            Kind::Fifo | Kind::Socket => inode.ipc(basic_type(entry), &mut bytes),
        }
        places.push(inodes.position()?);
        inodes.push(&bytes)?;
    }
    // The root is the last directory, see [`Tree`].
    let root = places.last().copied().unwrap_or_default();
    Ok(Tables { inodes: inodes.finish()?, directories: directories.finish()?, root, places })
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
