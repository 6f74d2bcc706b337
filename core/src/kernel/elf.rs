//! ELF: the file header and the program headers, of 32 and 64 bits and of both byte orders.
//!
//! Source: System V gABI, chapters 4 and 5. Everything is read from the head of the file; program headers beyond it
//! are passed over. Not handled: section headers, notes, more than 65 534 program headers, relocation.

use crate::bytes;
use crate::kernel::machine::Machine;
use crate::units::usize_from_u64;

/// Most program headers that are looked at; a kernel has fewer than ten, a core dump may have thousands.
pub const MAX_PROGRAM_HEADERS: u16 = 64;

const MAGIC: [u8; 4] = *b"\x7FELF";
const HEADER_LEN_32: usize = 52;
const HEADER_LEN_64: usize = 64;
const PROGRAM_HEADER_LEN_32: u16 = 32;
const PROGRAM_HEADER_LEN_64: u16 = 56;
const VERSION: u8 = 1;

/// Type of a program at a fixed address.
pub const ET_EXEC: u16 = 2;
/// Type of a shared library, or of a program for any address.
pub const ET_DYN: u16 = 3;
/// Type of the program header that names the dynamic loader.
pub const PT_INTERP: u32 = 3;

/// Why a file is not a legal ELF file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// The file ends after this many bytes, inside the file header.
    Truncated(usize),
    /// The first four bytes are others than `7F 45 4C 46`.
    Magic([u8; 4]),
    /// The class at offset 4 is neither 1 (32 bits) nor 2 (64 bits).
    Class(u8),
    /// The byte order at offset 5 is neither 1 (little-endian) nor 2 (big-endian).
    ByteOrder(u8),
    /// The version at offset 6 is not 1.
    Version(u8),
    /// There are program headers, and at this offset they are told to be shorter than the class demands.
    ProgramHeaderLen(usize, u16),
}

impl Error {
    /// Returns the class of the cause.
    #[must_use]
    pub const fn class(self) -> crate::error::Class {
        use crate::error::Class;
        match self {
            Self::Truncated(_) => Class::Truncated,
            Self::Magic(_) => Class::BadMagic,
            Self::Version(_) => Class::Unsupported,
            Self::Class(_) | Self::ByteOrder(_) | Self::ProgramHeaderLen(..) => Class::Corrupt,
        }
    }
}

impl core::fmt::Display for Error {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Truncated(len) => write!(f, "ELF header ends after {len} bytes"),
            Self::Magic(found) => write!(f, "file begins with {found:02x?}, not as ELF"),
            Self::Class(found) => write!(f, "ELF class at offset 4 is {found}, neither 1 nor 2"),
            Self::ByteOrder(found) => write!(f, "ELF byte order at offset 5 is {found}, neither 1 nor 2"),
            Self::Version(found) => write!(f, "ELF version at offset 6 is {found}, not 1"),
            Self::ProgramHeaderLen(at, found) => {
                write!(f, "ELF program headers at offset {at} are of {found} bytes")
            }
        }
    }
}

impl core::error::Error for Error {}

/// The file header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Class 2: addresses have 64 bits.
    pub is_64_bit: bool,
    /// Byte order 2.
    pub is_big_endian: bool,
    /// What the file is for, for example [`ET_EXEC`].
    pub e_type: u16,
    /// The machine as a number.
    pub e_machine: u16,
    /// Address where the program begins.
    pub entry: u64,
    program_headers: u64,
    program_header_len: u16,
    program_header_count: u16,
}

/// A program header: a segment of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProgramHeader {
    /// What it is for, for example [`PT_INTERP`].
    pub p_type: u32,
    /// Where the segment begins in the file, bytes.
    pub offset: u64,
    /// Its size in the file, bytes.
    pub file_bytes: u64,
}

