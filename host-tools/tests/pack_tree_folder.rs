//! The list of a folder against what std sees of the same folder, and what a folder may do meanwhile.
#![expect(clippy::print_stderr, reason = "a skipped test says why")]

#[path = "../../tests/needs.rs"]
mod needs;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use genpack_host::command_error::Kind as ErrorKind;
use genpack_host::container::namespaces;
use genpack_host::container::overlayfs::Mount;
use genpack_host::io::interrupt::Interrupt;
use genpack_host::pack::entry::{Device, Kind, Xattr};
use genpack_host::pack::tree::scan::{Options, scan};
use genpack_host::pack::tree::{Tree, walk_order};
use rustix::fs::{CWD, FileType, Mode, XattrFlags, lsetxattr, makedev, mknodat};

fn list(dir: &Path, jobs: usize) -> Tree {
    scan(dir, Options { jobs, one_file_system: false, interrupt: &Interrupt::default() }).unwrap()
}

/// Walks a folder with std: path, and all that stat says.
fn walk(dir: &Path, path: &[u8], found: &mut BTreeMap<Vec<u8>, fs::Metadata>) {
    let here = dir.join(OsStr::from_bytes(path));
    found.insert(path.to_vec(), fs::symlink_metadata(&here).unwrap());
    if found[path].is_dir() {
        for entry in fs::read_dir(&here).unwrap() {
            let name = entry.unwrap().file_name();
            let below = if path.is_empty() {
                name.as_bytes().to_vec()
            } else {
                [path, b"/", name.as_bytes()].concat()
            };
            walk(dir, &below, found);
        }
    }
}

/// Compares a list with what std sees.
fn assert_is(tree: &Tree, dir: &Path) {
    let mut seen = BTreeMap::new();
    walk(dir, b"", &mut seen);
    assert_eq!(tree.entries.len(), seen.len());
    assert!(tree.entries.is_sorted_by(|a, b| walk_order(&a.path, &b.path).is_lt()));
    for entry in &tree.entries {
        let stat = &seen[&entry.path];
        let name = String::from_utf8_lossy(&entry.path);
        assert_eq!(u32::from(entry.mode), stat.mode() & 0o7777, "{name}");
        assert_eq!((entry.uid, entry.gid), (stat.uid(), stat.gid()), "{name}");
        assert_eq!(i64::from(entry.mtime), stat.mtime(), "{name}");
        let identity = entry.identity.map(|i| (i.dev, i.ino, i.size));
        assert_eq!(identity, (!stat.is_dir()).then(|| (stat.dev(), stat.ino(), stat.size())), "{name}");
        let kind = stat.file_type();
        let same = match &entry.kind {
            Kind::Directory => kind.is_dir(),
            Kind::File(file) => kind.is_file() && file.size == stat.size(),
            Kind::Symlink(target) => {
                let there = fs::read_link(dir.join(OsStr::from_bytes(&entry.path))).unwrap();
                kind.is_symlink() && there.as_os_str().as_bytes() == target
            }
            Kind::BlockDevice(_) => kind.is_block_device(),
            Kind::CharDevice(_) => kind.is_char_device(),
            Kind::Fifo => kind.is_fifo(),
            Kind::Socket => kind.is_socket(),
        };
        assert!(same, "{name}: {:?}", entry.kind);
    }
}

fn with_everything(dir: &Path) {
    for name in ["a/b/c", "a-b", "a.b/x", "empty"] {
        fs::create_dir_all(dir.join(name)).unwrap();
    }
    fs::write(dir.join("a/b/c/file"), "content").unwrap();
    fs::write(dir.join("a/z"), "").unwrap();
    fs::hard_link(dir.join("a/b/c/file"), dir.join("a-b/same")).unwrap();
    fs::write(dir.join(OsStr::from_bytes(b"a/\xff\n-\x01")), "x").unwrap();
    fs::write(dir.join("n".repeat(255)), "longest name").unwrap();
    fs::set_permissions(dir.join("empty"), fs::Permissions::from_mode(0o2700)).unwrap();
    symlink("nowhere", dir.join("dangling")).unwrap();
    symlink("/", dir.join("a/to-root")).unwrap();
    symlink("x".repeat(4000), dir.join("long")).unwrap();
    lsetxattr(dir.join("a/z"), "user.empty", b"", XattrFlags::empty()).unwrap();
    lsetxattr(dir.join("a/z"), "user.bytes", b"\0\xff", XattrFlags::empty()).unwrap();
    lsetxattr(dir.join("a"), "user.dir", b"d", XattrFlags::empty()).unwrap();
    lsetxattr(dir, "user.root", b"r", XattrFlags::empty()).unwrap();
}

fn xattrs(tree: &Tree, path: &str) -> Vec<(String, Vec<u8>)> {
    let entry = tree.find(path.as_bytes()).unwrap();
    let pair = |x: &Xattr| (String::from_utf8_lossy(&x.name).into_owned(), x.value.clone());
    let mut pairs: Vec<_> = entry.xattrs.iter().map(pair).collect();
    pairs.sort();
    pairs
}

