//! What a profile adds to an artifact of Debian packages.

use genpack_core::kernel::arch::Arch;

use crate::lower::machine::Machine;

/// What makes a Debian userland one that our init can hand over to.
const SYSTEM: &[&str] = &[
    "systemd",
    "systemd-sysv",
    "udev",
    "kmod",
    "dbus",
    "systemd-resolved",
    "systemd-timesyncd",
    "tzdata",
    // The data and boot partitions are checked and grown on the machine itself.
    "dosfstools",
    "btrfs-progs",
];

/// Returns the packages that the profile of a machine brings.
#[must_use]
pub fn packages(machine: Machine, arch: Arch) -> Vec<&'static str> {
    let mut packages = SYSTEM.to_vec();
    packages.push(match (machine, arch) {
        (Machine::Paravirt, Arch::X86_64) => "linux-image-cloud-amd64",
        (Machine::Paravirt, Arch::Aarch64) => "linux-image-cloud-arm64",
        (Machine::Baremetal, Arch::X86_64) => "linux-image-amd64",
        (Machine::Baremetal, Arch::Aarch64) => "linux-image-arm64",
        (_, Arch::Riscv64) => "linux-image-riscv64",
        (_, Arch::I686) => "linux-image-686-pae",
    });
    packages
}
