//! Scene: a whole system on trial, with systemd and our units, keeps itself.

use genpack_core::contract::boot_state::{BootState, Image};
use genpack_core::loader::grubenv::Block;
use genpack_tests::scene::Scene;

const GRUBENV: &str = "boot/grub/grubenv";

#[test]
fn whole_system_on_trial_marks_itself_good() {
    let Some(mut scene) = Scene::open("update_marks_good", &["mcopy"]) else { return };
    let disk = scene.flash(&["--no-data"]);
    let image = std::fs::read(scene.image()).unwrap();
    scene.write_boot_file(&disk, "system.new", &image);
    let staged = BootState::default().try_new(Image::New, 3).unwrap();
    scene.write_boot_file(&disk, GRUBENV, staged.emit(&Block::new()).unwrap().emit());

    let verdict = scene.boot(&disk, &["--bios"]);
    assert_eq!((verdict.status("image"), verdict.status("trial")), ("system.new", "2"));
    assert_eq!(verdict.failed_units, [""; 0]);
    let block = scene.read_boot_file(&disk, GRUBENV).unwrap();
    let state = BootState::parse(&Block::parse(block.first_chunk().unwrap()).unwrap());
    assert_eq!((state.good(), state.prev(), state.trial()), (Image::New, Some(Image::Img), None));
}
