//! Files that appear complete or not at all: written aside, synced, renamed, directory synced.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::command_error::{Context, Result};

/// A file that is being written beside its final name. Dropped without [`AtomicFile::commit`], it vanishes.
#[derive(Debug)]
pub struct AtomicFile {
    temporary: NamedTempFile,
    target: PathBuf,
}

impl AtomicFile {
    /// Creates the hidden temporary file in the directory of `target`.
    ///
    /// # Errors
    /// When the directory does not exist or cannot be written.
    pub fn create(target: &Path) -> Result<Self> {
        let directory = directory(target);
        let temporary = tempfile::Builder::new()
            .prefix(".genpack-")
            .suffix(".partial")
            .tempfile_in(directory)
            .with_context(|| format!("creating a file in {}", directory.display()))?;
        Ok(Self { temporary, target: target.to_owned() })
    }

    /// Returns the open file.
    #[must_use]
    pub fn file(&self) -> &File {
        self.temporary.as_file()
    }

    /// Returns the temporary path, for programs that write by name.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.temporary.path()
    }

    /// Syncs the content, gives it these permission bits and renames it over the target.
    ///
    /// # Errors
    /// When the content cannot be made durable or the rename is refused; the target is then untouched.
    pub fn commit(self, mode: u32) -> Result<()> {
        use std::os::unix::fs::PermissionsExt;
        let what = || format!("writing {}", self.target.display());
        self.temporary.as_file().set_permissions(std::fs::Permissions::from_mode(mode)).with_context(what)?;
        self.temporary.as_file().sync_all().with_context(what)?;
        let target = self.target.clone();
        self.temporary
            .persist(&self.target)
            .map_err(|e| e.error)
            .with_context(|| format!("writing {}", target.display()))?;
        sync_directory(directory(&target))
    }
}

/// Writes `bytes` to `target` atomically with mode 0644.
///
/// # Errors
/// As [`AtomicFile::commit`].
pub fn write(target: &Path, bytes: &[u8]) -> Result<()> {
    let file = AtomicFile::create(target)?;
    file.file().write_all(bytes).with_context(|| format!("writing {}", target.display()))?;
    file.commit(0o644)
}

/// Makes the names in a directory durable.
///
/// # Errors
/// When the directory cannot be opened or synced.
pub fn sync_directory(directory: &Path) -> Result<()> {
    File::open(directory)
        .and_then(|d| d.sync_all())
        .with_context(|| format!("syncing the directory {}", directory.display()))
}

fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uncommitted_file_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let file = AtomicFile::create(&dir.path().join("a")).unwrap();
        file.file().write_all(b"x").unwrap();
        drop(file);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn written_file_replaces_the_old_one() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("a");
        write(&target, b"one").unwrap();
        write(&target, b"two").unwrap();
        assert_eq!(std::fs::read(&target).unwrap(), b"two");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
