//! Kernel image headers: which format a file has, for which architecture, and where a wrapped kernel lies.
//!
//! Sources: Documentation/arch/x86/boot.rst, Documentation/arch/arm64/booting.rst,
//! Documentation/arch/riscv/boot-image-header.rst and drivers/firmware/efi/libstub/zboot-header.S of Linux, the
//! PE/COFF specification, the ELF gABI, RFC 1952; arch/arm/boot/compressed/head.S of Linux for the zImage, and
//! arch/s390/boot/head.S for what an IBM mainframe loads first. Only headers are read: nothing is decompressed or
//! verified. Not handled: uImage and FIT, other compressed wrappers than gzip, and kernels of s390 with 31 bits, which
//! begin as those with 64 do and ended with Linux 4.0.

use crate::bytes;
use crate::kernel::arch::Arch;
use crate::kernel::machine::Machine;
use crate::kernel::{elf, pe};

/// Bytes of a file that hold every header this module looks at, section tables of an UKI included.
pub const HEAD_LEN: usize = 4096;

/// A kernel file format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// x86 with the Linux boot protocol header.
    BzImage,
    /// Flat arm64 `Image`.
    Arm64Image,
    /// Flat RISC-V `Image`.
    RiscvImage,
    /// Compressed 32-bit Arm `zImage`.
    ArmZImage,
    /// `bzImage` or `image` of IBM Z.
    S390Image,
    /// EFI application that decompresses the kernel inside it.
    EfiZboot,
    /// Unified kernel image: an EFI application with kernel, initramfs and command line as sections.
    Uki,
    /// Any other EFI application.
    Pe,
    /// `vmlinux`, or another ELF program without an interpreter.
    Elf,
    /// A gzip stream; what is inside shows only after decompression.
    Gzip,
}

impl Format {
    /// Returns the stable name, as `genpack-host probe` prints it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BzImage => "bzimage",
            Self::Arm64Image => "arm64-image",
            Self::RiscvImage => "riscv-image",
            Self::ArmZImage => "arm-zimage",
            Self::S390Image => "s390-image",
            Self::EfiZboot => "efi-zboot",
            Self::Uki => "uki",
            Self::Pe => "pe",
            Self::Elf => "elf",
            Self::Gzip => "gzip",
        }
    }
}

impl core::fmt::Display for Format {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.name())
    }
}

/// How a wrapped kernel is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// gzip.
    Gzip,
    /// LZ4, the legacy frame.
    Lz4,
    /// LZMA alone.
    Lzma,
    /// LZO.
    Lzo,
    /// xz.
    Xz,
    /// Zstandard.
    Zstd,
    /// A name that we do not know.
    Unknown,
}

/// A compressed kernel inside the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Payload {
    /// Where it begins, bytes from the start of the file.
    pub offset: u64,
    /// Its compressed size, bytes.
    pub len: u64,
    /// How it is compressed.
    pub codec: Codec,
}

/// What the head of a kernel file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KernelImage {
    /// The format.
    pub format: Format,
    /// The machine; `None` when it is hidden by a wrapper or has no name here.
    pub machine: Option<Machine>,
    /// The kernel inside, for [`Format::EfiZboot`].
    pub payload: Option<Payload>,
}

impl KernelImage {
    const fn new(format: Format, machine: Option<Machine>) -> Self {
        Self { format, machine, payload: None }
    }

    /// Returns the architecture; `None` when it is hidden by a wrapper or none that genpack builds for.
    #[must_use]
    pub fn arch(&self) -> Option<Arch> {
        self.machine.and_then(Machine::arch)
    }
}

/// Returns what the first bytes of a file say, or `None` when they are no kernel; give it [`HEAD_LEN`] bytes, or
/// the whole file when that is shorter.
#[must_use]
pub fn detect(head: &[u8]) -> Option<KernelImage> {
    // Why the order: a kernel with an EFI stub is a PE file too, and only its own header tells which kernel.
    bzimage(head)
        .or_else(|| arm64(head))
        .or_else(|| riscv(head))
        .or_else(|| arm(head))
        .or_else(|| s390(head))
        .or_else(|| zboot(head))
        .or_else(|| pe_image(head))
        .or_else(|| elf_program(head))
        .or_else(|| gzip(head))
}

