//! Scene: one disk on every bus that a machine may have, found by `root=systemimg:auto`.

use genpack_tests::machine::Bus;
use genpack_tests::scene::Scene;

#[test]
fn disk_on_any_bus_boots_and_keeps_its_data() {
    let Some(mut scene) = Scene::open_short("buses", &["mkfs.btrfs"]) else { return };
    let disk = scene.flash(&["--set", "hostname=scene-buses"]);

    let machines = [
        (Bus::Virtio, "vda"),
        (Bus::VirtioScsi, "sda"),
        (Bus::Ahci, "sda"),
        (Bus::Nvme, "nvme0n1p"),
        (Bus::Usb, "sda"),
    ];
    for (boots, (bus, name)) in (1..).zip(machines) {
        let verdict = scene.boot_kernel("systemimg:auto", &[(bus, &disk)]);
        assert_eq!(verdict.hostname, "scene-buses", "{bus:?}");
        assert_eq!(verdict.status("boot_device"), format!("/dev/{name}1"), "{bus:?}");
        assert_eq!(verdict.writable.fstype, "btrfs", "{bus:?}");
        assert_eq!(verdict.writable.source, format!("/dev/{name}2"), "{bus:?}");
        assert_eq!((verdict.status("persistent"), verdict.boots), ("yes", boots), "{bus:?}");
        assert_eq!(verdict.status("degraded"), "", "{bus:?}");
    }
}
