//! Outside programs: started in a process group of their own, listened to, and ended when their time is over.
//!
//! The caller is PID 1, so nothing here waits without a deadline. What a program leaves running in the background is
//! its own affair; only a program that is late is killed with its whole group. Not handled: standard input.

use alloc::ffi::CString;
use alloc::vec::Vec;

use super::clock;
use super::syscall::{check, number, syscall};
use crate::tree::c_string;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions, WaitStatus};

/// Most words on a program's command line, its name included.
const MAX_WORDS: usize = 15;
/// Most variables of its environment.
const MAX_VARIABLES: usize = 15;
/// `SIGCHLD`, the one flag of a plain fork.
const SIGCHLD: usize = 17;
/// How long a killed program may take to go; one that hangs in the kernel for ever is left behind, milliseconds.
const KILL_MS: u64 = 5000;
/// Exit status of a child that could not become the program (sh(1) says 127 and 126 likewise).
const NOT_STARTED: usize = 127;

/// How a program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It ended by itself, with this status.
    Exited(i32),
    /// A signal ended it.
    Signaled(i32),
    /// It was killed: its time was over.
    Late,
}

fn vector<const N: usize>(words: &[CString]) -> Result<[*const u8; N], Errno> {
    let mut pointers = [core::ptr::null::<u8>(); N];
    // Why: the last slot stays NULL, it ends the vector.
    if words.len() >= N {
        return Err(Errno::TOOBIG);
    }
    for (slot, word) in pointers.iter_mut().zip(words) {
        *slot = word.as_ptr().cast();
    }
    Ok(pointers)
}

fn strings(words: &[&str]) -> Result<Vec<CString>, Errno> {
    let mut strings = Vec::new();
    for word in words {
        strings.push(c_string(word)?);
    }
    Ok(strings)
}

/// Runs a program by its path and waits for its end, at most so many milliseconds.
///
/// Its working directory is `/`, its standard input is empty; what it says comes back through `said`, in pieces.
///
/// # Errors
/// The errno of preparing the run. A program that cannot be executed is no error: it exits with status 127.
pub fn run(
    argv: &[&str],
    environment: &[&str],
    deadline_ms: u64,
    said: &mut dyn FnMut(&[u8]),
) -> Result<Outcome, Errno> {
    let (argv, environment) = (strings(argv)?, strings(environment)?);
    let null = rustix::fs::open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    let (listen, speak) = pipe_with(PipeFlags::CLOEXEC)?;
    rustix::fs::fcntl_setfl(&listen, OFlags::NONBLOCK)?;
    let pid = spawn(&argv, &environment, &null, &speak)?;
    drop(speak);
    let process = rustix::process::pidfd_open(pid, PidfdFlags::empty())?;
    let end_ms = clock::boot_ms().saturating_add(deadline_ms);
    let mut is_late = false;
    let mut is_open = true;
    loop {
        let end_ms = if is_late { end_ms.saturating_add(KILL_MS) } else { end_ms };
        let mut left_ms = end_ms.saturating_sub(clock::boot_ms());
        if left_ms == 0 && is_late {
            return Ok(Outcome::Late);
        }
        if left_ms == 0 {
            left_ms = KILL_MS;
            is_late = true;
            // Why: one that is gone meanwhile is as good as killed.
            let _ = rustix::process::kill_process_group(pid, Signal::KILL);
        }
        let listen_for = if is_open { PollFlags::IN } else { PollFlags::empty() };
        let mut fds = [PollFd::new(&process, PollFlags::IN), PollFd::new(&listen, listen_for)];
        let timeout = Timespec {
            tv_sec: i64::try_from(left_ms / 1000).unwrap_or(i64::MAX),
            tv_nsec: i64::try_from(left_ms % 1000 * 1_000_000).unwrap_or(0),
        };
        match poll(if is_open { &mut fds[..] } else { &mut fds[..1] }, Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(e) => return Err(e),
        }
        let has_ended = !fds[0].revents().is_empty();
        is_open = is_open && listen_to(&listen, said);
        if has_ended {
            break;
        }
    }
    match rustix::process::waitpid(Some(pid), WaitOptions::empty())? {
        _ if is_late => Ok(Outcome::Late),
        Some((_, status)) => Ok(outcome(status)),
        None => Err(Errno::CHILD),
    }
}

fn outcome(status: WaitStatus) -> Outcome {
    match status.exit_status() {
        Some(code) => Outcome::Exited(code),
        None => Outcome::Signaled(status.terminating_signal().unwrap_or(0)),
    }
}

/// Most reads at a time: a program that never stops talking must not keep us from looking at the clock.
const MAX_READS: usize = 64;

