//! Scene: machines of other architectures boot by their firmware and from a card, and remember when they boot again.

use genpack_core::kernel::arch::Arch;
use genpack_tests::foreign::{Machine, Start, raspberry_pi_image};
use genpack_tests::scene::Scene;

use crate::foreign::{AARCH64, RISCV64, machine_boots_and_remembers, remembers};

const RASPBERRY_PI_3: Machine = Machine { board: "raspi3b", disk: "mmcblk0p", has_switch: false, ..AARCH64 };

#[test]
fn aarch64_boots_by_uefi() {
    machine_boots_and_remembers("aarch64-uefi", &Machine { start: Start::Efi, ..AARCH64 }, 2);
}

#[test]
fn riscv64_boots_by_the_efi_of_u_boot() {
    machine_boots_and_remembers("riscv64-efi", &Machine { start: Start::Efi, ..RISCV64 }, 2);
}

/// The card is made by `flash --rpi`, and what the emulator starts is what the firmware would find on it.
#[test]
fn raspberry_pi_3_boots_from_its_card() {
    let Some(image) = raspberry_pi_image() else { return };
    let Some(mut scene) = Scene::open_foreign("raspi3b", Arch::Aarch64) else { return };
    let (machine, words) = (&RASPBERRY_PI_3, scene.path("words"));
    std::fs::write(&words, machine.cmdline()).unwrap();
    let add = format!("cmdline.txt={}", words.display());
    let settings = ["--set", "hostname=raspi3b", "--set", "timezone=Asia/Tokyo"];
    // A card has a power of two bytes.
    let card = ["--rpi", "--size", "1G", "--add", &add];
    let disk = scene.flash_image(&image, "card", &[&card[..], &settings].concat());
    let argv = machine.card_argv(&scene, &disk, "3");
    remembers(&mut scene, "raspi3b", machine, &argv, 2);
    assert_eq!(scene.read_boot_file(&disk, "boottime.txt"), None);
}
