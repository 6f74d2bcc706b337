//! `unpack` and `inspect`: the same tree as unsquashfs makes, and nothing outside it whatever the image says.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output};

use genpack_core::replay::mutate;
use rustix::fs::{XattrFlags, lgetxattr, llistxattr, lsetxattr};

use super::{has_mksquashfs, mksquashfs, tree};

/// Each compressor once and every layout that stores content in another way.
const OPTIONS: &[&[&str]] = &[
    &["-comp", "gzip", "-Xcompression-level", "1"],
    &["-comp", "xz", "-b", "1M"],
    &["-comp", "lzo", "-b", "4K"],
    &["-comp", "lz4", "-always-use-fragments"],
    &["-comp", "zstd", "-no-fragments"],
    &["-comp", "lzma"],
    &["-noI", "-noD", "-noF", "-noX"],
    &["-no-duplicates", "-no-exports", "-no-sparse"],
    &["-no-xattrs", "-nopad"],
];

fn genpack_host(args: &[&str], paths: &[&Path]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_genpack-host")).args(args).args(paths).output().unwrap()
}

#[track_caller]
fn assert_exit(output: &Output, code: i32) -> String {
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    stderr
}

/// What a tree is: path to everything that unpacking keeps, and to how much of a file is stored.
pub(super) fn manifest(root: &Path) -> BTreeMap<Vec<u8>, (String, Vec<u8>, u64)> {
    let mut found = BTreeMap::new();
    let mut left = vec![root.to_owned()];
    let mut firsts = BTreeMap::new();
    while let Some(path) = left.pop() {
        let m = fs::symlink_metadata(&path).unwrap();
        let name = path.strip_prefix(root).unwrap().as_os_str().as_bytes().to_vec();
        let first = firsts.entry(m.ino()).or_insert_with(|| name.clone()).clone();
        let mut names = vec![0; 4096];
        // Why: an image without the table has a kernel say that it knows no attributes.
        let n = llistxattr(&path, &mut names).unwrap_or_else(|e| {
            assert_eq!(e, rustix::io::Errno::NOTSUP);
            0
        });
        let mut xattrs: Vec<_> = names[..n].split(|b| *b == 0).filter(|n| !n.is_empty()).collect();
        xattrs.sort_unstable();
        let xattrs: Vec<_> = xattrs
            .into_iter()
            .map(|name| {
                let mut value = vec![0; 65_536];
                let n = lgetxattr(&path, name, &mut value).unwrap();
                (String::from_utf8_lossy(name).into_owned(), value[..n].to_vec())
            })
            .collect();
        let (mut content, mut size, mut blocks) = (Vec::new(), m.size(), 0);
        if m.is_dir() {
            size = 0;
            let mut below: Vec<_> = fs::read_dir(&path).unwrap().map(|e| e.unwrap().path()).collect();
            below.sort();
            left.extend(below);
        } else if m.is_symlink() {
            content = fs::read_link(&path).unwrap().as_os_str().as_bytes().to_vec();
        } else if m.is_file() {
            content = fs::read(&path).unwrap();
            blocks = m.blocks();
        }
        let text = format!(
            "{:o} {}/{} {} {} {size} {} {first:?} {xattrs:?}",
            m.mode(),
            m.uid(),
            m.gid(),
            m.mtime(),
            m.nlink(),
            m.rdev()
        );
        found.insert(name, (text, content, blocks));
    }
    found
}

/// Gives files attributes of every kind; two equal long values, which mksquashfs stores out of line.
fn attributes(root: &Path) {
    let long = tree::noise(900, 11);
    for (name, xattr, value) in [
        ("mixed", "user.small", &b"v"[..]),
        ("mixed", "user.empty", b""),
        ("mixed", "user.long", &long),
        ("sparse", "user.long", &long),
        ("sparse", "trusted.other", &long),
        ("set-uid", "security.capability", b"\x01\0\0\x02\0\x20\0\0\0\0\0\0\0\0\0\0\0\0\0\0"),
        ("a", "user.directory", b"d"),
    ] {
        lsetxattr(root.join(name), xattr, value, XattrFlags::empty()).unwrap();
    }
}

