//! Scene: the system image booted by its own kernel, without a disk for its data, and twice with one.

use genpack_tests::scene::Scene;

use crate::direct_boot::keeps_data_on_a_second_disk;

#[test]
fn system_image_keeps_its_data_on_a_second_disk() {
    keeps_data_on_a_second_disk("direct_restart", 2);
}

#[test]
fn system_image_without_a_second_disk_forgets() {
    let Some(mut scene) = Scene::open("direct_boot_alone", &[]) else { return };
    let image = scene.image().to_owned();
    let verdict = scene.boot(&image, &["--name", "scene-direct"]);
    assert_eq!((verdict.root.fstype.as_str(), verdict.image.source.as_str()), ("overlay", "/dev/vda"));
    assert_eq!(verdict.writable.fstype, "tmpfs");
    assert_eq!((verdict.status("persistent"), verdict.boots), ("no", 1));
    assert_eq!(verdict.failed_units, [""; 0]);
}
