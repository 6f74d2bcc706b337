//! Our ELF and PE headers against binutils: readelf and objdump on programs that gcc, GRUB and objcopy made.
#![allow(clippy::print_stdout, reason = "a skipped test says why")]

use std::path::Path;
use std::process::Command;

use genpack_core::kernel::image::{Format, detect};
use genpack_core::kernel::machine::Machine;
use genpack_core::kernel::{elf, pe};

/// Runs a program and returns its stdout; `None` when it is missing, which is allowed outside CI only.
fn run(program: &str, args: &[&str]) -> Option<String> {
    let output = match Command::new(program).args(args).env("LC_ALL", "C").output() {
        Ok(output) => output,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            assert!(std::env::var_os("CI").is_none(), "{program} is not installed");
            println!("skipped: {program} is not installed");
            return None;
        }
        Err(e) => panic!("{program}: {e}"),
    };
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {args:?}: {error}");
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn hex(text: &str) -> u64 {
    u64::from_str_radix(text.trim_start_matches("0x"), 16).unwrap()
}

#[test]
fn elf_headers_are_what_readelf_says() {
    let own = std::env::current_exe().unwrap();
    for path in [own.to_str().unwrap(), "/bin/sh"] {
        let Some(text) = run("readelf", &["-hlW", path]) else { return };
        let field = |name: &str| text.lines().find_map(|l| l.trim().strip_prefix(name)).map(str::trim);
        let bytes = std::fs::read(path).unwrap();
        let header = elf::Header::parse(&bytes).unwrap();
        assert_eq!(field("Class:"), Some(if header.is_64_bit { "ELF64" } else { "ELF32" }));
        assert_eq!(field("Entry point address:").map(hex), Some(header.entry));
        // Rows: type, offset, two addresses, size in the file, ...
        let kind = |name: &str| match name {
            "PHDR" => 6,
            "INTERP" => 3,
            "LOAD" => 1,
            "DYNAMIC" => 2,
            "NOTE" => 4,
            "TLS" => 7,
            "GNU_STACK" => 0x6474_E551,
            "GNU_EH_FRAME" => 0x6474_E550,
            "GNU_RELRO" => 0x6474_E552,
            "GNU_PROPERTY" => 0x6474_E553,
            _ => 0,
        };
        let rows = text.lines().filter_map(|l| {
            let columns: Vec<&str> = l.split_whitespace().collect();
            let row = (columns.len() > 6 && columns[1].starts_with("0x")).then_some(columns)?;
            let (offset, file_bytes) = (hex(row[1]), hex(row[4]));
            Some(elf::ProgramHeader { p_type: kind(row[0]), offset, file_bytes })
        });
        let rows: Vec<_> = rows.collect();
        assert!(rows.len() > 3, "{text}");
        assert_eq!(header.program_headers(&bytes).collect::<Vec<_>>(), rows, "{path}");
        assert_eq!(header.is_free_standing(&bytes), !text.contains("INTERP"));
    }
}

/// Returns name, size in the file and offset of each section by objdump.
fn objdump_sections(path: &str) -> Option<Vec<(String, u64, u64)>> {
    let text = run("objdump", &["-h", path])?;
    let row = |l: &str| {
        let columns: Vec<&str> = l.split_whitespace().collect();
        columns.first()?.parse::<u32>().ok()?;
        Some((columns.get(1)?.to_string(), hex(columns.get(2)?), hex(columns.get(5)?)))
    };
    Some(text.lines().filter_map(row).collect())
}

#[test]
fn pe_sections_are_what_objdump_says_and_added_ones_make_a_uki() {
    let dir = tempfile::tempdir().unwrap();
    let modules = "/usr/lib/grub/x86_64-efi";
    if !Path::new(modules).is_dir() {
        assert!(std::env::var_os("CI").is_none(), "GRUB's modules are not installed");
        return println!("skipped: there is no {modules}");
    }
    let path = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    let (loader, uki) = (path("loader.efi"), path("uki.efi"));
    if run("grub-mkimage", &["-O", "x86_64-efi", "-d", modules, "-p", "/", "-o", &loader, "normal"]).is_none()
    {
        return;
    }
    let mut args = Vec::new();
    for (name, content, address) in [
        (".uname", "6.1.0-x\n", 0x100_0000),
        (".cmdline", "quiet console=ttyS0", 0x101_0000),
        (".linux", "the kernel", 0x102_0000),
        (".initrd", "the initramfs", 0x103_0000),
    ] {
        std::fs::write(path(name), content).unwrap();
        args.extend(["--add-section".to_owned(), format!("{name}={}", path(name))]);
        args.extend(["--change-section-vma".to_owned(), format!("{name}={address:#x}")]);
    }
    args.extend([loader.clone(), uki.clone()]);
    if run("objcopy", &args.iter().map(String::as_str).collect::<Vec<_>>()).is_none() {
        return;
    }
    for (file, format) in [(&loader, Format::Pe), (&uki, Format::Uki)] {
        let bytes = std::fs::read(file).unwrap();
        let found = detect(&bytes[..4096]).unwrap();
        assert_eq!((found.format, found.machine), (format, Some(Machine::X86_64)));
        let header = pe::Header::parse(&bytes).unwrap();
        assert!(header.is_plus);
        let expected = objdump_sections(file).unwrap();
        let ours = header.sections(&bytes).map(|s| {
            let name = String::from_utf8_lossy(s.name()).into_owned();
            (name, u64::from(s.content_bytes()), u64::from(s.raw_offset))
        });
        assert_eq!(ours.collect::<Vec<_>>(), expected, "{file}");
    }
    let bytes = std::fs::read(&uki).unwrap();
    let found = pe::Header::parse(&bytes).unwrap().unified_kernel_image(&bytes).unwrap();
    let content = |s: pe::Section| {
        let at = s.raw_offset as usize;
        std::str::from_utf8(&bytes[at..at + s.content_bytes() as usize]).unwrap().to_owned()
    };
    assert_eq!(content(found.linux), "the kernel");
    assert_eq!(content(found.initrd.unwrap()), "the initramfs");
    assert_eq!(content(found.cmdline.unwrap()), "quiet console=ttyS0");
    assert_eq!(content(found.uname.unwrap()), "6.1.0-x\n");
    assert_eq!(found.osrel, None);
}
