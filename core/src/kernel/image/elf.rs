//! ELF headers as far as a kernel needs them: type, machine, and the absence of an interpreter.
//!
//! Source: System V gABI, chapters 4 and 5. Not handled: everything but the file header and the program header
//! types; big-endian files are recognized and have none of our architectures.

use crate::bytes;
use crate::kernel::arch::Arch;
use crate::units::usize_from_u64;

const ET_EXEC: u16 = 2;
const ET_DYN: u16 = 3;
const PT_INTERP: u32 = 3;
/// Most program headers that are looked at; a kernel has fewer than ten.
const MAX_PROGRAM_HEADERS: u16 = 64;

/// Returns the architecture of an ELF program that no dynamic loader starts; the outer `None` says it is none.
///
/// A shared library or a common program of the system is no kernel, so files that name an interpreter are not
/// meant; a static program still is.
pub(super) fn arch_of_program(head: &[u8]) -> Option<Option<Arch>> {
    let [0x7F, b'E', b'L', b'F', class, data, ..] = head else { return None };
    let is_64_bit = match class {
        1 => false,
        2 => true,
        _ => return None,
    };
    match data {
        1 => {}
        2 => return Some(None),
        _ => return None,
    }
    if !matches!(bytes::u16_le_at(head, 0x10)?, ET_EXEC | ET_DYN) || has_interpreter(head, is_64_bit)? {
        return None;
    }
    Some(match (bytes::u16_le_at(head, 0x12)?, is_64_bit) {
        (3, false) => Some(Arch::I686),
        (62, true) => Some(Arch::X86_64),
        (183, true) => Some(Arch::Aarch64),
        (243, true) => Some(Arch::Riscv64),
        _ => None,
    })
}

fn has_interpreter(head: &[u8], is_64_bit: bool) -> Option<bool> {
    let (offset, size_at, count_at) = if is_64_bit {
        (bytes::u64_le_at(head, 0x20)?, 0x36, 0x38)
    } else {
        (u64::from(bytes::u32_le_at(head, 0x1C)?), 0x2A, 0x2C)
    };
    let offset = usize_from_u64(offset)?;
    let size = usize::from(bytes::u16_le_at(head, size_at)?);
    let count = bytes::u16_le_at(head, count_at)?.min(MAX_PROGRAM_HEADERS);
    let types = (0..usize::from(count)).map_while(|i| {
        let at = i.checked_mul(size).and_then(|n| n.checked_add(offset))?;
        bytes::u32_le_at(head, at)
    });
    Some(types.into_iter().any(|t| t == PT_INTERP))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elf64(machine: u8, e_type: u8, p_type: u8) -> [u8; 0x78] {
        let mut head = [0; 0x78];
        head[..7].copy_from_slice(b"\x7FELF\x02\x01\x01");
        for (at, value) in
            [(0x10, e_type), (0x12, machine), (0x20, 0x40), (0x36, 56), (0x38, 1), (0x40, p_type)]
        {
            head[at] = value;
        }
        head
    }

    #[test]
    fn machine_and_class_make_the_architecture() {
        for (machine, expected) in [
            (62, Some(Arch::X86_64)),
            (183, Some(Arch::Aarch64)),
            (243, Some(Arch::Riscv64)),
            (3, None),
            (8, None),
        ] {
            assert_eq!(arch_of_program(&elf64(machine, 2, 1)), Some(expected), "{machine}");
        }
        let mut i686 = elf64(3, 2, 1);
        i686[4] = 1;
        assert_eq!(arch_of_program(&i686), Some(Some(Arch::I686)));
        let mut big_endian = elf64(62, 2, 1);
        big_endian[5] = 2;
        assert_eq!(arch_of_program(&big_endian), Some(None));
    }

    #[test]
    fn objects_and_dynamic_programs_are_no_kernels() {
        assert_eq!(arch_of_program(&elf64(62, 1, 1)), None);
        assert_eq!(arch_of_program(&elf64(62, 3, 3)), None);
        assert_eq!(arch_of_program(&elf64(62, 3, 1)), Some(Some(Arch::X86_64)));
        assert_eq!(arch_of_program(b"\x7FELF\x02\x01"), None);
    }
}
