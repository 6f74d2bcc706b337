//! Every machine for which a kernel or program can be recognized, a superset of the four that genpack builds for.
//!
//! Sources: the ELF gABI's list of `e_machine`, the Microsoft PE/COFF specification, section 3.3.1. Not handled:
//! machines for which Linux has no maintained port of Debian, and the ABIs of one machine (x32, ILP32).

use crate::kernel::arch::Arch;

/// A machine that a header names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Machine {
    /// 64-bit x86.
    X86_64,
    /// 32-bit x86.
    I686,
    /// 64-bit Arm.
    Aarch64,
    /// 32-bit Arm.
    Arm,
    /// 64-bit RISC-V.
    Riscv64,
    /// 64-bit LoongArch.
    Loongarch64,
    /// 64-bit Power, little-endian.
    Ppc64le,
    /// 64-bit IBM Z, big-endian.
    S390x,
}

impl Machine {
    /// Returns the name that `uname -m` prints; for 32-bit Arm, where it names the core, the name of the family.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::I686 => "i686",
            Self::Aarch64 => "aarch64",
            Self::Arm => "arm",
            Self::Riscv64 => "riscv64",
            Self::Loongarch64 => "loongarch64",
            Self::Ppc64le => "ppc64le",
            Self::S390x => "s390x",
        }
    }

    /// Returns the architecture, or `None` when genpack does not build for this machine.
    #[must_use]
    pub const fn arch(self) -> Option<Arch> {
        match self {
            Self::X86_64 => Some(Arch::X86_64),
            Self::I686 => Some(Arch::I686),
            Self::Aarch64 => Some(Arch::Aarch64),
            Self::Riscv64 => Some(Arch::Riscv64),
            Self::Arm | Self::Loongarch64 | Self::Ppc64le | Self::S390x => None,
        }
    }
}

impl core::fmt::Display for Machine {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machine_that_we_build_for_has_the_name_of_its_architecture() {
        use Machine::{Aarch64, Arm, I686, Loongarch64, Ppc64le, Riscv64, S390x, X86_64};
        for machine in [X86_64, I686, Aarch64, Arm, Riscv64, Loongarch64, Ppc64le, S390x] {
            assert_eq!(machine.arch(), Arch::from_name(machine.name()), "{machine}");
        }
    }
}
