//! Layers that we merge against the same layers merged by the kernel, on trees made at random.
#![expect(clippy::print_stderr, reason = "a skipped test says why")]

use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use genpack_host::container::namespaces;
use genpack_host::container::overlayfs::{Mount, Overlay, Writes};
use genpack_host::io::interrupt::Interrupt;
use genpack_host::pack::entry::Kind;
use genpack_host::pack::tree::Tree;
use genpack_host::pack::tree::merge::{Namespace, merge};
use genpack_host::pack::tree::scan::{Options, scan};
use rustix::fs::{CWD, FileType, Mode, XattrFlags, lsetxattr, mknodat};

/// Random but the same every time.
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % n
    }
}

fn list(dir: &Path) -> Tree {
    scan(dir, Options { jobs: 2, one_file_system: false, interrupt: &Interrupt::default() }).unwrap()
}

/// Shows all that must be equal; device and inode numbers are the overlay's own.
fn shown(mut tree: Tree) -> Vec<String> {
    let mut inodes = Vec::new();
    let mut number = |identity| {
        inodes.iter().position(|i| *i == identity).unwrap_or_else(|| {
            inodes.push(identity);
            inodes.len() - 1
        })
    };
    tree.entries
        .iter_mut()
        .map(|e| {
            e.xattrs.sort();
            let inode = number(e.identity.map(|i| (i.dev, i.ino)));
            let path = String::from_utf8_lossy(&e.path).into_owned();
            let kind = match &e.kind {
                Kind::File(file) => format!("file of {}", file.size),
                other => format!("{other:?}"),
            };
            let inode = if matches!(e.kind, Kind::Directory) { 0 } else { inode };
            format!("{path} {:o} {}:{} {} {inode} {kind} {:?}", e.mode, e.uid, e.gid, e.mtime, e.xattrs)
        })
        .collect()
}

/// Reads every file of a tree by its entries.
fn contents(tree: &Tree) -> Vec<Vec<u8>> {
    let paths = tree.entries.iter().filter(|e| matches!(e.kind, Kind::File(_)));
    paths.map(|e| tree.read(std::str::from_utf8(&e.path).unwrap()).unwrap()).collect()
}

/// Fills a layer: names from a small set, so that layers meet. `deletes`: with whiteouts and opaque directories.
fn fill(dir: &Path, depth: u32, deletes: bool, random: &mut Random) {
    for name in ["a", "a-b", "b", "c", "d.e", "zz"] {
        let path = dir.join(name);
        match random.below(if deletes { 9 } else { 7 }) {
            0 | 1 if depth > 0 => {
                fs::create_dir(&path).unwrap();
                fill(&path, depth - 1, deletes, random);
                if deletes && random.below(3) == 0 {
                    lsetxattr(&path, "trusted.overlay.opaque", b"y", XattrFlags::empty()).unwrap();
                }
                if random.below(3) == 0 {
                    lsetxattr(&path, "user.dir", name.as_bytes(), XattrFlags::empty()).unwrap();
                }
                fs::set_permissions(&path, fs::Permissions::from_mode(0o700 + random.below(64) as u32))
                    .unwrap();
            }
            2 => fs::write(&path, vec![b'x'; random.below(9) as usize]).unwrap(),
            3 => {
                fs::write(&path, format!("content of {}", path.display())).unwrap();
                fs::hard_link(&path, dir.join(format!("{name}-link"))).unwrap();
                lsetxattr(&path, "trusted.test", b"1", XattrFlags::empty()).unwrap();
            }
            4 => symlink(["a", "b", "/c", "nowhere"][random.below(4) as usize], &path).unwrap(),
            5 => {
                let kind = [FileType::Fifo, FileType::Socket][random.below(2) as usize];
                mknodat(CWD, &path, kind, Mode::from_raw_mode(0o640), 0).unwrap();
            }
            7 | 8 => mknodat(CWD, &path, FileType::CharacterDevice, Mode::empty(), 0).unwrap(),
            _ => {}
        }
    }
}

/// Why not in /tmp: it may be an overlay itself, which cannot hold an upper layer.
fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap()
}

/// Tells whether we may mount an overlay here.
fn can_mount(scratch: &Path) -> bool {
    let reason = if let Err(e) = namespaces::enter_private() {
        e.to_string()
    } else {
        let layers: Vec<PathBuf> = ["l0", "l1"].map(|n| scratch.join(n)).to_vec();
        let at = scratch.join("at");
        layers.iter().chain([&at]).for_each(|d| fs::create_dir(d).unwrap());
        match (Overlay { lower: layers, writes: Writes::Refuse }.mount(&at)) {
            Ok(_) => return true,
            Err(e) => e.to_string(),
        }
    };
    assert!(std::env::var_os("CI").is_none_or(|v| v != "true"), "{reason}");
    eprintln!("skipped: {reason}");
    false
}

