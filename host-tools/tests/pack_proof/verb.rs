//! `genpack-host squash` as a user runs it, judged by unsquashfs.

use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use genpack_host::container::overlayfs::Mount;
use rustix::fs::{CWD, FileType, Mode, XattrFlags, lsetxattr, makedev, mknodat};

use super::BINARY;
use super::case::{Case, can_mount, fill, noise, set_time, skip_unless, stderr};

fn has_unsquashfs() -> bool {
    skip_unless(Command::new("unsquashfs").arg("-v").output().is_ok(), "unsquashfs is not installed")
}

impl Case {
    fn tree(&self, name: &str) -> PathBuf {
        self.path("tree").join(name)
    }

    /// Packs and returns what was said on stderr.
    #[track_caller]
    fn squash(&self, args: &[&str]) -> String {
        self.ends(0, args)
    }

    /// Packs, ends with this code and returns what was said.
    #[track_caller]
    fn ends(&self, code: i32, args: &[&str]) -> String {
        let output = self.command(args).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{}", stderr(&output));
        stderr(&output)
    }

    /// Returns the paths in the image as unsquashfs lists them.
    fn paths(&self) -> Vec<String> {
        let output = Command::new("unsquashfs").args(["-l", "-d", ""]).arg(self.image()).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.lines().filter(|l| l.starts_with('/')).map(str::to_owned).collect()
    }
}

/// Compares two folders: content, and mode, owner, time, links and attributes of every path.
#[track_caller]
fn assert_same(one: &Path, two: &Path, with_owner: bool) {
    let listing = |root: &Path| {
        let mut lines = Vec::new();
        let mut inodes = Vec::new();
        describe(root, Path::new(""), with_owner, &mut inodes, &mut lines);
        lines
    };
    assert_eq!(listing(one), listing(two));
}

fn describe(root: &Path, path: &Path, owner: bool, inodes: &mut Vec<(u64, u64)>, lines: &mut Vec<String>) {
    let full = if path.as_os_str().is_empty() { root.to_owned() } else { root.join(path) };
    let stat = fs::symlink_metadata(&full).unwrap();
    let inode = (stat.dev(), stat.ino());
    let number = inodes.iter().position(|i| *i == inode).unwrap_or(inodes.len());
    inodes.push(inode);
    let mut names = vec![0; 65_536];
    let length = rustix::fs::llistxattr(&full, names.as_mut_slice()).unwrap_or(0);
    let mut xattrs: Vec<_> = names[..length].split(|b| *b == 0).filter(|n| !n.is_empty()).collect();
    xattrs.sort_unstable();
    let what = if stat.is_file() {
        format!("{} bytes {:?}", stat.size(), genpack_host::io::hash::hex(&fs::read(&full).unwrap()))
    } else if stat.is_symlink() {
        format!("-> {:?}", fs::read_link(&full).unwrap())
    } else {
        format!("{:o} {:x}", stat.mode() >> 12, stat.rdev())
    };
    let owner_words = if owner { format!("{}:{}", stat.uid(), stat.gid()) } else { String::new() };
    lines.push(format!(
        "{} {:o} {owner_words} {} #{number} {what} {:?}",
        String::from_utf8_lossy(path.as_os_str().as_bytes()),
        stat.mode() & 0o7777,
        stat.mtime(),
        xattrs.iter().map(|n| String::from_utf8_lossy(n)).collect::<Vec<_>>(),
    ));
    if stat.is_dir() {
        let mut children: Vec<_> = fs::read_dir(&full).unwrap().map(|e| e.unwrap().file_name()).collect();
        children.sort();
        for name in children {
            describe(root, &path.join(name), owner, inodes, lines);
        }
    }
}

fn unsquash(image: &Path, to: &Path) {
    let output = Command::new("unsquashfs").args(["-q", "-n", "-d"]).arg(to).arg(image).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
}

