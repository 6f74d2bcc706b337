//! Bodies for archives.

use std::vec::Vec;

use crate::archive::cpio_newc::{Writer, entries};
use crate::replay::told;

/// Walks an archive.
///
/// Law: what was read, written again, reads the same.
pub fn cpio_entries(bytes: &[u8]) {
    let mut read = Vec::new();
    for entry in entries(bytes) {
        match entry {
            Ok(entry) => read.push(entry),
            Err(e) => {
                let _ = e.class();
                told(e);
                break;
            }
        }
    }
    let mut out = Vec::new();
    let mut writer = Writer::new(|part: &[u8]| -> Result<(), core::convert::Infallible> {
        out.extend_from_slice(part);
        Ok(())
    });
    for entry in &read {
        if let Err(e) = writer.entry(entry) {
            // A name with a NUL inside, or the trailer's own name, cannot be written.
            told(e);
            return;
        }
    }
    if writer.finish().is_err() {
        return;
    }
    let again: Vec<_> = entries(&out).map_while(Result::ok).collect();
    assert_eq!(again, read);
}
