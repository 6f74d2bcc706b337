//! Bodies for kernel images and module tables.

use std::string::ToString;

use crate::kernel::arch::Arch;
use crate::kernel::image::{Format, detect};
use crate::kernel::{elf, modules, pe};
use crate::replay::told;

/// Detects a kernel image, and walks the sections of a PE file and the program headers of an ELF file.
pub fn image_detect(input: &[u8]) {
    if let Some(found) = detect(input) {
        assert!(found.payload.is_none() || found.format == Format::EfiZboot);
        assert_eq!(found.format.to_string(), found.format.name());
        if let Some(machine) = found.machine {
            assert_eq!(machine.to_string(), machine.name());
        }
        if let Some(arch) = found.arch() {
            assert_eq!(Arch::from_name(&arch.to_string()), Some(arch));
            assert!(!arch.debian().is_empty());
        }
    }
    match pe::Header::parse(input) {
        Ok(header) => {
            assert!(header.sections(input).count() <= usize::from(pe::MAX_SECTIONS));
            if let Some(uki) = header.unified_kernel_image(input) {
                assert_eq!(uki.linux.name(), b".linux");
                assert!(uki.linux.content_bytes() <= uki.linux.raw_size);
            }
        }
        Err(e) => {
            assert!(e != pe::Error::Truncated(0) || input.is_empty());
            let _ = e.class();
            told(e);
        }
    }
    match elf::Header::parse(input) {
        Ok(header) => {
            assert!(header.program_headers(input).count() <= usize::from(elf::MAX_PROGRAM_HEADERS));
            assert!(!header.is_free_standing(input) || detect(input).is_some());
        }
        Err(e) => {
            assert!(e != elf::Error::Truncated(0) || input.is_empty());
            let _ = e.class();
            told(e);
        }
    }
}

/// Reads every line as one of `modules.dep` and of `modules.alias`, and matches it against itself.
pub fn module_lines(input: &[u8]) {
    let Ok(text) = core::str::from_utf8(input) else { return };
    for line in text.lines() {
        if let Some((path, deps)) = modules::dep_line(line) {
            assert!(modules::same_module(modules::module_name(path), modules::module_name(path)));
            let _ = deps.rev().count();
        }
        if let Some(path) = modules::builtin_line(line) {
            assert!(!modules::module_name(path).is_empty());
        }
        if let Some((pattern, module)) = modules::alias_line(line) {
            let _ = modules::alias_matches(pattern, module);
            let _ = modules::alias_matches(pattern, line);
        }
    }
}
