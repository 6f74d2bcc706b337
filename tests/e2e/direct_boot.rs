//! Scene: the system image booted by its own kernel, with a disk for its data.

use std::process::Command;

use genpack_tests::scene::{Scene, output};

/// What the stages of the init may take; more than this needs a decision.
const MAX_PEAK_KIB: u32 = 8192;

/// Boots so often.
pub(crate) fn keeps_data_on_a_second_disk(name: &str, times: u32) {
    let Some(mut scene) = Scene::open(name, &["mkfs.btrfs"]) else { return };
    let image = scene.image().to_owned();

    let data = scene.path("data");
    std::fs::File::create(&data).unwrap().set_len(256 << 20).unwrap();
    output(Command::new("mkfs.btrfs").arg("-q").arg(&data));
    let data_file = ["--name", "scene-direct", "--data-file", data.to_str().unwrap()];
    for boots in 1..=times {
        let verdict = scene.boot(&image, &data_file);
        assert_eq!(verdict.root.fstype, "overlay");
        assert_eq!(verdict.lowerdir, "/run/initramfs/ro");
        assert_eq!((verdict.image.fstype.as_str(), verdict.image.source.as_str()), ("squashfs", "/dev/vda"));
        assert_eq!(
            (verdict.writable.fstype.as_str(), verdict.writable.source.as_str()),
            ("btrfs", "/dev/vdb")
        );
        assert_eq!((verdict.status("persistent"), verdict.boots), ("yes", boots));
        assert_eq!(verdict.failed_units, [""; 0]);
        assert!(verdict.peak_kib() <= MAX_PEAK_KIB, "{} KiB", verdict.peak_kib());
    }
}

#[test]
fn system_image_boots_by_its_own_kernel_with_a_second_disk() {
    keeps_data_on_a_second_disk("direct_boot", 1);
}
