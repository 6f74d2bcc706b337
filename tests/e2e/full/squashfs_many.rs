//! Scene: an image of a hundred thousand files, listed and unpacked, judged by unsquashfs and the kernel's mount.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use genpack_tests::assets::{are_here, genpack_host};

/// Files of one directory, and of the many: 500 directories of 100.
const IN_ONE: usize = 50_000;
const DIRECTORIES: usize = 500;
const IN_EACH: usize = 100;
/// Directories: the root, `one`, `many`, 25 groups, the rest.
const NAMES: usize = IN_ONE + DIRECTORIES * (IN_EACH + 1) + 2 + DIRECTORIES / 20;

fn tree(root: &Path) {
    fs::create_dir_all(root.join("one")).unwrap();
    for i in 0..IN_ONE {
        fs::write(root.join(format!("one/file-{i:06}")), format!("{i}\n").repeat(i % 40)).unwrap();
    }
    for d in 0..DIRECTORIES {
        let directory = root.join(format!("many/{:02}/{:02}", d / 20, d % 20));
        fs::create_dir_all(&directory).unwrap();
        for i in 0..IN_EACH {
            fs::write(directory.join(format!("{i:03}")), format!("{d} {i}\n").repeat(i % 50)).unwrap();
        }
    }
}

#[track_caller]
fn stdout(program: impl AsRef<std::ffi::OsStr>, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).env("TZ", "UTC").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// What `find` says of everything below a directory: path, type, mode, owner, size of a file, time, links.
fn found(root: &Path) -> Vec<String> {
    let format = "%P %y %m %U %G %n %T@";
    let text = stdout("find", &[&root.to_string_lossy(), "-printf", &format!("{format}\\n")]);
    let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
    lines.sort_unstable();
    lines
}

/// A mounted image, which is no longer when this is dropped.
struct Mounted(PathBuf);

impl Drop for Mounted {
    fn drop(&mut self) {
        let unmounted = Command::new("umount").arg(&self.0).status();
        assert!(unmounted.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}

#[test]
fn hundred_thousand_files_are_listed_and_unpacked_as_others_see_them() {
    if !are_here(&["unsquashfs", "mount", "diff", "find"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let [root, image, ours, mounted] = ["tree", "image", "ours", "mounted"].map(|n| dir.path().join(n));
    let text = |path: &Path| path.to_string_lossy().into_owned();
    tree(&root);
    for options in [&["-comp", "gzip", "-Xcompression-level", "1"][..], &["-comp", "zstd", "-b", "4K"]] {
        let mut arguments = vec![text(&root), text(&image)];
        arguments
            .extend(["-noappend", "-quiet", "-no-progress"].iter().chain(options).map(|o| (*o).to_owned()));
        stdout("mksquashfs", &arguments.iter().map(String::as_str).collect::<Vec<_>>());

        let listed = stdout(genpack_host(), &["ls", "-R", &text(&image)]);
        let judged = stdout("unsquashfs", &["-l", "-d", "", &text(&image)]);
        let mut our: Vec<_> = listed.lines().collect();
        let mut their: Vec<_> = judged.lines().filter(|line| !line.is_empty()).collect();
        our.sort_unstable();
        their.sort_unstable();
        assert_eq!(our.len(), NAMES);
        assert!(our == their, "{options:?}: the lists differ");

        stdout(genpack_host(), &["unpack", "--no-sync", &text(&image), &text(&ours)]);
        fs::create_dir_all(&mounted).unwrap();
        stdout("mount", &["-t", "squashfs", "-o", "ro,loop", &text(&image), &text(&mounted)]);
        let guard = Mounted(mounted.clone());
        assert!(found(&ours) == found(&mounted), "{options:?}: the trees differ");
        stdout("diff", &["-r", &text(&ours), &text(&mounted)]);
        drop(guard);
        fs::remove_dir_all(&ours).unwrap();
    }
}
