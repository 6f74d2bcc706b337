//! Scene: data partitions that are not as `flash` made them.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use genpack_tests::machine::Bus;
use genpack_tests::scene::{Scene, output};

/// Offset and length of the first btrfs superblock.
const BTRFS_SUPERBLOCK: (u64, usize) = (0x1_0000, 4096);
/// Where the label lies in it, and how long it may be.
const BTRFS_LABEL: (usize, usize) = (0x12B, 256);
/// Magic number, and the UUID before it.
const BTRFS_HEAD: std::ops::Range<usize> = 0x20..0x48;

/// Puts a file system with the content of `tree` in the place of the data partition.
fn replace_data(scene: &Scene, disk: &Path, tree: &Path, size_kib: u32, options: &[&str]) {
    let (start, size) = scene.partition(disk, 2);
    let file = scene.path("ext4");
    let label = format!("data-{}", scene.boot_uuid(disk));
    let size_text = format!("{size_kib}k");
    let made = Command::new("mkfs.ext4")
        .args(["-q", "-F", "-L", &label, "-d"])
        .arg(tree)
        .args(options)
        .arg(&file)
        .arg(&size_text)
        .output()
        .unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    // No trace of the btrfs that was there.
    scene.write_at(disk, start, &vec![0; 1 << 20]);
    assert!(u64::from(size_kib) * 1024 <= size);
    scene.write_at(disk, start, &fs::read(&file).unwrap());
    fs::remove_file(file).unwrap();
}

fn tree(scene: &Scene, directories: &[&str]) -> PathBuf {
    let tree = scene.path("tree");
    fs::create_dir(&tree).unwrap();
    for directory in directories {
        fs::create_dir_all(tree.join(directory)).unwrap();
    }
    tree
}

#[test]
fn damaged_data_partition_costs_persistence_and_is_named() {
    let Some(mut scene) = Scene::open_short("data_damaged", &["mkfs.btrfs"]) else { return };
    let disk = scene.flash(&["--set", "hostname=scene-damaged"]);
    let (start, _) = scene.partition(&disk, 2);
    let (offset, len) = BTRFS_SUPERBLOCK;
    let mut superblock = vec![0; len];
    let mut file = fs::File::open(&disk).unwrap();
    std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(start + offset)).unwrap();
    file.read_exact(&mut superblock).unwrap();
    let mut damaged = vec![0; len];
    let (label, label_len) = BTRFS_LABEL;
    for range in [BTRFS_HEAD, label..label + label_len] {
        damaged[range.clone()].copy_from_slice(&superblock[range]);
    }
    scene.write_at(&disk, start + offset, &damaged);

    let verdict = scene.boot_kernel("systemimg:auto", &[(Bus::Virtio, &disk)]);
    assert_eq!(verdict.hostname, "scene-damaged");
    assert_eq!((verdict.writable.fstype.as_str(), verdict.status("persistent")), ("tmpfs", "no"));
    assert_eq!(verdict.status("data_device"), "");
    assert!(verdict.status("degraded").contains("/dev/vda2"), "{}", verdict.status("degraded"));
}

#[test]
fn ext4_in_the_layout_of_an_older_product_is_used() {
    let Some(mut scene) = Scene::open_short("data_legacy", &["mkfs.btrfs", "mkfs.ext4"]) else { return };
    let disk = scene.flash(&[]);
    let tree = tree(&scene, &["rw/root/var/lib/genpack-tests", "rw/work"]);
    fs::write(tree.join("rw/root/var/lib/genpack-tests/boots"), "41\n").unwrap();
    replace_data(&scene, &disk, &tree, 64 << 10, &[]);

    let verdict = scene.boot_kernel("systemimg:auto", &[(Bus::Virtio, &disk)]);
    assert_eq!((verdict.writable.fstype.as_str(), verdict.status("persistent")), ("ext4", "yes"));
    assert_eq!(verdict.upperdir, "/run/initramfs/rw/rw/root");
    assert_eq!((verdict.boots, verdict.status("degraded")), (42, ""));
}

#[test]
fn full_data_partition_still_boots_and_is_named() {
    let Some(mut scene) = Scene::open_short("data_full", &["mkfs.btrfs", "mkfs.ext4"]) else { return };
    let disk = scene.flash(&["--set", "hostname=scene-full", "--set", "data_grow=no"]);
    let tree = tree(&scene, &[]);
    // As few inodes as there can be, and a file for each: nothing can be created any more.
    let files = (0..).map(|i| tree.join(format!("file{i}")));
    for file in files.take(5) {
        fs::write(file, "").unwrap();
    }
    replace_data(&scene, &disk, &tree, 1024, &["-N", "16", "-b", "1024", "-I", "128"]);
    let checked = output(Command::new("dumpe2fs").arg("-h").arg(ext4_of(&scene, &disk)));
    let text = String::from_utf8_lossy(&checked.stdout).into_owned();
    assert!(text.lines().any(|l| l.starts_with("Free inodes:") && l.ends_with(" 0")), "{text}");

    let verdict = scene.boot_kernel("systemimg:auto", &[(Bus::Virtio, &disk)]);
    assert_eq!(verdict.hostname, "scene-full");
    assert_eq!((verdict.writable.fstype.as_str(), verdict.status("persistent")), ("tmpfs", "no"));
    assert!(verdict.status("degraded").contains("no space left"), "{}", verdict.status("degraded"));
    assert_eq!(verdict.boots, 1);
}

#[test]
fn data_partition_full_below_an_old_layer_still_boots() {
    let Some(mut scene) = Scene::open_short("data_full_layer", &["mkfs.btrfs", "mkfs.ext4"]) else { return };
    let disk = scene.flash(&["--set", "hostname=scene-full", "--set", "data_grow=no"]);
    // The layer's directories are there, but the overlay cannot make its own in `work`: it would be read-only.
    let tree = tree(&scene, &["root", "work"]);
    for i in 0..3 {
        fs::write(tree.join(format!("file{i}")), "").unwrap();
    }
    replace_data(&scene, &disk, &tree, 1024, &["-N", "16", "-b", "1024", "-I", "128"]);

    let verdict = scene.boot_kernel("systemimg:auto", &[(Bus::Virtio, &disk)]);
    assert_eq!(verdict.hostname, "scene-full");
    assert_eq!((verdict.writable.fstype.as_str(), verdict.status("persistent")), ("tmpfs", "no"));
    assert!(verdict.status("degraded").contains("read-only"), "{}", verdict.status("degraded"));
    assert_eq!(verdict.boots, 1);
}

/// Copies the file system of the data partition into a file.
fn ext4_of(scene: &Scene, disk: &Path) -> PathBuf {
    let (start, _) = scene.partition(disk, 2);
    let copy = scene.path("copy");
    let mut file = fs::File::open(disk).unwrap();
    std::io::Seek::seek(&mut file, std::io::SeekFrom::Start(start)).unwrap();
    let mut bytes = Vec::new();
    file.take(1 << 20).read_to_end(&mut bytes).unwrap();
    fs::write(&copy, bytes).unwrap();
    copy
}
