//! A mount namespace for one thread.
#![allow(unsafe_code)]

use rustix::thread::UnshareFlags;

/// Moves this thread, and all programs it starts from now on, into a new mount namespace (unshare(2)).
///
/// # Errors
/// The kernel's.
pub(super) fn unshare_mount_namespace() -> rustix::io::Result<()> {
    // SAFETY: only CLONE_FILES can break the safety of file descriptors; CLONE_NEWNS leaves them alone.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS) }
}
