//! What Gentoo calls our architectures, and the profile of an artifact.

use genpack_core::kernel::arch::Arch;

use crate::lower::machine::Machine;
use crate::model::Effective;

/// Name of the ebuild repository.
pub const REPOSITORY: &str = "gentoo";
/// Name of the overlay.
pub const OVERLAY: &str = "genpack-overlay";
/// Name of an artifact's own ebuild repository.
pub const LOCAL_OVERLAY: &str = "genpack-local-overlay";
/// Where ebuild repositories are in a tree.
pub const REPOSITORIES: &str = "/var/db/repos";

/// Names of an architecture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArchNames {
    /// Directory below `releases/` on a mirror.
    pub releases: &'static str,
    /// In the name of a stage3.
    pub stage3: &'static str,
    /// Portage's ARCH, the directory of a profile.
    pub keyword: &'static str,
    /// Machine number in an ELF header.
    pub e_machine: u16,
}

/// Returns Gentoo's names of an architecture.
#[must_use]
pub const fn arch(arch: Arch) -> ArchNames {
    match arch {
        Arch::X86_64 => ArchNames { releases: "amd64", stage3: "amd64", keyword: "amd64", e_machine: 0x3e },
        Arch::I686 => ArchNames { releases: "x86", stage3: "i686", keyword: "x86", e_machine: 0x03 },
        Arch::Aarch64 => ArchNames { releases: "arm64", stage3: "arm64", keyword: "arm64", e_machine: 0xb7 },
        Arch::Riscv64 => {
            ArchNames { releases: "riscv", stage3: "rv64_lp64d", keyword: "riscv", e_machine: 0xf3 }
        }
    }
}

/// Returns the path of the artifact's profile below `profiles/` of the overlay.
#[must_use]
pub fn profile(effective: &Effective) -> String {
    let keyword = arch(effective.arch).keyword;
    match &effective.profile {
        Some(profile) => format!("genpack/{keyword}/{}", profile.value),
        None => format!("genpack/{keyword}"),
    }
}

/// Returns what the image is to boot on, as far as the definition says it.
#[must_use]
pub fn machine(effective: &Effective) -> Option<Machine> {
    let words = effective.profile.iter().flat_map(|p| p.value.split('/'));
    let by_profile = words.filter_map(|word| match word {
        "paravirt" => Some(Machine::Paravirt),
        "systemimg" | "baremetal" | "raspberrypi" => Some(Machine::Baremetal),
        _ => None,
    });
    let by_package = effective.packages.iter().filter_map(|p| by_package(&p.value));
    by_profile.chain(by_package).next()
}

/// Returns what an image with this package is to boot on.
#[must_use]
pub fn by_package(name: &str) -> Option<Machine> {
    match name {
        "genpack/paravirt" => Some(Machine::Paravirt),
        "genpack/systemimg" => Some(Machine::Baremetal),
        _ => None,
    }
}