#[test]
fn unpacked_tree_is_the_one_that_unsquashfs_makes() {
    if !has_mksquashfs() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let [root, image, ours, theirs] = ["tree", "image", "ours", "theirs"].map(|n| dir.path().join(n));
    fs::create_dir(&root).unwrap();
    tree::plain(&root);
    if tree::is_root() {
        tree::special(&root);
        tree::extended(&root);
        attributes(&root);
    }
    for (options, jobs) in OPTIONS.iter().zip(["1", "2", "7"].iter().cycle()) {
        mksquashfs(&root, &image, options);
        assert_exit(&genpack_host(&["unpack", "--no-sync", "--jobs", jobs], &[&image, &ours]), 0);
        let output =
            Command::new("unsquashfs").args(["-n", "-q", "-d"]).args([&theirs, &image]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let (our, their) = (manifest(&ours), manifest(&theirs));
        assert!(our.keys().eq(their.keys()), "{options:?}");
        for (path, (text, content, blocks)) in &their {
            let path_text = String::from_utf8_lossy(path);
            assert_eq!(our[path].0, *text, "{options:?}: {path_text}");
            assert!(our[path].1 == *content, "{options:?}: {path_text}");
            // Why less is fine: unsquashfs writes the holes of inodes without a count of them.
            assert!(our[path].2 <= *blocks, "{options:?}: {path_text}");
        }
        fs::remove_dir_all(&ours).unwrap();
        fs::remove_dir_all(&theirs).unwrap();
    }
}

#[test]
fn directory_that_holds_something_is_refused() {
    if !has_mksquashfs() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let [root, image, empty, link] = ["tree", "image", "empty", "link"].map(|n| dir.path().join(n));
    fs::create_dir_all(root.join("a")).unwrap();
    fs::create_dir(&empty).unwrap();
    symlink("empty", &link).unwrap();
    mksquashfs(&root, &image, &[]);
    for (target, words) in
        [(dir.path(), "is not empty"), (&image, "is no directory"), (&link, "is a symbolic link")]
    {
        let stderr = assert_exit(&genpack_host(&["unpack"], &[&image, target]), 3);
        assert!(stderr.contains(words) && stderr.contains("hint: "), "{stderr}");
    }
    let absent = dir.path().join("absent");
    let output = genpack_host(&["--json", "--dry-run", "unpack"], &[&image, &absent]);
    assert_exit(&output, 0);
    let counts: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&counts["directories"], &counts["files"]), (&2.into(), &0.into()));
    assert!(!absent.exists());
    assert_exit(&genpack_host(&["unpack"], &[&image, &empty]), 0);
    assert!(empty.join("a").is_dir());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 4);
}

/// Replaces the bytes `from`, which occur once, by `to`.
fn patch(image: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let places: Vec<_> = (0..image.len()).filter(|at| image[*at..].starts_with(from)).collect();
    assert_eq!(places.len(), 1, "{}", String::from_utf8_lossy(from));
    let mut image = image.to_vec();
    image[places[0]..places[0] + from.len()].copy_from_slice(to);
    image
}

/// Returns an image, stored as it is, of a link that leads out and a directory beside it.
fn tempting(dir: &Path) -> Vec<u8> {
    let (root, image) = (dir.join("tree"), dir.join("seed"));
    fs::create_dir_all(root.join("out-2/in")).unwrap();
    fs::write(root.join("out-2/file"), "escaped\n").unwrap();
    fs::write(root.join("out-2/in/other"), "escaped\n").unwrap();
    fs::write(root.join("plain"), "plain\n").unwrap();
    fs::hard_link(root.join("plain"), root.join("second")).unwrap();
    symlink("../outside", root.join("out-1")).unwrap();
    mksquashfs(&root, &image, &["-noI", "-noD", "-noF", "-noX", "-no-fragments", "-b", "4K", "-nopad"]);
    let bytes = fs::read(&image).unwrap();
    fs::remove_dir_all(root).unwrap();
    fs::remove_file(image).unwrap();
    bytes
}

#[test]
fn hostile_names_leave_nothing_behind_and_nothing_outside() {
    if !has_mksquashfs() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let seed = tempting(dir.path());
    let [image, target, outside] = ["image", "target", "outside"].map(|n| dir.path().join(n));
    fs::create_dir(&outside).unwrap();
    for (from, to, words) in [
        ("out-2", "out-1", "twice"),
        ("plain", "out-1", "twice"),
        ("second", "../../", "illegal name"),
        ("plain", "/abso", "illegal name"),
        ("plain", "pl\0in", "illegal name"),
    ] {
        // Why the length before the name: the bytes of a name may be content too.
        let len = u8::try_from(from.len() - 1).unwrap();
        let with_len = |name: &str| [&[len, 0], name.as_bytes()].concat();
        fs::write(&image, patch(&seed, &with_len(from), &with_len(to))).unwrap();
        let stderr = assert_exit(&genpack_host(&["unpack"], &[&image, &target]), 1);
        assert!(stderr.contains(words), "{stderr}");
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0, "{to}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "{to}");
    }
}

