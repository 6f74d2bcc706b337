//! Images made to hurt whoever lists or unpacks them: an error with a reason, and nothing left behind.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Output};

use super::craft::{Craft, DIRECTORY, FILE, SYMLINK, reference};
use super::tree;

fn genpack_host(args: &[&str], paths: &[&Path]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_genpack-host")).args(args).args(paths).output().unwrap()
}

/// Unpacks the image, which must fail with these words and leave nothing; returns what was said.
#[track_caller]
fn refused(image: &[u8], words: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let [file, target] = ["image", "target"].map(|n| dir.path().join(n));
    fs::write(&file, image).unwrap();
    let output = genpack_host(&["unpack", "--no-sync"], &[&file, &target]);
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains(words), "{stderr}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "{stderr}");
    stderr
}

#[test]
fn name_that_is_no_name_is_refused() {
    for name in [&b".."[..], b".", b"/", b"a/b", b"../a", b"a\0", &[b'a'; 257]] {
        let mut craft = Craft::default();
        let file = craft.file();
        let listing = craft.listing(&[(name, file, FILE)]);
        let root = craft.directory(listing);
        refused(
            &craft.image(root),
            "a directory entry has an illegal name (byte 12 of the metadata block at ",
        );
    }
    // An empty name would have the length 0, which is stored as -1: 65 536.
    let mut craft = Craft::default();
    let file = craft.file();
    let listing = craft.listing(&[(b"", file, FILE)]);
    let root = craft.directory(listing);
    refused(&craft.image(root), "a directory entry is cut off (byte 12 of the metadata block at ");
}

#[test]
fn link_planted_before_a_directory_or_a_file_of_its_name_leads_nowhere() {
    let outside = tempfile::tempdir().unwrap();
    for kind in [DIRECTORY, FILE, SYMLINK] {
        let mut craft = Craft::default();
        let link = craft.link(&outside.path().to_string_lossy());
        let file = craft.file();
        let inner = craft.listing(&[(b"escaped", file, FILE)]);
        let second = match kind {
            DIRECTORY => craft.directory(inner),
            FILE => file,
            _ => craft.link("elsewhere"),
        };
        for entries in [
            [(&b"x"[..], link, SYMLINK), (b"x", second, kind)],
            [(b"x", second, kind), (b"x", link, SYMLINK)],
        ] {
            let listing = craft.listing(&entries);
            let root = craft.directory(listing);
            refused(&craft.image(root), "the name x is in its directory twice");
        }
    }
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);
}

#[test]
fn directory_inside_itself_or_in_two_places_is_refused() {
    // A child that is the root, a grandchild that is the child, and two names of one directory.
    let mut craft = Craft::default();
    let root = craft.directory((0, 21));
    craft.listing(&[(b"a", root, DIRECTORY)]);
    refused(&craft.image(root), "the directory contains itself, or has two names");

    let mut craft = Craft::default();
    let a = craft.directory((0, 21));
    craft.listing(&[(b"b", a, DIRECTORY)]);
    let listing = craft.listing(&[(b"a", a, DIRECTORY)]);
    let root = craft.directory(listing);
    refused(&craft.image(root), "reading a/b in ");

    let mut craft = Craft::default();
    let empty = craft.directory((0, 0));
    let listing = craft.listing(&[(b"a", empty, DIRECTORY), (b"b", empty, DIRECTORY)]);
    let root = craft.directory(listing);
    let stderr = refused(&craft.image(root), "the directory contains itself, or has two names");
    assert!(stderr.contains("hostile"), "{stderr}");
}

