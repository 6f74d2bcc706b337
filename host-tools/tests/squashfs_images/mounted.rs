//! An image as the kernel sees it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// An image that the kernel has mounted; dropped, it no longer is.
pub(super) struct Mounted(PathBuf);

impl Mounted {
    /// Mounts it; `None` where that cannot be, except where nothing may be missing.
    #[track_caller]
    pub(super) fn new(image: &Path, at: &Path) -> Option<Self> {
        let known = fs::read_to_string("/proc/filesystems").unwrap_or_default();
        let is_root = rustix::process::geteuid().is_root();
        let can = is_root && known.lines().any(|line| line.ends_with("\tsquashfs"));
        let is_ci = std::env::var_os("CI").is_some_and(|v| v == "true");
        assert!(can || !is_ci, "the kernel's mount of a SquashFS needs root and a kernel that has it");
        if !can {
            eprintln!("skipped: not root, or the kernel has no SquashFS");
            return None;
        }
        fs::create_dir_all(at).unwrap();
        // Why: a loop device has whole sectors, and would cut off the end of an image that is not padded.
        let file = fs::OpenOptions::new().write(true).open(image).unwrap();
        file.set_len(file.metadata().unwrap().len().next_multiple_of(4096)).unwrap();
        let output = Command::new("mount")
            .args(["-t", "squashfs", "-o", "ro,loop"])
            .args([image, at])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Some(Self(at.to_owned()))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        // Why lazy: a program that another test starts has our descriptors open for a moment, until its exec.
        let unmounted = Command::new("umount").arg("--lazy").arg(&self.0).status();
        assert!(unmounted.is_ok_and(|status| status.success()) || std::thread::panicking());
    }
}
