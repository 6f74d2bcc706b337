//! A small tree to pack.

use std::fs;
use std::path::Path;

/// Writes files and the directories above them; the paths are below `root`.
pub(crate) fn write<'f>(root: &Path, files: impl IntoIterator<Item = (&'f str, &'f [u8])>) {
    for (path, content) in files {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
}
