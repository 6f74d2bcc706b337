//! Scenes: the owner wants the data partition or nothing, and there is none (`on_data_failure`).

use genpack_tests::machine::Bus;
use genpack_tests::scene::Scene;
use genpack_tests::verdict::MARKER;

/// Flashes a disk without a data partition for an owner who needs one.
fn flash(scene: &Scene, wish: &str) -> std::path::PathBuf {
    scene.flash(&["--no-data", "--set", &format!("on_data_failure={wish}")])
}

#[test]
fn machine_that_needs_its_data_starts_again_without_them() {
    let Some(mut scene) = Scene::open_short("data_failure_reboot", &[]) else { return };
    let disk = flash(&scene, "reboot");
    let lines = scene.boot_kernel_in_vain("systemimg:auto rd.timeout=5", &[(Bus::Virtio, &disk)]);
    let mut rest = lines.iter();
    for words in [
        "genpack-init: cannot boot: ",
        "genpack-init: nothing left to try, reboot in 10 seconds",
        "reboot: Restarting system",
    ] {
        assert!(rest.any(|line| line.contains(words)), "{words:?} did not come in its place: {lines:#?}");
    }
    assert!(!lines.iter().any(|line| line.contains(MARKER)));
}

#[test]
fn machine_that_needs_its_data_stops_for_a_person() {
    let Some(mut scene) = Scene::open_short("data_failure_rescue", &[]) else { return };
    let disk = flash(&scene, "rescue");
    let moment = "genpack-init: nothing left to try, reboot in 600 seconds";
    scene.cut_power("systemimg:auto rd.timeout=5", &[(Bus::Virtio, &disk)], moment);
}
