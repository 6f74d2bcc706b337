//! Each way in which a SquashFS can be wrong, made by one change to a sound image: the exact error and its place.
//!
//! What a superblock can say wrongly is in the unit tests of `fs/squashfs/superblock.rs`, compressor options in those
//! of `compressor_options.rs`, extended attributes in `replay_squashfs.rs`, decompressors in the host's `io/decompress.rs`.
#![cfg(feature = "_fuzz")]

use genpack_core::error::Class;
use genpack_core::fs::squashfs::{
    BlockBuffers, Compressor, Decompress, DecompressError, Error, FileSystem, InodeRef, MAX_DIR_ENTRIES,
    MetadataBlock, Node, OpenFile, Place,
};
use genpack_core::replay::squashfs::Stored;
use genpack_core::source::{ReadAt, ReadError};

/// Made by `fixtures/squashfs-all-types.sh`; every table is one metadata block, stored as it is.
const SEED: &[u8] = include_bytes!("fixtures/squashfs-all-types.squashfs");

type Fs<'i> = FileSystem<&'i [u8], Stored, [MetadataBlock; 4]>;

fn open(image: &[u8]) -> Fs<'_> {
    FileSystem::open(image, Stored, [MetadataBlock::EMPTY; 4]).unwrap()
}

/// Where the inode of `path` is: its place, and the byte in the image.
fn inode(path: &str) -> (Place, usize) {
    let mut fs = open(SEED);
    let at = fs.lookup_no_follow(path.as_bytes()).unwrap().unwrap().at;
    let block = fs.superblock().inode_table_start;
    assert_eq!(at.0 >> 16, 0, "the inode table is one block");
    (Place { block, offset: at.0 }, usize::try_from(block + 2 + at.0).unwrap())
}

/// Where the directory table's bytes begin.
fn listings() -> (u64, usize) {
    let block = open(SEED).superblock().directory_table_start;
    (block, usize::try_from(block + 2).unwrap())
}

fn patched(at: usize, bytes: &[u8]) -> Vec<u8> {
    let mut image = SEED.to_vec();
    image[at..at + bytes.len()].copy_from_slice(bytes);
    image
}

/// Reads the root's listing to its end, or to the error.
fn list(image: &[u8]) -> Result<usize, Error> {
    let mut fs = open(image);
    let Node::Directory(root) = fs.root()?.node else { panic!("the root is no directory") };
    let (mut entries, mut n) = (root.entries(), 0);
    while entries.next(&mut fs)?.is_some() {
        n += 1;
    }
    Ok(n)
}

/// Reads the file `holes`, a hole of one block and a tail of 19 bytes.
fn content(image: &[u8]) -> Result<usize, Error> {
    let mut fs = open(image);
    let Node::RegularFile(file) = fs.lookup(b"holes")?.unwrap().node else { panic!("no file") };
    let mut buffers = BlockBuffers::new([0; 4096], [0; 4096]);
    OpenFile::new(file).read_at(&mut fs, &mut buffers, 0, &mut [0; 8192])
}

#[test]
fn inode_with_a_bad_field_is_rejected_with_its_place() {
    let (place, at) = inode("fifo");
    for kind in [0, 15, u16::MAX] {
        let image = patched(at, &kind.to_le_bytes());
        assert_eq!(open(&image).lookup(b"fifo"), Err(Error::InodeType { at: place, kind }));
    }
    let (place, at) = inode("link");
    let end = Place { offset: place.offset + 24, ..place };
    for len in [0, 4097, u32::MAX] {
        let image = patched(at + 20, &len.to_le_bytes());
        let found = open(&image).lookup_no_follow(b"link");
        assert_eq!(found, Err(Error::SymlinkLength { at: end, len }));
    }
}

