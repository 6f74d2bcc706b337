//! Standard output and standard error, and the console behind them.

use rustix::fd::BorrowedFd;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

/// Returns standard output; when it is closed, writing to it is an error like any other.
#[must_use]
pub fn stdout() -> BorrowedFd<'static> {
    // SAFETY: the descriptor is only written to, and this program never reuses number 1 for anything else.
    unsafe { BorrowedFd::borrow_raw(1) }
}

/// Returns standard error, with the same remark.
#[must_use]
pub fn stderr() -> BorrowedFd<'static> {
    // SAFETY: as above, for number 2.
    unsafe { BorrowedFd::borrow_raw(2) }
}

/// Puts the console on standard input, output and error.
///
/// # Errors
/// The errno of opening or duplicating `/dev/console`.
pub fn open_console() -> Result<(), Errno> {
    let console = rustix::fs::open("/dev/console", OFlags::RDWR | OFlags::NOCTTY, Mode::empty())?;
    rustix::stdio::dup2_stdin(&console)?;
    rustix::stdio::dup2_stdout(&console)?;
    rustix::stdio::dup2_stderr(&console)?;
    if rustix::fd::AsRawFd::as_raw_fd(&console) <= 2 {
        // Why: with a closed stdin the console itself became number 0, and dropping it would close it again.
        core::mem::forget(console);
    }
    Ok(())
}
