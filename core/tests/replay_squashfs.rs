//! The SquashFS reader on an image of every inode type, sound and damaged.
#![cfg(feature = "_fuzz")]

use genpack_core::fs::squashfs::{
    BlockBuffers, Device, Error, FileSystem, FileType, Fragment, MetadataBlock, Node, OpenFile, Place, Table,
};
use genpack_core::replay::mutate;
use genpack_core::replay::squashfs::{Stored, read_everything};

/// Made by `fixtures/squashfs-all-types.sh`.
const SEED: &[u8] = include_bytes!("fixtures/squashfs-all-types.squashfs");

#[test]
fn image_of_every_inode_type_is_read_without_a_decompressor() {
    let mut fs = FileSystem::open(SEED, Stored, [MetadataBlock::EMPTY; 2]).unwrap();
    let Node::Directory(root) = fs.root().unwrap().node else { panic!("the root is no directory") };
    let mut entries = root.entries();
    let mut found = Vec::new();
    while let Some(entry) = entries.next(&mut fs).unwrap() {
        let inode = fs.inode(entry.inode).unwrap();
        assert_eq!(inode.number, entry.inode_number);
        assert_eq!(inode.node.file_type(), entry.file_type);
        assert_eq!(inode.mtime, 1_700_000_000);
        assert_eq!(fs.owner(&inode), Ok((0, 0)));
        assert_eq!(fs.export(inode.number), Ok(Some(entry.inode)));
        let name = String::from_utf8(entry.name.to_vec()).unwrap();
        found.push((name, entry.file_type, inode.nlink, inode.xattr.is_some()));
    }
    let expected = [
        ("a", FileType::Directory, 2, false),
        ("block", FileType::BlockDevice, 1, false),
        ("char", FileType::CharDevice, 1, false),
        ("empty", FileType::Directory, 2, false),
        ("fifo", FileType::Fifo, 1, false),
        ("hard", FileType::RegularFile, 2, false),
        ("holes", FileType::RegularFile, 2, false),
        ("link", FileType::Symlink, 1, false),
        ("loop", FileType::Symlink, 1, false),
        ("socket", FileType::Socket, 1, true),
        ("x-block", FileType::BlockDevice, 1, true),
        ("x-char", FileType::CharDevice, 1, true),
        ("x-dir", FileType::Directory, 2, true),
        ("x-fifo", FileType::Fifo, 1, true),
        ("x-file", FileType::RegularFile, 1, true),
        ("x-link", FileType::Symlink, 1, true),
    ];
    assert_eq!(found, expected.map(|(name, t, nlink, xattr)| (name.to_owned(), t, nlink, xattr)));
}

#[test]
fn xattrs_of_every_extended_type_are_read() {
    let mut fs = FileSystem::open(SEED, Stored, [MetadataBlock::EMPTY; 2]).unwrap();
    let mut value = [0; 16];
    for path in ["x-dir", "x-file", "x-link", "x-block", "x-char", "x-fifo", "socket"] {
        let index = fs.lookup_no_follow(path.as_bytes()).unwrap().unwrap().xattr.unwrap();
        let mut xattrs = fs.xattrs(index).unwrap();
        let xattr = xattrs.next(&mut fs, &mut value).unwrap().unwrap();
        assert_eq!((&*xattr.name, &value[..xattr.value_len]), (&b"trusted.a"[..], &b"v"[..]), "{path}");
        assert_eq!(xattrs.next(&mut fs, &mut value), Ok(None), "{path}");
    }
    let missing = Error::TableIndex { table: Table::Xattr, index: 1000 };
    assert_eq!(fs.xattrs(1000).map(|_| ()), Err(missing));
    let mut xattrs = fs.xattrs(0).unwrap();
    assert_eq!(xattrs.next(&mut fs, &mut []), Err(Error::Buffer { needs: 1 }));
}