impl Header {
    /// Parses the header at the head of a file.
    ///
    /// # Errors
    /// When this is no ELF file or its header is not legal.
    pub fn parse(head: &[u8]) -> Result<Self, Error> {
        let short = Error::Truncated(head.len());
        let [magic @ .., class, byte_order, version] = *head.first_chunk::<7>().ok_or(short)?;
        if magic != MAGIC {
            return Err(Error::Magic(magic));
        }
        let (is_64_bit, header_len) = match class {
            1 => (false, HEADER_LEN_32),
            2 => (true, HEADER_LEN_64),
            _ => return Err(Error::Class(class)),
        };
        let is_big_endian = match byte_order {
            1 => false,
            2 => true,
            _ => return Err(Error::ByteOrder(byte_order)),
        };
        if version != VERSION {
            return Err(Error::Version(version));
        }
        let fields = Fields { bytes: head.get(..header_len).ok_or(short)?, is_64_bit, is_big_endian };
        let header = |offsets: [usize; 4]| {
            let [entry, table, len, count] = offsets;
            Some(Self {
                is_64_bit,
                is_big_endian,
                e_type: fields.u16_at(0x10)?,
                e_machine: fields.u16_at(0x12)?,
                entry: fields.word_at(entry)?,
                program_headers: fields.word_at(table)?,
                program_header_len: fields.u16_at(len)?,
                program_header_count: fields.u16_at(count)?,
            })
        };
        let offsets = if is_64_bit { [0x18, 0x20, 0x36, 0x38] } else { [0x18, 0x1C, 0x2A, 0x2C] };
        let header = header(offsets).ok_or(short)?;
        let least = if is_64_bit { PROGRAM_HEADER_LEN_64 } else { PROGRAM_HEADER_LEN_32 };
        if header.program_header_count != 0 && header.program_header_len < least {
            let [_, _, at, _] = offsets;
            return Err(Error::ProgramHeaderLen(at, header.program_header_len));
        }
        Ok(header)
    }

    /// Returns the machine, or `None` when it is none of those with a name here.
    #[must_use]
    pub const fn machine(&self) -> Option<Machine> {
        match (self.e_machine, self.is_64_bit, self.is_big_endian) {
            (3, false, false) => Some(Machine::I686),
            (62, true, false) => Some(Machine::X86_64),
            (40, false, false) => Some(Machine::Arm),
            (183, true, false) => Some(Machine::Aarch64),
            (243, true, false) => Some(Machine::Riscv64),
            (258, true, false) => Some(Machine::Loongarch64),
            (21, true, false) => Some(Machine::Ppc64le),
            (22, true, true) => Some(Machine::S390x),
            _ => None,
        }
    }

    /// Returns the program headers that lie in `head`, the bytes that were parsed.
    pub fn program_headers<'a>(&self, head: &'a [u8]) -> impl Iterator<Item = ProgramHeader> + use<'a> {
        let header = *self;
        // The gABI gives a file without a table the offset 0, whatever the count says.
        let has_table = header.program_headers != 0;
        let count = if has_table { header.program_header_count.min(MAX_PROGRAM_HEADERS) } else { 0 };
        (0..u64::from(count)).map_while(move |i| {
            let at =
                i.checked_mul(u64::from(header.program_header_len))?.checked_add(header.program_headers)?;
            let len = if header.is_64_bit { PROGRAM_HEADER_LEN_64 } else { PROGRAM_HEADER_LEN_32 };
            let bytes = bytes::slice_at(head, usize_from_u64(at)?, usize::from(len))?;
            let fields = Fields { bytes, is_64_bit: header.is_64_bit, is_big_endian: header.is_big_endian };
            let (offset, size) = if header.is_64_bit { (0x08, 0x20) } else { (0x04, 0x10) };
            Some(ProgramHeader {
                p_type: fields.u32_at(0)?,
                offset: fields.word_at(offset)?,
                file_bytes: fields.word_at(size)?,
            })
        })
    }

    /// Tells whether this is a program that no dynamic loader starts, as every kernel is.
    ///
    /// A shared library or a common program of the system is no kernel, so files that name an interpreter are not
    /// meant; a static program still is.
    #[must_use]
    pub fn is_free_standing(&self, head: &[u8]) -> bool {
        matches!(self.e_type, ET_EXEC | ET_DYN) && !self.program_headers(head).any(|p| p.p_type == PT_INTERP)
    }
}

/// Bytes in the class and the byte order of the file.
#[derive(Clone, Copy)]
struct Fields<'a> {
    bytes: &'a [u8],
    is_64_bit: bool,
    is_big_endian: bool,
}

