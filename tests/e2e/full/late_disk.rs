//! Scene: the disk, a stick, is plugged in while stage 1 runs, which has to wait for it.

use genpack_tests::scene::Scene;

#[test]
fn disk_that_comes_late_boots_with_its_data() {
    let Some(mut scene) = Scene::open_short("late_disk", &["mkfs.btrfs"]) else { return };
    let disk = scene.flash(&["--set", "hostname=scene-late"]);
    let uuid = scene.boot_uuid(&disk);

    for (boots, root) in [(1, "auto"), (2, uuid.as_str())] {
        let root = format!("systemimg:{root} rd.timeout=180");
        // Why: the last line before a guest falls idle reaches us only with the next one; its controller's comes at once.
        let verdict = scene.boot_late_disk(
            &root,
            &disk,
            "genpack-init: loaded module kernel/drivers/usb/host/xhci-pci",
        );
        let console = scene.path(&format!("serial.{boots}.log"));
        let console = String::from_utf8_lossy(&std::fs::read(console).unwrap()).into_owned();
        assert!(console.contains("genpack-init: waiting for "));
        assert_eq!(verdict.hostname, "scene-late");
        assert_eq!(verdict.status("boot_device"), "/dev/sda1");
        assert_eq!((verdict.status("persistent"), verdict.boots), ("yes", boots));
        assert_eq!(verdict.status("degraded"), "");
    }
}