#[test]
fn metadata_block_with_a_bad_header_is_rejected_with_its_place() {
    let fs = open(SEED);
    let (table, root) = (fs.superblock().inode_table_start, fs.superblock().root_inode.0);
    let at = usize::try_from(table).unwrap();
    let length = u16::from_le_bytes([SEED[at], SEED[at + 1]]) & 0x7FFF;
    for (header, error) in [
        (0x8000, Error::MetadataLength { at: table, length: 0 }),
        (0x8000 | 8193, Error::MetadataLength { at: table, length: 8193 }),
        (0x8000 | 8192, Error::MetadataRange { at: table }),
        (0x8000 | 100, Error::MetadataOffset { at: table, offset: root }),
        (
            length,
            Error::Decompress {
                at: table,
                compressor: Compressor::Gzip,
                error: DecompressError::Unsupported,
            },
        ),
    ] {
        assert!(root > 100, "the root's inode is the last");
        assert_eq!(open(&patched(at, &u16::to_le_bytes(header))).root(), Err(error), "{header:#x}");
    }
}

#[test]
fn listing_with_a_bad_field_is_rejected_with_its_place() {
    let (block, start) = listings();
    let (root_place, root) = inode("/");
    let size = u16::from_le_bytes([SEED[root + 24], SEED[root + 25]]);
    let offset = u16::from_le_bytes([SEED[root + 26], SEED[root + 27]]);
    let (header, at) = (start + usize::from(offset), |n: u64| Place { block, offset: u64::from(offset) + n });
    // The first entry is `a`: offset, inode number, type, size, name.
    let entry = header + 12;
    assert_eq!(SEED[entry + 8], b'a');
    for (change, bytes, error) in [
        (header, &256_u32.to_le_bytes()[..], Error::DirCount { at: at(0), count: 257 }),
        (header, &u32::MAX.to_le_bytes(), Error::DirCount { at: at(0), count: u32::MAX }),
        (entry + 4, &[8, 0], Error::DirEntryType { at: at(12), kind: 8 }),
        (entry + 6, &[0, 1], Error::DirEnd { at: at(12) }),
        (entry + 8, b"/", Error::DirEntryName { at: at(12) }),
        (entry + 8, b"\0", Error::DirEntryName { at: at(12) }),
        (entry + 8, b".", Error::DirEntryName { at: at(12) }),
        (root + 24, &[3 + 11, 0], Error::DirEnd { at: at(0) }),
        (root + 24, &[3 + 12 + 7, 0], Error::DirEnd { at: at(12) }),
        (root + 24, &[3 + 12 + 8, 0], Error::DirEnd { at: at(12) }),
    ] {
        assert_eq!(list(&patched(change, bytes)), Err(error));
    }
    assert_eq!(list(SEED), Ok(16));
    assert_eq!(list(&patched(root + 24, &[3, 0])), Ok(0));
    let longer = (size + 1).to_le_bytes();
    assert!(matches!(list(&patched(root + 24, &longer)), Err(Error::DirEnd { .. })));
    assert_eq!(root_place.block, open(SEED).superblock().inode_table_start);
}

#[test]
fn content_with_a_bad_field_is_rejected_with_its_place() {
    let (_, at) = inode("holes");
    let start = u64::from_le_bytes(SEED[at + 16..at + 24].try_into().unwrap());
    // Two words behind the fields of an extended inode: the hole, the tail.
    let tail = at + 56 + 4;
    assert_eq!(SEED[at + 56..tail + 4], [0, 0, 0, 0, 19, 0, 0, 1]);
    let end = open(SEED).superblock().bytes_used;
    for (change, bytes, error) in [
        (
            tail,
            (1_u32 << 24 | 4097).to_le_bytes().to_vec(),
            Error::BlockLength { at: start, word: 1 << 24 | 4097 },
        ),
        (tail, (1_u32 << 25 | 1).to_le_bytes().to_vec(), Error::BlockLength { at: start, word: 1 << 25 | 1 }),
        (
            tail,
            (1_u32 << 24 | 18).to_le_bytes().to_vec(),
            Error::BlockContent { at: start, needs: 19, has: 18 },
        ),
        (
            tail,
            (1_u32 << 24 | 20).to_le_bytes().to_vec(),
            Error::BlockContent { at: start, needs: 19, has: 20 },
        ),
        (
            tail,
            19_u32.to_le_bytes().to_vec(),
            Error::Decompress {
                at: start,
                compressor: Compressor::Gzip,
                error: DecompressError::Unsupported,
            },
        ),
        (at + 16, (end - 18).to_le_bytes().to_vec(), Error::Range { at: end - 18 }),
        (at + 16, u64::MAX.to_le_bytes().to_vec(), Error::Range { at: u64::MAX }),
    ] {
        assert_eq!(content(&patched(change, &bytes)), Err(error), "{bytes:?}");
    }
    assert_eq!(content(SEED), Ok(4115));
}

