//! `core::kernel`.

use genpack_core::bytes;
use genpack_core::kernel::arch::Arch;
use genpack_core::kernel::{elf, image, modules, pe};

use crate::{Input, Work, drain, see, show};

pub(crate) const ENTRIES: &[crate::Entry] = &[
    detect,
    elf_parse,
    pe_parse,
    unified_kernel_image,
    modules_dep,
    modules_alias,
    modules_names,
    arch,
    errors,
];

fn detect(input: &Input<'_>, _: &mut Work) {
    if let Some(kernel) = image::detect(input.bytes) {
        see((kernel.arch(), kernel.format.name(), kernel.payload));
    }
}

fn elf_parse(input: &Input<'_>, _: &mut Work) {
    if let Ok(header) = elf::Header::parse(input.bytes) {
        see((header.machine(), header.is_free_standing(input.bytes)));
        drain(header.program_headers(input.bytes));
    }
}

fn pe_parse(input: &Input<'_>, _: &mut Work) {
    if let Ok(header) = pe::Header::parse(input.bytes) {
        see((header.machine(), header.is_efi_application()));
        for section in header.sections(input.bytes) {
            see((section.name(), section.content_bytes()));
        }
    }
}

fn unified_kernel_image(input: &Input<'_>, _: &mut Work) {
    if let Ok(header) = pe::Header::parse(input.bytes) {
        see(header.unified_kernel_image(input.bytes));
    }
}

fn modules_dep(input: &Input<'_>, _: &mut Work) {
    for line in bytes::lines(input.text) {
        if let Some((path, needs)) = modules::dep_line(line) {
            see(path);
            drain(needs.rev());
        }
    }
}

fn modules_alias(input: &Input<'_>, _: &mut Work) {
    for line in bytes::lines(input.text) {
        if let Some((pattern, module)) = modules::alias_line(line) {
            see((modules::alias_matches(pattern, input.other), module));
        }
    }
}

fn modules_names(input: &Input<'_>, _: &mut Work) {
    see((modules::builtin_line(input.text), modules::module_name(input.text)));
    see(modules::same_module(input.text, input.other));
}

fn arch(input: &Input<'_>, _: &mut Work) {
    if let Some(arch) = Arch::from_name(input.text) {
        see((arch.name(), arch.debian()));
        show(arch);
    }
}

fn errors(input: &Input<'_>, _: &mut Work) {
    match elf::Header::parse(input.bytes).map(|header| header.machine()) {
        Ok(Some(machine)) => {
            see((machine.name(), machine.arch()));
            show(machine);
        }
        Ok(None) => {}
        Err(error) => {
            see(error.class());
            show(error);
        }
    }
    if let Err(error) = pe::Header::parse(input.bytes) {
        see(error.class());
        show(error);
    }
    if let Some(kernel) = image::detect(input.bytes) {
        show(kernel.format);
    }
}
