//! Entries made by code: everything that an image can hold, from a seed.

use std::sync::Arc;

use genpack_host::pack::cache::Identity;
use genpack_host::pack::entry::{Content, Device, Entry, FileEntry, Kind, Xattr};

/// SplitMix64: the same numbers on every machine.
pub(super) struct Prng(pub(super) u64);

impl Prng {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ z >> 31
    }

    /// Returns a number below `end`.
    pub(super) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// Brings a list into any order.
    pub(super) fn shuffle<T>(&mut self, list: &mut [T]) {
        for i in (1..list.len()).rev() {
            let j = self.below(i + 1);
            list.swap(i, j);
        }
    }

    /// Returns bytes that look like text, like noise, like zeros, or like all of them.
    pub(super) fn content(&mut self, len: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(len);
        while bytes.len() < len {
            let piece = 1 + self.below(9000);
            match self.below(3) {
                0 => bytes.extend((0..piece).map(|i| b'a' + (i % 23) as u8)),
                1 => bytes.extend((0..piece).map(|_| self.next() as u8)),
                _ => bytes.resize(bytes.len() + piece, 0),
            }
        }
        bytes.truncate(len);
        bytes
    }
}

pub(super) fn entry(path: &str, kind: Kind) -> Entry {
    let path = path.as_bytes().to_vec();
    Entry {
        path,
        mode: 0o755,
        uid: 0,
        gid: 0,
        mtime: 1_000_000_000,
        xattrs: Vec::new(),
        identity: None,
        kind,
    }
}

pub(super) fn directory(path: &str) -> Entry {
    entry(path, Kind::Directory)
}

pub(super) fn file(path: &str, bytes: Vec<u8>) -> Entry {
    let size = bytes.len() as u64;
    Entry {
        mode: 0o644,
        ..entry(path, Kind::File(FileEntry { size, content: Content::Bytes(bytes.into()), stored: false }))
    }
}

pub(super) fn stored(path: &str, bytes: Vec<u8>) -> Entry {
    let mut entry = file(path, bytes);
    if let Kind::File(file) = &mut entry.kind {
        file.stored = true;
    }
    entry
}

/// Returns the entry under another path, as another name of the same file.
pub(super) fn hard_link(to: &Entry, path: &str) -> Entry {
    Entry { path: path.as_bytes().to_vec(), ..to.clone() }
}

/// Gives an entry an inode of the source.
pub(super) fn with_identity(entry: Entry, ino: u64) -> Entry {
    Entry { identity: Some(Identity { dev: 1, ino, size: 0, mtime_ns: 0, ctime_ns: 0 }), ..entry }
}

pub(super) fn xattr(name: &str, value: &[u8]) -> Xattr {
    Xattr { name: name.as_bytes().to_vec(), value: value.to_vec() }
}

/// Returns one of everything, around every boundary of blocks of 4 KiB.
pub(super) fn everything() -> Vec<Entry> {
    let mut random = Prng(1);
    let mut all = vec![directory("")];
    for size in [0, 1, 4095, 4096, 4097, 8191, 8192, 8193, 12_288, 40_000] {
        all.push(file(&format!("size-{size}"), random.content(size)));
        all.push(file(&format!("zeros-{size}"), vec![0; size]));
        all.push(stored(&format!("stored-{size}"), vec![b's'; size]));
    }
    let large = random.content(50_000);
    all.push(file("prefix", large[..8192].to_vec()));
    all.push(file("middle", large[8192..20_480].to_vec()));
    all.push(file("branch", [&large[..8192], &[1; 9000]].concat()));
    all.push(file("twin", large.clone()));
    all.push(file("large", large));
    all.push(file("small-twin", b"twin".to_vec()));
    all.push(file("another-small-twin", b"twin".to_vec()));
    let linked = with_identity(file("linked", b"linked".to_vec()), 7);
    all.push(hard_link(&linked, "other-name"));
    all.push(linked);
    let link = with_identity(entry("symlink", Kind::Symlink(b"size-1".to_vec())), 8);
    all.push(hard_link(&link, "symlink-2"));
    all.push(link);
    all.push(entry("symlink-long", Kind::Symlink(vec![b'x'; 4095])));
    all.push(entry("char", Kind::CharDevice(Device { major: 1, minor: 3 })));
    all.push(entry("block", Kind::BlockDevice(Device { major: 8, minor: 17 })));
    all.push(entry("fifo", Kind::Fifo));
    all.push(entry("socket", Kind::Socket));
    for (name, mode) in [("none", 0), ("set-uid", 0o4755), ("set-gid", 0o2755), ("sticky", 0o1777)] {
        all.push(Entry { mode, uid: 1000, gid: 4_000_000_000, mtime: u32::MAX, ..file(name, b"m".to_vec()) });
    }
    all.push(file(&"n".repeat(255), b"longest name".to_vec()));
    all.push(file("gr\u{fc}n\n", b"not ASCII".to_vec()));
    all.extend([directory("a"), directory("a-b"), directory("a/b"), file("a/b/c", b"deep".to_vec())]);
    all.push(Entry { mtime: 0, ..directory("empty") });
    all.push(directory("many"));
    all.extend((0..1000).map(|i| file(&format!("many/file-with-a-rather-long-name-{i:05}"), vec![b'm'; i])));
    all
}

