//! Scene: an image whose kernel is a unified kernel image. `vm run` takes it apart; the same file on a boot partition is
//! started by UEFI as it is.

use std::path::{Path, PathBuf};
use std::process::Command;

use genpack_tests::assets::is_built;
use genpack_tests::guest_image::small_unified;
use genpack_tests::scene::{SHORT, Scene, output};
use genpack_tests::verdict::Verdict;

/// systemd's stub, which makes a kernel a program of UEFI's.
const STUB: &str = "/usr/lib/systemd/boot/efi/linuxx64.efi.stub";
/// Where its sections are loaded, far enough apart for any kernel: the stub's own end below a MiB.
const SECTIONS: [(&str, &str, u64); 3] = [
    (".cmdline", "cmdline", 0x3_0000),
    (".linux", "kernel", 0x200_0000),
    (".initrd", "initramfs", 0x600_0000),
];

/// Makes a unified kernel image of files in the scene's directory, by the linker's tools.
fn unify(scene: &Scene, cmdline: &str, name: &str) -> PathBuf {
    let uki = scene.path(name);
    // A text file ends with a line break, by habit.
    std::fs::write(scene.path("cmdline"), format!("{cmdline}\n")).unwrap();
    let stub = std::fs::read(STUB).unwrap();
    let number = |at: usize, bytes: usize| {
        stub[at..at + bytes].iter().rev().fold(0, |number: u64, byte| number << 8 | u64::from(*byte))
    };
    // ImageBase of the optional header (PE32+): addresses count from there.
    let base = number(usize::try_from(number(0x3c, 4)).unwrap() + 4 + 20 + 24, 8);
    let mut objcopy = Command::new("objcopy");
    for (section, file, address) in SECTIONS {
        objcopy.arg("--add-section").arg(format!("{section}={}", scene.path(file).display()));
        objcopy.arg("--change-section-vma").arg(format!("{section}={:#x}", base + address));
    }
    output(objcopy.arg(STUB).arg(&uki));
    uki
}

fn is_whole(verdict: &Verdict) {
    assert_eq!((verdict.root.fstype.as_str(), verdict.image.fstype.as_str()), ("overlay", "squashfs"));
    // What only a service manager can tell is not there: init= of the image's own words counted.
    assert_eq!(verdict.page, "");
}

#[test]
fn unified_kernel_image_is_taken_apart_and_boots_by_uefi_as_it_is() {
    let Some(mut scene) = Scene::open_short("vm_uki", &["objcopy", "mcopy"]) else { return };
    if !is_built(Path::new(STUB), "apt-get install systemd-boot-efi") {
        return;
    }
    // Words of ours stand behind those of the image: the root that counts is /dev/vda.
    let uki = unify(&scene, &format!("root=/dev/vdz {SHORT}"), "taken-apart.efi");
    let image = small_unified(&scene.guest(), &uki);
    let verdict = scene.boot(&image, &["--no-kvm"]);
    is_whole(&verdict);
    assert_eq!(verdict.image.source, "/dev/vda");

    let uki = unify(&scene, &format!("root=systemimg:auto {SHORT}"), "as-it-is.efi");
    let disk = scene.flash(&[]);
    scene.write_boot_file(&disk, "EFI/BOOT/BOOTX64.EFI", &std::fs::read(uki).unwrap());
    let verdict = scene.boot(&disk, &["--no-kvm"]);
    is_whole(&verdict);
    assert_eq!(verdict.status("boot_device"), "/dev/vda1");
}
