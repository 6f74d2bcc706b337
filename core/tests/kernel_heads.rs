//! Headers of the kernels that Debian ships, one for each machine; `fixtures/kernel-heads.py` recorded them.

use genpack_core::kernel::image::{Codec, Format, HEAD_LEN, Payload, detect};
use genpack_core::kernel::machine::Machine;
use genpack_core::kernel::{elf, pe};

const RECORDED: &str = include_str!("fixtures/kernel-heads.tsv");

/// Returns the head of the kernel of this name; what was not recorded is zero.
fn head(name: &str) -> Vec<u8> {
    let row = RECORDED.lines().find_map(|row| row.strip_prefix(name)?.strip_prefix('\t')).expect("a row");
    let mut head = vec![0; HEAD_LEN];
    for pair in row.split('\t') {
        let (offset, bytes) = pair.split_once(':').expect("a pair");
        let offset = usize::from_str_radix(offset.trim_start_matches("0x"), 16).expect("an offset");
        for (i, digits) in bytes.as_bytes().chunks(2).enumerate() {
            let digits = std::str::from_utf8(digits).expect("ASCII");
            head[offset + i] = u8::from_str_radix(digits, 16).expect("hexadecimal");
        }
    }
    head
}

#[test]
fn kernel_of_every_port_is_known_with_its_machine() {
    for (name, format, machine) in [
        ("amd64", Format::BzImage, Machine::X86_64),
        ("i386", Format::BzImage, Machine::I686),
        ("arm64", Format::Arm64Image, Machine::Aarch64),
        ("armhf", Format::ArmZImage, Machine::Arm),
        ("riscv64", Format::RiscvImage, Machine::Riscv64),
        ("loong64", Format::EfiZboot, Machine::Loongarch64),
        ("ppc64el", Format::Elf, Machine::Ppc64le),
        ("s390x", Format::S390Image, Machine::S390x),
    ] {
        let found = detect(&head(name)).expect(name);
        assert_eq!((found.format, found.machine), (format, Some(machine)), "{name}");
        let packed =
            (name == "loong64").then_some(Payload { offset: 0x1_5CE0, len: 0x84_3EE8, codec: Codec::Zstd });
        assert_eq!(found.payload, packed, "{name}");
    }
}

#[test]
fn efi_stub_and_elf_header_name_the_same_machine() {
    for (name, machine) in [
        ("amd64", Machine::X86_64),
        ("i386", Machine::I686),
        ("arm64", Machine::Aarch64),
        ("armhf", Machine::Arm),
        ("riscv64", Machine::Riscv64),
        ("loong64", Machine::Loongarch64),
    ] {
        let header = pe::Header::parse(&head(name)).expect(name);
        assert!(header.is_efi_application(), "{name}");
        assert_eq!(header.machine(), Some(machine), "{name}");
    }
    let power = head("ppc64el");
    let header = elf::Header::parse(&power).unwrap();
    assert_eq!((header.machine(), header.entry), (Some(Machine::Ppc64le), 0xC000_0000_0000_0000));
    assert_eq!(header.program_headers(&power).count(), 2);
    assert!(header.is_free_standing(&power));
}
