//! `core::fs::squashfs`.

use core::hint::black_box;

use genpack_core::fs::squashfs::{
    BlockBuffers, Compressor, Decompress, DecompressError, FileSystem, FileType, Flags, Inode, InodeRef,
    MetadataBlock, Name, Node, OpenFile, Superblock,
};

use crate::{Input, Work, see, show};

pub(crate) const ENTRIES: &[crate::Entry] = &[
    superblock,
    open,
    inode,
    owner,
    export,
    stored,
    lookup,
    lookup_no_follow,
    directory,
    directory_into,
    find,
    read_file,
    holes,
    read_link,
    xattrs,
    compressor_options,
    codes,
    errors,
];

/// Stands for a program's own decompressors: it says of any block that it has any length.
struct Any;

impl Decompress for Any {
    fn decompress(&mut self, how: Compressor, from: &[u8], to: &mut [u8]) -> Result<usize, DecompressError> {
        see((how, from));
        black_box(Ok(to.len()))
    }
}

type Fs<'a, 'w> = FileSystem<&'a [u8], Any, &'w mut [MetadataBlock]>;

fn read<'a, 'w>(input: &Input<'a>, blocks: &'w mut [MetadataBlock]) -> Option<Fs<'a, 'w>> {
    FileSystem::open(input.bytes, Any, black_box(blocks)).ok()
}

fn any_inode(input: &Input<'_>, fs: &mut Fs<'_, '_>) -> Option<Inode> {
    fs.inode(InodeRef(input.number(0))).ok()
}

fn superblock(input: &Input<'_>, _: &mut Work) {
    see(input.bytes.first_chunk().map(Superblock::parse));
}

fn open(input: &Input<'_>, work: &mut Work) {
    if let Some(fs) = read(input, &mut work.blocks) {
        see((fs.superblock().flags.has(Flags::EXPORTABLE), fs.source().len()));
    }
}

fn inode(input: &Input<'_>, work: &mut Work) {
    let Some(mut fs) = read(input, &mut work.blocks) else { return };
    see(fs.root().map(|inode| inode.node.file_type()));
    see(fs.inode(InodeRef::new(input.short(0), 0)));
}

fn owner(input: &Input<'_>, work: &mut Work) {
    let Some(mut fs) = read(input, &mut work.blocks) else { return };
    if let Some(inode) = any_inode(input, &mut fs) {
        see((fs.owner(&inode), fs.id(inode.uid_index)));
    }
}

fn export(input: &Input<'_>, work: &mut Work) {
    let Some(mut fs) = read(input, &mut work.blocks) else { return };
    see((fs.export(input.short(0)), fs.inode_by_number(input.short(0))));
}

fn stored(input: &Input<'_>, work: &mut Work) {
    let Some(mut fs) = read(input, &mut work.blocks) else { return };
    see(fs.stored_fragment(input.short(0)));
    let Some(Node::RegularFile(file)) = any_inode(input, &mut fs).map(|inode| inode.node) else { return };
    let mut words = file.length_words();
    see((file.start_block(), words.next(&mut fs)));
}

fn lookup(input: &Input<'_>, work: &mut Work) {
    let Some(mut fs) = read(input, &mut work.blocks) else { return };
    see(fs.lookup(input.text.as_bytes()));
}

fn lookup_no_follow(input: &Input<'_>, work: &mut Work) {
    let Some(mut fs) = read(input, &mut work.blocks) else { return };
    see(fs.lookup_no_follow(input.text.as_bytes()));
}

fn directory(input: &Input<'_>, work: &mut Work) {
    let Some(mut fs) = read(input, &mut work.blocks) else { return };
    let Some(Node::Directory(directory)) = any_inode(input, &mut fs).map(|inode| inode.node) else { return };
    let mut entries = directory.entries();
    while let Ok(Some(entry)) = entries.next(&mut fs) {
        see((entry.inode, entry.name.as_slice()));
    }
}

fn directory_into(input: &Input<'_>, work: &mut Work) {
    let Some(mut fs) = read(input, &mut work.blocks) else { return };
    let Some(Node::Directory(directory)) = any_inode(input, &mut fs).map(|inode| inode.node) else { return };
    let (mut entries, mut name) = (directory.entries(), Name::new());
    while let Ok(Some(entry)) = entries.next_into(&mut fs, &mut name) {
        see((entry.inode, name.as_slice()));
    }
}

fn find(input: &Input<'_>, work: &mut Work) {
    let Some(mut fs) = read(input, &mut work.blocks) else { return };
    let Some(Node::Directory(directory)) = any_inode(input, &mut fs).map(|inode| inode.node) else { return };
    see(fs.find(&directory, input.text.as_bytes()));
}

fn read_file(input: &Input<'_>, work: &mut Work) {
    let Some(mut fs) = read(input, &mut work.blocks) else { return };
    let Some(Node::RegularFile(file)) = any_inode(input, &mut fs).map(|inode| inode.node) else { return };
    let [stored, block] = &mut work.data;
    let mut buffers = BlockBuffers::new(black_box(stored.as_mut_slice()), black_box(block.as_mut_slice()));
    let mut file = OpenFile::new(file);
    see((
        file.size(),
        file.read_at(&mut fs, &mut buffers, input.number(8), black_box(work.out.as_mut_slice())),
    ));
}

fn holes(input: &Input<'_>, work: &mut Work) {
    let Some(mut fs) = read(input, &mut work.blocks) else { return };
    let Some(Node::RegularFile(file)) = any_inode(input, &mut fs).map(|inode| inode.node) else { return };
    see(OpenFile::new(file).hole_len(&mut fs, input.number(8)));
}

fn read_link(input: &Input<'_>, work: &mut Work) {
    let Some(mut fs) = read(input, &mut work.blocks) else { return };
    let Some(Node::Symlink(link)) = any_inode(input, &mut fs).map(|inode| inode.node) else { return };
    see(fs.read_link(&link, black_box(work.out.as_mut_slice())));
}

fn xattrs(input: &Input<'_>, work: &mut Work) {
    let Some(mut fs) = read(input, &mut work.blocks) else { return };
    let Ok(mut reader) = fs.xattrs(input.short(0)) else { return };
    while let Ok(Some(xattr)) = reader.next(&mut fs, black_box(work.out.as_mut_slice())) {
        see((xattr.name.as_slice(), xattr.value_len));
    }
}

fn compressor_options(input: &Input<'_>, work: &mut Work) {
    let Some(mut fs) = read(input, &mut work.blocks) else { return };
    if let Ok(Some(options)) = fs.compressor_options() {
        show(options);
    }
}

fn codes(input: &Input<'_>, _: &mut Work) {
    let word = u16::try_from(input.short(0)).unwrap_or(0);
    see(FileType::from_basic(word));
    if let Some(compressor) = Compressor::from_id(word) {
        see(compressor.name());
        show(compressor);
    }
}

fn errors(input: &Input<'_>, work: &mut Work) {
    match FileSystem::open(input.bytes, Any, &mut work.blocks[..]).map(|mut fs| fs.root()) {
        Ok(Ok(_)) => {}
        Ok(Err(error)) | Err(error) => {
            see(error.class());
            show(error);
        }
    }
}