#[test]
fn folder_comes_back_whole_whatever_the_compressor() {
    if !has_unsquashfs() {
        return;
    }
    let case = Case::new();
    fill(&case.path("tree"), &(0..12).collect::<Vec<_>>());
    symlink("../nowhere", case.tree("link")).unwrap();
    fs::hard_link(case.tree("d0/noise3"), case.tree("d1/again")).unwrap();
    fs::create_dir(case.tree("empty")).unwrap();
    File::create(case.tree("hole")).unwrap().set_len(5_000_000).unwrap();
    fs::write(case.tree("n".repeat(255).as_str()), "longest name").unwrap();
    lsetxattr(case.tree("d0"), "user.dir", b"1", XattrFlags::empty()).unwrap();
    if rustix::process::geteuid().is_root() {
        let mode = Mode::from_raw_mode(0o640);
        for (name, kind, device) in [
            ("block", FileType::BlockDevice, makedev(8, 17)),
            ("char", FileType::CharacterDevice, makedev(1, 3)),
            ("fifo", FileType::Fifo, 0),
            ("socket", FileType::Socket, 0),
        ] {
            mknodat(CWD, case.tree(name), kind, mode, device).unwrap();
        }
        std::os::unix::fs::chown(case.tree("d1"), Some(1000), Some(4_000_000_000)).unwrap();
        lsetxattr(case.tree("link"), "trusted.link", b"2", XattrFlags::empty()).unwrap();
        fs::set_permissions(case.tree("d2/text2"), fs::Permissions::from_mode(0o6755)).unwrap();
    }
    for name in ["d0", "d1/again", "link", "", "hole"] {
        set_time(&case.tree(name), 951_782_400);
    }
    for (i, options) in [
        ["--compression", "gzip"].as_slice(),
        &["--compression", "zstd", "--level", "9", "--block-size", "1M"],
        &["--compression", "xz", "--jobs", "1"],
        &["--compression", "lz4", "--no-verify"],
        &["--compression", "lzo", "--block-size", "4K"],
        &["--compression", "none"],
        &["--tails"],
        &["--tails", "--block-size", "4K", "--compression", "zstd"],
        &["--cache", "cache"],
        &["--cache", "cache", "--jobs", "3"],
    ]
    .into_iter()
    .enumerate()
    {
        case.squash(options);
        let out = case.path(&format!("out{i}"));
        unsquash(&case.image(), &out);
        assert_same(&case.path("tree"), &out, rustix::process::geteuid().is_root());
    }
}

#[test]
fn bytes_depend_on_nothing_but_folder_and_options() {
    let (one, two) = (Case::new(), Case::new());
    fill(&one.path("tree"), &(0..30).collect::<Vec<_>>());
    fill(&two.path("tree"), &(0..30).rev().collect::<Vec<_>>());
    for case in [&one, &two] {
        fs::hard_link(case.tree("d0/noise3"), case.tree("d1/again")).unwrap();
    }
    // Another day: every time is later, and none is later than the limit in the image.
    for i in 0..3 {
        set_time(&one.tree(&format!("d{i}")), 1_900_000_000);
        set_time(&two.tree(&format!("d{i}")), 2_000_000_000 + i);
    }
    let first = one.bytes(&["--mtime", "1600000000"]);
    for (case, args) in [
        (&one, ["--jobs", "1"].as_slice()),
        (&one, &["--jobs", "7"]),
        (&one, &["--no-verify"]),
        (&one, &["--cache", "cache"]),
        (&one, &["--cache", "cache"]),
        (&two, &[]),
        (&two, &["--jobs", "2", "--cache", "cache"]),
    ] {
        fs::remove_file(case.image()).ok();
        let again = case.bytes(&[&["--mtime", "1600000000"], args].concat());
        assert!(first == again, "{args:?}");
    }
    let tails = one.bytes(&["--mtime", "1600000000", "--tails"]);
    assert!(first != tails);
    // The cache, filled without it, serves both; the second time it knows the fragment blocks too.
    for _ in 0..2 {
        fs::remove_file(one.image()).unwrap();
        let again = one.bytes(&["--mtime", "1600000000", "--tails", "--cache", "cache"]);
        assert!(tails == again);
    }
    let epoch = one.command(&[]).env("SOURCE_DATE_EPOCH", "1600000000").output().unwrap();
    assert!(epoch.status.success() && first == fs::read(one.image()).unwrap());
    // The option wins over the variable.
    let args = ["--mtime", "1600000000"];
    assert!(one.command(&args).env("SOURCE_DATE_EPOCH", "1").output().unwrap().status.success());
    assert!(first == fs::read(one.image()).unwrap());
}

#[test]
fn image_is_made_again_when_the_folder_or_the_file_in_its_place_changed() {
    let case = Case::new();
    fill(&case.path("tree"), &[1, 2, 3]);
    for name in ["d0/text3", "d0/noise3", "d1/text1", "d1/noise1", "d2/text2", "d2/noise2", "d0", "d1", "d2"]
    {
        set_time(&case.tree(name), 1_500_000_000);
    }
    let image = case.bytes(&["--cache", "cache"]);
    fs::write(case.tree("d0/text3"), "changed").unwrap();
    assert!(image != case.bytes(&["--cache", "cache"]));
    fs::write(case.image(), "something else").unwrap();
    let changed = case.bytes(&["--cache", "cache"]);
    assert!(changed.starts_with(b"hsqs"), "an image that is not ours is replaced");
}

