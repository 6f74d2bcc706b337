//! ELF and PE headers against the crate `object`.

use genpack_core::kernel::{elf, pe};
use object::endian::Endianness;
use object::read::elf::{FileHeader, ProgramHeader};
use object::read::pe::ImageNtHeaders;
use object::{LittleEndian, pe as coff};

/// Arbitrary bytes as ELF and as PE: `object` finds the segments and sections that we find.
pub fn kernel_peer(input: &[u8]) {
    if let Ok(header) = elf::Header::parse(input) {
        if header.is_64_bit {
            elf_peer::<object::elf::FileHeader64<Endianness>>(&header, input);
        } else {
            elf_peer::<object::elf::FileHeader32<Endianness>>(&header, input);
        }
    }
    match pe::Header::parse(input) {
        Ok(header) if header.is_plus => pe_peer::<coff::ImageNtHeaders64>(&header, input),
        Ok(header) => pe_peer::<coff::ImageNtHeaders32>(&header, input),
        Err(_) => {}
    }
}

fn elf_peer<H: FileHeader<Endian = Endianness>>(header: &elf::Header, input: &[u8]) {
    // Why: it reads structures in place and wants them aligned, and refuses versions that change nothing for us.
    let (Ok(theirs), Ok(endian)) = (H::parse(input), H::parse(input).and_then(FileHeader::endian)) else {
        return;
    };
    assert_eq!(endian == Endianness::Big, header.is_big_endian);
    assert_eq!((theirs.e_type(endian), theirs.e_machine(endian)), (header.e_type, header.e_machine));
    assert_eq!(theirs.e_entry(endian).into(), header.entry);
    let Ok(segments) = theirs.program_headers(endian, input) else { return };
    // Why: the count of more than 65534 segments stands elsewhere, which no kernel has.
    if segments.len() > usize::from(elf::MAX_PROGRAM_HEADERS)
        || theirs.e_phnum(endian) == object::elf::PN_XNUM
    {
        return;
    }
    let theirs: Vec<_> = segments
        .iter()
        .map(|s| (s.p_type(endian), s.p_offset(endian).into(), s.p_filesz(endian).into()))
        .collect();
    let ours: Vec<(u32, u64, u64)> =
        header.program_headers(input).map(|s| (s.p_type, s.offset, s.file_bytes)).collect();
    assert_eq!(theirs, ours);
}

fn pe_peer<H: ImageNtHeaders>(header: &pe::Header, input: &[u8]) {
    let Ok(dos) = coff::ImageDosHeader::parse(input) else { return };
    let mut offset = dos.nt_headers_offset().into();
    let Ok((theirs, _)) = H::parse(input, &mut offset) else { return };
    assert_eq!(theirs.file_header().machine.get(LittleEndian), header.machine_type);
    let Ok(sections) = theirs.sections(input, offset) else { return };
    let theirs: Vec<_> = sections
        .iter()
        .map(|s| {
            let numbers = [s.virtual_size, s.size_of_raw_data, s.pointer_to_raw_data];
            (s.raw_name().to_vec(), numbers.map(|n| n.get(LittleEndian)))
        })
        .collect();
    let ours: Vec<_> = header
        .sections(input)
        .map(|s| (s.name().to_vec(), [s.virtual_size, s.raw_size, s.raw_offset]))
        .collect();
    assert_eq!(theirs, ours);
}
