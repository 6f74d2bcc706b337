//! Scene: a running system gives itself a new image with the `genpack-host` that it carries, restarts into it on trial,
//! and finds it good. The boot partition is read-only then, and Linux's own FAT.

use std::path::{Path, PathBuf};
use std::process::Command;

use genpack_core::contract::boot_state::Image;
use genpack_tests::assets::genpack_host;
use genpack_tests::guest_image;
use genpack_tests::machine::{Bus, bios_argv};
use genpack_tests::scene::{Scene, output};

use crate::rollback::record;

/// What the system does in place of a service manager; the new image is on the second disk.
const SCRIPT: &str = r#"#!/usr/bin/bash
export PATH=/usr/bin
[[ $(</proc/cmdline) =~ genpack\.image=([^ ]+) ]]
echo "GENPACK-RUNS ${BASH_REMATCH[1]} $(</.genpack/version)"
if [ "${BASH_REMATCH[1]}" = system.img ]; then
    head -c "$(</run/initramfs/boot/length)" /dev/vdb >/run/new.squashfs
    genpack-host --quiet update --tries 2 /run/new.squashfs
    echo "GENPACK-UPDATE $?"
    genpack-host update status
    sync
    echo b >/proc/sysrq-trigger
else
    genpack-host update status
    genpack-init mark-good
    echo "GENPACK-GOOD $?"
    genpack-host update status
    sync
    echo o >/proc/sysrq-trigger
fi
read
"#;

/// The program and the libraries that it names, with their places in an image.
fn program(scene: &Scene) -> Vec<(PathBuf, String)> {
    let stripped = scene.path("genpack-host");
    output(Command::new("strip").arg("-o").arg(&stripped).arg(genpack_host()));
    let said = String::from_utf8(output(Command::new("ldd").arg(&stripped)).stdout).unwrap();
    let libraries = said.lines().filter_map(|line| line.split_once("=> ")?.1.split_once(" ("));
    let place = |path: &str| format!("usr/lib/x86_64-linux-gnu/{}", path.rsplit('/').next().unwrap());
    let mut files: Vec<_> = libraries.map(|(path, _)| (PathBuf::from(path), place(path))).collect();
    files.push((stripped, "usr/bin/genpack-host".to_owned()));
    files
}

#[test]
fn running_system_updates_itself_and_keeps_the_new_image() {
    let Some(mut scene) = Scene::open_short("update_running", &["mcopy", "strip", "ldd"]) else { return };
    let files = program(&scene);
    let image = |version| guest_image::tiny(&scene.guest(), version, SCRIPT, &files);
    let (old, new) = (image(1), image(2));
    let disk = scene.flash_image(&old, "disk", &["--no-data"]);
    let arguments = "console=ttyS0,115200n8 loglevel=4 panic=-1 no_timer_check";
    let system_cfg = format!("set timeout=0\nset LINUX_ARGS='{arguments}'\n");
    scene.write_boot_file(&disk, "system.cfg", system_cfg.as_bytes());
    let length = std::fs::metadata(&new).unwrap().len();
    scene.write_boot_file(&disk, "length", format!("{length}\n").as_bytes());

    let disks: [(Bus, &Path); 2] = [(Bus::Virtio, &disk), (Bus::Locked, &new)];
    let lines = scene.boot_argv_in_vain(&bios_argv(&disks, true));
    let story = [
        "GENPACK-RUNS system.img 1",
        "GENPACK-UPDATE 0",
        "system.new: tiny, ",
        "system.new is on trial, attempts left after this one: 1.",
        "GENPACK-RUNS system.new 2",
        "on the boot partition: running, on trial, 1 attempts left",
        "GENPACK-GOOD 0",
        "on the boot partition: running, good",
    ];
    let mut rest = lines.iter();
    for words in story {
        assert!(rest.any(|line| line.contains(words)), "no {words:?}, or too early, in {lines:#?}");
    }
    let state = record(&scene, &disk);
    assert_eq!((state.good(), state.prev(), state.trial()), (Image::New, Some(Image::Img), None));
    assert_eq!(scene.read_boot_file(&disk, "system.new"), Some(std::fs::read(&new).unwrap()));
}