#[test]
fn excluded_paths_stay_out() {
    if !has_unsquashfs() {
        return;
    }
    let case = Case::new();
    for path in ["a/x.o", "a/keep", "a/b/x.o", "tmp/t", "a/tmp/t", "c/d/e/f", "odd [1]"] {
        fs::create_dir_all(case.tree(path).parent().unwrap()).unwrap();
        fs::write(case.tree(path), path).unwrap();
    }
    let text = case.squash(&["-v", "-e", "*.o", "-e", "/tmp/**", "--exclude", "c/**/f", "-e", "odd \\[1]"]);
    assert_eq!(case.paths(), ["/a", "/a/b", "/a/keep", "/a/tmp", "/a/tmp/t", "/c", "/c/d", "/c/d/e", "/tmp"]);
    assert!(text.contains("5 paths are left out\n"), "{text}");
    let text = case.ends(2, &["-e", "a[b"]);
    assert!(text.starts_with("error: --exclude \"a[b\": [ at byte 1 has no ]\n  hint: "), "{text}");
}

#[test]
fn own_files_inside_the_folder_are_left_out() {
    if !has_unsquashfs() {
        return;
    }
    let case = Case::new();
    fs::write(case.tree("file"), "x").unwrap();
    let squash = || {
        let mut command = Command::new(BINARY);
        command.arg("-C").arg(case.path("tree")).args(["squash", ".", "out.squashfs", "--cache", "cache"]);
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
        stderr(&output)
    };
    squash();
    let text = squash();
    assert!(text.contains(":: out.squashfs is left out: it is what this command writes\n"), "{text}");
    fs::rename(case.tree("out.squashfs"), case.image()).unwrap();
    assert_eq!(case.paths(), ["/file"]);
}

#[test]
fn dry_run_writes_nothing_and_json_is_one_line_per_event() {
    let case = Case::new();
    fill(&case.path("tree"), &[1, 2, 3]);
    let output = case.command(&["--dry-run"]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        text.starts_with("write ") && text.ends_with("image: 10 paths, 264.0 KiB uncompressed\n"),
        "{text}"
    );
    assert_eq!(case.beside(), ["tree"]);
    let output = case.command(&["--json", "--compression", "zstd"]).output().unwrap();
    let events: Vec<serde_json::Value> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let done = events.last().unwrap();
    assert_eq!(
        (&done["event"], &done["unchanged"], &done["inodes"]),
        (&"done".into(), &false.into(), &10.into())
    );
    assert_eq!(done["bytes"], fs::metadata(case.image()).unwrap().len());
}

#[test]
fn command_line_that_makes_no_sense_is_told_before_any_work() {
    let case = Case::new();
    for (args, said) in [
        (["--level", "13"].as_slice(), "error: gzip has no level 13, only 1 to 12\n"),
        (&["--compression", "lz4", "--level", "1"], "error: lz4 has no levels\n"),
        (&["--bcj", "arm64"], "error: only xz has branch converters: --bcj\n"),
        (&["--compression", "rar"], "error: "),
        (&["--block-size", "3K"], "error: "),
        (&["--jobs", "0"], "error: "),
        (&["--mtime", "-1"], "error: "),
        (&["--cache", "tree"], "error: the folder that is packed cannot be its own cache or image\n"),
    ] {
        let text = case.ends(2, args);
        assert!(text.starts_with(said), "{args:?}: {text}");
    }
    let output = case.command(&[]).env("SOURCE_DATE_EPOCH", "yesterday").output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).starts_with("error: reading SOURCE_DATE_EPOCH: \"yesterday\" is no time"));
    fs::remove_dir(case.path("tree")).unwrap();
    assert!(case.ends(1, &[]).ends_with("tree: No such file or directory (os error 2)\n"));
    fs::write(case.path("tree"), "").unwrap();
    assert!(case.ends(1, &[]).ends_with("Not a directory (os error 20)\n  hint: squash packs a folder\n"));
    assert_eq!(case.beside(), ["tree"]);
}