/// x86: boot flag and `HdrS`; the 64-bit entry point decides between the two machines.
fn bzimage(head: &[u8]) -> Option<KernelImage> {
    const BOOT_FLAG: usize = 0x1FE;
    const HEADER: usize = 0x202;
    const VERSION: usize = 0x206;
    const XLOADFLAGS: usize = 0x236;
    const XLF_KERNEL_64: u16 = 1;
    /// Protocol 2.12 brought `xloadflags`.
    const PROTOCOL_XLOADFLAGS: u16 = 0x020C;
    if bytes::u16_le_at(head, BOOT_FLAG)? != 0xAA55 || bytes::slice_at(head, HEADER, 4)? != b"HdrS" {
        return None;
    }
    let is_64_bit = bytes::u16_le_at(head, VERSION)? >= PROTOCOL_XLOADFLAGS
        && bytes::u16_le_at(head, XLOADFLAGS)? & XLF_KERNEL_64 != 0;
    Some(KernelImage::new(Format::BzImage, Some(if is_64_bit { Machine::X86_64 } else { Machine::I686 })))
}

fn arm64(head: &[u8]) -> Option<KernelImage> {
    const MAGIC: usize = 0x38;
    const FLAGS: usize = 0x18;
    const BIG_ENDIAN: u8 = 1;
    if bytes::slice_at(head, MAGIC, 4)? != b"ARM\x64" {
        return None;
    }
    let big_endian = bytes::u8_le_at(head, FLAGS)? & BIG_ENDIAN != 0;
    Some(KernelImage::new(Format::Arm64Image, (!big_endian).then_some(Machine::Aarch64)))
}

fn riscv(head: &[u8]) -> Option<KernelImage> {
    const TEXT_OFFSET: usize = 0x08;
    const MAGIC: usize = 0x30;
    const MAGIC2: usize = 0x38;
    /// Where a 32-bit kernel wants to be loaded; a 64-bit one names 2 MiB, or 0 when it has no MMU.
    const TEXT_OFFSET_32_BIT: u64 = 0x40_0000;
    if bytes::slice_at(head, MAGIC, 5)? != b"RISCV" || bytes::slice_at(head, MAGIC2, 4)? != b"RSC\x05" {
        return None;
    }
    let is_32_bit = bytes::u64_le_at(head, TEXT_OFFSET)? == TEXT_OFFSET_32_BIT;
    Some(KernelImage::new(Format::RiscvImage, (!is_32_bit).then_some(Machine::Riscv64)))
}

fn arm(head: &[u8]) -> Option<KernelImage> {
    const MAGIC: usize = 0x24;
    const BYTE_ORDER: usize = 0x30;
    if bytes::u32_le_at(head, MAGIC)? != 0x016F_2818 {
        return None;
    }
    // A kernel of the other byte order runs on machines that have no name here.
    let is_little_endian = bytes::u32_le_at(head, BYTE_ORDER)? == 0x0403_0201;
    Some(KernelImage::new(Format::ArmZImage, is_little_endian.then_some(Machine::Arm)))
}

/// s390: two channel command words that read the rest of the kernel, and blanks in EBCDIC; file(1) goes by them, too.
fn s390(head: &[u8]) -> Option<KernelImage> {
    const COMMANDS: usize = 0x08;
    const READ: &[u8; 16] = b"\x02\0\0\x18\x60\0\0\x50\x02\0\0\x68\x60\0\0\x50";
    const BLANKS: &[u8; 8] = b"@@@@@@@@";
    let (read, blanks) = bytes::slice_at(head, COMMANDS, 24)?.split_first_chunk::<16>()?;
    (read == READ && blanks == BLANKS).then(|| KernelImage::new(Format::S390Image, Some(Machine::S390x)))
}

