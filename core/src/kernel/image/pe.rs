//! PE headers as far as an EFI application needs them: machine, subsystem, section table.
//!
//! Source: Microsoft PE/COFF specification, sections 3 and 4. Everything is read from the head of the file; a
//! section table that reaches beyond it ends there. Not handled: relocations, signatures, data directories.

use crate::bytes;
use crate::kernel::arch::Arch;
use crate::units::usize_from_u32;

/// Most sections that are looked at; the Windows loader's own limit.
pub const MAX_SECTIONS: u16 = 96;

const COFF_LEN: usize = 20;
const SECTION_LEN: usize = 40;
const SUBSYSTEM_EFI_APPLICATION: u16 = 10;

/// What the headers say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    machine: u16,
    subsystem: u16,
    sections: u16,
    section_table: usize,
}

/// One row of the section table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Section {
    name: [u8; 8],
    /// Size in memory, bytes; the content is this long, the rest of the raw data is padding.
    pub virtual_size: u32,
    /// Size in the file, bytes.
    pub raw_size: u32,
    /// Where the content begins in the file, bytes.
    pub raw_offset: u32,
}

impl Section {
    /// Returns the name without its padding, for example `.linux`.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        bytes::until_nul(&self.name)
    }
}

impl Header {
    /// Parses the headers at the head of a file; `None` when this is no PE file.
    #[must_use]
    pub fn parse(head: &[u8]) -> Option<Self> {
        const E_LFANEW: usize = 0x3C;
        if bytes::slice_at(head, 0, 2)? != b"MZ" {
            return None;
        }
        let pe = usize_from_u32(bytes::u32_le_at(head, E_LFANEW)?);
        if bytes::slice_at(head, pe, 4)? != b"PE\0\0" {
            return None;
        }
        let coff = bytes::slice_at(head, pe.checked_add(4)?, COFF_LEN)?;
        let optional = pe.checked_add(4)?.checked_add(COFF_LEN)?;
        let optional_len = usize::from(bytes::u16_le_at(coff, 16)?);
        // The subsystem stands at the same offset in PE32 and PE32+.
        let subsystem = bytes::u16_le_at(bytes::slice_at(head, optional, optional_len)?, 68)?;
        Some(Self {
            machine: bytes::u16_le_at(coff, 0)?,
            subsystem,
            sections: bytes::u16_le_at(coff, 2)?.min(MAX_SECTIONS),
            section_table: optional.checked_add(optional_len)?,
        })
    }

    /// Returns the architecture, or `None` when it is none of ours.
    #[must_use]
    pub const fn arch(&self) -> Option<Arch> {
        match self.machine {
            0x8664 => Some(Arch::X86_64),
            0x014C => Some(Arch::I686),
            0xAA64 => Some(Arch::Aarch64),
            0x5064 => Some(Arch::Riscv64),
            _ => None,
        }
    }

    /// Tells whether firmware can start the file.
    #[must_use]
    pub const fn is_efi_application(&self) -> bool {
        self.subsystem == SUBSYSTEM_EFI_APPLICATION
    }

    /// Returns the sections that lie in `head`, the bytes that were parsed.
    pub fn sections<'a>(&self, head: &'a [u8]) -> impl Iterator<Item = Section> + use<'a> {
        let table = head.get(self.section_table..).unwrap_or(&[]);
        table.as_chunks::<SECTION_LEN>().0.iter().take(usize::from(self.sections)).map(|row| Section {
            name: bytes::array::<0, 8, SECTION_LEN>(row),
            virtual_size: bytes::u32_le::<8, SECTION_LEN>(row),
            raw_size: bytes::u32_le::<16, SECTION_LEN>(row),
            raw_offset: bytes::u32_le::<20, SECTION_LEN>(row),
        })
    }
}
