//! Owner, extended attributes, time and mode of what was made.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};

use genpack_core::fs::squashfs::FileType;
use rustix::fs::{
    AtFlags, Gid, Mode, Timespec, Timestamps, Uid, XattrFlags, chmodat, chownat, fchmod, fchown,
    fremovexattr, fsetxattr, fstat, futimens, lsetxattr, utimensat,
};
use rustix::io::Errno;

use super::of_writing;
use super::plan::Item;
use crate::command_error::{CommandError, Context, Result};
use crate::io::printable::printable;
use crate::io::system_image::Content;

/// Most bytes of extended attributes of all files together: a small image can claim a megabyte for each of its
/// millions of names. A hundred times what a distribution with a label on every file has.
pub(super) const MAX_ALL_XATTR_BYTES: u64 = 1 << 30;
/// Set-uid, set-gid and sticky: a change of the owner takes the first two away.
const SPECIAL_BITS: u16 = 0o7000;

/// What attributes are set of.
pub(super) enum Made<'a> {
    /// A name in a directory; it may be anything.
    Name(&'a OwnedFd, &'a [u8]),
    /// A directory, which is open.
    Open(&'a OwnedFd),
    /// A regular file, which is open and was made with its mode when [`Attributes::is_made_with_mode`] said so.
    File(&'a std::fs::File),
}

pub(super) struct Attributes {
    keeps_owners: bool,
    /// Owner and group that new names get by themselves.
    made_as: (u32, u32),
    skipped_xattrs: AtomicU64,
    xattr_bytes: AtomicU64,
}

impl Attributes {
    /// Looks at the empty directory that everything is made in.
    pub(super) fn prepare(root: &OwnedFd, keeps_owners: bool) -> Result<Self> {
        for acl in ["system.posix_acl_default", "system.posix_acl_access"] {
            // Why: what inherits an access control list inherits a mode, too. Nothing to remove is the usual answer.
            let _ = fremovexattr(root, acl);
        }
        // Why its owner tells: new names get the group of their directory where it is set-gid or the file system is
        // mounted so, else that of the process; this directory was made by the same rule, and passes set-gid on.
        let found = fstat(root).context("looking at it")?;
        Ok(Self {
            keeps_owners,
            made_as: (found.st_uid, found.st_gid),
            skipped_xattrs: AtomicU64::new(0),
            xattr_bytes: AtomicU64::new(0),
        })
    }

    /// Returns how many extended attributes could not be set.
    pub(super) fn skipped_xattrs(&self) -> u64 {
        self.skipped_xattrs.load(Ordering::Relaxed)
    }

    /// Tells whether a new file may have its mode at once, as nothing that comes later changes it or is hindered by it.
    pub(super) const fn is_made_with_mode(item: &Item) -> bool {
        item.mode & SPECIAL_BITS == 0 && item.xattr.is_none()
    }

    /// Sets owner, extended attributes, time and mode, in this order: a new owner clears set-uid bits and
    /// capabilities, and the mode may close the file to us.
    pub(super) fn set(&self, content: &mut Content<'_>, made: Made<'_>, item: &Item) -> Result<()> {
        if self.keeps_owners && (item.uid, item.gid) != self.made_as {
            let (uid, gid) = (Some(Uid::from_raw(item.uid)), Some(Gid::from_raw(item.gid)));
            match made {
                Made::Name(at, name) => chownat(at, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW),
                Made::Open(directory) => fchown(directory, uid, gid),
                Made::File(file) => fchown(file, uid, gid),
            }
            .context("setting its owner")?;
        }
        for (name, value) in content.xattrs(item.xattr)? {
            self.xattr(&made, &name, &value)?;
        }
        let time = Timespec { tv_sec: item.mtime.into(), tv_nsec: 0 };
        let times = Timestamps { last_access: time, last_modification: time };
        match made {
            Made::Name(at, name) => utimensat(at, name, &times, AtFlags::SYMLINK_NOFOLLOW),
            Made::Open(directory) => futimens(directory, &times),
            Made::File(file) => futimens(file, &times),
        }
        .context("setting its time")?;
        let mode = Mode::from_raw_mode(item.mode.into());
        match made {
            Made::Name(..) if item.file_type == FileType::Symlink => Ok(()),
            // Why no flag: it is not a link, we have just made it in a directory that is ours alone.
            Made::Name(at, name) => chmodat(at, name, mode, AtFlags::empty()),
            Made::Open(directory) => fchmod(directory, mode),
            Made::File(_) if Self::is_made_with_mode(item) => Ok(()),
            Made::File(file) => fchmod(file, mode),
        }
        .context("setting its mode")
    }

    fn xattr(&self, made: &Made<'_>, name: &[u8], value: &[u8]) -> Result<()> {
        let bytes = (name.len() + value.len()) as u64;
        if self.xattr_bytes.fetch_add(bytes, Ordering::Relaxed) > MAX_ALL_XATTR_BYTES {
            let what = format!("the image has more than {MAX_ALL_XATTR_BYTES} bytes of extended attributes");
            return Err(CommandError::failed(what));
        }
        let set = match made {
            // Why: there is no `setxattrat` in the kernels that we serve; `/proc` leads from a descriptor to its path,
            // and the last component is not followed.
            Made::Name(at, file) => {
                let mut path = format!("/proc/self/fd/{}/", at.as_fd().as_raw_fd()).into_bytes();
                path.extend_from_slice(file);
                lsetxattr(path, name, value, XattrFlags::empty())
            }
            Made::Open(directory) => fsetxattr(directory, name, value, XattrFlags::empty()),
            Made::File(file) => fsetxattr(file, name, value, XattrFlags::empty()),
        };
        match set {
            Ok(()) => Ok(()),
            Err(Errno::PERM | Errno::NOTSUP | Errno::ACCESS) => {
                self.skipped_xattrs.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
            Err(e) => Err(of_writing(e.into()))
                .with_context(|| format!("setting the attribute {}", printable(name))),
        }
    }
}
