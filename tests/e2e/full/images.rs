//! Scene: what is done about the image and the layer above it.

use genpack_tests::guest_image;
use genpack_tests::machine::Bus;
use genpack_tests::scene::Scene;

#[test]
fn truncated_image_makes_room_for_the_old_one() {
    let Some(mut scene) = Scene::open_short("image_truncated", &["mkfs.btrfs"]) else { return };
    let whole = std::fs::read(scene.image()).unwrap();
    let old = format!("system.old={}", scene.image().display());
    let disk = scene.flash(&["--add", &old, "--set", "hostname=scene-old"]);
    scene.write_boot_file(&disk, "system.img", &whole[..whole.len() / 2]);

    let verdict = scene.boot_kernel("systemimg:auto", &[(Bus::Virtio, &disk)]);
    assert_eq!((verdict.hostname.as_str(), verdict.status("image")), ("scene-old", "system.old"));
    assert!(verdict.status("degraded").contains("truncated"), "{}", verdict.status("degraded"));
    assert_eq!((verdict.status("persistent"), verdict.boots), ("yes", 1));
}

#[test]
fn transient_boot_leaves_the_data_partition_alone() {
    let Some(mut scene) = Scene::open_short("transient", &["mkfs.btrfs"]) else { return };
    let disk = scene.flash(&[]);
    for (root, persistent, boots) in [
        ("systemimg:auto", "yes", 1),
        ("systemimg:auto genpack.transient=1", "no", 1),
        ("systemimg:auto genpack.transient=0", "yes", 2),
    ] {
        let verdict = scene.boot_kernel(root, &[(Bus::Virtio, &disk)]);
        assert_eq!((verdict.status("persistent"), verdict.boots), (persistent, boots), "{root}");
        assert_eq!(verdict.status("degraded"), "", "{root}");
    }
}

#[test]
fn usr_has_the_time_of_the_image_after_an_update() {
    let Some(mut scene) = Scene::open_short("usr_time", &["mkfs.btrfs"]) else { return };
    let disk = scene.flash(&[]);
    let first = scene.boot_kernel("systemimg:auto", &[(Bus::Virtio, &disk)]);
    assert_eq!((first.usr_time, first.image_usr_time), (1_700_000_000, 1_700_000_000));

    let guest = guest_image::build();
    let newer = guest_image::small(&guest, "gzip", 1_710_000_000);
    scene.write_boot_file(&disk, "system.img", &std::fs::read(newer).unwrap());
    // The first boot left a copy of /usr, with its time, in the layer above the image.
    let second = scene.boot_kernel("systemimg:auto", &[(Bus::Virtio, &disk)]);
    assert_eq!((second.usr_time, second.image_usr_time), (1_710_000_000, 1_710_000_000));
    assert_eq!(second.boots, 2);
}
