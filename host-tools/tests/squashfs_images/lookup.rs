//! Paths inside an image: links, dots, loops.

use std::fs;
use std::os::unix::fs::symlink;

use genpack_host::io::system_image::SystemImage;

use super::{has_mksquashfs, mksquashfs};

#[test]
fn path_resolves_inside_the_image_and_nowhere_else() {
    if !has_mksquashfs() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (root, path) = (dir.path().join("tree"), dir.path().join("image"));
    fs::create_dir_all(root.join("usr/bin")).unwrap();
    fs::create_dir_all(root.join("etc")).unwrap();
    fs::write(root.join("usr/bin/sh"), "sh").unwrap();
    fs::write(root.join("etc/passwd"), "inside").unwrap();
    for (target, link) in [
        ("usr/bin", "bin"),
        ("/usr/bin/sh", "absolute"),
        ("../../../../etc/passwd", "usr/bin/escape"),
        ("/../etc/./passwd", "escape"),
        ("bin/sh", "twice"),
        ("loop-b", "loop-a"),
        ("loop-a", "loop-b"),
        ("nowhere", "dangling"),
        (".", "usr/here"),
        ("usr/bin/sh/", "slash"),
    ] {
        symlink(target, root.join(link)).unwrap();
    }
    for i in 0..45 {
        symlink(
            if i == 0 { "etc/passwd".to_owned() } else { format!("chain-{}", i - 1) },
            root.join(format!("chain-{i}")),
        )
        .unwrap();
    }
    mksquashfs(&root, &path, &["-comp", "gzip"]);
    let image = SystemImage::open(&path).unwrap();
    let read = |path: &str| image.read(path, 100).unwrap().map(|b| String::from_utf8(b).unwrap());
    for (path, content) in [
        ("usr/bin/sh", Some("sh")),
        ("//usr///bin/./sh", Some("sh")),
        ("/bin/sh", Some("sh")),
        ("/absolute", Some("sh")),
        ("/twice", Some("sh")),
        ("/../../bin/../bin/sh", Some("sh")),
        // Why: `bin` is a link, so `..` is the parent of where it leads.
        ("/bin/../../etc/passwd", Some("inside")),
        ("/bin/../etc/passwd", None),
        ("/usr/bin/escape", Some("inside")),
        ("/bin/escape", Some("inside")),
        ("/escape", Some("inside")),
        ("/usr/here/here/here/bin/sh", Some("sh")),
        ("/chain-39", Some("inside")),
        ("/dangling", None),
        ("/slash", None),
        ("/bin/sh/", None),
        ("/bin/sh/x", None),
        ("/bin/sh/..", None),
        ("/bin", None),
        ("/nowhere/..", None),
        ("/", None),
    ] {
        assert_eq!(read(path).as_deref(), content, "{path}");
    }
    for path in ["/loop-a", "/loop-b/x", "/chain-40"] {
        let error = image.exists(path).unwrap_err().to_string();
        assert!(error.contains("too many symbolic links"), "{error}");
    }
    assert!(image.exists("/").unwrap() && image.exists("").unwrap() && image.exists("/bin/").unwrap());
    assert!(!image.exists(&"n".repeat(300)).unwrap());
    assert!(image.exists(&"/n".repeat(3000)).unwrap_err().to_string().contains("too long"));
    assert_eq!(image.stat_no_follow("/bin").unwrap().unwrap().target.unwrap(), b"usr/bin");
    assert!(image.stat_no_follow("/bin/").unwrap().unwrap().is_directory());
    assert_eq!(image.list("/bin").unwrap().unwrap(), ["escape", "sh"]);
    assert_eq!(image.list("/bin/sh").unwrap(), None);
    assert_eq!(image.list("/nowhere").unwrap(), None);
}

