//! Files below a root directory that no symbolic link can leave (`openat2(2)` with `RESOLVE_IN_ROOT`).
//!
//! The same code serves the running system (root `/`) and a tree that is being prepared. Writes happen aside, are
//! synced and renamed, so a power cut leaves the old file or the new one. Not handled: kernels before 5.6.

use alloc::ffi::CString;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::mem::MaybeUninit;

use crate::op::Owner;
use crate::sys::clock;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, RawDir, ResolveFlags, Stat, Timespec, Timestamps, Uid,
};
use rustix::io::Errno;

/// How often a path is resolved again when the tree changes meanwhile (`EAGAIN`).
const MAX_RESOLVE_ATTEMPTS: usize = 16;
/// Entries of one directory that are looked at.
const MAX_ENTRIES: usize = 65_536;
const DIRENT_BUFFER: usize = 8192;
const RAMFS_MAGIC: u32 = 0x8584_58F6;
const TMPFS_MAGIC: u32 = 0x0102_1994;
const MSDOS_SUPER_MAGIC: u32 = 0x4D44;
/// Depth to which directories are copied.
const MAX_COPY_DEPTH: u32 = 64;

/// A directory below which paths are resolved.
#[derive(Debug)]
pub struct Tree {
    root: OwnedFd,
}

/// One directory entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Name, never `.` or `..`; one that is not UTF-8 is left out.
    pub name: String,
    /// Kind, as the file system tells.
    pub kind: FileType,
}

/// Splits a path into its directory and its last component.
fn split(path: &str) -> Result<(&str, &str), Errno> {
    let path = path.trim_end_matches('/');
    let (parent, name) = path.rsplit_once('/').unwrap_or((".", path));
    match name {
        "" | "." | ".." => Err(Errno::INVAL),
        _ => Ok((if parent.is_empty() { "/" } else { parent }, name)),
    }
}

/// Returns the text as the kernel takes it. With one type for all names there is one copy of every call below.
///
/// # Errors
/// `EINVAL` when there is a NUL in it.
pub fn c_string(text: &str) -> Result<CString, Errno> {
    CString::new(text.as_bytes()).map_err(|_| Errno::INVAL)
}

fn openat(dir: BorrowedFd<'_>, name: &str, flags: OFlags, mode: u32) -> Result<OwnedFd, Errno> {
    rustix::fs::openat(dir, &*c_string(name)?, flags, Mode::from_raw_mode(mode))
}

fn unlinkat(dir: BorrowedFd<'_>, name: &str, flags: AtFlags) -> Result<(), Errno> {
    rustix::fs::unlinkat(dir, &*c_string(name)?, flags)
}

fn readlinkat(dir: BorrowedFd<'_>, name: &str) -> Result<CString, Errno> {
    rustix::fs::readlinkat(dir, &*c_string(name)?, Vec::new())
}

fn statat(dir: BorrowedFd<'_>, name: &str) -> Result<Stat, Errno> {
    rustix::fs::statat(dir, &*c_string(name)?, AtFlags::SYMLINK_NOFOLLOW)
}

fn renameat(from: BorrowedFd<'_>, name: &str, to: BorrowedFd<'_>, new: &str) -> Result<(), Errno> {
    rustix::fs::renameat(from, &*c_string(name)?, to, &*c_string(new)?)
}

