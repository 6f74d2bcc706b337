//! The running emulator: started with exactly the descriptors it needs, killed when it is dropped.
//!
//! The kernel ends it with us ([`prctl(2)`](https://man7.org/linux/man-pages/man2/prctl.2.html), `PR_SET_PDEATHSIG`),
//! so a killed test leaves no machine behind. That signal belongs to the *thread* that started the emulator: start
//! it from one that lives as long as the machine.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::{Errno, FdFlags, fcntl_setfd};
use rustix::process::{
    Pid, PidfdFlags, Signal, getpid, getppid, kill_process, kill_process_group, pidfd_open,
    set_parent_process_death_signal,
};

use crate::argv::argv;
use crate::deadline::Deadline;
use crate::error::{Error, Result};
use crate::machine::Machine;

/// Whose process group the emulator joins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Group {
    /// A new one: signals of our terminal do not reach it.
    Own,
    /// Ours: needed to read from the terminal, which only its foreground group may.
    Inherited,
}

/// What the emulator starts with.
#[derive(Debug)]
pub struct Streams {
    /// Its standard input.
    pub stdin: Stdio,
    /// Its standard output.
    pub stdout: Stdio,
    /// Where its messages go; `None` keeps them in memory.
    pub stderr: Option<File>,
    /// More words of its environment.
    pub environment: Vec<(String, String)>,
    /// Its process group.
    pub group: Group,
    /// Whether it outlives us.
    pub lifetime: Lifetime,
}

impl Streams {
    /// Returns streams of a machine that ends with us and whose messages stay in memory.
    #[must_use]
    pub const fn new(stdin: Stdio, stdout: Stdio, group: Group) -> Self {
        Self { stdin, stdout, stderr: None, environment: Vec::new(), group, lifetime: Lifetime::WithUs }
    }
}

/// Whether the emulator outlives the process that started it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifetime {
    /// It gets SIGTERM when we end, however that happens.
    WithUs,
    /// It runs on; who comes later finds it by its pid file.
    Own,
}

/// A running emulator. Dropped, it is killed and reaped, unless it has a [`Lifetime`] of its own.
#[derive(Debug)]
pub struct Process {
    child: Child,
    pidfd: OwnedFd,
    stderr: File,
    group: Group,
    lifetime: Lifetime,
    status: Option<ExitStatus>,
}

impl Process {
    /// Starts a machine; its descriptors are closed on our side.
    ///
    /// # Errors
    /// [`Error::NotInstalled`], or [`Error::Io`] when the system refuses to start a process.
    pub fn start(machine: Machine, streams: Streams) -> Result<Self> {
        Self::spawn(&argv(&machine), &machine.descriptors(), streams)
    }