#[test]
fn metadata_of_an_image_is_the_first_word_of_each_file() {
    if !has_mksquashfs() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (root, path) = (dir.path().join("tree"), dir.path().join("image"));
    fs::create_dir_all(root.join(".genpack")).unwrap();
    fs::write(root.join(".genpack/arch"), "x86_64\n").unwrap();
    fs::write(root.join(".genpack/artifact"), "hello (dirty)\n").unwrap();
    fs::write(root.join(".genpack/variant"), "\n").unwrap();
    mksquashfs(&root, &path, &["-comp", "gzip"]);
    let meta = SystemImage::open(&path).unwrap().meta().unwrap();
    assert_eq!(meta.arch.map(|a| a.name()), Some("x86_64"));
    assert_eq!(meta.artifact.as_deref(), Some("hello"));
    assert_eq!((meta.profile, meta.variant), (None, None));

    fs::remove_dir_all(root.join(".genpack")).unwrap();
    mksquashfs(&root, &path, &["-comp", "gzip"]);
    let error = SystemImage::open(&path).unwrap().meta().unwrap_err();
    assert!(error.to_string().ends_with("is not a genpack image: it has no /.genpack"), "{error}");
}

#[test]
fn read_beyond_the_limit_is_an_error() {
    if !has_mksquashfs() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (root, path) = (dir.path().join("tree"), dir.path().join("image"));
    fs::create_dir(&root).unwrap();
    fs::write(root.join("ten"), "0123456789").unwrap();
    mksquashfs(&root, &path, &["-comp", "gzip"]);
    let image = SystemImage::open(&path).unwrap();
    assert_eq!(image.read("ten", 10).unwrap().unwrap(), b"0123456789");
    let error = image.read("ten", 9).unwrap_err().to_string();
    assert!(error.ends_with("it has 10 bytes, more than 9"), "{error}");
}

#[test]
fn image_that_is_cut_is_truncated() {
    if !has_mksquashfs() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (root, path) = (dir.path().join("tree"), dir.path().join("image"));
    fs::create_dir(&root).unwrap();
    mksquashfs(&root, &path, &["-comp", "gzip", "-nopad"]);
    let used = SystemImage::open(&path).unwrap().bytes_used();
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    file.set_len(used - 1).unwrap();
    let error = SystemImage::open(&path).unwrap_err().to_string();
    assert!(error.ends_with(&format!("is truncated: needs {used} bytes, has {}", used - 1)), "{error}");
}

/// An image that is stored as it is, so that its directory entries can be changed: `a`, `link` and others.
const STORED: &[u8] = include_bytes!("../../../core/tests/fixtures/squashfs-all-types.squashfs");

/// Returns the offset of the one place in the directory table of [`STORED`] with these bytes.
fn find(bytes: &[u8]) -> usize {
    let table = 682..944;
    let mut found = table.filter(|at| STORED[*at..].starts_with(bytes));
    let at = found.next().unwrap();
    assert_eq!(found.next(), None);
    at
}

#[test]
fn directory_that_contains_itself_ends_the_walk() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("image");
    let mut bytes = STORED.to_vec();
    // The entry of `a`: offset of its inode, difference of inode number 0, type 1, name length 1 less 1, the name.
    let entry = find(&[0, 0, 1, 0, 0, 0, b'a']) - 2;
    // The root's inode is in the same metadata block.
    bytes[entry..entry + 2].copy_from_slice(&STORED[32..34]);
    fs::write(&path, bytes).unwrap();
    let image = SystemImage::open(&path).unwrap();
    assert!(image.exists(&"/a".repeat(256)).unwrap());
    let error = image.exists(&"/a".repeat(257)).unwrap_err().to_string();
    assert!(error.contains("the path is too long"), "{error}");
    let mut visited = 0;
    let error = image.walk(&mut |_, _| {
        visited += 1;
        Ok(())
    });
    assert!(error.unwrap_err().to_string().contains("the directory contains itself"));
    assert_eq!(visited, 1);
}

#[test]
fn name_that_leads_out_of_its_directory_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("image");
    let mut bytes = STORED.to_vec();
    let name = find(b"\x03\0link");
    bytes[name + 2..name + 6].copy_from_slice(b"../x");
    fs::write(&path, bytes).unwrap();
    let error = SystemImage::open(&path).unwrap().list("/").unwrap_err();
    assert!(error.to_string().contains("a directory entry has an illegal name (byte "), "{error}");
    assert_eq!(error.hint.as_deref(), Some("the image is damaged: copy or build it again"));
}