fn zboot(head: &[u8]) -> Option<KernelImage> {
    const ZIMG: usize = 0x04;
    const PAYLOAD_OFFSET: usize = 0x08;
    const PAYLOAD_SIZE: usize = 0x0C;
    const COMP_TYPE: usize = 0x18;
    const COMP_TYPE_LEN: usize = 0x20;
    const LINUX_PE_MAGIC: usize = 0x38;
    if bytes::slice_at(head, 0, 2)? != b"MZ"
        || bytes::slice_at(head, ZIMG, 4)? != b"zimg"
        || bytes::u32_le_at(head, LINUX_PE_MAGIC)? != 0x8182_23CD
    {
        return None;
    }
    // Why prefixes: the header carries the name of the make rule, "zstd22" and "xzkern" among them.
    let name = bytes::until_nul(bytes::slice_at(head, COMP_TYPE, COMP_TYPE_LEN)?);
    let known: [(&[u8], Codec); 6] = [
        (b"gzip", Codec::Gzip),
        (b"lz4", Codec::Lz4),
        (b"lzma", Codec::Lzma),
        (b"lzo", Codec::Lzo),
        (b"xz", Codec::Xz),
        (b"zstd", Codec::Zstd),
    ];
    let codec = known.into_iter().find(|(k, _)| name.starts_with(k)).map_or(Codec::Unknown, |(_, c)| c);
    let payload = Payload {
        offset: u64::from(bytes::u32_le_at(head, PAYLOAD_OFFSET)?),
        len: u64::from(bytes::u32_le_at(head, PAYLOAD_SIZE)?),
        codec,
    };
    let machine = pe::Header::parse(head).ok().and_then(|h| h.machine());
    Some(KernelImage { format: Format::EfiZboot, machine, payload: Some(payload) })
}

fn pe_image(head: &[u8]) -> Option<KernelImage> {
    let header = pe::Header::parse(head).ok()?;
    if !header.is_efi_application() {
        return None;
    }
    let is_uki = header.unified_kernel_image(head).is_some();
    Some(KernelImage::new(if is_uki { Format::Uki } else { Format::Pe }, header.machine()))
}

fn elf_program(head: &[u8]) -> Option<KernelImage> {
    let header = elf::Header::parse(head).ok()?;
    header.is_free_standing(head).then(|| KernelImage::new(Format::Elf, header.machine()))
}

