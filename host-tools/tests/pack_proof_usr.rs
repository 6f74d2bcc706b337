//! A tree that nobody made for a test: `/usr` of this machine, through unsquashfs and the kernel.
#![expect(clippy::print_stderr, reason = "a skipped test says why")]

#[path = "squashfs_images/mounted.rs"]
mod mounted;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use genpack_host::io::hash::hex;

use mounted::Mounted;

struct Described {
    paths: BTreeMap<PathBuf, String>,
    /// How many paths share their inode with others.
    links: u64,
    /// Every inode has as many names as it says.
    is_right: bool,
}

/// Describes everything below a directory: type, mode, owner, time, size, target, attributes, content.
fn describe(root: &Path) -> Described {
    let mut found = BTreeMap::new();
    let mut names: BTreeMap<u64, (u64, u64)> = BTreeMap::new();
    let mut left = vec![root.to_owned()];
    while let Some(path) = left.pop() {
        let stat = fs::symlink_metadata(&path).unwrap();
        let mut what = String::new();
        if stat.is_dir() {
            left.extend(fs::read_dir(&path).unwrap().map(|e| e.unwrap().path()));
        } else if stat.is_symlink() {
            what = format!("{:?}", fs::read_link(&path).unwrap());
        } else if stat.is_file() {
            let mut hasher = blake3::Hasher::new();
            hasher.update_reader(File::open(&path).unwrap()).unwrap();
            what = format!("{} {}", stat.size(), hex(hasher.finalize().as_bytes()));
        }
        let mode = if stat.is_symlink() { 0o120_777 } else { stat.mode() };
        let row = format!(
            "{mode:o} {}:{} {} {} {:x} {what} {:?}",
            stat.uid(),
            stat.gid(),
            stat.mtime(),
            if stat.is_dir() { stat.nlink() } else { 0 },
            if stat.is_dir() || stat.is_file() { 0 } else { stat.rdev() },
            xattrs(&path)
        );
        if !stat.is_dir() {
            names.entry(stat.ino()).or_insert((0, stat.nlink())).0 += 1;
        }
        found.insert(path.strip_prefix(root).unwrap().to_owned(), row);
    }
    // A file may have names outside the tree, which nobody packs: only the image must say what it has.
    let links = names.values().filter(|(here, _)| *here > 1).map(|(here, _)| here).sum();
    let is_right = names.values().all(|(here, says)| here == says);
    Described { paths: found, links, is_right }
}

fn xattrs(path: &Path) -> BTreeMap<String, String> {
    let mut names = vec![0; 65_536];
    let len = match rustix::fs::llistxattr(path, names.as_mut_slice()) {
        // Why: an image without the table has a kernel say that it knows no attributes.
        Err(rustix::io::Errno::NOTSUP) => 0,
        len => len.unwrap(),
    };
    let names = names[..len].split(|b| *b == 0).filter(|n| !n.is_empty());
    let value = |name: &[u8]| {
        let mut value = vec![0; 65_536];
        let len = rustix::fs::lgetxattr(path, name, value.as_mut_slice()).unwrap();
        (String::from_utf8_lossy(name).into_owned(), hex(&value[..len]))
    };
    names.map(value).collect()
}

#[test]
#[ignore = "takes minutes: ./ci.sh matrix"]
fn usr_of_this_machine_comes_back() {
    let root = Path::new("/usr");
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let [image, unpacked] = ["image", "unpacked"].map(|name| dir.path().join(name));
    let wanted = describe(root);
    assert!(wanted.paths.len() > 5000, "{} paths", wanted.paths.len());
    let mut squash = Command::new(env!("CARGO_BIN_EXE_genpack-host"));
    let output = squash.arg("squash").args([root, &image]).args(["--level", "1"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    eprintln!("{} paths: {}", wanted.paths.len(), String::from_utf8_lossy(&output.stderr));
    let same = |found: Described, who: &str| {
        assert_eq!((found.links, found.is_right), (wanted.links, true), "{who}");
        for path in wanted.paths.keys().chain(found.paths.keys()) {
            assert_eq!(found.paths.get(path), wanted.paths.get(path), "{who}: {}", path.display());
        }
    };
    if let Some(mounted) = Mounted::new(&image, &dir.path().join("mounted")) {
        same(describe(mounted.path()), "the kernel");
        let mut unsquashfs = Command::new("unsquashfs");
        let output = unsquashfs.args(["-quiet", "-no-progress", "-dest"]).args([&unpacked, &image]).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        same(describe(&unpacked), "unsquashfs");
    }
}
