//! Scene: machines of other architectures boot a disk with the owner's settings, twice, and remember.

use genpack_core::kernel::arch::Arch;
use genpack_tests::foreign::{Machine, Start};
use genpack_tests::scene::Scene;

const AARCH64: Machine =
    Machine { arch: Arch::Aarch64, board: "virt", start: Start::Direct, console: "ttyAMA0", disk: "vda" };
const RISCV64: Machine = Machine { arch: Arch::Riscv64, console: "ttyS0", ..AARCH64 };
#[cfg(feature = "full")]
const RASPBERRY_PI_3: Machine = Machine { board: "raspi3b", disk: "mmcblk0p", ..AARCH64 };

/// Boots twice: what the first boot wrote, the second finds, and the first ended well.
fn machine_boots_and_remembers(name: &str, machine: &Machine) {
    let Some(mut scene) = Scene::open_foreign(name, machine.arch) else { return };
    let cfg = scene.path("system.cfg");
    std::fs::write(&cfg, format!("set LINUX_ARGS=\"{}\"\n", machine.cmdline())).unwrap();
    let hostname = format!("hostname={name}");
    // A card has a power of two bytes.
    let size = ["--size", "1G", "--system-cfg", cfg.to_str().unwrap()];
    let disk = scene.flash(&[&["--set", &hostname, "--set", "timezone=Asia/Tokyo"], &size[..]].concat());
    let argv = machine.argv(&disk, &scene.path("vars"));

    for boots in [1, 2] {
        let verdict = scene.boot_argv(&argv);
        assert_eq!((verdict.hostname.as_str(), verdict.arch.as_str()), (name, machine.arch.name()));
        assert!(verdict.timezone.ends_with("/zoneinfo/Asia/Tokyo"), "{}", verdict.timezone);
        assert_eq!((verdict.root.fstype.as_str(), verdict.image.fstype.as_str()), ("overlay", "squashfs"));
        assert_eq!(verdict.status("boot_device"), format!("/dev/{}1", machine.disk));
        assert_eq!(verdict.writable.source, format!("/dev/{}2", machine.disk));
        assert_eq!((verdict.status("persistent"), verdict.boots), ("yes", boots));
        assert_eq!((verdict.status("degraded"), verdict.status("config_errors")), ("", "0"));
        assert_eq!(verdict.status("image"), "system.img");
        assert_eq!(verdict.status("last_shutdown"), "clean");
    }
}

#[test]
fn aarch64_boots_by_its_kernel() {
    machine_boots_and_remembers("aarch64-direct", &AARCH64);
}

#[test]
fn riscv64_boots_by_its_kernel() {
    machine_boots_and_remembers("riscv64-direct", &RISCV64);
}

#[cfg(feature = "full")]
#[test]
fn aarch64_boots_by_uefi() {
    machine_boots_and_remembers("aarch64-uefi", &Machine { start: Start::Efi, ..AARCH64 });
}

#[cfg(feature = "full")]
#[test]
fn riscv64_boots_by_the_efi_of_u_boot() {
    machine_boots_and_remembers("riscv64-efi", &Machine { start: Start::Efi, ..RISCV64 });
}

#[cfg(feature = "full")]
#[test]
fn raspberry_pi_3_boots_from_its_card() {
    machine_boots_and_remembers("raspi3b", &RASPBERRY_PI_3);
}
