//! How images are packed here, and where to.

use std::fs::File;
use std::num::NonZeroUsize;
use std::path::Path;

use genpack_host::io::interrupt::Interrupt;
use genpack_host::pack::compress::{Method, Settings};
use genpack_host::pack::writer::Options;

/// Options that say as much as possible about an image.
pub(super) fn options(method: Method, block_size: u32, interrupt: &Interrupt) -> Options<'_> {
    Options {
        compression: Settings::new(method).unwrap(),
        block_size,
        jobs: NonZeroUsize::new(2).unwrap(),
        mtime_limit: None,
        verify: true,
        tails: false,
        exports: true,
        cache: None,
        interrupt,
    }
}

pub(super) fn create(image: &Path) -> File {
    File::options().read(true).write(true).create(true).truncate(true).open(image).unwrap()
}
