//! Scene: a whole Debian with Python takes users and keys from `system.ini`, and gives them back when they are taken out.

use genpack_tests::guest_image;
use genpack_tests::scene::Scene;

const ROOT_KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHZQtNCkqr4WR7gq+kHFSs2/p5I3ZPGwPqhydJaXD9ao owner@desk";
const BOB_KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMdtl2RXkQDqbM9nOVWZAhyVP9q4wyXnpG9yTOkxUpIz bob@laptop";

#[test]
fn users_and_keys_come_and_go_with_the_file() {
    let Some(mut scene) = Scene::open("debian_settings", &["mkfs.btrfs", "mcopy"]) else { return };
    let image = guest_image::build_with_python();
    let disk = scene.flash_image(&image, "disk", &[]);
    let settings = [
        "hostname = scene-debian",
        "timezone = Asia/Tokyo",
        "locale = C.UTF-8",
        &format!("ssh_pubkey = {ROOT_KEY}"),
        "motto = 100 % \u{201C}ours\u{201D}\\",
        "[user.bob]",
        &format!("ssh_pubkey = {BOB_KEY}"),
        "groups = audio, video",
    ];
    scene.write_boot_file(&disk, "system.ini", settings.join("\r\n").as_bytes());
    let verdict = scene.boot(&disk, &["--bios"]);
    assert_eq!(verdict.failed_units, [""; 0]);
    assert_eq!((verdict.status("failed_modules"), verdict.status("degraded")), ("", ""));
    assert_eq!((verdict.hostname.as_str(), verdict.lang.as_str()), ("scene-debian", "C.UTF-8"));
    assert!(verdict.timezone.ends_with("/Asia/Tokyo"), "{}", verdict.timezone);
    assert_eq!(verdict.authorized_keys, [ROOT_KEY]);
    // Keys of everybody and keys of one's own.
    assert_eq!(verdict.users, ["bob: bob audio video, 2 keys"]);
    assert_eq!(
        verdict.said,
        [
            "boot partition: vfat",
            "[_default] hostname = 'scene-debian'",
            "[_default] timezone = 'Asia/Tokyo'",
            "[_default] locale = 'C.UTF-8'",
            &format!("[_default] ssh_pubkey = '{ROOT_KEY}'"),
            "[_default] motto = '100 % \u{201C}ours\u{201D}\\\\'",
            &format!("[user.bob] ssh_pubkey = '{BOB_KEY}'"),
            "[user.bob] groups = 'audio, video'",
        ]
    );

    scene.write_boot_file(&disk, "system.ini", b"locale = C.UTF-8\r\n");
    let verdict = scene.boot(&disk, &["--bios"]);
    assert_eq!((verdict.boots, verdict.status("persistent")), (2, "yes"));
    assert_eq!(verdict.failed_units, [""; 0]);
    assert_eq!((verdict.status("failed_modules"), verdict.status("config_errors")), ("", "0"));
    assert_eq!(
        (verdict.hostname.as_str(), verdict.timezone.as_str()),
        ("hello", "/usr/share/zoneinfo/Etc/UTC")
    );
    assert_eq!(verdict.authorized_keys, [""; 0]);
    assert_eq!(verdict.users, [""; 0]);
    assert_eq!(verdict.said, ["boot partition: vfat", "[_default] locale = 'C.UTF-8'"]);
}
