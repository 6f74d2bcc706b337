//! Scene: a card that is larger than its image, booted, booted again, and emptied by a file on its boot partition.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use genpack_tests::machine::Bus;
use genpack_tests::scene::Scene;

/// What the disk has more than was flashed.
const MORE: u64 = 512 << 20;
/// Where a btrfs says its size: `total_bytes` of the superblock at 64 KiB.
const BTRFS_TOTAL_BYTES: u64 = 0x1_0070;
/// Processor time of stages 1 and 2, milliseconds, and peak memory, KiB, that are the target on a real machine.
const TARGET: (u64, u64) = (50, 8192);

fn btrfs_bytes(disk: &Path, start: u64) -> u64 {
    let mut bytes = [0; 8];
    File::open(disk).unwrap().read_exact_at(&mut bytes, start + BTRFS_TOTAL_BYTES).unwrap();
    u64::from_le_bytes(bytes)
}

fn first_boot(name: &str, arguments: &[&str]) {
    let Some(mut scene) = Scene::open_short(name, &["mkfs.btrfs"]) else { return };
    let disk = scene.flash(arguments);
    let (start, flashed) = scene.partition(&disk, 2);
    let file = OpenOptions::new().write(true).open(&disk).unwrap();
    let size = file.metadata().unwrap().len() + MORE;
    file.set_len(size).unwrap();

    let verdict = scene.boot_kernel("systemimg:auto", &[(Bus::Virtio, &disk)]);
    let (same_start, grown) = scene.partition(&disk, 2);
    assert_eq!(same_start, start);
    // The last MiB may hold the backup of a table.
    assert!(grown >= flashed + MORE - (2 << 20) && start + grown <= size, "{flashed} {grown} {size}");
    assert_eq!(btrfs_bytes(&disk, start), grown);
    let status = |key| verdict.status(key);
    assert_eq!((status("data"), status("persistent"), status("degraded")), ("used", "yes", ""));
    assert_eq!((status("boot_fs"), status("last_shutdown"), status("reset")), ("clean", "clean", ""));
    assert_eq!(status("overlay"), "index=off,metacopy=off,redirect_dir=off,xino=auto");
    assert_eq!((verdict.boots, status("image_id").len()), (1, 16));
    let number = |key| status(key).parse::<u64>().unwrap();
    // Reported, not judged: an emulated processor is not the one that the target is for.
    #[expect(clippy::print_stderr, reason = "a figure for whoever runs the scene")]
    {
        let cpu_ms = number("stage1_cpu_ms") + number("stage2_cpu_ms");
        let kib = number("stage1_peak_kib").max(number("stage2_peak_kib"));
        let (target_ms, target_kib) = TARGET;
        eprintln!("{name}: {cpu_ms} ms CPU (target {target_ms}), {kib} KiB (target {target_kib})");
    }

    scene.write_boot_file(&disk, "system.reset.txt", b"");
    let image_id = status("image_id").to_owned();
    let verdict = scene.boot_kernel("systemimg:auto", &[(Bus::Virtio, &disk)]);
    assert_eq!((verdict.boots, verdict.status("reset"), verdict.status("persistent")), (1, "yes", "yes"));
    assert_eq!((verdict.status("image_id"), verdict.status("image_changed")), (image_id.as_str(), "no"));
    assert_eq!(scene.read_boot_file(&disk, "system.reset.txt"), None);
    assert_eq!(scene.partition(&disk, 2), (start, grown));
}

#[test]
fn larger_disk_is_used_whole_and_a_file_empties_it() {
    first_boot("first_boot", &["--set", "hostname=scene-first"]);
}

#[test]
fn larger_disk_with_a_gpt_is_used_whole_and_a_file_empties_it() {
    first_boot("first_boot_gpt", &["--gpt", "--set", "hostname=scene-first"]);
}
