//! Scene: a disk file without a data partition, booted by BIOS, and again with random bytes for settings.

use genpack_tests::scene::Scene;

/// Bytes that look random and are the same every time (Knuth's MMIX generator).
fn noise(len: usize) -> Vec<u8> {
    let mut state: u64 = 2;
    let mut bytes = Vec::with_capacity(len);
    while bytes.len() < len {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        bytes.push(state.to_be_bytes()[0]);
    }
    bytes
}

#[test]
fn without_a_data_partition_a_restart_forgets_and_unreadable_settings_are_told() {
    let Some(mut scene) = Scene::open_short("disk_bios", &[]) else { return };
    let disk = scene.flash(&["--no-data", "--set", "hostname=scene-bios"]);
    scene.shorten(&disk, "");

    for has_settings in [true, false] {
        if !has_settings {
            scene.write_boot_file(&disk, "system.ini", &noise(4096));
        }
        let verdict = scene.boot(&disk, &["--bios"]);
        assert_eq!(verdict.hostname == "scene-bios", has_settings, "{}", verdict.hostname);
        assert_eq!(verdict.status("config_errors") == "0", has_settings);
        assert_eq!(verdict.root.fstype, "overlay");
        assert_eq!(verdict.lowerdir, "/run/initramfs/ro");
        assert_eq!(verdict.image.fstype, "squashfs");
        assert_eq!(verdict.writable.fstype, "tmpfs");
        assert_eq!(verdict.status("persistent"), "no");
        assert_eq!(verdict.status("degraded"), "");
        assert_eq!(verdict.boots, 1);
    }
    let report = scene.read_boot_file(&disk, "system.ini.report.txt").unwrap();
    let report = String::from_utf8(report).unwrap();
    assert!(report.ends_with("\r\n") && report.contains("line "), "{report}");
    assert_eq!(scene.read_boot_file(&disk, "system.ini").unwrap(), noise(4096));
}
