//! A current directory for one thread.
#![allow(unsafe_code)]

use rustix::thread::UnshareFlags;

/// Gives this thread a current directory of its own (unshare(2)).
///
/// # Errors
/// The kernel's; some containers forbid the call.
pub(super) fn unshare_current_directory() -> rustix::io::Result<()> {
    // SAFETY: only CLONE_FILES can break the safety of file descriptors; CLONE_FS leaves them alone.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::FS) }
}
