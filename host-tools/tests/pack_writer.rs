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
#[path = "pack_writer/setup.rs"]
mod setup;
#[path = "pack_writer/trees.rs"]
mod trees;

use std::path::Path;

use genpack_host::command_error::Result;
use genpack_host::pack::entry::Entry;
use genpack_host::pack::writer::{Options, Summary, write};
use setup::{create, options};

fn pack(entries: Vec<Entry>, image: &Path, options: &Options<'_>) -> Result<Summary> {
    write(entries, options, &mut create(image), &())
}
