//! Scene: the image on a medium that nobody can write to.

use std::process::Command;

use genpack_tests::machine::Bus;
use genpack_tests::scene::{Scene, output};

#[test]
fn iso_boots_with_its_settings_and_forgets() {
    let Some(mut scene) = Scene::open_short("read_only_medium", &["genisoimage"]) else { return };
    let medium = scene.path("medium");
    std::fs::create_dir(&medium).unwrap();
    std::fs::hard_link(scene.image(), medium.join("system.img")).unwrap();
    std::fs::write(medium.join("system.ini"), "hostname=scene-iso\nmistake\n").unwrap();
    let iso = scene.path("iso");
    output(Command::new("genisoimage").args(["-quiet", "-R", "-o"]).arg(&iso).arg(&medium));
    let uuid = scene.probe(&iso)["filesystem"]["uuid"].as_str().unwrap().to_owned();

    let verdict = scene.boot_kernel(&format!("systemimg:{uuid}"), &[(Bus::Optical, &iso)]);
    assert_eq!(verdict.hostname, "scene-iso");
    assert_eq!(verdict.status("boot_device"), "/dev/sr0");
    assert_eq!((verdict.writable.fstype.as_str(), verdict.status("persistent")), ("tmpfs", "no"));
    assert_eq!((verdict.status("config_errors"), verdict.status("degraded")), ("1", ""));
}

#[test]
fn locked_card_boots_with_its_settings_and_forgets() {
    let Some(mut scene) = Scene::open_short("locked_card", &["mkfs.btrfs"]) else { return };
    let disk = scene.flash(&["--set", "hostname=scene-locked"]);

    let verdict = scene.boot_kernel("systemimg:auto", &[(Bus::Locked, &disk)]);
    assert_eq!(verdict.hostname, "scene-locked");
    assert_eq!((verdict.writable.fstype.as_str(), verdict.status("persistent")), ("tmpfs", "no"));
    for device in ["/dev/vda1", "/dev/vda2"] {
        assert!(verdict.status("degraded").contains(device), "{}", verdict.status("degraded"));
    }
}
