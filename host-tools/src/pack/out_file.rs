//! An image file that appears complete or not at all, even after `kill -9`.
//!
//! It is written without any name (O_TMPFILE of open(2)), so whatever ends the program, nothing is left. At the end
//! it gets its name, if nothing has that; to replace a file, it is `.NAME.PID.partial` for the moment before the
//! rename(2) that puts it in place. Where the file
//! system knows no nameless files that is its name from the begin; the next run removes what a killed one left. A
//! lock (flock(2)) tells what is left from what another process still writes.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FlockOperation, Mode, OFlags, flock, linkat, openat};
use rustix::io::Errno;

use crate::command_error::{CommandError, Context, Result};
use crate::io::atomic_file::sync_directory;

/// Bytes of the target's name that go into the other name: that must not get longer than NAME_MAX, 255.
const KEPT_NAME: usize = 200;

/// End of the name of a file that is not complete.
const SUFFIX: &str = ".partial";

/// A file that is being written. Dropped without [`OutFile::commit`], it vanishes.
#[derive(Debug)]
pub struct OutFile {
    file: File,
    target: PathBuf,
    directory: PathBuf,
    /// The name beside the target.
    partial: PathBuf,
    /// It has that name already.
    is_named: bool,
}

impl OutFile {
    /// Begins a file that shall replace `target`; where that is a link, what it leads to.
    ///
    /// # Errors
    /// When something other than a file is there, or the directory cannot be written.
    pub fn create(target: &Path) -> Result<Self> {
        Self::create_as(target, true)
    }

    fn create_as(target: &Path, nameless: bool) -> Result<Self> {
        let what = || format!("writing {}", target.display());
        let target = &resolve(target).with_context(what)?;
        let directory = match target.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let stem = stem(target);
        sweep(directory, &stem);
        let partial = directory.join(format!("{stem}{}{SUFFIX}", std::process::id()));
        let flags = OFlags::RDWR | OFlags::TMPFILE | OFlags::CLOEXEC;
        let opened = if nameless {
            openat(CWD, directory, flags, Mode::from_raw_mode(0o600)).map(File::from)
        } else {
            Err(Errno::OPNOTSUPP)
        };
        let (file, is_named) = match opened {
            Ok(file) => (file, false),
            // What file systems, and kernels before there was O_TMPFILE, say: EISDIR is the latter.
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL) => {
                let mut options = OpenOptions::new();
                options.read(true).write(true).create_new(true).mode(0o600);
                (options.open(&partial).with_context(what)?, true)
            }
            Err(e) => return Err(e).with_context(what),
        };
        let made = Self { file, target: target.clone(), directory: directory.to_owned(), partial, is_named };
        // Why not an error: a file system without locks cannot tell, so a left file stays there.
        let _ = flock(&made.file, FlockOperation::NonBlockingLockExclusive);
        Ok(made)
    }

    /// Returns the file, open for reading and writing.
    #[must_use]
    pub fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Returns the path that the file will have.
    #[must_use]
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Syncs the content, puts the file in place and syncs the directory.
    ///
    /// # Errors
    /// When the content cannot be made durable or the rename is refused; what was there is then untouched.
    pub fn commit(mut self) -> Result<()> {
        let what = || format!("writing {}", self.target.display());
        self.file.set_permissions(std::fs::Permissions::from_mode(0o644)).with_context(what)?;
        self.file.sync_all().with_context(what)?;
        if !self.is_named {
            let nameless = format!("/proc/self/fd/{}", self.file.as_raw_fd());
            let link = |to: &Path| linkat(CWD, &*nameless, CWD, to, AtFlags::SYMLINK_FOLLOW);
            match link(&self.target) {
                Ok(()) => return sync_directory(&self.directory),
                // No call puts a nameless file in the place of another.
                Err(Errno::EXIST) => link(&self.partial).with_context(what)?,
                Err(e) => return Err(e).with_context(what),
            }
        }
        self.is_named = true;
        std::fs::rename(&self.partial, &self.target)
            .with_context(|| format!("writing {}", self.target.display()))?;
        self.is_named = false;
        sync_directory(&self.directory)
    }
}

impl Drop for OutFile {
    fn drop(&mut self) {
        if self.is_named {
            // Why no error: the next run sweeps.
            let _ = std::fs::remove_file(&self.partial);
        }
    }
}

/// Returns where a file is to be written: the end of a link, and never anything but a regular file.
fn resolve(target: &Path) -> Result<PathBuf> {
    let there = match std::fs::symlink_metadata(target) {
        Ok(there) => there,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(target.to_owned()),
        Err(e) => return Err(CommandError::failed(e.to_string())),
    };
    let (path, there) = if there.is_symlink() {
        let reading = || format!("following the link {}", target.display());
        let path = std::fs::canonicalize(target).with_context(reading)?;
        let there = std::fs::metadata(&path).with_context(reading)?;
        (path, there)
    } else {
        (target.to_owned(), there)
    };
    if there.is_dir() {
        return Err(CommandError::failed("it is a directory"));
    }
    if !there.is_file() {
        return Err(
            CommandError::refused("it is no regular file").hint("flash writes to disks; an image is a file")
        );
    }
    Ok(path)
}