impl Tree {
    /// Opens the root.
    ///
    /// # Errors
    /// The errno of opening the directory.
    pub fn open(root: &str) -> Result<Self, Errno> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self { root: rustix::fs::open(root, flags, Mode::empty())? })
    }

    fn resolve(&self, path: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        let path = if path.is_empty() { "." } else { path };
        for _ in 0..MAX_RESOLVE_ATTEMPTS {
            let flags = flags | OFlags::CLOEXEC;
            match rustix::fs::openat2(&self.root, path, flags, Mode::empty(), ResolveFlags::IN_ROOT) {
                Err(Errno::AGAIN | Errno::INTR) => {}
                other => return other,
            }
        }
        Err(Errno::AGAIN)
    }

    /// Opens the directory that holds `path`; with `strict` its own name must not be a symbolic link.
    fn parent(&self, path: &str, strict: bool) -> Result<(OwnedFd, String), Errno> {
        let (parent, name) = split(path)?;
        let strict = if strict { OFlags::NOFOLLOW } else { OFlags::empty() };
        Ok((self.resolve(parent, OFlags::PATH | OFlags::DIRECTORY | strict)?, name.into()))
    }

    /// Reads a regular file of at most `max` bytes.
    ///
    /// # Errors
    /// `EFBIG` beyond the limit, `EINVAL` for anything but a regular file, else the errno of open or read.
    pub fn read(&self, path: &str, max: usize) -> Result<Vec<u8>, Errno> {
        // Why: O_NONBLOCK keeps a planted FIFO from stopping the boot.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        read_file(self.resolve(path, flags)?.as_fd(), max)
    }

    /// Reads a regular file up to its end or to some more than `max` bytes.
    ///
    /// # Errors
    /// As [`Tree::read`], but that a longer file is no error.
    pub fn read_beginning(&self, path: &str, max: usize) -> Result<Vec<u8>, Errno> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        read_beginning(self.resolve(path, flags)?.as_fd(), max)
    }

    /// Reads a regular file whose name and whose directory's name are no symbolic links.
    ///
    /// # Errors
    /// As [`Tree::read`], and `ELOOP` or `ENOTDIR` for a link.
    pub fn read_strict(&self, path: &str, max: usize) -> Result<Vec<u8>, Errno> {
        let (parent, name) = self.parent(path, true)?;
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        read_file(openat(parent.as_fd(), &name, flags, 0)?.as_fd(), max)
    }

    /// Reads a file as text; what is missing, too long or not UTF-8 is `None`.
    #[must_use]
    pub fn read_text(&self, path: &str, max: usize) -> Option<String> {
        String::from_utf8(self.read(path, max).ok()?).ok()
    }

    /// Reads a file as text; what is missing, too long or not UTF-8 is empty.
    #[must_use]
    pub fn text(&self, path: &str, max: usize) -> String {
        self.read_text(path, max).unwrap_or_default()
    }

    /// Returns what `path` is, links followed; `None` when it cannot be looked at.
    #[must_use]
    pub fn stat(&self, path: &str) -> Option<Stat> {
        rustix::fs::fstat(self.resolve(path, OFlags::PATH).ok()?).ok()
    }

    /// Returns the bytes that are free for everybody on the file system of `path`.
    #[must_use]
    pub fn free_bytes(&self, path: &str) -> Option<u64> {
        let stat = rustix::fs::fstatvfs(self.resolve(path, OFlags::RDONLY).ok()?).ok()?;
        Some(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    /// Tells whether `path` is a directory.
    #[must_use]
    pub fn is_dir(&self, path: &str) -> bool {
        self.kind(path) == Some(FileType::Directory)
    }

    /// Tells whether `path` is a regular file.
    #[must_use]
    pub fn is_file(&self, path: &str) -> bool {
        self.kind(path) == Some(FileType::RegularFile)
    }

    /// Tells whether `path` is a regular file that root may execute.
    #[must_use]
    pub fn is_executable(&self, path: &str) -> bool {
        self.stat(path).is_some_and(|s| {
            FileType::from_raw_mode(s.st_mode) == FileType::RegularFile && s.st_mode & 0o111 != 0
        })
    }

    fn kind(&self, path: &str) -> Option<FileType> {
        self.stat(path).map(|s| FileType::from_raw_mode(s.st_mode))
    }

    /// Returns the target of a symbolic link.
    #[must_use]
    pub fn read_link(&self, path: &str) -> Option<String> {
        let (parent, name) = self.parent(path, false).ok()?;
        readlinkat(parent.as_fd(), &name).ok()?.into_string().ok()
    }

    /// Lists a directory, in the file system's order.
    ///
    /// # Errors
    /// The errno of opening or reading it.
    pub fn list(&self, path: &str) -> Result<Vec<Entry>, Errno> {
        list(self.resolve(path, OFlags::RDONLY | OFlags::DIRECTORY)?.as_fd())
    }

    /// Lists a directory, in the file system's order; one that cannot be read is empty.
    #[must_use]
    pub fn entries(&self, path: &str) -> Vec<Entry> {
        self.list(path).unwrap_or_default()
    }

    /// Makes a directory; answers whether it is new.
    ///
    /// # Errors
    /// `ENOTDIR` when something else has the name, else the errno of `mkdirat` or `fchown`.
    pub fn mkdir(&self, path: &str, mode: u32, owner: Option<Owner>) -> Result<bool, Errno> {
        let (parent, name) = self.parent(path, owner.is_some())?;
        match rustix::fs::mkdirat(&parent, &*c_string(&name)?, Mode::from_raw_mode(mode)) {
            Ok(()) => {}
            Err(Errno::EXIST) if self.is_dir(path) => return Ok(false),
            Err(Errno::EXIST) => return Err(Errno::NOTDIR),
            Err(e) => return Err(e),
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let dir = openat(parent.as_fd(), &name, flags, 0)?;
        rustix::fs::fchmod(&dir, Mode::from_raw_mode(mode))?;
        change_owner(dir.as_fd(), owner)?;
        Ok(true)
    }

    /// Brings a file to a content; answers whether anything had to be written.
    ///
    /// # Errors
    /// The errno of the step that failed; the old file is then untouched.
    pub fn write(&self, path: &str, mode: u32, owner: Option<Owner>, content: &[u8]) -> Result<bool, Errno> {
        let (parent, name) = self.parent(path, owner.is_some())?;
        if same_file(parent.as_fd(), &name, mode, owner, content) {
            return Ok(false);
        }
        let aside = format!(".{name}.genpack");
        remove_at(parent.as_fd(), &aside)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(parent.as_fd(), &aside, flags, mode & 0o600)?;
        let written = write_all(file.as_fd(), content)
            .and_then(|()| change_owner(file.as_fd(), owner))
            // Why: FAT knows no modes beyond its mount options and refuses others.
            .and_then(|()| tolerate_perm(rustix::fs::fchmod(&file, Mode::from_raw_mode(mode))))
            .and_then(|()| rustix::fs::fsync(&file))
            .and_then(|()| renameat(parent.as_fd(), &aside, parent.as_fd(), &name));
        if let Err(e) = written {
            // Why: the first error is the one to report.
            let _ = remove_at(parent.as_fd(), &aside);
            return Err(e);
        }
        sync_dir(parent.as_fd());
        Ok(true)
    }

    /// Appends to a file, or creates it.
    ///
    /// # Errors
    /// The errno of open or write.
    pub fn append(&self, path: &str, mode: u32, content: &[u8]) -> Result<(), Errno> {
        let (parent, name) = self.parent(path, false)?;
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::APPEND | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(parent.as_fd(), &name, flags, mode)?;
        write_all(file.as_fd(), content)
    }

    /// Brings bytes of a file that is there to a content, in place; answers whether anything had to be written.
    ///
    /// # Errors
    /// `EINVAL` when the file ends before them, else the errno of the step that failed.
    pub fn overwrite(&self, path: &str, at: u64, content: &[u8]) -> Result<bool, Errno> {
        let (parent, name) = self.parent(path, false)?;
        let open = |flags| {
            let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            openat(parent.as_fd(), &name, flags, 0)
        };
        let mut old = vec![0; content.len()];
        // Why: a file that says it already is not opened for writing, which a locked card refuses.
        if rustix::io::pread(&open(OFlags::RDONLY)?, &mut old[..], at)? != content.len() {
            return Err(Errno::INVAL);
        }
        if old == content {
            return Ok(false);
        }
        let file = open(OFlags::WRONLY)?;
        if rustix::io::pwrite(&file, content, at)? != content.len() {
            return Err(Errno::IO);
        }
        rustix::fs::fsync(&file)?;
        Ok(true)
    }

    /// Brings a symbolic link to a target; answers whether anything had to be written.
    ///
    /// # Errors
    /// The errno of the step that failed; the old link is then untouched.
    pub fn symlink(&self, target: &str, link: &str) -> Result<bool, Errno> {
        if self.read_link(link).as_deref() == Some(target) {
            return Ok(false);
        }
        let (parent, name) = self.parent(link, false)?;
        let aside = format!(".{name}.genpack");
        remove_at(parent.as_fd(), &aside)?;
        rustix::fs::symlinkat(&*c_string(target)?, &parent, &*c_string(&aside)?)?;
        if let Err(e) = renameat(parent.as_fd(), &aside, parent.as_fd(), &name) {
            let _ = remove_at(parent.as_fd(), &aside);
            return Err(e);
        }
        sync_dir(parent.as_fd());
        Ok(true)
    }

    /// Renames a file, replacing the one that has the new name.
    ///
    /// # Errors
    /// The errno of `renameat`.
    pub fn rename(&self, from: &str, to: &str) -> Result<(), Errno> {
        let (from_parent, from_name) = self.parent(from, false)?;
        let (to_parent, to_name) = self.parent(to, false)?;
        renameat(from_parent.as_fd(), &from_name, to_parent.as_fd(), &to_name)?;
        sync_dir(to_parent.as_fd());
        Ok(())
    }

    /// Copies a file or a directory with everything in it: modes and owners; answers whether there was nothing at the
    /// new place. It gets its name when it is whole. Not copied: times, extended attributes, devices, pipes, sockets.
    ///
    /// # Errors
    /// The errno of the step that failed.
    pub fn copy(&self, from: &str, to: &str) -> Result<bool, Errno> {
        if self.stat(to).is_some() {
            return Ok(false);
        }
        let (from_parent, from_name) = self.parent(from, false)?;
        let (to_parent, to_name) = self.parent(to, false)?;
        let aside = format!(".{to_name}.genpack");
        remove_all(to_parent.as_fd(), &aside, 0);
        copy_entry(from_parent.as_fd(), &from_name, to_parent.as_fd(), &aside, 0)?;
        renameat(to_parent.as_fd(), &aside, to_parent.as_fd(), &to_name)?;
        sync_dir(to_parent.as_fd());
        Ok(true)
    }

    /// Removes a file; answers whether there was one.
    ///
    /// # Errors
    /// The errno of `unlinkat`, except that a missing file is fine.
    pub fn remove(&self, path: &str) -> Result<bool, Errno> {
        match self.parent(path, false) {
            Ok((parent, name)) => remove_at(parent.as_fd(), &name),
            Err(Errno::NOENT) => Ok(false),
            Err(e) => Err(e),
        }
    }

    /// Removes a directory and everything below it; answers whether there was one.
    ///
    /// # Errors
    /// `EAGAIN` when time was over first, else the errno of the last removal.
    pub fn remove_tree(&self, path: &str, deadline_s: u32) -> Result<bool, Errno> {
        let end_ms = clock::boot_ms().saturating_add(u64::from(deadline_s) * 1000);
        let (parent, name) = self.parent(path, false)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match openat(parent.as_fd(), &name, flags, 0) {
            Ok(directory) => delete_content(directory.as_fd(), None, 0, end_ms),
            Err(Errno::NOENT) => return Ok(false),
            Err(e) => return Err(e),
        }
        let removed = unlinkat(parent.as_fd(), &name, AtFlags::REMOVEDIR);
        sync_dir(parent.as_fd());
        match removed {
            Err(Errno::NOTEMPTY) if clock::boot_ms() >= end_ms => Err(Errno::AGAIN),
            other => other.map(|()| true),
        }
    }

    /// Gives `to` the modification time of `from`; answers whether it was different.
    ///
    /// # Errors
    /// The errno of `utimensat`, `ENOENT` when one of the two is missing.
    pub fn copy_mtime(&self, from: &str, to: &str) -> Result<bool, Errno> {
        let (a, b) = (self.stat(from).ok_or(Errno::NOENT)?, self.stat(to).ok_or(Errno::NOENT)?);
        if (a.st_mtime, a.st_mtime_nsec) == (b.st_mtime, b.st_mtime_nsec) {
            return Ok(false);
        }
        let (parent, name) = self.parent(to, false)?;
        let times = Timestamps {
            last_access: Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_OMIT },
            last_modification: Timespec {
                tv_sec: a.st_mtime,
                tv_nsec: i64::try_from(a.st_mtime_nsec).map_err(|_| Errno::OVERFLOW)?,
            },
        };
        rustix::fs::utimensat(&parent, &*c_string(&name)?, &times, AtFlags::SYMLINK_NOFOLLOW)?;
        Ok(true)
    }
}

fn same_file(parent: BorrowedFd<'_>, name: &str, mode: u32, owner: Option<Owner>, content: &[u8]) -> bool {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let Ok(file) = openat(parent, name, flags, 0) else { return false };
    let Ok(stat) = rustix::fs::fstat(&file) else { return false };
    let same_owner = owner.is_none_or(|o| (o.uid, o.gid) == (stat.st_uid, stat.st_gid));
    // Why: on a FAT modes are mount options; the content decides there.
    let is_fat =
        || rustix::fs::fstatfs(&file).is_ok_and(|s| u32::try_from(s.f_type) == Ok(MSDOS_SUPER_MAGIC));
    let same_mode = stat.st_mode & 0o7777 == mode || is_fat();
    same_owner && same_mode && read_file(file.as_fd(), content.len()).is_ok_and(|old| old == content)
}

fn tolerate_perm(result: Result<(), Errno>) -> Result<(), Errno> {
    match result {
        Err(Errno::PERM) => Ok(()),
        other => other,
    }
}

fn change_owner(file: BorrowedFd<'_>, owner: Option<Owner>) -> Result<(), Errno> {
    let Some(Owner { uid, gid }) = owner else { return Ok(()) };
    let stat = rustix::fs::fstat(file)?;
    if (stat.st_uid, stat.st_gid) == (uid, gid) {
        return Ok(());
    }
    rustix::fs::fchown(file, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))
}

