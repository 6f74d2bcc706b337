//! Scene: `system.ini` as editors write it, and changed between boots.

use genpack_tests::machine::Bus;
use genpack_tests::scene::Scene;

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHZQtNCkqr4WR7gq+kHFSs2/p5I3ZPGwPqhydJaXD9ao owner@desk";

/// Place of the byte in a FAT32 boot sector whose lowest bit says "dirty".
const FAT32_STATE: u64 = 0x41;

/// Returns the text as Notepad saves it as "Unicode".
fn utf16_with_mark(text: &str) -> Vec<u8> {
    let units = std::iter::once(0xFEFF).chain(text.encode_utf16());
    units.flat_map(u16::to_le_bytes).collect()
}

#[test]
fn settings_follow_the_file_whatever_its_encoding() {
    let Some(mut scene) = Scene::open_short("settings", &["mkfs.btrfs"]) else { return };
    let disk = scene.flash(&[]);
    // Pulled out of a Windows machine: the FAT says that it was not unmounted.
    scene.write_at(&disk, scene.partition(&disk, 1).0 + FAT32_STATE, &[1]);
    let with_key = format!("hostname = scene-utf16\r\nssh_pubkey = {KEY}\r\ntimezone = Asia/Tokyo\r\n");
    let mut utf8_with_mark = vec![0xEF, 0xBB, 0xBF];
    utf8_with_mark.extend(b"hostname = scene-utf8\r\ntimezone = Europe/Berlin\r\n");
    for (ini, hostname, zone, keys) in [
        (utf16_with_mark(&with_key), "scene-utf16", "Asia/Tokyo", &[KEY][..]),
        // The key is no longer in the file: it must be gone from the persistent layer too.
        (utf8_with_mark, "scene-utf8", "Europe/Berlin", &[]),
    ] {
        scene.write_boot_file(&disk, "system.ini", &ini);
        let verdict = scene.boot_kernel("systemimg:auto", &[(Bus::Virtio, &disk)]);
        assert_eq!(verdict.status("config_errors"), "0", "{hostname}");
        assert_eq!(verdict.hostname, hostname);
        assert!(verdict.timezone.ends_with(zone), "{}", verdict.timezone);
        assert_eq!(verdict.authorized_keys, keys, "{hostname}");
        assert_eq!(verdict.status("persistent"), "yes", "{hostname}");
    }
    assert_eq!(scene.read_boot_file(&disk, "system.ini.report.txt"), None);
}
