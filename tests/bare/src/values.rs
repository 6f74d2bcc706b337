//! What the rooms are made of: `core::{bytes, guid, source, units}`.

use genpack_core::guid::Guid;
use genpack_core::source::{ReadAt, Window};
use genpack_core::{bytes, units};

use crate::{Input, Work, drain, see, show};

pub(crate) const ENTRIES: &[crate::Entry] = &[
    guid_bytes,
    guid_parse,
    guid_print,
    window,
    reads,
    reads_at_proven_offsets,
    writes,
    slices,
    lines,
    conversions,
];

fn guid_bytes(input: &Input<'_>, _: &mut Work) {
    let Some(raw) = input.bytes.first_chunk().copied() else { return };
    see((Guid::from_be_bytes(raw).to_efi_bytes(), Guid::from_efi_bytes(raw).to_be_bytes()));
    see(Guid::from_random_bytes(raw));
}

fn guid_parse(input: &Input<'_>, _: &mut Work) {
    see(Guid::parse(input.text));
}

fn guid_print(input: &Input<'_>, _: &mut Work) {
    if let Some(raw) = input.bytes.first_chunk().copied() {
        show(format_args!("{0}{0:x}{0:X}", Guid::from_be_bytes(raw)));
    }
}

fn window(input: &Input<'_>, work: &mut Work) {
    let window = Window::new(input.bytes, input.number(0), input.number(8));
    let len = usize::try_from(input.short(0)).unwrap_or(0);
    let out = work.out().get_mut(..len).unwrap_or_default();
    see((window.size(), window.read_exact_at(input.number(16), out)));
    see(window.read_array_at::<16>(input.number(16)));
    if let Err(error) = input.bytes.read_exact_at(input.number(16), out) {
        show(error);
    }
}

fn reads(input: &Input<'_>, _: &mut Work) {
    let at = usize::try_from(input.short(0)).unwrap_or(0);
    let b = input.bytes;
    see((bytes::u8_le_at(b, at), bytes::u16_le_at(b, at), bytes::u32_le_at(b, at), bytes::u64_le_at(b, at)));
    see((bytes::u8_be_at(b, at), bytes::u16_be_at(b, at), bytes::u32_be_at(b, at), bytes::u64_be_at(b, at)));
    see((bytes::i16_le_at(b, at), bytes::i16_be_at(b, at)));
}

fn reads_at_proven_offsets(input: &Input<'_>, _: &mut Work) {
    let Some(b) = input.bytes.first_chunk::<16>() else { return };
    see((
        bytes::u8_le::<1, 16>(b),
        bytes::u16_le::<1, 16>(b),
        bytes::u32_le::<1, 16>(b),
        bytes::u64_le::<1, 16>(b),
    ));
    see((
        bytes::u8_be::<1, 16>(b),
        bytes::u16_be::<1, 16>(b),
        bytes::u32_be::<1, 16>(b),
        bytes::u64_be::<1, 16>(b),
    ));
    see((bytes::i16_le::<1, 16>(b), bytes::i16_be::<1, 16>(b), bytes::array::<3, 9, 16>(b)));
}

fn writes(input: &Input<'_>, work: &mut Work) {
    let Some(out) = work.out.first_chunk_mut::<64>() else { return };
    let long = input.number(0);
    let [byte, small, ..] = long.to_le_bytes();
    bytes::put_u8_le::<1, 64>(out, byte);
    bytes::put_u8_be::<2, 64>(out, small);
    bytes::put_u16_le::<3, 64>(out, u16::from(byte));
    bytes::put_u16_be::<5, 64>(out, u16::from(small));
    bytes::put_i16_le::<7, 64>(out, i16::from(byte));
    bytes::put_i16_be::<9, 64>(out, i16::from(small));
    bytes::put_u32_le::<11, 64>(out, input.short(8));
    bytes::put_u32_be::<15, 64>(out, input.short(12));
    bytes::put_u64_le::<19, 64>(out, long);
    bytes::put_u64_be::<27, 64>(out, long);
    bytes::put_array::<35, 8, 64>(out, long.to_be_bytes());
}

fn slices(input: &Input<'_>, _: &mut Work) {
    let at = usize::try_from(input.short(0)).unwrap_or(0);
    see((bytes::slice_at(input.bytes, at, at), bytes::until_nul(input.bytes), bytes::fnv_1a(bytes::FNV_1A, input.bytes)));
    see(bytes::contains(input.text, "a b"));
    see(bytes::rsplit_once(input.text, input.bytes.first().copied().unwrap_or(0)));
    see(bytes::count(input.bytes, |b| b > 7));
}

fn lines(input: &Input<'_>, _: &mut Work) {
    drain(bytes::numbered(bytes::lines(input.text)));
    drain(bytes::lines_inclusive(input.text));
    drain(bytes::split(input.text, '/'));
}

fn conversions(input: &Input<'_>, _: &mut Work) {
    see((units::usize_from_u32(input.short(0)), units::u64_from_usize(input.bytes.len())));
    see(units::usize_from_u64(input.number(0)));
}