fn sync_dir(parent: BorrowedFd<'_>) {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    if let Ok(dir) = openat(parent, ".", flags, 0) {
        // Why: the rename already happened; a file system that cannot sync directories loses nothing more.
        let _ = rustix::fs::fsync(dir);
    }
}

fn remove_at(parent: BorrowedFd<'_>, name: &str) -> Result<bool, Errno> {
    match unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) => Ok(true),
        Err(Errno::NOENT) => Ok(false),
        Err(e) => Err(e),
    }
}

fn write_all(file: BorrowedFd<'_>, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match rustix::io::write(file, bytes) {
            Ok(0) => return Err(Errno::IO),
            Ok(n) => bytes = bytes.get(n..).unwrap_or(&[]),
            Err(Errno::INTR) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Copies one entry and what is below it.
fn copy_entry(
    from: BorrowedFd<'_>,
    name: &str,
    to: BorrowedFd<'_>,
    new: &str,
    depth: u32,
) -> Result<(), Errno> {
    let stat = statat(from, name)?;
    let (kind, mode) = (FileType::from_raw_mode(stat.st_mode), Mode::from_raw_mode(stat.st_mode & 0o7777));
    let nofollow = OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match kind {
        FileType::Directory if depth < MAX_COPY_DEPTH => {
            rustix::fs::mkdirat(to, &*c_string(new)?, Mode::from_raw_mode(0o700))?;
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | nofollow;
            let source = openat(from, name, flags, 0)?;
            let copy = openat(to, new, flags, 0)?;
            for entry in list(source.as_fd())? {
                copy_entry(source.as_fd(), &entry.name, copy.as_fd(), &entry.name, depth + 1)?;
            }
            chown_or_tolerate(to, new, &stat)?;
            rustix::fs::fchmod(&copy, mode)?;
            rustix::fs::fsync(&copy)?;
        }
        FileType::RegularFile => {
            let source = openat(from, name, OFlags::RDONLY | nofollow, 0)?;
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | nofollow;
            let copy = openat(to, new, flags, 0o600)?;
            let mut chunk = alloc::vec![0; 65_536];
            loop {
                match rustix::io::read(&source, &mut chunk) {
                    Ok(0) => break,
                    Ok(n) => write_all(copy.as_fd(), chunk.get(..n).unwrap_or(&[]))?,
                    Err(Errno::INTR) => {}
                    Err(e) => return Err(e),
                }
            }
            chown_or_tolerate(to, new, &stat)?;
            tolerate_perm(rustix::fs::fchmod(&copy, mode))?;
            rustix::fs::fsync(&copy)?;
        }
        FileType::Symlink => {
            rustix::fs::symlinkat(&*readlinkat(from, name)?, to, &*c_string(new)?)?;
            return chown_or_tolerate(to, new, &stat);
        }
        FileType::Directory => return Err(Errno::LOOP),
        _ => {}
    }
    Ok(())
}

/// Gives a copy its owner; a FAT knows none.
fn chown_or_tolerate(to: BorrowedFd<'_>, name: &str, stat: &Stat) -> Result<(), Errno> {
    let (uid, gid) = (Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)));
    tolerate_perm(rustix::fs::chownat(to, &*c_string(name)?, uid, gid, AtFlags::SYMLINK_NOFOLLOW))
}

