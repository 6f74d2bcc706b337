//! `core::loader`, and the boot state that is kept in an environment block.

use genpack_core::contract::boot_slots;
use genpack_core::contract::boot_state::{BootState, Image, Reason};
use genpack_core::loader::grubenv::{self, Block};
use genpack_core::loader::{bls_entry, cmdline_txt, config_txt, extlinux};

use crate::{Input, Sink, Work, drain, see, show};

pub(crate) const ENTRIES: &[crate::Entry] = &[
    grubenv_new,
    grubenv_parse,
    grubenv_get,
    grubenv_set,
    grubenv_unset,
    boot_state_parse,
    boot_state_emit,
    boot_state_transitions,
    boot_state_order,
    boot_slots_link,
    extlinux_lines,
    extlinux_labels,
    extlinux_paths,
    extlinux_emit,
    bls,
    config_lines,
    config_settings,
    config_emit,
    cmdline_emit,
    errors,
];

fn grubenv_new(_: &Input<'_>, work: &mut Work) {
    if let Some(out) = work.out.first_chunk_mut() {
        *out = *Block::new().emit();
    }
}

fn read_block(input: &Input<'_>) -> Option<Block> {
    Block::parse(input.bytes.first_chunk::<{ grubenv::SIZE }>()?).ok()
}

fn grubenv_parse(input: &Input<'_>, _: &mut Work) {
    if let Some(block) = read_block(input) {
        drain(block.variables());
    }
}

fn grubenv_get(input: &Input<'_>, _: &mut Work) {
    if let Some(block) = read_block(input)
        && let Some(value) = block.get(input.text)
    {
        see(value.is(input.bytes));
        drain(value.bytes());
    }
}

fn grubenv_set(input: &Input<'_>, _: &mut Work) {
    if let Some(mut block) = read_block(input) {
        see(block.set(input.text, input.bytes));
        see(block.emit());
    }
}

fn grubenv_unset(input: &Input<'_>, _: &mut Work) {
    if let Some(mut block) = read_block(input) {
        see(block.unset(input.text));
        see(block.emit());
    }
}

fn boot_state_parse(input: &Input<'_>, _: &mut Work) {
    if let Some(block) = read_block(input) {
        see(BootState::parse(&block));
    }
}

fn boot_state_emit(input: &Input<'_>, _: &mut Work) {
    if let Some(block) = read_block(input) {
        see(BootState::default().emit(&block));
    }
}

fn boot_state_transitions(input: &Input<'_>, _: &mut Work) {
    let Some(image) = Image::of_file(input.text) else { return };
    let Some(state) = BootState::default().try_new(image, 3) else { return };
    see((state.boot_attempt(), state.entered(image), state.handed_over(image), state.mark_good(image)));
    see((state.rolled_back(Reason::Mount), state.rollback(|i| i == image), state.without(image)));
    see((state.good(), state.prev(), state.trial(), state.reached(), state.given_up(), state.why()));
}

fn boot_state_order(input: &Input<'_>, _: &mut Work) {
    let Some(image) = Image::of_file(input.text) else { return };
    let state = BootState::default().mark_good(image);
    see((state.choose(), state.staging(Some(image)), state.variables()));
    see((image.word(), image.on_boot(), image.on_data()));
}

fn boot_slots_link(input: &Input<'_>, _: &mut Work) {
    see((boot_slots::linked(input.text), boot_slots::link(input.text, input.other)));
    see(boot_slots::image_of(input.text));
}

fn extlinux_lines(input: &Input<'_>, _: &mut Work) {
    for line in extlinux::lines(input.text) {
        see((line.is(input.other), line.rest, extlinux::is_path_keyword(line.keyword)));
    }
}

fn extlinux_labels(input: &Input<'_>, _: &mut Work) {
    drain(extlinux::labels(input.text));
}

fn extlinux_paths(input: &Input<'_>, _: &mut Work) {
    drain(extlinux::paths(input.text));
}

fn extlinux_emit(input: &Input<'_>, _: &mut Work) {
    see(extlinux::emit_with_root(input.text, input.other, &mut Sink));
}

fn bls(input: &Input<'_>, _: &mut Work) {
    let entry = bls_entry::Entry::new(input.text);
    see((entry.kernel(), entry.value(input.other), bls_entry::name(input.other)));
    drain(entry.initrds());
    drain(entry.words());
}

fn config_lines(input: &Input<'_>, _: &mut Work) {
    drain(config_txt::lines(input.text));
}

fn config_settings(input: &Input<'_>, _: &mut Work) {
    drain(config_txt::settings(input.text));
    see(config_txt::is_set(input.text, input.other, input.other));
    see(config_txt::value_at(input.text, input.other));
}

fn config_emit(input: &Input<'_>, _: &mut Work) {
    see(config_txt::emit_with_setting(input.text, input.other, input.other, &mut Sink));
}

fn cmdline_emit(input: &Input<'_>, _: &mut Work) {
    see(cmdline_txt::emit_with_root(input.text, input.other, &mut Sink));
}

fn errors(input: &Input<'_>, _: &mut Work) {
    if let Some(bytes) = input.bytes.first_chunk()
        && let Err(error) = Block::parse(bytes)
    {
        see(error.class());
        show(error);
    }
    for error in extlinux::paths(input.text).filter_map(Result::err) {
        see(error.class());
        show(error);
    }
    if let Err(error) = config_txt::emit_with_setting(input.text, input.other, input.other, &mut Sink) {
        see(error.class());
        show(error);
    }
}
