//! Every public function of `genpack-core` without std, libc and allocator.
//!
//! That it links proves that nothing of them is needed; that no way leads from it to the panic handler proves that no
//! input makes a parser panic; its frames and calls tell how much stack each entry point takes. `tools/bare.sh` builds
//! it and looks. It is never run.
//!
//! An entry point is a function of a room's `ENTRIES`: input and the caller's buffers go in, results are seen by
//! [`see`]. Nothing about the input is known when it is compiled, so no check is decided in advance.
#![no_std]
#![no_main]

mod archive;
mod debian;
mod disk;
mod fat;
#[cfg(feature = "faults")]
mod faults;
mod gentoo;
mod kernel;
mod loader;
mod probe;
mod squashfs;
mod sys;
mod text;
mod values;

use core::fmt;
use core::hint::black_box;

use genpack_core::bytes;
use genpack_core::fs::squashfs::MetadataBlock;

/// What is read. The slices are as long as they happen to be.
struct Input<'a> {
    bytes: &'a [u8],
    text: &'a str,
    /// A second text: the name that is looked for, the path that is opened.
    other: &'a str,
}

impl Input<'_> {
    /// Returns a number that nobody knows before.
    fn number(&self, index: usize) -> u64 {
        bytes::u64_le_at(self.bytes, index).unwrap_or(0)
    }

    /// The same, shorter.
    fn short(&self, index: usize) -> u32 {
        bytes::u32_le_at(self.bytes, index).unwrap_or(0)
    }
}

/// The caller's buffers: they are no part of an entry point's stack.
struct Work {
    /// What is written.
    out: [u8; 8192],
    /// The metadata blocks of a SquashFS.
    blocks: [MetadataBlock; 3],
    /// The data blocks of one.
    data: [[u8; 4096]; 2],
}

impl Work {
    /// Returns a buffer whose length nobody knows before.
    fn out(&mut self) -> &mut [u8] {
        black_box(self.out.as_mut_slice())
    }
}

type Entry = fn(&Input<'_>, &mut Work);

const ROOMS: &[&[Entry]] = &[
    archive::ENTRIES,
    debian::ENTRIES,
    disk::ENTRIES,
    fat::ENTRIES,
    gentoo::ENTRIES,
    kernel::ENTRIES,
    loader::ENTRIES,
    probe::ENTRIES,
    squashfs::ENTRIES,
    text::ENTRIES,
    values::ENTRIES,
    #[cfg(feature = "faults")]
    faults::ENTRIES,
];

/// Makes a result needed.
fn see<T>(value: T) {
    black_box(value);
}

/// Takes everything out of an iterator.
fn drain(items: impl Iterator) {
    items.for_each(see);
}

/// A text or a file that takes what it likes of what is written to it.
struct Sink;

impl fmt::Write for Sink {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        see(text);
        black_box(Ok(()))
    }
}

/// Prints for a person.
fn show(value: impl fmt::Display) {
    see(fmt::Write::write_fmt(&mut Sink, format_args!("{value}")));
}