/// Returns the place of the byte at `at`, in the metadata block of the attributes.
fn open_place(at: usize) -> Place {
    let fs = FileSystem::open(SEED, Stored, [MetadataBlock::EMPTY; 2]).unwrap();
    let header = usize::try_from(fs.superblock().xattr_id_table_start.unwrap()).unwrap();
    let block = u64::from_le_bytes(SEED[header..header + 8].try_into().unwrap());
    Place { block, offset: at as u64 - block - 2 }
}

#[test]
fn xattr_with_a_bad_field_is_rejected() {
    // The list holds one entry: type 1, one byte of name, `a`, one byte of value, `v`.
    let entry = [1, 0, 1, 0, b'a', 1, 0, 0, 0, b'v'];
    let at = SEED.windows(entry.len()).position(|w| w == entry).unwrap();
    let lists = open_place(at);
    let value = Place { offset: lists.offset + 5, ..lists };
    for (offset, bytes, error) in [
        (0, &[3, 0][..], Error::XattrType { at: lists, kind: 3 }),
        (0, &[1, 2], Error::XattrType { at: lists, kind: 0x201 }),
        (0, &[1, 1], Error::XattrValue { at: value, len: 1 }),
        (2, &[0, 0], Error::XattrName { at: lists, len: 0 }),
        (2, &[0xFF, 0xFF], Error::XattrName { at: lists, len: 0xFFFF }),
        (4, &[0], Error::XattrName { at: lists, len: 1 }),
        (5, &[1, 0, 1, 0], Error::XattrValue { at: value, len: 0x1_0001 }),
        (5, &[8, 0, 0, 0], Error::Buffer { needs: 8 }),
    ] {
        let mut image = SEED.to_vec();
        image[at + offset..at + offset + bytes.len()].copy_from_slice(bytes);
        let mut fs = FileSystem::open(&image[..], Stored, [MetadataBlock::EMPTY; 2]).unwrap();
        let mut xattrs = fs.xattrs(0).unwrap();
        assert_eq!(xattrs.next(&mut fs, &mut [0]), Err(error), "{bytes:?} at {offset}");
    }
}

#[test]
fn inode_is_found_by_its_number() {
    let mut fs = FileSystem::open(SEED, Stored, [MetadataBlock::EMPTY; 2]).unwrap();
    for number in 1..=fs.superblock().inodes {
        assert_eq!(fs.inode_by_number(number).unwrap().unwrap().number, number);
    }
    for number in [0, fs.superblock().inodes + 1, u32::MAX] {
        let missing = Error::TableIndex { table: Table::Export, index: number };
        assert_eq!(fs.inode_by_number(number), Err(missing));
    }
    // The first entry of the export table is given the second one's inode.
    let positions = usize::try_from(fs.superblock().lookup_table_start.unwrap()).unwrap();
    let block = u64::from_le_bytes(SEED[positions..positions + 8].try_into().unwrap());
    let first = usize::try_from(block).unwrap() + 2;
    let at = fs.export(2).unwrap().unwrap();
    let mut image = SEED.to_vec();
    image.copy_within(first + 8..first + 16, first);
    let mut fs = FileSystem::open(&image[..], Stored, [MetadataBlock::EMPTY; 2]).unwrap();
    assert_eq!(fs.inode_by_number(1), Err(Error::InodeNumber { at, wanted: 1, found: 2 }));
}

#[test]
fn compressor_options_are_absent_where_the_superblock_has_none() {
    let mut fs = FileSystem::open(SEED, Stored, [MetadataBlock::EMPTY; 2]).unwrap();
    assert_eq!(fs.compressor_options(), Ok(None));
}