/// Returns the begin of the names beside a target: `.NAME.`
fn stem(target: &Path) -> String {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    let mut kept = name.len().min(KEPT_NAME);
    while !name.is_char_boundary(kept) {
        kept -= 1;
    }
    format!(".{}.", name.get(..kept).unwrap_or(""))
}

/// Removes what killed processes left beside a target. What cannot be read or removed is not in our way.
fn sweep(directory: &Path, stem: &str) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|n| n.strip_prefix(stem)).and_then(|n| n.strip_suffix(SUFFIX));
        let is_ours = pid.is_some_and(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit()));
        if !is_ours || !entry.file_type().is_ok_and(|t| t.is_file()) {
            continue;
        }
        let path = entry.path();
        let is_left = OpenOptions::new()
            .read(true)
            .custom_flags(guarded())
            .open(&path)
            .is_ok_and(|file| flock(&file, FlockOperation::NonBlockingLockExclusive).is_ok());
        if is_left {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// O_NOFOLLOW and O_NONBLOCK: the name may have become something else since it was listed.
fn guarded() -> i32 {
    i32::try_from((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn file_has_no_name_before_it_is_complete() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("image");
        std::fs::write(&target, "old").unwrap();
        let mut out = OutFile::create(&target).unwrap();
        out.file().write_all(b"new").unwrap();
        assert_eq!(
            (names(dir.path()), std::fs::read(&target).unwrap()),
            (vec!["image".into()], b"old".to_vec())
        );
        out.commit().unwrap();
        assert_eq!(
            (names(dir.path()), std::fs::read(&target).unwrap()),
            (vec!["image".into()], b"new".to_vec())
        );
        assert_eq!(std::fs::metadata(&target).unwrap().permissions().mode() & 0o7777, 0o644);
    }

    #[test]
    fn file_with_a_name_vanishes_unless_it_is_complete() {
        let dir = tempfile::tempdir().unwrap();
        let target = dir.path().join("image");
        let mut out = OutFile::create_as(&target, false).unwrap();
        out.file().write_all(b"half").unwrap();
        assert_eq!(names(dir.path()), [format!(".image.{}.partial", std::process::id())]);
        drop(out);
        assert_eq!(names(dir.path()), Vec::<String>::new());
        let mut out = OutFile::create_as(&target, false).unwrap();
        out.file().write_all(b"whole").unwrap();
        out.commit().unwrap();
        assert_eq!(
            (names(dir.path()), std::fs::read(&target).unwrap()),
            (vec!["image".into()], b"whole".to_vec())
        );
    }

    #[test]
    fn what_a_killed_run_left_is_removed_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        for name in [".image.17.partial", ".image.x.partial", ".other.17.partial", "image.17.partial"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let target = dir.path().join("image");
        let other = OutFile::create_as(&target, false).unwrap();
        let of_other = dir.path().join(".image.18.partial");
        std::fs::rename(&other.partial, &of_other).unwrap();
        drop(OutFile::create(&target).unwrap());
        assert_eq!(
            names(dir.path()),
            [".image.18.partial", ".image.x.partial", ".other.17.partial", "image.17.partial"]
        );
    }

    #[test]
    fn link_stays_and_its_file_is_replaced() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("file"), "old").unwrap();
        std::os::unix::fs::symlink("file", dir.path().join("link")).unwrap();
        let mut out = OutFile::create(&dir.path().join("link")).unwrap();
        out.file().write_all(b"new").unwrap();
        out.commit().unwrap();
        assert_eq!(std::fs::read(dir.path().join("file")).unwrap(), b"new");
        assert_eq!(std::fs::read_link(dir.path().join("link")).unwrap(), Path::new("file"));
    }

    #[test]
    fn what_is_no_file_is_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/dev/null", dir.path().join("null")).unwrap();
        std::os::unix::fs::symlink("nowhere", dir.path().join("dangling")).unwrap();
        let error = |path: &Path| OutFile::create(path).unwrap_err().clauses.split_off(1).join(": ");
        assert_eq!(error(dir.path()), "it is a directory");
        assert_eq!(error(Path::new("/dev/null")), "it is no regular file");
        assert_eq!(error(&dir.path().join("null")), "it is no regular file");
        assert!(error(&dir.path().join("dangling")).ends_with("No such file or directory (os error 2)"));
        assert_eq!(error(&dir.path().join("none/x")), "No such file or directory (os error 2)");
    }
}
