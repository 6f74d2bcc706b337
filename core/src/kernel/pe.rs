//! PE and PE+: headers and section table as far as an EFI application and a unified kernel image need them.
//!
//! Sources: Microsoft PE/COFF specification, sections 3 and 4; the UAPI group's "Unified Kernel Image" for the names
//! of sections. Everything is read from the head of the file; a section table that reaches beyond it ends there.
//! Not handled: relocations, signatures, data directories, names longer than eight bytes.

use crate::bytes;
use crate::kernel::machine::Machine;
use crate::units::usize_from_u32;

/// Most sections that are looked at; the Windows loader's own limit.
pub const MAX_SECTIONS: u16 = 96;

const COFF_LEN: usize = 20;
const SECTION_LEN: usize = 40;
const E_LFANEW: usize = 0x3C;
/// Offsets behind the signature's first byte, for errors.
const SECTIONS_FIELD: u32 = 6;
const OPTIONAL_LEN_FIELD: u32 = 20;
const OPTIONAL_HEADER: u32 = 24;
const MAGIC_PE32: u16 = 0x010B;
const MAGIC_PE32_PLUS: u16 = 0x020B;
/// Optional header up to and with the subsystem, bytes; it stands at the same offset in both forms.
const LEAST_OPTIONAL_LEN: u16 = 70;
const SUBSYSTEM: usize = 68;
const SUBSYSTEM_EFI_APPLICATION: u16 = 10;

/// Why a file is not a legal PE file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The file, or the head of it that was given, ends after this many bytes, inside the headers.
    Truncated(usize),
    /// The first two bytes are others than `MZ`.
    DosMagic([u8; 2]),
    /// At the offset that the DOS header names stands something else than `PE` and two zeros.
    Signature(u32, [u8; 4]),
    /// At this offset the optional header is told to have fewer bytes than a subsystem needs.
    OptionalHeaderLen(u32, u16),
    /// At this offset the optional header begins with a number that is neither that of PE32 nor that of PE32+.
    OptionalHeaderMagic(u32, u16),
    /// At this offset stand more than [`MAX_SECTIONS`] sections.
    Sections(u32, u16),
}

impl Error {
    /// Returns the class of the cause.
    #[must_use]
    pub const fn class(self) -> crate::error::Class {
        use crate::error::Class;
        match self {
            Self::Truncated(_) => Class::Truncated,
            Self::DosMagic(_) | Self::Signature(..) => Class::BadMagic,
            Self::OptionalHeaderLen(..) => Class::Corrupt,
            Self::OptionalHeaderMagic(..) => Class::Unsupported,
            Self::Sections(..) => Class::Limit,
        }
    }
}

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Truncated(len) => write!(f, "PE headers end after {len} bytes"),
            Self::DosMagic(found) => write!(f, "file begins with {found:02x?}, not with MZ"),
            Self::Signature(offset, found) => {
                write!(f, "no PE signature at offset {offset:#x} but {found:02x?}")
            }
            Self::OptionalHeaderLen(at, found) => {
                write!(f, "optional PE header of {found} bytes at offset {at:#x}")
            }
            Self::OptionalHeaderMagic(at, found) => {
                write!(f, "optional PE header of the kind {found:#06x} at offset {at:#x}")
            }
            Self::Sections(at, found) => {
                write!(f, "{found} PE sections at offset {at:#x}, more than {MAX_SECTIONS}")
            }
        }
    }
}

impl core::error::Error for Error {}

/// What the headers say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// The machine as a number.
    pub machine_type: u16,
    /// PE32+, which has 64-bit addresses.
    pub is_plus: bool,
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

    /// Returns the size of the content in the file, bytes: without the padding, and without zeros that are not stored.
    #[must_use]
    pub fn content_bytes(&self) -> u32 {
        // Why: some linkers leave the size in memory at 0; loaders and objdump then take the padded one.
        if self.virtual_size == 0 { self.raw_size } else { self.virtual_size.min(self.raw_size) }
    }
}

