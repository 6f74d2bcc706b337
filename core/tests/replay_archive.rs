//! The cpio reader on sound and damaged archives.
#![cfg(feature = "_fuzz")]

use genpack_core::archive::cpio_newc::{Entry, Writer};
use genpack_core::replay::{archive::cpio_entries, mutate};

#[test]
fn cpio_damaged_is_read_again_as_it_was_read() {
    let mut seed = Vec::new();
    let mut writer = Writer::new(|part: &[u8]| -> Result<(), std::convert::Infallible> {
        seed.extend_from_slice(part);
        Ok(())
    });
    for entry in [
        Entry::directory(b"dev"),
        Entry::char_device(b"dev/console", 5, 1),
        Entry::file(b"init", 0o755, b"#!/bin/true\n"),
        Entry::symlink(b"lib", b"usr/lib"),
    ] {
        writer.entry(&entry).unwrap();
    }
    writer.finish().unwrap();
    mutate(&seed, 4000, cpio_entries);
}