/// Hands on what is there to be read; answers whether there may be more.
fn listen_to(listen: &OwnedFd, said: &mut dyn FnMut(&[u8])) -> bool {
    let mut chunk = [0; 1024];
    for _ in 0..MAX_READS {
        match rustix::io::read(listen, &mut chunk) {
            Ok(0) => return false,
            Ok(n) => said(chunk.get(..n).unwrap_or(&[])),
            Err(Errno::AGAIN | Errno::INTR) => return true,
            Err(_) => return false,
        }
    }
    true
}

fn spawn(argv: &[CString], environment: &[CString], null: &OwnedFd, speak: &OwnedFd) -> Result<Pid, Errno> {
    let argv = vector::<{ MAX_WORDS + 1 }>(argv)?;
    let environment = vector::<{ MAX_VARIABLES + 1 }>(environment)?;
    if argv[0].is_null() {
        return Err(Errno::INVAL);
    }
    // SAFETY: a plain fork; the child has its own copy of all memory, and until it executes the program or exits it
    // makes system calls only, so locks that other threads of a test held do not matter.
    let child = check(unsafe { syscall(number::CLONE, [SIGCHLD, 0, 0, 0, 0, 0]) })?;
    if child != 0 {
        let pid = i32::try_from(child).ok().and_then(Pid::from_raw).ok_or(Errno::OVERFLOW)?;
        return Ok(pid);
    }
    // Why: in the child nobody hears of a failure; the program then fails, or its exit status tells.
    let _ = rustix::process::setsid();
    let _ = rustix::process::chdir(c"/");
    let _ = rustix::stdio::dup2_stdin(null.as_fd());
    let _ = rustix::stdio::dup2_stdout(speak.as_fd());
    let _ = rustix::stdio::dup2_stderr(speak.as_fd());
    let own = [null.as_raw_fd(), speak.as_raw_fd()];
    debug_assert!(own.iter().all(|fd| *fd > 2), "stdio is open in PID 1 and in tests");
    // SAFETY: path and words are NUL-terminated and alive, both vectors end with NULL.
    unsafe {
        syscall(number::EXECVE, [argv[0].addr(), argv.as_ptr().addr(), environment.as_ptr().addr(), 0, 0, 0]);
        loop {
            syscall(number::EXIT_GROUP, [NOT_STARTED, 0, 0, 0, 0, 0]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str, deadline_ms: u64) -> (Outcome, std::string::String) {
        let mut heard = Vec::new();
        let outcome =
            run(&["/bin/sh", "-c", script], &["PATH=/usr/bin:/bin", "A=b c"], deadline_ms, &mut |b| {
                heard.extend_from_slice(b);
            });
        (outcome.unwrap(), std::string::String::from_utf8(heard).unwrap())
    }

    #[test]
    fn program_is_heard_and_its_end_is_told() {
        for (script, expected) in [
            ("echo out; echo err >&2; exit 7", (Outcome::Exited(7), "out\nerr\n")),
            ("pwd; echo \"$A\"; cat", (Outcome::Exited(0), "/\nb c\n")),
            ("kill -9 $$", (Outcome::Signaled(9), "")),
            // What holds the pipe open in the background does not hold us up.
            ("sleep 60 & echo x; exec >/dev/null 2>&1; kill -9 $!", (Outcome::Exited(0), "x\n")),
            ("sleep 60 & exit 3", (Outcome::Exited(3), "")),
        ] {
            let (outcome, heard) = sh(script, 30_000);
            assert_eq!((outcome, heard.as_str()), expected, "{script}");
        }
        assert_eq!(run(&["/no/such/program"], &[], 30_000, &mut |_| {}), Ok(Outcome::Exited(127)));
        assert_eq!(run(&[], &[], 1, &mut |_| {}), Err(Errno::INVAL));
        assert_eq!(run(&["x"; 16], &[], 1, &mut |_| {}), Err(Errno::TOOBIG));
    }

    #[test]
    fn late_program_is_killed_with_its_children() {
        let (outcome, heard) = sh("sleep 600 & echo $!; wait", 300);
        assert_eq!(outcome, Outcome::Late);
        let child: u32 = heard.trim().parse().unwrap();
        let is_gone = || {
            let stat = std::fs::read_to_string(std::format!("/proc/{child}/stat")).unwrap_or_default();
            stat.is_empty() || stat.contains(") Z ")
        };
        while !is_gone() {
            std::thread::yield_now();
        }
    }

    #[test]
    fn loud_program_is_heard_to_its_end() {
        let mut bytes = 0;
        let argv = ["/bin/sh", "-c", "head -c 1000000 /dev/zero"];
        let outcome = run(&argv, &["PATH=/usr/bin:/bin"], 60_000, &mut |b| bytes += b.len());
        assert_eq!((outcome, bytes), (Ok(Outcome::Exited(0)), 1_000_000));
    }
}
