//! The same image through our `unpack` and through the kernel's own mount.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::mounted::Mounted;
use super::unpack::manifest;
use super::{has_mksquashfs, mksquashfs, tree};

/// Every compressor that the kernel knows, and every option that changes what is on the disk.
const OPTIONS: &[&[&str]] = &[
    &[
        "-comp",
        "gzip",
        "-Xstrategy",
        "default,filtered,huffman_only,run_length_encoded,fixed",
        "-Xcompression-level",
        "1",
    ],
    &["-comp", "gzip", "-Xcompression-level", "1", "-Xwindow-size", "8", "-b", "4K"],
    &["-comp", "xz", "-Xbcj", "x86,arm,armthumb,powerpc,sparc,ia64", "-Xdict-size", "8K"],
    &["-comp", "xz", "-Xdict-size", "100%", "-b", "1M"],
    &["-comp", "lzo", "-Xalgorithm", "lzo1x_999", "-Xcompression-level", "3"],
    &["-comp", "lzo", "-Xalgorithm", "lzo1x_1_15", "-b", "64K"],
    &["-comp", "lz4", "-b", "8K"],
    &["-comp", "lz4", "-Xhc", "-b", "512K"],
    &["-comp", "zstd", "-Xcompression-level", "1", "-b", "4K"],
    &["-comp", "zstd", "-Xcompression-level", "12", "-b", "1M"],
    &["-noI", "-noD", "-noF", "-noX"],
    &["-noI", "-comp", "zstd"],
    &["-noD", "-comp", "lz4"],
    &["-noF", "-noX", "-always-use-fragments"],
    &["-always-use-fragments", "-b", "16K"],
    &["-no-fragments", "-b", "32K"],
    &["-no-duplicates", "-no-exports", "-nopad"],
    &["-no-sparse", "-xattrs"],
    &["-all-root", "-no-xattrs"],
];

/// Compares type, mode, owner, time, links, size, device, target, attributes and content, path by path.
#[track_caller]
fn compare(image: &Path, dir: &Path, options: &[&str]) -> Option<usize> {
    let mounted = Mounted::new(image, &dir.join("mounted"))?;
    let ours = dir.join("ours");
    let mut unpack = Command::new(env!("CARGO_BIN_EXE_genpack-host"));
    let output = unpack.args(["unpack", "--no-sync"]).args([image, &ours]).output().unwrap();
    assert!(output.status.success(), "{options:?}: {}", String::from_utf8_lossy(&output.stderr));
    let (our, kernels) = (manifest(&ours), manifest(mounted.path()));
    assert!(our.keys().eq(kernels.keys()), "{options:?}");
    for (path, (text, content, _)) in &kernels {
        let path_text = String::from_utf8_lossy(path);
        assert_eq!(our[path].0, *text, "{options:?}: {path_text}");
        assert!(our[path].1 == *content, "{options:?}: {path_text}");
    }
    fs::remove_dir_all(&ours).unwrap();
    Some(kernels.len())
}

#[test]
fn unpacked_tree_is_the_one_that_the_kernel_mounts() {
    if !has_mksquashfs() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let [root, image] = ["tree", "image"].map(|n| dir.path().join(n));
    fs::create_dir(&root).unwrap();
    tree::plain(&root);
    if tree::is_root() {
        tree::special(&root);
        tree::extended(&root);
        tree::wide_device(&root);
    }
    for options in OPTIONS {
        mksquashfs(&root, &image, options);
        let Some(names) = compare(&image, dir.path(), options) else { return };
        assert!(names > 40, "{names}");
    }
}

#[test]
fn directory_with_an_index_is_the_one_that_the_kernel_mounts() {
    if !has_mksquashfs() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let [root, image] = ["tree", "image"].map(|n| dir.path().join(n));
    fs::create_dir(&root).unwrap();
    tree::large_directory(&root);
    mksquashfs(&root, &image, &["-comp", "zstd"]);
    let Some(names) = compare(&image, dir.path(), &[]) else { return };
    assert_eq!(names, 3002);
}
