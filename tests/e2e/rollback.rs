//! Scenes: a new image is put on trial and something is wrong with it. The machine is left alone with GRUB for BIOS and
//! has to come back with the old one, or to keep the new one when it is good.

use std::path::{Path, PathBuf};

use genpack_core::contract::boot_state::{BootState, Image, Reached, Reason};
use genpack_core::loader::grubenv::Block;
use genpack_tests::guest_image;
use genpack_tests::scene::{SHORT, Scene};
use genpack_tests::verdict::Verdict;

const BIOS: [&str; 1] = ["--bios"];
const GRUBENV: &str = "boot/grub/grubenv";
/// A system that finds itself good before it reports.
const GOOD: &str = "#!/bin/bash
export PATH=/usr/bin:/usr/sbin
if [ ! -e /run/genpack-tests ]; then
    : >/run/genpack-tests
    mount --bind \"$0\" \"$(readlink -f /sbin/init)\"
    exec /usr/bin/genpack-init
fi
mount -o remount,ro /run/initramfs/boot
genpack-init mark-good
genpack-init mark-good
exec /usr/lib/genpack-tests/verdict
";

/// Returns a scene with a disk that GRUB boots without waiting.
fn open(name: &str) -> Option<(Scene, PathBuf)> {
    let scene = Scene::open_short(name, &["mkfs.btrfs", "mcopy"])?;
    let disk = scene.flash(&[]);
    let system_cfg = format!("set timeout=0\nset LINUX_ARGS='{}'\n", SHORT.replace("panic=-1", "panic=1"));
    scene.write_boot_file(&disk, "system.cfg", system_cfg.as_bytes());
    Some((scene, disk))
}

fn record(scene: &Scene, disk: &Path) -> BootState {
    let bytes = scene.read_boot_file(disk, GRUBENV).unwrap();
    BootState::parse(&Block::parse(bytes.first_chunk().unwrap()).unwrap())
}

/// Puts an image on trial, as an update does.
fn stage(scene: &Scene, disk: &Path, image: &[u8], tries: u8) {
    scene.write_boot_file(disk, "system.new", image);
    let staged = record(scene, disk).try_new(Image::New, tries).unwrap();
    let block = scene.read_boot_file(disk, GRUBENV).unwrap();
    let block = Block::parse(block.first_chunk().unwrap()).unwrap();
    scene.write_boot_file(disk, GRUBENV, staged.emit(&block).unwrap().emit());
}

/// Checks that the old image runs and tells what became of the new one.
fn assert_rolled_back(scene: &Scene, disk: &Path, verdict: &Verdict, reason: Reason, reached: Reached) {
    let state = record(scene, disk);
    assert_eq!((state.good(), state.trial()), (Image::Img, None));
    assert_eq!((state.given_up(), state.reached()), (Some((Image::New, reason)), reached));
    let words = format!("system.new was given up: {}", state.why().unwrap());
    assert_eq!((verdict.status("image"), verdict.status("trial")), ("system.img", ""));
    assert_eq!((verdict.status("rolled_back"), verdict.status("degraded")), (words.as_str(), words.as_str()));
}

#[test]
fn kernel_panic_of_a_new_image_ends_in_the_old_one() {
    let Some((mut scene, disk)) = open("rollback_panic") else { return };
    let panics = guest_image::small_with(&scene.guest(), "panics", &[("boot/initramfs", b"no initramfs\n")]);
    stage(&scene, &disk, &std::fs::read(panics).unwrap(), 2);
    let verdict = scene.boot_past(&disk, &BIOS, &["Kernel panic - not syncing"; 2]);
    assert_rolled_back(&scene, &disk, &verdict, Reason::Tries, Reached::Loader);
}

#[test]
fn broken_new_image_makes_room_for_the_old_one() {
    let Some((mut scene, disk)) = open("rollback_broken") else { return };
    let image = std::fs::read(scene.image()).unwrap();
    // Without its head the loader cannot open it.
    let mut broken = image.clone();
    broken[..96].fill(0);
    stage(&scene, &disk, &broken, 3);
    let verdict = scene.boot_past(&disk, &BIOS, &[]);
    assert_rolled_back(&scene, &disk, &verdict, Reason::Start, Reached::Nothing);

    // The loader starts its kernel; its superblock says that the end is missing.
    let mut torn = image;
    torn[40..48].copy_from_slice(&u64::MAX.to_le_bytes()[..8]);
    torn[47] = 0;
    stage(&scene, &disk, &torn, 3);
    let verdict = scene.boot_past(&disk, &BIOS, &["genpack-init: cannot boot"]);
    assert_rolled_back(&scene, &disk, &verdict, Reason::Mount, Reached::Stage1);
}

#[test]
fn power_cut_after_the_loader_counted_costs_one_attempt() {
    let Some((mut scene, disk)) = open("rollback_cut") else { return };
    let good = guest_image::small_with(&scene.guest(), "good", &[(guest_image::PID1, GOOD.as_bytes())]);
    stage(&scene, &disk, &std::fs::read(good).unwrap(), 3);
    scene.cut_boot(&disk, &BIOS, "system.new is on trial, attempts left after this one: 2.");
    let state = record(&scene, &disk);
    assert_eq!((state.trial().unwrap().tries, state.reached()), (2, Reached::Loader));

    let verdict = scene.boot_past(&disk, &BIOS, &[]);
    assert_eq!((verdict.status("image"), verdict.status("trial")), ("system.new", "1"));
    let state = record(&scene, &disk);
    assert_eq!((state.good(), state.prev(), state.trial()), (Image::New, Some(Image::Img), None));
    assert_eq!(state.given_up(), None);

    let verdict = scene.boot_past(&disk, &BIOS, &[]);
    assert_eq!((verdict.status("image"), verdict.status("trial")), ("system.new", ""));
    assert_eq!((verdict.status("rolled_back"), verdict.status("degraded")), ("", ""));
    assert_eq!(record(&scene, &disk), state);
}
