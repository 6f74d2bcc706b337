//! Reads the content of entries, and notices when it is not what the entries say.

use std::os::fd::OwnedFd;

use rustix::fs::{self, Mode, OFlags, ResolveFlags, SeekFrom};
use rustix::io::Errno;

use super::tree::shown;
use crate::command_error::{CommandError, Result};
use crate::pack::cache::Identity;
use crate::pack::entry::{Content, Entry, FileEntry, Kind};

/// A file whose content is being read.
pub(super) struct OpenFile<'a> {
    entry: &'a Entry,
    file: &'a FileEntry,
    fd: Option<OwnedFd>,
    has_holes: bool,
}

impl<'a> OpenFile<'a> {
    /// Opens a regular file.
    ///
    /// # Errors
    /// When it is not there, is no file, or is not the one that the entry is about.
    pub(super) fn open(entry: &'a Entry) -> Result<Self> {
        let mut open = Self::open_unchecked(entry)?;
        let blocks = open.check()?;
        open.has_holes = blocks.is_some_and(|bytes| bytes < open.file.size);
        Ok(open)
    }

    /// As [`OpenFile::open`], but leaves it to the caller to [`OpenFile::check`] before it believes what it read.
    ///
    /// # Errors
    /// When it is not there or is no file.
    pub(super) fn open_unchecked(entry: &'a Entry) -> Result<Self> {
        let Kind::File(file) = &entry.kind else {
            return Err(CommandError::failed("it has no content").context(reading(entry)));
        };
        let mut open = Self { entry, file, fd: None, has_holes: false };
        if let Content::At { root, path } = &file.content {
            // Why NONBLOCK: what was a file may be a FIFO by now, and nobody may ever write into it.
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
            let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
            let fd = fs::openat2(root, &**path, flags, Mode::empty(), beneath);
            open.fd = Some(fd.map_err(|e| failed(e.into()).context(reading(entry)))?);
        }
        Ok(open)
    }

    /// Fills `out` with the bytes at `offset`, all of which the entry's size promises.
    ///
    /// # Errors
    /// When they cannot be read.
    pub(super) fn read(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        let mut done = 0;
        while done < out.len() {
            let at = offset + done as u64;
            let rest = &mut out[done..];
            let n = match (&self.file.content, &self.fd) {
                (Content::Bytes(bytes), _) => {
                    let from = bytes.get(at as usize..).unwrap_or_default();
                    let n = from.len().min(rest.len());
                    rest[..n].copy_from_slice(&from[..n]);
                    Ok(n)
                }
                (Content::Other(other), _) => other.read_at(at, rest),
                (Content::At { .. }, Some(fd)) => rustix::io::pread(fd, rest, at).map_err(Into::into),
                (Content::At { .. }, None) => Err(Errno::BADF.into()),
            };
            match n {
                Ok(0) => return Err(self.changed()),
                Ok(n) => done += n,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
                Err(e) => return Err(failed(e).context(format!("{} at byte {at}", reading(self.entry)))),
            }
        }
        Ok(())
    }

    /// Tells whether the file system knows that these bytes are a hole, without reading them.
    pub(super) fn is_hole(&self, offset: u64, len: u64) -> bool {
        let Some(fd) = self.fd.as_ref().filter(|_| self.has_holes) else { return false };
        match fs::seek(fd, SeekFrom::Data(offset)) {
            Ok(data) => data >= offset + len,
            // There is no data behind it.
            Err(Errno::NXIO) => true,
            Err(_) => false,
        }
    }

    /// Makes sure that the file is still the one that the entry is about, unchanged; and tells how many bytes it
    /// takes on disk.
    pub(super) fn check(&self) -> Result<Option<u64>> {
        let FileEntry { size, content, .. } = self.file;
        let Some(fd) = &self.fd else {
            let is_right = match content {
                Content::Bytes(bytes) => bytes.len() as u64 == *size,
                // One that became shorter is noticed when it is read.
                Content::Other(other) => !matches!(other.read_at(*size, &mut [0]), Ok(1..)),
                Content::At { .. } => true,
            };
            return if is_right { Ok(None) } else { Err(self.changed()) };
        };
        let stat = fs::fstat(fd).map_err(|e| failed(e.into()).context(reading(self.entry)))?;
        if fs::FileType::from_raw_mode(stat.st_mode) != fs::FileType::RegularFile {
            return Err(self.changed());
        }
        let ns = |s: i64, ns: i64| i128::from(s) * 1_000_000_000 + i128::from(ns);
        let found = Identity {
            dev: stat.st_dev,
            ino: stat.st_ino,
            size: stat.st_size.cast_unsigned(),
            mtime_ns: ns(stat.st_mtime, stat.st_mtime_nsec.cast_signed()),
            ctime_ns: ns(stat.st_ctime, stat.st_ctime_nsec.cast_signed()),
        };
        if found.size != *size || self.entry.identity.is_some_and(|wanted| wanted != found) {
            return Err(self.changed());
        }
        Ok(Some(stat.st_blocks.cast_unsigned().saturating_mul(512)))
    }

    fn changed(&self) -> CommandError {
        CommandError::failed("it changed while the image was made")
            .context(reading(self.entry))
            .hint("pack a tree that nothing writes to")
    }
}

fn failed(error: std::io::Error) -> CommandError {
    CommandError::failed(error.to_string())
}

/// Returns what we are doing with an entry.
pub(super) fn reading(entry: &Entry) -> String {
    format!("reading {}", shown(&entry.path))
}
