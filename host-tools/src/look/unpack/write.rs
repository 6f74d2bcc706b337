//! Makes what a plan says below one directory, and nowhere else.
//!
//! Every name is created exclusively and relative to a descriptor of its directory; directories are opened by
//! `openat2` below the root's descriptor without following any link. So neither a name that comes twice nor a
//! link in the place of a directory leads outside. Directories stay private (0700) until everything is in them.

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::Path;

use genpack_core::fs::squashfs::FileType;
use rustix::fs::{
    AtFlags, Gid, Mode, OFlags, ResolveFlags, Timespec, Timestamps, Uid, XattrFlags, chmodat, chownat,
    ftruncate, linkat, lsetxattr, makedev, mkdirat, mknodat, open, openat, openat2, symlinkat, utimensat,
};
use rustix::io::Errno;

use super::plan::{Item, Plan};
use crate::command_error::{CommandError, Context, Result};
use crate::io::system_image::{Entry, Piece, SystemImage};

/// Mode of everything that is not complete yet.
const PRIVATE: Mode = Mode::RWXU;

/// Makes everything below `root`, an empty directory, and returns how many extended attributes could not be set.
/// `step` is told each piece of content and may stop the work.
pub(super) fn run(
    plan: &Plan,
    image: &SystemImage,
    root: &Path,
    step: &mut dyn FnMut(u64) -> Result<()>,
) -> Result<u64> {
    let root = open(root, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).context("opening it")?;
    let mut writer = Writer { plan, image, root, here: None, skipped_xattrs: 0 };
    for item in &plan.items {
        step(0)?;
        writer.make(item, step).with_context(|| shown(&item.path))?;
    }
    // Why backwards: a directory that its owner may not search is closed after everything in it.
    for item in plan.items.iter().rev().filter(|item| item.entry.is_directory()) {
        writer.finish_directory(&item.path, &item.entry).with_context(|| shown(&item.path))?;
    }
    writer.finish_directory(b".", &plan.root)?;
    Ok(writer.skipped_xattrs)
}

struct Writer<'a> {
    plan: &'a Plan,
    image: &'a SystemImage,
    root: OwnedFd,
    /// The directory that was opened last.
    here: Option<(Vec<u8>, OwnedFd)>,
    skipped_xattrs: u64,
}

impl Writer<'_> {
    fn make(&mut self, item: &Item, step: &mut dyn FnMut(u64) -> Result<()>) -> Result<()> {
        let (directory, name) = split(&item.path);
        if let Some(first) = item.first {
            let first = self.plan.items.get(first).map(|item| split(&item.path));
            let (first_directory, first_name) = first.ok_or_else(|| CommandError::failed("no first name"))?;
            let from = self.open_directory(first_directory)?;
            let to = self.directory(directory)?;
            return linkat(from, first_name, to, name, AtFlags::empty()).map_err(of_name);
        }
        let (plan, image, entry) = (self.plan, self.image, &item.entry);
        let at = self.directory(directory)?;
        match entry.file_type {
            FileType::Directory => return mkdirat(at, name, PRIVATE).map_err(of_name),
            FileType::RegularFile => {
                let flags =
                    OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let file = File::from(openat(at, name, flags, Mode::RUSR | Mode::WUSR).map_err(of_name)?);
                copy(image, entry, &file, step)?;
            }
            FileType::Symlink => {
                symlinkat(entry.target.as_deref().unwrap_or_default(), at, name).map_err(of_name)?;
            }
            FileType::BlockDevice => node(at, name, rustix::fs::FileType::BlockDevice, entry)?,
            FileType::CharDevice => node(at, name, rustix::fs::FileType::CharacterDevice, entry)?,
            FileType::Fifo => node(at, name, rustix::fs::FileType::Fifo, entry)?,
            FileType::Socket => node(at, name, rustix::fs::FileType::Socket, entry)?,
        }
        self.skipped_xattrs += attributes(plan, image, at, name, entry)?;
        Ok(())
    }

    fn finish_directory(&mut self, path: &[u8], entry: &Entry) -> Result<()> {
        let directory = self.open_directory(path)?;
        self.skipped_xattrs += attributes(self.plan, self.image, &directory, b".", entry)?;
        Ok(())
    }

    /// Returns the open directory at a path below the root, the last one again without a system call.
    fn directory(&mut self, path: &[u8]) -> Result<&OwnedFd> {
        if self.here.as_ref().is_none_or(|(here, _)| here != path) {
            self.here = Some((path.to_vec(), self.open_directory(path)?));
        }
        Ok(self.here.as_ref().map_or(&self.root, |(_, directory)| directory))
    }

    fn open_directory(&self, path: &[u8]) -> Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
        let path = if path.is_empty() { b"." } else { path };
        openat2(&self.root, path, flags, Mode::empty(), resolve).context("opening its directory")
    }
}

