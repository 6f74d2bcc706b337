//! The SquashFS reader against images that mksquashfs made: what unsquashfs sees, and what damage does.
#![expect(clippy::print_stderr, reason = "a skipped test says why")]

use std::path::Path;
use std::process::Command;

#[path = "squashfs_images/craft.rs"]
mod craft;
#[path = "squashfs_images/damage.rs"]
mod damage;
#[path = "squashfs_images/foreign.rs"]
mod foreign;
#[path = "squashfs_images/hostile.rs"]
mod hostile;
#[path = "squashfs_images/kernel.rs"]
mod kernel;
#[path = "squashfs_images/lookup.rs"]
mod lookup;
#[path = "squashfs_images/mounted.rs"]
mod mounted;
#[path = "squashfs_images/sparse.rs"]
mod sparse;
#[path = "squashfs_images/tree.rs"]
mod tree;
#[path = "squashfs_images/unpack.rs"]
mod unpack;
#[path = "squashfs_images/verbs.rs"]
mod verbs;

/// Tells whether mksquashfs is here; without it a test says so and is over, except where nothing may be missing.
fn has_mksquashfs() -> bool {
    let found = Command::new("mksquashfs").arg("-version").output().is_ok();
    let is_ci = std::env::var_os("CI").is_some_and(|v| v == "true");
    assert!(found || !is_ci, "mksquashfs is not installed (apt-get install squashfs-tools)");
    if !found {
        eprintln!("skipped: mksquashfs is not installed");
    }
    found
}

/// Packs `tree` into `image` with these options.
#[track_caller]
fn mksquashfs(tree: &Path, image: &Path, options: &[&str]) {
    let output = Command::new("mksquashfs")
        .args([tree, image])
        .args(["-noappend", "-quiet", "-no-progress", "-mem", "64M", "-mkfs-time", "1700000000"])
        .args(options)
        .output()
        .unwrap();
    assert!(output.status.success(), "{options:?}: {}", String::from_utf8_lossy(&output.stderr));
}
