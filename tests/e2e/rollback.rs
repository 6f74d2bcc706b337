//! Scenes: a new image is put on trial and something is wrong with it. The machine is left alone with GRUB for BIOS and
//! has to come back with the old one. `full/rollback_kinds.rs` has more kinds.

use std::path::{Path, PathBuf};

use genpack_core::contract::boot_state::{BootState, Image, Reached, Reason};
use genpack_core::loader::grubenv::Block;
use genpack_tests::guest_image;
use genpack_tests::scene::Scene;
use genpack_tests::verdict::Verdict;

pub(crate) const BIOS: [&str; 1] = ["--bios"];
const GRUBENV: &str = "boot/grub/grubenv";

/// Returns a scene with a disk that GRUB boots without waiting.
pub(crate) fn open(name: &str) -> Option<(Scene, PathBuf)> {
    let scene = Scene::open_short(name, &["mkfs.btrfs", "mcopy"])?;
    let disk = scene.flash(&[]);
    scene.shorten(&disk, "panic=1");
    Some((scene, disk))
}

pub(crate) fn record(scene: &Scene, disk: &Path) -> BootState {
    let bytes = scene.read_boot_file(disk, GRUBENV).unwrap();
    BootState::parse(&Block::parse(bytes.first_chunk().unwrap()).unwrap())
}

/// Puts an image on trial, as an update does.
pub(crate) fn stage(scene: &Scene, disk: &Path, image: &[u8], tries: u8) {
    scene.write_boot_file(disk, "system.new", image);
    let staged = record(scene, disk).try_new(Image::New, tries).unwrap();
    let block = scene.read_boot_file(disk, GRUBENV).unwrap();
    let block = Block::parse(block.first_chunk().unwrap()).unwrap();
    scene.write_boot_file(disk, GRUBENV, staged.emit(&block).unwrap().emit());
}

/// Checks that the old image runs and tells what became of the new one.
pub(crate) fn assert_rolled_back(
    scene: &Scene,
    disk: &Path,
    verdict: &Verdict,
    reason: Reason,
    reached: Reached,
) {
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
