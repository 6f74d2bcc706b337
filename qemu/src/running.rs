//! An emulator that another process started, by its process id and the time it was started.
//!
//! A process id alone may have been given to another program since. `/proc/PID/stat` is read after the descriptor was
//! opened (proc(5), field 22), so what is signalled later is the very process that was meant.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use crate::deadline::Deadline;
use crate::error::{Error, Result};

/// Place of the start time in `/proc/PID/stat`, counted from behind the name.
const START_TIME: usize = 19;
/// Place of the processor time spent in user mode.
const USER_TIME: usize = 11;

/// A running emulator of somebody else's.
#[derive(Debug)]
pub struct Running {
    pid: u32,
    pidfd: OwnedFd,
}

/// Times of a process, in clock ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// When it was started, since the system's start.
    pub started: u64,
    /// Processor time spent in user mode.
    pub user: u64,
}

impl Running {
    /// Returns the process of this id that was started at this time, `None` when it is gone.
    ///
    /// # Errors
    /// [`Error::Io`] when the system refuses.
    pub fn open(pid: u32, started: u64) -> Result<Option<Self>> {
        let Some(raw) = i32::try_from(pid).ok().and_then(Pid::from_raw) else { return Ok(None) };
        let pidfd = match pidfd_open(raw, PidfdFlags::empty()) {
            Ok(pidfd) => pidfd,
            Err(Errno::SRCH) => return Ok(None),
            Err(errno) => return Err(Error::errno("watching QEMU")(errno)),
        };
        let is_it = times(pid).is_some_and(|times| times.started == started);
        Ok(is_it.then_some(Self { pid, pidfd }))
    }

    /// Returns its process id.
    #[must_use]
    pub const fn id(&self) -> u32 {
        self.pid
    }

    /// Sends it a signal; one that has just ended needs none.
    ///
    /// # Errors
    /// [`Error::Io`] when that is not allowed.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        match pidfd_send_signal(&self.pidfd, signal) {
            Ok(()) | Err(Errno::SRCH) => Ok(()),
            Err(errno) => Err(Error::errno("signalling QEMU")(errno)),
        }
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    /// [`Error::Timeout`].
    pub fn wait(&self, deadline: Deadline) -> Result<()> {
        loop {
            let mut fds = [PollFd::new(&self.pidfd, PollFlags::IN)];
            match poll(&mut fds, Some(&deadline.timespec())) {
                Ok(0) => return Err(deadline.timeout("QEMU to end")),
                Ok(_) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(errno) => return Err(Error::errno("waiting for QEMU")(errno)),
            }
        }
    }
}

impl AsFd for Running {
    /// The descriptor becomes readable when the emulator ends.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

/// Returns the times of a process, `None` when there is none.
#[must_use]
pub fn times(pid: u32) -> Option<Times> {
    parse_stat(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

fn parse_stat(stat: &str) -> Option<Times> {
    // Why from behind: the name in parentheses may hold anything, also parentheses.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    let number = |at: usize| fields.get(at).and_then(|field| field.parse().ok());
    Some(Times { started: number(START_TIME)?, user: number(USER_TIME)? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};
    use std::time::Duration;

    #[test]
    fn stat_is_read_behind_the_name() {
        let stat = "7 (a) R 1 (b)) S 1 7 7 0 -1 4194560 1 2 3 4 55 66 0 0 20 0 3 0 777 1 2";
        assert_eq!(parse_stat(stat), Some(Times { started: 777, user: 55 }));
        assert_eq!(parse_stat("7 (a"), None);
        assert_eq!(parse_stat("7 (a) S 1"), None);
    }

    #[test]
    fn process_is_found_by_id_and_time_only() {
        let mut child = Command::new("cat").stdin(Stdio::piped()).spawn().unwrap();
        let started = times(child.id()).unwrap().started;
        assert!(Running::open(child.id(), started + 1).unwrap().is_none());
        let running = Running::open(child.id(), started).unwrap().unwrap();
        let error = running.wait(Deadline::after(Duration::ZERO)).unwrap_err();
        assert_eq!(error.to_string(), "timeout waiting for QEMU to end after 0 s");
        running.signal(Signal::TERM).unwrap();
        running.wait(Deadline::seconds(10)).unwrap();
        child.wait().unwrap();
        running.signal(Signal::TERM).unwrap();
        assert!(Running::open(child.id(), started).unwrap().is_none());
    }
}