#[test]
fn tree_deeper_than_the_limit_is_refused() {
    let nested = |depth: usize| {
        let mut craft = Craft::default();
        let mut below = craft.directory((0, 0));
        for _ in 0..depth {
            let listing = craft.listing(&[(b"d", below, DIRECTORY)]);
            below = craft.directory(listing);
        }
        craft.image(below)
    };
    refused(&nested(513), "its directories are nested more than 512 deep");
    let dir = tempfile::tempdir().unwrap();
    let [file, target] = ["image", "target"].map(|n| dir.path().join(n));
    fs::write(&file, nested(512)).unwrap();
    let output = genpack_host(&["unpack", "--no-sync"], &[&file, &target]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(fs::metadata(target.join("d/".repeat(512))).unwrap().mode(), 0o40_755);
}

#[test]
fn size_that_the_image_does_not_pay_for_is_refused() {
    // Exabytes over a block list that ends, and a listing of four gigabytes in a table of 21 bytes.
    // Why the root first: what follows a block list would be taken for more of it.
    let mut craft = Craft::default();
    let root = craft.directory((0, 12 + 8 + 3));
    let file = craft.hole(1 << 62, 3);
    craft.listing(&[(b"exa", file, FILE)]);
    let stderr = refused(&craft.image(root), "metadata block at ");
    assert!(stderr.contains("is outside its table"), "{stderr}");

    let mut craft = Craft::default();
    let file = craft.file();
    craft.listing(&[(b"a", file, FILE)]);
    let root = craft.directory((0, 4_000_000_000));
    refused(&craft.image(root), "is outside its table");
}

#[test]
fn verify_reads_every_byte_and_tells_damage_from_failure() {
    if !super::has_mksquashfs() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let [root, image] = ["tree", "image"].map(|n| dir.path().join(n));
    fs::create_dir(&root).unwrap();
    tree::plain(&root);
    super::mksquashfs(&root, &image, &["-comp", "zstd", "-b", "4K"]);
    let output = genpack_host(&["--json", "inspect", "--verify"], &[&image]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let facts: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(facts["verified_bytes"], facts["content_bytes"]);
    assert!(facts["verified_bytes"].as_u64().unwrap() > 5_000_000);

    // The first frame is a block of data.
    let mut bytes = fs::read(&image).unwrap();
    let data = bytes.windows(4).position(|w| w == [0x28, 0xB5, 0x2F, 0xFD]).unwrap();
    bytes[data..data + 4].fill(0xFF);
    fs::write(&image, bytes).unwrap();
    assert!(genpack_host(&["inspect"], &[&image]).status.success());
    let output = genpack_host(&["inspect", "--verify"], &[&image]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(5), "{stderr}");
    assert!(stderr.contains("zstd block at "), "{stderr}");
}

#[test]
fn hole_that_the_image_pays_for_stays_a_hole() {
    let mut craft = Craft::default();
    let file = craft.hole((40 << 20) - 5, 40);
    let listing = craft.listing(&[(b"hole", file, FILE)]);
    let root = craft.directory(listing);
    let dir = tempfile::tempdir().unwrap();
    let [image, target] = ["image", "target"].map(|n| dir.path().join(n));
    fs::write(&image, craft.image(root)).unwrap();
    let output = genpack_host(&["unpack", "--no-sync"], &[&image, &target]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found = fs::metadata(target.join("hole")).unwrap();
    assert_eq!((found.len(), found.blocks()), ((40 << 20) - 5, 0));
}

#[test]
fn attributes_beyond_the_limit_are_refused() {
    // One value of 64 KiB, and a list that names it seventeen times: a megabyte of attributes.
    let mut craft = Craft::default();
    craft.xattrs.extend(65_536_u32.to_le_bytes());
    craft.xattrs.extend(vec![b'v'; 65_536]);
    let list = craft.xattrs.len();
    for name in b'a'..b'a' + 17 {
        craft.xattrs.extend([0, 1, 1, 0, name, 8, 0, 0, 0]);
        craft.xattrs.extend(reference(0).to_le_bytes());
    }
    craft.xattr_ids = vec![(list, 17), (list, u32::MAX)];
    for (index, words) in
        [(0, "more than 1048576 bytes of extended attributes"), (1, "has 4294967295 extended attributes")]
    {
        let file = craft.labelled(index);
        let listing = craft.listing(&[(b"a", file, FILE)]);
        let root = craft.directory(listing);
        refused(&craft.image(root), words);
    }
}

#[test]
fn listing_of_link_targets_has_a_bound() {
    // One link of 4 KiB under 20 000 names: 80 megabytes of targets.
    let mut craft = Craft::default();
    let link = craft.link(&"x".repeat(4096));
    let names: Vec<_> = (0..20_000).map(|i| format!("{i:05}")).collect();
    let entries: Vec<_> = names.iter().map(|n| (n.as_bytes(), link, SYMLINK)).collect();
    let listing = craft.listing(&entries);
    let root = craft.directory(listing);
    let dir = tempfile::tempdir().unwrap();
    let image = dir.path().join("image");
    fs::write(&image, craft.image(root)).unwrap();
    let output = genpack_host(&["ls"], &[&image]);
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains("more than 67108864 bytes of link targets"), "{stderr}");
    let output = genpack_host(&["ls", "-R"], &[&image]);
    assert!(output.status.success());
    assert_eq!(output.stdout.split_inclusive(|b| *b == b'\n').count(), 20_000);
}

/// Runs a shell script in a mount namespace of its own; `$1` is the program, `$2` the image, `$3` the directory.
fn mounted(script: &str, image: &Path, dir: &Path) -> Output {
    Command::new("unshare")
        .args(["-m", "sh", "-c", script, "sh", env!("CARGO_BIN_EXE_genpack-host")])
        .args([image, dir])
        .output()
        .unwrap()
}

#[test]
fn target_that_is_a_mount_point_is_refused() {
    if !tree::is_root() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let [image, target] = ["image", "target"].map(|n| dir.path().join(n));
    let mut craft = Craft::default();
    let root = craft.directory((0, 0));
    fs::write(&image, craft.image(root)).unwrap();
    fs::create_dir(&target).unwrap();
    for mount in ["mount -t tmpfs none \"$3\"", "mount --bind \"$3\" \"$3\""] {
        let output = mounted(&format!("{mount} && exec \"$1\" unpack \"$2\" \"$3\""), &image, &target);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{stderr}");
        assert!(stderr.contains("is a mount point; name a directory below it"), "{stderr}");
    }
    let output = Command::new(env!("CARGO_BIN_EXE_genpack-host"))
        .args([Path::new("unpack"), &image, Path::new(".")])
        .current_dir(&target)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stderr).contains("is the current directory"));
}