/// Gives something of every kind extended attributes, the same value more than once.
pub(super) fn with_xattrs(mut all: Vec<Entry>) -> Vec<Entry> {
    let large = vec![b'v'; 60_000];
    for (i, entry) in all.iter_mut().enumerate() {
        let is_special =
            matches!(entry.path.as_slice(), b"char" | b"block" | b"fifo" | b"socket" | b"symlink-long");
        if is_special {
            entry.xattrs = vec![xattr("trusted.genpack", b"a value of more than eight bytes")];
        } else if i % 5 == 0 && entry.identity.is_none() && !matches!(entry.kind, Kind::Symlink(_)) {
            entry.xattrs = vec![
                xattr("user.z", b""),
                xattr("trusted.genpack", b"a value of more than eight bytes"),
                xattr("user.a", &large[..i * 50 % 3000]),
            ];
        }
    }
    all
}

/// Returns a tree that the seed decides.
pub(super) fn random(seed: u64) -> Vec<Entry> {
    let mut random = Prng(seed);
    let mut all = vec![directory("")];
    let mut directories = vec![String::new()];
    let pool: Vec<Vec<u8>> = (0..4)
        .map(|_| {
            let len = random.below(30_000);
            random.content(len)
        })
        .collect();
    for i in 0..random.below(120) {
        let parent = &directories[random.below(directories.len())];
        let name = format!("{}{i}", "n".repeat(random.below(40)));
        let path = if parent.is_empty() { name } else { format!("{parent}/{name}") };
        let mut new = match random.below(10) {
            0 | 1 => {
                directories.push(path.clone());
                directory(&path)
            }
            2 => entry(&path, Kind::Symlink(vec![b't'; 1 + random.below(300)])),
            3 => entry(&path, Kind::Fifo),
            4 => {
                let shared = &pool[random.below(4)];
                let from = random.below(shared.len() / 4096 + 1) * 4096;
                let len = random.below(shared.len() - from + 1);
                file(&path, shared[from..from + len].to_vec())
            }
            _ => {
                let len = if random.below(3) == 0 { random.below(40_000) } else { random.below(3000) };
                let bytes = random.content(len);
                file(&path, bytes)
            }
        };
        new.mode = (random.next() & 0o7777) as u16;
        (new.uid, new.gid) = (random.below(5) as u32, random.next() as u32 >> random.below(32));
        new.mtime = random.next() as u32;
        if random.below(8) == 0 && !matches!(new.kind, Kind::Symlink(_) | Kind::Fifo) {
            new.xattrs = vec![xattr("user.random", &vec![b'r'; random.below(100)])];
        }
        if random.below(6) == 0 && !matches!(new.kind, Kind::Directory) {
            new = with_identity(new, i as u64 + 10);
            all.push(hard_link(&new, &format!("{path}-link")));
        }
        all.push(new);
    }
    all
}

/// Returns the bytes of an entry's file.
pub(super) fn bytes(entry: &Entry) -> Arc<[u8]> {
    match &entry.kind {
        Kind::File(FileEntry { content: Content::Bytes(bytes), .. }) => Arc::clone(bytes),
        _ => [].into(),
    }
}