/// Magic and the only method there is: two bytes alone would find gzip in too many files.
fn gzip(head: &[u8]) -> Option<KernelImage> {
    head.starts_with(&[0x1F, 0x8B, 8]).then_some(KernelImage::new(Format::Gzip, None))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::vec;
    use std::vec::Vec;

    fn patched(len: usize, patches: &[(usize, &[u8])]) -> Vec<u8> {
        let mut head = vec![0; len];
        for (at, bytes) in patches {
            head[*at..at + bytes.len()].copy_from_slice(bytes);
        }
        head
    }

    fn found(head: &[u8]) -> Option<(&'static str, Option<Machine>)> {
        detect(head).map(|k| (k.format.name(), k.machine))
    }

    /// PE header at 0x40 of an EFI application with one section.
    fn pe(machine: u16, section: &[u8]) -> Vec<u8> {
        let machine = machine.to_le_bytes();
        patched(
            512,
            &[
                (0, b"MZ"),
                (0x3C, &[0x40]),
                (0x40, b"PE\0\0"),
                (0x44, &machine),
                (0x46, &[1]),
                (0x54, &[112]),
                (0x58, &[0x0B, 0x02]),
                (0x58 + 68, &[10]),
                (0x58 + 112, section),
            ],
        )
    }

    #[test]
    fn bzimage_needs_the_64_bit_entry_to_be_x86_64() {
        let magic: [(usize, &[u8]); 3] = [(0, b"MZ"), (0x1FE, &[0x55, 0xAA]), (0x202, b"HdrS")];
        let with = |version: &[u8], flags: &[u8]| {
            let mut patches = magic.to_vec();
            patches.extend([(0x206, version), (0x236, flags)]);
            patched(0x238, &patches)
        };
        assert_eq!(found(&with(&[0x0F, 2], &[0x7F, 0])), Some(("bzimage", Some(Machine::X86_64))));
        assert_eq!(found(&with(&[0x0F, 2], &[0x02, 0])), Some(("bzimage", Some(Machine::I686))));
        assert_eq!(found(&with(&[0x0B, 2], &[0x7F, 0])), Some(("bzimage", Some(Machine::I686))));
        assert_eq!(found(&with(&[0x0F, 2], &[1, 0])[..0x237]), None);
    }

    #[test]
    fn flat_images_are_told_by_their_magic() {
        for (head, expected) in [
            (patched(64, &[(0, b"MZ"), (0x38, b"ARM\x64")]), Some(("arm64-image", Some(Machine::Aarch64)))),
            (patched(64, &[(0x18, &[1]), (0x38, b"ARM\x64")]), Some(("arm64-image", None))),
            (
                patched(64, &[(8, &[0, 0, 0x20]), (0x30, b"RISCV"), (0x38, b"RSC\x05")]),
                Some(("riscv-image", Some(Machine::Riscv64))),
            ),
            (
                patched(64, &[(8, &[0, 0, 0x40]), (0x30, b"RISCV"), (0x38, b"RSC\x05")]),
                Some(("riscv-image", None)),
            ),
            (patched(64, &[(0x30, b"RISCV")]), None),
            (
                patched(64, &[(0x24, &[0x18, 0x28, 0x6F, 1]), (0x30, &[1, 2, 3, 4])]),
                Some(("arm-zimage", Some(Machine::Arm))),
            ),
            (patched(64, &[(0x24, &[0x18, 0x28, 0x6F, 1])]), Some(("arm-zimage", None))),
            (
                patched(64, &[(8, b"\x02\0\0\x18\x60\0\0\x50\x02\0\0\x68\x60\0\0\x50@@@@@@@@")]),
                Some(("s390-image", Some(Machine::S390x))),
            ),
            (patched(64, &[(8, b"\x02\0\0\x18\x60\0\0\x50\x02\0\0\x68\x60\0\0\x50@@@@@@@ ")]), None),
            (vec![0x1F, 0x8B, 8, 0], Some(("gzip", None))),
            (vec![0x1F, 0x8B], None),
            (vec![], None),
        ] {
            assert_eq!(found(&head), expected);
        }
    }

    #[test]
    fn zboot_knows_its_payload_and_its_machine() {
        for (name, codec) in [
            (&b"gzip"[..], Codec::Gzip),
            (b"lz4", Codec::Lz4),
            (b"lzma", Codec::Lzma),
            (b"lzo", Codec::Lzo),
            (b"xzkern", Codec::Xz),
            (b"zstd22", Codec::Zstd),
            (b"bzip2", Codec::Unknown),
        ] {
            let mut head = pe(0xAA64, b".text\0\0\0");
            for (at, bytes) in [
                (4, &b"zimg"[..]),
                (8, &[0, 2, 0, 0]),
                (12, &[0, 0, 1, 0]),
                (0x18, name),
                (0x38, &[0xCD, 0x23, 0x82, 0x81]),
            ] {
                head[at..at + bytes.len()].copy_from_slice(bytes);
            }
            let found = detect(&head).unwrap();
            assert_eq!(found.arch(), Some(Arch::Aarch64));
            assert_eq!(
                found,
                KernelImage {
                    format: Format::EfiZboot,
                    machine: Some(Machine::Aarch64),
                    payload: Some(Payload { offset: 512, len: 65_536, codec }),
                }
            );
        }
    }

    #[test]
    fn efi_application_with_a_linux_section_is_a_uki() {
        assert_eq!(found(&pe(0x8664, b".linux\0\0")), Some(("uki", Some(Machine::X86_64))));
        assert_eq!(found(&pe(0x8664, b".linuxes")), Some(("pe", Some(Machine::X86_64))));
        assert_eq!(found(&pe(0x014C, b".text\0\0\0")), Some(("pe", Some(Machine::I686))));
        assert_eq!(found(&pe(0x5064, b".text\0\0\0")), Some(("pe", Some(Machine::Riscv64))));
        assert_eq!(found(&pe(0x6264, b".text\0\0\0")), Some(("pe", Some(Machine::Loongarch64))));
        assert_eq!(found(&pe(0x01C2, b".text\0\0\0")), Some(("pe", Some(Machine::Arm))));
        assert_eq!(found(&pe(0x0200, b".text\0\0\0")), Some(("pe", None)));
        let mut windows_program = pe(0x8664, b".linux\0\0");
        windows_program[0x58 + 68] = 3;
        assert_eq!(found(&windows_program), None);
    }
}