/// The sections of a unified kernel image that a boot needs; of two with one name the first counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UnifiedKernelImage {
    /// The kernel, without which it is none.
    pub linux: Section,
    /// The initramfs.
    pub initrd: Option<Section>,
    /// The kernel command line.
    pub cmdline: Option<Section>,
    /// The kernel version, as `uname -r` prints it.
    pub uname: Option<Section>,
    /// The content of os-release.
    pub osrel: Option<Section>,
}

impl Header {
    /// Parses the headers at the head of a file.
    ///
    /// # Errors
    /// When this is no PE file, or its headers are not legal or not in `head`.
    pub fn parse(head: &[u8]) -> Result<Self, Error> {
        let short = Error::Truncated(head.len());
        let magic = head.first_chunk::<2>().ok_or(short)?;
        if magic != b"MZ" {
            return Err(Error::DosMagic(*magic));
        }
        let pe_offset = bytes::u32_le_at(head, E_LFANEW).ok_or(short)?;
        let rest = head.get(usize_from_u32(pe_offset)..).ok_or(short)?;
        let (signature, rest) = rest.split_first_chunk::<4>().ok_or(short)?;
        if signature != b"PE\0\0" {
            return Err(Error::Signature(pe_offset, *signature));
        }
        let at = |field: u32| pe_offset.saturating_add(field);
        let (coff, rest) = rest.split_first_chunk::<COFF_LEN>().ok_or(short)?;
        let optional_len = bytes::u16_le::<16, COFF_LEN>(coff);
        let sections = bytes::u16_le::<2, COFF_LEN>(coff);
        if optional_len < LEAST_OPTIONAL_LEN {
            return Err(Error::OptionalHeaderLen(at(OPTIONAL_LEN_FIELD), optional_len));
        }
        if sections > MAX_SECTIONS {
            return Err(Error::Sections(at(SECTIONS_FIELD), sections));
        }
        let (optional, table) = rest.split_at_checked(usize::from(optional_len)).ok_or(short)?;
        let is_plus = match bytes::u16_le_at(optional, 0).ok_or(short)? {
            MAGIC_PE32 => false,
            MAGIC_PE32_PLUS => true,
            other => return Err(Error::OptionalHeaderMagic(at(OPTIONAL_HEADER), other)),
        };
        Ok(Self {
            machine_type: bytes::u16_le::<0, COFF_LEN>(coff),
            is_plus,
            subsystem: bytes::u16_le_at(optional, SUBSYSTEM).ok_or(short)?,
            sections,
            section_table: head.len().saturating_sub(table.len()),
        })
    }