#[test]
fn list_is_what_std_sees_whatever_the_number_of_threads() {
    let dir = tempfile::tempdir().unwrap();
    with_everything(dir.path());
    let one = list(dir.path(), 1);
    assert_is(&one, dir.path());
    let identity = |path: &str| one.find(path.as_bytes()).unwrap().identity;
    assert_eq!(identity("a/b/c/file"), identity("a-b/same"));
    assert_eq!(
        xattrs(&one, "a/z"),
        [("user.bytes".to_owned(), vec![0, 0xff]), ("user.empty".to_owned(), Vec::new())]
    );
    assert_eq!(xattrs(&one, "a"), [("user.dir".to_owned(), b"d".to_vec())]);
    assert_eq!(xattrs(&one, ""), [("user.root".to_owned(), b"r".to_vec())]);
    for jobs in [2, 8] {
        assert_eq!(format!("{:?}", list(dir.path(), jobs).entries), format!("{:?}", one.entries), "{jobs}");
    }
}

#[test]
fn attributes_of_any_size_are_read_whole() {
    let dir = tempfile::tempdir_in("/dev/shm").unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "").unwrap();
    // tmpfs holds large values for root only; what it holds is what must come back.
    let prefix = if rustix::process::geteuid().is_root() { "trusted" } else { "user" };
    for (name, length) in [("small", 511), ("usual", 512), ("large", 513), ("largest", 65_536)] {
        let value = vec![b'v'; length];
        if lsetxattr(&file, format!("{prefix}.{name}"), &value, XattrFlags::empty()).is_err() {
            assert!(length == 65_536 || prefix == "user", "{name}");
        }
    }
    for i in 0..40 {
        let name = format!("{prefix}.{}{i}", "n".repeat(20));
        lsetxattr(&file, name, b"", XattrFlags::empty()).unwrap();
    }
    let tree = list(dir.path(), 1);
    let found = xattrs(&tree, "file");
    let mut names = vec![0; 65_536];
    let length = rustix::fs::llistxattr(&file, names.as_mut_slice()).unwrap();
    assert!(length > 512);
    assert_eq!(found.len(), names[..length].iter().filter(|b| **b == 0).count());
    for (name, value) in found {
        let mut room = vec![0; 65_536];
        let length = rustix::fs::lgetxattr(&file, &name, room.as_mut_slice()).unwrap();
        assert!(value == room[..length], "{name}");
    }
}

#[test]
fn links_devices_and_sockets_have_attributes_too() {
    if !needs::root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let node = |name: &str, kind, device| {
        mknodat(CWD, dir.path().join(name), kind, Mode::from_raw_mode(0o640), device).unwrap();
    };
    node("block", FileType::BlockDevice, makedev(8, 17));
    node("char", FileType::CharacterDevice, makedev(300, 70_000));
    node("fifo", FileType::Fifo, 0);
    node("socket", FileType::Socket, 0);
    symlink("nowhere", dir.path().join("link")).unwrap();
    let names = ["block", "char", "fifo", "socket", "link"];
    for name in names {
        lsetxattr(dir.path().join(name), "trusted.test", name.as_bytes(), XattrFlags::empty()).unwrap();
    }
    let tree = list(dir.path(), 2);
    assert_is(&tree, dir.path());
    for name in names {
        assert_eq!(xattrs(&tree, name), [("trusted.test".to_owned(), name.as_bytes().to_vec())]);
    }
    let device = |name: &str| match tree.find(name.as_bytes()).unwrap().kind {
        Kind::BlockDevice(Device { major, minor }) | Kind::CharDevice(Device { major, minor }) => {
            (major, minor)
        }
        _ => panic!("{name} is no device"),
    };
    assert_eq!((device("block"), device("char")), ((8, 17), (300, 70_000)));
}

#[test]
fn deep_and_wide_folders_are_listed_whole() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("d/".repeat(1500))).unwrap();
    fs::create_dir(dir.path().join("wide")).unwrap();
    for i in 0..5000 {
        fs::write(dir.path().join(format!("wide/{i}")), "").unwrap();
    }
    let tree = list(dir.path(), 2);
    assert_eq!(tree.entries.len(), 1 + 1500 + 1 + 5000);
    assert!(tree.find("d/".repeat(1500).trim_end_matches('/').as_bytes()).is_some());
}

#[test]
fn mount_point_is_left_empty_only_when_asked() {
    if !needs::root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let at = dir.path().join("mounted");
    fs::create_dir(&at).unwrap();
    if let Err(e) = namespaces::enter_private() {
        eprintln!("skipped: {e}");
        return;
    }
    let _mount = Mount::tmpfs(&at).unwrap();
    fs::write(at.join("file"), "").unwrap();
    let paths = |one_file_system| {
        let options = Options { jobs: 1, one_file_system, interrupt: &Interrupt::default() };
        let tree = scan(dir.path(), options).unwrap();
        tree.entries.into_iter().map(|e| String::from_utf8(e.path).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(paths(false), ["", "mounted", "mounted/file"]);
    assert_eq!(paths(true), ["", "mounted"]);
}

#[test]
fn folder_that_is_none_is_told() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    let error = |name: &str| {
        let options = Options { jobs: 1, one_file_system: false, interrupt: &Interrupt::default() };
        let error = scan(&dir.path().join(name), options).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Failed);
        error.to_string().replace(&dir.path().display().to_string(), "")
    };
    assert_eq!(error("file"), "opening /file: Not a directory (os error 20)");
    assert_eq!(error("none"), "opening /none: No such file or directory (os error 2)");
}
