//! Scene: a disk file without a data partition, booted by BIOS, twice.

use genpack_tests::scene::Scene;

#[test]
fn without_a_data_partition_a_restart_forgets() {
    let Some(mut scene) = Scene::open("disk_bios", &[]) else { return };
    let disk = scene.flash(&["--no-data", "--set", "hostname=scene-bios"]);

    for _ in 0..2 {
        let verdict = scene.boot(&disk, &["--bios"]);
        assert_eq!(verdict.hostname, "scene-bios");
        assert_eq!(verdict.root.fstype, "overlay");
        assert_eq!(verdict.lowerdir, "/run/initramfs/ro");
        assert_eq!(verdict.image.fstype, "squashfs");
        assert_eq!(verdict.writable.fstype, "tmpfs");
        assert_eq!(verdict.status("persistent"), "no");
        assert_eq!(verdict.status("degraded"), "");
        assert_eq!(verdict.boots, 1);
        assert_eq!(verdict.failed_units, [""; 0]);
    }
}