#[test]
fn damaged_image_writes_nothing_outside() {
    if !has_mksquashfs() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let seed = tempting(dir.path());
    let [image, target, outside] = ["image", "target", "outside"].map(|n| dir.path().join(n));
    fs::create_dir(&outside).unwrap();
    mutate(&seed, 300, |bytes| {
        fs::write(&image, bytes).unwrap();
        let output = genpack_host(&["unpack"], &[&image, &target]);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(matches!(output.status.code(), Some(0 | 1)), "{stderr}");
        assert_eq!(target.exists(), output.status.success(), "{stderr}");
        let _ = fs::remove_dir_all(&target);
        assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    });
}

#[test]
fn unpacking_without_root_leaves_out_what_only_root_may() {
    if !has_mksquashfs() || !tree::is_root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let [root, image, target, program] = ["tree", "image", "target", "program"].map(|n| dir.path().join(n));
    fs::create_dir_all(root.join("closed/in")).unwrap();
    fs::write(root.join("set-uid"), "x").unwrap();
    fs::set_permissions(root.join("set-uid"), fs::Permissions::from_mode(0o4755)).unwrap();
    fs::create_dir(root.join("a")).unwrap();
    tree::special(&root);
    lsetxattr(root.join("set-uid"), "trusted.a", b"v", XattrFlags::empty()).unwrap();
    fs::set_permissions(root.join("closed"), fs::Permissions::from_mode(0o000)).unwrap();
    mksquashfs(&root, &image, &[]);
    // Why a copy: the build directory may be closed to others.
    fs::copy(env!("CARGO_BIN_EXE_genpack-host"), &program).unwrap();
    let output = Command::new(&program)
        .arg("unpack")
        .args([&image, &target])
        .uid(65_534)
        .gid(65_534)
        .output()
        .unwrap();
    let stderr = assert_exit(&output, 0);
    assert!(stderr.contains("2 devices and 1 set-uid"), "{stderr}");
    assert!(stderr.contains("1 extended attributes could not be kept"), "{stderr}");
    let mode = |name: &str| fs::symlink_metadata(target.join(name)).unwrap().mode() & 0o7777;
    assert_eq!((mode("set-uid"), mode("closed"), mode("fifo")), (0o755, 0, 0o640));
    assert!(!target.join("char").exists() && !target.join("block").exists());
    assert_eq!(fs::metadata(target.join("set-uid")).unwrap().uid(), 65_534);
}

#[test]
fn inspect_tells_compressor_options_counts_and_metadata() {
    if !has_mksquashfs() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let [root, image] = ["tree", "image"].map(|n| dir.path().join(n));
    fs::create_dir_all(root.join(".genpack")).unwrap();
    fs::write(root.join(".genpack/artifact"), "hello\n").unwrap();
    fs::write(root.join(".genpack/arch"), "x86_64\n").unwrap();
    fs::write(root.join("a"), "1234567").unwrap();
    fs::hard_link(root.join("a"), root.join("b")).unwrap();
    symlink("a", root.join("c")).unwrap();
    for (options, compressor, words) in [
        (&["-comp", "gzip"][..], "gzip", None),
        (&["-comp", "gzip", "-Xwindow-size", "10"], "gzip", Some("level 9, window 10, strategies 0x0")),
        (&["-comp", "xz", "-Xbcj", "x86", "-Xdict-size", "8K"], "xz", Some("dictionary 8192, filters 0x1")),
        (&["-comp", "lzo", "-Xalgorithm", "lzo1x_1"], "lzo", Some("algorithm lzo1x_1")),
        (&["-comp", "lz4", "-Xhc"], "lz4", Some("version 1, high compression")),
        (&["-comp", "zstd", "-Xcompression-level", "3"], "zstd", Some("level 3")),
        (&["-comp", "lzma"], "lzma", None),
    ] {
        mksquashfs(&root, &image, options);
        let output = genpack_host(&["--json", "inspect"], &[&image]);
        assert_exit(&output, 0);
        let facts: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(facts["compressor"], compressor);
        assert_eq!(facts.get("compressor_options").and_then(|o| o.as_str()), words, "{options:?}");
        assert_eq!(facts["inodes_by_type"], serde_json::json!({"directory": 2, "file": 3, "symlink": 1}));
        assert_eq!((&facts["names"], &facts["content_bytes"]), (&7.into(), &20.into()));
        assert_eq!(facts["genpack"], serde_json::json!({"artifact": "hello", "arch": "x86_64"}));
        assert_eq!(facts.get("kernel"), None);
    }
}
