//! Large files with holes: what is deep inside is read without reading what is before it.

use std::cell::Cell;
use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::process::Command;

use genpack_core::fs::squashfs::{BlockBuffers, FileSystem, MetadataBlock, Node, OpenFile};
use genpack_core::source::{ReadAt, ReadError};
use genpack_host::io::decompress::Decompressors;

use super::{has_mksquashfs, mksquashfs};

const GIB: u64 = 1 << 30;
/// Where the file has bytes; everything else is holes.
const ISLANDS: [(u64, &[u8]); 4] =
    [(0, b"first"), (GIB + 17, b"second"), (4 * GIB - 3, b"across 32 bits"), (5 * GIB - 4, b"last")];

/// A source that counts what is read.
struct Counted {
    file: File,
    bytes: Cell<usize>,
}

impl ReadAt for Counted {
    fn read_exact_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        self.bytes.set(self.bytes.get() + buf.len());
        ReadAt::read_exact_at(&self.file, offset, buf)
    }

    fn size(&self) -> Result<u64, ReadError> {
        ReadAt::size(&self.file)
    }
}

fn sparse_image(dir: &Path) -> std::path::PathBuf {
    let [root, image] = ["tree", "image"].map(|n| dir.join(n));
    fs::create_dir(&root).unwrap();
    let file = File::create(root.join("sparse")).unwrap();
    file.set_len(5 * GIB).unwrap();
    ISLANDS.iter().for_each(|(at, bytes)| file.write_all_at(bytes, *at).unwrap());
    mksquashfs(&root, &image, &["-comp", "zstd"]);
    image
}

#[test]
fn file_of_five_gibibytes_is_read_deep_inside_and_unpacked_with_its_holes() {
    if !has_mksquashfs() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let image = sparse_image(dir.path());
    let source = Counted { file: File::open(&image).unwrap(), bytes: Cell::new(0) };
    // Why: places of blocks follow from times; in a small cache some of them push each other out.
    let cache = vec![MetadataBlock::EMPTY; 256];
    let mut fs = FileSystem::open(&source, Decompressors::default(), cache).unwrap();
    let Some(Node::RegularFile(file)) = fs.lookup(b"sparse").unwrap().map(|i| i.node) else { panic!() };
    assert_eq!(file.size, 5 * GIB);
    let mut buffers = BlockBuffers::new(vec![0; 131_072], vec![0; 131_072]);
    let mut file = OpenFile::new(file);
    for (at, bytes) in ISLANDS.into_iter().rev() {
        let mut out = vec![1; bytes.len()];
        assert_eq!(file.read_at(&mut fs, &mut buffers, at, &mut out).unwrap(), bytes.len());
        assert_eq!(out, bytes, "at {at}");
        let mut zeros = [1; 8];
        let n = file.read_at(&mut fs, &mut buffers, at + 500_000, &mut zeros).unwrap();
        assert!(zeros[..n].iter().all(|b| *b == 0));
    }
    // The whole image but for its padding, each of its blocks once: no data block is read for its place.
    assert!(source.bytes.get() as u64 <= fs.superblock().bytes_used, "{} bytes", source.bytes.get());

    let target = dir.path().join("target");
    let mut unpack = Command::new(env!("CARGO_BIN_EXE_genpack-host"));
    let output = unpack.args(["unpack", "--no-sync"]).args([&image, &target]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let unpacked = File::open(target.join("sparse")).unwrap();
    let found = unpacked.metadata().unwrap();
    assert_eq!(found.len(), 5 * GIB);
    // A block of 128 KiB for each island, two for the one across a block's end.
    assert!(found.blocks() * 512 <= 6 * 131_072, "{} bytes are stored", found.blocks() * 512);
    for (at, bytes) in ISLANDS {
        let mut out = vec![1; bytes.len()];
        ReadAt::read_exact_at(&unpacked, at, &mut out).unwrap();
        assert_eq!(out, bytes, "at {at}");
    }
}
