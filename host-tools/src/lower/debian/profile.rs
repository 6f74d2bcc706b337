//! What a profile adds to an artifact of Debian packages.

use genpack_core::kernel::arch::Arch;

/// A profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// Real machines: the full kernel, loaders for disks.
    Baremetal,
    /// Virtual machines: the kernel with drivers of virtual hardware only.
    Paravirt,
}

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

impl Profile {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Baremetal, Self::Paravirt];

    /// Returns the name in a definition.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Baremetal => "baremetal",
            Self::Paravirt => "paravirt",
        }
    }

    /// Returns the profile of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|p| p.name() == name)
    }

    /// Returns the packages that it brings.
    #[must_use]
    pub fn packages(self, arch: Arch) -> Vec<&'static str> {
        let mut packages = SYSTEM.to_vec();
        packages.push(match (self, arch) {
            (Self::Paravirt, Arch::X86_64) => "linux-image-cloud-amd64",
            (Self::Paravirt, Arch::Aarch64) => "linux-image-cloud-arm64",
            (Self::Baremetal, Arch::X86_64) => "linux-image-amd64",
            (Self::Baremetal, Arch::Aarch64) => "linux-image-arm64",
            (_, Arch::Riscv64) => "linux-image-riscv64",
            (_, Arch::I686) => "linux-image-686-pae",
        });
        packages
    }
}
