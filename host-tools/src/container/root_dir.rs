//! File operations inside a root that is not ours: no link in it, absolute or with `..`, leads out of it.
//!
//! Every path is resolved by the kernel with openat2(2) and RESOLVE_IN_ROOT; the last component is never followed.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{self, AtFlags, CWD, FileType, Mode, OFlags, ResolveFlags, Timespec, Timestamps, UTIME_NOW};
use rustix::io::Errno;

use crate::command_error::{CommandError, Context, Result};

/// A root directory.
#[derive(Debug)]
pub struct RootDir {
    fd: OwnedFd,
}

impl RootDir {
    /// Opens the root at a path of ours.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(path: &Path) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = fs::openat(CWD, path, flags, Mode::empty())
            .with_context(|| format!("opening {}", path.display()))?;
        Ok(Self { fd })
    }

    fn resolve(&self, path: &str, flags: OFlags) -> rustix::io::Result<OwnedFd> {
        let path = path.trim_start_matches('/');
        let path = if path.is_empty() { "." } else { path };
        fs::openat2(&self.fd, path, flags | OFlags::CLOEXEC, Mode::empty(), ResolveFlags::IN_ROOT)
    }

    fn parent<'p>(&self, path: &'p str) -> Result<(OwnedFd, &'p str)> {
        let trimmed = path.trim_end_matches('/');
        let (dir, name) = trimmed.rsplit_once('/').unwrap_or(("", trimmed));
        if name.is_empty() || name == ".." || name == "." {
            return Err(CommandError::failed(format!("{path:?} names no file")));
        }
        self.create_dirs(dir)?;
        let fd = self
            .resolve(dir, OFlags::RDONLY | OFlags::DIRECTORY)
            .with_context(|| format!("opening {dir}"))?;
        Ok((fd, name))
    }

    /// Makes a directory and those above it, mode 0755; what is there stays as it is.
    ///
    /// # Errors
    /// When something that is not a directory is in the way.
    pub fn create_dirs(&self, path: &str) -> Result<()> {
        let mut at = String::new();
        for name in path.split('/').filter(|n| !n.is_empty()) {
            let above = self.resolve(&at, OFlags::RDONLY | OFlags::DIRECTORY);
            let above = above.with_context(|| format!("opening /{at} in the image"))?;
            if !at.is_empty() {
                at.push('/');
            }
            at.push_str(name);
            match fs::mkdirat(&above, name, Mode::from_raw_mode(0o755)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(e) => return Err(e).with_context(|| format!("creating /{at} in the image")),
            }
        }
        Ok(())
    }

    /// Writes a file with these permission bits in place of whatever has the name.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, path: &str, bytes: &[u8], mode: u32) -> Result<()> {
        self.write_from(path, &mut &*bytes, mode)
    }

    /// As [`RootDir::write`], with the content of a reader.
    ///
    /// # Errors
    /// When the reader fails or the file cannot be written.
    pub fn write_from(&self, path: &str, content: &mut dyn Read, mode: u32) -> Result<()> {
        let what = || format!("writing {path} in the image");
        self.remove(path)?;
        let (dir, name) = self.parent(path)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let fd = fs::openat(&dir, name, flags, Mode::from_raw_mode(0o600)).with_context(what)?;
        let mut file = std::fs::File::from(fd);
        std::io::copy(content, &mut file).with_context(what)?;
        file.flush().with_context(what)?;
        fs::fchmod(&file, Mode::from_raw_mode(mode)).with_context(what)
    }

    /// Makes a symbolic link in place of whatever has the name.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn symlink(&self, path: &str, target: &Path) -> Result<()> {
        self.remove(path)?;
        let (dir, name) = self.parent(path)?;
        fs::symlinkat(target, &dir, name).with_context(|| format!("linking {path} in the image"))
    }

    /// Makes a second name of a file that is there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn hard_link(&self, path: &str, existing: &str) -> Result<()> {
        self.remove(path)?;
        let (from, from_name) = self.parent(existing)?;
        let (to, to_name) = self.parent(path)?;
        fs::linkat(&from, from_name, &to, to_name, AtFlags::empty())
            .with_context(|| format!("linking {path} in the image"))
    }

    /// Makes one directory with these permission bits; the one above it must be there.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn create_dir(&self, path: &str, mode: u32) -> Result<()> {
        let what = || format!("creating {path} in the image");
        let (dir, name) = self.parent(path)?;
        fs::mkdirat(&dir, name, Mode::from_raw_mode(0o700)).with_context(what)?;
        fs::chmodat(&dir, name, Mode::from_raw_mode(mode), AtFlags::empty()).with_context(what)
    }

    /// Removes a file, a link, or a directory with all that is in it; a path that is not there is fine.
    ///
    /// # Errors
    /// When something cannot be removed.
    pub fn remove(&self, path: &str) -> Result<()> {
        match self.file_type(path) {
            None => Ok(()),
            Some(FileType::Directory) => {
                for name in self.list(path)? {
                    self.remove(&format!("{path}/{name}"))?;
                }
                self.unlink(path, AtFlags::REMOVEDIR)
            }
            Some(_) => self.unlink(path, AtFlags::empty()),
        }
    }

    fn unlink(&self, path: &str, flags: AtFlags) -> Result<()> {
        let (dir, name) = self.parent(path)?;
        fs::unlinkat(&dir, name, flags).with_context(|| format!("removing {path} in the image"))
    }

    /// Returns what kind of thing has the name, links not followed; `None` when there is nothing.
    #[must_use]
    pub fn file_type(&self, path: &str) -> Option<FileType> {
        let fd = self.resolve(path, OFlags::PATH | OFlags::NOFOLLOW).ok()?;
        let stat = fs::fstat(&fd).ok()?;
        Some(FileType::from_raw_mode(stat.st_mode))
    }

    /// Tells whether the path, links followed, leads to something.
    #[must_use]
    pub fn exists(&self, path: &str) -> bool {
        self.resolve(path, OFlags::PATH).is_ok()
    }

    /// Tells whether the path, links followed, leads to a directory.
    #[must_use]
    pub fn is_dir(&self, path: &str) -> bool {
        self.resolve(path, OFlags::PATH | OFlags::DIRECTORY).is_ok()
    }

    /// Returns the target of a symbolic link.
    #[must_use]
    pub fn read_link(&self, path: &str) -> Option<String> {
        let fd = self.resolve(path, OFlags::PATH | OFlags::NOFOLLOW).ok()?;
        fs::readlinkat(&fd, "", Vec::new()).ok().map(|t| t.to_string_lossy().into_owned())
    }

    /// Reads a file, links followed.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(&self, path: &str) -> Result<Vec<u8>> {
        let what = || format!("reading {path} of the image");
        let fd = self.resolve(path, OFlags::RDONLY).with_context(what)?;
        let mut bytes = Vec::new();
        std::fs::File::from(fd).read_to_end(&mut bytes).with_context(what)?;
        Ok(bytes)
    }

    /// Returns the names in a directory, sorted; none when there is no such directory.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn list(&self, path: &str) -> Result<Vec<String>> {
        let what = || format!("reading the directory {path} of the image");
        let fd = match self.resolve(path, OFlags::RDONLY | OFlags::DIRECTORY) {
            Ok(fd) => fd,
            Err(Errno::NOENT | Errno::NOTDIR) => return Ok(Vec::new()),
            Err(e) => return Err(e).with_context(what),
        };
        let mut names = Vec::new();
        for entry in fs::Dir::read_from(&fd).with_context(what)? {
            let name = entry.with_context(what)?.file_name().to_string_lossy().into_owned();
            if name != "." && name != ".." {
                names.push(name);
            }
        }
        names.sort();
        Ok(names)
    }

    /// Returns the permission bits of a path, links followed.
    #[must_use]
    pub fn mode(&self, path: &str) -> Option<u32> {
        let fd = self.resolve(path, OFlags::PATH).ok()?;
        fs::fstat(&fd).ok().map(|s| s.st_mode & 0o7777)
    }

    /// Sets the modification time of a path to now.
    ///
    /// # Errors
    /// When it is not there.
    pub fn touch(&self, path: &str) -> Result<()> {
        let now = Timespec { tv_sec: 0, tv_nsec: UTIME_NOW };
        let (dir, name) = self.parent(path)?;
        fs::utimensat(&dir, name, &Timestamps { last_access: now, last_modification: now }, AtFlags::empty())
            .with_context(|| format!("touching {path} in the image"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absolute_links_stay_inside_the_root() {
        let dir = tempfile::tempdir().unwrap();
        let root = RootDir::open(dir.path()).unwrap();
        root.create_dirs("/real").unwrap();
        root.symlink("/etc", Path::new("/real")).unwrap();
        root.symlink("/up", Path::new("../../../../real")).unwrap();
        root.write("/etc/hostname", b"x", 0o644).unwrap();
        root.write("/up/other", b"y", 0o600).unwrap();
        assert_eq!(std::fs::read(dir.path().join("real/hostname")).unwrap(), b"x");
        assert_eq!(root.list("/real").unwrap(), ["hostname", "other"]);
        assert_eq!(root.mode("/etc/other"), Some(0o600));
    }

    #[test]
    fn write_replaces_a_link_and_does_not_follow_it() {
        let dir = tempfile::tempdir().unwrap();
        let root = RootDir::open(dir.path()).unwrap();
        root.write("/target", b"old", 0o644).unwrap();
        root.symlink("/link", Path::new("target")).unwrap();
        root.write("/link", b"new", 0o644).unwrap();
        assert_eq!(root.read("/target").unwrap(), b"old");
        assert_eq!(root.file_type("/link"), Some(FileType::RegularFile));
    }

    #[test]
    fn remove_takes_whole_trees_and_nothing_beyond() {
        let dir = tempfile::tempdir().unwrap();
        let root = RootDir::open(dir.path()).unwrap();
        root.write("/keep/file", b"", 0o644).unwrap();
        root.create_dirs("/gone/deep").unwrap();
        root.symlink("/gone/link", Path::new("/keep")).unwrap();
        root.remove("/gone").unwrap();
        root.remove("/gone").unwrap();
        assert_eq!(root.list("/").unwrap(), ["keep"]);
        assert!(root.exists("/keep/file"));
    }
}
