//! Scene: machines of other architectures boot by their firmware and from a card, and remember when they boot again.

use genpack_tests::foreign::{Machine, Start};

use crate::foreign::{AARCH64, RISCV64, machine_boots_and_remembers};

const RASPBERRY_PI_3: Machine = Machine { board: "raspi3b", disk: "mmcblk0p", ..AARCH64 };

#[test]
fn aarch64_boots_by_uefi() {
    machine_boots_and_remembers("aarch64-uefi", &Machine { start: Start::Efi, ..AARCH64 }, 2);
}

#[test]
fn riscv64_boots_by_the_efi_of_u_boot() {
    machine_boots_and_remembers("riscv64-efi", &Machine { start: Start::Efi, ..RISCV64 }, 2);
}

#[test]
fn raspberry_pi_3_boots_from_its_card() {
    machine_boots_and_remembers("raspi3b", &RASPBERRY_PI_3, 2);
}