/// Removes an entry with what is below it; what cannot be removed stays.
fn remove_all(parent: BorrowedFd<'_>, name: &str, depth: u32) {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    if depth < MAX_COPY_DEPTH
        && let Ok(dir) = openat(parent, name, flags, 0)
    {
        for entry in list(dir.as_fd()).unwrap_or_default() {
            remove_all(dir.as_fd(), &entry.name, depth + 1);
        }
        // Why: what stays behind makes the copy fail, and that is reported.
        let _ = unlinkat(parent, name, AtFlags::REMOVEDIR);
    } else {
        let _ = unlinkat(parent, name, AtFlags::empty());
    }
}

/// Reads an open regular file of at most `max` bytes from its beginning.
fn read_file(file: BorrowedFd<'_>, max: usize) -> Result<Vec<u8>, Errno> {
    let content = read_beginning(file, max)?;
    if content.len() > max { Err(Errno::FBIG) } else { Ok(content) }
}

/// Reads an open regular file up to its end or to the block in which it has more than `max` bytes.
fn read_beginning(file: BorrowedFd<'_>, max: usize) -> Result<Vec<u8>, Errno> {
    if FileType::from_raw_mode(rustix::fs::fstat(file)?.st_mode) != FileType::RegularFile {
        return Err(Errno::INVAL);
    }
    let mut content = Vec::new();
    // Why: files in /proc and /sys say size 0, so the size is no guide.
    let mut chunk = [0; 4096];
    while content.len() <= max {
        match rustix::io::read(file, &mut chunk) {
            Ok(0) => return Ok(content),
            Ok(n) => content.extend_from_slice(chunk.get(..n).unwrap_or(&[])),
            Err(Errno::INTR) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(content)
}

/// Lists an open directory.
///
/// # Errors
/// The errno of `getdents64`.
pub fn list(dir: BorrowedFd<'_>) -> Result<Vec<Entry>, Errno> {
    let mut buffer = [MaybeUninit::uninit(); DIRENT_BUFFER];
    let mut entries = Vec::new();
    let mut raw = RawDir::new(dir, &mut buffer);
    while let Some(entry) = raw.next() {
        let entry = entry?;
        let Ok(name) = entry.file_name().to_str() else { continue };
        if name != "." && name != ".." && entries.len() < MAX_ENTRIES {
            entries.push(Entry { name: name.into(), kind: entry.file_type() });
        }
    }
    Ok(entries)
}

/// Sorts a short list, such as the names in a directory of hooks: the library's sorting takes 4 KiB of code.
pub fn insertion_sort<T: Ord>(list: &mut [T]) {
    for end in 1..list.len() {
        let mut at = end;
        while at > 0 && list.get(at - 1) > list.get(at) {
            list.swap(at - 1, at);
            at -= 1;
        }
    }
}

/// Tells whether `/` is the initramfs: a file system in memory.
#[must_use]
pub fn root_is_initramfs() -> bool {
    rustix::fs::statfs("/").is_ok_and(|s| {
        u32::try_from(s.f_type).is_ok_and(|magic| magic == RAMFS_MAGIC || magic == TMPFS_MAGIC)
    })
}

/// Deletes everything below `/` that lies on the initramfs itself; other file systems are not entered.
///
/// # Errors
/// `EINVAL` when `/` is not a file system in memory, else the errno of opening `/`.
pub fn delete_initramfs() -> Result<(), Errno> {
    if !root_is_initramfs() {
        return Err(Errno::INVAL);
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let root = rustix::fs::open("/", flags, Mode::empty())?;
    let device = rustix::fs::fstat(&root)?.st_dev;
    delete_content(root.as_fd(), Some(device), 0, u64::MAX);
    Ok(())
}

/// Depth to which trees are deleted: every level keeps a descriptor open, of which a process has 1024.
const MAX_DELETE_DEPTH: u32 = 500;

/// Deletes what is in a directory, on this device only when one is given, until `end_ms`.
fn delete_content(dir: BorrowedFd<'_>, device: Option<u64>, depth: u32, end_ms: u64) {
    let Ok(entries) = list(dir) else { return };
    for entry in entries {
        let name = entry.name.as_str();
        let Ok(stat) = statat(dir, name) else { continue };
        if device.is_some_and(|device| stat.st_dev != device) {
            continue;
        }
        if end_ms < u64::MAX && clock::boot_ms() >= end_ms {
            return;
        }
        // Why: what cannot be deleted costs room, nothing else; the caller hears of it by what is left.
        if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            if depth < MAX_DELETE_DEPTH
                && let Ok(child) = openat(dir, name, flags, 0)
            {
                delete_content(child.as_fd(), device, depth + 1, end_ms);
            }
            let _ = unlinkat(dir, name, AtFlags::REMOVEDIR);
        } else {
            let _ = unlinkat(dir, name, AtFlags::empty());
        }
    }
}

#[cfg(test)]
pub(crate) mod scratch {
    use super::Tree;
    use std::fs;
    use std::path::PathBuf;

    /// A directory of one test's own, removed at its end.
    pub(crate) struct Scratch(pub(crate) PathBuf);

    impl Scratch {
        pub(crate) fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(std::format!("genpack-init-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }

        pub(crate) fn tree(&self) -> Tree {
            Tree::open(self.0.to_str().unwrap()).unwrap()
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::scratch::Scratch;
    use super::*;
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
    use std::path::PathBuf;

    #[test]
    fn path_is_split_into_directory_and_name() {
        for (path, expected) in [
            ("/etc/hostname", Ok(("/etc", "hostname"))),
            ("/run", Ok(("/", "run"))),
            ("/run/", Ok(("/", "run"))),
            ("name", Ok((".", "name"))),
            ("/", Err(Errno::INVAL)),
            ("/a/..", Err(Errno::INVAL)),
            ("", Err(Errno::INVAL)),
        ] {
            assert_eq!(split(path), expected, "{path}");
        }
    }

    #[test]
    fn write_changes_a_file_only_when_it_differs() {
        let scratch = Scratch::new("write");
        let tree = scratch.tree();
        assert_eq!(tree.write("/a", 0o600, None, b"one"), Ok(true));
        let inode = fs::metadata(scratch.0.join("a")).unwrap().ino();
        assert_eq!(tree.write("/a", 0o600, None, b"one"), Ok(false));
        assert_eq!(fs::metadata(scratch.0.join("a")).unwrap().ino(), inode);
        assert_eq!(tree.write("/a", 0o644, None, b"longer"), Ok(true));
        assert_eq!(fs::read(scratch.0.join("a")).unwrap(), b"longer");
        assert_eq!(fs::metadata(scratch.0.join("a")).unwrap().permissions().mode() & 0o7777, 0o644);
        assert_eq!(fs::read_dir(&scratch.0).unwrap().count(), 1);
    }

    #[test]
    fn links_stay_inside_the_tree() {
        let scratch = Scratch::new("links");
        let tree = scratch.tree();
        fs::create_dir(scratch.0.join("etc")).unwrap();
        symlink("/etc", scratch.0.join("absolute")).unwrap();
        symlink("../../../../../etc", scratch.0.join("relative")).unwrap();
        for directory in ["absolute", "relative"] {
            assert_eq!(tree.write(&format!("/{directory}/x"), 0o600, None, directory.as_bytes()), Ok(true));
            assert_eq!(fs::read(scratch.0.join("etc/x")).unwrap(), directory.as_bytes());
        }
        // A user's directory that is a link is refused, not followed.
        let owner =
            Some(Owner { uid: rustix::process::getuid().as_raw(), gid: rustix::process::getgid().as_raw() });
        assert_eq!(tree.write("/absolute/y", 0o600, owner, b""), Err(Errno::NOTDIR));
        assert_eq!(tree.read_strict("/absolute/x", 99), Err(Errno::NOTDIR));
        assert_eq!(tree.read("/absolute/x", 99).unwrap(), b"relative");
    }

    #[test]
    fn read_refuses_what_is_too_long_or_no_file() {
        let scratch = Scratch::new("read");
        let tree = scratch.tree();
        fs::write(scratch.0.join("f"), b"12345").unwrap();
        assert_eq!(tree.read("/f", 5).unwrap(), b"12345");
        assert_eq!(tree.read("/f", 4), Err(Errno::FBIG));
        assert_eq!(tree.read("/", 5), Err(Errno::INVAL));
        assert_eq!(tree.read("/missing", 5), Err(Errno::NOENT));
    }

    #[test]
    fn link_mkdir_rename_and_remove_tell_whether_they_changed_anything() {
        let scratch = Scratch::new("ops");
        let tree = scratch.tree();
        assert_eq!(tree.mkdir("/d", 0o700, None), Ok(true));
        assert_eq!(tree.mkdir("/d", 0o755, None), Ok(false));
        assert_eq!(fs::metadata(scratch.0.join("d")).unwrap().permissions().mode() & 0o7777, 0o700);
        assert_eq!(tree.symlink("/zone/a", "/d/l"), Ok(true));
        assert_eq!(tree.symlink("/zone/a", "/d/l"), Ok(false));
        assert_eq!(tree.symlink("/zone/b", "/d/l"), Ok(true));
        assert_eq!(tree.read_link("/d/l").as_deref(), Some("/zone/b"));
        assert_eq!(tree.rename("/d/l", "/m"), Ok(()));
        assert_eq!(tree.remove("/m"), Ok(true));
        assert_eq!(tree.remove("/m"), Ok(false));
        assert_eq!(tree.remove("/missing/m"), Ok(false));
    }

    #[test]
    fn copy_is_whole_or_not_there() {
        let scratch = Scratch::new("copy");
        let tree = scratch.tree();
        fs::create_dir_all(scratch.0.join("from/sub")).unwrap();
        fs::write(scratch.0.join("from/sub/f"), vec![7; 100_000]).unwrap();
        fs::set_permissions(scratch.0.join("from/sub"), fs::Permissions::from_mode(0o750)).unwrap();
        symlink("/etc/passwd", scratch.0.join("from/link")).unwrap();
        fs::create_dir(scratch.0.join(".to.genpack")).unwrap();
        fs::write(scratch.0.join(".to.genpack/left-behind"), b"").unwrap();
        assert_eq!(tree.copy("/from", "/to"), Ok(true));
        assert_eq!(tree.copy("/from", "/to"), Ok(false));
        assert_eq!(fs::read(scratch.0.join("to/sub/f")).unwrap(), vec![7; 100_000]);
        assert_eq!(fs::metadata(scratch.0.join("to/sub")).unwrap().permissions().mode() & 0o7777, 0o750);
        assert_eq!(fs::read_link(scratch.0.join("to/link")).unwrap(), PathBuf::from("/etc/passwd"));
        assert_eq!(fs::read_dir(scratch.0.join("to")).unwrap().count(), 2);
        assert_eq!(tree.copy("/missing", "/other"), Err(Errno::NOENT));
        assert!(!scratch.0.join("other").exists());
    }

    #[test]
    fn mtime_is_copied_to_the_nanosecond() {
        let scratch = Scratch::new("mtime");
        let tree = scratch.tree();
        tree.mkdir("/a", 0o755, None).unwrap();
        tree.mkdir("/b", 0o755, None).unwrap();
        fs::write(scratch.0.join("b/x"), b"").unwrap();
        tree.copy_mtime("/a", "/b").unwrap();
        let time = |name: &str| {
            let m = fs::metadata(scratch.0.join(name)).unwrap();
            (m.mtime(), m.mtime_nsec())
        };
        assert_eq!(time("a"), time("b"));
        assert_eq!(tree.copy_mtime("/a", "/b"), Ok(false));
    }
}
