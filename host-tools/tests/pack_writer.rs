//! The SquashFS writer, judged by unsquashfs and by our own reader.
#![expect(clippy::print_stderr, reason = "a skipped test says why")]

#[path = "pack_writer/determinism.rs"]
mod determinism;
#[path = "pack_writer/faults.rs"]
mod faults;
#[path = "pack_writer/files.rs"]
mod files;
#[path = "pack_writer/readers.rs"]
mod readers;
#[path = "pack_writer/round_trip.rs"]
mod round_trip;
#[path = "pack_writer/trees.rs"]
mod trees;

use std::fs::File;
use std::num::NonZeroUsize;
use std::path::Path;

use genpack_host::command_error::Result;
use genpack_host::io::interrupt::Interrupt;
use genpack_host::pack::compress::{Method, Settings};
use genpack_host::pack::entry::Entry;
use genpack_host::pack::writer::{Options, Summary, write};

/// Options that say as much as possible about an image.
fn options(method: Method, block_size: u32, interrupt: &Interrupt) -> Options<'_> {
    Options {
        compression: Settings::new(method).unwrap(),
        block_size,
        jobs: NonZeroUsize::new(2).unwrap(),
        mtime_limit: None,
        verify: true,
        exports: true,
        cache: None,
        interrupt,
    }
}

fn create(image: &Path) -> File {
    File::options().read(true).write(true).create(true).truncate(true).open(image).unwrap()
}

fn pack(entries: Vec<Entry>, image: &Path, options: &Options<'_>) -> Result<Summary> {
    write(entries, options, &mut create(image), &())
}
