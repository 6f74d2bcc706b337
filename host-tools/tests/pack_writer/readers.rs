//! What an image holds, as foreign and own readers see it.

use std::collections::{BTreeMap, HashMap};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use genpack_core::fs::squashfs::FileType;
use genpack_host::io::system_image::SystemImage;
use genpack_host::pack::cache::Hash;
use genpack_host::pack::entry::{Device, Entry, Kind};

use super::trees::bytes;

/// Everything that one can see of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    kind: char,
    mode: u16,
    owner: (u32, u32),
    mtime: u32,
    nlink: u32,
    size: u64,
    content: Hash,
    target: Vec<u8>,
    device: (u32, u32),
    xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

pub(super) type Rows = BTreeMap<Vec<u8>, Row>;

/// Tells whether unsquashfs is here and may give files to others.
pub(super) fn can_unsquash() -> bool {
    let found = Command::new("unsquashfs").arg("-version").output().is_ok();
    let is_ci = std::env::var_os("CI").is_some_and(|v| v == "true");
    assert!(found || !is_ci, "unsquashfs is not installed (apt-get install squashfs-tools)");
    let root = rustix::process::geteuid().is_root();
    if !found || !root {
        eprintln!("skipped: unsquashfs is not installed, or we are not root");
    }
    found && root
}

/// Returns what the entries promise; the root is left out.
pub(super) fn promised(entries: &[Entry]) -> Rows {
    let mut names: HashMap<(u64, u64), u32> = HashMap::new();
    let mut directories: HashMap<Vec<u8>, u32> = HashMap::new();
    for entry in entries {
        if let Some(identity) = entry.identity {
            *names.entry((identity.dev, identity.ino)).or_default() += 1;
        }
        if entry.is_directory() {
            *directories.entry(parent(&entry.path)).or_default() += 1;
        }
    }
    let row = |entry: &Entry| {
        let (mut target, mut device, mut size) = (Vec::new(), (0, 0), 0);
        let number = |d: &Device| (d.major, d.minor);
        let kind = match &entry.kind {
            Kind::Directory => 'd',
            Kind::File(file) => {
                size = file.size;
                'f'
            }
            Kind::Symlink(to) => {
                target.clone_from(to);
                size = to.len() as u64;
                'l'
            }
            Kind::BlockDevice(d) => {
                device = number(d);
                'b'
            }
            Kind::CharDevice(d) => {
                device = number(d);
                'c'
            }
            Kind::Fifo => 'p',
            Kind::Socket => 's',
        };
        let nlink = match kind {
            'd' => 2 + directories.get(&entry.path).copied().unwrap_or(0),
            _ => entry.identity.map_or(1, |identity| names[&(identity.dev, identity.ino)]),
        };
        let mut xattrs: Vec<_> = entry.xattrs.iter().map(|x| (x.name.clone(), x.value.clone())).collect();
        xattrs.sort();
        Row {
            kind,
            mode: if kind == 'l' { 0o777 } else { entry.mode },
            owner: (entry.uid, entry.gid),
            mtime: entry.mtime,
            nlink,
            size,
            content: Hash::of(&bytes(entry)),
            target,
            device,
            xattrs,
        }
    };
    entries.iter().filter(|e| !e.path.is_empty()).map(|e| (e.path.clone(), row(e))).collect()
}

fn parent(path: &[u8]) -> Vec<u8> {
    match path.iter().rposition(|b| *b == b'/') {
        Some(slash) => path[..slash].to_vec(),
        None if path.is_empty() => b"/".to_vec(),
        None => Vec::new(),
    }
}

