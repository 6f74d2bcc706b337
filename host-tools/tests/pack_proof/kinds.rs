//! What is at the ends of the format: one tree for each.

use genpack_host::io::interrupt::Interrupt;
use genpack_host::pack::compress::Method;
use genpack_host::pack::entry::{Device, Entry, Kind};
use genpack_host::pack::writer::{Options, write};

use super::mounted::Mounted;
use super::readers::{assert_same, below, promised, read};
use super::trees::{Prng, directory, entry, everything, file, hard_link, with_identity, with_xattrs, xattr};
use super::{create, options, round_trip};

const GZIP: Method = Method::Gzip { level: 1 };

/// Packs, and asks our reader and the kernel: what unsquashfs cannot unpack, or takes too long for.
#[track_caller]
fn comes_back_from_the_kernel(entries: &[Entry]) {
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("image");
    let mut out = create(&image);
    let interrupt = Interrupt::default();
    write(entries.to_vec(), &options(GZIP, 131_072, &interrupt), &mut out, &()).unwrap();
    let wanted = promised(entries);
    assert_same(&read(&image), &wanted, "our reader");
    if let Some(mounted) = Mounted::new(&image, &dir.path().join("mounted")) {
        assert_same(&below(mounted.path()), &wanted, "the kernel");
    }
}

#[track_caller]
fn comes_back(entries: &[Entry], method: Method, block_size: u32, what: &str) {
    let interrupt = Interrupt::default();
    round_trip(entries, &options(method, block_size, &interrupt), what);
}

#[test]
fn one_of_everything_comes_back_from_every_reader() {
    comes_back(&everything(), GZIP, 4096, "without attributes");
    comes_back(&with_xattrs(everything()), GZIP, 131_072, "with attributes");
}

#[test]
fn files_around_the_boundaries_of_blocks_come_back() {
    [12, 17].into_iter().for_each(boundaries_come_back);
}

#[test]
#[ignore = "takes a minute: ./ci.sh matrix"]
fn files_around_the_boundaries_of_blocks_of_every_size_come_back() {
    (12..=20).for_each(boundaries_come_back);
}

fn boundaries_come_back(shift: u32) {
    let mut random = Prng(11);
    let block = 1_usize << shift;
    let mut entries = vec![directory("")];
    for size in [0, 1, block - 1, block, block + 1, 2 * block - 1, 2 * block, 2 * block + 1, 3 * block] {
        entries.push(file(&format!("mixed-{size}"), random.content(size)));
        entries.push(file(&format!("noise-{size}"), (0..size).map(|_| random.next() as u8).collect()));
        entries.push(file(&format!("zeros-{size}"), vec![0; size]));
    }
    // Tails that fill a fragment block to the byte, and one byte more and less.
    for (i, tail) in [block / 2, block / 2, block / 2, block / 2 + 1, block - 1, 1, 2].into_iter().enumerate()
    {
        entries.push(file(&format!("tail-{i}"), (0..tail).map(|_| random.next() as u8).collect()));
    }
    for tails in [false, true] {
        let interrupt = Interrupt::default();
        let options = Options { tails, ..options(Method::Zstd { level: 1 }, block as u32, &interrupt) };
        round_trip(&entries, &options, &format!("blocks of {block}, tails: {tails}"));
    }
}

