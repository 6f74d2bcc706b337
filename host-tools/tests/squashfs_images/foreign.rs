//! The same image through our reader and through unsquashfs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use genpack_core::fs::squashfs::{BlockBuffers, Device, FileSystem, FileType, MetadataBlock, Node, OpenFile};
use genpack_host::io::decompress::Decompressors;
use genpack_host::io::system_image::{Entry, SystemImage};
use genpack_host::look::image::long_lines;

use super::{has_mksquashfs, mksquashfs, tree};

/// Every compressor with the smallest, the usual and the largest block.
const COMPRESSORS: &[&[&str]] = &[
    &["-comp", "gzip"],
    &["-comp", "gzip", "-Xcompression-level", "1", "-Xwindow-size", "10", "-b", "4K"],
    &["-comp", "gzip", "-b", "1M"],
    &["-comp", "xz"],
    &["-comp", "xz", "-Xbcj", "x86", "-Xdict-size", "50%", "-b", "1M"],
    &["-comp", "lzo"],
    &["-comp", "lzo", "-Xalgorithm", "lzo1x_1", "-b", "4K"],
    &["-comp", "lzo", "-b", "1M"],
    &["-comp", "lz4"],
    &["-comp", "lz4", "-Xhc", "-b", "1M"],
    &["-comp", "zstd", "-Xcompression-level", "3"],
    &["-comp", "zstd", "-Xcompression-level", "1", "-b", "4K"],
    &["-comp", "zstd", "-b", "1M"],
    &["-comp", "lzma"],
    &["-comp", "lzma", "-b", "4K"],
    &["-comp", "lzma", "-b", "1M"],
];

/// Options that change what is on the disk.
const LAYOUTS: &[&[&str]] = &[
    &["-noI"],
    &["-noD"],
    &["-noF"],
    &["-noI", "-noD", "-noF", "-noX"],
    &["-noId"],
    &["-no-fragments"],
    &["-always-use-fragments"],
    &["-always-use-fragments", "-b", "1M"],
    &["-no-duplicates", "-no-exports", "-no-sparse"],
    &["-no-xattrs", "-no-tailends", "-nopad"],
];

/// Returns what `unsquashfs -lln` prints: one line per path, runs of blanks made one.
fn unsquashfs_lines(image: &Path) -> BTreeSet<String> {
    let mut command = Command::new("unsquashfs");
    command.args(["-lln", "-d", ""]).arg(image).env("TZ", "UTC").env("LC_ALL", "C.UTF-8");
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let line = |l: &str| l.split_whitespace().collect::<Vec<_>>().join(" ").replace(", ", ",");
    String::from_utf8(output.stdout).unwrap().lines().filter(|l| !l.is_empty()).map(line).collect()
}

/// Returns our `ls -l` of everything, in the form of [`unsquashfs_lines`].
fn our_lines(entries: &BTreeMap<Vec<u8>, Entry>) -> BTreeSet<String> {
    let line = |(path, e): (&Vec<u8>, &Entry)| {
        let name = if path.is_empty() { Vec::new() } else { [b"/", path.as_slice()].concat() };
        let line = long_lines(&[Entry { name, ..e.clone() }]).concat();
        // `2026-11-21T02:36:00Z` is `2026-11-21 02:36` there.
        let (before, time) = line.split_at(line.find('T').unwrap());
        format!("{before} {}{}", &time[1..6], &time[10..]).trim_end().to_owned()
    };
    entries.iter().map(line).collect()
}

fn walk(image: &SystemImage) -> BTreeMap<Vec<u8>, Entry> {
    let mut entries = BTreeMap::from([(Vec::new(), image.stat("/").unwrap().unwrap())]);
    image
        .walk(&mut |path, e| {
            assert!(entries.insert(path.to_vec(), e.clone()).is_none());
            Ok(())
        })
        .unwrap();
    entries
}

/// Compares everything that our reader says about `image` with what unsquashfs lists and extracts.
fn compare_with_unsquashfs(image_path: &Path, scratch: &Path, options: &[&str]) {
    let image = SystemImage::open(image_path).unwrap();
    let entries = walk(&image);
    let (ours, theirs) = (our_lines(&entries), unsquashfs_lines(image_path));
    let different: Vec<_> = ours.symmetric_difference(&theirs).collect();
    assert!(different.is_empty(), "{options:?}: {different:#?}");
    assert_eq!(
        image.superblock().inodes as usize,
        entries.values().map(|e| e.inode_number).collect::<BTreeSet<_>>().len()
    );

    let extracted = scratch.join("extracted");
    let output = Command::new("unsquashfs")
        .args(["-n", "-q", "-da", "16", "-fr", "16", "-d"])
        .args([&extracted, image_path])
        .output()
        .unwrap();
    assert!(output.status.success(), "{options:?}: {}", String::from_utf8_lossy(&output.stderr));
    for (path, e) in &entries {
        let path = std::str::from_utf8(path).unwrap();
        let metadata = fs::symlink_metadata(extracted.join(path)).unwrap();
        assert_eq!(metadata.mode() & 0o7777, u32::from(e.mode), "{options:?}: {path}");
        assert_eq!(metadata.mtime(), i64::from(e.mtime), "{options:?}: {path}");
        if e.file_type == FileType::RegularFile {
            assert_eq!(metadata.nlink(), u64::from(e.nlink), "{options:?}: {path}");
            let mut content = Vec::new();
            assert_eq!(image.copy_entry(e, &mut content).unwrap(), e.size);
            assert!(content == fs::read(extracted.join(path)).unwrap(), "{options:?}: {path} differs");
        }
    }
    fs::remove_dir_all(extracted).unwrap();
}