#[test]
fn paths_of_the_image_lead_where_they_should() {
    let mut fs = FileSystem::open(SEED, Stored, [MetadataBlock::EMPTY; 2]).unwrap();
    let a_file = fs.lookup(b"/a/file").unwrap().unwrap();
    for path in ["a/file", "link/file", "x-link", "../a/./file", "/link/../a//file"] {
        assert_eq!(fs.lookup(path.as_bytes()), Ok(Some(a_file)), "{path}");
    }
    for path in ["nothing", "a/file/", "a/nothing", "char/x"] {
        assert_eq!(fs.lookup(path.as_bytes()), Ok(None), "{path}");
    }
    assert_eq!(fs.lookup(b"loop"), Err(Error::TooManyLinks));
    let Some(Node::CharDevice(device)) = fs.lookup(b"x-char").unwrap().map(|i| i.node) else { panic!() };
    assert_eq!(device, Device { major: 1, minor: 5 });
}

#[test]
fn path_through_more_directories_than_the_bound_is_rejected() {
    // The entry of the empty directory leads to the root: both inodes lie in one metadata block.
    let mut image = SEED.to_vec();
    let name = image.windows(5).position(|bytes| bytes == b"empty").unwrap();
    let root = FileSystem::open(SEED, Stored, [MetadataBlock::EMPTY; 2]).unwrap().superblock().root_inode.0;
    image[name - 8..name - 6].copy_from_slice(&root.to_le_bytes()[..2]);
    let mut fs = FileSystem::open(&image[..], Stored, [MetadataBlock::EMPTY; 2]).unwrap();
    assert_eq!(fs.lookup(&b"empty/".repeat(256)), Ok(Some(fs.root().unwrap())));
    assert_eq!(fs.lookup(&b"empty/".repeat(257)), Err(Error::PathTooLong));
}

#[test]
fn file_with_a_hole_and_file_in_a_fragment_are_read() {
    let mut fs = FileSystem::open(SEED, Stored, [MetadataBlock::EMPTY; 2]).unwrap();
    let Some(Node::RegularFile(file)) = fs.lookup(b"hard").unwrap().map(|i| i.node) else { panic!() };
    assert_eq!((file.size, file.fragment), (4115, None));
    let mut buffers = BlockBuffers::new([0; 4096], [0; 4096]);
    let mut out = [1; 8192];
    let n = OpenFile::new(file).read_at(&mut fs, &mut buffers, 0, &mut out).unwrap();
    assert_eq!(out[..n], [&[0; 4096][..], b"tail behind a hole\n"].concat());
    let holes = [0, 1, 4095, 4096, 4115, u64::MAX].map(|at| OpenFile::new(file).hole_len(&mut fs, at));
    assert_eq!(holes, [Ok(4096), Ok(4095), Ok(1), Ok(0), Ok(0), Ok(0)]);

    let Some(Node::RegularFile(file)) = fs.lookup(b"a/file").unwrap().map(|i| i.node) else { panic!() };
    assert_eq!((file.size, file.fragment), (8, Some(Fragment { index: 0, offset: 0 })));
    let n = OpenFile::new(file).read_at(&mut fs, &mut buffers, 3, &mut out).unwrap();
    assert_eq!(out[..n], *b"tent\n");

    let mut small = BlockBuffers::new([0; 4095], [0; 4095]);
    let error = OpenFile::new(file).read_at(&mut fs, &mut small, 0, &mut out);
    assert_eq!(error, Err(Error::Buffer { needs: 4096 }));
}

#[test]
fn image_with_damage_neither_panics_nor_reads_without_end() {
    mutate(SEED, 10_000, |image| read_everything(image, Stored));
}

#[test]
fn image_cut_anywhere_is_an_error() {
    for len in 0..SEED.len() {
        assert!(FileSystem::open(&SEED[..len], Stored, [MetadataBlock::EMPTY; 2]).is_err(), "{len}");
    }
}

#[test]
fn every_byte_of_the_image_may_be_any_extreme() {
    for at in 0..SEED.len() {
        for value in [0, 1, 0x7F, 0x80, 0xFF] {
            let mut image = SEED.to_vec();
            image[at] = value;
            read_everything(&image, Stored);
        }
    }
}
