//! Scene: machines of other architectures boot a disk with the owner's settings.

use std::path::PathBuf;

use genpack_core::kernel::arch::Arch;
use genpack_tests::foreign::{Machine, Start};
use genpack_tests::scene::Scene;
use genpack_tests::verdict::Verdict;

pub(crate) const AARCH64: Machine = Machine {
    arch: Arch::Aarch64,
    board: "virt",
    start: Start::Direct,
    console: "ttyAMA0",
    disk: "vda",
    has_switch: true,
};
pub(crate) const RISCV64: Machine = Machine { arch: Arch::Riscv64, console: "ttyS0", ..AARCH64 };

/// Boots so often: what the first boot wrote, the second finds, and the first ended well.
pub(crate) fn machine_boots_and_remembers(name: &str, machine: &Machine, times: u32) {
    let Some(mut scene) = Scene::open_foreign(name, machine.arch) else { return };
    let disk = flash(&scene, name, machine);
    let argv = machine.argv(&disk, &scene.path("vars"));
    remembers(&mut scene, name, machine, &argv, times);
    // The shutdown stage removes it when everything is unmounted.
    assert_eq!(scene.read_boot_file(&disk, "boottime.txt"), None);
}

/// Writes a disk with the owner's settings.
pub(crate) fn flash(scene: &Scene, name: &str, machine: &Machine) -> PathBuf {
    let cfg = scene.path("system.cfg");
    std::fs::write(&cfg, format!("set LINUX_ARGS=\"{}\"\n", machine.cmdline())).unwrap();
    let hostname = format!("hostname={name}");
    // A card has a power of two bytes.
    let size = ["--size", "1G", "--system-cfg", cfg.to_str().unwrap()];
    scene.flash(&[&["--set", &hostname, "--set", "timezone=Asia/Tokyo"], &size[..]].concat())
}

/// Boots so many times and looks at what the guest found.
pub(crate) fn remembers(scene: &mut Scene, name: &str, machine: &Machine, argv: &[String], times: u32) {
    for boots in 1..=times {
        let verdict = if machine.has_switch { scene.boot_argv(argv) } else { scene.boot_argv_to_halt(argv) };
        is_the_owners(&verdict, name, machine, boots);
    }
}

/// Looks at what the guest found when it booted for this time.
pub(crate) fn is_the_owners(verdict: &Verdict, name: &str, machine: &Machine, boots: u32) {
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

#[test]
fn aarch64_boots_by_its_kernel() {
    machine_boots_and_remembers("aarch64-direct", &AARCH64, 1);
}

#[test]
fn riscv64_boots_by_its_kernel() {
    machine_boots_and_remembers("riscv64-direct", &RISCV64, 1);
}
