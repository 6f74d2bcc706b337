//! Scene: disks of other architectures that `vm run` boots by the firmware it finds on this host.

use std::path::Path;

use genpack_tests::assets::is_built;
use genpack_tests::foreign::Machine;
use genpack_tests::scene::Scene;

use crate::foreign::{AARCH64, RISCV64, flash, is_the_owners};

fn boots_twice(name: &str, machine: &Machine, firmware: &str, package: &str) {
    if !is_built(Path::new(firmware), &format!("apt-get install {package}")) {
        return;
    }
    let Some(mut scene) = Scene::open_foreign(name, machine.arch) else { return };
    let disk = flash(&scene, name, machine);
    for boots in [1, 2] {
        let verdict = scene.boot(&disk, &["--no-kvm"]);
        is_the_owners(&verdict, name, machine, boots);
    }
}

#[test]
fn aarch64_boots_by_the_uefi_of_its_descriptor() {
    boots_twice("vm-disk-aarch64", &AARCH64, "/usr/share/AAVMF/AAVMF_CODE.fd", "qemu-efi-aarch64");
}

#[test]
fn riscv64_boots_by_u_boot_where_qemu_starts_no_uefi() {
    let u_boot = "/usr/lib/u-boot/qemu-riscv64_smode/u-boot.bin";
    boots_twice("vm-disk-riscv64", &RISCV64, u_boot, "u-boot-qemu");
}