impl Fields<'_> {
    fn u16_at(&self, offset: usize) -> Option<u16> {
        if self.is_big_endian {
            bytes::u16_be_at(self.bytes, offset)
        } else {
            bytes::u16_le_at(self.bytes, offset)
        }
    }

    fn u32_at(&self, offset: usize) -> Option<u32> {
        if self.is_big_endian {
            bytes::u32_be_at(self.bytes, offset)
        } else {
            bytes::u32_le_at(self.bytes, offset)
        }
    }

    /// Returns an address or a size, which has the width of the class.
    fn word_at(&self, offset: usize) -> Option<u64> {
        match (self.is_64_bit, self.is_big_endian) {
            (false, _) => self.u32_at(offset).map(u64::from),
            (true, false) => bytes::u64_le_at(self.bytes, offset),
            (true, true) => bytes::u64_be_at(self.bytes, offset),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;
    use std::vec::Vec;

    /// A file with one program header behind the file header.
    fn elf(is_64_bit: bool, is_big_endian: bool, machine: u16, e_type: u16, p_type: u32) -> Vec<u8> {
        let (len, table, size_at, count_at, size) =
            if is_64_bit { (64, 0x20, 0x36, 0x38, 56_u16) } else { (52, 0x1C, 0x2A, 0x2C, 32) };
        let mut head = vec![0; len + usize::from(size)];
        head[..7].copy_from_slice(&[
            0x7F,
            b'E',
            b'L',
            b'F',
            1 + u8::from(is_64_bit),
            1 + u8::from(is_big_endian),
            1,
        ]);
        let mut put = |at: usize, value: u64, width: usize| {
            let bytes = value.to_be_bytes();
            let field = &mut head[at..at + width];
            field.copy_from_slice(&bytes[8 - width..]);
            if !is_big_endian {
                field.reverse();
            }
        };
        let word = if is_64_bit { 8 } else { 4 };
        put(0x10, e_type.into(), 2);
        put(0x12, machine.into(), 2);
        put(0x18, 0x10_0000, word);
        put(table, len as u64, word);
        put(size_at, size.into(), 2);
        put(count_at, 1, 2);
        put(len, p_type.into(), 4);
        put(len + if is_64_bit { 8 } else { 4 }, 0x1234, word);
        put(len + if is_64_bit { 0x20 } else { 0x10 }, 0x5678, word);
        head
    }

    #[test]
    fn machine_class_and_byte_order_make_the_machine() {
        for (is_64_bit, is_big_endian, e_machine, expected) in [
            (true, false, 62, Some(Machine::X86_64)),
            (false, false, 3, Some(Machine::I686)),
            (true, false, 183, Some(Machine::Aarch64)),
            (false, false, 40, Some(Machine::Arm)),
            (true, false, 243, Some(Machine::Riscv64)),
            (true, false, 258, Some(Machine::Loongarch64)),
            (true, false, 21, Some(Machine::Ppc64le)),
            (true, true, 22, Some(Machine::S390x)),
            // x32, 32-bit RISC-V, big-endian Arm and Power, MIPS.
            (false, false, 62, None),
            (false, false, 243, None),
            (true, true, 183, None),
            (true, true, 21, None),
            (true, false, 8, None),
        ] {
            let head = elf(is_64_bit, is_big_endian, e_machine, ET_EXEC, 1);
            let header = Header::parse(&head).unwrap();
            assert_eq!(header.machine(), expected, "{e_machine}");
            assert_eq!((header.entry, header.e_type), (0x10_0000, ET_EXEC));
            let expected = ProgramHeader { p_type: 1, offset: 0x1234, file_bytes: 0x5678 };
            assert_eq!(header.program_headers(&head).collect::<Vec<_>>(), [expected]);
            assert!(header.is_free_standing(&head));
        }
    }

    #[test]
    fn objects_and_dynamic_programs_are_not_free_standing() {
        for (e_type, p_type, expected) in
            [(1, 1, false), (ET_DYN, PT_INTERP, false), (ET_DYN, 1, true), (4, 1, false)]
        {
            let head = elf(true, true, 22, e_type, p_type);
            assert_eq!(Header::parse(&head).unwrap().is_free_standing(&head), expected);
        }
    }

    #[test]
    fn table_at_offset_zero_is_no_table() {
        let mut head = elf(true, false, 62, ET_EXEC, PT_INTERP);
        head[0x20..0x28].fill(0);
        let header = Header::parse(&head).unwrap();
        assert_eq!(header.program_headers(&head).count(), 0);
    }

    #[test]
    fn broken_headers_are_rejected_by_cause() {
        use crate::error::Class;
        let head = elf(true, false, 62, ET_EXEC, 1);
        let with = |at: usize, value: u8| {
            let mut head = head.clone();
            head[at] = value;
            Header::parse(&head).unwrap_err()
        };
        for (error, expected, class) in [
            (with(0, 0), Error::Magic([0, b'E', b'L', b'F']), Class::BadMagic),
            (with(4, 3), Error::Class(3), Class::Corrupt),
            (with(5, 0), Error::ByteOrder(0), Class::Corrupt),
            (with(6, 2), Error::Version(2), Class::Unsupported),
            (with(0x36, 55), Error::ProgramHeaderLen(0x36, 55), Class::Corrupt),
            (Header::parse(&head[..6]).unwrap_err(), Error::Truncated(6), Class::Truncated),
            (Header::parse(&head[..63]).unwrap_err(), Error::Truncated(63), Class::Truncated),
        ] {
            assert_eq!((error, error.class()), (expected, class));
        }
        let header = Header::parse(&head).unwrap();
        assert_eq!(header.program_headers(&head[..119]).count(), 0, "a table beyond the head");
    }
}
