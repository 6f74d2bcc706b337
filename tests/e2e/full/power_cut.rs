//! Scene: the machine is killed in the middle of a boot, several times, at moments that its console names.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Command;

use genpack_tests::machine::Bus;
use genpack_tests::scene::Scene;
use genpack_tests::verdict::MARKER;

/// What the console says at the moment of a cut: the boot partition mounted, the overlay mounted, settings half
/// applied, everything done and nothing unmounted.
const MOMENTS: [&str; 4] =
    ["genpack-init: boot partition", "genpack-init: switching to", "write /etc/", MARKER];

/// What fsck.fat says when nothing but the dirty bit (byte 65 of the boot sector) is amiss, and its last line.
/// The free cluster count is a hint, which the kernel writes later than the files and counts anew by itself.
const DIRTY: [&str; 10] = [
    "Free cluster summary wrong",
    "Auto-correcting.",
    "There are differences between boot sector and its backup.",
    "This is mostly harmless.",
    "  65:01/00",
    "Not automatically fixing this.",
    "Dirty bit is set.",
    "Automatically removing dirty bit.",
    "Leaving filesystem unchanged.",
    " clusters",
];

/// Copies the boot partition into a file.
fn boot_partition(scene: &Scene, disk: &Path) -> PathBuf {
    let (start, size) = scene.partition(disk, 1);
    let mut disk = File::open(disk).unwrap();
    disk.seek(SeekFrom::Start(start)).unwrap();
    let copy = scene.path("boot");
    std::io::copy(&mut disk.take(size), &mut File::create(&copy).unwrap()).unwrap();
    copy
}

#[test]
fn machine_boots_after_every_power_cut() {
    let Some(mut scene) = Scene::open_short("power_cut", &["mkfs.btrfs", "fsck.fat"]) else { return };
    let disk = scene.flash(&["--set", "hostname=scene-cut", "--set", "timezone=Asia/Tokyo"]);
    for moment in MOMENTS {
        // A finding makes the next boot write its report, a repair makes the one after it remove that again.
        scene.write_boot_file(&disk, "system.ini", b"hostname = scene-cut\nmistake\ntimezone = Asia/Tokyo\n");
        scene.cut_power("systemimg:auto", &[(Bus::Virtio, &disk)], moment);

        let checked = Command::new("fsck.fat").arg("-n").arg(boot_partition(&scene, &disk)).output().unwrap();
        let words = String::from_utf8_lossy(&checked.stdout).into_owned();
        let complaints: Vec<&str> = words
            .lines()
            .skip(1)
            .filter(|line| !DIRTY.iter().any(|known| line.contains(known)) && !line.trim().is_empty())
            .collect();
        assert_eq!(complaints, [""; 0], "cut at {moment}:\n{words}");

        scene.write_boot_file(&disk, "system.ini", b"hostname = scene-cut\ntimezone = Asia/Tokyo\n");
        let verdict = scene.boot_kernel("systemimg:auto", &[(Bus::Virtio, &disk)]);
        assert_eq!(
            (verdict.hostname.as_str(), verdict.status("persistent")),
            ("scene-cut", "yes"),
            "{moment}"
        );
        // The first cut may come before the marker of a running system is written.
        if moment != MOMENTS[0] {
            assert_eq!(verdict.status("last_shutdown"), "unclean", "{moment}");
        }
        assert!(verdict.timezone.ends_with("Asia/Tokyo"), "{moment}: {}", verdict.timezone);
        assert_eq!((verdict.status("degraded"), verdict.status("config_errors")), ("", "0"), "{moment}");
    }
}
