//! What goes in comes out.

use std::path::Path;

use genpack_host::io::interrupt::Interrupt;
use genpack_host::pack::compress::Method;
use genpack_host::pack::entry::{Entry, Kind};
use genpack_host::pack::writer::{Options, Summary};

use super::readers::{assert_same, can_unsquash, promised, read, unsquash};
use super::trees::{Prng, directory, entry, everything, file, stored, with_xattrs, xattr};
use super::{options, pack};

const GZIP: Method = Method::Gzip { level: 6 };

/// Packs entries, with and without tails in fragment blocks, and asks both readers.
#[track_caller]
fn round_trip(entries: Vec<Entry>, method: Method, block_size: u32, image: &Path) -> Summary {
    let interrupt = Interrupt::default();
    let options = options(method, block_size, &interrupt);
    comes_back(&entries, &Options { tails: true, ..options }, image);
    comes_back(&entries, &options, image)
}

#[track_caller]
fn comes_back(entries: &[Entry], options: &Options<'_>, image: &Path) -> Summary {
    let wanted = promised(entries);
    let summary = pack(entries.to_vec(), image, options).unwrap();
    let what = format!("{:?} {} tails: {}", options.compression, options.block_size, options.tails);
    assert_same(&read(image), &wanted, &format!("our reader, {what}"));
    if can_unsquash() {
        assert_same(&unsquash(image), &wanted, &format!("unsquashfs, {what}"));
    }
    summary
}

#[test]
fn tail_shares_a_fragment_block_unless_it_is_zeros() {
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("image");
    let mut random = Prng(9);
    let mut noise = |len: usize| -> Vec<u8> { (0..len).map(|_| random.next() as u8).collect() };
    let (blocks, tail) = (noise(8192), noise(1000));
    let entries = vec![
        directory(""),
        file("a", [&blocks[..], &tail].concat()),
        file("b-same", [&blocks[..], &tail].concat()),
        file("c-tail-alone", tail.clone()),
        file("d-other-blocks", [&noise(4096)[..], &tail].concat()),
        file("e-zeros", [&noise(4096)[..], &[0; 1000]].concat()),
        file("f-hole", vec![0; 9192]),
        file("g-full", noise(4096)),
        stored("h-stored", noise(5000)),
    ];
    let interrupt = Interrupt::default();
    let options = Options { tails: true, ..options(Method::None, 4096, &interrupt) };
    let summary = comes_back(&entries, &options, &image);
    assert_eq!((summary.duplicate_bytes, summary.sparse_bytes), (8192 + 3 * 1000, 1000 + 9192));
    let found = genpack_host::io::system_image::SystemImage::open(&image).unwrap();
    assert_eq!(found.superblock().fragments, 1, "1000 bytes, once");
    let own = [8192, 1000, 4096, 4096, 4096, 5000].iter().sum::<u64>();
    let tables = summary.image_bytes - own;
    assert!((1..4096 + 1024).contains(&tables), "{tables}");
}

#[test]
fn everything_comes_back_with_every_compressor() {
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("image");
    let xz = Method::Xz { level: 1, dictionary: 8192, bcj: None };
    for method in [GZIP, Method::Zstd { level: 3 }, Method::None, xz, Method::Lz4 { high: true }, Method::Lzo]
    {
        round_trip(everything(), method, 4096, &image);
    }
    round_trip(everything(), GZIP, 1 << 20, &image);
}

#[test]
fn equal_content_is_stored_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut random = Prng(4);
    let large: Vec<u8> = (0..50_000).map(|_| random.next() as u8).collect();
    let entries = vec![
        directory(""),
        file("a", large.clone()),
        file("b-branch", [&large[..8192], &[1; 9000]].concat()),
        file("c-middle", large[8192..20_480].to_vec()),
        file("d-prefix", large[..8192].to_vec()),
        file("e-twin", large.clone()),
        file("f-small", b"small".to_vec()),
        file("g-small-twin", b"small".to_vec()),
    ];
    let summary = round_trip(entries, GZIP, 4096, &dir.path().join("image"));
    assert_eq!(summary.duplicate_bytes, 12_288 + 8192 + 50_000 + 5);
}

#[test]
fn extended_attributes_come_back() {
    let dir = tempfile::tempdir().unwrap();
    round_trip(with_xattrs(everything()), GZIP, 131_072, &dir.path().join("image"));
    let mut entries = vec![directory(""), file("f", b"x".to_vec())];
    entries[1].xattrs = vec![xattr("user.large", &[b'v'; 65_536])];
    let image = dir.path().join("large");
    let wanted = promised(&entries);
    pack(entries, &image, &options(GZIP, 131_072, &Interrupt::default())).unwrap();
    assert_same(&read(&image), &wanted, "a value of 64 KiB");
}

#[test]
fn smallest_image_is_an_empty_root() {
    let dir = tempfile::tempdir().unwrap();
    let summary = round_trip(vec![directory("")], GZIP, 131_072, &dir.path().join("image"));
    assert_eq!((summary.inodes, summary.image_bytes, summary.source_bytes), (1, 4096, 0));
}

#[test]
fn directory_of_any_size_comes_back() {
    for count in [0, 1, 255, 256, 257, 5000] {
        directory_comes_back(count);
    }
}

#[test]
#[ignore = "takes a minute: ./ci.sh matrix"]
fn directory_of_100_000_entries_comes_back() {
    directory_comes_back(100_000);
}

#[track_caller]
fn directory_comes_back(count: u32) {
    let dir = tempfile::tempdir().unwrap();
    let mut entries = vec![directory(""), directory("d")];
    entries.extend((0..count).map(|i| entry(&format!("d/{i:0>200}"), Kind::Fifo)));
    Prng(3).shuffle(&mut entries);
    let image = dir.path().join("image");
    round_trip(entries, GZIP, 131_072, &image);
    let image = genpack_host::io::system_image::SystemImage::open(&image).unwrap();
    for i in [0, count / 3, count / 2, count.saturating_sub(1)] {
        let found = image.stat(&format!("d/{i:0>200}")).unwrap();
        assert_eq!(found.is_some(), count > 0, "{i} of {count} through the index");
    }
    assert!(image.stat(&format!("d/{count:0>200}")).unwrap().is_none());
}

#[test]
fn every_id_that_16_bits_count_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let owned = |count: u32| {
        let mut entries = vec![directory("")];
        entries.extend((0..count).map(|i| Entry { uid: i, ..entry(&format!("{i}"), Kind::Fifo) }));
        entries
    };
    let image = dir.path().join("image");
    let wanted = promised(&owned(65_535));
    pack(owned(65_535), &image, &options(GZIP, 131_072, &Interrupt::default())).unwrap();
    assert_same(&read(&image), &wanted, "65,535 ids");
    let error = pack(owned(65_536), &image, &options(GZIP, 131_072, &Interrupt::default())).unwrap_err();
    assert_eq!(error.to_string(), "the entries have 65536 owners and groups, an image holds 65535");
}