    /// Starts a command line that inherits exactly these descriptors.
    ///
    /// # Errors
    /// As [`Process::start`].
    pub fn spawn(argv: &[String], inherited: &[BorrowedFd<'_>], streams: Streams) -> Result<Self> {
        let (program, arguments) = argv.split_first().ok_or_else(|| Error::Protocol("empty argv".into()))?;
        let stderr = match streams.stderr {
            Some(file) => file,
            None => memfd_create("qemu-stderr", MemfdFlags::CLOEXEC)
                .map(File::from)
                .map_err(Error::errno("making a buffer for QEMU's messages"))?,
        };
        let for_child = stderr.try_clone().map_err(Error::io("making a buffer for QEMU's messages"))?;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .stdin(streams.stdin)
            .stdout(streams.stdout)
            .stderr(for_child)
            .envs(streams.environment);
        if streams.group == Group::Own {
            command.process_group(0);
        }
        let inherited = inherited.iter().map(AsRawFd::as_raw_fd).collect();
        before_exec(&mut command, inherited, streams.lifetime == Lifetime::WithUs);
        let mut child = command.spawn().map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => Error::NotInstalled { program: program.clone() },
            _ => Error::Io { doing: "starting QEMU", source },
        })?;
        let pid = Pid::from_child(&child);
        match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(pidfd) => {
                let Streams { group, lifetime, .. } = streams;
                Ok(Self { child, pidfd, stderr, group, lifetime, status: None })
            }
            Err(errno) => {
                // Why: without a descriptor nobody would wait for it.
                let _ = child.kill();
                let _ = child.wait();
                Err(Error::errno("watching QEMU")(errno))
            }
        }
    }

    /// Returns its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Takes the pipe of its standard input, when it was started with one.
    pub fn take_stdin(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// Takes the pipe of its standard output, when it was started with one.
    pub fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// Waits until it ends.
    ///
    /// # Errors
    /// [`Error::Timeout`]; the emulator runs on then.
    pub fn wait(&mut self, deadline: Deadline) -> Result<ExitStatus> {
        if let Some(status) = self.status {
            return Ok(status);
        }
        loop {
            let mut fds = [PollFd::new(&self.pidfd, PollFlags::IN)];
            match poll(&mut fds, Some(&deadline.timespec())) {
                Ok(0) => return Err(deadline.timeout("QEMU to end")),
                Ok(_) => break,
                Err(Errno::INTR) => {}
                Err(errno) => return Err(Error::errno("waiting for QEMU")(errno)),
            }
        }
        let status = self.child.wait().map_err(Error::io("waiting for QEMU"))?;
        self.status = Some(status);
        Ok(status)
    }

    /// Returns the last `lines` lines of its standard error.
    #[must_use]
    pub fn stderr_tail(&self, lines: usize) -> Vec<String> {
        let mut text = Vec::new();
        // Words about a failure must not fail themselves: without them the exit status has to do.
        if (&self.stderr)
            .seek(SeekFrom::Start(0))
            .and_then(|_| (&self.stderr).read_to_end(&mut text))
            .is_err()
        {
            return Vec::new();
        }
        let text = String::from_utf8_lossy(&text);
        let all: Vec<&str> = text.lines().collect();
        all.iter().skip(all.len().saturating_sub(lines)).map(|l| (*l).to_owned()).collect()
    }

    /// Kills it whatever its lifetime: one that never answered is of no use.
    pub fn kill_now(&mut self) {
        self.kill();
        // The kernel reaps what was killed; nothing else can come back.
        self.status = self.child.wait().ok();
    }

    fn kill(&self) {
        let pid = Pid::from_child(&self.child);
        // It may have ended a moment ago; then there is nobody to kill.
        let _ = match self.group {
            Group::Own => kill_process_group(pid, Signal::KILL),
            Group::Inherited => kill_process(pid, Signal::KILL),
        };
    }
}

impl AsFd for Process {
    /// The descriptor becomes readable when the emulator ends.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.status.is_none() && self.lifetime == Lifetime::WithUs {
            self.kill();
            let _ = self.child.wait();
        }
    }
}

/// Lets the child inherit these descriptors and, when wanted, end with us.
#[expect(unsafe_code, reason = "the only way to act between fork and exec")]
fn before_exec(command: &mut Command, inherited: Vec<RawFd>, ends_with_us: bool) {
    let parent = getpid();
    let prepare = move || {
        if ends_with_us {
            // Why: SIGTERM, on which QEMU flushes its disks, not SIGKILL.
            set_parent_process_death_signal(Some(Signal::TERM))?;
            if getppid() != Some(parent) {
                // We ended between fork and the call above: nobody would ever signal the child.
                return Err(Errno::SRCH.into());
            }
        }
        for fd in &inherited {
            // SAFETY: the descriptors are open in the parent until `spawn` returns, and fork copied them.
            let fd = unsafe { BorrowedFd::borrow_raw(*fd) };
            fcntl_setfd(fd, FdFlags::empty())?;
        }
        Ok(())
    };
    // SAFETY: between fork and exec the closure only makes system calls (prctl, getppid, fcntl): it neither
    // allocates nor takes a lock.
    unsafe { command.pre_exec(prepare) };
}
