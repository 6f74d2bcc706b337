//! Bodies for kernel images and module tables.

use crate::kernel::image::{Format, detect, pe};
use crate::kernel::modules;

/// Detects a kernel image and walks the sections of a PE file.
pub fn image_detect(input: &[u8]) {
    if let Some(found) = detect(input) {
        assert!(found.payload.is_none() || found.format == Format::EfiZboot);
    }
    if let Some(header) = pe::Header::parse(input) {
        assert!(header.sections(input).count() <= usize::from(pe::MAX_SECTIONS));
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
        if let Some((pattern, module)) = modules::alias_line(line) {
            let _ = modules::alias_matches(pattern, module);
            let _ = modules::alias_matches(pattern, line);
        }
    }
}