#[test]
fn full_file_system_is_told_and_left_as_it_was() {
    if !tree::is_root() || !super::has_mksquashfs() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let [tree, image, target] = ["tree", "image", "target"].map(|n| dir.path().join(n));
    fs::create_dir(&tree).unwrap();
    fs::create_dir(&target).unwrap();
    fs::write(tree.join("large"), tree::noise(3_000_000, 1)).unwrap();
    super::mksquashfs(&tree, &image, &[]);
    let script = "mount -t tmpfs -o size=1m none \"$3\" && \"$1\" unpack \"$2\" \"$3/out\"; s=$?; ls -A \"$3\"; exit $s";
    let output = mounted(script, &image, &target);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), &b""[..]), "{stderr}");
    assert!(stderr.contains("large: writing: No space left on device"), "{stderr}");
    assert!(stderr.contains("hint: nothing is left of what was unpacked"), "{stderr}");
}

#[test]
fn name_of_any_bytes_is_listed_read_and_unpacked() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    let name = OsStr::from_bytes(b"\xFF\x1B[2J\n");
    let mut craft = Craft::default();
    let file = craft.hole(3, 1);
    let listing = craft.listing(&[(name.as_bytes(), file, FILE)]);
    let inner = craft.directory(listing);
    let listing = craft.listing(&[(b"d\xFE", inner, DIRECTORY)]);
    let root = craft.directory(listing);
    let dir = tempfile::tempdir().unwrap();
    let [image, target] = ["image", "target"].map(|n| dir.path().join(n));
    fs::write(&image, craft.image(root)).unwrap();
    let directory = Path::new(OsStr::from_bytes(b"d\xFE"));
    let stdout = |args: &[&str], paths: &[&Path]| {
        let output = genpack_host(args, paths);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    assert_eq!(stdout(&["ls"], &[&image, directory]), b"\\377\\033[2J\\012\n");
    assert_eq!(stdout(&["ls", "-R"], &[&image]), b"/d\\376\n/d\\376/\\377\\033[2J\\012\n");
    assert_eq!(stdout(&["cat"], &[&image, &directory.join(name)]), [0; 3]);
    let listed: serde_json::Value =
        serde_json::from_slice(&stdout(&["--json", "ls", "-R"], &[&image])).unwrap();
    assert_eq!(listed[1]["path"], "/d\u{FFFD}/\u{FFFD}\u{1B}[2J\n");
    let bytes: Vec<u8> = serde_json::from_value(listed[1]["path_bytes"].clone()).unwrap();
    assert_eq!(bytes, b"/d\xFE/\xFF\x1B[2J\n");
    stdout(&["unpack", "--no-sync"], &[&image, &target]);
    assert_eq!(fs::read(target.join(directory).join(name)).unwrap(), [0; 3]);
    let output = genpack_host(&["cat"], &[&image, directory]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("reading d\\376 in "));
}
