//! Scenes: a running system gives itself a new image with the `genpack-host` that it carries, restarts into it on trial,
//! and finds it good. The boot partition is read-only then, and Linux's own FAT. The image comes from a second disk, or
//! from a web server by the blocks that are new in it.

#[path = "../../../host-tools/tests/range_server/mod.rs"]
#[allow(dead_code, reason = "its other user lets it fail")]
mod range_server;

use std::path::{Path, PathBuf};
use std::process::Command;

use genpack_core::contract::boot_state::Image;
use genpack_tests::assets::genpack_host;
use genpack_tests::guest_image;
use genpack_tests::machine::{Bus, bios_argv};
use genpack_tests::scene::{Scene, output};

use crate::rollback::record;
use range_server::Server;

/// What the system does in place of a service manager; FETCH stands for how it comes by the new image.
const SCRIPT: &str = r#"#!/usr/bin/bash
export PATH=/usr/bin
[[ $(</proc/cmdline) =~ genpack\.image=([^ ]+) ]]
echo "GENPACK-RUNS ${BASH_REMATCH[1]} $(</.genpack/version)"
if [ "${BASH_REMATCH[1]}" = system.img ]; then
    FETCH
    genpack-host --quiet update --tries 2 "$image"
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

/// From the second disk.
const FROM_DISK: &str = r#"image=/run/new.squashfs
    head -c "$(</run/initramfs/boot/where)" /dev/vdb >$image"#;
/// From a web server of the emulator's host.
const FROM_URL: &str = r#"for module in failover net_failover virtio_net; do insmod /modules/$module.ko; done
    ip link set eth0 up
    ip address add 10.0.2.15/24 dev eth0
    image=$(</run/initramfs/boot/where)"#;
/// The emulator's network: 10.0.2.2 is the host itself.
const NETWORK: [&str; 4] = ["-netdev", "user,id=web", "-device", "virtio-net-pci,netdev=web"];
const MODULES: [&str; 3] = ["net/core/failover", "drivers/net/net_failover", "drivers/net/virtio_net"];

/// A program and the libraries that it names, with their places in an image.
fn program(path: &Path) -> Vec<(PathBuf, String)> {
    let said = String::from_utf8(output(Command::new("ldd").arg(path)).stdout).unwrap();
    let libraries = said.lines().filter_map(|line| line.split_once("=> ")?.1.split_once(" ("));
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    let place = |path: &str| format!("usr/lib/x86_64-linux-gnu/{}", name(Path::new(path)));
    let mut files: Vec<_> = libraries.map(|(path, _)| (PathBuf::from(path), place(path))).collect();
    files.push((path.to_owned(), format!("usr/bin/{}", name(path))));
    files
}

pub(super) fn genpack_host_in_the_image(scene: &Scene) -> Vec<(PathBuf, String)> {
    let stripped = scene.path("genpack-host");
    output(Command::new("strip").arg("-o").arg(&stripped).arg(genpack_host()));
    program(&stripped)
}

/// Lets a system with these files update itself; the new image is made known by `publish`, which answers what stands in
/// the file `where` and what the machine has besides its disk.
fn updates_itself(
    scene: &mut Scene,
    fetch: &str,
    files: &[(PathBuf, String)],
    publish: impl FnOnce(&Path) -> (String, Vec<String>),
) {
    let script = SCRIPT.replace("FETCH", fetch);
    let image = |version| guest_image::tiny(&scene.guest(), version, &script, files);
    let (old, new) = (image(1), image(2));
    let disk = scene.flash_image(&old, "disk", &["--no-data"]);
    let arguments = "console=ttyS0,115200n8 loglevel=4 panic=-1 no_timer_check";
    let system_cfg = format!("set timeout=0\nset LINUX_ARGS='{arguments}'\n");
    scene.write_boot_file(&disk, "system.cfg", system_cfg.as_bytes());
    let (place, devices) = publish(&new);
    scene.write_boot_file(&disk, "where", format!("{place}\n").as_bytes());

    let mut argv = bios_argv(&[(Bus::Virtio, &disk), (Bus::Locked, &new)], true);
    argv.extend(devices);
    let lines = scene.boot_argv_in_vain(&argv);
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
    let state = record(scene, &disk);
    assert_eq!((state.good(), state.prev(), state.trial()), (Image::New, Some(Image::Img), None));
    assert_eq!(scene.read_boot_file(&disk, "system.new"), Some(std::fs::read(&new).unwrap()));
}

#[test]
fn running_system_updates_itself_and_keeps_the_new_image() {
    let Some(mut scene) = Scene::open_short("update_running", &["mcopy", "strip", "ldd"]) else { return };
    let files = genpack_host_in_the_image(&scene);
    updates_itself(&mut scene, FROM_DISK, &files, |new| {
        (std::fs::metadata(new).unwrap().len().to_string(), Vec::new())
    });
}

#[test]
fn running_system_updates_itself_from_a_web_server_by_what_is_new() {
    let programs = ["mcopy", "strip", "ldd", "curl", "ip", "kmod"];
    let Some(mut scene) = Scene::open_short("update_url", &programs) else { return };
    let mut files = genpack_host_in_the_image(&scene);
    for (path, name) in [("/usr/bin/curl", None), ("/usr/sbin/ip", None), ("/usr/bin/kmod", Some("insmod"))] {
        files.extend(program(Path::new(path)));
        if let (Some(name), Some((_, place))) = (name, files.last_mut()) {
            *place = format!("usr/bin/{name}");
        }
    }
    let modules = guest_image::modules(&scene.guest());
    files.extend(MODULES.map(|name| {
        (modules.join(format!("{name}.ko")), format!("modules/{}.ko", name.rsplit('/').next().unwrap()))
    }));

    let server = Server::start();
    let mut length = 0;
    updates_itself(&mut scene, FROM_URL, &files, |new| {
        output(Command::new(genpack_host()).args(["update", "publish"]).arg(new));
        for (name, extension) in [("new.squashfs", ""), ("new.squashfs.blocks", ".blocks")] {
            let bytes = std::fs::read(format!("{}{extension}", new.display())).unwrap();
            length = length.max(bytes.len());
            server.set(|script| drop(script.files.insert(name.to_owned(), bytes)));
        }
        let url = format!("http://10.0.2.2:{}/new.squashfs", server.port);
        (url, NETWORK.map(str::to_owned).into())
    });
    // The list comes whole, and little else: the kernel and the programs are the old ones.
    let sent = server.sent();
    assert!(sent > 0 && sent < length / 4, "{sent} of {length}");
}
