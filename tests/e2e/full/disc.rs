//! Scene: what `iso` writes boots as a disc and as a stick, on a BIOS and on UEFI, and forgets.

use std::path::{Path, PathBuf};
use std::process::Command;

use genpack_tests::assets::genpack_host;
use genpack_tests::scene::{SHORT, Scene, output};

/// Firmware for UEFI, of Debian's package ovmf.
const OVMF: [&str; 2] = ["/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"];

/// Returns the command line of a machine that has nothing but the disc.
fn argv(scene: &Scene, iso: &Path, is_stick: bool, is_uefi: bool) -> Vec<String> {
    let mut words: Vec<String> =
        ["qemu-system-x86_64", "-machine", "q35", "-accel", "tcg", "-cpu", "max", "-m", "1G"]
            .map(str::to_owned)
            .into();
    words.extend(
        ["-nodefaults", "-no-user-config", "-display", "none", "-serial", "stdio"].map(str::to_owned),
    );
    words.extend(["-drive".into(), format!("if=none,id=disc,format=raw,readonly=on,file={}", iso.display())]);
    let devices: &[&str] = if is_stick {
        &["qemu-xhci,id=usb", "usb-storage,bus=usb.0,drive=disc,bootindex=0"]
    } else {
        &["ide-cd,bus=ide.0,drive=disc,bootindex=0"]
    };
    devices.iter().for_each(|device| words.extend(["-device".to_owned(), (*device).to_owned()]));
    if is_uefi {
        let variables = scene.path("vars.fd");
        std::fs::copy(OVMF[1], &variables).unwrap();
        let flash = |more: &str, file: &Path| {
            ["-drive".to_owned(), format!("if=pflash,format=raw,{more}file={}", file.display())]
        };
        words.extend(flash("readonly=on,", Path::new(OVMF[0])));
        words.extend(flash("", &variables));
    }
    words
}

fn disc(scene: &Scene) -> PathBuf {
    let system_cfg = format!("set timeout=0\nset LINUX_ARGS='{SHORT}'\n");
    std::fs::write(scene.path("system.cfg"), system_cfg).unwrap();
    std::fs::write(scene.path("system.ini"), "hostname = scene-disc\n").unwrap();
    let add = |name: &str| format!("{name}={}", scene.path(name).display());
    let iso = scene.path("disc.iso");
    let mut command = Command::new(genpack_host());
    command.arg("iso").arg(&iso).arg(scene.image());
    output(command.args(["--add", &add("system.cfg"), "--add", &add("system.ini")]));
    iso
}

#[test]
fn disc_and_stick_boot_on_both_firmwares() {
    if !OVMF.iter().all(|file| genpack_tests::assets::is_built(Path::new(file), "package ovmf")) {
        return;
    }
    let Some(mut scene) = Scene::open_short("disc", &[]) else { return };
    let iso = disc(&scene);
    for (is_stick, device) in [(false, "/dev/sr0"), (true, "/dev/sda")] {
        for is_uefi in [false, true] {
            let argv = argv(&scene, &iso, is_stick, is_uefi);
            let verdict = scene.boot_argv(&argv);
            let what = format!("{device}, UEFI: {is_uefi}");
            assert_eq!(verdict.hostname, "scene-disc", "{what}");
            assert!(
                verdict.status("boot_device").starts_with(device),
                "{what}: {}",
                verdict.status("boot_device")
            );
            assert_eq!(
                (verdict.status("image"), verdict.status("persistent")),
                ("system.img", "no"),
                "{what}"
            );
            assert_eq!(verdict.status("degraded"), "", "{what}");
        }
    }
}
