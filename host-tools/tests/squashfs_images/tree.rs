//! Trees to pack: everything that a SquashFS can hold.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, PermissionsExt, symlink};
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, Timespec, Timestamps, XattrFlags, lsetxattr, makedev, mknodat};

/// Sizes around the block sizes that the tests use, in bytes.
const SIZES: [usize; 14] =
    [0, 1, 4095, 4096, 4097, 8192, 12_289, 131_071, 131_072, 131_073, 262_144, 300_000, 1_048_576, 1_048_577];

/// Returns bytes that no compressor makes smaller, different for each `seed`.
pub(super) fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(len);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// Returns bytes that every compressor makes smaller.
fn text(len: usize, seed: u64) -> Vec<u8> {
    (0..).flat_map(|i: u64| format!("{seed} line {} of many\n", i * i).into_bytes()).take(len).collect()
}

/// Makes files of all interesting sizes, links, directories and a sparse file: no root needed.
pub(super) fn plain(root: &Path) {
    let sizes = root.join("sizes");
    fs::create_dir(&sizes).unwrap();
    for (seed, size) in SIZES.into_iter().enumerate() {
        fs::write(sizes.join(format!("noise-{size}")), noise(size, seed as u64 + 1)).unwrap();
        fs::write(sizes.join(format!("text-{size}")), text(size, seed as u64)).unwrap();
    }
    let mixed = [noise(200_000, 99), text(200_000, 1), vec![0; 200_000], noise(5, 7)].concat();
    fs::write(root.join("mixed"), mixed).unwrap();
    let sparse = File::create(root.join("sparse")).unwrap();
    sparse.set_len(5_000_000).unwrap();
    sparse.write_all_at(b"first", 0).unwrap();
    sparse.write_all_at(b"middle", 2_500_000).unwrap();
    File::create(root.join("hole")).unwrap().set_len(1_048_576).unwrap();

    fs::hard_link(root.join("mixed"), root.join("hard-link")).unwrap();
    fs::create_dir(root.join("empty")).unwrap();
    fs::create_dir_all(root.join("a/b/c/d")).unwrap();
    fs::write(root.join("a/b/c/d/deep"), "deep\n").unwrap();
    symlink("a/b/c/d/deep", root.join("link-relative")).unwrap();
    symlink("/a/b", root.join("link-absolute")).unwrap();
    symlink("nowhere", root.join("link-dangling")).unwrap();
    symlink("x".repeat(4000), root.join("link-long")).unwrap();
    for (name, mode) in [("set-uid", 0o4755), ("set-gid", 0o2755), ("sticky", 0o1777), ("none", 0)] {
        let path = root.join(name);
        fs::write(&path, name).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    }
    fs::write(root.join("n".repeat(255)), "longest name\n").unwrap();
    fs::write(root.join("grün"), "not ASCII\n").unwrap();
    old(&root.join("mixed"));
}

/// Makes a directory so large that mksquashfs gives it an index, and enough inodes for several metadata blocks.
pub(super) fn large_directory(root: &Path) {
    let large = root.join("large");
    fs::create_dir(&large).unwrap();
    for i in 0..3000 {
        fs::write(large.join(format!("file-with-a-rather-long-name-{i:05}")), format!("{i}\n")).unwrap();
    }
}

/// Makes devices, a FIFO and a socket. Needs root.
pub(super) fn special(root: &Path) {
    let node = |name: &str, kind, device| {
        mknodat(CWD, root.join(name), kind, Mode::from_raw_mode(0o640), device).unwrap();
    };
    node("block", FileType::BlockDevice, makedev(8, 17));
    node("char", FileType::CharacterDevice, makedev(1, 3));
    node("fifo", FileType::Fifo, 0);
    node("socket", FileType::Socket, 0);
    rustix::fs::chown(root.join("a"), Some(rustix::fs::Uid::from_raw(1000)), None).unwrap();
    rustix::fs::chown(root.join("char"), None, Some(rustix::fs::Gid::from_raw(4_000_000_000))).unwrap();
}

/// Makes a device whose numbers need more than eight bits; unsquashfs 4.5.1 shows and makes it wrongly. Needs root.
pub(super) fn wide_device(root: &Path) {
    let mode = Mode::from_raw_mode(0o600);
    mknodat(CWD, root.join("wide"), FileType::CharacterDevice, mode, makedev(300, 70_000)).unwrap();
}

/// Gives one thing of each type an extended attribute, which makes its inode an extended one. Needs root.
pub(super) fn extended(root: &Path) {
    for name in ["empty", "mixed", "link-relative", "block", "char", "fifo", "socket"] {
        lsetxattr(root.join(name), "trusted.genpack", b"value", XattrFlags::empty()).unwrap();
    }
}

/// Gives a file a time that is not now.
fn old(path: &Path) {
    let time = Timespec { tv_sec: 951_782_400, tv_nsec: 0 };
    let times = Timestamps { last_access: time, last_modification: time };
    rustix::fs::utimensat(CWD, path, &times, rustix::fs::AtFlags::empty()).unwrap();
}

/// Tells whether we may make devices and trusted attributes.
pub(super) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}
