//! Scene: a boot partition that was not unmounted, and one whose owner keeps it writable.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::Command;

use genpack_tests::machine::Bus;
use genpack_tests::scene::{Scene, output};

/// Where a FAT32 keeps its dirty mark: bit 0 of `BS_Reserved1`.
const DIRTY: u64 = 0x41;

fn is_dirty(scene: &Scene, disk: &Path) -> bool {
    let mut state = [0];
    File::open(disk).unwrap().read_exact_at(&mut state, scene.partition(disk, 1).0 + DIRTY).unwrap();
    state[0] & 1 != 0
}

#[test]
fn dirty_fat_is_repaired_before_it_is_mounted() {
    let Some(mut scene) = Scene::open_short("dirty_fat", &["mkfs.btrfs", "fsck.fat"]) else { return };
    let disk = scene.flash(&["--set", "boot_rw=yes"]);
    let (start, size) = scene.partition(&disk, 1);
    scene.write_at(&disk, start + DIRTY, &[1]);
    assert!(is_dirty(&scene, &disk));

    let verdict = scene.boot_kernel("systemimg:auto", &[(Bus::Virtio, &disk)]);
    assert_eq!((verdict.status("boot_fs"), verdict.status("degraded")), ("repaired", ""));
    assert_eq!(verdict.status("persistent"), "yes");
    // The guest unmounted it, and the mark that it had before did not survive.
    assert!(!is_dirty(&scene, &disk));
    let copy = scene.path("fat");
    let mut fat = vec![0; usize::try_from(size).unwrap()];
    File::open(&disk).unwrap().read_exact_at(&mut fat, start).unwrap();
    std::fs::write(&copy, fat).unwrap();
    output(Command::new("fsck.fat").arg("-n").arg(&copy));
}
