//! Scene: a disk file with the owner's settings, booted by UEFI firmware, twice: the second time without a
//! service manager.

use genpack_tests::scene::Scene;
use genpack_tests::verdict::Verdict;

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHZQtNCkqr4WR7gq+kHFSs2/p5I3ZPGwPqhydJaXD9ao owner@desk";

fn settings_are_the_owners(verdict: &Verdict) {
    assert_eq!(verdict.hostname, "scene-uefi");
    assert!(verdict.timezone.ends_with("/zoneinfo/Asia/Tokyo"), "{}", verdict.timezone);
    assert_eq!(verdict.lang, "C.UTF-8");
    assert_eq!(verdict.authorized_keys, [KEY]);
    assert_eq!(verdict.status("config_errors"), "0");
}

fn services_run(verdict: &Verdict) {
    assert_eq!(verdict.page, "scene-uefi");
    assert!(verdict.ssh.starts_with("SSH-2.0-"), "{}", verdict.ssh);
    assert_eq!(verdict.failed_units, [""; 0]);
}

fn root_is_the_image_under_the_data_partition(verdict: &Verdict) {
    assert_eq!(verdict.root.fstype, "overlay");
    assert_eq!(verdict.lowerdir, "/run/initramfs/ro");
    assert_eq!(verdict.upperdir, "/run/initramfs/rw/root");
    assert_eq!(verdict.image.fstype, "squashfs");
    assert_eq!(verdict.writable.fstype, "btrfs");
    assert_eq!(verdict.status("image"), "system.img");
    assert_eq!(verdict.status("persistent"), "yes");
}

#[test]
fn owners_settings_and_data_survive_a_restart() {
    let Some(mut scene) = Scene::open("disk_uefi", &["mkfs.btrfs"]) else { return };
    let key = scene.path("key.pub");
    std::fs::write(&key, format!("{KEY}\n")).unwrap();
    let settings = ["hostname=scene-uefi", "timezone=Asia/Tokyo", "locale=C.UTF-8"];
    let mut arguments = vec!["--ssh-key", key.to_str().unwrap()];
    arguments.extend(settings.iter().flat_map(|setting| ["--set", setting]));
    let disk = scene.flash(&arguments);

    for boots in [1, 2] {
        let verdict = scene.boot(&disk, &[]);
        settings_are_the_owners(&verdict);
        root_is_the_image_under_the_data_partition(&verdict);
        assert_eq!(verdict.boots, boots);
        assert_eq!(verdict.status("last_shutdown"), "clean");
        if boots == 1 {
            services_run(&verdict);
            // The shutdown stage removes it when everything is unmounted.
            assert_eq!(scene.read_boot_file(&disk, "boottime.txt"), None);
            scene.shorten(&disk, "");
        }
    }
    assert_eq!(scene.read_boot_file(&disk, "system.ini.report.txt"), None);
}
