//! `core::archive`.

use core::hint::black_box;

use genpack_core::archive::cpio_newc::{self, EmitError, Entry, Writer};

use crate::{Input, Work, drain, see, show};

pub(crate) const ENTRIES: &[crate::Entry] = &[cpio_entries, cpio_emit, cpio_errors];

fn cpio_entries(input: &Input<'_>, _: &mut Work) {
    drain(cpio_newc::entries(input.bytes).inspect(|entry| see(entry.map(|e| e.file_type()))));
}

fn cpio_emit(input: &Input<'_>, _: &mut Work) {
    let mut writer = Writer::new(|part: &[u8]| {
        see(part);
        black_box(Ok::<(), u32>(()))
    });
    let (name, content) = (input.other.as_bytes(), input.bytes);
    see(writer.entry(&Entry::file(name, input.short(0), content)));
    see(writer.entry(&Entry::directory(name)));
    see(writer.entry(&Entry::symlink(name, content)));
    see(writer.entry(&Entry::char_device(name, input.short(4), input.short(8))));
    see(writer.finish());
}

fn cpio_errors(input: &Input<'_>, _: &mut Work) {
    for error in cpio_newc::entries(input.bytes).filter_map(Result::err) {
        see(error.class());
        show(error);
    }
    show(black_box(EmitError::<u32>::Name(input.bytes.len())));
}
