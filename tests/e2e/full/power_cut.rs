//! Scenes: the machine is killed in the middle of a boot, at moments that its console names and at random ones.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::Command;

use genpack_tests::machine::Bus;
use genpack_tests::scene::Scene;
use genpack_tests::verdict::{MARKER, Verdict};

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
/// What fsck.fat says besides when the power failed while a file was written aside: the report, which is shorter than a
/// cluster, has its cluster and no name yet. A FAT has no order in which that could not be.
const WRITTEN_ASIDE: &str = "Reclaimed 1 unused cluster (4096 bytes).";

/// Copies the boot partition into a file.
fn boot_partition(scene: &Scene, disk: &Path) -> PathBuf {
    let (start, size) = scene.partition(disk, 1);
    let mut disk = File::open(disk).unwrap();
    disk.seek(SeekFrom::Start(start)).unwrap();
    let copy = scene.path("boot");
    std::io::copy(&mut disk.take(size), &mut File::create(&copy).unwrap()).unwrap();
    copy
}

/// Checks the boot partition as a power cut left it; `may_say` is a line that is no complaint then.
fn boot_partition_is_whole(scene: &Scene, disk: &Path, moment: &str, may_say: Option<&str>) {
    let checked = Command::new("fsck.fat").arg("-n").arg(boot_partition(scene, disk)).output().unwrap();
    let words = String::from_utf8_lossy(&checked.stdout).into_owned();
    let complaints: Vec<&str> = words
        .lines()
        .skip(1)
        .filter(|line| !DIRTY.iter().any(|known| line.contains(known)) && !line.trim().is_empty())
        .filter(|line| Some(*line) != may_say)
        .collect();
    assert_eq!(complaints, [""; 0], "cut at {moment}:\n{words}");
}

/// Boots once more, with settings that have no mistake, and checks that they and the data are there.
fn boots_whole(scene: &mut Scene, disk: &Path, moment: &str) -> Verdict {
    scene.write_boot_file(disk, "system.ini", b"hostname = scene-cut\ntimezone = Asia/Tokyo\n");
    let verdict = scene.boot_kernel("systemimg:auto", &[(Bus::Virtio, disk)]);
    assert_eq!((verdict.hostname.as_str(), verdict.status("persistent")), ("scene-cut", "yes"), "{moment}");
    assert!(verdict.timezone.ends_with("Asia/Tokyo"), "{moment}: {}", verdict.timezone);
    assert_eq!((verdict.status("degraded"), verdict.status("config_errors")), ("", "0"), "{moment}");
    verdict
}

/// Draws a number below `end` (Knuth's MMIX generator).
fn draw(state: &mut u64, end: u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (*state >> 33) % end
}

/// A boot's console has so many lines from the first of ours to the verdict, about.
const LINES: u64 = 160;
const CUTS: u32 = 20;

#[test]
fn machine_boots_after_twenty_random_power_cuts() {
    let Some(mut scene) = Scene::open_short("power_cut_random", &["mkfs.btrfs", "fsck.fat"]) else { return };
    let seed = std::env::var("POWER_CUT_SEED").map_or(1, |seed| seed.parse().unwrap());
    let mut state = seed;
    let disk = scene.flash(&["--set", "hostname=scene-cut", "--set", "timezone=Asia/Tokyo"]);
    for cut in 1..=CUTS {
        let line_number = draw(&mut state, LINES);
        let moment = format!("cut {cut}, line {line_number}, seed {seed}");
        // Every boot changes the settings, so that there is something to write.
        let settings =
            format!("hostname = scene-cut\nlocale = C.UTF-8\nmistake{cut}\ntimezone = Asia/Tokyo\n");
        scene.write_boot_file(&disk, "system.ini", settings.as_bytes());
        let mut ours = 0;
        scene.cut_power_when("systemimg:auto", &[(Bus::Virtio, &disk)], |line| {
            ours += u64::from(ours > 0 || line.contains("genpack-init: "));
            // The system is up before the number is reached: that is a moment, too.
            ours > line_number || line.contains(MARKER)
        });
        boot_partition_is_whole(&scene, &disk, &moment, Some(WRITTEN_ASIDE));
        if cut % 5 == 0 {
            boots_whole(&mut scene, &disk, &moment);
        }
    }
}

#[test]
fn machine_boots_after_every_power_cut() {
    let Some(mut scene) = Scene::open_short("power_cut", &["mkfs.btrfs", "fsck.fat"]) else { return };
    let disk = scene.flash(&["--set", "hostname=scene-cut", "--set", "timezone=Asia/Tokyo"]);
    for moment in MOMENTS {
        // A finding makes the next boot write its report, a repair makes the one after it remove that again; so it is
        // with the locale, which the boot after the cut does not have.
        let settings = b"hostname = scene-cut\nlocale = C.UTF-8\nmistake\ntimezone = Asia/Tokyo\n";
        scene.write_boot_file(&disk, "system.ini", settings);
        scene.cut_power("systemimg:auto", &[(Bus::Virtio, &disk)], moment);
        boot_partition_is_whole(&scene, &disk, moment, None);
        let verdict = boots_whole(&mut scene, &disk, moment);
        // The first cut may come before the marker of a running system is written.
        if moment != MOMENTS[0] {
            assert_eq!(verdict.status("last_shutdown"), "unclean", "{moment}");
        }
    }
}
