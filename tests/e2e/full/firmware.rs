//! Scene: UEFI firmware and GRUB with every layout of a disk, and an image that is compressed otherwise.

use genpack_tests::guest_image;
use genpack_tests::scene::{SHORT, Scene};

#[test]
fn uefi_boots_gpt_superfloppy_and_xz() {
    let Some(mut scene) = Scene::open_short("firmware", &["mkfs.btrfs"]) else { return };
    let cfg = scene.path("system.cfg");
    std::fs::write(&cfg, format!("set LINUX_ARGS=\"{SHORT}\"\n")).unwrap();
    let cfg = cfg.to_str().unwrap();
    let guest = guest_image::build();
    for (compression, layout, hostname, persistent) in [
        ("gzip", "--gpt", "scene-gpt", "yes"),
        ("gzip", "--superfloppy", "scene-superfloppy", "no"),
        ("xz", "--no-esp", "scene-xz", "yes"),
    ] {
        let image = guest_image::small(&guest, compression, 1_700_000_000);
        let setting = format!("hostname={hostname}");
        let disk = scene.flash_image(&image, hostname, &[layout, "--system-cfg", cfg, "--set", &setting]);
        let verdict = scene.boot(&disk, &[]);
        assert_eq!(verdict.hostname, hostname);
        assert_eq!(verdict.root.fstype, "overlay", "{hostname}");
        assert_eq!(verdict.status("image"), "system.img", "{hostname}");
        assert_eq!(
            (verdict.status("persistent"), verdict.status("degraded")),
            (persistent, ""),
            "{hostname}"
        );
    }
}
