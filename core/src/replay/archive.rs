//! Bodies for archives.

use std::vec::Vec;

use crate::archive::cpio_newc::{Entry, MAX_NAME_SIZE, S_IFCHR, S_IFDIR, S_IFLNK, S_IFREG, Writer, entries};
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
    let mut named = Writer::new(|_: &[u8]| -> Result<(), core::convert::Infallible> { Ok(()) });
    let made = Entry::file(bytes, 0o644, bytes);
    match named.entry(&made) {
        Ok(()) => assert!(!bytes.is_empty() && bytes.len() < MAX_NAME_SIZE && !bytes.contains(&0)),
        Err(e) => told(e),
    }
    for entry in &read {
        let (name, content) = (entry.name, entry.content);
        let made = match entry.file_type() {
            S_IFDIR => Entry::directory(name),
            S_IFLNK => Entry::symlink(name, content),
            S_IFCHR => Entry::char_device(name, entry.device.0, entry.device.1),
            _ => Entry::file(name, entry.mode & 0o7777, content),
        };
        assert!(made.name == name && (made.file_type() == entry.file_type() || made.file_type() == S_IFREG));
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
