//! Bodies for archives.

use std::vec::Vec;

use crate::archive::cpio_newc::{Writer, entries};

/// Walks an archive.
///
/// Law: what was read, written again, reads the same.
pub fn cpio_entries(bytes: &[u8]) {
    let read: Vec<_> = entries(bytes).map_while(Result::ok).collect();
    let mut out = Vec::new();
    let mut writer = Writer::new(|part: &[u8]| -> Result<(), core::convert::Infallible> {
        out.extend_from_slice(part);
        Ok(())
    });
    for entry in &read {
        if writer.entry(entry).is_err() {
            // A name with a NUL inside, or the trailer's own name, cannot be written.
            return;
        }
    }
    if writer.finish().is_err() {
        return;
    }
    let again: Vec<_> = entries(&out).map_while(Result::ok).collect();
    assert_eq!(again, read);
}