#[test]
fn hard_links_of_every_kind_across_directories_come_back() {
    let device = Device { major: 8, minor: 17 };
    let kinds = [
        ("fifo", Kind::Fifo),
        ("socket", Kind::Socket),
        ("block", Kind::BlockDevice(device)),
        ("char", Kind::CharDevice(device)),
        ("symlink", Kind::Symlink(b"../elsewhere".to_vec())),
    ];
    for with_attributes in [false, true] {
        let mut entries = vec![directory("")];
        let mut firsts: Vec<Entry> = kinds
            .iter()
            .enumerate()
            .map(|(i, (name, kind))| with_identity(entry(name, kind.clone()), i as u64))
            .collect();
        firsts.push(with_identity(file("small", b"fragment".to_vec()), 100));
        firsts.push(with_identity(file("large", Prng(2).content(20_000)), 101));
        firsts.push(with_identity(file("nothing", Vec::new()), 102));
        // Names before and after the first one, deeper and higher, some hundred of one inode.
        for path in ["0", "a", "a/b", "a/b/c", "z"] {
            entries.push(directory(path));
        }
        for first in &mut firsts {
            if with_attributes {
                first.xattrs = vec![xattr("trusted.link", b"the same for all names")];
            }
            let name = String::from_utf8(first.path.clone()).unwrap();
            for path in ["0", "a", "a/b", "a/b/c", "z"] {
                entries.push(hard_link(first, &format!("{path}/{name}")));
            }
        }
        let many = with_identity(file("many", b"300 names".to_vec()), 200);
        entries.extend((0..299).map(|i| hard_link(&many, &format!("z/many-{i}"))));
        entries.push(many);
        entries.extend(firsts);
        comes_back(&entries, GZIP, 4096, &format!("attributes: {with_attributes}"));
    }
}

#[test]
fn names_of_255_bytes_at_every_depth_come_back() {
    let mut entries = vec![directory("")];
    let mut path = String::new();
    // Twelve levels are 3,071 bytes: a path of the kernel ends at 4,095.
    for level in 0..12 {
        let name = char::from(b'a' + level).to_string().repeat(255);
        path = if path.is_empty() { name } else { format!("{path}/{name}") };
        entries.push(directory(&path));
        entries.push(file(&format!("{path}/{}", "F".repeat(255)), vec![level; 100]));
        entries.push(file(&format!("{path}/\u{1}"), vec![level]));
    }
    comes_back(&entries, GZIP, 131_072, "long names");
}

#[test]
fn directory_whose_listing_fills_metadata_blocks_to_the_byte_comes_back() {
    // An entry takes 8 bytes and its name, a header 12 for at most 256 entries: the sizes around 8 KiB and around
    // the 64 KiB up to which an inode can be a basic one.
    for count in [28, 29, 30, 31, 240, 247, 248, 249, 250, 256, 257, 512, 513] {
        for name in [254, 255] {
            let mut entries = vec![directory(""), directory("d")];
            entries.extend((0..count).map(|i| entry(&format!("d/{i:0>name$}"), Kind::Fifo)));
            comes_back_from_the_kernel(&entries);
        }
    }
}

#[test]
fn values_of_extended_attributes_up_to_64_kib_come_back_from_the_kernel() {
    let mut entries = vec![directory("")];
    for (i, len) in [0, 1, 255, 256, 8191, 8192, 8193, 65_535, 65_536].into_iter().enumerate() {
        let value: Vec<u8> = (0..len).map(|at| (at % 251) as u8).collect();
        for twin in ["one", "two"] {
            let mut new = file(&format!("{twin}-{i}"), vec![1]);
            new.xattrs = vec![xattr("trusted.value", &value)];
            entries.push(new);
        }
    }
    // Not unsquashfs: the values of the file system to which it unpacks may end at 4 KiB.
    comes_back_from_the_kernel(&entries);
}

#[test]
fn device_numbers_of_12_and_20_bits_come_back_from_the_kernel() {
    let mut entries = vec![directory("")];
    for (major, minor) in [(0, 0), (255, 255), (256, 256), (300, 70_000), (4095, 1_048_575)] {
        entries.push(entry(&format!("c-{major}-{minor}"), Kind::CharDevice(Device { major, minor })));
        entries.push(entry(&format!("b-{major}-{minor}"), Kind::BlockDevice(Device { major, minor })));
    }
    // Not unsquashfs: 4.5.1 makes a device wrongly whose numbers need more than eight bits.
    comes_back_from_the_kernel(&entries);
}