    /// Returns the machine, or `None` when it is none of those with a name here.
    #[must_use]
    pub const fn machine(&self) -> Option<Machine> {
        match self.machine_type {
            0x8664 => Some(Machine::X86_64),
            0x014C => Some(Machine::I686),
            0xAA64 => Some(Machine::Aarch64),
            // ARM, Thumb (what UEFI demands), and Windows' mixture of both.
            0x01C0 | 0x01C2 | 0x01C4 => Some(Machine::Arm),
            0x5064 => Some(Machine::Riscv64),
            0x6264 => Some(Machine::Loongarch64),
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

    /// Returns the sections of a unified kernel image, or `None` when this is none; `head` are the bytes that were
    /// parsed.
    #[must_use]
    pub fn unified_kernel_image(&self, head: &[u8]) -> Option<UnifiedKernelImage> {
        let named = |name: &[u8]| self.sections(head).find(|s| s.name() == name);
        let linux = named(b".linux").filter(|_| self.is_efi_application())?;
        Some(UnifiedKernelImage {
            linux,
            initrd: named(b".initrd"),
            cmdline: named(b".cmdline"),
            uname: named(b".uname"),
            osrel: named(b".osrel"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;
    use std::vec::Vec;

    /// Headers at 0x40 with these sections, each 100 bytes in memory and 512 in the file.
    fn pe(magic: u16, sections: &[&[u8]]) -> Vec<u8> {
        let mut head = vec![0; 0x200];
        head[..2].copy_from_slice(b"MZ");
        head[0x3C] = 0x40;
        head[0x40..0x44].copy_from_slice(b"PE\0\0");
        head[0x44..0x46].copy_from_slice(&[0x64, 0x86]);
        head[0x46] = sections.len() as u8;
        head[0x54] = 112;
        head[0x58..0x5A].copy_from_slice(&magic.to_le_bytes());
        head[0x58 + SUBSYSTEM] = 10;
        for (i, name) in sections.iter().enumerate() {
            let row = &mut head[0xC8 + i * SECTION_LEN..][..SECTION_LEN];
            row[..name.len()].copy_from_slice(name);
            row[8] = 100;
            row[17] = 2;
            row[22] = i as u8 + 1;
        }
        head
    }

    #[test]
    fn both_forms_are_parsed() {
        for (magic, is_plus) in [(MAGIC_PE32, false), (MAGIC_PE32_PLUS, true)] {
            let header = Header::parse(&pe(magic, &[])).unwrap();
            assert_eq!((header.is_plus, header.machine()), (is_plus, Some(Machine::X86_64)));
            assert!(header.is_efi_application());
        }
    }

    #[test]
    fn content_ends_where_memory_or_file_ends() {
        let section =
            |virtual_size, raw_size| Section { name: [0; 8], virtual_size, raw_size, raw_offset: 0 };
        for (virtual_size, raw_size, expected) in [(100, 512, 100), (1000, 512, 512), (0, 512, 512)] {
            assert_eq!(section(virtual_size, raw_size).content_bytes(), expected);
        }
    }

    #[test]
    fn unified_kernel_image_has_its_sections() {
        let head = pe(MAGIC_PE32_PLUS, &[b".text", b".linux", b".initrd", b".cmdline", b".uname", b".linux"]);
        let header = Header::parse(&head).unwrap();
        let uki = header.unified_kernel_image(&head).unwrap();
        let place = |s: Option<Section>| s.map(|s| (s.raw_offset, s.content_bytes()));
        assert_eq!(place(Some(uki.linux)), Some((0x2_0000, 100)));
        assert_eq!(place(uki.initrd), Some((0x3_0000, 100)));
        assert_eq!(place(uki.cmdline), Some((0x4_0000, 100)));
        assert_eq!(place(uki.uname), Some((0x5_0000, 100)));
        assert_eq!(uki.osrel, None);
        let short = &head[..0xC8 + SECTION_LEN];
        assert_eq!(header.unified_kernel_image(short), None, "a table beyond the head");
    }

    #[test]
    fn broken_headers_are_rejected_by_cause() {
        use crate::error::Class;
        let head = pe(MAGIC_PE32_PLUS, &[b".text"]);
        let with = |at: usize, value: u8| {
            let mut head = head.clone();
            head[at] = value;
            Header::parse(&head).unwrap_err()
        };
        let short = |len: usize| Header::parse(&head[..len]).unwrap_err();
        for (error, expected, class) in [
            (with(0, 0), Error::DosMagic([0, b'Z']), Class::BadMagic),
            (with(0x40, 0), Error::Signature(0x40, [0, b'E', 0, 0]), Class::BadMagic),
            (with(0x3F, 1), Error::Truncated(0x200), Class::Truncated),
            (with(0x46, 97), Error::Sections(0x46, 97), Class::Limit),
            (with(0x54, 69), Error::OptionalHeaderLen(0x54, 69), Class::Corrupt),
            (with(0x58, 7), Error::OptionalHeaderMagic(0x58, 0x0207), Class::Unsupported),
            (short(1), Error::Truncated(1), Class::Truncated),
            (short(0x43), Error::Truncated(0x43), Class::Truncated),
            (short(0x57), Error::Truncated(0x57), Class::Truncated),
            (short(0xC7), Error::Truncated(0xC7), Class::Truncated),
        ] {
            assert_eq!((error, error.class()), (expected, class));
        }
    }
}