#[test]
fn xattrs_that_are_too_many_are_rejected_with_their_place() {
    let fs = open(SEED);
    let table = fs.superblock().xattr_id_table_start.unwrap();
    let positions = usize::try_from(table).unwrap() + 16;
    let ids = u64::from_le_bytes(SEED[positions..positions + 8].try_into().unwrap());
    let count = usize::try_from(ids).unwrap() + 2 + 8;
    let image = patched(count, &9363_u32.to_le_bytes());
    let error = Error::TooManyXattrs { at: table + 16, index: 0, count: 9363 };
    assert_eq!(open(&image).xattrs(0).map(|_| ()), Err(error));
    assert_eq!(error.class(), Class::Limit);
    let image = patched(count, &9362_u32.to_le_bytes());
    assert!(open(&image).xattrs(0).is_ok());
}

/// A source whose disk is broken behind `sound` bytes.
struct Broken {
    sound: u64,
}

impl ReadAt for Broken {
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        let end = offset + buf.len() as u64;
        if end > self.sound { Err(ReadError::Io(5)) } else { ReadAt::read_exact_at(SEED, offset, buf) }
    }

    fn size(&self) -> Result<u64, ReadError> {
        ReadAt::size(SEED)
    }
}

#[test]
fn source_that_cannot_be_read_is_no_damage() {
    let at = open(SEED).superblock().inode_table_start;
    for (sound, at) in [(at, at), (at + 2, at + 2)] {
        let mut fs = FileSystem::open(Broken { sound }, Stored, [MetadataBlock::EMPTY; 2]).unwrap();
        let error = Error::Read { at, error: ReadError::Io(5) };
        assert_eq!((fs.root(), error.class()), (Err(error), Class::Io));
    }
    let error = FileSystem::open(Broken { sound: 3 }, Stored, [MetadataBlock::EMPTY; 2]).map(|_| ());
    assert_eq!(error, Err(Error::Read { at: 0, error: ReadError::Io(5) }));
}

#[test]
fn memory_for_less_than_two_metadata_blocks_is_too_small() {
    for len in 0..2 {
        let mut blocks = vec![MetadataBlock::EMPTY; len];
        let error = FileSystem::open(SEED, Stored, &mut blocks[..]).map(|_| ());
        assert_eq!(error, Err(Error::Buffer { needs: 2 }), "{len}");
    }
}

#[test]
fn source_that_is_cut_is_truncated() {
    let cut = &SEED[..SEED.len() - 1];
    let error = FileSystem::open(cut, Stored, [MetadataBlock::EMPTY; 2]).map(|_| ());
    let needs = SEED.len() as u64;
    assert_eq!(error, Err(Error::Truncated { needs, has: needs - 1 }));
    let error = FileSystem::open(&SEED[..95], Stored, [MetadataBlock::EMPTY; 2]).map(|_| ());
    assert_eq!(error, Err(Error::Truncated { needs: 96, has: 95 }));
}

/// Undoes the compression of one listing without end: a block is its number in four bytes, the listing repeats a header
/// and its 256 entries.
struct Endless;

