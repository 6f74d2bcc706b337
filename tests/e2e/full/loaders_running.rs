//! Scene: a running system renews the loader for a BIOS that started it, and the new one starts it when nothing of the old
//! one is left. The disk was made by an image with other loaders.

use std::fs;
use std::path::PathBuf;

use genpack_tests::guest_image;
use genpack_tests::machine::{Bus, bios_argv};
use genpack_tests::scene::Scene;

use super::update_running::genpack_host_in_the_image;

/// What the system does in place of a service manager.
const SCRIPT: &str = r#"#!/usr/bin/bash
export PATH=/usr/bin
echo "GENPACK-RUNS $(</.genpack/version)"
genpack-host update loaders --bios /dev/vda
echo "GENPACK-LOADERS $?"
sync
echo o >/proc/sysrq-trigger
read
"#;
const DIRECTORY: &str = "usr/lib/genpack-install";
const SECTOR: usize = 512;

/// Returns where the core begins that the first sector links, and of how many sectors it is.
fn linked(disk: &[u8]) -> (usize, usize) {
    let lba = u64::from_le_bytes(disk[0x5C..0x64].try_into().unwrap());
    let at = usize::try_from(lba).unwrap() * SECTOR;
    (at, 1 + usize::from(u16::from_le_bytes([disk[at + 0x1FC], disk[at + 0x1FD]])))
}

#[test]
fn renewed_loader_for_a_bios_starts_the_machine_without_the_old_one() {
    let Some(mut scene) = Scene::open_short("loaders_running", &["mcopy", "strip", "ldd"]) else { return };
    let files = genpack_host_in_the_image(&scene);
    let new = guest_image::tiny(&scene.guest(), 2, SCRIPT, &files);
    // The loaders of before: a core that is a sector longer, and a script with one more line.
    let tree = guest_image::tree(&scene.guest());
    let read = |name: &str| fs::read(tree.join(DIRECTORY).join(name)).unwrap();
    let (mut core, mut script) = (read("core.img"), read("grub.cfg"));
    core.resize(core.len().next_multiple_of(SECTOR) + SECTOR, 0);
    let more = u16::try_from(core.len() / SECTOR - 1).unwrap();
    core[0x1FC..0x1FE].copy_from_slice(&more.to_le_bytes());
    script.extend(b"# before\n");
    let loaders = [("core.img", &core), ("grub.cfg", &script)].map(|(name, bytes)| {
        let path = scene.path(name);
        fs::write(&path, bytes).unwrap();
        (path, format!("{DIRECTORY}/{name}"))
    });
    let files: Vec<(PathBuf, String)> = files.into_iter().chain(loaders).collect();
    let old = guest_image::tiny(&scene.guest(), 1, SCRIPT, &files);
    let disk = scene.flash_image(&old, "disk", &["--no-data"]);
    scene.write_boot_file(&disk, "system.img", &fs::read(new).unwrap());
    let system_cfg =
        "set timeout=0\nset LINUX_ARGS='console=ttyS0,115200n8 loglevel=4 panic=-1 no_timer_check'\n";
    scene.write_boot_file(&disk, "system.cfg", system_cfg.as_bytes());
    let boot = |scene: &mut Scene, words: [&str; 3]| {
        let lines = scene.boot_argv_in_vain(&bios_argv(&[(Bus::Virtio, &disk)], false));
        let mut rest = lines.iter();
        for word in words {
            assert!(rest.any(|line| line.contains(word)), "no {word:?}, or too early, in {lines:#?}");
        }
    };

    let before = linked(&fs::read(&disk).unwrap());
    assert_eq!(before, (SECTOR, core.len() / SECTOR));
    let renewed = "1 files and the loader for a BIOS are those of system.img now";
    boot(&mut scene, ["GENPACK-RUNS 2", renewed, "GENPACK-LOADERS 0"]);
    assert_eq!(scene.read_boot_file(&disk, "boot/grub/grub.cfg").unwrap(), read("grub.cfg"));
    assert_eq!(scene.read_boot_file(&disk, "boot/grub/grub.alt").unwrap(), script);
    let (at, sectors) = linked(&fs::read(&disk).unwrap());
    assert!(at >= before.0 + before.1 * SECTOR && sectors == before.1 - 1, "{at} {sectors}");

    scene.write_at(&disk, before.0 as u64, &vec![0; before.1 * SECTOR]);
    boot(&mut scene, ["GENPACK-RUNS 2", "the loaders are those of system.img already", "GENPACK-LOADERS 0"]);
}