/// Writes a file's content; holes stay holes.
fn copy(
    image: &SystemImage,
    entry: &Entry,
    file: &File,
    step: &mut dyn FnMut(u64) -> Result<()>,
) -> Result<()> {
    let (mut offset, mut written) = (0, 0);
    image.read_pieces(entry, &mut |piece| match piece {
        Piece::Bytes(bytes) => {
            file.write_all_at(bytes, offset).context("writing")?;
            offset += bytes.len() as u64;
            written = offset;
            step(bytes.len() as u64)
        }
        Piece::Hole(len) => {
            offset += len;
            step(len)
        }
    })?;
    if written < offset { ftruncate(file, offset).context("writing") } else { Ok(()) }
}

fn node(at: &OwnedFd, name: &[u8], kind: rustix::fs::FileType, entry: &Entry) -> Result<()> {
    let device = entry.device.map_or(0, |d| makedev(d.major, d.minor));
    mknodat(at, name, kind, Mode::RUSR | Mode::WUSR, device).map_err(of_name)
}

/// Sets owner, extended attributes, time and mode, in this order: a new owner clears set-uid bits and capabilities,
/// and the mode may close the file to us.
/// Returns how many extended attributes could not be set.
fn attributes(plan: &Plan, image: &SystemImage, at: &OwnedFd, name: &[u8], entry: &Entry) -> Result<u64> {
    if plan.keeps_owners {
        let (uid, gid) = (Uid::from_raw(entry.uid), Gid::from_raw(entry.gid));
        chownat(at, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW).context("setting its owner")?;
    }
    let mut skipped = 0;
    for (xattr, value) in image.xattrs(entry)? {
        // Why: there is no `setxattrat` in the kernels that we serve; `/proc` leads from a descriptor to its path,
        // and the last component is not followed.
        let mut path = format!("/proc/self/fd/{}/", at.as_fd().as_raw_fd()).into_bytes();
        path.extend_from_slice(name);
        match lsetxattr(path, xattr.as_slice(), &value, XattrFlags::empty()) {
            Ok(()) => {}
            Err(Errno::PERM | Errno::NOTSUP | Errno::ACCESS) => skipped += 1,
            Err(e) => return Err(e).with_context(|| format!("setting the attribute {}", shown(&xattr))),
        }
    }
    let time = Timespec { tv_sec: entry.mtime.into(), tv_nsec: 0 };
    let times = Timestamps { last_access: time, last_modification: time };
    utimensat(at, name, &times, AtFlags::SYMLINK_NOFOLLOW).context("setting its time")?;
    if entry.file_type != FileType::Symlink {
        // Why no flag: it is not a link, we have just made it in a directory that is ours alone.
        chmodat(at, name, Mode::from_raw_mode(entry.mode.into()), AtFlags::empty())
            .context("setting its mode")?;
    }
    Ok(skipped)
}

fn of_name(e: Errno) -> CommandError {
    match e {
        Errno::EXIST => CommandError::failed("the name is in its directory twice")
            .hint("the image is damaged or hostile: do not use it"),
        e => CommandError::failed(std::io::Error::from(e).to_string()),
    }
}

fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|b| *b == b'/') {
        Some(slash) => (path.get(..slash).unwrap_or_default(), path.get(slash + 1..).unwrap_or_default()),
        None => (&[], path),
    }
}

fn shown(path: &[u8]) -> String {
    crate::look::image::printable(path)
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn path_is_split_at_its_last_slash() {
        assert_eq!(split(b"a/b/c"), (&b"a/b"[..], &b"c"[..]));
        assert_eq!(split(b"c"), (&b""[..], &b"c"[..]));
    }
}