impl Decompress for Endless {
    fn decompress(&mut self, _: Compressor, input: &[u8], out: &mut [u8]) -> Result<usize, DecompressError> {
        let mut run = vec![255, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0];
        (0..256).for_each(|_| run.extend([0, 0, 0, 0, 2, 0, 0, 0, b'x']));
        let number = u32::from_le_bytes(input.try_into().map_err(|_| DecompressError::Corrupt)?) as usize;
        let from = number * out.len();
        out.iter_mut().enumerate().for_each(|(i, b)| *b = run[(from + i) % run.len()]);
        Ok(out.len())
    }
}

#[test]
fn directory_of_a_small_image_with_too_many_entries_is_refused() {
    let mut image = vec![0; 96];
    // The root: an extended directory of four gigabytes.
    let mut root = vec![8, 0, 0xED, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0];
    for field in [2_u32, u32::MAX, 0, 2, 0, u32::MAX] {
        root.extend(field.to_le_bytes());
    }
    image.extend((0x8000 | u16::try_from(root.len()).unwrap()).to_le_bytes());
    image.extend(&root);
    let directories = image.len() as u64;
    for number in 0..1200_u32 {
        image.extend(4_u16.to_le_bytes());
        image.extend(number.to_le_bytes());
    }
    let ids = image.len() as u64;
    image.extend([4, 0x80, 0, 0, 0, 0]);
    let id_positions = image.len() as u64;
    image.extend(ids.to_le_bytes());
    let mut put = |at: usize, bytes: &[u8]| image[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"hsqs");
    put(4, &1_u32.to_le_bytes());
    put(12, &4096_u32.to_le_bytes());
    put(20, &[1, 0, 12, 0, 0, 0, 1, 0, 4, 0, 0, 0]);
    put(40, &(id_positions + 8).to_le_bytes());
    put(48, &id_positions.to_le_bytes());
    put(56, &u64::MAX.to_le_bytes());
    put(64, &96_u64.to_le_bytes());
    put(72, &directories.to_le_bytes());
    put(80, &u64::MAX.to_le_bytes());
    put(88, &u64::MAX.to_le_bytes());
    assert!(image.len() < 8192);

    let mut fs = FileSystem::open(&image[..], Endless, [MetadataBlock::EMPTY; 2]).unwrap();
    let Node::Directory(root) = fs.root().unwrap().node else { panic!("the root is no directory") };
    let (mut entries, mut n) = (root.entries(), 0);
    let error = loop {
        match entries.next(&mut fs) {
            Ok(Some(_)) => n += 1,
            Ok(None) => panic!("the listing ended"),
            Err(e) => break e,
        }
    };
    assert_eq!(n, MAX_DIR_ENTRIES);
    // Behind 4096 runs of 2316 bytes and one more header.
    let at = 4096 * 2316 + 12;
    let place = Place { block: directories + at / 8192 * 6, offset: at % 8192 };
    assert_eq!((error, error.class()), (Error::TooManyEntries { at: place }, Class::Limit));
}

#[test]
fn error_says_its_place_in_words() {
    let at = Place { block: 123, offset: 45 };
    for (error, words) in [
        (Error::Magic(1), "not a SquashFS (magic 0x00000001 at byte 0)"),
        (Error::Version { major: 3, minor: 1 }, "SquashFS version 3.1 (byte 28), only 4.0 is supported"),
        (Error::InodeType { at, kind: 15 }, "unknown inode type 15 (byte 45 of the metadata block at 123)"),
        (
            Error::InodeNumber { at: InodeRef(0x1_0002), wanted: 1, found: 2 },
            "the export table gives inode 2 for 1 (reference 0x10002)",
        ),
        (
            Error::DirEntryName { at },
            "a directory entry has an illegal name (byte 45 of the metadata block at 123)",
        ),
        (
            Error::Decompress { at: 9, compressor: Compressor::Xz, error: DecompressError::Memory },
            "xz block at 9: decompression would need too much memory",
        ),
    ] {
        assert_eq!(error.to_string(), words);
    }
}
