//! Sources that cannot be read and disks that are full, both real ones.

use std::fs;
use std::os::unix::fs::FileExt;
use std::process::Command;

use genpack_host::container::overlayfs::Mount;

use super::BINARY;
use super::case::{Case, can_mount, fill, names, noise, stderr, succeeds, text};
use super::mounted::Mounted;

#[test]
fn damaged_disk_under_a_file_leaves_the_old_image() {
    let (inner, case) = (Case::new(), Case::new());
    fs::write(inner.path("tree/whole"), noise(500_000, 1)).unwrap();
    fs::write(inner.path("tree/zbroken"), text(3_000_000, 2)).unwrap();
    let image = inner.bytes(&["--compression", "zstd"]);
    let file = fs::OpenOptions::new().write(true).open(inner.image()).unwrap();
    // In the last third of the content: the blocks before it can be read. The kernel answers EIO, as for a disk.
    let at = 500_000 + (image.len() - 500_000) * 2 / 3;
    file.write_all_at(&[0xFF; 4096], at as u64).unwrap();
    drop(file);
    fs::write(case.path("tree/file"), "old").unwrap();
    let old = case.bytes(&[]);
    let Some(mounted) = Mounted::new(&inner.image(), &case.path("tree")) else { return };
    fs::read(mounted.path().join("whole")).unwrap();
    assert_eq!(fs::read(mounted.path().join("zbroken")).unwrap_err().raw_os_error(), Some(5));
    for args in [&["--jobs", "1"][..], &["--jobs", "4"], &["--cache", "cache"], &["--no-verify"]] {
        let output = case.run(args);
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {said}");
        assert!(said.contains("reading zbroken at byte "), "{args:?}: {said}");
        assert!(said.contains("Input/output error (os error 5)"), "{args:?}: {said}");
        assert!(fs::read(case.image()).unwrap() == old);
        let mut beside = case.beside();
        beside.retain(|name| name != "cache");
        assert_eq!(beside, ["image", "tree"]);
    }
}

#[test]
fn disk_of_any_size_that_is_too_small_keeps_the_old_image() {
    if !can_mount() {
        return;
    }
    let case = Case::new();
    let small = case.path("small");
    fs::create_dir(&small).unwrap();
    let _mount = Mount::tmpfs(&small).unwrap();
    let squash = || {
        let mut command = Command::new(BINARY);
        command.arg("-C").arg(case.path("")).args(["squash", "tree", "small/image", "--level", "1"]);
        command.output().unwrap()
    };
    fs::write(case.path("tree/first"), noise(20_000, 1)).unwrap();
    succeeds(&squash());
    let old = fs::read(small.join("image")).unwrap();
    fill(&case.path("tree"), &[1, 2, 3]);
    fs::write(case.path("tree/second"), noise(1_500_000, 2)).unwrap();
    let new = case.bytes(&["--level", "1"]);
    let mut pages = old.len() / 4096 + 1;
    let mut failures = 0;
    // tmpfs takes a part of a write before it says that it is full: 7 pages fit no boundary of ours.
    loop {
        let size = std::ffi::CString::new(format!("size={}k", pages * 4)).unwrap();
        rustix::mount::mount_remount(&small, rustix::mount::MountFlags::empty(), &*size).unwrap();
        let output = squash();
        assert_eq!(names(&small), ["image"], "{pages} pages");
        let found = fs::read(small.join("image")).unwrap();
        if output.status.success() {
            assert!(found == new);
            break;
        }
        failures += 1;
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(1), "{pages} pages: {said}");
        assert!(said.contains("No space left on device"), "{pages} pages: {said}");
        assert!(said.ends_with("  hint: free some space on its file system\n"), "{pages} pages: {said}");
        assert!(found == old, "{pages} pages");
        pages += 7;
    }
    let least = new.len() / 4096 / 7;
    assert!(failures >= least, "{failures} failures, {least} wanted");
}