fn compare_all(options: &[&[&str]], fill: impl FnOnce(&Path)) {
    if !has_mksquashfs() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (root, image) = (dir.path().join("tree"), dir.path().join("image"));
    fs::create_dir(&root).unwrap();
    fill(&root);
    for options in options {
        mksquashfs(&root, &image, options);
        compare_with_unsquashfs(&image, dir.path(), options);
    }
}

fn everything(root: &Path) {
    tree::plain(root);
    if tree::is_root() {
        tree::special(root);
        tree::extended(root);
    }
}

#[test]
fn image_of_every_compressor_reads_as_unsquashfs_reads_it() {
    compare_all(COMPRESSORS, everything);
}

#[test]
fn image_of_every_layout_reads_as_unsquashfs_reads_it() {
    compare_all(LAYOUTS, everything);
}

#[test]
fn directory_with_an_index_reads_as_unsquashfs_reads_it() {
    compare_all(&[&["-comp", "gzip"], &["-comp", "lz4", "-b", "4K", "-noI"]], tree::large_directory);
}

#[test]
fn inode_of_every_extended_type_is_read() {
    if !has_mksquashfs() || !tree::is_root() {
        eprintln!("skipped: trusted attributes need root");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (root, image) = (dir.path().join("tree"), dir.path().join("image"));
    fs::create_dir(&root).unwrap();
    everything(&root);
    tree::wide_device(&root);
    mksquashfs(&root, &image, &["-comp", "gzip"]);
    let mut fs = FileSystem::open(
        File::open(&image).unwrap(),
        Decompressors::default(),
        [MetadataBlock::EMPTY, MetadataBlock::EMPTY],
    )
    .unwrap();
    for (path, file_type) in [
        ("empty", FileType::Directory),
        ("mixed", FileType::RegularFile),
        ("link-relative", FileType::Symlink),
        ("block", FileType::BlockDevice),
        ("char", FileType::CharDevice),
        ("fifo", FileType::Fifo),
        ("socket", FileType::Socket),
    ] {
        // Why: only the extended types have an xattr index.
        let inode = fs.lookup_no_follow(path.as_bytes()).unwrap().unwrap();
        assert_eq!(inode.node.file_type(), file_type, "{path}");
        assert!(inode.xattr.is_some(), "{path}");
        let exported = fs.export(inode.number).unwrap().unwrap();
        assert_eq!(fs.inode(exported), Ok(inode), "{path}");
    }
    let wide = fs.lookup(b"wide").unwrap().unwrap().node;
    assert_eq!(wide, Node::CharDevice(Device { major: 300, minor: 70_000 }));
    assert_eq!(fs.lookup_no_follow(b"a").unwrap().unwrap().xattr, None);
}

#[test]
fn read_at_any_offset_is_the_slice_of_the_file() {
    if !has_mksquashfs() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (root, image) = (dir.path().join("tree"), dir.path().join("image"));
    fs::create_dir(&root).unwrap();
    tree::plain(&root);
    for options in [&["-comp", "lz4", "-b", "4K"][..], &["-comp", "lz4", "-always-use-fragments"], &["-noD"]]
    {
        mksquashfs(&root, &image, options);
        let file = File::open(&image).unwrap();
        let mut fs = FileSystem::open(file, Decompressors::default(), [MetadataBlock::EMPTY; 2]).unwrap();
        let block = fs.superblock().block_size as usize;
        let mut buffers = BlockBuffers::new(vec![0; block], vec![0; block]);
        for name in ["mixed", "sparse", "sizes/noise-12289", "sizes/text-1048577", "sizes/text-0"] {
            let content = fs::read(root.join(name)).unwrap();
            let Some(Node::RegularFile(file)) = fs.lookup(name.as_bytes()).unwrap().map(|i| i.node) else {
                panic!("{name}");
            };
            let mut file = OpenFile::new(file);
            assert_eq!(file.size(), content.len() as u64);
            // Forwards, backwards, inside a block, over several, at the end, behind it.
            for (offset, len) in [
                (0, 1),
                (5, 10_000),
                (4095, 2),
                (250_000, 300_000),
                (131_071, 2),
                (12_288, 4096),
                (content.len().saturating_sub(3), 10),
                (content.len(), 10),
                (content.len() + 1_000_000, 10),
                (0, content.len() + 1),
            ] {
                let mut out = vec![1; len];
                let n = file.read_at(&mut fs, &mut buffers, offset as u64, &mut out).unwrap();
                let from = offset.min(content.len());
                let expected = &content[from..(from + len).min(content.len())];
                assert!(out[..n] == *expected, "{options:?} {name} at {offset} for {len}: {n} bytes");
            }
        }
    }
}
