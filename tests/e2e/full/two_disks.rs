//! Scene: two disks of ours in one machine.

use genpack_tests::machine::Bus;
use genpack_tests::scene::Scene;

#[test]
fn each_of_two_disks_boots_with_its_own_data() {
    let Some(mut scene) = Scene::open_short("two_disks", &["mkfs.btrfs"]) else { return };
    let image = scene.image().to_owned();
    let one = scene.flash_image(&image, "one", &["--set", "hostname=one"]);
    let two = scene.flash_image(&image, "two", &["--set", "hostname=two"]);
    let disks = [(Bus::Virtio, one.as_path()), (Bus::Ahci, two.as_path())];

    for (disk, hostname, name) in [(&two, "two", "sda"), (&one, "one", "vda")] {
        let root = format!("systemimg:{}", scene.boot_uuid(disk));
        let verdict = scene.boot_kernel(&root, &disks);
        assert_eq!(verdict.hostname, hostname);
        assert_eq!(verdict.status("boot_device"), format!("/dev/{name}1"));
        assert_eq!(verdict.writable.source, format!("/dev/{name}2"));
        assert_eq!((verdict.status("persistent"), verdict.boots), ("yes", 1));
    }
}