/// Returns what our own reader sees.
pub(super) fn read(image: &Path) -> Rows {
    let image = SystemImage::open(image).unwrap();
    let mut rows = Rows::new();
    let mut visit = |path: &[u8], entry: &genpack_host::io::system_image::Entry| {
        let mut content = Vec::new();
        image.copy_entry(entry, &mut content)?;
        let kind = match entry.file_type {
            FileType::Directory => 'd',
            FileType::RegularFile => 'f',
            FileType::Symlink => 'l',
            FileType::BlockDevice => 'b',
            FileType::CharDevice => 'c',
            FileType::Fifo => 'p',
            FileType::Socket => 's',
        };
        let mut xattrs = image.xattrs(entry)?;
        xattrs.sort();
        let row = Row {
            kind,
            mode: if kind == 'l' { 0o777 } else { entry.mode },
            owner: (entry.uid, entry.gid),
            mtime: entry.mtime,
            nlink: entry.nlink,
            size: if kind == 'd' { 0 } else { entry.size },
            content: Hash::of(&content),
            target: entry.target.clone().unwrap_or_default(),
            device: entry.device.map_or((0, 0), |d| (d.major, d.minor)),
            xattrs,
        };
        rows.insert(path.to_vec(), row);
        Ok(())
    };
    image.walk(&mut visit).unwrap();
    rows
}

/// Returns what unsquashfs unpacks.
#[track_caller]
pub(super) fn unsquash(image: &Path) -> Rows {
    let scratch = tempfile::tempdir().unwrap();
    let root = scratch.path().join("root");
    let output = Command::new("unsquashfs")
        .args(["-quiet", "-no-progress", "-strict-errors", "-d"])
        .arg(&root)
        .arg(image)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    below(&root)
}

/// Returns what is below a directory.
pub(super) fn below(root: &Path) -> Rows {
    let mut rows = Rows::new();
    look(root, root, &mut rows);
    rows
}

fn look(root: &Path, directory: &Path, rows: &mut Rows) {
    for found in std::fs::read_dir(directory).unwrap() {
        let path = found.unwrap().path();
        let stat = std::fs::symlink_metadata(&path).unwrap();
        let kind = match stat.mode() & 0o170_000 {
            0o040_000 => 'd',
            0o100_000 => 'f',
            0o120_000 => 'l',
            0o060_000 => 'b',
            0o020_000 => 'c',
            0o010_000 => 'p',
            _ => 's',
        };
        let content = if kind == 'f' { std::fs::read(&path).unwrap() } else { Vec::new() };
        let target = if kind == 'l' {
            std::fs::read_link(&path).unwrap().as_os_str().as_bytes().to_vec()
        } else {
            Vec::new()
        };
        let is_device = matches!(kind, 'b' | 'c');
        let device = (rustix::fs::major(stat.rdev()), rustix::fs::minor(stat.rdev()));
        let row = Row {
            kind,
            // The kernel shows what a link's inode says, and a file system to which it is unpacked has no such thing.
            mode: if kind == 'l' { 0o777 } else { (stat.mode() & 0o7777) as u16 },
            owner: (stat.uid(), stat.gid()),
            mtime: stat.mtime() as u32,
            nlink: stat.nlink() as u32,
            size: if kind == 'd' { 0 } else { stat.size() },
            content: Hash::of(&content),
            target,
            device: if is_device { device } else { (0, 0) },
            xattrs: xattrs(&path),
        };
        rows.insert(path.strip_prefix(root).unwrap().as_os_str().as_bytes().to_vec(), row);
        if kind == 'd' {
            look(root, &path, rows);
        }
    }
}

fn xattrs(path: &Path) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut buffer = vec![0; 1 << 16];
    let len = match rustix::fs::llistxattr(path, &mut buffer[..]) {
        // Why: an image without the table has a kernel say that it knows no attributes.
        Err(rustix::io::Errno::NOTSUP) => 0,
        len => len.unwrap(),
    };
    let names: Vec<Vec<u8>> =
        buffer[..len].split(|b| *b == 0).filter(|n| !n.is_empty()).map(<[u8]>::to_vec).collect();
    let mut all: Vec<_> = names
        .into_iter()
        .map(|name| {
            let len = rustix::fs::lgetxattr(path, &name[..], &mut buffer[..]).unwrap();
            (name, buffer[..len].to_vec())
        })
        .collect();
    all.sort();
    all
}

/// Tells the first path about which two lists disagree.
#[track_caller]
pub(super) fn assert_same(found: &Rows, wanted: &Rows, what: &str) {
    for path in wanted.keys().chain(found.keys()) {
        assert_eq!(found.get(path), wanted.get(path), "{what}: {}", String::from_utf8_lossy(path));
    }
}