#[test]
fn access_control_lists_that_get_lost_are_told_and_capabilities_stay() {
    let case = Case::new();
    fs::create_dir(case.tree("d")).unwrap();
    for name in ["a", "d/one", "d/two"] {
        fs::write(case.tree(name), "x").unwrap();
    }
    // Version 2; the owner rwx, user 1000 r, the group r, the mask r, others none.
    let mut list = vec![2, 0, 0, 0];
    for (tag, permissions, id) in
        [(1_u16, 7_u16, u32::MAX), (2, 4, 1000), (4, 4, u32::MAX), (16, 4, u32::MAX), (32, 0, u32::MAX)]
    {
        list.extend([tag.to_le_bytes(), permissions.to_le_bytes()].concat());
        list.extend(id.to_le_bytes());
    }
    for name in ["d/one", "d/two"] {
        let set = lsetxattr(case.tree(name), "system.posix_acl_access", &list, XattrFlags::empty());
        if !skip_unless(set.is_ok(), "the file system has no access control lists") {
            return;
        }
    }
    // `struct vfs_cap_data`, revision 2: cap_net_raw, permitted and effective.
    let capability = [1, 0, 0, 2, 0, 0x20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let is_root = rustix::process::geteuid().is_root();
    if is_root {
        lsetxattr(case.tree("a"), "security.capability", &capability, XattrFlags::empty()).unwrap();
    }
    let said = case.squash(&[]);
    assert!(said.contains("which SquashFS cannot hold; paths: 2, first: d/one\n"), "{said}");
    let image = genpack_host::io::system_image::SystemImage::open(&case.image()).unwrap();
    let kept = |path: &str| image.xattrs(&image.stat(path).unwrap().unwrap()).unwrap().len();
    assert_eq!((kept("a"), kept("d/one")), (usize::from(is_root), 0));
}

#[test]
fn what_is_no_file_is_not_replaced() {
    let case = Case::new();
    fs::create_dir(case.image()).unwrap();
    assert!(case.ends(1, &[]).ends_with("image: it is a directory\n"));
    fs::remove_dir(case.image()).unwrap();
    symlink("/dev/null", case.image()).unwrap();
    assert!(case.ends(3, &[]).contains("image: it is no regular file\n  hint: "));
}

#[test]
fn file_that_is_shorter_than_it_says_leaves_the_old_image() {
    if !can_mount() {
        return;
    }
    let case = Case::new();
    fill(&case.path("tree"), &[1, 2, 3]);
    let old = case.bytes(&[]);
    fs::write(case.tree("short"), "").unwrap();
    // A file of sysfs has a page for stat(2), whatever it holds.
    rustix::mount::mount_bind("/sys/kernel/uevent_seqnum", case.tree("short")).unwrap();
    assert_eq!(fs::metadata(case.tree("short")).unwrap().len(), 4096);
    let text = case.ends(1, &[]);
    assert!(text.contains("short: "), "{text}");
    assert!(old == fs::read(case.image()).unwrap());
    assert_eq!(case.beside(), ["image", "tree"]);
    rustix::mount::unmount(case.tree("short"), rustix::mount::UnmountFlags::DETACH).unwrap();
}

#[test]
fn full_disk_leaves_the_old_image_and_nothing_else() {
    if !can_mount() {
        return;
    }
    let case = Case::new();
    let small = case.path("small");
    fs::create_dir(&small).unwrap();
    let _mount = Mount::tmpfs(&small).unwrap();
    rustix::mount::mount_remount(&small, rustix::mount::MountFlags::empty(), c"size=1m").unwrap();
    fs::write(case.tree("first"), noise(200_000, 1)).unwrap();
    let squash = |args: &[&str]| {
        let mut command = Command::new(BINARY);
        command.arg("-C").arg(case.path("")).args(["squash", "tree", "small/image"]).args(args);
        command.output().unwrap()
    };
    assert_eq!(squash(&[]).status.code(), Some(0));
    let old = fs::read(small.join("image")).unwrap();
    for (size, args) in [
        (2_000_000, ["--jobs", "1"].as_slice()),
        (1_100_000, &["--jobs", "4"]),
        (840_000, &["--compression", "none"]),
    ] {
        fs::write(case.tree("second"), noise(size, 2)).unwrap();
        let output = squash(args);
        assert_eq!(output.status.code(), Some(1), "{size}: {}", stderr(&output));
        let text = stderr(&output);
        assert!(text.contains("No space left on device"), "{text}");
        assert!(text.ends_with("  hint: free some space on its file system\n"), "{text}");
        let names: Vec<_> = fs::read_dir(&small).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(names, ["image"]);
        assert!(old == fs::read(small.join("image")).unwrap());
    }
}

#[test]
fn interrupted_it_says_so_and_leaves_nothing() {
    let case = Case::new();
    for i in 0..40 {
        fs::write(case.tree(&format!("f{i}")), noise(1_000_000, i + 1)).unwrap();
    }
    let args = ["--compression", "xz", "--level", "9", "--jobs", "1", "--json"];
    let mut child = case.command(&args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // The first event says that the work has begun, and so that the signal is watched for.
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.as_mut().unwrap()), &mut line)
        .unwrap();
    assert!(line.contains("\"event\":\"step\""), "{line}");
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(4));
    assert!(stderr(&output).ends_with("\nerror: interrupted\n"), "{}", stderr(&output));
    assert_eq!(case.beside(), ["tree"]);
}
