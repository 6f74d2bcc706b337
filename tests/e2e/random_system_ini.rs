//! Scene: the owner's settings are random bytes.

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
fn system_with_unreadable_settings_boots_and_says_so() {
    let Some(mut scene) = Scene::open("random_system_ini", &[]) else { return };
    let disk = scene.flash(&["--no-data"]);
    scene.write_boot_file(&disk, "system.ini", &noise(4096));

    let verdict = scene.boot(&disk, &["--bios"]);
    assert_eq!(verdict.root.fstype, "overlay");
    assert_eq!(verdict.failed_units, [""; 0]);
    let errors: u32 = verdict.status("config_errors").parse().unwrap();
    assert_ne!(errors, 0);
    let report = scene.read_boot_file(&disk, "system.ini.report.txt").unwrap();
    let report = String::from_utf8(report).unwrap();
    assert!(report.ends_with("\r\n") && report.contains("line "), "{report}");
    assert_eq!(scene.read_boot_file(&disk, "system.ini").unwrap(), noise(4096));
}