/// Mounts layers after it took the whiteouts away that stand in a directory of one layer only.
///
/// Why: the kernel, which never writes such ones, lists their names there and then knows nothing of them.
fn mount_without_bare_whiteouts(layers: &[PathBuf], at: &Path) -> Mount {
    loop {
        let mount = Overlay { lower: layers.to_vec(), writes: Writes::Refuse }.mount(at).unwrap();
        let mut bare = Vec::new();
        find_bare(at, Path::new(""), &mut bare);
        if bare.is_empty() {
            return mount;
        }
        drop(mount);
        for path in layers.iter().flat_map(|l| bare.iter().map(|b| l.join(b))) {
            if fs::symlink_metadata(&path).is_ok_and(|s| s.file_type().is_char_device()) {
                fs::remove_file(path).unwrap();
            }
        }
    }
}

fn find_bare(root: &Path, dir: &Path, bare: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(root.join(dir)).unwrap() {
        let path = dir.join(entry.unwrap().file_name());
        match fs::symlink_metadata(root.join(&path)) {
            Ok(stat) if stat.is_dir() => find_bare(root, &path, bare),
            Ok(_) => {}
            Err(_) => bare.push(path),
        }
    }
}

#[test]
fn merged_layers_are_what_the_kernel_shows() {
    let scratch = scratch();
    if !can_mount(scratch.path()) {
        return;
    }
    for seed in 0..60 {
        let case = scratch.path().join(seed.to_string());
        let mut random = Random(seed);
        let at = case.join("at");
        fs::create_dir_all(&at).unwrap();
        let count = 2 + random.below(3);
        let layers: Vec<PathBuf> = (0..count).map(|i| case.join(format!("layer{i}"))).collect();
        for (i, layer) in layers.iter().enumerate() {
            fs::create_dir(layer).unwrap();
            fill(layer, 3, i + 1 < layers.len(), &mut random);
        }
        let mount = mount_without_bare_whiteouts(&layers, &at);
        let ours = merge(layers.iter().map(|l| list(l)).collect(), Namespace::Trusted).unwrap();
        let theirs = list(mount.path());
        assert_eq!(contents(&ours), contents(&theirs), "seed {seed}");
        assert_eq!(shown(ours), shown(theirs), "seed {seed}");
    }
}

/// What programs do in an upper layer: the kernel itself writes the whiteouts and marks then.
fn change(root: &Path, random: &mut Random) {
    let mut paths = vec![];
    collect(root, &mut paths);
    for path in paths {
        let Ok(stat) = fs::symlink_metadata(&path) else { continue };
        match (random.below(8), stat.is_dir()) {
            (0, true) => fs::remove_dir_all(&path).unwrap(),
            (1, true) => {
                fs::remove_dir_all(&path).unwrap();
                fs::create_dir(&path).unwrap();
                fs::write(path.join("new"), "new").unwrap();
            }
            (2, true) => {
                fs::remove_dir_all(&path).unwrap();
                symlink("a", &path).unwrap();
            }
            (3, true) => fs::write(path.join("added"), "added").unwrap(),
            (0, false) => fs::remove_file(&path).unwrap(),
            (1, false) => {
                fs::remove_file(&path).unwrap();
                fs::create_dir(&path).unwrap();
            }
            (2, false) if stat.is_file() => fs::write(&path, "changed").unwrap(),
            (3, false) => {
                let target = path.with_extension("moved");
                fs::rename(&path, target).unwrap();
            }
            (4, _) if !stat.is_symlink() => {
                fs::set_permissions(&path, fs::Permissions::from_mode(0o751)).unwrap();
            }
            (5, false) if stat.is_file() => {
                lsetxattr(&path, "user.changed", b"1", XattrFlags::empty()).unwrap();
            }
            _ => {}
        }
    }
}

fn collect(dir: &Path, paths: &mut Vec<PathBuf>) {
    let mut names: Vec<_> = fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    names.sort();
    for path in names {
        if fs::symlink_metadata(&path).unwrap().is_dir() {
            collect(&path, paths);
        }
        paths.push(path);
    }
}

#[test]
fn delta_that_the_kernel_wrote_is_read_without_it() {
    let scratch = scratch();
    if !can_mount(scratch.path()) {
        return;
    }
    for seed in 0..40 {
        let case = scratch.path().join(seed.to_string());
        let mut random = Random(seed + 1000);
        let [lower, upper, work, at] = ["lower", "upper", "work", "at"].map(|n| case.join(n));
        for dir in [&lower, &upper, &work, &at] {
            fs::create_dir_all(dir).unwrap();
        }
        fill(&lower, 3, false, &mut random);
        let writes = Writes::Keep { upper: upper.clone(), work };
        let mount = Overlay { lower: vec![lower.clone()], writes }.mount(&at).unwrap();
        change(mount.path(), &mut random);
        let theirs = list(mount.path());
        let ours = merge(vec![list(&upper), list(&lower)], Namespace::Trusted).unwrap();
        assert_eq!(contents(&ours), contents(&theirs), "seed {seed}");
        assert_eq!(shown(ours), shown(theirs), "seed {seed}");
    }
}
